//! How often something is measured, and for how long each time.

use std::time::{Duration, Instant};

/// How often, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Whether it is only tried out.
    pub(crate) is_quick: bool,
    /// How many repeats are made.
    pub(crate) repeats: u32,
    /// How long each takes, about.
    pub(crate) window: Duration,
    /// How much is written and read each time.
    pub(crate) file: u64,
    /// What all repeats together may take before the rest are left out.
    pub(crate) patience: Duration,
}

impl Pace {
    pub(crate) const fn new(is_quick: bool) -> Self {
        match is_quick {
            true => Self {
                is_quick,
                repeats: 3,
                window: Duration::from_millis(150),
                file: 32 << 20,
                patience: Duration::from_secs(3),
            },
            false => Self {
                is_quick,
                repeats: 5,
                window: Duration::from_secs(1),
                file: 1 << 30,
                patience: Duration::from_secs(10),
            },
        }
    }

    /// All repeats of `once`, at least one; those for which no time is left are not made.
    pub(crate) fn repeat<E>(self, mut once: impl FnMut() -> Result<u64, E>) -> Result<Vec<u64>, E> {
        let began = Instant::now();
        let mut samples = vec![once()?];
        for made in 1..self.repeats {
            let each = began.elapsed() / made;
            if began.elapsed() + each > self.patience {
                break;
            }
            samples.push(once()?);
        }
        Ok(samples)
    }
}

/// So many in that time, for one second.
pub(crate) fn rate(amount: u64, took: Duration) -> u64 {
    let nanos = took.as_nanos().max(1);
    u64::try_from(u128::from(amount) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}
