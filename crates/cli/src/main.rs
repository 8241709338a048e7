//! `portolan`: one binary for servers, agents and people.
//!
//! Everything it does for people goes through the REST API by the crate `client`; what it knows by
//! itself is how to read files, print tables and wait. Only `portolan log` looks at a log's own
//! files, for those who keep one.
//!
//! Deliberately absent: decisions of any kind.

mod agent;
mod catalog;
mod center;
mod center_bench;
mod center_check;
mod completion;
mod dataset;
mod demo;
mod external;
mod failure;
mod job;
mod keeping;
mod last_plan;

mod link;
mod load;
mod log;
mod look;
mod network;
mod progress;
mod promise;
mod quality;
mod reservation;
mod sbatch;
mod serve;
mod session;
mod share;
mod simulate;
mod slurm;
mod table;
mod token;
mod transfer;
mod whatif;

use clap::{Parser, Subcommand};
use failure::Code;
use job::change::Change;
use session::{Globals, Session};
use std::ffi::OsString;
use std::process::ExitCode;

/// Gives memory back also for threads that are idle: other allocators keep what each of many threads
/// once held, which for a server that runs for months is most of what it has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Where a server listens when nothing else is said.
const SERVER: &str = "http://127.0.0.1:7070";

/// Many computing centers as one network: submit once, it runs in the best of them.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100, after_help = failure::CODES)]
struct Portolan {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    globals: Globals,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    /// Run a network's server.
    Serve(serve::Serve),
    /// Run a center's agent, beside its engine.
    Agent(agent::Agent),
    Apply(network::Apply),
    Submit(job::submit::Submit),
    Sbatch(sbatch::Sbatch),
    Squeue(slurm::squeue::Squeue),
    Scancel(slurm::scancel::Scancel),
    Sinfo(slurm::sinfo::Sinfo),
    #[command(subcommand)]
    Scontrol(slurm::scontrol::Scontrol),
    Jobs(job::list::List),
    Job(job::show::Show),
    Why(job::plan::Explain),
    Logs(job::log::Logs),
    /// End jobs. They have ended once nothing of them is alive.
    Cancel(job::change::Which),
    /// Keep waiting jobs from being planned.
    Hold(job::change::Which),
    /// Let held jobs be planned.
    Release(job::change::Which),
    /// Stop jobs and have them begin anew.
    Requeue(job::change::Requeue),
    Plan(job::plan::Trial),
    Promises(promise::Show),
    #[command(subcommand)]
    Data(dataset::Data),
    Stores(external::Stores),
    Centers(center::List),
    #[command(subcommand)]
    Center(center::Change),
    /// List links: what is booked on them, what they are planned at, and whether promises hold.
    Links,
    #[command(subcommand)]
    Link(link::Change),
    /// List what was measured between centers: round trips, loss, rates.
    Paths,
    Circles(quality::Near),
    Transfers(transfer::List),
    /// List tenants.
    Tenants,
    Quota(share::Quota),
    Recall(share::Recall),
    Reserve(reservation::Reserve),
    Reservations(reservation::List),
    /// List what owners lend one another now, and lent of late.
    Lent,
    /// Say who used how much of the network against its weight, and why the next job is whose.
    Shares,
    /// List the chips the network knows.
    Chips,
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Log(log::Log),
    Simulate(simulate::Simulate),
    Load(load::Load),
    Whatif(whatif::Whatif),
    Completions(completion::Completions),
    /// Print the REST API's description in OpenAPI.
    #[command(hide = true)]
    Openapi,
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // An agent holds each attempt by one of these, and nobody else asks for it: it stays small, and knows
    // neither options nor a runtime nor anything that logs.
    if let [_, word, rest @ ..] = &*words
        && word == "supervise"
    {
        return engines::supervise(rest);
    }
    let portolan = Portolan::parse_from(sbatch::apart(words));
    log_to_stderr(&portolan.command);
    install_tls();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            session::note(format!("error: no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let session = Session::new(portolan.globals);
    let code = match runtime.block_on(run(portolan.command, &session)) {
        Ok(()) => Code::Ok,
        Err(error) => failure::report(&error, &session.look),
    };
    // A thread that still reads standard input would hold the program up.
    runtime.shutdown_background();
    code.into()
}

async fn run(command: Command, session: &Session) -> anyhow::Result<()> {
    match command {
        Command::Demo(demo) => demo.run(session).await,
        Command::Serve(serve) => serve.run().await,
        Command::Agent(agent) => agent.run().await,
        Command::Apply(apply) => apply.run(session).await,
        Command::Submit(submit) => submit.run(session).await,
        Command::Sbatch(sbatch) => sbatch.run(session).await,
        Command::Squeue(squeue) => squeue.run(session).await,
        Command::Scancel(scancel) => scancel.run(session).await,
        Command::Sinfo(sinfo) => sinfo.run(session).await,
        Command::Scontrol(scontrol) => scontrol.run(session).await,
        Command::Jobs(list) => list.run(session).await,
        Command::Job(show) => show.run(session).await,
        Command::Why(explain) => explain.run(session).await,
        Command::Logs(logs) => logs.run(session).await,
        Command::Cancel(which) => which.run(Change::Cancel, session).await,
        Command::Hold(which) => which.run(Change::Hold, session).await,
        Command::Release(which) => which.run(Change::Release, session).await,
        Command::Requeue(requeue) => requeue.run(session).await,
        Command::Plan(trial) => trial.run(session).await,
        Command::Promises(show) => show.run(session).await,
        Command::Data(data) => data.run(session).await,
        Command::Stores(stores) => stores.run(session).await,
        Command::Centers(list) => list.run(session).await,
        Command::Center(change) => change.run(session).await,
        Command::Link(change) => change.run(session).await,
        Command::Links => session.show(&session.client()?.links().await?, link::table),
        Command::Paths => session.show(&session.client()?.paths().await?, quality::table_of_paths),
        Command::Circles(near) => near.run(session).await,
        Command::Transfers(list) => list.run(session).await,
        Command::Tenants => session.show(&session.client()?.tenants().await?, network::tenants),
        Command::Quota(quota) => quota.run(session).await,
        Command::Recall(recall) => recall.run(session).await,
        Command::Reserve(reserve) => reserve.run(session).await,
        Command::Reservations(list) => list.run(session).await,
        Command::Lent => session.show(&session.client()?.lent().await?, share::lent),
        Command::Shares => session.show(&session.client()?.shares().await?, share::shares),
        Command::Chips => session.show(&session.client()?.chips().await?, network::chips),
        Command::Token(token) => token.run(session).await,
        Command::Log(log) => log.run(session).await,
        Command::Simulate(simulate) => simulate.run(session),
        Command::Load(load) => load.run(session).await,
        Command::Whatif(what_if) => what_if.run(session).await,
        Command::Completions(completions) => completions.run(),
        Command::Openapi => session::print(&format!("{}\n", api::openapi().to_pretty_json()?)),
    }
}

/// What runs on says what it does; commands say by themselves what there is to say.
fn log_to_stderr(command: &Command) {
    use tracing_subscriber::EnvFilter;
    let usual = match command {
        Command::Serve(_) | Command::Agent(_) => "warn,server=info,agent=info,rustls=off",
        _ => "error,rustls=off",
    };
    let filter = EnvFilter::try_from_env("PORTOLAN_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let colors = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colors);
    subscriber.with_writer(std::io::stderr).init();
}

/// One crypto provider for the whole process; the libraries ask for it.
fn install_tls() {
    // It fails only if one is installed already, and then there is nothing to do.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests;
