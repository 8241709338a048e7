//! `portolan transfers`.

use crate::look::Look;
use crate::progress;
use crate::session::{Session, note};
use crate::table::{Column, Table, or_dash};
use clap::Args;
use indicatif::{MultiProgress, ProgressBar};
use model::{CenterId, TransferId};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::view::{Transfer, Transfers};

/// How often those that are followed are looked at.
const AGAIN: Duration = Duration::from_secs(1);

/// List data on its way.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Go on until none is under way, with a bar for each where this is a terminal.
    #[arg(long, short)]
    follow: bool,
}

impl List {
    /// Prints the transfers.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        if !self.follow {
            return session.show(&client.transfers().await?, table);
        }
        let (all, mut bars) = (MultiProgress::new(), BTreeMap::<TransferId, ProgressBar>::new());
        loop {
            let Transfers { transfers } = client.transfers().await?;
            bars.retain(|transfer, bar| {
                let goes_on = transfers.iter().any(|known| known.transfer == *transfer);
                if !goes_on {
                    bar.finish_and_clear();
                    note(format!("{transfer} is over"));
                }
                goes_on
            });
            if transfers.is_empty() {
                note("no transfers");
                return Ok(());
            }
            for transfer in &transfers {
                let bar = bars.entry(transfer.transfer).or_insert_with(|| {
                    let name = format!("{} to {}", transfer.dataset, transfer.to);
                    all.add(progress::transfer(name, transfer.bytes))
                });
                bar.set_position(transfer.done_bytes.unwrap_or_default().0);
                bar.set_message(when(transfer, &session.look.again()));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// How fast it comes, and when it is there.
fn when(transfer: &Transfer, look: &Look) -> String {
    match (transfer.coming_bps, transfer.expected_ms) {
        (Some(rate), Some(expected)) => format!("{rate}, {}", look.when(expected)),
        _ => format!("planned {}", look.when(transfer.arrives_ms)),
    }
}

/// Transfers as a table.
pub(crate) fn table(transfers: &Transfers, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("TRANSFER"),
        Column::new("DATA").least(10),
        Column::new("SIZE").right(),
        Column::new("FROM").least(8).rank(1),
        Column::new("TO").least(8),
        Column::new("DONE").right(),
        Column::new("RATE").right().rank(2),
        Column::new("ARRIVES"),
        Column::new("PRICE").right().rank(3),
        Column::new("OVER").least(10).rank(4),
    ]);
    for transfer in &transfers.transfers {
        table.row([
            transfer.transfer.into(),
            transfer.dataset.as_str().into(),
            transfer.bytes.into(),
            sources(transfer).into(),
            transfer.to.as_str().into(),
            or_dash(done(transfer)).into(),
            rate(transfer, look).into(),
            look.when(transfer.expected_ms.unwrap_or(transfer.arrives_ms)).into(),
            transfer.price.into(),
            paths(transfer).into(),
        ]);
    }
    table.render(look, "no transfers")
}

/// The centers it comes from.
pub(crate) fn sources(transfer: &Transfer) -> String {
    transfer.sources().map(CenterId::as_str).collect::<Vec<_>>().join(", ")
}

/// The links it crosses from each of them.
pub(crate) fn paths(transfer: &Transfer) -> String {
    transfer.paths().map(|hops| hops.join(" ")).collect::<Vec<_>>().join(", ")
}

/// How much of it is there.
fn done(transfer: &Transfer) -> Option<String> {
    let percent = transfer.done_bytes?.0.saturating_mul(100) / transfer.bytes.0.max(1);
    Some(format!("{percent} %"))
}

/// How fast it comes, or else what is reserved for it now.
fn rate(transfer: &Transfer, look: &Look) -> String {
    if let Some(rate) = transfer.coming_bps {
        return rate.to_string();
    }
    let mut steps = transfer.steps.iter();
    let step = steps.find(|step| step.from_ms <= look.now && look.now < step.until_ms);
    or_dash(step.map(|step| step.rate_bps))
}
