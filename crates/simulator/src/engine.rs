//! A center's engine, simulated: attempts that run for as long as they are to, and the truth about
//! which chips are in use.

use crate::load::{Actual, Ending};
use model::attempt::Slots;
use model::{AttemptId, Bytes, Center, Chips, Ended, Moment, Outcome, Rate, Span, Stop};
use reconciler::Seen;
use std::collections::{BTreeMap, BTreeSet};
use wire::Run;

/// A center's nodes and what runs on them.
pub(crate) struct Engine {
    pools: Vec<Nodes>,
    attempts: BTreeMap<AttemptId, Held>,
    /// Attempts whose launch was cut short, and what is seen of them.
    cut_short: BTreeMap<AttemptId, Seen>,
    /// Attempts that something became of since the agent last looked.
    changed: BTreeSet<AttemptId>,
    /// Chips in use now.
    pub(crate) busy: Chips,
}

/// What is in use of a pool's nodes.
struct Nodes {
    name: String,
    chips_per_node: u16,
    /// Thousandths in use, by node and chip.
    chips: Vec<u64>,
}

/// An attempt from its launch until it is forgotten.
struct Held {
    began: Moment,
    pool: Option<usize>,
    nodes: Vec<Slots>,
    /// When it ends by itself, and how.
    finish: Moment,
    outcome: Outcome,
    /// When its tenant cancels it.
    cancel: Option<Moment>,
    limit: Moment,
    lease: Option<Moment>,
    stopped: Moment,
    /// How long it takes to die.
    dying: Span,
    ended: Option<Ended>,
    keeps: Option<Keeps>,
    /// Work that its checkpoints hold, once it is over.
    kept: Option<Span>,
}

/// How an attempt keeps its progress.
#[derive(Debug, Clone, Copy)]
struct Keeps {
    /// How often it writes a checkpoint by itself.
    every: Option<Span>,
    /// Whether it writes one when it is told to stop.
    asked: bool,
    /// Work that was done before it began.
    before: Span,
    /// Thousandths of the reference's speed.
    speed: u32,
}

impl Keeps {
    /// The work that is kept when the attempt ends so at `now`.
    fn by(&self, held: &Held, outcome: &Outcome, now: Moment) -> Span {
        let lived = now.since(held.began);
        let whole = |every: Span| Span(lived.0.checked_div(every.0).map_or(0, |n| n * every.0));
        let ran = match outcome {
            Outcome::Stopped(_) if self.asked => held.stopped.since(held.began),
            _ => self.every.map_or(Span::ZERO, whole),
        };
        self.before + ran.scaled(u64::from(self.speed), 1_000)
    }
}

/// What became of an attempt that something was due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Became {
    /// Nothing, or it is over already.
    Nothing,
    /// Look again then.
    Later(Moment),
    /// Its tenant wants to cancel it; look again then.
    Canceled(Moment),
    /// It is over.
    Over,
}

/// How an attempt is started.
pub(crate) struct Launch<'a> {
    pub(crate) run: &'a Run,
    pub(crate) now: Moment,
    pub(crate) lease: Option<Moment>,
    pub(crate) actual: Actual,
    /// Thousandths of the reference's speed.
    pub(crate) speed: u32,
    pub(crate) dying: Span,
    /// Work that a checkpoint here holds.
    pub(crate) kept: Span,
}

impl Engine {
    /// The engine of a center. With `missing`, half of its chips are not there.
    pub(crate) fn new(center: &Center, missing: bool) -> Self {
        let nodes = |pool: &model::Pool| {
            let chips_per_node =
                if missing { pool.chips_per_node / 2 } else { pool.chips_per_node };
            let chips = pool.nodes as usize * usize::from(chips_per_node);
            Nodes { name: pool.pool.to_string(), chips_per_node, chips: vec![0; chips] }
        };
        Self {
            pools: center.pools.iter().map(nodes).collect(),
            attempts: BTreeMap::new(),
            cut_short: BTreeMap::new(),
            changed: BTreeSet::new(),
            busy: Chips::ZERO,
        }
    }

