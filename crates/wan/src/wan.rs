//! A running network: setting it up, its routes, and finding its parts.

use crate::live::{Direction, Link, Site};
use crate::namespace;
use crate::owner::Owner;
use crate::pump::{Ends, Pump};
use crate::quality::MTU;
use crate::route::{Span, first_links};
use crate::{Packets, Topology, WanError};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tun_rs::{DeviceBuilder, SyncDevice};

/// How many packets the kernel keeps for a thread that is not there yet: more than any machine
/// sends in the milliseconds that takes, so that what is dropped is dropped by the line and counted.
const KERNEL_QUEUE: u32 = 10_000;

/// What may be chosen when a network starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Namespaces are called `wan-PREFIX-SITE`; none: a prefix by chance.
    pub prefix: Option<String>,
    /// Whether traffic finds another way when a link is cut.
    pub reroute: bool,
    /// Decides which packets are lost and how much each one's delay varies.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { prefix: None, reroute: true, seed: 1 }
    }
}

/// A network that is running. Dropping it, also by a panic, removes all of it: its namespaces, and
/// by SIGKILL the processes still in them. What a killed process leaves, [`crate::clean`] removes.
#[derive(Debug)]
pub struct Wan {
    pub(crate) topology: Topology,
    pub(crate) namespaces: Vec<String>,
    // Before the owner, which removes the namespaces: fields are dropped in this order.
    pub(crate) pumps: Vec<[Pump; 2]>,
    /// For each site the first link toward each other one, as the kernel has it.
    routes: Mutex<Vec<BTreeMap<usize, usize>>>,
    reroute: bool,
    prefix: String,
    _owner: Owner,
}

impl Wan {
    /// Why no network can be started here, as this user; none where it can. Tests skip with it.
    #[must_use]
    pub fn obstacle() -> Option<String> {
        namespace::obstacle()
    }

    /// Sets the network up. When this returns, packets flow.
    ///
    /// # Errors
    ///
    /// When this user or machine cannot, another running network has the prefix, or the kernel
    /// refuses; nothing is left then.
    pub fn start(topology: &Topology, options: Options) -> Result<Self, WanError> {
        if let Some(why) = namespace::obstacle() {
            return Err(WanError::Unavailable { why });
        }
        let prefix = options.prefix.map_or_else(any_prefix, check_prefix)?;
        let name = |site: &String| format!("wan-{prefix}-{site}");
        let namespaces: Vec<_> = topology.sites().iter().map(name).collect();
        let owner = Owner::claim(&prefix, namespaces.clone())?;
        namespace::create(&namespaces)?;
        let mut devices = Devices::new();
        for (site, namespace) in namespaces.iter().enumerate() {
            namespace::prepare(namespace)?;
            devices.extend(devices_of(topology, site, namespace)?);
            namespace::configure(namespace, &interfaces(topology, site))?;
        }
        let wan = Self {
            topology: topology.clone(),
            pumps: pumps(topology, &devices, options.seed)?,
            routes: Mutex::new(vec![BTreeMap::new(); namespaces.len()]),
            namespaces,
            reroute: options.reroute,
            prefix,
            _owner: owner,
        };
        wan.route(&mut wan.routes())?;
        Ok(wan)
    }

    /// What distinguishes this network's namespaces from those of others.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether its threads may go before all ordinary ones (`SCHED_FIFO`). If not, times are late by
    /// milliseconds while the machine is busy.
    #[must_use]
    pub fn is_realtime(&self) -> bool {
        self.pumps.iter().flatten().all(|pump| pump.realtime)
    }

