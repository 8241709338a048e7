//! `portolan simulate`: scenarios in virtual time, through the code that a server runs.

mod instance;
mod rounds;

use crate::catalog;
use crate::failure::{Code, Failure};
use crate::look::Look;
use crate::progress;
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone};
use anyhow::Context;
use clap::Args;
use indicatif::ProgressBar;
use simulator::baseline::Bounds;
use simulator::fault::fault_run;
use simulator::packing::{Chooser, Cluster, Files, NodeOrder, Orders, Packing, Spread};
use simulator::report::{Comparison, Curves, FIGURES, Row, page};
use simulator::scenario::{Case, Contender, Played, Scenario, Told, known_contenders};
use std::path::{Path, PathBuf};

/// For loads of more jobs bounds are left out: they would take longer than the runs.
const MOST_BOUNDED: u64 = 200_000;

/// Fault runs where no seed is named.
const FAULT_RUNS: u64 = 100;

const EXAMPLES: &str = "\
Examples:
  A scenario as it stands, with all its policies, loads and seeds:
    portolan simulate scenarios/laptop-small.toml
  One of its loads and two of its policies, on full lists instead of the shipped slice, with plots:
    portolan simulate scenarios/delta.toml --data FOLDER --load 0.9 \\
        --policy portolan,race-to-all --report delta.html
  A scheduling experiment of your own: any list of jobs on any network. The scenario only says in
  which form the list is (csv, swf, philly, openb, gavel, delta); copy it to tell columns or speeds:
    portolan simulate scenarios/csv.toml --jobs jobs.csv --network network.toml --chips chips/
    portolan simulate scenarios/swf.toml --jobs log.swf --network network.toml
  Small made-up networks in which everything goes wrong; a seed that fails is told, and played again
  alone:
    portolan simulate --faults --count 2000
    portolan simulate --faults --seed 17
  A packing experiment, in the form of the openb trace: jobs come one at a time onto a cluster's
  nodes until 130 % of its chips were asked for. In the orders of a file, or in made-up ones:
    portolan simulate --pack-nodes nodes.csv --pack-jobs pods.csv --pack-orders sequences.txt
    portolan simulate --pack-nodes nodes.csv --pack-jobs pods.csv --seed 1 --seed 2
  A trace of Gavel's on a cluster in rounds, under every policy, beside what none does better than:
    portolan simulate --rounds jobs.trace --throughputs throughputs.json \\
        --cluster v100=8,p100=16,k80=24
  Who ought to get how much, exactly: a first line `# capacity k80=128 v100=64`, then a table with the
  columns scale_factor, tput_k80, tput_v100 and, if need be, priority:
    portolan simulate --instance jobs.csv

The keys of a scenario are in scenarios/README.md and the documentation of `simulator::scenario`.";

