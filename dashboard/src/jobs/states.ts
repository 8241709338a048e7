// Jobs by state: which there are, in which order and color, and which a filter lets through.
import type { Job } from "../api/view";

/** The states in the order a job goes through them. */
export const STATES = [
  "held",
  "blocked",
  "waiting",
  "offered",
  "staging",
  "running",
  "stopping",
  "ending",
  "completed",
  "failed",
  "timed-out",
  "canceled",
  "unmet",
] as const;

const TONES: Record<string, string> = {
  held: "off",
  blocked: "off",
  waiting: "waiting",
  offered: "placed",
  staging: "placed",
  running: "running",
  stopping: "bad",
  ending: "placed",
  completed: "good",
  failed: "bad",
  "timed-out": "bad",
  canceled: "off",
  unmet: "bad",
};
const MARKS: Record<string, string> = {
  held: "‖",
  blocked: "⋯",
  waiting: "○",
  offered: "◔",
  staging: "◑",
  running: "●",
  stopping: "◐",
  ending: "◕",
  completed: "✓",
  over: "✓",
  failed: "✕",
  "timed-out": "✕",
  canceled: "–",
  unmet: "✕",
};

/** The CSS color of a state. */
export function tone(state: string): string {
  return `var(--state-${TONES[state] ?? "off"})`;
}

/** A sign for a state, so that color is not all that tells it. */
export function mark(state: string): string {
  return MARKS[state] ?? "·";
}

/** Whether a job has not ended. */
export function isLive(job: Job): boolean {
  return job.ended_ms == null;
}

/** How many jobs are in each state, in the order of `STATES`; states without jobs are left out. */
export function count(jobs: Iterable<Job>): [string, number][] {
  const counts = new Map<string, number>(STATES.map((state) => [state, 0]));
  for (const job of jobs) counts.set(job.state, (counts.get(job.state) ?? 0) + 1);
  return [...counts].filter(([, n]) => n > 0);
}

/** Whether each word of `text` is part of what the table shows of the job. */
export function matches(job: Job, text: string): boolean {
  const shown = [job.job, job.name, job.tenant, job.center, job.pool, job.chip, job.state];
  const all = shown.join(" ").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

/** How long it has waited for its (newest) start, or did. */
export function waited(job: Job, now: number): number {
  return Math.max(0, (job.started_ms ?? job.ended_ms ?? now) - job.submitted_ms);
}

/** How long its newest attempt has run; nothing when none has. */
export function ran(job: Job, now: number): number | undefined {
  if (job.started_ms == null) return undefined;
  // A job that waits again is not running, whatever its last attempt did.
  if (["waiting", "held", "blocked"].includes(job.state)) return undefined;
  return Math.max(0, (job.ended_ms ?? now) - job.started_ms);
}
