//! `cargo xtask bench`: one table for people, one JSON object for machines.
//!
//! `portolan-bench GROUP` measures and prints each row as one JSON line; here rows are collected, and
//! one that was promised but not measured is listed with the reason instead of being left out.

use crate::shell::{self, Workspace};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// A group and the rows it owes.
struct Group {
    name: &'static str,
    rows: &'static [&'static str],
}

const GROUPS: &[Group] = &[PLANNER, LOOP, TRANSFER, SHARING, QUALITY, ENGINES];

const PLANNER: Group = Group {
    name: "planner",
    rows: &[
        "plan_1k_s",
        "plan_10k_s",
        "plan_100k_s",
        "plan_1m_s",
        "plan_100k_rss_mib",
        "arrival_p99_ms",
        "national_day_s",
        "national_day_rss_mib",
        "packing_default_pct",
        "packing_cpu250_pct",
        "packing_gpuspec33_pct",
        "packing_per_s",
        "promises_held_pct",
    ],
};

const LOOP: Group = Group {
    name: "loop",
    rows: &[
        "fsync_per_s",
        "submit_single_per_s",
        "submit_batch_per_s",
        "submit_to_start_p50_ms",
        "submit_to_start_p99_ms",
        "restart_100k_s",
        "restart_100k_full_s",
        "fsync_per_s_slow_disk",
        "submit_single_per_s_slow_disk",
        "submit_batch_per_s_slow_disk",
        "submit_to_start_p50_ms_slow_disk",
        "submit_to_start_p99_ms_slow_disk",
        "restart_100k_s_slow_disk",
        "restart_100k_full_s_slow_disk",
    ],
};

const TRANSFER: Group = Group {
    name: "transfer",
    rows: &[
        "small_files_per_s",
        "small_files_vs_rclone",
        "small_files_of_link_pct",
        "big_file_of_iperf_pct",
        "loopback_gib_per_s",
        "cpu_s_per_gib",
        "rate_error_pct",
        "rate_error_without_tc_pct",
        "resend_after_kill_mib",
        "checkpoint_moved_pct",
    ],
};

const SHARING: Group = Group {
    name: "sharing",
    rows: &[
        "quota_decisions_per_s",
        "recall_within_notice_pct",
        "delta_sharing_gain_pct",
        "load_15k_over_floor",
        "load_15k_per_s",
        "load_50k_per_s",
    ],
};

const ENGINES: Group = Group {
    name: "engines",
    rows: &[
        "bare_spawns_per_s",
        "hyperqueue_jobs_per_s",
        "process_jobs_per_s",
        "process_jobs_limited_per_s",
        "process_jobs_bwrap_per_s",
    ],
};

const QUALITY: Group = Group {
    name: "quality",
    rows: &[
        "lex_512_ms",
        "lex_2048_ms",
        "lex_2048_err",
        "lex_2048_noise_ms",
        "lex_2048_noise_gap",
        "maxmin_2048_ms",
        "maxmin_2048_err",
        "gavel_static_makespan_h",
        "gavel_static_jct_h",
        "gavel_continuous_jct_h",
        "gavel_fair_static_jct_h",
        "gavel_fair_static_ratio_p99",
        "gavel_fair_continuous_jct_h",
        "gavel_fair_continuous_ratio_p99",
        "delta_11_gain_vs_best_peer_pct",
        "delta_09_gain_vs_best_peer_pct",
        "delta_11_gain_vs_isolated_pct",
        "delta_09_gap_to_bound_pct",
        "live_parity_pct",
    ],
};

/// How what is measured is built.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Profile {
    #[default]
    Release,
    Dev,
}

impl Profile {
    /// What cargo calls it, and the folder where it puts what it built.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Release => ("release", "release"),
            Self::Dev => ("dev", "debug"),
        }
    }
}

/// The keys of a row, in the order they are written.
const KEYS: [&str; 10] =
    ["name", "value", "unit", "better", "target", "samples", "spread", "peer", "bound", "why"];

