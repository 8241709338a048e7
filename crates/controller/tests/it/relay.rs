//! Centers without a door: what they send, and what reaches them by way of a relay.

use crate::{NETWORK, Stage, attempt, center, job};
use controller::{Answer, Change, Command, Of, Rejected, Settings};
use model::attempt::Outcome;
use model::fact::{Fact, TransferEnd};
use model::{
    Bytes, DatasetId, DatasetRef, DatasetVersion, Digest, JobId, Keeping, Leave, LinkId, Span,
    Staging, TenantId, TransferId,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{Order, Report};

const GIB: Bytes = Bytes(1 << 30);
const ALL: [&str; 3] = ["lingang", "zhangjiang", "kunshan"];

fn data(name: &str) -> DatasetVersion {
    let dataset = DatasetId::new(name).unwrap();
    DatasetVersion { dataset, version: Digest::of(name.as_bytes()) }
}

fn newest(name: &str) -> DatasetRef {
    DatasetRef { dataset: data(name).dataset, version: None }
}

/// A job that can only run in zhangjiang, and reads this.
fn reads(name: &str) -> String {
    format!("on = \"cann\"\nchips = 1\n[[input]]\nname = \"in\"\ndataset = \"{name}\"")
}

/// The laptop network with a door at lingang only, which lends so much, and a gibibyte of `corpus` at
/// kunshan.
fn stage(relay: &str) -> Stage {
    let lends = format!("store = \"64 GiB\"\n{relay}");
    let network = NETWORK.replacen("store = \"64 GiB\"", &lends, 1);
    let mut stage = Stage::of(&network, Settings::default());
    stage.join("lingang");
    stage.join_without_door("zhangjiang");
    stage.join_without_door("kunshan");
    stage.put("corpus");
    stage
}

impl Stage {
    /// A gibibyte is in kunshan's store.
    fn put(&mut self, name: &str) {
        self.put_at("kunshan", name);
    }

    /// A gibibyte is in a center's store.
    pub(crate) fn put_at(&mut self, at: &str, name: &str) {
        self.command(Command::PutDataset {
            data: data(name),
            bytes: GIB,
            files: 1,
            center: center(at),
            tenant: TenantId::new("lab").unwrap(),
            residency: vec![],
        });
        let (data, lies) = (data(name), None);
        self.report(at, Report::Put { data, bytes: GIB, files: 1, lies, also_own: false });
    }

    /// The slow loop's turn comes.
    fn look(&mut self) {
        self.pass(Span::from_secs(2), &ALL);
        self.pass(Span::from_secs(2), &ALL);
    }

    fn transfers(&self) -> Vec<Arc<Staging>> {
        self.controller.world().transfers.values().cloned().collect()
    }

    /// Each transfer, in short.
    fn ways(&self) -> Vec<String> {
        let way = |t: &Arc<Staging>| {
            let how = match (t.sent, t.passing) {
                (true, true) => " sent in passing",
                (true, false) => " sent",
                (false, _) => "",
            };
            format!("{} {}>{}{how}", t.data.dataset, t.from, t.to)
        };
        self.transfers().iter().map(way).collect()
    }

    fn arrived(&mut self, transfer: TransferId, to: &str) {
        self.report(to, Report::Arrived { transfer, moved: GIB, corrupted: 0 });
    }

    /// The first transfer's receiver has what it brings.
    fn first_arrives(&mut self) {
        let first = self.transfers()[0].clone();
        self.arrived(first.transfer, first.to.as_str());
    }

    fn passing(&self, name: &str) -> Vec<String> {
        let version = self.controller.world().exact(&data(name)).unwrap();
        version.passing.iter().map(ToString::to_string).collect()
    }

    fn left(&self) -> Vec<(String, Leave)> {
        let left = self.facts.iter().filter_map(|(_, fact)| match fact {
            Fact::ReplicaLeaving(f) => Some((f.center.to_string(), f.why)),
            _ => None,
        });
        left.collect()
    }

    fn why(&self, job: JobId) -> String {
        let (world, view) = (self.controller.world(), self.controller.board().view());
        let (situation, policy) = (self.controller.situation(), self.controller.policy());
        let told = planner::explain(world, view, &situation, policy, job).unwrap();
        let zhangjiang = told.standings.iter().find(|s| s.center == center("zhangjiang")).unwrap();
        zhangjiang.refusal.to_string()
    }
}

#[test]
fn a_center_without_a_door_sends_to_one_that_has_one() {
    let mut stage = stage("");
    let reads = "on = \"cuda\"\nchips = 1\n[[input]]\nname = \"in\"\ndataset = \"corpus\"";
    let job = stage.submit(job(reads));
    assert_eq!(stage.state(job), "offered at lingang/a100");
    assert_eq!(stage.ways(), ["corpus kunshan>lingang sent"]);
    let sends = stage.orders("kunshan");
    let Some(Order::Send(send)) = sends.first() else { panic!("{sends:?}") };
    assert_eq!((send.to.as_str(), send.url.as_str()), ("lingang", "http://lingang"));
    assert!(!send.steps.is_empty());
    let expects = stage.orders("lingang");
    assert!(matches!(&expects[0], Order::Stage(stage) if stage.sent), "{expects:?}");
    // Its receiver opens elsewhere now.
    stage.join_at("lingang", Vec::new(), Some("http://other".into()));
    let sends = stage.orders("kunshan");
    assert!(matches!(&sends[..], [Order::Send(send)] if send.url == "http://other"), "{sends:?}");
    stage.first_arrives();
    assert!(stage.orders("kunshan").is_empty());
    stage.report("lingang", Report::Started { attempt: attempt("job-1.1") });
    assert_eq!(stage.state(job), "running at lingang/a100");
    stage.audit();
}

#[test]
fn what_a_sender_says_of_its_transfer_counts_and_its_receivers_word_does_not() {
    let mut stage = stage("");
    let want = Command::Copy { data: newest("corpus"), to: center("lingang") };
    stage.command(want);
    let transfer = stage.transfers()[0].transfer;
    let failed = |damaged| Report::TransferFailed { transfer, why: "broken".into(), damaged };
    stage.report("lingang", failed(false));
    assert_eq!(stage.transfers().len(), 1, "only who moves it knows");
    let (from, lasted) = (center("kunshan"), Span::from_secs(60));
    let window = Report::Delivered { transfer, from, lasted, planned: GIB, delivered: GIB };
    stage.report("lingang", window.clone());
    stage.report("kunshan", window);
    let measured = stage.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::PathMeasured(f) => Some((f.from.to_string(), f.to.to_string())),
        _ => None,
    });
    assert_eq!(measured.collect::<Vec<_>>(), [("kunshan".to_owned(), "lingang".to_owned())]);
    stage.report("kunshan", failed(true));
    assert!(stage.transfers().is_empty());
    assert!(stage.controller.world().exact(&data("corpus")).unwrap().replicas.is_empty());
    // Both ends are told to give it up.
    for end in ["kunshan", "lingang"] {
        let told = stage.orders(end).iter().any(|order| matches!(order, Order::Drop { .. }));
        assert!(told, "{end}");
    }
}

