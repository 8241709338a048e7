// A server that plays a scenario through the API the dashboard uses. For the dashboard's own tests.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { extname } from "node:path";
import { readNetwork } from "./network.js";
import { facts, play } from "./scenario.js";
import * as views from "./views.js";

export const TOKEN = "ptl_mock";

const DIST = new URL("../dist/", import.meta.url);
const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
// As the real server has it.
const POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

const SCENARIOS = {
  laptop: { count: 24, span: 90_000, seed: 7 },
  delta: { count: 420, span: 300_000, seed: 11 },
};

/**
 * Starts playing `name` at its moment `at`, `speed` times as fast as it was, on a free port.
 * `cut` breaks all streams and refuses new ones until `mend`.
 */
export async function start({ name = "laptop", at = 0, speed = 1, port = 0 } = {}) {
  const scenario = play(readNetwork(name), SCENARIOS[name]);
  const log = facts(scenario);
  const began = Date.now();
  const zero = began - at;
  const now = () => at + (Date.now() - began) * speed;
  const streams = new Set();
  let isCut = false;

  const server = createServer((request, response) => {
    const url = new URL(request.url, "http://mock");
    if (!url.pathname.startsWith("/v1/")) return file(url.pathname, response);
    if (isCut) return request.socket.destroy();
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      return problem(response, 401, "unauthorized", "this token does not open anything here");
    }
    if (url.pathname === "/v1/events") return follow(url, request, response);
    const answer = route(url, now());
    if (answer === undefined) return problem(response, 404, "not-found", `there is nothing at ${url.pathname}`);
    if (typeof answer === "string") return text(response, answer, url);
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });

  function route(url, t) {
    const [, , noun, id, part] = url.pathname.split("/");
    const lists = {
      centers: () => ({ centers: views.centers(scenario, t) }),
      exchanges: () => ({ exchanges: scenario.network.exchanges }),
      links: () => ({ links: views.links(scenario, t) }),
      chips: () => ({ chips: scenario.network.chips }),
      transfers: () => ({ transfers: views.transfers(scenario, t, zero) }),
      datasets: () => ({ datasets: views.datasets(scenario, t, zero) }),
      jobs: () => views.jobs(scenario, t, zero, url.searchParams),
    };
    if (id === undefined) return lists[noun]?.();
    const one = scenario.jobs.find((job) => `job-${job.number}` === id && job.submitted <= t);
    if (noun !== "jobs" || !one) return undefined;
    if (part === undefined) return views.detail(one, t, zero);
    if (part === "why") return views.why(scenario, one, t, zero);
    if (part === "logs") return views.log(one, t, url.searchParams.get("stream") === "stderr");
    return undefined;
  }

  function follow(url, request, response) {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    response.write(": still here\n\n");
    const given = url.searchParams.get("after");
    let sent = given === null ? log.filter((f) => f.at <= now()).length : Number(given);
    const timer = setInterval(() => {
      const t = now();
      while (sent < log.length && log[sent].at <= t) {
        const { number, kind, subjects, at: moment } = log[sent];
        const data = JSON.stringify({ number, kind, at_ms: zero + moment, subjects, content: null });
        response.write(`id: ${number}\nevent: ${kind}\ndata: ${data}\n\n`);
        sent += 1;
      }
    }, 50);
    streams.add(response);
    request.on("close", () => {
      clearInterval(timer);
      streams.delete(response);
    });
  }

  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    log,
    scenario,
    now,
    cut() {
      isCut = true;
      for (const stream of streams) stream.destroy();
      server.closeIdleConnections();
    },
    mend() {
      isCut = false;
    },
    async stop() {
      for (const stream of streams) stream.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function text(response, whole, url) {
  const offset = Number(url.searchParams.get("offset") ?? 0);
  response.writeHead(200, {
    "content-type": "text/plain; charset=utf-8",
    "portolan-next-offset": String(whole.length),
    "portolan-log-complete": "false",
  });
  response.end(whole.slice(offset));
}

function problem(response, status, slug, detail) {
  response.writeHead(status, { "content-type": "application/problem+json" });
  response.end(JSON.stringify({ type: `/problems/${slug}`, title: slug, status, detail }));
}

function file(path, response) {
  const found = new URL(path === "/" ? "index.html" : path.slice(1), DIST);
  if (!found.href.startsWith(DIST.href) || !existsSync(found)) return response.writeHead(404).end();
  const type = TYPES[extname(found.pathname)] ?? "application/octet-stream";
  response.writeHead(200, { "content-type": type, "content-security-policy": POLICY });
  createReadStream(found).pipe(response);
}
