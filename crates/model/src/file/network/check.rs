//! What entries say of each other: names given twice, and names that nothing has.

use super::entry::{CenterEntry, Entries, LinkEntry, TenantEntry};
use super::{Entry, NetworkFile, grid};
use crate::file::Catalog;
use crate::file::near::hint;
use crate::file::section::Section;
use crate::{
    CenterId, Chip, ChipClass, ChipId, ExchangeId, Flavor, FlavorId, Link, LinkId, Pool,
    PriorityClassId, Region, SiteId, Tenant, TenantId,
};
use std::collections::{BTreeMap, BTreeSet};

/// The network the entries make, every problem reported on the way.
pub(super) fn network(
    entries: Entries<'_>,
    catalog: &Catalog,
    beside: &NetworkFile,
) -> NetworkFile {
    let names = Names::of(&entries, catalog).and(beside);
    for entry in &entries.centers {
        if let Some(CenterEntry { center, pools, .. }) = &entry.value {
            center.only_tenants.iter().enumerate().for_each(|(i, tenant)| {
                names.tenant(&entry.section, &format!("only_tenants[{i}]"), tenant);
            });
            center.partners.iter().enumerate().for_each(|(i, tenant)| {
                names.tenant(&entry.section, &format!("partners[{i}]"), tenant);
            });
            for guest in &center.lend_to.organizations {
                names.tenant(&entry.section, "lending", guest);
            }
            let mut seen = BTreeMap::new();
            for (pool, section) in center.pools.iter().zip(pools) {
                once(&mut seen, section, "pool", Some(pool.pool.as_str()));
                chip(pool, section, catalog);
                for guest in pool.lending.iter().flat_map(|lending| &lending.to.organizations) {
                    names.tenant(section, "lending", guest);
                }
            }
        }
    }
    for entry in &entries.flavors {
        if let Some(flavor) = &entry.value {
            names.flavor_refers(&entry.section, flavor, catalog);
        }
    }
    for entry in &entries.priority_classes {
        for (i, tenant) in entry.value.iter().flat_map(|class| &class.tenants).enumerate() {
            names.tenant(&entry.section, &format!("tenants[{i}]"), tenant);
        }
    }
    for entry in &entries.tenants {
        if let Some(TenantEntry { tenant, quotas }) = &entry.value {
            names.tenant_refers(&entry.section, tenant);
            quotas.iter().for_each(|(flavor, section)| names.quota_refers(section, tenant, flavor));
        }
    }
    circles(&entries.tenants);
    let grids: Vec<_> = entries.grids.into_iter().filter_map(|e| Some((e.id?, e.value?))).collect();
    let center = |CenterEntry { mut center, says_carbon, .. }: CenterEntry<'_>| {
        if !says_carbon {
            grid::supply(&mut center, &grids);
        }
        center
    };
    let link =
        |entry: Entry<'_, LinkId, LinkEntry>| names.link(&entry.section, entry.id?, entry.value?);
    NetworkFile {
        links: entries.links.into_iter().filter_map(link).collect(),
        centers: entries.centers.into_iter().filter_map(|e| e.value.map(center)).collect(),
        exchanges: entries.exchanges.into_iter().filter_map(|e| e.value).collect(),
        flavors: entries.flavors.into_iter().filter_map(|e| e.value).collect(),
        priority_classes: entries.priority_classes.into_iter().filter_map(|e| e.value).collect(),
        tenants: entries.tenants.into_iter().filter_map(|e| Some(e.value?.tenant)).collect(),
        admission: entries.admission,
    }
}

/// Every name that may be referred to. Those of entries with other faults count: what refers to
/// them is not wrong.
struct Names {
    sites: BTreeMap<String, SiteId>,
    tenants: BTreeSet<TenantId>,
    flavors: BTreeSet<FlavorId>,
    classes: BTreeSet<ChipClass>,
}

