//! Pouring a volume through bandwidth that is free, as soon as possible.

use crate::profile::Cursor;
use crate::{Profile, Segment, Work};
use model::{Bytes, Moment, Rate};

/// A volume to be poured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pouring {
    /// Not before.
    pub from: Moment,
    /// How much.
    pub volume: Bytes,
    /// Never faster than this.
    pub most: Rate,
    /// Stretches that allow less than this are left to others; nothing below 1 bit/s is ever used.
    /// Above `most` it counts as `most`.
    pub least: Rate,
    /// What ends later is of no use.
    pub by: Moment,
}

/// Pours through all of `pipes` at once, at each moment as fast as the tightest of them allows:
/// the amounts of `pipes` are bits per second. The answer's segments are in order, apart, their
/// amounts bits per second; the last ends at the millisecond in which the last bit passes. No other
/// use of the same stretches ends earlier. `None` when the volume does not get through in time.
#[must_use]
pub fn pour(pipes: &[&Profile], what: &Pouring, work: &mut Work) -> Option<Vec<Segment>> {
    let least = what.least.min(what.most).max(Rate(1)).0;
    // Rates are per second and time is in milliseconds: what is left counts thousandths of a bit.
    let mut left = u128::from(what.volume.0) * 8 * 1_000;
    let mut at = what.from;
    let mut poured: Vec<Segment> = Vec::new();
    work.count(1);
    if least > what.most.0 && left > 0 {
        return None;
    }
    let fastest = pipes.iter().map(|pipe| pipe.capacity()).chain([what.most.0]).min();
    let fastest = u128::from(fastest.unwrap_or(0));
    let mut pipes: Vec<Cursor<'_>> = pipes.iter().map(|pipe| pipe.cursor(at)).collect();
    while left > 0 {
        // However much is free from here on, it does not get through in time.
        if left > fastest * u128::from(what.by.since(at).0) {
            return None;
        }
        let (from, rate, open_until) = next_useful(&mut pipes, at, least, work)?;
        let amount = rate.min(what.most.0);
        let needed = left.div_ceil(u128::from(amount));
        let done = u64::try_from(needed).ok().and_then(|ms| from.0.checked_add(ms)).map(Moment);
        let until = open_until.min(done.unwrap_or(Moment::MAX));
        if until == Moment::MAX || from >= what.by {
            return None;
        }
        left = left.saturating_sub(u128::from(amount) * u128::from(until.since(from).0));
        match poured.last_mut() {
            Some(last) if last.until == from && last.amount == amount => last.until = until,
            _ => poured.push(Segment { from, until, amount }),
        }
        at = until;
    }
    poured.last().is_none_or(|last| last.until <= what.by).then_some(poured)
}

/// The first moment not before `at` in which every pipe has at least `least` free, what the tightest
/// allows then, and until when that holds.
fn next_useful(
    pipes: &mut [Cursor<'_>],
    mut at: Moment,
    least: u64,
    work: &mut Work,
) -> Option<(Moment, u64, Moment)> {
    'moments: loop {
        work.count(1);
        let (mut rate, mut until) = (u64::MAX, Moment::MAX);
        for pipe in &mut *pipes {
            let (free, holds) = pipe.at(at);
            if free < least {
                at = pipe.next_free(least)?;
                continue 'moments;
            }
            (rate, until) = (rate.min(free), until.min(holds));
        }
        return Some((at, rate, until));
    }
}
