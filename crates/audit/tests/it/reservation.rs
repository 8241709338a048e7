//! Chips that are booked: bugs planted in what a server might write, each of them noticed, and what is no
//! bug.

use crate::scenario::check;

/// A reservation of both chips of a node of four, open from 5,000 until 9,000, and a job for it.
const BOOKED: &str = "
    center sh
    tenant lab
    job 1 tenant=lab chips=2 limit=4000 opens=5000 cores=2
    job 2 tenant=lab limit=2000
    job 3 tenant=lab limit=3000
    offer 1.1 sh/a 0:0,1 time=5000..9000 cores=2 gib=2
";

fn booked(scenario: &str, expected: &str) {
    check(&format!("{BOOKED}{scenario}"), expected);
}

#[test]
fn what_runs_in_a_window_and_what_is_gone_before_it_is_not_accused() {
    booked("offer 2.1 sh/a 0:0 time=6000..8000 inside=1\nstart 1.1\nstart 2.1", "");
    booked("offer 3.1 sh/a 0:0 time=1000..4000", "");
    // A job as long as the window may begin a little late.
    booked("offer 2.1 sh/a 0:1 time=8000..10000 inside=1", "");
}

#[test]
fn who_runs_into_a_window_without_naming_it_is_noticed() {
    booked(
        "offer 3.1 sh/a 0:0 time=4000..7000",
        "step+world capacity: sh/a node 0: 2 of 1 chip 0 promised at 1970-01-01T00:00:05.000Z to job-1.1, job-3.1",
    );
}

#[test]
fn who_names_a_window_and_is_on_other_chips_or_out_of_its_time_is_noticed() {
    booked(
        "offer 2.1 sh/a 1:0 time=6000..8000 inside=1",
        "step+world capacity: sh/a node 1: job-2.1 is where job-1 holds nothing",
    );
    booked(
        "offer 2.1 sh/a 0:0 time=4000..6000 inside=1",
        "step+world capacity: job-2.1 has its nodes from 1970-01-01T00:00:04.000Z until \
         1970-01-01T00:00:06.000Z, and job-1 from 1970-01-01T00:00:05.000Z until \
         1970-01-01T00:00:09.000Z",
    );
}

#[test]
fn more_in_a_window_than_it_holds_is_noticed() {
    booked(
        "offer 2.1 sh/a 0:0 time=6000..8000 inside=1\noffer 3.1 sh/a 0:0 time=5000..8000 inside=1",
        "step+world capacity: sh/a node 0, in job-1: 2 of 1 chip 0 promised at \
         1970-01-01T00:00:06.000Z to job-2.1, job-3.1",
    );
    booked(
        "offer 2.1 sh/a 0:0 time=6000..8000 inside=1\n\
         offer 3.1 sh/a 0:1 time=5000..8000 inside=1 cores=2",
        "step+world capacity: sh/a node 0, in job-1: 3 of 2 cores promised at 1970-01-01T00:00:06.000Z to \
         job-2.1, job-3.1",
    );
}

#[test]
fn quotas_and_shares_that_will_not_do_when_a_window_opens_are_noticed() {
    let quota = "
        center sh
        tenant lab quota=2
        job 1 tenant=lab chips=2 limit=4000 opens=5000
        job 2 tenant=lab limit=9000
        job 3 tenant=lab limit=2000
        offer 1.1 sh/a 0:0,1 time=5000..9000 flavor=f
        offer 3.1 sh/a 1:0 time=0..2000 flavor=f
    ";
    check(quota, "");
    check(
        &format!("{quota}offer 2.1 sh/a 1:1 time=0..9000 flavor=f"),
        "step quota: lab uses 3 chips of f and may 2 when it is 1970-01-01T00:00:05.000Z",
    );
    let lent = "
        center sh lends=50
        tenant lab
        job 1 tenant=lab chips=2 limit=4000 opens=5000
        job 2 tenant=lab limit=9000
        offer 1.1 sh/a 0:0,1 time=5000..9000
        offer 2.1 sh/a 1:0 time=0..9000
    ";
    check(lent, "step lending: guests have 3 chips of sh/a, whose owner lends 50 %");
}
