//! Tests of links that carried nothing for long: when, over which path, and what they give way to.
//!
//! A test takes what nobody has booked, and planning does not see it: where work is planned in its
//! place it goes first.

use crate::keeping::answers;
use crate::orders::data_url;
use crate::{Answer, Controller, Rejected};
use model::attempt::{Placement, RateStep, Stream};
use model::fact::{Fact, TransferEnd, TransferEnded};
use model::link::{Hop, Link, SiteId};
use model::quality::LinkTest;
use model::{CenterId, LinkId, Moment, Principal, Rate, Span, TokenId, TransferId};
use planner::Situation;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often it is looked whether a link is due.
const LOOK_EVERY: Span = Span::from_secs(10);
/// Between planning and beginning: the order has to reach the agent.
const LEAD: Span = Span::from_secs(1);
/// How long a test lasts at least, its lead-in and windows together.
const SHORTEST: Span = Span::from_secs(10);
/// So many round trips it lasts at least: in a third of it connections begun slowly fill any line.
const ROUND_TRIPS: u64 = 70;
/// A test that nothing was heard of so long after its end is over.
const OVERDUE: Span = Span::from_secs(30);
/// A direction that was due is not tested again for this long, whatever became of its test.
const AGAIN_AFTER: Span = Span::from_secs(600);
/// A direction that could not be tested is not looked at again for this long.
const LOOK_AGAIN_AFTER: Span = Span::from_secs(60);
/// So many directions are looked at in one round, and so many ways over each.
const LOOKS: usize = 64;
const WAYS: usize = 4;
/// A direction that somebody asked for is forgotten when it could not be tested for so long.
const ASKED_FOR: Span = Span::from_secs(600);
/// So many tests are under way at once, each between centers of its own.
const AT_ONCE: usize = 16;

/// What is remembered of tests; all of it may be forgotten.
#[derive(Debug, Default)]
pub(crate) struct Testing {
    due: Moment,
    /// Directions to be tested whenever anything told of them: who asked for it, and when.
    asked: BTreeMap<Hop, (Option<TokenId>, Moment)>,
    /// Directions that are tested a second time because the first said too little.
    seconds: BTreeSet<Hop>,
    /// Before when a direction that is due is not looked at.
    not_before: BTreeMap<Hop, Moment>,
}

/// How long each of a test's three main parts lasts: connections find their speed, then two windows.
/// What is left is for the order's way and for what is still on the line.
pub(crate) fn part_of(test: &LinkTest) -> Span {
    let lasts = test.steps.first().map_or(Span::ZERO, |step| step.until.since(step.from));
    lasts.scaled(3, 10)
}

impl Controller {
    /// Ends tests nothing is heard of, and begins those that are due.
    pub(crate) fn test_links_if_due(&mut self) {
        if self.now < self.testing.due {
            return;
        }
        self.testing.due = self.now + LOOK_EVERY;
        self.end_overdue_tests();
        let now = self.now;
        self.testing.asked.retain(|_, (_, at)| now.since(*at) < ASKED_FOR);
        for (hop, by) in self.due_for_test().into_iter().take(LOOKS) {
            if self.world.tests.len() >= AT_ONCE {
                return;
            }
            match self.plan_test(&hop, by) {
                Ok(test) => _ = self.begin_test(test),
                Err(_) => _ = self.testing.not_before.insert(hop, now + LOOK_AGAIN_AFTER),
            }
        }
    }

    /// Tests both directions of a link: one now, the other after it.
    pub(crate) fn test_link(&mut self, by: &Principal, link: &LinkId) -> Result<Answer, Rejected> {
        if !self.world.links.contains_key(link) {
            return Err(Rejected::NotFound { what: format!("link {link}") });
        }
        let hop = |forward| Hop { link: link.clone(), forward };
        let by = Some(by.token);
        let (test, other) = match self.plan_test(&hop(true), by) {
            Ok(test) => (test, Some(hop(false))),
            Err(why) => match self.plan_test(&hop(false), by) {
                Ok(test) => (test, None),
                Err(_) => return Err(Rejected::Conflict { why }),
            },
        };
        if let Some(other) = other {
            self.testing.asked.insert(other, (by, self.now));
        }
        Ok(Answer::Test(self.begin_test(test)))
    }

