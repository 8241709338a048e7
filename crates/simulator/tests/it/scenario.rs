//! Shipped scenarios, and what is said of wrong ones.

use model::file::Catalog;
use model::{Chips, Span};
use simulator::Error;
use simulator::baseline::{Baseline, Policy};
use simulator::measure::Fate;
use simulator::report::{Comparison, Curves, page};
use simulator::scenario::{Contender, Scenario, Told};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

pub(crate) fn catalog() -> Catalog {
    let mut files = Vec::new();
    let chips = std::fs::read_dir(root().join("catalog/chips"));
    for entry in chips.expect("the catalog has chips") {
        let path = entry.expect("a folder can be read").path();
        let text = std::fs::read_to_string(&path).expect("a chip can be read");
        files.push((path.display().to_string(), text));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (&**name, &**text)).collect();
    Catalog::read(&files).expect("the catalog is well formed")
}

fn open(name: &str) -> Scenario {
    let path = root().join("scenarios").join(name);
    Scenario::open(&path, &Told::default(), &catalog()).expect("a shipped scenario can be opened")
}

/// What is said of a scenario of this text, with `{}` for where it is.
#[track_caller]
fn says(text: &str, expected: &str) {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let path = dir.path().join("s.toml");
    std::fs::write(&path, text).expect("a file can be written");
    let wrong = Scenario::open(&path, &Told::default(), &catalog())
        .and_then(|scenario| scenario.case(None, 1).map(|case| case.jobs()));
    let said = wrong.expect_err("the scenario is wrong").to_string();
    let dir = dir.path().display().to_string();
    assert_eq!(said.replace(&format!("{dir}/"), ""), expected);
}

const NETWORK: &str = "about = \"a trial\"\n[network.made]\ncenters = 2\nchips = 64\n\
    access = \"10 Gbit/s\"\nbackbone = \"10 Gbit/s\"\n[[network.made.pools]]\nchip = \"nvidia-t4\"\n\
    share = 1.0\nprice_per_chip_hour = \"1 CNY\"\n";

#[test]
fn a_wrong_scenario_is_told_with_its_line() {
    says(
        &format!("{NETWORK}[load.phily]\nfile = \"x.csv\"\n"),
        "s.toml:11:7: unknown field `phily`, expected one of `delta`, `csv`, `philly`, `openb`, \
         `gavel`, `swf`, `made`, `sets`, `speeds`, `offers`, `from`, `until`, `first`, \
         `arrivals_divided_by`, `durations_divided_by`, `longest`, `limit_factor`, `checkpoints`, \
         `objective`, `due`",
    );
    says(
        &NETWORK.replace("10 Gbit/s", "fast"),
        "s.toml:5:10: `fast` is not a rate of data with its unit, such as `10 Gbit/s`",
    );
    says(
        &format!("{NETWORK}[load.swf]\nfile = \"x\"\n[policy]\ncompare = [\"random\"]\n"),
        "s.toml:14:11: there is no policy `random`; known are each-alone, every-center-alone, \
         one-queue, race-to-all, race-by-threes, cheapest-first, best-fit, fgd, locality-only, \
         data-first, portolan, those of others with /priority or /fair-share behind them, and \
         portolan/fair, portolan/mean-completion, portolan/makespan, portolan/deadline-first, each \
         also with one of /without-prices, /without-lessons, /without-joint-data, \
         /without-preemption, /without-entitlements",
    );
    says(&format!("{NETWORK}[load.swf]\nfile = \"none.swf\"\n"), "cannot read none.swf");
    says(
        &format!("{NETWORK}[load]\nfirst = 3\n"),
        "s.toml:11:1: a load comes from one place; give one of `[load.delta]`, `[load.csv]`, \
         `[load.philly]`, `[load.openb]`, `[load.gavel]`, `[load.swf]`, `[load.made]` and `[load.sets]`",
    );
    says(
        &format!(
            "{NETWORK}[load]\nfirst = 3\n[load.made]\njobs = 9\nover = \"1h\"\ntenants = 1\n\
             workloads = 1\nclusters = \"c.csv\"\nlike = {{ A = 1.0 }}\n"
        ),
        "s.toml:11:1: `first` means nothing to a load that is made up; leave it out; \
         `[load.made]` has keys of its own",
    );
    says(
        &format!(
            "{NETWORK}[load.swf]\nfile = \"x\"\n[[faults.event]]\nafter = \"1h\"\nwhat = \"cut\"\n\
             center = \"nowhere\"\nlasts = \"1m\"\n"
        ),
        "s.toml:13:1: there is no center `nowhere`; give `center` the name of one of the \
         network's centers",
    );
}

