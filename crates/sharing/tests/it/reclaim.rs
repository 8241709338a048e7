//! Preemption by the terms of Kueue's documentation.

use crate::scenario::check;

#[test]
fn reclaim_within_cohort() {
    check(
        "
        tenant net
        tenant a in=net 910b=4 reclaim=lower
        tenant b in=net 910b=4 reclaim=any
        tenant c in=net 910b=4
        run 1 c 910b=4 prio=5
        run 2 c 910b=4 prio=5
        run 3 c 910b=4 prio=1
        ask 9 a 910b=4 prio=5
        ask 9 a 910b=4 prio=1
        ask 9 b 910b=4 prio=1
        ask 9 c 910b=4 prio=9
        ask 9 b 910b=5 prio=9
        ",
        "
        1 runs
        2 runs, borrows 4 from `net`
        3 runs, borrows 4 from `net`
        9 fits when 3 (ReclaimWithinCohort)
        9: 4 chips of `910b` for `a` are 4 too many: 12 of the 12 that `net` can share are in use; \
            fits when others give back what they use; \
            of 3 jobs that have such chips none may be told to go for it
        9 fits when 3 (ReclaimWithinCohort)
        9: 4 chips of `910b` for `c` are 4 too many: 12 of the 12 that `net` can share are in use; \
            fits when others give back what they use; \
            of 3 jobs that have such chips none may be told to go for it
        9: 5 chips of `910b` for `b` are 5 too many: 12 of the 12 that `net` can share are in use; \
            fits when others give back what they use; \
            of 3 jobs that have such chips 3 may be told to go for it, which is not enough
        ",
    );
}

#[test]
fn nobody_is_taken_below_nominal() {
    check(
        "
        tenant net
        tenant a in=net 910b=6 reclaim=any
        tenant b in=net 910b=4
        tenant c in=net 910b=4
        hold 1 b 910b=4
        hold 2 b 910b=4
        hold 3 c 910b=4
        hold 4 c 910b=4
        ask 9 a 910b=6
        ask 9 a 910b=4
        ",
        "
        9 fits when 4 (ReclaimWithinCohort) and 2 (ReclaimWithinCohort)
        9 fits when 4 (ReclaimWithinCohort) and 2 (ReclaimWithinCohort)
        ",
    );
}

#[test]
fn within_queue() {
    check(
        "
        tenant net
        tenant never in=net 910b=2
        tenant lower in=net 910b=2-0 within=lower
        tenant newer in=net 910b=2-0 within=newer
        hold 1 lower 910b=1 prio=1
        hold 2 lower 910b=1 prio=0
        hold 5 newer 910b=1 prio=1
        hold 6 newer 910b=1 prio=1
        hold 7 never 910b=2
        ask 3 lower 910b=1 prio=1
        ask 3 lower 910b=2 prio=2
        ask 3 lower 910b=1 prio=0
        ask 3 newer 910b=1 prio=1
        ask 9 newer 910b=1 prio=1
        ask 9 never 910b=1 prio=9
        ",
        "
        3 fits when 2 (WithinQueue)
        3 fits when 2 (WithinQueue) and 1 (WithinQueue)
        3: 1 chips of `910b` for `lower` are 1 too many: 2 of the 2 that `net` can share are in use; \
            fits when others give back what they use; \
            of 5 jobs that have such chips none may be told to go for it
        3 fits when 6 (WithinQueue)
        9: 1 chips of `910b` for `newer` are 1 too many: 2 of the 2 that `net` can share are in use; \
            fits when others give back what they use; \
            of 5 jobs that have such chips none may be told to go for it
        9: 1 chips of `910b` for `never` are 1 too many: 2 of the 2 that `net` can share are in use; \
            fits when others give back what they use; \
            of 5 jobs that have such chips none may be told to go for it
        ",
    );
}

