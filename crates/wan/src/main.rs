//! `wan`: sets an emulated network up, and keeps it while a command runs or until it is told to end.
//!
//! Its one door is the command line. Deliberately not in it: anything about networks, which the
//! library does.

mod console;
mod table;

use anyhow::{Context, Result};
use clap::Parser;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io::BufRead;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use wan::{Options, Topology, Wan};

/// A wide-area network on this machine: real network namespaces, emulated links.
#[derive(Parser)]
#[command(name = "wan", disable_help_subcommand = true)]
enum Task {
    /// Set up the network of a topology file
    ///
    /// With a COMMAND, run it beside the network, with WAN_<SITE> set to each site's address and
    /// WAN_NS_<SITE> to its namespace, and end with its exit code. Without, read changes from the
    /// keyboard until Ctrl-C.
    Run {
        /// The topology file
        file: PathBuf,
        /// Name the namespaces wan-PREFIX-SITE
        #[arg(long)]
        prefix: Option<String>,
        /// Leave routes as they are when a link is cut
        #[arg(long)]
        no_reroute: bool,
        /// Decides which packets are lost, and jitter
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// What to run
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Remove what killed runs have left
    Clean,
}

/// What a running network waits for.
enum Event {
    /// Somebody typed this.
    Line(String),
    /// The command has ended.
    Ended(std::io::Result<ExitStatus>),
    /// Somebody wants us to end, by this signal.
    Signal(i32),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Clean => clean(),
        Task::Run { file, prefix, no_reroute, seed, command } => {
            let options = Options { prefix, reroute: !no_reroute, seed };
            run(&file, options, &command)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn clean() -> Result<ExitCode> {
    let cleaned = wan::clean()?;
    for prefix in &cleaned {
        println!("removed wan-{prefix}-*");
    }
    println!("{} networks of processes that are gone", cleaned.len());
    Ok(ExitCode::SUCCESS)
}

fn run(file: &Path, options: Options, command: &[String]) -> Result<ExitCode> {
    let topology = Topology::read(file)?;
    let (tell, events) = mpsc::channel();
    // Before anything is there that a signal would leave behind.
    listen_for_signals(tell.clone())?;
    let wan = Wan::start(&topology, options)?;
    println!("{}\n\n{}", table::sites(&wan), table::links(&wan));
    if !wan.is_realtime() {
        println!("\nSCHED_FIFO is not permitted: times are late while this machine is busy.");
    }
    if events.try_recv().is_ok() {
        // Somebody wanted us to end before a command was there to be told so too.
        return Ok(ExitCode::FAILURE);
    }
    match command.split_first() {
        None => Ok(converse(&wan, tell, &events)),
        Some((program, arguments)) => accompany(&wan, program, arguments, tell, &events),
    }
}

/// Does what is typed until a signal comes.
fn converse(wan: &Wan, tell: Sender<Event>, events: &Receiver<Event>) -> ExitCode {
    println!("\n{}", console::HELP);
    listen_for_lines(tell);
    for event in events {
        match event {
            Event::Line(line) => match console::obey(wan, &line) {
                Ok(answer) if answer.is_empty() => {}
                Ok(answer) => println!("{answer}"),
                Err(error) => println!("{error}"),
            },
            Event::Signal(_) | Event::Ended(_) => break,
        }
    }
    ExitCode::SUCCESS
}

/// Runs a command until it ends.
fn accompany(
    wan: &Wan,
    program: &str,
    arguments: &[String],
    tell: Sender<Event>,
    events: &Receiver<Event>,
) -> Result<ExitCode> {
    let child = Command::new(program).args(arguments).envs(table::environment(wan)).spawn();
    let child = child.with_context(|| format!("cannot start {program}"))?;
    let pid = rustix::process::Pid::from_child(&child);
    wait_for(child, tell);
    for event in events {
        match event {
            Event::Ended(status) => return status.map(exit_code).context("cannot wait for it"),
            // A terminal has sent Ctrl-C to the command too; a TERM is for us alone.
            Event::Signal(SIGTERM) => {
                // Refused only where it has just ended, which is the next event.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            Event::Signal(_) | Event::Line(_) => {}
        }
    }
    Ok(ExitCode::FAILURE)
}

fn listen_for_signals(tell: Sender<Event>) -> Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
    thread::spawn(move || {
        signals.forever().try_for_each(|signal| tell.send(Event::Signal(signal)))
    });
    Ok(())
}

/// The end of the input is no reason to end: it may never have been there.
fn listen_for_lines(tell: Sender<Event>) {
    thread::spawn(move || {
        let mut lines = std::io::stdin().lock().lines().map_while(Result::ok);
        lines.try_for_each(|line| tell.send(Event::Line(line)))
    });
}

fn wait_for(mut child: Child, tell: Sender<Event>) {
    thread::spawn(move || tell.send(Event::Ended(child.wait())));
}

/// The command's exit code; of one ended by a signal, what a shell would say.
fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}
