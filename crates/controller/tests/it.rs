//! The loop as stories: what reaches it, and what follows. Centers answer by hand, time is told.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing helper fails its test")]

use controller::{Answer, Change, Command, Effect, Input, Key, Of, Rejected, Settings};
use model::attempt::Outcome;
use model::dataset::DatasetVersion;
use model::fact::Fact;
use model::{Bytes, DatasetId, Digest, JobSpec, Span, TenantId};
use stage::{CHIPS, NETWORK, Stage, attempt, center, ended, job, operator};
use std::sync::Arc;
use wire::{Order, Report};

#[path = "it/archive.rs"]
mod archive;
#[path = "it/lending.rs"]
mod lending;
#[path = "it/link_tests.rs"]
mod link_tests;
#[path = "it/quality.rs"]
mod quality;
#[path = "it/quota.rs"]
mod quota;
#[path = "it/relation.rs"]
mod relation;
#[path = "it/relay.rs"]
mod relay;
#[path = "it/reservation.rs"]
mod reservation;
#[path = "it/shown.rs"]
mod shown;
#[path = "it/stage.rs"]
mod stage;

#[test]
fn a_job_goes_to_a_center_that_has_its_chip_and_completes() {
    let mut stage = Stage::laptop();
    let job = stage.submit(job("on = \"cann\"\nchips = 2"));
    assert_eq!(stage.state(job), "offered at zhangjiang/ascend");
    assert_eq!(stage.orders("zhangjiang").len(), 1);
    let attempt = attempt("job-1.1");
    stage.report("zhangjiang", Report::Started { attempt });
    assert_eq!(stage.state(job), "running at zhangjiang/ascend");
    let ended = ended(Outcome::Exited { code: 0 });
    stage.report("zhangjiang", Report::Ended { attempt, ended, outputs: vec![] });
    assert_eq!(stage.state(job), "completed");
    assert!(stage.orders("zhangjiang").is_empty());
    stage.audit();
}

#[test]
fn a_job_with_two_variants_goes_where_it_ends_first() {
    let mut stage = Stage::laptop();
    let two = "chips = 1\nexpected = \"4m\"\n[[variant]]\non = \"cann\"\nspeed = 0.5\n\
               [[variant]]\non = \"cuda\"";
    let job = stage.submit(job(two));
    assert_eq!(stage.state(job), "offered at lingang/a100");
    stage.audit();
}

#[test]
fn a_job_that_fits_nowhere_waits_and_every_center_says_why() {
    let mut stage = Stage::laptop();
    let job = stage.submit(job("on = \"cuda\"\nchips = 8\nnodes = 3"));
    assert_eq!(stage.state(job), "waiting");
    let standings = stage.standings(job);
    let said: Vec<String> =
        standings.iter().map(|s| format!("{}: {}", s.center, s.refusal)).collect();
    assert_eq!(
        said,
        [
            "kunshan: has hygon-k100-ai, the job runs on any cuda chip",
            "lingang: it has 2 nodes together, the gang wants 3",
            "zhangjiang: has ascend-910b3, the job runs on any cuda chip",
        ]
    );
}

#[test]
fn a_gang_that_waits_is_not_overtaken_for_ever_by_small_jobs() {
    let mut stage = Stage::laptop();
    let small = "on = \"cuda\"\nchips = 4\nlimit = \"10m\"".replace("limit = \"10m\"", "");
    let first = stage.submit(job(&small));
    let gang = stage.submit(job("on = \"cuda\"\nchips = 8\nnodes = 2"));
    let behind = stage.submit(job(&format!("{small}priority = -1")));
    stage.report("lingang", Report::Started { attempt: attempt("job-1.1") });
    // The gang starts when the first one ends at the latest; the third fits in before that.
    assert_eq!(stage.state(gang), "waiting");
    assert_eq!(stage.state(behind), "offered at lingang/a100");
    stage.pass(Span::from_secs(60), &["lingang"]);
    let long = stage.submit(job(&format!("{small}priority = -1")));
    assert_eq!(stage.state(long), "waiting");
    let done = |id: &str| Report::Ended {
        attempt: attempt(id),
        ended: ended(Outcome::Exited { code: 0 }),
        outputs: vec![],
    };
    stage.report("lingang", done("job-1.1"));
    stage.report("lingang", done("job-3.1"));
    assert_eq!(stage.state(first), "completed");
    assert_eq!(stage.state(gang), "offered at lingang/a100");
    stage.audit();
}

