//! Amounts with their unit in the type. All are integers of the smallest unit, so that sums are
//! exact and replay is bit for bit; people write and read them with a unit (`2h`, `256 GiB`).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

/// Text that is not an amount of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct NotAnAmount {
    /// What would have been right, as a phrase with an example.
    pub expected: &'static str,
    /// What was there.
    pub found: String,
}

macro_rules! amounts {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);
            /// The largest amount that can be written down.
            pub const MAX: Self = Self(<$inner>::MAX);

            /// The sum, or `MAX` where it does not fit.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, or the least amount where it does not fit.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
    )*};
}

amounts! {
    /// A point in time: milliseconds since 1970-01-01 UTC, not counting leap seconds. The server's
    /// `now` never goes back; leases never rest on it.
    Moment(u64);
    /// A length of time in milliseconds.
    Span(u64);
    /// An amount of data in bytes.
    Bytes(u64);
    /// A rate of data in bits per second.
    Rate(u64);
    /// An amount of chips in thousandths of one chip.
    Chips(u64);
    /// Chips held over time, in chip-milliseconds.
    ChipTime(u64);
    /// Processor cores in thousandths of one core.
    Cores(u64);
}

impl Moment {
    /// How long after `earlier` this is; zero when it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Moment {
    type Output = Self;

    /// Saturates: a moment past the end of time is the end of time.
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stamp =
            i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match stamp {
            Some(stamp) => write!(f, "{stamp:.3}"),
            None => write!(f, "never"),
        }
    }
}

impl FromStr for Moment {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let stamp = text.trim().parse::<jiff::Timestamp>().ok();
        stamp.and_then(|s| u64::try_from(s.as_millisecond()).ok()).map(Self).ok_or_else(|| {
            NotAnAmount {
                expected: "a time with its zone, such as `2026-11-23T08:00:00+08:00`",
                found: text.to_owned(),
            }
        })
    }
}

impl Span {
    /// This many seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000))
    }

    /// This many times over `of`, rounded up; the longest span when that is too long.
    #[must_use]
    pub fn scaled(self, times: u64, of: u64) -> Self {
        let scaled = (u128::from(self.0) * u128::from(times)).div_ceil(u128::from(of.max(1)));
        Self(u64::try_from(scaled).unwrap_or(u64::MAX))
    }

    /// As the standard library's duration.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl fmt::Display for Span {
    /// The two largest units: `1d 2h`, `3m 5s`, `4.2s`, `17ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, s) = (self.0 % 1_000, self.0 / 1_000);
        let text = match s {
            0 => format!("{ms}ms"),
            1..=9 => format!("{s}.{}s", ms / 100),
            10..=59 => format!("{s}s"),
            60..=3_599 => format!("{}m {}s", s / 60, s % 60),
            3_600..=86_399 => format!("{}h {}m", s / 3_600, s % 3_600 / 60),
            _ => format!("{}d {}h", s / 86_400, s % 86_400 / 3_600),
        };
        f.pad(&text)
    }
}

/// A decimal number without sign or exponent, as a numerator over a power of ten.
pub(crate) struct Decimal {
    digits: u128,
    scale: u32,
}

impl Decimal {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let plain = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(fraction) || text.ends_with('.') {
            return None;
        }
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { digits, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// The number times `unit`, only if that is a whole number that fits.
    pub(crate) fn times(&self, unit: u128) -> Option<u64> {
        let scaled = self.digits.checked_mul(unit)?;
        let divisor = 10_u128.checked_pow(self.scale)?;
        if scaled % divisor != 0 {
            return None;
        }
        u64::try_from(scaled / divisor).ok()
    }
}

/// The number before the unit and the unit, white space between them allowed.
pub(crate) fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim())
}

/// The amount written in `text`, each unit being that many of the smallest one; `None` unless it is
/// a whole number of those that fits.
pub(crate) fn parse_with(text: &str, units: &[(&str, u128)]) -> Option<u64> {
    let (number, unit) = split_unit(text);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    Decimal::parse(number)?.times(*factor)
}

impl FromStr for Span {
    type Err = NotAnAmount;

    /// One or more numbers with units, largest first: `90s`, `1h 30m`, `1.5h`, `200ms`, `2d`.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        const UNITS: [(&str, u128); 5] =
            [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
        let parse = || {
            let mut total: u64 = 0;
            let mut rest = text.trim();
            if rest.is_empty() {
                return None;
            }
            while !rest.is_empty() {
                let number_end = rest.find(|c: char| c.is_ascii_alphabetic())?;
                let unit_end = rest[number_end..]
                    .find(|c: char| !c.is_ascii_alphabetic())
                    .map_or(rest.len(), |i| number_end + i);
                total = total.checked_add(parse_with(&rest[..unit_end], &UNITS)?)?;
                rest = rest[unit_end..].trim_start();
            }
            Some(Self(total))
        };
        parse().ok_or_else(|| NotAnAmount {
            expected: "a length of time with its unit, such as `90s`, `2h` or `1d 12h`",
            found: text.to_owned(),
        })
    }
}