/// Play a scenario in virtual time, through the code that a server runs, and compare policies.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Simulate {
    /// The scenario's file.
    #[arg(required_unless_present_any = ["faults", "nodes", "instance", "trace"],
        value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Only this seed; may be said again for more.
    #[arg(long = "seed", value_name = "N")]
    seeds: Vec<u64>,
    /// Only this policy: portolan as the scenario has it, or portolan/fair, /mean-completion,
    /// /makespan or /deadline-first; every-center-alone, one-queue, race-to-all, race-by-threes
    /// (or race-by-N-every-Mm: in N more centers every M minutes), cheapest-first, best-fit, fgd,
    /// locality-only or data-first, each also with /priority or /fair-share for whose turn it is; or
    /// each-alone, which no policy can better. May be said again.
    #[arg(long = "policy", value_name = "NAME", value_parser = contender, value_delimiter = ',')]
    policies: Vec<Contender>,
    /// All policies in all orders and with all aims, instead of those that the scenario names.
    #[arg(long, conflicts_with = "policies")]
    compare: bool,
    /// Portolan with this aim, whole and without each of its parts (prices, lessons, joint-data,
    /// preemption, entitlements): what each earns. A single one is named
    /// portolan/AIM/without-PART.
    #[arg(long, value_name = "AIM", conflicts_with_all = ["policies", "compare"])]
    ablate: Option<planner::Aim>,
    /// Only these loads: arrivals come as much closer together as it takes.
    #[arg(long = "load", value_name = "LOAD", value_delimiter = ',')]
    loads: Vec<f64>,
    /// The folder to look for the scenario's files in first.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// This list of jobs instead of the scenario's, in the same form.
    #[arg(long, value_name = "FILE")]
    jobs: Option<PathBuf>,
    /// These network files instead of the scenario's network.
    #[arg(long, value_name = "FILE")]
    network: Vec<PathBuf>,
    /// Chip files, or folders of them, for chips that are not in the catalog.
    #[arg(long, value_name = "FILE")]
    chips: Vec<PathBuf>,
    /// What part of each pool owners lend, in percent, instead of what they say.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    lend: Option<u8>,
    /// Write a page with the table and plots to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Instead of a scenario: small made-up networks in which everything goes wrong, judged by every
    /// promise.
    #[arg(long, conflicts_with_all = ["scenario", "policies", "loads", "data", "jobs", "network"])]
    faults: bool,
    /// So many fault runs, from seed 1 or the seed named.
    #[arg(long, value_name = "N", requires = "faults")]
    count: Option<u64>,
    #[command(flatten)]
    pack: Pack,
    #[command(flatten)]
    rounds: rounds::Trace,
    /// Instead of a scenario: who of these jobs ought to get how much of these chips.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "faults", "nodes"])]
    instance: Option<PathBuf>,
}

/// A packing experiment.
#[derive(Debug, Args)]
struct Pack {
    /// Instead of a scenario: fill these nodes (columns cpu_milli, memory_mib, gpu, model).
    #[arg(long = "pack-nodes", value_name = "FILE", requires = "jobs_to_pack",
        conflicts_with_all = ["scenario", "faults"])]
    nodes: Option<PathBuf>,
    /// With these jobs (columns cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec).
    #[arg(id = "jobs_to_pack", long = "pack-jobs", value_name = "FILE", requires = "nodes")]
    jobs: Option<PathBuf>,
    /// In these orders (lines `seed S … : ROW ROW …`); else shuffled by the seeds.
    #[arg(long = "pack-orders", value_name = "FILE", requires = "nodes")]
    orders: Option<PathBuf>,
    /// Where orders are made up: until so many percent of the chips were asked for.
    #[arg(long = "pack-percent", value_name = "N", default_value_t = 130)]
    percent: u32,
}

fn contender(name: &str) -> Result<Contender, String> {
    Contender::named(name).ok_or_else(known_contenders)
}

impl Simulate {
    /// Plays what is asked for.
    pub(crate) fn run(self, session: &Session) -> anyhow::Result<()> {
        if let Some(instance) = &self.instance {
            return instance::solve(instance, session);
        }
        if let Some(trace) = &self.rounds.trace {
            return self.rounds.play(trace, session);
        }
        match (&self.scenario, &self.pack) {
            (Some(path), _) => self.compare(path, session),
            (None, Pack { nodes: Some(nodes), jobs: Some(jobs), .. }) => {
                self.pack(nodes, jobs, session)
            }
            (None, _) => self.try_faults(session),
        }
    }

