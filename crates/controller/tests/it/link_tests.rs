//! Links are tested where nothing is booked, and tests go when work comes.

use super::quality::{arrives, join, plan, read, with_a_straight_link_and};
use super::{Stage, center};
use controller::{Answer, Command, Controller, Rejected, Settings};
use model::attempt::RateStep;
use model::fact::TransferEnd;
use model::link::Hop;
use model::quality::{LinkTest, Measured};
use model::{Bytes, Fact, LinkId, Rate, Span, TransferId};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use wire::{Order, Report};

const ALL: [&str; 3] = ["kunshan", "lingang", "zhangjiang"];
const EVERY: Span = Span::from_secs(3_600);

fn stage() -> Stage {
    with_a_straight_link_and(Settings { test_links: Some(EVERY), ..Settings::default() })
}

/// The same, where only links that somebody asks for are tested.
fn quiet_stage() -> Stage {
    with_a_straight_link_and(Settings::default())
}

/// Three centers at an exchange, each with a link like the others'.
fn of_equal_links() -> Stage {
    let mut stage = Stage::laptop();
    let all = stage.controller.world().links.values();
    let capacity = Rate(1_000_000_000);
    let links = all.map(|link| model::Link { capacity, ..model::Link::clone(link) }).collect();
    let declarations = controller::Declarations { links, ..Default::default() };
    stage.command(Command::Apply(Box::new(declarations)));
    stage
}

fn straight() -> LinkId {
    LinkId::new("straight").unwrap()
}

fn ask(stage: &mut Stage) -> Result<Arc<LinkTest>, String> {
    match stage.command(Command::TestLink(straight())) {
        Answer::Test(test) => Ok(test),
        Answer::Rejected(Rejected::Conflict { why }) => Err(why),
        other => panic!("{other:?}"),
    }
}

fn under_way(stage: &Stage) -> Vec<Arc<LinkTest>> {
    stage.controller.world().tests.values().cloned().collect()
}

/// A test has its time, and so much of its plan comes in both windows.
fn runs(stage: &mut Stage, test: &LinkTest, percent: u64) {
    let to = test.to.as_str();
    let (lasted, rate) = (Span::from_secs(3), test.steps[0].rate.payload());
    let planned = Bytes(rate.0 / 8 * 3);
    let delivered = Bytes(planned.0 * percent / 100);
    for _ in 0..2 {
        stage.pass(Span::from_secs(4), &ALL);
        let transfer = test.transfer;
        let from = test.from.clone();
        stage.report(to, Report::Delivered { transfer, from, lasted, planned, delivered });
    }
    stage.report(to, Report::Arrived { transfer: test.transfer, moved: delivered, corrupted: 0 });
}

/// How each transfer and test ended, in order.
fn ends(stage: &Stage) -> Vec<(TransferId, TransferEnd)> {
    let ended = stage.facts.iter().filter_map(|(_, fact)| match fact {
        Fact::TransferEnded(fact) => Some((fact.transfer, fact.end.clone())),
        _ => None,
    });
    ended.collect()
}

fn rated(stage: &Stage) -> Option<Rate> {
    stage.controller.world().quality.rated(&straight())
}

#[test]
fn every_direction_that_can_be_is_tested_and_none_beside_another_on_its_links() {
    let mut stage = stage();
    let mut tested = BTreeSet::new();
    for _ in 0..20 {
        stage.pass(Span::from_secs(10), &ALL);
        let tests = under_way(&stage);
        let centers: Vec<_> = tests.iter().flat_map(|test| [&test.from, &test.to]).collect();
        let apart: BTreeSet<_> = centers.iter().collect();
        assert_eq!(apart.len(), centers.len(), "{tests:?}");
        stage.audit();
        for test in tests {
            assert!(tested.insert(test.tests.to_string()), "{test:?} has been tested");
            runs(&mut stage, &test, 100);
        }
    }
    // Data from and to zhangjiang goes over the straight link, never over its own to the exchange.
    let links = ["kunshan--sh-ixp", "lingang--sh-ixp", "straight"];
    let both = links.iter().flat_map(|link| [format!("{link}<"), format!("{link}>")]);
    assert_eq!(tested, both.collect());
    // What was told of lately is not tested again, and is when nothing told of it for long.
    stage.pass(Span::from_secs(1_800), &ALL);
    assert_eq!(under_way(&stage), []);
    stage.pass(Span::from_secs(1_800), &ALL);
    assert_ne!(under_way(&stage), []);
}