    /// Its sites, in the order of the topology.
    pub fn sites(&self) -> impl Iterator<Item = Site<'_>> {
        (0..self.namespaces.len()).map(|site| Site { wan: self, site })
    }

    /// The site of this name.
    ///
    /// # Errors
    ///
    /// When there is none; the message names those there are.
    pub fn site(&self, name: &str) -> Result<Site<'_>, WanError> {
        self.sites().find(|site| site.name() == name).ok_or_else(|| WanError::NoSuchSite {
            site: name.to_owned(),
            known: listed(self.topology.sites()),
        })
    }

    /// Its links, in the order of the topology.
    pub fn links(&self) -> impl Iterator<Item = Link<'_>> {
        (0..self.pumps.len()).map(|link| Link { wan: self, link })
    }

    /// The link between two sites, in either order.
    ///
    /// # Errors
    ///
    /// When there is none; the message names those there are.
    pub fn link(&self, one: &str, other: &str) -> Result<Link<'_>, WanError> {
        let name = format!("{one}-{other}");
        let ends = [self.site(one)?.site, self.site(other)?.site];
        let same = |link: &Link<'_>| {
            let found = self.topology.links()[link.link].ends;
            found == ends || found == [ends[1], ends[0]]
        };
        self.links().find(same).ok_or_else(|| self.no_such_link(&name))
    }

    /// The link called `one-other` or `other-one`.
    ///
    /// # Errors
    ///
    /// When there is none, or hyphens in the names make it two; the message names those there are.
    pub fn link_named(&self, name: &str) -> Result<Link<'_>, WanError> {
        let called = |link: &Link<'_>| {
            let [there, back] = link.ways();
            let names = [&there, &back].map(|way| format!("{}-{}", way.from(), way.to()));
            names.iter().any(|other| other == name)
        };
        let mut found = self.links().filter(called);
        match (found.next(), found.next()) {
            (Some(link), None) => Ok(link),
            _ => Err(self.no_such_link(name)),
        }
    }

    /// The direction of a link from one site to its neighbor.
    ///
    /// # Errors
    ///
    /// When no link joins them.
    pub fn direction(&self, from: &str, to: &str) -> Result<Direction<'_>, WanError> {
        let [there, back] = self.link(from, to)?.ways();
        Ok(if there.from() == from { there } else { back })
    }

    fn no_such_link(&self, name: &str) -> WanError {
        let known: Vec<_> = self.links().map(|link| link.name()).collect();
        WanError::NoSuchLink { link: name.to_owned(), known: listed(&known) }
    }

    /// Cuts or mends a link, and the routes with it.
    pub(crate) fn set_cut(&self, link: usize, cut: bool) -> Result<(), WanError> {
        let mut routes = self.routes();
        for pump in &self.pumps[link] {
            pump.order(|orders| orders.cut = cut);
        }
        if self.reroute { self.route(&mut routes) } else { Ok(()) }
    }

    fn routes(&self) -> MutexGuard<'_, Vec<BTreeMap<usize, usize>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the kernel the routes over links that are up, and notes them.
    fn route(&self, routes: &mut [BTreeMap<usize, usize>]) -> Result<(), WanError> {
        let plans = self.topology.links().iter().zip(&self.pumps);
        let spans = plans.map(|(plan, pumps)| Span {
            ends: plan.ends,
            nanos: plan.ways.map(|way| way.delay.nanos()),
            up: !pumps[0].orders().cut,
        });
        let wanted = first_links(routes.len(), &spans.collect::<Vec<_>>());
        for (site, wanted) in wanted.into_iter().enumerate() {
            let lines = changes(&self.topology, site, &routes[site], &wanted);
            namespace::configure(&self.namespaces[site], &lines)?;
            routes[site] = wanted;
        }
        Ok(())
    }
}

/// The address of a site.
pub(crate) fn address(site: usize) -> Ipv4Addr {
    let number = u32::try_from(site).unwrap_or(u32::MAX).saturating_add(1);
    Ipv4Addr::from_bits((10 << 24) | (number << 8) | 1)
}

/// The address of one end of a link, the other's neighbor.
fn link_address(link: usize, end: usize) -> Ipv4Addr {
    let number = u32::try_from(link * 2 + end).unwrap_or(u32::MAX);
    Ipv4Addr::from_bits((10 << 24 | 128 << 16) + number)
}

fn any_prefix() -> Result<String, WanError> {
    let number = getrandom::u32()
        .map_err(|error| WanError::Unavailable { why: format!("no random numbers: {error}") })?;
    Ok(format!("{number:08x}"))
}

fn check_prefix(prefix: String) -> Result<String, WanError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if (1..=32).contains(&prefix.len()) && prefix.chars().all(plain) {
        return Ok(prefix);
    }
    Err(WanError::Setting {
        said: format!("`{prefix}` cannot be a prefix"),
        expected: "1 to 32 letters, digits and hyphens".to_owned(),
    })
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The links of a site: each with the place of this site among its ends, and the other site.
fn links_of(topology: &Topology, site: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    topology.links().iter().enumerate().filter_map(move |(link, plan)| {
        let end = plan.ends.iter().position(|end| *end == site)?;
        Some((link, end, plan.ends[1 - end]))
    })
}

fn interface(topology: &Topology, neighbor: usize) -> String {
    format!("to-{}", topology.sites()[neighbor])
}

/// The devices of links, by the link and the end it is at.
type Devices = BTreeMap<(usize, usize), Arc<SyncDevice>>;

