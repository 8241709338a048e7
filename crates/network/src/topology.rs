//! Which sites there are, which links join them, and the shortest ways from one to another.

mod spread;

use crate::Error;
use model::link::Hop;
use model::{Bytes, LinkId, Moment, Rate, Span};
use pathfinding::prelude::yen;
use rustc_hash::FxHashMap;
pub use spread::Spread;
use spread::{Distances, NEVER};
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
    /// What crossing it costs, in the caller's unit; paths are not chosen by it.
    pub toll: u64,
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
    /// The numbers of the directions crossed in its topology, in order: twice the place of the link,
    /// one more backward.
    pub directions: Vec<usize>,
}

/// The paths between two sites, as they are remembered: without the only way out of the one and into
/// the other.
#[derive(Debug)]
pub(crate) struct Routes {
    first: Option<Way>,
    pub(crate) paths: Arc<[Path]>,
    last: Option<Way>,
}

/// A path that is not put together yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route<'a> {
    first: Option<Way>,
    path: &'a Path,
    last: Option<Way>,
    /// As of [`Path`].
    pub(crate) latency_us: u64,
    /// As of [`Path`].
    pub(crate) capacity: Rate,
}

impl Route<'_> {
    /// As of [`Path`].
    pub(crate) fn directions(&self) -> impl Iterator<Item = usize> {
        let ends = [&self.first, &self.last].map(|way| way.iter().map(Way::direction));
        let [first, last] = ends;
        first.chain(self.path.directions.iter().copied()).chain(last)
    }

    /// The latency in milliseconds, rounded up so that a plan never arrives early.
    pub(crate) const fn latency(&self) -> Span {
        Span(self.latency_us.div_ceil(1_000))
    }

    /// When `volume` would arrive if nothing else were on the path and it left at `not_before`, no
    /// faster than `most`. No plan over this path arrives earlier. `None` when it never would.
    pub(crate) fn soonest(&self, volume: Bytes, not_before: Moment, most: Rate) -> Option<Moment> {
        let takes = match volume {
            Bytes::ZERO => Span::ZERO,
            _ => volume.time_at(self.capacity.min(most))?,
        };
        Some(not_before + takes + self.latency())
    }
}

impl Path {
    /// From a site to itself.
    const fn empty() -> Self {
        Self { hops: Vec::new(), latency_us: 0, capacity: Rate::MAX, directions: Vec::new() }
    }
}

/// The sites of one topology that may be touched: where a dataset may be, even in passing.
#[derive(Debug, Clone)]
pub struct Allowed {
    /// Sets of the same sites have the same number.
    number: u32,
    sites: Arc<[bool]>,
}

impl Allowed {
    fn has(&self, site: usize) -> bool {
        self.sites.get(site).is_some_and(|allowed| *allowed)
    }
}

/// A question for paths: from, to, how many at most, over which set of sites.
type Question = (usize, usize, usize, u32);
/// A question for distances: from, over which set of sites.
type From = (usize, u32);
/// Answers given before. Only speed depends on them.
#[derive(Debug, Default)]
struct Known {
    allowed: BTreeMap<Arc<[bool]>, u32>,
    within: BTreeMap<Vec<String>, Allowed>,
    paths: BTreeMap<Question, Arc<[Path]>>,
    distances: BTreeMap<From, Distances>,
    tolls: BTreeMap<From, Distances>,
}

/// How many answers are remembered before all are forgotten.
const REMEMBERED: usize = 1 << 16;

/// Sites and links. Immutable; the order in which they were given makes no difference.
#[derive(Debug)]
pub struct Topology {
    /// By name.
    sites: Vec<Site>,
    /// The number of each by its name.
    numbers: FxHashMap<String, usize>,
    /// By name.
    links: Vec<Link>,
    /// For each site the ways that lead out of it.
    out: Vec<Vec<Way>>,
    /// For each site the ways to sites that lead on, and what each is to a search: the number of the
    /// site it leads to, unless others lead there as well. Then it has a number of its own, the
    /// sites' and its place among those `parallel`: they make different paths.
    onward: Vec<Vec<(usize, Way)>>,
    /// The ways beside which others lead from the same site to the same.
    parallel: Vec<Way>,
    /// For each site the ways that lead into it, and where they come from.
    into: Vec<Vec<(Way, usize)>>,
    /// For each site the capacity of the widest link that ends there.
    widest: Vec<Rate>,
    /// The capacity of the narrowest link.
    narrowest: Rate,
    /// The number of each direction: twice its link's, one more backward.
    directions: Arc<BTreeMap<Hop, usize>>,
    /// Whether crossing any link costs anything.
    has_tolls: bool,
    /// Behind a lock because everyone who plans on this topology shares it.
    known: Mutex<Known>,
}

/// A direction of a link, and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Way {
    link: usize,
    forward: bool,
    to: usize,
}

