//! How unsteady delays are.

use super::Spread;
use crate::Nanos;

/// How delays differ from packet to packet. Needs no agreement between clocks: what one is ahead of
/// the other cancels out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// The delay of a packet less that of the one sent before it, where both arrived (RFC 3393 with
    /// the selection function "adjacent"). Negative where the later packet was faster. None if no
    /// two adjacent packets arrived.
    pub ipdv: Option<Spread>,
    /// Interarrival jitter after the window's last packet (RFC 3550 §6.4.1), carried on from window
    /// to window.
    pub jitter: Nanos,
}

/// The running estimate of RFC 3550, in the integer form of its appendix A.8.
#[derive(Clone, Copy, Debug, Default)]
pub struct Jitter {
    /// Sixteen times the estimate, so that small differences are not lost.
    sixteenfold: i64,
    /// Of the packet that arrived last.
    transit: Option<Nanos>,
}

impl Jitter {
    /// A packet arrived that was under way for `transit`.
    pub(super) fn arrived(&mut self, transit: Nanos) {
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).abs().0;
            let faded = self.sixteenfold.saturating_add(8) >> 4;
            self.sixteenfold = (self.sixteenfold - faded).saturating_add(difference);
        }
    }

    pub(super) fn estimate(self) -> Nanos {
        Nanos(self.sixteenfold >> 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_the_formula_of_the_rfc() {
        // J += (|D| - J) / 16, begun at zero.
        let transits = [5_000, 21_000, 5_000, 5_000, 37_000];
        let (mut jitter, mut expected) = (Jitter::default(), 0.0_f64);
        for pair in transits.windows(2) {
            let difference: i32 = pair[1] - pair[0];
            expected += (f64::from(difference.abs()) - expected) / 16.0;
        }
        transits.iter().for_each(|transit| jitter.arrived(Nanos(i64::from(*transit))));
        let off = jitter.estimate() - Nanos(3_703);
        assert!((expected - 3_703.0).abs() < 1.0 && off.abs() <= Nanos(1), "{expected} {off:?}");
    }

    #[test]
    fn a_steady_delay_has_none_however_wrong_the_other_clock() {
        let mut jitter = Jitter::default();
        [i64::MIN; 3].into_iter().for_each(|transit| jitter.arrived(Nanos(transit)));
        assert_eq!(jitter.estimate(), Nanos::ZERO);
        [i64::MAX, i64::MIN, i64::MAX].map(Nanos).into_iter().for_each(|one| jitter.arrived(one));
        assert!(jitter.estimate() > Nanos::ZERO);
    }
}
