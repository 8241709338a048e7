//! Signals as Slurm writes them: `B:USR1@120`.

use super::complaint::Said;
use super::directive::Given;
use model::file::job::CheckpointFile;

/// How long before a limit the signal comes, where nothing is said.
const SECONDS: u64 = 60;
/// Where a job that is signaled keeps what it saves, below its working directory.
const KEPT: &str = "checkpoint";

/// Reads --signal: the signal that asks a job for a checkpoint before it ends. It is told to end as
/// long after that as was asked for, which is half of its grace.
pub(crate) fn signal(given: &Given, said: &mut Said) -> Option<CheckpointFile> {
    let (to, rest) = match given.text().split_once(':') {
        Some((to, rest)) => (to, rest),
        None => ("", given.text()),
    };
    let (name, seconds) = match rest.split_once('@') {
        Some((name, seconds)) => (name, seconds.parse().ok().filter(|s| *s <= 65_535)),
        None => (rest, Some(SECONDS)),
    };
    let (Some(name), Some(seconds), "" | "B") = (known(name), seconds, to) else {
        let what = format!("`{}` is no signal that can be asked for", given.text());
        let help = "write [B:]SIGNAL[@SECONDS], of USR1, USR2, HUP, INT, TERM, ALRM and CONT";
        said.wrong(given.value_place(), what, help);
        return None;
    };
    let what = format!(
        "SIG{name} comes when the limit is reached or the job is to make room, and goes to the \
         script itself; the end comes {seconds} s later"
    );
    let help = "$PORTOLAN_CHECKPOINT is a directory that the next attempt finds again";
    said.note(&given.place, what, help);
    Some(CheckpointFile {
        path: KEPT.to_owned(),
        interval: None,
        signal: Some(name.to_owned()),
        grace: Some(format!("{}s", (seconds * 2).max(1))),
    })
}

/// The name of a signal, given so or by its number on Linux.
fn known(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    Some(match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "USR1" | "10" => "USR1",
        "USR2" | "12" => "USR2",
        "HUP" | "1" => "HUP",
        "INT" | "2" => "INT",
        "TERM" | "15" => "TERM",
        "ALRM" | "14" => "ALRM",
        "CONT" | "18" => "CONT",
        _ => return None,
    })
}
