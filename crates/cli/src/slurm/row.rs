//! A job in the fields of `squeue`.

use super::state;
use super::{clock, date};
use crate::look::Look;
use model::job::On;
use model::{Chips, Span};
use wire::view::{Attempt, Job, JobDetail, Variant};

/// The fields there are.
pub(super) const FIELDS: &str = "AaBbCDEeFiJjKklLMmNoPpQqRrSTtUuVvZ";
/// Those that a list does not say.
pub(super) const ASKED: &[char] = &['b', 'C', 'l', 'L', 'm', 'o', 'q', 'v'];
/// The same, of a job that has a place.
pub(super) const PLACED: &[char] = &['b', 'B', 'C', 'l', 'L', 'm', 'N', 'o', 'q', 'R', 'v'];

/// Whether a job has or had a place.
pub(super) fn is_placed(job: &Job) -> bool {
    job.center.is_some() && state::of(&job.state).short != "PD"
}

/// The title of a field.
pub(super) fn title(letter: char) -> &'static str {
    match letter {
        'A' | 'i' | 'J' => "JOBID",
        'F' => "ARRAY_JOB_ID",
        'a' => "ACCOUNT",
        'B' => "EXEC_HOST",
        'b' => "TRES_PER_NODE",
        'C' => "CPUS",
        'D' => "NODES",
        'E' => "DEPENDENCY",
        'e' => "END_TIME",
        'j' => "NAME",
        'K' => "ARRAY_TASK_ID",
        'k' => "COMMENT",
        'l' => "TIME_LIMIT",
        'L' => "TIME_LEFT",
        'M' => "TIME",
        'm' => "MIN_MEMORY",
        'N' => "NODELIST",
        'o' => "COMMAND",
        'P' => "PARTITION",
        'p' | 'Q' => "PRIORITY",
        'q' => "QOS",
        'R' => "NODELIST(REASON)",
        'r' => "REASON",
        'S' => "START_TIME",
        'T' => "STATE",
        't' => "ST",
        'u' | 'U' => "USER",
        'V' => "SUBMIT_TIME",
        'v' => "RESERVATION",
        'Z' => "WORK_DIR",
        _ => "",
    }
}

/// A field of a job; N/A what is not known of it.
pub(super) fn field(job: &Job, detail: Option<&JobDetail>, letter: char, look: &Look) -> String {
    let state = state::of(&job.state);
    let place = || is_placed(job).then(|| nodes(job, detail));
    let reason = state::reason(job);
    match letter {
        'A' | 'J' => job.job.number().to_string(),
        'F' => job.array.unwrap_or(job.job).number().to_string(),
        'K' => job.index.map_or("N/A".to_owned(), |index| index.to_string()),
        'i' => match job.array.zip(job.index) {
            Some((array, index)) => format!("{}_{index}", array.number()),
            None => job.job.number().to_string(),
        },
        'a' | 'u' | 'U' => job.tenant.to_string(),
        'B' => detail.and_then(first_host).unwrap_or("N/A".to_owned()),
        'D' => job.nodes.to_string(),
        'e' => date(job.ended_ms),
        'j' => job.name.clone(),
        'M' => ran(job, look).map_or("0:00".to_owned(), clock),
        'N' => place().unwrap_or_default(),
        'P' => job.center.as_ref().map_or("-".to_owned(), ToString::to_string),
        'p' | 'Q' => job.priority.to_string(),
        'R' => place().unwrap_or_else(|| format!("({reason})")),
        'r' => reason.to_owned(),
        'S' => date(job.started_ms.or(job.promised_ms)),
        'T' => state.long.to_owned(),
        't' => state.short.to_owned(),
        'V' => date(Some(job.submitted_ms)),
        _ => detail.and_then(|detail| asked(detail, letter, look)).unwrap_or("N/A".to_owned()),
    }
}

fn ran(job: &Job, look: &Look) -> Option<Span> {
    job.started_ms.map(|started| look.span(started, job.ended_ms))
}

/// A field of what a job asks for.
fn asked(detail: &JobDetail, letter: char, look: &Look) -> Option<String> {
    let limit = detail.asked.limit_ms;
    let variant = variant(detail)?;
    let cores = variant.cores_milli.0 * u64::from(variant.nodes);
    Some(match letter {
        'b' => chips(variant)?,
        'C' => cores.div_ceil(1_000).to_string(),
        'l' => limit.map_or("UNLIMITED".to_owned(), clock),
        'L' => match limit {
            Some(limit) => {
                let ran = ran(&detail.job, look).unwrap_or(Span::ZERO);
                clock(Span(limit.0.saturating_sub(ran.0)))
            }
            None => "UNLIMITED".to_owned(),
        },
        'm' => match variant.memory_bytes.0.div_ceil(1 << 20) {
            whole if whole % 1_024 == 0 => format!("{}G", whole / 1_024),
            mebibytes => format!("{mebibytes}M"),
        },
        'o' => variant.command.first()?.clone(),
        'q' => detail.asked.priority_class.as_ref()?.to_string(),
        'v' => detail.asked.reservation.clone()?,
        _ => return None,
    })
}

/// The variant chosen, or else the first.
fn variant(detail: &JobDetail) -> Option<&Variant> {
    let variants = &detail.asked.parts.first()?.variants;
    let chosen = detail.tries.last().and_then(|attempt| variants.get(usize::from(attempt.variant)));
    chosen.or_else(|| variants.first())
}

/// Chips of each node, as a resource of Slurm.
pub(super) fn chips(variant: &Variant) -> Option<String> {
    let each = variant.chips_per_node_milli;
    match &variant.on {
        On::Class(class) if each > Chips::ZERO => Some(format!("gres:{class}:{each}")),
        On::Chip(chip) if each > Chips::ZERO => Some(format!("gres:{chip}:{each}")),
        _ => None,
    }
}

/// The nodes of the newest attempt; its pool where they are not known.
fn nodes(job: &Job, detail: Option<&JobDetail>) -> String {
    match detail.and_then(|detail| detail.tries.last()) {
        Some(attempt) => hosts(attempt),
        None => job.pool.as_ref().map_or(String::new(), ToString::to_string),
    }
}

/// The node a job's newest attempt started on.
fn first_host(detail: &JobDetail) -> Option<String> {
    let attempt = detail.tries.last()?;
    let first = attempt.nodes.iter().map(|node| node.node).min()?;
    Some(format!("{}-{first}", attempt.pool))
}

/// The nodes of an attempt as Slurm lists them: `a100-[0-2,5]`.
pub(super) fn hosts(attempt: &Attempt) -> String {
    let mut nodes: Vec<u32> = attempt.nodes.iter().map(|node| node.node).collect();
    nodes.sort_unstable();
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for node in nodes {
        match ranges.last_mut() {
            Some((_, last)) if node <= last.saturating_add(1) => *last = node,
            _ => ranges.push((node, node)),
        }
    }
    let range = |(first, last): &(u32, u32)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let pool = &attempt.pool;
    match &ranges[..] {
        [(first, last)] if first == last => format!("{pool}-{first}"),
        ranges => format!("{pool}-[{}]", ranges.iter().map(range).collect::<Vec<_>>().join(",")),
    }
}
