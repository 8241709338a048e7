//! Who comes next, and why.

use super::{Standing, Standings, Totals};
use crate::tree::Number;
use model::{Moment, TenantId};
use std::cmp::Ordering;
use std::collections::BTreeSet;
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

impl Standing {
    /// Who comes first: the least share for its weight, then the larger weight, then the name. So
    /// who has no weight comes last.
    fn before(&self, other: &Self) -> Ordering {
        let times = |a: &Self, b: &Self| u128::from(a.share.0) * u128::from(b.weight);
        let weighed = times(self, other).cmp(&times(other, self));
        let heavier = other.weight.cmp(&self.weight);
        weighed.then(heavier).then_with(|| self.tenant.cmp(&other.tenant))
    }
}

/// Who is compared at a level.
#[derive(Clone, Copy)]
enum Member {
    /// A tenant with all below it.
    All(Number),
    /// A tenant's own jobs, among its children.
    Own(Number),
}

impl Standings {
    /// Whose turn it is of the tenants that have jobs waiting, and why: from the root down, at each level
    /// who uses the least share of the network for its weight. `None` when nobody known waits.
    ///
    /// Costs O(waiting × depth), and a [`Standings::standing`] for each sibling on the way down that
    /// has somebody waiting. To place several jobs in turn, start what was placed on a clone.
    pub fn next<'a>(
        &self,
        now: Moment,
        totals: &Totals,
        waiting: impl IntoIterator<Item = &'a TenantId>,
    ) -> Option<Turn> {
        let tree = &self.shape.tree;
        let own: BTreeSet<Number> =
            waiting.into_iter().filter_map(|tenant| tree.number(tenant)).collect();
        // A path stops where another was before: all above is there already.
        let mut alive = BTreeSet::new();
        for at in &own {
            let _ = tree.path(*at).take_while(|node| alive.insert(*node)).count();
        }
        let live = |nodes: &[Number]| -> Vec<Member> {
            let waits = nodes.iter().filter(|node| alive.contains(node));
            waits.map(|node| Member::All(*node)).collect()
        };
        let mut members = live(tree.roots());
        let (mut of, mut levels) = (None, Vec::new());
        loop {
            let (level, chosen) = self.level(of, &members, now, totals)?;
            levels.push(level);
            let at = match chosen {
                Member::All(at) => at,
                Member::Own(at) => return Some(Turn { tenant: tree.id(at).clone(), levels }),
            };
            members = live(tree.children(at));
            if members.is_empty() {
                return Some(Turn { tenant: tree.id(at).clone(), levels });
            }
            if own.contains(&at) {
                members.push(Member::Own(at));
            }
            of = Some(at);
        }
    }

    /// Who of these comes first; `None` when there is nobody.
    fn level(
        &self,
        of: Option<Number>,
        members: &[Member],
        now: Moment,
        totals: &Totals,
    ) -> Option<(Level, Member)> {
        let (tree, weights) = (&self.shape.tree, &self.shape.weights);
        let mut standings: Vec<(Standing, Member)> = Vec::with_capacity(members.len());
        for member in members {
            let (at, weight) = match *member {
                Member::All(at) => (at, weights[at]),
                Member::Own(at) => (at, 1),
            };
            let seat = self.seats.get(at);
            let account = match member {
                Member::All(_) => &seat.all,
                Member::Own(_) => &seat.own,
            };
            standings.push((self.read(account, tree.id(at), weight, now, totals), *member));
        }
        let first = standings.iter().enumerate().min_by(|(_, (a, _)), (_, (b, _))| a.before(b))?.0;
        let waiting = standings.len();
        let (chosen, member) = standings.swap_remove(first);
        let runner_up = standings.into_iter().map(|(other, _)| other).min_by(Standing::before);
        let of = of.map(|of| tree.id(of).clone());
        Some((Level { of, chosen, runner_up, waiting }, member))
    }
}