    /// Starts an attempt, as a supervisor would: it asks nobody whether there is room. Returns when
    /// to look at it, and what is wrong with the chips it was given.
    pub(crate) fn launch(&mut self, launch: &Launch<'_>) -> (Moment, Option<String>) {
        let Launch { run, now, lease, actual, speed, dying, kept } = *launch;
        let span = u128::from(actual.work.saturating_sub(kept).0) * 1_000;
        let span = Span(u64::try_from(span.div_ceil(u128::from(speed.max(1)))).unwrap_or(u64::MAX));
        let ends = now + span.max(Span(1));
        let code = i32::from(actual.ending == Ending::Failure || speed == 0);
        let canceled = actual.ending == Ending::Canceled;
        let withdrawn = actual.ending == Ending::Withdrawn;
        let held = Held {
            began: now,
            pool: self.pools.iter().position(|pool| pool.name == run.pool),
            nodes: run.nodes.clone(),
            finish: if canceled || withdrawn { Moment::MAX } else { ends },
            outcome: Outcome::Exited { code },
            cancel: canceled.then_some(ends),
            limit: run.limit.map_or(Moment::MAX, |limit| now + limit),
            lease,
            stopped: Moment::MAX,
            dying: dying.min(run.grace),
            ended: None,
            keeps: run.checkpoint.as_ref().map(|checkpoint| Keeps {
                every: checkpoint.interval,
                asked: checkpoint.signal.is_some(),
                before: kept,
                speed,
            }),
            kept: None,
        };
        let wrong = self.occupy(&held);
        let due = held.due();
        self.cut_short.remove(&run.attempt);
        self.attempts.insert(run.attempt, held);
        self.changed.insert(run.attempt);
        (due, wrong)
    }

    /// Takes an attempt, and no more: who launches it dies.
    pub(crate) fn launch_by_half(&mut self, attempt: AttemptId) {
        self.cut_short.insert(attempt, Seen::Unattended);
    }

    /// Ends an attempt that nobody is at.
    fn end_unattended(&mut self, attempt: AttemptId, outcome: Outcome) {
        if let Some(seen @ Seen::Unattended) = self.cut_short.get_mut(&attempt) {
            let none = Span::ZERO;
            *seen = Seen::Ended(Ended { outcome, ran: none, cpu: none, memory: Bytes::ZERO });
            self.changed.insert(attempt);
        }
    }

    fn occupy(&mut self, held: &Held) -> Option<String> {
        let Some(pool) = held.pool.map(|at| &mut self.pools[at]) else {
            return Some("in a pool that the center does not have".to_owned());
        };
        let mut wrong = None;
        for slots in &held.nodes {
            self.busy = self.busy.saturating_add(slots.share.times(slots.chips.len() as u64));
            for chip in &slots.chips {
                match pool.chip(slots.node, *chip) {
                    Some(share) => {
                        *share += slots.share.0;
                        if *share > Chips::ONE.0 {
                            let node = slots.node;
                            wrong = Some(format!("on chip {chip} of node {node}, which is in use"));
                        }
                    }
                    None => {
                        let node = slots.node;
                        wrong = Some(format!("on chip {chip} of node {node}, which is not there"));
                    }
                }
            }
        }
        wrong
    }

    fn vacate(&mut self, attempt: AttemptId) {
        let Some(held) = self.attempts.get(&attempt) else { return };
        let Some(at) = held.pool else { return };
        for slots in &held.nodes {
            self.busy = self.busy.saturating_sub(slots.share.times(slots.chips.len() as u64));
            for chip in &slots.chips {
                if let Some(share) = self.pools[at].chip(slots.node, *chip) {
                    *share -= slots.share.0;
                }
            }
        }
    }

    /// Lets happen to an attempt what is due by `now`.
    pub(crate) fn due(&mut self, attempt: AttemptId, now: Moment) -> Became {
        let Some(held) = self.attempts.get_mut(&attempt) else { return Became::Nothing };
        if held.ended.is_some() {
            return Became::Nothing;
        }
        if held.cancel.is_some_and(|at| at <= now) {
            held.cancel = None;
            return Became::Canceled(held.due());
        }
        if held.due() > now {
            return Became::Later(held.due());
        }
        let outcome = held.cause();
        self.end(attempt, now, outcome);
        Became::Over
    }

