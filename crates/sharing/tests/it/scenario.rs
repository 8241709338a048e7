//! Tenants, what they run and what they ask, a line each, and what is answered.
//!
//! ```text
//! tenant lab in=net 910b=10+5-3     nominal 10, may borrow 5, lends 3; a number alone has no limits
//!     running=8 queued=9 budget=2h  limits of jobs and of chip time
//!     within=lower|newer reclaim=lower|any borrow=any|PRIORITY    policies, never by default
//! tenant lab …                      again: another declaration, under which all use is brought
//! run 1 lab 910b=4 prio=2 lost=7 fixed leaving     asks for admission, and is counted if it gets it
//! hold 1 lab 910b=4                 the same without asking
//! end 1                             it gives back what it had
//! wait lab 3                        three more jobs wait, if they may
//! room lab 910b                     what is left
//! ask 9 lab 910b=4 prio=2           who would have to go; nobody goes
//! choose 9 lab h800=4 910b=8        the same between flavors, in order; `borrow-next`, `preempt-now`
//! ```
//!
//! A job is submitted, and starts, at the time of its number.

use model::quota::{BorrowWithinCohort, ReclaimWithinCohort, WithinQueue};
use model::{ChipTime, Chips, FlavorId, JobId, Moment, Preemption, Quota, Span, Tenant, TenantId};
use sharing::{
    Asking, Borrowed, Claim, Count, Fungibility, Holder, Quotas, Reclaim, Usage, Verdict,
    WhenCanBorrow, WhenCanPreempt, choose, reclaim,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// A job that runs.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) tenant: TenantId,
    pub(crate) claim: Claim,
    pub(crate) priority: i32,
    pub(crate) lost: u64,
    pub(crate) fixed: bool,
    pub(crate) leaving: bool,
}

/// As a holder of chips, submitted and started at the time of its number.
pub(crate) fn holder<'a>((number, job): (&'a u64, &'a Job)) -> Holder<'a> {
    Holder {
        job: JobId::new(*number),
        tenant: &job.tenant,
        chips: &job.claim.chips,
        priority: job.priority,
        preemptible: !job.fixed,
        submitted: Moment(*number),
        since: Moment(*number),
        lost: ChipTime(job.lost),
        leaving: job.leaving,
    }
}

/// Plays a scenario and compares the answers, line by line.
#[track_caller]
pub(crate) fn check(scenario: &str, expected: &str) {
    let trim = |text: &str| {
        let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines.join("\n")
    };
    let mut stage = Stage::default();
    for line in trim(scenario).lines() {
        stage.play(line);
    }
    assert_eq!(trim(&stage.answers), trim(expected), "\n{scenario}");
}

#[derive(Default)]
struct Stage {
    declared: BTreeMap<TenantId, Tenant>,
    usage: Option<Usage>,
    jobs: BTreeMap<u64, Job>,
    answers: String,
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn flavor(name: &str) -> FlavorId {
    FlavorId::new(name).unwrap()
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number of the kind it should be"))
}

fn quota(text: &str) -> Quota {
    let end = text.find(['+', '-']).unwrap_or(text.len());
    let (nominal, mut limits) = text.split_at(end);
    let mut quota = Quota { nominal: number(nominal), ..Quota::default() };
    if let Some((borrowing, rest)) =
        limits.strip_prefix('+').map(|rest| rest.split_at(rest.find('-').unwrap_or(rest.len())))
    {
        (quota.borrowing_limit, limits) = (Some(number(borrowing)), rest);
    }
    quota.lending_limit = limits.strip_prefix('-').map(number);
    quota
}

fn declared(name: &str, options: &[(&str, &str)]) -> Tenant {
    let mut declared = Tenant::new(tenant(name), None);
    let mut policy = Preemption::default();
    for (option, value) in options {
        match (*option, *value) {
            ("in", parent) => declared.parent = Some(tenant(parent)),
            ("running", most) => declared.max_running = Some(number(most)),
            ("queued", most) => declared.max_queued = Some(number(most)),
            ("budget", most) => declared.budget = Some(Chips::ONE.over(number(most))),
            ("within", "lower") => policy.within_queue = WithinQueue::LowerPriority,
            ("within", "newer") => policy.within_queue = WithinQueue::LowerOrNewerEqual,
            ("reclaim", "lower") => {
                policy.reclaim_within_cohort = ReclaimWithinCohort::LowerPriority;
            }
            ("reclaim", "any") => policy.reclaim_within_cohort = ReclaimWithinCohort::Any,
            ("borrow", most) => {
                let max_priority = (most != "any").then(|| number(most));
                policy.borrow_within_cohort = Some(BorrowWithinCohort { max_priority });
            }
            (name, text) => drop(declared.quotas.insert(flavor(name), quota(text))),
        }
    }
    if policy != Preemption::default() {
        declared.preemption = Some(policy);
    }
    declared
}

fn job(name: &str, options: &[(&str, &str)]) -> Job {
    let (tenant, claim) = (tenant(name), Claim::default());
    let mut job = Job { tenant, claim, priority: 0, lost: 0, fixed: false, leaving: false };
    for (option, value) in options {
        match *option {
            "prio" => job.priority = number(value),
            "lost" => job.lost = number(value),
            "for" => job.claim.card_time = Chips::ONE.over(number::<Span>(value)),
            "fixed" => job.fixed = true,
            "leaving" => job.leaving = true,
            name => drop(job.claim.chips.insert(flavor(name), number(value))),
        }
    }
    job
}

impl Stage {
    fn play(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (verb, rest) = (words.next().unwrap(), words.collect::<Vec<_>>());
        let options: Vec<(&str, &str)> =
            rest.iter().skip(1).map(|word| word.split_once('=').unwrap_or((word, ""))).collect();
        match verb {
            "tenant" => self.declare(declared(rest[0], &options)),
            "run" => self.run(number(rest[0]), &job(rest[1], &options[1..])),
            "hold" => self.take(number(rest[0]), &job(rest[1], &options[1..])),
            "end" => self.end(number(rest[0])),
            "wait" => self.wait(&tenant(rest[0]), number(rest[1])),
            "room" => self.room(&tenant(rest[0]), &flavor(rest[1])),
            "ask" => self.ask(number(rest[0]), &job(rest[1], &options[1..])),
            "choose" => self.choose(number(rest[0]), rest[1], &options[1..]),
            other => panic!("no such line: {other}"),
        }
    }

