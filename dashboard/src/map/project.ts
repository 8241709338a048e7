// From coordinates to places on the chart: Mercator as on a sea chart, so that rhumb lines are
// straight; far-off sites drawn in; neighbors pushed apart until each can be seen.
import { geoMercatorRaw } from "d3-geo";

/** A site to be put on the chart. */
export interface Place {
  key: string;
  longitude: number;
  latitude: number;
  /** How much room it takes around its middle, in pixels. */
  radius: number;
}

export interface Point {
  x: number;
  y: number;
}

/** The chart. */
export interface Projected {
  spots: Map<string, Point>;
  /** Inside this circle distances are true; beyond it they are drawn in. Absent where all are. */
  circle?: Point & { radius: number };
  /** Pixels of a kilometer in the middle of the chart. */
  pixelsPerKm: number;
}

const EARTH_KM = 6_371;
/** No chart shows less than this, so that one lonely site does not fill a continent of paper. */
const LEAST_KM = 30;
/** Sites farther out than the others by this factor are drawn in. */
const FAR = 2.2;
const GAP = 7;

/** Puts `places` on a chart of this size, keeping `margin` free at its edges. */
export function project(
  places: readonly Place[],
  width: number,
  height: number,
  margin: number,
): Projected {
  if (places.length === 0) return { spots: new Map(), pixelsPerKm: 1 };
  const east = median(places.map((p) => p.longitude));
  const north = median(places.map((p) => p.latitude));
  // Kilometers at the middle of the chart, y down.
  const scale = EARTH_KM * Math.cos(radians(north));
  const points = places.map((p): Point => {
    const [x, y] = geoMercatorRaw(radians(around(p.longitude - east)), radians(p.latitude));
    return { x: x * scale, y: -y * scale };
  });
  const drawn = drawIn(points);
  const fit = fitter(drawn.points, width, height, margin);
  const spots = drawn.points.map(fit.at);
  separate(spots, places.map((p) => p.radius), width, height, margin);
  const projected: Projected = {
    spots: new Map(places.map((p, i) => [p.key, spots[i] ?? { x: 0, y: 0 }])),
    pixelsPerKm: fit.scale,
  };
  if (drawn.circle) {
    projected.circle = { ...fit.at(drawn.circle), radius: drawn.circle.radius * fit.scale };
  }
  return projected;
}

/** Where most sites are near each other and a few far away, shortens the way to those few. */
function drawIn(points: Point[]): { points: Point[]; circle?: Point & { radius: number } } {
  const middle = { x: median(points.map((p) => p.x)), y: median(points.map((p) => p.y)) };
  const distances = points.map((p) => Math.hypot(p.x - middle.x, p.y - middle.y));
  const sorted = [...distances].sort((a, b) => a - b);
  const radius = (sorted[Math.floor((sorted.length - 1) * 0.8)] ?? 0) * 1.15;
  const farthest = sorted.at(-1) ?? 0;
  if (points.length < 6 || radius < LEAST_KM || farthest < FAR * radius) return { points };
  const near = points.map((p, i) => {
    const distance = distances[i] ?? 0;
    if (distance <= radius) return p;
    const factor = (radius * (1 + 0.16 * Math.log2(distance / radius))) / distance;
    return { x: middle.x + (p.x - middle.x) * factor, y: middle.y + (p.y - middle.y) * factor };
  });
  return { points: near, circle: { ...middle, radius } };
}

/** The scale and shift that fit `points` into the chart. */
function fitter(points: readonly Point[], width: number, height: number, margin: number) {
  const xs = points.map((p) => p.x);
  const ys = points.map((p) => p.y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const room = { x: Math.max(width - 2 * margin, 10), y: Math.max(height - 2 * margin, 10) };
  const scale = Math.min(
    room.x / Math.max(right - left, LEAST_KM),
    room.y / Math.max(bottom - top, LEAST_KM),
  );
  const shift = { x: width / 2 - (scale * (left + right)) / 2, y: height / 2 - (scale * (top + bottom)) / 2 };
  return { scale, at: (p: Point): Point => ({ x: shift.x + scale * p.x, y: shift.y + scale * p.y }) };
}

/** Pushes spots apart, in place, until none covers another or there is no room. */
function separate(spots: Point[], radii: number[], width: number, height: number, margin: number) {
  const edge = Math.min(margin, width / 2, height / 2) / 2;
  for (let round = 0; round < 120; round += 1) {
    let moved = false;
    for (let i = 0; i < spots.length; i += 1) {
      for (let j = i + 1; j < spots.length; j += 1) {
        moved = push(spots[i], spots[j], (radii[i] ?? 0) + (radii[j] ?? 0) + GAP, i + j) || moved;
      }
    }
    for (const [i, spot] of spots.entries()) {
      const keep = edge + (radii[i] ?? 0);
      spot.x = Math.min(Math.max(spot.x, keep), width - keep);
      spot.y = Math.min(Math.max(spot.y, keep), height - keep);
    }
    if (!moved) return;
  }
}

function push(a: Point | undefined, b: Point | undefined, least: number, seed: number): boolean {
  if (!a || !b) return false;
  let [dx, dy] = [b.x - a.x, b.y - a.y];
  const distance = Math.hypot(dx, dy);
  if (distance >= least - 0.01) return false;
  if (distance < 0.01) [dx, dy] = [Math.cos(seed * 2.4), Math.sin(seed * 2.4)];
  const by = (least - distance) / 2 / Math.hypot(dx, dy);
  a.x -= dx * by;
  a.y -= dy * by;
  b.x += dx * by;
  b.y += dy * by;
  return true;
}

function median(numbers: number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

/** Degrees from -180 to 180: the short way around the globe. */
function around(degrees: number): number {
  return ((((degrees + 180) % 360) + 360) % 360) - 180;
}