impl Bytes {
    /// How long this much data takes at `rate`, rounded up so that a plan never arrives early.
    /// `None` when the rate is zero or the answer does not fit.
    #[must_use]
    pub fn time_at(self, rate: Rate) -> Option<Span> {
        let bit_millis = u128::from(self.0) * 8 * 1_000;
        let millis = (rate.0 != 0).then(|| bit_millis.div_ceil(u128::from(rate.0)))?;
        u64::try_from(millis).ok().map(Span)
    }

    /// What a link carries for this much data: also headers. A packet of 1,500 bytes holds 1,448 of
    /// data beside those of IPv4 and TCP with time stamps, and HTTP's are next to nothing; rounded
    /// up to one part in 25.
    #[must_use]
    pub fn on_wire(self) -> Self {
        Self(self.0.saturating_add(self.0.div_ceil(PAYLOAD)))
    }
}

impl Bytes {
    /// How fast this much data came that took `time`, rounded down. `None` when there was none, or it
    /// took no time.
    #[must_use]
    pub fn rate_over(self, time: std::time::Duration) -> Option<Rate> {
        let bit_micros = u128::from(self.0) * 8 * 1_000_000;
        let rate = bit_micros.checked_div(time.as_micros())?;
        (rate > 0).then(|| Rate(u64::try_from(rate).unwrap_or(u64::MAX)))
    }
}

/// So many parts of data go with one of headers.
const PAYLOAD: u64 = 25;

impl Rate {
    /// How fast data goes where a link carries this much, headers included: see [`Bytes::on_wire`].
    #[must_use]
    pub fn payload(self) -> Self {
        let headers = self.0 / (PAYLOAD + 1);
        Self(self.0 - headers)
    }

    /// How much a link carries where data goes this fast.
    #[must_use]
    pub fn on_wire(self) -> Self {
        Self(self.0.saturating_add(self.0 / PAYLOAD))
    }
}

impl Add for Bytes {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// A number with one decimal where it is below ten.
fn scaled(f: &mut fmt::Formatter<'_>, value: u64, base: u64, names: &[&str]) -> fmt::Result {
    let mut unit = 0;
    let mut divisor = 1_u64;
    while unit + 1 < names.len() && value / divisor >= base {
        divisor *= base;
        unit += 1;
    }
    let tenths = u128::from(value) * 10 / u128::from(divisor);
    let name = names[unit];
    let text = if unit == 0 || tenths >= 100 || tenths.is_multiple_of(10) {
        format!("{} {name}", tenths / 10)
    } else {
        format!("{}.{} {name}", tenths / 10, tenths % 10)
    };
    f.pad(&text)
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, 1_024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
    }
}

impl FromStr for Bytes {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        const UNITS: [(&str, u128); 11] = [
            ("B", 1),
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("TiB", 1 << 40),
            ("PiB", 1 << 50),
            ("kB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000),
            ("PB", 1_000_000_000_000_000),
        ];
        parse_with(text, &UNITS).map(Self).ok_or_else(|| NotAnAmount {
            expected: "an amount of data with its unit, such as `512 MiB` or `40 GB`",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        scaled(f, self.0, 1_000, &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"])
    }
}

impl FromStr for Rate {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        const UNITS: [(&str, u128); 5] = [
            ("bit/s", 1),
            ("kbit/s", 1_000),
            ("Mbit/s", 1_000_000),
            ("Gbit/s", 1_000_000_000),
            ("Tbit/s", 1_000_000_000_000),
        ];
        parse_with(text, &UNITS).map(Self).ok_or_else(|| NotAnAmount {
            expected: "a rate of data with its unit, such as `10 Gbit/s`",
            found: text.to_owned(),
        })
    }
}

impl Chips {
    /// One whole chip.
    pub const ONE: Self = Self(1_000);

    /// This many whole chips.
    #[must_use]
    pub const fn whole(count: u64) -> Self {
        Self(count.saturating_mul(1_000))
    }

    /// How many chips are touched: a share of one counts as one.
    #[must_use]
    pub const fn touched(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// These chips held for `span`, rounded up to a chip-millisecond.
    #[must_use]
    pub fn over(self, span: Span) -> ChipTime {
        let milli = u128::from(self.0) * u128::from(span.0);
        ChipTime(u64::try_from(milli.div_ceil(1_000)).unwrap_or(u64::MAX))
    }

    /// `count` times these chips, or `MAX` where it does not fit.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Sub for Chips {
    type Output = Self;

    /// Saturates at none.
    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

fn thousandths(f: &mut fmt::Formatter<'_>, value: u64) -> fmt::Result {
    let (whole, part) = (value / 1_000, value % 1_000);
    if part == 0 {
        f.pad(&whole.to_string())
    } else {
        f.pad(format!("{whole}.{part:03}").trim_end_matches('0'))
    }
}

impl fmt::Display for Chips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        thousandths(f, self.0)
    }
}

impl FromStr for Chips {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        Decimal::parse(text.trim()).and_then(|d| d.times(1_000)).map(Self).ok_or_else(|| {
            NotAnAmount {
                expected: "a number of chips with at most three decimals, such as `8` or `0.25`",
                found: text.to_owned(),
            }
        })
    }
}

impl fmt::Display for ChipTime {
    /// In card-hours with at most two decimals, rounded down: `12.5 card-hours`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / 36_000;
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.pad(&format!("{text} card-hours"))
    }
}

