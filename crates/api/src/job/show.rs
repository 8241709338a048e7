//! Jobs as the API shows them.

use super::{Found, newest_placement};
use crate::UnderWay;
use model::attempt::{Attempt, AttemptState, Outcome, Placement, Stop};
use model::job::{
    Dependency, Input, InputMode, Job, JobEnd, JobKind, JobSpec, PastAttempt, Variant,
};
use model::{AttemptId, DatasetVersion, Moment, Phase};
use wire::view;

/// A job in short.
pub(crate) fn job(found: &Found, told: &UnderWay) -> view::Job {
    let job = &found.job;
    let spec = &job.spec;
    let placement = newest_placement(job);
    let part = placement.and_then(|place| place.parts.first());
    let chosen = part.map_or(0, |part| usize::from(part.variant));
    let variant = spec.parts.first().and_then(|p| p.variants.get(chosen).or(p.variants.first()));
    view::Job {
        job: job.job,
        name: job.name(),
        array: job.task.map(|task| task.array),
        index: job.task.map(|task| task.index),
        tenant: spec.tenant.clone(),
        state: job.word().to_owned(),
        priority: spec.priority,
        submitted_ms: job.submitted,
        promised_ms: job.promise.as_ref().map(|told| told.start),
        started_ms: started(job),
        ended_ms: match job.phase {
            Phase::Ended { at, .. } => Some(at),
            Phase::Held | Phase::Blocked | Phase::Waiting { .. } | Phase::Placed(_) => None,
        },
        deadline_ms: spec.deadline,
        center: part.map(|p| p.center.clone()),
        pool: part.map(|p| p.pool.clone()),
        chip: found.chip.clone(),
        nodes: variant.map_or(0, |v| v.nodes),
        chips_milli: variant.map(|v| v.chips_per_node.times(v.nodes.into())).unwrap_or_default(),
        attempts: job.epoch,
        preemptions: job.preemptions(),
        price: placement.map(|place| place.price),
        outcome: outcome(job),
        center_says: center_says(job, told),
    }
}

/// Why an attempt that its center has taken does not run yet, as the center's engine says.
pub(crate) fn center_says(job: &Job, told: &UnderWay) -> Option<String> {
    let taken = job.phase.attempt().filter(|live| live.state == AttemptState::Accepted)?;
    told.why(taken.placement.center(), taken.attempt)
}

fn started(job: &Job) -> Option<Moment> {
    match job.phase.attempt() {
        Some(live) => live.state.started(),
        None => job.past.last().and_then(|past| past.started),
    }
}

/// How it ended, or else how its newest attempt did.
pub(crate) fn outcome(job: &Job) -> Option<String> {
    let newest = || job.past.last().map(|past| past.outcome.to_string());
    match &job.phase {
        Phase::Ended { end: JobEnd::Failed(outcome), .. } => Some(outcome.to_string()),
        Phase::Ended { end: JobEnd::TimedOut, .. } => Some(Outcome::TimedOut.to_string()),
        Phase::Ended { end: JobEnd::Canceled, .. } => Some(newest().unwrap_or("canceled".into())),
        Phase::Ended { end: JobEnd::Lapsed, .. } => {
            Some(newest().unwrap_or("its reservation is over".into()))
        }
        Phase::Ended { end: JobEnd::Unmet { job }, .. } => {
            Some(format!("{job} did not complete, after which it was to come"))
        }
        Phase::Ended { end: JobEnd::Completed, .. }
        | Phase::Held
        | Phase::Blocked
        | Phase::Waiting { .. } => newest(),
        Phase::Placed(attempt) => match &attempt.state {
            AttemptState::Over { outcome, .. } => Some(outcome.to_string()),
            _ => None,
        },
    }
}

