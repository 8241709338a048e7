//! Data on its way.

use super::MoneySchema;
use model::{Bytes, CenterId, DatasetId, Digest, Moment, Money, Rate, TransferId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A dataset version on its way to a center, at rates reserved on the links it crosses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfer {
    /// Its number.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "transfer-3")]
    pub transfer: TransferId,
    /// Which dataset moves.
    #[schema(value_type = String)]
    pub dataset: DatasetId,
    /// Which version of it.
    #[schema(value_type = String)]
    pub version: Digest,
    /// How much.
    #[schema(value_type = u64)]
    pub bytes: Bytes,
    /// From whose store.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// Into whose store.
    #[schema(value_type = String)]
    pub to: CenterId,
    /// Over which links, each followed by its direction: `>` from `a` to `b`, `<` back.
    pub hops: Vec<String>,
    /// At which rate when.
    pub steps: Vec<RateStep>,
    /// What comes of it from other stores meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<TransferLeg>,
    /// When it is planned to be there.
    #[schema(value_type = u64)]
    pub arrives_ms: Moment,
    /// How much of it is there and verified; absent while its receiver does not tell.
    #[schema(value_type = Option<u64>)]
    pub done_bytes: Option<Bytes>,
    /// How fast it came lately; absent with the above.
    #[schema(value_type = Option<u64>)]
    pub coming_bps: Option<Rate>,
    /// When it is there if the rest comes as fast; absent while nothing comes.
    #[schema(value_type = Option<u64>)]
    pub expected_ms: Option<Moment>,
    /// What the reservation costs.
    #[schema(value_type = MoneySchema)]
    pub price: Money,
    /// Whether its source sends it, having no door to be fetched from by.
    #[serde(default)]
    pub sent: bool,
    /// Whether it goes to a relay, to be there in passing.
    #[serde(default)]
    pub passing: bool,
}

/// What another store sends of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TransferLeg {
    /// Whose store.
    #[schema(value_type = String)]
    pub from: CenterId,
    /// Over which links, each followed by its direction: `>` from `a` to `b`, `<` back.
    pub hops: Vec<String>,
    /// At which rate when.
    pub steps: Vec<RateStep>,
}

impl Transfer {
    /// From whose stores it comes.
    pub fn sources(&self) -> impl Iterator<Item = &CenterId> {
        std::iter::once(&self.from).chain(self.beside.iter().map(|leg| &leg.from))
    }

    /// The links it crosses from each of them.
    pub fn paths(&self) -> impl Iterator<Item = &[String]> {
        std::iter::once(&*self.hops).chain(self.beside.iter().map(|leg| &*leg.hops))
    }
}

/// A rate reserved over an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RateStep {
    /// From when.
    #[schema(value_type = u64)]
    pub from_ms: Moment,
    /// Until when, not included.
    #[schema(value_type = u64)]
    pub until_ms: Moment,
    /// How fast.
    #[schema(value_type = u64)]
    pub rate_bps: Rate,
}

/// Transfers that are not over, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Transfers {
    /// All of them.
    pub transfers: Vec<Transfer>,
}
