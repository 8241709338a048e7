//! Each promise with a scenario that keeps it and one that breaks it. A finding names the doors it
//! came through: `step` (judged by what the fact touched), `log` (by history alone), `world`.

#[cfg(test)]
mod lending;
mod quota;
mod reservation;
#[cfg(test)]
mod scenario;

use audit::History;
use model::{Fact, JobId, Moment, Phase, PlanId};
use scenario::{Told, check, check_changed, random_lines};

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
fn capacity_counts_every_chip_core_and_byte_at_every_moment() {
    check(
        "
        job 1 chips=0.6
        job 2 chips=0.5
        offer 1.1 sh/a 0:0 share=0.6 time=0..10
        offer 2.1 sh/a 0:0 share=0.5 time=9..19
        ",
        "step+world capacity: sh/a node 0: 1.1 of 1 chip 0 promised at \
         1970-01-01T00:00:00.009Z to job-1.1, job-2.1",
    );
    check(
        "
        job 1 cores=3
        job 2 cores=3
        offer 1.1 sh/a 0:0 cores=3 gib=2
        offer 2.1 sh/a 0:1 cores=3 gib=3
        ",
        "
        step+world capacity: sh/a node 0: 5 GiB of 4 GiB memory promised at \
         1970-01-01T00:00:00.000Z to job-1.1, job-2.1
        step+world capacity: sh/a node 0: 6 of 4 cores promised at \
         1970-01-01T00:00:00.000Z to job-1.1, job-2.1
        ",
    );
}

#[test]
fn an_attempt_that_outlives_its_window_is_no_fault_until_another_runs_on_its_chip() {
    let late = "
        job 1
        job 2
        offer 1.1 sh/a 0:0 time=0..10
        offer 2.1 sh/a 0:0 time=10..20
        start 1.1
        @15
    ";
    check(late, "");
    check(
        &format!("{late}\n start 2.1"),
        "step+world in use: sh/a node 0: 2 of 1 chip 0 in use by job-1.1, job-2.1",
    );
}

#[test]
fn what_is_offered_now_cannot_count_on_a_chip_that_is_in_use_now() {
    check(
        "
        job 1
        job 2
        offer 1.1 sh/a 0:0 time=0..10
        start 1.1
        @15
        offer 2.1 sh/a 0:0 time=15..25
        ",
        "step capacity: sh/a node 0: 2 of 1 chip 0 promised at 1970-01-01T00:00:00.015Z to \
         job-1.1, job-2.1",
    );
}

#[test]
fn an_attempt_that_started_early_will_be_gone_early() {
    check(
        "
        job 1
        job 2
        offer 1.1 sh/a 0:0 time=50..60
        start 1.1
        offer 2.1 sh/a 0:0 time=10..20
        offer 2.1 sh/a 0:0 time=55..65
        ",
        "log fencing: job-2.1 is offered after job-2.1
         log fencing: job-2.1 is offered when job-2 has a live attempt",
    );
}

#[test]
fn a_place_must_exist_and_last_as_long_as_the_job_may_run() {
    check(
        "
        job 1 nodes=2
        job 2 limit=11
        job 3
        offer 1.1 sh/a 1:0 2:2
        offer 2.1 sh/a 0:1 time=5..15
        offer 3.1 sh/b 0:0
        ",
        "
        step+world capacity: job-1.1 (part1) on sh/a: node 2 with chips [2] is not among 2 nodes of 2 chips
        step+world capacity: job-2.1 may run 11ms and has its nodes for 10ms
        step+world capacity: job-3.1 (part1) is in sh/b, which does not exist
        ",
    );
}

#[test]
fn a_center_that_shrinks_is_told_of_until_what_no_longer_fits_is_to_stop() {
    let shrunk = "
        job 1
        offer 1.1 sh/a 1:0
        center sh region=cn/sh nodes=1
    ";
    check(
        shrunk,
        "step+world capacity: job-1.1 (part1) on sh/a: node 1 with chips [0] is not among 1 nodes \
         of 2 chips",
    );
    let stopped = Told::of(&format!("{shrunk}\n stop 1.1"));
    assert_eq!(audit::world(&stopped.world), []);
}

#[test]
fn more_bandwidth_than_a_direction_has_cannot_be_reserved() {
    let two = "
        data d at=sh,bj
        move 1 d sh>bj over=sh>,bj< rates=0..10@6
        move 2 d sh>hk over=sh>,hk< rates=0..5@4,5..20@5
        move 3 d bj>sh over=bj>,sh< rates=0..20@10
    ";
    check(
        two,
        "step+world links: sh>: 11 Gbit/s of 10 Gbit/s reserved at 1970-01-01T00:00:00.005Z by \
         transfer-1, transfer-2",
    );
    check(
        "
        data d at=bj
        move 1 d bj>sh over=bj>,sh< rates=0..20@10
        link sh gbit=9
        ",
        "step+world links: sh<: 10 Gbit/s of 9 Gbit/s reserved at 1970-01-01T00:00:00.000Z by \
         transfer-1",
    );
}

