//! Reading entries one by one; what they say of each other is looked at later.

use super::{Entry, grid, share};
use crate::center::ExternalId;
use crate::file::section::{Section, Wrong, choice, degrees, figure, parts, text, whole, words};
use crate::file::tree::Value;
use crate::quality::Sla;
use crate::quota::Flavor;
use crate::unit::parse_with;
use crate::{
    Admission, Bytes, Capability, CarbonIntensity, Center, CenterId, ChipClass, ChipId, ChipTime,
    Cores, EngineKind, Exchange, ExchangeId, FlavorId, Lending, LinkId, Money, NotAnAmount,
    OwnerId, Pool, PoolId, PriorityClass, PriorityClassId, Rate, Readiness, Region, Site, Span,
    Tenant, TenantId,
};
use std::str::FromStr;

const ENGINES: [(&str, EngineKind); 7] = [
    ("process", EngineKind::Process),
    ("timer", EngineKind::Timer),
    ("slurm", EngineKind::Slurm),
    ("task-spooler", EngineKind::TaskSpooler),
    ("kubernetes", EngineKind::Kubernetes),
    ("ray", EngineKind::Ray),
    ("portolan", EngineKind::Portolan),
];

/// A center with the sections of its pools, for what is found wrong with them later.
pub(super) struct CenterEntry<'a> {
    pub(super) center: Center,
    /// Whether it says what its electricity comes with.
    pub(super) says_carbon: bool,
    pub(super) pools: Vec<Section<'a>>,
}

/// A link whose ends are still names.
pub(super) struct LinkEntry {
    pub(super) a: String,
    pub(super) b: String,
    pub(super) capacity: Rate,
    pub(super) latency_us: u64,
    pub(super) carrier: OwnerId,
    pub(super) price_per_gbps_hour: Money,
    pub(super) risk_group: Option<String>,
    pub(super) sla: Sla,
}

/// A tenant with the sections of its quotas, for what is found wrong with them later.
pub(super) struct TenantEntry<'a> {
    pub(super) tenant: Tenant,
    pub(super) quotas: Vec<(FlavorId, Section<'a>)>,
}

/// All entries of all files of a network.
#[derive(Default)]
pub(super) struct Entries<'a> {
    pub(super) centers: Vec<Entry<'a, CenterId, CenterEntry<'a>>>,
    pub(super) grids: Vec<Entry<'a, Region, CarbonIntensity>>,
    pub(super) exchanges: Vec<Entry<'a, ExchangeId, Exchange>>,
    pub(super) links: Vec<Entry<'a, LinkId, LinkEntry>>,
    pub(super) flavors: Vec<Entry<'a, FlavorId, Flavor>>,
    pub(super) priority_classes: Vec<Entry<'a, PriorityClassId, PriorityClass>>,
    pub(super) tenants: Vec<Entry<'a, TenantId, TenantEntry<'a>>>,
    pub(super) admission: Option<Admission>,
}

impl<'a> Entries<'a> {
    /// Adds what stands in one file.
    pub(super) fn read(&mut self, mut file: Section<'a>) {
        self.centers.extend(file.sections("center").into_iter().map(center));
        self.grids.extend(file.sections("grid").into_iter().map(grid::grid));
        self.exchanges.extend(file.sections("exchange").into_iter().map(exchange));
        self.links.extend(file.sections("link").into_iter().map(link));
        self.flavors.extend(file.sections("flavor").into_iter().map(share::flavor));
        let priority_classes = file.sections("priority_class").into_iter();
        self.priority_classes.extend(priority_classes.map(share::priority_class));
        self.tenants.extend(file.sections("tenant").into_iter().map(tenant));
        if let Some(mut section) = file.table("admission") {
            let readiness = section.need("readiness", figure::<Readiness>);
            section.unknown();
            if self.admission.is_some() {
                section.report("", "said in another file too", "one `[admission]` in all files");
            }
            self.admission = readiness.map(|readiness| Admission { readiness });
        }
        file.unknown();
    }
}

