//! What was measured of a host or a chip: figures with a unit.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What figures are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Floating-point operations in a second; an addition and a multiplication are two.
    FlopPerSecond,
    /// Bytes in a second.
    BytesPerSecond,
    /// Bits in a second.
    BitsPerSecond,
    /// Billionths of a second.
    Nanoseconds,
}

impl Unit {
    /// An amount of it in words, three digits of it: `41.8 GFLOPS`, `9.41 Gbit/s`, `31.0 µs`.
    #[must_use]
    pub fn say(self, amount: u64) -> String {
        let steps: &[&str] = match self {
            Self::FlopPerSecond => &["FLOPS", "kFLOPS", "MFLOPS", "GFLOPS", "TFLOPS", "PFLOPS"],
            Self::BytesPerSecond => &["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"],
            Self::BitsPerSecond => &["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s"],
            Self::Nanoseconds => &["ns", "µs", "ms", "s"],
        };
        let (mut scale, mut step) = (1_u64, 0);
        // What rounds to a thousand of one step is one of the next.
        while step + 1 < steps.len() && amount / scale * 2 >= 1_999 {
            (scale, step) = (scale * 1_000, step + 1);
        }
        let whole = amount as f64 / scale as f64;
        let digits = match (step, whole) {
            (0, _) => 0,
            (_, whole) if whole < 9.995 => 2,
            (_, whole) if whole < 99.95 => 1,
            _ => 0,
        };
        format!("{whole:.digits$} {}", steps[step])
    }

    /// How many of it one of `unit` is, as benchmarks write it (`TFLOPS`, `GB/s`, `us`); none where it is
    /// no unit that is known here. Upper and lower case are alike but for bits and bytes.
    #[must_use]
    pub fn named(unit: &str) -> Option<(Self, u64)> {
        let lower = unit.trim().to_ascii_lowercase();
        if let Some(scale) = match lower.as_str() {
            "ns" => Some(1),
            "us" | "µs" => Some(1_000),
            "ms" => Some(1_000_000),
            "s" => Some(1_000_000_000),
            _ => None,
        } {
            return Some((Self::Nanoseconds, scale));
        }
        let (scale, rest) = match lower.as_bytes().first()? {
            b'k' => (1_000, 1),
            b'm' => (1_000_000, 1),
            b'g' => (1_000_000_000, 1),
            b't' => (1_000_000_000_000, 1),
            b'p' => (1_000_000_000_000_000, 1),
            _ => (1, 0),
        };
        let is = match lower.get(rest..)? {
            "flops" | "flop/s" | "ops" => Self::FlopPerSecond,
            "bit/s" | "bps" if !unit.contains("Bps") => Self::BitsPerSecond,
            "b/s" if unit.contains("b/s") => Self::BitsPerSecond,
            "b/s" | "bps" | "byte/s" => Self::BytesPerSecond,
            _ => return None,
        };
        Some((is, scale))
    }
}

/// One thing that was measured, several times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, such as `gemm-f64` or `storage-read`.
    pub name: String,
    /// What it is counted in.
    pub unit: Unit,
    /// What each repeat showed, in the order in which they were made; at least one.
    pub samples: Vec<u64>,
    /// How it was measured, for people.
    pub how: String,
}

impl Figure {
    /// What is said of it in one number: the median, of two in the middle the lower.
    #[must_use]
    pub fn median(&self) -> u64 {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    }

    /// The least and the most of all repeats.
    #[must_use]
    pub fn spread(&self) -> (u64, u64) {
        let of = self.samples.iter().copied();
        (of.clone().min().unwrap_or(0), of.max().unwrap_or(0))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.unit.say(self.median()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_said_with_three_digits_and_read_as_benchmarks_write_them() {
        let said = |unit: Unit, amounts: &[u64]| {
            amounts.iter().map(|amount| unit.say(*amount)).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            said(Unit::FlopPerSecond, &[0, 999, 41_800_000_000, 313_400_000_000_000]),
            "0 FLOPS, 999 FLOPS, 41.8 GFLOPS, 313 TFLOPS"
        );
        assert_eq!(said(Unit::BytesPerSecond, &[9_999_999, 1_000]), "10.0 MB/s, 1.00 kB/s");
        assert_eq!(said(Unit::Nanoseconds, &[31_000, 4_200_000_000_000]), "31.0 µs, 4200 s");
        for (text, unit, scale) in [
            ("TFLOPS", Unit::FlopPerSecond, 1_000_000_000_000),
            ("Tflop/s", Unit::FlopPerSecond, 1_000_000_000_000),
            ("GB/s", Unit::BytesPerSecond, 1_000_000_000),
            ("Gb/s", Unit::BitsPerSecond, 1_000_000_000),
            ("MBps", Unit::BytesPerSecond, 1_000_000),
            ("Gbit/s", Unit::BitsPerSecond, 1_000_000_000),
            ("us", Unit::Nanoseconds, 1_000),
        ] {
            assert_eq!(Unit::named(text), Some((unit, scale)), "{text}");
        }
        assert_eq!((Unit::named("furlongs"), Unit::named("")), (None, None));
    }

    #[test]
    fn a_figure_is_its_median() {
        let figure = |samples: &[u64]| Figure {
            name: "memory-triad".to_owned(),
            unit: Unit::BytesPerSecond,
            samples: samples.to_vec(),
            how: String::new(),
        };
        assert_eq!((figure(&[9, 1, 5]).median(), figure(&[9, 1, 5]).spread()), (5, (1, 9)));
        assert_eq!(figure(&[9, 1, 5, 7]).median(), 5);
        assert_eq!(figure(&[2_000_000_000]).to_string(), "memory-triad 2.00 GB/s");
    }
}
