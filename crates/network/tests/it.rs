//! Paths, plans and bookings against brute force on small random networks.

use calendar::Work;
use model::attempt::RateStep;
use model::link::Hop;
use model::{Bytes, LinkId, Moment, Rate, Span};
use network::{
    Booking, Error, Link, Links, NoTransfer, Path, Site, StreamRequest, Topology, TransferPlan,
    TransferRequest,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

fn site(name: &str, region: &str) -> Site {
    Site { name: name.to_owned(), region: region.to_owned() }
}

/// From `sh-hz 40 1000`: link, capacity in bit/s, latency in microseconds; named by its ends.
fn link(text: &str) -> Link {
    let words: Vec<_> = text.split(' ').collect();
    let (a, b) = words[0].split_once('-').expect("two ends");
    Link {
        link: LinkId::new(words[0]).expect("a slug"),
        a: a.to_owned(),
        b: b.to_owned(),
        capacity: Rate(words[1].parse().expect("a capacity")),
        latency_us: words[2].parse().expect("a latency"),
        toll: 0,
    }
}

/// Shanghai and Hangzhou joined directly, over Nanjing and over Tokyo.
fn delta() -> Topology {
    let sites = vec![
        site("sh", "cn/shanghai"),
        site("hz", "cn/zhejiang"),
        site("nj", "cn/jiangsu"),
        site("tk", "jp/tokyo"),
        site("la", "us/west"),
    ];
    let links = [
        "sh-hz 8000 1200",
        "sh-nj 16000 900",
        "nj-hz 16000 800",
        "sh-tk 80000 300",
        "tk-hz 80000 300",
    ];
    Topology::new(sites, links.map(link).to_vec()).expect("a good topology")
}

fn request<'a>(topology: &Topology, from: &'a [&'a str], to: &'a str) -> TransferRequest<'a> {
    TransferRequest {
        sources: from,
        to,
        volume: Bytes(10_000),
        not_before: Moment(1_000),
        most: Rate::MAX,
        least_part: u64::MAX,
        paths: 4,
        at_once: 1,
        allowed: topology.allow(|region| region.starts_with("cn/")),
        by: Moment::MAX,
        spread: None,
    }
}

fn plan(
    topology: &Topology,
    links: &Links,
    wish: &TransferRequest<'_>,
) -> Result<TransferPlan, NoTransfer> {
    links.plan_transfer(topology, wish, &mut Work::unbounded())
}