impl FromStr for ChipTime {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        const UNITS: [(&str, u128); 2] = [("card-hours", 3_600_000), ("card-hour", 3_600_000)];
        parse_with(text, &UNITS).map(Self).ok_or_else(|| NotAnAmount {
            expected: "a time of chips with its unit, such as `5000 card-hours`",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        thousandths(f, self.0)
    }
}

impl FromStr for Cores {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        Decimal::parse(text.trim()).and_then(|d| d.times(1_000)).map(Self).ok_or_else(|| {
            NotAnAmount {
                expected: "a number of cores with at most three decimals, such as `4` or `0.5`",
                found: text.to_owned(),
            }
        })
    }
}

/// How people write an amount in files and requests: as a string with its unit. Used with
/// `#[serde(with = "model::unit::text")]`; a bare number is refused with what was expected.
pub mod text {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    /// Reads an amount from text.
    pub fn deserialize<'de, D, T>(from: D) -> Result<T, D::Error>
    where
        D: Deserializer<'de>,
        T: FromStr<Err: Display>,
    {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }

    /// Writes an amount as text for people; may round, so nothing that is read back uses it.
    pub fn serialize<S: Serializer, T: Display>(amount: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, Money};

    #[test]
    fn amounts_are_read_with_their_unit_and_never_without() {
        assert_eq!("2h".parse(), Ok(Span::from_secs(7_200)));
        assert_eq!("1h 30m".parse(), Ok(Span::from_secs(5_400)));
        assert_eq!("1.5h".parse(), Ok(Span::from_secs(5_400)));
        assert_eq!("200ms".parse(), Ok(Span(200)));
        assert_eq!("256 GiB".parse(), Ok(Bytes(256 << 30)));
        assert_eq!("1.5kB".parse(), Ok(Bytes(1_500)));
        assert_eq!("10 Gbit/s".parse(), Ok(Rate(10_000_000_000)));
        assert_eq!("0.25".parse(), Ok(Chips(250)));
        assert_eq!("12.50 CNY".parse(), Ok(Money { micros: 12_500_000, currency: Currency::CNY }));
        for bad in ["7200", "-2h", "2 hours", "", "h", "1e3s", "99999999999999999999d", "0.0001ms"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["512", "-1 GiB", "1 gib", "0.5 B", "99999999 PiB", "GiB"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
        for bad in ["0.0001", "-1", "1,5", "."] {
            assert!(bad.parse::<Chips>().is_err(), "{bad}");
        }
    }

    #[test]
    fn data_never_arrives_before_the_link_could_carry_it() {
        assert_eq!(Bytes(1).time_at(Rate(8_000)), Some(Span(1)));
        assert_eq!(Bytes(1).time_at(Rate(9_000)), Some(Span(1)));
        assert_eq!(Bytes(1).time_at(Rate(0)), None);
        assert_eq!(Bytes(u64::MAX).time_at(Rate(1)), None);
    }

    #[test]
    fn what_a_link_carries_for_data_goes_at_the_rate_left_for_data() {
        for bytes in [0, 1, 25, 26, 1_000_000, 349_000_123] {
            let (data, rate) = (Bytes(bytes), Rate(200_000_000));
            let planned = data.on_wire().time_at(rate).unwrap();
            let took = data.time_at(rate.payload()).unwrap();
            assert!(took <= planned, "{bytes}: {took} of {planned}");
        }
        assert_eq!(Rate(26_000).payload().on_wire(), Rate(26_000));
    }

    #[test]
    fn amounts_are_shown_as_people_write_them() {
        assert_eq!(Bytes(256 << 20).to_string(), "256 MiB");
        assert_eq!(Bytes(1_536).to_string(), "1.5 KiB");
        assert_eq!(Rate(2_500_000_000).to_string(), "2.5 Gbit/s");
        assert_eq!(Chips(250).to_string(), "0.25");
        assert_eq!(Span(65_000).to_string(), "1m 5s");
        assert_eq!(
            Money { micros: -12_345_678, currency: Currency::CNY }.to_string(),
            "-12.35 CNY"
        );
        assert_eq!(Moment(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Moment(0).to_string().parse(), Ok(Moment(0)));
    }
}
