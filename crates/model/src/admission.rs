//! What a network asks of a center before it is given any work.

use crate::unit::parse_with;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a network asks of its centers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// What a center has to have shown in a check of its engine.
    pub readiness: Readiness,
}

/// How much of what a check asks for a center has to meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Readiness {
    /// A share, in thousandths; zero asks for no check at all.
    Share(u16),
    /// So many requirements at least, of so many: no more are broken than those left.
    Met {
        /// So many at least.
        met: u32,
        /// Of so many.
        of: u32,
    },
}

impl Readiness {
    /// Whether a center will do that has met `shown.0` of `shown.1` requirements, or has shown nothing.
    #[must_use]
    pub fn is_met(self, shown: Option<(u32, u32)>) -> bool {
        match (self, shown) {
            (Self::Share(0), _) => true,
            (_, None | Some((_, 0))) => false,
            (Self::Share(share), Some((met, asked))) => {
                u64::from(met) * 1_000 >= u64::from(asked) * u64::from(share)
            }
            (Self::Met { met: least, of }, Some((met, asked))) => {
                met >= least && asked.saturating_sub(met) <= of.saturating_sub(least)
            }
        }
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) if share % 10 == 0 => write!(f, "{} %", share / 10),
            Self::Share(share) => write!(f, "{}.{} %", share / 10, share % 10),
            Self::Met { met, of } => write!(f, "{met} of {of}"),
        }
    }
}

/// Text that says no readiness.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a share such as 0.9, or requirements such as \"16 of 16\"; 0 asks for nothing")]
pub struct NotAReadiness;

impl FromStr for Readiness {
    type Err = NotAReadiness;

    fn from_str(text: &str) -> Result<Self, NotAReadiness> {
        if let Some((met, of)) = text.split_once(" of ") {
            let count = |text: &str| text.trim().parse::<u32>().map_err(|_| NotAReadiness);
            let (met, of) = (count(met)?, count(of)?);
            return if 0 < met && met <= of {
                Ok(Self::Met { met, of })
            } else {
                Err(NotAReadiness)
            };
        }
        let share =
            parse_with(text.trim(), &[("", 1_000)]).and_then(|share| u16::try_from(share).ok());
        share.filter(|share| *share <= 1_000).map(Self::Share).ok_or(NotAReadiness)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_is_a_share_or_a_number_of_requirements() {
        let check = |asks: &str, shown: &[(u32, u32)], expected: &[bool]| {
            let asks: Readiness = asks.parse().unwrap();
            let met: Vec<bool> = shown.iter().map(|shown| asks.is_met(Some(*shown))).collect();
            assert_eq!(met, expected, "{asks}");
        };
        let shown = [(16, 16), (14, 16), (1, 1), (9, 9), (0, 0)];
        check("16 of 16", &shown, &[true, false, false, false, false]);
        check("14 of 16", &shown, &[true, true, false, false, false]);
        check("0.9", &shown, &[true, false, true, true, false]);
        check("0.875", &shown, &[true, true, true, true, false]);
        check("0", &shown, &[true, true, true, true, true]);
        assert!(!Readiness::Share(1).is_met(None) && Readiness::Share(0).is_met(None));
        for wrong in ["", "1.1", "0 of 3", "4 of 3", "all", "-1", "0.0001"] {
            assert_eq!(wrong.parse::<Readiness>(), Err(NotAReadiness), "{wrong}");
        }
        assert_eq!(Readiness::Share(905).to_string(), "90.5 %");
    }
}
