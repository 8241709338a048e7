//! Jobs that wait for others, and arrays.

use crate::{Stage, attempt, ended, job};
use controller::{Answer, Change, Command, Effect, Input, Of, Rejected};
use model::attempt::Outcome;
use model::{JobId, Span};
use wire::{Order, Report};

const ONE: &str = "on = \"cann\"\nchips = 1\n";

fn submit(stage: &mut Stage, text: &str) -> JobId {
    stage.submit(job(&format!("{ONE}{text}")))
}

/// Jobs in short, such as `1 offered, 2 blocked`.
fn states(stage: &Stage) -> String {
    let all = stage.controller.world().jobs.iter();
    let all: Vec<String> =
        all.map(|job| format!("{} {}", job.job.number(), job.phase.word())).collect();
    all.join(", ")
}

/// The live attempt of a job is over, with this exit code.
fn exits(stage: &mut Stage, job: u64, code: i32) {
    let epoch = stage.controller.world().job(JobId::new(job)).unwrap().epoch;
    let attempt = attempt(&format!("job-{job}.{epoch}"));
    stage.report("zhangjiang", Report::Started { attempt });
    let ended = ended(Outcome::Exited { code });
    stage.report("zhangjiang", Report::Ended { attempt, ended, outputs: vec![] });
}

fn change(stage: &mut Stage, of: Of, change: Change) -> Result<(), Rejected> {
    match stage.command(Command::Change(of, change)) {
        Answer::Rejected(why) => Err(why),
        _ => Ok(()),
    }
}

fn rejected(stage: &mut Stage, text: &str) -> String {
    let jobs = vec![job(&format!("{ONE}{text}"))];
    match stage.command(Command::Submit { jobs, key: None }) {
        Answer::Rejected(why) => why.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_job_comes_after_those_it_is_to_come_after() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "");
    submit(&mut stage, "");
    submit(&mut stage, "after = [{ job = \"job-1\" }, { job = \"job-2\", when = \"afterany\" }]");
    assert_eq!(states(&stage), "1 offered, 2 offered, 3 blocked");
    exits(&mut stage, 2, 1);
    assert_eq!(states(&stage), "1 offered, 2 failed, 3 blocked");
    exits(&mut stage, 1, 0);
    assert_eq!(states(&stage), "1 completed, 2 failed, 3 offered");
    // What it is to come after is over already.
    submit(&mut stage, "after = [{ job = \"job-1\" }]");
    assert_eq!(states(&stage), "1 completed, 2 failed, 3 offered, 4 offered");
    stage.audit();
}

#[test]
fn who_waits_in_vain_ends_and_so_does_who_waits_for_that() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "");
    submit(&mut stage, "after = [{ job = \"job-1\" }]");
    submit(&mut stage, "hold = true\nafter = [{ job = \"job-2\" }]");
    submit(&mut stage, "after = [{ job = \"job-3\", when = \"afterany\" }]");
    assert_eq!(states(&stage), "1 offered, 2 blocked, 3 held, 4 blocked");
    exits(&mut stage, 1, 3);
    assert_eq!(states(&stage), "1 failed, 2 unmet, 3 unmet, 4 offered");
    submit(&mut stage, "after = [{ job = \"job-1\" }]");
    assert!(states(&stage).ends_with("4 offered, 5 unmet"));
    stage.audit();
}

#[test]
fn a_blocked_job_may_be_held_released_and_canceled() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "");
    for _ in 0..3 {
        submit(&mut stage, "after = [{ job = \"job-1\" }]");
    }
    change(&mut stage, Of::Job(JobId::new(2)), Change::Hold).unwrap();
    change(&mut stage, Of::Job(JobId::new(3)), Change::Hold).unwrap();
    change(&mut stage, Of::Job(JobId::new(3)), Change::Release).unwrap();
    change(&mut stage, Of::Job(JobId::new(4)), Change::Cancel).unwrap();
    assert_eq!(states(&stage), "1 offered, 2 held, 3 blocked, 4 canceled");
    exits(&mut stage, 1, 0);
    assert_eq!(states(&stage), "1 completed, 2 held, 3 offered, 4 canceled");
    change(&mut stage, Of::Job(JobId::new(2)), Change::Release).unwrap();
    assert_eq!(states(&stage), "1 completed, 2 offered, 3 offered, 4 canceled");
    stage.audit();
}