    fn begin_test(&mut self, test: LinkTest) -> Arc<LinkTest> {
        let test = Arc::new(test);
        self.testing.asked.remove(&test.tests);
        self.testing.not_before.insert(test.tests.clone(), self.now + AGAIN_AFTER);
        self.emit(Fact::LinkTestPlanned(Arc::clone(&test)));
        test
    }

    /// Whether this is a test whose filler comes to this center.
    pub(crate) fn is_test_to(&self, center: &CenterId, transfer: TransferId) -> bool {
        self.world.tests.get(&transfer).is_some_and(|test| test.to == *center)
    }

    /// A test is over; another may begin where it was. One that fell short and has not rated its link
    /// is followed by one that says more.
    pub(crate) fn end_test(&mut self, transfer: TransferId, end: TransferEnd) {
        if let Some(test) = self.world.tests.get(&transfer).cloned() {
            let was_second = self.testing.seconds.remove(&test.tests);
            if !was_second && self.says_too_little(&test) {
                self.testing.seconds.insert(test.tests.clone());
                self.testing.asked.insert(test.tests.clone(), (test.by, self.now));
            }
        }
        self.emit(Fact::TransferEnded(TransferEnded { transfer, end }));
        // Those that could not be tested may have waited for its centers.
        let soon = self.now + LOOK_AGAIN_AFTER;
        self.testing.not_before.retain(|_, at| *at > soon);
        self.testing.due = self.now;
    }

    fn says_too_little(&self, test: &LinkTest) -> bool {
        let Some(link) = self.world.links.get(&test.tests.link) else { return false };
        let is_short = self.told(link).is_some_and(|(by, t)| by == test.transfer && t.is_short());
        is_short && test.steps.iter().all(|step| step.rate <= self.world.planned_rate(link))
    }

    fn end_overdue_tests(&mut self) {
        let now = self.now;
        let is_overdue = |test: &&Arc<LinkTest>| ends(test) + OVERDUE <= now;
        let overdue = self.world.tests.values().filter(is_overdue);
        let overdue: Vec<_> = overdue.map(|test| (test.transfer, test.to.clone())).collect();
        for (transfer, to) in overdue {
            let why = format!("nothing was heard of it from {to}");
            self.end_test(transfer, TransferEnd::Failed { why });
            self.books.drop_transfer(&to, transfer);
        }
    }

    /// Withdraws the tests that are in the way of what is about to happen.
    pub(crate) fn give_way(&mut self, to: &Fact) {
        let over = |test: &LinkTest, link: &LinkId| test.hops.iter().any(|hop| hop.link == *link);
        let goes = |test: &&Arc<LinkTest>| match to {
            Fact::TransferPlanned(staging) => {
                staging.legs().any(|(_, hops, steps)| meets(test, hops, steps))
            }
            Fact::JobOffered(f) => meets_reader(test, &f.placement, &f.placement.streams),
            Fact::AttemptRerouted(f) => {
                let live = self.world.live_attempt(f.attempt);
                live.is_some_and(|live| meets_reader(test, &live.placement, &f.streams))
            }
            Fact::LinkDeclared(link) => over(test, &link.link),
            Fact::LinkCut(cut) => over(test, &cut.link),
            Fact::CenterLost(lost) => test.from == lost.center || test.to == lost.center,
            _ => false,
        };
        let goes: Vec<_> = self.world.tests.values().filter(goes).map(|t| t.transfer).collect();
        for transfer in goes {
            let end = TransferEnd::Dropped;
            self.emit(Fact::TransferEnded(TransferEnded { transfer, end }));
        }
    }

