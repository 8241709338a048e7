// The page's own thinking, and its store against the mock server.
import { afterEach, describe, expect, test, vi } from "vitest";
import { start } from "../mock/server.js";
import { readNetwork } from "../mock/network.js";
import { Cutter } from "../src/api/events";
import type { Job } from "../src/api/view";
import * as format from "../src/format";
import { booked } from "../src/jobs/booked";
import { Output } from "../src/jobs/output";
import { count, matches, ran, waited } from "../src/jobs/states";
import { Network } from "../src/live/network.svelte";
import { extend, type Sample } from "../src/live/sample";
import { fresh, touch } from "../src/live/stale";
import { arcPath, ring } from "../src/map/figures";
import { place } from "../src/map/labels";
import { project } from "../src/map/project";

const job = (over: Partial<Job>): Job => ({
  job: "job-1",
  name: "train",
  tenant: "lab",
  state: "running",
  priority: 0,
  submitted_ms: 1_000,
  started_ms: 3_000,
  center: "lingang",
  nodes: 1,
  chips_milli: 4_000,
  attempts: 1,
  ...over,
});

describe("the event stream", () => {
  const text = ": still here\n\nid: 7\nevent: job-ended\ndata: {\"a\":1}\n\nid: 8\ndata: x\ndata: y\n\n";

  test("is cut the same whatever pieces it comes in", () => {
    const whole = new Cutter().push(text);
    expect(whole).toEqual([
      { id: "7", event: "job-ended", data: '{"a":1}' },
      { id: "8", event: "message", data: "x\ny" },
    ]);
    for (const ends of [text, text.replaceAll("\n", "\r\n")]) {
      const cutter = new Cutter();
      expect([...ends].flatMap((c) => cutter.push(c))).toEqual(whole);
    }
  });
});

describe("a fact makes old", () => {
  const touched = (...subjects: string[]) => {
    const stale = fresh();
    touch(stale, subjects);
    return [...stale.jobs, ...stale.lists].sort();
  };

  test("what it is about, and nothing else", () => {
    expect(touched("job-4", "center:lingang")).toEqual(["centers", "job-4"]);
    expect(touched("transfer-2", "link:a--b")).toEqual(["links", "transfers"]);
    expect(touched("dataset:genomes")).toEqual(["datasets"]);
    expect(touched("token-3", "tenant:lab", "something-new:x", "")).toEqual([]);
  });
});

describe("amounts read as people say them", () => {
  test.each([
    [40, "40ms"],
    [840, "0.8s"],
    [12_400, "12s"],
    [185_000, "3m05s"],
    [7_440_000, "2h04m"],
    [273_600_000, "3d04h"],
    [-3_000, "-3.0s"],
  ])("%d ms is %s", (ms, text) => expect(format.span(ms)).toBe(text));

  test("bytes, rates, money, chips", () => {
    expect(format.bytes(256 * 2 ** 20)).toBe("256 MiB");
    expect(format.rate(2_500_000_000)).toBe("2.5 Gbit/s");
    expect(format.money({ micros: 12_500_000, currency: "CNY" })).toBe("12.50 CNY");
    expect(format.money({ micros: 23_400, currency: "CNY" })).toBe("0.0234 CNY");
    expect(format.chips(12_500)).toBe("12.5");
    expect(format.latency(443)).toBe("443 µs");
  });
});

describe("jobs", () => {
  test("have waited until their start and run since", () => {
    expect(waited(job({}), 10_000)).toBe(2_000);
    expect(ran(job({}), 10_000)).toBe(7_000);
    expect(ran(job({ ended_ms: 5_000 }), 10_000)).toBe(2_000);
    expect(waited(job({ started_ms: null, state: "waiting" }), 10_000)).toBe(9_000);
    expect(ran(job({ state: "waiting" }), 10_000)).toBeUndefined();
  });

  test("are found by any words of their row", () => {
    expect(matches(job({}), "lab LING")).toBe(true);
    expect(matches(job({}), "lab kunshan")).toBe(false);
  });

  test("are counted in the order they go through states, unknown states last", () => {
    const jobs = [job({ state: "new-state" }), job({ state: "completed" }), job({}), job({})];
    expect(count(jobs)).toEqual([["running", 2], ["completed", 1], ["new-state", 1]]);
  });
});