impl Names {
    /// All names, having reported those given twice. Centers and exchanges share one set of names.
    fn of(entries: &Entries<'_>, catalog: &Catalog) -> Self {
        let (mut sites, mut seen) = (BTreeMap::new(), BTreeMap::new());
        for entry in &entries.centers {
            once(&mut seen, &entry.section, "center", entry.id.as_ref().map(CenterId::as_str));
            if let Some(id) = entry.id.clone() {
                sites.entry(id.to_string()).or_insert(SiteId::Center(id));
            }
        }
        for entry in &entries.exchanges {
            once(&mut seen, &entry.section, "exchange", entry.id.as_ref().map(ExchangeId::as_str));
            if let Some(id) = entry.id.clone() {
                sites.entry(id.to_string()).or_insert(SiteId::Exchange(id));
            }
        }
        let mut seen = BTreeMap::new();
        for entry in &entries.grids {
            once(&mut seen, &entry.section, "region", entry.id.as_ref().map(Region::as_str));
        }
        let mut seen = BTreeMap::new();
        for entry in &entries.links {
            once(&mut seen, &entry.section, "link", entry.id.as_ref().map(LinkId::as_str));
        }
        let mut seen = BTreeMap::new();
        for entry in &entries.tenants {
            once(&mut seen, &entry.section, "tenant", entry.id.as_ref().map(TenantId::as_str));
        }
        let mut seen = BTreeMap::new();
        for entry in &entries.flavors {
            once(&mut seen, &entry.section, "flavor", entry.id.as_ref().map(FlavorId::as_str));
        }
        let mut seen = BTreeMap::new();
        for entry in &entries.priority_classes {
            let id = entry.id.as_ref().map(PriorityClassId::as_str);
            once(&mut seen, &entry.section, "priority_class", id);
        }
        let tenants = entries.tenants.iter().filter_map(|e| e.id.clone()).collect();
        let flavors = entries.flavors.iter().filter_map(|e| e.id.clone()).collect();
        let classes = catalog.chips().map(|chip| chip.class.clone()).collect();
        Self { sites, tenants, flavors, classes }
    }

    /// These and the names of a network that is there already.
    fn and(mut self, beside: &NetworkFile) -> Self {
        for center in &beside.centers {
            let site = SiteId::Center(center.center.clone());
            self.sites.entry(center.center.to_string()).or_insert(site);
        }
        for exchange in &beside.exchanges {
            let site = SiteId::Exchange(exchange.exchange.clone());
            self.sites.entry(exchange.exchange.to_string()).or_insert(site);
        }
        self.tenants.extend(beside.tenants.iter().map(|tenant| tenant.tenant.clone()));
        self.flavors.extend(beside.flavors.iter().map(|flavor| flavor.flavor.clone()));
        self
    }

    fn tenant(&self, section: &Section<'_>, key: &str, tenant: &TenantId) {
        if !self.tenants.contains(tenant) {
            let hint = hint(tenant.as_str(), self.tenants.iter().map(TenantId::as_str));
            let said = format!("no tenant is named `{tenant}`{hint}");
            section.report(key, said, "a tenant of this network");
        }
    }

    fn tenant_refers(&self, section: &Section<'_>, tenant: &Tenant) {
        if let Some(parent) = &tenant.parent {
            self.tenant(section, "parent", parent);
        }
        if let Some(home) = &tenant.home {
            self.center(section, "home", home);
        }
        self.all_classes(section, &tenant.classes);
    }

    fn center(&self, section: &Section<'_>, key: &str, center: &CenterId) {
        if !matches!(self.sites.get(center.as_str()), Some(SiteId::Center(_))) {
            let centers = self.sites.values().filter(|s| matches!(s, SiteId::Center(_)));
            let hint = hint(center.as_str(), centers.map(SiteId::as_str));
            let said = format!("no center is named `{center}`{hint}");
            section.report(key, said, "a center of this network");
        }
    }

    fn all_classes(&self, section: &Section<'_>, classes: &[ChipClass]) {
        for (i, class) in classes.iter().enumerate() {
            if !self.classes.contains(class) {
                let hint = hint(class.as_str(), self.classes.iter().map(ChipClass::as_str));
                let said = format!("no chip of the catalog is of class `{class}`{hint}");
                section.report(&format!("classes[{i}]"), said, "a class of the chip catalog");
            }
        }
    }

    fn flavor_refers(&self, section: &Section<'_>, flavor: &Flavor, catalog: &Catalog) {
        for (i, chip) in flavor.chips.iter().enumerate() {
            is_of_catalog(section, &format!("chips[{i}]"), chip, catalog);
        }
        self.all_classes(section, &flavor.classes);
        for (i, center) in flavor.centers.iter().enumerate() {
            self.center(section, &format!("centers[{i}]"), center);
        }
    }

