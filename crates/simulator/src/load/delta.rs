//! The delta files: a directory of tables that is network, data and load in one.
//!
//! | file | columns |
//! |---|---|
//! | `centers.csv` | `center`, `owner`, `region`, `lat`, `lon`, `pue`, `engine`, `lend_percent`, `recall_notice_s` |
//! | `exchanges.csv` | `exchange`, `region`, `lat`, `lon` |
//! | `pools.csv` | `center`, `pool`, `chip`, `nodes`, `chips_per_node`, `nodes_per_block`, `price_per_card_hour_yuan` |
//! | `links.csv` | `link`, `a`, `b`, `gbps_each_way`, `one_way_latency_us`, `carrier`, `price_yuan_per_gbps_hour`, `risk_group` |
//! | `tenants.csv` | `tenant`, `industry`, `home_center`, `weight`, `classes` |
//! | `datasets.csv` | `dataset`, `gigabytes`, `replicas_at`, `residency` |
//! | `speeds.csv` | `chip`, then one column for each kind of work; 0 where the chip cannot do it |
//! | a list of jobs | `submit_s`, `tenant`, `kind`, `chips`, `classes`, `limit_s`, `actual_s`, `end`, `dataset`, `preemptible`, `checkpoint_every_s`, `priority` |
//!
//! Items of a cell are joined by `|` or `+`. `limit_s` and `actual_s` are of a chip of speed 1; on
//! another chip both are divided by its speed. Every node has 96 cores and 1 TiB of memory, every
//! center a store of 1 PB: the files do not say.

use super::rows::{Column, Row, Table, rounded};
use super::{Actual, Allowed, Ask, Speeds, Stock, Wish};
use crate::Error;
use controller::Declarations;
use model::center::EngineKind;
use model::file::Catalog;
use model::{
    Bytes, Capability, CarbonIntensity, Center, CenterId, Chips, Cores, Currency, DatasetVersion,
    Digest, Exchange, Link, Money, Pool, Rate, Site, SiteId, Span, Tenant,
};
use std::collections::BTreeSet;

/// What a pool's nodes are taken to have.
const NODE_CORES: Cores = Cores(96_000);
const NODE_MEMORY: Bytes = Bytes(1 << 40);
/// What a center's store is taken to hold.
pub(crate) const STORE: Bytes = Bytes(1_000_000_000_000_000);

/// Gives a file of a directory: the name it goes by in errors, and its text.
pub type Open<'a> = dyn Fn(&str) -> Result<(String, String), Error> + 'a;

/// Reads the network from its tables, opened by their names.
pub fn network(catalog: &Catalog, open: &Open<'_>) -> Result<Declarations, Error> {
    let table = |name: &str| {
        let (file, text) = open(name)?;
        Table::read(&file, &text)
    };
    let mut centers = centers(&table("centers.csv")?)?;
    let chips = pools(&table("pools.csv")?, catalog, &mut centers)?;
    let exchanges = exchanges(&table("exchanges.csv")?)?;
    let links = links(&table("links.csv")?, &centers, &exchanges)?;
    let tenants = tenants(&table("tenants.csv")?)?;
    let chips = catalog.chips().filter(|c| chips.contains(&c.chip)).cloned().collect();
    let declared = Declarations { chips, centers, exchanges, links, ..Declarations::default() };
    Ok(Declarations { tenants, ..declared })
}

fn centers(table: &Table) -> Result<Vec<Center>, Error> {
    let [center, owner, region, lat, lon, pue, engine, lend, notice] = table.columns([
        "center",
        "owner",
        "region",
        "lat",
        "lon",
        "pue",
        "engine",
        "lend_percent",
        "recall_notice_s",
    ])?;
    let read = |row: Row<'_>| {
        let site = Site {
            region: row.get(region, "a region path such as `cn/yrd/shanghai`")?,
            latitude_micro: degrees(&row, lat)?,
            longitude_micro: degrees(&row, lon)?,
            time_zone: "Asia/Shanghai".to_owned(),
        };
        Ok(Center {
            center: row.get(center, "a center's name")?,
            owner: row.get(owner, "an owner's name")?,
            sites: vec![site],
            engine: engine_kind(&row, engine)?,
            pools: Vec::new(),
            store: Some(STORE),
            relay: None,
            data_url: None,
            pue_thousandths: row.thousandths(pue)?,
            carbon: CarbonIntensity::default(),
            lend_percent: row.get(lend, "a percentage from 0 to 100")?,
            recall_notice: row.seconds(notice)?,
            lend_to: model::Guests::default(),
            lend_windows: Vec::new(),
            partners: Vec::new(),
            only_tenants: Vec::new(),
            external_ids: Vec::new(),
        })
    };
    table.rows().map(read).collect()
}

