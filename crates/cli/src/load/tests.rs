//! Loads on small networks, their jobs as they are submitted, and reports for people.

use super::follow::{News, What};
use super::job::{Job, Pace};
use super::network::Ground;
use super::replay::Replayed;
use super::report::{Report, text};
use super::{By, job};
use crate::failure::report_text;
use crate::look::Look;
use model::job::Duration;
use model::{CenterId, JobEnd, JobId, Moment, PoolId, Span, TenantId};
use serde_json::{Value, json};
use simulator::scenario::{Scenario, Told};
use std::fs;

fn pool(name: &str, chip: &str, nodes: u32, chips: u16) -> Value {
    json!({"pool": name, "chip": chip, "nodes": nodes, "chips_per_node": chips,
        "cores_milli": 64_000, "memory_bytes": 1_u64 << 40, "chips_milli": 0,
        "chips_held_milli": 0, "cores_held_milli": 0,
        "price_per_hour": {"micros": 1, "currency": "CNY"}})
}

fn center(name: &str, engine: &str, is_there: bool, pools: &[Value]) -> Value {
    let agent = json!({"version": "1", "engine": engine, "engine_version": "1",
        "enforcement": "simulated", "data_url": null});
    json!({"center": name, "owner": "o", "region": "cn/test", "latitude_micro": 0,
        "longitude_micro": 0, "time_zone": "UTC", "engine": engine,
        "agent": if is_there { agent } else { Value::Null }, "silent_since_ms": null,
        "pools": pools, "attempts": 0, "store_bytes": null, "pue_thousandths": 1_000,
        "lend_percent": 100, "only_tenants": []})
}

fn chip(name: &str, class: &str, unit: u32) -> Value {
    json!({"chip": name, "vendor": "v", "model": "m", "class": class, "stack": "s",
        "memory_bytes": null, "memory_bytes_per_second": null, "peak_milli_tflops": {},
        "power_watts": null, "allocation_unit": unit, "source": "s", "confidence": "A",
        "notes": null})
}

fn ground(centers: &[Value]) -> Result<Ground, crate::failure::Failure> {
    let chips = json!({"chips": [chip("t4", "cuda", 1), chip("dual", "cann", 2)]});
    Ground::of(
        serde_json::from_value(json!({"centers": centers})).expect("centers"),
        serde_json::from_value(chips).expect("chips"),
        serde_json::from_value(json!({"tenants": [{"tenant": "lab", "parent": null, "weight": 1,
            "home": null, "industry": null, "classes": []}]}))
        .expect("tenants"),
    )
}

/// Two pools: one of eight chips on two nodes, one of four dual chips on one.
fn two_pools() -> Ground {
    let pools = [pool("a", "t4", 2, 4), pool("b", "dual", 1, 4)];
    ground(&[center("east", "timer", true, &pools)]).expect("it runs timers")
}

/// The jobs of a table with the usual columns.
fn jobs(table: &str, ground: &Ground, pace: &str) -> Vec<Job> {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let path = dir.path().join("jobs.csv");
    fs::write(&path, table).expect("a file can be written");
    let scenario = Scenario::on(ground.declared.clone(), &path, &Told::default());
    let scenario = scenario.expect("a list will do");
    let case = scenario.case(None, 1).expect("its jobs can be read");
    let pace: Pace = pace.parse().expect("a pace");
    job::all(case.arrivals(), pace, None)
}

#[test]
fn a_job_is_submitted_as_it_is_asked_for_and_only_the_timer_is_told_how_long_it_runs() {
    let table = "submit,chips,work,limit,tenant,workload,priority,preemptible,end\n\
                 0,4,2.5,10,lab,train,7,1,ok\n1,0.5,1,9,lab,serve,0,0,failed\n2,16,1,9,lab,big,0,0,ok\n";
    let ground = two_pools();
    for job in jobs(table, &ground, "1") {
        let spec = job.file(&[]).spec(job.spec.tenant.clone(), Moment(0));
        let mut spec = spec.expect("it is well said");
        for variant in spec.parts.iter_mut().flat_map(|part| &mut part.variants) {
            assert!(variant.env.contains_key("TIMER_MS"), "{variant:?}");
            variant.env.clear();
            variant.command = vec!["run".to_owned()];
        }
        let mut asked = (*job.spec).clone();
        asked.together = spec.together.clone();
        if asked.parts[0].variants.is_empty() {
            // Nothing of the network would do; it is not submitted.
            assert!(ground.ways(&job).next().is_none());
            continue;
        }
        assert_eq!(spec, asked);
    }
    let [train, serve, _] = &*jobs(table, &ground, "1") else { panic!("three jobs") };
    insta::assert_json_snapshot!("job", train.file(&[CenterId::new("east").unwrap()]));
    let serve = serve.file(&[]);
    assert_eq!(serve.env["TIMER_EXIT"], "1");
}

