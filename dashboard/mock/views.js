// What the API shows of a scenario at moment `t`; `zero` is when moment zero was, on the clock.

const money = (micros) => ({ micros: Math.round(micros), currency: "CNY" });

function state(job, t) {
  if (job.odd === "held") return "held";
  if (job.offered === undefined || t < job.offered) return "waiting";
  if (t < job.accepted) return "offered";
  if (t < job.started) return "staging";
  return t < job.ended ? "running" : job.end;
}

const placed = (job, t) => job.offered !== undefined && t >= job.offered;
const live = (job, t) => placed(job, t) && t < job.ended;
const price = (job) => money((job.pool.price_per_hour.micros * job.chips * job.runs) / 3_600_000);

export function centers({ network, jobs }, t) {
  return network.centers.map((center) => {
    const here = jobs.filter((job) => job.center === center.center && live(job, t) && t >= job.started - 600);
    const held = (pool) => here.filter((job) => job.pool === pool).reduce((n, job) => n + job.chips * 1000, 0);
    return { ...center, attempts: here.length, pools: center.pools.map((p) => ({ ...p, chips_held_milli: held(p) })) };
  });
}

export function links({ network, transfers }, t) {
  return network.links.map((link) => {
    const booked = (way) =>
      transfers
        .filter((x) => x.from <= t && t < x.until && x.hops.includes(`${link.link}${way}`))
        .reduce((n, x) => n + x.rate, 0);
    const most = (bps) => Math.min(bps, link.capacity_bps);
    return { ...link, booked_forward_bps: most(booked(">")), booked_backward_bps: most(booked("<")) };
  });
}

export function transfers({ transfers: all }, t, zero) {
  return all
    .filter((x) => x.from <= t && t < x.until)
    .map((x) => ({
      transfer: `transfer-${x.number}`,
      dataset: x.data.dataset,
      version: "0".repeat(64),
      bytes: x.data.bytes,
      from: x.data.home,
      to: x.to,
      hops: x.hops,
      steps: [{ from_ms: zero + x.from, until_ms: zero + x.until, rate_bps: x.rate }],
      arrives_ms: zero + x.until,
      price: money(12_000),
    }));
}

export function datasets({ homes, transfers: all }, t, zero) {
  return homes.map(({ dataset, bytes, home }) => {
    const copies = all.filter((x) => x.data.dataset === dataset && x.until <= t).map((x) => x.to);
    const version = { version: "0".repeat(64), bytes, files: 1, registered_ms: zero, residency: [], made_by: null };
    return { dataset, tenant: "lab", versions: [{ ...version, replicas: [...new Set([home, ...copies])] }] };
  });
}

export function job(job, t, zero) {
  const at = (moment) => (moment !== undefined && t >= moment ? zero + moment : null);
  const is = placed(job, t);
  return {
    job: `job-${job.number}`,
    name: job.name,
    tenant: job.tenant,
    state: state(job, t),
    priority: 0,
    submitted_ms: zero + job.submitted,
    promised_ms: is ? zero + job.started + (job.number % 5 === 0 ? -2_500 : 200) : null,
    started_ms: at(job.started),
    ended_ms: at(job.ended),
    deadline_ms: job.number % 8 === 0 ? zero + job.submitted + 60_000 : null,
    center: is ? job.center : null,
    pool: is ? job.pool.pool : null,
    chip: is ? job.pool.chip : null,
    nodes: Math.ceil(job.chips / 8),
    chips_milli: job.chips * 1000,
    attempts: is ? 1 : 0,
    price: is ? price(job) : null,
    outcome: is && t >= job.ended ? job.outcome : null,
  };
}

export function jobs({ jobs: all }, t, zero, query) {
  const limit = Math.min(Number(query.get("limit") ?? 100), 1000);
  const before = Number((query.get("before") ?? `job-${Infinity}`).slice(4));
  const found = all
    .filter((j) => j.submitted <= t && j.number < before)
    .filter((j) => query.get("state") !== "live" || j.ended === undefined || t < j.ended)
    .sort((a, b) => b.number - a.number);
  const page = found.slice(0, limit);
  return { jobs: page.map((j) => job(j, t, zero)), next: found.length > limit ? `job-${page.at(-1).number}` : null };
}