fn route(hops: &[Hop]) -> String {
    hops.iter().map(Hop::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_wide_detour_beats_a_narrow_short_cut_and_a_full_detour_does_not() {
    let topology = delta();
    let mut links = Links::new(&topology);
    let wish = request(&topology, &["sh"], "hz");
    let first = plan(&topology, &links, &wish).unwrap();
    assert_eq!(route(&first.booking.hops), "sh-nj> nj-hz>");
    assert_eq!(first.arrives, Moment(1_000 + 5_000 + 2));
    links.book(&first.booking).unwrap();

    let second = plan(&topology, &links, &wish).unwrap();
    assert_eq!(route(&second.booking.hops), "sh-hz>", "10 s at once, or 5 s after waiting for 5 s");
    assert_eq!(second.arrives, Moment(1_000 + 10_000 + 2));
    let back = plan(&topology, &links, &request(&topology, &["hz"], "sh")).unwrap();
    assert_eq!(route(&back.booking.hops), "nj-hz< sh-nj<", "the other direction is still free");

    links.release_from(&first.booking, Moment(3_000)).unwrap();
    let third = plan(&topology, &links, &wish).unwrap();
    assert_eq!(third.arrives, Moment(3_000 + 5_000 + 2));
    links.release_from(&first.booking, Moment(3_000)).unwrap_err();
}

#[test]
fn the_nearest_replica_wins_and_data_already_there_does_not_move() {
    let topology = delta();
    let links = Links::new(&topology);
    let near = plan(&topology, &links, &request(&topology, &["sh", "nj"], "hz")).unwrap();
    assert_eq!((near.source.as_str(), route(&near.booking.hops).as_str()), ("nj", "nj-hz>"));
    let here = plan(&topology, &links, &request(&topology, &["hz", "nj"], "hz")).unwrap();
    assert_eq!((here.source.as_str(), here.booking.hops.len()), ("hz", 0));
}

#[test]
fn stretches_too_narrow_to_be_useful_are_left_to_others() {
    let topology = delta();
    let mut links = Links::new(&topology);
    let hops = vec![Hop { link: LinkId::new("sh-hz").unwrap(), forward: true }];
    let busy = RateStep { from: Moment(0), until: Moment(4_000), rate: Rate(7_900) };
    links.book(&Booking { hops, steps: vec![busy] }).unwrap();
    let mut wish = request(&topology, &["sh"], "hz");
    wish.allowed = topology.allow(|region| region == "cn/shanghai" || region == "cn/zhejiang");
    let crumbs = plan(&topology, &links, &wish).unwrap();
    assert_eq!(crumbs.booking.steps[0].rate, Rate(100));
    wish.least_part = 16;
    let whole = plan(&topology, &links, &wish).unwrap();
    let step = RateStep { from: Moment(4_000), until: Moment(14_000), rate: Rate(8_000) };
    assert_eq!(whole.booking.steps, [step], "a link slow by nature is used all the same");
}

#[test]
fn there_is_always_a_reason_why_there_is_no_transfer() {
    let check = |from: &[&str],
                 to: &str,
                 change: &dyn Fn(&Topology, &mut TransferRequest<'_>),
                 expected: &str| {
        let topology = delta();
        let mut wish = request(&topology, from, to);
        change(&topology, &mut wish);
        let answer = plan(&topology, &Links::new(&topology), &wish).unwrap_err();
        assert_eq!(answer.to_string(), expected);
    };
    check(&[], "hz", &|_, _| {}, "no site has a replica");
    check(&["sh"], "la", &|_, _| {}, "no path leads from `sh` to `la`");
    check(&["sh"], "xx", &|_, _| {}, "no path leads from `sh` to `xx`");
    check(
        &["la", "sh"],
        "tk",
        &|_, _| {},
        "every path from `sh` to `tk` touches a forbidden region, the shortest `jp/tokyo`",
    );
    check(
        &["sh"],
        "hz",
        &|topology, wish| wish.allowed = topology.allow(|region| region == "cn/zhejiang"),
        "every path from `sh` to `hz` touches a forbidden region, the shortest `cn/shanghai`",
    );
    check(
        &["sh"],
        "hz",
        &|_, wish| (wish.volume, wish.most) = (Bytes::MAX, Rate(1)),
        "no path to `hz` ever has the bandwidth free for 16383 PiB",
    );
    check(
        &["sh"],
        "hz",
        &|_, wish| wish.most = Rate::ZERO,
        "no path to `hz` ever has the bandwidth free for 9.7 KiB",
    );
}

#[test]
fn a_topology_that_does_not_hold_together_is_refused() {
    let check = |sites: &[&str], links: &[&str], expected: &str| {
        let sites = sites.iter().map(|name| site(name, "cn")).collect();
        let links = links.iter().map(|text| link(text)).collect();
        assert_eq!(Topology::new(sites, links).unwrap_err().to_string(), expected);
    };
    check(&["a", "b", "a"], &[], "there are two sites named `a`");
    check(&["a", "b"], &["a-b 1 1", "a-b 2 2"], "there are two links named `a-b`");
    check(&["a", "b"], &["a-c 1 1"], "link `a-c` ends at `c`, which is no site");
    check(&["a", "b"], &["a-a 1 1"], "both ends of link `a-a` are at `a`");
}

#[test]
fn a_booking_that_does_not_fit_books_nothing() {
    let topology = delta();
    let mut links = Links::new(&topology);
    let hop = |name: &str| Hop { link: LinkId::new(name).unwrap(), forward: true };
    let step = RateStep { from: Moment(0), until: Moment(10), rate: Rate(9_000) };
    let booking = |hops| Booking { hops, steps: vec![step] };
    let too_wide = links.book(&booking(vec![hop("sh-nj"), hop("sh-hz")])).unwrap_err();
    assert_eq!(too_wide.to_string(), "booking does not fit on sh-hz> (bit/s)");
    let unknown = links.book(&booking(vec![hop("sh-nj"), hop("gone")])).unwrap_err();
    assert_eq!(unknown, Error::NoSuchLink { link: LinkId::new("gone").unwrap() });
    links.book(&booking(vec![hop("sh-nj"), hop("sh-nj")])).unwrap_err();
    assert_eq!(links, Links::new(&topology));
}

/// A random network of a few sites in three regions, with parallel links and links of no latency.
struct Chart {
    rng: ChaCha8Rng,
    topology: Topology,
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

impl Chart {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let names = &NAMES[..rng.random_range(2..=NAMES.len())];
        let mut sites: Vec<_> =
            names.iter().map(|name| site(name, ["x", "y", "z"][rng.random_range(0..3)])).collect();
        let mut links: Vec<_> = (0..rng.random_range(1..9))
            .filter_map(|i| {
                let (a, b) = (rng.random_range(0..names.len()), rng.random_range(0..names.len()));
                let (capacity, latency) =
                    (rng.random_range(0..5) * 4_000, rng.random_range(0..4) * 700);
                let record = link(&format!("{}-{} {capacity} {latency}", names[a], names[b]));
                (a != b).then(|| Link {
                    link: LinkId::new(&format!("l{i}")).expect("a slug"),
                    ..record
                })
            })
            .collect();
        if rng.random() {
            sites.reverse();
            links.reverse();
        }
        let topology = Topology::new(sites, links).expect("a good topology");
        Self { rng, topology }
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.rng.random_range(0..self.topology.sites().len())]
    }

    /// Every way from `from` to `to` that meets no site twice and only sites of `regions`.
    fn all_paths(&self, from: &str, to: &str, regions: &str) -> Vec<Path> {
        let mut found = Vec::new();
        let start = Path { hops: vec![], directions: vec![], latency_us: 0, capacity: Rate::MAX };
        self.walk(&mut vec![from.to_owned()], to, regions, &start, &mut found);
        found.sort_by_key(|path| (path.latency_us, path.hops.len()));
        found
    }

    fn walk(
        &self,
        met: &mut Vec<String>,
        to: &str,
        regions: &str,
        path: &Path,
        found: &mut Vec<Path>,
    ) {
        let here = met.last().expect("the start").clone();
        let site = self.topology.sites().iter().find(|site| site.name == here).expect("a site");
        if !regions.contains(&site.region) {
            return;
        }
        if here == to {
            found.push(path.clone());
            return;
        }
        for (number, link) in self.topology.links().iter().enumerate() {
            for (forward, near, far) in [(true, &link.a, &link.b), (false, &link.b, &link.a)] {
                if *near == here && !met.contains(far) {
                    let mut longer = path.clone();
                    longer.hops.push(Hop { link: link.link.clone(), forward });
                    longer.directions.push(2 * number + usize::from(!forward));
                    longer.latency_us += link.latency_us;
                    longer.capacity = longer.capacity.min(link.capacity);
                    met.push(far.clone());
                    self.walk(met, to, regions, &longer, found);
                    met.pop();
                }
            }
        }
    }

    fn regions(&mut self) -> &'static str {
        ["xyz", "xyz", "xy", "yz", "x"][self.rng.random_range(0..5)]
    }
}

#[test]
fn the_k_shortest_paths_are_the_shortest_of_all_and_stay_where_they_may() {
    for seed in 0..1_500 {
        let mut chart = Chart::new(seed);
        let (from, to, regions) = (chart.name(), chart.name(), chart.regions());
        let k = chart.rng.random_range(0..12);
        let allowed = chart.topology.allow(|region| regions.contains(region));
        let paths = chart.topology.paths(from, to, k, &allowed);
        let all = chart.all_paths(from, to, regions);
        let measure = |path: &Path| (path.latency_us, path.hops.len());
        let expected: Vec<_> = all.iter().take(k).map(measure).collect();
        assert_eq!(paths.iter().map(measure).collect::<Vec<_>>(), expected, "seed {seed}");
        let mut unlike: Vec<_> = paths.iter().map(|path| &path.hops).collect();
        unlike.sort();
        unlike.dedup();
        assert_eq!(unlike.len(), paths.len(), "no path twice");
        assert!(paths.iter().all(|path| all.contains(path)), "seed {seed}");
        assert_eq!(paths, chart.topology.paths(from, to, k, &allowed), "remembered as found");
    }
}

/// When a volume is there if at every millisecond it goes as fast as the path allows.
fn arrival_by_the_millisecond(
    links: &Links,
    path: &Path,
    wish: &TransferRequest<'_>,
) -> Option<Moment> {
    let mut left = i128::from(wish.volume.0) * 8_000;
    let mut at = wish.not_before;
    while left > 0 {
        let free = path.hops.iter().map(|hop| links.free(hop).expect("a link").free_at(at));
        left -= i128::from(free.fold(wish.most.0, u64::min));
        at = at + Span(1);
        if at > Moment(2_000) {
            return None;
        }
    }
    Some(at + Span(path.latency_us.div_ceil(1_000)))
}

fn sweep(topology: &Topology, booked: &[Booking]) {
    let mut changes: BTreeMap<(&Hop, Moment), i128> = BTreeMap::new();
    for booking in booked {
        for (hop, step) in
            booking.hops.iter().flat_map(|h| booking.steps.iter().map(move |s| (h, s)))
        {
            *changes.entry((hop, step.from)).or_default() += i128::from(step.rate.0);
            *changes.entry((hop, step.until)).or_default() -= i128::from(step.rate.0);
        }
    }
    let mut used: BTreeMap<&Hop, i128> = BTreeMap::new();
    for ((hop, at), change) in changes {
        let used = used.entry(hop).or_default();
        *used += change;
        let link = topology.links().iter().find(|link| link.link == hop.link).expect("a link");
        assert!(*used <= i128::from(link.capacity.0), "{hop} at {at}: {used} of {}", link.capacity);
    }
}

/// Plans, books, cuts short and cancels at random; each plan is compared with every other way.
fn play(seed: u64) {
    let mut chart = Chart::new(seed);
    let mut links = Links::new(&chart.topology);
    let mut booked: Vec<Booking> = Vec::new();
    for _ in 0..12 {
        let (sources, to, regions) = ([chart.name(), chart.name()], chart.name(), chart.regions());
        let allowed = chart.topology.allow(|region| regions.contains(region));
        let rng = &mut chart.rng;
        let wish = TransferRequest {
            sources: &sources,
            to,
            volume: Bytes(rng.random_range(0..400)),
            not_before: Moment(rng.random_range(0..300)),
            most: Rate(rng.random_range(1..20_000)),
            least_part: u64::MAX,
            paths: 100,
            at_once: 1,
            allowed,
            by: Moment::MAX,
            spread: None,
        };
        let ways = sources.iter().flat_map(|from| chart.all_paths(from, to, regions));
        let arrivals: Vec<_> = ways
            .filter_map(|path| {
                let arrives = arrival_by_the_millisecond(&links, &path, &wish)?;
                Some((arrives, path.latency_us))
            })
            .collect();
        let found = plan(&chart.topology, &links, &wish);
        let answer = found.as_ref().ok().map(|plan| (plan.arrives, plan.latency_us));
        let within = answer.filter(|(arrives, _)| *arrives < Moment(2_000));
        assert_eq!(
            within,
            arrivals.into_iter().filter(|(at, _)| *at < Moment(2_000)).min(),
            "seed {seed}"
        );
        if let Ok(TransferPlan { arrives, .. }) = found {
            let by = |by| plan(&chart.topology, &links, &TransferRequest { by, ..wish.clone() });
            assert_eq!(by(arrives), found, "seed {seed}: in time is in time");
            let late = by(Moment(arrives.0 - 1));
            assert!(matches!(late, Err(NoTransfer::TooLate { .. })), "seed {seed}: {late:?}");
        }
        if let Ok(plan) = found {
            links.book(&plan.booking).expect("a plan fits");
            booked.push(plan.booking);
        }
        if !booked.is_empty() && chart.rng.random_bool(0.3) {
            let booking = booked.swap_remove(chart.rng.random_range(0..booked.len()));
            let now = Moment(chart.rng.random_range(0..600));
            links.release_from(&booking, now).expect("it is booked");
            let held = |step: &RateStep| RateStep { until: step.until.min(now), ..*step };
            let steps = booking.steps.iter().map(held).filter(|step| step.from < step.until);
            booked.push(Booking { hops: booking.hops.clone(), steps: steps.collect() });
        }
        sweep(&chart.topology, &booked);
    }
    booked.iter().for_each(|booking| links.release(booking).expect("it is booked"));
    assert_eq!(links, Links::new(&chart.topology), "all given back, all free");
}

#[test]
fn no_other_way_arrives_earlier_and_no_direction_is_ever_overbooked() {
    (0..600).for_each(play);
}

/// What a plan's sources have brought together by then, in thousandths of a bit.
fn brought(topology: &Topology, plan: &TransferPlan, by: Moment) -> u128 {
    let latency = |hops: &[Hop]| {
        let us = |hop: &Hop| {
            let link = topology.links().iter().find(|link| link.link == hop.link);
            link.expect("a link").latency_us
        };
        Span(hops.iter().map(us).sum::<u64>().div_ceil(1_000))
    };
    let of = |booking: &Booking| -> u128 {
        let left = Moment(by.0.saturating_sub(latency(&booking.hops).0));
        let passed =
            |s: &RateStep| u128::from(s.rate.0) * u128::from(left.min(s.until).since(s.from).0);
        booking.steps.iter().map(passed).sum()
    };
    of(&plan.booking) + plan.beside.iter().map(|leg| of(&leg.booking)).sum::<u128>()
}

#[test]
fn several_sources_bring_all_of_it_sooner_than_one_and_fit_beside_each_other() {
    let mut together = 0;
    for seed in 0..400 {
        let mut chart = Chart::new(seed);
        let mut links = Links::new(&chart.topology);
        for _ in 0..6 {
            let sources = [chart.name(), chart.name(), chart.name()];
            let (to, regions) = (chart.name(), chart.regions());
            let allowed = chart.topology.allow(|region| regions.contains(region));
            let (topology, rng) = (&chart.topology, &mut chart.rng);
            let alone = TransferRequest {
                sources: &sources,
                to,
                volume: Bytes(rng.random_range(0..40_000)),
                not_before: Moment(rng.random_range(0..30_000)),
                most: Rate(rng.random_range(1..20_000)),
                least_part: [16, u64::MAX][rng.random_range(0..2)],
                paths: 4,
                at_once: 1,
                allowed,
                by: Moment::MAX,
                spread: None,
            };
            let wish = TransferRequest { at_once: 3, ..alone.clone() };
            let (one, all) = (plan(topology, &links, &alone), plan(topology, &links, &wish));
            let (Ok(one), Ok(all)) = (&one, &all) else {
                assert_eq!(one, all, "seed {seed}");
                continue;
            };
            // Whatever is known before of how soon it can be there is true of both.
            for (wish, plan) in [(&alone, one), (&wish, all)] {
                let what = (wish.volume, wish.not_before, wish.most, wish.least_part);
                let from = (sources.iter().copied(), wish.at_once);
                let spread = links.spread(topology, from, what, &wish.allowed);
                let site = topology.number(to).unwrap();
                let work = &mut Work::unbounded();
                let into = links.soonest_into(topology, &spread, site, wish.least_part, work);
                assert!(topology.soonest(&spread, site) <= Some(plan.arrives), "seed {seed}");
                assert!(sources.contains(&to) || into <= plan.arrives, "seed {seed}");
            }
            let by = |by| plan(topology, &links, &TransferRequest { by, ..wish.clone() });
            assert_eq!(by(all.arrives).as_ref(), Ok(all), "seed {seed}: in time is in time");
            let late = by(Moment(all.arrives.0.saturating_sub(1)));
            assert!(matches!(late, Err(NoTransfer::TooLate { .. })), "seed {seed}: {late:?}");
            if !all.beside.is_empty() {
                together += 1;
                let takes = |plan: &TransferPlan| plan.arrives.since(wish.not_before).0;
                assert!(takes(all) * 10 <= takes(one) * 9 + 10, "seed {seed}: it is worth it");
                let mut from: Vec<_> = all.beside.iter().map(|leg| &leg.source).collect();
                from.push(&all.source);
                from.sort();
                from.dedup();
                assert_eq!(from.len(), all.beside.len() + 1, "seed {seed}: nobody twice");
                let volume = u128::from(wish.volume.0) * 8_000;
                assert!(brought(topology, all, all.arrives) >= volume, "seed {seed}");
                assert!(brought(topology, all, Moment(all.arrives.0 - 1)) < volume, "seed {seed}");
            }
            links.book(&all.booking).expect("a plan fits");
            for leg in &all.beside {
                links.book(&leg.booking).expect("a plan fits beside itself");
            }
        }
    }
    assert!(together > 50, "{together}");
}

#[test]
fn forgetting_the_past_changes_nothing_that_is_still_to_come() {
    let topology = delta();
    let mut links = Links::new(&topology);
    let wish = request(&topology, &["sh"], "hz");
    let first = plan(&topology, &links, &wish).unwrap();
    links.book(&first.booking).unwrap();
    let before = links.clone();
    links.forget_before(Moment(1_000));
    assert_eq!(plan(&topology, &links, &wish), plan(&topology, &before, &wish));
    links.forget_before(Moment(2_000));
    links.release(&first.booking).unwrap();
    let free = links.free(&first.booking.hops[0]).unwrap();
    assert_eq!(free.segments().count(), 1, "what was past is forgotten, the rest was given back");
}

#[test]
fn a_stream_starts_as_soon_as_any_path_has_its_rate_for_all_of_its_time() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let topology = delta();
    let (mut later, mut never) = (0, 0);
    for _ in 0..300 {
        let mut links = Links::new(&topology);
        for _ in 0..12 {
            let all = topology.paths("sh", "hz", 4, &topology.allow(|_| true));
            let path = &all[rng.random_range(0..all.len())];
            let from = rng.random_range(0..60);
            let until = from + rng.random_range(1..30);
            let rate = Rate(rng.random_range(1..9_000));
            let step = RateStep { from: Moment(from), until: Moment(until), rate };
            let _ = links.book(&Booking { hops: path.hops.clone(), steps: vec![step] });
        }
        let allowed = topology.allow(|region| region.starts_with("cn/"));
        let (rate, lasts) = (Rate(rng.random_range(1..17_000)), Span(rng.random_range(1..20)));
        let sources = ["sh", "nj"];
        let not_before = Moment(5);
        let request = StreamRequest {
            sources: &sources,
            to: "hz",
            rate,
            not_before,
            lasts,
            paths: 4,
            allowed: allowed.clone(),
        };
        let found = links.plan_stream(&topology, &request, &mut Work::unbounded());
        let has =
            |hop: &Hop, from: Moment| links.free(hop).unwrap().least(from, from + lasts) >= rate.0;
        let paths: Vec<Path> = sources
            .iter()
            .flat_map(|source| topology.paths(source, "hz", 4, &allowed).to_vec())
            .collect();
        let can = |at: &u64| paths.iter().any(|p| p.hops.iter().all(|hop| has(hop, Moment(*at))));
        let soonest = (not_before.0..200).find(can);
        assert_eq!(found.as_ref().map(|plan| plan.start().0), soonest);
        let Some(plan) = found else {
            never += 1;
            continue;
        };
        later += usize::from(plan.start() > not_before);
        links.book(&plan.booking).expect("what was planned fits");
    }
    assert!(later > 20 && never > 10, "{later} {never}");
}
