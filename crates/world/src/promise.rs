//! How told starts held, and how centers treated what they were given: tallies that stay small
//! however many jobs they count.
//!
//! Tallies are kept by the hour for two days, by the day for ninety, and in one for all before.
//! They count by tenant and by center, never by both.

use model::attempt::AttemptState;
use model::fact::Fact;
use model::job::{Cause, Horizon, Job, Kept, Promise};
use model::{CenterId, Moment, Outcome, Phase, Span, TenantId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;
/// How long tallies are kept by the hour.
const HOURS_FOR: u64 = 2 * DAY;
/// How long tallies are kept by the day.
const DAYS_FOR: u64 = 90 * DAY;

/// How starts held that were told about equally far ahead.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record {
    /// Those it is known of how they held.
    pub told: u64,
    /// Those that held or were beaten.
    pub held: u64,
    /// How much sooner than told the jobs that held started, all together.
    pub early: Span,
    /// How much later than told the others started, all together.
    pub late: Span,
    /// The most of it.
    pub most_late: Span,
    /// How many were late by about how much, see [`bucket`].
    lateness: BTreeMap<u8, u64>,
}

impl Record {
    fn add(&mut self, kept: &Kept) {
        self.told += 1;
        match kept {
            Kept::Held { early } => {
                self.held += 1;
                self.early = self.early.saturating_add(*early);
            }
            Kept::Broken { late, .. } => {
                self.late = self.late.saturating_add(*late);
                self.most_late = self.most_late.max(*late);
                *self.lateness.entry(bucket(*late)).or_default() += 1;
            }
        }
    }

    /// Adds another's figures to these.
    pub fn merge(&mut self, other: &Self) {
        self.told += other.told;
        self.held += other.held;
        self.early = self.early.saturating_add(other.early);
        self.late = self.late.saturating_add(other.late);
        self.most_late = self.most_late.max(other.most_late);
        for (bucket, count) in &other.lateness {
            *self.lateness.entry(*bucket).or_default() += count;
        }
    }

    /// The share that held, in thousandths, rounded down; `None` where none was told.
    #[must_use]
    pub fn held_thousandths(&self) -> Option<u64> {
        (self.held * 1_000).checked_div(self.told)
    }

    /// How much later than told the jobs started on average, in milliseconds; below zero is sooner.
    /// `None` where none was told.
    #[must_use]
    pub fn bias_ms(&self) -> Option<i64> {
        let signed = |span: Span| i128::from(span.0);
        let sum = signed(self.late) - signed(self.early);
        (self.told > 0).then(|| i64::try_from(sum / i128::from(self.told)).unwrap_or(i64::MAX))
    }

    /// A lateness that this share, in thousandths, of those that were late did not exceed: at most
    /// a quarter too high. `None` where none was late.
    #[must_use]
    pub fn late_quantile(&self, thousandths: u64) -> Option<Span> {
        let all: u64 = self.lateness.values().sum();
        let wanted = (all * thousandths).div_ceil(1_000).max(1);
        let mut seen = 0;
        let reached = |(bucket, count): (&u8, &u64)| {
            seen += count;
            (seen >= wanted).then_some(*bucket)
        };
        let bucket = self.lateness.iter().find_map(reached)?;
        Some(upper_end(bucket).min(self.most_late))
    }
}

/// Which bucket a lateness falls into: seconds, rounded up, four buckets for each power of two.
fn bucket(late: Span) -> u8 {
    let secs = late.0.div_ceil(1_000);
    let Some(power) = secs.checked_ilog2().filter(|power| *power >= 2) else {
        return u8::try_from(secs).unwrap_or(u8::MAX);
    };
    let quarter = (secs >> (power - 2)) & 3;
    u8::try_from(4 * u64::from(power - 1) + quarter).unwrap_or(u8::MAX)
}

/// The largest lateness of a bucket.
fn upper_end(bucket: u8) -> Span {
    if bucket < 4 {
        return Span::from_secs(bucket.into());
    }
    let (octave, quarter) = (u32::from(bucket / 4 - 1), u64::from(bucket % 4));
    let end = (5 + quarter).checked_shl(octave).map_or(u64::MAX, |next| next - 1);
    Span::from_secs(end)
}

