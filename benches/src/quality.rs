//! The group `quality`: how good decisions are, beside others' and beside what nobody can better.

use crate::disk::Disk;
use crate::network::{Network, Shape};
use crate::planner::Player;
use crate::row::{self, Better, Figure, Peer, Samples};
use allocation::{Goal, even, fair};
use anyhow::{Context, Result, anyhow, bail};
use futures::future::try_join_all;
use model::ChipId;
use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use simulator::instance::Instance;
use simulator::load::gavel::{Throughputs, list};
use simulator::rounds::{Cluster, Outcome};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How often a solve is timed: often, for it takes milliseconds, and now and then twice as many.
const TIMES: usize = 31;
/// HiGHS on the same instance, by its Python package `highspy`.
const HIGHS: &str = include_str!("quality/highs.py");
/// By how much throughputs are multiplied at most so that no two jobs are alike.
const NOISE: f64 = 0.05;

const fn lower(name: &'static str, unit: &'static str, target: f64) -> Figure {
    Figure { name, unit, better: Better::Lower, target: Some(target) }
}

const LEX_512: Figure = lower("lex_512_ms", "ms", 20.0);
const LEX_2048: [Figure; 2] = [lower("lex_2048_ms", "ms", 20.0), lower("lex_2048_err", "ppm", 1.0)];
const NOISY: [Figure; 2] =
    [lower("lex_2048_noise_ms", "ms", 200.0), lower("lex_2048_noise_gap", "%", 0.1)];
const MAXMIN: [Figure; 2] =
    [lower("maxmin_2048_ms", "ms", 5.0), lower("maxmin_2048_err", "ppm", 1.0)];
const STATIC: [Figure; 4] = [
    lower("gavel_static_makespan_h", "h", 17.9),
    lower("gavel_static_jct_h", "h", 7.4),
    lower("gavel_fair_static_jct_h", "h", 9.91),
    lower("gavel_fair_static_ratio_p99", "", 1.12),
];
const CONTINUOUS: [Figure; 3] = [
    lower("gavel_continuous_jct_h", "h", 3.5),
    lower("gavel_fair_continuous_jct_h", "h", 4.06),
    lower("gavel_fair_continuous_ratio_p99", "", 1.36),
];

/// Who of those that play the delta is no peer: what bounds everybody, and today's situation.
const NO_PEERS: [&str; 3] = ["each-alone", "every-center-alone", "portolan/"];
const LOADED: [Figure; 2] = [
    higher("delta_11_gain_vs_best_peer_pct", 35.0),
    Figure { target: None, ..higher("delta_11_gain_vs_isolated_pct", 0.0) },
];
const USUAL: [Figure; 2] =
    [higher("delta_09_gain_vs_best_peer_pct", 12.0), lower("delta_09_gap_to_bound_pct", "%", 15.0)];

const PARITY: [Figure; 1] = [lower("live_parity_pct", "%", 2.0)];
/// Of a single load the queue goes another way by a few milliseconds, and its mean by more than a percent.
const PARITY_SEEDS: [&str; 8] = ["1", "2", "3", "4", "5", "6", "7", "8"];
/// So many loads go on at once: each is idle most of the time.
const AT_ONCE: usize = 4;

const fn higher(name: &'static str, target: f64) -> Figure {
    Figure { name, unit: "%", better: Better::Higher, target: Some(target) }
}

/// A run of the group.
#[derive(Debug)]
pub(crate) struct Quality {
    /// How the names of the rows to measure begin.
    pub(crate) only: String,
    /// The folder with `gavel/`.
    pub(crate) data: Option<PathBuf>,
    /// Plays the delta.
    pub(crate) player: Player,
    /// The program to measure.
    pub(crate) portolan: PathBuf,
    /// Where everything is kept meanwhile.
    pub(crate) dir: PathBuf,
}

/// What HiGHS finds.
#[derive(Debug, Deserialize)]
struct Found {
    level: Option<f64>,
    sorted: Option<Vec<f64>>,
    ms: f64,
}