#[test]
fn numbers_that_cannot_be_meant_are_refused() {
    let refused = |key: &str, value: &str, expected: &str| {
        let mut made =
            String::from("[load.made]\nover = \"1h\"\ntenants = 1\nclusters = \"c.csv\"\n");
        for (name, usual) in
            [("jobs", "9"), ("workloads", "2"), ("like", "{ A = 1.0 }"), ("swing", "0")]
        {
            let value = if name == key { value } else { usual };
            made.push_str(&format!("{name} = {value}\n"));
        }
        let help = "the keys and what they mean are in the documentation of scenarios";
        let said = format!("s.toml:11:2: `{key}` must be {expected}; {help}");
        says(&format!("{NETWORK}{made}"), &said);
    };
    refused("jobs", "0", "a number above zero");
    refused("workloads", "0", "a number above zero");
    refused("like", "{}", "clusters, each with a number above zero");
    refused("swing", "nan", "a number from 0 to 1");
    let refused = |due: &str, expected: &str| {
        let help = "the keys and what they mean are in the documentation of scenarios";
        let text = format!("{NETWORK}[load]\nswf = {{ file = \"x\" }}\ndue = {due}\n");
        says(&text, &format!("s.toml:11:1: {expected}; {help}"));
    };
    refused("{ share = 75, from = 1, to = 3 }", "`due.share` must be a number from 0 to 1");
    let expected = "`due.to` must be a number that is not below `from`";
    refused("{ share = 0.5, from = 3, to = 1 }", expected);
}

#[test]
fn every_shipped_scenario_can_be_opened_and_has_jobs_where_its_files_are_shipped() {
    let shipped = [
        "csv",
        "deadlines",
        "delta",
        "laptop-faults",
        "laptop-small",
        "philly",
        "short-jobs",
        "swf",
    ];
    for name in shipped {
        let scenario = open(&format!("{name}.toml"));
        let case = scenario.case(None, scenario.seeds[0]).unwrap();
        assert_eq!(case.arrivals().count() as u64, case.jobs(), "{name}");
        assert!(case.jobs() > 0, "{name}");
    }
    for name in ["gavel", "openb"] {
        let scenario = open(&format!("{name}.toml"));
        let missing = scenario.case(None, 1).unwrap_err();
        assert!(matches!(missing, Error::Unreadable { .. }), "{name}: {missing}");
    }
}

#[test]
fn the_national_day_is_as_large_as_it_says() {
    let scenario = open("national-day.toml");
    assert_eq!(scenario.network.centers.len(), 40);
    assert_eq!(scenario.chips(), Chips::whole(150_000));
    let case = scenario.case(None, 1).unwrap();
    let (mut jobs, mut work, mut reading) = (0_u64, 0.0, 0_u64);
    let mut last = Span::ZERO;
    for arrival in case.arrivals() {
        let variant = &arrival.spec.parts[0].variants[0];
        let chips = variant.chips_per_node.times(variant.nodes.into());
        jobs += 1;
        work += chips.over(arrival.actual.work).0 as f64 / 1e3;
        reading += u64::from(!arrival.spec.inputs.is_empty());
        assert!(arrival.after >= last, "arrivals are sorted");
        assert!(arrival.spec.duration.limit() >= Some(arrival.actual.work), "limits are kept");
        last = arrival.after;
    }
    assert_eq!(jobs, 1_030_000);
    assert!((work / 9.7e9 - 1.0).abs() < 0.005, "{work} chip-seconds");
    assert!((reading as f64 / jobs as f64 - 0.3).abs() < 0.01, "{reading} jobs read data");
    assert!(last <= Span::from_secs(86_400));
}

#[test]
fn the_same_seed_gives_the_same_figures_and_another_does_not() {
    let scenario = open("laptop-small.toml");
    let play = |seed, contender| {
        let case = scenario.case(None, seed).unwrap();
        case.play(contender, &mut || ()).unwrap().finished
    };
    for contender in Contender::all() {
        assert_eq!(play(1, contender), play(1, contender), "{}", contender.name());
    }
    let race = Contender::Baseline(Policy::RaceToAll.into());
    assert_ne!(play(1, race), play(2, race));
}

