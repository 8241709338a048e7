//! What came of a load, in figures. All times are the server's.

use super::By;
use super::job::Job;
use super::ledger::{Track, chip_time};
use super::network::Ground;
use super::replay::Replayed;
use crate::look::Look;
use crate::table::{Cell, Column, Table, Tone, list};
use model::{Chips, Moment, Span};
use serde::Serialize;
use simulator::floor::{Bound, Task, floor};
use std::collections::{BTreeMap, BTreeSet};

/// More classes than this are not told apart.
const CLASSES: usize = 12;

/// What came of a load.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Jobs that could be submitted.
    pub(super) jobs: usize,
    /// Jobs that fit no pool and were left out.
    pub(super) unfit: usize,
    /// Jobs the server refused.
    pub(super) refused: usize,
    /// Jobs accepted that had not ended when the replay did.
    pub(super) lost: usize,
    /// Jobs that ended otherwise than the load says.
    pub(super) astray: usize,
    /// Jobs that were not the load's and were on the network meanwhile.
    others: usize,
    /// How many jobs ended how.
    ended: BTreeMap<&'static str, usize>,
    /// Attempts that were made.
    attempts: u64,
    tenants: usize,
    /// Chips of the timer centers that were there.
    chips: f64,
    /// From the load's start to the last end.
    makespan_ms: Span,
    /// From acceptance to the end, on average over the jobs that ended.
    completed_ms: Option<f64>,
    /// From the load's start to the last submission.
    submitted_after_ms: Span,
    /// The most that a submission came later than the load says.
    behind_ms: Span,
    /// Jobs that ended, by the makespan.
    per_s: Option<f64>,
    /// Jobs that ended a second, without the first and the last tenth of them.
    sustained_per_s: Option<f64>,
    /// Chip-time in which attempts ran, of all there was in the makespan.
    utilization_pct: Option<f64>,
    floor: Floor,
    /// The makespan as a multiple of the floor.
    over_floor: Option<f64>,
    /// From acceptance to a place in a center, and to the start there.
    all: Class,
    by: &'static str,
    classes: Vec<Class>,
    /// Each model's chips.
    families: Vec<Family>,
}

/// The least makespan there could have been for the jobs that ended as the load says.
#[derive(Debug, Serialize)]
struct Floor {
    ms: Span,
    /// `nothing`, `job`, or `chips`.
    bound: &'static str,
    /// What bounds it, in words.
    what: String,
}

/// Times from acceptance of jobs that have something in common.
#[derive(Debug, Serialize)]
struct Class {
    class: String,
    jobs: usize,
    admitted_ms: Option<Spread>,
    started_ms: Option<Spread>,
}

/// How times are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Spread {
    p50: Span,
    p90: Span,
    p99: Span,
    max: Span,
}

/// The chips of one model.
#[derive(Debug, Serialize)]
struct Family {
    chip: String,
    chips: f64,
    utilization_pct: f64,
}

/// A job that was accepted, with what became of it.
#[derive(Clone, Copy)]
struct Seen<'a> {
    job: &'a Job,
    track: &'a Track,
}

impl Seen<'_> {
    fn end(&self) -> Option<Moment> {
        self.track.ended.as_ref().map(|(at, _)| *at)
    }

    /// Whether it ended as the load says; nothing before it has.
    fn as_told(&self) -> Option<bool> {
        self.track.ended.as_ref().map(|(_, end)| self.job.ends_as_told(end.word()))
    }
}

