//! Networks that are made up: centers at the eight national hubs, each joined to its hub's exchange,
//! and all exchanges to each other.

use super::file::{MadeNetwork, MadePools};
use crate::load::rounded;
use controller::Declarations;
use model::center::EngineKind;
use model::file::Catalog;
use model::{
    Bytes, Capability, CarbonIntensity, Center, CenterId, Cores, Currency, Exchange, ExchangeId,
    Link, LinkId, Money, OwnerId, Pool, PoolId, Rate, Region, Site, SiteId, Span,
};

/// The hubs of the national computing network: name, region, degrees north and east in millionths.
const HUBS: [(&str, &str, i64, i64); 8] = [
    ("zhangjiakou", "cn/north/hebei", 40_770_000, 114_880_000),
    ("wuhu", "cn/yrd/anhui", 31_330_000, 118_380_000),
    ("shaoguan", "cn/south/guangdong", 24_810_000, 113_600_000),
    ("chongqing", "cn/southwest/chongqing", 29_560_000, 106_550_000),
    ("horinger", "cn/north/inner-mongolia", 40_500_000, 111_800_000),
    ("guian", "cn/southwest/guizhou", 26_420_000, 106_520_000),
    ("qingyang", "cn/northwest/gansu", 35_720_000, 107_640_000),
    ("zhongwei", "cn/northwest/ningxia", 37_500_000, 105_190_000),
];

/// Light in fiber, and how much longer than straight fiber lies.
const MICROSECONDS_PER_KM: f64 = 5.0 * 1.5;

/// More are not made up.
const MOST_CENTERS: u32 = 10_000;

/// The network, or why there is none.
pub(super) fn network(made: &MadeNetwork, catalog: &Catalog) -> Result<Declarations, String> {
    let hubs = usize::try_from(made.centers).unwrap_or(usize::MAX).min(HUBS.len());
    let centers = centers(made, catalog)?;
    let exchanges: Vec<Exchange> = HUBS[..hubs].iter().map(exchange).collect();
    let access = centers.iter().enumerate().map(|(number, center)| {
        let ends = (SiteId::Center(center.center.clone()), SiteId::Exchange(exchange_id(number)));
        link(ends, *made.access, 250, 12)
    });
    let pairs = (0..hubs).flat_map(|a| (a + 1..hubs).map(move |b| (a, b)));
    let backbone = pairs.map(|(a, b)| {
        let ends = (SiteId::Exchange(exchange_id(a)), SiteId::Exchange(exchange_id(b)));
        link(ends, *made.backbone, latency(a, b), 30)
    });
    let links = access.chain(backbone).collect();
    let used = |chip: &&model::Chip| made.pools.iter().any(|pools| pools.chip == chip.chip);
    let chips = catalog.chips().filter(used).cloned().collect();
    Ok(Declarations { chips, centers, exchanges, links, ..Declarations::default() })
}

/// Centers of unlike sizes, each with chips of one or two kinds, all chips given out to the node.
fn centers(made: &MadeNetwork, catalog: &Catalog) -> Result<Vec<Center>, String> {
    let per_node = u64::from(made.chips_per_node.max(1));
    if made.pools.is_empty() || made.pools.iter().any(|pools| !(0.0..1e9).contains(&pools.share)) {
        return Err("`pools` must be chips, each with a share of zero or more".to_owned());
    }
    if made.centers > MOST_CENTERS {
        return Err(format!("{} centers are more than {MOST_CENTERS}", made.centers));
    }
    if made.centers == 0 || !made.chips.is_multiple_of(per_node) {
        return Err(format!(
            "{} chips in {} centers do not make whole nodes of {per_node}",
            made.chips, made.centers
        ));
    }
    let unknown = |pools: &&MadePools| !catalog.chips().any(|chip| chip.chip == pools.chip);
    if let Some(pools) = made.pools.iter().find(unknown) {
        return Err(format!("there is no chip `{}` in the catalog", pools.chip));
    }
    let nodes = made.chips / per_node;
    let by_chip = apportion(nodes, made.pools.iter().map(|pools| pools.share));
    let mut centers: Vec<Center> = (0..made.centers as usize).map(|n| center(n, made)).collect();
    for (kind, (pools, nodes)) in made.pools.iter().zip(by_chip).enumerate() {
        // Every kind is at centers that are as many steps apart as there are kinds, and at those
        // halfway between for every other one: so that centers have one kind or two.
        let kinds = made.pools.len();
        let at = |n: &usize| n % kinds == kind || (n + kinds / 2) % (2 * kinds) == kind;
        let mut homes: Vec<usize> = (0..centers.len()).filter(at).collect();
        if homes.is_empty() {
            homes.push(kind % centers.len());
        }
        let sizes = homes.iter().map(|n| 1.0 + ((n * 7) % 10) as f64 / 3.0);
        let shares: Vec<u64> = apportion(nodes, sizes);
        for (home, nodes) in homes.into_iter().zip(shares).filter(|(_, nodes)| *nodes > 0) {
            centers[home].pools.push(pool(pools, made, nodes));
        }
    }
    centers.retain(|center| !center.pools.is_empty());
    Ok(centers)
}

