//! A machine whose jobs go through the task spooler of one of its users.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use whole_system::portolan;

/// The user whom every machine has; tenants' jobs do not run as root.
const NOBODY: &str = "65534";

#[test]
fn task_spooler_passes_the_check_of_a_center() {
    let is_there = Command::new("tsp").arg("-V").output().is_ok();
    if !is_there || !rustix::process::geteuid().is_root() {
        eprintln!("skipped: no task spooler here, or not root; apt install task-spooler");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
    // Where it was built, nobody may have no way to it.
    let program = dir.path().join("portolan");
    fs::copy(portolan(), &program).unwrap();
    let socket = dir.path().join("socket");
    let config = dir.path().join("engine.toml");
    fs::write(&config, format!("[task-spooler]\nsocket = {socket:?}\n")).unwrap();
    let as_nobody = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", program]);
        command.current_dir(dir.path()).env("HOME", dir.path()).env("TS_SOCKET", &socket);
        command
    };
    let mut check = as_nobody(&program.display().to_string());
    check.args(["center", "check", "--engine", "task-spooler", "--dir"]).arg(dir.path());
    let checked = check.arg("--config").arg(&config).output().unwrap();
    let stopped = as_nobody("tsp").arg("-K").status().unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    let complained = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{said}\n{complained}");
    assert!(said.contains("ready: 16 of 16"), "{said}");
    assert!(!dir.path().join("attempts").exists(), "something is left behind");
    assert!(stopped.success());
}
