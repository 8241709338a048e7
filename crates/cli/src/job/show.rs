//! `portolan job`.

use super::list::{chips, ran};
use super::named::Named;
use super::tone;
use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table, list, or_dash};
use clap::Args;
use model::{CenterId, Chips, Cores};
use wire::view::{Array, Asked, Attempt, Job, JobDetail, Stream, Variant};

/// Show all that is known of a job.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Which, such as job-42, or `job-42[7]` of an array.
    job: Named,
}

impl Show {
    /// Prints the job.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let job = client.job(self.job.job(&client).await?).await?;
        session.show(&job, detail)
    }
}

/// A job with all that is known of it.
pub(crate) fn detail(detail: &JobDetail, look: &Look) -> String {
    let (job, asked) = (&detail.job, &detail.asked);
    let mut pairs = vec![("State", state(detail, look))];
    let mut add = |name, what: Option<String>| pairs.extend(what.map(|what| (name, what)));
    let place = job.center.as_ref().map(|center| {
        let chip = job.chip.as_ref().filter(|_| job.chips_milli > Chips::ZERO);
        let chip = chip.map_or(String::new(), |chip| format!(", {chip}"));
        format!("{center}, pool {}{chip}", or_dash(job.pool.as_ref()))
    });
    add("Place", place);
    add("Called there", detail.tries.last().and_then(|attempt| attempt.called.clone()));
    add("Center says", job.center_says.clone());
    add("Tenant", Some(format!("{}, priority {}", job.tenant, job.priority)));
    add("Submitted", Some(look.moment(job.submitted_ms)));
    add("Promised", job.promised_ms.map(|at| look.moment(at)));
    add("Started", job.started_ms.map(|at| look.moment(at)));
    add("Ended", job.ended_ms.map(|at| look.moment(at)));
    add("Preempted", detail.made_room.clone());
    add("Deadline", job.deadline_ms.map(|at| look.moment(at)));
    add("Price", job.price.map(|price| format!("{price}, as planned")));
    for part in &asked.parts {
        for variant in &part.variants {
            add("Runs", Some(runs(variant)));
            add("Command", (!variant.command.is_empty()).then(|| variant.command.join(" ")));
        }
    }
    add("Array", asked.array.as_ref().map(|array| tasks(job, array)));
    let after: Vec<String> =
        asked.after.iter().map(|after| format!("{} ({})", after.job, after.when)).collect();
    add("After", (!after.is_empty()).then(|| after.join(", ")));
    add("Inside", asked.reservation.clone());
    add("Asks", Some(asks(asked)));
    for input in &asked.inputs {
        let how =
            input.stream_bps.map_or("staged".to_owned(), |rate| format!("streamed at {rate}"));
        add("Input", Some(format!("{} = {}, {how}", input.name, input.dataset)));
    }
    let live = detail.tries.last().filter(|attempt| attempt.ended_ms.is_none());
    for stream in live.into_iter().flat_map(|attempt| &attempt.streams) {
        add("Reads", Some(reads(stream)));
    }
    for output in &asked.outputs {
        add("Output", Some(format!("{} = {}", output.name, output.dataset)));
    }
    let title = look.bold(&format!("{}  {}", job.job, job.name));
    let mut text = format!("{title}\n{}", list(&pairs, look));
    if !detail.tries.is_empty() {
        text.push('\n');
        text.push_str(&tries(&detail.tries, look));
    }
    text
}

fn state(detail: &JobDetail, look: &Look) -> String {
    let job = &detail.job;
    let long = match &*job.state {
        "running" => format!("running for {}", ran(job, look)),
        other => other.to_owned(),
    };
    match &job.outcome {
        Some(outcome) => format!("{long} ({outcome})"),
        None => long,
    }
}

/// A way that data is read by while a job runs, in words.
pub(crate) fn reads(stream: &Stream) -> String {
    let Stream { data, from, links, rate_bps, .. } = stream;
    let dataset = data.split('@').next().unwrap_or_default();
    format!("{dataset} from {from} while it runs, {rate_bps} kept free on {}", links.join(", "))
}

