//! `portolan why` and `portolan plan`: where a job could go, and where not.

use super::file::{Form, read_all};
use super::named::Named;
use super::show::{reads, tries};
use crate::last_plan;
use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table, Tone, sentence};
use clap::Args;
use model::{CenterId, Cores, Span, TenantId};
use std::path::PathBuf;
use wire::view::{Behind, Candidate, Changes, Fetch, Plan, Risk, Standing, Why};

/// Say why a job is where it is, center by center.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Which, such as job-42, or `job-42[7]` of an array.
    job: Named,
    /// Say what would make this center the best for it, rather than what would make it start sooner.
    #[arg(long, value_name = "CENTER")]
    at: Option<CenterId>,
}

/// Say what would become of a job if it were submitted now. Nothing is submitted. Without a job: what the
/// last plan for the whole queue came to, and how far that is from what no plan could better.
#[derive(Debug, Args)]
pub(crate) struct Trial {
    /// A job file in TOML or YAML; `-` for standard input.
    file: Option<PathBuf>,
    /// For which tenant; operators must say.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
    /// Say what would make this center the best for it, rather than what would make it start sooner.
    #[arg(long, value_name = "CENTER")]
    at: Option<CenterId>,
    /// In what the file is written, where its name does not say.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Form>,
}

impl Explain {
    /// Prints the answer.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let why = client.why(self.job.job(&client).await?, self.at.as_ref()).await?;
        session.show(&why, explained)
    }
}

impl Trial {
    /// Prints the plan.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let Some(file) = &self.file else {
            return session.show(&client.last_plan().await?, last_plan::report);
        };
        let jobs = read_all(&[file], self.format)?;
        for job in &jobs {
            let plan = client.plan(job, self.tenant.as_ref(), self.at.as_ref()).await?;
            session.show(&plan, planned)?;
        }
        Ok(())
    }
}

/// Why a job is where it is.
pub(crate) fn explained(why: &Why, look: &Look) -> String {
    let mut text = sentence(&why.summary, look);
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
        0 => "no job of its tenant comes before it".to_owned(),
        1 => "1 job of its tenant comes before it".to_owned(),
        many => format!("{many} jobs of its tenant come before it"),
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
    let mut parts = Vec::new();
    if !plan.candidates.is_empty() {
        parts.push(candidates(plan, look));
        parts.push(terms(plan, look));
    }
    if !others(plan).is_empty() {
        parts.push(standings(plan, look));
    }
    if !plan.quota.is_empty() {
        parts.push(quota(plan, look));
    }
    parts.extend(changes(&plan.changes, look));
    parts.join("\n")
}

/// How the tenant and each it is part of stand with what is asked for.
fn quota(plan: &Plan, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("QUOTA OF").least(8),
        Column::new("TENANT").least(12),
        Column::new("HAS").right(),
        Column::new("USED").right(),
        Column::new("BORROWED").right(),
    ]);
    for of in &plan.quota {
        let mut flavor = Some(of.flavor.as_str());
        for step in &of.path {
            table.row([
                flavor.take().unwrap_or_default().into(),
                step.tenant.as_str().into(),
                step.quota.into(),
                step.used.into(),
                step.borrowed.into(),
            ]);
        }
    }
    table.render(look, "")
}

/// The places that would do, the best ticked.
fn candidates(plan: &Plan, look: &Look) -> String {
    let mut table = Table::new([
        Column::new(""),
        Column::new("CENTER").least(8),
        Column::new("POOL").least(6),
        Column::new("VARIANT").right().rank(5),
        Column::new("START").rank(1),
        Column::new("RUNS").right(),
        Column::new("FINISH").rank(2),
        Column::new("PRICE").right(),
        Column::new("BEHIND").right().rank(1),
        Column::new("ENERGY").right().rank(4),
        Column::new("CO2").right().rank(6),
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
            place.run_ms.into(),
            at(place.finish_ms).into(),
            place.price.into(),
            place.behind.as_ref().map_or(String::new(), behind).into(),
            energy(place.energy_mwh).into(),
            place.carbon_mg.map_or("unknown".to_owned(), carbon).into(),
        ]);
    }
    table.render(look, "")
}

/// What a place is worse by than the best.
fn behind(behind: &Behind) -> String {
    let Behind { by, later_ms, dearer, carbon_mg } = behind;
    let later = later_ms.map(|later| match by.as_str() {
        "deadline" => format!("{later} overdue"),
        _ => format!("+{later}"),
    });
    let dearer = dearer.map(|dearer| format!("+{dearer}"));
    let more = carbon_mg.map(|more| format!("+{} CO2", carbon(more)));
    let else_by = match by.as_str() {
        "undisclosed-power" => "unknown power",
        _ => "equal",
    };
    later.or(dearer).or(more).unwrap_or_else(|| else_by.to_owned())
}

/// What the figures of each place rest on, and what may come of them.
fn terms(plan: &Plan, look: &Look) -> String {
    let columns = [Column::new("CENTER"), Column::new(""), Column::new("TERMS").least(24)];
    let mut table = Table::new(columns).wrapping();
    for place in &plan.candidates {
        let mut name = place.center.to_string();
        let mut row = |what: &'static str, text: String| {
            let what = Cell::new(what, Tone::Quiet);
            table.row([std::mem::take(&mut name).into(), what, text.into()]);
        };
        row("runs", basis(place));
        for fetch in &place.fetches {
            row("data", brings(fetch, look));
        }
        for stream in &place.streams {
            row("reads", reads(stream));
        }
        if place.transfers_price.micros > 0 {
            let (chips, moves) = (place.chips_price, place.transfers_price);
            row("price", format!("{chips} for chips, {moves} for data"));
        }
        row("risk", risk(&place.risk));
    }
    table.render(look, "")
}