fn engine_kind(row: &Row<'_>, column: Column) -> Result<EngineKind, Error> {
    match row.text(column) {
        "process" => Ok(EngineKind::Process),
        "timer" => Ok(EngineKind::Timer),
        "slurm" => Ok(EngineKind::Slurm),
        "kubernetes" => Ok(EngineKind::Kubernetes),
        "ray" => Ok(EngineKind::Ray),
        _ => Err(row.wrong(column, "`process`, `timer`, `slurm`, `kubernetes` or `ray`")),
    }
}

/// Degrees in millionths.
fn degrees(row: &Row<'_>, column: Column) -> Result<i64, Error> {
    let expected = "degrees between -180 and 180";
    let degrees: f64 = row.get(column, expected)?;
    let micro = rounded((degrees + 180.0) * 1e6).filter(|m| *m <= 360_000_000);
    let micro = micro.and_then(|m| i64::try_from(m).ok());
    micro.map(|m| m - 180_000_000).ok_or_else(|| row.wrong(column, expected))
}

/// Puts the pools into their centers; answers the chips they have.
fn pools(
    table: &Table,
    catalog: &Catalog,
    centers: &mut [Center],
) -> Result<BTreeSet<model::ChipId>, Error> {
    let [center, pool, chip, nodes, per_node, per_block, price] = table.columns([
        "center",
        "pool",
        "chip",
        "nodes",
        "chips_per_node",
        "nodes_per_block",
        "price_per_card_hour_yuan",
    ])?;
    let mut chips = BTreeSet::new();
    for row in table.rows() {
        let name: CenterId = row.get(center, "a center's name")?;
        let home = centers.iter_mut().find(|c| c.center == name);
        let home = home.ok_or_else(|| row.wrong(center, "a center of centers.csv"))?;
        let model: model::ChipId = row.get(chip, "a chip of the catalog")?;
        if !catalog.chips().any(|c| c.chip == model) {
            return Err(row.wrong(chip, "a chip of the catalog"));
        }
        home.pools.push(Pool {
            pool: row.get(pool, "a pool's name")?,
            chip: Some(model.clone()),
            nodes: row.get(nodes, "a number of nodes")?,
            chips_per_node: row.get(per_node, "a number of chips")?,
            cores: NODE_CORES,
            memory: NODE_MEMORY,
            nodes_per_block: row.get(per_block, "a number of nodes")?,
            price_per_hour: yuan(&row, price)?,
            capability: Capability::default(),
            lending: None,
        });
        chips.insert(model);
    }
    Ok(chips)
}

fn yuan(row: &Row<'_>, column: Column) -> Result<Money, Error> {
    let expected = "an amount of yuan, such as `4.80`";
    let yuan: f64 = row.get(column, expected)?;
    let micros = rounded(yuan * 1e6).and_then(|m| i64::try_from(m).ok());
    let micros = micros.ok_or_else(|| row.wrong(column, expected))?;
    Ok(Money { micros, currency: Currency::CNY })
}

fn exchanges(table: &Table) -> Result<Vec<Exchange>, Error> {
    let [exchange, region, lat, lon] = table.columns(["exchange", "region", "lat", "lon"])?;
    let read = |row: Row<'_>| {
        Ok(Exchange {
            exchange: row.get(exchange, "an exchange's name")?,
            region: row.get(region, "a region path such as `cn/yrd/shanghai`")?,
            latitude_micro: degrees(&row, lat)?,
            longitude_micro: degrees(&row, lon)?,
        })
    };
    table.rows().map(read).collect()
}

fn links(table: &Table, centers: &[Center], exchanges: &[Exchange]) -> Result<Vec<Link>, Error> {
    let [link, a, b, gbps, latency, carrier, price, risk] = table.columns([
        "link",
        "a",
        "b",
        "gbps_each_way",
        "one_way_latency_us",
        "carrier",
        "price_yuan_per_gbps_hour",
        "risk_group",
    ])?;
    let end = |row: &Row<'_>, column: Column| {
        let name = row.text(column);
        let center = centers.iter().find(|c| c.center.as_str() == name);
        let exchange = exchanges.iter().find(|e| e.exchange.as_str() == name);
        match (center, exchange) {
            (Some(center), _) => Ok(SiteId::Center(center.center.clone())),
            (None, Some(exchange)) => Ok(SiteId::Exchange(exchange.exchange.clone())),
            (None, None) => Err(row.wrong(column, "a center or an exchange of these tables")),
        }
    };
    let read = |row: Row<'_>| {
        let expected = "a number of Gbit/s, such as `25`";
        let rate: f64 = row.get(gbps, expected)?;
        Ok(Link {
            link: row.get(link, "a link's name")?,
            a: end(&row, a)?,
            b: end(&row, b)?,
            capacity: rounded(rate * 1e9).map(Rate).ok_or_else(|| row.wrong(gbps, expected))?,
            latency_us: row.get(latency, "a number of microseconds")?,
            carrier: row.get(carrier, "a carrier's name")?,
            price_per_gbps_hour: yuan(&row, price)?,
            risk_group: Some(row.text(risk).to_owned()).filter(|group| !group.is_empty()),
            sla: model::quality::Sla::default(),
        })
    };
    table.rows().map(read).collect()
}