#[test]
fn borrow_within_cohort_up_to_its_priority_threshold() {
    check(
        "
        tenant net
        tenant shy in=net 910b=0 reclaim=any
        tenant bold in=net 910b=0 reclaim=any borrow=any
        tenant some in=net 910b=0 reclaim=any borrow=2
        tenant c in=net 910b=4
        tenant d in=net 910b=8
        hold 1 c 910b=6 prio=3
        hold 2 c 910b=6 prio=1
        ask 9 shy 910b=2 prio=9
        ask 9 bold 910b=7 prio=9
        ask 9 bold 910b=6 prio=3
        ask 9 bold 910b=6 prio=1
        ask 9 some 910b=6 prio=9
        ask 9 some 910b=7 prio=9
        ",
        "
        9: 2 chips of `910b` for `shy` are 2 too many: 12 of the 12 that `net` can share are in use; \
            fits when others give back what they use; \
            of 2 jobs that have such chips 2 may be told to go for it, which is not enough
        9 fits when 2 (ReclaimWhileBorrowing) and 1 (ReclaimWhileBorrowing), borrows
        9 fits when 2 (ReclaimWhileBorrowing), borrows
        9: 6 chips of `910b` for `bold` are 6 too many: 12 of the 12 that `net` can share are in use; \
            fits when others give back what they use; \
            of 2 jobs that have such chips 2 may be told to go for it, which is not enough
        9 fits when 2 (ReclaimWhileBorrowing), borrows
        9: 7 chips of `910b` for `some` are 7 too many: 12 of the 12 that `net` can share are in use; \
            fits when others give back what they use; \
            of 2 jobs that have such chips 2 may be told to go for it, which is not enough
        ",
    );
}

#[test]
fn preemption_order() {
    // Others that borrow, the lowest priority, who loses least, who came last; then the tenant's own.
    check(
        "
        tenant net
        tenant a in=net 910b=10 reclaim=any within=lower
        tenant b in=net
        hold 1 a 910b=1
        hold 2 b 910b=1 prio=1
        hold 3 b 910b=1 lost=1
        hold 4 b 910b=1 lost=5
        hold 5 b 910b=1 lost=1
        hold 6 b 910b=1 fixed
        hold 7 a 910b=4 fixed
        ask 9 a 910b=5 prio=1
        ask 9 a 910b=4 prio=1
        ask 9 a 910b=2 prio=1
        ",
        "
        9 fits when 5 (ReclaimWithinCohort) and 3 (ReclaimWithinCohort) and \
            4 (ReclaimWithinCohort) and 2 (ReclaimWithinCohort) and 1 (WithinQueue)
        9 fits when 5 (ReclaimWithinCohort) and 3 (ReclaimWithinCohort) and \
            4 (ReclaimWithinCohort) and 2 (ReclaimWithinCohort)
        9 fits when 5 (ReclaimWithinCohort) and 3 (ReclaimWithinCohort)
        ",
    );
}

#[test]
fn who_is_leaving_already_comes_first() {
    check(
        "
        tenant net
        tenant a in=net 910b=4 reclaim=any
        tenant b in=net
        hold 1 b 910b=2 prio=5 leaving
        hold 2 b 910b=2
        ask 9 a 910b=2
        ",
        "9 fits when 1 (ReclaimWithinCohort)",
    );
}

#[test]
fn who_can_stay_after_all_stays() {
    check(
        "
        tenant net
        tenant a in=net 910b=8 reclaim=any
        tenant b in=net
        hold 1 b 910b=6 prio=2
        hold 2 b 910b=1 prio=1
        hold 3 b 910b=1
        ask 9 a 910b=6
        ask 9 a 910b=7
        ",
        "
        9 fits when 1 (ReclaimWithinCohort)
        9 fits when 3 (ReclaimWithinCohort) and 1 (ReclaimWithinCohort)
        ",
    );
}

#[test]
fn nested_cohorts_reclaim_what_the_nearest_have_before_what_others_have() {
    // The job borrows from its own cohort, `uni`, which has quota for it: so it takes back what
    // `lab` borrows of it, without any leave to borrow, and not what `guest` has of `lab`.
    check(
        "
        tenant net
        tenant uni in=net 910b=8
        tenant cs in=uni reclaim=any
        tenant bio in=uni 910b=2
        tenant lab in=net 910b=4
        tenant guest in=lab
        hold 1 lab 910b=4
        hold 2 guest 910b=6
        hold 3 bio 910b=2
        hold 4 cs 910b=2
        ask 9 cs 910b=6 prio=0
        ask 9 cs 910b=7 prio=0
        ",
        "
        9 fits when 2 (ReclaimWithinCohort), borrows
        9: 7 chips of `910b` for `cs` are 7 too many: 14 of the 14 that `net` can share are in use; \
            fits when others give back what they use; \
            of 4 jobs that have such chips 1 may be told to go for it, which is not enough
        ",
    );
}