/// For whom it makes or made room, and what is kept of its work; nothing where it never did.
pub(crate) fn made_room(job: &Job) -> Option<String> {
    let live = job.phase.attempt().filter(|attempt| !attempt.is_over());
    if let Some(preempted) = live.and_then(|attempt| attempt.preempted) {
        return Some(match preempted.by {
            Some(by) => format!("it makes room for {by}, which comes first, and will wait again"),
            None => "its owner takes the chips back; it will wait again".to_owned(),
        });
    }
    let by = job.past.iter().rev().find_map(|past| past.preempted_by)?;
    let times = match job.preemptions() {
        0 => return None,
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let kept = match &job.kept {
        Some(kept) => format!("; {} of its work is kept at {}", kept.work, kept.center),
        None => "; it kept no checkpoint".to_owned(),
    };
    Some(format!("it was preempted {times}, last by {by}{kept}"))
}

/// A job with all that is known of it.
pub(crate) fn detail(found: &Found, told: &UnderWay) -> view::JobDetail {
    view::JobDetail {
        job: job(found, told),
        asked: asked(&found.job.spec),
        tries: tries(&found.job),
        made_room: made_room(&found.job),
    }
}

/// A job's attempts, oldest first.
pub(crate) fn tries(job: &Job) -> Vec<view::Attempt> {
    let past = job.past.iter().map(|past| over(job, past));
    past.chain(job.phase.attempt().map(|live| attempt(job, live))).collect()
}

fn placed(attempt: AttemptId, place: &Placement) -> view::Attempt {
    let part = place.parts.first().expect("a placement has at least one part");
    let node = |slots: &model::Slots| view::Node {
        node: slots.node,
        chips: slots.chips.clone(),
        share_milli: slots.share,
    };
    view::Attempt {
        attempt,
        state: "over".to_owned(),
        center: part.center.clone(),
        pool: part.pool.clone(),
        variant: part.variant,
        nodes: part.nodes.iter().map(node).collect(),
        plan: place.plan,
        offered_ms: Moment::ZERO,
        planned_start_ms: place.start,
        planned_finish_ms: place.finish,
        until_ms: place.until,
        started_ms: None,
        ended_ms: None,
        outcome: None,
        called: None,
        price: place.price,
        inputs: place.inputs.iter().map(data).collect(),
        awaits: place.awaits.iter().map(ToString::to_string).collect(),
        streams: place.streams.iter().map(stream).collect(),
    }
}

pub(super) fn stream(stream: &model::Stream) -> view::Stream {
    view::Stream {
        input: stream.input.clone(),
        data: data(&stream.data),
        from: stream.from.clone(),
        links: stream.hops.iter().map(|hop| hop.link.to_string()).collect(),
        rate_bps: stream.rate,
    }
}

/// Data with its whole version, as requests take it.
fn data(data: &DatasetVersion) -> String {
    format!("{}@{}", data.dataset, data.version)
}

fn over(job: &Job, past: &PastAttempt) -> view::Attempt {
    let attempt = AttemptId { job: job.job, epoch: past.epoch };
    view::Attempt {
        offered_ms: past.offered,
        started_ms: past.started,
        ended_ms: Some(past.ended),
        outcome: Some(match past.preempted_by {
            Some(by) if past.outcome == Outcome::Stopped(Stop::Preempted) => {
                format!("{} by {by}", past.outcome)
            }
            _ => past.outcome.to_string(),
        }),
        called: past.called.as_deref().map(str::to_owned),
        ..placed(attempt, &past.placement)
    }
}

fn attempt(job: &Job, live: &Attempt) -> view::Attempt {
    let outcome = match &live.state {
        AttemptState::Over { outcome, .. } => Some(outcome.to_string()),
        _ => None,
    };
    view::Attempt {
        state: if outcome.is_some() { "over" } else { job.word() }.to_owned(),
        offered_ms: live.offered,
        started_ms: live.state.started(),
        outcome,
        called: live.called.as_deref().map(str::to_owned),
        ..placed(live.attempt, &live.placement)
    }
}

fn asked(spec: &JobSpec) -> view::Asked {
    let kind = match &spec.kind {
        JobKind::Batch => "batch",
        JobKind::Service { .. } => "service",
        JobKind::Reservation { .. } => "reservation",
    };
    let part = |part: &model::Part| view::Part {
        name: part.name.clone(),
        variants: part.variants.iter().map(variant).collect(),
    };
    let output = |output: &model::job::Output| view::Output {
        name: output.name.clone(),
        dataset: output.dataset.clone(),
        residency: output.residency.clone(),
    };
    let array = spec.array.as_ref().map(|array| view::Array {
        first: array.first,
        last: array.last,
        step: array.step,
        at_once: array.at_once,
    });
    let after =
        |after: &Dependency| view::After { job: after.job, when: after.when.word().to_owned() };
    view::Asked {
        array,
        after: spec.after.iter().map(after).collect(),
        kind: kind.to_owned(),
        reservation: spec.reservation.map(|job| job.to_string()),
        priority_class: spec.priority_class.clone(),
        parts: spec.parts.iter().map(part).collect(),
        within: spec.together.within,
        limit_ms: spec.duration.limit(),
        expected_ms: spec.duration.expected(),
        inputs: spec.inputs.iter().map(input).collect(),
        outputs: spec.outputs.iter().map(output).collect(),
        objective: spec.objective,
        budget: spec.budget,
        preemptible: spec.preemptible,
        lease_ms: spec.when_cut_off.lease(),
        retries: spec.retries,
        centers: spec.centers.clone(),
        regions: spec.regions.clone(),
    }
}

fn input(input: &Input) -> view::Input {
    view::Input {
        name: input.name.clone(),
        dataset: input.dataset.clone(),
        stream_bps: match input.mode {
            InputMode::Staged => None,
            InputMode::Streamed { rate } => Some(rate),
        },
    }
}

fn variant(variant: &Variant) -> view::Variant {
    view::Variant {
        on: variant.on.clone(),
        nodes: variant.nodes,
        chips_per_node_milli: variant.chips_per_node,
        cores_milli: variant.cores,
        memory_bytes: variant.memory,
        command: variant.command.clone(),
        image: variant.image.clone(),
        env: variant.env.clone(),
    }
}
