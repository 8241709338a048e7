//! `portolan squeue`.

use super::columns::Columns;
use super::row::{ASKED, FIELDS, PLACED, field, is_placed, title};
use super::state::{self, State};
use crate::job::list::PAGE;
use crate::job::named::Named;
use crate::look::Look;
use crate::session::{Session, note, print};
use clap::{ArgAction, Args};
use client::{Client, JobFilter};
use futures::stream::{self, StreamExt, TryStreamExt};
use model::JobId;
use std::collections::BTreeMap;
use wire::view::{Job, JobDetail, Jobs};

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
    /// These, such as 42 for a job or a whole array, or 42_7 for a task of one.
    #[arg(long, short, value_name = "JOB", value_delimiter = ',')]
    jobs: Vec<Named>,
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
    /// In these columns: see squeue's manual. What is not known is N/A.
    #[arg(long, short = 'o', value_name = "FORMAT")]
    format: Option<String>,
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Slurm's columns.
pub(super) const USUAL: &str = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R";
pub(super) const LONG: &str = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R";
const START: &str = "%.18i %.9P %.8j %.8u %.2t %.19S %.6D %R";
/// How many jobs are asked about one by one, for what a list does not say.
const MOST_ASKED: usize = 100;
/// How many at once.
const AT_ONCE: usize = 8;
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
    pub(super) jobs: Vec<Named>,
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
            && (self.jobs.is_empty() || self.jobs.iter().any(|named| named.means(job)))
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
        let client = session.client()?;
        let which = Which {
            users: self.user,
            names: self.name,
            centers: self.partition,
            jobs: self.jobs,
            states: states(&self.states)?,
        };
        let jobs = which.fetch(&client).await?;
        if session.is_json() {
            return session.show(&jobs, |_, _| String::new());
        }
        let asks = |job: &Job| {
            let asked = if is_placed(job) { PLACED } else { ASKED };
            asked.iter().any(|letter| columns.has(*letter))
        };
        let wanted = jobs.jobs.iter().filter(|job| asks(job)).map(|job| job.job).take(MOST_ASKED);
        let details = stream::iter(wanted.collect::<Vec<_>>()).map(|job| client.job(job));
        let details: Vec<JobDetail> = details.buffered(AT_ONCE).try_collect().await?;
        let details = details.into_iter().map(|detail| (detail.job.job, detail)).collect();
        print(&lines(&jobs.jobs, &details, &columns, !self.noheader, &session.look.again()))
    }
}

/// Jobs as lines, some of them with all that is known of them.
pub(super) fn lines(
    jobs: &[Job],
    details: &BTreeMap<JobId, JobDetail>,
    columns: &Columns,
    titled: bool,
    look: &Look,
) -> String {
    let mut text = String::new();
    if titled {
        text.push_str(&columns.line(|letter| title(letter).to_owned()));
    }
    for job in jobs {
        let detail = details.get(&job.job);
        text.push_str(&columns.line(|letter| field(job, detail, letter, look)));
    }
    text
}