#[test]
fn the_receiver_is_told_to_take_filler_at_what_the_link_is_planned_at() {
    let mut stage = quiet_stage();
    let test = ask(&mut stage).unwrap();
    assert_eq!((test.from.as_str(), test.to.as_str()), ("lingang", "zhangjiang"));
    let orders = stage.orders("zhangjiang");
    let told = orders.iter().find_map(|order| match order {
        Order::Test(test) => Some(test),
        _ => None,
    });
    let told = told.unwrap();
    assert_eq!((told.url.as_str(), told.ticket.as_ref()), ("http://lingang", None));
    let step = told.steps[0];
    assert_eq!(step.rate, Rate(1_000_000_000).payload());
    let needed = told.warm_up.0 + 2 * told.window.0;
    assert!(needed < step.lasts.0, "the order has a while to arrive: {told:?}");
    // The other direction is tested after it.
    runs(&mut stage, &test, 100);
    stage.pass(Span::from_secs(1), &ALL);
    let back = under_way(&stage);
    assert_eq!(back[0].from.as_str(), "zhangjiang");
    runs(&mut stage, &back[0].clone(), 100);
    stage.pass(Span::from_secs(60), &ALL);
    assert_eq!(under_way(&stage), [], "nobody asked for more");
    stage.audit();
}

#[test]
fn an_idle_link_that_lost_half_its_rate_is_planned_at_half_and_comes_back_by_tests_alone() {
    let mut stage = quiet_stage();
    let test = ask(&mut stage).unwrap();
    runs(&mut stage, &test, 50);
    let half = Rate(500_000_000).payload().0 / 1_000;
    assert_eq!(rated(&stage).unwrap().0 / 1_000, half);
    let windows = stage.controller.world().quality.link(&straight()).unwrap();
    let tested = windows.tested.as_ref().unwrap();
    assert!(matches!(&tested.path.measured, Measured::Delivered(d) if d.tested), "{tested:?}");
    assert_eq!(windows.delivered, None, "it was no transfer");
    // Planned with at once.
    stage.pass(Span::from_secs(1), &ALL);
    let back = under_way(&stage)[0].clone();
    assert_eq!(back.steps[0].rate.0 / 1_000, half);
    // Mended, it is tried at a quarter more after each test that brings all.
    runs(&mut stage, &back, 100);
    let mut tests = 1;
    while rated(&stage).is_some() {
        stage.pass(Span::from_secs(20), &ALL);
        let next = under_way(&stage).first().cloned();
        let test = next.unwrap_or_else(|| ask(&mut stage).unwrap());
        runs(&mut stage, &test, 100);
        tests += 1;
    }
    assert_eq!(tests, 4);
    stage.audit();
}

#[test]
fn what_falls_short_over_two_links_is_laid_to_one_when_another_center_says_the_same() {
    let link = LinkId::new("kunshan--sh-ixp").unwrap();
    let asked = |stage: &mut Stage| match stage.command(Command::TestLink(link.clone())) {
        Answer::Test(test) => test,
        other => panic!("{other:?}"),
    };
    let next = |stage: &mut Stage| {
        stage.pass(Span::from_secs(1), &ALL);
        let tests = under_way(stage);
        tests.into_iter().find(|test| test.tests == Hop { link: link.clone(), forward: true })
    };
    for (second, is_rated) in [(100, false), (50, true)] {
        let mut stage = of_equal_links();
        let first = asked(&mut stage);
        runs(&mut stage, &first, 50);
        let other = next(&mut stage).unwrap();
        assert_ne!(other.to, first.to);
        assert_eq!(stage.controller.world().quality.rated(&link), None);
        runs(&mut stage, &other, second);
        assert_eq!(stage.controller.world().quality.rated(&link).is_some(), is_rated);
        assert_eq!(next(&mut stage), None, "enough is known");
        stage.audit();
    }
}

#[test]
fn a_test_waits_until_no_transfer_is_in_its_way() {
    let mut stage = quiet_stage();
    let transfer = read(&mut stage, "first");
    assert_eq!(plan(&stage, transfer).0, Rate(1_000_000_000));
    // Against the stream there is room.
    let back = ask(&mut stage).unwrap();
    assert_eq!(back.tests, Hop { link: straight(), forward: false });
    assert_eq!(
        ask(&mut stage).unwrap_err(),
        "straight> is booked by transfers; ask again when they are over"
    );
    // Late, it holds nothing any more and still crosses.
    runs(&mut stage, &back, 100);
    stage.pass(Span::from_secs(60), &ALL);
    let other = ask(&mut stage).unwrap();
    assert_eq!(other.tests, Hop { link: straight(), forward: false });
    runs(&mut stage, &other, 100);
    arrives(&mut stage, transfer);
    assert_eq!(ask(&mut stage).unwrap().tests, Hop { link: straight(), forward: true });
    stage.audit();
}

