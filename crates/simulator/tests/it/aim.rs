//! What plans are for decides who comes first.

use super::scenario::catalog;
use model::TenantId;
use simulator::scenario::{Contender, Scenario, Told};
use std::fmt::Write;

/// One node of eight chips, taken for ten minutes while others come: says in which order these ran.
#[track_caller]
fn check(aim: &str, expected: &[&str]) {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let mut text = format!(
        "about = \"who is first\"\n[network.made]\ncenters = 1\nchips = 8\naccess = \"10 Gbit/s\"\n\
         backbone = \"10 Gbit/s\"\n[[network.made.pools]]\nchip = \"nvidia-t4\"\nshare = 1.0\n\
         price_per_chip_hour = \"1 CNY\"\n[policy]\naim = \"{aim}\"\nsolve_every = \"30s\"\n\
         [load.sets]\ntenants = [\"t\"]\n"
    );
    let jobs = [
        ("first", 0, 8, 600),
        ("large", 10, 8, 1_200),
        ("middle", 20, 8, 300),
        ("small", 30, 8, 60),
    ];
    for (name, from, chips, run) in jobs {
        let _ = write!(
            text,
            "[[load.sets.jobs]]\nworkload = \"{name}\"\ncount = 1\nfrom = \"{from}s\"\n\
             chips = \"{chips}\"\nrun = \"{run}s\"\nlimit = \"{}s\"\n",
            run * 2
        );
    }
    let path = dir.path().join("s.toml");
    std::fs::write(&path, text).expect("a file can be written");
    let scenario = Scenario::open(&path, &Told::default(), &catalog()).expect("it is right");
    let case = scenario.case(None, 1).expect("its load can be read");
    let played = case
        .play(Contender::Portolan { aim: None, without: None }, &mut || ())
        .expect("it can be played");
    assert!(played.violations.is_empty(), "{:?}", played.violations);
    let mut ran: Vec<_> = played.finished.iter().collect();
    ran.sort_by_key(|job| job.started);
    let name = |arrival: u64| jobs[usize::try_from(arrival).expect("there are four")].0;
    let names: Vec<&str> = ran.iter().map(|job| name(job.arrival)).collect();
    assert_eq!(names, expected, "{aim}");
    assert!(ran.iter().all(|job| job.tenant == TenantId::new("t").expect("a slug")));
}

#[test]
fn who_came_first_is_first_among_equals() {
    check("fair", &["first", "large", "middle", "small"]);
}

#[test]
fn who_needs_least_is_first_where_the_mean_counts() {
    check("mean-completion", &["first", "small", "middle", "large"]);
}

#[test]
fn who_needs_most_is_first_where_the_end_counts() {
    check("makespan", &["first", "large", "middle", "small"]);
}
