//! A computing center of one owner: sites, pools, an engine, a store.

use crate::{
    Bytes, CarbonIntensity, CenterId, Chip, ChipId, ChipTime, Chips, Cores, Currency, Guests,
    Lending, Money, OwnerId, PoolId, Region, Span, TenantId, Window,
};
use serde::{Deserialize, Serialize};

/// A computing center as its owner declared it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Center {
    /// Its name.
    pub center: CenterId,
    /// Who owns it.
    pub owner: OwnerId,
    /// Where it is. Links end at a center's first site.
    pub sites: Vec<Site>,
    /// What runs its jobs.
    pub engine: EngineKind,
    /// Its nodes.
    pub pools: Vec<Pool>,
    /// How much data its store holds; nothing when it keeps none.
    pub store: Option<Bytes>,
    /// How much of its store it lends to copies in passing, between centers that cannot reach each
    /// other; nothing when it is no relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Bytes>,
    /// The URL under which other centers fetch from its store, as its agent last announced it or
    /// its owner declared it.
    pub data_url: Option<String>,
    /// Power usage effectiveness in thousandths: 1,250 is a PUE of 1.25.
    pub pue_thousandths: u32,
    /// What its electricity comes with.
    #[serde(default)]
    pub carbon: CarbonIntensity,
    /// Share of each pool offered to others, in percent.
    pub lend_percent: u8,
    /// Notice before lent capacity is back.
    pub recall_notice: Span,
    /// To whom it is lent, where a pool does not say otherwise.
    #[serde(default, skip_serializing_if = "Guests::are_all")]
    pub lend_to: Guests,
    /// When, where a pool does not say otherwise; at all times where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lend_windows: Vec<Window>,
    /// Tenants that its owner calls partners, with all below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partners: Vec<TenantId>,
    /// Only these tenants, where the owner names any.
    pub only_tenants: Vec<TenantId>,
    /// Names by which others know it.
    pub external_ids: Vec<ExternalId>,
}

impl Center {
    /// The site its links end at. Reading a network file guarantees one.
    #[must_use]
    pub fn site(&self) -> Option<&Site> {
        self.sites.first()
    }

    /// What chips of this nominal power use in that time, cooling included, in milliwatt-hours; none
    /// where the power is undisclosed.
    #[must_use]
    pub fn energy(&self, watts: Option<u32>, held: ChipTime) -> u64 {
        let watts = u128::from(watts.unwrap_or(0));
        // W × chip-ms × PUE/1000, brought from watt-milliseconds to milliwatt-hours.
        let scaled = watts * u128::from(held.0) * u128::from(self.pue_thousandths);
        u64::try_from(scaled / 3_600_000).unwrap_or(u64::MAX)
    }

    /// The pool of this name.
    #[must_use]
    pub fn pool(&self, pool: &PoolId) -> Option<&Pool> {
        self.pools.iter().find(|p| p.pool == *pool)
    }
}

/// A place of a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Where it is among the regions.
    pub region: Region,
    /// Degrees north in millionths.
    pub latitude_micro: i64,
    /// Degrees east in millionths.
    pub longitude_micro: i64,
    /// IANA time zone; tariffs and lending windows live in it.
    pub time_zone: String,
}

/// What runs a center's jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// Plain processes on the agent's host.
    Process,
    /// Attempts are timers; all else is real. For load and soak runs.
    Timer,
    /// A Slurm cluster.
    Slurm,
    /// A machine with task spooler.
    TaskSpooler,
    /// A Kubernetes cluster.
    Kubernetes,
    /// A Ray cluster.
    Ray,
    /// Another Portolan network.
    Portolan,
}

impl EngineKind {
    /// Its name, as files and programs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Timer => "timer",
            Self::Slurm => "slurm",
            Self::TaskSpooler => "task-spooler",
            Self::Kubernetes => "kubernetes",
            Self::Ray => "ray",
            Self::Portolan => "portolan",
        }
    }
}