fn center(number: usize, made: &MadeNetwork) -> Center {
    let (name, region, north, east) = HUBS[number % HUBS.len()];
    let center = format!("{name}-{}", number / HUBS.len() + 1);
    Center {
        owner: OwnerId::new(&format!("own-{center}")).expect("made of slugs"),
        center: CenterId::new(&center).expect("made of slugs"),
        sites: vec![Site {
            region: region.parse::<Region>().expect("a region"),
            latitude_micro: north,
            longitude_micro: east,
            time_zone: "Asia/Shanghai".to_owned(),
        }],
        engine: EngineKind::Timer,
        pools: Vec::new(),
        store: made.store.as_ref().map(|store: &super::file::Text<Bytes>| **store),
        relay: None,
        data_url: None,
        pue_thousandths: 1_200,
        carbon: CarbonIntensity::default(),
        lend_percent: 100,
        recall_notice: Span::from_secs(1_800),
        lend_to: model::Guests::default(),
        lend_windows: Vec::new(),
        partners: Vec::new(),
        only_tenants: Vec::new(),
        external_ids: Vec::new(),
    }
}

fn pool(pools: &MadePools, made: &MadeNetwork, nodes: u64) -> Pool {
    Pool {
        pool: PoolId::new(pools.chip.as_str()).expect("a chip's name is a slug"),
        chip: Some(pools.chip.clone()),
        nodes: u32::try_from(nodes).unwrap_or(u32::MAX),
        chips_per_node: made.chips_per_node,
        cores: Cores(96_000),
        memory: Bytes(1 << 40),
        nodes_per_block: 32,
        price_per_hour: *pools.price_per_chip_hour,
        capability: Capability::default(),
        lending: None,
    }
}

/// So many things shared out in proportion, to the last one (largest remainders).
fn apportion(things: u64, shares: impl Iterator<Item = f64>) -> Vec<u64> {
    let shares: Vec<f64> = shares.map(|share| share.max(0.0)).collect();
    let all: f64 = shares.iter().sum();
    let exact: Vec<f64> = shares.iter().map(|share| things as f64 * share / all).collect();
    let mut given: Vec<u64> = exact.iter().map(|e| rounded(e.floor()).unwrap_or(0)).collect();
    let mut order: Vec<usize> = (0..given.len()).collect();
    order.sort_by(|a, b| {
        (exact[*b] - exact[*b].floor()).total_cmp(&(exact[*a] - exact[*a].floor()))
    });
    let left = things.saturating_sub(given.iter().sum());
    for place in order.into_iter().cycle().take(usize::try_from(left).unwrap_or(0)) {
        given[place] += 1;
    }
    given
}

fn exchange_id(number: usize) -> ExchangeId {
    ExchangeId::new(&format!("{}-x", HUBS[number % HUBS.len()].0)).expect("made of slugs")
}

fn exchange(hub: &(&str, &str, i64, i64)) -> Exchange {
    Exchange {
        exchange: ExchangeId::new(&format!("{}-x", hub.0)).expect("made of slugs"),
        region: hub.1.parse::<Region>().expect("a region"),
        latitude_micro: hub.2,
        longitude_micro: hub.3,
    }
}

fn link((a, b): (SiteId, SiteId), capacity: Rate, latency_us: u64, yuan: i64) -> Link {
    Link {
        link: LinkId::new(&format!("{a}--{b}")).expect("made of slugs"),
        a,
        b,
        capacity,
        latency_us,
        carrier: OwnerId::new("carrier").expect("a slug"),
        price_per_gbps_hour: Money { micros: yuan * 1_000_000, currency: Currency::CNY },
        risk_group: None,
        sla: model::quality::Sla::default(),
    }
}

/// One-way latency between two hubs by the great circle.
fn latency(a: usize, b: usize) -> u64 {
    let radians = |micro: i64| (micro as f64 / 1e6).to_radians();
    let ((_, _, n1, e1), (_, _, n2, e2)) = (HUBS[a], HUBS[b]);
    let (n1, n2) = (radians(n1), radians(n2));
    let cosine = n1.sin() * n2.sin() + n1.cos() * n2.cos() * (radians(e1) - radians(e2)).cos();
    let km = 6_371.0 * cosine.clamp(-1.0, 1.0).acos();
    rounded(km * MICROSECONDS_PER_KM).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shared_out_and_nothing_twice() {
        assert_eq!(apportion(10, [1.0, 1.0, 1.0].into_iter()), [4, 3, 3]);
        assert_eq!(apportion(7, [0.5, 0.0, 0.5].into_iter()).iter().sum::<u64>(), 7);
    }
}
