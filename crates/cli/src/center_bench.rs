//! `portolan center bench`: what the host it runs on can show.

use crate::agent::{BenchCommand, bench_commands};
use crate::look::Look;
use crate::progress;
use crate::session::{Session, note};
use crate::table::{Column, Table};
use anyhow::{Context, bail};
use capability::{Listener, Settings, Vendor, measure};
use clap::Args;
use model::{CenterId, ChipId, Figure, PoolId};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use wire::view::{BenchReport, CommandRun, Missing};

/// What is measured, and where it goes.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Measure the storage on which this directory is; nothing is left there.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Measure the way to another host, on which `portolan center bench --listen` runs.
    #[arg(long, value_name = "HOST:PORT")]
    peer: Option<String>,
    /// Measure nothing: be the other end for a host that names this one with --peer. Whoever can reach
    /// the address may use it; it ends after ten minutes, or when interrupted.
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["dir", "peer", "command", "config", "out"])]
    listen: Option<SocketAddr>,
    /// Fewer repeats of less each: for trying it out.
    #[arg(long)]
    quick: bool,
    /// Run what the `[[bench]]` tables of this file say of accelerators: the file that the agent is given
    /// as --engine-config.
    #[arg(long, value_name = "FILE", alias = "engine-config")]
    config: Option<PathBuf>,
    /// Run this command, in a shell's words, which measures an accelerator.
    #[arg(long, value_name = "COMMAND", requires = "reads")]
    command: Option<String>,
    /// Where its output has the number: a regular expression with a group around it, or a JSON pointer.
    #[arg(long, value_name = "PATTERN", requires = "command")]
    reads: Option<String>,
    /// What it counts in.
    #[arg(long, value_name = "UNIT", default_value = "TFLOPS")]
    unit: String,
    /// The chip that it measures, as the catalog calls it.
    #[arg(long, value_name = "CHIP")]
    chip: Option<ChipId>,
    /// How many chips it keeps busy.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    chips: u32,
    /// In which precision it computes.
    #[arg(long, value_name = "PRECISION", default_value = "bf16")]
    precision: String,
    /// Write the report into this file, for `portolan center verify`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Hand in what a center showed: with --pool a report of `portolan center bench`, which becomes that pool's
/// verified capability, and without it one that `portolan center check --output json` printed.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Whose.
    center: CenterId,
    /// The pool whose nodes are like the host that was measured.
    #[arg(long)]
    pool: Option<PoolId>,
    /// The report.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
}

/// How long the other end of a fabric is there.
const LISTENS: Duration = Duration::from_mins(10);

impl Bench {
    /// Measures, prints what was found, and writes it where it is to go.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        if let Some(address) = self.listen {
            return listen(address).await;
        }
        let settings = Settings {
            is_quick: self.quick,
            dir: self.dir.clone(),
            peer: self.peer.clone(),
            commands: self.vendors()?,
        };
        let bar = progress::spinner("measuring".to_owned());
        let shown = bar.clone();
        let measuring = move || measure(&settings, &mut |said| shown.set_message(said.to_owned()));
        let report = tokio::task::spawn_blocking(measuring).await?;
        bar.finish_and_clear();
        if let Some(file) = &self.out {
            let mut json = serde_json::to_string_pretty(&report)?;
            json.push('\n');
            std::fs::write(file, json)
                .with_context(|| format!("cannot write the report into {}", file.display()))?;
        }
        session.show(&report, text)
    }

    fn vendors(&self) -> anyhow::Result<Vec<Vendor>> {
        let mut wanted = match &self.config {
            Some(file) => bench_commands(file)?,
            None => Vec::new(),
        };
        if let (Some(command), Some(reads)) = (&self.command, &self.reads) {
            wanted.push(BenchCommand {
                command: ["sh", "-c", command].map(str::to_owned).to_vec(),
                reads: reads.clone(),
                unit: self.unit.clone(),
                chip: self.chip.clone(),
                chips: self.chips,
                precision: self.precision.clone(),
                limit: BenchCommand::LIMIT,
            });
        }
        wanted.into_iter().map(vendor).collect()
    }
}

