//! That no copy is let go that is the last whole one, or one too many, of a version that is to be
//! kept.

use crate::promise::{Findings, Promise};
use model::fact::TransferEnd;
use model::{
    CenterId, DatasetId, DatasetVersion, Fact, Keeping, Leave, Moment, Staging, TransferId,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a log said of copies so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copies {
    versions: BTreeMap<DatasetVersion, Line>,
    rules: BTreeMap<DatasetId, Keeping>,
    registered: u64,
    /// Transfers to relays that are under way.
    to_relays: BTreeMap<TransferId, Arc<Staging>>,
}

/// A version in short.
#[derive(Debug, Clone, Default)]
struct Line {
    /// When it was registered, and as the how manieth.
    at: (Moment, u64),
    /// Who has a whole copy, and who some bytes.
    whole: BTreeSet<CenterId>,
    others: BTreeSet<CenterId>,
    /// Who has a whole copy twice: in its own store and in an external one.
    twice: BTreeSet<CenterId>,
    /// Who has one in passing, or is to.
    passing: BTreeSet<CenterId>,
}

impl Line {
    /// How many whole copies there are that are nowhere in passing only.
    fn settled(&self) -> usize {
        self.whole.difference(&self.passing).count()
    }
}

impl Copies {
    /// Takes a fact in and judges it.
    pub(crate) fn take(&mut self, at: Moment, fact: &Fact, found: &mut Findings) {
        match fact {
            Fact::DatasetRegistered(f) => {
                self.registered += 1;
                self.versions.entry(f.data.clone()).or_default().at = (at, self.registered);
            }
            Fact::DatasetRemoved(f) => {
                self.versions.retain(|data, _| data.dataset != f.dataset);
                self.rules.remove(&f.dataset);
            }
            Fact::DatasetKept(f) => {
                for (_, line) in self.versions.iter_mut().filter(|(d, _)| d.dataset == f.dataset) {
                    line.passing.retain(|center| !f.keeping.pinned.contains(center));
                }
                self.rules.insert(f.dataset.clone(), f.keeping.clone());
            }
            Fact::VersionRemoved(f) => {
                self.judge(&f.data, None, f.why, at, found);
                self.versions.remove(&f.data);
            }
            Fact::ReplicaLeaving(f) => {
                self.judge(&f.data, Some(&f.center), f.why, at, found);
                self.counts(&f.data, &f.center, false);
            }
            Fact::ReplicaAdded(f) => self.counts(&f.data, &f.center, true),
            Fact::ReplicaInPlace(f) => {
                self.counts(&f.data, &f.center, true);
                let twice = &mut self.versions.entry(f.data.clone()).or_default().twice;
                if f.also_own {
                    twice.insert(f.center.clone());
                }
            }
            Fact::ReplicaDoubted(f) => self.counts(&f.data, &f.center, false),
            Fact::ReplicaDamaged(f) => self.counts(&f.data, &f.center, false),
            Fact::ReplicaRemoved(f) => {
                let mut to_relays = self.to_relays.values();
                let comes = to_relays.any(|t| t.data == f.data && t.to == f.center);
                let line = self.versions.entry(f.data.clone()).or_default();
                line.whole.remove(&f.center);
                line.others.remove(&f.center);
                line.twice.remove(&f.center);
                if !comes {
                    line.passing.remove(&f.center);
                }
            }
            _ => self.pass(fact),
        }
    }

    /// Follows which copies are somewhere in passing.
    fn pass(&mut self, fact: &Fact) {
        match fact {
            Fact::TransferPlanned(f) if f.passing => {
                let line = self.versions.entry(f.data.clone()).or_default();
                line.passing.insert(f.to.clone());
                self.to_relays.insert(f.transfer, Arc::clone(f));
            }
            Fact::TransferEnded(f) => {
                let Some(over) = self.to_relays.remove(&f.transfer) else { return };
                let line = self.versions.entry(over.data.clone()).or_default();
                let is_there = line.whole.contains(&over.to) || line.others.contains(&over.to);
                if !matches!(f.end, TransferEnd::Arrived { .. }) && !is_there {
                    line.passing.remove(&over.to);
                }
            }
            Fact::TransferPlanned(f) => self.settle(&f.data, &f.to),
            Fact::CopyWanted(f) => self.settle(&f.data, &f.center),
            Fact::ArchiveWanted(f) => self.settle(&f.data, &f.center),
            Fact::JobOffered(f) => {
                for data in &f.placement.inputs {
                    f.placement.parts.iter().for_each(|part| self.settle(data, &part.center));
                }
            }
            _ => {}
        }
    }

    fn settle(&mut self, data: &DatasetVersion, center: &CenterId) {
        if let Some(line) = self.versions.get_mut(data) {
            line.passing.remove(center);
        }
    }

    fn counts(&mut self, data: &DatasetVersion, center: &CenterId, is_whole: bool) {
        let Line { whole, others, twice, .. } = self.versions.entry(data.clone()).or_default();
        twice.remove(center);
        let (to, from) = if is_whole { (whole, others) } else { (others, whole) };
        from.remove(center);
        to.insert(center.clone());
    }

    /// Whether the copy of a center, or the version itself, may go for this reason.
    fn judge(
        &self,
        data: &DatasetVersion,
        center: Option<&CenterId>,
        why: Leave,
        at: Moment,
        found: &mut Findings,
    ) {
        let (none, default) = (Line::default(), Keeping::default());
        let line = self.versions.get(data).unwrap_or(&none);
        let rules = self.rules.get(&data.dataset).unwrap_or(&default);
        let is_right = match why {
            Leave::Expired => rules.has_expired(line.at.0, at),
            Leave::Surplus => {
                let newer = self.versions.iter().filter(|(other, known)| {
                    let is_there = !(known.whole.is_empty() && known.others.is_empty());
                    other.dataset == data.dataset && known.at.1 > line.at.1 && is_there
                });
                rules.versions.is_some_and(|keep| newer.count() >= keep as usize)
            }
            Leave::Room | Leave::Asked => {
                let is_whole = center.is_some_and(|center| line.whole.contains(center));
                let is_pinned = center.is_some_and(|center| rules.pinned.contains(center));
                let is_twice = center.is_some_and(|center| line.twice.contains(center));
                let passes = center.is_some_and(|center| line.passing.contains(center));
                let left = line.settled() - usize::from(is_whole && !is_twice && !passes);
                let least = if passes { 1 } else { (rules.copies as usize).max(1) };
                !is_whole || (!is_pinned && left >= least)
            }
            // Of what is in passing nothing is left behind; what is damaged so goes anyhow.
            Leave::Passed => center.is_some_and(|center| {
                let is_whole = line.whole.contains(center);
                line.passing.contains(center) && (!is_whole || line.settled() > 0)
            }),
        };
        found.judge(Promise::Copies, is_right, || match center {
            Some(center) => {
                format!("the copy of {data} in {center} goes, though not because {why}")
            }
            None => format!("{data} goes, though not because {why}"),
        });
        let is_left = center.is_none() && !(line.whole.is_empty() && line.others.is_empty());
        found
            .judge(Promise::Copies, !is_left, || format!("{data} is gone, and its copies are not"));
    }
}