#[test]
fn a_job_has_the_priority_of_the_class_it_names_if_its_tenant_may() {
    let classes = "[[priority_class]]\npriority_class = \"urgent\"\nvalue = 1000\n\
                   tenants = [\"startup\"]\n\
                   [[priority_class]]\npriority_class = \"idle\"\nvalue = -10\n";
    let mut stage = Stage::of(&format!("{NETWORK}\n{classes}"), Settings::default());
    stage.join("zhangjiang");
    let idle = stage.submit(job("priority_class = \"idle\""));
    assert_eq!(stage.controller.world().job(idle).unwrap().spec.priority, -10);
    for (class, said) in [
        ("urgent", "priority class urgent is for startup, of which lab is no part"),
        ("urgant", "there is no priority class urgant; there is idle, urgent"),
    ] {
        let spec = job(&format!("priority_class = \"{class}\""));
        match stage.command(Command::Submit { jobs: vec![spec], key: None }) {
            Answer::Rejected(rejected) => assert_eq!(rejected.to_string(), said),
            other => panic!("{other:?}"),
        }
    }
    stage.audit();
}

#[test]
fn a_repeated_submission_changes_nothing_and_a_key_is_not_for_two_things() {
    let mut stage = Stage::laptop();
    let submit = |stage: &mut Stage, content: &[u8]| {
        let key = Key { key: Digest::of(b"k"), content: Digest::of(content) };
        let jobs = vec![job("on = \"cann\"\nchips = 1"), job("on = \"cann\"\nchips = 1")];
        stage.command(Command::Submit { jobs, key: Some(key) })
    };
    let first = submit(&mut stage, b"a");
    assert!(matches!(first, Answer::Submitted { count: 2, repeated: false, .. }));
    let again = submit(&mut stage, b"a");
    assert!(matches!(again, Answer::Submitted { count: 2, repeated: true, .. }));
    let other = submit(&mut stage, b"b");
    assert!(matches!(other, Answer::Rejected(Rejected::Conflict { .. })));
    assert_eq!(stage.controller.world().jobs.len(), 2);
    stage.pass(Span::from_secs(8 * 86_400), &[]);
    assert!(stage.controller.world().keys.is_empty());
}

#[test]
fn reports_of_an_older_attempt_change_nothing() {
    let mut stage = Stage::laptop();
    let job = stage.submit(job("on = \"cann\"\nchips = 1"));
    let lost = ended(Outcome::Lost { why: "gone".into() });
    let report = Report::Ended { attempt: attempt("job-1.1"), ended: lost, outputs: vec![] };
    stage.report("zhangjiang", report);
    assert_eq!(stage.state(job), "waiting");
    stage.pass(Span::from_secs(2), &["zhangjiang"]);
    assert_eq!(stage.state(job), "offered at zhangjiang/ascend");
    let facts = stage.facts.len();
    for old in [
        Report::Started { attempt: attempt("job-1.1") },
        Report::Ended {
            attempt: attempt("job-1.1"),
            ended: ended(Outcome::Exited { code: 0 }),
            outputs: vec![],
        },
    ] {
        stage.report("zhangjiang", old);
    }
    // Nor does a report from a center where the attempt is not.
    stage.report("kunshan", Report::Started { attempt: attempt("job-1.2") });
    assert_eq!(stage.facts.len(), facts);
    stage.audit();
}

#[test]
fn a_job_that_holds_waits_for_its_center_and_one_that_moves_does_not() {
    let mut stage = Stage::laptop();
    let holds = stage.submit(job("on = \"cann\"\nchips = 1"));
    let two = "when_cut_off = \"move\"\nlease = \"60s\"\non = \"cann\"\nchips = 1";
    let moves = stage.submit(job(two));
    for id in ["job-1.1", "job-2.1"] {
        stage.report("zhangjiang", Report::Started { attempt: attempt(id) });
    }
    stage.pass(Span::from_secs(60), &["lingang"]);
    assert_eq!(stage.state(moves), "running at zhangjiang/ascend");
    stage.pass(Span::from_secs(20), &["lingang"]);
    assert_eq!(stage.state(holds), "running at zhangjiang/ascend");
    assert_eq!(stage.state(moves), "waiting");
    // Back again, the center is told that nothing of the second may be alive there.
    stage.join("zhangjiang");
    let named: Vec<_> = stage.orders("zhangjiang").iter().map(|o| format!("{o:?}")).collect();
    assert!(named.iter().any(|o| o.starts_with("Run") && o.contains("job: JobId(1)")), "{named:?}");
    stage.command(Command::DeclareLost(center("zhangjiang")));
    assert_eq!(stage.state(holds), "waiting");
    stage.audit();
}

