//! What if: logs as loads, changes as text, and what comes of both. The logs are those of runs on
//! the network `laptop`, so what really happened is known.

use crate::run::{CHIPS, ending, job, laptop, tenant};
use model::file::chip::Catalog;
use model::{Bytes, CenterId, DatasetId, DatasetVersion, Digest, Moment, Record, Span};
use simulator::load::{Arrival, Ending, Stock};
use simulator::log::Sink;
use simulator::run::run;
use simulator::whatif::{Answer, ChangeFile, Changes, Past, Period, WhatIf};
use simulator::{Audit, Setup};

/// A center beside the exchange, larger than the others.
const SUZHOU: &str = r#"
[[center]]
center = "suzhou"
owner = "suzhou-cloud"
region = "cn/yrd/jiangsu/suzhou"
latitude = 31.3
longitude = 120.6
time_zone = "Asia/Shanghai"
engine = "process"
store = "32 GiB"

[[center.pool]]
pool = "a100"
chip = "nvidia-a100-sxm4-80"
nodes = 4
chips_per_node = 8
cores = 64
memory = "512 GiB"
price_per_chip_hour = "3 CNY"

[[link]]
link = "suzhou--sh-ixp"
a = "suzhou"
b = "sh-ixp"
capacity = "10 Gbit/s"
latency = "300us"
carrier = "telecom"
price_per_gbps_hour = "12 CNY"
"#;

#[derive(Default)]
struct Kept(Vec<Record>);

impl Sink for Kept {
    fn take(&mut self, records: &[Record]) {
        self.0.extend_from_slice(records);
    }
}

fn logged(setup: &Setup, arrivals: Vec<Arrival>) -> Vec<Record> {
    let mut kept = Kept::default();
    let setup = Setup { audit: Audit::Steps, ..setup.clone() };
    let run = run(&setup, &mut arrivals.into_iter(), 1, &mut kept).expect("it can be played");
    assert_eq!(run.violations, []);
    kept.0
}

fn past(records: &[Record]) -> Past {
    let mut past = Past::default();
    for record in records {
        past.take(record).expect("a fact of today");
    }
    past
}

fn catalog() -> Catalog {
    Catalog::read(&CHIPS).expect("the chips are well formed")
}

fn ask(past: &Past, period: Period, changes: &Changes) -> Answer {
    let what_if = WhatIf::of(past, period).expect("there is a load");
    let answer = what_if.play(changes, &catalog(), 1, &mut || ());
    answer.map_err(|error| error.to_string()).expect("the changes make sense")
}

fn whole(past: &Past) -> Period {
    past.whole().expect("there are jobs")
}

fn remove(center: &str) -> Changes {
    Changes { remove: vec![center.to_owned()], ..Changes::default() }
}

fn set(path: &str, value: &str) -> Changes {
    Changes { set: vec![(path.to_owned(), value.to_owned())], ..Changes::default() }
}

fn seconds(seconds: f64) -> String {
    format!("{seconds:.0}")
}

/// Eight jobs that each want half of the largest center, a minute apart.
fn crowd() -> Vec<Arrival> {
    let wants = "chips = 8\n[[variant]]\non = \"cuda\"";
    (0..8).map(|number| job(number * 60, 300, wants)).collect()
}

#[test]
fn a_log_played_again_is_what_it_tells() {
    let mut load = crowd();
    load.push(ending(481, 30, Ending::Failure, "on = \"cann\"\nchips = 1"));
    load.push(ending(482, 40, Ending::Canceled, "on = \"cann\"\nchips = 1"));
    load.push(job(483, 6_000, "on = \"hip\"\nchips = 4"));
    let past = past(&logged(&laptop(), load));
    let answer = ask(&past, whole(&past), &Changes::default());
    let really = answer.really.as_ref().expect("it is past");
    assert_eq!((answer.load.jobs, answer.load.known, answer.load.estimated), (11, 11, 0));
    assert_eq!(really.ended, 11);
    assert!(really.wait.mean_s > 60.0, "{}", really.wait.mean_s);
    let was = &answer.as_it_was;
    for (really, was) in [
        (really.wait.mean_s, was.wait.mean_s),
        (really.completion.p99_s, was.completion.p99_s),
        (really.chip_hours, was.chip_hours),
        (really.utilization, was.utilization),
        (really.bounded_slowdown, was.bounded_slowdown),
    ] {
        assert!((really - was).abs() <= 0.01 * really, "{really} became {was}");
    }
    assert_eq!(really.cost.keys().collect::<Vec<_>>(), was.cost.keys().collect::<Vec<_>>());
    let fidelity = answer.fidelity.expect("jobs ran");
    assert!(fidelity.same_center > 0.99 && fidelity.mean_wait_apart_s < 1.0, "{fidelity:?}");
    assert!(answer.changed.is_none());
}