#[test]
fn a_job_that_fits_in_a_cohorts_quota_takes_it_back_however_full_those_above_are() {
    check(
        "
        tenant net 910b=2
        tenant region in=net
        tenant uni in=region 910b=8
        tenant cs in=uni reclaim=any
        tenant guest in=region
        tenant lab in=net
        hold 1 guest 910b=6 fixed
        hold 2 lab 910b=4 prio=9
        ask 9 cs 910b=4
        ",
        "9 fits when 2 (ReclaimWithinCohort), borrows",
    );
}

#[test]
fn what_a_tenant_keeps_to_itself_does_not_burden_the_cohort_above() {
    check(
        "
        tenant net
        tenant uni in=net 910b=2
        tenant cs in=uni 910b=6-2 reclaim=any
        tenant lab in=net
        hold 1 lab 910b=4
        ask 9 cs 910b=8
        ",
        "9 fits when 1 (ReclaimWithinCohort), borrows",
    );
}

#[test]
fn who_may_not_borrow_while_preempting_takes_from_borrowers_before_its_own() {
    check(
        "
        tenant net
        tenant a in=net 910b=6 reclaim=any within=lower
        tenant b in=net 910b=2
        hold 1 a 910b=2
        hold 2 a 910b=2
        hold 3 b 910b=2
        hold 4 b 910b=2
        ask 9 a 910b=4 prio=1
        ",
        "9 fits when 4 (ReclaimWithinCohort) and 2 (WithinQueue)",
    );
}

#[test]
fn a_tenants_own_jobs_and_its_childrens_take_back_from_each_other() {
    check(
        "
        tenant uni 910b=4 reclaim=any
        tenant cs in=uni 910b=4 reclaim=any
        hold 1 uni 910b=4
        hold 2 uni 910b=2
        hold 3 cs 910b=2
        ask 9 cs 910b=2
        end 1
        end 2
        hold 4 cs 910b=6
        ask 9 uni 910b=4
        ",
        "
        9 fits when 2 (ReclaimWithinCohort)
        9 fits when 4 (ReclaimWithinCohort)
        ",
    );
}

#[test]
fn a_job_larger_than_its_tenants_quota_may_take_the_place_of_its_own() {
    check(
        "
        tenant net 910b=8
        tenant user in=net within=lower
        hold 1 user 910b=8
        ask 9 user 910b=4 prio=1
        ",
        "9 fits when 1 (WithinQueue), borrows",
    );
}

#[test]
fn fungibility_of_flavors() {
    check(
        "
        tenant net
        tenant a in=net h800=4 910b=8 reclaim=any
        tenant b in=net h800=4 910b=8
        choose 9 a h800=6 910b=8
        choose 9 a borrow-next h800=6 910b=8
        choose 9 a borrow-next h800=6 910b=9
        hold 1 b h800=8
        choose 9 a h800=4 910b=8
        choose 9 a preempt-now h800=4 910b=8
        hold 2 b 910b=16
        choose 9 a h800=4 910b=8
        choose 9 b h800=4 910b=8
        ",
        "
        9 runs, borrows 2 from `net` on h800, 1 looked at
        9 runs on 910b, 2 looked at
        9 runs, borrows 2 from `net` on h800, 2 looked at
        9 runs on 910b, 2 looked at
        9 fits when 1 (ReclaimWithinCohort) on h800, 1 looked at
        9 fits when 1 (ReclaimWithinCohort) on h800, 2 looked at
        9 nowhere
        ",
    );
}

#[test]
fn a_tenant_without_policies_has_those_of_its_parent() {
    check(
        "
        tenant net reclaim=any
        tenant a in=net 910b=4
        tenant user in=a 910b=4
        tenant b in=net
        hold 1 b 910b=8
        ask 9 user 910b=4
        tenant a in=net 910b=4 within=lower
        ask 9 user 910b=4
        ",
        "
        9 fits when 1 (ReclaimWithinCohort)
        9: 4 chips of `910b` for `user` are 4 too many: 8 of the 8 that `net` can share are in use; \
            fits when others give back what they use; \
            of 1 jobs that have such chips none may be told to go for it
        ",
    );
}
