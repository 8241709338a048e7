//! What Slurm's words for jobs and nodes mean, whichever way they come.

use crate::batch::Phase;

/// What is said when a request never reached the controller, or it had other things to do: nobody
/// knows then what became of it.
const NO_ANSWER: [&str; 9] = [
    "Unable to contact",
    "timed out",
    "Connection refused",
    "Connection reset",
    "temporarily unable",
    "Transport endpoint",
    "Zero Bytes were transmitted",
    "Resource temporarily unavailable",
    "Communication connection failure",
];

/// Whether this leaves open what became of a request.
pub(super) fn is_no_answer(said: &str) -> bool {
    NO_ANSWER.iter().any(|no| said.contains(no))
}

/// What a state means. One that is not known is not the end.
pub(super) fn phase(state: &str, reason: &str) -> Phase {
    let is_told = !reason.is_empty() && reason != "None";
    let told = if is_told { format!(" ({reason})") } else { String::new() };
    match state {
        "PENDING" if is_hopeless(reason) => {
            Phase::Hopeless(format!("Slurm took it, but will never start it: {reason}"))
        }
        "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT"
        | "RESV_DEL_HOLD" => Phase::Waiting(if is_told {
            reason.to_owned()
        } else {
            "waits for its turn".to_owned()
        }),
        "COMPLETED" => Phase::Over(format!("Slurm says that it completed{told}")),
        "FAILED" => Phase::Over(format!("Slurm says that it failed{told}")),
        "TIMEOUT" | "DEADLINE" => Phase::Over(format!("Slurm ended it for its time{told}")),
        "OUT_OF_MEMORY" => Phase::OutOfMemory(format!("Slurm ended it for its memory{told}")),
        "CANCELLED" => Phase::Over(format!("somebody cancelled it in Slurm{told}")),
        "PREEMPTED" => Phase::Over(format!("Slurm gave its place to another job{told}")),
        "REVOKED" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => {
            Phase::Over(format!("Slurm could not start it: {state}{told}"))
        }
        "NODE_FAIL" => Phase::OutOfReach(format!("its node failed{told}")),
        _ => Phase::Running,
    }
}

/// Whether a job that waits for this reason waits for ever: what it asks for is more than a partition,
/// an account or a quality of service gives to any one job.
fn is_hopeless(reason: &str) -> bool {
    matches!(reason, "PartitionNodeLimit" | "PartitionTimeLimit" | "BadConstraints")
        || ((reason.starts_with("Assoc") || reason.starts_with("QOS"))
            && (reason.contains("PerJob") || reason.contains("PerNode")))
}

/// States that a job has besides another one, the most telling first.
const BESIDES: [&str; 8] = [
    "COMPLETING",
    "STAGE_OUT",
    "CONFIGURING",
    "RESIZING",
    "SIGNALING",
    "REQUEUED",
    "REQUEUE_HOLD",
    "SPECIAL_EXIT",
];

/// The one of several states that tells most about what is still to come.
pub(super) fn telling(states: &[String]) -> &str {
    let besides = BESIDES.iter().find(|besides| states.iter().any(|state| state == *besides));
    besides.copied().or_else(|| states.first().map(String::as_str)).unwrap_or("UNKNOWN")
}

/// Whether a node in this state takes jobs, now or when others are over. A mark behind the state says
/// what else there is to it: `*` that it does not answer, `$` that it is kept for maintenance.
pub(super) fn is_in_order(state: &str) -> bool {
    let word = state.trim_end_matches(|mark: char| !mark.is_ascii_alphabetic());
    let marks = &state[word.len()..];
    matches!(word, "idle" | "mixed" | "allocated" | "completing" | "planned" | "blocked")
        && !marks.contains(['*', '$'])
}

/// The same for a node whose state comes as a word and flags.
pub(super) fn are_in_order(states: &[String]) -> bool {
    let is =
        |words: &[&str]| states.iter().any(|s| words.iter().any(|w| s.eq_ignore_ascii_case(w)));
    is(&["idle", "mixed", "allocated", "completing", "planned"])
        && !is(&[
            "down",
            "drain",
            "drained",
            "draining",
            "error",
            "fail",
            "failing",
            "future",
            "invalid",
            "invalid_reg",
            "maint",
            "maintenance",
            "no_respond",
            "not_responding",
            "reboot_issued",
            "unknown",
        ])
}

/// Whether a node, whose state comes so, takes no more but still runs something.
pub(super) fn is_draining(states: &[String]) -> bool {
    let is = |word: &str| states.iter().any(|state| state.eq_ignore_ascii_case(word));
    is("drain") && (is("allocated") || is("mixed")) && !is("not_responding")
}

/// How many there are of a generic resource, named as jobs ask for it (`gpu`, or `gpu:ascend910b` of one
/// type), among those of a node: `gpu:ascend910b:8(S:0,1),shard:64`.
pub(super) fn count_gres(wanted: &str, all: &str) -> u16 {
    let mut depth = 0_u32;
    let parts = all.split(|letter| {
        depth += u32::from(letter == '(');
        depth = depth.saturating_sub(u32::from(letter == ')'));
        letter == ',' && depth == 0
    });
    let count = |part: &str| {
        let part = part.split('(').next()?;
        let (name, number) = part.rsplit_once(':')?;
        let rest = name.strip_prefix(wanted)?;
        (rest.is_empty() || rest.starts_with(':')).then(|| number.parse::<u16>().ok())?
    };
    parts.filter_map(count).fold(0, u16::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_is_not_known_is_not_the_end() {
        assert_eq!(phase("RUNNING", "None"), Phase::Running);
        assert_eq!(phase("A_STATE_OF_TOMORROW", "None"), Phase::Running);
        assert_eq!(phase("PENDING", "Resources"), Phase::Waiting("Resources".to_owned()));
        assert!(matches!(phase("PENDING", "PartitionTimeLimit"), Phase::Hopeless(_)));
        assert!(matches!(phase("PENDING", "QOSMaxNodePerJobLimit"), Phase::Hopeless(_)));
        assert!(matches!(phase("PENDING", "QOSGrpNodeLimit"), Phase::Waiting(_)));
        assert!(matches!(phase("CANCELLED", "None"), Phase::Over(_)));
        assert!(matches!(phase("NODE_FAIL", "NodeDown"), Phase::OutOfReach(_)));
    }

    #[test]
    fn of_several_states_the_one_counts_that_tells_what_is_to_come() {
        let states = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        assert_eq!(telling(&states(&["COMPLETED", "COMPLETING"])), "COMPLETING");
        assert_eq!(telling(&states(&["RUNNING"])), "RUNNING");
        assert!(are_in_order(&states(&["IDLE", "PLANNED"])));
        assert!(!are_in_order(&states(&["idle", "DRAIN"])));
        assert!(!are_in_order(&states(&["MIXED", "NOT_RESPONDING"])));
        assert!(!are_in_order(&states(&["down"])));
    }

    #[test]
    fn generic_resources_are_counted_by_name_and_type() {
        let node = "gpu:ascend910b:8(S:0,1),gpu:k100:2,shard:64,bandwidth:lustre:no_consume:4G";
        let counts = ["gpu:ascend910b", "gpu:k100", "gpu", "shard", "gpu:ascend910", "npu"];
        assert_eq!(counts.map(|wanted| count_gres(wanted, node)), [8, 2, 10, 64, 0, 0]);
        assert_eq!(["(null)", "", "gpu:(S:0)"].map(|none| count_gres("gpu", none)), [0; 3]);
    }
}
