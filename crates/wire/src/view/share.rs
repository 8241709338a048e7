//! Who may use how much, who used how much, and whose turn it is.

use model::{
    CenterId, ChipClass, ChipId, ChipTime, Chips, FlavorId, JobId, Moment, OwnerId, PoolId, Region,
    TenantId,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who uses how much of what, and whose turn it is. Chips are in thousandths, times of chips in
/// chip-milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Shares {
    /// As of when.
    #[schema(value_type = u64)]
    pub at_ms: Moment,
    /// What quotas are counted in.
    pub flavors: Vec<Flavor>,
    /// Those the asker may see, each after the one it is part of.
    pub tenants: Vec<TenantShare>,
    /// Whose the next job is, where any waits; only for those who may see all tenants.
    pub next: Option<Turn>,
}

/// What quotas are counted in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flavor {
    /// Its name.
    #[schema(value_type = String)]
    pub flavor: FlavorId,
    /// These chips; with no `classes` either, all.
    #[schema(value_type = Vec<String>)]
    pub chips: Vec<ChipId>,
    /// Chips of these classes too.
    #[schema(value_type = Vec<String>)]
    pub classes: Vec<ChipClass>,
    /// In these centers; with no `regions` either, everywhere.
    #[schema(value_type = Vec<String>)]
    pub centers: Vec<CenterId>,
    /// In these regions too.
    #[schema(value_type = Vec<String>)]
    pub regions: Vec<Region>,
    /// How many chips there are of it.
    #[schema(value_type = u64)]
    pub total: Chips,
}

/// How a tenant stands, with all below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TenantShare {
    /// Who.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// What it is part of.
    #[schema(value_type = Option<String>)]
    pub parent: Option<TenantId>,
    /// Its weight beside its siblings.
    pub weight: u32,
    /// Of what it used the largest share: `chips`, `cores`, `memory` or `bandwidth`.
    pub dominant: String,
    /// That share of all there is in the network, in parts per billion; use of a week ago counts half.
    pub share_ppb: u64,
    /// The same in words.
    pub share: String,
    /// What its own jobs are entitled to of the network's chips, where that is worked out.
    pub entitled: Option<Entitled>,
    /// Chips held over time since the beginning, as it was.
    #[schema(value_type = u64)]
    pub card_time: ChipTime,
    /// Its jobs that have a place.
    pub running: u64,
    /// The most that may have one at a time.
    pub max_running: Option<u64>,
    /// Its jobs that wait.
    pub queued: u64,
    /// The most that may wait at a time.
    pub max_queued: Option<u64>,
    /// The most time of chips that may be spent and committed together.
    #[schema(value_type = Option<u64>)]
    pub budget: Option<ChipTime>,
    /// What it has of each flavor somebody has a quota of.
    pub quotas: Vec<QuotaUse>,
}

/// What a tenant's own jobs may have, in thousandths of chips that run them best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Entitled {
    /// What they are entitled to since the last round boundary.
    #[schema(value_type = u64)]
    pub to: Chips,
    /// What they had then.
    #[schema(value_type = u64)]
    pub has: Chips,
    /// For how long they would have to have nothing to be where they are; below zero where they had more
    /// than they were entitled to.
    pub behind_ms: i64,
}

/// What a tenant has of a flavor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaUse {
    /// Of which.
    #[schema(value_type = String)]
    pub flavor: FlavorId,
    /// What is its own.
    #[schema(value_type = u64)]
    pub nominal: Chips,
    /// The most it may borrow, where that is limited.
    #[schema(value_type = Option<u64>)]
    pub borrowing_limit: Option<Chips>,
    /// The most it lends, where that is limited.
    #[schema(value_type = Option<u64>)]
    pub lending_limit: Option<Chips>,
    /// What its own jobs have.
    #[schema(value_type = u64)]
    pub own: Chips,
    /// What counts against its quota: its own jobs' and what those below it have beyond what they keep.
    #[schema(value_type = u64)]
    pub used: Chips,
    /// What of that is beyond what is its and theirs.
    #[schema(value_type = u64)]
    pub borrowed: Chips,
    /// What it may still have now.
    #[schema(value_type = u64)]
    pub left: Chips,
    /// What it could have if nobody else used anything.
    #[schema(value_type = u64)]
    pub most: Chips,
}

