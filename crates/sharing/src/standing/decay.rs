//! Decay by half-lives in integers.
//!
//! Time is cut into eras of one half-life, counted from 1970. Within an era nothing decays: instead use
//! counts the more the later it is, from once at the era's begin to twice at its end, and what an
//! era adds up to is halved with each era after it. So what is kept of an era is a plain sum, which
//! neither the order of its parts nor how time was cut into them can change; rounding happens only
//! when it is read.

use model::{Moment, Span};

/// Bits after the point of a weight, which is in milliseconds.
pub(super) const FRACTION: u32 = 16;
/// Use of this many eras ago no longer counts: of 2^64 nothing is left.
pub(super) const FORGOTTEN: u64 = 64;
/// The longest half-life, in milliseconds: 30 years.
const LONGEST: u64 = 30 * 365 * 86_400_000;

const ONE: u128 = 1 << 62;
const BITS: u32 = 48;
/// 1 / ln 2, with 48 bits after the point.
const INVERSE_LN_2: u128 = 406_082_553_034_799;

/// The square root of 2, the root of that, and so on, with 62 bits after the point.
const ROOTS: [u128; BITS as usize] = {
    let mut roots = [0; BITS as usize];
    let (mut root, mut at) = (2 * ONE, 0);
    while at < roots.len() {
        root = (root << 62).isqrt();
        roots[at] = root;
        at += 1;
    }
    roots
};

/// How use decays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decay {
    half_life: u64,
}

impl Decay {
    /// `None` for a half-life of no time or of more than 30 years.
    pub(super) fn new(half_life: Span) -> Option<Self> {
        (1..=LONGEST).contains(&half_life.0).then_some(Self { half_life: half_life.0 })
    }

    pub(super) const fn half_life(self) -> Span {
        Span(self.half_life)
    }

    pub(super) fn era(self, at: Moment) -> u64 {
        at.0 / self.half_life
    }

    /// The weights of an interval, by the eras it touches, oldest first; without those that no longer
    /// count when it ends. Weights of adjacent intervals add up exactly.
    pub(super) fn weights(self, from: Moment, until: Moment) -> impl Iterator<Item = (u64, u128)> {
        let last = self.era(until);
        let first = self.era(from).max(last.saturating_sub(FORGOTTEN));
        let end = if from < until { last + 1 } else { first };
        (first..end).filter_map(move |era| {
            let inside = |at: Moment| {
                let into =
                    u128::from(at.0).saturating_sub(u128::from(era) * u128::from(self.half_life));
                u64::try_from(into).unwrap_or(u64::MAX).min(self.half_life)
            };
            let weight = self.grown(inside(until)) - self.grown(inside(from));
            (weight > 0).then_some((era, weight))
        })
    }

    /// What use of one, at all times up to `now`, adds up to as seen in the era of `now`: what shares
    /// are of.
    pub(super) fn whole(self, now: Moment) -> u128 {
        self.grown(self.half_life) + self.grown(now.0 % self.half_life)
    }

    /// The integral of 2^(t / half-life) over the first `into` milliseconds of an era.
    fn grown(self, into: u64) -> u128 {
        let mut power = 2 * ONE;
        if into < self.half_life {
            // Half-lives are below 2^40 milliseconds: 48 bits tell one millisecond from the next.
            let fraction = (u128::from(into) << BITS) / u128::from(self.half_life);
            let set = |bit: &usize| (fraction >> (BITS as usize - 1 - bit)) & 1 == 1;
            let factors = (0..ROOTS.len()).filter(set).map(|bit| ROOTS[bit]);
            power = factors.fold(ONE, |power, root| (power * root) >> 62);
        }
        let product = ((power - ONE) * u128::from(self.half_life)) >> 30;
        (product * INVERSE_LN_2) >> (32 + 48 - FRACTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVES: [u64; 5] = [1, 7, 86_400_000, 604_800_000, LONGEST];

    #[test]
    fn later_use_always_counts_more() {
        for half_life in LIVES {
            let decay = Decay::new(Span(half_life)).unwrap();
            let edges = [0, half_life / 3, half_life / 2, half_life.saturating_sub(2_000)];
            for edge in edges {
                let until = half_life.min(edge + 2_000);
                let grown: Vec<_> = (edge..=until).map(|into| decay.grown(into)).collect();
                assert!(grown.is_sorted_by(|a, b| a < b), "{half_life} at {edge}");
            }
        }
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "compared with floats")]
    fn weights_are_the_integral() {
        for half_life in LIVES {
            let decay = Decay::new(Span(half_life)).unwrap();
            for parts in 0..=8_u64 {
                let into = u64::try_from(u128::from(half_life) * u128::from(parts) / 8).unwrap();
                let fraction = into as f64 / half_life as f64;
                let exact = (fraction.exp2() - 1.0) * half_life as f64 / std::f64::consts::LN_2;
                let got = decay.grown(into) as f64 / f64::from(1_u32 << FRACTION);
                assert!(
                    (got - exact).abs() <= exact * 1e-9 + 1e-4,
                    "{half_life}: {got} for {exact}"
                );
            }
        }
    }

    #[test]
    fn half_lives_that_make_no_sense_are_none() {
        assert_eq!(Decay::new(Span(0)), None);
        assert_eq!(Decay::new(Span::MAX), None);
    }
}
