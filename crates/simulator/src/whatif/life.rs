//! What became of each job, by a log: one that a server wrote, or that of a simulated run. Both are
//! read by this code, so that their figures can be put side by side.

use crate::log::Sink;
use model::fact::{Fact, TransferEnd, UnreadableFact};
use model::{
    Bytes, Center, CenterId, ChipTime, Chips, Currency, DatasetVersion, JobEnd, JobId, JobSpec,
    Moment, Outcome, Placement, Record, Span, TransferId,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job's way, as far as the log tells it.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    pub(crate) job: JobId,
    pub(crate) spec: Arc<JobSpec>,
    /// The number of the fact that it was submitted by.
    pub(crate) number: u64,
    /// Since when it could be given a place: its submission, or its first release.
    pub(crate) since: Option<Moment>,
    /// The start it was first told.
    pub(crate) promised: Option<Moment>,
    /// Its attempts that started, and the one that may yet.
    pub(crate) tries: Vec<Try>,
    /// The versions its inputs were last settled at.
    pub(crate) inputs: Vec<DatasetVersion>,
    pub(crate) ended: Option<(Moment, JobEnd)>,
    /// What was moved between centers for it, and what the links took for that.
    pub(crate) moved: Bytes,
    pub(crate) links: Costs,
}

/// An attempt.
#[derive(Debug, Clone)]
pub(crate) struct Try {
    pub(crate) placement: Arc<Placement>,
    pub(crate) started: Option<Moment>,
    /// When its last checkpoint was written.
    pub(crate) saved: Option<Moment>,
    pub(crate) over: Option<Over>,
}

/// An attempt's end.
#[derive(Debug, Clone)]
pub(crate) struct Over {
    pub(crate) at: Moment,
    pub(crate) outcome: Outcome,
    /// How long its process ran, by a clock that never jumps.
    pub(crate) ran: Span,
    /// What its chips cost by their pool's price at that moment.
    pub(crate) cost: Costs,
}

/// Micro-units of money by currency: amounts of two currencies are never added.
pub(crate) type Costs = BTreeMap<Currency, i64>;

pub(crate) fn add(to: &mut Costs, more: &Costs) {
    for (currency, micros) in more {
        let sum = to.entry(*currency).or_default();
        *sum = sum.saturating_add(*micros);
    }
}

impl Try {
    /// Chips of its gang, all nodes together.
    pub(crate) fn chips(&self) -> Chips {
        let slots = self.placement.parts.iter().flat_map(|part| &part.nodes);
        slots.fold(Chips::ZERO, |sum, slots| {
            sum.saturating_add(slots.share.times(slots.chips.len() as u64))
        })
    }

    /// The chips it held between two moments, over time.
    pub(crate) fn held(&self, from: Moment, until: Moment) -> ChipTime {
        let Some(started) = self.started else { return ChipTime::ZERO };
        let over = self.over.as_ref().map_or(until, |over| over.at.min(until));
        self.chips().over(over.since(started.max(from)))
    }
}

impl Life {
    /// When it first ran.
    pub(crate) fn started(&self) -> Option<Moment> {
        self.tries.iter().find_map(|one| one.started)
    }

    /// Its newest attempt that ran.
    pub(crate) fn last(&self) -> Option<&Try> {
        self.tries.iter().rev().find(|one| one.started.is_some())
    }

    /// How long attempts before this one ran until their last checkpoint in the same center: what it
    /// went on from.
    pub(crate) fn saved_for(&self, one: &Try) -> Span {
        let before = self.tries.iter().take_while(|other| !std::ptr::eq(*other, one));
        let here = before.filter(|other| other.placement.center() == one.placement.center());
        let saved = here.filter_map(|other| Some(other.saved?.since(other.started?)));
        saved.fold(Span::ZERO, |sum, span| sum + span)
    }

    /// The attempt that ran at a moment.
    pub(crate) fn running(&self, at: Moment) -> Option<&Try> {
        let runs = |one: &&Try| {
            one.started.is_some_and(|started| started <= at)
                && one.over.as_ref().is_none_or(|over| over.at > at)
        };
        self.tries.iter().find(runs)
    }

    /// What its chips and its data's way cost.
    pub(crate) fn cost(&self) -> Costs {
        let mut sum = self.links.clone();
        self.tries.iter().filter_map(|one| one.over.as_ref()).for_each(|o| add(&mut sum, &o.cost));
        sum
    }
}

/// A transfer on its way.
#[derive(Debug)]
struct Carried {
    price: (Currency, i64),
    /// The first job that waits for it.
    job: Option<JobId>,
}

/// All jobs of a log.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    pub(crate) jobs: BTreeMap<JobId, Life>,
    centers: BTreeMap<CenterId, Arc<Center>>,
    transfers: BTreeMap<TransferId, Carried>,
}

