//! Quotas by the terms of Kueue's documentation.

use crate::scenario::check;

#[test]
fn borrowing() {
    check(
        "
        tenant net
        tenant a in=net 910b=10
        tenant b in=net 910b=10
        run 1 a 910b=10
        run 2 a 910b=6
        room a 910b
        room b 910b
        run 3 a 910b=5
        run 4 a 910b=21
        end 1
        run 5 a 910b=5
        ",
        "
        1 runs
        2 runs, borrows 6 from `net`
        0 own, 4 available, 4 by borrowing: 16 of the 20 that `net` can share are in use
        10 own, 4 available, 0 by borrowing: 16 of the 20 that `net` can share are in use
        3: 5 chips of `910b` for `a` are 1 too many: 16 of the 20 that `net` can share are in use; \
            fits when others give back what they use
        4: 21 chips of `910b` for `a` are 17 too many: 16 of the 20 that `net` can share are in use; \
            never fits, 20 is the most `a` can have
        5 runs, borrows 1 from `net`
        ",
    );
}

#[test]
fn borrowing_limit() {
    check(
        "
        tenant net
        tenant a in=net 910b=10+3
        tenant b in=net 910b=10
        run 1 a 910b=12
        run 2 a 910b=2
        run 3 a 910b=14
        run 4 a 910b=1
        room a 910b
        ",
        "
        1 runs, borrows 2 from `net`
        2: 2 chips of `910b` for `a` are 1 too many: `a` may borrow 3 and has borrowed 2; \
            fits when others give back what they use
        3: 14 chips of `910b` for `a` are 13 too many: `a` may borrow 3 and has borrowed 2; \
            never fits, 13 is the most `a` can have
        4 runs, borrows 1 from `net`
        0 own, 0 available, 0 by borrowing: `a` may borrow 3 and has borrowed 3
        ",
    );
}

#[test]
fn lending_limit() {
    check(
        "
        tenant net
        tenant a in=net 910b=10-4
        tenant b in=net 910b=10
        room b 910b
        run 1 b 910b=15
        run 2 b 910b=14
        room a 910b
        run 3 a 910b=6
        run 4 a 910b=1
        ",
        "
        10 own, 14 available, 4 by borrowing: 0 of the 14 that `net` can share are in use
        1: 15 chips of `910b` for `b` are 1 too many: 0 of the 14 that `net` can share are in use; \
            never fits, 14 is the most `b` can have
        2 runs, borrows 4 from `net`
        10 own, 6 available, 0 by borrowing: 14 of the 14 that `net` can share are in use
        3 runs
        4: 1 chips of `910b` for `a` are 1 too many: 14 of the 14 that `net` can share are in use; \
            fits when others give back what they use
        ",
    );
}

#[test]
fn nested_cohorts_borrow_from_the_nearest_and_keep_the_limits_between() {
    check(
        "
        tenant net
        tenant uni in=net 910b=4+6-2
        tenant cs in=uni 910b=10
        tenant bio in=uni
        tenant lab in=net 910b=20
        room lab 910b
        run 1 bio 910b=8
        run 2 cs 910b=6
        room bio 910b
        run 3 bio 910b=7
        run 4 bio 910b=6
        room lab 910b
        ",
        "
        20 own, 22 available, 2 by borrowing: 0 of the 22 that `net` can share are in use
        1 runs, borrows 8 from `uni`
        2 runs
        0 own, 6 available, 6 by borrowing: `uni` may borrow 6 and has borrowed 0
        3: 7 chips of `910b` for `bio` are 1 too many: `uni` may borrow 6 and has borrowed 0; \
            fits when others give back what they use
        4 runs, borrows 6 from `net`
        20 own, 14 available, 0 by borrowing: 8 of the 22 that `net` can share are in use
        ",
    );
}

#[test]
fn what_is_borrowed_is_from_the_nearest_that_has_it() {
    check(
        "
        tenant net 910b=4
        tenant uni in=net 910b=2
        tenant cs in=uni 910b=6-2
        run 1 cs 910b=8
        run 2 cs 910b=1
        ",
        "
        1 runs, borrows 2 from `uni`
        2 runs, borrows 1 from `net`
        ",
    );
}

#[test]
fn a_tenant_with_children_runs_jobs_like_one_more_child() {
    check(
        "
        tenant uni 910b=4
        tenant cs in=uni 910b=6+1
        run 1 uni 910b=4
        run 2 uni 910b=3
        run 3 cs 910b=7
        room cs 910b
        end 2
        run 4 cs 910b=6
        room uni 910b
        ",
        "
        1 runs
        2 runs, borrows 3 from `uni`
        3: 7 chips of `910b` for `cs` are 4 too many: 7 of the 10 that `uni` can share are in use; \
            fits when others give back what they use
        6 own, 3 available, 0 by borrowing: 7 of the 10 that `uni` can share are in use
        4 runs
        0 own, 0 available, 0 by borrowing: 10 of the 10 that `uni` can share are in use
        ",
    );
}

