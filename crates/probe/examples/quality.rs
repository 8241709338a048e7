//! Measures a link by hand: one side reflects, the other measures and prints a table.
//!
//!     cargo run -p probe --example quality -- reflect --listen 0.0.0.0:862
//!     cargo run -p probe --example quality -- measure 192.0.2.7:862 --count 1000 --interval 10ms

use anyhow::{Context, Result, bail};
use clap::Parser;
use probe::figures::{Direction, Figures, OneWay, Spread, Variation, WhyUnknown};
use probe::{
    Key, Keys, Reflector, ReflectorSettings, Session, SessionSettings, Spacing, WallClock, Window,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// The quality of a link, by STAMP (RFC 8762).
#[derive(Debug, Parser)]
enum Quality {
    /// Answer test packets until interrupted.
    Reflect {
        /// Where to listen.
        #[arg(long, value_parser = address)]
        listen: SocketAddr,
        /// Answer only these sources.
        #[arg(long)]
        allow: Vec<IpAddr>,
        /// Count this many sessions apart; 0 keeps no state.
        #[arg(long, default_value_t = 0)]
        sessions: usize,
        #[command(flatten)]
        both: Both,
    },
    /// Send test packets, then print what they say.
    Measure {
        /// The reflector.
        #[arg(value_parser = address)]
        remote: SocketAddr,
        /// How many packets.
        #[arg(long, default_value_t = 100)]
        count: u64,
        /// The mean time between two.
        #[arg(long, default_value = "100ms", value_parser = duration)]
        interval: Duration,
        /// Send at exponentially distributed gaps.
        #[arg(long)]
        poisson: bool,
        /// Bytes of a packet, without headers.
        #[arg(long)]
        size: Option<usize>,
        /// The class of traffic.
        #[arg(long, default_value_t = 0)]
        dscp: u8,
        /// How long an answer is waited for.
        #[arg(long, default_value = "2s", value_parser = duration)]
        patience: Duration,
        /// Print a table each time this long has passed; else one at the end.
        #[arg(long, value_parser = duration)]
        window: Option<Duration>,
        /// Repeats a run's departures.
        #[arg(long)]
        seed: Option<u64>,
        #[command(flatten)]
        both: Both,
    },
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and a port, such as 10.0.2.1:862".to_owned())
}

#[derive(Debug, clap::Args)]
struct Both {
    /// A file with the shared secret, 16 bytes or more; a line's end is no part of it.
    #[arg(long)]
    key_file: Option<PathBuf>,
    /// This machine's clock follows UTC within this.
    #[arg(long, value_parser = duration)]
    clock_within: Option<Duration>,
}

impl Both {
    fn key(&self) -> Result<Option<Key>> {
        let read = |path: &PathBuf| secret(path).with_context(|| path.display().to_string());
        self.key_file.as_ref().map(read).transpose()
    }

    fn clock(&self) -> WallClock {
        self.clock_within.map_or(WallClock::Free, WallClock::Within)
    }
}

fn secret(path: &Path) -> Result<Key> {
    let bytes = std::fs::read(path)?;
    let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(Key::new(line.strip_suffix(b"\r").unwrap_or(line))?)
}

/// `10ms`, `250us`, `2s`.
fn duration(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number = digits.parse().with_context(|| format!("`{text}` is no time: write 10ms"))?;
    Ok(match &text[digits.len()..] {
        "us" => Duration::from_micros(number),
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        unit => bail!("`{unit}` is no unit: write us, ms or s"),
    })
}

#[tokio::main]
async fn main() -> Result<()> {
    match Quality::parse() {
        Quality::Reflect { listen, allow, sessions, both } => {
            let settings = ReflectorSettings {
                keys: both.key()?.map_or(Keys::None, Keys::One),
                allowed: allow,
                sessions,
                clock: both.clock(),
            };
            let reflector = Reflector::bind(listen, settings).await?;
            println!("reflecting on {}", reflector.address());
            Ok(reflector.run().await?)
        }
        Quality::Measure {
            remote,
            count,
            interval,
            poisson,
            size,
            dscp,
            patience,
            window,
            seed,
            both,
        } => {
            let spacing = if poisson { Spacing::Poisson } else { Spacing::Jittered };
            let all = u32::try_from(count.saturating_mul(2)).unwrap_or(u32::MAX);
            let settings = SessionSettings {
                key: both.key()?,
                interval,
                spacing,
                size,
                dscp,
                clock: both.clock(),
                patience,
                window: window.unwrap_or(interval.saturating_mul(all)),
                count: Some(count),
                ..SessionSettings::new(remote)
            };
            measure(settings, seed).await
        }
    }
}

async fn measure(settings: SessionSettings, seed: Option<u64>) -> Result<()> {
    println!("STAMP to {}, {} packets", settings.remote, settings.count.unwrap_or_default());
    let random = match seed {
        Some(seed) => ChaCha20Rng::seed_from_u64(seed),
        None => ChaCha20Rng::from_seed(fresh_seed()?),
    };
    let session = Session::open(settings).await?;
    let (sender, mut windows) = mpsc::channel(16);
    let show = async {
        while let Some(window) = windows.recv().await {
            print(&window);
        }
    };
    let (done, ()) = tokio::join!(session.run(random, sender), show);
    Ok(done?)
}

fn fresh_seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}

