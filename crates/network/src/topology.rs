//! Which sites there are, which links join them, and the shortest ways from one to another.

use crate::Error;
use model::link::Hop;
use model::{Bytes, LinkId, Moment, Rate, Span};
use pathfinding::prelude::yen;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A place where links end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Its name, unlike any other's.
    pub name: String,
    /// Its region path.
    pub region: String,
}

/// A link between two sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name, unlike any other's.
    pub link: LinkId,
    /// The site at one end.
    pub a: String,
    /// The site at the other end.
    pub b: String,
    /// Capacity, each way on its own.
    pub capacity: Rate,
    /// One-way latency in microseconds.
    pub latency_us: u64,
}

/// A way from one site to another that meets no site twice. From a site to itself it has no hops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The directions crossed, in order.
    pub hops: Vec<Hop>,
    /// One-way latency in microseconds: the sum over the hops.
    pub latency_us: u64,
    /// The least capacity of any hop; `Rate::MAX` without hops.
    pub capacity: Rate,
}

impl Path {
    /// The latency in milliseconds, rounded up so that a plan never arrives early.
    #[must_use]
    pub const fn latency(&self) -> Span {
        Span(self.latency_us.div_ceil(1_000))
    }

    /// When `volume` would arrive if nothing else were on the path and it left at `not_before`, no
    /// faster than `most`. No plan over this path arrives earlier. `None` when it never would.
    #[must_use]
    pub fn soonest(&self, volume: Bytes, not_before: Moment, most: Rate) -> Option<Moment> {
        let takes = match volume {
            Bytes::ZERO => Span::ZERO,
            _ => volume.time_at(self.capacity.min(most))?,
        };
        Some(not_before + takes + self.latency())
    }
}

/// The sites of one topology that may be touched: where a dataset may be, even in passing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Allowed(Arc<[bool]>);

impl Allowed {
    fn has(&self, site: usize) -> bool {
        self.0.get(site).is_some_and(|allowed| *allowed)
    }
}

/// A question for paths: from, to, how many at most, over which sites.
type Question = (usize, usize, usize, Allowed);

/// How many answers are remembered before all are forgotten.
const REMEMBERED: usize = 1 << 16;

/// Sites and links. Immutable; the order in which they were given makes no difference.
#[derive(Debug)]
pub struct Topology {
    /// By name.
    sites: Vec<Site>,
    /// By name.
    links: Vec<Link>,
    /// For each site the ways that lead out of it.
    out: Vec<Vec<Way>>,
    /// Answers given before. Only speed depends on it; behind a lock because everyone who plans on
    /// this topology shares it.
    known: Mutex<BTreeMap<Question, Arc<[Path]>>>,
}

/// A direction of a link, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    link: usize,
    forward: bool,
    to: usize,
}

/// What a path is made of. Ways are nodes beside sites so that parallel links are different paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Node {
    Site(usize),
    Way(Way),
}

