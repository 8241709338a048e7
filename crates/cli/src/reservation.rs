//! `portolan reserve` and `portolan reservations`.

use crate::look::Look;
use crate::session::{Session, note, print};
use crate::table::{Cell, Column, Table, Tone};
use clap::Args;
use client::Submission;
use model::file::job::{Figure, JobFile, Kind};
use model::{CenterId, Chips, TenantId};
use std::fmt::Write as _;
use wire::view::{Reservation, Reservations};

/// Book chips for later: `portolan submit FILE --reservation JOB` runs jobs on them.
///
/// Whatever was promised before is kept: where the chips are not free in all of the window nothing is booked,
/// and the earliest time they are is told. A window in which nothing runs lapses.
#[derive(Debug, Args)]
pub(crate) struct Reserve {
    /// When the window opens: a time such as `2026-11-29T20:00+08:00`, or a span from now such as `2h`.
    #[arg(long, value_name = "TIME")]
    start: String,
    /// How long it is open, such as `4h`.
    #[arg(long = "for", value_name = "SPAN")]
    lasts: String,
    /// The portability class of the chips, such as `cuda`.
    #[arg(long, value_name = "CLASS", conflicts_with = "chip")]
    on: Option<String>,
    /// The one chip model.
    #[arg(long, value_name = "CHIP")]
    chip: Option<String>,
    /// How many chips on each node.
    #[arg(long, value_name = "N", default_value_t = 1)]
    chips: u32,
    /// How many nodes.
    #[arg(long, value_name = "N", default_value_t = 1)]
    nodes: u32,
    /// In this center; may be given several times.
    #[arg(long = "center", value_name = "CENTER")]
    centers: Vec<CenterId>,
    /// It lapses when nothing has run in it for so long; 15m where nothing is said.
    #[arg(long, value_name = "SPAN")]
    lapse_after: Option<String>,
    /// A name for people.
    #[arg(long, value_name = "NAME", default_value = "window")]
    name: String,
    /// For which tenant; operators must say.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Repeating a reservation under the same key within seven days changes nothing.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

impl Reserve {
    /// Books, and says what.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let needs_chips = self.on.is_some() || self.chip.is_some();
        let figure = |count: u32| Some(Figure::from(count));
        let file = JobFile {
            name: self.name,
            kind: Some(Kind::Reservation),
            start: Some(self.start),
            limit: Some(self.lasts),
            on: self.on,
            chip: self.chip,
            chips: figure(self.chips).filter(|_| needs_chips),
            nodes: figure(self.nodes),
            centers: self.centers.iter().map(ToString::to_string).collect(),
            lapse_after: self.lapse_after,
            ..JobFile::default()
        };
        let client = session.client()?;
        let submission = Submission { jobs: vec![file], tenant: self.tenant, key: self.key };
        let submitted = client.submit(&submission).await?;
        if submitted.repeated {
            note("The same had been submitted before; nothing has changed.");
        }
        if session.is_json() {
            return session.show(&submitted, |_, _| String::new());
        }
        print(&format!("{}\n", submitted.first))?;
        let all = client.reservations(None).await?;
        if let Some(booked) = all.reservations.iter().find(|r| r.job == submitted.first) {
            note(told(booked, &session.look));
        }
        Ok(())
    }
}

fn told(booked: &Reservation, look: &Look) -> String {
    let Reservation { job, center, pool, chips_milli, nodes, opens_ms, closes_ms, .. } = booked;
    let chips = if *chips_milli == Chips::ONE { "chip" } else { "chips" };
    let nodes = if *nodes == 1 { "one node".to_owned() } else { format!("{nodes} nodes") };
    format!(
        "{chips_milli} {chips} on {nodes} of {center}/{pool}, from {} until {}; jobs run there with \
         `portolan submit FILE --reservation {job}`",
        look.moment(*opens_ms),
        look.moment(*closes_ms)
    )
}

/// List chips that are booked, the next window to open first.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Of this tenant.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
}

impl List {
    /// Prints them.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        session.show(&session.client()?.reservations(self.tenant.as_ref()).await?, table)
    }
}

/// Reservations as a table.
pub(crate) fn table(all: &Reservations, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("RESERVATION"),
        Column::new("NAME").least(8).rank(3),
        Column::new("TENANT").least(8).rank(1),
        Column::new("STATE"),
        Column::new("CENTER").least(8),
        Column::new("CHIPS").right(),
        Column::new("OPENS"),
        Column::new("LASTS").right(),
        Column::new("JOBS").right().rank(2),
        Column::new("USED").right(),
    ]);
    for one in &all.reservations {
        table.row([
            one.job.into(),
            one.name.as_str().into(),
            one.tenant.as_str().into(),
            Cell::new(one.state.as_str(), tone(&one.state)),
            one.center.as_str().into(),
            one.chips_milli.into(),
            look.when(one.opens_ms).into(),
            one.closes_ms.since(one.opens_ms).into(),
            one.jobs.len().into(),
            used(one).into(),
        ]);
    }
    let mut text = table.render(look, "nothing is booked");
    for one in &all.reservations {
        if let Some(at) = one.lapses_ms {
            let (job, at) = (one.job, look.moment(at));
            let _written = writeln!(text, "{job} lapses {at} unless something runs in it by then");
        }
    }
    text
}

fn tone(state: &str) -> Tone {
    match state {
        "open" => Tone::Busy,
        "booked" => Tone::Quiet,
        "lapsed" => Tone::Bad,
        _ => Tone::Plain,
    }
}

/// How much of it jobs had, of what they might have until it closes.
fn used(one: &Reservation) -> String {
    let whole = one.chips_milli.over(one.closes_ms.since(one.opens_ms));
    match whole.0 {
        0 => "-".to_owned(),
        whole => format!("{} %", one.used_ms.0.saturating_mul(100) / whole),
    }
}
