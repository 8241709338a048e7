//! From the document to the spec: the checks, and the defaults.

use super::check::{Check, found};
use super::variant::parts;
use super::{ArrayFile, CheckpointFile, CutOff, JobFile, Kind, OutputFile, TogetherFile};
use crate::dataset::is_inside_path;
use crate::file::Problem;
use crate::file::network::OneWay;
use crate::job::{
    Array, Checkpoint, Dependency, DependencyKind, Duration, Input, InputMode, JobKind, Output,
    SecretRef, Together,
};
use crate::{DatasetRef, JobSpec, Moment, Money, Rate, Span, TenantId, WhenCutOff};
use std::collections::BTreeSet;

/// Longest limit: ten years. Keeps sums of moments and spans far from their end.
const LONGEST: Span = Span::from_secs(3_650 * 86_400);
/// When a reservation lapses that does not say.
const LAPSE_AFTER: Span = Span::from_secs(900);
/// Most of anything a job may list.
pub(super) const MOST_LISTED: usize = 64;
/// Most tasks of an array.
const MOST_TASKS: u32 = 100_000;
/// Signals that may ask for a checkpoint.
const SIGNALS: [&str; 7] = ["USR1", "USR2", "HUP", "INT", "TERM", "ALRM", "CONT"];

/// The spec `file` asks for, or all that is wrong in it.
pub(super) fn spec(file: JobFile, tenant: TenantId, now: Moment) -> Result<JobSpec, Vec<Problem>> {
    let mut check = Check::default();
    let c = &mut check;
    c.words("name", &file.name);
    if let Some(workload) = &file.workload {
        c.words("workload", workload);
    }
    listed(c, &file);
    let is_one = file.priority_class.is_none() || file.priority == 0;
    c.that(is_one, "priority_class", "stands beside a priority", "one of both");
    c.that(file.retries <= 100, "retries", &format!("found `{}`", file.retries), "at most 100");
    let spec = JobSpec {
        tenant,
        kind: kind(c, &file, now).unwrap_or(JobKind::Batch),
        reservation: c.maybe("reservation", file.reservation.as_deref()),
        parts: parts(c, &file),
        together: file.together.as_ref().map(|t| together(c, t)).unwrap_or_default(),
        duration: duration(c, &file).unwrap_or(Duration::Open),
        inputs: inputs(c, &file),
        outputs: outputs(c, &file.outputs),
        objective: file.objective.unwrap_or_default(),
        deadline: file.deadline.as_deref().and_then(|text| moment(c, "deadline", text, now)),
        budget: budget(c, &file),
        priority: file.priority,
        priority_class: c.maybe("priority_class", file.priority_class.as_deref()),
        preemptible: file.preemptible,
        hold: file.hold,
        checkpoint: file.checkpoint.as_ref().map(|k| checkpoint(c, k)),
        when_cut_off: when_cut_off(c, &file),
        retries: file.retries,
        array: file.array.as_ref().map(|a| array(c, a)),
        after: after(c, &file),
        secrets: secrets(c, &file),
        centers: c.each("centers", &file.centers),
        regions: c.each("regions", &file.regions),
        workload: file.workload,
        name: file.name,
    };
    let problems = check.problems();
    if problems.is_empty() { Ok(spec) } else { Err(problems) }
}

fn listed(c: &mut Check, file: &JobFile) {
    let lists = [
        ("variant", file.variants.len()),
        ("part", file.parts.len()),
        ("input", file.inputs.len()),
        ("output", file.outputs.len()),
        ("after", file.after.len()),
        ("secret", file.secrets.len()),
        ("centers", file.centers.len()),
        ("regions", file.regions.len()),
        ("near", file.near.len()),
    ];
    for (at, length) in lists {
        if length > MOST_LISTED {
            c.wrong(at, format!("lists {length}"), format!("at most {MOST_LISTED}"));
        }
    }
}