pub(crate) fn run(
    workspace: &Workspace,
    names: &[String],
    data: Option<&Path>,
    json_file: Option<&Path>,
    profile: Profile,
) -> Result<()> {
    let (profile, folder) = profile.names();
    let groups = chosen(names)?;
    if let Some(results) = json_file.and_then(Path::parent) {
        // Before the measuring, which takes long.
        std::fs::create_dir_all(results).with_context(|| results.display().to_string())?;
    }
    let machine = Machine::read();
    let commit = commit(workspace);
    let built = shell::run(&mut workspace.cargo(["build", "--profile", profile, "--workspace"]));
    let mut rows = Vec::new();
    for group in groups {
        let (printed, failure) = match &built {
            Ok(()) => measure(&workspace.binary(folder, "portolan-bench"), group.name, data),
            Err(error) => (String::new(), Some(format!("{error:#}"))),
        };
        rows.extend(collect(group, &printed, failure.as_deref()));
    }
    println!("{}", table(&rows));
    println!("commit {commit}, {profile} build, {}", machine.to_json());
    let missing = rows.iter().filter(|row| row["value"].is_null()).count();
    if let Some(file) = json_file {
        let object = json!({"commit": commit, "profile": profile, "machine": machine.to_json(), "rows": rows});
        std::fs::write(file, format!("{object:#}\n"))
            .with_context(|| file.display().to_string())?;
    }
    if missing > 0 {
        bail!("{missing} of {} rows have no value; the table says why", rows.len());
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<&'static Group>> {
    if names.is_empty() {
        return Ok(GROUPS.iter().collect());
    }
    let find = |name: &String| {
        let known: Vec<_> = GROUPS.iter().map(|group| group.name).collect();
        let found = GROUPS.iter().find(|group| group.name == name);
        found.with_context(|| format!("no bench group `{name}`; there are: {}", known.join(", ")))
    };
    names.iter().map(find).collect()
}

/// What the bench program printed, and why it failed if it did. Its stderr goes to the terminal.
fn measure(program: &Path, group: &str, data: Option<&Path>) -> (String, Option<String>) {
    let mut command = Command::new(program);
    command.arg(group).stderr(Stdio::inherit());
    // Cargo's, where every program that is started would look first for what it needs.
    command.env_remove("LD_LIBRARY_PATH");
    if let Some(data) = data {
        command.arg("--data").arg(data);
    }
    match command.output() {
        Err(error) => (String::new(), Some(format!("cannot start portolan-bench: {error}"))),
        Ok(output) => {
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            let failed = !output.status.success();
            (printed, failed.then(|| format!("portolan-bench {group} failed ({})", output.status)))
        }
    }
}

/// The rows printed, completed to all keys, then the rows owed but not printed.
fn collect(group: &Group, printed: &str, failure: Option<&str>) -> Vec<Value> {
    let mut rows = Vec::new();
    for line in printed.lines() {
        match serde_json::from_str::<Map<String, Value>>(line) {
            Ok(row) if row.get("name").is_some_and(Value::is_string) => {
                rows.push(complete(group, &row));
            }
            _ => println!("{line}"),
        }
    }
    for name in group.rows {
        if rows.iter().any(|row| row["name"] == *name) {
            continue;
        }
        let why = failure.map_or_else(
            || format!("not reported by portolan-bench {}", group.name),
            str::to_owned,
        );
        let row =
            Map::from_iter([("name".to_owned(), json!(name)), ("why".to_owned(), json!(why))]);
        rows.push(complete(group, &row));
    }
    rows
}

fn complete(group: &Group, row: &Map<String, Value>) -> Value {
    let mut complete = Map::from_iter([("group".to_owned(), json!(group.name))]);
    for key in KEYS {
        complete.insert(key.to_owned(), row.get(key).cloned().unwrap_or(Value::Null));
    }
    if complete["value"].is_null() && complete["why"].is_null() {
        complete.insert("why".to_owned(), json!("no reason given"));
    }
    Value::Object(complete)
}

/// Aligned columns; a row without a value shows its reason in place of the figures.
fn table(rows: &[Value]) -> String {
    let wide = rows.iter().filter_map(|row| row["name"].as_str()).map(str::len).max().unwrap_or(4);
    let mut table = format!(
        "{:<9} {:<wide$} {:>12} {:<6} {:>12} {:<6} {:>7} {:>23}  peer, bound\n",
        "group", "name", "value", "unit", "target", "", "samples", "spread"
    );
    for row in rows {
        let (group, name) = (plain(&row["group"]), plain(&row["name"]));
        if row["value"].is_null() {
            let _ = writeln!(table, "{group:<9} {name:<wide$} {:>12} {}", "-", plain(&row["why"]));
            continue;
        }
        let spread =
            row["spread"].as_array().map(|ends| ends.iter().map(plain).collect::<Vec<_>>());
        let beside: Vec<_> = ["peer", "bound"].iter().filter_map(|key| named(&row[*key])).collect();
        let _ = writeln!(
            table,
            "{group:<9} {name:<wide$} {:>12} {:<6} {:>12} {:<6} {:>7} {:>23}  {}",
            plain(&row["value"]),
            plain(&row["unit"]),
            plain(&row["target"]),
            met(row).map_or("", |met| if met { "met" } else { "MISSED" }),
            plain(&row["samples"]),
            spread.map_or_else(String::new, |ends| ends.join(" .. ")),
            beside.join(", "),
        );
    }
    table
}

/// Whether the target is reached; `None` without a target.
fn met(row: &Value) -> Option<bool> {
    let (value, target) = (row["value"].as_f64()?, row["target"].as_f64()?);
    Some(if row["better"] == "higher" { value >= target } else { value <= target })
}

fn named(figure: &Value) -> Option<String> {
    Some(format!("{} {}", figure["name"].as_str()?, plain(&figure["value"])))
}

/// A figure with as many digits as a table can bear; nothing for null.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(figure) if number.is_f64() && figure.abs() >= 100.0 => format!("{figure:.0}"),
            Some(figure) if number.is_f64() => format!("{figure:.3}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// The commit checked out, marked when the tree differs from it.
pub(crate) fn commit(workspace: &Workspace) -> String {
    let git =
        |args: &[&str]| shell::capture(Command::new("git").current_dir(&workspace.root).args(args));
    let Ok(head) = git(&["rev-parse", "HEAD"]) else { return "unknown".to_owned() };
    let changed = git(&["status", "--porcelain"]).is_ok_and(|status| !status.trim().is_empty());
    format!("{}{}", head.trim(), if changed { "-changed" } else { "" })
}

/// The machine measured on, as far as Linux says.
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gib: u64,
    /// Load average of the last minute, taken before we build: what others were doing here.
    load_before: f64,
}

impl Machine {
    pub(crate) fn read() -> Self {
        let text = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo, loadavg) =
            (text("/proc/cpuinfo"), text("/proc/meminfo"), text("/proc/loadavg"));
        let after = |text: &str, key| {
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kib = after(&meminfo, "MemTotal")
            .and_then(|total| total.trim_end_matches(" kB").parse::<u64>().ok());
        Self {
            cpu: after(&cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kib.unwrap_or(0) + (1 << 19)) >> 20,
            load_before: loadavg
                .split(' ')
                .next()
                .and_then(|load| load.parse().ok())
                .unwrap_or(0.0),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({"cpu": self.cpu, "cores": self.cores, "memory_gib": self.memory_gib,
               "load_before": self.load_before})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Group = Group { name: "pair", rows: &["one", "two"] };

    #[test]
    fn a_row_owed_but_not_printed_is_listed_with_the_reason() {
        let printed = "note\n{\"name\":\"one\",\"value\":1.5,\"unit\":\"s\"}\n";
        let rows = collect(&PAIR, printed, Some("it crashed"));
        assert_eq!(rows.len(), 2);
        assert_eq!((&rows[0]["value"], &rows[0]["why"]), (&json!(1.5), &Value::Null));
        assert_eq!((&rows[1]["value"], &rows[1]["why"]), (&Value::Null, &json!("it crashed")));
        assert!(table(&rows).contains("it crashed"));
    }

    #[test]
    fn a_null_value_always_has_a_reason() {
        let rows = collect(&PAIR, "{\"name\":\"one\",\"value\":null}\n", None);
        assert!(rows.iter().all(|row| row["why"].is_string()), "{rows:?}");
    }

    #[test]
    fn targets_are_judged_in_their_direction() {
        let row = |better| json!({"value": 3, "target": 2, "better": better});
        assert_eq!(met(&row("higher")), Some(true));
        assert_eq!(met(&row("lower")), Some(false));
        assert_eq!(met(&json!({"value": 3})), None);
    }

    #[test]
    fn an_unknown_group_is_refused_with_the_known_ones() {
        let error = chosen(&["lop".to_owned()]).err().expect("no such group");
        assert!(error.to_string().contains("there are: planner, loop"), "{error}");
    }
}