/// How the starts held that somebody's jobs were told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// By how far ahead they were told.
    pub horizons: BTreeMap<Horizon, Record>,
    /// Those that did not hold, by why.
    pub causes: BTreeMap<Cause, u64>,
    /// Those nobody can say of whether they would have held: the tenant put the job on hold or ended
    /// it before the time came.
    pub withdrawn: u64,
}

impl Tally {
    fn add(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Withdrawn => self.withdrawn += 1,
            Verdict::Kept(horizon, kept) => {
                self.horizons.entry(*horizon).or_default().add(kept);
                if let Kept::Broken { cause, .. } = kept {
                    *self.causes.entry(*cause).or_default() += 1;
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        for (horizon, record) in &other.horizons {
            self.horizons.entry(*horizon).or_default().merge(record);
        }
        for (cause, count) in &other.causes {
            *self.causes.entry(*cause).or_default() += count;
        }
        self.withdrawn += other.withdrawn;
    }

    /// All of them, however far ahead they were told.
    #[must_use]
    pub fn all(&self) -> Record {
        let mut all = Record::default();
        self.horizons.values().for_each(|record| all.merge(record));
        all
    }
}

/// What became of the attempts a center was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tries {
    /// Attempts that are over.
    pub over: u64,
    /// Of these, those the center refused or could not start.
    pub refused: u64,
    /// Of these, those that were lost, or cut off until their lease expired.
    pub lost: u64,
}

impl Tries {
    fn add(&mut self, outcome: &Outcome) {
        self.over += 1;
        match outcome {
            Outcome::Refused(_) | Outcome::NotStarted { .. } => self.refused += 1,
            Outcome::Lost { .. } | Outcome::LeaseExpired => self.lost += 1,
            Outcome::Exited { .. }
            | Outcome::Signaled { .. }
            | Outcome::TimedOut
            | Outcome::OutOfMemory
            | Outcome::Stopped(_) => {}
        }
    }

    fn merge(&mut self, other: &Self) {
        self.over += other.over;
        self.refused += other.refused;
        self.lost += other.lost;
    }
}

/// What became of a told start.
pub(crate) enum Verdict {
    Kept(Horizon, Kept),
    Withdrawn,
}

/// A stretch of time's tallies.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Stretch {
    tenants: BTreeMap<TenantId, Tally>,
    centers: BTreeMap<CenterId, Tally>,
    tries: BTreeMap<CenterId, Tries>,
}

impl Stretch {
    fn merge(&mut self, other: &Self) {
        for (tenant, tally) in &other.tenants {
            self.tenants.entry(tenant.clone()).or_default().merge(tally);
        }
        for (center, tally) in &other.centers {
            self.centers.entry(center.clone()).or_default().merge(tally);
        }
        for (center, tries) in &other.tries {
            self.tries.entry(center.clone()).or_default().merge(tries);
        }
    }
}

/// How told starts held, stretch by stretch. A copy shares every stretch with the original until one
/// of them changes it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Promises {
    /// By when they begin.
    stretches: BTreeMap<Moment, Arc<Stretch>>,
}

impl Promises {
    fn at(&mut self, at: Moment) -> &mut Stretch {
        let hour = Moment(at.0 - at.0 % HOUR);
        if !self.stretches.contains_key(&hour) {
            self.age(hour);
        }
        Arc::make_mut(self.stretches.entry(hour).or_default())
    }

    /// Puts together what is so old that it is kept by the day, or in one.
    fn age(&mut self, now: Moment) {
        let (hours, days) = (now.0.saturating_sub(HOURS_FOR), now.0.saturating_sub(DAYS_FOR));
        let of_its_own = |at: u64| match at {
            at if at < days => 0,
            at if at < hours => at - at % DAY,
            at => at,
        };
        let old: Vec<Moment> = self.stretches.keys().copied().collect();
        for begins in old.into_iter().filter(|at| of_its_own(at.0) != at.0) {
            if let Some(stretch) = self.stretches.remove(&begins) {
                let whole = self.stretches.entry(Moment(of_its_own(begins.0))).or_default();
                Arc::make_mut(whole).merge(&stretch);
            }
        }
    }