/// A point in time, written as one or as a span from `now`.
fn moment(c: &mut Check, at: &str, text: &str, now: Moment) -> Option<Moment> {
    let span = text.parse().ok().filter(|span| *span <= LONGEST);
    let moment = span.map(|span| now + span).or_else(|| text.parse().ok());
    let expected = "a time such as `2026-11-23T20:00:00+08:00`, or a span from now such as `2h`";
    match moment {
        None => c.wrong(at, found(text), expected),
        Some(moment) if moment < now => {
            c.wrong(at, format!("found `{text}`, which has passed"), "a time to come");
        }
        Some(_) => {}
    }
    moment
}

fn kind(c: &mut Check, file: &JobFile, now: Moment) -> Option<JobKind> {
    let kind = file.kind.unwrap_or(Kind::Batch);
    let only_for = |kind: Kind, word: &str| (kind, format!("is only for `kind = \"{word}\"`"));
    let (service, reservation) =
        (only_for(Kind::Service, "service"), only_for(Kind::Reservation, "reservation"));
    c.that(kind == service.0 || file.replicas.is_none(), "replicas", &service.1, "");
    c.that(kind == service.0 || file.near.is_empty(), "near", &service.1, "");
    c.that(kind == reservation.0 || file.start.is_none(), "start", &reservation.1, "");
    c.that(kind == reservation.0 || file.lapse_after.is_none(), "lapse_after", &reservation.1, "");
    match kind {
        Kind::Batch => Some(JobKind::Batch),
        Kind::Service => {
            let replicas = file.replicas.unwrap_or(1);
            let in_range = (1..=10_000).contains(&replicas);
            c.that(in_range, "replicas", &format!("found `{replicas}`"), "from 1 to 10000");
            Some(JobKind::Service { replicas, near: c.each("near", &file.near) })
        }
        Kind::Reservation => {
            only_holds(c, file);
            let start = moment(c, "start", file.start.as_deref().unwrap_or_default(), now);
            let lapse_after = file
                .lapse_after
                .as_deref()
                .map_or(Some(LAPSE_AFTER), |text| span(c, "lapse_after", text));
            Some(JobKind::Reservation { start: start?, lapse_after: lapse_after? })
        }
    }
}

/// What only stands in jobs that run: a reservation holds chips and nothing more.
fn only_holds(c: &mut Check, file: &JobFile) {
    let absent = [
        ("part", file.parts.is_empty()),
        ("open_ended", !file.open_ended),
        ("input", file.inputs.is_empty()),
        ("output", file.outputs.is_empty()),
        ("secret", file.secrets.is_empty()),
        ("after", file.after.is_empty()),
        ("array", file.array.is_none()),
        ("checkpoint", file.checkpoint.is_none()),
        ("expected", file.expected.is_none()),
        ("deadline", file.deadline.is_none()),
        ("when_cut_off", file.when_cut_off.is_none()),
        ("preemptible", !file.preemptible),
        ("hold", !file.hold),
        ("retries", file.retries == 0),
        ("image", file.image.is_none() && file.variants.iter().all(|v| v.image.is_none())),
        ("env", file.env.is_empty() && file.variants.iter().all(|v| v.env.is_empty())),
        ("speed", file.speed.is_none() && file.variants.iter().all(|v| v.speed.is_none())),
        ("reservation", file.reservation.is_none()),
    ];
    for (at, _) in absent.into_iter().filter(|(_, absent)| !absent) {
        c.wrong(at, "stands in a reservation, which runs nothing", "it in the jobs that run there");
    }
    let variants = file.variants.iter().map(|variant| (&variant.chips, &variant.limit));
    for (chips, limit) in variants.chain([(&file.chips, &None)]) {
        let is_share = chips.as_ref().is_some_and(|chips| chips.as_str().contains('.'));
        c.that(!is_share, "chips", "is a share of a chip", "whole chips in a reservation");
        c.that(limit.is_none(), "variant.limit", "stands in a reservation", "one `limit` for all");
    }
}