#[test]
fn the_same_question_has_the_same_answer() {
    let past = past(&logged(&laptop(), crowd()));
    let changes = set("pool.lingang/a100.nodes", "1");
    let period = whole(&past);
    assert_eq!(ask(&past, period, &changes), ask(&past, period, &changes));
}

#[test]
fn fewer_nodes_make_jobs_wait_and_another_center_lets_them_start() {
    let past = past(&logged(&laptop(), crowd()));
    let half = ask(&past, whole(&past), &set("pool.lingang/a100.nodes", "1"));
    let (was, is) = (&half.as_it_was, half.changed.as_ref().expect("something changed"));
    assert!(is.wait.mean_s > 2.0 * was.wait.mean_s, "{} {}", was.wait.mean_s, is.wait.mean_s);
    assert_eq!(half.changes, ["pool lingang/a100: nodes 2 → 1"]);
    let lent = ask(&past, whole(&past), &set("pool.lingang/a100.share", "50 %"));
    assert_eq!(lent.changes, ["pool lingang/a100: share 100 % → 50 %, nodes 2 → 1"]);
    assert_eq!(lent.changed, half.changed);

    let add =
        Changes { add: vec![("suzhou.toml".to_owned(), SUZHOU.to_owned())], ..Changes::default() };
    let more = ask(&past, whole(&past), &add);
    let (was, is) = (&more.as_it_was, more.changed.as_ref().expect("something changed"));
    assert!(is.wait.mean_s < 0.1 * was.wait.mean_s, "{} {}", was.wait.mean_s, is.wait.mean_s);
    let suzhou = CenterId::new("suzhou").expect("a slug");
    assert!(is.centers[&suzhou].jobs > 0 && !was.centers.contains_key(&suzhou));
    let cost = |figures: &simulator::whatif::Figures| figures.cost.values().sum::<f64>();
    assert!(cost(is) < cost(was), "suzhou is cheaper");
}

#[test]
fn a_job_takes_as_much_longer_on_another_variant_as_that_is_slower() {
    let both = "expected = \"100s\"\nchips = 1\n[[variant]]\non = \"cuda\"\n[[variant]]\non = \"cann\"\nspeed = 0.5";
    let past = past(&logged(&laptop(), vec![job(0, 100, both)]));
    let answer = ask(&past, whole(&past), &remove("lingang"));
    assert_eq!(seconds(answer.as_it_was.completion.mean_s), "100");
    let changed = answer.changed.expect("a center went");
    assert_eq!(seconds(changed.completion.mean_s), "200");
}

#[test]
fn without_its_only_center_a_job_never_runs() {
    let load = vec![job(0, 100, "on = \"hip\"\nchips = 1"), job(1, 50, "on = \"cuda\"\nchips = 1")];
    let past = past(&logged(&laptop(), load));
    let answer = ask(&past, whole(&past), &remove("kunshan"));
    let changed = answer.changed.expect("a center went");
    assert_eq!((answer.as_it_was.never_ran, changed.never_ran, changed.ended), (0, 1, 1));
    assert_eq!(answer.changes, ["center kunshan removed, with its link"]);
}