#[test]
fn what_each_of_several_sources_sends_is_reserved_and_led_like_any_other() {
    let moves = |more: &str| {
        format!("data d at=sh,hk\n move 1 d sh>bj over=sh>,bj< rates=0..10@5 beside={more}")
    };
    check(&moves("hk@hk>+bj<"), "");
    check(&format!("{}\n move 2 d sh>hk over=sh>,hk< rates=0..10@5", moves("hk@hk>+bj<")), "");
    check(
        &format!(
            "{}\n data e at=hk\n move 2 e hk>sh over=hk>,sh< rates=5..9@6",
            moves("hk@hk>+bj<")
        ),
        "step+world links: hk>: 11 Gbit/s of 10 Gbit/s reserved at 1970-01-01T00:00:00.005Z by \
         transfer-1, transfer-2",
    );
    check(
        &moves("hk@hk>+sh<"),
        "step+world links: transfer-1 is to reach bj and its path ends at sh",
    );
    check(
        &moves("hk@hk>+bj<").replace("at=sh,hk", "in=cn at=sh"),
        "step+world residency: transfer-1 takes d at hk in hk, allowed only in cn",
    );
}

#[test]
fn bandwidth_that_an_attempt_reads_over_is_nobody_elses() {
    let one = "
        data d at=bj
        job 1 reads=d@6
        job 2 reads=d@6
        offer 1.1 sh/a 0:0 time=0..10 reads=d streams=d@bj/bj>+sh<@6
    ";
    assert_eq!(audit::world(&Told::of(one).world), []);
    let (beside, after) = (
        "offer 2.1 sh/a 1:0 time=9..20 reads=d streams=d@bj/bj>+sh<@6",
        "offer 2.1 sh/a 1:0 time=10..20 reads=d streams=d@bj/bj>+sh<@6",
    );
    check(
        &format!("{one}\n {beside}"),
        "step+world links: bj>: 12 Gbit/s of 10 Gbit/s reserved at 1970-01-01T00:00:00.009Z by \
         job-1.1, job-2.1
        step+world links: sh<: 12 Gbit/s of 10 Gbit/s reserved at 1970-01-01T00:00:00.009Z by \
         job-1.1, job-2.1",
    );
    assert_eq!(audit::world(&Told::of(&format!("{one}\n {after}")).world), []);
    check(
        &format!("{one}\n offer 2.1 sh/a 1:0 time=10..20 reads=d streams=d@bj/sh>@1"),
        "step+world links: job-2.1 is to read d from bj and no way leads from there",
    );
}

#[test]
fn a_path_leads_from_the_copy_to_its_destination_over_links_there_are() {
    check(
        "
        data d at=sh
        move 1 d sh>bj over=sh>
        move 2 d sh>bj over=sh<,bj<
        move 3 d sh>bj over=sh>,xx<
        move 4 d sh>bj over=sh>,bj< rates=0..10@1,9..20@1
        ",
        "
        step+world links: transfer-1 is to reach bj and its path ends at ix
        step+world links: transfer-2 cannot go from sh over sh<
        step+world links: transfer-3 cannot go from ix over xx<
        step+world links: transfer-4 reserves its rates at times that are empty, overlap or go back
        ",
    );
}

#[test]
fn a_gang_has_all_its_parts_nodes_and_chips_of_the_kind_it_runs_on() {
    check(
        "
        job 1 nodes=2
        job 2 nodes=2
        job 3 chips=2
        job 4 on=cuda
        job 5 parts=2
        job 6
        job 7 chips=0.5 cores=2
        offer 1.1 sh/a 0:0
        offer 2.1 sh/a 1:0 1:1
        offer 3.1 bj/a 0:0
        offer 4.1 bj/a 0:1
        offer 5.1 bj/a 1:0
        offer 6.1 bj/a 1:1 variant=1
        offer 7.1 hk/a 1:0,1 share=0.25
        ",
        "
        step+world gangs: job-1.1 (part1) asks for 2 nodes and has 1 in sh/a
        step+world gangs: job-2.1 (part1) asks for 2 nodes and has 1 in sh/a
        step+world gangs: job-3.1 (part1) on bj/a: node 0 gives 1 of each of [0] for 2
        step+world gangs: job-4.1 (part1) runs on any cuda chip and bj/a has 910b
        step+world gangs: job-5.1 has places for 1 of its 2 parts
        step+world gangs: job-6.1 (part1) is placed as variant 1 of 1
        step+world gangs: job-7.1 (part1) on hk/a: node 1 gives 0.25 of each of [0, 1] for 0.5
        step+world gangs: job-7.1 (part1) on hk/a: node 1 gives 1 cores and 1 GiB for 2 cores and 1 B
        ",
    );
}

