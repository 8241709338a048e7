//! Snapshot in; placements, transfers, reservations and refusals out.
//!
//! The one door is [`plan`]: it goes through the waiting jobs by priority and age and gives each the
//! best of its candidates: center, pool, variant, start, replica and path decided together. Jobs
//! that can start now become offers; those at the head of their tenant's queue that cannot get
//! reservations, so that what is behind them fills gaps without delaying them. [`repair`] does the
//! same for what an event touched, and nothing else. [`copy`] plans the transfer of a copy that no job
//! waits for, and [`hosts`] says where a job could run at all. [`explain`] asks the same code why a job
//! waits,
//! and [`remedies`] which smallest change would help.
//!
//! Alike jobs are a [`Class`]: where they could go at all is worked out once for all of them, and
//! of these choices only those are opened whose bound is better than the best found.
//!
//! Deterministic, and bounded by work units, never by a clock. A plan is a proposal: nothing has
//! happened until the controller made facts of it, and [`still_holds`] is asked for each offer then.
//!
//! Deliberately absent: clocks, randomness, the log, and any idea of who is asking.

mod aim;
mod ask;
mod board;
mod booking;
mod candidate;
mod change;
mod class;
mod coming;
mod demand;
mod entitlement;
mod estimate;
mod explain;
mod holds;
mod hosts;
mod idle;
mod lending;
mod node;
mod options;
pub mod packing;
mod plan;
mod pool;
mod preempt;
mod proposal;
mod queue;
mod quota;
mod rank;
mod recall;
mod recent;
mod refusal;
mod remedy;
mod roster;
mod runs;
mod scene;
mod search;
mod shelf;
mod staging;
mod stream;
mod supply;
mod tally;
mod terms;
#[cfg(test)]
mod tests;
mod toll;
mod touched;
mod trial;
mod victims;
mod view;

pub use aim::Aim;
pub use ask::Ask;
pub use board::Board;
pub use booking::{Booking, book};
pub use candidate::{Candidate, meet};
pub use change::Change;
pub use class::{Class, ClassId, Lines, class_of, class_of_job};
pub use entitlement::{Entitled, Entitlements};
pub use estimate::Basis;
pub use explain::{Explanation, explain, trial};
pub use holds::still_holds;
pub use hosts::hosts;
pub use lending::NotLent;
pub use plan::{Bounding, Gap};
pub use pool::PoolBoard;
pub use preempt::{Preempting, retimed};
pub use proposal::{Offer, Plan, Reservation, Transfer};
pub use recall::{NotInTime, Recall, recall};
pub use refusal::{Refusal, Standing};
pub use remedy::{Of, Remedies, Remedy, remedies};
pub use staging::copy;
pub use stream::reroute;
pub use terms::{Behind, Fetch, Risk, Terms};
pub use toll::Tolls;
pub use touched::Touched;
pub use trial::{QuotaTrial, try_quotas};
pub use view::View;

use model::{CenterId, Moment, Span};
use std::collections::BTreeMap;
use world::World;

/// All a background plan is drawn up from. Making one copies no job.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// What happened so far.
    pub world: World,
    /// What is committed from now on.
    pub view: View,
    /// What no fact says.
    pub situation: Situation,
    /// What is better than what.
    pub policy: Policy,
}

impl Snapshot {
    /// The plan for the whole queue.
    #[must_use]
    pub fn plan(&self) -> Plan {
        plan(&self.world, &self.view, &self.situation, &self.policy)
    }
}

/// Draws up a plan for the whole queue, whatever was reserved before.
#[must_use]
pub fn plan(world: &World, view: &View, situation: &Situation, policy: &Policy) -> Plan {
    plan::Walk::new(world, view, situation, policy, policy.background_work).all()
}

/// Repairs the plan in force after what was `touched`, within the work units of a step.
#[must_use]
pub fn repair(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    touched: &Touched,
) -> Plan {
    plan::Walk::new(world, view, situation, policy, policy.inline_work).touched(touched)
}

/// What planning knows beside facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The present time.
    pub now: Moment,
    /// Centers nothing can be given to, and since when they have been silent.
    pub silent: BTreeMap<CenterId, Moment>,
}

/// What the network wants of plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What they are to bring about.
    pub aim: Aim,
    /// How many jobs at the head of each tenant's queue get a reservation.
    pub reservations: usize,
    /// Work units a plan inside a step may take.
    pub inline_work: u64,
    /// Work units a background plan may take.
    pub background_work: u64,
    /// How many paths are looked at between two centers.
    pub paths: usize,
    /// How many centers may send parts of one copy at once.
    pub sources: usize,
    /// What an hour is worth to a `balanced` job that names nothing else, in micro-units of its
    /// price's currency.
    pub hour_is_worth: i64,
    /// How much sooner than its nodes are free a job's data may be there: staging does not begin
    /// before. For a job behind its tenant's reservations it is also how soon the data has to be
    /// there: what takes longer waits until the job is one of those at the head.
    pub stage_ahead: Span,
    /// Once a job has waited this long, for want of its tenant's quota, others of its tenant that come
    /// after it no longer take what it waits for.
    pub quota_patience: Span,
    /// At which intervals it is worked out what tenants are entitled to, where plans are to be fair: who
    /// has less takes the place of preemptible jobs then. Never, where there is none; standings alone
    /// decide then.
    pub round: Option<Span>,
    /// Whether what chips cost all others counts, where jobs are to be over soon in the mean.
    pub prices: bool,
    /// Whether runs are expected by what was learned from jobs that are over; else by limits alone.
    pub lessons: bool,
    /// Whether data and chips are decided on together; else a job goes to where its data can be soonest.
    pub joint_data: bool,
    /// Whether and how jobs of higher priority take the place of preemptible ones.
    pub preempting: Option<Preempting>,
}

impl Policy {
    /// The same towards another aim, with as many reservations as go well with it: where what comes later
    /// may be first, a start kept for a job is kept from others that are worth more.
    #[must_use]
    pub fn towards(self, aim: Aim) -> Self {
        let reservations = match aim {
            Aim::Fair | Aim::DeadlineFirst => self.reservations,
            Aim::MeanCompletion | Aim::Makespan => self.reservations.min(1),
        };
        Self { aim, reservations, ..self }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            aim: Aim::Fair,
            reservations: 64,
            inline_work: 20_000,
            background_work: 50_000_000,
            paths: 4,
            sources: 4,
            hour_is_worth: 10_000_000,
            stage_ahead: Span::from_secs(600),
            quota_patience: Span::from_secs(600),
            round: None,
            prices: true,
            lessons: true,
            joint_data: true,
            preempting: Some(Preempting::default()),
        }
    }
}
