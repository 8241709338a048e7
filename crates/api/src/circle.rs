//! What is near: the circles of one-way latency around each city, and the compute inside.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use controller::Controller;
use model::quality::Measured;
use model::{Center, CenterId, Chip, ChipId, Region};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::view;
use world::World;

/// One way, in microseconds.
const CIRCLES: [u64; 4] = [1_000, 3_000, 5_000, 20_000];

/// How many names of a region path make a city: nation, area, city.
const CITY: usize = 3;

/// How far a center is, and whence that is known; what is better known is the lesser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Basis {
    Here,
    OneWay,
    RoundTrip,
    Declared,
}

impl Basis {
    const fn word(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::OneWay => "one-way",
            Self::RoundTrip => "round-trip",
            Self::Declared => "declared",
        }
    }
}

/// What a center has.
#[derive(Debug, Clone, Copy, Default)]
struct Compute {
    chips: u64,
    milli_tflops: u64,
}

impl std::iter::Sum for Compute {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            chips: sum.chips.saturating_add(one.chips),
            milli_tflops: sum.milli_tflops.saturating_add(one.milli_tflops),
        })
    }
}

fn compute(center: &Center, chips: &BTreeMap<ChipId, Arc<Chip>>) -> Compute {
    let pools = center.pools.iter().map(|pool| {
        let count = u64::from(pool.nodes) * u64::from(pool.chips_per_node);
        let peak = || {
            let chip = chips.get(pool.chip.as_ref()?)?;
            chip.peak_milli_tflops.get("bf16").copied()
        };
        let speed = pool.capability.verified.or(pool.capability.declared).or_else(peak);
        Compute { chips: count, milli_tflops: count.saturating_mul(speed.unwrap_or(0)) }
    });
    pools.sum()
}

fn city_of(center: &Center) -> Option<Region> {
    let region = center.site()?.region.to_string();
    let names: Vec<&str> = region.split('/').take(CITY).collect();
    names.join("/").parse().ok()
}

/// How far one center is from another: as the newest window between them says, else as their links
/// are declared.
fn distance(controller: &Controller, a: &CenterId, b: &CenterId) -> Option<(u64, Basis)> {
    if a == b {
        return Some((0, Basis::Here));
    }
    let quality = &controller.world().quality;
    let windows = [quality.path(a, b), quality.path(b, a)].into_iter().flatten();
    let measured = windows.filter_map(|windows| {
        let Measured::Probed(probed) = &windows.probed.as_ref()?.path.measured else { return None };
        match (probed.there, probed.back, probed.round_trip) {
            (Some(there), Some(back), _) => Some((there.p50_us.max(back.p50_us), Basis::OneWay)),
            (.., Some(round_trip)) => Some((round_trip.p50_us.div_ceil(2), Basis::RoundTrip)),
            _ => None,
        }
    });
    let declared = || {
        let topology = controller.board().view().topology();
        let everywhere = topology.allow(|_| true);
        let shortest = topology.paths(a.as_str(), b.as_str(), 1, &everywhere);
        Some((shortest.first()?.latency_us, Basis::Declared))
    };
    measured.min_by_key(|(_, basis)| *basis).or_else(declared)
}

fn permille(part: u64, of: u64) -> u64 {
    let permille = u128::from(part) * 1_000;
    permille.checked_div(of.into()).and_then(|p| u64::try_from(p).ok()).unwrap_or(0)
}

fn circles(controller: &Controller) -> view::Circles {
    let world: &World = controller.world();
    let has: BTreeMap<&CenterId, Compute> =
        world.centers.iter().map(|(id, c)| (id, compute(&c.center, &world.chips))).collect();
    let all: Compute = has.values().copied().sum();
    let mut cities = BTreeMap::<Region, Vec<&CenterId>>::new();
    for (id, state) in &world.centers {
        if let Some(city) = city_of(&state.center) {
            cities.entry(city).or_default().push(id);
        }
    }
    let city = |(city, inside): (Region, Vec<&CenterId>)| {
        let mut near: Vec<(u64, Basis, &CenterId)> = has
            .keys()
            .filter_map(|id| {
                if inside.contains(id) {
                    return Some((0, Basis::Here, *id));
                }
                let from = inside.iter().filter_map(|from| distance(controller, from, id));
                from.min().map(|(us, basis)| (us, basis, *id))
            })
            .collect();
        near.sort_unstable();
        let circle = |one_way_us| {
            let within = || near.iter().filter(move |(us, ..)| *us <= one_way_us);
            let Compute { chips, milli_tflops } = within().map(|(.., id)| has[id]).sum();
            view::Circle {
                one_way_us,
                centers: within().count(),
                measured: within().filter(|(_, basis, _)| *basis < Basis::Declared).count(),
                chips,
                chips_permille: permille(chips, all.chips),
                milli_tflops,
                speed_permille: permille(milli_tflops, all.milli_tflops),
            }
        };
        let circles = CIRCLES.map(circle).into();
        let show = |(one_way_us, basis, center): &(u64, Basis, &CenterId)| view::Near {
            center: Clone::clone(*center),
            one_way_us: *one_way_us,
            basis: basis.word().to_owned(),
        };
        view::City { city, circles, centers: near.iter().map(show).collect() }
    };
    view::Circles { cities: cities.into_iter().map(city).collect() }
}

/// How much compute is how near to each city
///
/// Circles of 1, 3, 5 and 20 ms one way around the nearest of the city's centers: measured where
/// the two ends measure each other, else the sum of what the links between them are declared with.
#[utoipa::path(get, path = "/v1/circles", tag = "network", responses((status = OK, body = view::Circles)))]
pub(crate) async fn list_circles(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Circles>, Problem> {
    who.must(&api, Action::ListCircles, Resource::Network)?;
    Ok(Json(api.gate.look(circles).await?))
}