#[test]
fn a_wider_link_brings_data_sooner_and_a_dearer_one_costs_more() {
    let mut setup = laptop();
    let dataset = DatasetId::new("corpus").expect("a slug");
    setup.data.push(Stock {
        data: DatasetVersion { dataset, version: Digest::of(b"corpus") },
        bytes: Bytes(10 << 30),
        tenant: tenant(),
        at: vec![CenterId::new("kunshan").expect("a slug")],
        residency: Vec::new(),
    });
    let reads = "on = \"cuda\"\nchips = 1\n[[input]]\nname = \"corpus\"\ndataset = \"corpus\"";
    let past = past(&logged(&setup, vec![job(0, 60, reads)]));
    let wider = ask(&past, whole(&past), &set("link.kunshan--sh-ixp.capacity", "10 Gbit/s"));
    let (was, is) = (&wider.as_it_was, wider.changed.as_ref().expect("a link changed"));
    assert_eq!((was.wan_bytes, is.wan_bytes), (10 << 30, 10 << 30));
    assert!(is.wait.mean_s < 0.2 * was.wait.mean_s, "{} {}", was.wait.mean_s, is.wait.mean_s);

    let dearer = ask(&past, whole(&past), &set("link.kunshan--sh-ixp.price", "1500 CNY"));
    let cost = |figures: &simulator::whatif::Figures| figures.cost.values().sum::<f64>();
    let (was, is) = (&dearer.as_it_was, dearer.changed.as_ref().expect("a link changed"));
    assert!(cost(is) > 10.0 * cost(was), "{} {}", cost(was), cost(is));

    let gone = ask(&past, whole(&past), &remove("kunshan"));
    assert_eq!(gone.changed.expect("a center went").never_ran, 1);
    assert_eq!(gone.notes, ["all copies of corpus would be lost: jobs that read it never run"]);
}

#[test]
fn what_ran_when_a_period_began_goes_on_where_it_ran() {
    let setup = laptop();
    let load = vec![
        job(0, 500, "on = \"cuda\"\nchips = 8\nnodes = 2"),
        job(100, 50, "on = \"cuda\"\nchips = 8"),
        job(300, 50, "on = \"cuda\"\nchips = 8"),
    ];
    let past = past(&logged(&setup, load));
    let from = setup.start + Span::from_secs(200);
    let period = Period { from, to: past.last() };
    let answer = ask(&past, period, &Changes::default());
    let load = &answer.load;
    assert_eq!((load.jobs, load.running_before, load.waiting_before), (1, 1, 1));
    // It came 100 seconds after the beginning, and the first job held everything for 300; orders and
    // reports take seconds on their way.
    let simulated = answer.as_it_was.wait.mean_s;
    let really = answer.really.expect("it is past").wait.mean_s;
    for wait in [simulated, really] {
        assert!((195.0..205.0).contains(&wait), "{wait}");
    }
}

/// The log as it was so long after the run's start.
fn until(records: &[Record], start: Moment, seconds: u64) -> Vec<Record> {
    let end = start + Span::from_secs(seconds);
    records.iter().filter(|record| record.header.at < end).cloned().collect()
}

#[test]
fn ahead_lies_what_becomes_of_those_who_wait() {
    let setup = laptop();
    let full = "expected = \"5m\"\non = \"cuda\"\nchips = 8\nnodes = 2";
    let records = logged(&setup, vec![job(0, 300, full), job(10, 300, full), job(20, 300, full)]);
    let past = past(&until(&records, setup.start, 100));
    let end = past.last() + Span(1);
    let present = Period { from: end, to: end };
    let answer = ask(&past, present, &set("pool.lingang/a100.nodes", "6"));
    let load = &answer.load;
    assert!(answer.ahead && answer.really.is_none());
    assert_eq!((load.jobs, load.running_before, load.estimated), (2, 1, 3));
    let (was, is) = (&answer.as_it_was, answer.changed.as_ref().expect("a pool grew"));
    assert_eq!((was.ended, is.ended), (2, 2));
    assert!(
        was.wait.mean_s > 150.0 && is.wait.mean_s < 5.0,
        "{} {}",
        was.wait.mean_s,
        is.wait.mean_s
    );
}

