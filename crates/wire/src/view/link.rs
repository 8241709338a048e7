//! Links, and the exchanges where they meet.

use super::{MoneySchema, Quality, Sla, Tested};
use model::{ExchangeId, LinkId, Money, OwnerId, Rate, Region};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A link and what is booked on it at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// Its name.
    #[schema(value_type = String)]
    pub link: LinkId,
    /// One end.
    pub a: End,
    /// The other end.
    pub b: End,
    /// Capacity, each way on its own.
    #[schema(value_type = u64)]
    pub capacity_bps: Rate,
    /// Whether it carries nothing now: an operator said so.
    pub is_cut: bool,
    /// Booked from `a` to `b`, now.
    #[schema(value_type = u64)]
    pub booked_forward_bps: Rate,
    /// Booked from `b` to `a`, now.
    #[schema(value_type = u64)]
    pub booked_backward_bps: Rate,
    /// One-way latency in microseconds.
    pub latency_us: u64,
    /// Who owns it.
    #[schema(value_type = String)]
    pub carrier: OwnerId,
    /// Price of one Gbit/s reserved for an hour.
    #[schema(value_type = MoneySchema)]
    pub price_per_gbps_hour: Money,
    /// Links of one risk group fail together.
    pub risk_group: Option<String>,
    /// What new transfers are planned at, each way: its capacity, or less where it was measured to
    /// deliver less.
    #[schema(value_type = u64)]
    pub planned_bps: Rate,
    /// What its carrier promises.
    pub sla: Sla,
    /// What the newest test showed of each direction that was tested, from `a` to `b` first.
    #[serde(default)]
    pub tested: Vec<Tested>,
    /// What was measured over it and no other link.
    pub quality: Quality,
}

/// An end of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct End {
    /// `center` or `exchange`.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// Links, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Links {
    /// All of them.
    pub links: Vec<Link>,
}

/// A site without compute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exchange {
    /// Its name.
    #[schema(value_type = String)]
    pub exchange: ExchangeId,
    /// Where it is among the regions.
    #[schema(value_type = String)]
    pub region: Region,
    /// Degrees north in millionths.
    pub latitude_micro: i64,
    /// Degrees east in millionths.
    pub longitude_micro: i64,
}

/// Exchanges, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Exchanges {
    /// All of them.
    pub exchanges: Vec<Exchange>,
}
