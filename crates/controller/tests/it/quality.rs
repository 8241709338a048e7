//! What is measured of the ways between centers, and what planning makes of it.

use super::{Stage, center, job};
use controller::{Command, Declarations, Input, Settings};
use model::link::Hop;
use model::quality::{Breach, Delays, PathMeasured, Probed, Sla, Verdict};
use model::{
    Bytes, DatasetId, DatasetVersion, Digest, EngineKind, Fact, Link, LinkId, NetworkUid, Rate,
    SiteId, Span, TenantId, TransferId,
};
use wire::{Join, Order, Report};

const GIB: u64 = 1 << 30;

/// An agent that answers test packets.
pub(crate) fn join(stage: &mut Stage, name: &str) {
    let join = Join {
        protocol: wire::PROTOCOL,
        version: "test".into(),
        agent: NetworkUid::from_bytes([1; 8]),
        engine: EngineKind::Process,
        engine_version: "test".into(),
        enforcement: "none".into(),
        data_url: Some(format!("http://{name}")),
        probe_address: Some(format!("{name}:862")),
        stores: Vec::new(),
        seen: None,
    };
    stage.step(vec![Input::Join { request: 0, center: center(name), join: Box::new(join) }]);
    let Some(controller::Answer::Joined { session }) = stage.answers.remove(&0) else {
        panic!("{name} is not let in");
    };
    stage.sessions.insert(center(name), session);
}

/// The peers a center should measure the way to, with a mark at those it sends to.
fn peers(stage: &Stage, name: &str) -> Vec<String> {
    let orders = stage.orders(name);
    let measure = orders.into_iter().find_map(|order| match order {
        Order::Measure(measure) => Some(measure.peers),
        _ => None,
    });
    let show = |peer: wire::Peer| {
        assert_eq!(peer.key, None, "deciding knows no secrets");
        format!("{}{}", peer.address, if peer.sends { " >" } else { "" })
    };
    measure.into_iter().flatten().map(show).collect()
}

fn probed(lost: u32, p99_us: u64) -> Probed {
    let delays = Delays { min_us: 1, p50_us: 2, p90_us: 3, p99_us };
    let (reordered, jitter_us, there, back) = (0, 1, None, None);
    Probed { sent: 1_200, lost, reordered, round_trip: Some(delays), jitter_us, there, back }
}

fn measured(stage: &Stage) -> Vec<PathMeasured> {
    let facts = stage.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::PathMeasured(path) => Some(PathMeasured::clone(path)),
        _ => None,
    });
    facts.collect()
}

/// A network where one link leads straight from lingang to zhangjiang, with a promise.
fn with_a_straight_link() -> Stage {
    with_a_straight_link_and(Settings::default())
}

/// The same with other settings.
pub(crate) fn with_a_straight_link_and(settings: Settings) -> Stage {
    let mut stage = Stage::with(settings);
    let all = stage.controller.world().links.values();
    // No other way is as fast.
    let mut links: Vec<Link> =
        all.map(|link| Link { capacity: Rate(1_000_000), ..Link::clone(link) }).collect();
    let mut link = links[0].clone();
    link.link = LinkId::new("straight").unwrap();
    (link.a, link.b) = (SiteId::Center(center("lingang")), SiteId::Center(center("zhangjiang")));
    (link.latency_us, link.capacity) = (10, Rate(1_000_000_000));
    link.sla = Sla { round_trip_us: Some(900), loss_ppm: Some(1_000), rate_percent: Some(95) };
    links.push(link);
    let declarations = Declarations { links, ..Declarations::default() };
    stage.command(Command::Apply(Box::new(declarations)));
    for name in ["kunshan", "lingang", "zhangjiang"] {
        join(&mut stage, name);
    }
    stage
}