fn print(window: &Window) {
    let Window { figures, pace, stamps, .. } = window;
    let Figures { sent, lost, late, duplicates, reordered, loss_runs, .. } = figures;
    let percent = f64::from(figures.loss_ppm().unwrap_or_default()) / 10_000.0;
    println!(
        "\n--- window {}, {:.1} s: {sent} sent, {} received, {lost} lost ({percent:.3} %)",
        window.number,
        window.lasted.as_secs_f64(),
        sent - lost
    );
    println!(
        "    {late} late, {duplicates} duplicate, {reordered} reordered, {} in {} runs of loss at most",
        loss_runs.longest, loss_runs.count
    );
    println!("{:<22}{:>11}{:>11}{:>11}{:>11}{:>11}", "ms", "min", "p50", "p90", "p99", "max");
    row("round trip", figures.round_trip);
    row("reflector's stay", figures.stay);
    varies("round trip", figures.variation);
    direction("there", figures.there);
    direction("back", figures.back);
    println!(
        "kernel stamps: {} of {sent} sent, {} of {} received",
        stamps.sent,
        stamps.received,
        sent - lost
    );
    println!(
        "pace {}: {} skipped, {} not sent, at worst {} ms late",
        if pace.kept() { "kept" } else { "NOT KEPT" },
        pace.skipped,
        pace.failed,
        pace.latest
    );
    println!(
        "{} dropped on this machine, {} strays, {} unusable",
        pace.overrun, window.strays, figures.unusable
    );
}

fn row(name: &str, spread: Option<Spread>) {
    match spread {
        Some(Spread { min, p50, p90, p99, max }) => {
            println!("{name:<22}{min:>11}{p50:>11}{p90:>11}{p99:>11}{max:>11}");
        }
        None => println!("{name:<22}{:>11}", "-"),
    }
}

fn varies(name: &str, variation: Variation) {
    row(&format!("{name} variation"), variation.ipdv);
    println!("{:<22}{:>11}", format!("{name} jitter"), variation.jitter);
}

fn direction(name: &str, direction: Direction) {
    varies(name, direction.variation);
    match direction.delay {
        OneWay::Known { delay, error } => row(&format!("{name} (±{error})"), Some(delay)),
        OneWay::Unknown(why) => println!("{name:<22}    unknown: {}", reason(why)),
    }
}

fn reason(why: WhyUnknown) -> String {
    match why {
        WhyUnknown::NoReply => "nothing came back".to_owned(),
        WhyUnknown::OwnClock => "this clock does not claim to follow UTC".to_owned(),
        WhyUnknown::OwnClockSet => "this clock was set".to_owned(),
        WhyUnknown::ReflectorsClock => "the reflector's clock claims nothing".to_owned(),
        WhyUnknown::Error(error) => format!("clocks may be off by {error} ms"),
        WhyUnknown::Contradiction => "a clock is worse than it claims".to_owned(),
    }
}