#[test]
fn policies_with_knobs_of_their_own_are_named_by_them() {
    for name in
        ["race-by-threes", "race-by-2-every-10m/fair-share", "one-queue/priority", "portolan/fair"]
    {
        assert_eq!(Contender::named(name).map(Contender::name).as_deref(), Some(name));
    }
    let wrong =
        ["race-by-3-every-5m", "race-by-0-every-5m", "race-by-2-every-0m", "race-by-2-every-10s"];
    for name in wrong.into_iter().chain(["one-queue/first-come", "each-alone/priority"]) {
        assert_eq!(Contender::named(name), None, "{name}");
    }
    let scenario = open("delta.toml");
    let case = scenario.case(Some(1.1), 1).unwrap();
    let finished = |name| case.play(Contender::named(name).unwrap(), &mut || ()).unwrap().finished;
    assert_ne!(finished("race-by-1-every-60m"), finished("race-to-all"));
    // All centers at the first step are all at once.
    let ends = |name| finished(name).into_iter().map(|f| (f.arrival, f.ended)).collect::<Vec<_>>();
    assert_eq!(ends("race-by-99-every-5m"), ends("race-to-all"));
}

#[test]
fn whoever_plays_every_job_is_over_once_and_no_pool_is_overfull() {
    let scenario = open("delta.toml");
    let case = scenario.case(Some(1.1), 2).unwrap();
    let all = Baseline::all().filter(|baseline| baseline.policy != Policy::EachAlone);
    for policy in all {
        let played = case.play(Contender::Baseline(policy), &mut || ()).unwrap();
        let mut numbers: Vec<u64> = played.finished.iter().map(|f| f.arrival).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..case.jobs()), "{}", policy.name());
        for center in &scenario.network.centers {
            let chips: u64 = center.pools.iter().map(|pool| pool.chips().0).sum();
            let here = played.finished.iter().filter(|f| f.center.as_ref() == Some(&center.center));
            let mut changes: Vec<(u64, i64)> = here
                .flat_map(|f| {
                    let chips = i64::try_from(f.chips.0).unwrap();
                    [(f.started.unwrap().0, chips), (f.ended.0, -chips)]
                })
                .collect();
            changes.sort_unstable();
            let mut busy = 0_i64;
            for (_, change) in changes {
                busy += change;
                assert!(busy <= i64::try_from(chips).unwrap(), "{}", center.center);
            }
        }
    }
}

#[test]
fn no_policy_is_below_the_bounds() {
    let scenario = open("delta.toml");
    let case = scenario.case(Some(1.1), 1).unwrap();
    let bounds = case.bounds().unwrap().expect("somebody can run");
    let all = Baseline::all().filter(|baseline| {
        ![Policy::EveryCenterAlone, Policy::EachAlone].contains(&baseline.policy)
    });
    for contender in all.map(Contender::Baseline) {
        let summary = case.play(contender, &mut || ()).unwrap().summary;
        let name = contender.name();
        assert!(summary.mean_completion_h >= bounds.mean_completion_h.value, "{name}");
        assert!(summary.makespan_h >= bounds.makespan_h.value - 1e-6, "{name}");
        assert!(summary.wan_tb >= bounds.wan_tb.value - 1e-9, "{name}");
    }
}

/// Where links are thin, what ends last is what waits for data. Nobody ends before that, and who knows
/// what will be wanted could not either.
#[test]
fn thin_links_bound_the_end() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let network = dir.path().join("thin.toml");
    let wide = std::fs::read_to_string(root().join("catalog/networks/laptop.toml")).unwrap();
    let thin = wide.replace("10 Gbit/s", "500 kbit/s").replace("5 Gbit/s", "500 kbit/s");
    std::fs::write(&network, thin.replace("1 Gbit/s", "500 kbit/s")).unwrap();
    let told = Told { network: vec![network], ..Told::default() };
    let path = root().join("scenarios/laptop-small.toml");
    let scenario = Scenario::open(&path, &told, &catalog()).unwrap();
    let mut waits_for_data = 0;
    for seed in 1..=4 {
        let case = scenario.case(None, seed).unwrap();
        let bounds = case.bounds().unwrap().expect("somebody can run");
        waits_for_data += usize::from(bounds.makespan_h.by.contains("data that has to come"));
        let all = Contender::all().filter(|contender| !contender.name().contains("alone"));
        for contender in all {
            let summary = case.play(contender, &mut || ()).unwrap().summary;
            let (end, least) = (summary.makespan_h, bounds.makespan_h.value);
            assert!(end >= least - 1e-6, "{} at {end} h, bound {least} h", contender.name());
        }
    }
    assert!(waits_for_data > 0, "links this thin bound the end of some seed");
}