#[test]
fn run_times_that_nobody_knows_are_those_of_like_jobs() {
    let setup = laptop();
    let like = "workload = \"alike\"\non = \"cuda\"\nchips = 8";
    let mut load: Vec<Arrival> = (0..4).map(|number| job(number * 100, 60, like)).collect();
    load.push(job(400, 60, like));
    let records = logged(&setup, load);
    let past = past(&until(&records, setup.start, 410));
    let answer = ask(&past, whole(&past), &Changes::default());
    assert_eq!((answer.load.known, answer.load.estimated), (4, 1));
    // A tenth of the limit of ten minutes, as the four before it.
    assert!((60.0..72.0).contains(&answer.as_it_was.completion.p99_s), "{:?}", answer.as_it_was);
}

#[test]
fn what_was_withdrawn_is_withdrawn_again_unless_it_started_by_then() {
    let setup = laptop();
    let full = "on = \"cuda\"\nchips = 8\nnodes = 2";
    let withdrawn = ending(10, 100, Ending::Withdrawn, full);
    let past = past(&logged(&setup, vec![job(0, 300, full), withdrawn]));
    let answer = ask(&past, whole(&past), &set("pool.lingang/a100.nodes", "4"));
    let (was, is) = (&answer.as_it_was, answer.changed.as_ref().expect("a pool grew"));
    assert_eq!((was.withdrawn, was.ended, was.never_ran), (1, 1, 0));
    assert_eq!((is.withdrawn, is.ended, is.never_ran), (0, 2, 0));
}

