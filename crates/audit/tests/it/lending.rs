//! What owners lend: bugs planted in what a server might write, each of them noticed, and what is no bug.

use crate::scenario::check;

/// A center of four chips that lends half, one of its own, and a guest.
const HALF: &str = "
    center sh lends=50 notice=10s
    tenant corp home=sh
    tenant lab
    job 1 tenant=lab chips=2 limit=9999 preemptible
    job 2 tenant=lab
    job 3 tenant=corp
";

fn half(scenario: &str, expected: &str) {
    check(&format!("{HALF}{scenario}"), expected);
}

#[test]
fn guests_up_to_the_share_and_a_centers_own_beyond_are_not_accused() {
    half("offer 1.1 sh/a 0:0,1 time=0..9999\noffer 3.1 sh/a 1:0", "");
}

#[test]
fn more_than_is_lent_is_noticed() {
    half(
        "offer 1.1 sh/a 0:0,1 time=0..9999\noffer 2.1 sh/a 1:0",
        "step lending: guests have 3 chips of sh/a, whose owner lends 50 %",
    );
}

#[test]
fn what_is_taken_back_and_not_there_in_time_is_noticed() {
    let stays = "offer 1.1 sh/a 0:0,1 time=0..9999\nstart 1.1\n";
    half(
        &format!("{stays}recall sh chips=3 by=5000"),
        "step lending: guests have 2 chips of sh/a beyond 1970-01-01T00:00:05.000Z: 1 are left them",
    );
    // It ends by then, or as many are left.
    half(&format!("{stays}recall sh chips=3 by=9999"), "");
    half(&format!("{stays}recall sh chips=2 by=5000"), "");
}

#[test]
fn a_guest_that_comes_to_what_was_taken_back_is_noticed() {
    half("recall sh chips=3 by=0\noffer 3.1 sh/a 1:0\noffer 2.1 sh/a 0:0", "");
    half(
        "recall sh chips=4 by=0\noffer 2.1 sh/a 0:0",
        "step lending: guests have 1 chips of sh/a, whose owner left them 0",
    );
}

#[test]
fn an_owner_that_stops_its_own_or_in_longer_than_its_notice_is_noticed() {
    let own = "
        center sh notice=10s
        tenant corp home=sh
        tenant lab
        job 1 tenant=corp limit=99999 preemptible
        offer 1.1 sh/a 0:0 time=0..99999
        start 1.1
        preempt 1.1 until=10000
    ";
    check(own, "step lending: job-1.1 is at home in sh and told to leave for its owner");
    let late = own.replace("tenant=corp limit", "tenant=lab limit").replace("=10000", "=60000");
    check(&late, "step lending: job-1.1 leaves sh in 1m 0s, its notice is 10s");
}