function attempts(one, t, zero) {
  if (!placed(one, t)) return [];
  const short = job(one, t, zero);
  const per = one.pool.chips_per_node;
  const nodes = Array.from({ length: Math.min(Math.ceil(one.chips / per), 40) }, (_, node) => ({
    node,
    chips: Array.from({ length: Math.min(per, one.chips) }, (_, chip) => chip),
    share_milli: 1000,
  }));
  return [
    {
      attempt: `${short.job}.1`,
      state: short.ended_ms === null ? short.state : "over",
      center: one.center,
      pool: one.pool.pool,
      variant: 0,
      nodes,
      plan: `plan-${one.number}`,
      offered_ms: zero + one.offered,
      planned_start_ms: zero + one.started,
      planned_finish_ms: zero + one.ended,
      until_ms: zero + one.ended + 30_000,
      started_ms: short.started_ms,
      ended_ms: short.ended_ms,
      outcome: short.outcome,
      price: short.price,
      inputs: one.input ? [`${one.input.dataset}@000000000000`] : [],
      awaits: one.transfers.map((x) => `transfer-${x.number}`),
    },
  ];
}

export function detail(one, t, zero) {
  const asked = {
    kind: "batch",
    parts: [],
    within: "center",
    limit_ms: 1_800_000,
    expected_ms: one.runs,
    inputs: one.input ? [{ name: "data", dataset: one.input.dataset, stream_bps: null }] : [],
    outputs: one.number % 3 === 0 ? [{ name: "model", dataset: `${one.name}-out`, residency: [] }] : [],
    objective: "fastest",
    budget: null,
    preemptible: false,
    lease_ms: null,
    retries: 0,
    centers: [],
    regions: [],
  };
  return { ...job(one, t, zero), asked, tries: attempts(one, t, zero) };
}

export function why({ network, jobs: all }, one, t, zero) {
  const short = job(one, t, zero);
  const fits = (c) => c.pools.find((p) => p.chips_milli >= one.chips * 1000);
  const none = one.odd === "too-large";
  const candidates = network.centers.filter((c) => !none && fits(c)).slice(0, 5).map((c, i) => ({
    center: c.center,
    pool: c.pools[0].pool,
    variant: 0,
    data_ready_ms: zero + t + i * 4_000,
    start_ms: zero + t + 8_000 + i * 9_000,
    finish_ms: zero + t + 8_000 + i * 9_000 + one.runs,
    until_ms: zero + t + 1_900_000,
    price: money((c.pools[0].price_per_hour.micros * one.chips * one.runs) / 3_600_000),
    energy_mwh: 0,
    staged_bytes: i * 128 * 2 ** 20,
  }));
  const standings = network.centers.map((c) => {
    const wrong = { center: c.center, reason: "wrong-chip", text: `has ${c.pools[0].chip}, the job runs on any cann chip`, may_pass: false };
    const small = { center: c.center, reason: "too-few-nodes", text: `the pool has ${c.pools[0].nodes} nodes, the gang wants 8`, may_pass: false };
    const busy = { center: c.center, reason: "busy", text: "the best place, free in 8s", may_pass: true };
    return none ? (c.pools[0].chip.startsWith("ascend") ? small : wrong) : busy;
  });
  const best = candidates[0];
  const found = best
    ? [{ field: "limit", text: "limit: 40m 0s instead of 1h 0m", to: 2_400_000, size_thousandths: 334, at_once: true, center: best.center, pool: best.pool, start_ms: zero + t, finish_ms: zero + t + 2_400_000, price: best.price }]
    : [];
  const changes = { goal: best ? "start" : "run", at: null, found, complete: true };
  const ahead = all.filter((j) => j.number < one.number && j.submitted <= t && state(j, t) === "waiting").length;
  const summary = none
    ? `No center can run ${short.job}: none has 8 nodes of 8 cann chips.`
    : one.odd === "held"
      ? `${short.job} is on hold until somebody releases it.`
      : `${short.job} waits for chips; the first are expected in 8 s.`;
  return { job: short.job, state: short.state, summary, plan: { candidates, standings, ahead, changes }, tries: attempts(one, t, zero) };
}

export function log(one, t, stderr) {
  if (stderr) return one.odd === "fails" && t >= one.ended ? "error: loss is not a number\n" : "";
  const lines = Math.min(Math.floor((Math.min(t, one.ended) - one.started) / 400), 400);
  const line = (_, i) => `step ${String(i + 1).padStart(4)}  loss ${(4 / Math.sqrt(i + 1)).toFixed(4)}  ${one.pool.chip}`;
  return Array.from({ length: Math.max(lines, 0) }, line).join("\n") + (lines > 0 ? "\n" : "");
}
