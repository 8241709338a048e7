//! The five numbers by which many are shown.

use crate::Nanos;

/// Percentiles of exact values, by nearest rank: `p90` is the smallest value that at least 90 % of
/// them do not exceed (RFC 2330 §11.3). Of fewer than 100 values `p99` is the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// The smallest.
    pub min: Nanos,
    /// The median.
    pub p50: Nanos,
    /// Nine of ten are no more than this.
    pub p90: Nanos,
    /// 99 of 100 are no more than this.
    pub p99: Nanos,
    /// The largest.
    pub max: Nanos,
}

impl Spread {
    /// Of these values; none if there are none.
    ///
    /// Sorting them is exact, takes negative values, and costs some 8 KB and tens of microseconds
    /// for a window of a thousand; a histogram would pay off only if windows were merged.
    #[must_use]
    pub fn of(mut values: Vec<Nanos>) -> Option<Self> {
        values.sort_unstable();
        let rank = |percent: usize| values.get((values.len() * percent).div_ceil(100).max(1) - 1);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, p50: *rank(50)?, p90: *rank(90)?, p99: *rank(99)?, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranks_are_the_nearest() {
        let of = |values: std::ops::RangeInclusive<i64>| Spread::of(values.map(Nanos).collect());
        let spread = |[min, p50, p90, p99, max]: [i64; 5]| {
            let [min, p50, p90, p99, max] = [min, p50, p90, p99, max].map(Nanos);
            Some(Spread { min, p50, p90, p99, max })
        };
        assert_eq!(of(1..=200), spread([1, 100, 180, 198, 200]));
        assert_eq!(of(-1..=1), spread([-1, 0, 1, 1, 1]));
        assert_eq!(of(7..=7), spread([7; 5]));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn at_least_so_many_are_no_more_and_fewer_are_less(
            values in proptest::collection::vec(-50i64..50, 1..300),
        ) {
            let spread = Spread::of(values.iter().copied().map(Nanos).collect()).unwrap();
            for (percent, value) in [(50, spread.p50), (90, spread.p90), (99, spread.p99)] {
                let no_more = values.iter().filter(|v| **v <= value.0).count();
                let less = values.iter().filter(|v| **v < value.0).count();
                prop_assert!(no_more * 100 >= values.len() * percent);
                prop_assert!(less * 100 < values.len() * percent);
            }
        }
    }
}