    fn end(&mut self, attempt: AttemptId, now: Moment, outcome: Outcome) {
        self.vacate(attempt);
        if let Some(held) = self.attempts.get_mut(&attempt) {
            // Of what is lost without a trace nobody knows how long it ran.
            let lost = matches!(outcome, Outcome::Lost { .. });
            let ran = if lost { Span::ZERO } else { now.since(held.began).max(Span(1)) };
            held.kept = held.keeps.map(|keeps| keeps.by(held, &outcome, now));
            held.ended = Some(Ended { outcome, ran, cpu: ran, memory: Bytes::ZERO });
            self.changed.insert(attempt);
        }
    }

    /// The work that an attempt's checkpoints hold, that of those before it included, if it writes
    /// any and is over.
    pub(crate) fn kept(&self, attempt: AttemptId) -> Option<Span> {
        self.attempts.get(&attempt)?.kept
    }

    /// Tells an attempt to stop; returns when it will be over, unless it is.
    pub(crate) fn stop(&mut self, attempt: AttemptId, now: Moment) -> Option<Moment> {
        self.end_unattended(attempt, Outcome::Stopped(Stop::Withdrawn));
        let held = self.attempts.get_mut(&attempt).filter(|held| held.ended.is_none())?;
        held.stopped = held.stopped.min(now);
        Some(held.due())
    }

    /// Lets an attempt's lease run on, unless it has run out. An earlier end counts too.
    pub(crate) fn extend(
        &mut self,
        attempt: AttemptId,
        until: Moment,
        now: Moment,
    ) -> Option<Moment> {
        let held = self.attempts.get_mut(&attempt).filter(|held| held.ended.is_none())?;
        let earlier = held.lease.is_some_and(|lease| until < lease);
        if held.lease.is_some_and(|lease| lease > now) {
            held.lease = Some(until);
        }
        earlier.then(|| held.due())
    }

    /// All attempts are gone without a trace but that they were there.
    pub(crate) fn lose_all(&mut self, now: Moment) -> Vec<AttemptId> {
        let alive: Vec<AttemptId> = self.alive().collect();
        let lost = || Outcome::Lost { why: "its host went down".to_owned() };
        for attempt in &alive {
            self.end(*attempt, now, lost());
        }
        let cut_short: Vec<AttemptId> = self.cut_short.keys().copied().collect();
        for attempt in cut_short {
            self.end_unattended(attempt, lost());
        }
        alive
    }

    /// Attempts that run.
    pub(crate) fn alive(&self) -> impl Iterator<Item = AttemptId> {
        self.attempts.iter().filter(|(_, held)| held.ended.is_none()).map(|(id, _)| *id)
    }

    /// Whether the attempt was launched here, or never will be, and has not been forgotten.
    pub(crate) fn knows(&self, attempt: AttemptId) -> bool {
        self.attempts.contains_key(&attempt)
            || matches!(self.cut_short.get(&attempt), Some(Seen::Ended(_)))
    }

    /// Takes an attempt that is over out of the books.
    pub(crate) fn forget(&mut self, attempt: AttemptId) {
        if self.attempts.get(&attempt).is_some_and(|held| held.ended.is_some()) {
            self.attempts.remove(&attempt);
        }
        if matches!(self.cut_short.get(&attempt), Some(Seen::Ended(_))) {
            self.cut_short.remove(&attempt);
        }
    }

    /// Everything, for an agent that has just started.
    pub(crate) fn look_around(&mut self) -> BTreeMap<AttemptId, Seen> {
        self.changed.clear();
        let launched = self.attempts.iter().map(|(id, held)| (*id, held.seen()));
        let cut_short = self.cut_short.iter().map(|(id, seen)| (*id, seen.clone()));
        launched.chain(cut_short).collect()
    }

    /// What became of attempts since the last look.
    pub(crate) fn look(&mut self) -> BTreeMap<AttemptId, Seen> {
        let changed = std::mem::take(&mut self.changed);
        let launched = |id| self.attempts.get(&id).map(Held::seen);
        let seen = |id| Some((id, launched(id).or_else(|| self.cut_short.get(&id).cloned())?));
        changed.into_iter().filter_map(seen).collect()
    }