#[test]
fn a_gang_is_together_as_it_asked_and_may_get_whole_cards() {
    check(
        "
        chip 910c unit=2
        center bj region=cn/bj chip=910c block=1
        job 1 parts=2
        job 2 parts=2 within=network
        job 3 nodes=2 within=block
        job 4 nodes=2 within=block
        offer 1.1 sh/a 0:0 hk/a 0:0
        offer 2.1 sh/a 0:1 hk/a 0:1
        offer 3.1 bj/a 0:0,1 1:0,1
        offer 4.1 hk/a 0:0 1:0 time=10..20
        ",
        "
        step+world gangs: job-1.1 is spread wider than the Center it asked for
        step+world gangs: job-3.1 is spread wider than the Block it asked for
        ",
    );
}

#[test]
fn a_job_has_one_live_attempt_and_its_epochs_go_up_by_one() {
    check(
        "
        job 1
        offer 1.1 sh/a 0:0
        offer 1.2 bj/a 0:0
        ",
        "log fencing: job-1.2 is offered when job-1 has a live attempt",
    );
    check(
        "
        job 1
        job 2 hold
        offer 1.2 sh/a 0:0
        offer 2.1 sh/a 0:0
        ",
        "
        log fencing: job-1.2 is offered after job-1.0
        log fencing: job-2.1 is offered when job-2 is held
        ",
    );
}

#[test]
fn a_report_of_an_older_attempt_must_not_become_a_fact() {
    check(
        "
        job 1
        offer 1.1 sh/a 0:0
        end 1.1
        requeue 1
        offer 1.2 sh/a 0:0
        start 1.1
        end 1.1
        start 1.2
        requeue 1
        ",
        "
        log fencing: attempt-ended is about job-1.1, when job-1 has a live attempt, epoch 2
        log fencing: attempt-started is about job-1.1, when job-1 has a live attempt, epoch 2
        log fencing: job-requeued is about job-1, which has a live attempt
        ",
    );
}

#[test]
fn epochs_that_no_facts_lead_to_are_told() {
    let twice = "
        job 1
        offer 1.1 sh/a 0:0
        end 1.1
        requeue 1
        offer 1.2 sh/a 0:0
    ";
    check_changed(
        twice,
        |world| world.jobs.get_mut(1).unwrap().past[0].epoch = 2,
        "world fencing: job-1.2 is over and job-1.2 is live",
    );
    check_changed(
        twice,
        |world| world.jobs.get_mut(1).unwrap().epoch = 3,
        "world fencing: job-1 is at epoch 3 and its live attempt is job-1.2",
    );
    check_changed(
        "job 1",
        |world| world.jobs.get_mut(1).unwrap().epoch = 1,
        "world fencing: job-1 had 1 attempts and the last that is over is 0",
    );
}

#[test]
fn a_job_ends_once_and_nothing_follows() {
    let told = "
        job 1
        job 2
        job 1
        done 1
        done 1
        held 1
        archive 2
        archive 1
        done 1
        job 1
    ";
    check(
        told,
        "
        log no loss: job-1 was submitted when its number had been handed out
        log no loss: job-2 is archived and had not ended
        log no loss: job-ended is about job-1, which has ended
        log no loss: job-ended is about job-1, which is not there
        log no loss: job-held is about job-1, which has ended
        ",
    );
    let open = Told::of("job 1\n job 2\n job 3\n done 2");
    assert_eq!(open.history.unfinished().collect::<Vec<_>>(), [JobId::new(1), JobId::new(3)]);
}

#[test]
fn a_lost_job_and_a_wrong_list_are_found() {
    check_changed(
        "job 1\n job 2\n done 2",
        |world| {
            world.jobs.get_mut(1).unwrap().phase = Phase::Held;
            world.ended.clear();
        },
        "
        world no loss: 1 jobs here are completed and 0 ever were
        world no loss: job-1 is listed as waiting and is not
        ",
    );
    check_changed(
        "job 1",
        |world| {
            world.jobs.take(1);
            world.ended.insert("completed".into(), 2);
        },
        "
        world no loss: 2 jobs ended and 0 have not, of 1 submitted
        world no loss: job-1 is listed as waiting and is not
        ",
    );
}