fn center(mut section: Section<'_>) -> Entry<'_, CenterId, CenterEntry<'_>> {
    let id = section.need("center", text::<CenterId>);
    let owner = section.need("owner", text::<OwnerId>);
    let mut sites = Vec::from_iter(site(&mut section));
    for mut further in section.sections("site") {
        sites.extend(site(&mut further));
        further.unknown();
    }
    let engine = section.need("engine", choice(&ENGINES));
    let pue = parts(1_000, 1_000, 10_000, "a power usage effectiveness such as 1.25, from 1 to 10");
    let pue = section.maybe("pue", pue).and_then(|pue| u32::try_from(pue).ok());
    let carbon = section.maybe("carbon", grid::carbon);
    let lend_percent = section.maybe("lend_percent", whole(0, 100));
    let recall_notice = section.maybe("recall_notice", text::<Span>);
    let lending = share::Said::read(&mut section, false).unwrap_or_default();
    let (lend_to, lend_windows) = lending.of_center();
    let rules = Lending {
        percent: lend_percent.unwrap_or(100),
        notice: recall_notice.unwrap_or(Span::from_secs(1_800)),
        to: lend_to,
        windows: lend_windows,
    };
    let store = section.maybe("store", text::<Bytes>);
    let relay = relay(&mut section, store);
    let data_url = section.maybe("data_url", url);
    let partners = section.list("partners", text::<TenantId>);
    let only_tenants = section.list("only_tenants", text::<TenantId>);
    let external_ids = section.table("external_ids").map(|table| table.entries(words(256)));
    let external_id = |(scheme, value): (&str, String)| ExternalId { scheme: scheme.into(), value };
    let (mut pools, mut pool_sections) = (Vec::new(), Vec::new());
    let all = section.sections("pool");
    if all.is_empty() {
        section.report("", "has no pools", "at least one `[[center.pool]]`");
    }
    for mut section in all {
        if let Some(pool) = pool(&mut section, &rules) {
            pools.push(pool);
            pool_sections.push(section);
        }
    }
    let assemble = || {
        let says_carbon = carbon.is_some();
        let center = Center {
            center: id.clone()?,
            owner: owner?,
            sites,
            engine: engine?,
            pools,
            store,
            relay,
            data_url,
            pue_thousandths: pue.unwrap_or(1_300),
            carbon: carbon.unwrap_or_default(),
            lend_percent: rules.percent,
            recall_notice: rules.notice,
            lend_to: rules.to,
            lend_windows: rules.windows,
            partners,
            only_tenants,
            external_ids: external_ids.unwrap_or_default().into_iter().map(external_id).collect(),
        };
        Some(CenterEntry { center, says_carbon, pools: pool_sections })
    };
    let value = assemble();
    section.unknown();
    Entry { id, value, section }
}

/// What a center lends to copies in passing: a part of its store.
fn relay(section: &mut Section<'_>, store: Option<Bytes>) -> Option<Bytes> {
    let relay = section.maybe("relay", text::<Bytes>);
    match (relay?, store) {
        (Bytes::ZERO, _) => {
            section.report(
                "relay",
                "found a relay of nothing",
                "an amount above zero, or no relay",
            );
        }
        (_, None) if !section.has("store") => {
            section.report("relay", "is a part of a store there is none of", "`store` besides");
        }
        (relay, Some(store)) if relay > store => {
            let said = format!("found {relay}, more than the store's {store}");
            section.report("relay", said, "no more than `store`");
        }
        _ => {}
    }
    relay
}

fn site(section: &mut Section<'_>) -> Option<Site> {
    let (region, latitude, longitude) = place(section);
    let time_zone = section.need("time_zone", zone);
    Some(Site {
        region: region?,
        latitude_micro: latitude?,
        longitude_micro: longitude?,
        time_zone: time_zone?,
    })
}

fn place(section: &mut Section<'_>) -> (Option<Region>, Option<i64>, Option<i64>) {
    (
        section.need("region", text::<Region>),
        section.need("latitude", degrees(90)),
        section.need("longitude", degrees(180)),
    )
}

fn pool(section: &mut Section<'_>, rules: &Lending) -> Option<Pool> {
    let pool = section.need("pool", text::<PoolId>);
    let nodes = section.need("nodes", whole(1, 1_000_000));
    let cores = section.need("cores", figure::<Cores>);
    let memory = section.need("memory", text::<Bytes>);
    let nodes_per_block = section.maybe("nodes_per_block", whole(0, 1_000_000));
    let declared = "a speed in TFLOPS of one chip at bf16, such as 312";
    let declared = section.maybe("declared_tflops", parts(1_000, 1, 1_000_000_000, declared));
    let has_chips =
        ["chip", "chips_per_node", "price_per_chip_hour"].iter().any(|key| section.has(key));
    let (chip, chips_per_node, price_per_hour) = if has_chips {
        let chip = section.need("chip", text::<ChipId>);
        let chips_per_node = section.need("chips_per_node", whole(1, 1_024));
        (chip, chips_per_node, section.need("price_per_chip_hour", text::<Money>))
    } else {
        (None, Some(0), section.need("price_per_node_hour", text::<Money>))
    };
    let lending = share::Said::read(section, true).map(|said| said.of_pool(rules));
    section.unknown();
    Some(Pool {
        pool: pool?,
        chip,
        nodes: nodes?,
        chips_per_node: chips_per_node?,
        cores: cores?,
        memory: memory?,
        nodes_per_block: nodes_per_block.unwrap_or(0),
        price_per_hour: price_per_hour?,
        capability: Capability { declared, ..Capability::default() },
        lending,
    })
}

