//! The supervisor alone: what the hidden command `portolan supervise DIR` does, in a program so small
//! that starting it costs no more than starting the command.

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
