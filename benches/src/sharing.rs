//! The group `sharing`: loads of many tenants under quotas, through the real server, and how fast
//! quotas decide.

use crate::disk::Disk;
use crate::network::{Network, Shape};
use crate::planner::Player;
use crate::row::{self, Better, Figure, Samples};
use anyhow::{Context, Result, bail};
use model::{Chips, FlavorId, Quota, Span, Tenant, TenantId};
use serde_json::Value;
use sharing::{Claim, Quotas, Usage};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// How many tenants the second load has.
const MANY: usize = 1_000;
/// How many of them form a cohort.
const COHORT: usize = 20;

const COHORTS: [Figure; 2] = [
    Figure { name: "load_15k_over_floor", unit: "", better: Better::Lower, target: Some(1.5) },
    Figure { name: "load_15k_per_s", unit: "1/s", better: Better::Higher, target: None },
];
const LARGE: [Figure; 1] =
    [Figure { name: "load_50k_per_s", unit: "1/s", better: Better::Higher, target: Some(850.0) }];
const DECISIONS: [Figure; 1] =
    [Figure { name: "quota_decisions_per_s", unit: "1/s", better: Better::Higher, target: None }];
const RECALLS: [Figure; 1] = [Figure {
    name: "recall_within_notice_pct",
    unit: "%",
    better: Better::Higher,
    target: Some(100.0),
}];
const GAIN: [Figure; 1] =
    [Figure { name: "delta_sharing_gain_pct", unit: "%", better: Better::Higher, target: None }];
/// How many made-up networks are played for the recalls in them.
const CALM: u64 = 1_000;

/// A run of the group.
#[derive(Debug)]
pub(crate) struct Owners {
    /// The program to measure.
    pub(crate) portolan: PathBuf,
    /// Where everything is kept meanwhile.
    pub(crate) dir: PathBuf,
    /// How the names of the rows to measure begin; all begin with nothing.
    pub(crate) only: String,
    /// Plays the delta.
    pub(crate) player: Player,
}

impl Owners {
    /// Measures the group and prints its rows as they come.
    pub(crate) async fn run(&self) {
        if self.wants(&DECISIONS) {
            row::print(&DECISIONS, "", None, &Ok(vec![decisions()]));
        }
        if self.wants(&RECALLS) {
            row::print(&RECALLS, "", None, &recalls().map(|kept| vec![kept]));
        }
        if self.wants(&GAIN) {
            eprintln!("the delta with what owners lend, and with nothing lent …");
            row::print(&GAIN, "", None, &self.player.sharing_gain().map(|gain| vec![gain]));
        }
        if self.wants(&COHORTS) {
            let load = include_str!("../../scenarios/cohorts.toml");
            let report = self.load(Shape::Cohorts, load, "1").await;
            let figures = report.and_then(|report| {
                let figure = |key: &str| figure(&report, key);
                Ok(vec![figure("over_floor")?, figure("per_s")?])
            });
            row::print(&COHORTS, "", None, &figures);
        }
        if self.wants(&LARGE) {
            let load = format!(
                "about = \"Many tenants\"\n[load.sets]\ntenants = {MANY}\n[[load.sets.jobs]]\n\
                 workload = \"small\"\ncount = 50\nevery = \"0s\"\nrun = \"200ms\"\n"
            );
            let report = self.load(Shape::Many, &load, "max").await;
            let figures = report.and_then(|report| Ok(vec![figure(&report, "sustained_per_s")?]));
            row::print(&LARGE, "", None, &figures);
        }
    }

    fn wants(&self, figures: &[Figure]) -> bool {
        figures.iter().any(|figure| figure.name.starts_with(&self.only))
    }

    /// Replays a load and returns the report of `portolan load`.
    async fn load(&self, shape: Shape, load: &str, speed: &str) -> Result<Value> {
        let dir = self.dir.join(format!("{shape:?}"));
        let network = Network::start(&self.portolan, dir.clone(), shape, Disk::Own).await?;
        let file = dir.join("load.toml");
        std::fs::write(&file, load)?;
        eprintln!("{} …", file.display());
        let report = network.replay(&self.portolan, &file, &["--speed", speed]).await;
        report.map_err(|error| network.blame(&error))
    }
}

