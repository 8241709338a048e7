//! The delay of one direction, where clocks allow to tell it.

use super::Spread;
use crate::Nanos;

/// One direction's delay. It is never half the round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneWay {
    /// Both clocks follow UTC well enough.
    Known {
        /// The delays.
        delay: Spread,
        /// How far each of them may be off, by what both sides say of their clocks.
        error: Nanos,
    },
    /// It cannot be told.
    Unknown(WhyUnknown),
}

/// Why a direction's delay cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyUnknown {
    /// Nothing came back.
    NoReply,
    /// Our clock does not claim to follow UTC.
    OwnClock,
    /// Our clock was set during the window.
    OwnClockSet,
    /// The reflector's clock does not claim to follow UTC.
    ReflectorsClock,
    /// The clocks may be off by as much as half of the shortest round trip, which says as much.
    Error(Nanos),
    /// A direction would take less than no time, or more than the round trip: a clock is further
    /// off than its owner says.
    Contradiction,
}

/// What is known of the sender's clock during a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnClock {
    /// It follows nothing.
    Free,
    /// It was set, so that moments before and after cannot be compared.
    Set,
    /// It follows UTC.
    Synchronized {
        /// What is to be added to the sender's moments to get UTC counted from 1970.
        ahead: Nanos,
        /// How far that may be off.
        error: Nanos,
    },
}

/// A packet that came back, as seen from here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transit {
    /// Arrived there less sent here, each by its own clock.
    pub(super) there: Nanos,
    /// Arrived here less sent there, each by its own clock.
    pub(super) back: Nanos,
    /// What the reflector says of its clock; None: it follows nothing.
    pub(super) reflector_error: Option<Nanos>,
}

impl Transit {
    /// The round trip without the reflector's stay: both clocks cancel out.
    pub(super) fn round_trip(&self) -> Nanos {
        self.there + self.back
    }
}

/// Delays there and back, known together or not at all: an error of a clock goes from one to the
/// other.
pub(super) fn both(transits: &[Transit], own: OwnClock) -> (OneWay, OneWay) {
    match judge(transits, own) {
        Ok(known) => known,
        Err(why) => (OneWay::Unknown(why), OneWay::Unknown(why)),
    }
}

fn judge(transits: &[Transit], own: OwnClock) -> Result<(OneWay, OneWay), WhyUnknown> {
    let shortest = transits.iter().map(Transit::round_trip).min().ok_or(WhyUnknown::NoReply)?;
    let (ahead, own_error) = match own {
        OwnClock::Free => return Err(WhyUnknown::OwnClock),
        OwnClock::Set => return Err(WhyUnknown::OwnClockSet),
        OwnClock::Synchronized { ahead, error } => (ahead, error),
    };
    let errors: Option<Vec<_>> = transits.iter().map(|transit| transit.reflector_error).collect();
    let worst = errors.and_then(|errors| errors.into_iter().max());
    let error = own_error + worst.ok_or(WhyUnknown::ReflectorsClock)?;
    if error.0 >= shortest.0 / 2 {
        return Err(WhyUnknown::Error(error));
    }
    let there: Vec<_> = transits.iter().map(|transit| transit.there - ahead).collect();
    let back: Vec<_> = transits.iter().map(|transit| transit.back + ahead).collect();
    // As the two sum up to the round trip, one that exceeds it leaves less than nothing to the other.
    if there.iter().chain(&back).any(|delay| *delay < -error) {
        return Err(WhyUnknown::Contradiction);
    }
    let known = |delays| {
        let delay = Spread::of(delays).ok_or(WhyUnknown::NoReply)?;
        Ok(OneWay::Known { delay, error })
    };
    Ok((known(there)?, known(back)?))
}
