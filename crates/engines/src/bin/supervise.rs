//! The supervisor alone: what the hidden command `portolan supervise DIR` does, for the tests of
//! this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(dir) => engines::supervise(dir.as_ref()),
        None => {
            eprintln!("usage: portolan-supervise DIR");
            ExitCode::FAILURE
        }
    }
}
