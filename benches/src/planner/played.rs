//! Figures of whole runs: `portolan simulate` as a process of its own, as a person would call it.

use crate::row::{self, Better, Figure, Samples};
use anyhow::{Context, Result, bail};
use nix::sys::resource::{Usage, UsageWho, getrusage};
use planner::Aim;
use serde_json::Value;
use simulator::baseline::Baseline;
use simulator::scenario::Contender;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios");

const DAY: [Figure; 2] = [
    Figure { name: "national_day_s", unit: "s", better: Better::Lower, target: Some(120.0) },
    Figure {
        name: "national_day_rss_mib",
        unit: "MiB",
        better: Better::Lower,
        target: Some(4_096.0),
    },
];
const PACKING: [(&str, Figure); 3] = [
    ("default", percent("packing_default_pct", 95.6)),
    ("cpu250", percent("packing_cpu250_pct", 93.8)),
    ("gpuspec33", percent("packing_gpuspec33_pct", 95.2)),
];
const PACKED: Figure =
    Figure { name: "packing_per_s", unit: "1/s", better: Better::Higher, target: Some(20_000.0) };
const SEEDS: [&str; 3] = ["1", "2", "3"];
const PROMISES: Figure = percent("promises_held_pct", 95.0);

const fn percent(name: &'static str, target: f64) -> Figure {
    Figure { name, unit: "%", better: Better::Higher, target: Some(target) }
}

/// What is needed to play.
#[derive(Debug)]
pub(crate) struct Player {
    /// The program.
    pub(crate) portolan: PathBuf,
    /// The folder with `openb/` and `delta/`, which are not shipped whole.
    pub(crate) data: Option<PathBuf>,
}

impl Player {
    /// Measures the rows that are wanted and prints them as they come.
    pub(crate) fn run(&self, wanted: impl Fn(&Figure) -> bool) {
        if DAY.iter().any(&wanted) {
            eprintln!("national day …");
            row::print(&DAY, "", None, &self.day());
        }
        let mut speeds: Result<Vec<f64>> = Ok(Vec::new());
        for (workload, figure) in PACKING.iter().filter(|(_, f)| wanted(f) || wanted(&PACKED)) {
            eprintln!("packing {workload} …");
            let packed = self.pack(workload);
            row::print(
                &[*figure],
                "",
                None,
                &packed.as_ref().map(|p| vec![p.0]).map_err(super::shown),
            );
            match (&mut speeds, packed) {
                (Ok(speeds), Ok((_, speed))) => speeds.push(speed),
                (Ok(_), Err(error)) => speeds = Err(error),
                (Err(_), _) => {}
            }
        }
        if wanted(&PACKED) {
            row::print(&[PACKED], "", None, &speeds.map(|speeds| vec![Samples::median(&speeds)]));
        }
        if wanted(&PROMISES) {
            eprintln!("promises on the delta …");
            row::print(&[PROMISES], "", None, &self.promises().map(|sample| vec![sample]));
        }
    }

    fn simulate<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<Value> {
        let mut command = Command::new(&self.portolan);
        command.arg("simulate").args(arguments).args(["--output", "json"]).stdin(Stdio::null());
        let output = command.stderr(Stdio::inherit()).output();
        let output = output.with_context(|| format!("cannot start {}", self.portolan.display()))?;
        if !output.status.success() {
            bail!("`portolan simulate` failed ({})", output.status);
        }
        serde_json::from_slice(&output.stdout).context("its answer is no JSON")
    }

    fn data(&self, folder: &str) -> Result<PathBuf> {
        let data =
            self.data.as_ref().context("its data is not shipped: name its folder by --data")?;
        let folder = data.join(folder);
        if !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
        Ok(folder)
    }

    /// CPU seconds of the whole process, which has one thread that matters, and the most memory it
    /// held.
    fn day(&self) -> Result<Vec<Samples>> {
        let before = children()?;
        let scenario = Path::new(SCENARIOS).join("national-day.toml");
        let arguments = [scenario.as_os_str(), "--policy".as_ref(), "portolan".as_ref()];
        let played = self.simulate(arguments)?;
        let after = children()?;
        let jobs = figure(&played, "jobs")?;
        if jobs < 1_029_000.0 {
            bail!("only {jobs} of 1,030,000 jobs were played");
        }
        #[expect(clippy::cast_precision_loss, reason = "no machine has that much memory")]
        let mib = after.max_rss() as f64 / 1_024.0;
        Ok([seconds(&after) - seconds(&before), mib].map(|it| Samples::median(&[it])).into())
    }

