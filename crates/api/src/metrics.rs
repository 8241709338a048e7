//! What is counted, in OpenMetrics. Labels are few and never ids of jobs.

use model::Moment;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Counters and histograms that live as long as the process. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Kept>);

struct Kept {
    registry: Registry,
    commits: Histogram,
    requests: Family<Route, Counter>,
    answers: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
    method: String,
    status: String,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("portolan");
        let seconds = || Histogram::new(exponential_buckets(0.000_25, 2.0, 16));
        let (commits, answers, requests) = (seconds(), seconds(), Family::default());
        registry.register_with_unit(
            "commit",
            "Time from an append to the log until it is durable",
            Unit::Seconds,
            commits.clone(),
        );
        registry.register_with_unit(
            "http_answer",
            "Time until a request is answered, those that wait left out",
            Unit::Seconds,
            answers.clone(),
        );
        registry.register("http_requests", "Requests answered", Family::clone(&requests));
        Self(Arc::new(Kept { registry, commits, requests, answers }))
    }
}

impl Metrics {
    /// Counts an append that took this long to become durable.
    pub fn committed(&self, took: Duration) {
        self.0.commits.observe(took.as_secs_f64());
    }

    /// Counts a request. `route` is the template, not the path asked for.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, took: Option<Duration>) {
        let label = Route {
            route: route.to_owned(),
            method: method.to_owned(),
            status: format!("{}xx", status / 100),
        };
        self.0.requests.get_or_create(&label).inc();
        if let Some(took) = took {
            self.0.answers.observe(took.as_secs_f64());
        }
    }

    /// All of it with the network's present state, as text.
    pub(crate) fn text(&self, state: &State) -> String {
        let mut text = String::new();
        let encoded = encode_registry(&mut text, &self.0.registry)
            .and_then(|()| encode_registry(&mut text, &state.registry()))
            .and_then(|()| encode_eof(&mut text));
        encoded.expect("writing to a string does not fail");
        text
    }
}

/// The network's state in figures.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Jobs in the world by state, and ended ones ever by how.
    pub(crate) jobs: BTreeMap<&'static str, u64>,
    /// Jobs that ended, by how, archived ones included.
    pub(crate) ended: BTreeMap<String, u64>,
    /// How told starts held.
    pub(crate) promises: world::Promises,
    /// The number of the last fact.
    pub(crate) facts: u64,
    /// Centers and whether each is silent, with its chips: all, and held, in thousandths.
    pub(crate) centers: Vec<CenterFigures>,
    /// Chips that guests have now, in thousandths, by who lends and who borrows.
    pub(crate) lent: BTreeMap<(String, String), u64>,
}

/// A center in figures.
#[derive(Debug)]
pub(crate) struct CenterFigures {
    pub(crate) center: String,
    pub(crate) silent: bool,
    pub(crate) chips_milli: u64,
    pub(crate) held_milli: u64,
}

impl State {
    fn registry(&self) -> Registry {
        type Labels = [(&'static str, String); 1];
        let mut registry = Registry::with_prefix("portolan");
        let gauge = |value: u64| {
            let gauge: Gauge = Gauge::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            gauge
        };
        let family = |key, values: &mut dyn Iterator<Item = (String, u64)>| {
            let family = Family::<Labels, Gauge>::default();
            for (label, value) in values {
                let value = i64::try_from(value).unwrap_or(i64::MAX);
                family.get_or_create(&[(key, label)]).set(value);
            }
            family
        };
        let jobs = &mut self.jobs.iter().map(|(state, n)| ((*state).to_owned(), *n));
        registry.register("jobs", "Jobs that have not ended, by state", family("state", jobs));
        let queue = self.jobs.get("waiting").copied().unwrap_or_default();
        registry.register("queue_jobs", "Jobs that wait for a place", gauge(queue));
        let ended = &mut self.ended.iter().map(|(how, n)| (how.clone(), *n));
        registry.register("jobs_ended", "Jobs that ended, by how", family("end", ended));
        let kept = self.promises.all(Moment::ZERO).all();
        let promises = Family::<Labels, Counter>::default();
        for (held, starts) in [("yes", kept.held), ("no", kept.told - kept.held)] {
            promises.get_or_create(&[("held", held.to_owned())]).inc_by(starts);
        }
        registry.register("promises", "Told starts, by whether they held", promises);
        let facts = ConstCounter::new(self.facts);
        registry.register("facts", "Facts in the log", facts);
        let silent = self.centers.iter().filter(|c| c.silent).count();
        registry.register("centers", "Centers", gauge(self.centers.len() as u64));
        registry.register("centers_silent", "Centers not heard of", gauge(silent as u64));
        let chips = &mut self.centers.iter().map(|c| (c.center.clone(), c.chips_milli / 1_000));
        registry.register("chips", "Chips of a center", family("center", chips));
        let held =
            &mut self.centers.iter().map(|c| (c.center.clone(), c.held_milli.div_ceil(1_000)));
        registry.register("chips_held", "Chips held, shares rounded up", family("center", held));
        let lent = Family::<[(&'static str, String); 2], Gauge>::default();
        for ((lender, borrower), milli) in &self.lent {
            let labels = [("lender", lender.clone()), ("borrower", borrower.clone())];
            let chips = i64::try_from(milli.div_ceil(1_000)).unwrap_or(i64::MAX);
            lent.get_or_create(&labels).set(chips);
        }
        let help = "Chips of an owner's centers that another's jobs have, shares rounded up";
        registry.register("lent_chips", help, lent);
        registry
    }
}