#[test]
fn an_input_is_brought_over_the_links_before_the_job_starts() {
    let mut stage = Stage::laptop();
    let data = DatasetVersion {
        dataset: DatasetId::new("corpus").unwrap(),
        version: Digest::of(b"corpus"),
    };
    stage.command(Command::PutDataset {
        data: data.clone(),
        bytes: Bytes(1 << 30),
        files: 3,
        center: center("lingang"),
        tenant: TenantId::new("lab").unwrap(),
        residency: vec![],
    });
    let reads = "on = \"cann\"\nchips = 1\n[[input]]\nname = \"corpus\"\ndataset = \"corpus\"";
    let job = stage.submit(job(reads));
    assert_eq!(stage.state(job), "waiting");
    stage.report(
        "lingang",
        Report::Put {
            data: data.clone(),
            bytes: Bytes(1 << 30),
            files: 3,
            lies: None,
            also_own: false,
        },
    );
    assert_eq!(stage.state(job), "offered at zhangjiang/ascend");
    let orders = stage.orders("zhangjiang");
    assert!(
        matches!(&orders[0], Order::Stage(s) if s.sources[0].from == center("lingang")),
        "{orders:?}"
    );
    assert!(matches!(&orders[1], Order::Run(_)));
    let transfer = *stage.controller.world().transfers.keys().next().unwrap();
    stage.report("zhangjiang", Report::Arrived { transfer, moved: Bytes(1 << 30), corrupted: 0 });
    assert!(stage.controller.world().transfers.is_empty());
    assert_eq!(stage.controller.world().exact(&data).unwrap().replicas.len(), 2);
    stage.audit();
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let mut stage = Stage::laptop();
    let service = job("kind = \"service\"\n");
    let answer = stage.command(Command::Submit { jobs: vec![service], key: None });
    let Answer::Rejected(Rejected::NotSupported { what }) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(what, "services");
}

#[test]
fn a_canceled_job_ends_once_nothing_of_it_is_alive() {
    let mut stage = Stage::laptop();
    let job = stage.submit(job("on = \"cann\"\nchips = 1"));
    stage.report("zhangjiang", Report::Started { attempt: attempt("job-1.1") });
    stage.command(Command::Change(Of::Job(job), Change::Cancel));
    assert_eq!(stage.state(job), "stopping at zhangjiang/ascend");
    // Also what it holds: an agent that has just started is to keep it for as long as that lasts.
    assert!(matches!(stage.orders("zhangjiang")[..], [Order::Run(_), Order::Stop { .. }]));
    let stopped = ended(Outcome::Stopped(model::Stop::Canceled));
    let report = Report::Ended { attempt: attempt("job-1.1"), ended: stopped, outputs: vec![] };
    stage.report("zhangjiang", report);
    assert_eq!(stage.state(job), "canceled");
    stage.audit();
}

#[test]
fn ended_jobs_leave_the_world_once_they_are_archived() {
    let mut stage = Stage::laptop();
    let job = stage.submit(job("hold = true"));
    stage.command(Command::Change(Of::Job(job), Change::Cancel));
    assert_eq!(stage.state(job), "canceled");
    stage.pass(Span::from_secs(7_200), &[]);
    assert!(stage.controller.world().job(job).is_none());
    assert_eq!(stage.controller.world().ended.get("canceled"), Some(&1));
    stage.audit();
}

#[test]
fn an_archive_that_fails_is_left_alone_for_a_while() {
    let mut stage = Stage::laptop();
    let job = stage.submit(job("hold = true"));
    stage.command(Command::Change(Of::Job(job), Change::Cancel));
    let mut hands_over = |seconds, input| {
        stage.now = stage.now + Span::from_secs(seconds);
        let effects = stage.controller.step(stage.now, vec![input]);
        effects.iter().any(|effect| matches!(effect, Effect::Archive(_)))
    };
    assert!(hands_over(7_200, Input::Tick));
    assert!(!hands_over(60, Input::Tick), "one is under way");
    assert!(!hands_over(0, Input::Archived(vec![])));
    assert!(!hands_over(9, Input::Tick));
    assert!(hands_over(1, Input::Tick));
    assert!(!hands_over(0, Input::Archived(vec![job])));
    assert!(stage.controller.world().job(job).is_none());
}

