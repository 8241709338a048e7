//! `portolan demo`: three centers, a server and some two dozen jobs, on this machine.

mod cast;
mod play;
mod sweep;

use crate::job::list::ran;
use crate::job::{is_end, plan::explained, tone};
use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table, or_dash};
use anyhow::{Context, bail};
use cast::Cast;
use clap::Args;
use client::Client;
use model::{Bytes, CenterId, JobId};
use play::Part;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::view::{JobDetail, NewToken, TokenRole};

const NETWORK: &str = include_str!("../../../../catalog/networks/laptop.toml");
const NODES: &str = include_str!("../../../../catalog/data/openb_node_list_gpu_node.csv");
/// The size of the generated data set.
const CORPUS: u64 = 256 << 20;
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// The program that runs, even if its file has been replaced meanwhile.
const THIS_PROGRAM: &str = "/proc/self/exe";
/// How often to look.
const AGAIN: Duration = Duration::from_millis(200);

/// Show what Portolan does: three centers, a server and some two dozen jobs, on this machine.
///
/// Everything it starts is a process of its own in a directory of its own, and ends with it.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// End when the jobs have, with success only if each ended as foreseen.
    #[arg(long)]
    once: bool,
    /// Where it keeps its things; emptied first.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The server's port; any free one when 0.
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

impl Demo {
    /// Runs it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let dir = prepare(self.dir.as_deref())?;
        let mut cast = Cast::new(&dir);
        let shown = tokio::select! {
            shown = self.show(&dir, &mut cast, session) => shown,
            signal = crate::serve::asked_to_stop() => signal.map(|()| say("\nstopping everything …")),
        };
        cast.end();
        shown.with_context(|| format!("the logs of all processes are in {}", dir.display()))?;
        std::fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))
    }

    async fn show(&self, dir: &Path, cast: &mut Cast, session: &Session) -> anyhow::Result<()> {
        say("Portolan: many centers, one network. On this machine for now.\n");
        let (url, operator) = cast.server(self.port).await?;
        say(format!("• a server at {url}"));
        let client = Client::new(&url, &operator)?;
        let ours = Ours { dir, url: &url, token: &operator };
        std::fs::write(dir.join("laptop.toml"), NETWORK)?;
        ours.portolan(&["apply", "laptop.toml"]).await?;
        for center in ["lingang", "zhangjiang", "kunshan"] {
            let token = token(&client, TokenRole::Center, center).await?;
            cast.agent(center, &url, &token)?;
        }
        cast.joined(&client, 3).await?;
        say("• three centers: lingang (2 × 8 A100), zhangjiang (4 Ascend 910B3), kunshan (4 K100)");
        stage_data(&ours).await?;
        let parts = play::submit(&client).await?;
        say(format!("• {} jobs of three tenants\n", parts.len()));
        let page = format!("{url}/#token={operator}");
        say(format!("Watch them on the map: {page}\n"));

        let jobs = watch(&client, cast, &parts).await?;
        let staged = staged_bytes(&client).await?;
        print_text(&result(&jobs, &staged, &session.look.again()))?;
        unplaceable(&client, &parts, &session.look.again()).await?;
        let surprises = surprises(&jobs, &parts);
        if !surprises.is_empty() {
            bail!("not as foreseen: {}", surprises.join("; "));
        }
        say("\nEverything ended as foreseen.");
        if self.once {
            return Ok(());
        }
        say(format!(
            "\nThe network stays up until Ctrl-C. The map: {page}\nIn another terminal:\n"
        ));
        say(format!("  export PORTOLAN_SERVER={url}"));
        let file = dir.join("server").join(server::OPERATOR_TOKEN);
        say(format!("  export PORTOLAN_TOKEN_FILE={}", file.display()));
        say("  portolan jobs; portolan centers; portolan data ls");
        loop {
            cast.all_alive()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

fn say(words: impl AsRef<str>) {
    // Whoever reads may have gone; the demo ends by itself.
    let _ = writeln!(std::io::stdout(), "{}", words.as_ref());
}

fn print_text(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// An empty directory for the demo, whatever an earlier one left there.
fn prepare(wanted: Option<&Path>) -> anyhow::Result<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let usual = || std::env::temp_dir().join(format!("portolan-demo-{user}"));
    let dir = std::path::absolute(wanted.map_or_else(usual, Path::to_owned))?;
    let mark = dir.join("this-is-a-portolan-demo");
    let full = std::fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if full && !mark.exists() {
        bail!("{} is not empty and no demo's directory; name another with --dir", dir.display());
    }
    let left = sweep::sweep(&dir);
    if left > 0 {
        say(format!("(ended {left} processes an earlier demo had left)"));
    }
    if full {
        std::fs::remove_dir_all(&dir)?;
    }
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    std::fs::write(mark, "")?;
    Ok(dir)
}

/// What the demo does as a user would.
struct Ours<'a> {
    dir: &'a Path,
    url: &'a str,
    token: &'a str,
}

impl Ours<'_> {
    /// Runs a command of this very program, and shows it.
    async fn portolan(&self, arguments: &[&str]) -> anyhow::Result<()> {
        say(format!("  $ portolan {}", arguments.join(" ")));
        let mut command = tokio::process::Command::new(THIS_PROGRAM);
        command.args(arguments).current_dir(self.dir).kill_on_drop(true);
        command.env("PORTOLAN_SERVER", self.url).env("PORTOLAN_TOKEN", self.token);
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        let status = command.status().await?;
        if !status.success() {
            bail!("`portolan {}` ended with {status}", arguments.join(" "));
        }
        Ok(())
    }
}

