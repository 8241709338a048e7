//! What agents learn of emulated lines by traffic of their own.

use crate::across::{network, noise, put, reader};
use model::Rate;
use std::sync::Arc;
use wan::{Options, Topology, Wan};
use whole_system::{Net, Plan, Records};
use wire::view;

const STRAIGHT: &str = "lingang--zhangjiang";

/// From lingang to zhangjiang straight, or by way of kunshan. What waits for a line has room, as in
/// routers: so its rate is what tests find, and not what bursts lose.
const LINES: &str = r#"
site = [{name = "lingang"}, {name = "zhangjiang"}, {name = "kunshan"}]
link = [
    {between = ["lingang", "zhangjiang"], rate = "48 Mbit/s", delay = "2ms", queue = "2 MiB"},
    {between = ["lingang", "kunshan"], rate = "40 Mbit/s", delay = "3ms"},
    {between = ["kunshan", "zhangjiang"], rate = "40 Mbit/s", delay = "3ms"},
]
"#;
const WHOLE: Rate = Rate(40_000_000);
const HALF: Rate = Rate(20_000_000);

fn emulated(lines: &str) -> Option<Arc<Wan>> {
    if let Some(why) = Wan::obstacle() {
        eprintln!("skipped: {why}");
        return None;
    }
    let topology = Topology::parse("lines", lines).unwrap();
    Some(Arc::new(Wan::start(&topology, Options::default()).unwrap()))
}

async fn straight(net: &Net) -> view::Link {
    let links: view::Links = net.operator().get("/v1/links").await.ok();
    links.links.into_iter().find(|link| link.link.as_str() == STRAIGHT).unwrap()
}

/// The link once its rate was tested in both directions after `since`.
async fn tested(net: &Net, since: &[view::Tested]) -> view::Link {
    let newest = |tested: &[view::Tested]| tested.iter().map(|t| t.at_ms).max();
    let look = async || {
        let link = straight(net).await;
        let all: view::Transfers = net.operator().get("/v1/transfers").await.ok();
        let is_done = link.tested.len() == 2
            && link.tested.iter().all(|tested| Some(tested.at_ms) > newest(since))
            && link.booked_forward_bps == Rate::ZERO
            && link.booked_backward_bps == Rate::ZERO;
        (is_done && all.transfers.is_empty()).then_some(link)
    };
    net.until("both directions are tested", look).await
}

async fn ask(net: &Net) {
    let asked = net.cli(net.operator(), &["link", "test", STRAIGHT]).await;
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    assert!(asked.stderr.contains("is tested from lingang to zhangjiang"), "{}", asked.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_line_that_became_half_as_fast_is_found_and_the_next_plan_uses_half() {
    let Some(wan) = emulated(LINES) else { return };
    let network = network().replace("100 Mbit/s", "40 Mbit/s");
    let mut net = Plan::of(&network).across(&wan).start().await;
    ask(&net).await;
    let whole = tested(&net, &[]).await;
    assert_eq!(whole.planned_bps, WHOLE, "{whole:?}");

    for way in wan.link("lingang", "zhangjiang").unwrap().ways() {
        way.set(wan::Quality { rate: Some(HALF), ..way.quality() });
    }
    ask(&net).await;
    let half = tested(&net, &whole.tested).await;
    // As much as the line carries, less headers; the test of the other direction may have raised it.
    let range = HALF.0 * 7 / 10..=HALF.0 * 13 / 10;
    assert!(range.contains(&half.planned_bps.0), "{half:?}");
    eprintln!("found {} of {} for a line of {HALF}", half.planned_bps, half.capacity_bps);
    let shown = net.cli(net.operator(), &["links"]).await.stdout;
    assert!(shown.contains("TESTED") && shown.contains(" ago"), "{shown}");

    // Where its data may not take the detour, the next plan counts with half.
    put(&net, "records", &noise(1, 10_000_000), &["cn/yrd/shanghai"]).await;
    let job = net.submit("lab", &reader("records")).await;
    let planned = async || {
        let all: view::Transfers = net.operator().get("/v1/transfers").await.ok();
        all.transfers.into_iter().find(|transfer| transfer.dataset.as_str() == "records")
    };
    let planned = net.until("its data is on the way", planned).await;
    assert_eq!(planned.hops, ["lingang--zhangjiang>"]);
    assert_eq!(planned.steps[0].rate_bps, half.planned_bps);
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");

    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
}

/// Two centers 4 ms apart, there and back.
const PAIR: &str = r#"
site = [{name = "lingang"}, {name = "zhangjiang"}]
link = [{between = ["lingang", "zhangjiang"], rate = "120 Mbit/s", delay = "2ms"}]
"#;
const ROUND_TRIP_US: u64 = 4_000;
/// What the emulator and four processes on a busy machine add at the most.
const WITHIN_US: u64 = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn test_packets_tell_the_emulated_round_trip_and_count_what_is_lost() {
    let Some(wan) = emulated(PAIR) else { return };
    let probes = ["--probe-listen", "{site}:8862"];
    let plan = Plan::of(&network()).only(&["lingang", "zhangjiang"]).across(&wan);
    let mut net = plan.serve(&["--quality-window", "5s"]).agent(&probes).start().await;
    let way = async |seen: &dyn Fn(&view::Quality) -> bool| {
        let look = async || {
            let shown = net.cli(net.operator(), &["paths", "--output", "json"]).await.stdout;
            let paths: view::Paths = serde_json::from_str(&shown).unwrap();
            paths.paths.into_iter().map(|path| path.quality).find(|quality| seen(quality))
        };
        net.until("the way is measured so", look).await
    };
    let near = way(&|quality| {
        let median = quality.round_trip_p50_us.unwrap_or_default();
        assert!(median == 0 || median >= ROUND_TRIP_US, "{quality:?} is faster than the line");
        // In the first window packets may have gone to where nobody listened yet.
        quality.loss_ppm == Some(0) && (ROUND_TRIP_US..=ROUND_TRIP_US + WITHIN_US).contains(&median)
    })
    .await;
    eprintln!("the median round trip over 4 ms was {:?} µs", near.round_trip_p50_us);

    let link = wan.link("lingang", "zhangjiang").unwrap();
    let lost = || link.ways().iter().map(|way| way.counters().dropped_by_loss).sum::<u64>();
    for way in link.ways() {
        let loss = "20 %".parse().unwrap();
        way.set(wan::Quality { loss, ..way.quality() });
    }
    let far = way(&|quality| quality.loss_ppm > Some(0)).await;
    // Some twenty packets a window, of which no more can be missing than the line lost.
    let missing = u64::from(far.loss_ppm.unwrap()) * 18 / 1_000_000;
    assert!(missing <= lost(), "{far:?}, but the line lost {}", lost());
    net.stop_server().await;
}
