//! `portolan quota` and `portolan shares`: who may use how much, who did, and whose turn it is.

use crate::look::Look;
use crate::network;
use crate::session::Session;
use crate::table::{Cell, Column, Table, Tone, or_dash};
use clap::{Args, Subcommand};
use model::{CenterId, ChipTime, Chips, Moment, NotAnAmount, PoolId, Span, TenantId};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use wire::view::{
    JobOf, Lent, Loan, NetworkFiles, QuotaPlan, RecallWanted, Recalled, Shares, TenantShare,
};

/// How many jobs are named one by one.
const NAMED: usize = 8;

/// Show quotas and what is used of them, or try other ones.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Quota {
    #[command(subcommand)]
    change: Option<Change>,
    /// Only this tenant's.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
}

/// What to do about quotas.
#[derive(Debug, Subcommand)]
enum Change {
    /// Say what would change if these files were applied: who could have more or less, which jobs
    /// would start, wait, or be told to make room. Nothing is changed.
    Plan {
        /// Network files in TOML that declare flavors and tenants.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

impl Quota {
    /// Prints quotas, or what would become of them.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        match self.change {
            Some(Change::Plan { files }) => {
                let files = NetworkFiles { network: network::read(&files)?, chips: Vec::new() };
                let planned = session.client()?.plan_quotas(&files).await;
                session.show(&planned.map_err(|error| network::misprint(error, &files))?, plan)
            }
            None => {
                let mut shares = session.client()?.shares().await?;
                if let Some(tenant) = &self.tenant {
                    shares.tenants.retain(|of| of.tenant == *tenant);
                }
                session.show(&shares, quotas)
            }
        }
    }
}

/// Take back what is lent of a center: guests that may be stopped are told to leave within the notice,
/// and no other comes in their place.
#[derive(Debug, Args)]
pub(crate) struct Recall {
    /// Of which center.
    #[arg(value_name = "CENTER")]
    center: CenterId,
    /// Of this pool only.
    #[arg(long, value_name = "POOL")]
    pool: Option<PoolId>,
    /// So many chips of each pool, instead of all.
    #[arg(long, value_name = "N", conflicts_with = "end")]
    chips: Option<Chips>,
    /// In so long, instead of within the notice: `20m`, or a time such as 2026-11-23T08:00+08:00.
    #[arg(long, value_name = "WHEN", value_parser = when, conflicts_with = "end")]
    by: Option<When>,
    /// For so long, or until a time; until it is lent again where nothing is said.
    #[arg(long, value_name = "WHEN", value_parser = when, conflicts_with = "end")]
    until: Option<When>,
    /// Lend it again.
    #[arg(long)]
    end: bool,
}

/// A time, or how long from now.
#[derive(Debug, Clone, Copy)]
enum When {
    At(Moment),
    In(Span),
}

fn when(text: &str) -> Result<When, NotAnAmount> {
    let span = text.parse().map(When::In);
    span.or_else(|_: NotAnAmount| text.parse().map(When::At)).map_err(|_: NotAnAmount| NotAnAmount {
        expected: "how long from now, or a time with its zone, such as `20m` or `2026-11-23T08:00Z`",
        found: text.to_owned(),
    })
}

impl Recall {
    /// Takes it back, and says who leaves.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let now = session.look.again().now;
        let at = |when: When| match when {
            When::At(at) => at,
            When::In(span) => now + span,
        };
        let wanted = RecallWanted {
            pool: self.pool,
            chips: if self.end { Some(Chips::ZERO) } else { self.chips },
            by_ms: self.by.map(at),
            until_ms: self.until.map(at),
        };
        let recalled = session.client()?.recall(&self.center, &wanted).await?;
        let (center, end) = (self.center, self.end);
        session.show(&recalled, |recalled, look| leaving(&center, end, recalled, look))
    }
}

fn leaving(center: &CenterId, end: bool, recalled: &Recalled, look: &Look) -> String {
    if end {
        return format!("{center} lends again.\n");
    }
    let mut text = match recalled.leave.len() {
        0 => format!("Nobody has to leave {center} for it.\n"),
        1 => format!("1 job leaves {center}; it waits at its place in line:\n"),
        many => format!("{many} jobs leave {center}; they wait at their places in line:\n"),
    };
    for leaving in &recalled.leave {
        let _written =
            writeln!(text, "  {}, {} at the latest", leaving.job, look.when(leaving.by_ms));
    }
    text
}

/// How many days the line of a loan shows.
const SHOWN: usize = 30;

