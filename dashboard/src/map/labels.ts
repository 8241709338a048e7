// Names on the chart, each put where it covers least; one that would cover others is left out and
// shows when its site is pointed at.
import type { Point } from "./project";

/** A site that wants its name written. Those that come first choose first. */
export interface Named {
  key: string;
  spot: Point;
  radius: number;
  /** The size of its text in pixels. */
  width: number;
  height: number;
}

/** Where a name stands: its middle, and whether a thin line leads to its site. */
export interface Label {
  key: string;
  x: number;
  y: number;
  leader: boolean;
}

export interface Line {
  a: Point;
  b: Point;
}

interface Box {
  left: number;
  right: number;
  top: number;
  bottom: number;
}

const DIRECTIONS = [0, 180, 90, 270, 45, 315, 135, 225, 22, 338, 158, 202].map((d) => (d * Math.PI) / 180);
const STEPS = [4, 12, 24, 38, 54];
const LEADER_FROM = 20;
/** Covering more than this share of a name's own area is too much. */
const TOO_MUCH = 0.12;

/** Places what can be placed on a chart of this size, no farther than `reach` from its site. */
export function place(
  names: readonly Named[],
  lines: readonly Line[],
  width: number,
  height: number,
  reach: number,
): Label[] {
  const taken: Box[] = names.map(({ spot, radius }) => around(spot, 2 * radius, 2 * radius));
  const labels: Label[] = [];
  for (const name of names) {
    let best: { cost: number; label: Label; box: Box } | undefined;
    for (const step of STEPS.filter((s) => s <= reach)) {
      for (const [order, angle] of DIRECTIONS.entries()) {
        const at = beside(name, angle, step);
        const box = around(at, name.width, name.height);
        if (box.left < 3 || box.top < 3 || box.right > width - 3 || box.bottom > height - 3) continue;
        const covered = taken.reduce((sum, other) => sum + overlap(box, other), 0);
        if (covered > TOO_MUCH * name.width * name.height) continue;
        const crossed = lines.filter((line) => crosses(line, box)).length;
        const cost = covered + crossed * 40 + step * 4 + order * 3;
        const label = { key: name.key, x: at.x, y: at.y, leader: step >= LEADER_FROM };
        if (!best || cost < best.cost) best = { cost, label, box };
      }
    }
    if (!best) continue;
    labels.push(best.label);
    taken.push(best.box);
  }
  return labels;
}

/** The middle of a text that touches the circle `step` pixels around the site, at this angle. */
function beside({ spot, radius, width, height }: Named, angle: number, step: number): Point {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [rx, ry] = [radius + step + width / 2, radius + step + height / 2];
  return { x: spot.x + cos * rx, y: spot.y + sin * ry };
}

function around({ x, y }: Point, width: number, height: number): Box {
  return { left: x - width / 2, right: x + width / 2, top: y - height / 2, bottom: y + height / 2 };
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.right, b.right) - Math.max(a.left, b.left);
  const height = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

/** Whether a line passes through a box (Liang and Barsky's test). */
function crosses({ a, b }: Line, box: Box): boolean {
  let [from, to] = [0, 1];
  const clip = (delta: number, low: number, high: number): boolean => {
    if (delta === 0) return low <= 0 && high >= 0;
    const [near, far] = delta > 0 ? [low / delta, high / delta] : [high / delta, low / delta];
    from = Math.max(from, near);
    to = Math.min(to, far);
    return from <= to;
  };
  return clip(b.x - a.x, box.left - a.x, box.right - a.x) && clip(b.y - a.y, box.top - a.y, box.bottom - a.y);
}
