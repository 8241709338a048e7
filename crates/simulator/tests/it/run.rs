//! Runs in which nothing goes wrong: what becomes of jobs on the network `laptop`.

use controller::Declarations;
use model::fact::{GENESIS, extend};
use model::file::chip::Catalog;
use model::file::job::Format;
use model::{Bytes, CenterId, DatasetId, DatasetVersion, Digest, Moment, Record, Span, TenantId};
use simulator::fault::{Fault, Faults, Planned};
use simulator::load::{Actual, Arrival, Ending, Stock};
use simulator::log::{Nowhere, Sink};
use simulator::measure::Fate;
use simulator::run::run;
use simulator::{Audit, Run, Setup};
use std::sync::Arc;

pub(crate) const CHIPS: [(&str, &str); 3] = [
    ("a100", include_str!("../../../../catalog/chips/nvidia-a100-sxm4-80.toml")),
    ("ascend", include_str!("../../../../catalog/chips/ascend-910b3.toml")),
    ("hygon", include_str!("../../../../catalog/chips/hygon-k100-ai.toml")),
];
const NETWORK: &str = include_str!("../../../../catalog/networks/laptop.toml");

pub(crate) fn tenant() -> TenantId {
    TenantId::new("lab").expect("a slug")
}

pub(crate) fn laptop() -> Setup {
    let catalog = Catalog::read(&CHIPS).expect("the chips are well formed");
    let file = model::file::network::read(&[("laptop.toml", NETWORK)], &catalog)
        .expect("the network is well formed");
    let mut setup = Setup::new(Declarations {
        chips: catalog.chips().cloned().collect(),
        centers: file.centers,
        exchanges: file.exchanges,
        links: file.links,
        flavors: file.flavors,
        priority_classes: file.priority_classes,
        tenants: file.tenants,
        admission: file.admission,
    });
    setup.audit = Audit::Everything;
    setup
}

/// A job as people write it, that arrives after so many seconds and really takes so many.
pub(crate) fn job(after: u64, takes: u64, text: &str) -> Arrival {
    ending(after, takes, Ending::Success, text)
}

pub(crate) fn ending(after: u64, takes: u64, ending: Ending, text: &str) -> Arrival {
    let text = format!("name = \"j\"\ncommand = [\"true\"]\nlimit = \"10m\"\n{text}");
    let file = model::file::job::read("job.toml", &text, Format::Toml).expect("a job file");
    let spec = file.spec(tenant(), Moment(1_000)).expect("a job");
    let actual = Actual { work: Span::from_secs(takes), kind: 0, ending };
    Arrival { after: Span::from_secs(after), spec: Arc::new(spec), actual }
}

fn play(setup: &Setup, arrivals: Vec<Arrival>) -> Run {
    let run = run(setup, &mut arrivals.into_iter(), 1, &mut Nowhere).expect("it can be played");
    assert_eq!(run.violations, []);
    run
}

/// Each job's arrival, fate, center, and whole seconds from submission to start and to the end.
fn told(run: &Run) -> Vec<String> {
    let secs = |span: Span| span.0 / 1_000;
    let line = |job: &simulator::measure::Finished| {
        let center = job.center.as_ref().map_or("nowhere", CenterId::as_str);
        let waited = job.started.map(|start| secs(start.saturating_sub(job.submitted)));
        let waited = waited.map_or("-".to_owned(), |waited| waited.to_string());
        let ended = secs(job.ended.saturating_sub(job.submitted));
        format!("{} {:?} at {center} {waited} {ended}", job.arrival, job.fate)
    };
    run.finished.iter().map(line).collect()
}

#[test]
fn jobs_end_as_they_are_to_and_limits_hold() {
    let run = play(
        &laptop(),
        vec![
            job(0, 60, "on = \"cann\"\nchips = 2"),
            job(1, 6_000, "on = \"cuda\"\nchips = 8"),
            ending(2, 30, Ending::Failure, "on = \"cann\"\nchips = 1"),
            ending(3, 40, Ending::Canceled, "on = \"cann\"\nchips = 1"),
        ],
    );
    assert_eq!(
        told(&run),
        [
            "2 Failed at zhangjiang 0 30",
            "3 Canceled at zhangjiang 0 40",
            "0 Completed at zhangjiang 0 60",
            "1 TimedOut at lingang 0 600"
        ]
    );
    let first = run.finished.iter().find(|job| job.arrival == 0).expect("it ended");
    assert_eq!(first.price_micros / 10_000, 16, "two chips for a minute at 5 CNY an hour");
}

