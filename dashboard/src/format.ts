// Amounts as people read them.
import type { Money } from "./api/view";

const S = 1_000;
const MIN = 60 * S;
const H = 60 * MIN;
const D = 24 * H;

/** A span in its two largest units: `40ms`, `0.8s`, `12s`, `3m05s`, `2h04m`, `3d04h`. */
export function span(ms: number): string {
  const two = (large: number, small: number, unit: string, sub: string) => {
    const whole = Math.floor(ms / large);
    return `${whole}${unit}${String(Math.floor((ms % large) / small)).padStart(2, "0")}${sub}`;
  };
  if (ms < 0) return `-${span(-ms)}`;
  if (ms < 100) return `${Math.round(ms)}ms`;
  if (ms < 10 * S) return `${(Math.floor(ms / 100) / 10).toFixed(1)}s`;
  if (ms < MIN) return `${Math.floor(ms / S)}s`;
  if (ms < H) return two(MIN, S, "m", "s");
  if (ms < D) return two(H, MIN, "h", "m");
  return two(D, H, "d", "h");
}

/** A time of day, with the date where it is not today's. */
export function moment(ms: number, now: number): string {
  const at = new Date(ms);
  const time = at.toLocaleTimeString(undefined, { hour12: false });
  if (at.toDateString() === new Date(now).toDateString()) return time;
  return `${at.toLocaleDateString(undefined, { month: "short", day: "numeric" })} ${time}`;
}

function scaled(amount: number, base: number, units: readonly string[]): string {
  let value = amount;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 || Number.isInteger(value) ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export const bytes = (n: number) => scaled(n, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);

export const rate = (bps: number) =>
  scaled(bps, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);

/** One-way latency. */
export function latency(us: number): string {
  return us < 1000 ? `${us} µs` : `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
}

/** Chips given in thousandths. */
export function chips(milli: number): string {
  return (milli / 1000).toLocaleString("en", { maximumFractionDigits: 3 });
}

export function money({ micros, currency }: Money): string {
  const value = micros / 1_000_000;
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 4 : 2;
  const options = { minimumFractionDigits: 2, maximumFractionDigits: digits };
  return `${value.toLocaleString("en", options)} ${currency}`;
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : "0 %";
}