impl Topology {
    /// The topology of these sites and links.
    pub fn new(mut sites: Vec<Site>, mut links: Vec<Link>) -> Result<Self, Error> {
        sites.sort_by(|x, y| x.name.cmp(&y.name));
        links.sort_by(|x, y| x.link.cmp(&y.link));
        if let Some(pair) = sites.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::SiteTwice { site: pair[0].name.clone() });
        }
        if let Some(pair) = links.windows(2).find(|pair| pair[0].link == pair[1].link) {
            return Err(Error::LinkTwice { link: pair[0].link.clone() });
        }
        let mut out = vec![Vec::new(); sites.len()];
        for (i, link) in links.iter().enumerate() {
            let end = |site: &String| {
                index_of(&sites, site)
                    .ok_or_else(|| Error::NoSuchEnd { link: link.link.clone(), site: site.clone() })
            };
            let (a, b) = (end(&link.a)?, end(&link.b)?);
            if a == b {
                return Err(Error::SameEnds { link: link.link.clone(), site: link.a.clone() });
            }
            out[a].push(Way { link: i, forward: true, to: b });
            out[b].push(Way { link: i, forward: false, to: a });
        }
        Ok(Self { sites, links, out, known: Mutex::default() })
    }

    /// The sites, by name.
    #[must_use]
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The links, by name.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The sites in regions that `may` be touched.
    #[must_use]
    pub fn allow(&self, may: impl Fn(&str) -> bool) -> Allowed {
        Allowed(self.sites.iter().map(|site| may(&site.region)).collect())
    }

    /// The at most `k` shortest paths that touch only `allowed` sites, both ends among them: least
    /// latency first, then fewest hops, then by the hops' names. Which of several equal ones make it
    /// into the first `k` is the same on every machine. None when a site is unknown.
    #[must_use]
    pub fn paths(&self, from: &str, to: &str, k: usize, allowed: &Allowed) -> Arc<[Path]> {
        let (Some(from), Some(to)) = (index_of(&self.sites, from), index_of(&self.sites, to))
        else {
            return Arc::new([]);
        };
        let question = (from, to, k, allowed.clone());
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(paths) = known().get(&question) {
            return Arc::clone(paths);
        }
        let paths = self.search(from, to, k, allowed);
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(question, Arc::clone(&paths));
        paths
    }

    fn search(&self, from: usize, to: usize, k: usize, allowed: &Allowed) -> Arc<[Path]> {
        if !allowed.has(from) {
            return Arc::new([]);
        }
        // Latency in the upper bits, nodes crossed in the lower: 2^32 of each cannot overflow.
        let cost = |latency_us: u64| (u128::from(latency_us) << 32) + 1;
        let successors = |node: &Node| match *node {
            Node::Way(way) => vec![(Node::Site(way.to), cost(0))],
            Node::Site(site) => {
                let ways = self.out[site].iter().filter(|way| allowed.has(way.to));
                ways.map(|way| (Node::Way(*way), cost(self.links[way.link].latency_us))).collect()
            }
        };
        let found = yen(&Node::Site(from), successors, |node| *node == Node::Site(to), k);
        let mut paths: Vec<_> = found.iter().map(|(nodes, _)| self.path(nodes)).collect();
        paths.sort_by(|x, y| {
            let key = |path: &Path| (path.latency_us, path.hops.len());
            key(x).cmp(&key(y)).then_with(|| x.hops.cmp(&y.hops))
        });
        paths.into()
    }

    fn path(&self, nodes: &[Node]) -> Path {
        let mut path = Path { hops: Vec::new(), latency_us: 0, capacity: Rate::MAX };
        for node in nodes {
            if let Node::Way(way) = node {
                let link = &self.links[way.link];
                path.hops.push(Hop { link: link.link.clone(), forward: way.forward });
                path.latency_us = path.latency_us.saturating_add(link.latency_us);
                path.capacity = path.capacity.min(link.capacity);
            }
        }
        path
    }

    /// The region in which the shortest path of all first leaves the `allowed` sites. `None` when
    /// there is no path at all, or that one is allowed.
    #[must_use]
    pub fn forbidden_on_the_way(&self, from: &str, to: &str, allowed: &Allowed) -> Option<&str> {
        let shortest = self.paths(from, to, 1, &self.allow(|_| true));
        let ends = |hop: &Hop| {
            let link = &self.links[self.links.binary_search_by(|l| l.link.cmp(&hop.link)).ok()?];
            index_of(&self.sites, if hop.forward { &link.b } else { &link.a })
        };
        let hops = &shortest.first()?.hops;
        let mut crossed =
            index_of(&self.sites, from).into_iter().chain(hops.iter().filter_map(ends));
        crossed.find(|site| !allowed.has(*site)).map(|site| self.sites[site].region.as_str())
    }
}

fn index_of(sites: &[Site], name: &str) -> Option<usize> {
    sites.binary_search_by(|site| site.name.as_str().cmp(name)).ok()
}
