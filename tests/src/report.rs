//! What long runs leave behind.

use std::fmt;
use std::path::Path;

/// Prints `text`, and leaves it as `name.md` where `cargo xtask test --long` collects reports.
pub fn report(name: &str, text: &str) {
    println!("{text}");
    if let Some(dir) = std::env::var_os("PORTOLAN_LONG_REPORTS") {
        let path = Path::new(&dir).join(format!("{name}.md"));
        std::fs::write(&path, text)
            .unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }
}

/// Figures of many of a kind, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution {
    /// How many.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// The middle one.
    pub p50: f64,
    /// The one that 99 of 100 do not exceed.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Distribution {
    /// Of spans in milliseconds; all zero where there are none.
    #[must_use]
    pub fn of(spans_ms: impl IntoIterator<Item = u64>) -> Self {
        let mut all: Vec<u64> = spans_ms.into_iter().collect();
        all.sort_unstable();
        let nearest = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1) - 1;
            all.get(rank).map_or(0.0, |ms| seconds(*ms))
        };
        let sum: u64 = all.iter().sum();
        let count = all.len();
        let mean = if count == 0 { 0.0 } else { seconds(sum) / seconds(count as u64 * 1_000) };
        Self { count, mean, p50: nearest(50), p99: nearest(99), max: nearest(100) }
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, p50, p99, max, .. } = self;
        write!(f, "mean {mean:.2} s, p50 {p50:.2} s, p99 {p99:.2} s, max {max:.2} s")
    }
}

/// Milliseconds as seconds, for people.
pub(crate) fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}
