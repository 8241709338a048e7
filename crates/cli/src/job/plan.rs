//! `portolan why` and `portolan plan`: where a job could go, and where not.

use super::file::{Form, read_all};
use super::show::tries;
use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table, Tone};
use clap::Args;
use model::{JobId, TenantId};
use std::path::PathBuf;
use wire::view::{Plan, Standing, Why};

/// Say why a job is where it is, center by center.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Which, such as job-42.
    job: JobId,
}

/// Say what would become of a job if it were submitted now. Nothing is submitted.
#[derive(Debug, Args)]
pub(crate) struct Trial {
    /// A job file in TOML or YAML; `-` for standard input.
    file: PathBuf,
    /// For which tenant; operators must say.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// In what the file is written, where its name does not say.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,
}

impl Explain {
    /// Prints the answer.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let why = session.client()?.why(self.job).await?;
        session.show(&why, explained)
    }
}

impl Trial {
    /// Prints the plan.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let jobs = read_all(&[&self.file], self.format)?;
        let client = session.client()?;
        for job in &jobs {
            let plan = client.plan(job, self.tenant.as_ref()).await?;
            session.show(&plan, planned)?;
        }
        Ok(())
    }
}

/// Why a job is where it is.
pub(crate) fn explained(why: &Why, look: &Look) -> String {
    let mut text = format!("{}\n", why.summary);
    if let Some(plan) = &why.plan {
        text.push('\n');
        text.push_str(&places(plan, look));
    }
    if !why.tries.is_empty() {
        text.push('\n');
        text.push_str(&tries(&why.tries, look));
    }
    text
}

/// What would become of a job.
pub(crate) fn planned(plan: &Plan, look: &Look) -> String {
    let ahead = match plan.ahead {
        0 => "no job comes before it".to_owned(),
        1 => "1 job comes before it".to_owned(),
        many => format!("{many} jobs come before it"),
    };
    let line = match plan.candidates.first() {
        Some(best) if best.start_ms <= look.now => {
            format!("It would start at once in {}; {ahead}.", best.center)
        }
        Some(best) => {
            format!("It would start {} in {}; {ahead}.", look.when(best.start_ms), best.center)
        }
        None => "It could run nowhere as things are.".to_owned(),
    };
    format!("{line}\n\n{}", places(plan, look))
}

fn places(plan: &Plan, look: &Look) -> String {
    let mut text = String::new();
    if !plan.candidates.is_empty() {
        text.push_str(&candidates(plan, look));
    }
    if !others(plan).is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&standings(plan, look));
    }
    text
}

/// The places that would do, the best ticked.
fn candidates(plan: &Plan, look: &Look) -> String {
    let mut table = Table::new([
        Column::new(""),
        Column::new("CENTER").least(8),
        Column::new("POOL").least(6),
        Column::new("VARIANT").right().rank(5),
        Column::new("START").rank(1),
        Column::new("FINISH").rank(2),
        Column::new("PRICE").right(),
        Column::new("DATA").right().rank(3),
        Column::new("ENERGY").right().rank(4),
    ]);
    for (i, place) in plan.candidates.iter().enumerate() {
        let at = |moment| {
            if moment <= look.now { "at once".to_owned() } else { look.when(moment) }
        };
        table.row([
            Cell::new(if i == 0 { "✓" } else { " " }, Tone::Good),
            place.center.as_str().into(),
            place.pool.as_str().into(),
            (place.variant + 1).into(),
            at(place.start_ms).into(),
            at(place.finish_ms).into(),
            place.price.into(),
            place.staged_bytes.into(),
            energy(place.energy_mwh).into(),
        ]);
    }
    table.render(look, "")
}

/// Where the centers stand that are not ticked.
fn others(plan: &Plan) -> Vec<&Standing> {
    let best = plan.candidates.first().map(|place| &place.center);
    plan.standings.iter().filter(|standing| Some(&standing.center) != best).collect()
}

/// Why each center will not do, or not yet.
fn standings(plan: &Plan, look: &Look) -> String {
    let columns = [Column::new(""), Column::new("CENTER"), Column::new("WHY NOT").least(24)];
    let mut table = Table::new(columns).wrapping();
    let standings = others(plan);
    for standing in &standings {
        let mark = if standing.may_pass {
            Cell::new("…", Tone::Busy)
        } else {
            Cell::new("✗", Tone::Bad)
        };
        table.row([mark, standing.center.as_str().into(), standing.text.as_str().into()]);
    }
    let mut text = table.render(look, "");
    if standings.iter().any(|standing| standing.may_pass) {
        text.push_str(&look.dim("… may pass by waiting"));
        text.push('\n');
    }
    text
}

/// Energy, from milliwatt-hours.
fn energy(mwh: u64) -> String {
    match mwh {
        0..1_000 => format!("{mwh} mWh"),
        1_000..1_000_000 => format!("{}.{} Wh", mwh / 1_000, mwh % 1_000 / 100),
        _ => format!("{}.{} kWh", mwh / 1_000_000, mwh % 1_000_000 / 100_000),
    }
}
