//! Changes to a network and its policy, as people say them.
//!
//! | path | value |
//! |---|---|
//! | `link.NAME.capacity` | a rate, each way: `100 Gbit/s` |
//! | `link.NAME.price` | for one Gbit/s and hour: `12 CNY` |
//! | `link.NAME.down` | `true` |
//! | `pool.CENTER/POOL.nodes` | how many nodes it has |
//! | `pool.CENTER/POOL.chip` | another chip of the catalog |
//! | `pool.CENTER/POOL.price` | for one chip (one node, without chips) and hour |
//! | `center.NAME.only_tenants` | tenants, commas between them; `all` for everybody |
//! | `policy.reservations` | how many jobs of each tenant have a start reserved |
//! | `policy.paths` | how many paths between two centers are looked at |
//! | `policy.hour_is_worth` | what an hour is worth to a `balanced` job: `10 CNY` |
//! | `policy.stage_ahead` | how long before its start a job's data may be fetched: `10m` |

use crate::Error;
use crate::scenario::Misread;
use controller::Declarations;
use model::file::Catalog;
use model::file::near::{hint, one_of};
use model::file::network::{NetworkFile, read_beside};
use model::{
    CenterId, Link, Money, NotAnAmount, Pool, PriorityClass, Rate, SiteId, Span, TenantId,
};
use planner::Policy;
use serde::Deserialize;
use std::fmt::Display;
use std::str::FromStr;

/// Changes, not yet looked up in any network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Network files, each a name and a text, whose centers, links and tenants are added.
    pub add: Vec<(String, String)>,
    /// Centers that are not there.
    pub remove: Vec<String>,
    /// Paths and the values they are set to.
    pub set: Vec<(String, String)>,
}

/// A file of changes. The files it names are for the caller to read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeFile {
    /// Network files to add, relative to this one.
    #[serde(default)]
    pub add_centers: Vec<String>,
    /// Centers to remove.
    #[serde(default)]
    pub remove_centers: Vec<String>,
    #[serde(default)]
    set: toml::Table,
}

impl ChangeFile {
    /// Reads a file's text.
    pub fn read(name: &str, text: &str) -> Result<Self, Error> {
        toml::from_str(text).map_err(|wrong| {
            let at = wrong.span().unwrap_or(0..0);
            let misread = Misread::at(name, text, at, wrong.message());
            Error::Scenario(Box::new(
                misread.help("the keys are `add_centers`, `remove_centers` and the table `[set]`"),
            ))
        })
    }

    /// What is set, path by path.
    #[must_use]
    pub fn set(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        flatten("", &self.set, &mut found);
        found
    }
}

/// Tables within tables are paths with dots.
fn flatten(above: &str, table: &toml::Table, to: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            toml::Value::Table(table) => flatten(&path, table, to),
            toml::Value::String(text) => to.push((path, text.clone())),
            other => to.push((path, other.to_string())),
        }
    }
}

