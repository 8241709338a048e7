//! Whether claims on one thing ever exceed what there is of it. Chips, cores, memory and bandwidth
//! are all judged by this one sweep.

use model::Moment;
use std::fmt::Display;

/// A claim on part of something during `[from, until)`.
#[derive(Debug, Clone)]
pub(crate) struct Claim<W> {
    pub(crate) who: W,
    pub(crate) from: Moment,
    pub(crate) until: Moment,
    pub(crate) amount: u64,
    /// Whether it is to blame; the others are only counted.
    pub(crate) judged: bool,
}

/// A moment at which more was claimed than there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Overdraft<W> {
    pub(crate) at: Moment,
    pub(crate) total: u64,
    pub(crate) who: Vec<W>,
}

impl<W: Display> Overdraft<W> {
    /// Who claims it, for people.
    pub(crate) fn names(&self) -> String {
        self.who.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The first moment at which more than `has` is claimed, a judged claim among it.
pub(crate) fn overdraft<W: Copy + Ord>(claims: &[Claim<W>], has: u64) -> Option<Overdraft<W>> {
    let sum = |claims: &mut dyn Iterator<Item = &Claim<W>>| {
        claims.fold(0_u64, |sum, claim| sum.saturating_add(claim.amount))
    };
    // Most things are claimed by few: then there is no need to look at when.
    if sum(&mut claims.iter()) <= has {
        return None;
    }
    let mut edges: Vec<(Moment, bool, usize)> = (0..)
        .zip(claims)
        .filter(|(_, claim)| claim.from < claim.until)
        .flat_map(|(i, claim)| [(claim.until, false, i), (claim.from, true, i)])
        .collect();
    // At one moment what ends comes first: claims are half-open.
    edges.sort_unstable();
    let (mut total, mut judged) = (0_i128, 0_u32);
    for (at, begins, i) in edges {
        let Claim { amount, judged: counts, .. } = claims[i];
        if !begins {
            total -= i128::from(amount);
            judged -= u32::from(counts);
            continue;
        }
        total += i128::from(amount);
        judged += u32::from(counts);
        if total > i128::from(has) && judged > 0 {
            let here = || claims.iter().filter(move |c| c.from <= at && at < c.until);
            let mut who: Vec<W> = here().map(|claim| claim.who).collect();
            who.sort_unstable();
            who.dedup();
            return Some(Overdraft { at, total: sum(&mut here()), who });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Claims as (from, until, amount), named `a`, `b`, …; those of capital name are judged.
    fn check(claims: &[(char, u64, u64, u64)], has: u64, expected: Option<(u64, u64, &str)>) {
        let claim = |&(who, from, until, amount): &(char, u64, u64, u64)| {
            let (from, until) = (Moment(from), Moment(until));
            Claim { who, from, until, amount, judged: who.is_uppercase() }
        };
        let claims: Vec<_> = claims.iter().map(claim).collect();
        let found = overdraft(&claims, has).map(|o| (o.at.0, o.total, o.who.iter().collect()));
        assert_eq!(found, expected.map(|(at, total, who)| (at, total, who.to_owned())));
    }

    #[test]
    fn what_begins_as_another_ends_does_not_meet_it() {
        check(&[('A', 0, 10, 5), ('B', 10, 20, 5), ('C', 10, 10, 5)], 5, None);
    }

    #[test]
    fn the_first_moment_beyond_is_told_with_all_who_share_it() {
        let claims = [('A', 0, 10, 2), ('B', 4, 6, 2), ('C', 5, 20, 2), ('D', 5, 6, 1)];
        check(&claims, 5, Some((5, 7, "ABCD")));
        check(&[('A', 0, 10, u64::MAX), ('B', 9, 11, u64::MAX)], 1, Some((0, u64::MAX, "A")));
    }

    #[test]
    fn an_overdraft_of_others_is_not_told_again_until_a_judged_claim_joins_it() {
        check(&[('a', 0, 10, 4), ('b', 0, 10, 4), ('C', 20, 30, 1)], 5, None);
        check(&[('a', 0, 10, 4), ('b', 0, 10, 4), ('C', 7, 30, 1)], 5, Some((7, 9, "Cab")));
    }
}