#[test]
fn a_tenant_without_quota_uses_what_its_parents_are_lent_and_a_flavor_without_quotas_is_free() {
    check(
        "
        tenant net
        tenant a in=net 910b=8-5
        tenant b in=net
        tenant user in=b
        tenant alone
        run 1 user 910b=5
        run 2 alone 910b=1
        run 3 alone h800=1000000
        room user h800
        tenant net h800=1
        room user h800
        room alone h800
        ",
        "
        1 runs, borrows 5 from `net`
        2: 1 chips of `910b` for `alone` are 1 too many: `alone` has no quota of it; \
            never fits, 0 is the most `alone` can have
        3 runs
        0 own, 18446744073709551.615 available, 18446744073709551.615 by borrowing: free to everyone
        0 own, 1 available, 1 by borrowing: 0 of the 1 that `net` can share are in use
        0 own, 0 available, 0 by borrowing: `alone` has no quota of it
        ",
    );
}

#[test]
fn jobs_that_run_and_wait_are_counted_over_the_subtree() {
    check(
        "
        tenant uni running=2 queued=5
        tenant cs in=uni running=1
        run 1 cs
        run 2 cs
        run 3 uni
        run 4 uni
        wait cs 4
        wait uni 2
        wait uni 6
        end 1
        run 5 uni
        run 6 cs
        ",
        "
        1 runs
        2: 1 more jobs of `cs` are 1 too many: of `cs` 1 of at most 1 run; fits when they end
        3 runs
        4: 1 more jobs of `uni` are 1 too many: of `uni` 2 of at most 2 run; fits when they end
        2 more jobs of `uni` are 1 too many: of `uni` 4 of at most 5 wait; fits when they end
        6 more jobs of `uni` are 5 too many: of `uni` 4 of at most 5 wait; never fits
        5 runs
        6: 1 more jobs of `cs` are 1 too many: of `uni` 2 of at most 2 run; fits when they end
        ",
    );
}

#[test]
fn a_budget_holds_what_is_spent_and_what_is_committed() {
    check(
        "
        tenant uni budget=10h
        tenant cs in=uni budget=8h
        run 1 cs for=5h
        run 2 cs for=4h
        run 3 uni for=4h
        run 4 cs for=1h
        run 5 cs for=90m
        end 1
        run 6 cs for=4h
        ",
        "
        1 runs
        2: 4 card-hours for `cs` are 1 card-hours too many: of the 8 card-hours of `cs` \
            0 card-hours are spent and 5 card-hours committed; \
            fits when running jobs use less than they may
        3 runs
        4 runs
        5: 1.5 card-hours for `cs` are 1.5 card-hours too many: of the 10 card-hours of `uni` \
            0 card-hours are spent and 10 card-hours committed; \
            fits when running jobs use less than they may
        6: 4 card-hours for `cs` are 2 card-hours too many: of the 8 card-hours of `cs` \
            5 card-hours are spent and 1 card-hours committed; fits when the budget is raised
        ",
    );
}

#[test]
fn what_can_never_fit_is_the_reason_before_what_waiting_helps() {
    check(
        "
        tenant net running=1 910b=8 h800=2
        run 1 net 910b=8
        run 2 net 910b=1 h800=3
        ",
        "
        1 runs
        2: 3 chips of `h800` for `net` are 1 too many: 0 of the 2 that `net` can share are in use; \
            never fits, 2 is the most `net` can have
        ",
    );
}

#[test]
fn a_quota_lowered_under_use_admits_nothing_until_enough_is_given_back() {
    check(
        "
        tenant net
        tenant a in=net 910b=10
        tenant b in=net 910b=2
        run 1 a 910b=6
        run 2 a 910b=4
        tenant a in=net 910b=5
        room b 910b
        run 3 b 910b=1
        end 2
        run 4 b 910b=1
        ",
        "
        1 runs
        2 runs
        2 own, 0 available, 0 by borrowing: 10 of the 7 that `net` can share are in use
        3: 1 chips of `910b` for `b` are 4 too many: 10 of the 7 that `net` can share are in use; \
            fits when others give back what they use
        4 runs
        ",
    );
}

#[test]
fn what_makes_no_sense_is_refused_with_what_to_do() {
    check(
        "
        tenant net
        tenant a in=nobody
        tenant net in=net
        tenant net 910b=4+1
        tenant net 910b=4-1
        tenant a in=net 910b=4-5
        tenant a in=net borrow=3
        tenant a in=net
        tenant b in=a
        tenant a in=b
        ",
        "
        tenant `a` is part of `nobody`, which is not declared; declare it too
        `net` are part of each other in a circle; give one of them another parent or none
        tenant `net` has a borrowing limit for `910b` but no parent to borrow from; \
            remove the limit or give it a parent
        tenant `net` has a lending limit for `910b` but no parent to lend to; \
            remove the limit or give it a parent
        tenant `a` would lend 5 chips of `910b` but has 4; lower the limit, or remove it to lend all
        tenant `a` may preempt while it borrows but never reclaims; set reclaim_within_cohort \
            to lower-priority or any, or remove borrow_within_cohort
        `a`, `b` are part of each other in a circle; give one of them another parent or none
        ",
    );
}
