// A small day of a network, worked out beforehand: when each job is submitted, placed, started and
// ended, and when data moves. What the API would show is then a function of the moment alone.

/** A generator of numbers from 0 to 1 that gives the same ones for the same seed (mulberry32). */
function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const NAMES = ["train-resnet", "fold-proteins", "tokenize", "evaluate", "sweep", "render", "simulate-flow", "embed", "distill", "align-reads"];
const DATA = [
  { dataset: "genomes", bytes: 256 * 2 ** 20 },
  { dataset: "gpu-nodes", bytes: 180 * 2 ** 10 },
  { dataset: "corpus", bytes: 40 * 2 ** 30 },
];

/** `count` jobs over `span` milliseconds from moment zero. */
export function play(network, { count, span, seed }) {
  const draw = random(seed);
  const pick = (list) => list[Math.floor(draw() * list.length)];
  const classOf = new Map(network.chips.map((c) => [c.chip, c.class]));
  const large = count > 100;
  const homes = DATA.map((data, i) => ({ ...data, home: network.centers[(i * 7) % network.centers.length].center }));
  const holds = new Map(network.centers.map((c) => [c.center, []]));
  const transfers = [];
  const jobs = [];
  for (let i = 0; i < count; i += 1) {
    const tenant = pick(network.tenants.filter((t) => t.classes.length > 0));
    const odd = { 5: "fails", 9: "too-large", 12: "limit", 15: "canceled", 17: "held" }[i % 24] ?? "";
    const chips = odd === "too-large" ? 64 : pick(large ? [8, 32, 64, 256, 512] : [1, 1, 2, 4, 8]);
    const submitted = Math.floor(odd === "too-large" ? span * 0.2 : (i / count) * span * 0.8 + draw() * 900);
    const job = { number: i + 1, name: pick(NAMES), tenant: tenant.tenant, chips, submitted, odd, transfers: [] };
    job.classes = odd === "too-large" ? ["cann"] : tenant.classes;
    job.input = draw() < 0.45 ? pick(homes.slice(0, large ? 3 : 2)) : undefined;
    job.runs = Math.floor((large ? 40_000 : 9_000) * (0.3 + draw() * 1.6));
    if ((odd !== "too-large" || large) && odd !== "held") offer(job);
    jobs.push(job);
  }
  return { network, jobs, transfers, homes };

  /** First come, first served, at the center that can start it first. */
  function offer(job) {
    let best;
    for (const c of network.centers) {
      const pool = c.pools.find((p) => job.classes.includes(classOf.get(p.chip)));
      const chips = Math.min(job.chips, large ? Infinity : 8);
      if (!pool || pool.chips_milli < chips * 1000) continue;
      const free = earliest(holds.get(c.center), pool.chips_milli / 1000, chips, job.submitted + 120);
      const away = job.input && job.input.home !== c.center;
      const start = Math.max(free, away ? job.submitted + (large ? 14_000 : 5_000) : 0) + Math.floor(draw() * 300);
      if (!best || start < best.start) best = { center: c.center, pool, start, away, chips };
    }
    if (!best) return;
    Object.assign(job, { center: best.center, pool: best.pool, chips: best.chips });
    job.offered = job.submitted + 40;
    job.accepted = job.offered + 60;
    job.started = Math.max(best.start, job.accepted + 200);
    job.ended = job.started + job.runs;
    job.end = { fails: "failed", limit: "timed-out", canceled: "canceled" }[job.odd] ?? "completed";
    job.outcome = { fails: "exit code 3", limit: "reached its limit", canceled: "canceled" }[job.odd] ?? "exit code 0";
    holds.get(best.center).push({ from: job.started, until: job.ended, chips: best.chips });
    if (best.away) move(job);
  }

  function move(job) {
    const hops = route(network, job.input.home, job.center);
    const narrow = Math.min(...hops.map((h) => network.links.find((l) => h.startsWith(l.link)).capacity_bps));
    const until = job.started - 150;
    const transfer = {
      number: transfers.length + 1,
      data: job.input,
      to: job.center,
      hops,
      from: job.offered,
      until,
      rate: Math.round(narrow * (0.25 + draw() * 0.6)),
    };
    transfers.push(transfer);
    job.transfers.push(transfer);
  }
}

/** When `chips` of `all` are free for long enough; holds are never split, so ends are the moments to try. */
function earliest(holds, all, chips, from) {
  const moments = [from, ...holds.map((h) => h.until).filter((t) => t > from).sort((a, b) => a - b)];
  const used = (t) => holds.reduce((n, h) => n + (h.until > t ? h.chips : 0), 0);
  return moments.find((t) => used(t) + chips <= all) ?? moments.at(-1);
}

/** The fewest links from one center to another, each with its direction. */
function route(network, from, to) {
  const seen = new Map([[from, []]]);
  const queue = [from];
  for (const site of queue) {
    for (const { link, a, b } of network.links) {
      const next = a.name === site ? b.name : b.name === site ? a.name : undefined;
      if (next === undefined || seen.has(next)) continue;
      seen.set(next, [...seen.get(site), `${link}${a.name === site ? ">" : "<"}`]);
      queue.push(next);
    }
  }
  return seen.get(to) ?? [];
}

/** The facts of the scenario in order, without their numbers. */
export function facts({ network, jobs, transfers }) {
  const all = network.centers.map((c) => ({ at: 0, kind: "agent-joined", subjects: [`center:${c.center}`] }));
  for (const job of jobs) {
    const id = `job-${job.number}`;
    const fact = (at, kind, ...more) => at !== undefined && all.push({ at, kind, subjects: [id, ...more] });
    fact(job.submitted, "job-submitted", `tenant:${job.tenant}`);
    fact(job.offered, "job-offered", `center:${job.center}`);
    fact(job.accepted, "attempt-accepted");
    fact(job.started, "attempt-started");
    fact(job.ended, "attempt-ended");
    fact(job.ended, "job-ended");
  }
  for (const t of transfers) {
    const subjects = [`transfer-${t.number}`, `center:${t.data.home}`, `center:${t.to}`];
    all.push({ at: t.from, kind: "transfer-planned", subjects: [...subjects, ...t.hops.map((h) => `link:${h.slice(0, -1)}`)] });
    all.push({ at: t.until, kind: "transfer-ended", subjects: [`transfer-${t.number}`] });
    all.push({ at: t.until, kind: "replica-added", subjects: [`dataset:${t.data.dataset}`, `center:${t.to}`] });
  }
  return all.sort((a, b) => a.at - b.at).map((fact, i) => ({ number: i + 1, ...fact }));
}
