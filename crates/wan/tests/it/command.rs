//! The program `wan`.

use crate::{PAIR, is_skipped, is_there};
use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

/// `wan run` of two sites, with further arguments, and what it prints.
fn run(folder: &tempfile::TempDir, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let file = folder.path().join("pair.toml");
    std::fs::write(&file, PAIR).expect("the folder is there");
    let mut child = Command::new(env!("CARGO_BIN_EXE_wan"))
        .arg("run")
        .arg(file)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    (child, lines)
}

/// Reads up to a line that contains `part`.
fn until(lines: &mut Lines<BufReader<ChildStdout>>, part: &str) -> String {
    let mut lines = lines.map(|line| line.expect("it prints text"));
    let line = lines.find(|line| line.contains(part));
    assert!(line.is_some(), "it never said {part}");
    line.unwrap_or_default()
}

/// The namespace of east, as the table names it.
fn namespace(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let row = until(lines, "-east ");
    row.split_whitespace().nth(1).expect("the table has namespaces").to_owned()
}

#[test]
fn a_command_runs_beside_the_network_knows_it_and_lends_its_exit_code() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $WAN_WEST $WAN_NS_WEST; ip netns exec $WAN_NS_EAST ip address; exit 7";
    let (mut child, mut lines) = run(&folder, &["--", "sh", "-c", script]);
    let east = namespace(&mut lines);
    let west = east.replace("-east", "-west");
    until(&mut lines, &format!("10.0.2.1 {west}"));
    until(&mut lines, "10.0.1.1/32");
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(!is_there(&east));
}

#[test]
fn changes_are_typed_and_mistakes_are_answered() {
    if is_skipped() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut lines) = run(&folder, &[]);
    let east = namespace(&mut lines);
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "cut east-west\nset east>west rate=500M loss=1%\nshow").unwrap();
    until(&mut lines, "done");
    let row = until(&mut lines, "east>west");
    let words: Vec<_> = row.split_whitespace().collect();
    assert_eq!(words, ["east>west", "500", "Mbit/s", "0ns", "0ns", "93", "KiB", "1", "%", "cut"]);
    assert!(until(&mut lines, "west>east").contains("unlimited"));
    writeln!(input, "set east-west rate=fast\nburn east-west").unwrap();
    until(&mut lines, "`fast` is not that; expected a rate");
    until(&mut lines, "`burn east-west` is not understood");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!is_there(&east));
}

#[test]
fn what_a_killed_run_leaves_is_removed_and_what_runs_is_not() {
    let Some(running) = crate::pair("") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (mut child, mut lines) = run(&folder, &[]);
    let east = namespace(&mut lines);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_there(&east), "nobody could clean up");
    let clean = Command::new(env!("CARGO_BIN_EXE_wan")).arg("clean").output().unwrap();
    let said = String::from_utf8(clean.stdout).unwrap();
    let prefix = east.trim_end_matches("-east");
    assert!(said.contains(&format!("removed {prefix}-*")), "{said}");
    assert!(!is_there(&east));
    assert!(is_there(running.site("east").unwrap().namespace()));
}

#[test]
fn a_file_that_is_wrong_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.toml");
    std::fs::write(&file, format!("{PAIR}rate = \"fast\"\n")).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_wan")).arg("run").arg(file).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("wrong.toml:7:8: `fast` is not that; expected a rate"), "{said}");
    assert_eq!(run.status.code(), Some(1));
}
