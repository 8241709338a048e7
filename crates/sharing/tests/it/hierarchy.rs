//! Preemption in nested cohorts: the situations that Kueue judges in its own tests of hierarchical
//! preemption, with its verdicts. `q` asks; `c` is its cohort in the whole, `r`.

use crate::scenario::check;

/// The same tree with different jobs.
#[track_caller]
fn check_in(tree: &str, jobs: &str, expected: &str) {
    check(&format!("{tree}\n{jobs}"), expected);
}

#[test]
fn a_job_has_the_advantage_over_who_borrows_from_its_cohort() {
    let tree = "
        tenant r
        tenant c in=r cpu=2
        tenant q in=c within=lower reclaim=any
        tenant borrowing in=r
    ";
    check_in(
        tree,
        "
        hold 1 borrowing cpu=2
        ask 9 q cpu=2
        ",
        "9 fits when 1 (ReclaimWithinCohort), borrows",
    );
    check_in(
        tree,
        "
        hold 1 borrowing cpu=1 prio=1
        hold 2 borrowing cpu=1 prio=2
        ask 9 q cpu=2
        ",
        "9 fits when 1 (ReclaimWithinCohort) and 2 (ReclaimWithinCohort), borrows",
    );
    // Even one of higher priority goes before a lower one of its own.
    check_in(
        tree,
        "
        hold 1 borrowing cpu=1 prio=1
        hold 2 q cpu=1 prio=-2
        ask 9 q cpu=1
        ",
        "9 fits when 1 (ReclaimWithinCohort), borrows",
    );
}

#[test]
fn who_keeps_within_its_nominal_quota_is_left_alone() {
    check(
        "
        tenant r
        tenant c in=r cpu=2
        tenant q in=c within=lower reclaim=any
        tenant nominal in=r cpu=2
        tenant borrowing in=r
        hold 1 nominal cpu=2 prio=-10
        hold 2 borrowing cpu=2
        ask 9 q cpu=2
        ",
        "9 fits when 2 (ReclaimWithinCohort), borrows",
    );
    check(
        "
        tenant r
        tenant c in=r cpu=3
        tenant q in=c within=lower reclaim=any
        tenant nominal in=r cpu=2
        tenant borrowing in=r
        hold 1 borrowing cpu=1 prio=8
        hold 2 borrowing cpu=1 prio=9
        hold 3 borrowing cpu=1 prio=9
        hold 4 nominal cpu=2 prio=-2
        ask 9 q cpu=1
        ",
        "9 fits when 1 (ReclaimWithinCohort), borrows",
    );
}

#[test]
fn within_its_cohort_a_job_without_quota_goes_by_priority() {
    check(
        "
        tenant r
        tenant c in=r cpu=3
        tenant q in=c within=lower reclaim=any borrow=0
        tenant same in=c
        hold 1 same cpu=1 prio=1
        hold 2 same cpu=2
        hold 3 q cpu=1 prio=-1
        ask 9 q cpu=2 prio=1
        ",
        "9 fits when 2 (ReclaimWhileBorrowing) and 3 (WithinQueue), borrows",
    );
    check(
        "
        tenant r
        tenant c in=r cpu=2
        tenant q in=c within=lower reclaim=any borrow=0
        tenant nominal in=r cpu=2
        tenant same in=c
        hold 1 nominal cpu=2 prio=-10
        hold 2 same cpu=2 prio=-1
        ask 9 q cpu=2
        ",
        "9 fits when 2 (ReclaimWhileBorrowing), borrows",
    );
}

#[test]
fn a_job_within_its_nominal_quota_takes_it_back_from_all() {
    check(
        "
        tenant r
        tenant c in=r cpu=2
        tenant q in=c cpu=4 within=lower reclaim=any
        tenant borrowing in=r
        tenant same in=c
        hold 1 borrowing cpu=3 prio=10
        hold 2 same cpu=3 prio=10
        ask 9 q cpu=4
        ",
        "9 fits when 2 (ReclaimWithinCohort) and 1 (ReclaimWithinCohort)",
    );
}