fn exchange(mut section: Section<'_>) -> Entry<'_, ExchangeId, Exchange> {
    let id = section.need("exchange", text::<ExchangeId>);
    let (region, latitude, longitude) = place(&mut section);
    section.unknown();
    let assemble = || {
        Some(Exchange {
            exchange: id.clone()?,
            region: region?,
            latitude_micro: latitude?,
            longitude_micro: longitude?,
        })
    };
    Entry { value: assemble(), id, section }
}

fn link(mut section: Section<'_>) -> Entry<'_, LinkId, LinkEntry> {
    let id = section.need("link", text::<LinkId>);
    let (a, b) = (section.need("a", end), section.need("b", end));
    let capacity = section.need("capacity", text::<Rate>);
    if capacity == Some(Rate::ZERO) {
        section.report("capacity", "found a link that carries nothing", "a capacity above zero");
    }
    let latency = section.need("latency", text::<OneWay>);
    let carrier = section.need("carrier", text::<OwnerId>);
    let price = section.need("price_per_gbps_hour", text::<Money>);
    let risk_group = section.maybe("risk_group", words(128));
    let sla = Sla {
        round_trip_us: section.maybe("sla_round_trip", text::<RoundTrip>).map(|us| us.0),
        loss_ppm: section.maybe("sla_loss_ppm", whole(0, 1_000_000)),
        rate_percent: section.maybe("sla_rate_percent", whole(1, 100)),
    };
    section.unknown();
    let assemble = || {
        Some(LinkEntry {
            a: a?,
            b: b?,
            capacity: capacity?,
            latency_us: latency?.0,
            carrier: carrier?,
            price_per_gbps_hour: price?,
            risk_group,
            sla,
        })
    };
    Entry { id, value: assemble(), section }
}

fn tenant(mut section: Section<'_>) -> Entry<'_, TenantId, TenantEntry<'_>> {
    let id = section.need("tenant", text::<TenantId>);
    let parent = section.maybe("parent", text::<TenantId>);
    let weight = section.maybe("weight", whole(1, 1_000_000)).unwrap_or(1);
    let home = section.maybe("home", text::<CenterId>);
    let industry = section.maybe("industry", words(128));
    let classes = section.list("classes", text::<ChipClass>);
    let max_running = section.maybe("max_running", whole(0, u64::MAX));
    let max_queued = section.maybe("max_queued", whole(0, u64::MAX));
    let budget = section.maybe("budget", text::<ChipTime>);
    let preemption = share::preemption(&mut section);
    let (quotas, quota_sections) = share::quotas(&mut section);
    section.unknown();
    let assemble = |tenant: TenantId| TenantEntry {
        tenant: Tenant {
            weight,
            home,
            industry,
            classes,
            quotas,
            max_running,
            max_queued,
            budget,
            preemption,
            ..Tenant::new(tenant, parent)
        },
        quotas: quota_sections,
    };
    let value = id.clone().map(assemble);
    Entry { id, value, section }
}

/// An end of a link: any name, for what it names is looked up later.
fn end(value: &Value) -> Result<String, Wrong> {
    match value {
        Value::Text(name) => Ok(name.clone()),
        _ => Err(Wrong::expected("the name of a center or an exchange, in quotes")),
    }
}

fn zone(value: &Value) -> Result<String, Wrong> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
    let part = |p: &str| !p.is_empty() && p.len() <= 32 && p.chars().all(plain);
    match value {
        Value::Text(zone) if zone.len() <= 64 && zone.split('/').all(part) => Ok(zone.clone()),
        _ => Err(Wrong::expected("an IANA time zone such as `Asia/Shanghai`")),
    }
}

fn url(value: &Value) -> Result<String, Wrong> {
    let host = |url: &str| {
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        host.is_some_and(|h| !h.is_empty() && h.bytes().all(|b| b.is_ascii_graphic()))
    };
    match value {
        Value::Text(url) if url.len() <= 512 && host(url) => Ok(url.clone()),
        _ => Err(Wrong::expected("a URL that begins with `https://` or `http://`")),
    }
}

/// A one-way latency in microseconds.
pub(in crate::file) struct OneWay(pub(in crate::file) u64);

impl FromStr for OneWay {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        micros(text).map(Self).ok_or_else(|| NotAnAmount {
            expected: "a one-way latency with its unit, such as `967us` or `1.5ms`",
            found: text.to_owned(),
        })
    }
}

/// A round trip in microseconds.
struct RoundTrip(u64);

impl FromStr for RoundTrip {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        micros(text).map(Self).ok_or_else(|| NotAnAmount {
            expected: "a time there and back with its unit, such as `900us` or `2ms`",
            found: text.to_owned(),
        })
    }
}

/// At most a minute.
fn micros(text: &str) -> Option<u64> {
    const UNITS: [(&str, u128); 4] = [("us", 1), ("µs", 1), ("ms", 1_000), ("s", 1_000_000)];
    parse_with(text, &UNITS).filter(|us| *us <= 60_000_000)
}