#[test]
fn jobs_that_want_the_same_data_in_the_same_place_wait_for_one_transfer() {
    let mut stage = Stage::laptop();
    let dataset = DatasetId::new("corpus").unwrap();
    let data = DatasetVersion { dataset, version: Digest::of(b"corpus") };
    stage.command(Command::PutDataset {
        data: data.clone(),
        bytes: Bytes(1 << 30),
        files: 3,
        center: center("kunshan"),
        tenant: TenantId::new("lab").unwrap(),
        residency: vec![],
    });
    stage.report(
        "kunshan",
        Report::Put { data, bytes: Bytes(1 << 30), files: 3, lies: None, also_own: false },
    );
    let reads = "on = \"cuda\"\nchips = 1\n[[input]]\nname = \"corpus\"\ndataset = \"corpus\"";
    let jobs = vec![job(reads), job(reads), job(reads)];
    stage.command(Command::Submit { jobs, key: None });
    assert_eq!(stage.controller.world().transfers.len(), 1);
    assert_eq!(stage.orders("lingang").len(), 4);
    stage.audit();
}

#[test]
fn outputs_found_before_their_attempts_end_is_told_are_not_taken_for_strays() {
    let mut stage = Stage::laptop();
    let makes = "on = \"cann\"\nchips = 1\n[[output]]\nname = \"out\"\ndataset = \"made\"";
    let job = stage.submit(job(makes));
    stage.report("zhangjiang", Report::Started { attempt: attempt("job-1.1") });
    let dataset = DatasetId::new("made").unwrap();
    let data = DatasetVersion { dataset, version: Digest::of(b"made") };
    let stray = DatasetVersion { dataset: DatasetId::new("stray").unwrap(), ..data.clone() };
    // The agent was killed after it kept the outputs and before it told of the end.
    stage.join("zhangjiang");
    stage.report(
        "zhangjiang",
        Report::Inventory { data: vec![data.clone(), stray.clone()], in_place: vec![] },
    );
    let removed: Vec<_> = stage
        .orders("zhangjiang")
        .into_iter()
        .filter_map(|order| match order {
            Order::Remove { data, .. } => Some(data),
            _ => None,
        })
        .collect();
    assert_eq!(removed, [stray]);
    let made =
        wire::MadeOutput { name: "out".into(), data: data.clone(), bytes: Bytes(1), files: 1 };
    let report = Report::Ended {
        attempt: attempt("job-1.1"),
        ended: ended(Outcome::Exited { code: 0 }),
        outputs: vec![made],
    };
    stage.report("zhangjiang", report);
    assert_eq!(stage.state(job), "completed");
    assert!(
        stage.controller.world().exact(&data).unwrap().replicas.contains_key(&center("zhangjiang"))
    );
    stage.audit();
}

/// A job that takes all of lingang for `priority`, and what else it says.
fn all_of_lingang(priority: i32, more: &str) -> Arc<JobSpec> {
    job(&format!("priority = {priority}\n{more}\non = \"cuda\"\nchips = 8\nnodes = 2"))
}

