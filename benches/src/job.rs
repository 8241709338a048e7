//! The jobs that are submitted: deterministic, of many classes, as different as a planner has to
//! tell apart.

use hyper::body::Bytes;
use serde_json::{Value, json};

/// How long the attempt of the `n`th short job takes, in milliseconds: 50 to 200.
const fn run_ms(n: usize) -> usize {
    50 + n * 37 % 151
}

/// The `n`th short job, for a network of timers: one chip, now and then two, of sixteen limits.
pub(crate) fn short(n: usize) -> Value {
    timer(n, run_ms(n), 60)
}

/// The `n`th long job, which nobody sees the end of.
pub(crate) fn long(n: usize) -> Value {
    timer(n, 12 * 3_600_000, 24 * 3_600)
}

fn timer(n: usize, run_ms: usize, limit_s: usize) -> Value {
    json!({
        "name": format!("epoch-{}", n % 1_000),
        "limit": format!("{}s", limit_s + n % 16),
        "on": "cuda",
        "chips": if n % 4 == 3 { 2 } else { 1 },
        "memory": "8 GiB",
        "command": ["train", "--data", "/data/corpus", "--epoch", (n % 1_000).to_string()],
        "env": {"PORTOLAN_TIMER_MS": run_ms.to_string()},
    })
}

/// A job whose program writes the time it runs at, in nanoseconds, into a file.
pub(crate) fn witness(class: &str, file: &str) -> Value {
    json!({
        "name": "witness",
        "limit": "1m",
        "on": class,
        "command": ["sh", "-c", "date +%s%N > \"$WITNESS\""],
        "env": {"WITNESS": file},
    })
}

/// A submission of one job.
pub(crate) fn single(job: &Value) -> Bytes {
    job.to_string().into()
}

/// A submission of several jobs.
pub(crate) fn batch(jobs: impl Iterator<Item = Value>) -> Bytes {
    json!({"jobs": jobs.collect::<Vec<_>>()}).to_string().into()
}
