//! Who comes next, and why.

use super::{Draw, Share, Standing, Standings, Totals};
use crate::Error;
use crate::tree::Number;
use model::{Moment, Span, TenantId};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One comparison on the way down to who is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Whose members were compared; `None` for those that have no parent.
    pub of: Option<TenantId>,
    /// Who comes first: has the least share for its weight.
    pub chosen: Standing,
    /// Who would come next; `None` when nobody else waits here.
    pub runner_up: Option<Standing>,
    /// How many of them have jobs that wait, themselves or below.
    pub waiting: usize,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(of) => write!(f, "in `{of}`: {}", self.chosen)?,
            None => write!(f, "in the network: {}", self.chosen)?,
        }
        match &self.runner_up {
            Some(other) => write!(f, " comes before {other}"),
            None => write!(f, " is alone"),
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who.
    pub tenant: TenantId,
    /// Why: the comparisons from the root down. Where a tenant's own jobs were compared with its
    /// children's, its name is among theirs.
    pub levels: Vec<Level>,
}

/// Who is compared at a level: a tenant with all below it, or only its own jobs among its children's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Own(Number),
    All(Number),
}

/// A member with what decides its place. The least share for its weight comes first, then the larger
/// weight, then the name: siblings are numbered by it. So who has no weight comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rank {
    share: Share,
    weight: u32,
    member: Member,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let times = |a: &Self, b: &Self| u128::from(a.share.0) * u128::from(b.weight);
        let weighed = times(self, other).cmp(&times(other, self));
        let heavier = other.weight.cmp(&self.weight);
        weighed.then(heavier).then(self.member.cmp(&other.member))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A round of turns at one moment, among tenants that wait. What is placed in it is charged to the
/// round alone, not to the standings it began with.
///
/// Beginning one costs O(depth) and a few standings for each that waits; each question and change after
/// that O(depth × log siblings).
#[derive(Debug, Clone)]
pub struct Round {
    standings: Standings,
    now: Moment,
    totals: Totals,
    /// Those compared, by the tenant they are members of.
    levels: BTreeMap<Option<Number>, BTreeSet<Rank>>,
    ranks: BTreeMap<Member, Rank>,
}

impl Standings {
    /// Whose turn it is of the tenants that have jobs waiting, and why: from the root down, at each level
    /// who uses the least share of the network for its weight. `None` when nobody known waits. To give
    /// several turns, take a [`Standings::round`].
    pub fn next<'a>(
        &self,
        now: Moment,
        totals: &Totals,
        waiting: impl IntoIterator<Item = &'a TenantId>,
    ) -> Option<Turn> {
        self.round(now, totals, waiting).turn()
    }

    /// A round of turns among the tenants that have jobs waiting; unknown ones are left out.
    pub fn round<'a>(
        &self,
        now: Moment,
        totals: &Totals,
        waiting: impl IntoIterator<Item = &'a TenantId>,
    ) -> Round {
        let standings = self.clone();
        let (levels, ranks) = (BTreeMap::new(), BTreeMap::new());
        let mut round = Round { standings, now, totals: *totals, levels, ranks };
        waiting.into_iter().for_each(|tenant| round.join(tenant));
        round
    }
}

impl Round {
    /// Whose turn it is; `None` when nobody waits. [`Round::turn`] says why, and takes longer for it.
    #[must_use]
    pub fn first(&self) -> Option<&TenantId> {
        let mut of = None;
        loop {
            let first = self.levels.get(&of)?.first()?;
            match first.member {
                Member::All(at) if self.levels.contains_key(&Some(at)) => of = Some(at),
                Member::All(at) | Member::Own(at) => return Some(self.standings.shape.tree.id(at)),
            }
        }
    }