impl Report {
    /// Of these jobs on this network.
    pub(super) fn of(
        jobs: &[Job],
        unfit: usize,
        ground: &Ground,
        replayed: &Replayed,
        by: Option<By>,
    ) -> Self {
        let numbered = jobs.iter().zip(&replayed.ids);
        let seen: Vec<Seen<'_>> = numbered
            .filter_map(|(job, id)| Some(Seen { job, track: replayed.ledger.of((*id)?)? }))
            .collect();
        let begun = begun(&seen);
        let since = |at: Moment| at.since(begun);
        let makespan = seen.iter().filter_map(Seen::end).max().map_or(Span::ZERO, since);
        let submitted = |seen: &Seen<'_>| seen.track.submitted.map(since);
        let behind = seen.iter().filter_map(|s| Some(submitted(s)?.saturating_sub(s.job.at)));
        let families = families(&seen, ground, makespan);
        let chips: Chips = sum(ground.pools().map(|(_, pool)| pool.chips()));
        let used = seen.iter().flat_map(|seen| &seen.track.used).map(|(_, used)| used).sum();
        let floor = least(&seen, ground);
        let mut ended: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, end) in seen.iter().filter_map(|seen| seen.track.ended.as_ref()) {
            *ended.entry(end.word()).or_default() += 1;
        }
        let by = by.unwrap_or_else(|| usual(jobs));
        Self {
            jobs: jobs.len(),
            unfit,
            refused: replayed.refused(),
            lost: replayed.lost().count(),
            astray: seen.iter().filter(|seen| seen.as_told() == Some(false)).count(),
            others: replayed.ledger.len() - seen.len(),
            attempts: seen.iter().map(|seen| seen.track.attempts).sum(),
            tenants: jobs.iter().map(|job| &job.spec.tenant).collect::<BTreeSet<_>>().len(),
            chips: whole(chips),
            makespan_ms: makespan,
            completed_ms: completed(&seen),
            submitted_after_ms: seen.iter().filter_map(submitted).max().unwrap_or_default(),
            behind_ms: behind.max().unwrap_or_default(),
            per_s: rate(ended.values().sum(), makespan),
            sustained_per_s: sustained(&seen),
            utilization_pct: percent(used, chips, makespan),
            over_floor: (floor.ms > Span::ZERO && makespan > Span::ZERO)
                .then(|| seconds(makespan) / seconds(floor.ms)),
            floor,
            all: Class::of("all".to_owned(), &seen),
            by: by.word(),
            classes: classes(&seen, by),
            families,
            ended,
        }
    }
}

