//! Programs the tests need: found, installed by their package manager, or named in one clear line.

use crate::shell::{self, Workspace};
use anyhow::{Result, bail};
use std::path::Path;
use std::process::Command;

/// A compiler for the C parts (SQLite, ring, zstd), and the Rust components that check style.
pub(crate) fn provide_compilers() -> Result<()> {
    if !shell::works(Command::new("cc").arg("--version")) {
        bail!("no C compiler (`cc`): run `apt install build-essential`");
    }
    for (component, subcommand) in [("rustfmt", "fmt"), ("clippy", "clippy")] {
        let present = || shell::works(Command::new("cargo").args([subcommand, "--version"]));
        if present() {
            continue;
        }
        println!("{component} is missing: running `rustup component add {component}`");
        let added = shell::run(Command::new("rustup").args(["component", "add", component]));
        if added.is_err() || !present() {
            bail!(
                "{component} is missing and could not be added: run `rustup component add {component}`"
            );
        }
    }
    Ok(())
}

/// Whether a cargo subcommand is there, after trying to install it if it is not.
pub(crate) fn provide_subcommand(workspace: &Workspace, name: &str) -> bool {
    if has_subcommand(workspace, name) {
        return true;
    }
    println!("cargo-{name} is missing: running `cargo install cargo-{name} --locked`");
    let installed =
        shell::run(&mut workspace.cargo(["install", &format!("cargo-{name}"), "--locked"]));
    installed.is_ok() && has_subcommand(workspace, name)
}

/// Whether a cargo subcommand is there.
pub(crate) fn has_subcommand(workspace: &Workspace, name: &str) -> bool {
    shell::works(&mut workspace.cargo([name, "--version"]))
}

/// The programs of engines that tests start, and the packages that have them.
const ENGINES: [(&str, &str); 16] = [
    ("/usr/sbin/slurmctld", "slurmctld"),
    ("/usr/sbin/slurmd", "slurmd"),
    ("/usr/bin/sbatch", "slurm-client"),
    ("/usr/sbin/munged", "munge"),
    ("/usr/sbin/slurmrestd", "slurmrestd"),
    ("/usr/sbin/slurmdbd", "slurmdbd"),
    ("/usr/share/doc/slurm-wlm-jwt-plugin", "slurm-wlm-jwt-plugin"),
    ("/usr/share/doc/slurm-wlm-mysql-plugin", "slurm-wlm-mysql-plugin"),
    ("/usr/sbin/mariadbd", "mariadb-server-core"),
    ("/usr/bin/mariadb", "mariadb-client-core"),
    ("/usr/bin/tsp", "task-spooler"),
    ("/usr/bin/bwrap", "bubblewrap"),
    ("/usr/bin/podman", "podman"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/bin/catatonit", "catatonit"),
    ("/bin/busybox", "busybox-static"),
];

/// Makes sure of npm, through apt where we may use it.
pub(crate) fn provide_npm() -> Result<()> {
    if has_npm() {
        return Ok(());
    }
    println!("npm is missing: running `apt-get install nodejs npm`");
    let _ = apt_install(&["nodejs", "npm"]);
    if !has_npm() {
        bail!(
            "npm is missing and could not be installed from here: run `apt install nodejs npm` as root"
        );
    }
    Ok(())
}

/// Makes sure of ping, through apt where we may use it. The tests beside it skip without.
pub(crate) fn provide_ping() {
    let has_ping = || shell::works(Command::new("ping").arg("-V"));
    if !has_ping() {
        println!("ping is missing: running `apt-get install iputils-ping`");
        if apt_install(&["iputils-ping"]).is_err() || !has_ping() {
            println!("ping could not be installed: going on without the test beside it");
        }
    }
}

/// Makes sure of the engines that tests start, through apt where we may use it. Only root can run what
/// the tests need of them; everybody else goes on without those tests.
pub(crate) fn provide_engines() -> Result<()> {
    let is_root = shell::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let are_there = || ENGINES.iter().all(|(program, _)| Path::new(program).exists());
    if !is_root {
        println!("only root can run Slurm clusters: going on without the tests beside them");
        return Ok(());
    }
    if are_there() {
        return Ok(());
    }
    let packages = ENGINES.map(|(_, package)| package);
    println!("Slurm or task spooler is missing: running `apt-get install {}`", packages.join(" "));
    let _ = apt_install(&packages);
    if !are_there() {
        bail!("engines could not be installed: run `apt install {}` as root", packages.join(" "));
    }
    Ok(())
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let apt = |args: &[&str]| {
        shell::run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(args))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], packages].concat())
}

/// Whether npm is there.
pub(crate) fn has_npm() -> bool {
    shell::works(Command::new("npm").arg("--version"))
}