impl Sink for Lives {
    fn take(&mut self, records: &[Record]) {
        for record in records.iter().filter(|record| tells(&record.header.kind)) {
            // What this program has just written it can read.
            if let Ok(fact) = record.fact() {
                self.fact(record.header.number, record.header.at, &fact);
            }
        }
    }
}

/// Whether a fact of this kind says something of jobs, of transfers or of what they cost.
pub(crate) fn tells(kind: &str) -> bool {
    kind.starts_with("job-")
        || kind.starts_with("transfer-")
        || matches!(kind, "center-declared" | "attempt-started" | "attempt-ended")
}

impl Lives {
    /// Takes in the next fact. One about a job whose submission is not known changes nothing.
    pub(crate) fn fact(&mut self, number: u64, at: Moment, fact: &Fact) {
        match fact {
            Fact::CenterDeclared(center) => {
                self.centers.insert(center.center.clone(), Arc::clone(center));
            }
            Fact::JobSubmitted(f) => {
                for (place, job) in (0..).zip(f.jobs()) {
                    let waits = !f.spec.hold && !f.spec.begins_blocked(place);
                    let life = Life {
                        job,
                        spec: Arc::clone(&f.spec),
                        number,
                        since: waits.then_some(at),
                        promised: None,
                        tries: Vec::new(),
                        inputs: Vec::new(),
                        ended: None,
                        moved: Bytes::ZERO,
                        links: Costs::new(),
                    };
                    self.jobs.insert(job, life);
                }
            }
            Fact::TransferPlanned(f) => {
                let price = (f.price.currency, f.price.micros);
                self.transfers.insert(f.transfer, Carried { price, job: None });
            }
            Fact::TransferEnded(f) => self.arrived(f.transfer, &f.end),
            _ => self.about_job(at, fact),
        }
    }

    fn about_job(&mut self, at: Moment, fact: &Fact) {
        let Some(life) = fact.job().and_then(|job| self.jobs.get_mut(&job)) else { return };
        match fact {
            Fact::JobReleased(f) if f.blocked => {}
            Fact::JobReleased(_) | Fact::JobUnblocked(_) => {
                life.since.get_or_insert(at);
            }
            Fact::JobPromised(f) => {
                life.promised.get_or_insert(f.start);
            }
            Fact::JobOffered(f) => {
                life.promised.get_or_insert(f.placement.start);
                life.inputs.clone_from(&f.placement.inputs);
                let placement = Arc::clone(&f.placement);
                life.tries.push(Try { placement, started: None, saved: None, over: None });
                for transfer in &f.placement.awaits {
                    if let Some(carried) = self.transfers.get_mut(transfer) {
                        carried.job.get_or_insert(f.attempt.job);
                    }
                }
            }
            Fact::AttemptStarted(_) => {
                if let Some(one) = life.tries.last_mut() {
                    one.started.get_or_insert(at);
                }
            }
            Fact::AttemptCheckpointed(f) => {
                if let Some(one) = life.tries.last_mut() {
                    one.saved = Some(f.at);
                }
            }
            Fact::AttemptEnded(f) => {
                let Some(one) = life.tries.last_mut().filter(|one| one.over.is_none()) else {
                    return;
                };
                let Some(started) = one.started else {
                    life.tries.pop();
                    return;
                };
                let cost = price(&self.centers, &one.placement, at.since(started));
                let (outcome, ran) = (f.ended.outcome.clone(), f.ended.ran);
                one.over = Some(Over { at, outcome, ran, cost });
            }
            Fact::JobEnded(f) => life.ended = Some((at, f.end.clone())),
            _ => {}
        }
    }

    fn arrived(&mut self, transfer: TransferId, end: &TransferEnd) {
        let Some(carried) = self.transfers.remove(&transfer) else { return };
        let TransferEnd::Arrived { moved, .. } = end else { return };
        // What nobody waited for is nobody's.
        let Some(life) = carried.job.and_then(|job| self.jobs.get_mut(&job)) else { return };
        life.moved += *moved;
        add(&mut life.links, &Costs::from([carried.price]));
    }
}

/// What holding an attempt's chips for so long costs.
fn price(centers: &BTreeMap<CenterId, Arc<Center>>, placement: &Placement, span: Span) -> Costs {
    let mut costs = Costs::new();
    for part in &placement.parts {
        let center = centers.get(&part.center);
        let Some(pool) = center.and_then(|center| center.pool(&part.pool)) else { continue };
        let nodes = u32::try_from(part.nodes.len()).unwrap_or(u32::MAX);
        let first = part.nodes.first();
        let each = first.map_or(Chips::ZERO, |slots| slots.share.times(slots.chips.len() as u64));
        let price = pool.price(nodes, each, span);
        add(&mut costs, &Costs::from([(price.currency, price.micros)]));
    }
    costs
}

/// A record's fact; none where its payload was withheld or erased.
pub(crate) fn fact(record: &Record) -> Result<Option<Fact>, UnreadableFact> {
    if record.payload.is_empty() { Ok(None) } else { record.fact().map(Some) }
}