#[test]
fn nothing_is_sent_to_where_another_copy_of_the_same_is_still_to_be_removed() {
    let mut stage = stage("");
    stage.command(Command::Copy { data: newest("corpus"), to: center("lingang") });
    stage.first_arrives();
    stage.command(Command::Evict { data: newest("corpus"), center: center("lingang") });
    stage.submit(job("on = \"cuda\"\nchips = 1\n[[input]]\nname = \"in\"\ndataset = \"corpus\""));
    assert_eq!(stage.ways(), ["corpus kunshan>lingang sent"]);
    // Its receiver is out of reach, and would remove what had come meanwhile.
    assert_eq!(stage.orders("kunshan"), []);
    stage.restart();
    stage.join("lingang");
    stage.join_without_door("kunshan");
    assert_eq!(stage.orders("kunshan"), []);
    stage.report("lingang", Report::Removed { data: data("corpus") });
    let sends = stage.orders("kunshan");
    assert!(matches!(&sends[..], [Order::Send(_)]), "{sends:?}");
    stage.first_arrives();
    assert_eq!(stage.transfers(), []);
    stage.audit();
}

#[test]
fn a_link_that_is_cut_ends_what_is_sent_over_it_and_it_is_sent_again_once_it_carries() {
    let mut stage = stage("");
    stage.command(Command::Copy { data: newest("corpus"), to: center("lingang") });
    let link = LinkId::new("kunshan--sh-ixp").unwrap();
    stage.command(Command::CutLink(link.clone()));
    assert!(stage.transfers().is_empty());
    let told = stage.orders("kunshan");
    assert!(told.iter().any(|order| matches!(order, Order::Drop { .. })), "{told:?}");
    stage.command(Command::MendLink(link));
    stage.pass(Span::from_secs(31), &ALL);
    stage.look();
    assert_eq!(stage.ways(), ["corpus kunshan>lingang sent"]);
    stage.join_without_door("lingang");
    assert!(stage.transfers().is_empty(), "nothing can be sent there any more");
    stage.audit();
}

