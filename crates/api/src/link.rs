//! Links and exchanges.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::center::command;
use crate::extract::Id;
use crate::problem::Problem;
use crate::quality;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use controller::{Answer, Command, Controller};
use model::link::{Hop, SiteId};
use model::quality::{LinkTest, Sla};
use model::{Exchange, Link, LinkId, Moment, Rate};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::view;
use world::World;

/// The rates booked on links' directions now.
fn booked(controller: &Controller) -> BTreeMap<Hop, Rate> {
    let now = controller.now();
    let world = controller.world();
    let mut booked = BTreeMap::<Hop, Rate>::new();
    let mut add = |hops: &[Hop], rate: Rate| {
        for hop in hops {
            let sum = booked.entry(hop.clone()).or_default();
            *sum = sum.saturating_add(rate);
        }
    };
    let legs = world.transfers.values().flat_map(|transfer| transfer.legs());
    let transfers = legs.map(|(_, hops, steps)| (hops, steps));
    let tests = world.tests.values().map(|test| (&*test.hops, &*test.steps));
    for (hops, steps) in transfers.chain(tests) {
        let step = steps.iter().find(|step| step.from <= now && now < step.until);
        add(hops, step.map_or(Rate::ZERO, |step| step.rate));
    }
    for live in world.all_live().filter_map(|(_, attempt)| world.live_attempt(attempt)) {
        let place = &live.placement;
        let reads = live.state.started().is_some() || (place.start..place.until).contains(&now);
        for stream in place.streams.iter().filter(|_| reads) {
            add(&stream.hops, stream.rate);
        }
    }
    booked
}

fn show(world: &World, link: &Link, booked: &BTreeMap<Hop, Rate>) -> view::Link {
    let end = |site: &SiteId| view::End {
        kind: match site {
            SiteId::Center(_) => "center".to_owned(),
            SiteId::Exchange(_) => "exchange".to_owned(),
        },
        name: site.to_string(),
    };
    let rate = |forward| {
        booked.get(&Hop { link: link.link.clone(), forward }).copied().unwrap_or_default()
    };
    let tested = |forward| {
        let told = world.quality.rate_told(&Hop { link: link.link.clone(), forward })?;
        quality::tested(told.tested.as_ref()?)
    };
    let Sla { round_trip_us, loss_ppm, rate_percent } = link.sla;
    view::Link {
        link: link.link.clone(),
        a: end(&link.a),
        b: end(&link.b),
        capacity_bps: link.capacity,
        is_cut: world.cut.contains(&link.link),
        booked_forward_bps: rate(true),
        booked_backward_bps: rate(false),
        latency_us: link.latency_us,
        carrier: link.carrier.clone(),
        price_per_gbps_hour: link.price_per_gbps_hour,
        risk_group: link.risk_group.clone(),
        planned_bps: world.planned_rate(link),
        sla: view::Sla { round_trip_us, loss_ppm, rate_percent },
        tested: [true, false].into_iter().filter_map(tested).collect(),
        quality: world.quality.link(&link.link).map(quality::show).unwrap_or_default(),
    }
}

/// All links with what is booked on them now
#[utoipa::path(get, path = "/v1/links", tag = "network", responses((status = OK, body = view::Links)))]
pub(crate) async fn list_links(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Links>, Problem> {
    who.must(&api, Action::ListLinks, Resource::Network)?;
    let links = api.gate.look(|c| {
        let booked = booked(c);
        c.world().links.values().map(|link| show(c.world(), link, &booked)).collect()
    });
    Ok(Json(view::Links { links: links.await? }))
}

/// Say that a link carries nothing any more
///
/// Transfers that cross it end, and what waits for them is planned anew, over other links.
#[utoipa::path(post, path = "/v1/links/{link}/cut", tag = "network", params(("link" = String, Path)),
    responses((status = NO_CONTENT)))]
pub(crate) async fn cut_link(
    State(api): State<Api>,
    who: Who,
    Id(link): Id<LinkId>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::CutLink, Resource::Network)?;
    command(&api, who, Command::CutLink(link)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say that a link carries again
#[utoipa::path(post, path = "/v1/links/{link}/mend", tag = "network", params(("link" = String, Path)),
    responses((status = NO_CONTENT)))]
pub(crate) async fn mend_link(
    State(api): State<Api>,
    who: Who,
    Id(link): Id<LinkId>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::MendLink, Resource::Network)?;
    command(&api, who, Command::MendLink(link)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Learn now what a link delivers
///
/// For some seconds filler goes over it between two centers, at the rate it is planned at, first in
/// one direction and then in the other. A test books nothing that is booked, and goes when work is
/// planned in its place.
#[utoipa::path(post, path = "/v1/links/{link}/test", tag = "network", params(("link" = String, Path)),
    responses((status = ACCEPTED, body = view::LinkTest)))]
pub(crate) async fn test_link(
    State(api): State<Api>,
    who: Who,
    Id(link): Id<LinkId>,
) -> Result<(StatusCode, Json<view::LinkTest>), Problem> {
    who.must(&api, Action::TestLink, Resource::Network)?;
    match command(&api, who, Command::TestLink(link)).await? {
        Answer::Test(test) => Ok((StatusCode::ACCEPTED, Json(show_test(&test)))),
        other => unreachable!("asking for a test was answered by {other:?}"),
    }
}

fn show_test(test: &LinkTest) -> view::LinkTest {
    let (first, last) = (test.steps.first(), test.steps.last());
    view::LinkTest {
        transfer: test.transfer,
        from: test.from.clone(),
        to: test.to.clone(),
        hops: test.hops.iter().map(ToString::to_string).collect(),
        from_ms: first.map_or(Moment::ZERO, |step| step.from),
        until_ms: last.map_or(Moment::ZERO, |step| step.until),
        rate_bps: first.map_or(Rate::ZERO, |step| step.rate),
    }
}

/// All exchanges
#[utoipa::path(get, path = "/v1/exchanges", tag = "network", responses((status = OK, body = view::Exchanges)))]
pub(crate) async fn list_exchanges(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Exchanges>, Problem> {
    who.must(&api, Action::ListExchanges, Resource::Network)?;
    let exchanges = api.gate.look(|c| c.world().exchanges.values().cloned().collect::<Vec<_>>());
    let show = |exchange: &Arc<Exchange>| view::Exchange {
        exchange: exchange.exchange.clone(),
        region: exchange.region.clone(),
        latitude_micro: exchange.latitude_micro,
        longitude_micro: exchange.longitude_micro,
    };
    Ok(Json(view::Exchanges { exchanges: exchanges.await?.iter().map(show).collect() }))
}