    /// Whose turn it is, and why; `None` when nobody waits.
    #[must_use]
    pub fn turn(&self) -> Option<Turn> {
        let tree = &self.standings.shape.tree;
        let (mut of, mut levels) = (None, Vec::new());
        loop {
            let level = self.levels.get(&of)?;
            let mut members = level.iter();
            let first = members.next().expect("an empty level is removed");
            // Among itself alone there is nothing to compare.
            if levels.is_empty() || level.len() > 1 || matches!(first.member, Member::All(_)) {
                let chosen = self.standing(first.member);
                let runner_up = members.next().map(|rank| self.standing(rank.member));
                let of = of.map(|of| tree.id(of).clone());
                levels.push(Level { of, chosen, runner_up, waiting: level.len() });
            }
            match first.member {
                Member::All(at) if self.levels.contains_key(&Some(at)) => of = Some(at),
                Member::All(at) | Member::Own(at) => {
                    return Some(Turn { tenant: tree.id(at).clone(), levels });
                }
            }
        }
    }

    /// Counts what a job will draw as if its tenant had just used it for so long.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownTenant`].
    pub fn charge(&mut self, tenant: &TenantId, draw: &Draw, span: Span) -> Result<(), Error> {
        let from = Moment(self.now.0.saturating_sub(span.0));
        self.standings.used(tenant, draw, from, self.now)?;
        let at = self.standings.number(tenant)?;
        let path: Vec<_> = self.standings.shape.tree.path(at).map(Member::All).collect();
        for member in path.into_iter().chain([Member::Own(at)]) {
            if let Some(old) = self.ranks.get(&member).copied() {
                let key = self.level_of(member);
                if let Some(level) = self.levels.get_mut(&key) {
                    level.remove(&old);
                }
                self.put(member);
            }
        }
        Ok(())
    }

    /// A tenant has jobs that wait. Nothing changes if it had, or is unknown.
    pub fn join(&mut self, tenant: &TenantId) {
        let Ok(at) = self.standings.number(tenant) else { return };
        if self.levels.contains_key(&Some(at)) {
            return self.put(Member::Own(at));
        }
        let mut node = at;
        while !self.ranks.contains_key(&Member::All(node)) {
            self.put(Member::All(node));
            let Some(parent) = self.standings.shape.tree.parent(node) else { return };
            // One that waited alone until now is compared with its children from now on.
            let alone = self.levels.get(&Some(parent)).is_some_and(|level| level.len() == 1);
            if alone && self.ranks.contains_key(&Member::All(parent)) {
                self.put(Member::Own(parent));
            }
            node = parent;
        }
    }

    /// Nothing of a tenant waits any more. Nothing changes if nothing did.
    pub fn leave(&mut self, tenant: &TenantId) {
        let Ok(at) = self.standings.number(tenant) else { return };
        let inner = self.levels.contains_key(&Some(at));
        let mut member = if inner { Member::Own(at) } else { Member::All(at) };
        while let Some(rank) = self.ranks.remove(&member) {
            let key = self.level_of(member);
            let level = self.levels.get_mut(&key).expect("who is ranked is at a level");
            level.remove(&rank);
            if !level.is_empty() {
                return;
            }
            self.levels.remove(&key);
            let Some(parent) = key else { return };
            member = Member::All(parent);
        }
    }

    fn level_of(&self, member: Member) -> Option<Number> {
        match member {
            Member::Own(at) => Some(at),
            Member::All(at) => self.standings.shape.tree.parent(at),
        }
    }

    fn put(&mut self, member: Member) {
        let Standing { share, weight, .. } = self.standing(member);
        let rank = Rank { share, weight, member };
        self.ranks.insert(member, rank);
        self.levels.entry(self.level_of(member)).or_default().insert(rank);
    }

    fn standing(&self, member: Member) -> Standing {
        let (Member::Own(at) | Member::All(at)) = member;
        let (seat, shape) = (self.standings.seats.get(at), &self.standings.shape);
        let (account, weight) = match member {
            Member::Own(_) => (&seat.own, 1),
            Member::All(_) => (&seat.all, shape.weights[at]),
        };
        self.standings.read(account, shape.tree.id(at), weight, self.now, &self.totals)
    }
}
