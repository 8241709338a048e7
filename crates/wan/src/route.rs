//! Which link each site sends on toward each other one: the way of least delay.

use pathfinding::directed::dijkstra::dijkstra_all;
use std::collections::BTreeMap;

/// A link as the way finder sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// The sites at its ends.
    pub(crate) ends: [usize; 2],
    /// The delay from the first end to the second and back, in nanoseconds.
    pub(crate) nanos: [u64; 2],
    /// Whether it carries anything.
    pub(crate) up: bool,
}

/// A direction in which traffic may leave a site.
struct Exit {
    to: usize,
    cost: Cost,
    link: usize,
}

/// For each site, the first link of the way of least delay to every site that can be reached. Among
/// ways of the same delay that with fewer links wins.
pub(crate) fn first_links(sites: usize, links: &[Span]) -> Vec<BTreeMap<usize, usize>> {
    let mut exits: Vec<Vec<Exit>> = (0..sites).map(|_| Vec::new()).collect();
    for (link, span) in links.iter().enumerate().filter(|(_, span)| span.up) {
        let [a, b] = span.ends;
        exits[a].push(Exit { to: b, cost: Cost(span.nanos[0], 1), link });
        exits[b].push(Exit { to: a, cost: Cost(span.nanos[1], 1), link });
    }
    (0..sites).map(|site| first_links_of(site, &exits)).collect()
}

fn first_links_of(site: usize, exits: &[Vec<Exit>]) -> BTreeMap<usize, usize> {
    let reached = dijkstra_all(&site, |at| {
        exits[*at].iter().map(|exit| (exit.to, exit.cost)).collect::<Vec<_>>()
    });
    let first = |target: usize| {
        let mut at = target;
        while let Some((before, _)) = reached.get(&at) {
            if *before == site {
                let links = exits[site].iter().filter(|exit| exit.to == at);
                return links.min_by_key(|exit| exit.cost).map(|exit| exit.link);
            }
            at = *before;
        }
        None
    };
    reached.keys().filter_map(|target| Some((*target, first(*target)?))).collect()
}

/// Delay, then links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Cost(u64, usize);

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0), self.1 + other.1)
    }
}

impl pathfinding::num_traits::Zero for Cost {
    fn zero() -> Self {
        Self::default()
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(a: usize, b: usize, nanos: u64) -> Span {
        Span { ends: [a, b], nanos: [nanos, nanos], up: true }
    }

    /// Follows the routes from `a` to `b`; the delay of that way.
    fn walk(links: &[Span], routes: &[BTreeMap<usize, usize>], a: usize, b: usize) -> Option<u64> {
        let (mut at, mut nanos) = (a, 0);
        for _ in 0..=routes.len() {
            if at == b {
                return Some(nanos);
            }
            let span = links[*routes[at].get(&b)?];
            let way = usize::from(span.ends[0] != at);
            nanos += span.nanos[way];
            at = span.ends[1 - way];
        }
        None
    }

    #[test]
    fn traffic_goes_around_where_that_is_faster_and_directly_where_it_is_not() {
        let mut links = [both(0, 1, 10), both(1, 2, 10), both(0, 2, 30)];
        assert_eq!(first_links(3, &links)[0], BTreeMap::from([(1, 0), (2, 0)]));
        links[2].nanos = [20, 30];
        assert_eq!(first_links(3, &links)[0][&2], 2, "one link rather than two");
        assert_eq!(first_links(3, &links)[2][&0], 1, "the way back is another");
        links[0].up = false;
        assert_eq!(first_links(3, &links)[0], BTreeMap::from([(1, 2), (2, 2)]));
        links[2].up = false;
        assert!(first_links(3, &links)[0].is_empty());
    }

    proptest! {
        #[test]
        fn following_the_routes_takes_the_least_delay_there_is(
            links in prop::collection::vec((0_usize..6, 0_usize..6, 0_u64..50, 0_u64..50), 0..12),
        ) {
            let span = |(a, b, there, back)| Span { ends: [a, b], nanos: [there, back], up: true };
            let links: Vec<_> = links.into_iter().filter(|link| link.0 != link.1).map(span).collect();
            let routes = first_links(6, &links);
            // Floyd and Warshall, as the judge.
            let mut least = [[None; 6]; 6];
            for (at, row) in least.iter_mut().enumerate() {
                row[at] = Some(0);
            }
            for Span { ends: [a, b], nanos, .. } in &links {
                for (from, to, nanos) in [(*a, *b, nanos[0]), (*b, *a, nanos[1])] {
                    least[from][to] = Some(least[from][to].map_or(nanos, |old: u64| old.min(nanos)));
                }
            }
            for middle in 0..6 {
                for from in 0..6 {
                    for to in 0..6 {
                        let (Some(one), Some(two)) = (least[from][middle], least[middle][to]) else {
                            continue;
                        };
                        let old = least[from][to].unwrap_or(u64::MAX);
                        least[from][to] = Some(old.min(one + two));
                    }
                }
            }
            for (from, row) in least.iter().enumerate() {
                for (to, nanos) in row.iter().enumerate() {
                    prop_assert_eq!(walk(&links, &routes, from, to), *nanos);
                }
            }
        }
    }
}