/// What is said of a change to the network `laptop`.
fn said(changes: &Changes) -> String {
    let mut network = laptop().declarations;
    match changes.make(&mut network, &mut planner::Policy::default(), &catalog()) {
        Ok(said) => said.join("; "),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn changes_are_said_in_words_and_wrong_ones_with_what_was_meant() {
    for (path, value, expected) in [
        (
            "link.kunshan--sh-ixp.capacity",
            "100 Gbit/s",
            "link kunshan--sh-ixp: capacity 1 Gbit/s → 100 Gbit/s",
        ),
        ("link.kunshan--sh-ixp.price", "2 CNY", "link kunshan--sh-ixp: price 15.00 CNY → 2.00 CNY"),
        ("link.kunshan--sh-ixp.down", "true", "link kunshan--sh-ixp down"),
        ("pool.kunshan/dcu.price", "1 CNY", "pool kunshan/dcu: price 2.40 CNY → 1.00 CNY"),
        (
            "pool.kunshan/dcu.chip",
            "ascend-910b3",
            "pool kunshan/dcu: chip hygon-k100-ai → ascend-910b3",
        ),
        (
            "center.kunshan.only_tenants",
            "lab, startup",
            "center kunshan: only_tenants all → lab, startup",
        ),
        ("policy.reservations", "0", "policy: reservations 64 → 0"),
        ("policy.hour_is_worth", "20 CNY", "policy: hour_is_worth 10.00 CNY → 20.00 CNY"),
        ("policy.stage_ahead", "1h", "policy: stage_ahead 10m 0s → 1h 0m"),
        (
            "link.kunshan--sh-ixq.capacity",
            "1 Gbit/s",
            "error: there is no link `kunshan--sh-ixq` (did you mean `kunshan--sh-ixp`?); known are lingang--sh-ixp, zhangjiang--sh-ixp, kunshan--sh-ixp",
        ),
        (
            "link.kunshan--sh-ixp.capacty",
            "1 Gbit/s",
            "error: `link.kunshan--sh-ixp` has no `capacty` (did you mean `capacity`?); it has one of `capacity`, `price`, `down`",
        ),
        (
            "link.kunshan--sh-ixp.capacity",
            "wide",
            "error: capacity: found `wide`; expected a rate of data with its unit, such as `10 Gbit/s`",
        ),
        (
            "link.kunshan--sh-ixp.capacity",
            "0 Gbit/s",
            "error: a link that carries nothing; take the link away with `link.kunshan--sh-ixp.down=true`",
        ),
        (
            "pool.kunshan/dcus.nodes",
            "3",
            "error: there is no pool `kunshan/dcus` (did you mean `kunshan/dcu`?); known are lingang/a100, zhangjiang/ascend, kunshan/dcu",
        ),
        (
            "pool.kunshan/dcu.nodes",
            "0",
            "error: nodes: found `0`; expected a whole number from 1 to 1000000",
        ),
        (
            "pool.kunshan/dcu.share",
            "half",
            "error: share: found `half`; expected whole percents from `1 %` to `100 %`",
        ),
        (
            "pool.lingang/a100.share",
            "49%",
            "error: share: 49 % of 2 nodes is not one whole node; name a larger share, or take the center away with --remove-center",
        ),
        (
            "pool.kunshan/dcu.chip",
            "ascend-910b",
            "error: chip: found `ascend-910b`; expected a chip of the catalog (did you mean `ascend-910b3`?)",
        ),
        (
            "polcy.reservations",
            "3",
            "error: `polcy.reservations` begins with no kind of thing (did you mean `policy`?); begin with one of `link`, `pool`, `center`, `policy`: `link.NAME.capacity`",
        ),
        (
            "policy.reservation",
            "3",
            "error: `policy` has no `reservation` (did you mean `reservations`?); it has one of `reservations`, `paths`, `hour_is_worth`, `stage_ahead`",
        ),
        (
            "tenant.lab.share",
            "0.5",
            "error: `tenant.lab.share`: not supported yet: shares; the planner does not divide capacity between tenants yet",
        ),
        (
            "center.kunshan.only_tenants",
            "labb",
            "error: there is no tenant `labb` (did you mean `lab`?); known are lab, startup, university",
        ),
    ] {
        assert_eq!(said(&set(path, value)), expected, "{path} = {value}");
    }
    let gone = said(&remove("kunshen"));
    assert_eq!(
        gone,
        "error: there is no center `kunshen` (did you mean `kunshan`?); known are lingang, zhangjiang, kunshan"
    );
}

#[test]
fn what_is_added_may_refer_to_what_is_there() {
    let add =
        |text: String| Changes { add: vec![("add.toml".to_owned(), text)], ..Changes::default() };
    assert_eq!(
        said(&add(SUZHOU.to_owned())),
        "center suzhou added, 32 chips; link suzhou--sh-ixp added, 10 Gbit/s"
    );
    let elsewhere = said(&add(SUZHOU.replace("b = \"sh-ixp\"", "b = \"sh-ixq\"")));
    assert!(
        elsewhere.contains("no center or exchange is named `sh-ixq` (did you mean `sh-ixp`?)"),
        "{elsewhere}"
    );
    let (center, _) = SUZHOU.split_once("[[link]]").expect("it has a link");
    assert!(said(&add(center.to_owned())).contains("no data can be brought to suzhou"));
}

#[test]
fn a_file_of_changes_says_the_same_as_options() {
    let text = "add_centers = [\"suzhou.toml\"]\nremove_centers = [\"kunshan\"]\n[set]\n\
        link.lingang--sh-ixp.capacity = \"1 Gbit/s\"\npool.\"lingang/a100\".nodes = 6\n";
    let file = ChangeFile::read("whatif.toml", text).expect("it is well formed");
    assert_eq!(
        (&*file.add_centers, &*file.remove_centers),
        (&["suzhou.toml".to_owned()][..], &["kunshan".to_owned()][..])
    );
    let set = [("link.lingang--sh-ixp.capacity", "1 Gbit/s"), ("pool.lingang/a100.nodes", "6")];
    assert_eq!(file.set(), set.map(|(path, value)| (path.to_owned(), value.to_owned())));
    let wrong = ChangeFile::read("whatif.toml", "\nremove = 3").expect_err("no such key");
    assert!(wrong.to_string().starts_with("whatif.toml:2:1: unknown field `remove`"), "{wrong}");
}

#[test]
fn a_period_without_jobs_is_told_with_when_there_were_some() {
    let past = past(&logged(&laptop(), crowd()));
    let period = Period { from: Moment(1_000), to: Moment(2_000) };
    let said = WhatIf::of(&past, period).expect_err("nobody came then").to_string();
    assert!(said.contains("the log's 8 jobs came from 2027-01-15T08:00:00.020Z"), "{said}");
}