    fn say(&mut self, answer: impl std::fmt::Display) {
        writeln!(self.answers, "{answer}").unwrap();
    }

    fn usage(&mut self) -> &mut Usage {
        self.usage.as_mut().expect("tenants come first")
    }

    fn declare(&mut self, declared: Tenant) {
        let old = self.declared.clone();
        self.declared.insert(declared.tenant.clone(), declared);
        let all: Vec<_> = self.declared.values().cloned().collect();
        match Quotas::new(&all) {
            Ok(quotas) => {
                let new = Arc::new(quotas);
                let usage = self.usage.take();
                let moved = usage.map(|usage| usage.under(Arc::clone(&new)).unwrap());
                self.usage = Some(moved.unwrap_or_else(|| Usage::new(new)));
            }
            Err(error) => {
                self.declared = old;
                self.say(error);
            }
        }
    }

    fn run(&mut self, number: u64, job: &Job) {
        match self.usage().admits_claim(&job.tenant, &job.claim) {
            Ok(borrowed) => {
                self.say(format!("{number} runs{}", borrows(&borrowed)));
                self.take(number, job);
            }
            Err(denied) => self.say(format!("{number}: {denied}")),
        }
    }

    fn take(&mut self, number: u64, job: &Job) {
        self.usage().take(&job.tenant, &job.claim).unwrap();
        self.jobs.insert(number, job.clone());
    }

    fn end(&mut self, number: u64) {
        let job = self.jobs.remove(&number).unwrap();
        let spent = job.claim.card_time;
        self.usage().give(&job.tenant, &job.claim, spent).unwrap();
    }

    fn wait(&mut self, tenant: &TenantId, jobs: u64) {
        match self.usage().admits_jobs(tenant, Count::Queued, jobs) {
            Ok(()) => self.usage().count(tenant, Count::Queued, jobs).unwrap(),
            Err(denied) => self.say(denied),
        }
    }

    fn room(&mut self, tenant: &TenantId, flavor: &FlavorId) {
        let room = self.usage().room(tenant, flavor);
        let bound = room.bound.map_or("free to everyone".to_owned(), |bound| bound.to_string());
        let (nominal, available) = (room.nominal, room.available);
        let borrowable = room.borrowable;
        self.say(format!(
            "{nominal} own, {available} available, {borrowable} by borrowing: {bound}"
        ));
    }

    fn ask(&mut self, number: u64, job: &Job) {
        let asking = asking(number, job);
        let answer = reclaim(self.usage.as_ref().unwrap(), &asking, self.jobs.iter().map(holder));
        match answer {
            Ok(found) => self.say(format!("{number} {}", goes(&found))),
            Err(not) => self.say(format!("{number}: {not}")),
        }
    }

    fn choose(&mut self, number: u64, name: &str, options: &[(&str, &str)]) {
        let mut policy = Fungibility::default();
        let mut ways = Vec::new();
        let mut priority = 0;
        for option in options {
            match option.0 {
                "borrow-next" => policy.when_can_borrow = WhenCanBorrow::TryNext,
                "preempt-now" => policy.when_can_preempt = WhenCanPreempt::Preempt,
                "prio" => priority = self::number(option.1),
                _ => ways.push(job(name, &[*option])),
            }
        }
        ways.iter_mut().for_each(|way| way.priority = priority);
        let ways: Vec<_> = ways.iter().map(|way| asking(number, way)).collect();
        let usage = self.usage.as_ref().unwrap();
        let choice = choose(usage, policy, &ways, || self.jobs.iter().map(holder));
        let Some(choice) = choice else {
            return self.say(format!("{number} nowhere"));
        };
        let at = ways[choice.chosen].chips.keys().next().unwrap();
        let how = match &choice.verdicts[choice.chosen] {
            Verdict::Fits(borrowed) => format!("runs{}", borrows(borrowed)),
            Verdict::Preempts(found) => goes(found),
            Verdict::Not(_) => unreachable!("what does not fit is not chosen"),
        };
        let looked = choice.verdicts.len();
        self.say(format!("{number} {how} on {at}, {looked} looked at"));
    }
}

pub(crate) fn asking(number: u64, job: &Job) -> Asking<'_> {
    let (chips, priority) = (&job.claim.chips, job.priority);
    Asking { tenant: &job.tenant, chips, priority, submitted: Moment(number) }
}

fn borrows(borrowed: &BTreeMap<FlavorId, Borrowed>) -> String {
    let each = borrowed.values().map(|of| {
        let from = of.from.as_ref().expect("what is borrowed is somebody's");
        format!(", borrows {} from `{from}`", of.chips)
    });
    each.collect()
}

fn goes(found: &Reclaim) -> String {
    let mut text = "fits".to_owned();
    for (index, victim) in found.victims.iter().enumerate() {
        let word = if index == 0 { " when" } else { " and" };
        write!(text, "{word} {} ({:?})", victim.job.number(), victim.why).unwrap();
    }
    if found.borrows { text + ", borrows" } else { text }
}