#[test]
fn a_number_is_not_handed_out_twice() {
    check_changed(
        "
        data d at=sh
        job 1
        offer 1.1 sh/a 0:0 plan=4
        move 3 d sh>bj over=sh>,bj<
        ",
        |world| world.next = world::Next { plan: PlanId::new(4), ..world::Next::default() },
        "
        world no loss: 0 jobs ended and 1 have not, of 0 submitted
        world no loss: job-1 exists and job-1 would come next
        world no loss: job-1.1 is of plan-4, and plan-4 comes next
        world no loss: transfer-3 exists and transfer-1 would come next
        ",
    );
}

#[test]
fn a_submission_key_stands_for_one_submission() {
    check(
        "
        job 1 key=k
        @5
        job 2 key=k
        forget 6
        job 3 key=k
        ",
        "log idempotence: job-2 was submitted under the key of job-1",
    );
    check(
        "
        job 1 key=k count=3
        job 2 key=l
        ",
        "world idempotence: the submissions of job-1 and job-2 share jobs",
    );
    check_changed(
        "job 1 key=k\n job 2 key=l",
        |world| world.keys.values_mut().for_each(|submission| submission.first = JobId::new(1)),
        "world idempotence: two submission keys stand for job-1",
    );
}

#[test]
fn no_byte_is_kept_moved_read_or_written_outside_its_regions() {
    check(
        "
        data d in=cn at=sh
        data s in=cn/sh,cn/bj at=sh,hk
        job 1 reads=d
        job 2 writes=out:cn/sh
        move 1 d sh>hk over=sh>,hk<
        move 2 s sh>bj over=sh>,bj<
        move 3 t sh>bj over=sh>,bj<
        offer 1.1 hk/a 0:0 reads=d
        offer 2.1 bj/a 0:0
        ",
        "
        step+world residency: job-1.1 reads d at hk in hk, allowed only in cn
        step+world residency: job-2.1 writes out at bj in cn/bj, allowed only in cn/sh
        step+world residency: s has a copy at hk in hk, allowed only in cn/sh, cn/bj
        step+world residency: transfer-1 takes d at hk in hk, allowed only in cn
        step+world residency: transfer-2 takes s at ix in cn, allowed only in cn/sh, cn/bj
        step+world residency: transfer-3 moves t, which is not registered: nobody knows where to
        ",
    );
}

#[test]
fn a_placement_settles_which_data_is_read_and_it_is_what_was_asked_for() {
    check(
        "
        data d at=sh
        data s at=sh
        job 1 reads=d
        job 2 reads=d,s
        offer 1.1 sh/a 0:0 reads=s
        offer 2.1 sh/a 0:1 reads=d
        ",
        "
        step+world residency: job-1.1 is to read [s], which is not what it asked for
        step+world residency: job-2.1 is to read [d], which is not what it asked for
        ",
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
            "replay: fact 12 (job-submitted v2) cannot be read: EOF while parsing a value at line 1 column 0",
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

#[test]
fn what_is_sent_goes_in_by_a_door() {
    check(
        "
        door bj
        data d at=sh
        move 1 d sh>bj sent over=sh>,bj<
        ",
        "",
    );
    check(
        "
        data d at=sh
        move 1 d sh>bj sent over=sh>,bj<
        ",
        "step+world links: transfer-1 is sent to bj, which has no door",
    );
}

#[test]
fn copies_in_passing_stay_within_what_their_center_lends_and_leave_no_gap() {
    check(
        "
        center bj region=cn/bj relay=1
        door bj
        data d at=sh
        data s at=sh
        move 1 d sh>bj sent passing over=sh>,bj<
        arrived 1
        copied d bj
        leave d bj why=passed
        ",
        "",
    );
    check(
        "
        center bj region=cn/bj relay=1
        door bj
        data d at=sh
        data s at=sh
        move 1 d sh>bj sent passing over=sh>,bj<
        move 2 s sh>bj sent passing over=sh>,bj<
        ",
        "step+world copies: copies in passing take 2 B in bj, whose owner lends 1 B",
    );
    // One that somebody wants there is not in passing any more.
    check(
        "
        center bj region=cn/bj relay=1
        door bj
        data d at=sh
        data s at=sh
        move 1 d sh>bj sent passing over=sh>,bj<
        want d bj
        move 2 s sh>bj sent passing over=sh>,bj<
        ",
        "",
    );
}

#[test]
fn a_copy_in_passing_stands_in_for_no_other() {
    check(
        "
        center bj region=cn/bj relay=1
        door bj
        data d at=sh
        move 1 d sh>bj sent passing over=sh>,bj<
        arrived 1
        copied d bj
        leave d sh
        ",
        "log copies: the copy of d in sh goes, though not because the store needs the room",
    );
    check(
        "
        data d at=sh,bj
        leave d sh why=passed
        ",
        "log copies: the copy of d in sh goes, though not because nobody waits for it any more where \
         it was in passing",
    );
}
