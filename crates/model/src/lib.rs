//! The words: ids, units, chips, centers, links, datasets, tenants, jobs and facts.
//!
//! Every other crate speaks in these. A word lives here when three crates speak of it; otherwise it
//! lives with its owner. The one door to people's files is [`mod@file`]: text in, words or
//! diagnostics out.
//!
//! Deliberately absent: decisions, clocks, files, sockets. Nothing here knows what the present time
//! is or where a document was read from.

pub mod admission;
pub mod attempt;
pub mod capability;
pub mod carbon;
pub mod center;
pub mod chip;
pub mod dataset;
pub mod fact;
pub mod file;
pub mod id;
pub mod job;
pub mod keeping;
pub mod lending;
pub mod link;
pub mod money;
pub mod quality;
pub mod quota;
pub mod region;
pub mod store;
pub mod tenant;
pub mod token;
pub mod unit;

pub use admission::{Admission, Readiness};
pub use attempt::{
    Attempt, Ended, Outcome, PartPlacement, Placement, Refused, Slots, Staging, Stop, Stream,
};
pub use capability::{Figure, Unit};
pub use carbon::CarbonIntensity;
pub use center::{Capability, Center, EngineKind, Pool, Site};
pub use chip::Chip;
pub use dataset::{DatasetRef, DatasetVersion, Manifest};
pub use fact::{Fact, Header, Record};
pub use id::{
    AttemptId, BootId, CenterId, ChipClass, ChipId, DatasetId, Digest, ExchangeId, FlavorId, JobId,
    LinkId, NetworkUid, NotAnId, OwnerId, PlanId, PoolId, PriorityClassId, StoreId, TenantId,
    TokenId, TransferId,
};
pub use job::{JobEnd, JobSpec, Objective, Part, Phase, Variant, WhenCutOff};
pub use keeping::{Expiry, Keeping, Leave};
pub use lending::{Guests, Lending, Relation, Window};
pub use link::{Exchange, Link, SiteId};
pub use money::{Currency, Money};
pub use quota::{Flavor, Preemption, PriorityClass, Quota};
pub use region::Region;
pub use store::{ExternalStore, Lies, Tier};
pub use tenant::Tenant;
pub use token::{Principal, Role, Token};
pub use unit::{Bytes, ChipTime, Chips, Cores, Moment, NotAnAmount, Rate, Span};