impl Changes {
    /// Whether nothing is to change.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty() && self.set.is_empty()
    }

    /// Makes the changes: first what is added, then what is removed, then what is set. Says each in
    /// words.
    ///
    /// # Errors
    ///
    /// When a name is unknown, with those that are near, or a value is not what belongs there.
    pub fn make(
        &self,
        network: &mut Declarations,
        policy: &mut Policy,
        catalog: &Catalog,
    ) -> Result<Vec<String>, Error> {
        let mut said = Vec::new();
        if !self.add.is_empty() {
            self.add(network, catalog, &mut said)?;
        }
        for name in &self.remove {
            let known = network.centers.iter().find(|center| center.center.as_str() == name);
            let center = known.map(|center| center.center.clone());
            let names = network.centers.iter().map(|center| center.center.as_str());
            let center = center.ok_or_else(|| unknown("center", name, names))?;
            let links = remove(network, &center);
            said.push(match links {
                0 => format!("center {center} removed"),
                1 => format!("center {center} removed, with its link"),
                many => format!("center {center} removed, with its {many} links"),
            });
        }
        for (path, value) in &self.set {
            said.push(set(network, policy, catalog, path, value)?);
        }
        Ok(said)
    }

    fn add(
        &self,
        network: &mut Declarations,
        catalog: &Catalog,
        said: &mut Vec<String>,
    ) -> Result<(), Error> {
        let catalog: Catalog = catalog.chips().chain(&network.chips).cloned().collect();
        let beside = NetworkFile {
            centers: network.centers.clone(),
            exchanges: network.exchanges.clone(),
            links: network.links.clone(),
            flavors: network.flavors.clone(),
            priority_classes: network.priority_classes.clone(),
            tenants: network.tenants.clone(),
            admission: network.admission,
        };
        let sources: Vec<(&str, &str)> =
            self.add.iter().map(|(name, text)| (&**name, &**text)).collect();
        let added = read_beside(&sources, &catalog, &beside).map_err(Error::Network)?;
        for center in &added.centers {
            let name = &center.center;
            let known = network.centers.iter().any(|known| known.center == *name);
            let chips = center.pools.iter().map(|pool| pool.chips().0 / 1_000).sum::<u64>();
            let what = if known { "declared anew" } else { "added" };
            said.push(format!("center {name} {what}, {chips} chips"));
            let site = SiteId::Center(name.clone());
            let mut links = added.links.iter().chain(&network.links);
            if !links.any(|link| link.a == site || link.b == site) {
                said.push(format!("  it has no link: no data can be brought to {name}"));
            }
        }
        for link in &added.links {
            said.push(format!("link {} added, {}", link.link, link.capacity));
        }
        let NetworkFile { centers, exchanges, links, flavors, priority_classes, tenants, .. } =
            added;
        let used = centers.iter().flat_map(|center| &center.pools);
        for chip in used.filter_map(|pool| catalog.get(pool.chip.as_ref()?)) {
            put(&mut network.chips, chip.clone(), |a, b| a.chip == b.chip);
        }
        centers.into_iter().for_each(|c| put(&mut network.centers, c, |a, b| a.center == b.center));
        exchanges
            .into_iter()
            .for_each(|e| put(&mut network.exchanges, e, |a, b| a.exchange == b.exchange));
        links.into_iter().for_each(|l| put(&mut network.links, l, |a, b| a.link == b.link));
        flavors.into_iter().for_each(|f| put(&mut network.flavors, f, |a, b| a.flavor == b.flavor));
        let same_class =
            |a: &PriorityClass, b: &PriorityClass| a.priority_class == b.priority_class;
        let known = &mut network.priority_classes;
        priority_classes.into_iter().for_each(|class| put(known, class, same_class));
        tenants.into_iter().for_each(|t| put(&mut network.tenants, t, |a, b| a.tenant == b.tenant));
        Ok(())
    }
}

/// Puts something in the place of what is the same, or at the end.
fn put<T>(all: &mut Vec<T>, new: T, same: impl Fn(&T, &T) -> bool) {
    match all.iter().position(|known| same(known, &new)) {
        Some(at) => all[at] = new,
        None => all.push(new),
    }
}

/// Takes a center out of a network, with its links; tells how many. Who was at home there has no
/// home.
pub(crate) fn remove(network: &mut Declarations, center: &CenterId) -> usize {
    network.centers.retain(|known| known.center != *center);
    let site = SiteId::Center(center.clone());
    let before = network.links.len();
    network.links.retain(|link| link.a != site && link.b != site);
    for tenant in &mut network.tenants {
        tenant.home = tenant.home.take().filter(|home| home != center);
    }
    before - network.links.len()
}

/// Sets one thing; says what it was and is.
fn set(
    network: &mut Declarations,
    policy: &mut Policy,
    catalog: &Catalog,
    path: &str,
    value: &str,
) -> Result<String, Error> {
    const KINDS: [&str; 4] = ["link", "pool", "center", "policy"];
    let (kind, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, field) = rest.rsplit_once('.').unwrap_or(("", rest));
    match kind {
        "link" => set_link(network, name, field, value),
        "pool" => set_pool(network, catalog, name, field, value),
        "center" => set_center(network, name, field, value),
        "policy" => set_policy(policy, rest, value),
        "tenant" => Err(Error::Unfit {
            said: format!("`{path}`: not supported yet: shares"),
            help: "the planner does not divide capacity between tenants yet".to_owned(),
        }),
        other => Err(Error::Unfit {
            said: format!("`{path}` begins with no kind of thing{}", hint(other, KINDS)),
            help: format!("begin with {}: `link.NAME.capacity`", one_of(KINDS)),
        }),
    }
}

