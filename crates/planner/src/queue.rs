//! Whose turn it is: between tenants by what they are entitled to, then by fair share; within one by
//! priority, then by age.

use crate::aim::placed;
use crate::class::{ClassId, Turn};
use crate::entitlement::Behind;
use crate::view::View;
use crate::{Aim, Policy};
use model::{JobId, Moment, Span, TenantId};
use sharing::{Draw, Round};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use world::World;

/// Classes that are to have their turn. What is placed is charged to its tenant, so that turns go on
/// to others.
pub(crate) struct Queue {
    round: Round,
    /// Who has less than it is entitled to comes before all others.
    behind: Behind,
    turns: BTreeMap<TenantId, BinaryHeap<Reverse<Turn>>>,
    /// Whose turn it was.
    last: Option<TenantId>,
    /// All classes in one order, where it is not up to tenants' shares.
    all: BinaryHeap<Reverse<(u64, JobId, ClassId)>>,
    /// Where the one stood that had its turn.
    place: u64,
    in_one_order: bool,
}

impl Queue {
    /// These classes, with whose they are.
    pub(crate) fn new<'a>(
        (world, view, policy): (&World, &View, &Policy),
        now: Moment,
        turns: impl Iterator<Item = (&'a TenantId, &'a Turn)>,
    ) -> Self {
        let mut all = BinaryHeap::new();
        let mut by: BTreeMap<TenantId, BinaryHeap<Reverse<Turn>>> = BTreeMap::new();
        for (tenant, turn) in turns {
            if let Some(placed) = placed((world, view, policy), *turn) {
                all.push(Reverse(placed));
                continue;
            }
            match by.get_mut(tenant) {
                Some(turns) => turns.push(Reverse(*turn)),
                None => drop(by.insert(tenant.clone(), [Reverse(*turn)].into())),
            }
        }
        let round = world.shares.standings.round(now, &view.totals, by.keys());
        let behind = Behind::of(view, policy, by.keys());
        Self {
            round,
            behind,
            turns: by,
            last: None,
            all,
            place: 0,
            in_one_order: policy.aim != Aim::Fair,
        }
    }

    /// The class whose turn it is; it is out of the queue until it is put [back](Self::push).
    pub(crate) fn pop(&mut self) -> Option<Turn> {
        if let Some(Reverse((place, job, id))) = self.all.pop() {
            self.place = place;
            return Some((Reverse(0), job, id));
        }
        if let Some(last) = self.last.take()
            && !self.turns.contains_key(&last)
        {
            self.round.leave(&last);
        }
        // Who is not known to standings comes last, in the order of names.
        let first = self.behind.first(|tenant| self.turns.contains_key(tenant));
        let first = first.or_else(|| self.round.first());
        let next = first.or_else(|| self.turns.keys().next())?.clone();
        let turns = self.turns.get_mut(&next)?;
        let Reverse(turn) = turns.pop()?;
        if turns.is_empty() {
            self.turns.remove(&next);
        }
        self.last = Some(next);
        Some(turn)
    }

    /// Has a class of the tenant whose turn it was wait for its next.
    pub(crate) fn push(&mut self, turn: Turn) {
        if self.in_one_order {
            // Alike jobs follow each other: the next is hardly less due than the last.
            let (_, job, id) = turn;
            self.all.push(Reverse((self.place, job, id)));
            return;
        }
        if let Some(tenant) = &self.last {
            self.turns.entry(tenant.clone()).or_default().push(Reverse(turn));
        }
    }

    /// Whether classes of other tenants than the one whose turn it is are to have theirs.
    pub(crate) fn others_wait(&self) -> bool {
        if self.in_one_order {
            return false;
        }
        self.turns.keys().any(|tenant| Some(tenant) != self.last.as_ref())
    }

    /// A tenant was given something.
    pub(crate) fn charge(&mut self, tenant: &TenantId, draw: &Draw, span: Span) {
        // Of one that standings do not know nothing is compared.
        let _unknown = self.round.charge(tenant, draw, span);
        self.behind.charge(tenant, draw.chips);
    }
}
