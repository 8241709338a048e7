// Samples as the lines of a chart.
import type { Center, Chip } from "../api/view";
import type { Sample } from "../live/sample";
import { chipClass, chipsOf } from "../map/figures";
import { ink } from "../map/ink";

/** A line of a chart. */
export interface Series {
  name: string;
  /** A CSS variable, as `var(--name)`. */
  ink: string;
  dash?: number[] | undefined;
  values: number[];
}

/** Lines for more centers than this cannot be told apart. */
const MOST = 6;
/** Centers of one chip class have one color; these tell them apart. */
const DASHES = [undefined, [6, 3], [2, 3], [9, 3, 2, 3]];

/**
 * One line for each center, the largest first, in its chips' ink; of many centers the rest are one
 * line, named by `others`.
 */
export function byCenter(
  samples: readonly Sample[],
  of: (sample: Sample) => Record<string, number>,
  centers: readonly Center[],
  chips: ReadonlyMap<string, Chip>,
  others: (n: number) => string,
): Series[] {
  const sorted = [...centers].sort((a, b) => chipsOf(b).all - chipsOf(a).all);
  const shown = sorted.slice(0, sorted.length <= MOST ? MOST : MOST - 1);
  const rest = sorted.slice(shown.length);
  const seen = new Map<string, number>();
  const sum = (of: Record<string, number>, some: readonly Center[]) =>
    some.reduce((n, c) => n + (of[c.center] ?? 0), 0);
  const series = shown.map((center): Series => {
    const kind = ink(chipClass(center.pools[0]?.chip, chips));
    const count = seen.get(kind) ?? 0;
    seen.set(kind, count + 1);
    return {
      name: center.center,
      ink: kind,
      dash: DASHES[count % DASHES.length],
      values: samples.map((s) => of(s)[center.center] ?? 0),
    };
  });
  if (rest.length > 0) {
    const values = samples.map((s) => sum(of(s), rest));
    series.push({ name: others(rest.length), ink: "var(--text-soft)", values });
  }
  return series;
}