async fn token(client: &Client, role: TokenRole, of: &str) -> anyhow::Result<String> {
    let (of, label) = (Some(of.to_owned()), "demo".to_owned());
    Ok(client.create_token(&NewToken { role, of, label, expires_ms: None }).await?.secret)
}

/// Puts a real and a generated data set into two of the centers.
async fn stage_data(ours: &Ours<'_>) -> anyhow::Result<()> {
    std::fs::write(ours.dir.join("openb-nodes.csv"), NODES)?;
    let path = ours.dir.join("corpus.bin");
    tokio::task::spawn_blocking(move || generate(&path)).await??;
    say("• two data sets: the GPU nodes of a public trace, and 256 MiB made up just now");
    let put = ["data", "put", "openb-nodes.csv", "--name=openb-nodes", "--at=lingang"];
    ours.portolan(&[&put[..], &["--tenant=lab"]].concat()).await?;
    let put = ["data", "put", "corpus.bin", "--name=corpus", "--at=kunshan"];
    ours.portolan(&[&put[..], &["--tenant=university"]].concat()).await
}

/// Bytes without pattern, the same each time.
fn generate(path: &Path) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let mut state: u64 = 0x0070_6f72_746f_6c61;
    for _ in 0..CORPUS / 8 {
        // Marsaglia's xorshift64: fast, and good enough to have no two chunks alike.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// Follows the jobs until each has come to where it was foreseen to, or to an end.
async fn watch(client: &Client, cast: &mut Cast, parts: &[Part]) -> anyhow::Result<Vec<JobDetail>> {
    let bar = crate::progress::jobs(parts.len() as u64);
    let started = Instant::now();
    let mut last: BTreeMap<JobId, String> = BTreeMap::new();
    loop {
        cast.all_alive()?;
        let mut details = Vec::new();
        for part in parts {
            details.push(client.job(part.job).await?);
        }
        for detail in &details {
            let job = &detail.job;
            let state = job.state.clone();
            let at = job.center.as_ref().map_or("", CenterId::as_str);
            if last.insert(job.job, state.clone()).as_ref() != Some(&state) && state != "waiting" {
                let line =
                    format!("  {:>7}  {:<22} {:<10} {at}", job.job.to_string(), job.name, state);
                bar.suspend(|| say(line));
            }
        }
        let settled = |(detail, part): (&JobDetail, &Part)| {
            is_end(&detail.job.state) || detail.job.state == part.expect
        };
        let done = details.iter().zip(parts).filter(|pair| settled(*pair)).count();
        bar.set_position(done as u64);
        if done == parts.len() || started.elapsed() > PATIENCE {
            bar.finish_and_clear();
            return Ok(details);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Bytes staged for each job: those of the transfers its attempts waited for.
async fn staged_bytes(client: &Client) -> anyhow::Result<BTreeMap<String, Bytes>> {
    let mut transfers: BTreeMap<u64, Bytes> = BTreeMap::new();
    let mut staged: BTreeMap<String, Bytes> = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = client.log_page(after, 1_000).await?;
        for record in &page.records {
            let Some(content) = &record.event.content else { continue };
            let number = |value: &serde_json::Value| value.as_u64().unwrap_or_default();
            match record.event.kind.as_str() {
                "transfer-planned" => {
                    transfers
                        .insert(number(&content["transfer"]), Bytes(number(&content["bytes"])));
                }
                "job-offered" => {
                    let attempt = content["attempt"].as_str().unwrap_or_default();
                    let job = attempt.split('.').next().unwrap_or_default().to_owned();
                    let awaits = content["placement"]["awaits"].as_array();
                    for transfer in awaits.into_iter().flatten() {
                        let bytes = transfers.get(&number(transfer)).copied();
                        *staged.entry(job.clone()).or_default() += bytes.unwrap_or_default();
                    }
                }
                _ => {}
            }
        }
        match page.next {
            Some(next) => after = next,
            None => return Ok(staged),
        }
    }
}

fn result(jobs: &[JobDetail], staged: &BTreeMap<String, Bytes>, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("JOB"),
        Column::new("NAME").least(10),
        Column::new("TENANT").least(8),
        Column::new("CENTER"),
        Column::new("CHIP").least(9),
        Column::new("WAITED").right(),
        Column::new("STAGED").right(),
        Column::new("RAN").right(),
        Column::new("STATE"),
    ]);
    for detail in jobs {
        let job = &detail.job;
        let waited = look.span(job.submitted_ms, job.started_ms.or(job.ended_ms));
        table.row([
            job.job.into(),
            job.name.as_str().into(),
            job.tenant.as_str().into(),
            or_dash(job.center.as_ref()).into(),
            or_dash(job.chip.as_ref()).into(),
            waited.into(),
            or_dash(staged.get(&job.job.to_string())).into(),
            ran(job, look).into(),
            Cell::new(job.state.as_str(), tone(&job.state)),
        ]);
    }
    table.render(look, "no jobs")
}

/// Explains the job that nothing can place.
async fn unplaceable(client: &Client, parts: &[Part], look: &Look) -> anyhow::Result<()> {
    for part in parts.iter().filter(|part| part.expect == "waiting") {
        say(format!("\n$ portolan why {}", part.job));
        print_text(&explained(&client.why(part.job, None).await?, look))?;
    }
    Ok(())
}

fn surprises(jobs: &[JobDetail], parts: &[Part]) -> Vec<String> {
    let pairs = jobs.iter().zip(parts).filter(|(detail, part)| detail.job.state != part.expect);
    let told = pairs.map(|(detail, part)| {
        let job = &detail.job;
        format!("{} ({}) is {}, not {}", job.job, job.name, job.state, part.expect)
    });
    told.collect()
}