    /// A quota is of a flavor that there is, and says only what its tenant can do.
    fn quota_refers(&self, section: &Section<'_>, tenant: &Tenant, flavor: &FlavorId) {
        if !self.flavors.contains(flavor) {
            let hint = hint(flavor.as_str(), self.flavors.iter().map(FlavorId::as_str));
            let said = format!("no flavor is named `{flavor}`{hint}");
            section.report("flavor", said, "a `[[flavor]]` of this network");
        }
        for key in ["borrowing_limit", "lending_limit"] {
            if tenant.parent.is_none() && section.has(key) {
                let said = format!("`{}` has no parent to borrow from or lend to", tenant.tenant);
                section.report(key, said, "no such limit, or a `parent` of the tenant");
            }
        }
    }

    fn link(&self, section: &Section<'_>, link: LinkId, entry: LinkEntry) -> Option<Link> {
        if entry.a == entry.b {
            let said = format!("both ends are at `{}`", entry.a);
            section.report("b", said, "another center or exchange than `a`");
        }
        let end = |key: &str, name: &str| {
            let site = self.sites.get(name).cloned();
            if site.is_none() {
                let hint = hint(name, self.sites.keys().map(String::as_str));
                let said = format!("no center or exchange is named `{name}`{hint}");
                section.report(key, said, "a center or an exchange of this network");
            }
            site
        };
        let (a, b) = (end("a", &entry.a), end("b", &entry.b));
        let LinkEntry {
            capacity, latency_us, carrier, price_per_gbps_hour, risk_group, sla, ..
        } = entry;
        Some(Link {
            link,
            a: a?,
            b: b?,
            capacity,
            latency_us,
            carrier,
            price_per_gbps_hour,
            risk_group,
            sla,
        })
    }
}

/// Reports `name` where it was seen before, and remembers it otherwise.
fn once<'a>(
    seen: &mut BTreeMap<&'a str, String>,
    section: &Section<'_>,
    key: &str,
    name: Option<&'a str>,
) {
    let Some(name) = name else { return };
    if let Some(first) = seen.get(name) {
        let said = format!("`{name}` is declared twice; first at {first}");
        section.report(key, said, "a name nothing else of the kind has");
    } else {
        seen.insert(name, section.place(key));
    }
}

fn chip(pool: &Pool, section: &Section<'_>, catalog: &Catalog) {
    let Some(id) = &pool.chip else { return };
    let Some(chip) = is_of_catalog(section, "chip", id, catalog) else { return };
    if !u32::from(pool.chips_per_node).is_multiple_of(chip.allocation_unit) {
        let said = format!("found `{}`", pool.chips_per_node);
        let unit = chip.allocation_unit;
        let expected = format!("a multiple of {unit}, for {id} is handed out {unit} at a time");
        section.report("chips_per_node", said, expected);
    }
}

/// The chip of this name, if the catalog has it; reports that it has not.
fn is_of_catalog<'c>(
    section: &Section<'_>,
    key: &str,
    id: &ChipId,
    catalog: &'c Catalog,
) -> Option<&'c Chip> {
    let chip = catalog.get(id);
    if chip.is_none() {
        let hint = hint(id.as_str(), catalog.chips().map(|chip| chip.chip.as_str()));
        let said = format!("no chip of the catalog is named `{id}`{hint}");
        section.report(key, said, "a chip of the catalog");
    }
    chip
}

/// Reports tenants that are, over others, part of themselves. Of two of one name the first counts.
fn circles(tenants: &[Entry<'_, TenantId, TenantEntry<'_>>]) {
    let mut parents: BTreeMap<&TenantId, Option<&TenantId>> = BTreeMap::new();
    for TenantEntry { tenant, .. } in tenants.iter().filter_map(|entry| entry.value.as_ref()) {
        parents.entry(&tenant.tenant).or_insert(tenant.parent.as_ref());
    }
    let parent = |tenant: &TenantId| parents.get(tenant).copied().flatten();
    for entry in tenants {
        let Some(tenant) = &entry.id else { continue };
        let mut above = std::iter::successors(parent(tenant), |t| parent(t)).take(parents.len());
        if above.any(|t| t == tenant) {
            let said = format!("`{tenant}` is part of itself");
            entry.section.report("parent", said, "a tenant that is not below this one");
        }
    }
}
