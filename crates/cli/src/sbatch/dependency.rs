//! Dependencies as Slurm writes them: `afterok:41:42,afterany:40`.

use super::complaint::Said;
use super::directive::Given;
use model::JobId;
use model::file::job::DependencyFile;
use model::job::DependencyKind;

/// Reads a job as Slurm users write it, `42`, or as Portolan does, `job-42`.
pub(crate) fn job(text: &str) -> Option<JobId> {
    let number = text.strip_prefix("job-").unwrap_or(text);
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    number.parse().ok().filter(|_| digits).map(JobId::new)
}

/// Reads --dependency.
pub(crate) fn dependencies(given: &Given, said: &mut Said) -> Vec<DependencyFile> {
    let (text, place) = (given.text(), given.value_place());
    if text.contains('?') {
        let help =
            "with `,` between them all must be met; or submit a job that waits for the first";
        said.wrong(place, "that any one of several be met (`?`) is not supported", help);
        return Vec::new();
    }
    let mut after = Vec::new();
    for condition in text.split(',').map(str::trim) {
        let (kind, jobs) = condition.split_once(':').unwrap_or((condition, ""));
        let Some(when) = kind_of(kind, given, said) else { continue };
        for name in jobs.split(':') {
            match job(name) {
                Some(job) => after.push(DependencyFile { job: job.to_string(), when: Some(when) }),
                None => no_job(name, given, said),
            }
        }
    }
    after
}

fn kind_of(kind: &str, given: &Given, said: &mut Said) -> Option<DependencyKind> {
    let help = match kind.to_ascii_lowercase().as_str() {
        "afterok" => return Some(DependencyKind::AfterOk),
        "afterany" => return Some(DependencyKind::AfterAny),
        "aftercorr" => return Some(DependencyKind::AfterCorr),
        "afternotok" => "use afterany, and let the script see whether the other failed",
        "singleton" => "name the job before with afterany",
        "after" => "use afterany, which waits for the other's end",
        "afterburstbuffer" | "expand" => "take it out",
        _ => {
            let help = "known are afterok, afterany and aftercorr, each with :JOB behind it";
            said.wrong(given.value_place(), format!("`{kind}` is no kind of dependency"), help);
            return None;
        }
    };
    said.wrong(given.value_place(), format!("`{kind}` is not supported"), help);
    None
}

fn no_job(name: &str, given: &Given, said: &mut Said) {
    let is_task = name.split_once(['_', '+']).is_some_and(|(before, _)| job(before).is_some());
    let (what, help) = if is_task {
        let help = "name the whole job; aftercorr waits task by task";
        (format!("`{name}` is a task or a delay, which cannot be waited for"), help)
    } else {
        (format!("`{name}` is no job"), "write the number that sbatch printed, such as afterok:42")
    };
    said.wrong(given.value_place(), what, help);
}
