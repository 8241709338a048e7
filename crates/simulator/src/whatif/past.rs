//! A network's past, out of its log: every job's way, and what was declared when.

use super::Period;
use super::life::{self, Life, Lives};
use crate::load::Stock;
use controller::Declarations;
use model::fact::{DatasetRegistered, Fact, UnreadableFact};
use model::{CenterId, DatasetId, DatasetRef, DatasetVersion, Moment, Record, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

/// What a log tells. Records are taken in order, from the first on.
#[derive(Debug, Default)]
pub struct Past {
    pub(crate) lives: Lives,
    /// What was declared and which data there was, with the facts' numbers and times.
    declared: Vec<(u64, Moment, Fact)>,
    last: Moment,
    /// How many facts were withheld or erased.
    pub withheld: u64,
}

impl Past {
    /// Takes in the next record. One whose payload was withheld or erased is counted and left out.
    ///
    /// # Errors
    ///
    /// When a newer program wrote the fact, or it is damaged.
    pub fn take(&mut self, record: &Record) -> Result<(), UnreadableFact> {
        let header = &record.header;
        self.last = self.last.max(header.at);
        let (declares, tells) = (declares(&header.kind), life::tells(&header.kind));
        if !declares && !tells {
            return Ok(());
        }
        let Some(fact) = life::fact(record)? else {
            self.withheld += 1;
            return Ok(());
        };
        if tells {
            self.lives.fact(header.number, header.at, &fact);
        }
        if declares {
            self.declared.push((header.number, header.at, fact));
        }
        Ok(())
    }

    /// How many jobs it knows.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.lives.jobs.len()
    }

    /// When its last fact happened.
    #[must_use]
    pub const fn last(&self) -> Moment {
        self.last
    }

    /// From its first job to its last fact; none without jobs.
    #[must_use]
    pub fn whole(&self) -> Option<Period> {
        let from = self.lives.jobs.values().filter_map(|life| life.since).min()?;
        Some(Period { from, to: self.last + Span(1) })
    }

    /// Jobs that could first be given a place within the period, in that order.
    pub(crate) fn submitted(&self, period: Period) -> Vec<&Life> {
        let lives = self.lives.jobs.values();
        let within = |life: &&Life| life.since.is_some_and(|since| period.contains(since));
        let mut found: Vec<&Life> = lives.filter(within).collect();
        found.sort_by_key(|life| (life.since, life.job));
        found
    }

    /// Jobs that were there before `at` and had not ended.
    pub(crate) fn there(&self, at: Moment) -> Vec<&Life> {
        let there = |life: &&Life| {
            life.since.is_some_and(|since| since < at)
                && life.ended.as_ref().is_none_or(|(ended, _)| *ended >= at)
        };
        let mut found: Vec<&Life> = self.lives.jobs.values().filter(there).collect();
        found.sort_by_key(|life| (life.running(at).is_none(), life.since, life.job));
        found
    }

    /// The network as it was declared when the period began, or rather when its first job came, and
    /// how often it changed after that. Centers whose agents had not joined by the period's end are
    /// left out, and named.
    pub(crate) fn network(&self, period: Period, first: Option<u64>) -> Network {
        let before =
            |number: u64, at: Moment| at < period.from || first.is_some_and(|first| number < first);
        let (mut world, mut joined, mut changes) = (World::default(), BTreeSet::new(), 0);
        for (number, at, fact) in &self.declared {
            if *at >= period.to {
                break;
            }
            match fact {
                Fact::AgentJoined(f) => {
                    joined.insert(f.center.clone());
                }
                _ if !is_declaration(fact) => {}
                _ if before(*number, *at) => {
                    // A declaration rests on nothing but that the network exists.
                    let _follows = world.fold(*at, fact);
                }
                _ => changes += 1,
            }
        }
        let mut found = Network { changes, ..Network::default() };
        let centers = world.centers.into_values().map(|state| Arc::unwrap_or_clone(state.center));
        found.declared = Declarations {
            chips: world.chips.into_values().map(Arc::unwrap_or_clone).collect(),
            centers: centers.collect(),
            exchanges: world.exchanges.into_values().map(Arc::unwrap_or_clone).collect(),
            links: world.links.into_values().map(Arc::unwrap_or_clone).collect(),
            flavors: world.flavors.into_values().map(Arc::unwrap_or_clone).collect(),
            priority_classes: world
                .priority_classes
                .into_values()
                .map(Arc::unwrap_or_clone)
                .collect(),
            tenants: world.tenants.into_values().map(Arc::unwrap_or_clone).collect(),
            // Centers are as they were shown to be; who was admitted shows in who ran jobs.
            admission: None,
        };
        let centers = found.declared.centers.iter().map(|center| &center.center);
        found.absent = centers.filter(|center| !joined.contains(*center)).cloned().collect();
        for center in &found.absent {
            super::change::remove(&mut found.declared, center);
        }
        found
    }

    /// The data that these jobs read, with the centers that had it when the period began; data that
    /// came later, with the center it came to first.
    pub(crate) fn data<'a>(
        &self,
        period: Period,
        jobs: impl Iterator<Item = &'a Life>,
    ) -> Vec<Stock> {
        let mut shelf = Shelf::default();
        for (_, at, fact) in &self.declared {
            shelf.fact(*at < period.from, fact);
        }
        let wanted: BTreeSet<DatasetVersion> = jobs.flat_map(|life| shelf.wants(life)).collect();
        let stock = |(registered, at): &(Arc<DatasetRegistered>, Vec<CenterId>)| {
            wanted.contains(&registered.data).then(|| Stock {
                data: registered.data.clone(),
                bytes: registered.bytes,
                tenant: registered.tenant.clone(),
                at: at.clone(),
                residency: registered.residency.clone(),
            })
        };
        shelf.versions.iter().filter_map(stock).collect()
    }
}

