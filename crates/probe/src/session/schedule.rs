//! When the next packet is due.

use crate::Nanos;
use rand::Rng;
use std::time::Duration;

/// How departures are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spacing {
    /// One in each interval, at a random moment of its middle half, so that the network's own rhythm
    /// is not taken for its usual state and two packets are never closer than half an interval.
    #[default]
    Jittered,
    /// Independent of each other, with exponentially distributed gaps (RFC 2330 §11.1.1), cut at
    /// the longest that 32 bits of randomness give: 22 intervals.
    Poisson,
}

#[derive(Debug)]
pub(super) struct Schedule {
    interval: Duration,
    spacing: Spacing,
    /// The interval that comes next, or the moment of the last packet.
    at: Nanos,
}

impl Schedule {
    pub(super) fn new(interval: Duration, spacing: Spacing, from: Nanos) -> Self {
        Self { interval, spacing, at: from }
    }

    /// When the next packet is due; later than all before.
    pub(super) fn next<R: Rng>(&mut self, random: &mut R) -> Nanos {
        match self.spacing {
            Spacing::Jittered => {
                let place = 0.25 + 0.5 * unit(random);
                let due = self.at + self.interval.mul_f64(place).into();
                self.at = self.at + self.interval.into();
                due
            }
            Spacing::Poisson => {
                let gap = -unit(random).ln();
                self.at = self.at + self.interval.mul_f64(gap).into();
                self.at
            }
        }
    }
}

/// Uniform above zero and up to one.
fn unit<R: Rng>(random: &mut R) -> f64 {
    (f64::from(random.next_u32()) + 1.0) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    const INTERVAL: Duration = Duration::from_millis(10);

    fn dues(spacing: Spacing, seed: u64) -> Vec<i64> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut schedule = Schedule::new(INTERVAL, spacing, Nanos::ZERO);
        (0..10_000).map(|_| schedule.next(&mut random).0).collect()
    }

    #[test]
    fn jittered_packets_keep_their_interval_and_a_distance() {
        let dues = dues(Spacing::Jittered, 1);
        for (n, due) in (0..).zip(&dues) {
            assert!((2_500_000..=7_500_000).contains(&(due - n * 10_000_000)), "{n}: {due}");
        }
        assert!(dues.windows(2).all(|pair| pair[1] - pair[0] >= 5_000_000));
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_tail_of_an_exponential() {
        let dues = dues(Spacing::Poisson, 2);
        let mean = dues.last().unwrap() / 10_000;
        assert!((9_600_000..10_400_000).contains(&mean), "{mean}");
        let long = dues.windows(2).filter(|pair| pair[1] - pair[0] > 20_000_000).count();
        // A share of e^-2.
        assert!((1_250..1_460).contains(&long), "{long}");
    }

    #[test]
    fn the_same_seed_gives_the_same_moments() {
        assert_eq!(dues(Spacing::Poisson, 3), dues(Spacing::Poisson, 3));
        assert_ne!(dues(Spacing::Poisson, 3), dues(Spacing::Poisson, 4));
    }
}