impl std::fmt::Display for EngineKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Identical nodes of a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name inside the center.
    pub pool: PoolId,
    /// The chip in its nodes; none for nodes without accelerators.
    pub chip: Option<ChipId>,
    /// How many nodes.
    pub nodes: u32,
    /// Chips in each node.
    pub chips_per_node: u16,
    /// Cores of each node.
    pub cores: Cores,
    /// Memory of each node.
    pub memory: Bytes,
    /// Nodes that share a fast interconnect; zero when all do.
    pub nodes_per_block: u32,
    /// Price of one chip (of one node, where it has no chips) for an hour.
    pub price_per_hour: Money,
    /// What its capacity is worth.
    pub capability: Capability,
    /// How it is lent, where that is otherwise than its center's other pools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lending: Option<Lending>,
}

impl Pool {
    /// The chip that use is compared in: so many milli-TFLOPS at bf16, dense, are one. It is what an
    /// NVIDIA A100 has by its maker's data sheet.
    pub const REFERENCE: u64 = 312_000;

    /// What each of its chips counts as when use is compared, in thousandths of the
    /// [reference](Self::REFERENCE): by what was verified, or else declared, or else by its `chip`'s
    /// peak at bf16 or fp16. One of which nobody says anything is one.
    #[must_use]
    pub fn worth(&self, chip: Option<&Chip>) -> u32 {
        let peaks = chip.map(|chip| &chip.peak_milli_tflops);
        let peak = peaks.and_then(|peak| peak.get("bf16").or_else(|| peak.get("fp16")).copied());
        let speed = self.capability.verified.or(self.capability.declared).or(peak);
        let worth =
            speed.map_or(1_000, |speed| u128::from(speed) * 1_000 / u128::from(Self::REFERENCE));
        u32::try_from(worth.max(1)).unwrap_or(u32::MAX)
    }

    /// Chips of one node.
    #[must_use]
    pub fn node_chips(&self) -> Chips {
        Chips::whole(u64::from(self.chips_per_node))
    }

    /// Chips of all nodes together.
    #[must_use]
    pub fn chips(&self) -> Chips {
        self.node_chips().times(u64::from(self.nodes))
    }

    /// What holding `chips` on `nodes` of its nodes for `span` costs, rounded up to a micro-unit.
    #[must_use]
    pub fn price(&self, nodes: u32, chips: Chips, span: Span) -> Money {
        let units = if self.chips_per_node == 0 { Chips::ONE } else { chips }.times(nodes.into());
        /// Thousandths of a chip times milliseconds in a chip-hour.
        const HOUR: u32 = 3_600_000_000;
        let micros =
            i128::from(self.price_per_hour.micros) * i128::from(units.0) * i128::from(span.0)
                + i128::from(HOUR - 1);
        // Nearly always it fits, and dividing so much less takes a tenth of the time.
        let micros = match u64::try_from(micros) {
            Ok(micros) => i64::try_from(micros / u64::from(HOUR)),
            Err(_) => i64::try_from(micros.div_euclid(HOUR.into())),
        };
        Money { micros: micros.unwrap_or(i64::MAX), ..self.price_per_hour }
    }

    /// The currency it is priced in.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.price_per_hour.currency
    }
}

/// A pool's capacity as three separate values, each in milli-TFLOPS of one chip at bf16. A figure
/// nobody has given or measured is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Capability {
    /// What its owner says.
    pub declared: Option<u64>,
    /// What a benchmark showed.
    pub verified: Option<u64>,
    /// What metering of real jobs showed.
    pub delivered: Option<u64>,
}

/// A name in somebody else's scheme: a national compute identifier, a Slurm account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalId {
    /// Whose scheme.
    pub scheme: String,
    /// The name in it.
    pub value: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_per_chip_hour_and_rounds_up() {
        let pool = Pool {
            pool: PoolId::new("p").unwrap(),
            chip: None,
            nodes: 2,
            chips_per_node: 8,
            cores: Cores(8_000),
            memory: Bytes(1 << 30),
            nodes_per_block: 0,
            price_per_hour: Money { micros: 9_000_000, currency: Currency::CNY },
            capability: Capability::default(),
            lending: None,
        };
        assert_eq!(pool.price(2, Chips::whole(4), Span::from_secs(3_600)).micros, 72_000_000);
        assert_eq!(pool.price(1, Chips(1), Span(1)).micros, 1);
    }
}