#[test]
fn of_each_pair_of_centers_that_answer_one_sends() {
    let mut stage = Stage::laptop();
    assert!(peers(&stage, "lingang").is_empty());
    join(&mut stage, "lingang");
    join(&mut stage, "kunshan");
    assert_eq!(peers(&stage, "kunshan"), ["lingang:862 >"]);
    assert_eq!(peers(&stage, "lingang"), ["kunshan:862"]);
    join(&mut stage, "zhangjiang");
    assert_eq!(peers(&stage, "lingang"), ["kunshan:862", "zhangjiang:862 >"]);
    stage.command(Command::DeclareLost(center("kunshan")));
    assert_eq!(peers(&stage, "lingang"), ["zhangjiang:862 >"]);
    stage.audit();
}

#[test]
fn a_window_over_one_link_judges_that_link_and_over_several_only_the_path() {
    let mut stage = with_a_straight_link();
    let lasted = Span::from_secs(300);
    let mut report = |from: &str, to: &str, probed| {
        stage.report(from, Report::Probed { peer: center(to), lasted, probed });
    };
    report("lingang", "zhangjiang", probed(0, 900));
    report("lingang", "zhangjiang", probed(6, 901));
    report("kunshan", "lingang", probed(0, 9_000));
    let slow = Breach::RoundTrip { promised_us: 900, measured_us: 901 };
    let lossy = Breach::Loss { promised_ppm: 1_000, measured_ppm: 5_000 };
    let verdicts: Vec<_> = measured(&stage).into_iter().map(|path| path.verdict).collect();
    let broken = Verdict::Broken { by: vec![slow, lossy] };
    assert_eq!(verdicts, [Verdict::Held, broken, Verdict::Unknown]);
    let quality = &stage.controller.world().quality;
    let link = quality.link(&LinkId::new("straight").unwrap()).unwrap();
    assert_eq!((link.held, link.broken, link.recent.len()), (1, 1, 2));
    let path = quality.path(&center("kunshan"), &center("lingang")).unwrap();
    assert_eq!(path.probed.as_ref().unwrap().path.hops.len(), 2);
    stage.audit();
}

#[test]
fn a_peer_that_is_silent_itself_says_nothing_of_the_way_to_it() {
    let mut stage = with_a_straight_link();
    stage.pass(Span::from_secs(60), &["lingang"]);
    let (peer, lasted) = (center("zhangjiang"), Span::from_secs(300));
    stage.report("lingang", Report::Probed { peer, lasted, probed: probed(1_200, 1) });
    assert_eq!(measured(&stage), []);
}

/// Puts a GiB at lingang, and has a job at zhangjiang read it. Tells the transfer.
pub(crate) fn read(stage: &mut Stage, name: &str) -> TransferId {
    let dataset = DatasetId::new(name).unwrap();
    let data = DatasetVersion { dataset, version: Digest::of(name.as_bytes()) };
    stage.command(Command::PutDataset {
        data: data.clone(),
        bytes: Bytes(GIB),
        files: 1,
        center: center("lingang"),
        tenant: TenantId::new("lab").unwrap(),
        residency: vec![],
    });
    stage.report(
        "lingang",
        Report::Put { data, bytes: Bytes(GIB), files: 1, lies: None, also_own: false },
    );
    let reads = format!("on = \"cann\"\n[[input]]\nname = \"d\"\ndataset = \"{name}\"");
    stage.submit(job(&reads));
    *stage.controller.world().transfers.keys().last().unwrap()
}

/// The rate of a transfer's first step, and how long it takes.
pub(crate) fn plan(stage: &Stage, transfer: TransferId) -> (Rate, Span) {
    let staging = &stage.controller.world().transfers[&transfer];
    let straight = Hop { link: LinkId::new("straight").unwrap(), forward: true };
    assert_eq!(staging.hops, [straight]);
    (staging.steps[0].rate, staging.arrives.since(stage.now))
}