/// A network of the past.
#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) declared: Declarations,
    /// Declarations within the period.
    pub(crate) changes: u64,
    /// Centers without an agent all the while.
    pub(crate) absent: Vec<CenterId>,
}

/// Every dataset version there ever was, with where it was.
#[derive(Debug, Default)]
struct Shelf {
    versions: Vec<(Arc<DatasetRegistered>, Vec<CenterId>)>,
    places: BTreeMap<DatasetVersion, usize>,
    newest: BTreeMap<DatasetId, DatasetVersion>,
}

impl Shelf {
    fn fact(&mut self, before: bool, fact: &Fact) {
        match fact {
            Fact::DatasetRegistered(f) => {
                self.newest.insert(f.data.dataset.clone(), f.data.clone());
                if !self.places.contains_key(&f.data) {
                    self.places.insert(f.data.clone(), self.versions.len());
                    self.versions.push((Arc::clone(f), Vec::new()));
                }
            }
            Fact::ReplicaAdded(f) => self.copy_is_at(before, &f.data, &f.center),
            Fact::ReplicaInPlace(f) => self.copy_is_at(before, &f.data, &f.center),
            Fact::ReplicaRemoved(f) if before => {
                let Some(place) = self.places.get(&f.data) else { return };
                self.versions[*place].1.retain(|center| *center != f.center);
            }
            _ => {}
        }
    }

    fn copy_is_at(&mut self, before: bool, data: &DatasetVersion, center: &CenterId) {
        let Some(place) = self.places.get(data) else { return };
        let at = &mut self.versions[*place].1;
        if (before || at.is_empty()) && !at.contains(center) {
            at.push(center.clone());
        }
    }

    /// The versions a job reads: those it was given, else those it would be.
    fn wants(&self, life: &Life) -> Vec<DatasetVersion> {
        if !life.inputs.is_empty() {
            return life.inputs.clone();
        }
        let version = |reference: &DatasetRef| match reference.version {
            Some(version) => Some(DatasetVersion { dataset: reference.dataset.clone(), version }),
            None => self.newest.get(&reference.dataset).cloned(),
        };
        life.spec.inputs.iter().filter_map(|input| version(&input.dataset)).collect()
    }
}

/// Whether a fact of this kind says what there is: parts of the network, data.
fn declares(kind: &str) -> bool {
    kind.ends_with("-declared")
        || kind.starts_with("dataset-")
        || kind.starts_with("replica-")
        || matches!(kind, "network-created" | "agent-joined")
}

const fn is_declaration(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::NetworkCreated(_)
            | Fact::ChipDeclared(_)
            | Fact::CenterDeclared(_)
            | Fact::ExchangeDeclared(_)
            | Fact::LinkDeclared(_)
            | Fact::TenantDeclared(_)
    )
}
