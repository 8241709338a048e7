//! The chunks that a request names: `0-3,7,9-11`.

use crate::carry::BATCH_CHUNKS;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Some chunks, in order; one at least, and no more than a request may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picked(Vec<RangeInclusive<u64>>);

/// Text that names no chunks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no chunks: write their numbers in order, such as `0-3,7`, {BATCH_CHUNKS} at most"
)]
pub(crate) struct NotPicked(String);

impl Picked {
    /// All of these, which are to be some and no more than a request may name.
    pub(crate) fn of(chunks: &BTreeSet<u64>) -> Self {
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        for chunk in chunks {
            match runs.last_mut() {
                Some(last) if last.end() + 1 == *chunk => *last = *last.start()..=*chunk,
                _ => runs.push(*chunk..=*chunk),
            }
        }
        Self(runs)
    }

    /// Each of them, in order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = u64> + Send + use<> {
        self.0.clone().into_iter().flatten()
    }

    /// The last one.
    pub(crate) fn last(&self) -> u64 {
        self.0.last().map_or(0, |run| *run.end())
    }
}

impl fmt::Display for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, run) in self.0.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            match run.end() == run.start() {
                true => write!(f, "{comma}{}", run.start())?,
                false => write!(f, "{comma}{}-{}", run.start(), run.end())?,
            }
        }
        Ok(())
    }
}

impl FromStr for Picked {
    type Err = NotPicked;

    fn from_str(text: &str) -> Result<Self, NotPicked> {
        let run = |text: &str| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            let run: RangeInclusive<u64> = from.parse().ok()?..=to.parse().ok()?;
            (!run.is_empty()).then_some(run)
        };
        let runs: Option<Vec<_>> = text.split(',').map(run).collect();
        let runs = runs.ok_or_else(|| NotPicked(text.to_owned()))?;
        let apart = runs.windows(2).all(|pair| pair[0].end() < pair[1].start());
        let count = runs.iter().map(|run| (run.end() - run.start()).saturating_add(1));
        let few = count.fold(0, u64::saturating_add) <= BATCH_CHUNKS;
        if apart && few { Ok(Self(runs)) } else { Err(NotPicked(text.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_and_nothing_else(
            chunks in prop::collection::btree_set(0_u64..600, 1..=256),
        ) {
            let text = Picked::of(&chunks).to_string();
            let read: Picked = text.parse().unwrap();
            prop_assert_eq!(read.last(), *chunks.last().unwrap());
            prop_assert_eq!(read.chunks().collect::<BTreeSet<_>>(), chunks);
        }
    }

    #[test]
    fn what_names_no_chunks_is_refused() {
        for bad in ["", "a", "3-1", "1,1", "4,2", "0-256", "1-", "0-18446744073709551615,1"] {
            assert!(bad.parse::<Picked>().is_err(), "{bad}");
        }
    }
}
