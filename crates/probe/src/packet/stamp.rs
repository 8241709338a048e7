//! Timestamps and how far they may be off.

use crate::Nanos;

const SECOND: i64 = 1_000_000_000;

/// From the first day of 1900, where NTP counts from, to that of 1970.
const NTP_TO_UNIX: i64 = 2_208_988_800;

/// How far TAI, on which PTP counts, is ahead of UTC: since 2017 and until further notice.
const TAI_AHEAD: i64 = 37;

/// How the 64 bits of a timestamp are to be read (the Z bit, RFC 8186 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Seconds since 1900 and 2^-32 of seconds (RFC 5905 §6).
    Ntp,
    /// The low 32 bits of TAI seconds since 1970, and nanoseconds (IEEE 1588, RFC 8877 §4.3).
    Ptp,
}

/// A timestamp as it travels: 64 bits whose meaning a [`Format`] says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The moment `wall`, counted in UTC from 1970.
    #[must_use]
    pub fn of(wall: Nanos, format: Format) -> Self {
        let (seconds, nanos) = (wall.0.div_euclid(SECOND), wall.0.rem_euclid(SECOND));
        let nanos = nanos.unsigned_abs();
        let (seconds, fraction) = match format {
            // Rounded up, so that reading it back gives the very nanosecond.
            Format::Ntp => (seconds + NTP_TO_UNIX, (nanos << 32).div_ceil(SECOND.unsigned_abs())),
            Format::Ptp => (seconds + TAI_AHEAD, nanos),
        };
        Self((seconds.cast_unsigned() << 32) | fraction)
    }

    /// The moment in UTC from 1970. NTP's 32 bits of seconds are read as 1968 to 2104 (RFC 4330
    /// §3), PTP's as 1970 to 2106.
    #[must_use]
    pub fn wall(self, format: Format) -> Nanos {
        let seconds = (self.0 >> 32).cast_signed();
        let fraction = self.0 & u64::from(u32::MAX);
        let (seconds, nanos) = match format {
            Format::Ntp => {
                let era = if seconds < 1 << 31 { 1 << 32 } else { 0 };
                (seconds + era - NTP_TO_UNIX, (fraction * SECOND.unsigned_abs()) >> 32)
            }
            Format::Ptp => (seconds - TAI_AHEAD, fraction),
        };
        Nanos(seconds * SECOND) + Nanos(nanos.cast_signed())
    }
}

/// What a side says of its clock: whether it follows UTC, and how far it may be off
/// (RFC 4656 §4.1.2; the Z bit of RFC 8186).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorEstimate(u16);

const SYNCHRONIZED: u16 = 1 << 15;
const PTP: u16 = 1 << 14;

impl ErrorEstimate {
    /// Of a clock that follows UTC within `error`, rounded up to what the field can hold.
    #[must_use]
    pub fn synchronized(error: Nanos, format: Format) -> Self {
        let nanos = u128::from(error.0.max(0).unsigned_abs());
        let units = (nanos << 32).div_ceil(u128::from(SECOND.unsigned_abs())).max(1);
        let fits = |scale: &u16| units.div_ceil(1 << scale) <= 0xff;
        let scale = (0..64).find(fits).unwrap_or(63);
        let multiplier = u16::try_from(units.div_ceil(1 << scale)).unwrap_or(0xff).min(0xff);
        Self(SYNCHRONIZED | Self::bit(format) | (scale << 8) | multiplier)
    }

    /// Of a clock that follows nothing: it may be off by anything.
    #[must_use]
    pub fn unsynchronized(format: Format) -> Self {
        Self(Self::bit(format) | 0x3fff)
    }

    fn bit(format: Format) -> u16 {
        match format {
            Format::Ntp => 0,
            Format::Ptp => PTP,
        }
    }

    /// As it travels: S, Z, six bits of scale, eight of multiplier. None if the multiplier is zero,
    /// which marks a corrupt packet.
    #[must_use]
    pub fn from_bits(bits: u16) -> Option<Self> {
        (bits & 0xff != 0).then_some(Self(bits))
    }

    /// As it travels.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.0
    }

    /// How this side writes timestamps.
    #[must_use]
    pub fn format(self) -> Format {
        if self.0 & PTP == 0 { Format::Ntp } else { Format::Ptp }
    }

    /// How far the clock may be off from UTC, `multiplier * 2^(scale - 32)` seconds; None if it
    /// does not claim to follow it.
    #[must_use]
    pub fn error(self) -> Option<Nanos> {
        let units = u128::from(self.0 & 0xff) << ((self.0 >> 8) & 0x3f);
        let nanos = (units * u128::from(SECOND.unsigned_abs())).div_ceil(1 << 32);
        (self.0 & SYNCHRONIZED != 0).then(|| Nanos(i64::try_from(nanos).unwrap_or(i64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_moments_have_known_bits() {
        // The first second of 1970, and half a second before NTP's count begins anew in 2036.
        assert_eq!(Timestamp::of(Nanos::ZERO, Format::Ntp).0, 0x83aa_7e80 << 32);
        let turn = Nanos(2_085_978_496 * SECOND);
        assert_eq!(Timestamp::of(turn, Format::Ntp).0, 0);
        let before = Timestamp::of(turn - Nanos(SECOND / 2), Format::Ntp);
        assert_eq!(before.0, 0xffff_ffff_8000_0000);
        assert_eq!(Timestamp::of(Nanos(SECOND + 5), Format::Ptp).0, (38 << 32) | 5);
    }

    #[test]
    fn an_error_is_rounded_up_never_down() {
        let claimed = |nanos| ErrorEstimate::synchronized(Nanos(nanos), Format::Ptp);
        assert_eq!(claimed(0).error(), Some(Nanos(1)));
        assert_eq!(claimed(1_000_000).error(), Some(Nanos(1_007_081)));
        assert_eq!(claimed(1_000_000).format(), Format::Ptp);
        assert_eq!(ErrorEstimate::unsynchronized(Format::Ntp).error(), None);
        assert_eq!(ErrorEstimate::from_bits(0x8a00), None);
    }

    proptest! {
        #[test]
        fn a_moment_survives_either_format(wall in 0i64..4_000_000_000_000_000_000) {
            for format in [Format::Ntp, Format::Ptp] {
                prop_assert_eq!(Timestamp::of(Nanos(wall), format).wall(format), Nanos(wall));
            }
        }

        #[test]
        fn any_bits_are_some_moment(bits: u64) {
            let _ = (Timestamp(bits).wall(Format::Ntp), Timestamp(bits).wall(Format::Ptp));
        }

        #[test]
        fn a_claimed_error_holds_and_is_at_most_a_hundredth_more(nanos in 1_000i64..i64::MAX / 4) {
            let error = ErrorEstimate::synchronized(Nanos(nanos), Format::Ntp).error().unwrap();
            prop_assert!(error.0 >= nanos && error.0 <= nanos + nanos / 100 + 2, "{:?}", error);
        }
    }
}
