//! Supervisors alone: what the hidden command `portolan supervise` does, in a program so small that
//! starting it costs no more than starting the command.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    engines::supervise(&words)
}
