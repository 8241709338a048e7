//! How fast a copy may go: a bucket refilled at a rate that may change by the plan's steps.

use model::{Rate, Span};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use wire::PaceStep;

/// A rate limit shared by all connections of a copy. Clones share it.
#[derive(Debug, Clone)]
pub struct Pace(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bucket: Mutex<Bucket>,
    changed: Notify,
}

#[derive(Debug)]
struct Bucket {
    /// When the first step begins to count.
    since: Instant,
    /// None: as fast as it goes.
    steps: Option<Vec<PaceStep>>,
    /// Up to when `credit` is counted.
    counted: Instant,
    /// What may still go by the plan, in bits times nanoseconds; below zero after a large piece.
    credit: i128,
    /// What may still go at once.
    peak: i128,
}

const NANOS: i128 = 1_000_000_000;

/// How much unused rate is kept: it makes up for late timers and for packets that others' traffic
/// made be sent again, not for a slow source.
const KEPT: Duration = Duration::from_secs(3);

/// How much faster than the rate lost time is made up for, as a fraction, and how much of that may
/// go at once. Two buckets in a row, as in RFC 2698: a link sees little of a stall that is over.
const PEAK: (i128, i128) = (5, 4);
const AT_ONCE: Duration = Duration::from_millis(50);

/// Upper bound of a wait, so that sums of times never overflow.
const LONG: Duration = Duration::from_secs(3_600);

impl Pace {
    /// As fast as it goes.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::with(None)
    }

    /// Always this fast.
    #[must_use]
    pub fn steady(rate: Rate) -> Self {
        Self::with(Some(always(rate)))
    }

    /// By these steps, sorted, counted from now. Nothing goes between steps; after the last one its
    /// rate stays, since a copy a little late must still end. No step at all: as fast as it goes.
    #[must_use]
    pub fn steps(steps: &[PaceStep]) -> Self {
        Self::with((!steps.is_empty()).then(|| steps.to_vec()))
    }

    fn with(steps: Option<Vec<PaceStep>>) -> Self {
        let now = Instant::now();
        let bucket = Mutex::new(Bucket { since: now, steps, counted: now, credit: 0, peak: 0 });
        Self(Arc::new(Shared { bucket, changed: Notify::new() }))
    }

    /// From now on always this fast; none: as fast as it goes. Whoever waits is let go accordingly.
    pub fn set(&self, rate: Option<Rate>) {
        self.become_of(rate.map(always));
    }

    /// From now on by these steps, as those of [`Pace::steps`].
    pub(crate) fn renew(&self, steps: &[PaceStep]) {
        self.become_of((!steps.is_empty()).then(|| steps.to_vec()));
    }

    fn become_of(&self, steps: Option<Vec<PaceStep>>) {
        let now = Instant::now();
        let mut bucket = self.bucket();
        bucket.refill(now);
        bucket.steps = steps;
        bucket.since = now;
        drop(bucket);
        self.0.changed.notify_waiters();
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.0.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rate now, none without a limit, and when it next changes, if ever.
    pub(crate) fn now(&self) -> (Option<Rate>, Option<Instant>) {
        let bucket = self.bucket();
        let (rate, change) = bucket.rate(Instant::now());
        (bucket.steps.is_some().then_some(Rate(rate)), change)
    }

    /// Waits until anything may go at all. Whoever asks for data only then does not take a door that
    /// keeps the same steps for a dead one.
    pub(crate) async fn open(&self) {
        loop {
            let changed = self.0.changed.notified();
            let (rate, change) = self.now();
            if rate != Some(Rate::ZERO) {
                return;
            }
            let wait =
                change.map_or(LONG, |change| change.saturating_duration_since(Instant::now()));
            tokio::select! {
                () = tokio::time::sleep(wait.min(LONG)) => {}
                () = changed => {}
            }
        }
    }

    /// Waits until `bytes` more may go.
    pub(crate) async fn take(&self, bytes: usize) {
        loop {
            let changed = self.0.changed.notified();
            let wait = self.bucket().take(Instant::now(), bytes);
            let Some(wait) = wait else { return };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = changed => {}
            }
        }
    }
}

fn always(rate: Rate) -> Vec<PaceStep> {
    vec![PaceStep { after: Span::ZERO, lasts: Span::MAX, rate }]
}

impl Bucket {
    /// The rate at `at` and when it next changes, if ever.
    fn rate(&self, at: Instant) -> (u64, Option<Instant>) {
        let steps = self.steps.as_deref().unwrap_or_default();
        let past = at.saturating_duration_since(self.since);
        let moment = |span: Span| self.since.checked_add(span.to_std());
        for step in steps {
            if past < step.after.to_std() {
                return (0, moment(step.after));
            }
            let end = step.after.saturating_add(step.lasts);
            if past < end.to_std() {
                return (step.rate.0, moment(end));
            }
        }
        (steps.last().map_or(0, |step| step.rate.0), None)
    }

