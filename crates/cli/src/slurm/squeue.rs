//! `portolan squeue`.

use super::columns::Columns;
use super::state::{self, State};
use super::{clock, date, job};
use crate::job::list::PAGE;
use crate::look::Look;
use crate::session::{Session, note};
use clap::{ArgAction, Args};
use client::{Client, JobFilter};
use model::{Chips, JobId};
use wire::view::{Job, Jobs};

/// List jobs in Slurm's columns: those that have not ended, newest first.
#[derive(Debug, Clone, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Squeue {
    /// Of these tenants.
    #[arg(
        long,
        short,
        visible_short_alias = 'A',
        visible_alias = "account",
        value_name = "TENANT",
        value_delimiter = ','
    )]
    user: Vec<String>,
    /// Your own; the server shows tenants no others anyway.
    #[arg(long)]
    me: bool,
    /// These, such as 42.
    #[arg(long, short, value_name = "JOB", value_delimiter = ',', value_parser = job)]
    jobs: Vec<JobId>,
    /// With these names.
    #[arg(long, short, value_name = "NAME", value_delimiter = ',')]
    name: Vec<String>,
    /// In these states, such as PD or RUNNING; `all` for those that have ended too.
    #[arg(long, short = 't', value_name = "STATE", value_delimiter = ',')]
    states: Vec<String>,
    /// In these centers.
    #[arg(long, short, value_name = "CENTER", value_delimiter = ',')]
    partition: Vec<String>,
    /// Without the line of titles.
    #[arg(long, short = 'h')]
    noheader: bool,
    /// With their limits and whole states.
    #[arg(long, short, conflicts_with = "format")]
    long: bool,
    /// With their expected starts.
    #[arg(long, conflicts_with_all = ["format", "long"])]
    start: bool,
    /// In these columns: see squeue's manual. What a list does not know is N/A.
    #[arg(long, short = 'o', value_name = "FORMAT")]
    format: Option<String>,
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Slurm's columns.
const USUAL: &str = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
const LONG: &str = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R";
const START: &str = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %R";
/// The fields there are.
const FIELDS: &str = "AaBbCDEeFiJjKklLMmNnOoPpQqRrSTtUuVvZ";
/// Most jobs looked through where ended ones are asked for.
const MOST_ENDED: usize = 10_000;

/// Which jobs are meant: all that is said must hold.
#[derive(Debug, Default)]
pub(super) struct Which {
    /// Of these tenants, where any is named.
    pub(super) users: Vec<String>,
    /// With these names, where any is named.
    pub(super) names: Vec<String>,
    /// In these centers, where any is named.
    pub(super) centers: Vec<String>,
    /// Only these, where any is named.
    pub(super) jobs: Vec<JobId>,
    /// In these states.
    pub(super) states: Vec<State>,
}

impl Which {
    /// Whether a job is meant.
    pub(super) fn has(&self, job: &Job) -> bool {
        let any = |list: &[String], what: Option<&str>| {
            list.is_empty() || what.is_some_and(|what| list.iter().any(|one| one == what))
        };
        any(&self.users, Some(job.tenant.as_str()))
            && any(&self.names, Some(&job.name))
            && any(&self.centers, job.center.as_ref().map(model::CenterId::as_str))
            && (self.jobs.is_empty() || self.jobs.contains(&job.job))
            && self.states.contains(&state::of(&job.state))
    }

    /// The jobs meant, newest first.
    pub(super) async fn fetch(&self, client: &Client) -> anyhow::Result<Jobs> {
        let ended = self.states.iter().any(|state| state.is_end);
        let one = |list: &[String]| if let [one] = list { Some(one.clone()) } else { None };
        let (mut jobs, mut before, mut seen) = (Vec::new(), None, 0);
        loop {
            let filter = JobFilter {
                state: (!ended).then(|| "live".to_owned()),
                tenant: one(&self.users),
                center: one(&self.centers),
                limit: Some(PAGE),
                before,
                ..JobFilter::default()
            };
            let page = client.jobs(&filter).await?;
            seen += page.jobs.len();
            jobs.extend(page.jobs.into_iter().filter(|job| self.has(job)));
            before = page.next;
            if before.is_none() {
                break;
            }
            if ended && seen >= MOST_ENDED {
                note(format!("only the newest {seen} jobs were looked through"));
                break;
            }
        }
        Ok(Jobs { jobs, next: None })
    }
}