fn tenants(table: &Table) -> Result<Vec<Tenant>, Error> {
    let [tenant, industry, home, weight, classes] =
        table.columns(["tenant", "industry", "home_center", "weight", "classes"])?;
    let read = |row: Row<'_>| {
        Ok(Tenant {
            weight: row.get(weight, "a whole number")?,
            home: row.maybe(home, "a center's name")?,
            industry: Some(row.text(industry).to_owned()),
            classes: row.items(classes, "classes such as `cuda+cann`")?,
            ..Tenant::new(row.get(tenant, "a tenant's name")?, None)
        })
    };
    table.rows().map(read).collect()
}

/// Reads the speeds of chips by kind of work.
pub fn speeds(file: &str, text: &str) -> Result<Speeds, Error> {
    let table = Table::read(file, text)?;
    let chip = table.column("chip")?;
    let kinds: Vec<String> = table.head().iter().filter(|n| *n != "chip").cloned().collect();
    let columns: Vec<Column> = kinds.iter().map(|k| table.column(k)).collect::<Result<_, _>>()?;
    let mut speeds = Speeds { kinds, ..Speeds::default() };
    for row in table.rows() {
        let of = columns.iter().map(|column| row.thousandths(*column)).collect::<Result<_, _>>()?;
        speeds.of.insert(row.get(chip, "a chip's name")?, of);
    }
    Ok(speeds)
}

/// Reads the datasets and where their copies lie. A dataset belongs to `owner`, for the table does
/// not say whose it is.
pub fn stock(
    file: &str,
    text: &str,
    network: &Declarations,
    owner: &model::TenantId,
) -> Result<Vec<Stock>, Error> {
    let table = Table::read(file, text)?;
    let [dataset, gigabytes, at, residency] =
        table.columns(["dataset", "gigabytes", "replicas_at", "residency"])?;
    let read = |row: Row<'_>| {
        let expected = "centers of the network, joined by a bar, at least one";
        let centers: Vec<CenterId> = row.items(at, expected)?;
        let known = |c: &CenterId| network.centers.iter().any(|center| center.center == *c);
        if centers.is_empty() || !centers.iter().all(known) {
            return Err(row.wrong(at, expected));
        }
        Ok(Stock {
            data: version(row.get(dataset, "a dataset's name")?),
            bytes: row.gigabytes(gigabytes)?,
            tenant: owner.clone(),
            at: centers,
            residency: row.maybe(residency, "a region path")?.into_iter().collect(),
        })
    };
    table.rows().map(read).collect()
}

/// The only version there is of a dataset that nobody has the content of.
pub(crate) fn version(dataset: model::DatasetId) -> DatasetVersion {
    DatasetVersion { version: Digest::of(dataset.as_str().as_bytes()), dataset }
}

/// Reads a list of jobs, in the order of submission.
pub fn jobs(file: &str, text: &str, speeds: &Speeds) -> Result<Vec<Ask>, Error> {
    let table = Table::read(file, text)?;
    let [submit, tenant, kind, chips, classes, limit, work] =
        table.columns(["submit_s", "tenant", "kind", "chips", "classes", "limit_s", "actual_s"])?;
    let [end, dataset, preemptible, checkpoint, priority] =
        table.columns(["end", "dataset", "preemptible", "checkpoint_every_s", "priority"])?;
    let read = |row: Row<'_>| {
        let number = row.kind(kind, speeds)?;
        let wish = Wish {
            kind: number,
            on: Allowed::Classes(row.items(classes, "classes such as `cuda|cann`")?),
            dataset: row.maybe(dataset, "a dataset's name or nothing")?,
            preemptible: row.text(preemptible) == "1",
            checkpoint: match row.text(checkpoint) {
                "" => None,
                _ => Some(row.seconds(checkpoint)?),
            },
            priority: row.get(priority, "a whole number")?,
            ..Wish::plain(
                row.get(tenant, "a tenant's name")?,
                row.text(kind),
                Chips::whole(row.get(chips, "a number of chips")?),
                row.seconds(limit)?,
            )
        };
        let ending = row.ending(end)?;
        let work = row.seconds(work)?.max(Span(1));
        Ok(Ask { after: row.seconds(submit)?, wish, actual: Actual { work, kind: number, ending } })
    };
    let mut asks: Vec<Ask> = table.rows().map(read).collect::<Result<_, _>>()?;
    asks.sort_by_key(|ask| ask.after);
    Ok(asks)
}
