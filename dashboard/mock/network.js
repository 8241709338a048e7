// The sample networks of the catalog, as the API shows them.
import { readFileSync, readdirSync } from "node:fs";

const CATALOG = new URL("../../catalog/", import.meta.url);

/** The tables of the catalog's TOML: only what its files use. */
function tables(text) {
  const found = [];
  for (const line of text.split("\n")) {
    const head = /^\[\[([\w.]+)\]\]/.exec(line);
    const pair = /^(\w+) = (.+)$/.exec(line);
    if (head) found.push({ table: head[1] });
    else if (pair) (found.at(-1) ?? found[found.push({ table: "" }) - 1])[pair[1]] = JSON.parse(pair[2]);
  }
  return found;
}

const UNITS = { us: 1, ms: 1e3, "Mbit/s": 1e6, "Gbit/s": 1e9, GiB: 2 ** 30, TiB: 2 ** 40, PB: 1e15 };

function amount(text) {
  const [, number, unit] = /^([\d.]+) ?(.+)$/.exec(text);
  return Number(number) * UNITS[unit];
}

function money(text) {
  const [value, currency] = text.split(" ");
  return { micros: Number(value) * 1e6, currency };
}

/**
 * The network of this name: `laptop` or `delta`.
 * @param {string} name
 * @returns {{centers: any[], exchanges: any[], links: any[], tenants: any[], chips: any[]}}
 */
export function readNetwork(name) {
  const network = { centers: [], exchanges: [], links: [], tenants: [], chips: readChips() };
  for (const t of tables(readFileSync(new URL(`networks/${name}.toml`, CATALOG), "utf8"))) {
    const place = { region: t.region, latitude_micro: t.latitude * 1e6, longitude_micro: t.longitude * 1e6 };
    if (t.table === "center") network.centers.push(center(t, place));
    if (t.table === "center.pool") network.centers.at(-1).pools.push(pool(t));
    if (t.table === "exchange") network.exchanges.push({ exchange: t.exchange, ...place });
    if (t.table === "link") network.links.push(link(t));
    if (t.table === "tenant") network.tenants.push({ tenant: t.tenant, classes: t.classes ?? [] });
  }
  const kind = new Map(network.centers.map((c) => [c.center, "center"]));
  for (const { a, b } of network.links) for (const end of [a, b]) end.kind = kind.get(end.name) ?? "exchange";
  return network;
}

function readChips() {
  const dir = new URL("chips/", CATALOG);
  return readdirSync(dir).map((file) => {
    const [first] = tables(readFileSync(new URL(file, dir), "utf8").split("[peak")[0].replace(/^#.*$/gm, ""));
    const { chip, vendor, model, stack } = first;
    return { chip, vendor, model, stack, class: first.class };
  });
}

function center(t, place) {
  return {
    center: t.center,
    owner: t.owner,
    ...place,
    time_zone: t.time_zone,
    engine: t.engine,
    agent: { version: "0.1.0", engine: t.engine, engine_version: "1", enforcement: "cgroup", data_url: null },
    silent_since_ms: null,
    pools: [],
    attempts: 0,
    store_bytes: amount(t.store),
    pue_thousandths: t.pue * 1000,
    lend_percent: t.lend_percent ?? 50,
    only_tenants: [],
  };
}

function pool(t) {
  return {
    pool: t.pool,
    chip: t.chip,
    nodes: t.nodes,
    chips_per_node: t.chips_per_node,
    cores_milli: t.cores * 1000,
    memory_bytes: amount(t.memory),
    chips_milli: t.nodes * t.chips_per_node * 1000,
    chips_held_milli: 0,
    cores_held_milli: 0,
    price_per_hour: money(t.price_per_chip_hour),
  };
}

function link(t) {
  return {
    link: t.link,
    a: { kind: "", name: t.a },
    b: { kind: "", name: t.b },
    capacity_bps: amount(t.capacity),
    booked_forward_bps: 0,
    booked_backward_bps: 0,
    latency_us: amount(t.latency),
    carrier: t.carrier,
    price_per_gbps_hour: money(t.price_per_gbps_hour),
    risk_group: t.risk_group ?? null,
  };
}
