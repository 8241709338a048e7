//! What the API shows and takes, as JSON.
//!
//! Numbers are integers with their unit in the name: `limit_ms`, `bytes`, `capacity_bps`,
//! `chips_milli` (thousandths). Moments end in `_ms` too: milliseconds since 1970-01-01 UTC. Ids are
//! text (`job-42`), money is micro-units and a currency. Fields are added, never renamed; readers
//! skip those they do not know, while a request with one is refused.
//!
//! Deliberately absent: how any of it is worked out.

mod capability;
mod center;
mod dataset;
mod job;
mod keeping;
mod link;
mod log;
mod network;
mod plan;
mod problem;
mod promise;
mod quality;
mod reservation;
mod share;
mod token;
mod transfer;
mod why;

pub use capability::{
    BenchReport, Capability, Check, CheckReport, CommandRun, CommandSaid, DeclaredSize, Host,
    Measured, Missing, PoolSeen, Readiness, Requirement,
};
pub use center::{Agent, Center, Centers, Lending, Pool, TakenBack};
pub use dataset::{Announcement, Dataset, DatasetVersion, Datasets, Ticket};
pub use job::{
    After, Array, Asked, Attempt, Input, Job, JobDetail, Jobs, Node, Output, Part, Stream,
    Submitted, Variant,
};
pub use keeping::{
    ArchivePlan, Archiving, ArchivingData, Copy, CopyPlan, CopyState, ExternalStore, GoingVersion,
    Holding, Keeping, MissingCopies, Outlook, Scrub, Scrubbing, Store, StoreDetail, Stores,
    WantedArchive, WantedCopy,
};
pub use link::{End, Exchange, Exchanges, Link, Links};
pub use log::{Event, LogPage, LogRecord};
pub use network::{Applied, Chip, Chips, Document, NetworkFiles, Tenant, Tenants};
pub use plan::{LastPlan, PlanGap, PlanReport};
pub use problem::{Problem, SpecError};
pub use promise::{Cause, Kept, KeptAhead, KeptBy, Promises};
pub use quality::{Circle, Circles, City, LinkTest, Near, Path, Paths, Quality, Sla, Tested};
pub use reservation::{Reservation, Reservations};
pub use share::{
    Entitled, Flavor, JobOf, Leaving, Lent, Loan, QuotaChange, QuotaPath, QuotaPlan, QuotaStep,
    QuotaUse, RecallWanted, Recalled, Shares, TenantShare, Turn,
};
pub use token::{NewToken, Token, TokenRole, TokenSecret, Tokens};
pub use transfer::{RateStep, Transfer, TransferLeg, Transfers};
pub use why::{Behind, Candidate, Change, Changes, Fetch, Plan, Risk, RunBasis, Standing, Why};

/// An amount of money in the schema; in the program it is [`model::Money`].
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = Money)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct MoneySchema {
    /// Millionths of the currency's unit.
    micros: i64,
    /// ISO 4217 code.
    #[schema(example = "CNY")]
    currency: String,
}