impl Way {
    fn direction(&self) -> usize {
        2 * self.link + usize::from(!self.forward)
    }
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
        let mut into = vec![Vec::new(); sites.len()];
        let mut widest = vec![Rate(0); sites.len()];
        for (i, link) in links.iter().enumerate() {
            let end = |site: &String| {
                index_of(&sites, site)
                    .ok_or_else(|| Error::NoSuchEnd { link: link.link.clone(), site: site.clone() })
            };
            let (a, b) = (end(&link.a)?, end(&link.b)?);
            if a == b {
                return Err(Error::SameEnds { link: link.link.clone(), site: link.a.clone() });
            }
            for (forward, from, to) in [(true, a, b), (false, b, a)] {
                let way = Way { link: i, forward, to };
                out[from].push(way);
                into[to].push((way, from));
                widest[to] = widest[to].max(link.capacity);
            }
        }
        let numbers = sites.iter().map(|site| site.name.clone()).zip(0..).collect();
        let has_tolls = links.iter().any(|link| link.toll > 0);
        let hops = links
            .iter()
            .flat_map(|link| [true, false].map(|forward| Hop { link: link.link.clone(), forward }));
        let directions = Arc::new(hops.zip(0..).collect());
        let narrowest = links.iter().map(|link| link.capacity).min().unwrap_or(Rate(0));
        let known = Mutex::default();
        let (onward, parallel) = onward(&out);
        Ok(Self {
            sites,
            numbers,
            links,
            out,
            onward,
            parallel,
            into,
            widest,
            narrowest,
            directions,
            has_tolls,
            known,
        })
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
        let sites: Arc<[bool]> = self.sites.iter().map(|site| may(&site.region)).collect();
        let mut known = self.known();
        let next = u32::try_from(known.allowed.len()).unwrap_or(u32::MAX);
        let number = *known.allowed.entry(Arc::clone(&sites)).or_insert(next);
        Allowed { number, sites }
    }

    /// The sites `may` allows, worked out once for each list of `regions` that it speaks for.
    #[must_use]
    pub fn within(&self, regions: &[String], may: impl Fn(&str) -> bool) -> Allowed {
        let known = self.known().within.get(regions).cloned();
        known.unwrap_or_else(|| {
            let allowed = self.allow(may);
            self.known().within.insert(regions.to_vec(), allowed.clone());
            allowed
        })
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn directions(&self) -> Arc<BTreeMap<Hop, usize>> {
        Arc::clone(&self.directions)
    }

    /// The capacity of the narrowest link.
    pub(crate) const fn narrowest(&self) -> Rate {
        self.narrowest
    }

    /// A site's number in this topology, for questions that are asked often.
    #[must_use]
    pub fn number(&self, site: &str) -> Option<usize> {
        self.numbers.get(site).copied()
    }

    /// The only direction that leads out of a site, where there is but one: the same link is the
    /// only one that leads in.
    pub(crate) fn only_way_out(&self, site: usize) -> Option<usize> {
        self.stub(site).map(|way| way.direction())
    }

    /// The only direction that leads into a site, where there is but one.
    pub(crate) fn only_way_in(&self, site: usize) -> Option<usize> {
        self.stub(site).map(|way| Way { forward: !way.forward, ..way }.direction())
    }

    /// The at most `k` shortest paths that touch only `allowed` sites, both ends among them: least
    /// latency first, then fewest hops, then by the hops' names. Which of several equal ones make it
    /// into the first `k` is the same on every machine. None when a site is unknown.
    #[must_use]
    pub fn paths(&self, from: &str, to: &str, k: usize, allowed: &Allowed) -> Arc<[Path]> {
        match (self.number(from), self.number(to)) {
            (Some(from), Some(to)) => {
                let routes = self.routes(from, to, k, allowed);
                let whole = |path| self.whole(&self.route(&routes, path));
                routes.paths.iter().map(whole).collect()
            }
            _ => Arc::new([]),
        }
    }

    /// [`Self::paths`] between sites by number.
    pub(crate) fn routes(&self, from: usize, to: usize, k: usize, allowed: &Allowed) -> Routes {
        // Sites at the end of one link are most: all their ways are the ways of the site at its
        // other end, and only those are searched for and remembered.
        let first = self.stub(from).filter(|_| from != to);
        let start = first.map_or(from, |way| way.to);
        let last = self.stub(to).filter(|_| start != to);
        let end = last.map_or(to, |way| way.to);
        let paths = match allowed.has(from) && allowed.has(to) {
            true => self.paths_between(start, end, k, allowed),
            false => Arc::new([]),
        };
        Routes { first, paths, last: last.map(|way| Way { to, forward: !way.forward, ..way }) }
    }

    /// A path of these routes and the ways at its ends.
    pub(crate) fn route<'a>(&self, of: &Routes, path: &'a Path) -> Route<'a> {
        let (first, last) = (of.first, of.last);
        let mut route =
            Route { first, path, last, latency_us: path.latency_us, capacity: path.capacity };
        for way in first.iter().chain(&last) {
            let link = &self.links[way.link];
            route.latency_us = route.latency_us.saturating_add(link.latency_us);
            route.capacity = route.capacity.min(link.capacity);
        }
        route
    }

    /// The whole path.
    pub(crate) fn whole(&self, route: &Route<'_>) -> Path {
        let mut whole = Path::empty();
        route.first.iter().for_each(|way| self.go_on(&mut whole, way));
        whole.hops.extend_from_slice(&route.path.hops);
        whole.directions.extend_from_slice(&route.path.directions);
        route.last.iter().for_each(|way| self.go_on(&mut whole, way));
        (whole.latency_us, whole.capacity) = (route.latency_us, route.capacity);
        whole
    }

    /// The only way out of a site, where there is but one.
    fn stub(&self, site: usize) -> Option<Way> {
        match self.out[site].as_slice() {
            [way] => Some(*way),
            _ => None,
        }
    }

    fn paths_between(&self, from: usize, to: usize, k: usize, allowed: &Allowed) -> Arc<[Path]> {
        let question = (from, to, k, allowed.number);
        if let Some(paths) = self.known().paths.get(&question) {
            return Arc::clone(paths);
        }
        let paths = match k {
            1 => self.shortest(from, to, allowed).into_iter().collect(),
            _ => self.search(from, to, k, allowed),
        };
        let mut known = self.known();
        if known.paths.len() >= REMEMBERED {
            known.paths.clear();
        }
        known.paths.insert(question, Arc::clone(&paths));
        paths
    }

    /// The shortest path: of least latency, then of fewest hops, then by the hops' names from the
    /// last to the first.
    fn shortest(&self, from: usize, to: usize, allowed: &Allowed) -> Option<Path> {
        let distances = self.distances(from, allowed);
        if distances[to] == NEVER {
            return None;
        }
        let (mut ways, mut here) = (Vec::new(), to);
        while here != from {
            let left = distances[here];
            let before = self.into[here].iter().filter(|(way, site)| {
                distances[*site] != NEVER && distances[*site] + self.cost(way) == left
            });
            let (way, site) = before.min_by_key(|(way, _)| (way.link, !way.forward))?;
            ways.push(*way);
            here = *site;
        }
        Some(self.path(ways.into_iter().rev()))
    }

    fn search(&self, from: usize, to: usize, k: usize, allowed: &Allowed) -> Arc<[Path]> {
        if !allowed.has(from) {
            return Arc::new([]);
        }
        let successors = |node: &usize| -> Vec<(usize, u64)> {
            let Some(ways) = self.onward.get(*node) else {
                return vec![(self.parallel[*node - self.sites.len()].to, 0)];
            };
            let ways = ways.iter().filter(|(_, way)| allowed.has(way.to));
            ways.map(|(node, way)| (*node, self.cost(way))).collect()
        };
        let found = yen(&from, successors, |node| *node == to, k);
        let way = |pair: &[usize]| {
            let ways = self.onward.get(pair[0])?;
            ways.iter().find(|(node, _)| *node == pair[1]).map(|(_, way)| *way)
        };
        let path = |nodes: &[usize]| self.path(nodes.windows(2).filter_map(way));
        let mut paths: Vec<_> = found.iter().map(|(nodes, _)| path(nodes)).collect();
        paths.sort_by(|x, y| {
            let key = |path: &Path| (path.latency_us, path.hops.len());
            key(x).cmp(&key(y)).then_with(|| x.hops.iter().rev().cmp(y.hops.iter().rev()))
        });
        paths.into()
    }

    fn path(&self, ways: impl Iterator<Item = Way>) -> Path {
        let mut path = Path::empty();
        ways.for_each(|way| self.go_on(&mut path, &way));
        path
    }

    /// Lengthens a path by one hop.
    fn go_on(&self, path: &mut Path, way: &Way) {
        let link = &self.links[way.link];
        path.hops.push(Hop { link: link.link.clone(), forward: way.forward });
        path.directions.push(way.direction());
        path.latency_us = path.latency_us.saturating_add(link.latency_us);
        path.capacity = path.capacity.min(link.capacity);
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

/// Of the ways `out` of each site those that a path can go on from, as a search knows them, and those
/// that are parallel. Nothing leads on from a site at the end of one link.
fn onward(out: &[Vec<Way>]) -> (Vec<Vec<(usize, Way)>>, Vec<Way>) {
    let mut parallel = Vec::new();
    let mut number = |ways: &[Way], way: &Way| {
        let is_alone = ways.iter().filter(|other| other.to == way.to).count() == 1;
        if is_alone {
            return way.to;
        }
        parallel.push(*way);
        out.len() + parallel.len() - 1
    };
    let mut of_site = |ways: &Vec<Way>| {
        let leading_on = ways.iter().filter(|way| out[way.to].len() > 1);
        leading_on.map(|way| (number(ways, way), *way)).collect()
    };
    (out.iter().map(&mut of_site).collect(), parallel)
}

fn index_of(sites: &[Site], name: &str) -> Option<usize> {
    sites.binary_search_by(|site| site.name.as_str().cmp(name)).ok()
}