/// The states of which there is a list, such as `PD,R`.
pub(super) fn states(list: &[String]) -> anyhow::Result<Vec<State>> {
    let all = ["PD", "CF", "R", "CG", "CD", "F", "TO", "CA"];
    let (short, live): (Vec<&str>, bool) = match list {
        [] => (all.to_vec(), true),
        [word] if word.eq_ignore_ascii_case("all") => (all.to_vec(), false),
        list => (list.iter().map(String::as_str).collect(), false),
    };
    let states: Result<Vec<State>, String> = short.into_iter().map(state::read).collect();
    let states = states.map_err(anyhow::Error::msg)?;
    Ok(states.into_iter().filter(|state| !live || !state.is_end).collect())
}

impl Squeue {
    /// Prints the jobs.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let format = match (&self.format, self.long, self.start) {
            (Some(format), ..) => format,
            (None, true, _) => LONG,
            (None, _, true) => START,
            (None, ..) => USUAL,
        };
        let columns = Columns::read(format, FIELDS)?;
        let which = Which {
            users: self.user,
            names: self.name,
            centers: self.partition,
            jobs: self.jobs,
            states: states(&self.states)?,
        };
        let jobs = which.fetch(&session.client()?).await?;
        session.show(&jobs, |jobs, look| lines(&jobs.jobs, &columns, !self.noheader, look))
    }
}

/// Jobs as lines.
pub(super) fn lines(jobs: &[Job], columns: &Columns, titled: bool, look: &Look) -> String {
    let mut text = String::new();
    if titled {
        text.push_str(&columns.line(|letter| title(letter).to_owned()));
    }
    for job in jobs {
        text.push_str(&columns.line(|letter| field(job, letter, look)));
    }
    text
}

/// Jobs in the usual columns.
#[cfg(test)]
pub(super) fn usual(jobs: &Jobs, look: &Look) -> String {
    lines(&jobs.jobs, &Columns::read(USUAL, FIELDS).expect("they are fields"), true, look)
}

fn title(letter: char) -> &'static str {
    match letter {
        'A' | 'F' | 'i' | 'J' => "JOBID",
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

fn field(job: &Job, letter: char, look: &Look) -> String {
    let state = state::of(&job.state);
    let pool = || job.pool.as_ref().filter(|_| state.short != "PD").map(ToString::to_string);
    let reason = state::reason(&job.state);
    match letter {
        'A' | 'F' | 'i' | 'J' => job.job.number().to_string(),
        'a' | 'u' | 'U' => job.tenant.to_string(),
        'b' => match &job.chip {
            Some(chip) if job.chips_milli > Chips::ZERO => format!("gres:{chip}:{}", each(job)),
            _ => "N/A".to_owned(),
        },
        'D' => job.nodes.to_string(),
        'e' => date(job.ended_ms),
        'j' => job.name.clone(),
        'M' => match job.started_ms {
            Some(started) => clock(look.span(started, job.ended_ms)),
            None => "0:00".to_owned(),
        },
        'N' | 'B' => pool().unwrap_or_default(),
        'P' => job.center.as_ref().map_or("-".to_owned(), ToString::to_string),
        'p' | 'Q' => job.priority.to_string(),
        'R' => pool().unwrap_or_else(|| format!("({reason})")),
        'r' => reason.to_owned(),
        'S' => date(job.started_ms.or(job.promised_ms)),
        'T' => state.long.to_owned(),
        't' => state.short.to_owned(),
        'V' => date(Some(job.submitted_ms)),
        _ => "N/A".to_owned(),
    }
}

/// Chips of each node.
fn each(job: &Job) -> Chips {
    Chips(job.chips_milli.0 / u64::from(job.nodes.max(1)))
}
