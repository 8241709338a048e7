// What the charts draw: the network's load at moments since the page was opened.
import type { Center, Job } from "../api/view";

/** The load at one moment. */
export interface Sample {
  at: number;
  /** Chips in use by center. */
  used: Record<string, number>;
  /** Jobs with a place whose process has not started, by center. */
  queued: Record<string, number>;
  /** Jobs without a place. */
  waiting: number;
}

/** When there are this many samples every second one goes: old ones thin out, none is lost whole. */
const MOST = 1_200;

export function sample(at: number, centers: readonly Center[], jobs: Iterable<Job>): Sample {
  const used: Record<string, number> = {};
  const queued: Record<string, number> = {};
  for (const center of centers) {
    used[center.center] = center.pools.reduce((n, p) => n + p.chips_held_milli, 0) / 1000;
    queued[center.center] = 0;
  }
  let waiting = 0;
  for (const job of jobs) {
    if (job.state === "waiting") waiting += 1;
    const placed = job.state === "offered" || job.state === "staging";
    if (placed && job.center != null) queued[job.center] = (queued[job.center] ?? 0) + 1;
  }
  return { at, used, queued, waiting };
}

/** `samples` with `next` at the end, thinned when there are too many. */
export function extend(samples: readonly Sample[], next: Sample): Sample[] {
  const kept = samples.length < MOST ? samples : samples.filter((_, i) => i % 2 === 0);
  return [...kept, next];
}
