// What the chart shows of centers and links, as numbers.
import type { Center, Chip, Job, Link } from "../api/view";

/** A stretch of a ring, in turns from the top. */
export interface Arc {
  from: number;
  to: number;
  kind: string;
}

/** Chips of a center, in thousandths. */
export function chipsOf(center: Center): { all: number; held: number } {
  const sum = (of: (pool: Center["pools"][number]) => number) => center.pools.reduce((n, p) => n + of(p), 0);
  return { all: sum((p) => p.chips_milli), held: sum((p) => p.chips_held_milli) };
}

/** The radius of a center's disc: between half of `most` and `most`, by chips on a log scale. */
export function radius(chipsMilli: number, mostMilli: number, most: number): number {
  const share = mostMilli > 1_000 ? Math.log(Math.max(chipsMilli, 1_000) / 1_000) / Math.log(mostMilli / 1_000) : 1;
  return most * (0.5 + 0.5 * share ** 1.5);
}

/** The width of a link's line. */
export function thickness(bps: number): number {
  return Math.min(Math.max(0.9 + 0.8 * Math.log10(bps / 1e9), 0.7), 4);
}

/** The larger share of a link's two directions that is booked now, from 0 to 1. */
export function bookedShare(link: Link): number {
  const most = Math.max(link.booked_forward_bps, link.booked_backward_bps);
  return link.capacity_bps > 0 ? Math.min(most / link.capacity_bps, 1) : 0;
}

/** A center's disc: a sector for each chip class it has. */
export function sectors(center: Center, chips: ReadonlyMap<string, Chip>): Arc[] {
  const byClass = new Map<string, number>();
  for (const pool of center.pools) {
    const kind = chipClass(pool.chip, chips);
    byClass.set(kind, (byClass.get(kind) ?? 0) + pool.chips_milli);
  }
  const all = [...byClass.values()].reduce((a, b) => a + b, 0);
  if (all === 0) return [{ from: 0, to: 1, kind: "" }];
  return stretches([...byClass].sort((a, b) => b[1] - a[1]), all);
}

const RING: Record<string, string> = {
  offered: "placed",
  staging: "placed",
  running: "running",
  stopping: "stopping",
  ending: "stopping",
};

/** A center's ring: chips held, by how far the jobs that hold them are. */
export function ring(center: Center, jobs: Iterable<Job>): Arc[] {
  const { all, held } = chipsOf(center);
  if (all === 0 || held === 0) return [];
  const known: Record<string, number> = { running: 0, stopping: 0, placed: 0 };
  for (const job of jobs) {
    const kind = job.center === center.center ? RING[job.state] : undefined;
    if (kind !== undefined) known[kind] = (known[kind] ?? 0) + job.chips_milli;
  }
  // Several jobs may be placed one after the other on the same chips: those that run count first.
  let left = held;
  const kinds = Object.entries(known).map(([kind, chips]): [string, number] => {
    const shown = Math.min(chips, left);
    left -= shown;
    return [kind, shown];
  });
  // Jobs that this page may not see hold chips too.
  kinds.push(["other", left]);
  return stretches(kinds.filter(([, n]) => n > 0), Math.max(all, held));
}

/** The class of a chip; empty for none, the chip's own name where the catalog has no such chip. */
export function chipClass(chip: string | null | undefined, chips: ReadonlyMap<string, Chip>): string {
  return chip == null ? "" : (chips.get(chip)?.class ?? chip);
}

function stretches(parts: readonly (readonly [string, number])[], all: number): Arc[] {
  let at = 0;
  return parts.map(([kind, amount]) => {
    const from = at;
    at += amount / all;
    return { from, to: at, kind };
  });
}

/** A stretch of a circle of this radius as an SVG path; `closed` makes it a sector. */
export function arcPath({ from, to }: Arc, r: number, closed: boolean): string {
  if (to - from >= 0.9999) {
    return `M0 ${-r}A${r} ${r} 0 1 1 0 ${r}A${r} ${r} 0 1 1 0 ${-r}${closed ? "Z" : ""}`;
  }
  const at = (turn: number) => {
    const angle = (turn - 0.25) * 2 * Math.PI;
    return `${(r * Math.cos(angle)).toFixed(2)} ${(r * Math.sin(angle)).toFixed(2)}`;
  };
  const arc = `A${r} ${r} 0 ${to - from > 0.5 ? 1 : 0} 1 ${at(to)}`;
  return closed ? `M0 0L${at(from)}${arc}Z` : `M${at(from)}${arc}`;
}
