//! The shape of a scenario file, key by key.

use crate::load::lists;
use model::{Bytes, CenterId, ChipClass, ChipId, Chips, Objective, Rate, Span, TenantId};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Deref;
use std::str::FromStr;

/// An amount that people write as text with its unit, such as `"5 Gbit/s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        model::unit::text::deserialize(from).map(Self)
    }
}

impl<T> Deref for Text<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// A scenario as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) about: String,
    pub(super) data: Option<String>,
    #[serde(default = "first_seed")]
    pub(super) seeds: Vec<u64>,
    /// Left out only where the load is for a network that is there already.
    pub(super) network: Option<toml::Spanned<Network>>,
    pub(super) load: toml::Spanned<Load>,
    #[serde(default)]
    pub(super) policy: Policy,
    #[serde(default)]
    pub(super) faults: Faults,
    #[serde(default)]
    pub(super) measures: Measures,
}

fn first_seed() -> Vec<u64> {
    vec![1]
}

/// Where the network comes from: one of these.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// Network files.
    pub(super) files: Option<Vec<String>>,
    /// Chip files, for chips that are not in the catalog.
    #[serde(default)]
    pub(super) chips: Vec<String>,
    /// The delta's tables, in the data's folder.
    #[serde(default)]
    pub(super) tables: bool,
    /// Made up.
    pub(super) made: Option<MadeNetwork>,
}

/// A network that is made up: centers at the national hubs, an exchange at each hub.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MadeNetwork {
    pub(super) centers: u32,
    pub(super) chips: u64,
    #[serde(default = "eight")]
    pub(super) chips_per_node: u16,
    pub(super) access: Text<Rate>,
    pub(super) backbone: Text<Rate>,
    #[serde(default)]
    pub(super) store: Option<Text<Bytes>>,
    pub(super) pools: Vec<MadePools>,
}

fn eight() -> u16 {
    8
}

/// Pools of one chip, with their share of all chips.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MadePools {
    pub(super) chip: ChipId,
    pub(super) share: f64,
    pub(super) price_per_chip_hour: Text<model::Money>,
}

/// Where the load comes from, one of several, and what is done to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Load {
    pub(super) delta: Option<Delta>,
    pub(super) csv: Option<Table>,
    pub(super) philly: Option<Listed>,
    pub(super) openb: Option<Pods>,
    pub(super) gavel: Option<Gavel>,
    pub(super) swf: Option<Swf>,
    pub(super) made: Option<MadeLoad>,
    pub(super) sets: Option<Sets>,

    pub(super) speeds: Option<String>,
    #[serde(default = "one")]
    pub(super) offers: f64,
    pub(super) from: Option<Text<Span>>,
    pub(super) until: Option<Text<Span>>,
    pub(super) first: Option<usize>,
    #[serde(default = "one")]
    pub(super) arrivals_divided_by: f64,
    #[serde(default = "one")]
    pub(super) durations_divided_by: f64,
    pub(super) longest: Option<Text<Span>>,
    #[serde(default = "two")]
    pub(super) limit_factor: f64,
    #[serde(default)]
    pub(super) checkpoints: bool,
    #[serde(default)]
    pub(super) objective: Objective,
    pub(super) due: Option<Due>,
}

/// How many jobs have a deadline, and when: so many times their limit after they came.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Due {
    pub(super) share: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

/// What numbers must be.
const ABOVE: &str = "a number above zero";
const SHARE: &str = "a number from 0 to 1";

impl Load {
    /// How many forms of load are given.
    pub(super) fn forms(&self) -> usize {
        let Self { delta, csv, philly, openb, gavel, swf, made, sets, .. } = self;
        let given = [
            delta.is_some(),
            csv.is_some(),
            philly.is_some(),
            openb.is_some(),
            gavel.is_some(),
            swf.is_some(),
            made.is_some(),
            sets.is_some(),
        ];
        given.into_iter().filter(|given| *given).count()
    }