    fn refill(&mut self, now: Instant) {
        while self.counted < now {
            let (rate, change) = self.rate(self.counted);
            let until = change.map_or(now, |change| change.min(now));
            let nanos = until.duration_since(self.counted).min(LONG).as_nanos().cast_signed();
            let (rate, peak) = (i128::from(rate), i128::from(rate) * PEAK.0 / PEAK.1);
            grow(&mut self.credit, rate, nanos, KEPT);
            grow(&mut self.peak, peak, nanos, AT_ONCE);
            self.counted = until;
        }
    }

    /// Takes `bytes` from the bucket, or says how long to wait before asking again.
    fn take(&mut self, now: Instant, bytes: usize) -> Option<Duration> {
        self.steps.as_ref()?;
        self.refill(now);
        if self.credit >= 0 && self.peak >= 0 {
            let bits = i128::try_from(bytes).unwrap_or(i128::MAX / 16 / NANOS) * 8;
            self.credit -= bits * NANOS;
            self.peak -= bits * NANOS;
            return None;
        }
        let (rate, change) = self.rate(now);
        let to_change = change.map_or(LONG, |change| change.duration_since(now));
        let to_credit = match rate {
            0 => LONG,
            rate => {
                let rate = i128::from(rate);
                let by_peak = (-self.peak) * PEAK.1 / (rate * PEAK.0);
                let nanos = ((-self.credit) / rate).max(by_peak) + 1;
                u64::try_from(nanos).map_or(LONG, Duration::from_nanos)
            }
        };
        Some(to_credit.min(to_change).min(LONG))
    }
}

/// Lets a credit grow, unless it is more than may be kept.
fn grow(credit: &mut i128, rate: i128, nanos: i128, kept: Duration) {
    let keep = rate * kept.as_nanos().cast_signed();
    *credit = (*credit + rate * nanos).min((*credit).max(keep));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes go in `millis` when 1,000 of them are asked for again and again.
    fn gone(bucket: &mut Bucket, start: Instant, millis: u64) -> u64 {
        let end = start + Duration::from_millis(millis);
        let (mut now, mut bytes) = (start, 0);
        while now < end {
            match bucket.take(now, 1_000) {
                None => bytes += 1_000,
                Some(wait) => now += wait,
            }
        }
        bytes
    }

    fn bucket(steps: Vec<PaceStep>) -> (Bucket, Instant) {
        let now = Instant::now();
        (Bucket { since: now, steps: Some(steps), counted: now, credit: 0, peak: 0 }, now)
    }

    fn step(after: u64, lasts: u64, mbps: u64) -> PaceStep {
        PaceStep { after: Span(after), lasts: Span(lasts), rate: Rate(mbps * 1_000_000) }
    }

    #[test]
    fn a_steady_rate_is_kept_to_a_piece() {
        let (mut bucket, now) = bucket(always(Rate(80_000_000)));
        let bytes = gone(&mut bucket, now, 2_000);
        assert!((20_000_000..=20_002_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn steps_follow_one_another_gaps_wait_and_the_last_rate_stays() {
        let (mut bucket, now) = bucket(vec![step(0, 100, 80), step(200, 100, 8)]);
        let mut at = |millis: u64| {
            let part = gone(&mut bucket, now + Duration::from_millis(millis), 100);
            (part + 2_000) / 10_000
        };
        let seen = [at(0), at(100), at(200), at(300), at(400)];
        assert_eq!(seen, [100, 0, 10, 10, 10]);
    }

    #[test]
    fn of_idle_time_three_seconds_are_made_up_for_little_by_little() {
        let (mut bucket, now) = bucket(always(Rate(8_000_000)));
        let from = now + Duration::from_secs(60);
        let bytes = gone(&mut bucket, from, 100);
        assert!((125_000..=189_000).contains(&bytes), "{bytes}");
        let bytes = bytes + gone(&mut bucket, from + Duration::from_millis(100), 59_900);
        assert!((62_999_000..=63_001_000).contains(&bytes), "{bytes}");
    }

    proptest::proptest! {
        /// However the parts are cut and by however many they are asked for.
        #[test]
        fn no_more_goes_than_the_steps_allow(
            plan in proptest::collection::vec((0..200_u64, 1..200_u64, 0..50_u64), 1..8),
            parts in proptest::collection::vec((1..70_000_usize, 0..20_u64), 1..300),
        ) {
            let mut clock = 0;
            let steps = plan.iter().map(|(gap, lasts, mbps)| {
                let after = clock + gap;
                clock = after + lasts;
                step(after, *lasts, *mbps)
            });
            let (mut bucket, start) = bucket(steps.collect());
            let (mut now, mut gone, mut allowed) = (start, 0, 0);
            for (bytes, pause) in parts {
                let until = now + Duration::from_millis(pause);
                while now < until {
                    allowed += bucket.rate(now).0 / 1_000;
                    now += Duration::from_millis(1);
                }
                if bucket.take(now, bytes).is_none() {
                    gone += 8 * bytes as u64;
                    let ahead = gone.saturating_sub(8 * bytes as u64);
                    proptest::prop_assert!(ahead <= allowed, "{ahead} of {allowed}");
                }
            }
        }
    }
}