/// Makes a site's devices.
fn devices_of(topology: &Topology, site: usize, namespace: &str) -> Result<Devices, WanError> {
    namespace::inside(namespace, "make a TUN device", || {
        let device = |(link, end, neighbor): (usize, usize, usize)| {
            let offload = topology.links()[link].packets == Packets::Large;
            let named = DeviceBuilder::new().name(interface(topology, neighbor)).enable(false);
            let chosen = named.with(|builder| {
                builder.offload(offload).packet_information(false).tx_queue_len(KERNEL_QUEUE);
            });
            let device = chosen.build_sync()?;
            device.set_nonblocking(true)?;
            Ok(((link, end), Arc::new(device)))
        };
        links_of(topology, site).map(device).collect()
    })
}

/// The `ip` commands that give a site its addresses and bring its interfaces up.
fn interfaces(topology: &Topology, site: usize) -> Vec<String> {
    let mut lines =
        vec!["link set lo up".to_owned(), format!("address add {}/32 dev lo", address(site))];
    for (link, end, neighbor) in links_of(topology, site) {
        let interface = interface(topology, neighbor);
        lines.push(format!("address add {}/31 dev {interface}", link_address(link, end)));
        lines.push(format!("link set {interface} mtu {MTU} up"));
    }
    lines
}

/// The `ip` commands that make a site's routes the wanted ones.
fn changes(
    topology: &Topology,
    site: usize,
    have: &BTreeMap<usize, usize>,
    wanted: &BTreeMap<usize, usize>,
) -> Vec<String> {
    let gone = have.keys().filter(|target| !wanted.contains_key(target));
    let mut lines: Vec<_> =
        gone.map(|target| format!("route delete {}/32", address(*target))).collect();
    for (target, link) in wanted.iter().filter(|(target, link)| have.get(target) != Some(link)) {
        let ends = topology.links()[*link].ends;
        let neighbor = if ends[0] == site { ends[1] } else { ends[0] };
        let mut line = format!("route replace {}/32", address(*target));
        // Traffic comes from the site's own address, not from that of the link it leaves by.
        let (from, by) = (address(site), interface(topology, neighbor));
        let _ = write!(line, " dev {by} src {from}");
        lines.push(line);
    }
    lines
}

fn pumps(topology: &Topology, devices: &Devices, seed: u64) -> Result<Vec<[Pump; 2]>, WanError> {
    let mut pumps = Vec::new();
    for (link, plan) in topology.links().iter().enumerate() {
        let start = |way: usize| {
            let [from, to] = [way, 1 - way].map(|end| Arc::clone(&devices[&(link, end)]));
            let ends = Ends { from, to, packets: plan.packets };
            let place = (link * 2 + way) as u64;
            let name = topology.link_name(plan);
            Pump::start(&name, ends, plan.ways[way], seed.wrapping_add(place))
        };
        pumps.push([start(0)?, start(1)?]);
    }
    Ok(pumps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_addresses_are_the_same() {
        let sites = [0, 255, 999].map(|site| address(site).to_string());
        assert_eq!(sites, ["10.0.1.1", "10.1.0.1", "10.3.232.1"]);
        let ends = [(0, 0), (0, 1), (300, 0)].map(|(link, end)| link_address(link, end));
        assert_eq!(ends.map(|end| end.to_string()), ["10.128.0.0", "10.128.0.1", "10.128.2.88"]);
    }

    #[test]
    fn a_prefix_is_short_and_plain() {
        for bad in ["", "a/b", "..", "a b", &"x".repeat(33)] {
            assert!(check_prefix(bad.to_owned()).is_err(), "{bad}");
        }
        assert!(check_prefix("bench-7".to_owned()).is_ok());
    }

    #[test]
    fn only_routes_that_changed_are_given_to_the_kernel() {
        let text = "[[site]]\nname = \"a\"\n[[site]]\nname = \"b\"\n[[site]]\nname = \"c\"\n\
                    [[link]]\nbetween = [\"a\", \"b\"]\n[[link]]\nbetween = [\"c\", \"a\"]\n";
        let topology = Topology::parse("t.toml", text).unwrap();
        let have = BTreeMap::from([(1, 0), (2, 0)]);
        let lines = changes(&topology, 0, &have, &BTreeMap::from([(2, 1)]));
        assert_eq!(
            lines,
            ["route delete 10.0.2.1/32", "route replace 10.0.3.1/32 dev to-c src 10.0.1.1"]
        );
    }
}
