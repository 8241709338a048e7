//! `portolan center check`.

use crate::agent::Engine;
use crate::session::Session;
use crate::table::{Cell, Column, Table, Tone};
use crate::{look::Look, progress};
use anyhow::{Context, bail};
use clap::Args;
use engines::conformance::{Finding, Site, Verdict, check};
use engines::{AnyEngine, Engine as _, Place};
use model::NetworkUid;
use serde::Serialize;
use std::path::PathBuf;

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
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Report {
    /// What was checked.
    engine: &'static str,
    /// Its version.
    version: String,
    /// How far limits are enforced.
    enforcement: String,
    /// Requirements that were met, and how many there are for such an engine.
    met: usize,
    asked: usize,
    findings: Vec<Row>,
}

/// One requirement.
#[derive(Debug, Serialize)]
struct Row {
    requirement: &'static str,
    verdict: &'static str,
    why: Option<String>,
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
        let place = Place { pool: self.pool, nodes: 1, chips_per_node: 0 };
        let site = Site { network, place: Some(place) };
        let seen = std::cell::RefCell::new(None);
        let open = async || {
            let engine = settings.open_engine(network).await?;
            seen.borrow_mut().get_or_insert_with(|| engine.capabilities());
            Ok::<AnyEngine, agent::Error>(engine)
        };
        let bar = progress::spinner("checking".to_owned());
        let found = check(&site, open, |finding| bar.set_message(finding.to_string())).await;
        bar.finish_and_clear();
        let findings = found.context("the engine cannot be checked")?;
        let Some(can) = seen.into_inner() else { bail!("the engine was not opened") };
        let report = Report {
            engine: can.engine,
            version: can.version,
            enforcement: can.enforcement.to_string(),
            met: findings.iter().filter(|f| f.verdict == Verdict::Met).count(),
            asked: findings.iter().filter(|f| f.verdict != Verdict::NotApplicable).count(),
            findings: findings.iter().map(row).collect(),
        };
        session.show(&report, text)?;
        if report.met < report.asked {
            bail!("a center with this engine would not be admitted as it is");
        }
        Ok(())
    }
}

fn row(finding: &Finding) -> Row {
    let (verdict, why) = match &finding.verdict {
        Verdict::Met => ("met", None),
        Verdict::Broken(why) => ("broken", Some(why.clone())),
        Verdict::NotApplicable => ("not asked", None),
    };
    Row { requirement: finding.requirement, verdict, why }
}

fn text(report: &Report, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("REQUIREMENT").least(20),
        Column::new("VERDICT"),
        Column::new("WHY").least(10).rank(1),
    ]);
    for Row { requirement, verdict, why } in &report.findings {
        let tone = match *verdict {
            "met" => Tone::Good,
            "broken" => Tone::Bad,
            _ => Tone::Quiet,
        };
        let why = why.clone().unwrap_or_default();
        table.row([(*requirement).into(), Cell::new(*verdict, tone), why.as_str().into()]);
    }
    let Report { engine, version, enforcement, met, asked, .. } = report;
    let score = format!("{engine} {version}; {enforcement}\nready: {met} of {asked}\n");
    table.render(look, "nothing was asked\n") + &score
}