/// Where the time comes from that a job is expected to run.
fn basis(place: &Candidate) -> String {
    let (run, limit, basis) = (place.run_ms, place.limit_ms, &place.run_from);
    let speed = match basis.speed_thousandths {
        None | Some(1_000) => String::new(),
        Some(speed) => format!(" at its speed of {} here", Cores(speed.into())),
    };
    let speed = match basis.pace_thousandths {
        None | Some(1_000) => speed,
        Some(pace) => format!("{speed}, on chips measured at {} % of the fastest", pace / 10),
    };
    match (basis.from.as_str(), basis.jobs) {
        ("told", _) => format!("{run}: the job's own figure{speed}; limit {limit}"),
        ("learned", Some(jobs)) => {
            let percent = basis.of_limit_thousandths.unwrap_or_default() / 10;
            let trust = basis.confidence_thousandths.unwrap_or_default() / 10;
            let on = if basis.on_this_chip == Some(true) { "on this chip" } else { "on any chip" };
            format!(
                "{run}: {percent} % of the limit of {limit}, as {jobs} such jobs took {on} \
                 (confidence {trust} %)"
            )
        }
        _ => format!("{run}: the limit{speed}, for nothing else is known"),
    }
}

fn brings(fetch: &Fetch, look: &Look) -> String {
    let Fetch { dataset, bytes, from, arrives_ms, price, is_under_way, slow_links, .. } = fetch;
    let from = match (&fetch.in_store, fetch.recalled_ms) {
        (Some(store), Some(until)) if until > look.now => {
            format!("{from}, recalled from {store} until {}", look.moment(until))
        }
        (Some(store), _) => format!("{store} of {from}"),
        (None, _) => {
            let from = std::iter::once(from).chain(&fetch.beside).map(CenterId::as_str);
            from.collect::<Vec<_>>().join(" and ")
        }
    };
    let arrives = look.when(*arrives_ms);
    let slow = match slow_links.is_empty() {
        true => String::new(),
        false => format!("; {} delivers less than its capacity", slow_links.join(", ")),
    };
    match is_under_way {
        true => format!("{dataset}, {bytes} from {from}, on its way, there {arrives}{slow}"),
        false => format!("{dataset}, {bytes} from {from}, there {arrives}, for {price}{slow}"),
    }
}

/// What the last thirty days say of a center, and how much longer the job may run than expected.
fn risk(risk: &Risk) -> String {
    let Risk { told, held, attempts, refused, lost, overrun_ms } = risk;
    let starts = match told {
        0 => "no start told here in 30 days".to_owned(),
        _ => format!("{held} of {told} told starts held"),
    };
    let tries = match attempts {
        0 => "no attempt ended here".to_owned(),
        _ => format!("{refused} of {attempts} attempts refused, {lost} lost"),
    };
    match *overrun_ms {
        Span::ZERO => format!("{starts}; {tries}"),
        more => format!("{starts}; {tries}; may run {more} longer"),
    }
}

/// The smallest changes that would help.
fn changes(changes: &Changes, look: &Look) -> Option<String> {
    let what = match (changes.goal.as_str(), &changes.at) {
        ("none", _) => return None,
        ("at", Some(at)) => format!("in {at}"),
        ("run", _) => "at all".to_owned(),
        _ => "sooner".to_owned(),
    };
    let mut text = if changes.found.is_empty() {
        format!("No single change of the job would have it run {what}.\n")
    } else {
        let columns = [
            Column::new("ONE CHANGE").least(24),
            Column::new("START").rank(0),
            Column::new("CENTER").least(8),
            Column::new("PRICE").right(),
        ];
        let mut table = Table::new(columns).wrapping();
        for change in &changes.found {
            let start = match change.start_ms {
                start if start <= look.now => Cell::new("at once", Tone::Good),
                start => look.when(start).into(),
            };
            let (center, price) = (change.center.as_str(), change.price);
            table.row([change.text.as_str().into(), start, center.into(), price.into()]);
        }
        format!(
            "One change would have it run {what}, the smallest first:\n{}",
            table.render(look, "")
        )
    };
    if !changes.complete {
        text.push_str(&look.dim("There was more to try than time to try it."));
        text.push('\n');
    }
    Some(text)
}

/// Where the centers stand that no place of is shown.
fn others(plan: &Plan) -> Vec<&Standing> {
    let shown = |center: &CenterId| plan.candidates.iter().any(|place| place.center == *center);
    plan.standings.iter().filter(|standing| !shown(&standing.center)).collect()
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

/// Carbon dioxide, from milligrams.
fn carbon(mg: u64) -> String {
    match mg {
        0..1_000 => format!("{mg} mg"),
        1_000..1_000_000 => format!("{}.{} g", mg / 1_000, mg % 1_000 / 100),
        _ => format!("{}.{} kg", mg / 1_000_000, mg % 1_000_000 / 100_000),
    }
}

/// Energy, from milliwatt-hours.
fn energy(mwh: u64) -> String {
    match mwh {
        0..1_000 => format!("{mwh} mWh"),
        1_000..1_000_000 => format!("{}.{} Wh", mwh / 1_000, mwh % 1_000 / 100),
        _ => format!("{}.{} kWh", mwh / 1_000_000, mwh % 1_000_000 / 100_000),
    }
}