fn duration(c: &mut Check, file: &JobFile) -> Option<Duration> {
    let expected = c.maybe::<Span>("expected", file.expected.as_deref());
    let Some(limit) = &file.limit else {
        let open = file.open_ended || file.kind == Some(Kind::Service);
        let wanted = "how long it may run, such as `limit = \"2h\"`, or `open_ended = true`";
        c.that(open, "limit", "missing", wanted);
        let alone = open && expected.is_some();
        c.that(!alone, "expected", "stands without a limit", "a `limit` beside it");
        return open.then_some(Duration::Open);
    };
    c.that(!file.open_ended, "open_ended", "stands beside a limit", "one of both");
    let limit = span(c, "limit", limit)?;
    if let (Some(expected), Some(written)) = (expected, &file.expected) {
        let fits = expected > Span::ZERO && expected <= limit;
        let most = format!("a span above zero, at most the limit of {limit}");
        c.that(fits, "expected", &format!("found `{written}`"), &most);
    }
    Some(Duration::Limited { limit, expected })
}

/// A span above zero.
pub(super) fn span(c: &mut Check, at: &str, text: &str) -> Option<Span> {
    let span = c.read::<Span>(at, text)?;
    let in_range = span > Span::ZERO && span <= LONGEST;
    c.that(in_range, at, &found(text), "a span above zero, at most `3650d`");
    Some(span)
}

fn budget(c: &mut Check, file: &JobFile) -> Option<Money> {
    let budget = c.maybe::<Money>("budget", file.budget.as_deref())?;
    c.that(budget.micros > 0, "budget", &format!("found `{budget}`"), "an amount above zero");
    Some(budget)
}

fn together(c: &mut Check, file: &TogetherFile) -> Together {
    let bandwidth = c.maybe::<Rate>("together.bandwidth", file.bandwidth.as_deref());
    let latency = c.maybe::<OneWay>("together.latency", file.latency.as_deref());
    Together {
        within: file.within.unwrap_or_default(),
        bandwidth,
        latency_us: latency.map(|latency| latency.0),
    }
}

/// Checks the name of an input or output, which is also part of a variable's: there `-` is `_` and
/// case is lost, so names must differ in more than that.
fn data_name(c: &mut Check, at: &str, name: &str, seen: &mut BTreeSet<String>) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    let at = format!("{at}.name");
    if !begins || !name.bytes().all(plain) || name.len() > 63 {
        let expected = "1 to 63 of A-Z a-z 0-9 - _, beginning with a letter";
        c.wrong(at, found(name), expected);
    } else if !seen.insert(name.to_ascii_uppercase().replace('-', "_")) {
        let said = format!("`{name}` stands twice, as a variable's name at least");
        c.wrong(at, said, "a name of its own");
    }
}

fn inputs(c: &mut Check, file: &JobFile) -> Vec<Input> {
    let (mut inputs, mut seen) = (Vec::new(), BTreeSet::new());
    for (i, input) in file.inputs.iter().enumerate() {
        let at = format!("input[{i}]");
        data_name(c, &at, &input.name, &mut seen);
        let rate = c.maybe::<Rate>(format!("{at}.stream"), input.stream.as_deref());
        let carries = rate != Some(Rate::ZERO);
        c.that(carries, &format!("{at}.stream"), "found a rate of nothing", "one above zero");
        let dataset = c.read::<DatasetRef>(format!("{at}.dataset"), &input.dataset);
        let mode = rate.map_or(InputMode::Staged, |rate| InputMode::Streamed { rate });
        inputs.extend(dataset.map(|dataset| Input { name: input.name.clone(), dataset, mode }));
    }
    inputs
}

fn outputs(c: &mut Check, files: &[OutputFile]) -> Vec<Output> {
    let (mut outputs, mut seen) = (Vec::new(), BTreeSet::new());
    for (i, output) in files.iter().enumerate() {
        let at = format!("output[{i}]");
        data_name(c, &at, &output.name, &mut seen);
        let residency = c.each(&format!("{at}.residency"), &output.residency);
        let dataset = c.read(format!("{at}.dataset"), &output.dataset);
        outputs.extend(dataset.map(|dataset| Output {
            name: output.name.clone(),
            dataset,
            residency,
        }));
    }
    outputs
}