fn figure(report: &Value, key: &str) -> Result<Samples> {
    let value = report[key].as_f64().with_context(|| format!("the report has no `{key}`"))?;
    Ok(Samples::median(&[value]))
}

/// The share of recalls in made-up networks after which guests had left when they were due.
fn recalls() -> Result<Samples> {
    let (mut recalls, mut kept) = (0, 0);
    for seed in 0..CALM {
        let verdict = simulator::fault::calm_run(seed);
        if let Some(broken) = verdict.violations.first() {
            bail!("seed {seed}: {broken}");
        }
        recalls += verdict.counts.recalls;
        kept += verdict.counts.recalls_kept;
    }
    eprintln!("  {kept} of {recalls} recalls");
    #[expect(clippy::cast_precision_loss, reason = "they are thousands")]
    let percent = kept as f64 / recalls.max(1) as f64 * 100.0;
    Ok(Samples::median(&[percent]))
}

/// Tenants in cohorts, each with as much of one flavor as its own.
fn tenants(nominal: u64) -> Vec<Tenant> {
    let id = |name: String| TenantId::new(&name).expect("a word and a number");
    let mut tenants = Vec::new();
    for number in 0..MANY {
        let cohort = id(format!("cohort-{}", number / COHORT));
        if number % COHORT == 0 {
            tenants.push(Tenant::new(cohort.clone(), None));
        }
        let mut tenant = Tenant::new(id(format!("t{number:03}")), Some(cohort));
        let quota = Quota { nominal: Chips::whole(nominal), ..Quota::default() };
        tenant.quotas.insert(FlavorId::new("cuda").expect("a word"), quota);
        tenants.push(tenant);
    }
    tenants
}

/// The network of the second load: as many chips as tenants.
pub(crate) fn many() -> String {
    let mut text =
        include_str!("../../catalog/networks/timers.toml").replace("nodes = 8", "nodes = 42");
    let _written = writeln!(text, "[[flavor]]\nflavor = \"cuda\"\nclasses = [\"cuda\"]");
    for tenant in tenants(1) {
        let _written = writeln!(text, "[[tenant]]\ntenant = \"{}\"", tenant.tenant);
        if let Some(parent) = tenant.parent {
            let _written = writeln!(
                text,
                "parent = \"{parent}\"\nreclaim_within_cohort = \"any\"\n\
                 [[tenant.quota]]\nflavor = \"cuda\"\nnominal = 1\nborrowing_limit = 8"
            );
        }
    }
    text
}

/// Jobs asked for, taken and given back, of a thousand tenants in turn that use about what they may.
fn decisions() -> Samples {
    const ROUNDS: usize = 400_000;
    let tenants = tenants(8);
    let quotas = Quotas::new(&tenants).expect("cohorts make sense");
    let mut usage = Usage::new(Arc::new(quotas));
    let flavor = FlavorId::new("cuda").expect("a word");
    let claim = Claim {
        jobs: 1,
        chips: [(flavor, Chips::whole(4))].into(),
        card_time: Chips::whole(4).over(Span::from_secs(60)),
    };
    let members: Vec<&TenantId> =
        tenants.iter().filter(|tenant| tenant.parent.is_some()).map(|t| &t.tenant).collect();
    let mut rates = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let mut held: Vec<&TenantId> = Vec::new();
        for round in 0..ROUNDS {
            // Every third asks more often than others, and has to borrow.
            let tenant = members[round * 7 % members.len() / (1 + round % 3 % 2)];
            if usage.admits_claim(tenant, &claim).is_ok() {
                usage.take(tenant, &claim).expect("it is declared");
                held.push(tenant);
            } else if let Some(first) = held.pop() {
                usage.give(first, &claim, claim.card_time).expect("it has that");
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        rates.push(ROUNDS as f64 / began.elapsed().as_secs_f64());
        for tenant in held {
            usage.give(tenant, &claim, claim.card_time).expect("it has that");
        }
    }
    Samples::median(&rates)
}
