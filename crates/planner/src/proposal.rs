//! What a plan says.

use crate::candidate::Candidate;
use crate::class::ClassId;
use crate::entitlement::Entitlements;
use crate::plan::Gap;
use crate::rank::Rank;
use crate::roster::PoolNumber;
use crate::toll::Tolls;
use crate::view::View;
use model::attempt::{Slots, Stream};
use model::{
    AttemptId, CenterId, JobId, Moment, PartPlacement, Placement, PlanId, PoolId, Staging,
    TenantId, TransferId,
};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A proposal. Nothing has happened until the controller made facts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The number of the last fact it knows.
    pub parent: u64,
    /// Jobs from this number on were not there yet.
    pub next_job: JobId,
    /// Whether it is for the whole queue; else what it does not name stays as it is.
    pub is_whole: bool,
    /// Jobs that can be given their place now.
    pub offers: Vec<Offer>,
    /// Jobs at the head of their tenants' queues that must wait, and the start reserved for them.
    pub starts: Vec<Reservation>,
    /// Classes that had no start for want of quota.
    pub short: BTreeSet<ClassId>,
    /// What chips cost from now on, where that was worked out anew.
    pub tolls: Option<Arc<Tolls>>,
    /// What tenants are entitled to from now on, where a round is over.
    pub entitlements: Option<Arc<Entitlements>>,
    /// How far a plan for the whole queue is from what no plan could better; none where nobody was given a
    /// start.
    pub gap: Option<Gap>,
    /// Jobs looked at, their class standing for them where it was refused as a whole.
    pub considered: usize,
    /// Jobs not looked at, for the work was spent.
    pub left: usize,
    /// Places opened: their calendars asked.
    pub opened: u64,
    /// Work units it took.
    pub work: u64,
}

/// A place for a job, to be offered to the center.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The job.
    pub job: JobId,
    /// Where and when; the plan and the transfers it awaits are filled in when it becomes a fact.
    pub placement: Placement,
    /// The transfers it needs.
    pub transfers: Vec<Transfer>,
    /// Attempts that are to make room for it.
    pub preempts: Vec<AttemptId>,
}

/// A transfer an offer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// One that is under way already.
    Under(TransferId),
    /// One to be planned with it; its number is handed out when it becomes a fact.
    New(Box<Staging>),
}

/// A start kept free for a job that must wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The job.
    pub job: JobId,
    /// For whom it runs.
    pub tenant: TenantId,
    /// Its class.
    pub class: ClassId,
    /// The center.
    pub center: CenterId,
    /// Its pool.
    pub pool: PoolId,
    /// The variant, by index.
    pub variant: u16,
    /// The nodes.
    pub slots: Vec<Slots>,
    /// What it is to read over the network meanwhile.
    pub streams: Vec<Stream>,
    /// When it can start at the latest.
    pub start: Moment,
    /// When its nodes are free again at the latest.
    pub until: Moment,
    /// When there is something to do for it: to start it, or to bring its data.
    pub due: Moment,
    /// The booked window in which it is to run.
    pub inside: Option<JobId>,
    pub(crate) number: PoolNumber,
    pub(crate) rank: Rank,
}

impl View {
    /// What becomes of a candidate that is decided on; the plan and the transfers it awaits are filled in
    /// when it becomes a fact.
    pub(crate) fn placed(&self, best: &Candidate) -> Placement {
        let seat = self.roster.seat(best.number);
        let part = PartPlacement {
            center: best.center.clone(),
            pool: best.pool.clone(),
            variant: best.variant,
            nodes: best.slots.clone(),
            flavor: seat.flavor.clone(),
            worth: seat.pool().worth(seat.chip.as_deref()),
        };
        Placement {
            plan: PlanId::new(0),
            parts: vec![part],
            start: best.start,
            until: best.until,
            finish: best.finish,
            price: best.price,
            inputs: best.inputs.clone(),
            awaits: Vec::new(),
            streams: best.streams.clone(),
            inside: best.inside,
        }
    }
}

impl Reservation {
    /// Under which name its nodes are held: no attempt has this epoch.
    pub(crate) const fn tag(&self) -> AttemptId {
        AttemptId { job: self.job, epoch: u32::MAX }
    }
}