/// The transfer goes on for a while at a share of its rate.
fn brings(stage: &mut Stage, transfer: TransferId, percent: u64) {
    let lasted = Span::from_secs(10);
    let planned = Bytes(plan(stage, transfer).0.0 / 8 * 10);
    let delivered = Bytes(planned.0 * percent / 100);
    stage.pass(lasted, &["lingang", "zhangjiang", "kunshan"]);
    let from = center("lingang");
    stage.report("zhangjiang", Report::Delivered { transfer, from, lasted, planned, delivered });
}

pub(crate) fn arrives(stage: &mut Stage, transfer: TransferId) {
    stage.report("zhangjiang", Report::Arrived { transfer, moved: Bytes(GIB), corrupted: 0 });
}

#[test]
fn a_link_that_delivers_half_is_planned_at_half_and_the_promised_start_is_true() {
    let mut stage = with_a_straight_link();
    let first = read(&mut stage, "first");
    let full = plan(&stage, first);
    assert_eq!(full.0, Rate(1_000_000_000));
    brings(&mut stage, first, 50);
    let thin = Breach::Rate { promised_percent: 95, measured_percent: 50 };
    assert_eq!(measured(&stage)[0].verdict, Verdict::Broken { by: vec![thin] });
    // One bad window is no habit.
    assert_eq!(stage.controller.world().quality.rated(&LinkId::new("straight").unwrap()), None);
    brings(&mut stage, first, 50);
    arrives(&mut stage, first);

    let second = read(&mut stage, "second");
    let half = plan(&stage, second);
    assert_eq!(half.0, Rate(500_000_000));
    let takes = half.1.0 - 1;
    let on_wire = Bytes(GIB).on_wire().0;
    assert_eq!(takes, (on_wire * 8).div_ceil(500_000), "what it takes at half the rate");
    let world = stage.controller.world();
    let told = world.job(model::JobId::new(2)).unwrap().promise.clone().unwrap();
    assert_eq!(told.start, stage.now + half.1, "it is told to start when its data is there");
    // It comes as planned: the promise is kept, and in two windows the link is tried at more.
    brings(&mut stage, second, 100);
    brings(&mut stage, second, 100);
    arrives(&mut stage, second);
    let third = read(&mut stage, "third");
    assert_eq!(plan(&stage, third).0, Rate(625_000_000));
    stage.audit();
}

#[test]
fn a_transfer_under_way_still_holds_what_a_link_gives_after_it_was_rated() {
    let mut stage = with_a_straight_link();
    let first = read(&mut stage, "first");
    let planned = Bytes(1_000_000_000);
    for _ in 0..2 {
        let (lasted, delivered) = (Span::from_secs(2), Bytes(planned.0 / 16));
        let (transfer, from) = (first, center("lingang"));
        let report = Report::Delivered { transfer, from, lasted, planned, delivered };
        stage.report("zhangjiang", report);
    }
    let straight = Hop { link: LinkId::new("straight").unwrap(), forward: true };
    let free = stage.controller.board().view().links().free(&straight).unwrap();
    assert_eq!((free.capacity(), free.free_at(stage.now)), (250_000_000, 0));
    stage.audit();
}

#[test]
fn a_link_declared_anew_is_what_its_owner_says() {
    let mut stage = with_a_straight_link();
    let first = read(&mut stage, "first");
    brings(&mut stage, first, 20);
    brings(&mut stage, first, 20);
    let straight = LinkId::new("straight").unwrap();
    let rated = stage.controller.world().quality.rated(&straight);
    assert_eq!(rated, Some(Rate(200_000_000)));
    let mended = Link::clone(&stage.controller.world().links[&straight]);
    let mended = Link { capacity: Rate(2_000_000_000), ..mended };
    let declarations = Declarations { links: vec![mended], ..Declarations::default() };
    stage.command(Command::Apply(Box::new(declarations)));
    assert_eq!(stage.controller.world().quality.rated(&straight), None);
    stage.audit();
}
