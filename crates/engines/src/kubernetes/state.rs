//! What a Job and its pods say about an attempt.

use super::job::starts_as_a_whole;
use crate::batch::Phase;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, Pod, PodCondition};
use std::time::Duration;

/// How much later than it was to be gone a pod may be there still, until its node counts as one that
/// does not answer.
const OVERDUE: Duration = Duration::from_secs(60);

/// What there is to know about a Job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sight<'a> {
    pub(super) job: &'a Job,
    pub(super) pods: &'a [&'a Pod],
    /// Now, by the wall clock, in seconds since 1970.
    pub(super) now: i64,
    /// Whether what it waits for should long have come.
    pub(super) is_late: bool,
}

impl Sight<'_> {
    /// How the attempt's entry is. What is not known is not the end.
    pub(super) fn phase(self) -> Phase {
        let alive: Vec<&Pod> = self.pods.iter().copied().filter(|pod| !is_over(pod)).collect();
        if let Some(why) = self.pods.iter().find_map(|pod| self.out_of_reach(pod)) {
            return Phase::OutOfReach(why);
        }
        let finished = self.finished();
        if finished.is_some() && alive.is_empty() {
            let never_began = self.pods.iter().find_map(|pod| never_began(pod));
            return never_began.map_or_else(|| self.over(), Phase::Hopeless);
        }
        let is_waiting = |pod: &&&Pod| phase_of(pod) == "Pending" && is_to_stay(pod);
        let waiting: Vec<&Pod> = alive.iter().filter(is_waiting).copied().collect();
        if finished.is_some() || self.is_going() {
            return Phase::Running;
        }
        if self.pods.is_empty() {
            return Phase::Waiting(self.before_pods());
        }
        let Some(first) = waiting.first() else { return Phase::Running };
        let blocked = waiting.iter().find_map(|pod| blocked(pod));
        if let Some((why, is_for_ever)) = blocked
            && (is_for_ever || self.is_late)
        {
            return Phase::Hopeless(why);
        }
        let without_node = waiting.iter().find(|pod| node(pod).is_none());
        let is_torn = without_node.is_some() && self.pods.iter().any(|pod| node(pod).is_some());
        if let Some(pod) =
            without_node.filter(|_| is_torn && self.is_late && !starts_as_a_whole(self.job))
        {
            let with_node = self.pods.iter().filter(|pod| node(pod).is_some()).count();
            return Phase::Hopeless(format!(
                "only {with_node} of its {} nodes could be had: {}",
                self.job.spec.as_ref().and_then(|spec| spec.parallelism).unwrap_or_default(),
                reason_to_wait(pod)
            ));
        }
        match waiting.len() == alive.len() {
            true => Phase::Waiting(reason_to_wait(first)),
            false => Phase::Running,
        }
    }

    /// Whether it waits for what should not take long: some of a gang's nodes, an image, or all else that a
    /// container is made of.
    pub(super) fn is_on_the_clock(self) -> bool {
        let without = self.pods.iter().any(|pod| node(pod).is_none() && !is_over(pod));
        let is_torn = without && self.pods.iter().any(|pod| node(pod).is_some());
        is_torn || self.pods.iter().any(|pod| !is_over(pod) && blocked(pod).is_some())
    }

    fn is_going(self) -> bool {
        self.job.metadata.deletion_timestamp.is_some()
    }

    /// The condition by which a Job is over: its reason and message.
    fn finished(self) -> Option<(String, String)> {
        let conditions = self.job.status.as_ref()?.conditions.as_ref()?;
        let is_end = |kind: &str| matches!(kind, "Complete" | "Failed");
        let end = conditions.iter().find(|one| is_end(&one.type_) && one.status == "True")?;
        let reason = end.reason.clone().unwrap_or_else(|| end.type_.clone());
        Some((reason, end.message.clone().unwrap_or_default()))
    }

    /// Why nobody hears from a pod that may run on.
    fn out_of_reach(self, pod: &Pod) -> Option<String> {
        let on = node(pod).map_or(String::new(), |node| format!(" {node}"));
        let why = disruption(pod).map(|(reason, _)| reason);
        // Deleted because its node is gone: nobody there has said that it ended.
        if phase_of(pod) == "Unknown" || reason(pod) == "NodeLost" || why == Some("DeletionByPodGC")
        {
            return Some(format!("its node{on} does not answer"));
        }
        if is_over(pod) {
            return None;
        }
        if why == Some("DeletionByTaintManager") {
            return Some(format!("its node{on} failed"));
        }
        let due = pod.metadata.deletion_timestamp.as_ref()?.0.as_second();
        let overdue = self.now.saturating_sub(due) > OVERDUE.as_secs().cast_signed();
        overdue.then(|| format!("its node{on} does not confirm its end"))
    }

    /// How it is over: by what happened to a pod, or else by what is said of the Job.
    fn over(self) -> Phase {
        let found = self.pods.iter().find_map(|pod| {
            if is_out_of_memory(pod) {
                return Some(Phase::OutOfMemory(
                    "it used more memory than it was given".to_owned(),
                ));
            }
            let (reason, message) = match (disruption(pod), reason(pod)) {
                (Some(said), _) => said,
                (None, "") => return None,
                (None, reason) => (reason, text(pod.status.as_ref()?.message.as_ref())),
            };
            Some(Phase::Over(format!("Kubernetes ended it: {}", joined(reason, message))))
        });
        let (reason, message) = self.finished().unwrap_or_default();
        match (reason.as_str(), found) {
            (_, Some(found)) => found,
            ("DeadlineExceeded", None) => {
                Phase::Over("Kubernetes ended it for its time".to_owned())
            }
            (_, None) => {
                let last = self.pods.iter().find_map(|pod| ended(pod)?.message.as_deref());
                let said = joined(&reason, &message);
                let said = last.map_or(said.clone(), |last| format!("{said}: {}", last.trim()));
                Phase::Over(format!("Kubernetes says: {said}"))
            }
        }
    }

    /// What a Job without pods waits for.
    fn before_pods(self) -> String {
        let is_suspended = self.job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true));
        let what =
            if is_suspended { "waits for its turn in its queue" } else { "waits for its pods" };
        what.to_owned()
    }
}