describe("the chart", () => {
  const shown = (name: string, width: number, height: number) => {
    const { centers, exchanges } = readNetwork(name);
    const at = (key: string, s: { latitude_micro: number; longitude_micro: number }, radius: number) => ({
      key,
      latitude: s.latitude_micro / 1e6,
      longitude: s.longitude_micro / 1e6,
      radius,
    });
    const places = [
      ...centers.map((c) => at(c.center, c, 12)),
      ...exchanges.map((e) => at(e.exchange, e, 5)),
    ];
    return { places, ...project(places, width, height, 40) };
  };

  test.each([["laptop", 560, 560], ["delta", 560, 560], ["laptop", 480, 330], ["delta", 480, 330]])(
    "shows every site of %s at %d × %d, none over another",
    (name, width, height) => {
      const { places, spots } = shown(name, width, height);
      for (const [i, a] of places.entries()) {
        const p = spots.get(a.key) ?? { x: NaN, y: NaN };
        expect(p.x).toBeGreaterThanOrEqual(a.radius);
        expect(p.x).toBeLessThanOrEqual(width - a.radius);
        expect(p.y).toBeGreaterThanOrEqual(a.radius);
        expect(p.y).toBeLessThanOrEqual(height - a.radius);
        for (const b of places.slice(i + 1)) {
          const q = spots.get(b.key) ?? { x: NaN, y: NaN };
          expect(Math.hypot(p.x - q.x, p.y - q.y), `${a.key} and ${b.key}`).toBeGreaterThan(a.radius + b.radius);
        }
      }
    },
  );

  test("draws in far sites only where there are some", () => {
    expect(shown("laptop", 560, 560).circle).toBeUndefined();
    expect(shown("delta", 560, 560).circle).toBeDefined();
  });

  test("keeps north up and east right, across the date line too", () => {
    const at = (key: string, longitude: number, latitude: number) => ({ key, longitude, latitude, radius: 4 });
    const { spots } = project([at("fiji", 178, -18), at("samoa", -172, -14)], 400, 400, 20);
    const [fiji, samoa] = [spots.get("fiji"), spots.get("samoa")];
    expect(samoa!.x).toBeGreaterThan(fiji!.x);
    expect(samoa!.y).toBeLessThan(fiji!.y);
  });

  test("writes no name over another", () => {
    const names = Array.from({ length: 30 }, (_, i) => ({
      key: `${i}`,
      spot: { x: 200 + (i % 6) * 25, y: 150 + Math.floor(i / 6) * 25 },
      radius: 8,
      width: 70,
      height: 13,
    }));
    const labels = place(names, [], 500, 400, 60);
    expect(labels.length).toBeGreaterThan(8);
    for (const [i, a] of labels.entries()) {
      for (const b of labels.slice(i + 1)) {
        const covered = Math.max(0, 70 - Math.abs(a.x - b.x)) * Math.max(0, 13 - Math.abs(a.y - b.y));
        expect(covered).toBeLessThanOrEqual(0.12 * 70 * 13);
      }
    }
  });

  test("a ring counts running jobs before those placed after them on the same chips", () => {
    const [center] = readNetwork("laptop").centers;
    center.pools[0].chips_held_milli = 12_000;
    const jobs = [job({ state: "staging", chips_milli: 8_000 }), job({ chips_milli: 8_000 })];
    const arcs = ring(center, jobs).map((a) => [a.kind, a.from, a.to]);
    expect(arcs).toEqual([["running", 0, 0.5], ["placed", 0.5, 0.75]]);
    expect(ring(center, []).map((a) => a.kind)).toEqual(["other"]);
  });

  test("a whole turn is a circle, not nothing", () => {
    expect(arcPath({ from: 0, to: 1, kind: "" }, 5, false)).toContain("A5 5 0 1 1 0 5A5 5 0 1 1 0 -5");
  });
});

test("samples thin out and the newest stays", () => {
  let samples: Sample[] = [];
  for (let at = 0; at < 5_000; at += 1) samples = extend(samples, { at, used: {}, queued: {}, waiting: 0 });
  expect(samples.length).toBeLessThanOrEqual(1_200);
  expect(samples.at(-1)?.at).toBe(4_999);
  expect(samples[0]?.at).toBe(0);
});

test("a transfer has come as far as its bookings", () => {
  const steps = [
    { from_ms: 0, until_ms: 100, rate_bps: 1_000 },
    { from_ms: 200, until_ms: 300, rate_bps: 3_000 },
  ];
  const transfer = { transfer: "transfer-1", dataset: "d", version: "", bytes: 1, from: "a", to: "b", hops: [], steps, arrives_ms: 300, price: { micros: 0, currency: "CNY" } };
  expect(booked(transfer, 150)).toBe(0.25);
  expect(booked(transfer, 999)).toBe(1);
});

describe("the store", () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const follow = async (options: object, token = "ptl_mock") => {
    const server = await start(options);
    const network = new Network(server.url, token);
    ends.push(() => server.stop(), network.start());
    return { server, network };
  };
  const until = (holds: () => boolean) => vi.waitFor(() => expect(holds()).toBe(true), { timeout: 15_000, interval: 30 });

  test("follows a network to its end, through a lost connection", async () => {
    const { server, network } = await follow({ speed: 20 });
    await until(() => network.loaded && network.jobs.size > 3);
    const seen = network.fact ?? 0;
    server.cut();
    await until(() => network.standing.is === "lost");
    await until(() => server.now() > 45_000);
    server.mend();
    network.retry();
    await until(() => network.standing.is === "live" && (network.fact ?? 0) > seen);
    await until(() => network.fact === server.log.length);
    const states = () => Object.fromEntries(count(network.jobs.values()));
    await until(() => !("running" in states()) && !("staging" in states()));
    expect(network.jobs.size).toBe(24);
    expect([...network.jobs.keys()].slice(0, 2)).toEqual(["job-24", "job-23"]);
    expect(states()).toMatchObject({ held: 1, waiting: 1, failed: 1, "timed-out": 1, canceled: 1 });
    await until(() => network.transfers.length === 0);
    await until(() => network.centers.every((c) => c.pools.every((p) => p.chips_held_milli === 0)));
    expect(network.samples.length).toBeGreaterThan(5);
  });

  test("says when the token is refused, and stops asking", async () => {
    const { network } = await follow({}, "ptl_wrong");
    await until(() => network.standing.is === "refused");
  });

  test("keeps asking while the server is not there at first", async () => {
    const { server, network } = await follow({ at: 30_000 });
    server.cut();
    await until(() => network.standing.is === "lost");
    server.mend();
    network.retry();
    await until(() => network.loaded && network.jobs.size > 5);
  });

  test("reads a growing output piece by piece", async () => {
    const { server, network } = await follow({ at: 3_000 });
    const output = new Output(network.api, "job-1", 1, "stdout");
    await output.read();
    const lines = () => output.text.split("\n").length;
    const first = lines();
    expect(output.text).toContain("step    1");
    await until(() => server.now() > 4_500);
    await output.read();
    expect(lines()).toBeGreaterThan(first);
    expect(output.text.match(/step {4}1 /g)).toHaveLength(1);
  });
});