/// A way to run a job, in words.
pub(crate) fn runs(variant: &Variant) -> String {
    use model::job::On;
    let each = match &variant.on {
        On::Cpu => String::new(),
        on => format!("{} of {on}, ", chips(variant.chips_per_node_milli)),
    };
    let nodes =
        if variant.nodes == 1 { String::new() } else { format!("{} nodes × ", variant.nodes) };
    if variant.cores_milli == Cores::ZERO {
        return format!("{nodes}{each}with the cores and memory that go with them");
    }
    let cores = if variant.cores_milli == Cores(1_000) { "core" } else { "cores" };
    format!("{nodes}{each}{} {cores}, {}", variant.cores_milli, variant.memory_bytes)
}

/// Which task of which array a job is, in words.
fn tasks(job: &Job, array: &Array) -> String {
    let Array { first, last, step, at_once } = array;
    let steps = if *step == 1 { String::new() } else { format!(" in steps of {step}") };
    let at_once = at_once.map_or(String::new(), |at_once| format!(", {at_once} at once"));
    let task = job.index.map_or(String::new(), |index| format!("task {index} of "));
    format!("{task}{}, {first} to {last}{steps}{at_once}", or_dash(job.array))
}

fn asks(asked: &Asked) -> String {
    let mut words = vec![format!("{:?}", asked.objective).to_lowercase()];
    match (asked.limit_ms, asked.expected_ms) {
        (None, _) => words.push("open-ended".to_owned()),
        (Some(limit), None) => words.push(format!("at most {limit}")),
        (Some(limit), Some(expected)) => {
            words.push(format!("at most {limit}, expected {expected}"));
        }
    }
    words.extend(asked.budget.map(|budget| format!("for {budget} at most")));
    words.extend(asked.lease_ms.map(|lease| format!("moves when cut off for {lease}")));
    if asked.retries > 0 {
        words.push(format!("{} retries", asked.retries));
    }
    if asked.preemptible {
        words.push("preemptible".to_owned());
    }
    if !asked.centers.is_empty() {
        let centers: Vec<&str> = asked.centers.iter().map(CenterId::as_str).collect();
        words.push(format!("only in {}", centers.join(", ")));
    }
    if !asked.regions.is_empty() {
        let regions: Vec<String> = asked.regions.iter().map(ToString::to_string).collect();
        words.push(format!("only in {}", regions.join(", ")));
    }
    words.join("; ")
}

/// Attempts as a table.
pub(crate) fn tries(tries: &[Attempt], look: &Look) -> String {
    let mut table = Table::new([
        Column::new("ATTEMPT"),
        Column::new("STATE").rank(1),
        Column::new("CENTER").least(8),
        Column::new("POOL").least(6).rank(4),
        Column::new("STARTED").rank(3),
        Column::new("RAN").right().rank(2),
        Column::new("PRICE").right().rank(5),
        Column::new("OUTCOME").least(24),
    ])
    .wrapping();
    for attempt in tries {
        let started = match attempt.started_ms {
            Some(at) => look.when(at),
            None if attempt.ended_ms.is_some() => "never".to_owned(),
            None if attempt.planned_start_ms < look.now => {
                format!("due {}", look.when(attempt.planned_start_ms))
            }
            None => look.when(attempt.planned_start_ms),
        };
        let ran = attempt.started_ms.map(|at| look.span(at, attempt.ended_ms));
        table.row([
            attempt.attempt.into(),
            Cell::new(attempt.state.as_str(), tone(&attempt.state)),
            attempt.center.as_str().into(),
            attempt.pool.as_str().into(),
            started.into(),
            or_dash(ran).into(),
            attempt.price.into(),
            or_dash(attempt.outcome.as_ref()).into(),
        ]);
    }
    table.render(look, "no attempts")
}
