//! How good the ways between centers are.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use model::quality::{Breach, Delivered, Measured, Verdict};
use model::{Bytes, Rate};
use wire::view;
use world::{Window, Windows};

/// What was measured, in figures and words.
pub(crate) fn show(windows: &Windows) -> view::Quality {
    let mut shown = view::Quality {
        windows_held: windows.held,
        windows_judged: windows.held + windows.broken,
        ..view::Quality::default()
    };
    if let Some(window) = &windows.probed
        && let Measured::Probed(probed) = &window.path.measured
    {
        shown.probed_ms = Some(window.at);
        shown.round_trip_p50_us = probed.round_trip.map(|delays| delays.p50_us);
        shown.round_trip_p99_us = probed.round_trip.map(|delays| delays.p99_us);
        shown.jitter_us = probed.round_trip.map(|_| probed.jitter_us);
        shown.loss_ppm = probed.loss_ppm();
        shown.there_p50_us = probed.there.map(|delays| delays.p50_us);
        shown.back_p50_us = probed.back.map(|delays| delays.p50_us);
    }
    if let Some(window) = &windows.delivered
        && let Measured::Delivered(delivered) = &window.path.measured
    {
        shown.delivered_ms = Some(window.at);
        (shown.delivered_bps, shown.delivered_percent) = rate(delivered, window);
    }
    shown.tested = windows.tested.as_ref().and_then(tested);
    if let Some(newest) = windows.recent.back() {
        let (verdict, by) = match &newest.path.verdict {
            Verdict::Held => ("held", &[][..]),
            Verdict::Broken { by } => ("broken", by.as_slice()),
            Verdict::Unknown => ("unknown", &[][..]),
        };
        shown.verdict = Some(verdict.to_owned());
        shown.broken_by = by.iter().map(breach).collect();
    }
    shown
}

/// A window of a test.
pub(crate) fn tested(window: &Window) -> Option<view::Tested> {
    let Measured::Delivered(delivered) = &window.path.measured else { return None };
    Some(view::Tested {
        from: window.path.from.clone(),
        to: window.path.to.clone(),
        at_ms: window.at,
        planned_bps: per_second(delivered.planned, window)?,
        came_bps: per_second(delivered.delivered, window)?,
    })
}

fn per_second(bytes: Bytes, window: &Window) -> Option<Rate> {
    let bits = u128::from(bytes.0) * 8_000;
    let rate = bits.checked_div(window.path.lasted.0.into())?;
    Some(Rate(u64::try_from(rate).unwrap_or(u64::MAX)))
}

fn rate(delivered: &Delivered, window: &Window) -> (Option<Rate>, Option<u64>) {
    let percent = u128::from(delivered.delivered.0) * 100;
    let percent = percent.checked_div(delivered.planned.0.into());
    let percent = percent.map(|percent| u64::try_from(percent).unwrap_or(u64::MAX));
    (per_second(delivered.delivered, window), percent)
}

fn breach(breach: &Breach) -> String {
    match breach {
        Breach::RoundTrip { promised_us, measured_us } => {
            format!("round trips took {measured_us} µs, {promised_us} µs are promised")
        }
        Breach::Loss { promised_ppm, measured_ppm } => format!(
            "{measured_ppm} of a million packets were lost, {promised_ppm} at most are promised"
        ),
        Breach::Rate { promised_percent, measured_percent } => format!(
            "{measured_percent} % of the planned rate were delivered, {promised_percent} % are promised"
        ),
    }
}

/// What was measured between centers
///
/// Of each pair one sends test packets; transfers tell of the way they come by. A path of one link
/// tells of that link, which is in the list of links too.
#[utoipa::path(get, path = "/v1/paths", tag = "network", responses((status = OK, body = view::Paths)))]
pub(crate) async fn list_paths(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Paths>, Problem> {
    who.must(&api, Action::ListPaths, Resource::Network)?;
    let paths = api.gate.look(|c| {
        let world = c.world();
        let path = |(from, to, windows): (_, _, &Windows)| {
            let hops = windows.recent.back().map(|w| w.path.hops.clone()).unwrap_or_default();
            let links = hops.iter().map(|hop| world.links.get(&hop.link));
            let declared = links.map(|link| Some(link?.latency_us)).sum::<Option<u64>>();
            view::Path {
                from: Clone::clone(from),
                to: Clone::clone(to),
                declared_us: declared.filter(|_| !hops.is_empty()),
                hops: hops.iter().map(ToString::to_string).collect(),
                quality: show(windows),
            }
        };
        world.quality.paths().map(path).collect()
    });
    Ok(Json(view::Paths { paths: paths.await? }))
}