impl Quality {
    /// Measures the group and prints its rows as they come.
    pub(crate) async fn run(&self) {
        self.lexicographic();
        self.noisy();
        self.maxmin();
        self.trace("minimize_makespan", &STATIC, |outcomes| {
            let (makespan, mean) =
                (outcomes.of(Goal::Makespan)?, outcomes.of(Goal::MeanCompletion)?);
            let fair = outcomes.of(Goal::Fair)?;
            let ratio = fair.beside(outcomes.of(Goal::Isolated)?).1;
            Ok(vec![makespan.makespan_h, mean.mean_h(), fair.mean_h(), ratio])
        });
        self.trace("max_min_fairness", &CONTINUOUS, |outcomes| {
            let (mean, fair) = (outcomes.of(Goal::MeanCompletion)?, outcomes.of(Goal::Fair)?);
            let ratio = fair.beside(outcomes.of(Goal::Isolated)?).1;
            Ok(vec![mean.mean_h(), fair.mean_h(), ratio])
        });
        self.delta("1.1", LOADED, |ours, means| {
            Some((1.0 - ours.0 / means.named("every-center-alone")?.0) * 100.0)
        });
        self.delta("0.9", USUAL, |ours, _| Some(ours.1));
        self.parity().await;
    }

    /// The same loads through real servers on timers and through the simulator: how far apart the mean
    /// completions over all of them are, and as the spread those of each.
    async fn parity(&self) {
        if !self.wants(&PARITY) {
            return;
        }
        let measured = self.live_and_simulated().await.map(|loads| vec![apart(&loads)]);
        row::print(&PARITY, "", None, &measured);
    }

    /// Mean completion of each load in seconds, live and simulated.
    async fn live_and_simulated(&self) -> Result<Vec<(f64, f64)>> {
        let scenario = Player::scenario("parity.toml");
        let simulated = PARITY_SEEDS.map(|seed| self.player.mean_completion_h(&scenario, seed));
        let mut loads = Vec::new();
        for (seeds, simulated) in PARITY_SEEDS.chunks(AT_ONCE).zip(simulated.chunks(AT_ONCE)) {
            eprintln!("three minutes of jobs, live, seeds {} …", seeds.join(", "));
            let live = seeds.iter().map(|seed| self.live(&scenario, seed));
            for (live, simulated) in try_join_all(live).await?.into_iter().zip(simulated) {
                let simulated = simulated.as_ref().map_err(|error| anyhow!("{error:#}"))? * 3_600.0;
                eprintln!("  mean completion {live:.3} s live, {simulated:.3} s simulated");
                loads.push((live, simulated));
            }
        }
        Ok(loads)
    }

    async fn live(&self, scenario: &Path, seed: &str) -> Result<f64> {
        let dir = self.dir.join(format!("parity-{seed}"));
        let network = Network::start(&self.portolan, dir, Shape::Timers, Disk::Own).await?;
        let report = network.replay(&self.portolan, scenario, &["--seed", seed]).await;
        let report = report.map_err(|error| network.blame(&error))?;
        Ok(report["completed_ms"].as_f64().context("no job ended")? / 1e3)
    }

    /// Everybody on the delta: how far below the best peer's mean ours is, and beside another figure.
    fn delta(
        &self,
        load: &str,
        figures: [Figure; 2],
        other: impl Fn((f64, f64), &Means) -> Option<f64>,
    ) {
        if !self.wants(&figures) {
            return;
        }
        eprintln!("everybody on the delta at {load}, three seeds …");
        let measured = || -> Result<Vec<Samples>> {
            let means = Means::of(&self.player.delta_for_the_mean(load)?)?;
            let ours = means.named("portolan/mean-completion").context("portolan did not play")?;
            let peers = means
                .0
                .iter()
                .filter(|(name, ..)| !NO_PEERS.iter().any(|other| name.starts_with(other)));
            let best = peers.map(|(_, mean, _)| *mean).fold(f64::INFINITY, f64::min);
            let second = other(ours, &means).context("whom to compare with did not play")?;
            let gain = (1.0 - ours.0 / best) * 100.0;
            Ok(vec![Samples::median(&[gain]), Samples::median(&[second])])
        };
        row::print(&figures, "", None, &measured());
    }

    fn wants(&self, figures: &[Figure]) -> bool {
        figures.iter().any(|figure| figure.name.starts_with(&self.only))
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let data = self.data.as_deref().context("say --data: the folder with gavel/")?;
        Ok(data.join("gavel").join(name))
    }

    fn instance(&self, name: &str) -> Result<(PathBuf, Instance)> {
        let path = self.path(name)?;
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let instance = Instance::read(&path.display().to_string(), &text)?;
        Ok((path, instance))
    }