    fn compare(&self, path: &Path, session: &Session) -> anyhow::Result<()> {
        let chips = crate::network::read(&self.chips)?;
        let chips: Vec<(&str, &str)> =
            chips.iter().map(|file| (&*file.name, &*file.text)).collect();
        let catalog = catalog::with(&chips)?;
        let told = Told {
            data: self.data.clone(),
            network: self.network.clone(),
            jobs: self.jobs.clone(),
            lend: self.lend,
        };
        let scenario = Scenario::open(path, &told, &catalog).map_err(failed)?;
        let mut comparison = Comparison::default();
        let mut curves = Vec::new();
        let first = self.seeds(&scenario).first().copied();
        for load in self.loads(&scenario) {
            for seed in self.seeds(&scenario) {
                let case = scenario.case(load, seed).map_err(failed)?;
                if let Some(bounds) = bounds(&case)? {
                    comparison.bound(case.load, case.seed, bounds);
                }
                for contender in self.contenders(&scenario) {
                    let played = play(&case, contender)?;
                    comparison.add(&played, &case.network);
                    for why in played.rejections.iter().take(3) {
                        note(format!("not accepted: {why}"));
                    }
                    if self.report.is_some() && first == Some(seed) {
                        curves.push(Curves::of(&played, scenario.chips()));
                    }
                }
            }
        }
        if let Some(file) = &self.report {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let html = page(&name, &scenario.about, &comparison, &curves).map_err(failed)?;
            std::fs::write(file, html)
                .with_context(|| format!("cannot write {}", file.display()))?;
            note(format!("the report is in {}", file.display()));
        }
        session.show(&comparison, table)?;
        let broken: usize = comparison.runs.iter().map(|run| run.violations.len()).sum();
        if broken > 0 {
            for run in &comparison.runs {
                for violation in run.violations.iter().take(5) {
                    note(format!("load {} seed {}: {violation}", run.load, run.seed));
                }
            }
            let said = format!("{broken} promises did not hold");
            return Err(Failure::said(Code::Failed, said).into());
        }
        Ok(())
    }

    fn pack(&self, nodes: &Path, jobs: &Path, session: &Session) -> anyhow::Result<()> {
        let orders = match &self.pack.orders {
            Some(file) => Orders::File(file.clone()),
            None if self.seeds.is_empty() => {
                Orders::Made { seeds: vec![1], percent: self.pack.percent }
            }
            None => Orders::Made { seeds: self.seeds.clone(), percent: self.pack.percent },
        };
        let files = Files { nodes: nodes.to_owned(), jobs: jobs.to_owned(), orders };
        let cluster = Cluster::read(&files).map_err(failed)?;
        let start = std::time::Instant::now();
        session.show(&cluster.pack(|| start.elapsed()), packed)
    }

    fn seeds(&self, scenario: &Scenario) -> Vec<u64> {
        if self.seeds.is_empty() { scenario.seeds.clone() } else { self.seeds.clone() }
    }

    fn loads(&self, scenario: &Scenario) -> Vec<Option<f64>> {
        let loads = if self.loads.is_empty() { &scenario.loads } else { &self.loads };
        if loads.is_empty() { vec![None] } else { loads.iter().copied().map(Some).collect() }
    }

    fn contenders(&self, scenario: &Scenario) -> Vec<Contender> {
        if let Some(aim) = self.ablate {
            return Contender::ablations(Some(aim)).collect();
        }
        match (&*self.policies, self.compare) {
            (_, true) => Contender::all().collect(),
            ([], false) => scenario.contenders.clone(),
            (named, false) => named.to_vec(),
        }
    }

    fn try_faults(&self, session: &Session) -> anyhow::Result<()> {
        let seeds: Vec<u64> = match (&*self.seeds, self.count) {
            ([], count) => (1..=count.unwrap_or(FAULT_RUNS)).collect(),
            ([first], Some(count)) => (*first..first.saturating_add(count)).collect(),
            (named, _) => named.to_vec(),
        };
        let bar = progress::jobs(seeds.len() as u64);
        let mut broken = Vec::new();
        let mut jobs = 0;
        for seed in &seeds {
            let verdict = fault_run(*seed);
            bar.inc(1);
            jobs += verdict.jobs;
            if !verdict.holds() {
                let line = verdict.to_string();
                bar.suspend(|| note(&line));
                broken.push(line);
            }
        }
        bar.finish_and_clear();
        let told = serde_json::json!({ "runs": seeds.len(), "jobs": jobs, "failed": broken });
        let (runs, bad) = (seeds.len(), broken.len());
        let held = runs - bad;
        session.tell(&told, format!("{held} of {runs} runs, {jobs} jobs: all promises held"))?;
        match bad {
            0 => Ok(()),
            _ => Err(Failure::said(Code::Failed, format!("{bad} of {runs} runs broke one")).into()),
        }
    }
}