#[test]
fn a_preemptible_job_makes_room_for_a_higher_priority_and_waits_at_its_old_place() {
    let mut stage = Stage::laptop();
    let low = stage.submit(all_of_lingang(0, "preemptible = true"));
    stage.report("lingang", Report::Started { attempt: attempt("job-1.1") });
    let behind = stage.submit(all_of_lingang(0, ""));
    stage.pass(Span(100), &["lingang"]);
    assert_eq!(stage.state(low), "running at lingang/a100");
    assert_eq!(stage.state(behind), "waiting", "an equal priority waits");

    let high = stage.submit(all_of_lingang(5, ""));
    stage.pass(Span(100), &["lingang"]);
    assert_eq!(stage.state(low), "stopping at lingang/a100");
    assert_eq!(stage.state(high), "offered at lingang/a100", "its place is kept for it");
    let orders = stage.orders("lingang");
    let stops = |order: &Order| match order {
        Order::Stop { attempt, why: model::Stop::Preempted } => Some(attempt.to_string()),
        _ => None,
    };
    assert_eq!(orders.iter().find_map(stops).as_deref(), Some("job-1.1"));

    let stopped = ended(Outcome::Stopped(model::Stop::Preempted));
    let report = Report::Ended { attempt: attempt("job-1.1"), ended: stopped, outputs: vec![] };
    stage.report("lingang", report);
    stage.report("lingang", Report::Started { attempt: attempt("job-3.1") });
    stage.pass(Span(100), &["lingang"]);
    assert_eq!(stage.state(low), "waiting");
    assert_eq!(stage.controller.world().job(low).unwrap().preemptions(), 1);
    assert_eq!(stage.state(high), "running at lingang/a100");
    let reserved = |job| stage.controller.board().view().reservation(job).map(|r| r.start);
    assert!(reserved(low).unwrap() < reserved(behind).unwrap(), "it keeps its place in line");

    let done = ended(Outcome::Exited { code: 0 });
    let report = Report::Ended { attempt: attempt("job-3.1"), ended: done, outputs: vec![] };
    stage.report("lingang", report);
    stage.pass(Span(100), &["lingang"]);
    assert_eq!(stage.state(low), "offered at lingang/a100");
    stage.audit();
}

#[test]
fn what_a_batch_system_calls_an_attempt_is_kept_with_it() {
    let mut stage = Stage::laptop();
    let job = stage.submit(all_of_lingang(0, ""));
    let entered =
        |called: &str| Report::Entered { attempt: attempt("job-1.1"), called: called.into() };
    stage.report("kunshan", entered("3"));
    stage.report("lingang", entered("4711"));
    for same_or_nothing_to_show in ["4711", "", "4711\n   JobState=COMPLETED", "\u{1b}[2J"] {
        stage.report("lingang", entered(same_or_nothing_to_show));
    }
    stage.report("lingang", Report::Started { attempt: attempt("job-1.1") });
    // Its batch system lost it, and has it again.
    stage.report("lingang", entered(&"号".repeat(200)));
    let facts = stage.facts.iter().filter(|(_, fact)| matches!(fact, Fact::AttemptEntered(_)));
    assert_eq!(facts.count(), 2);
    let done = ended(Outcome::Exited { code: 0 });
    let report = Report::Ended { attempt: attempt("job-1.1"), ended: done, outputs: vec![] };
    stage.report("lingang", report);
    stage.report("lingang", entered("4713"));
    let past = &stage.controller.world().job(job).unwrap().past[0];
    assert_eq!(past.called.as_deref(), Some(&*"号".repeat(85)), "cut to 256 bytes");
    stage.audit();
}

#[test]
fn work_up_to_the_last_checkpoint_is_kept_and_less_is_left_to_run() {
    let mut stage = Stage::laptop();
    let checkpoint = "preemptible = true\n[checkpoint]\npath = \"ck\"\n[[variant]]";
    let low = stage.submit(all_of_lingang(0, checkpoint));
    stage.report("lingang", Report::Started { attempt: attempt("job-1.1") });
    stage.pass(Span::from_secs(20), &["lingang"]);
    let after = Span::from_secs(15);
    stage.report("lingang", Report::Checkpointed { attempt: attempt("job-1.1"), after });
    stage.submit(all_of_lingang(5, ""));
    stage.pass(Span::from_secs(2), &["lingang"]);
    assert_eq!(stage.state(low), "stopping at lingang/a100");
    let stopped = ended(Outcome::Stopped(model::Stop::Preempted));
    let report = Report::Ended { attempt: attempt("job-1.1"), ended: stopped, outputs: vec![] };
    stage.report("lingang", report);
    let kept = stage.controller.world().job(low).unwrap().kept.clone().unwrap();
    assert_eq!((kept.center, kept.work), (center("lingang"), after));
    let done = ended(Outcome::Exited { code: 0 });
    let report = Report::Ended { attempt: attempt("job-2.1"), ended: done, outputs: vec![] };
    stage.report("lingang", report);
    stage.pass(Span(100), &["lingang"]);
    let job = stage.controller.world().job(low).unwrap();
    let place = &job.phase.attempt().unwrap().placement;
    assert_eq!(place.finish.since(place.start), Span::from_secs(600 - 15));
    assert_eq!(place.until.since(place.start), Span::from_secs(600), "its limit is its limit");
    stage.audit();
}