    /// A number that cannot be meant, and what it must be.
    pub(super) fn out_of_range(&self) -> Option<(&'static str, &'static str)> {
        let above = |number: f64| number.is_finite() && number > 0.0;
        let share = |number: f64| (0.0..=1.0).contains(&number);
        let mut numbers = vec![
            ("offers", above(self.offers), ABOVE),
            ("arrivals_divided_by", above(self.arrivals_divided_by), ABOVE),
            ("durations_divided_by", above(self.durations_divided_by), ABOVE),
            ("limit_factor", above(self.limit_factor), ABOVE),
        ];
        if let Some(gavel) = &self.gavel {
            numbers.push(("jobs_per_hour", gavel.jobs_per_hour.is_none_or(above), ABOVE));
        }
        if let Some(Due { share: of, from, to }) = self.due {
            numbers.extend([
                ("due.share", share(of), SHARE),
                ("due.from", above(from), ABOVE),
                ("due.to", to.is_finite() && to >= from, "a number that is not below `from`"),
            ]);
        }
        if let Some(made) = &self.made {
            let liked = !made.like.is_empty() && made.like.values().all(|share| above(*share));
            numbers.extend([
                ("jobs", made.jobs > 0, ABOVE),
                ("workloads", made.workloads > 0, ABOVE),
                ("like", liked, "clusters, each with a number above zero"),
                ("chip_seconds", made.chip_seconds.is_none_or(above), ABOVE),
                ("swing", share(made.swing), SHARE),
                ("preemptible", share(made.preemptible), SHARE),
            ]);
        }
        if let Some(data) = self.made.as_ref().and_then(|made| made.data.as_ref()) {
            numbers.extend([
                ("share", share(data.share), SHARE),
                ("zipf", data.zipf.is_finite(), "a number"),
                ("sigma", data.sigma.is_finite(), "a number"),
            ]);
        }
        if let Some(sets) = &self.sets {
            let right = |jobs: &SetFile| jobs.to.is_none_or(|to| *to >= *jobs.run);
            let some = sets.tenants.count() > 0;
            numbers.extend([
                ("tenants", some, "at least one tenant, and at most 100000"),
                ("to", sets.jobs.iter().all(right), "a span that is not shorter than `run`"),
            ]);
        }
        let wrong = numbers.into_iter().find(|(_, right, _)| !right);
        wrong.map(|(key, _, expected)| (key, expected))
    }

    /// A key that is given and means nothing to a load that is made up.
    pub(super) fn for_lists_only(&self) -> Option<&'static str> {
        let plain = |number: f64, usual: f64| number.total_cmp(&usual).is_eq();
        let given = [
            ("from", self.from.is_some()),
            ("until", self.until.is_some()),
            ("first", self.first.is_some()),
            ("longest", self.longest.is_some()),
            ("arrivals_divided_by", !plain(self.arrivals_divided_by, one())),
            ("durations_divided_by", !plain(self.durations_divided_by, one())),
            ("limit_factor", !plain(self.limit_factor, two())),
        ];
        let given = given.into_iter().find(|(_, given)| *given && self.made.is_some());
        given.map(|(key, _)| key)
    }
}

fn one() -> f64 {
    1.0
}

fn two() -> f64 {
    2.0
}

/// The delta's tables.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delta {
    pub(super) jobs: String,
    #[serde(default = "datasets_csv")]
    pub(super) datasets: String,
}

fn datasets_csv() -> String {
    "datasets.csv".to_owned()
}

/// A list of jobs in a form of its own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) file: String,
}

/// A list of pods, with the catalog's names of the chips they ask for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pods {
    pub(super) file: String,
    #[serde(default)]
    pub(super) chips: BTreeMap<String, ChipId>,
}

/// Any table, with the names of its columns where those are not the usual ones.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) file: String,
    pub(super) columns: Option<lists::Columns>,
}

/// Gavel's lists, with the throughputs they mean and the catalog's names of its chips.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gavel {
    pub(super) file: String,
    pub(super) throughputs: String,
    pub(super) chips: BTreeMap<String, ChipId>,
    pub(super) jobs_per_hour: Option<f64>,
}

/// A list in the Standard Workload Format.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Swf {
    pub(super) file: String,
    #[serde(default = "one_processor")]
    pub(super) processors_per_chip: u32,
}

fn one_processor() -> u32 {
    1
}

/// Sets of alike jobs, the same for each of these tenants.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sets {
    pub(super) tenants: Tenants,
    pub(super) jobs: Vec<SetFile>,
}

