//! What jobs write down themselves: proof of how many of each were alive at once.

use model::JobId;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A directory where every attempt of a job holds a lock on the job's file while it lives, and
/// writes down when it starts and when it is done. One that finds the lock taken says so.
#[derive(Debug, Clone)]
pub struct Witnesses {
    dir: PathBuf,
}

const SCRIPT: &str = r#"
file="$WITNESS/$PORTOLAN_JOB"
exec 9>>"$file.lock"
if ! flock -n 9; then
    echo "$PORTOLAN_ATTEMPT started while another attempt was alive" >>"$WITNESS/violations"
    exit 3
fi
echo "start $PORTOLAN_EPOCH" >>"$file"
"#;

impl Witnesses {
    /// A place for them below `dir`.
    #[must_use]
    pub fn below(dir: &Path) -> Self {
        let dir = dir.join("witnesses");
        fs::create_dir_all(&dir).expect("the network's directory can be written");
        Self { dir }
    }

    /// A job that does `work`, a piece of shell, under the lock.
    #[must_use]
    pub fn job(&self, name: &str, work: &str) -> Value {
        let script = format!("{SCRIPT}{work}\necho \"end $PORTOLAN_EPOCH\" >>\"$file\"\n");
        json!({
            "name": name,
            "limit": "2m",
            "memory": "64 MiB",
            "command": ["sh", "-c", script],
            "env": {"WITNESS": self.dir.display().to_string()},
        })
    }

    /// Attempts that were alive while another attempt of their job was.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("violations")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The epochs of a job's attempts that started and, in the same order, whether each was done.
    #[must_use]
    pub fn of(&self, job: JobId) -> Vec<(u32, bool)> {
        let text = fs::read_to_string(self.dir.join(job.to_string())).unwrap_or_default();
        let mut attempts: Vec<(u32, bool)> = Vec::new();
        for line in text.lines() {
            match line.split_once(' ').and_then(|(what, epoch)| Some((what, epoch.parse().ok()?))) {
                Some(("start", epoch)) => attempts.push((epoch, false)),
                Some(("end", epoch)) => match attempts.last_mut() {
                    Some(last) if last.0 == epoch => last.1 = true,
                    // Kept, to be told by `check`.
                    _ => attempts.push((epoch, true)),
                },
                _ => {}
            }
        }
        attempts
    }

    /// What cannot be in what these jobs wrote: two attempts alive at once, an epoch twice or out of
    /// order, an end without a start.
    #[must_use]
    pub fn check(&self, jobs: impl IntoIterator<Item = JobId>) -> Vec<String> {
        let mut wrong = self.violations();
        for job in jobs {
            let attempts = self.of(job);
            if attempts.windows(2).any(|two| two[0].0 >= two[1].0) {
                wrong.push(format!("{job}: attempts ran out of order: {attempts:?}"));
            }
        }
        wrong
    }

    /// How many attempts of these jobs ran, and how many of them were done.
    #[must_use]
    pub fn count(&self, jobs: impl IntoIterator<Item = JobId>) -> (usize, usize) {
        let all: BTreeMap<JobId, Vec<(u32, bool)>> =
            jobs.into_iter().map(|job| (job, self.of(job))).collect();
        let started = all.values().map(Vec::len).sum();
        (started, all.values().flatten().filter(|(_, done)| *done).count())
    }
}