#[test]
fn who_is_at_a_disadvantage_goes_first_then_others_of_low_priority_or_its_own() {
    let tree = "
        tenant r cpu=1
        tenant c in=r cpu=4
        tenant q in=c within=lower reclaim=lower borrow=0
        tenant borrowing in=r
        tenant same in=c
        hold 1 borrowing cpu=2 prio=-1
        hold 3 borrowing cpu=2 prio=1
    ";
    check_in(
        tree,
        "
        hold 2 same cpu=1 prio=-1
        ask 9 q cpu=3
        ",
        "9 fits when 1 (ReclaimWithinCohort) and 2 (ReclaimWhileBorrowing), borrows",
    );
    check_in(
        tree,
        "
        hold 2 q cpu=1 prio=-1
        ask 9 q cpu=3
        ",
        "9 fits when 1 (ReclaimWithinCohort) and 2 (WithinQueue), borrows",
    );
}

#[test]
fn a_cohort_within_its_quota_is_not_looked_into() {
    check(
        "
        tenant r
        tenant c in=r cpu=2
        tenant other in=r cpu=2
        tenant q in=c within=lower reclaim=any
        tenant same in=c
        tenant inside in=other
        hold 1 inside cpu=1 prio=-10
        hold 2 inside cpu=1 prio=-10
        hold 3 same cpu=2
        ask 9 q cpu=2
        ",
        "
        9: 2 chips of `cpu` for `q` are 2 too many: 4 of the 4 that `r` can share are in use; \
            fits when others give back what they use; \
            of 3 jobs that have such chips 1 may be told to go for it, which is not enough
        ",
    );
}

#[test]
fn with_several_resources_who_is_at_a_disadvantage_goes_before_lower_priorities() {
    check(
        "
        tenant r cpu=3
        tenant c in=r cpu=4 mem=4
        tenant q in=c within=lower reclaim=any
        tenant borrowing in=r
        tenant same in=c
        hold 1 borrowing cpu=3 mem=1
        hold 2 same cpu=1 mem=3 prio=-2
        ask 9 q cpu=2 mem=1 prio=-2
        ask 9 q cpu=4 mem=1 prio=-2
        ",
        "
        9 fits when 1 (ReclaimWithinCohort), borrows
        9: 4 chips of `cpu` for `q` are 1 too many: 4 of the 7 that `r` can share are in use; \
            fits when others give back what they use; \
            of 2 jobs that have such chips 2 may be told to go for it, which is not enough
        ",
    );
}

#[test]
fn who_leaves_already_goes_before_who_is_at_a_disadvantage() {
    check(
        "
        tenant r
        tenant c in=r cpu=2
        tenant q in=c within=lower reclaim=any borrow=0
        tenant borrowing in=r
        tenant same in=c
        hold 1 borrowing cpu=1 prio=-10
        hold 2 same cpu=1 prio=-1 leaving
        ask 9 q cpu=1
        ",
        "9 fits when 2 (ReclaimWhileBorrowing), borrows",
    );
}

#[test]
fn lending_limits_are_respected() {
    check(
        "
        tenant r
        tenant c in=r cpu=2
        tenant q in=c cpu=3-2 within=lower reclaim=any
        tenant borrowing in=r
        hold 1 borrowing cpu=4
        ask 9 q cpu=5 prio=-2
        ",
        "9 fits when 1 (ReclaimWithinCohort), borrows",
    );
}

#[test]
fn of_a_cohort_no_more_is_taken_than_it_borrows() {
    // After one of `q2`'s jobs its cohort is within its quota, so the next is of `q1`.
    check(
        "
        tenant r
        tenant c11 in=r cpu=4
        tenant c12 in=r cpu=4
        tenant c21 in=c11 cpu=4
        tenant c22 in=c11 cpu=4
        tenant c23 in=c11 cpu=4
        tenant c31 in=c21 cpu=4
        tenant c32 in=c21 cpu=4
        tenant q1 in=c12
        tenant q2 in=c23
        tenant q3 in=c22
        tenant q4 in=c32
        tenant q5 in=c31 within=lower reclaim=any
        hold 1 q1 cpu=4 prio=-6
        hold 2 q1 cpu=4 prio=-5
        hold 3 q2 cpu=4 prio=-9
        hold 4 q2 cpu=4 prio=-10
        hold 5 q3 cpu=4 prio=-4
        hold 6 q3 cpu=3 prio=-3
        hold 7 q4 cpu=2 prio=4
        hold 8 q4 cpu=3 prio=2
        ask 9 q5 cpu=7 prio=-2
        ",
        "9 fits when 4 (ReclaimWithinCohort) and 1 (ReclaimWithinCohort), borrows",
    );
}