#[test]
fn work_that_comes_during_a_test_is_planned_as_if_there_were_none_and_the_test_goes() {
    let first_step = |stage: &mut Stage| {
        let transfer = read(stage, "first");
        let steps = &stage.controller.world().transfers[&transfer].steps;
        let RateStep { from, until, rate } = steps[0];
        (from.since(stage.now), until.since(stage.now), rate)
    };
    let undisturbed = first_step(&mut quiet_stage());
    let mut stage = quiet_stage();
    let test = ask(&mut stage).unwrap();
    stage.pass(Span::from_secs(5), &ALL);
    assert_eq!(first_step(&mut stage), undisturbed);
    assert_eq!(under_way(&stage), []);
    assert_eq!(ends(&stage), [(test.transfer, TransferEnd::Dropped)]);
    let told = stage.orders("zhangjiang");
    assert!(told.contains(&Order::Drop { transfer: test.transfer }), "{told:?}");
    // What it still tells is of nothing that is known.
    let facts = stage.facts.len();
    let transfer = test.transfer;
    let why = "gone".to_owned();
    stage.report("zhangjiang", Report::TransferFailed { transfer, why, damaged: false });
    assert_eq!(stage.facts.len(), facts);
    stage.audit();
}

#[test]
fn a_test_ends_when_its_link_is_cut_or_declared_anew_or_an_end_is_lost() {
    type Happens = fn(&mut Stage);
    let happens: [Happens; 3] = [
        |stage| _ = stage.command(Command::CutLink(straight())),
        |stage| _ = stage.command(Command::DeclareLost(center("lingang"))),
        |stage| {
            let known = &stage.controller.world().links[&straight()];
            let link = model::Link { capacity: Rate(1_000_000), ..model::Link::clone(known) };
            let links = vec![link];
            let declarations = controller::Declarations { links, ..Default::default() };
            stage.command(Command::Apply(Box::new(declarations)));
        },
    ];
    for happens in happens {
        let mut stage = quiet_stage();
        let test = ask(&mut stage).unwrap();
        happens(&mut stage);
        assert_eq!(ends(&stage), [(test.transfer, TransferEnd::Dropped)]);
        stage.audit();
    }
}

#[test]
fn a_test_goes_on_through_a_restart_and_one_nothing_is_heard_of_holds_nothing_for_long() {
    let mut stage = quiet_stage();
    let test = ask(&mut stage).unwrap();
    let world = stage.controller.world().clone();
    stage.controller = Controller::new(world, stage.now, Settings::default());
    for name in ALL {
        join(&mut stage, name);
    }
    let told = stage.orders("zhangjiang");
    assert!(told.iter().any(|order| matches!(order, Order::Test(_))), "{told:?}");
    assert_eq!(under_way(&stage), std::slice::from_ref(&test));
    stage.audit();
    stage.pass(Span::from_secs(60), &ALL);
    assert_eq!(under_way(&stage), []);
    let why = "nothing was heard of it from zhangjiang".to_owned();
    assert_eq!(ends(&stage), [(test.transfer, TransferEnd::Failed { why })]);
    assert!(ask(&mut stage).is_ok(), "what it held is free");
    stage.audit();
}

#[test]
fn a_link_that_cannot_be_tested_says_why() {
    let mut stage = Stage::laptop();
    let widest = LinkId::new("lingang--sh-ixp").unwrap();
    let Answer::Rejected(said) = stage.command(Command::TestLink(widest)) else { panic!() };
    assert!(said.to_string().contains("one other link that carries as much"), "{said}");
    let none = LinkId::new("none").unwrap();
    let Answer::Rejected(said) = stage.command(Command::TestLink(none)) else { panic!() };
    assert_eq!(said.to_string(), "there is no link none");
}

/// What may happen at any time.
#[derive(Debug, Clone)]
enum Happens {
    Passes(u64),
    Read,
    Arrives,
    Asked,
    Tested(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        (1_u64..20).prop_map(Happens::Passes),
        Just(Happens::Read),
        Just(Happens::Arrives),
        Just(Happens::Asked),
        (20_u64..120).prop_map(Happens::Tested),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_comes_nothing_is_booked_twice_and_no_test_delays_work(
        story in prop::collection::vec(happens(), 1..25),
    ) {
        let mut stage = stage();
        // No more jobs than fit beside each other: of one that waits nothing is planned.
        let mut reads = 0..4;
        for (at, happens) in story.into_iter().enumerate() {
            match happens {
                Happens::Passes(seconds) => stage.pass(Span::from_secs(seconds), &ALL),
                Happens::Read if reads.next().is_none() => {}
                Happens::Read => {
                    let transfer = read(&mut stage, &format!("d{at}"));
                    let world = stage.controller.world();
                    let hops = &world.transfers[&transfer].hops;
                    let beside = world.tests.values().find(|t| {
                        t.hops.iter().any(|hop| hops.contains(hop))
                            && world.transfers[&transfer].steps[0].from < t.steps[0].until
                    });
                    prop_assert_eq!(beside, None);
                }
                Happens::Arrives => {
                    let first = stage.controller.world().transfers.keys().next().copied();
                    first.into_iter().for_each(|transfer| arrives(&mut stage, transfer));
                }
                Happens::Asked => _ = ask(&mut stage),
                Happens::Tested(percent) => {
                    let tests = under_way(&stage);
                    tests.first().into_iter().for_each(|test| runs(&mut stage, test, percent));
                }
            }
            stage.audit();
        }
    }
}