#[test]
fn nobody_does_better_than_each_alone() {
    let scenario = open("delta.toml");
    let case = scenario.case(Some(1.1), 3).unwrap();
    let play = |baseline| case.play(Contender::Baseline(baseline), &mut || ()).unwrap().summary;
    let bound = play(Policy::EachAlone.into());
    let all = Baseline::all().filter(|baseline| baseline.policy != Policy::EveryCenterAlone);
    for baseline in all {
        let summary = play(baseline);
        assert_eq!(summary.refused, bound.refused);
        assert!(summary.mean_completion_h >= bound.mean_completion_h);
        assert!(summary.p99_completion_h >= bound.p99_completion_h);
        assert!(summary.mean_bounded_slowdown >= bound.mean_bounded_slowdown);
        assert!(summary.chip_hours >= bound.chip_hours);
        assert!(summary.yuan >= bound.yuan);
    }
}

#[test]
fn twice_the_load_comes_in_half_the_time() {
    let scenario = open("delta.toml");
    let at = |load| scenario.case(Some(load), 1).unwrap().arrivals().last().unwrap().after.0;
    assert!(at(0.9).abs_diff(at(1.8) * 2) <= 2);
    assert!(scenario.case(Some(0.0), 1).is_err());
}

/// Prices are right in the mean, where many come for many chips. Where few do, jobs are not to wait for
/// better places beside chips that nobody else wants.
#[test]
fn the_mean_is_better_than_under_fair_where_few_come_for_few_chips() {
    let scenario = open("laptop-small.toml");
    let mean = |policy| {
        let contender = Contender::named(policy).expect("it is one");
        let played = (1..=12).map(|seed| {
            let case = scenario.case(None, seed).unwrap();
            case.play(contender, &mut || ()).unwrap().summary.mean_completion_h
        });
        played.sum::<f64>() / 12.0
    };
    let (with_prices, fair) = (mean("portolan/mean-completion"), mean("portolan/fair"));
    assert!(with_prices < fair * 0.95, "{with_prices} h beside {fair} h");
}

#[test]
fn more_jobs_keep_their_deadlines_where_who_is_due_first_comes_first() {
    let scenario = open("deadlines.toml");
    let kept = |policy| {
        let contender = Contender::named(policy).expect("it is one");
        let played = (1..=6).map(|seed| {
            let case = scenario.case(None, seed).unwrap();
            let played = case.play(contender, &mut || ()).unwrap();
            let due: Vec<_> = played.finished.iter().filter_map(|f| f.due).collect();
            assert!((200..250).contains(&due.len()), "three in four of 300: {}", due.len());
            played.summary.deadlines_met.unwrap()
        });
        played.sum::<f64>() / 6.0
    };
    let ours = kept("portolan/deadline-first");
    assert!(ours > 0.9, "{ours}");
    for other in ["portolan/fair", "cheapest-first/fair-share", "race-to-all/fair-share"] {
        assert!(ours > kept(other) + 0.02, "{ours} beside {} of {other}", kept(other));
    }
}

#[test]
fn the_report_has_a_row_and_a_line_for_everybody_who_played() {
    let scenario = open("laptop-small.toml");
    let case = scenario.case(None, 1).unwrap();
    let (mut comparison, mut curves) = (Comparison::default(), Vec::new());
    let bounds = case.bounds().unwrap().expect("somebody can run");
    comparison.bound(case.load, case.seed, bounds);
    for contender in Contender::all() {
        let played = case.play(contender, &mut || ()).unwrap();
        assert!(played.violations.is_empty(), "{:?}", played.violations);
        assert!(played.rejections.is_empty(), "{:?}", played.rejections);
        assert!(played.finished.iter().any(|f| f.fate == Fate::Completed));
        comparison.add(&played, &scenario.network);
        curves.push(Curves::of(&played, scenario.chips()));
    }
    let html = page("laptop & co", &scenario.about, &comparison, &curves).unwrap();
    assert!(html.contains("<h1>laptop &amp; co</h1>"));
    assert_eq!(html.matches("<svg").count(), 5);
    assert!(html.contains(" h, +"), "the gap to the bound stands beside a bar");
    for contender in Contender::all() {
        assert!(html.contains(&format!("<td>{}</td>", contender.name())));
    }
    for run in &comparison.runs {
        let gap = run.summary.gap_to_bound.expect("there is a bound");
        assert!(gap >= -1e-9, "{} is better than can be: {gap}", run.policy);
        let had: f64 = run.accounts.industries.values().map(|got| got.chip_hours).sum();
        let gave: f64 = run.accounts.regions.values().map(|gave| gave.chip_hours).sum();
        assert!((had / run.summary.chip_hours - 1.0).abs() < 1e-9, "{}", run.policy);
        assert!((gave / had - 1.0).abs() < 1e-9, "{}", run.policy);
        assert!(run.summary.mwh > 0.0);
    }
    assert!(!html.contains("src=") && !html.contains("http-equiv"), "it needs nothing beside it");
}
