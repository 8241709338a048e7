//! Amounts that only an emulated line has; rates and bytes are those of `model`.

use model::NotAnAmount;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How long a packet is under way, or how much that varies; whole nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Delay(pub Duration);

impl Delay {
    /// In nanoseconds; the most that fits where there are more.
    pub(crate) fn nanos(self) -> u64 {
        u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl FromStr for Delay {
    type Err = NotAnAmount;

    /// A number with its unit: `2.5ms`, `300us`, `1 s`.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        const UNITS: [(&str, u64); 5] =
            [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("µs", 1_000), ("ns", 1)];
        let nanos = whole(text, &UNITS).map(Duration::from_nanos);
        nanos.map(Self).ok_or_else(|| NotAnAmount {
            expected: "a delay with its unit, such as `2.5ms` or `300us`",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for Delay {
    /// As the standard library writes a duration: `2.5ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:?}", self.0))
    }
}

/// Which share of packets gets lost, in millionths; never above 1,000,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Loss {
    millionths: u32,
}

impl Loss {
    /// No packet is lost.
    pub const NONE: Self = Self { millionths: 0 };
    /// The millionths that are everything.
    pub(crate) const ALL: u32 = 1_000_000;

    /// This many packets of a million; all of them where that is more.
    #[must_use]
    pub const fn of_a_million(packets: u32) -> Self {
        Self { millionths: if packets > Self::ALL { Self::ALL } else { packets } }
    }

    /// How many packets of a million are lost.
    #[must_use]
    pub const fn millionths(self) -> u32 {
        self.millionths
    }
}

impl FromStr for Loss {
    type Err = NotAnAmount;

    /// Percent with at most four decimals: `0.1 %`, `1%`.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let millionths = whole(text, &[("%", 10_000)]).and_then(|part| u32::try_from(part).ok());
        let possible = millionths.filter(|millionths| *millionths <= Self::ALL);
        possible.map(|millionths| Self { millionths }).ok_or_else(|| NotAnAmount {
            expected: "a share of packets in percent, such as `0.1 %`",
            found: text.to_owned(),
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, rest) = (self.millionths / 10_000, self.millionths % 10_000);
        let text = format!("{percent}.{rest:04}");
        f.pad(&format!("{} %", text.trim_end_matches('0').trim_end_matches('.')))
    }
}

/// The decimal number in `text` times what its unit stands for, if that is a whole number.
fn whole(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let at = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = (&text[..at], text[at..].trim());
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let (digits, decimals) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some((before, after)) => (format!("{before}{after}"), u32::try_from(after.len()).ok()?),
        None => (number.to_owned(), 0),
    };
    if number.starts_with('.') || digits.contains('.') {
        return None;
    }
    let scaled = digits.parse::<u64>().ok()?.checked_mul(*factor)?;
    let divisor = 10_u64.checked_pow(decimals)?;
    scaled.is_multiple_of(divisor).then(|| scaled / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_with_their_unit_and_never_without() {
        assert_eq!("2.5ms".parse(), Ok(Delay(Duration::from_micros(2_500))));
        assert_eq!("300 us".parse(), Ok(Delay(Duration::from_micros(300))));
        assert_eq!("0s".parse(), Ok(Delay::default()));
        for bad in ["", "5", "ms", "-1ms", "1.ms", ".5ms", "1.2.3ms", "0.5ns", "1h", "9e9s"] {
            assert!(bad.parse::<Delay>().is_err(), "{bad}");
        }
        assert_eq!(Delay(Duration::from_micros(2_500)).to_string(), "2.5ms");
    }

    #[test]
    fn loss_is_a_percentage() {
        assert_eq!("0.1 %".parse(), Ok(Loss::of_a_million(1_000)));
        assert_eq!("100%".parse(), Ok(Loss::of_a_million(1_000_000)));
        for bad in ["0.1", "100.1%", "-1%", "0.00001%", "%"] {
            assert!(bad.parse::<Loss>().is_err(), "{bad}");
        }
        let shown = [0, 1_000, 12_345, 1_000_000].map(|part| Loss::of_a_million(part).to_string());
        assert_eq!(shown, ["0 %", "0.1 %", "1.2345 %", "100 %"]);
    }
}
