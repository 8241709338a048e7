//! Centers and their pools.

use super::{Capability, DeclaredSize, MoneySchema, Readiness};
use model::{
    Bytes, CenterId, ChipId, Chips, Cores, EngineKind, Moment, Money, OwnerId, PoolId, Region,
    Span, TenantId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A computing center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Center {
    /// Its name.
    #[schema(value_type = String)]
    pub center: CenterId,
    /// Who owns it.
    #[schema(value_type = String)]
    pub owner: OwnerId,
    /// Where it is among the regions.
    #[schema(value_type = Option<String>)]
    pub region: Option<Region>,
    /// Degrees north in millionths.
    pub latitude_micro: i64,
    /// Degrees east in millionths.
    pub longitude_micro: i64,
    /// IANA time zone.
    pub time_zone: String,
    /// What runs its jobs, as declared.
    #[schema(value_type = String, example = "process")]
    pub engine: EngineKind,
    /// Its agent, once one has joined.
    pub agent: Option<Agent>,
    /// Since when its agent has not been heard of; absent while it is there.
    #[schema(value_type = Option<u64>)]
    pub silent_since_ms: Option<Moment>,
    /// Its nodes.
    pub pools: Vec<Pool>,
    /// Attempts that are not over there.
    pub attempts: u64,
    /// How much data its store holds; absent when it keeps none.
    #[schema(value_type = Option<u64>)]
    pub store_bytes: Option<Bytes>,
    /// How much of it it lends to copies in passing; absent when it is no relay.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub relay_bytes: Option<Bytes>,
    /// Power usage effectiveness in thousandths.
    pub pue_thousandths: u32,
    /// Grams of carbon dioxide a kilowatt-hour comes with: one figure, or 24 by the hour of the day.
    #[serde(default)]
    pub carbon_grams_per_kwh: Vec<u32>,
    /// Share of each pool offered to others.
    pub lend_percent: u8,
    /// Only these tenants, where any is named.
    #[schema(value_type = Vec<String>)]
    pub only_tenants: Vec<TenantId>,
    /// How far it is ready for work; absent where nothing is asked of it and it has shown nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
}

/// Centers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Centers {
    /// All of them.
    pub centers: Vec<Center>,
}

/// A center's agent, as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// The program's version.
    pub version: String,
    /// What really runs the jobs.
    #[schema(value_type = String, example = "process")]
    pub engine: EngineKind,
    /// The engine's version.
    pub engine_version: String,
    /// How limits are enforced there.
    pub enforcement: String,
    /// Where its store opens.
    pub data_url: Option<String>,
    /// Where it answers test packets of other agents, as `host:port`.
    #[serde(default)]
    pub probe_address: Option<String>,
}

/// Identical nodes of a center, and what is held of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pool {
    /// Its name inside the center.
    #[schema(value_type = String)]
    pub pool: PoolId,
    /// The chip in its nodes.
    #[schema(value_type = Option<String>)]
    pub chip: Option<ChipId>,
    /// How many nodes; no more than it has shown, as all that follows.
    pub nodes: u32,
    /// Nodes of them that take no work now: drained, failed or silent, as its agent counts.
    #[serde(default)]
    pub nodes_closed: u32,
    /// Chips in each node.
    pub chips_per_node: u16,
    /// Cores of each node, in thousandths.
    #[schema(value_type = u64)]
    pub cores_milli: Cores,
    /// Memory of each node.
    #[schema(value_type = u64)]
    pub memory_bytes: Bytes,
    /// Chips of all nodes, in thousandths.
    #[schema(value_type = u64)]
    pub chips_milli: Chips,
    /// Chips held by attempts that are not over, in thousandths.
    #[schema(value_type = u64)]
    pub chips_held_milli: Chips,
    /// Cores held by attempts that are not over, in thousandths, of all nodes together.
    #[schema(value_type = u64)]
    pub cores_held_milli: Cores,
    /// Price of one chip (of one node, where it has no chips) for an hour.
    #[schema(value_type = MoneySchema)]
    pub price_per_hour: Money,
    /// The indicative price of one of its chips for an hour: by how much all others together are over
    /// later for it. Absent where the network's policy counts no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub indicative_price_ms: Option<Span>,
    /// How it is lent to others.
    #[serde(default)]
    pub lending: Option<Lending>,
    /// How large it was declared to be, where it has shown less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredSize>,
    /// How fast its chips are; absent where nothing was declared or measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<Capability>,
}

/// How a pool is lent to others than its center's own tenants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lending {
    /// The most of its chips that guests have at a time, in percent.
    pub percent: u8,
    /// To whom, in words; absent where to everybody.
    pub to: Option<String>,
    /// When, in the center's zone; at all times where none is named.
    pub windows: Vec<String>,
    /// How soon it is back once its owner wants it, in milliseconds.
    #[schema(value_type = u64)]
    pub notice_ms: Span,
    /// Chips that guests have now, in thousandths.
    #[schema(value_type = u64)]
    pub guests_milli: Chips,
    /// What its owner has taken back.
    pub recalled: Option<TakenBack>,
}

/// What an owner has taken back of a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TakenBack {
    /// Chips that no guest is to have, in thousandths.
    #[schema(value_type = u64)]
    pub chips_milli: Chips,
    /// By when.
    #[schema(value_type = Option<u64>)]
    pub by_ms: Option<Moment>,
    /// Until when; absent where until it is lent again.
    #[schema(value_type = Option<u64>)]
    pub until_ms: Option<Moment>,
}
