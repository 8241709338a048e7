//! Quotas: bugs planted in what a server might write, each of them noticed, and what is no bug.

use crate::scenario::check;

const CITY: &str = "
    tenant city
    tenant lab in=city quota=2+1 reclaim=any
    tenant corp in=city quota=4-3
";

fn city(scenario: &str, expected: &str) {
    check(&format!("{CITY}{scenario}"), expected);
}

#[test]
fn what_is_within_quotas_is_not_accused() {
    city(
        "
        job 1 tenant=lab chips=2
        job 2 tenant=lab
        job 3 tenant=corp chips=1 nodes=2
        offer 1.1 sh/a 0:0,1 flavor=f
        offer 2.1 sh/a 1:0 flavor=f
        offer 3.1 bj/a 0:0 1:0 flavor=f
        ",
        "",
    );
}

#[test]
fn more_than_may_be_borrowed_is_noticed() {
    city(
        "
        job 1 tenant=lab chips=2 nodes=2
        offer 1.1 sh/a 0:0,1 1:0,1 flavor=f
        ",
        "step quota: lab uses 4 chips of f and may 3",
    );
}

#[test]
fn what_its_owner_does_not_lend_is_noticed() {
    check(
        "
        tenant city
        tenant lab in=city quota=0
        tenant corp in=city quota=4-1
        job 1 tenant=lab chips=2
        offer 1.1 sh/a 0:0,1 flavor=f
        ",
        "step quota: city uses 2 chips of f and may 1",
    );
}

#[test]
fn the_last_quota_given_twice_is_noticed() {
    check(
        "
        tenant lab quota=1
        job 1 tenant=lab
        job 2 tenant=lab
        offer 1.1 sh/a 0:0 flavor=f
        offer 2.1 bj/a 0:0 flavor=f
        ",
        "step quota: lab uses 2 chips of f and may 1",
    );
}

#[test]
fn jobs_that_make_room_without_owing_it_are_noticed() {
    let lent = "
        tenant city
        tenant lab in=city quota=2 reclaim=any
        tenant corp in=city quota=2
        job 1 tenant=corp chips=2 limit=99999 preemptible
        job 2 tenant=lab
        offer 1.1 sh/a 0:0,1 time=0..99999 flavor=f
        start 1.1
    ";
    check(
        &format!(
            "{lent}preempt 1.1 for=2 until=10000\noffer 2.1 sh/a 0:0 time=10000..10010 flavor=f"
        ),
        "step preemption: job-1.1 of priority 0 makes room for job-2 of priority 0",
    );
    // Where its tenant borrows, it owes it.
    let borrowed = lent.replace("corp in=city quota=2", "corp in=city quota=1");
    check(
        &format!(
            "{borrowed}preempt 1.1 for=2 until=10000\noffer 2.1 sh/a 0:0 time=10000..10010 flavor=f"
        ),
        "",
    );
}

#[test]
fn more_jobs_than_may_run_and_more_than_a_budget_are_noticed() {
    check(
        "
        tenant lab running=1
        job 1 tenant=lab
        job 2 tenant=lab
        offer 1.1 sh/a 0:0
        offer 2.1 sh/a 0:1
        ",
        "step quota: 2 jobs of lab run, more than may",
    );
    check(
        "
        tenant lab budget=15ms
        job 1 tenant=lab limit=10
        job 2 tenant=lab limit=10
        offer 1.1 sh/a 0:0
        offer 2.1 sh/a 0:1
        ",
        "step quota: lab may spend more than its budget",
    );
}
