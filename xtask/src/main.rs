//! `cargo xtask`: the bench by the door. One command a file; each runs what a person would type by
//! hand, says what it is doing and how long it took, and names the command to run it alone.
//!
//! Its one door is [`Task`]. Deliberately not in it: anything the product needs at run time, and any
//! async runtime, so that it builds in seconds before everything else.

mod bench;
mod ci;
mod dashboard;
mod demo;
mod openapi;
mod ray;
mod shell;
mod stage;
mod test;
mod tidy;
mod tools;
mod wan;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Builds, tests and measures Portolan.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
enum Task {
    /// Build everything and run `portolan demo` with the given arguments
    Demo {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Install what the tests need, then run all of them, stopping at the first failing stage
    Test {
        /// Also run the long tests (hours) and write their results to docs/long-run.md
        #[arg(long)]
        long: bool,
        /// Run the tests beside a real Ray cluster, and no others; installs Ray from PyPI if it is missing
        /// (400 MB, into the folder that PORTOLAN_RAY names, or /var/cache/portolan-ray/venv)
        #[arg(long, conflicts_with = "long")]
        ray: bool,
        /// Run only the tests whose name contains this
        filter: Option<String>,
    },
    /// `test`, then unused dependencies (cargo-machete) and licenses (cargo-deny)
    Ci {
        /// Install cargo-deny if it is missing (takes minutes)
        #[arg(long)]
        deny: bool,
    },
    /// Check the house rules: layers, sizes, banned idioms
    Tidy,
    /// Run benchmark groups and print one table
    Bench {
        /// Groups to run; all of them when none is named
        groups: Vec<String>,
        /// The folder with the data of experiments that is not shipped: `openb/` and `delta/`
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Also write the table as one JSON object
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// How what is measured is built: `dev`, where only what decides is optimized, will do for rows
        /// that say how good decisions are, not for those that say how fast
        #[arg(long, value_enum, default_value_t)]
        profile: bench::Profile,
    },
    /// Write openapi.json from the code, or check that it is current
    Openapi {
        /// Compare only; fail on a difference
        #[arg(long)]
        check: bool,
    },
    /// Build the dashboard and check its types
    Dashboard,
    /// Run an emulated network: `wan FILE [-- COMMAND…]`, or `wan clean` (see docs/wan.md)
    Wan {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

fn main() -> ExitCode {
    let task = Task::parse();
    let done = shell::Workspace::locate().and_then(|workspace| match task {
        Task::Demo { args } => demo::run(&workspace, &args),
        Task::Test { ray: true, filter, .. } => ray::run(&workspace, filter.as_deref()),
        Task::Test { long, filter, .. } => test::run(&workspace, long, filter.as_deref()),
        Task::Ci { deny } => ci::run(&workspace, deny),
        Task::Tidy => tidy::run(&workspace),
        Task::Bench { groups, data, json, profile } => {
            bench::run(&workspace, &groups, data.as_deref(), json.as_deref(), profile)
        }
        Task::Openapi { check } => openapi::run(&workspace, check),
        Task::Dashboard => dashboard::build_and_check(&workspace),
        Task::Wan { args } => wan::run(&workspace, &args),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
