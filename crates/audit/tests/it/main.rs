//! Each promise with a scenario that keeps it and one that breaks it. A finding names the doors it
//! came through: `step` (judged by what the fact touched), `log` (by history alone), `world`.

#[cfg(test)]
mod capacity;
mod data;
mod job;
mod lending;
mod quota;
mod reservation;
#[cfg(test)]
mod scenario;

use audit::History;
use model::{Fact, Moment, Phase};
use scenario::{Told, check, random_lines};

#[test]
fn a_busy_network_that_keeps_its_promises_is_not_accused() {
    check(
        "
        data d in=cn at=sh
        job 1 chips=0.5 key=k
        job 2 chips=0.5 reads=d writes=e:cn
        job 3 nodes=2 chips=2 key=l
        job 4 on=cpu chips=0
        move 1 d sh>bj over=sh>,bj< rates=0..10@6,10..20@10
        move 2 d sh>bj over=sh>,bj< rates=0..10@4
        offer 1.1 sh/a 0:0 share=0.5
        offer 2.1 sh/a 0:0 share=0.5 reads=d
        offer 3.1 sh/a 0:0,1 1:0,1 time=10..20
        offer 4.1 sh/a 0: share=0 time=0..10
        accept 1.1
        start 1.1
        @9
        end 1.1
        done 1
        archive 1
        stop 2.1
        end 2.1
        requeue 2
        offer 2.2 bj/a 1:1 share=0.5 time=20..30 plan=2 reads=d
        ",
        "",
    );
}

#[test]
fn nothing_costs_less_than_nothing() {
    check(
        "
        center sh region=cn/sh price=-1
        link sh price=-1
        data d at=bj
        move 1 d bj>sh over=bj>,sh< price=-1
        job 1
        offer 1.1 bj/a 0:0 price=-1
        ",
        "
        step+world money: job-1.1 is priced at -1 millionths of CNY
        step+world money: sh is priced at -1 millionths of CNY
        step+world money: sh/a is priced at -1 millionths of CNY
        step+world money: transfer-1 is priced at -1 millionths of CNY
        ",
    );
}

#[test]
fn room_is_made_by_preemptible_jobs_for_higher_priorities_and_with_grace() {
    let low_runs = "
        job 1 limit=99999 preemptible
        job 2 priority=1
        offer 1.1 sh/a 0:0 time=0..99999
        start 1.1
    ";
    check(
        &format!(
            "{low_runs}
            preempt 1.1 for=2 until=10000
            offer 2.1 sh/a 0:0 time=10000..10010
            @9000
            end 1.1
            requeue 1
            start 2.1"
        ),
        "",
    );
    check(
        &format!(
            "{low_runs}
            preempt 1.1 for=2 until=9000
            offer 2.1 sh/a 0:0 time=8000..8010"
        ),
        "
        step+world capacity: sh/a node 0: 2 of 1 chip 0 promised at 1970-01-01T00:00:08.000Z to \
         job-1.1, job-2.1
        step preemption: job-1.1 is given 9.0s to leave and asked for 10s
        ",
    );
    check(
        "
        job 1 limit=99999
        job 2
        offer 1.1 sh/a 0:0 time=0..99999
        preempt 1.1 for=2 until=10000
        ",
        "
        step preemption: job-1.1 is not preemptible and makes room for job-2
        log preemption: job-1.1 makes room for job-2, for which it does not
        step preemption: job-1.1 of priority 0 makes room for job-2 of priority 0
        ",
    );
}

#[test]
fn time_never_goes_back() {
    check(
        "
        @10
        job 1
        @9
        job 2
        ",
        "log replay: job-submitted happened at 1970-01-01T00:00:00.009Z, after a fact of \
         1970-01-01T00:00:00.010Z",
    );
}