    /// The directions to be tested: those asked for, then those of whose rate nothing was heard for
    /// the longest.
    fn due_for_test(&self) -> Vec<(Hop, Option<TokenId>)> {
        let mut asked: Vec<_> = self.testing.asked.iter().collect();
        asked.sort_by_key(|(hop, _)| !self.testing.seconds.contains(*hop));
        let mut all: Vec<_> = asked.into_iter().map(|(hop, (by, _))| (hop.clone(), *by)).collect();
        let Some(every) = self.settings.test_links else { return all };
        let waits = |hop: &Hop| self.testing.not_before.get(hop).is_some_and(|at| self.now < *at);
        let links = self.world.links.keys().filter(|link| !self.world.cut.contains(*link));
        let hops =
            links.flat_map(|link| [true, false].map(|forward| Hop { link: link.clone(), forward }));
        let mut due: Vec<(Option<Moment>, Hop)> = hops
            .map(|hop| (self.world.quality.rate_told(&hop).map(|told| told.at), hop))
            .filter(|(at, hop)| at.is_none_or(|at| self.now.since(at) >= every) && !waits(hop))
            .collect();
        due.sort_unstable();
        all.extend(due.into_iter().map(|(_, hop)| (hop, None)));
        all
    }

    /// A test of this direction that nobody is in the way of, or why there is none, for people.
    fn plan_test(&self, tests: &Hop, by: Option<TokenId>) -> Result<LinkTest, String> {
        let link = self.world.links.get(&tests.link);
        let link = link.ok_or_else(|| format!("there is no link {}", tests.link))?;
        if self.world.cut.contains(&tests.link) {
            return Err(format!("link {} is cut", tests.link));
        }
        let mut why = format!(
            "{tests} cannot be tested: no two centers whose agents are there are joined by it \
             alone, or by it and one other link that carries as much"
        );
        let ways = self.ways_over(link, tests).into_iter().filter(|way| self.is_how_data_goes(way));
        for way in ways.take(WAYS) {
            match self.gap(&way, self.world.planned_rate(link)) {
                Ok(step) => {
                    let Way { from, to, hops } = way;
                    let (transfer, tests) = (self.world.next.transfer, tests.clone());
                    return Ok(LinkTest { transfer, tests, from, to, hops, steps: vec![step], by });
                }
                Err(taken) => why = taken,
            }
        }
        Err(why)
    }

    /// The ways that cross a direction of a link and tell of it: it alone between two centers, or it
    /// and a link beyond one exchange that is planned at no less. The nearest first; but last the one
    /// that told of the link before, so that not twice in a row it is blamed for its partner.
    fn ways_over(&self, link: &Link, tests: &Hop) -> Vec<Way> {
        let (tail, head) = if tests.forward { (&link.a, &link.b) } else { (&link.b, &link.a) };
        let mut ways = match (tail, head) {
            (SiteId::Center(from), SiteId::Center(to)) => {
                let (from, to, hops) = (from.clone(), to.clone(), vec![tests.clone()]);
                vec![Way { from, to, hops }]
            }
            (SiteId::Center(from), SiteId::Exchange(_)) => {
                let beyond = self.links_at(head, link).into_iter();
                let way =
                    |(hop, to)| Way { from: from.clone(), to, hops: vec![tests.clone(), hop] };
                beyond.map(way).collect()
            }
            (SiteId::Exchange(_), SiteId::Center(to)) => {
                let way = |(hop, from): (Hop, CenterId)| {
                    let hop = Hop { forward: !hop.forward, ..hop };
                    Way { from, to: to.clone(), hops: vec![hop, tests.clone()] }
                };
                self.links_at(tail, link).into_iter().map(way).collect()
            }
            (SiteId::Exchange(_), SiteId::Exchange(_)) => Vec::new(),
        };
        let before = self.world.quality.told(&link.link).map(|window| &window.path);
        let situation = self.situation();
        ways.retain(|way| self.has_both_ends(&situation, way));
        ways.sort_by_cached_key(|way| {
            let again = before.is_some_and(|path| {
                let ends = [&way.from, &way.to];
                ends.contains(&&path.from) && ends.contains(&&path.to)
            });
            let latency = way.hops.iter().filter_map(|hop| self.world.links.get(&hop.link));
            let is_busy = self.test_beside(way).is_some();
            (is_busy, again, latency.map(|link| link.latency_us).sum::<u64>())
        });
        ways
    }