#[test]
fn speed_is_the_chips_own() {
    let mut setup = laptop();
    setup.speeds.kinds = vec!["llm".to_owned()];
    let ascend = model::ChipId::new("ascend-910b3").expect("a slug");
    setup.speeds.of.insert(ascend, vec![500]);
    let run = play(&setup, vec![job(0, 60, "on = \"cann\"\nchips = 2")]);
    assert_eq!(told(&run), ["0 Completed at zhangjiang 0 120"]);
}

#[test]
fn data_comes_first_and_what_moved_is_counted() {
    let mut setup = laptop();
    let dataset = DatasetId::new("corpus").expect("a slug");
    setup.data.push(Stock {
        data: DatasetVersion { dataset, version: Digest::of(b"corpus") },
        bytes: Bytes(1 << 30),
        tenant: tenant(),
        at: vec![CenterId::new("lingang").expect("a slug")],
        residency: Vec::new(),
    });
    let reads = "on = \"cann\"\nchips = 1\n[[input]]\nname = \"corpus\"\ndataset = \"corpus\"";
    let run = play(&setup, vec![job(0, 60, reads), job(200, 60, reads)]);
    let moved: Vec<u64> = run.finished.iter().map(|job| job.moved.0).collect();
    assert_eq!(moved, [1 << 30, 0]);
    let waited = run.finished[0].started.expect("it started");
    assert!(waited > Span(500), "{waited}");
}

#[test]
fn a_job_that_fits_nowhere_is_refused_and_ends_the_run() {
    let setup = Setup { audit: Audit::Steps, ..laptop() };
    let run = play(&setup, vec![job(0, 1, "on = \"cuda\"\nchips = 8\nnodes = 9")]);
    assert_eq!(told(&run).len(), 1);
    assert_eq!((run.finished[0].fate, run.unfinished), (Fate::Refused, 1));
    assert!(run.lasted < Span::from_secs(3_600), "{}", run.lasted);
}

#[test]
fn the_head_is_that_of_the_chain_over_the_records() {
    struct Chain(Digest, u64);
    impl Sink for Chain {
        fn take(&mut self, records: &[Record]) {
            for record in records {
                self.0 = extend(&self.0, &record.header.digest());
                self.1 += 1;
            }
        }
    }
    let mut chain = Chain(GENESIS, 0);
    let mut arrivals = vec![job(0, 60, "on = \"cann\"\nchips = 2")].into_iter();
    let run = run(&laptop(), &mut arrivals, 1, &mut chain).expect("it can be played");
    assert_eq!((run.head.digest, run.head.number), (chain.0, chain.1));
}

#[test]
fn arrivals_out_of_order_are_an_error_with_its_place() {
    let late = "on = \"cann\"\nchips = 1";
    let mut arrivals = vec![job(9, 1, late), job(5, 1, late)].into_iter();
    let wrong = run(&laptop(), &mut arrivals, 1, &mut Nowhere).expect_err("they are not sorted");
    let said = "arrival 1 is 5.0s after the start, before the one ahead; sort the load by time";
    assert_eq!(wrong.to_string(), said);
}

#[test]
fn a_job_of_a_center_that_goes_down_runs_again_elsewhere_once_the_center_is_declared_lost() {
    let mut setup = laptop();
    let fault = Fault::HostsDie {
        center: CenterId::new("lingang").expect("a slug"),
        back: Span::from_secs(3_000),
        declared: Some(Span::from_secs(20)),
        wiped: false,
    };
    let planned = vec![Planned { after: Span::from_secs(30), fault }];
    setup.faults = Faults { planned, until: Span::from_secs(40), ..Faults::default() };
    let both = "expected = \"100s\"\nchips = 1\n[[variant]]\non = \"cuda\"\n[[variant]]\non = \"cann\"\nspeed = 0.5";
    let run = play(&setup, vec![job(0, 100, both)]);
    assert_eq!(run.finished.len(), 1);
    let job = &run.finished[0];
    assert_eq!(job.fate, Fate::Completed);
    assert_eq!(job.center.as_ref().map(CenterId::as_str), Some("zhangjiang"));
    assert!(job.ended >= Span::from_secs(150), "{}", job.ended);
}
