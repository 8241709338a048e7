//! Chips, nodes and bandwidth are given out once at a time.

use super::scenario::{Told, check};

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