fn set_link(
    network: &mut Declarations,
    name: &str,
    field: &str,
    value: &str,
) -> Result<String, Error> {
    let names = network.links.iter().map(|link| link.link.as_str());
    let known = network.links.iter().position(|link| link.link.as_str() == name);
    let at = known.ok_or_else(|| unknown("link", name, names))?;
    let link: &mut Link = &mut network.links[at];
    let change = match field {
        "capacity" => {
            let new: Rate = amount(field, value)?;
            if new == Rate::ZERO {
                let help = format!("take the link away with `link.{name}.down=true`");
                return Err(Error::Unfit { said: "a link that carries nothing".to_owned(), help });
            }
            swapped(&mut link.capacity, new)
        }
        "price" => swapped(&mut link.price_per_gbps_hour, amount::<Money>(field, value)?),
        "down" if value == "true" => {
            network.links.remove(at);
            return Ok(format!("link {name} down"));
        }
        "down" => return Err(not("down", value, "`true`")),
        _ => return Err(no_field(&format!("link.{name}"), field, &["capacity", "price", "down"])),
    };
    Ok(format!("link {name}: {field} {change}"))
}

fn set_pool(
    network: &mut Declarations,
    catalog: &Catalog,
    name: &str,
    field: &str,
    value: &str,
) -> Result<String, Error> {
    let all = network.centers.iter().flat_map(|center| {
        center.pools.iter().map(move |pool| format!("{}/{}", center.center, pool.pool))
    });
    let names: Vec<String> = all.collect();
    if !names.iter().any(|known| known == name) {
        return Err(unknown("pool", name, names.iter().map(String::as_str)));
    }
    let chips: Catalog = catalog.chips().chain(&network.chips).cloned().collect();
    let (center, pool) = name.split_once('/').unwrap_or((name, ""));
    let centers = network.centers.iter_mut().filter(|known| known.center.as_str() == center);
    let mut pools = centers.flat_map(|center| &mut center.pools);
    let found = pools.find(|known| known.pool.as_str() == pool);
    let pool: &mut Pool = found.ok_or_else(|| unknown("pool", name, [].into_iter()))?;
    let change = match field {
        "nodes" => match value.parse() {
            Ok(new @ 1..=1_000_000) => swapped(&mut pool.nodes, new),
            _ => return Err(not(field, value, "a whole number from 1 to 1000000")),
        },
        "share" => share(pool, value)?,
        "price" => swapped(&mut pool.price_per_hour, amount::<Money>(field, value)?),
        "chip" => {
            let chip = chips.chips().find(|chip| chip.chip.as_str() == value).cloned();
            let names = chips.chips().map(|chip| chip.chip.as_str());
            let chip = chip.ok_or_else(|| {
                let near = hint(value, names);
                not(field, value, &format!("a chip of the catalog{near}"))
            })?;
            let old = pool.chip.replace(chip.chip.clone());
            let Some(old) = old else {
                pool.chip = None;
                let said = format!("pool {name} has no chips");
                let help = "declare its center anew with --add-center".to_owned();
                return Err(Error::Unfit { said, help });
            };
            if !u32::from(pool.chips_per_node).is_multiple_of(chip.allocation_unit) {
                let expected = format!(
                    "a chip that nodes of {} can be filled with; this one is handed out {} at a time",
                    pool.chips_per_node, chip.allocation_unit
                );
                return Err(not(field, value, &expected));
            }
            put(&mut network.chips, chip, |a, b| a.chip == b.chip);
            format!("{old} → {value}")
        }
        _ => {
            let known = ["nodes", "share", "price", "chip"];
            return Err(no_field(&format!("pool.{name}"), field, &known));
        }
    };
    Ok(format!("pool {name}: {field} {change}"))
}

