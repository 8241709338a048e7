//! An agent's decisions as stories: what happens, line by line, and what the agent does about it.

use super::*;
use model::attempt::Slots;
use model::{Chips, Cores, DatasetId, Digest, JobId, Lies, Moment, TenantId, Tier};
use wire::{Run, RunOutput};

fn id(job: u64) -> AttemptId {
    AttemptId { job: JobId::new(job), epoch: 1 }
}

fn data(name: &str) -> DatasetVersion {
    DatasetVersion { dataset: DatasetId::new(name).unwrap(), version: Digest::of(name.as_bytes()) }
}

/// A job on one chip: number, chip, planned start.
fn run(job: u64, chip: u16, start: u64) -> Run {
    Run {
        attempt: id(job),
        name: String::new(),
        tenant: TenantId::new("lab").unwrap(),
        pool: "p".into(),
        chip: None,
        visible_devices: None,
        chips_per_node: 8,
        node_cores: Cores(8_000),
        node_memory: Bytes(8 << 30),
        nodes: vec![Slots {
            node: 0,
            chips: vec![chip],
            share: Chips::ONE,
            cores: Cores(0),
            memory: Bytes(0),
        }],
        start: Moment(start),
        command: vec!["true".into()],
        image: None,
        secrets: Vec::new(),
        env: BTreeMap::new(),
        cores: Cores(0),
        memory: Bytes(0),
        limit: None,
        grace: Span(5),
        checkpoint: None,
        lease: None,
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

/// The data `d` on its way.
fn stage() -> Stage {
    let sources = Vec::new();
    Stage { transfer: TransferId::new(4), data: data("d"), bytes: Bytes(1), sources, sent: false }
}

/// Somebody put `d` here, by sending all of it.
fn was_stored() -> Event {
    let sent = Fetched { moved: Bytes(1), corrupted: 0 };
    Event::Stored { data: data("d"), bytes: Bytes(1), files: 1, sent }
}

fn orders(runs: Vec<Run>) -> Event {
    let orders = runs.into_iter().map(|run| Order::Run(Box::new(run))).collect();
    Event::Orders { full: true, orders }
}

fn seen(states: Vec<(u64, Seen)>) -> Event {
    Event::LookedAround(states.into_iter().map(|(job, seen)| (id(job), seen)).collect())
}

fn ended(code: i32) -> Seen {
    Seen::Ended(Ended { ran: Span(9), ..never_ran(Outcome::Exited { code }) })
}

/// An agent that has looked around and found nothing.
fn idle() -> Reconciler {
    let mut mind = Reconciler::new(Abilities::default());
    assert!(mind.step(0, vec![seen(vec![]), orders(vec![])]).is_empty());
    mind
}

fn said(actions: &[Action]) -> Vec<String> {
    let text = |action: &Action| match action {
        Action::Launch { run, lease } => format!("launch {} {lease:?}", run.attempt),
        Action::Stop { attempt, .. } => format!("stop {attempt}"),
        Action::ExtendLease { attempt, until } => format!("extend {attempt} {until}"),
        Action::KeepOutputs { attempt, .. } => format!("keep {attempt}"),
        Action::Settle { attempt } => format!("settle {attempt}"),
        Action::Fetch(stage) => format!("fetch {}", stage.data.dataset),
        Action::Expect(stage) => format!("expect {}", stage.data.dataset),
        Action::Send(order) => format!("send {} to {}", order.data.dataset, order.url),
        Action::Abandon { transfer } => format!("abandon {transfer}"),
        Action::Read { inputs, .. } => format!("read {}", inputs.len()),
        Action::Bring { data } => format!("bring {}", data.dataset),
        Action::Remove { data, .. } => format!("remove {}", data.dataset),
        Action::Archive { data, store } => format!("archive {} {store}", data.dataset),
        Action::Verify { data } => format!("verify {}", data.dataset),
        Action::Test(test) => format!("test {}", test.transfer),
        Action::Measure(measure) => format!("measure {}", measure.peers.len()),
    };
    actions.iter().map(text).collect()
}

fn told(mind: &Reconciler) -> Vec<String> {
    let text = |report: &Report| match report {
        Report::Accepted { attempt } => format!("accepted {attempt}"),
        Report::Started { attempt } => format!("started {attempt}"),
        Report::Entered { attempt, called } => format!("{attempt} is called {called}"),
        Report::Checkpointed { attempt, after } => format!("checkpointed {attempt} after {after}"),
        Report::Refused { attempt, why } => format!("refused {attempt}: {why}"),
        Report::Ended { attempt, ended, .. } => format!("ended {attempt}: {}", ended.outcome),
        Report::Arrived { transfer, .. } => format!("arrived {transfer}"),
        Report::TransferFailed { transfer, .. } => format!("failed {transfer}"),
        Report::Put { data, lies: Some(lies), also_own: true, .. } => {
            format!("put {} here and in {}", data.dataset, lies.store)
        }
        Report::Put { data, lies: Some(lies), .. } => {
            format!("put {} in {}", data.dataset, lies.store)
        }
        Report::Put { data, .. } => format!("put {}", data.dataset),
        Report::NotArchived { data, why, .. } => format!("not archived {}: {why}", data.dataset),
        Report::Damaged { data, .. } => format!("damaged {}", data.dataset),
        Report::Removed { data } => format!("removed {}", data.dataset),
        Report::Room { stored, .. } => format!("room {stored}"),
        Report::Inventory { data, .. } => format!("inventory {}", data.len()),
        Report::Probed { peer, .. } => format!("probed {peer}"),
        Report::Delivered { transfer, .. } => format!("delivered {transfer}"),
        Report::Nodes { pool, up } => format!("nodes {pool} {up}"),
    };
    mind.reports().map(text).collect()
}

#[test]
fn what_its_engine_lets_wait_is_accepted_once() {
    let mut mind = Reconciler::new(Abilities::default());
    let _ = mind.step(0, vec![orders(vec![run(1, 0, 0)]), seen(vec![])]);
    for _ in 0..2 {
        let _ = mind.step(1, vec![seen(vec![(1, Seen::Starting)])]);
        assert_eq!(told(&mind), ["accepted job-1.1"]);
    }
    let _ = mind.step(2, vec![seen(vec![(1, Seen::Running)])]);
    assert_eq!(told(&mind), ["accepted job-1.1", "started job-1.1"]);
}

#[test]
fn nothing_is_started_before_engine_and_server_have_both_been_heard() {
    let mut mind = Reconciler::new(Abilities::default());
    assert!(mind.step(0, vec![orders(vec![run(1, 0, 0)])]).is_empty());
    let actions = mind.step(0, vec![seen(vec![(1, Seen::Running)])]);
    assert_eq!(said(&actions), [""; 0]);
    assert_eq!(told(&mind), ["started job-1.1"]);
}

#[test]
fn what_was_seen_of_some_attempts_says_nothing_of_the_others() {
    let mut mind = Reconciler::new(Abilities::default());
    let some = Event::Observed(BTreeMap::from([(id(7), ended(0))]));
    let stop = Order::Stop { attempt: id(1), why: Stop::Canceled };
    let all = vec![Order::Run(Box::new(run(1, 0, 0))), stop];
    assert!(mind.step(0, vec![some, Event::Orders { full: true, orders: all }]).is_empty());
    assert_eq!(told(&mind), [""; 0]);
    let actions = mind.step(0, vec![seen(vec![(1, Seen::Running), (7, ended(0))])]);
    assert_eq!(said(&actions), ["stop job-1.1"]);
    assert_eq!(told(&mind), ["started job-1.1", "ended job-7.1: exit code 0"]);
}

#[test]
fn an_order_that_comes_twice_or_after_the_end_starts_nothing_again() {
    let mut mind = idle();
    assert_eq!(said(&mind.step(0, vec![orders(vec![run(1, 0, 0)])])), ["launch job-1.1 None"]);
    assert!(mind.step(0, vec![orders(vec![run(1, 0, 0)])]).is_empty());
    assert!(mind.step(0, vec![seen(vec![(1, ended(0))])]).is_empty());
    assert_eq!(told(&mind), ["ended job-1.1: exit code 0"]);
    assert_eq!(said(&mind.step(0, vec![Event::Acknowledged(1)])), ["settle job-1.1"]);
    let late = mind.step(0, vec![orders(vec![run(1, 0, 0)]), seen(vec![(1, ended(0))])]);
    assert!(late.is_empty());
    assert!(told(&mind).is_empty());
}

#[test]
fn attempts_on_the_same_chip_go_in_the_order_of_the_plan() {
    let mut mind = idle();
    let both = orders(vec![run(1, 0, 50), run(2, 0, 10), run(3, 1, 90)]);
    let actions = mind.step(0, vec![both]);
    assert_eq!(said(&actions), ["launch job-2.1 None", "launch job-3.1 None"]);
    assert_eq!(told(&mind), ["accepted job-1.1"]);
    let actions = mind.step(0, vec![seen(vec![(2, ended(1))])]);
    assert_eq!(said(&actions), ["launch job-1.1 None"]);
}

#[test]
fn an_agent_that_starts_anew_gives_nobody_the_chips_of_an_attempt_that_still_stops() {
    let mut mind = Reconciler::new(Abilities::default());
    let stop = Order::Stop { attempt: id(1), why: Stop::Preempted };
    let run = |job, start| Order::Run(Box::new(run(job, 0, start)));
    let orders = Event::Orders { full: true, orders: vec![run(1, 0), stop, run(2, 100)] };
    let actions = mind.step(0, vec![seen(vec![(1, Seen::Running)]), orders]);
    assert_eq!(said(&actions), ["stop job-1.1"]);
    let stopped = Seen::Ended(never_ran(Outcome::Stopped(Stop::Withdrawn)));
    let checkpointed = Event::Checkpointed { attempt: id(1), after: Span(7) };
    let actions = mind.step(0, vec![checkpointed, seen(vec![(1, stopped)])]);
    assert_eq!(said(&actions), ["launch job-2.1 None"]);
    let reports = [
        "started job-1.1",
        "accepted job-2.1",
        "checkpointed job-1.1 after 7ms",
        "ended job-1.1: preempted",
    ];
    assert_eq!(told(&mind), reports);
}

#[test]
fn what_was_taken_and_nobody_is_at_is_launched_again_while_it_is_ordered() {
    let mut mind = Reconciler::new(Abilities::default());
    let stop = Order::Stop { attempt: id(2), why: Stop::Canceled };
    let leased = Run { lease: Some(Span(60)), ..run(4, 3, 0) };
    let runs = [run(1, 0, 0), run(2, 1, 0), leased].map(|run| Order::Run(Box::new(run)));
    let orders = runs.into_iter().chain([stop]).collect();
    let nobody = (1..=4).map(|job| (job, Seen::Unattended)).collect();
    let events = vec![seen(nobody), Event::Orders { full: true, orders }];
    let actions = mind.step(100, events);
    assert_eq!(said(&actions), ["launch job-1.1 None", "stop job-2.1", "stop job-3.1"]);
    assert_eq!(told(&mind), ["accepted job-1.1", "accepted job-4.1"]);
    let stopped = Seen::Ended(never_ran(Outcome::Stopped(Stop::Withdrawn)));
    let now = seen(vec![(1, Seen::Running), (2, stopped.clone()), (3, stopped)]);
    let actions = mind.step(100, vec![Event::Renewed { sent: 90 }, now]);
    assert_eq!(said(&actions), ["launch job-4.1 Some(150)"]);
    let reports = [
        "accepted job-1.1",
        "accepted job-4.1",
        "started job-1.1",
        "ended job-2.1: canceled",
        "ended job-3.1: plan withdrawn",
    ];
    assert_eq!(told(&mind), reports);
}

#[test]
fn what_a_batch_system_calls_an_attempt_is_told_once_and_again_when_it_changes() {
    let mut mind = idle();
    let run = Order::Run(Box::new(run(1, 0, 0)));
    let entered =
        |number, called: &str| Event::Entered { attempt: id(number), called: called.into() };
    let _ = mind.step(0, vec![Event::Orders { full: false, orders: vec![run] }, entered(1, "17")]);
    let _ = mind.step(0, vec![entered(1, "17"), entered(2, "18")]);
    let _ = mind.step(0, vec![entered(1, "19"), seen(vec![(1, ended(0))]), entered(1, "20")]);
    let reports = [
        "job-1.1 is called 17",
        "job-1.1 is called 19",
        "job-1.1 is called 20",
        "ended job-1.1: exit code 0",
    ];
    assert_eq!(told(&mind), reports);
    let _ = mind.step(0, vec![entered(1, "21")]);
    assert_eq!(told(&mind), reports, "its end is told");
}

#[test]
fn a_job_starts_when_its_data_is_there() {
    let mut mind = idle();
    let mut job = run(1, 0, 0);
    job.inputs.push(input("in"));
    let order = Event::Orders {
        full: false,
        orders: vec![Order::Stage(Box::new(stage())), Order::Run(Box::new(job))],
    };
    assert_eq!(said(&mind.step(0, vec![order.clone()])), ["fetch d"]);
    assert!(mind.step(0, vec![order]).is_empty());
    let end = Ok(Fetched { moved: Bytes(1), corrupted: 0 });
    let actions = mind.step(0, vec![Event::Fetched { transfer: TransferId::new(4), end }]);
    assert_eq!(said(&actions), ["launch job-1.1 None"]);
    assert_eq!(told(&mind), ["accepted job-1.1", "arrived transfer-4"]);
}

#[test]
fn what_runs_without_an_order_is_stopped() {
    let mut mind = Reconciler::new(Abilities::default());
    let _ = mind.step(0, vec![seen(vec![(1, Seen::Running)])]);
    assert_eq!(said(&mind.step(0, vec![orders(vec![])])), ["stop job-1.1"]);
    let killed = Seen::Ended(never_ran(Outcome::Stopped(Stop::Canceled)));
    let _ = mind.step(0, vec![seen(vec![(1, killed)])]);
    assert_eq!(told(&mind), ["started job-1.1", "ended job-1.1: plan withdrawn"]);
}

#[test]
fn a_stop_before_the_start_means_it_never_runs() {
    let mut mind = idle();
    let order = Event::Orders {
        full: false,
        orders: vec![Order::Stop { attempt: id(1), why: Stop::Canceled }],
    };
    assert!(mind.step(0, vec![order]).is_empty());
    assert_eq!(told(&mind), ["ended job-1.1: canceled"]);
    assert!(mind.step(0, vec![orders(vec![run(1, 0, 0)])]).is_empty());
}

#[test]
fn a_lease_counts_from_the_poll_and_nothing_starts_once_it_is_out() {
    let mut mind = idle();
    let mut job = run(1, 0, 0);
    job.lease = Some(Span(600));
    let _ = mind.step(90, vec![Event::Renewed { sent: 100 }]);
    assert!(mind.step(700, vec![orders(vec![job])]).is_empty());
    let actions = mind.step(800, vec![Event::Renewed { sent: 790 }]);
    assert_eq!(said(&actions), ["launch job-1.1 Some(1390)"]);
    assert!(mind.step(800, vec![seen(vec![(1, Seen::Running)])]).is_empty());
    assert!(mind.step(810, vec![Event::Renewed { sent: 805 }]).is_empty());
    let actions = mind.step(900, vec![Event::Renewed { sent: 895 }]);
    assert_eq!(said(&actions), ["extend job-1.1 1495"]);
}

#[test]
fn outputs_are_kept_before_the_end_is_told() {
    let mut mind = idle();
    let mut job = run(1, 0, 0);
    job.outputs.push(RunOutput {
        name: "out".into(),
        dataset: DatasetId::new("made").unwrap(),
        residency: Vec::new(),
    });
    let _ = mind.step(0, vec![orders(vec![job])]);
    assert_eq!(said(&mind.step(0, vec![seen(vec![(1, ended(0))])])), ["keep job-1.1"]);
    assert!(mind.step(0, vec![Event::Tick]).is_empty());
    assert!(told(&mind).is_empty());
    let kept = Event::OutputsKept { attempt: id(1), outputs: Ok(Vec::new()) };
    let _ = mind.step(0, vec![kept]);
    assert_eq!(told(&mind), ["ended job-1.1: exit code 0"]);
}

#[test]
fn a_job_whose_data_cannot_be_had_is_refused_with_the_reason() {
    let mut mind = idle();
    let mut job = run(1, 0, 0);
    job.inputs.push(input("in"));
    let orders = vec![Order::Stage(Box::new(stage())), Order::Run(Box::new(job))];
    let _ = mind.step(0, vec![Event::Orders { full: false, orders }]);
    let end = Err(NotFetched { why: "chunk 3 is damaged".into(), damaged: true });
    let _ = mind.step(0, vec![Event::Fetched { transfer: TransferId::new(4), end }]);
    assert_eq!(
        told(&mind),
        ["accepted job-1.1", "failed transfer-4", "refused job-1.1: no data: chunk 3 is damaged"]
    );
}

#[test]
fn a_doubted_copy_is_told_to_be_damaged_or_whole() {
    let mut mind = idle();
    let orders = vec![Order::Verify { data: data("d") }];
    let actions = mind.step(0, vec![Event::Orders { full: false, orders }]);
    assert_eq!(said(&actions), ["verify d"]);
    let actions = mind.step(0, vec![Event::Verified { data: data("d"), whole: Err(2) }]);
    assert!(said(&actions).is_empty(), "whether it goes is the server's to say");
    let whole = Ok((Bytes(1), 1));
    assert!(mind.step(0, vec![Event::Verified { data: data("d"), whole }]).is_empty());
    assert_eq!(told(&mind), ["damaged d", "put d"]);
}

#[test]
fn a_job_whose_data_is_gone_is_refused_instead_of_waiting_for_ever() {
    let mut mind = idle();
    let _ = mind.step(0, vec![Event::Joined { data: vec![data("d")] }]);
    let mut reads = run(1, 0, 0);
    reads.inputs.push(input("in"));
    // Another job has the chip, so that the first one is still waiting when its data goes.
    assert_eq!(said(&mind.step(0, vec![orders(vec![run(1, 0, 0)])])), ["launch job-1.1 None"]);
    let mut later = run(3, 0, 5);
    later.inputs.clone_from(&reads.inputs);
    let order = Order::Run(Box::new(later));
    assert!(mind.step(0, vec![Event::Orders { full: false, orders: vec![order] }]).is_empty());
    let gone = vec![Order::Remove { data: data("d"), keep_in_place: false }];
    let actions = mind.step(0, vec![Event::Orders { full: false, orders: gone }]);
    assert_eq!(said(&actions), ["remove d"]);
    let last = told(&mind).pop().unwrap();
    assert!(last.starts_with("refused job-3.1: no data: d@"), "{last}");
}

#[test]
fn chips_are_never_given_twice_and_nobody_overtakes_whatever_the_order_of_events() {
    use rand::{RngExt, SeedableRng};
    for seed in 0..300 {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let mut mind = idle();
        let mut running: BTreeMap<AttemptId, Run> = BTreeMap::new();
        let mut waiting: BTreeMap<(Moment, AttemptId), Run> = BTreeMap::new();
        for job in 1..60 {
            let mut batch = Vec::new();
            if rng.random_range(0..3) > 0 {
                let run = run(job, rng.random_range(0..4), rng.random_range(0..50));
                waiting.insert((run.start, run.attempt), run.clone());
                let orders = vec![Order::Run(Box::new(run))];
                batch.push(Event::Orders { full: false, orders });
            }
            if let Some(first) =
                running.keys().next().copied().filter(|_| rng.random_range(0..2) == 0)
            {
                running.remove(&first);
                batch.push(Event::Observed(BTreeMap::from([(first, ended(0))])));
            }
            let count = mind.reports().count();
            batch.push(Event::Acknowledged(rng.random_range(0..=count)));
            for action in mind.step(0, batch) {
                let Action::Launch { run, .. } = action else { continue };
                let chip = |r: &Run| r.nodes[0].chips[0];
                assert!(running.values().all(|r| chip(r) != chip(&run)), "seed {seed}");
                let turn = (run.start, run.attempt);
                waiting.remove(&turn);
                let ahead = waiting.range(..turn).any(|(_, r)| chip(r) == chip(&run));
                assert!(!ahead, "seed {seed}: {} overtakes", run.attempt);
                running.insert(run.attempt, *run);
            }
            let chips: BTreeSet<u16> = running.values().map(|r| r.nodes[0].chips[0]).collect();
            let idle = waiting.values().any(|r| !chips.contains(&r.nodes[0].chips[0]));
            assert!(!idle, "seed {seed}: a job waits for a chip that is free");
        }
    }
}

#[test]
fn measurements_are_told_in_turn_and_dropped_while_the_server_takes_nothing() {
    let mut mind = idle();
    let measure = wire::Measure { window: Span(1_000), peers: Vec::new() };
    let order = Order::Measure(measure);
    let actions = mind.step(0, vec![Event::Orders { full: false, orders: vec![order] }]);
    assert_eq!(said(&actions), ["measure 0"]);
    let window = || {
        Event::Measured(Report::Delivered {
            transfer: TransferId::new(4),
            from: model::CenterId::new("a").unwrap(),
            lasted: Span(1_000),
            planned: Bytes(8),
            delivered: Bytes(4),
        })
    };
    assert!(mind.step(0, vec![window()]).is_empty());
    assert_eq!(told(&mind), ["delivered transfer-4"]);
    assert!(mind.step(0, (0..20_000).map(|_| window()).collect()).is_empty());
    assert_eq!(mind.reports().count(), 10_000);
    let put = was_stored();
    assert!(mind.step(0, vec![put]).is_empty());
    assert_eq!(told(&mind).last().map(String::as_str), Some("put d"));
}

/// `d` as an input of this name, in a directory.
fn input(name: &str) -> wire::RunInput {
    wire::RunInput { name: name.into(), data: data("d"), streamed: false, read: None }
}

/// `d`, in an external store.
fn in_lake() -> Event {
    Event::InPlace(BTreeMap::from([(data("d"), lying("lake", false))]))
}

fn lying(store: &str, archived: bool) -> InPlace {
    let (tier, recall) = (Tier::Warm, Span::ZERO);
    let lies = Lies { store: store.parse().unwrap(), tier, recall, rate: None, archived };
    InPlace { lies, bytes: Bytes(1), files: 1 }
}

#[test]
fn data_that_lies_elsewhere_is_told_of_and_brought_when_an_attempt_reads_it() {
    let mut mind = Reconciler::new(Abilities::default());
    let _ = mind.step(0, vec![in_lake()]);
    let joined = Event::Joined { data: Vec::new() };
    let _ = mind.step(0, vec![joined, seen(Vec::new()), orders(Vec::new())]);
    assert_eq!(told(&mind), ["put d in lake", "inventory 1", "put d in lake"]);
    let _ = mind.step(0, vec![Event::Acknowledged(3)]);
    let mut run = run(1, 0, 0);
    run.inputs = vec![input("d")];
    let bring = Action::Bring { data: data("d") };
    assert_eq!(mind.step(0, vec![orders(vec![run.clone()])]), [bring]);
    assert_eq!(mind.step(0, vec![orders(vec![run])]), [], "it is being brought");
    let actions = mind.step(0, vec![Event::Brought { data: data("d"), end: Ok(()) }]);
    assert!(matches!(actions[..], [Action::Launch { .. }]), "{actions:?}");
    assert_eq!(told(&mind), ["accepted job-1.1", "put d here and in lake"]);
}

#[test]
fn an_attempt_is_refused_when_what_lies_elsewhere_cannot_be_had() {
    let mut mind = Reconciler::new(Abilities::default());
    let joined = Event::Joined { data: Vec::new() };
    let _ = mind.step(0, vec![in_lake(), joined, seen(Vec::new()), orders(Vec::new())]);
    let mut run = run(1, 0, 0);
    run.inputs = vec![input("d")];
    let _ = mind.step(0, vec![orders(vec![run])]);
    let _ = mind.step(0, vec![Event::Brought { data: data("d"), end: Err("full".into()) }]);
    assert_eq!(told(&mind).last().unwrap(), "refused job-1.1: no data: full");
}

#[test]
fn a_removed_copy_of_data_that_lies_elsewhere_leaves_it_there_until_it_is_removed_again() {
    let mut mind = Reconciler::new(Abilities::default());
    let joined = Event::Joined { data: vec![data("d")] };
    let _ = mind.step(0, vec![in_lake(), joined]);
    let _ = mind.step(0, vec![Event::Acknowledged(mind.reports().count())]);
    let remove = || {
        let order = Order::Remove { data: data("d"), keep_in_place: true };
        Event::Orders { full: false, orders: vec![order] }
    };
    let gone = || Event::Removed { data: data("d"), gone: true };
    let _ = mind.step(0, vec![remove()]);
    let _ = mind.step(0, vec![gone()]);
    assert_eq!(told(&mind), ["removed d", "put d in lake"]);
    let _ = mind.step(0, vec![Event::Acknowledged(2), remove()]);
    let _ = mind.step(0, vec![Event::InPlace(BTreeMap::new()), gone()]);
    assert_eq!(told(&mind), ["removed d"]);
}

#[test]
fn data_that_is_no_longer_registered_in_place_is_missed_at_once() {
    let mut mind = Reconciler::new(Abilities::default());
    let early = mind.step(0, vec![in_lake(), Event::InPlace(BTreeMap::new())]);
    assert!(early.is_empty());
    assert_eq!(told(&mind), ["put d in lake"], "nothing is missed that was never told of");
    let joined = Event::Joined { data: vec![data("e")] };
    let _ = mind.step(0, vec![joined, in_lake(), Event::Acknowledged(3)]);
    let _ = mind.step(0, vec![Event::InPlace(BTreeMap::new())]);
    assert_eq!(told(&mind), ["inventory 1"]);
}

#[test]
fn an_attempt_that_reads_over_the_network_starts_without_a_copy_and_is_told_of_a_new_way() {
    let mut mind = Reconciler::new(Abilities::default());
    let joined = Event::Joined { data: Vec::new() };
    let _ = mind.step(0, vec![joined, seen(Vec::new()), orders(Vec::new())]);
    let read = |url: &str| wire::ReadOver {
        from: "c".parse().unwrap(),
        url: url.to_owned(),
        ticket: None,
        rate: model::Rate(1),
        lasts: Span::from_secs(60),
    };
    let reads = |url: &str| {
        let mut run = run(1, 0, 0);
        run.inputs = vec![wire::RunInput { streamed: true, read: Some(read(url)), ..input("d") }];
        run
    };
    let actions = mind.step(0, vec![orders(vec![reads("http://one")])]);
    assert_eq!(said(&actions), ["read 1", "launch job-1.1 None"]);
    let running = seen(vec![(1, Seen::Running)]);
    let actions = mind.step(0, vec![running, orders(vec![reads("http://other")])]);
    assert_eq!(said(&actions), ["read 1"]);
    // Where the data is at the center it is read from there.
    let mut there = run(2, 0, 1);
    there.inputs = vec![wire::RunInput { streamed: true, ..input("d") }];
    let actions = mind.step(0, vec![orders(vec![reads("http://other"), there])]);
    assert_eq!(said(&actions), ["read 1", "read 1"]);
    assert!(told(&mind).last().unwrap().starts_with("refused job-2.1: no data"));
}

/// That `d` should be in the store `tape` too.
fn archive() -> Event {
    let order = Order::Archive { data: data("d"), store: "tape".parse().unwrap() };
    Event::Orders { full: false, orders: vec![order] }
}

fn archived(end: Result<InPlace, String>) -> Event {
    Event::Archived { data: data("d"), store: "tape".parse().unwrap(), end }
}

#[test]
fn a_copy_is_archived_once_and_told_of_again_when_it_is_ordered_again() {
    let mut mind = Reconciler::new(Abilities::default());
    let joined = Event::Joined { data: vec![data("d")] };
    let _ = mind.step(0, vec![joined, seen(Vec::new()), orders(Vec::new())]);
    let _ = mind.step(0, vec![Event::Acknowledged(1)]);
    assert_eq!(said(&mind.step(0, vec![archive()])), ["archive d tape"]);
    assert_eq!(said(&mind.step(0, vec![archive()])), [""; 0], "it is under way");
    let _ = mind.step(0, vec![archived(Ok(lying("tape", true)))]);
    assert_eq!(told(&mind), ["put d here and in tape"]);
    assert_eq!(said(&mind.step(0, vec![archive()])), [""; 0], "it is there");
    assert_eq!(told(&mind), ["put d here and in tape"; 2]);
}

#[test]
fn a_copy_that_cannot_be_archived_is_told_with_the_reason_and_may_be_tried_again() {
    let mut mind = idle();
    let _ = mind.step(0, vec![archive()]);
    let said_no = "not archived d: the center has no copy in its own store any more";
    assert_eq!(told(&mind), [said_no]);
    let stored = was_stored();
    assert_eq!(said(&mind.step(0, vec![stored, archive()])), ["archive d tape"]);
    let _ = mind.step(0, vec![archived(Err("full".into()))]);
    assert_eq!(told(&mind).last().unwrap(), "not archived d: full");
    assert_eq!(said(&mind.step(0, vec![archive()])), ["archive d tape"]);
}

#[test]
fn a_copy_counts_in_the_store_alone_once_its_registration_is_taken_back() {
    let mut mind = Reconciler::new(Abilities::default());
    let joined = Event::Joined { data: vec![data("d")] };
    let _ = mind.step(0, vec![in_lake(), joined]);
    let _ = mind.step(0, vec![Event::Acknowledged(mind.reports().count())]);
    let _ = mind.step(0, vec![Event::InPlace(BTreeMap::new())]);
    assert_eq!(told(&mind), ["put d"]);
}

fn some(orders: Vec<Order>) -> Event {
    Event::Orders { full: false, orders }
}

/// That `d` should be sent to where a store opens.
fn send(url: &str) -> Order {
    let Stage { transfer, data, bytes, .. } = stage();
    let [from, to] = ["here", "a"].map(|name| model::CenterId::new(name).unwrap());
    let (url, ticket, steps) = (url.into(), None, Vec::new());
    Order::Send(Box::new(wire::Send { transfer, data, bytes, from, to, url, ticket, steps }))
}

fn expect() -> Order {
    Order::Stage(Box::new(Stage { sent: true, ..stage() }))
}

#[test]
fn a_copy_that_is_sent_here_is_told_of_as_one_that_was_fetched() {
    let mut mind = idle();
    let mut reads = run(1, 0, 0);
    reads.inputs = vec![input("d")];
    let told_to = some(vec![expect(), Order::Run(Box::new(reads))]);
    assert_eq!(said(&mind.step(0, vec![told_to])), ["expect d"]);
    assert_eq!(said(&mind.step(0, vec![some(vec![expect()])])), Vec::<String>::new(), "once");
    assert_eq!(said(&mind.step(0, vec![was_stored()])), ["launch job-1.1 None"]);
    assert_eq!(told(&mind), ["accepted job-1.1", "arrived transfer-4"]);
    // Whoever sent it asks the door again.
    assert!(mind.step(0, vec![was_stored()]).is_empty());
    assert_eq!(told(&mind).last().unwrap(), "put d");
}

#[test]
fn a_copy_that_came_before_the_word_of_it_is_told_of_when_that_comes() {
    let mut mind = idle();
    assert!(mind.step(0, vec![was_stored()]).is_empty());
    assert!(mind.step(0, vec![some(vec![expect()])]).is_empty());
    assert_eq!(told(&mind), ["put d", "arrived transfer-4"]);
}

#[test]
fn a_copy_that_will_not_be_sent_is_not_waited_for() {
    for over in [
        some(vec![Order::Drop { transfer: TransferId::new(4) }]),
        // A server that started anew knows nothing of it.
        Event::Orders { full: true, orders: Vec::new() },
    ] {
        let mut mind = idle();
        let _ = mind.step(0, vec![some(vec![expect()])]);
        let mut reads = run(1, 0, 0);
        reads.inputs = vec![input("d")];
        let _ = mind.step(0, vec![over]);
        assert!(mind.step(0, vec![some(vec![Order::Run(Box::new(reads))])]).is_empty());
        assert!(told(&mind)[0].starts_with("refused job-1.1: no data"), "{:?}", told(&mind));
    }
}

#[test]
fn a_copy_is_sent_once_and_again_where_its_receiver_opens_anew() {
    let mut mind = idle();
    let _ = mind.step(0, vec![Event::Joined { data: vec![data("d")] }, Event::Acknowledged(1)]);
    assert_eq!(said(&mind.step(0, vec![some(vec![send("one")])])), ["send d to one"]);
    assert!(mind.step(0, vec![some(vec![send("one")])]).is_empty());
    let moved = mind.step(0, vec![some(vec![send("two")])]);
    assert_eq!(said(&moved), ["abandon transfer-4", "send d to two"]);
    let sent = Ok(Fetched { moved: Bytes(1), corrupted: 0 });
    let _ = mind.step(0, vec![Event::Fetched { transfer: TransferId::new(4), end: sent }]);
    assert_eq!(told(&mind), Vec::<String>::new(), "its receiver says that it arrived");
}

#[test]
fn a_copy_that_cannot_be_sent_is_told_of_by_who_was_to_send_it() {
    let mut mind = idle();
    assert!(mind.step(0, vec![some(vec![send("one")])]).is_empty());
    assert_eq!(told(&mind), ["failed transfer-4"], "there is none");
    let _ = mind.step(0, vec![Event::Joined { data: vec![data("d")] }, Event::Acknowledged(2)]);
    let _ = mind.step(0, vec![some(vec![send("one")])]);
    let end = Err(NotFetched { why: "no answer".into(), damaged: false });
    let _ = mind.step(0, vec![Event::Fetched { transfer: TransferId::new(4), end }]);
    assert_eq!(told(&mind), ["failed transfer-4"]);
    let _ = mind.step(0, vec![some(vec![send("one")])]);
    let dropped = mind.step(0, vec![some(vec![Order::Drop { transfer: TransferId::new(4) }])]);
    assert_eq!(said(&dropped), ["abandon transfer-4"]);
}