#[test]
fn a_world_is_what_its_log_says_or_the_first_difference_is_named() {
    let scenario = "
        data d in=cn at=sh
        job 1 key=k
        job 2
        offer 1.1 sh/a 0:0
        start 1.1
    ";
    let check = |change: fn(&mut Told), expected: &[&str]| {
        let mut told = Told::of(scenario);
        change(&mut told);
        let found = audit::replay(&told.world, &told.records);
        let found: Vec<_> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    };
    check(|_| {}, &[]);
    check(
        |told| told.world.jobs.get_mut(1).unwrap().epoch = 7,
        &["replay: job-1 epoch is 1 by the log and 7 in the live world"],
    );
    check(
        |told| {
            told.world.keys.clear();
            told.world.jobs.get_mut(2).unwrap().phase = Phase::Held;
            told.world.reindex();
        },
        &[
            "replay: job-2 phase is {\"waiting\":{\"not_before\":0}} by the log and \"held\" in the \
             live world",
        ],
    );
    check(
        |told| drop(told.world.centers.pop_first()),
        &["replay: center bj is in the log and not in the live world"],
    );
    check(
        |told| told.world.at = Moment(3),
        &["replay: the time of the last fact is 0 by the log and 3 in the live world"],
    );
    check(
        |told| told.world.jobs.get_mut(2).unwrap().phase = Phase::Held,
        &["replay: the live world's lists are not those its jobs and tokens amount to"],
    );
    check(
        |told| drop(told.records.pop()),
        &["replay: the log ends at fact 14, the live world at fact 15"],
    );
    check(
        |told| drop(told.records.remove(1)),
        &["replay: fact 3 stands in the log where fact 2 belongs"],
    );
    check(
        |told| told.records[11].payload.clear(),
        &[
            "replay: fact 12 (job-submitted v3) cannot be read: EOF while parsing a value at line 1 column 0",
        ],
    );
}

#[test]
fn a_step_tells_nothing_of_what_it_did_not_touch() {
    let mut told = Told::of(
        "
        job 1
        job 2
        job 3
        offer 1.1 sh/a 0:0
        offer 2.1 sh/a 0:0
        offer 3.1 sh/a 0:1
        ",
    );
    assert_eq!(audit::world(&told.world).len(), 1);
    let fact = told.records.pop().unwrap().fact().unwrap();
    assert!(matches!(fact, Fact::JobOffered(_)));
    assert_eq!(audit::delta(&told.world, [&fact]), []);
}

#[test]
fn history_blames_no_fact_that_the_world_can_take() {
    let verbs = [
        "job",
        "offer",
        "offer",
        "attempt-start",
        "attempt-end",
        "attempt-end",
        "attempt-stop",
        "requeue",
        "held",
        "release",
        "done",
        "archive",
        "@",
    ];
    let mut again = 0;
    for seed in 0..300 {
        // Only what the world took is in the log; its history is then told afresh.
        let told = Told::of(&random_lines(seed, &verbs));
        let mut history = History::default();
        for record in &told.records {
            let fact = record.fact().unwrap();
            again += u32::from(matches!(&fact, Fact::JobOffered(f) if f.attempt.epoch > 1));
            assert_eq!(history.take(record.header.at, &fact), [], "seed {seed}");
        }
        assert_eq!(audit::replay(&told.world, &told.records), [], "seed {seed}");
        let open = told.world.jobs.iter().filter(|j| !matches!(j.phase, Phase::Ended { .. }));
        assert!(history.unfinished().eq(open.map(|job| job.job)), "seed {seed}");
    }
    assert!(again > 20, "jobs must get as far as a second attempt: {again} did");
}

#[test]
fn steps_find_what_a_look_at_the_whole_world_finds() {
    let (mut clean, mut wrong) = (0, 0);
    for seed in 0..300 {
        let verbs = if seed % 2 == 0 { ["move", "place"] } else { ["place", "place"] };
        let lines = random_lines(seed, &verbs);
        let few = lines.lines().take(5 + usize::try_from(seed).unwrap() % 12);
        let scenario = few.collect::<Vec<_>>().join("\n");
        let verdict = Told::of(&scenario).verdict();
        // Which of several overlaps is told may differ; whether anything is, may not.
        let by = |door| verdict.lines().any(|line| line.split(' ').next().unwrap().contains(door));
        assert_eq!(by("step"), by("world"), "seed {seed}\n{scenario}\n{verdict}");
        *if verdict.is_empty() { &mut clean } else { &mut wrong } += 1;
    }
    assert!(clean > 20 && wrong > 20, "both kinds must come up: {clean} clean, {wrong} wrong");
}