#[test]
fn an_array_is_one_record_and_so_many_of_it_run_at_once() {
    let mut stage = Stage::laptop();
    let before = stage.facts.len();
    submit(&mut stage, "array = { first = 10, last = 16, step = 2, at_once = 2 }");
    let kinds: Vec<&str> = stage.facts[before..].iter().map(|(_, fact)| fact.kind()).collect();
    assert_eq!(kinds, ["job-submitted", "job-offered", "job-offered"]);
    assert_eq!(states(&stage), "1 offered, 2 offered, 3 blocked, 4 blocked");
    let names: Vec<String> = stage.controller.world().jobs.iter().map(|job| job.name()).collect();
    assert_eq!(names, ["j[10]", "j[12]", "j[14]", "j[16]"]);
    let orders = stage.orders("zhangjiang");
    let Order::Run(run) = &orders[1] else { panic!("{orders:?}") };
    let env: Vec<String> = run.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        env.join(" "),
        "PORTOLAN_ARRAY=job-1 PORTOLAN_ARRAY_FIRST=10 PORTOLAN_ARRAY_INDEX=12 PORTOLAN_ARRAY_LAST=16 \
         PORTOLAN_ARRAY_STEP=2 PORTOLAN_ARRAY_TASKS=4"
    );
    exits(&mut stage, 2, 1);
    assert_eq!(states(&stage), "1 offered, 2 failed, 3 offered, 4 blocked");
    // Who is held gives up its turn.
    change(&mut stage, Of::Job(JobId::new(3)), Change::Requeue { hold: true }).unwrap();
    let stopped = ended(Outcome::Stopped(model::Stop::Held));
    let report = Report::Ended { attempt: attempt("job-3.1"), ended: stopped, outputs: vec![] };
    stage.report("zhangjiang", report);
    assert_eq!(states(&stage), "1 offered, 2 failed, 3 held, 4 offered");
    change(&mut stage, Of::Array(JobId::new(1)), Change::Release).unwrap();
    assert_eq!(states(&stage), "1 offered, 2 failed, 3 blocked, 4 offered");
    exits(&mut stage, 1, 0);
    assert_eq!(states(&stage), "1 completed, 2 failed, 3 offered, 4 offered");
    stage.audit();
    // The next job's number is beyond the array.
    assert_eq!(submit(&mut stage, ""), JobId::new(5));
}

#[test]
fn tasks_come_after_those_of_the_same_index_and_jobs_after_whole_arrays() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "array = { first = 0, last = 2 }");
    let corr =
        "array = { first = 1, last = 2 }\nafter = [{ job = \"job-1\", when = \"aftercorr\" }]";
    submit(&mut stage, corr);
    submit(&mut stage, "after = [{ job = \"job-1\" }]");
    submit(&mut stage, "after = [{ job = \"job-1\", when = \"afterany\" }]");
    exits(&mut stage, 2, 0);
    let rest = "4 offered, 5 blocked, 6 blocked, 7 blocked";
    assert_eq!(states(&stage), format!("1 offered, 2 completed, 3 offered, {rest}"));
    exits(&mut stage, 3, 1);
    let rest = "4 offered, 5 unmet, 6 unmet, 7 blocked";
    assert_eq!(states(&stage), format!("1 offered, 2 completed, 3 failed, {rest}"));
    exits(&mut stage, 1, 0);
    assert!(states(&stage).ends_with("6 unmet, 7 offered"), "{}", states(&stage));
    stage.audit();
}

#[test]
fn an_array_is_changed_as_a_whole_and_archived_as_a_whole() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "hold = true\narray = { first = 1, last = 3 }");
    let first = JobId::new(1);
    change(&mut stage, Of::Job(first), Change::Cancel).unwrap();
    stage.pass(Span::from_secs(7_200), &[]);
    assert_eq!(states(&stage), "1 canceled, 2 held, 3 held");
    change(&mut stage, Of::Array(first), Change::Cancel).unwrap();
    // The first was over long ago, and stayed for the others.
    assert_eq!(states(&stage), "2 canceled, 3 canceled");
    let why = change(&mut stage, Of::Array(JobId::new(2)), Change::Hold).unwrap_err().to_string();
    assert_eq!(why, "job-2 is canceled; only a waiting job can be held");
    stage.pass(Span::from_secs(7_200), &[]);
    assert_eq!(states(&stage), "");
    stage.audit();
    let said = rejected(&mut stage, "after = [{ job = \"job-1\" }]");
    assert!(said.starts_with("there is no job-1 to come after: it never was, or ended"), "{said}");
}