/// Tenants by name, or so many.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Tenants {
    Count(u32),
    Named(Vec<TenantId>),
}

impl Tenants {
    /// How many; none where there are too many to be meant.
    pub(super) fn count(&self) -> usize {
        let count = match self {
            Self::Count(count) => usize::try_from(*count).unwrap_or(usize::MAX),
            Self::Named(names) => names.len(),
        };
        if count > 100_000 { 0 } else { count }
    }
}

/// Alike jobs that come one after the other.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetFile {
    pub(super) workload: String,
    pub(super) count: u32,
    #[serde(default = "at_once")]
    pub(super) from: Text<Span>,
    #[serde(default = "at_once")]
    pub(super) every: Text<Span>,
    #[serde(default = "one_chip")]
    pub(super) chips: Text<Chips>,
    pub(super) run: Text<Span>,
    pub(super) to: Option<Text<Span>>,
    pub(super) limit: Option<Text<Span>>,
    #[serde(default)]
    pub(super) priority: i32,
    #[serde(default)]
    pub(super) preemptible: bool,
    #[serde(default)]
    pub(super) classes: Vec<ChipClass>,
}

fn at_once() -> Text<Span> {
    Text(Span::ZERO)
}

fn one_chip() -> Text<Chips> {
    Text(Chips::ONE)
}

/// A load that is made up.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MadeLoad {
    pub(super) jobs: u64,
    pub(super) over: Text<Span>,
    pub(super) chip_seconds: Option<f64>,
    pub(super) tenants: u32,
    pub(super) workloads: u32,
    pub(super) clusters: String,
    pub(super) like: BTreeMap<String, f64>,
    #[serde(default)]
    pub(super) swing: f64,
    pub(super) peak: Option<Text<Span>>,
    pub(super) largest: Option<u64>,
    pub(super) longest: Option<Text<Span>>,
    #[serde(default)]
    pub(super) preemptible: f64,
    pub(super) data: Option<MadeData>,
}

/// Data that jobs of a made load read.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MadeData {
    pub(super) sets: u32,
    pub(super) share: f64,
    #[serde(default = "one")]
    pub(super) zipf: f64,
    pub(super) median: Text<Bytes>,
    #[serde(default = "one")]
    pub(super) sigma: f64,
}

/// Which policies are compared, and what they are told.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) compare: toml::Spanned<Vec<String>>,
    pub(super) loads: Vec<f64>,
    pub(super) aim: Option<Text<planner::Aim>>,
    pub(super) reservations: Option<usize>,
    pub(super) solve_every: Option<Text<Span>>,
    pub(super) round: Option<Text<Span>>,
    pub(super) preemption: bool,
}

impl Default for Policy {
    fn default() -> Self {
        let all = super::Contender::usual().map(super::Contender::name);
        Self {
            compare: toml::Spanned::new(0..0, all.collect()),
            loads: Vec::new(),
            aim: None,
            reservations: None,
            solve_every: None,
            round: None,
            preemption: true,
        }
    }
}

/// What goes wrong where Portolan plans. Chances are in thousandths.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Faults {
    pub(super) until: Option<Text<Span>>,
    pub(super) lost: u32,
    pub(super) doubled: u32,
    pub(super) late: u32,
    pub(super) latest: Option<Text<Span>>,
    pub(super) not_started: u32,
    pub(super) cut_short: u32,
    pub(super) broken_copies: u32,
    pub(super) damaged_copies: u32,
    pub(super) drift_ppm: u32,
    pub(super) event: Vec<toml::Spanned<Event>>,
}

/// A single fault.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Event {
    pub(super) after: Text<Span>,
    pub(super) what: What,
    pub(super) center: Option<CenterId>,
    pub(super) lasts: Option<Text<Span>>,
    pub(super) declared: Option<Text<Span>>,
    #[serde(default)]
    pub(super) wiped: bool,
    #[serde(default)]
    pub(super) holds: bool,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum What {
    AgentDies,
    HostsDie,
    Cut,
    Slow,
    Rot,
    ServerDies,
}

/// What is looked at.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Measures {
    pub(super) sample: Text<Span>,
}

impl Default for Measures {
    fn default() -> Self {
        Self { sample: Text(Span::from_secs(600)) }
    }
}