    /// Whether there is something new to see.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }
}

impl Nodes {
    fn chip(&mut self, node: u32, chip: u16) -> Option<&mut u64> {
        let there = chip < self.chips_per_node;
        let at = node as usize * usize::from(self.chips_per_node) + usize::from(chip);
        self.chips.get_mut(at).filter(|_| there)
    }
}

impl Held {
    /// When something happens to it unless something else does before.
    fn due(&self) -> Moment {
        let lease = self.lease.map_or(Moment::MAX, |lease| lease + self.dying);
        let killed = (self.limit + self.dying).min(self.stopped + self.dying).min(lease);
        self.finish.min(killed).min(self.cancel.unwrap_or(Moment::MAX))
    }

    /// How it ends at its [`due`](Self::due) moment.
    fn cause(&self) -> Outcome {
        let due = self.due();
        if self.finish <= due {
            self.outcome.clone()
        } else if self.limit + self.dying <= due {
            Outcome::TimedOut
        } else if self.stopped + self.dying <= due {
            Outcome::Stopped(Stop::Withdrawn)
        } else {
            Outcome::LeaseExpired
        }
    }

    fn seen(&self) -> Seen {
        self.ended.as_ref().map_or(Seen::Running, |ended| Seen::Ended(ended.clone()))
    }
}

/// How long a copy takes at the rates of its steps, counted from when the order came. After the
/// last one its rate stays; without any it is there at once.
pub(crate) fn pour(bytes: Bytes, steps: &[wire::PaceStep]) -> Span {
    // In bit-milliseconds a second, so that nothing is rounded on the way.
    let mut left = u128::from(bytes.0) * 8_000;
    let mut last = None;
    for step in steps.iter().filter(|step| step.rate.0 > 0) {
        let rate = u128::from(step.rate.0);
        let pours = rate * u128::from(step.lasts.0);
        if pours >= left {
            return step.after + Span(u64::try_from(left.div_ceil(rate)).unwrap_or(u64::MAX));
        }
        left -= pours;
        last = Some((step.after + step.lasts, rate));
    }
    last.map_or(Span::ZERO, |(after, rate)| {
        after + Span(u64::try_from(left.div_ceil(rate)).unwrap_or(u64::MAX))
    })
}

/// The rates of what several sources send at once, each of which stays at its last rate.
pub(crate) fn together(sources: &[wire::StageSource]) -> Vec<wire::PaceStep> {
    if let [only] = sources {
        return only.steps.clone();
    }
    let steps = || sources.iter().flat_map(|source| &source.steps);
    let times: BTreeSet<Span> = steps().flat_map(|s| [s.after, s.after + s.lasts]).collect();
    let times: Vec<Span> = times.into_iter().collect();
    let rate = |at: Span| {
        let of = |source: &wire::StageSource| {
            let begun = source.steps.iter().rfind(|step| step.after <= at);
            let is_last = |step: &&wire::PaceStep| source.steps.last() == Some(step);
            begun.filter(|s| is_last(s) || at < s.after + s.lasts).map_or(0, |s| s.rate.0)
        };
        Rate(sources.iter().map(of).sum())
    };
    let pairs = times.windows(2);
    pairs
        .map(|t| wire::PaceStep { after: t[0], lasts: t[1].saturating_sub(t[0]), rate: rate(t[0]) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::PaceStep;

    fn step(after: u64, lasts: u64, rate: u64) -> PaceStep {
        PaceStep { after: Span(after), lasts: Span(lasts), rate: Rate(rate) }
    }

    #[test]
    fn a_copy_takes_what_its_steps_pour_and_then_goes_on_at_the_last_rate() {
        let mega = Bytes(1_000_000);
        assert_eq!(pour(mega, &[]), Span::ZERO);
        assert_eq!(pour(mega, &[step(0, 5_000, 8_000_000)]), Span(1_000));
        assert_eq!(
            pour(mega, &[step(100, 500, 8_000_000), step(1_000, 9_000, 4_000_000)]),
            Span(2_000)
        );
        assert_eq!(pour(mega, &[step(100, 500, 8_000_000)]), Span(1_100));
    }
}
