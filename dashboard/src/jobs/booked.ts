import type { Transfer } from "../api/view";

/** The share of a transfer's booked bytes whose time has come, from 0 to 1. */
export function booked(transfer: Transfer, now: number): number {
  const bits = (until: number) =>
    transfer.steps.reduce((sum, s) => sum + Math.max(0, Math.min(s.until_ms, until) - s.from_ms) * s.rate_bps, 0);
  const all = bits(Infinity);
  return all > 0 ? bits(now) / all : now >= transfer.arrives_ms ? 1 : 0;
}