fn checkpoint(c: &mut Check, file: &CheckpointFile) -> Checkpoint {
    if !is_inside_path(&file.path) {
        let expected = "a path below the job's working directory, relative and without `..`";
        c.wrong("checkpoint.path", found(&file.path), expected);
    }
    let signal = file.signal.as_deref().map(|name| name.strip_prefix("SIG").unwrap_or(name));
    if let Some(name) = signal
        && !SIGNALS.contains(&name)
    {
        let expected = format!("one of {}", SIGNALS.join(", "));
        c.wrong("checkpoint.signal", found(name), expected);
    }
    let interval = file.interval.as_deref().and_then(|i| span(c, "checkpoint.interval", i));
    let grace = file.grace.as_deref().and_then(|grace| span(c, "checkpoint.grace", grace));
    Checkpoint {
        path: file.path.clone(),
        interval,
        signal: signal.map(str::to_owned),
        grace: grace.unwrap_or(Span::from_secs(30)),
    }
}

fn when_cut_off(c: &mut Check, file: &JobFile) -> WhenCutOff {
    let moves = file.when_cut_off == Some(CutOff::Move);
    let beside = "`when_cut_off = \"move\"` beside it";
    c.that(moves || file.lease.is_none(), "lease", "stands alone", beside);
    if !moves {
        return WhenCutOff::Hold;
    }
    let lease = file.lease.as_deref().and_then(|lease| span(c, "lease", lease));
    let lease = lease.unwrap_or(WhenCutOff::DEFAULT_LEASE);
    if lease < WhenCutOff::SHORTEST_LEASE {
        let least = format!("at least {}", WhenCutOff::SHORTEST_LEASE);
        c.wrong("lease", found(file.lease.as_deref().unwrap_or_default()), least);
    }
    WhenCutOff::Move { lease }
}

fn array(c: &mut Check, file: &ArrayFile) -> Array {
    let ArrayFile { first, last, step, at_once } = *file;
    let step = step.unwrap_or(1);
    c.that(step > 0, "array.step", "found `0`", "a step above zero");
    c.that(at_once != Some(0), "array.at_once", "found `0`", "at least one at once");
    let after_first = format!("at least the first, `{first}`");
    c.that(last >= first, "array.last", &format!("found `{last}`"), &after_first);
    let tasks = last.saturating_sub(first) / step.max(1);
    let most = format!("at most {MOST_TASKS} tasks");
    c.that(tasks < MOST_TASKS, "array", &format!("has {} tasks", u64::from(tasks) + 1), &most);
    Array { first, last, step, at_once }
}

fn after(c: &mut Check, file: &JobFile) -> Vec<Dependency> {
    let mut after = Vec::new();
    for (i, dependency) in file.after.iter().enumerate() {
        let when = dependency.when.unwrap_or(DependencyKind::AfterOk);
        let job = c.read(format!("after[{i}].job"), &dependency.job);
        after.extend(job.map(|job| Dependency { job, when }));
    }
    after
}

/// Whether `name` can stand in a path and names nothing but a file.
fn is_file_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

fn secrets(c: &mut Check, file: &JobFile) -> Vec<SecretRef> {
    for (i, secret) in file.secrets.iter().enumerate() {
        for (what, said) in [("name", &secret.name), ("holder", &secret.holder)] {
            let expected = "1 to 64 letters, digits, `-`, `_` and `.`, no `.` first";
            c.that(is_file_name(said), &format!("secret[{i}].{what}"), &found(said), expected);
        }
        let twice = file.secrets[..i].iter().any(|before| before.name == secret.name);
        let (at, said) = (format!("secret[{i}].name"), format!("`{}` twice", secret.name));
        c.that(!twice, &at, &said, "each name once, for it names a file");
    }
    let secret =
        |s: &super::SecretFile| SecretRef { name: s.name.clone(), holder: s.holder.clone() };
    file.secrets.iter().map(secret).collect()
}
