//! The jobs that are submitted: deterministic, of many classes, as different as a planner has to
//! tell apart.

use hyper::body::Bytes;
use serde_json::{Value, json};

/// The `n`th short job, for a network of timers: it takes 50 to 200 ms of at most a minute.
pub(crate) fn short(n: usize) -> Value {
    timer(n, 50 + n * 37 % 151, 60)
}

/// The `n`th long job, which nobody sees the end of.
pub(crate) fn long(n: usize) -> Value {
    timer(n, 12 * 3_600_000, 24 * 3_600)
}

/// A job on one chip, now and then two, of one of sixteen limits.
fn timer(n: usize, run_ms: usize, limit_s: usize) -> Value {
    let (epoch, seconds) = (n % 1_000, format!("{}.{:03}", run_ms / 1_000, run_ms % 1_000));
    json!({
        "name": format!("epoch-{epoch}"),
        "limit": format!("{}s", limit_s + n % 16),
        "on": "cuda",
        "chips": if n % 4 == 3 { 2 } else { 1 },
        "memory": "8 GiB",
        // The timer engine takes the time of a final sleep.
        "command": ["sh", "-c", format!("train --data /data/corpus --epoch {epoch}; sleep {seconds}")],
        "env": {"OMP_NUM_THREADS": "8"},
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