/// How a tenant and each it is part of stand with a flavor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaPath {
    /// With which.
    #[schema(value_type = String)]
    pub flavor: FlavorId,
    /// The tenant first, its root last.
    pub path: Vec<QuotaStep>,
}

/// How one of them stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaStep {
    /// Who.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// What is its and those' below it together, less what those keep to themselves.
    #[schema(value_type = u64)]
    pub quota: Chips,
    /// What counts against it.
    #[schema(value_type = u64)]
    pub used: Chips,
    /// What of that is borrowed from above.
    #[schema(value_type = u64)]
    pub borrowed: Chips,
}

/// What owners lent one another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lent {
    /// As of when.
    #[schema(value_type = u64)]
    pub at_ms: Moment,
    /// By pair of owners, of those the asker may see.
    pub loans: Vec<Loan>,
}

/// What an owner lent another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Loan {
    /// Whose centers.
    #[schema(value_type = String)]
    pub lender: OwnerId,
    /// The owner of the center where the guests are at home; their organization where they are nowhere.
    pub borrower: String,
    /// Chips that guests' jobs have now, in thousandths.
    #[schema(value_type = u64)]
    pub now: Chips,
    /// What they had on each day, in chip-milliseconds, in UTC, today last.
    #[schema(value_type = Vec<u64>)]
    pub days: Vec<ChipTime>,
}

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Why, level by level from the network down.
    pub why: Vec<String>,
}

/// What an owner takes back of what it lent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallWanted {
    /// Of which pool; of all where none is named.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub pool: Option<PoolId>,
    /// How many of its chips, in thousandths, no guest is to have; all where nothing is said, and none to
    /// lend again.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub chips: Option<Chips>,
    /// By when; within the notice where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub by_ms: Option<Moment>,
    /// Until when; until it is lent again where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub until_ms: Option<Moment>,
}

/// Who leaves for an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recalled {
    /// Jobs that are told to make room.
    pub leave: Vec<Leaving>,
}

/// A job that leaves for an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Leaving {
    /// Which.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-42")]
    pub job: JobId,
    /// When it has left at the latest.
    #[schema(value_type = u64)]
    pub by_ms: Moment,
}

/// What would become of it if tenants and flavors were declared otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaPlan {
    /// Quotas that would change what a tenant could have.
    pub quotas: Vec<QuotaChange>,
    /// Waiting jobs that would be given a place at once, and would not as it is.
    pub start: Vec<JobOf>,
    /// Jobs that would be told to make room, and would not as it is.
    pub leave: Vec<JobOf>,
    /// Waiting jobs that would be given a place at once as it is, and would not then.
    pub wait: Vec<JobOf>,
}

/// What a tenant could have of a flavor, and would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuotaChange {
    /// Who.
    #[schema(value_type = String)]
    pub tenant: TenantId,
    /// Of which.
    #[schema(value_type = String)]
    pub flavor: FlavorId,
    /// What is its own, as it is.
    #[schema(value_type = u64)]
    pub nominal_before: Chips,
    /// What would be.
    #[schema(value_type = u64)]
    pub nominal_after: Chips,
    /// What it could have if nobody else used anything, as it is.
    #[schema(value_type = u64)]
    pub most_before: Chips,
    /// What it could then.
    #[schema(value_type = u64)]
    pub most_after: Chips,
    /// What its jobs have now.
    #[schema(value_type = u64)]
    pub own: Chips,
}

/// A job and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobOf {
    /// Which.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "job-42")]
    pub job: JobId,
    /// Whose.
    #[schema(value_type = String)]
    pub tenant: TenantId,
}