/// Leaves the network a share of a pool, in whole nodes; the rest its owner keeps.
fn share(pool: &mut Pool, value: &str) -> Result<String, Error> {
    let percent = value.strip_suffix('%').and_then(|text| text.trim_end().parse().ok());
    let percent: u64 = percent
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| not("share", value, "whole percents from `1 %` to `100 %`"))?;
    let lent = u64::from(pool.nodes) * percent / 100;
    match u32::try_from(lent) {
        Ok(lent @ 1..) => {
            let nodes = swapped(&mut pool.nodes, lent);
            Ok(format!("100 % → {percent} %, nodes {nodes}"))
        }
        _ => Err(Error::Unfit {
            said: format!("share: {percent} % of {} nodes is not one whole node", pool.nodes),
            help: "name a larger share, or take the center away with --remove-center".to_owned(),
        }),
    }
}

fn set_center(
    network: &mut Declarations,
    name: &str,
    field: &str,
    value: &str,
) -> Result<String, Error> {
    let names = network.centers.iter().map(|center| center.center.as_str());
    let known = network.centers.iter().position(|center| center.center.as_str() == name);
    let at = known.ok_or_else(|| unknown("center", name, names))?;
    if field != "only_tenants" {
        return Err(no_field(&format!("center.{name}"), field, &["only_tenants"]));
    }
    let mut only = Vec::new();
    for tenant in value.split(',').map(str::trim).filter(|_| value != "all") {
        let known = network.tenants.iter().find(|known| known.tenant.as_str() == tenant);
        let names = network.tenants.iter().map(|known| known.tenant.as_str());
        only.push(known.ok_or_else(|| unknown("tenant", tenant, names))?.tenant.clone());
    }
    let listed = |all: &[TenantId]| match all {
        [] => "all".to_owned(),
        some => some.iter().map(TenantId::as_str).collect::<Vec<_>>().join(", "),
    };
    let new = listed(&only);
    let old = std::mem::replace(&mut network.centers[at].only_tenants, only);
    Ok(format!("center {name}: only_tenants {} → {new}", listed(&old)))
}

fn set_policy(policy: &mut Policy, field: &str, value: &str) -> Result<String, Error> {
    const FIELDS: [&str; 4] = ["reservations", "paths", "hour_is_worth", "stage_ahead"];
    let count = || match value.parse::<usize>() {
        Ok(count) if count <= 1_000_000 => Ok(count),
        _ => Err(not(field, value, "a whole number up to 1000000")),
    };
    let change = match field {
        "reservations" => swapped(&mut policy.reservations, count()?),
        "paths" if count()? == 0 => return Err(not(field, value, "at least one path")),
        "paths" => swapped(&mut policy.paths, count()?),
        "hour_is_worth" => {
            let new: Money = amount(field, value)?;
            let old = std::mem::replace(&mut policy.hour_is_worth, new.micros);
            format!("{} → {new}", Money { micros: old, ..new })
        }
        "stage_ahead" => swapped(&mut policy.stage_ahead, amount::<Span>(field, value)?),
        _ => return Err(no_field("policy", field, &FIELDS)),
    };
    Ok(format!("policy: {field} {change}"))
}

fn swapped<T: Display>(old: &mut T, new: T) -> String {
    let said = format!("{old} → {new}");
    *old = new;
    said
}

fn amount<T: FromStr<Err = NotAnAmount>>(field: &str, value: &str) -> Result<T, Error> {
    value.parse().map_err(|wrong: NotAnAmount| not(field, value, wrong.expected))
}

fn not(field: &str, value: &str, expected: &str) -> Error {
    Error::Unfit { said: format!("{field}: found `{value}`"), help: format!("expected {expected}") }
}

fn unknown<'a>(kind: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Error {
    /// More names than this are not listed.
    const LISTED: usize = 12;
    let near = hint(name, known.clone());
    let all: Vec<&str> = known.collect();
    let help = match all.len() {
        0 => format!("there are no {kind}s at all"),
        1..=LISTED => format!("known are {}", all.join(", ")),
        many => format!("known are {} and {} more", all[..LISTED].join(", "), many - LISTED),
    };
    Error::Unfit { said: format!("there is no {kind} `{name}`{near}"), help }
}

fn no_field(thing: &str, field: &str, known: &[&str]) -> Error {
    Error::Unfit {
        said: format!("`{thing}` has no `{field}`{}", hint(field, known.iter().copied())),
        help: format!("it has {}", one_of(known.iter().copied())),
    }
}
