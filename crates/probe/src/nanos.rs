//! Time as test packets need it: whole nanoseconds, with a sign.

use std::fmt;
use std::ops::{Add, Neg, Sub};
use std::time::Duration;

/// Nanoseconds: a moment counted from some clock's zero, or the difference of two moments.
///
/// Sums saturate, since moments that others send may be anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub i64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest there is, some 292 years.
    pub const MAX: Self = Self(i64::MAX);
    /// A millisecond.
    pub const MILLISECOND: Self = Self(1_000_000);

    /// How long it is, its sign forgotten.
    #[must_use]
    pub fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// As the standard library's; nothing if negative.
    #[must_use]
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<Duration> for Nanos {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Nanos {
    type Output = Self;

    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// Milliseconds with three decimals, without the unit: `5.234`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = (self.0.unsigned_abs() + 500) / 1_000;
        let sign = if self.0 < 0 && micros > 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}.{:03}", micros / 1_000, micros % 1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_milliseconds() {
        let shown = |nanos| Nanos(nanos).to_string();
        assert_eq!(shown(5_234_499), "5.234");
        assert_eq!(shown(-1_500), "-0.002");
        assert_eq!(shown(-1), "0.000");
        assert_eq!(format!("{:>8}", Nanos(12_000)), "   0.012");
    }
}