#[test]
fn a_large_array_leaves_in_parts() {
    let mut stage = Stage::laptop();
    let first = submit(&mut stage, "hold = true\narray = { first = 1, last = 5000 }");
    change(&mut stage, Of::Array(first), Change::Cancel).unwrap();
    stage.now = stage.now + Span::from_secs(7_200);
    let effects = stage.controller.step(stage.now, vec![Input::Tick]);
    let part = effects.iter().find_map(|effect| match effect {
        Effect::Archive(jobs) => Some(jobs.iter().map(|job| job.job).collect::<Vec<_>>()),
        _ => None,
    });
    let part = part.unwrap();
    assert!(part.len() < 5_000, "{}", part.len());
    let effects = stage.controller.step(stage.now, vec![Input::Archived(part)]);
    let mut read = stage.controller.world().to_snapshot();
    read.reindex();
    assert_eq!(&read, stage.controller.world());
    assert!(read.archivable().next().is_some());
    stage.carry_out(effects);
    assert_eq!(states(&stage), "");
    stage.audit();
}

#[test]
fn a_running_job_is_requeued_and_keeps_its_tries() {
    let mut stage = Stage::laptop();
    let job = submit(&mut stage, "");
    for epoch in 1..30 {
        let attempt = attempt(&format!("job-1.{epoch}"));
        stage.report("zhangjiang", Report::Started { attempt });
        change(&mut stage, Of::Job(job), Change::Requeue { hold: false }).unwrap();
        assert_eq!(states(&stage), "1 stopping");
        let stopped = ended(Outcome::Stopped(model::Stop::Requeued));
        stage.report("zhangjiang", Report::Ended { attempt, ended: stopped, outputs: vec![] });
        assert_eq!(states(&stage), "1 offered");
    }
    exits(&mut stage, 1, 0);
    let why = change(&mut stage, Of::Job(job), Change::Requeue { hold: false }).unwrap_err();
    assert_eq!(why.to_string(), "job-1 is completed; only a job that has a place can begin anew");
    stage.audit();
}

#[test]
fn what_cannot_come_after_is_told_why() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "array = { first = 0, last = 4, step = 2 }");
    submit(&mut stage, "");
    for (text, why) in [
        ("after = [{ job = \"job-9\" }]", "there is no job-9 to come after"),
        ("after = [{ job = \"job-1\", when = \"aftercorr\" }]", "`aftercorr` is for arrays"),
        (
            "array = { first = 0, last = 1 }\nafter = [{ job = \"job-4\", when = \"aftercorr\" }]",
            "`aftercorr` needs an array by its first job, and job-4 is not one",
        ),
        (
            "array = { first = 0, last = 1 }\nafter = [{ job = \"job-1\", when = \"aftercorr\" }]",
            "job-1 has no task 1 to come after",
        ),
    ] {
        let said = rejected(&mut stage, text);
        assert!(said.starts_with(why), "{said}");
    }
}

#[test]
fn after_a_restart_jobs_wait_as_before() {
    let mut stage = Stage::laptop();
    submit(&mut stage, "array = { first = 0, last = 3, at_once = 1 }");
    submit(&mut stage, "after = [{ job = \"job-1\" }]");
    exits(&mut stage, 1, 0);
    let mut read = stage.controller.world().to_snapshot();
    read.reindex();
    assert_eq!(&read, stage.controller.world());
    stage.restart();
    stage.join("zhangjiang");
    stage.step(vec![Input::Tick]);
    (2..=4).for_each(|job| exits(&mut stage, job, 0));
    assert!(states(&stage).ends_with("4 completed, 5 offered"), "{}", states(&stage));
    stage.audit();
}
