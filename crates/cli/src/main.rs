//! `portolan`: one binary for servers, agents and people.
//!
//! Everything it does for people goes through the REST API by the crate `client`; what it knows by
//! itself is how to read files, print tables and wait.

mod agent;
mod serve;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Where a server listens when nothing else is said.
const SERVER: &str = "http://127.0.0.1:7070";

/// Many computing centers as one network: submit once, it runs in the best of them.
#[derive(Debug, Parser)]
#[command(name = "portolan", version, max_term_width = 100)]
struct Portolan {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a network's server.
    Serve(serve::Serve),
    /// Run a center's agent, beside its engine.
    Agent(agent::Agent),
    /// Hold one attempt: started by an agent, never by people.
    #[command(hide = true)]
    Supervise {
        /// The attempt's directory.
        dir: PathBuf,
    },
    /// Print the REST API's description in OpenAPI.
    #[command(hide = true)]
    Openapi,
}

fn main() -> ExitCode {
    let portolan = Portolan::parse();
    // A supervisor stays small: it starts neither a runtime nor anything that logs.
    if let Command::Supervise { dir } = &portolan.command {
        return engines::supervise(dir);
    }
    log_to_stderr();
    install_tls();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(portolan.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(serve) => serve.run().await,
        Command::Agent(agent) => agent.run().await,
        Command::Openapi => {
            println!("{}", api::openapi().to_pretty_json()?);
            Ok(())
        }
        Command::Supervise { .. } => Ok(()),
    }
}

fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("PORTOLAN_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,server=info,agent=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// One crypto provider for the whole process; the libraries ask for it.
fn install_tls() {
    // It fails only if one is installed already, and then there is nothing to do.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
