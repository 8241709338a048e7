//! `portolan promises`: how the starts held that jobs were told.

use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table, Tone, or_dash};
use clap::Args;
use client::PromiseFilter;
use model::{CenterId, Moment, NotAnAmount, Span, TenantId};
use wire::view::{Kept, Promises};

/// Say how the starts held that jobs were told: how many, how late the others were, and why.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Starts that came, or fell due, since then: a time such as 2026-11-23T08:00Z, or how long ago,
    /// such as 12h or 30d. Hours count whole for two days, days before that.
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Since>,
    /// Only this tenant's.
    #[arg(long, value_name = "TENANT", conflicts_with = "center")]
    tenant: Option<TenantId>,
    /// Only those of jobs that were to start in this center.
    #[arg(long, value_name = "CENTER")]
    center: Option<CenterId>,
}

/// Since when.
#[derive(Debug, Clone, Copy)]
enum Since {
    At(Moment),
    Ago(Span),
}

fn since(text: &str) -> Result<Since, NotAnAmount> {
    let ago = text.parse().map(Since::Ago);
    ago.or_else(|_: NotAnAmount| text.parse().map(Since::At)).map_err(|_: NotAnAmount| {
        NotAnAmount {
            expected: "a time with its zone, or how long ago, such as `2026-11-23T08:00Z` or `12h`",
            found: text.to_owned(),
        }
    })
}

impl Show {
    /// Prints the record.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let Self { since, tenant, center } = self;
        let now = session.look.again().now;
        let since = since.map(|since| match since {
            Since::At(at) => at,
            Since::Ago(ago) => Moment(now.0.saturating_sub(ago.0)),
        });
        let filter = PromiseFilter { since, tenant, center };
        session.show(&session.client()?.promises(&filter).await?, record)
    }
}

/// The record, in sentences and tables.
pub(crate) fn record(promises: &Promises, look: &Look) -> String {
    let Promises { since_ms, grace_ms, all, withdrawn, horizons, causes, centers, tenants } =
        promises;
    let mut text = match all.told {
        0 => "No start that was told has come yet.\n".to_owned(),
        told => {
            let share = share(all);
            let held = all.held;
            format!(
                "{held} of {told} told starts held, to within {grace_ms}: {share}.\nCounted since {}.\n",
                look.moment(*since_ms)
            )
        }
    };
    if *withdrawn > 0 {
        let (jobs, were) = if *withdrawn == 1 { ("job", "was") } else { ("jobs", "were") };
        let line =
            format!("{withdrawn} {jobs} more {were} held or ended before their time came.\n");
        text.push_str(&line);
    }
    let ahead = horizons.iter().map(|ahead| (ahead.horizon.as_str(), &ahead.kept)).collect();
    let centers = centers.iter().map(|by| (by.name.as_str(), &by.kept)).collect();
    let tenants = tenants.iter().map(|by| (by.name.as_str(), &by.kept)).collect();
    let tables: [(_, Vec<(&str, &Kept)>); 3] =
        [("TOLD AHEAD", ahead), ("CENTER", centers), ("TENANT", tenants)];
    for (title, rows) in tables.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        text.push('\n');
        text.push_str(&table(title, &rows, look));
    }
    if !causes.is_empty() {
        let columns = [Column::new("LATE").right(), Column::new("WHY").least(24)];
        let mut table = Table::new(columns).wrapping();
        for cause in causes {
            table.row([cause.starts.into(), cause.text.as_str().into()]);
        }
        text.push('\n');
        text.push_str(&table.render(look, ""));
    }
    text
}

fn table(title: &'static str, rows: &[(&str, &Kept)], look: &Look) -> String {
    let mut table = Table::new([
        Column::new(title).least(10),
        Column::new("TOLD").right(),
        Column::new("HELD").right(),
        Column::new("SHARE").right(),
        Column::new("BIAS").right().rank(2),
        Column::new("LATE P50").right().rank(3),
        Column::new("P90").right(),
        Column::new("P99").right().rank(1),
        Column::new("MOST").right(),
    ]);
    for (name, kept) in rows {
        table.row([
            (*name).into(),
            kept.told.into(),
            kept.held.into(),
            Cell::new(share(kept), tone(kept)),
            kept.bias_ms.map_or("-".to_owned(), bias).into(),
            or_dash(kept.late_p50_ms).into(),
            or_dash(kept.late_p90_ms).into(),
            or_dash(kept.late_p99_ms).into(),
            or_dash(kept.late_max_ms).into(),
        ]);
    }
    table.render(look, "")
}

/// The share that held, in percent with one decimal, rounded down.
fn share(kept: &Kept) -> String {
    match kept.held_thousandths {
        Some(held) => format!("{}.{} %", held / 10, held % 10),
        None => "-".to_owned(),
    }
}

fn tone(kept: &Kept) -> Tone {
    match kept.held_thousandths {
        Some(950..) => Tone::Good,
        Some(800..) => Tone::Busy,
        Some(_) => Tone::Bad,
        None => Tone::Quiet,
    }
}

/// How much later than told, or sooner.
fn bias(ms: i64) -> String {
    let span = Span(ms.unsigned_abs());
    if ms < 0 { format!("-{span}") } else { format!("+{span}") }
}