fn vendor(wanted: BenchCommand) -> anyhow::Result<Vendor> {
    let Some(unit) = model::Unit::named(&wanted.unit) else {
        bail!(
            "`{}` is no unit that is known here; write TFLOPS, GB/s, Gbit/s or us, with any prefix",
            wanted.unit
        );
    };
    let reads = wanted.reads.parse::<capability::Reading>()?;
    if wanted.chips == 0 {
        bail!("a command that measures chips keeps at least one busy: `chips` cannot be 0");
    }
    Ok(Vendor {
        command: wanted.command,
        chip: wanted.chip,
        chips: wanted.chips,
        precision: wanted.precision,
        unit,
        reads,
        limit: wanted.limit.to_std(),
    })
}

impl Verify {
    /// Hands the report in, and says what it is worth.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let Self { center, pool: Some(pool), from } = &self else {
            let report = read(&self.from, "center check --output json")?;
            return crate::center_check::submit(session, &self.center, &report).await;
        };
        let report: BenchReport = read(from, "center bench --out")?;
        let client = session.client()?;
        client.show_bench(center, pool, &report).await?;
        let mut pools = client.center(center).await?.pools.into_iter();
        let shown = pools.find(|shown| shown.pool == *pool);
        note(match shown.and_then(|shown| shown.capability).and_then(|said| said.verified) {
            Some(speed) => format!("pool {pool} of {center}: {} a chip, verified", speed_of(speed)),
            None => format!(
                "pool {pool} of {center}: the figures are kept; none says what its chip does in bf16 or \
                 fp16"
            ),
        });
        Ok(())
    }
}

/// Milli-TFLOPS in words.
pub(crate) fn speed_of(milli_tflops: u64) -> String {
    model::Unit::FlopPerSecond.say(milli_tflops.saturating_mul(1_000_000_000))
}

/// A report out of a file.
fn read<T: serde::de::DeserializeOwned>(file: &Path, made_by: &str) -> anyhow::Result<T> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the report in {}", file.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{} is no report of `portolan {made_by}`", file.display()))
}

async fn listen(address: SocketAddr) -> anyhow::Result<()> {
    let listener = Listener::bind(address)?;
    let at = listener.address()?;
    note(format!(
        "listening on {at} for {} minutes; on the other host: portolan center bench --peer {at}",
        LISTENS.as_secs() / 60
    ));
    // It ends with the process.
    std::thread::spawn(move || listener.serve());
    tokio::select! {
        () = tokio::time::sleep(LISTENS) => Ok(()),
        signal = crate::serve::asked_to_stop() => signal,
    }
}

fn text(report: &BenchReport, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("FIGURE"),
        Column::new("MEDIAN").right(),
        Column::new("SPREAD").right().rank(1),
        Column::new("HOW").least(12).rank(2),
    ]);
    let of_commands = |run: &CommandRun| run.figure.clone();
    let commands: Vec<Figure> = report.commands.iter().filter_map(of_commands).collect();
    for figure in report.figures.iter().chain(&commands) {
        table.row([
            figure.name.as_str().into(),
            figure.unit.say(figure.median()).into(),
            spread(figure).into(),
            figure.how.as_str().into(),
        ]);
    }
    let host = &report.host;
    let memory = model::Bytes(host.memory_bytes);
    let mut text =
        format!("{}: {}, {} cores, {memory}\n", look.bold(&host.name), host.cpu, host.cores);
    text.push_str(&table.render(look, "nothing could be measured"));
    for Missing { name, why } in &report.missing {
        text.push_str(&format!("not measured: {name}: {why}\n"));
    }
    for run in &report.commands {
        if let Some(why) = &run.why {
            text.push_str(&format!("not measured: {}: {why}\n", run.command.join(" ")));
        }
    }
    text
}

/// By how much the repeats differ from the median.
fn spread(figure: &Figure) -> String {
    let ((least, most), median) = (figure.spread(), figure.median().max(1));
    let percent = |of: u64| of.abs_diff(median).saturating_mul(100) / median;
    match figure.samples.len() {
        1 => "once".to_owned(),
        times => format!("-{} % +{} %, {times} times", percent(least), percent(most)),
    }
}
