//! Files that put a network on machines: what they say is what the program knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use whole_system::portolan;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// The program takes these arguments: with `--help` behind them it says so and does nothing else.
fn takes(args: &[String]) {
    let said = Command::new(portolan()).args(args).arg("--help").output().unwrap();
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{}: {complaint}", args.join(" "));
}

/// The command of a unit, its variables put in from a file of them.
fn command(unit: &str, env: &str) -> Vec<String> {
    let joined = unit.replace("\\\n", " ");
    let line = joined.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let vars: Vec<(String, &str)> = env
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("${{{name}}}"), value))
        .collect();
    let fill = |word: &str| {
        let var = vars.iter().find(|(name, _)| name == word);
        var.map_or(word, |(_, value)| *value).replace("%d", "/run").replace("%S", "/var/lib")
    };
    line.split_ascii_whitespace().map(fill).collect()
}

#[test]
fn units_start_the_program_in_a_way_that_it_knows() {
    let dir = deploy().join("systemd");
    let env = fs::read_to_string(dir.join("agent.env")).unwrap();
    for name in ["portolan-server.service", "portolan-agent.service"] {
        let unit = fs::read_to_string(dir.join(name)).unwrap();
        let command = command(&unit, &env);
        assert_eq!(command[0], "/usr/bin/portolan");
        assert!(!command.iter().any(|word| word.contains("${")), "{name}: {command:?}");
        takes(&command[1..]);
    }
}

#[test]
fn systemd_finds_nothing_wrong_in_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: no systemd here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["portolan-server.service", "portolan-agent.service"] {
        let unit = fs::read_to_string(deploy().join("systemd").join(name)).unwrap();
        let unit = unit.replace("/usr/bin/portolan", &portolan().display().to_string());
        let file = dir.path().join(name);
        fs::write(&file, unit).unwrap();
        let verified = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(name)).collect();
        assert!(ours.is_empty(), "{}", ours.join("\n"));
    }
}

#[test]
fn what_kubernetes_is_given_starts_the_program_in_a_way_that_it_knows() {
    let manifest = |name: &str| fs::read_to_string(deploy().join("kubernetes").join(name)).unwrap();
    for (name, task) in [("server.yaml", "serve"), ("agent.yaml", "agent")] {
        let text = manifest(name);
        let args = text.lines().skip_while(|line| line.trim() != "args:").skip(1);
        let args = args.map_while(|line| line.trim().strip_prefix("- ").map(str::to_owned));
        let args: Vec<String> = args.collect();
        assert_eq!(args[0], task);
        takes(&args);
    }
    for path in ["/healthz", "/readyz"] {
        assert!(manifest("server.yaml").contains(&format!("path: {path}")));
    }
}