    /// The allocation in percent, mean over the orders with the nodes permuted, and placements a
    /// second.
    fn pack(&self, workload: &str) -> Result<(Samples, f64)> {
        let openb = self.data("openb")?;
        let pods = openb.join(format!("csv/openb_pod_list_{workload}.csv"));
        let orders = openb.join(format!("sequences/openb_pod_list_{workload}.seeds42-51.txt"));
        let nodes = openb.join("csv/openb_node_list_gpu_node.csv");
        let files = [("--pack-nodes", nodes), ("--pack-jobs", pods), ("--pack-orders", orders)];
        let packed =
            self.simulate(files.iter().flat_map(|(name, file)| [name.as_ref(), file.as_os_str()]))?;
        let is_ours = |row: &&Value| row["chooser"] == "typical" && row["node_order"] == "permuted";
        let rows = packed["rows"].as_array().context("no rows")?;
        let row = rows.iter().find(is_ours).context("no row of the planner's own choice")?;
        let runs = packed["runs"].as_array().context("no runs")?;
        let ends: Vec<f64> =
            runs.iter().filter(is_ours).filter_map(|run| run["at_end_pct"].as_f64()).collect();
        let mean = row["at_end_pct"]["mean"].as_f64().context("no mean")?;
        let speed = row["placed_per_second"].as_f64().context("no speed")?;
        Ok((Samples::with_value(mean, &ends), speed))
    }

    /// The share of first-told starts that held on the delta at 0.9, one sample a seed.
    fn promises(&self) -> Result<Samples> {
        let held = SEEDS.map(|seed| figure(&self.delta(seed, &[])?, "promises %"));
        Ok(Samples::median(&held.into_iter().collect::<Result<Vec<f64>>>()?))
    }

    /// How much more of all chips runs jobs on the delta at 0.9 with what owners lend than with nothing
    /// lent, in percent of the latter, one sample a seed.
    pub(crate) fn sharing_gain(&self) -> Result<Samples> {
        // With nothing lent much waits for ever, and a run takes its time: one seed has to do.
        let used = |more: &[&str]| figure(&self.delta(SEEDS[0], more)?, "in use %");
        Ok(Samples::median(&[(used(&[])? / used(&["--lend", "0"])? - 1.0) * 100.0]))
    }

    /// Everybody in every order on the whole lists of the delta at a load, over all seeds, beside
    /// portolan planning for the mean.
    pub(crate) fn delta_for_the_mean(&self, load: &str) -> Result<Value> {
        let data = self.data("delta")?;
        let scenario = Path::new(SCENARIOS).join("delta.toml");
        let ours = Contender::Portolan { aim: Some(Aim::MeanCompletion), without: None };
        let contenders = Baseline::all().map(Contender::Baseline).chain([ours]);
        let contenders = contenders.map(Contender::name).collect::<Vec<_>>().join(",");
        let mut arguments = vec![scenario.as_os_str(), "--data".as_ref(), data.as_os_str()];
        let rest = ["--load", load, "--policy", &contenders];
        arguments.extend(rest.iter().map(OsStr::new));
        self.simulate(arguments)
    }

    /// Where a scenario that ships is.
    pub(crate) fn scenario(name: &str) -> PathBuf {
        Path::new(SCENARIOS).join(name)
    }

    /// Mean completion in a scenario with a seed, in hours.
    pub(crate) fn mean_completion_h(&self, scenario: &Path, seed: &str) -> Result<f64> {
        let rest = ["--policy", "portolan", "--seed", seed].map(OsStr::new);
        figure(&self.simulate([&[scenario.as_os_str()], &rest[..]].concat())?, "mean h")
    }

    /// The whole lists of the delta at 0.9.
    fn delta(&self, seed: &str, more: &[&str]) -> Result<Value> {
        let data = self.data("delta")?;
        let scenario = Path::new(SCENARIOS).join("delta.toml");
        let mut arguments = vec![scenario.as_os_str(), "--data".as_ref(), data.as_os_str()];
        let rest = ["--load", "0.9", "--policy", "portolan", "--seed", seed];
        arguments.extend(rest.iter().chain(more).map(OsStr::new));
        self.simulate(arguments)
    }
}

/// A figure of the first row of a comparison.
fn figure(played: &Value, name: &str) -> Result<f64> {
    let figures = played["rows"][0]["figures"].as_array().context("no figures")?;
    let found = figures.iter().find(|figure| figure["name"] == name);
    found.and_then(|figure| figure["mean"].as_f64()).with_context(|| format!("no figure `{name}`"))
}

/// What the processes waited for so far used.
fn children() -> Result<Usage> {
    getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot ask what processes used")
}

fn seconds(usage: &Usage) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no process runs for ages")]
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}
