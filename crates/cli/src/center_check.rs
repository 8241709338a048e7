//! `portolan center check`.

use crate::agent::Engine;
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone};
use crate::{look::Look, progress};
use anyhow::{Context, bail};
use clap::Args;
use engines::conformance::{Finding, Site, Verdict, check};
use engines::{AnyEngine, Capacity, Engine as _, Place, PoolSize};
use model::{Bytes, CenterId, Cores, Moment, NetworkUid};
use std::path::PathBuf;
use wire::view::{CheckReport, PoolSeen, Requirement};

/// Which engine is checked, and how it is used.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// What runs the center's jobs.
    #[arg(long, value_enum, default_value = "process")]
    engine: Engine,
    /// How that engine is used: the file that the agent is given.
    #[arg(long, alias = "config", value_name = "FILE")]
    engine_config: Option<PathBuf>,
    /// Where the agent's attempts are to be: nothing is left there.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The pool in which small jobs are run, where the engine has pools.
    #[arg(long, value_name = "POOL", default_value = "")]
    pool: String,
    /// Hand the report in for this center: the server then knows what it has shown.
    #[arg(long, value_name = "CENTER")]
    submit: Option<CenterId>,
}

impl Check {
    /// Runs the suite and prints what it found; fails if anything was broken.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let dir = std::path::absolute(&self.dir)?;
        let settings = self.engine.settings(dir, self.engine_config.as_deref())?;
        // A network that nobody else has: nothing of a real one is met.
        let network = {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes)?;
            NetworkUid::from_bytes(bytes)
        };
        // Dropped when all that uses it is.
        let _traces = Traces::of(settings.dir.join("attempts"), network);
        let place = Place { pool: self.pool.clone(), nodes: 1, chips_per_node: 0 };
        let site = Site { network, place: Some(place) };
        let open = async || settings.open_engine(network).await;
        let bar = progress::spinner("checking".to_owned());
        let found = check(&site, &open, |finding| bar.set_message(finding.to_string())).await;
        bar.finish_and_clear();
        let findings = found.context("the engine cannot be checked")?;
        let engine = open().await.context("the engine cannot be asked what it has")?;
        let can = engine.capabilities();
        let report = CheckReport {
            taken_ms: now()?,
            engine: self.engine.kind(),
            version: can.version,
            enforcement: can.enforcement.to_string(),
            met: count(&findings, |verdict| *verdict == Verdict::Met),
            asked: count(&findings, |verdict| *verdict != Verdict::NotApplicable),
            findings: findings.iter().map(row).collect(),
            pools: self.pools(&engine).await.context("the engine does not say what it has")?,
        };
        session.show(&report, text)?;
        if let Some(center) = &self.submit {
            return submit(session, center, &report).await;
        }
        if report.met < report.asked {
            bail!("a center with this engine would not be admitted as it is");
        }
        Ok(())
    }

    /// What there is of the center's pools: of all that the engine can tell of, or else of the one that is
    /// this machine.
    async fn pools(&self, engine: &AnyEngine) -> anyhow::Result<Vec<PoolSeen>> {
        let is_here = matches!(self.engine, Engine::Process | Engine::TaskSpooler);
        let all = match is_here && !self.pool.is_empty() {
            true => {
                let here = PoolSize::of([(engine.capacity().await?, None)]);
                [(self.pool.clone(), here)].into()
            }
            false => engine.pools().await?,
        };
        let named = |(pool, size): (String, PoolSize)| {
            // Partitions may have names that no pool can have.
            let pool = pool.parse().ok()?;
            let PoolSize { nodes, node: Capacity { cpu, memory }, chips } = size;
            Some(PoolSeen {
                pool,
                nodes: Some(nodes),
                chips_per_node: chips,
                cores_milli: (cpu < Cores(u64::MAX)).then_some(cpu),
                memory_bytes: (memory < Bytes::MAX).then_some(memory),
            })
        };
        Ok(all.into_iter().filter_map(named).collect())
    }
}

/// What a check leaves behind; gone with this.
struct Traces(PathBuf);

impl Traces {
    /// Those of a check with this network among all attempts; all, where there were none before.
    fn of(attempts: PathBuf, network: NetworkUid) -> Self {
        Self(if attempts.exists() { attempts.join(network.to_string()) } else { attempts })
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                note(format!("{} is left behind: {error}", self.0.display()));
            }
            _ => {}
        }
    }
}

/// Hands a report in; fails where the network asks for more.
pub(crate) async fn submit(
    session: &Session,
    center: &CenterId,
    report: &CheckReport,
) -> anyhow::Result<()> {
    let client = session.client()?;
    let mut report = report.clone();
    // A cluster may have more than the center takes part with.
    let known = client.center(center).await?;
    report.pools.retain(|seen| known.pools.iter().any(|pool| pool.pool == seen.pool));
    client.show_check(center, &report).await?;
    let readiness = client.center(center).await?.readiness;
    let asks = readiness.as_ref().and_then(|readiness| readiness.asks.clone());
    if let Some(why) = readiness.and_then(|readiness| readiness.not_admitted) {
        bail!("{center} is {why}");
    }
    let asks = asks.unwrap_or_else(|| "nothing".to_owned());
    note(format!("{center} shows {} of {}; the network asks {asks}", report.met, report.asked));
    Ok(())
}

fn count(findings: &[Finding], of: impl Fn(&Verdict) -> bool) -> u32 {
    let count = findings.iter().filter(|finding| of(&finding.verdict)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn now() -> anyhow::Result<Moment> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(Moment(u64::try_from(since.as_millis())?))
}

fn row(finding: &Finding) -> Requirement {
    let (verdict, why) = match &finding.verdict {
        Verdict::Met => ("met", None),
        Verdict::Broken(why) => ("broken", Some(why.clone())),
        Verdict::NotApplicable => ("not asked", None),
    };
    Requirement { requirement: finding.requirement.to_owned(), verdict: verdict.to_owned(), why }
}

fn text(report: &CheckReport, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("REQUIREMENT").least(20),
        Column::new("VERDICT"),
        Column::new("WHY").least(10).rank(1),
    ]);
    for Requirement { requirement, verdict, why } in &report.findings {
        let tone = match verdict.as_str() {
            "met" => Tone::Good,
            "broken" => Tone::Bad,
            _ => Tone::Quiet,
        };
        let why = why.clone().unwrap_or_default();
        table.row([requirement.as_str().into(), Cell::new(verdict, tone), why.as_str().into()]);
    }
    let CheckReport { engine, version, enforcement, met, asked, pools, .. } = report;
    let pools: String = pools.iter().map(size).collect();
    let score = format!("{engine} {version}; {enforcement}\n{pools}ready: {met} of {asked}\n");
    table.render(look, "nothing was asked\n") + &score
}

/// What a pool was seen to have, as a line.
fn size(seen: &PoolSeen) -> String {
    let nodes = match seen.nodes {
        Some(0) => return format!("pool {}: no node is as the engine's file says\n", seen.pool),
        Some(1) => "1 node".to_owned(),
        Some(nodes) => format!("{nodes} nodes"),
        None => "nodes".to_owned(),
    };
    let each = [
        seen.chips_per_node.map(|chips| format!("{chips} chips")),
        seen.cores_milli.map(|cores| format!("{cores} cores")),
        seen.memory_bytes.map(|memory| memory.to_string()),
    ];
    let each: Vec<String> = each.into_iter().flatten().collect();
    let each = if each.is_empty() { String::new() } else { format!(" with {}", each.join(", ")) };
    format!("pool {}: {nodes}{each}\n", seen.pool)
}
