//! Data stays where it may be, and goes where there is a way.

use super::scenario::check;

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