/// What owners lent one another, as a table with a line of days for each.
pub(crate) fn lent(lent: &Lent, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("LENDER").least(8),
        Column::new("BORROWER").least(8),
        Column::new("CHIPS NOW").right(),
        Column::new("TODAY").right().rank(2),
        Column::new("7 DAYS").right(),
        Column::new("30 DAYS").right().rank(1),
        Column::new("BY DAY").rank(3),
    ]);
    let hours = |days: &[ChipTime]| {
        let all = days.iter().fold(ChipTime::default(), |sum, day| sum.saturating_add(*day));
        all.to_string().split(' ').next().unwrap_or_default().to_owned()
    };
    let last = |loan: &Loan, days: usize| hours(&loan.days[loan.days.len().saturating_sub(days)..]);
    for loan in &lent.loans {
        table.row([
            loan.lender.as_str().into(),
            loan.borrower.as_str().into(),
            loan.now.into(),
            last(loan, 1).into(),
            last(loan, 7).into(),
            last(loan, 30).into(),
            line(&loan.days[loan.days.len().saturating_sub(SHOWN)..]).into(),
        ]);
    }
    let text = table.render(look, "nobody has had anything of another's center yet");
    if lent.loans.is_empty() { text } else { text + "Times are card-hours; days are in UTC.\n" }
}

/// A bar for each day from the first with any, the largest full.
fn line(days: &[ChipTime]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = days.iter().map(|day| day.0).max().unwrap_or_default();
    let bar = |day: &ChipTime| match (day.0 * 8).div_ceil(most.max(1)) {
        0 => ' ',
        eighths => BARS[usize::try_from(eighths - 1).unwrap_or_default().min(7)],
    };
    let first = days.iter().position(|day| day.0 > 0).unwrap_or(days.len());
    days[first..].iter().map(bar).collect()
}

/// Chips; of no limit a word.
fn free(chips: Chips) -> String {
    if chips == Chips::MAX { "any".to_owned() } else { chips.to_string() }
}

/// Names of tenants, each as far in as there are tenants above it.
fn names(shares: &Shares) -> Vec<String> {
    let parents: BTreeMap<&TenantId, Option<&TenantId>> =
        shares.tenants.iter().map(|t| (&t.tenant, t.parent.as_ref())).collect();
    let depth = |tenant: &TenantShare| {
        let above = |of: &&TenantId| parents.get(*of).copied().flatten();
        std::iter::successors(tenant.parent.as_ref(), above).take(parents.len()).count()
    };
    shares.tenants.iter().map(|t| format!("{}{}", "  ".repeat(depth(t)), t.tenant)).collect()
}

/// Quotas as a table.
pub(crate) fn quotas(shares: &Shares, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("TENANT").least(12),
        Column::new("FLAVOR").least(6),
        Column::new("NOMINAL").right(),
        Column::new("BORROWS").right().rank(2),
        Column::new("LENDS").right().rank(3),
        Column::new("OWN JOBS").right().rank(1),
        Column::new("USED").right(),
        Column::new("BORROWED").right(),
        Column::new("LEFT").right(),
    ]);
    let limit = |chips: Option<Chips>| chips.map_or("any".to_owned(), |c| format!("≤ {c}"));
    for (tenant, name) in shares.tenants.iter().zip(names(shares)) {
        let mut name = Some(name);
        for quota in &tenant.quotas {
            let alone = tenant.parent.is_none();
            let shown = |of: Option<Chips>| if alone { "-".to_owned() } else { limit(of) };
            let tone = if quota.borrowed > Chips::ZERO { Tone::Busy } else { Tone::Quiet };
            table.row([
                name.take().unwrap_or_default().into(),
                quota.flavor.as_str().into(),
                quota.nominal.into(),
                shown(quota.borrowing_limit).into(),
                shown(quota.lending_limit).into(),
                quota.own.into(),
                quota.used.into(),
                Cell::new(quota.borrowed.to_string(), tone),
                free(quota.left).into(),
            ]);
        }
    }
    let none = "no tenant has a quota: whoever comes may use whatever is free";
    let mut text = table.render(look, none);
    for tenant in &shares.tenants {
        text += &limits(tenant);
    }
    text
}