/// How long jobs took from acceptance to their end, on average.
fn completed(seen: &[Seen<'_>]) -> Option<f64> {
    let took =
        seen.iter().filter_map(|seen| Some(seen.end()?.since(seen.track.submitted?).0 as f64));
    let all: Vec<f64> = took.collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// When the load began, by the server's clock: the latest moment for which no job was accepted before
/// its time. So what the load's own times bound, the makespan from then on cannot beat.
fn begun(seen: &[Seen<'_>]) -> Moment {
    let own = seen
        .iter()
        .filter_map(|seen| Some(Moment(seen.track.submitted?.0.saturating_sub(seen.job.at.0))));
    own.min().unwrap_or_default()
}

/// The floor of the jobs that ended as the load says: others were cut short or never run.
fn least(seen: &[Seen<'_>], ground: &Ground) -> Floor {
    let told: Vec<&Seen<'_>> = seen.iter().filter(|s| s.as_told() == Some(true)).collect();
    let task =
        |seen: &&Seen<'_>| Task { release: seen.job.at, ways: ground.ways(seen.job).collect() };
    let tasks: Vec<Task> = told.iter().map(task).collect();
    let rooms: Vec<Chips> = ground.pools().map(|(_, pool)| pool.chips()).collect();
    let found = floor(&rooms, &tasks);
    let (bound, what) = match &found.bound {
        Bound::Nothing => ("nothing", "no job ended as the load says".to_owned()),
        Bound::Task(place) => {
            let (job, way) = (told[*place].job, tasks[*place].ways.iter().map(|way| way.run).min());
            let run = way.unwrap_or_default();
            ("job", format!("one {} job, which comes at {} and runs {run}", job.spec.name, job.at))
        }
        Bound::Rooms { rooms, from } => {
            let chips =
                sum(rooms.iter().filter_map(|n| ground.pools().nth(*n)).map(|(_, p)| p.chips()));
            let since = match *from {
                Span::ZERO => String::new(),
                from => format!(" that comes from {from} on"),
            };
            let models = models(rooms, ground);
            (
                "chips",
                format!("the work{since} on all {} chips that can do it: {models}", whole(chips)),
            )
        }
    };
    Floor { ms: found.span, bound, what }
}

/// The chips of rooms, those of whole families by their name alone.
fn models(rooms: &[usize], ground: &Ground) -> String {
    let mut names: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (place, (_, pool)) in ground.pools().enumerate() {
        let Some(chip) = &pool.chip else { continue };
        let (inside, all) = names.entry(chip.as_str()).or_default();
        *all += 1;
        *inside += usize::from(rooms.contains(&place));
    }
    names.retain(|_, (inside, _)| *inside > 0);
    let name = |(name, (inside, all)): (&&str, &(usize, usize))| match inside == all {
        true => (*name).to_owned(),
        false => format!("{name} in {inside} of {all} pools"),
    };
    names.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn families(seen: &[Seen<'_>], ground: &Ground, makespan: Span) -> Vec<Family> {
    let mut of: BTreeMap<&str, (Chips, u128)> = BTreeMap::new();
    let mut place = BTreeMap::new();
    for (center, pool) in ground.pools() {
        let Some(chip) = &pool.chip else { continue };
        let (chips, _) = of.entry(chip.as_str()).or_default();
        *chips = chips.saturating_add(pool.chips());
        place.insert((&center.center, &pool.pool), chip.as_str());
    }
    for ((center, pool), used) in seen.iter().flat_map(|seen| &seen.track.used) {
        let known = place.get(&(center, pool)).and_then(|chip| of.get_mut(chip));
        known.into_iter().for_each(|(_, all)| *all += used);
    }
    let family = |(chip, (chips, used)): (&str, (Chips, u128))| Family {
        chip: chip.to_owned(),
        chips: whole(chips),
        utilization_pct: percent(used, chips, makespan).unwrap_or(0.0),
    };
    of.into_iter().map(family).collect()
}

/// What tells jobs of this load apart where nobody says.
fn usual(jobs: &[Job]) -> By {
    let workloads: BTreeSet<_> = jobs.iter().map(|job| By::Workload.class(job)).collect();
    if (2..=CLASSES).contains(&workloads.len()) { By::Workload } else { By::Size }
}

impl By {
    const fn word(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Size => "size",
            Self::Priority => "priority",
            Self::Tenant => "tenant",
        }
    }

    /// A job's class: a figure to sort by and a name.
    fn class(self, job: &Job) -> (i64, String) {
        let by_name = |name: &str| (0, name.to_owned());
        match self {
            Self::Workload => by_name(job.spec.workload.as_deref().unwrap_or(&job.spec.name)),
            Self::Tenant => by_name(job.spec.tenant.as_str()),
            // The highest first, as they go.
            Self::Priority => {
                (-i64::from(job.spec.priority), format!("priority {}", job.spec.priority))
            }
            Self::Size => size(job.chips()),
        }
    }
}

/// Sizes by powers of two, so that there are few.
fn size(chips: Chips) -> (i64, String) {
    if chips == Chips::ZERO {
        return (-2, "no chip".to_owned());
    }
    if chips < Chips::ONE {
        return (-1, "share of a chip".to_owned());
    }
    let most = chips.touched().checked_next_power_of_two().unwrap_or(u64::MAX);
    let name = match most {
        1 => "1 chip".to_owned(),
        2 => "2 chips".to_owned(),
        most => format!("{} to {most} chips", most / 2 + 1),
    };
    (i64::try_from(most).unwrap_or(i64::MAX), name)
}

/// Jobs by class; the largest classes and the rest where there are too many.
fn classes(seen: &[Seen<'_>], by: By) -> Vec<Class> {
    let mut of: BTreeMap<(i64, String), Vec<Seen<'_>>> = BTreeMap::new();
    for one in seen {
        of.entry(by.class(one.job)).or_default().push(*one);
    }
    let mut rest = Vec::new();
    while of.len() > CLASSES {
        let least = of.iter().min_by_key(|(_, jobs)| jobs.len()).map(|(class, _)| class.clone());
        rest.extend(least.and_then(|class| of.remove(&class)).unwrap_or_default());
    }
    let mut classes: Vec<Class> =
        of.into_iter().map(|((_, name), jobs)| Class::of(name, &jobs)).collect();
    if !rest.is_empty() {
        classes.push(Class::of("all others".to_owned(), &rest));
    }
    classes
}

impl Class {
    fn of(class: String, seen: &[Seen<'_>]) -> Self {
        let waits = |until: fn(&Track) -> Option<Moment>| {
            let wait = |seen: &Seen<'_>| Some(until(seen.track)?.since(seen.track.submitted?));
            Spread::of(seen.iter().filter_map(wait).collect())
        };
        Self {
            class,
            jobs: seen.len(),
            admitted_ms: waits(|track| track.admitted),
            started_ms: waits(|track| track.started),
        }
    }
}

impl Spread {
    /// By nearest rank.
    fn of(mut spans: Vec<Span>) -> Option<Self> {
        spans.sort_unstable();
        let max = *spans.last()?;
        let at = |percent: usize| spans[(spans.len() * percent).div_ceil(100).max(1) - 1];
        Some(Self { p50: at(50), p90: at(90), p99: at(99), max })
    }
}

/// Ends a second between the tenth and the ninetieth hundredth of them.
fn sustained(seen: &[Seen<'_>]) -> Option<f64> {
    let mut ends: Vec<Moment> = seen.iter().filter_map(Seen::end).collect();
    ends.sort_unstable();
    let (first, last) = (ends.len() / 10, ends.len() * 9 / 10);
    let span = ends.get(last)?.since(*ends.get(first)?);
    rate(last - first, span)
}

fn rate(count: usize, span: Span) -> Option<f64> {
    (span > Span::ZERO).then(|| tidy(count as f64 / seconds(span)))
}

fn percent(used: u128, chips: Chips, span: Span) -> Option<f64> {
    let all = chip_time(chips, span);
    (all > 0).then(|| tidy(used as f64 / all as f64 * 100.0))
}

fn seconds(span: Span) -> f64 {
    span.0 as f64 / 1_000.0
}

fn whole(chips: Chips) -> f64 {
    chips.0 as f64 / 1_000.0
}

/// To two decimals: more would be noise.
fn tidy(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

fn sum(chips: impl Iterator<Item = Chips>) -> Chips {
    chips.fold(Chips::ZERO, Chips::saturating_add)
}

/// A report for people.
pub(super) fn text(report: &Report, look: &Look) -> String {
    let Report { makespan_ms, floor, families, .. } = report;
    let per_s = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.1}"));
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{share:.1} %"));
    let by_chip = match &**families {
        [] | [_] => String::new(),
        many => {
            let some = many.iter().map(|f| format!("{} {:.1} %", f.chip, f.utilization_pct));
            format!(" of {} chips ({})", report.chips, some.collect::<Vec<_>>().join(", "))
        }
    };
    let over = report
        .over_floor
        .map_or(String::new(), |over| format!("; the makespan is {over:.2} times as long"));
    let lines = [
        ("jobs", jobs(report)),
        ("makespan", format!("{makespan_ms}; the last came after {}", report.submitted_after_ms)),
        (
            "throughput",
            format!(
                "{} jobs/s; {} without the first and last tenth",
                per_s(report.per_s),
                per_s(report.sustained_per_s)
            ),
        ),
        (
            "completion",
            report
                .completed_ms
                .map_or("-".to_owned(), |ms| format!("{:.2} s on average", ms / 1e3)),
        ),
        ("utilization", format!("{}{by_chip}", percent(report.utilization_pct))),
        ("floor", format!("{}: {}{over}", floor.ms, floor.what)),
    ];
    format!("{}\n{}", list(&lines, look), waits(report, look))
}

/// How many jobs ended how, and what else became of them.
fn jobs(report: &Report) -> String {
    let ended = report.ended.iter().map(|(end, count)| format!("{count} {end}"));
    let others = [
        (report.lost, "lost"),
        (report.refused, "refused"),
        (report.astray, "of them otherwise than the load says"),
        (report.unfit, "left out, for they fit no pool"),
        (report.others, "of others meanwhile, which count for nothing here"),
    ];
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    let others = others.map(|(count, what)| format!("{count} {what}"));
    let all: Vec<String> = ended.chain(others).collect();
    let tenants = if report.tenants == 1 { "tenant" } else { "tenants" };
    format!("{} of {} {tenants}: {}", report.jobs, report.tenants, all.join(", "))
}

fn waits(report: &Report, look: &Look) -> String {
    let title = match report.by {
        "workload" => "WORKLOAD",
        "size" => "SIZE",
        "priority" => "PRIORITY",
        _ => "TENANT",
    };
    let mut table = Table::new([
        Column::new(title).least(8),
        Column::new("JOBS").right(),
        Column::new("ADMITTED P50").right(),
        Column::new("P90").right(),
        Column::new("P99").right(),
        Column::new("MAX").right(),
        Column::new("STARTED P50").right().rank(1),
        Column::new("P99").right().rank(2),
    ]);
    let figures = |class: &Class, tone: Tone| {
        let one = |spread: Option<Spread>, of: fn(Spread) -> Span| {
            Cell::from(spread.map_or("-".to_owned(), |spread| of(spread).to_string()))
        };
        let (admitted, started) = (class.admitted_ms, class.started_ms);
        [
            Cell::new(class.class.clone(), tone),
            class.jobs.into(),
            one(admitted, |s| s.p50),
            one(admitted, |s| s.p90),
            one(admitted, |s| s.p99),
            one(admitted, |s| s.max),
            one(started, |s| s.p50),
            one(started, |s| s.p99),
        ]
    };
    for class in &report.classes {
        table.row(figures(class, Tone::Plain));
    }
    if report.classes.len() > 1 {
        table.row(figures(&report.all, Tone::Quiet));
    }
    table.render(look, "no job was accepted")
}