/// What no run of a case does better than; none for the largest.
fn bounds(case: &Case<'_>) -> anyhow::Result<Option<Bounds>> {
    if case.jobs() > MOST_BOUNDED {
        return Ok(None);
    }
    let bar = progress::jobs(2);
    bar.set_message(format!("load {} seed {}: bounds", case.load, case.seed));
    let bounds = case.bounds().map_err(failed)?;
    bar.finish_and_clear();
    Ok(bounds)
}

/// Plays a case under one policy, and shows how far it is.
fn play(case: &Case<'_>, contender: Contender) -> anyhow::Result<Played> {
    let bar: ProgressBar = progress::jobs(case.jobs().max(2));
    bar.set_message(format!("load {} seed {} {}", case.load, case.seed, contender.name()));
    let played = case.play(contender, &mut || bar.inc(1)).map_err(failed)?;
    bar.finish_and_clear();
    Ok(played)
}

/// Errors of the simulator, those of documents at their places.
pub(crate) fn failed(error: simulator::Error) -> anyhow::Error {
    match error {
        simulator::Error::Network(diagnostics) => Failure::from(diagnostics).into(),
        simulator::Error::Scenario(misread) => Failure::Documents(vec![misread]).into(),
        simulator::Error::Unfit { said, help } => {
            Failure::said(Code::Invalid, said).help(help).into()
        }
        other => other.into(),
    }
}

/// A packing experiment's rows.
fn packed(packing: &Packing, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("chosen by"),
        Column::new("nodes"),
        Column::new("at 100 %").right(),
        Column::new("at the end").right(),
        Column::new("a second").right(),
    ]);
    for row in &packing.rows {
        let spread = |spread: Spread| format!("{:.2} ±{:.2}", spread.mean, spread.sd);
        let chooser = match row.chooser {
            Chooser::Typical => "typical jobs",
            Chooser::BestFit => "best fit",
        };
        let order = match row.node_order {
            NodeOrder::Permuted => "permuted",
            NodeOrder::File => "as in the file",
        };
        table.row([
            Cell::from(chooser),
            Cell::from(order),
            Cell::from(spread(row.at_capacity_pct)),
            Cell::from(spread(row.at_end_pct)),
            Cell::from(format!("{:.0}", row.placed_per_second)),
        ]);
    }
    table.render(look, "no runs")
}

fn table(comparison: &Comparison, look: &Look) -> String {
    let fixed = [Column::new("load").right(), Column::new("policy")];
    // Whoever has a narrow screen sees the figures that matter most.
    let ranks: [_; FIGURES.len()] = [0, 1, 2, 3, 4, 5, 9, 7, 8, 13, 6, 10, 12, 11, 4, 4];
    let titles = FIGURES.iter().zip(ranks);
    let figures = titles.map(|((name, _), rank)| Column::new(name).rank(rank).right());
    let mut table = Table::new(fixed.into_iter().chain(figures));
    for Row { load, policy, figures, .. } in &comparison.rows {
        let tone = if policy.starts_with("portolan") { Tone::Good } else { Tone::Plain };
        let head = [Cell::new(load.to_string(), Tone::Plain), Cell::new(policy.clone(), tone)];
        let cells = figures.iter().map(|figure| Cell::new(figure.text(), Tone::Plain));
        table.row(head.into_iter().chain(cells));
    }
    table.render(look, "no runs")
}