    fn lexicographic(&self) {
        if self.wants(&[LEX_512]) {
            let ms = self.instance("lex_instances/lex_n512_seed0.csv");
            let ms = ms.and_then(|(_, instance)| Ok(solved(&instance)?.0));
            let peer = published(
                "Gavel's water-filling, exact",
                3_400.0,
                "published: Gavel, run on two cores",
            );
            row::print_beside(&LEX_512, Some(&peer), &ms);
        }
        if !self.wants(&LEX_2048) {
            return;
        }
        let measured = || -> Result<(Samples, f64)> {
            let (_, instance) = self.instance("lex_instances/lex_n2048_seed0.csv")?;
            let exact = self.path("lex_instances/lex_n2048_seed0.exact_sorted_normalised.txt")?;
            let exact = std::fs::read_to_string(&exact).context("the exact vector")?;
            let exact: Vec<f64> = exact.lines().map(str::parse).collect::<Result<_, _>>()?;
            let (ms, sorted) = solved(&instance)?;
            let apart = sorted.iter().zip(&exact).map(|(ours, exact)| (ours / exact - 1.0).abs());
            Ok((ms, apart.fold(0.0, f64::max) * 1e6))
        };
        let peer = published(
            "Soroush's equi-depth binner, 0.9998 of exact",
            139.0,
            "published: Soroush, run on two cores",
        );
        pair(LEX_2048, Some(&peer), measured());
    }

    fn noisy(&self) {
        if !self.wants(&NOISY) {
            return;
        }
        eprintln!(
            "2,048 jobs of which no two are alike, and one program after the other by HiGHS …"
        );
        let mut peer = None;
        let mut measured = || -> Result<(Samples, f64)> {
            let (path, instance) = self.instance("lex_instances/lex_n2048_seed0.csv")?;
            let instance = instance.perturbed(NOISE, 1);
            let (ms, sorted) = solved(&instance)?;
            let rates: Vec<&Vec<f64>> = instance.jobs.iter().map(|job| &job.rates).collect();
            let exact = highs(&path, "lexicographic", &serde_json::to_string(&rates)?)?;
            peer = Some(same_run("HiGHS, one program after the other", exact.ms));
            let exact = exact.sorted.context("HiGHS says no throughputs")?;
            let short = sorted.iter().zip(&exact).map(|(ours, exact)| 1.0 - ours / exact);
            Ok((ms, short.fold(0.0, f64::max) * 100.0))
        };
        let measured = measured();
        pair(NOISY, peer.as_ref(), measured);
    }

    fn maxmin(&self) {
        if !self.wants(&MAXMIN) {
            return;
        }
        let mut peer = None;
        let mut measured = || -> Result<(Samples, f64)> {
            let (mut all, mut apart) = (Vec::new(), 0.0_f64);
            for mode in ["multi", "single"] {
                let name = format!("lp_instances/maxmin_n2048_{mode}_seed2.csv");
                let (path, instance) = self.instance(&name)?;
                let mut level = 0.0;
                for _ in 0..TIMES {
                    let began = cpu_ms();
                    level = even(&instance.problem().0, &[])?.level;
                    all.push(cpu_ms() - began);
                }
                let theirs = highs(&path, "maxmin", "")?;
                apart =
                    apart.max((level / theirs.level.context("HiGHS says no level")? - 1.0).abs());
                peer = Some(same_run("HiGHS", theirs.ms));
            }
            Ok((Samples::median(&all), apart * 1e6))
        };
        let measured = measured();
        pair(MAXMIN, peer.as_ref(), measured);
    }

    /// Plays one of Gavel's traces on its cluster under every policy.
    fn trace<const N: usize>(
        &self,
        name: &str,
        figures: &[Figure; N],
        values: impl Fn(&Outcomes) -> Result<Vec<f64>>,
    ) {
        if !self.wants(figures) {
            return;
        }
        eprintln!("Gavel's trace {name} in rounds, under every policy …");
        let measured = self.played(name).and_then(|outcomes| values(&outcomes));
        let samples = measured.map(|values| {
            values.into_iter().map(|value| Samples::median(&[value])).collect::<Vec<_>>()
        });
        row::print(figures, "", None, &samples);
    }

