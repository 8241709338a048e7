//! A recorded load of a real cluster, in minutes, through a real server with real processes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};
use whole_system::load::{Fit, bound, gang, read, replay};
use whole_system::{Plan, report};

const LOAD: &str = include_str!("../../../catalog/loads/philly-2017-10-23.csv");

/// What the whole replay may take, the start of the network included.
const ALLOWED: Duration = Duration::from_secs(180);
const CHIPS: u64 = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_jobs_of_philly_run_on_three_centers_within_three_minutes() {
    let begun = Instant::now();
    let fit = Fit { faster: 3_600.0, longest: Duration::from_secs(60), most_chips: 16 };
    let (load, smaller) = read(LOAD, fit);
    assert_eq!(load.len(), 500);
    let net = Plan::laptop().start().await;
    let tenants = ["lab", "startup", "university"];
    // Users are not known; the limit is the same for all, so the planner knows no run time.
    let job = |number: usize, arrival: &_| {
        (tenants[number % 3], gang(&format!("philly-{number}"), arrival, "70s"))
    };
    let bound = bound(&load, CHIPS, 16, 4);
    let outcome = replay(&net, &load, job, CHIPS, bound).await;

    let mut text = "## Philly, 500 jobs from 2017-10-23, 3,600 times as fast\n\n".to_owned();
    let _ = writeln!(text, "| | |\n|---|---|\n{outcome}");
    let large = load.iter().filter(|arrival| arrival.chips == 16).count();
    let _ = writeln!(
        text,
        "{large} gangs of 16 chips on two nodes; {smaller} gangs of more than 16 were made that \
         small; every job had the limit of 70 s and no expected run time. Took {:.0} s in all.",
        begun.elapsed().as_secs_f64()
    );
    report("philly", &text);
    assert_eq!(outcome.others, Vec::<String>::new());
    assert!(begun.elapsed() < ALLOWED, "took {:?}", begun.elapsed());
}