fn text(maybe: Option<&String>) -> &str {
    maybe.map_or("", String::as_str)
}

fn joined(reason: &str, message: &str) -> String {
    match message {
        "" => reason.to_owned(),
        message => format!("{reason} ({})", message.trim()),
    }
}

fn phase_of(pod: &Pod) -> &str {
    text(pod.status.as_ref().and_then(|status| status.phase.as_ref()))
}

fn reason(pod: &Pod) -> &str {
    text(pod.status.as_ref().and_then(|status| status.reason.as_ref()))
}

fn node(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// Whether nothing of a pod runs any more.
fn is_over(pod: &Pod) -> bool {
    matches!(phase_of(pod), "Succeeded" | "Failed")
}

fn is_to_stay(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none()
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|one| one.type_ == kind)
}

/// Why the cluster itself ends a pod, and what it says about it.
fn disruption(pod: &Pod) -> Option<(&str, &str)> {
    let said = condition(pod, "DisruptionTarget").filter(|said| said.status == "True")?;
    Some((text(said.reason.as_ref()), text(said.message.as_ref())))
}

fn container(pod: &Pod) -> Option<&ContainerState> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()?.state.as_ref()
}

/// How the one container of a pod ended.
fn ended(pod: &Pod) -> Option<&ContainerStateTerminated> {
    container(pod)?.terminated.as_ref()
}

fn is_out_of_memory(pod: &Pod) -> bool {
    ended(pod).is_some_and(|ended| text(ended.reason.as_ref()) == "OOMKilled")
}

/// Why the program in a pod never began, which is over: a runtime may say so itself, or what it runs first in
/// the container, which then goes: `exec /program: no such file or directory`.
fn never_began(pod: &Pod) -> Option<String> {
    let ended = ended(pod).filter(|ended| ended.exit_code != 0)?;
    let (reason, message) = (text(ended.reason.as_ref()), text(ended.message.as_ref()));
    let is_so =
        matches!(reason, "StartError" | "ContainerCannotRun") || message.starts_with("exec ");
    is_so.then(|| joined(reason, message))
}

/// Why a pod that has a node does not start, and whether it never will.
fn blocked(pod: &Pod) -> Option<(String, bool)> {
    let waiting = container(pod)?.waiting.as_ref()?;
    let reason = text(waiting.reason.as_ref());
    if reason.is_empty() {
        return None;
    }
    let is_for_ever = matches!(reason, "InvalidImageName" | "ErrImageNeverPull");
    Some((joined(reason, text(waiting.message.as_ref())), is_for_ever))
}

fn reason_to_wait(pod: &Pod) -> String {
    if let Some((why, _)) = blocked(pod) {
        return why;
    }
    match condition(pod, "PodScheduled").filter(|said| said.status == "False") {
        Some(said) => joined(text(said.reason.as_ref()), text(said.message.as_ref())),
        None if node(pod).is_none() => "waits for a node".to_owned(),
        None => "waits for its container".to_owned(),
    }
}
