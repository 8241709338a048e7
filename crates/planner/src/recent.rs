//! What recent jobs ask, from which follows what is typical.

use crate::ask::Ask;
use crate::packing::{Demand, Need, Typical, typical};
use crate::roster::Roster;
use model::JobSpec;
use model::job::On;
use std::collections::BTreeMap;

/// About so many jobs are remembered: where there were twice as many, each counts half.
const REMEMBERED: u64 = 10_000;

/// What is typical is worked out anew when one in so many jobs was not there yet.
const NEW: u64 = 8;

/// What recent jobs ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    /// How many nodes, by where and by what of each.
    nodes: BTreeMap<On, BTreeMap<Need, u64>>,
    /// How many jobs that were.
    jobs: u64,
    /// How many of them came since it was last worked out what is typical.
    new: u64,
}

impl Recent {
    /// Notes what a job asks. One with several variants may come to ask any of it.
    pub(crate) fn note(&mut self, spec: &JobSpec) {
        for variant in spec.parts.iter().take(1).flat_map(|part| &part.variants) {
            let need = Need::of(&Ask::of(spec, variant));
            let nodes = u64::from(variant.nodes);
            let of = match self.nodes.get_mut(&variant.on) {
                Some(of) => of,
                None => self.nodes.entry(variant.on.clone()).or_default(),
            };
            *of.entry(need).or_default() += nodes;
        }
        self.jobs += 1;
        self.new += 1;
        if self.jobs >= 2 * REMEMBERED {
            self.jobs /= 2;
            self.new = self.new.div_ceil(2);
            for of in self.nodes.values_mut() {
                of.retain(|_, nodes| {
                    *nodes /= 2;
                    *nodes > 0
                });
            }
        }
    }

    /// What is typical for each kind of node, if that may be something else than when it was last
    /// asked.
    pub(crate) fn typical(&mut self, roster: &Roster) -> Option<Vec<Typical>> {
        if self.new == 0 || self.new * NEW < self.jobs {
            return None;
        }
        self.new = 0;
        let mut demands = Vec::new();
        for (on, of) in &self.nodes {
            let on = roster.kinds_for(on);
            let demand = |(need, nodes): (&Need, &u64)| Demand {
                need: *need,
                nodes: *nodes,
                on: on.clone(),
            };
            demands.extend(of.iter().map(demand));
        }
        Some(typical(roster.kinds(), &demands))
    }
}