#[test]
fn a_pace_changes_arrivals_run_times_and_limits_and_max_only_arrivals() {
    let table = "submit,chips,work,limit,tenant\n0,1,1,5,lab\n10,1,6,60,lab\n";
    let ground = two_pools();
    let of = |pace: &str| {
        let all = jobs(table, &ground, pace);
        let job = all.last().unwrap();
        let Duration::Limited { limit, .. } = job.spec.duration else { panic!("it has a limit") };
        (job.at.0, job.longest().0, limit.0)
    };
    assert_eq!(of("1"), (10_000, 6_000, 60_000));
    assert_eq!(of("100"), (100, 60, 600));
    assert_eq!(of("0.5"), (20_000, 12_000, 120_000));
    assert_eq!(of("max"), (0, 6_000, 60_000));
    for wrong in ["0", "-1", "fast", ""] {
        assert!(wrong.parse::<Pace>().is_err(), "{wrong}");
    }
}

#[test]
fn jobs_that_fit_no_pool_are_left_out_and_a_load_of_nothing_else_is_refused() {
    let ground = two_pools();
    // Three chips fit the first pool alone, for the other gives them out by two.
    let table = "submit,chips,work\n0,3,1\n0,12,1\n0,0.5,1\n";
    let (fit, unfit) = ground.sort_out(jobs(table, &ground, "1")).expect("some fit");
    assert_eq!((fit.len(), unfit), (2, 1));
    let rooms = |job: &Job| -> Vec<_> { ground.ways(job).map(|way| way.room).collect() };
    assert_eq!(rooms(&fit[0]), [Some(0)]);
    assert_eq!(rooms(&fit[1]), [Some(0)]);
    let refused = ground.sort_out(jobs("submit,chips,work\n0,12,1\n", &ground, "1"));
    let (_, said) = report_text(&refused.expect_err("none fits").into());
    assert!(said.contains("none of the load's 1 jobs fits a pool"), "{said}");
}

#[test]
fn a_network_without_timers_is_told_what_to_do() {
    let pools = [pool("a", "t4", 2, 4)];
    let said = |centers: &[Value]| report_text(&ground(centers).expect_err("no timers").into()).1;
    let processes = said(&[center("east", "process", true, &pools)]);
    assert!(processes.contains("no center of this network runs timers"), "{processes}");
    assert!(processes.contains("portolan apply catalog/networks/timers.toml"), "{processes}");
    let silent = said(&[center("east", "timer", false, &pools)]);
    assert!(silent.contains("none of the 1 timer centers has an agent"), "{silent}");
    assert!(silent.contains("portolan agent --engine timer"), "{silent}");
}

#[test]
fn jobs_are_kept_to_timer_centers_where_there_are_others() {
    let pools = [pool("a", "t4", 2, 4)];
    let mixed = [
        center("east", "timer", true, &pools),
        center("north", "timer", false, &pools),
        center("west", "process", true, &pools),
    ];
    let ground = ground(&mixed).expect("one runs timers");
    assert_eq!(ground.only, [CenterId::new("east").unwrap()]);
    assert_eq!(ground.pools().count(), 1);
    assert!(ground.silence().is_some_and(|said| said.contains("north")));
}

