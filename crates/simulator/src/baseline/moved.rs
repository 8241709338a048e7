//! What has to be moved before jobs can run, and by when links bring it at the best.

use super::data::Copies;
use super::sites::Choice;
use crate::load::Stock;
use crate::measure::hours;
use model::{Bytes, DatasetId};
use std::collections::{BTreeMap, BTreeSet};

/// Centers, by number.
type Centers = BTreeSet<usize>;

/// Which centers have to get data that none of them has: for each dataset that jobs want, the centers
/// among which they choose, and for how long the shortest of them runs there.
pub(super) struct Wanted<'a> {
    stock: &'a [Stock],
    copies: &'a Copies<'a>,
    by_data: BTreeMap<usize, BTreeMap<Centers, f64>>,
}

impl<'a> Wanted<'a> {
    /// Nobody wants anything yet.
    pub(super) fn new(stock: &'a [Stock], copies: &'a Copies<'a>) -> Self {
        Self { stock, copies, by_data: BTreeMap::new() }
    }

    /// A job that wants data and can run in these places, `long` hours at the least; before when it
    /// does not start, in hours from the beginning, were its data all that links carry.
    pub(super) fn note(&mut self, dataset: &DatasetId, able: &[Choice], long: f64) -> f64 {
        let Some(data) = self.copies.number(dataset) else { return 0.0 };
        let centers: Centers = able.iter().map(|choice| choice.center).collect();
        if self.has(data, &centers) {
            return 0.0;
        }
        let soonest = self.crossing(self.stock[data].bytes, &centers);
        let shortest = self.by_data.entry(data).or_default().entry(centers).or_insert(long);
        *shortest = shortest.min(long);
        soonest
    }

    /// What has to be moved, in terabytes: jobs of which no two can run in the same center, and none
    /// where a copy is, need a copy each. They are found greedily, those with the fewest centers
    /// first.
    pub(super) fn least_tb(&self) -> f64 {
        let copies = |wishes: &BTreeMap<Centers, f64>| {
            let mut apart: Vec<&Centers> = wishes.keys().collect();
            apart.sort_by_key(|centers| centers.len());
            let mut served = Centers::new();
            let mut count = 0.0;
            for centers in apart {
                if served.is_disjoint(centers) {
                    served.extend(centers);
                    count += 1.0;
                }
            }
            count
        };
        let moved =
            self.by_data.iter().map(|(data, wishes)| copies(wishes) * self.terabytes(*data));
        moved.sum()
    }

    /// Before when not all of them have ended, in hours from the beginning: all that has to come into
    /// some centers comes through the links that lead there, and whose data comes last runs then.
    pub(super) fn end(&self) -> f64 {
        let cuts: BTreeSet<&Centers> = self.by_data.values().flat_map(BTreeMap::keys).collect();
        cuts.into_iter().map(|into| self.end_behind(into)).fold(0.0, f64::max)
    }

    fn end_behind(&self, into: &Centers) -> f64 {
        let (mut bytes, mut shortest) = (Bytes::ZERO, f64::MAX);
        for (data, wishes) in &self.by_data {
            let inside = wishes.iter().filter(|(centers, _)| centers.is_subset(into));
            let Some(long) = inside.map(|(_, long)| *long).min_by(f64::total_cmp) else { continue };
            if !self.has(*data, into) {
                bytes += self.stock[*data].bytes;
                shortest = shortest.min(long);
            }
        }
        if bytes == Bytes::ZERO { 0.0 } else { self.crossing(bytes, into) + shortest }
    }

    /// How long all links into these centers need for so much, in hours.
    fn crossing(&self, bytes: Bytes, into: &Centers) -> f64 {
        bytes.time_at(self.copies.inbound(into)).map_or(0.0, hours)
    }

    fn has(&self, data: usize, centers: &Centers) -> bool {
        centers.iter().any(|center| self.copies.is_at(data, *center, 0))
    }

    fn terabytes(&self, data: usize) -> f64 {
        self.stock[data].bytes.0 as f64 / 1e12
    }
}