#[test]
fn data_goes_by_a_relay_where_neither_end_has_a_door_and_leaves_it_when_it_is_there() {
    let mut stage = stage("relay = \"4 GiB\"");
    let job = stage.submit(job(&reads("corpus")));
    assert_eq!(stage.state(job), "waiting");
    stage.look();
    assert_eq!(stage.ways(), ["corpus kunshan>lingang sent in passing"]);
    let why = stage.why(job);
    assert!(why.contains("dataset corpus is on its way to lingang"), "{why}");
    // A server that starts anew in the middle goes on.
    stage.restart();
    stage.join("lingang");
    stage.join_without_door("zhangjiang");
    stage.join_without_door("kunshan");
    stage.look();
    assert_eq!(stage.ways(), ["corpus kunshan>lingang sent in passing"]);
    stage.first_arrives();
    stage.look();
    assert_eq!(stage.state(job), "offered at zhangjiang/ascend");
    assert_eq!(stage.ways(), ["corpus lingang>zhangjiang"]);
    assert_eq!(stage.left(), [], "it is read");
    stage.first_arrives();
    stage.report("zhangjiang", Report::Started { attempt: attempt("job-1.1") });
    stage.look();
    assert_eq!(stage.left(), [("lingang".to_owned(), Leave::Passed)]);
    stage.report("lingang", Report::Removed { data: data("corpus") });
    assert_eq!(stage.passing("corpus"), Vec::<String>::new());
    let ended = crate::ended(Outcome::Exited { code: 0 });
    let attempt = attempt("job-1.1");
    stage.report("zhangjiang", Report::Ended { attempt, ended, outputs: vec![] });
    assert_eq!(stage.state(job), "completed");
    stage.look();
    assert!(stage.transfers().is_empty());
    stage.audit();
}

#[test]
fn without_a_relay_the_reason_names_both_ends_and_what_to_do() {
    let mut stage = stage("");
    let job = stage.submit(job(&reads("corpus")));
    stage.look();
    assert_eq!(stage.ways(), Vec::<String>::new());
    let why = stage.why(job);
    assert_eq!(
        why,
        "dataset corpus is in kunshan, which has no door, and neither has zhangjiang; no relay has \
         taken it: give one of them a door (`portolan agent --data-listen`), or a center with one \
         `relay = …` in the network file"
    );
    let to = center("zhangjiang");
    let Answer::Rejected(Rejected::Conflict { why }) =
        stage.command(Command::Copy { data: newest("corpus"), to })
    else {
        panic!("it can be had")
    };
    assert!(why.contains("neither has zhangjiang"), "{why}");
    // A door at one end, and it goes straight.
    stage.join("zhangjiang");
    assert_eq!(stage.ways(), ["corpus kunshan>zhangjiang sent"]);
    stage.audit();
}

