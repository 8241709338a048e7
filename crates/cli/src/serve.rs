//! `portolan serve`.

use anyhow::Context;
use clap::Args;
use model::Span;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Run a network's server.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Where its log, its archive and its secrets are kept.
    #[arg(long, value_name = "DIR", env = "PORTOLAN_SERVER_DIR")]
    dir: PathBuf,
    /// Where it listens. Off loopback it needs a certificate and its key.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// Certificate chain, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificates: Option<PathBuf>,
    /// The certificate's private key, PEM.
    #[arg(long, value_name = "FILE", requires = "tls_certificates")]
    tls_key: Option<PathBuf>,
    /// Write the address it listens on into this file once it does; useful with port 0.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    /// How long a center may be silent before nothing more is placed there.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    silent_after: Span,
    /// How long after a lease has run out the server takes an attempt to be over.
    #[arg(long, value_name = "TIME", default_value = "15s")]
    lease_margin: Span,
    /// How long an agent's request for orders may be held back.
    #[arg(long, value_name = "TIME", default_value = "20s")]
    poll: Span,
    /// How long ended jobs stay in memory before they are read from the archive.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    keep_ended: Span,
    /// How many ended jobs stay in memory at the most.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    keep_ended_jobs: usize,
    /// How long agents measure the ways between centers before each report.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = quality_window)]
    quality_window: Span,
    /// Test what a link delivers when nothing has told of it for this long, such as `6h`: filler goes
    /// over it for some seconds where nothing is booked. Without it only links that somebody asks for
    /// are tested.
    #[arg(long, value_name = "EVERY", value_parser = test_every)]
    test_links: Option<Span>,
    /// What plans are to bring about for all jobs together: fair, mean-completion, makespan or
    /// deadline-first.
    #[arg(long, value_name = "AIM", default_value = "fair")]
    aim: planner::Aim,
    /// At which intervals it is worked out what tenants are entitled to, such as `10m`, where plans are to
    /// be fair: who has less comes first, and takes the place of preemptible jobs. Without it past use
    /// alone decides whose turn it is.
    #[arg(long, value_name = "EVERY", value_parser = round)]
    round: Option<Span>,
    /// Let nobody make room: jobs of higher priority wait like all others.
    #[arg(long)]
    no_preemption: bool,
    /// Take a snapshot after so many facts.
    #[arg(long, value_name = "FACTS", default_value_t = 50_000)]
    snapshot_every: u64,
    /// Serve /metrics without a token.
    #[arg(long)]
    metrics_open: bool,
    /// Make every commit take this much longer, to measure a slow disk.
    #[arg(long, value_name = "TIME", hide = true)]
    commit_delay: Option<Span>,
    /// End when whoever started it ends.
    #[arg(long, hide = true)]
    with_parent: bool,
    /// Break a promise on purpose, to prove that tests notice.
    #[arg(long, value_enum, hide = true)]
    sabotage: Option<Sabotage>,
}

/// A window holds four test packets at least, and no more than agents keep in mind.
fn quality_window(text: &str) -> Result<Span, String> {
    let window: Span = text.parse().map_err(|e: model::NotAnAmount| e.to_string())?;
    let fits = (Span::from_secs(1)..=Span::from_secs(3_600)).contains(&window);
    fits.then_some(window).ok_or_else(|| format!("{window} is not between 1s and 1h"))
}

/// No direction is tested again within ten minutes, unless somebody asks.
fn test_every(text: &str) -> Result<Span, String> {
    let every: Span = text.parse().map_err(|e: model::NotAnAmount| e.to_string())?;
    let fits = every >= Span::from_secs(600);
    fits.then_some(every).ok_or_else(|| format!("{every} is less than 10m"))
}

fn round(text: &str) -> Result<Span, String> {
    let round: Span = text.parse().map_err(|e: model::NotAnAmount| e.to_string())?;
    let fits = round >= Span::from_secs(60);
    fits.then_some(round).ok_or_else(|| format!("{round} is less than 1m"))
}

/// A promise to break.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Sabotage {
    /// Answers leave before their facts are durable.
    ReplyBeforeAppend,
    /// A silent center's attempts are placed again at once.
    NoFencing,
}

impl Serve {
    /// Serves until a signal comes.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.with_parent {
            end_with_parent()?;
        }
        let stop = CancellationToken::new();
        let address_file = self.address_file.clone();
        let running = server::serve(self.settings(), stop.clone()).await?;
        let address = running.address;
        if let Some(path) = address_file {
            let temporary = path.with_extension("new");
            std::fs::write(&temporary, address.to_string())
                .and_then(|()| std::fs::rename(&temporary, &path))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        eprintln!("portolan serves on {address}");
        let ended = running.ended();
        tokio::pin!(ended);
        tokio::select! {
            result = &mut ended => return Ok(result?),
            signal = asked_to_stop() => signal?,
        }
        stop.cancel();
        Ok(ended.await?)
    }

    fn settings(self) -> server::Settings {
        let mut settings = server::Settings::new(self.dir, self.listen);
        settings.tls = self
            .tls_certificates
            .zip(self.tls_key)
            .map(|(certificates, key)| api::serve::Tls { certificates, key });
        settings.controller = controller::Settings {
            silent_after: self.silent_after,
            lease_margin: self.lease_margin,
            keep_ended: self.keep_ended,
            keep_ended_jobs: self.keep_ended_jobs,
            quality_window: self.quality_window,
            test_links: self.test_links,
            ..controller::Settings::default()
        };
        settings.controller.policy = settings.controller.policy.towards(self.aim);
        settings.controller.policy.round = self.round;
        if self.no_preemption {
            settings.controller.policy.preempting = None;
        }
        settings.api.metrics_open = self.metrics_open;
        settings.poll = self.poll;
        settings.snapshot_every = self.snapshot_every;
        settings.commit_delay = self.commit_delay.map(|span| Duration::from_millis(span.0));
        settings.sabotage = self.sabotage.map(|sabotage| match sabotage {
            Sabotage::ReplyBeforeAppend => server::Sabotage::ReplyBeforeAppend,
            Sabotage::NoFencing => server::Sabotage::NoFencing,
        });
        settings
    }
}

/// Waits for Ctrl-C or a polite kill.
pub(crate) async fn asked_to_stop() -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => Ok(result?),
        _ = terminate.recv() => Ok(()),
    }
}

/// Asks the kernel for a polite kill when the process that started this one ends.
pub(crate) fn end_with_parent() -> anyhow::Result<()> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    Ok(set_parent_process_death_signal(Some(Signal::TERM))?)
}