/// What became of `jobs`, numbered from 1: each accepted at its time and ended as it is told here.
fn replayed(jobs: &[Job], told: &[(u64, u64, JobEnd)]) -> Replayed {
    let mut replayed = Replayed::new(jobs.len());
    for (number, (job, (waits, runs, end))) in jobs.iter().zip(told).enumerate() {
        let id = JobId::new(number as u64 + 1);
        replayed.ids[number] = Some(id);
        let place = (CenterId::new("east").unwrap(), PoolId::new("a").unwrap());
        let submitted = 1_000_000 + job.at.0;
        let started = submitted + waits;
        let news = [
            (submitted, What::Submitted),
            (started, What::Offered(place, job.chips())),
            (started + 2, What::Started),
            (started + runs + 4, What::Over(Span(*runs))),
            (started + runs + 4, What::Ended(end.clone())),
        ];
        for (at, what) in news {
            replayed.ledger.hear(News { job: id, at: Moment(at), what });
        }
    }
    replayed
}

#[test]
fn a_report_has_the_floor_beside_what_really_happened() {
    let ground = two_pools();
    let table = "submit,chips,work,workload,models\n0,8,4,big,t4\n0,8,4,big,t4\n1,1,2,small,t4\n";
    let jobs = jobs(table, &ground, "1");
    let done = [
        (0, 4_000, JobEnd::Completed),
        (4_010, 4_000, JobEnd::Completed),
        (7_100, 2_000, JobEnd::Completed),
    ];
    let report = Report::of(&jobs, 2, &ground, &replayed(&jobs, &done), None);
    let json = serde_json::to_value(&report).unwrap();
    // Two gangs of eight for four seconds and one chip for two, on eight chips.
    assert_eq!(json["floor"]["ms"], 8_250);
    assert_eq!(json["floor"]["bound"], "chips");
    assert_eq!(json["makespan_ms"], 10_104);
    assert_eq!((report.lost, report.astray, report.refused, report.unfit), (0, 0, 0, 2));
    let shown = text(&report, &Look { now: Moment(0), width: Some(80), color: false });
    let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= 80, "{widest} columns:\n{shown}");
    insta::assert_snapshot!("report", shown);
}

#[test]
fn jobs_that_end_otherwise_than_the_load_says_are_told_and_bound_nothing() {
    let ground = two_pools();
    let table = "submit,chips,work,limit,end\n0,1,4,9,ok\n0,1,4,9,failed\n0,1,9,3,ok\n0,1,4,9,ok\n";
    let jobs = jobs(table, &ground, "1");
    let done = [
        (0, 4_000, JobEnd::Completed),
        (0, 4_000, JobEnd::Failed(model::attempt::Outcome::Exited { code: 1 })),
        (0, 3_000, JobEnd::TimedOut),
        (0, 10, JobEnd::Canceled),
    ];
    let report = Report::of(&jobs, 0, &ground, &replayed(&jobs, &done), Some(By::Tenant));
    assert_eq!(report.astray, 1);
    let mut lost = replayed(&jobs, &done[..3]);
    lost.ids[3] = Some(JobId::new(4));
    assert_eq!(Report::of(&jobs, 0, &ground, &lost, None).lost, 1);
}

#[test]
fn tenants_are_listed_by_name_while_they_are_few() {
    let names: Vec<TenantId> = (0..7).map(|n| TenantId::new(&format!("t{n}")).unwrap()).collect();
    let names: Vec<&TenantId> = names.iter().collect();
    assert_eq!(super::listed(&names[..1]), "tenant t0");
    assert_eq!(super::listed(&names), "tenants t0, t1, t2, t3, t4 and 2 more");
}

#[test]
fn the_load_that_the_documentation_shows_is_as_large_as_it_says() {
    let page = include_str!("../../../../docs/load.md");
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let dir = tempfile::tempdir().expect("a folder can be made");
    let path = dir.path().join("shown.toml");
    fs::write(&path, shown.expect("the page shows a load")).expect("a file can be written");
    let ground = two_pools();
    let scenario = Scenario::on(ground.declared, &path, &Told::default()).expect("a load");
    let jobs: Vec<_> = scenario.case(None, 1).expect("its jobs").arrivals().collect();
    assert_eq!(jobs.len(), 15_000);
    let tenants: std::collections::BTreeSet<_> = jobs.iter().map(|job| &job.spec.tenant).collect();
    assert_eq!(tenants.len(), 30);
}