#[test]
fn a_relay_lends_no_more_than_it_said_and_the_next_goes_when_there_is_room() {
    let mut stage = stage("relay = \"1 GiB\"");
    stage.put("more");
    let first = stage.submit(job(&reads("corpus")));
    let second = stage.submit(job(&reads("more")));
    stage.look();
    assert_eq!(stage.ways(), ["corpus kunshan>lingang sent in passing"]);
    assert!(stage.why(second).contains("no relay has taken it"), "{}", stage.why(second));
    stage.first_arrives();
    stage.look();
    assert_eq!(stage.ways(), ["corpus lingang>zhangjiang"], "it has not left yet");
    stage.first_arrives();
    assert_eq!(stage.state(first), "offered at zhangjiang/ascend");
    stage.look();
    stage.report("lingang", Report::Removed { data: data("corpus") });
    stage.look();
    assert_eq!(stage.ways(), ["more kunshan>lingang sent in passing"]);
    stage.audit();
}

#[test]
fn what_a_relay_itself_is_to_read_together_comes_there_though_it_lends_room_for_one_only() {
    let mut stage = stage("relay = \"1 GiB\"");
    stage.put("more");
    let reads = |name: &str| {
        format!("[[input]]\nname = \"{name}\"\ndataset = \"{name}\"\nstream = \"1 Mbit/s\"\n")
    };
    let reads = format!("on = \"cuda\"\nchips = 1\n{}{}", reads("corpus"), reads("more"));
    let job = stage.submit(job(&reads));
    for _ in 0..6 {
        stage.look();
        if !stage.transfers().is_empty() {
            stage.first_arrives();
        }
    }
    assert_eq!(stage.state(job), "offered at lingang/a100");
    let planned = stage.facts.iter().filter(|(_, fact)| matches!(fact, Fact::TransferPlanned(_)));
    assert!(planned.count() <= 4, "{:?}", stage.ways());
    stage.audit();
}

#[test]
fn a_copy_in_passing_is_none_of_those_to_be_kept_until_somebody_wants_it_there() {
    for wish in ["copy", "pin", "job"] {
        let mut stage = stage("relay = \"4 GiB\"");
        let waiting = stage.submit(job(&reads("corpus")));
        stage.look();
        stage.first_arrives();
        assert_eq!(stage.passing("corpus"), ["lingang"]);
        let evict = Command::Evict { data: newest("corpus"), center: center("kunshan") };
        let Answer::Rejected(why) = stage.command(evict) else { panic!("the only one of its own") };
        assert!(why.to_string().contains("only whole copy"), "{why}");
        match wish {
            "copy" => {
                let to = center("lingang");
                let answer = stage.command(Command::Copy { data: newest("corpus"), to });
                assert!(matches!(answer, Answer::Copy(None)), "{answer:?}");
            }
            "pin" => {
                let pinned = BTreeSet::from([center("lingang")]);
                let keeping = Keeping { pinned, ..Keeping::default() };
                let dataset = data("corpus").dataset;
                stage.command(Command::Keep { dataset, keeping });
            }
            _ => {
                let reads = "on = \"cuda\"\nchips = 1\n[[input]]\nname = \"in\"\n\
                             dataset = \"corpus\"";
                let there = stage.submit(job(reads));
                assert_eq!(stage.state(there), "offered at lingang/a100");
            }
        }
        assert_eq!(stage.passing("corpus"), Vec::<String>::new(), "{wish}");
        stage.command(Command::Change(Of::Job(waiting), Change::Cancel));
        stage.look();
        stage.look();
        assert_eq!(stage.left(), [], "{wish}: it stays");
        stage.audit();
    }
}

#[test]
fn what_nobody_waits_for_any_more_is_not_brought_to_a_relay() {
    let mut stage = stage("relay = \"4 GiB\"");
    let job = stage.submit(job(&reads("corpus")));
    stage.look();
    assert_eq!(stage.ways().len(), 1);
    stage.command(Command::Change(Of::Job(job), Change::Cancel));
    stage.look();
    assert_eq!(stage.ways(), Vec::<String>::new());
    let dropped = stage
        .facts
        .iter()
        .any(|(_, fact)| matches!(fact, Fact::TransferEnded(f) if f.end == TransferEnd::Dropped));
    assert!(dropped && stage.passing("corpus").is_empty());
    stage.audit();
}