    /// The other links of a site that lead to a center and are planned at no less, each in the
    /// direction that leads there.
    fn links_at(&self, site: &SiteId, link: &Link) -> Vec<(Hop, CenterId)> {
        let least = self.world.planned_rate(link);
        let other = |other: &Arc<Link>| {
            let (forward, end) = match (&other.a, &other.b) {
                (a, SiteId::Center(end)) if a == site => (true, end),
                (SiteId::Center(end), b) if b == site => (false, end),
                _ => return None,
            };
            let carries = !self.world.cut.contains(&other.link)
                && self.world.planned_rate(other) >= least
                && other.link != link.link;
            carries.then(|| (Hop { link: other.link.clone(), forward }, end.clone()))
        };
        self.world.links.values().filter_map(other).collect()
    }

    /// Whether both agents are there and the sender has a door.
    fn has_both_ends(&self, situation: &Situation, way: &Way) -> bool {
        let is_there = |center: &CenterId| answers(&self.world, situation, center);
        let from = self.world.centers.get(&way.from);
        let has_door = from.is_some_and(|state| data_url(state).is_some());
        way.from != way.to && has_door && is_there(&way.from) && is_there(&way.to)
    }

    /// The test that one of the centers takes part in, or that crosses one of the links.
    fn test_beside(&self, way: &Way) -> Option<&LinkTest> {
        let ends = [&way.from, &way.to];
        self.world.tests.values().map(AsRef::as_ref).find(|test| {
            ends.contains(&&test.from)
                || ends.contains(&&test.to)
                || test.hops.iter().any(|hop| way.hops.contains(hop))
        })
    }

    fn is_how_data_goes(&self, way: &Way) -> bool {
        let topology = self.board.view().topology();
        let everywhere = topology.allow(|_| true);
        let shortest = topology.paths(way.from.as_str(), way.to.as_str(), 1, &everywhere);
        shortest.first().is_some_and(|path| path.hops == way.hops)
    }

    /// The time a test this way could take now; why not, if somebody else has it.
    fn gap(&self, way: &Way, rate: Rate) -> Result<RateStep, String> {
        let links = way.hops.iter().filter_map(|hop| self.world.links.get(&hop.link));
        let round_trip_us = links.map(|link| 2 * link.latency_us).sum::<u64>();
        let lasts = SHORTEST.max(Span(ROUND_TRIPS * round_trip_us / 1_000));
        let begins = self.now + LEAD;
        let step = RateStep { from: begins, until: begins + lasts, rate };
        let free = self.board.view().links();
        for hop in &way.hops {
            let least = free.free(hop).map_or(0, |free| free.least(step.from, step.until));
            if least < rate.0 {
                let why = format!("{hop} is booked by transfers; ask again when they are over");
                return Err(why);
            }
            let late = self.world.transfers.values().find(|staging| {
                staging.legs().any(|(_, hops, steps)| {
                    let last = steps.last();
                    last.is_none_or(|last| last.until <= step.until) && hops.contains(hop)
                })
            });
            if let Some(late) = late {
                return Err(format!("{} is still crossing {hop}; ask again then", late.transfer));
            }
        }
        match self.test_beside(way) {
            Some(LinkTest { tests, from, to, .. }) => {
                Err(format!("{tests} is being tested from {from} to {to}; ask again after that"))
            }
            None => Ok(step),
        }
    }
}

/// A way a test could take.
struct Way {
    from: CenterId,
    to: CenterId,
    hops: Vec<Hop>,
}

fn ends(test: &LinkTest) -> Moment {
    test.steps.last().map_or(Moment::ZERO, |step| step.until)
}

/// Whether a test is in the way of what an attempt reads over the links.
fn meets_reader(test: &LinkTest, place: &Placement, streams: &[Stream]) -> bool {
    streams.iter().any(|stream| {
        let (from, until, rate) = (place.start.max(stream.since), place.until, stream.rate);
        meets(test, &stream.hops, &[RateStep { from, until, rate }])
    })
}

/// Whether a test is on any of these hops at a time of any of these steps.
fn meets(test: &LinkTest, hops: &[Hop], steps: &[RateStep]) -> bool {
    let overlaps = |one: &RateStep| steps.iter().any(|s| s.from < one.until && one.from < s.until);
    test.hops.iter().any(|hop| hops.contains(hop)) && test.steps.iter().any(overlaps)
}
