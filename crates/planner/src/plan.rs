//! Going through the queue.

use crate::board::Board;
use crate::candidate::{Candidate, Field, Question, Reach};
use crate::class::{Class, ClassId, class_of};
use crate::refusal::Standing;
use crate::staging::Coming;
use crate::{Policy, Situation};
use calendar::Work;
use model::job::JobSpec;
use model::{
    AttemptId, JobId, Moment, PartPlacement, Placement, PlanId, Span, Staging, TransferId,
};
use std::sync::Arc;
use world::World;

/// How many reservations a plan inside a step makes: enough to keep backfill from starving the
/// head of the queue until the next background plan.
const INLINE_RESERVATIONS: usize = 8;

/// How much of the queue a plan looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What can be done within a step.
    Inline,
    /// All that the policy's work units allow.
    Background,
}

/// A proposal. Nothing has happened until the controller made facts of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The number of the last fact it knows.
    pub parent: u64,
    /// Jobs that can be given their place now.
    pub offers: Vec<Offer>,
    /// Jobs at the head of the queue that must wait, and the start reserved for them.
    pub starts: Vec<(JobId, Moment)>,
    /// Jobs looked at, their class standing for them where it was refused as a whole.
    pub considered: usize,
    /// Jobs not looked at, for the work was spent.
    pub left: usize,
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
}

/// A transfer an offer needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// One that is under way already.
    Under(TransferId),
    /// One to be planned with it; its number is handed out when it becomes a fact.
    New(Staging),
}

/// Why a job waits, or what would become of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Places that would do, best first.
    pub candidates: Vec<Candidate>,
    /// Where every center stands, in the order of names.
    pub standings: Vec<Standing>,
    /// Jobs that come before it.
    pub ahead: usize,
}

/// The queue gone through so far.
struct Walk<'a> {
    world: &'a World,
    situation: &'a Situation,
    policy: &'a Policy,
    board: Board,
    coming: Coming,
    reservations: usize,
    work: Work,
    plan: Plan,
}

impl<'a> Walk<'a> {
    fn new(
        world: &'a World,
        board: &Board,
        situation: &'a Situation,
        policy: &'a Policy,
        scope: Scope,
    ) -> Self {
        let (reservations, work) = match scope {
            Scope::Inline => (INLINE_RESERVATIONS.min(policy.reservations), policy.inline_work),
            Scope::Background => (policy.reservations, policy.background_work),
        };
        Self {
            world,
            situation,
            policy,
            board: board.clone(),
            coming: Coming::default(),
            reservations,
            work: Work::up_to(work),
            plan: Plan { parent: world.number, ..Plan::default() },
        }
    }

    fn field(&mut self, class: ClassId, spec: &JobSpec, reach: Reach) -> Field {
        let question = Question {
            world: self.world,
            board: &self.board,
            coming: &self.coming,
            situation: self.situation,
            policy: self.policy,
            class,
            spec,
            reach,
        };
        question.field(&mut self.work)
    }

    /// Places the jobs of a class one after another until one cannot be placed.
    fn class(&mut self, id: ClassId, class: &Class) {
        let mut waiting = class.jobs.len();
        for job in &class.jobs {
            if self.work.is_spent() {
                self.plan.left += waiting;
                return;
            }
            let reach = if self.reservations > 0 { Reach::Ever } else { Reach::Now };
            let field = self.field(id, &class.spec, reach);
            waiting -= 1;
            self.plan.considered += 1;
            let Some(best) = field.candidates.first() else { break };
            if self.can_be_offered(best) {
                self.take(*job, best, true);
            } else if self.reservations > 0 {
                self.reservations -= 1;
                self.plan.starts.push((*job, best.start));
                self.take(*job, best, false);
            } else {
                break;
            }
        }
        self.plan.considered += waiting;
    }

    /// Whether there is something to do for the candidate at once: start it, or bring its data to
    /// where its nodes will soon be free.
    fn can_be_offered(&self, best: &Candidate) -> bool {
        let now = self.situation.now;
        if best.data_ready <= now {
            best.start <= now
        } else {
            best.start <= best.data_ready + self.policy.stage_ahead
        }
    }