#[test]
fn a_copy_that_is_asked_for_goes_by_a_relay_too() {
    let mut stage = stage("relay = \"4 GiB\"");
    let want = Command::Copy { data: newest("corpus"), to: center("zhangjiang") };
    let answer = stage.command(want);
    let Answer::Copy(Some(first)) = answer else { panic!("{answer:?}") };
    assert_eq!((first.to.as_str(), first.passing, first.sent), ("lingang", true, true));
    stage.first_arrives();
    stage.look();
    assert_eq!(stage.ways(), ["corpus lingang>zhangjiang"]);
    stage.first_arrives();
    stage.look();
    assert_eq!(stage.left(), [("lingang".to_owned(), Leave::Passed)]);
    stage.audit();
}

#[test]
fn a_relay_cannot_be_declared_smaller_than_what_passes_it() {
    let mut stage = stage("relay = \"4 GiB\"");
    stage.submit(job(&reads("corpus")));
    stage.look();
    let lingang = stage.controller.world().centers[&center("lingang")].center.clone();
    let smaller = model::Center { relay: None, ..model::Center::clone(&lingang) };
    let declared = controller::Declarations { centers: vec![smaller], ..Default::default() };
    let answer = stage.command(Command::Apply(Box::new(declared)));
    let Answer::Rejected(why) = answer else { panic!("{answer:?}") };
    assert!(why.to_string().contains("copies in passing take 1 GiB in lingang"), "{why}");
}

/// A second relay, farther away, in another region.
const WUXI: &str = r#"
[[center]]
center = "wuxi"
owner = "wuxi"
region = "cn/yrd/jiangsu/wuxi"
latitude = 31.5
longitude = 120.3
time_zone = "Asia/Shanghai"
engine = "process"
store = "64 GiB"
relay = "8 GiB"

[[center.pool]]
pool = "plain"
nodes = 1
cores = 16
memory = "32 GiB"
price_per_node_hour = "1 CNY"

[[link]]
link = "wuxi--sh-ixp"
a = "wuxi"
b = "sh-ixp"
capacity = "100 Mbit/s"
latency = "1ms"
carrier = "telecom"
price_per_gbps_hour = "1 CNY"
"#;

#[test]
fn of_relays_the_one_is_taken_by_which_data_is_there_soonest_and_the_other_when_it_is_full() {
    let lends = "store = \"64 GiB\"\nrelay = \"1 GiB\"";
    let network = NETWORK.replacen("store = \"64 GiB\"", lends, 1) + WUXI;
    let mut stage = Stage::of(&network, Settings::default());
    for open in ["lingang", "wuxi"] {
        stage.join(open);
    }
    for shut in ["zhangjiang", "kunshan"] {
        stage.join_without_door(shut);
    }
    stage.put("corpus");
    stage.put("more");
    stage.submit(job(&reads("corpus")));
    stage.submit(job(&reads("more")));
    for _ in 0..2 {
        stage.pass(Span::from_secs(2), &["lingang", "wuxi", "zhangjiang", "kunshan"]);
    }
    assert_eq!(
        stage.ways(),
        ["corpus kunshan>lingang sent in passing", "more kunshan>wuxi sent in passing"]
    );
    stage.audit();
}

#[test]
fn a_relay_outside_the_regions_of_the_data_is_none() {
    let mut stage = stage("relay = \"4 GiB\"");
    stage.command(Command::PutDataset {
        data: data("health"),
        bytes: GIB,
        files: 1,
        center: center("kunshan"),
        tenant: TenantId::new("lab").unwrap(),
        residency: ["cn/yrd/jiangsu", "cn/yrd/shanghai/pudong"].map(|r| r.parse().unwrap()).into(),
    });
    let (held, lies) = (data("health"), None);
    let put = Report::Put { data: held, bytes: GIB, files: 1, lies, also_own: false };
    stage.report("kunshan", put);
    let job = stage.submit(job(&reads("health")));
    stage.look();
    assert_eq!(stage.ways(), Vec::<String>::new());
    assert!(stage.why(job).contains("neither has zhangjiang"), "{}", stage.why(job));
    stage.audit();
}