    fn played(&self, name: &str) -> Result<Outcomes> {
        let chips = [("v100", 8.0), ("p100", 16.0), ("k80", 24.0)];
        let chips = chips.map(|(chip, count)| Ok::<_, anyhow::Error>((ChipId::new(chip)?, count)));
        let chips: Vec<(ChipId, f64)> = chips.into_iter().collect::<Result<_>>()?;
        let names = chips.iter().map(|(chip, _)| (chip.to_string(), chip.clone())).collect();
        let text = std::fs::read_to_string(self.path("simulation_throughputs.json")?)?;
        let throughputs = Throughputs::read("simulation_throughputs.json", &text, &names)?;
        let path = self.path(&format!("traces_physical/{name}.trace"))?;
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let jobs = list(name, &text, &throughputs, 1.0)?;
        let cluster = Cluster::of(&jobs, &throughputs, chips, 360.0);
        let outcomes: Result<_, _> = Goal::ALL.into_iter().map(|goal| cluster.play(goal)).collect();
        Ok(Outcomes(outcomes?))
    }
}

/// The mean completion of everybody who played, in hours, and how far that is above its bound, in
/// percent.
struct Means(Vec<(String, f64, f64)>);

impl Means {
    fn of(played: &serde_json::Value) -> Result<Self> {
        let rows = played["rows"].as_array().context("no rows")?;
        let row = |row: &serde_json::Value| {
            let figures = row["figures"].as_array()?;
            let named =
                |name| figures.iter().find(|figure| figure["name"] == name)?["mean"].as_f64();
            Some((row["policy"].as_str()?.to_owned(), named("mean h")?, named("gap %")?))
        };
        rows.iter()
            .map(|of| row(of).context("a row without its mean and its gap"))
            .collect::<Result<_>>()
            .map(Self)
    }

    fn named(&self, name: &str) -> Option<(f64, f64)> {
        self.0.iter().find(|(known, ..)| known == name).map(|(_, mean, gap)| (*mean, *gap))
    }
}

/// How policies did on one trace.
struct Outcomes(Vec<Outcome>);

impl Outcomes {
    fn of(&self, goal: Goal) -> Result<&Outcome> {
        self.0.iter().find(|outcome| outcome.goal == goal).context("all policies were played")
    }
}

/// How long an instance takes to be solved from its jobs on, and everybody's throughput by priority, in
/// ascending order.
fn solved(instance: &Instance) -> Result<(Samples, Vec<f64>)> {
    let mut all = Vec::new();
    let mut sorted = Vec::new();
    for _ in 0..TIMES {
        let began = cpu_ms();
        let (problem, classes) = instance.problem();
        let found = fair(&problem)?;
        all.push(cpu_ms() - began);
        let jobs = instance.jobs.iter().zip(classes);
        sorted = jobs.map(|(job, class)| found.throughputs[class] / job.priority).collect();
    }
    sorted.sort_by(f64::total_cmp);
    Ok((Samples::median(&all), sorted))
}

/// How far the means of live and simulated loads are apart, in percent.
fn apart(loads: &[(f64, f64)]) -> Samples {
    let apart = |live: f64, simulated: f64| (live / simulated - 1.0).abs() * 100.0;
    let (live, simulated) =
        loads.iter().fold((0.0, 0.0), |sum, load| (sum.0 + load.0, sum.1 + load.1));
    let each: Vec<f64> = loads.iter().map(|load| apart(load.0, load.1)).collect();
    Samples::with_value(apart(live, simulated), &each)
}

/// Processor time of this process, in milliseconds.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn highs(instance: &Path, what: &str, rates: &str) -> Result<Found> {
    let mut child = Command::new("python3")
        .args(["-c", HIGHS])
        .arg(instance)
        .arg(what)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start python3")?;
    let mut stdin = child.stdin.take().context("it has an input")?;
    stdin.write_all(rates.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("HiGHS did not answer: `pip install highspy numpy`, and see above");
    }
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| line.starts_with('{')).context("HiGHS says nothing")?;
    serde_json::from_str(line).context("what HiGHS says")
}

fn published(name: &str, value: f64, how: &'static str) -> Peer {
    Peer { name: name.to_owned(), value, how }
}

fn same_run(name: &str, value: f64) -> Peer {
    Peer { name: name.to_owned(), value, how: "same run" }
}

/// Prints a time, beside a peer's, and how exact what took it is.
fn pair([time, exact]: [Figure; 2], peer: Option<&Peer>, measured: Result<(Samples, f64)>) {
    match measured {
        Ok((ms, apart)) => {
            row::print_beside(&time, peer, &Ok(ms));
            row::print_beside(&exact, None, &Ok(Samples::median(&[apart])));
        }
        Err(why) => row::print(&[time, exact], "", None, &Err(why)),
    }
}
