//! `portolan simulate --rounds`: a trace on a cluster in rounds.

use super::failed;
use crate::failure::{Code, Failure};
use crate::look::Look;
use crate::progress;
use crate::session::Session;
use crate::table::{Cell, Column, Table};
use allocation::{Binding, Goal};
use anyhow::Context;
use clap::Args;
use model::{ChipId, Span};
use serde_json::json;
use simulator::load::gavel::{Throughputs, list};
use simulator::rounds::{Bounds, Cluster, Outcome};
use std::path::{Path, PathBuf};

/// A trace in rounds.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// Instead of a scenario: this trace of Gavel's on a cluster in rounds, all jobs stopped and placed
    /// anew at each.
    #[arg(long = "rounds", value_name = "FILE", requires_all = ["throughputs", "cluster"],
        conflicts_with_all = ["scenario", "faults", "nodes", "instance"])]
    pub(super) trace: Option<PathBuf>,
    /// With these throughputs: JSON, chip, then job type and chips, then steps a second under `null`.
    #[arg(long, value_name = "FILE", requires = "trace")]
    throughputs: Option<PathBuf>,
    /// On so many chips of each kind, such as v100=8,p100=16,k80=24.
    #[arg(long, value_name = "CHIPS", requires = "trace", value_delimiter = ',',
        value_parser = chips)]
    cluster: Vec<(ChipId, f64)>,
    /// How long a round is.
    #[arg(long, value_name = "SPAN", default_value = "6m", requires = "trace")]
    round: Span,
    /// Jobs an hour, for lists whose arrivals are in units of that.
    #[arg(long, value_name = "N", default_value_t = 1.0, requires = "trace")]
    jobs_per_hour: f64,
}

fn chips(text: &str) -> Result<(ChipId, f64), String> {
    let expected = || "expected a chip and a number above zero, such as v100=8".to_owned();
    let (chip, count) = text.split_once('=').ok_or_else(expected)?;
    let chip = ChipId::new(chip).map_err(|wrong| wrong.to_string())?;
    let count: u32 = count.parse().map_err(|_| expected())?;
    if count == 0 { Err(expected()) } else { Ok((chip, f64::from(count))) }
}

impl Trace {
    /// Plays the trace under every policy.
    pub(super) fn play(&self, trace: &Path, session: &Session) -> anyhow::Result<()> {
        if self.round == Span::ZERO || !self.jobs_per_hour.is_finite() || self.jobs_per_hour <= 0.0
        {
            let said = "a round and the jobs of an hour have to be more than nothing";
            return Err(Failure::said(Code::Invalid, said.to_owned()).into());
        }
        let throughputs = self.throughputs.as_deref().context("say --throughputs")?;
        let names = self.cluster.iter().map(|(chip, _)| (chip.to_string(), chip.clone()));
        let (file, text) = read(throughputs)?;
        let throughputs = Throughputs::read(&file, &text, &names.collect()).map_err(failed)?;
        let (file, text) = read(trace)?;
        let jobs = list(&file, &text, &throughputs, self.jobs_per_hour).map_err(failed)?;
        let round_s = self.round.0 as f64 / 1e3;
        let cluster = Cluster::of(&jobs, &throughputs, self.cluster.clone(), round_s);
        let bar = progress::jobs(Goal::ALL.len() as u64 + 1);
        let bounds = cluster.bounds().map_err(failed)?;
        bar.inc(1);
        let play = |goal: Goal| {
            bar.set_message(goal.name());
            let outcome = cluster.play(goal).map_err(failed);
            bar.inc(1);
            outcome
        };
        let outcomes: Vec<Outcome> = Goal::ALL.into_iter().map(play).collect::<Result<_, _>>()?;
        bar.finish_and_clear();
        let isolated = outcomes.iter().find(|outcome| outcome.goal == Goal::Isolated);
        let isolated = isolated.context("all policies were played")?;
        let told = json!({
            "policies": outcomes.iter().map(|outcome| told(outcome, isolated)).collect::<Vec<_>>(),
            "bounds": {
                "makespan_h": bounds.makespan_h,
                "makespan_by": binding(bounds.makespan_by),
                "mean_h": bounds.mean_h,
            },
        });
        let shown = |look: &Look| table(&outcomes, isolated, &bounds, look);
        session.tell(&told, shown(&session.look))
    }
}

fn read(path: &Path) -> anyhow::Result<(String, String)> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    Ok((path.display().to_string(), text))
}

fn binding(binding: Binding) -> String {
    match binding {
        Binding::Capacity => "all chips together".to_owned(),
        Binding::Longest(job) => format!("job {job} alone"),
    }
}

fn told(outcome: &Outcome, isolated: &Outcome) -> serde_json::Value {
    let (mean, p99) = outcome.beside(isolated);
    json!({
        "policy": outcome.goal.name(),
        "makespan_h": outcome.makespan_h,
        "mean_h": outcome.mean_h(),
        "p99_h": outcome.p99_h(),
        "in_use": outcome.in_use,
        "beside_isolated": { "mean": mean, "p99": p99 },
    })
}

fn table(outcomes: &[Outcome], isolated: &Outcome, bounds: &Bounds, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("policy"),
        Column::new("makespan h").right(),
        Column::new("mean h").right(),
        Column::new("p99 h").right(),
        Column::new("in use").right(),
        Column::new("÷ isolated").right(),
        Column::new("its p99").right(),
    ]);
    for outcome in outcomes {
        let (mean, p99) = outcome.beside(isolated);
        table.row([
            Cell::from(outcome.goal.name()),
            Cell::from(format!("{:.2}", outcome.makespan_h)),
            Cell::from(format!("{:.2}", outcome.mean_h())),
            Cell::from(format!("{:.2}", outcome.p99_h())),
            Cell::from(format!("{:.1} %", outcome.in_use * 100.0)),
            Cell::from(format!("{mean:.3}")),
            Cell::from(format!("{p99:.3}")),
        ]);
    }
    table.row([
        Cell::from("no policy below"),
        Cell::from(format!("{:.2}", bounds.makespan_h)),
        Cell::from(format!("{:.2}", bounds.mean_h)),
    ]);
    let by = binding(bounds.makespan_by);
    format!("{}\nWhat keeps the makespan: {by}.\n", table.render(look, "no runs").trim_end())
}