    fn since(&self, since: Moment) -> impl Iterator<Item = &Stretch> {
        // The stretch that `since` falls into counts whole.
        self.stretches.range(self.begins(since)..).map(|(_, stretch)| stretch.as_ref())
    }

    /// When the stretch begins that `since` falls into, or the first after it: what is told of later
    /// starts is told from then on.
    #[must_use]
    pub fn begins(&self, since: Moment) -> Moment {
        let before = self.stretches.range(..=since).next_back();
        before.or_else(|| self.stretches.iter().next()).map_or(since, |(begins, _)| *begins)
    }

    /// Everybody's, since about then.
    #[must_use]
    pub fn all(&self, since: Moment) -> Tally {
        let mut all = Tally::default();
        self.since(since).flat_map(|s| s.tenants.values()).for_each(|tally| all.merge(tally));
        all
    }

    /// Each tenant's, since about then.
    #[must_use]
    pub fn by_tenant(&self, since: Moment) -> BTreeMap<TenantId, Tally> {
        let mut by: BTreeMap<TenantId, Tally> = BTreeMap::new();
        for (tenant, tally) in self.since(since).flat_map(|stretch| &stretch.tenants) {
            by.entry(tenant.clone()).or_default().merge(tally);
        }
        by
    }

    /// Those of each center that jobs were to start in, since about then. Starts told by programs
    /// that did not say where count for where the jobs did start.
    #[must_use]
    pub fn by_center(&self, since: Moment) -> BTreeMap<CenterId, Tally> {
        let mut by: BTreeMap<CenterId, Tally> = BTreeMap::new();
        for (center, tally) in self.since(since).flat_map(|stretch| &stretch.centers) {
            by.entry(center.clone()).or_default().merge(tally);
        }
        by
    }

    /// One tenant's, since about then.
    #[must_use]
    pub fn of_tenant(&self, tenant: &TenantId, since: Moment) -> Tally {
        let mut of = Tally::default();
        self.since(since).filter_map(|s| s.tenants.get(tenant)).for_each(|tally| of.merge(tally));
        of
    }

    /// One center's, since about then.
    #[must_use]
    pub fn of_center(&self, center: &CenterId, since: Moment) -> Tally {
        let mut of = Tally::default();
        self.since(since).filter_map(|s| s.centers.get(center)).for_each(|tally| of.merge(tally));
        of
    }

    /// What became of the attempts a center was given, since about then.
    #[must_use]
    pub fn tries(&self, center: &CenterId, since: Moment) -> Tries {
        let mut of = Tries::default();
        self.since(since).filter_map(|s| s.tries.get(center)).for_each(|tries| of.merge(tries));
        of
    }
}

/// What a fact adds to the tallies.
pub(crate) enum Count {
    Try(CenterId, Outcome),
    Promise(TenantId, Option<CenterId>, Verdict),
}

impl Count {
    /// What `fact` adds that is about to change `job`.
    pub(crate) fn of(job: &Job, at: Moment, fact: &Fact) -> Option<Self> {
        if job.spec.is_reservation() {
            // Nothing of it runs in a center, and its start is held by us alone.
            return None;
        }
        if let Fact::AttemptEnded(f) = fact {
            let center = job.phase.attempt()?.placement.center().clone();
            return Some(Self::Try(center, f.ended.outcome.clone()));
        }
        let promise = job.promise.as_ref().filter(|_| !job.has_run())?;
        let (verdict, started) = verdict(job, promise, at, fact)?;
        let center = promise.center.clone().or(started);
        Some(Self::Promise(job.spec.tenant.clone(), center, verdict))
    }
}

