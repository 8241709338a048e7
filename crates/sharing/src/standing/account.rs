//! What one tenant used: exact sums by era, and what it draws at present.

use super::decay::{Decay, FORGOTTEN};
use super::{Draw, RESOURCES};
use model::{ChipTime, Moment};
use serde::{Deserialize, Serialize};

type Amounts = [u128; RESOURCES];

/// Use over time. Everything here is a sum of integers, so any order of changes gives the same.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    /// What it draws since `since`, not yet in `eras`.
    rate: Amounts,
    chips: u128,
    since: Moment,
    /// Weighted use by era, oldest first.
    eras: Vec<(u64, Amounts)>,
    /// Thousandths of a chip times milliseconds, not decayed.
    card_time: u128,
}

impl Account {
    /// Brings what is drawn into the sums up to a moment; nothing if that is past.
    pub(super) fn settle(&mut self, decay: Decay, at: Moment) {
        let (rate, chips) = (self.rate, self.chips);
        let from = self.since;
        self.since = from.max(at);
        if chips > 0 || rate.iter().any(|amount| *amount > 0) {
            self.charge(decay, rate, chips, from, at);
        }
    }

    /// More is drawn from a moment on, be it past or not.
    pub(super) fn start(&mut self, decay: Decay, draw: &Draw, at: Moment) {
        self.settle(decay, at);
        self.charge(decay, draw.amounts(), u128::from(draw.chips.0), at, self.since);
        let amounts = draw.amounts();
        self.rate
            .iter_mut()
            .zip(amounts)
            .for_each(|(rate, more)| *rate = rate.saturating_add(more));
        self.chips += u128::from(draw.chips.0);
    }

    /// It is no longer drawn from a moment on, be it past or not.
    pub(super) fn stop(&mut self, decay: Decay, draw: &Draw, at: Moment) {
        self.settle(decay, at);
        let (amounts, chips) = (draw.amounts(), u128::from(draw.chips.0));
        for (era, weight) in decay.weights(at, self.since) {
            if let Ok(place) = self.eras.binary_search_by_key(&era, |(era, _)| *era) {
                let sums = self.eras[place].1.iter_mut().zip(amounts);
                sums.for_each(|(sum, less)| *sum = sum.saturating_sub(less.saturating_mul(weight)));
            }
        }
        let gone = chips.saturating_mul(u128::from(self.since.since(at).0));
        self.card_time = self.card_time.saturating_sub(gone);
        self.rate
            .iter_mut()
            .zip(amounts)
            .for_each(|(rate, less)| *rate = rate.saturating_sub(less));
        self.chips -= chips;
    }

    /// Whether so much is drawn at present.
    pub(super) fn draws(&self, draw: &Draw) -> bool {
        let enough = self.rate.iter().zip(draw.amounts()).all(|(rate, less)| *rate >= less);
        enough && self.chips >= u128::from(draw.chips.0)
    }

    /// How many chips it draws at present, in those of the reference chip.
    pub(super) fn drawn(&self) -> u64 {
        u64::try_from(self.rate[0]).unwrap_or(u64::MAX)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.chips == 0 && self.rate == Amounts::default()
    }

    /// Adds use that was and is over.
    pub(super) fn charge(
        &mut self,
        decay: Decay,
        amounts: Amounts,
        chips: u128,
        from: Moment,
        until: Moment,
    ) {
        for (era, weight) in decay.weights(from, until) {
            self.add(era, amounts.map(|amount| amount.saturating_mul(weight)));
        }
        let held = chips.saturating_mul(u128::from(until.since(from).0));
        self.card_time = self.card_time.saturating_add(held);
        let newest = self.eras.last().map_or(0, |(era, _)| *era);
        self.eras.retain(|(era, _)| era + FORGOTTEN > newest);
    }

    /// Adds all another used and draws.
    pub(super) fn merge(&mut self, decay: Decay, other: &Self) {
        let at = self.since.max(other.since);
        self.settle(decay, at);
        let mut other = other.clone();
        other.settle(decay, at);
        other.eras.iter().for_each(|(era, amounts)| self.add(*era, *amounts));
        self.rate
            .iter_mut()
            .zip(other.rate)
            .for_each(|(rate, more)| *rate = rate.saturating_add(more));
        self.chips += other.chips;
        self.card_time = self.card_time.saturating_add(other.card_time);
    }

    fn add(&mut self, era: u64, amounts: Amounts) {
        let place = match self.eras.binary_search_by_key(&era, |(era, _)| *era) {
            Ok(place) => place,
            Err(place) => {
                self.eras.insert(place, (era, Amounts::default()));
                place
            }
        };
        let sums = self.eras[place].1.iter_mut().zip(amounts);
        sums.for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    /// Decayed use as seen in the era of `now`, of which [`Decay::whole`] is one at all times.
    pub(super) fn decayed(&self, decay: Decay, now: Moment) -> Amounts {
        let present = decay.era(now);
        let mut total = Amounts::default();
        let mut count = |era: u64, amounts: Amounts| {
            let age = present.saturating_sub(era);
            if age < FORGOTTEN {
                total.iter_mut().zip(amounts).for_each(|(t, a)| *t = t.saturating_add(a >> age));
            }
        };
        // What is drawn belongs into an era's sum before that is halved.
        let mut drawn = decay.weights(self.since, now).peekable();
        let drawing = |weight: u128| self.rate.map(|rate| rate.saturating_mul(weight));
        for (era, amounts) in &self.eras {
            while let Some((earlier, weight)) = drawn.next_if(|(earlier, _)| earlier < era) {
                count(earlier, drawing(weight));
            }
            let mut sum = *amounts;
            if let Some((_, weight)) = drawn.next_if(|(same, _)| same == era) {
                sum.iter_mut()
                    .zip(drawing(weight))
                    .for_each(|(s, more)| *s = s.saturating_add(more));
            }
            count(*era, sum);
        }
        drawn.for_each(|(era, weight)| count(era, drawing(weight)));
        total
    }

    /// Card time up to a moment, rounded down.
    pub(super) fn card_time(&self, now: Moment) -> ChipTime {
        let held = self.chips.saturating_mul(u128::from(now.since(self.since).0));
        let all = self.card_time.saturating_add(held);
        ChipTime(u64::try_from(all / 1_000).unwrap_or(u64::MAX))
    }
}