    /// Takes the candidate's nodes and bandwidth off the working board.
    fn take(&mut self, job: JobId, best: &Candidate, offer: bool) {
        let attempt = AttemptId { job, epoch: u32::MAX };
        if let Some(pool) = self.board.pool_mut(&best.center, &best.pool) {
            pool.hold(attempt, &best.slots, best.start, best.until);
        }
        for transfer in &best.transfers {
            if let Transfer::New(staging) = transfer {
                self.coming.add(&mut self.board, staging);
            }
        }
        if offer {
            self.plan.offers.push(Offer {
                job,
                placement: placement(best),
                transfers: best.transfers.clone(),
            });
        }
    }

    /// Goes through the queue, up to the class named.
    fn queue(&mut self, stop_at: Option<ClassId>) {
        let queue = Arc::clone(&self.board.queue);
        for (id, class) in queue.in_order() {
            if Some(id) == stop_at {
                break;
            }
            self.class(id, class);
        }
        self.plan.work = self.work.done();
    }

    /// Where a class stands after those gone through so far.
    fn explain(&mut self, id: ClassId, spec: &JobSpec) -> Explanation {
        let ahead = self.plan.considered + self.plan.left - self.plan.offers.len();
        // Whatever the jobs before it took: the asker is to have an answer.
        self.work = Work::up_to(self.policy.background_work);
        let field = self.field(id, spec, Reach::Ever);
        let standings = field.standings(self.situation.now);
        Explanation { candidates: field.candidates, standings, ahead }
    }
}

fn placement(best: &Candidate) -> Placement {
    Placement {
        plan: PlanId::new(0),
        parts: vec![PartPlacement {
            center: best.center.clone(),
            pool: best.pool.clone(),
            variant: best.variant,
            nodes: best.slots.clone(),
        }],
        start: best.start,
        until: best.until,
        finish: best.finish,
        price: best.price,
        inputs: best.inputs.clone(),
        awaits: Vec::new(),
    }
}

/// Draws up a plan for the waiting jobs.
#[must_use]
pub fn plan(
    world: &World,
    board: &Board,
    situation: &Situation,
    policy: &Policy,
    scope: Scope,
) -> Plan {
    let mut walk = Walk::new(world, board, situation, policy, scope);
    walk.queue(None);
    walk.plan
}

/// Why a waiting job waits: the planner's own answer for its class, after the jobs before it.
/// `None` when the job does not wait.
#[must_use]
pub fn explain(
    world: &World,
    board: &Board,
    situation: &Situation,
    policy: &Policy,
    job: JobId,
) -> Option<Explanation> {
    let (id, class) = board.queue().class(job)?;
    let spec = Arc::clone(&class.spec);
    let mut walk = Walk::new(world, board, situation, policy, Scope::Background);
    walk.queue(Some(id));
    Some(walk.explain(id, &spec))
}

/// What would become of a job if it were submitted now: it would queue behind all of its priority.
#[must_use]
pub fn trial(
    world: &World,
    board: &Board,
    situation: &Situation,
    policy: &Policy,
    spec: &JobSpec,
) -> Explanation {
    let mut walk = Walk::new(world, board, situation, policy, Scope::Background);
    walk.queue(None);
    walk.explain(class_of(spec), spec)
}

/// Whether an offer drawn up a while ago still holds on the live board.
#[must_use]
pub fn still_holds(world: &World, board: &Board, situation: &Situation, offer: &Offer) -> bool {
    let place = &offer.placement;
    let from = place.start.max(situation.now);
    let until = place.until.max(from + Span(1));
    let nodes = place.parts.iter().all(|part| {
        let known = world.centers.get(&part.center).is_some_and(|c| c.agent.is_some());
        let pool = board.pool(&part.center, &part.pool);
        known
            && !situation.silent.contains_key(&part.center)
            && pool.is_some_and(|pool| pool.is_free(&part.nodes, from, until))
    });
    let here = |data: &model::DatasetVersion| {
        let center = place.center();
        let version = world.exact(data);
        version.is_some_and(|v| v.replicas.contains(center))
            || world.transfer_to(data, center).is_some()
    };
    let transfers = offer.transfers.iter().all(|transfer| match transfer {
        Transfer::Under(id) => world.transfers.contains_key(id),
        Transfer::New(staging) => {
            world.transfer_to(&staging.data, &staging.to).is_some()
                || (world.exact(&staging.data).is_some_and(|v| v.replicas.contains(&staging.from))
                    && board.has_room(&staging.hops, &staging.steps))
        }
    });
    let coming = |data: &&model::DatasetVersion| {
        offer.transfers.iter().any(|t| matches!(t, Transfer::New(s) if s.data == **data))
    };
    nodes && transfers && place.inputs.iter().all(|data| coming(&data) || here(data))
}