impl Promises {
    pub(crate) fn add(&mut self, at: Moment, count: Count) {
        let stretch = self.at(at);
        match count {
            Count::Try(center, outcome) => stretch.tries.entry(center).or_default().add(&outcome),
            Count::Promise(tenant, center, verdict) => {
                stretch.tenants.entry(tenant).or_default().add(&verdict);
                if let Some(center) = center {
                    stretch.centers.entry(center).or_default().add(&verdict);
                }
            }
        }
    }
}

/// What a fact about a job that has not started yet makes of the start it was told, and where it
/// starts if it does.
fn verdict(
    job: &Job,
    promise: &Promise,
    at: Moment,
    fact: &Fact,
) -> Option<(Verdict, Option<CenterId>)> {
    match (fact, &job.phase) {
        (Fact::AttemptStarted(_), Phase::Placed(attempt)) => {
            let kept = Kept::of(promise, at, || job.late_because(promise, attempt));
            let center = attempt.placement.center().clone();
            Some((Verdict::Kept(promise.horizon(), kept), Some(center)))
        }
        (Fact::JobHeld(_), _) => Some((Verdict::Withdrawn, None)),
        (Fact::JobRequeued(f), Phase::Placed(attempt))
            if f.held && !has_started(&attempt.state) =>
        {
            Some((Verdict::Withdrawn, None))
        }
        (Fact::JobEnded(_), phase) => {
            if phase.attempt().is_some_and(|attempt| has_started(&attempt.state)) {
                return None;
            }
            let verdict = match Kept::of(promise, at, || Cause::Never) {
                Kept::Held { .. } => Verdict::Withdrawn,
                broken @ Kept::Broken { .. } => Verdict::Kept(promise.horizon(), broken),
            };
            Some((verdict, None))
        }
        _ => None,
    }
}

const fn has_started(state: &AttemptState) -> bool {
    state.started().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_at_most_a_quarter_wide_and_holds_what_falls_into_it() {
        let check = |secs: u64| {
            let bucket = bucket(Span::from_secs(secs));
            let end = upper_end(bucket);
            assert!(end >= Span::from_secs(secs), "{secs} s in {bucket}");
            assert!(end.0 / 1_000 <= secs + secs / 4, "{secs} s in {bucket} up to {end}");
            bucket
        };
        assert!((0..5_000).map(check).is_sorted());
        assert!((0..60).map(|power| check(1 << power)).is_sorted());
        check(u64::MAX / 1_000);
    }

    #[test]
    fn quantiles_and_bias_come_of_what_was_added() {
        let mut record = Record::default();
        (1..=100).for_each(|secs| {
            let late = Span::from_secs(secs);
            record.add(&Kept::Broken { late, cause: Cause::Busy });
        });
        record.add(&Kept::Held { early: Span::from_secs(50) });
        assert_eq!((record.told, record.held, record.held_thousandths()), (101, 1, Some(9)));
        assert_eq!(record.bias_ms(), Some((5_050 - 50) * 1_000 / 101));
        let told = [500, 900, 990, 1_000].map(|q| record.late_quantile(q).unwrap().0 / 1_000);
        assert_eq!(told, [55, 95, 100, 100]);
        assert_eq!(Record::default().late_quantile(500), None);
    }

    #[test]
    fn what_is_old_is_kept_by_the_day_then_in_one_and_nothing_is_forgotten() {
        let mut promises = Promises::default();
        let tenant = TenantId::new("lab").unwrap();
        let start = 20_000 * DAY;
        for hour in 0..200 * 24 {
            let tally = promises.at(Moment(start + hour * HOUR)).tenants.entry(tenant.clone());
            tally.or_default().add(&Verdict::Withdrawn);
        }
        assert_eq!(promises.all(Moment::ZERO).withdrawn, 200 * 24);
        assert!(promises.stretches.len() <= 1 + 90 + 49 + 24, "{}", promises.stretches.len());
        let last_hours = Moment(start + (200 * 24 - 5) * HOUR);
        assert_eq!(promises.of_tenant(&tenant, last_hours).withdrawn, 5);
        assert_eq!(promises.begins(Moment(last_hours.0 + 7)), last_hours);
    }
}