/// A tenant's limits that are of no flavor, each with how far it is used.
fn limits(tenant: &TenantShare) -> String {
    let mut said = Vec::new();
    if let Some(most) = tenant.max_running {
        said.push(format!("{} of at most {most} jobs have a place", tenant.running));
    }
    if let Some(most) = tenant.max_queued {
        said.push(format!("{} of at most {most} wait", tenant.queued));
    }
    if let Some(budget) = tenant.budget {
        said.push(format!("{} of {budget} are used", tenant.card_time));
    }
    if said.is_empty() {
        return String::new();
    }
    format!("{}: {}\n", tenant.tenant, said.join("; "))
}

/// How tenants stand, and whose turn it is.
pub(crate) fn shares(shares: &Shares, look: &Look) -> String {
    // Only a server that works in rounds works it out.
    let in_rounds = shares.tenants.iter().any(|tenant| tenant.entitled.is_some());
    let entitled = in_rounds.then(|| Column::new("ENTITLED").right().rank(4));
    let mut columns = vec![
        Column::new("TENANT").least(12),
        Column::new("WEIGHT").right().rank(1),
        Column::new("SHARE").right(),
        Column::new("OF ALL").rank(2),
        Column::new("CARD-HOURS").right(),
        Column::new("PLACED").right().rank(3),
        Column::new("WAITING").right(),
    ];
    columns.extend(entitled);
    let mut table = Table::new(columns);
    for (tenant, name) in shares.tenants.iter().zip(names(shares)) {
        let hours = tenant.card_time.to_string();
        let mut row: Vec<Cell> = vec![
            name.into(),
            tenant.weight.into(),
            tenant.share.as_str().into(),
            tenant.dominant.as_str().into(),
            hours.split(' ').next().unwrap_or_default().into(),
            tenant.running.into(),
            tenant.queued.into(),
        ];
        let entitled = in_rounds.then(|| or_dash(tenant.entitled.map(|entitled| entitled.to)));
        row.extend(entitled.map(Cell::from));
        table.row(row);
    }
    let mut text = table.render(look, "no tenants");
    match &shares.next {
        Some(turn) => {
            let _written = writeln!(text, "\nThe next job is {}'s:", turn.tenant);
            for level in &turn.why {
                let _written = writeln!(text, "  {level}");
            }
        }
        None if shares.tenants.iter().all(|tenant| tenant.queued == 0) => {
            text += "\nNo job waits.\n";
        }
        None => {}
    }
    text
}

/// What other quotas would change.
fn plan(plan: &QuotaPlan, look: &Look) -> String {
    let QuotaPlan { quotas, start, leave, wait } = plan;
    let mut table = Table::new([
        Column::new("TENANT").least(12),
        Column::new("FLAVOR").least(6),
        Column::new("NOMINAL"),
        Column::new("COULD HAVE"),
        Column::new("HAS").right(),
    ]);
    let change = |from: Chips, to: Chips| match from == to {
        true => free(from),
        false => format!("{} → {}", free(from), free(to)),
    };
    for quota in quotas {
        let tone = match quota.most_after.cmp(&quota.most_before) {
            std::cmp::Ordering::Less => Tone::Bad,
            std::cmp::Ordering::Equal => Tone::Plain,
            std::cmp::Ordering::Greater => Tone::Good,
        };
        table.row([
            quota.tenant.as_str().into(),
            quota.flavor.as_str().into(),
            change(quota.nominal_before, quota.nominal_after).into(),
            Cell::new(change(quota.most_before, quota.most_after), tone),
            quota.own.into(),
        ]);
    }
    let mut text = table.render(look, "nobody could have more or less than now");
    text.push('\n');
    for (jobs, what) in [
        (start, "would start at once that wait now"),
        (leave, "would be told to make room"),
        (wait, "would wait that could start now"),
    ] {
        text += &named(jobs, what);
    }
    if start.is_empty() && leave.is_empty() && wait.is_empty() {
        text += "No job there is would start, wait or leave otherwise.\n";
    }
    text
}

/// Jobs in a sentence, by tenant.
fn named(jobs: &[JobOf], what: &str) -> String {
    let mut by: BTreeMap<&TenantId, Vec<String>> = BTreeMap::new();
    for job in jobs {
        by.entry(&job.tenant).or_default().push(job.job.to_string());
    }
    let mut text = String::new();
    for (tenant, jobs) in by {
        let count = jobs.len();
        let mut list = jobs[..count.min(NAMED)].join(", ");
        if count > NAMED {
            let _written = write!(list, " and {} more", count - NAMED);
        }
        let noun = if count == 1 { "job" } else { "jobs" };
        let _written = writeln!(text, "{count} {noun} of {tenant} {what}: {list}");
    }
    text
}
