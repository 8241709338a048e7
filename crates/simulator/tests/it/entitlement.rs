//! Who has less than it is entitled to gets it at the next round boundary.

use super::scenario::catalog;
use model::Span;
use simulator::measure::Finished;
use simulator::scenario::{Contender, Scenario, Told};

/// Eight chips that one tenant's jobs hold, and as many of them wait; after half an hour four jobs of
/// another come, beside which the first weighs `weight`. What was played with this `policy`.
fn played(policy: &str, weight: u32, preemptible: bool) -> Vec<Finished> {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let write = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).expect("a file can be written");
    };
    write(
        "network.toml",
        &format!(
            "[[center]]\ncenter = \"c\"\nowner = \"o\"\nregion = \"cn\"\nlatitude = 30\n\
             longitude = 120\ntime_zone = \"Asia/Shanghai\"\nengine = \"timer\"\n\
             [[center.pool]]\npool = \"p\"\nchip = \"nvidia-t4\"\nnodes = 8\nchips_per_node = 1\n\
             cores = 8\nmemory = \"64 GiB\"\nprice_per_chip_hour = \"1 CNY\"\n\
             [[tenant]]\ntenant = \"many\"\nweight = {weight}\n[[tenant]]\ntenant = \"few\"\n"
        ),
    );
    let many = format!("0,1,7200,many,8000,{}\n", u8::from(preemptible)).repeat(16);
    let few = "1800,1,3600,few,4000,0\n".repeat(4);
    write("jobs.csv", &format!("at,chips,run,whose,limit,stoppable\n{many}{few}"));
    write(
        "s.toml",
        &format!(
            "about = \"entitled\"\n[network]\nfiles = [\"network.toml\"]\n[load.csv]\n\
             file = \"jobs.csv\"\ncolumns = {{ submit = \"at\", chips = \"chips\", work = \"run\", \
             tenant = \"whose\", limit = \"limit\", preemptible = \"stoppable\" }}\n\
             [policy]\nsolve_every = \"30s\"\n{policy}"
        ),
    );
    let path = dir.path().join("s.toml");
    let scenario = Scenario::open(&path, &Told::default(), &catalog()).expect("it is right");
    let case = scenario.case(None, 1).expect("its load can be read");
    let contender = Contender::Portolan { aim: None, without: None };
    let played = case.play(contender, &mut || ()).expect("it can be played");
    assert!(played.violations.is_empty(), "{:?}", played.violations);
    assert_eq!(played.finished.len(), 20);
    played.finished
}

/// How long each of the few waited, the shortest first.
fn waited(finished: &[Finished]) -> Vec<Span> {
    let few = finished.iter().filter(|job| job.tenant.as_str() == "few");
    let wait = |job: &Finished| job.first_started.expect("it ran").0 - job.submitted.0;
    let mut waits: Vec<Span> = few.map(wait).map(Span).collect();
    waits.sort_unstable();
    waits
}

const ROUND: &str = "round = \"6m\"\n";

#[test]
fn who_is_entitled_to_half_has_half_at_the_next_boundary() {
    let waits = waited(&played(ROUND, 1, true));
    assert!(waits.iter().all(|wait| *wait < Span::from_secs(15 * 60)), "{waits:?}");
}

#[test]
fn who_weighs_less_is_entitled_to_less() {
    // A quarter of eight chips is two.
    let waits = waited(&played(ROUND, 3, true));
    let soon = waits.iter().filter(|wait| **wait < Span::from_secs(15 * 60)).count();
    assert_eq!(soon, 2, "{waits:?}");
}

#[test]
fn without_rounds_everybody_waits_for_who_came_first() {
    let waits = waited(&played("", 1, true));
    assert!(waits.iter().all(|wait| *wait > Span::from_secs(80 * 60)), "{waits:?}");
}

#[test]
fn who_may_not_be_stopped_is_left_alone() {
    let waits = waited(&played(ROUND, 1, false));
    assert!(waits.iter().all(|wait| *wait > Span::from_secs(80 * 60)), "{waits:?}");
}
