//! `portolan paths` and `portolan circles`.

use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table, Tone, or_dash};
use clap::Args;
use model::Region;
use wire::view::{Circles, Path, Paths, Quality, Tested};

/// Say how much compute is within 1, 3, 5 and 20 ms one way of each city.
#[derive(Debug, Args)]
pub(crate) struct Near {
    /// Only this city, such as `cn/yrd/shanghai`, with every center and how far it is.
    #[arg(value_name = "CITY")]
    city: Option<Region>,
}

impl Near {
    /// Prints the circles.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let mut circles = session.client()?.circles().await?;
        let Some(city) = self.city else { return session.show(&circles, table_of_circles) };
        let known: Vec<String> = circles.cities.iter().map(|c| c.city.to_string()).collect();
        circles.cities.retain(|known| known.city == city);
        if circles.cities.is_empty() {
            anyhow::bail!("no center is in {city}; cities with centers: {}", known.join(", "));
        }
        session.show(&circles, |circles, look| {
            format!("{}\n{}", table_of_circles(circles, look), table_of_centers(circles, look))
        })
    }
}

/// The circles of each city.
pub(crate) fn table_of_circles(circles: &Circles, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("CITY").least(10),
        Column::new("ONE WAY").right(),
        Column::new("CENTERS").right(),
        Column::new("MEASURED").right().rank(1),
        Column::new("CHIPS").right(),
        Column::new("OF ALL").right(),
        Column::new("PFLOPS").right().rank(2),
        Column::new("OF ALL").right().rank(2),
    ]);
    for city in &circles.cities {
        for circle in &city.circles {
            table.row([
                city.city.as_str().into(),
                format!("{} ms", circle.one_way_us / 1_000).into(),
                circle.centers.into(),
                circle.measured.into(),
                circle.chips.into(),
                percent(circle.chips_permille).into(),
                pflops(circle.milli_tflops).into(),
                percent(circle.speed_permille).into(),
            ]);
        }
    }
    table.render(look, "no centers")
}

/// How far each center is, and whence that is known.
pub(crate) fn table_of_centers(circles: &Circles, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("CENTER").least(8),
        Column::new("ONE WAY").right(),
        Column::new("KNOWN FROM").least(8),
    ]);
    for near in circles.cities.iter().flat_map(|city| &city.centers) {
        let basis = match near.basis.as_str() {
            "here" => "it is in the city",
            "one-way" => "measured",
            "round-trip" => "half a measured round trip",
            _ => "its links as declared",
        };
        table.row([near.center.as_str().into(), time(near.one_way_us).into(), basis.into()]);
    }
    table.render(look, "no centers")
}

fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// At bf16, dense.
fn pflops(milli_tflops: u64) -> String {
    format!("{}.{:02}", milli_tflops / 1_000_000, milli_tflops % 1_000_000 / 10_000)
}

/// What was measured between centers.
pub(crate) fn table_of_paths(paths: &Paths, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("FROM").least(8),
        Column::new("TO").least(8),
        Column::new("LINKS").least(8).rank(5),
        Column::new("RTT P50").right(),
        Column::new("P99").right().rank(1),
        Column::new("JITTER").right().rank(4),
        Column::new("LOSS").right(),
        Column::new("THERE").right().rank(3),
        Column::new("BACK").right().rank(3),
        Column::new("RATE").right().rank(2),
        Column::new("OF PLAN").right(),
        Column::new("TESTED").least(8).rank(3),
        Column::new("SLA"),
        Column::new("HELD").right().rank(2),
    ]);
    for path in &paths.paths {
        let quality = &path.quality;
        table.row([
            path.from.as_str().into(),
            path.to.as_str().into(),
            links(path).into(),
            or_dash(quality.round_trip_p50_us.map(time)).into(),
            or_dash(quality.round_trip_p99_us.map(time)).into(),
            or_dash(quality.jitter_us.map(time)).into(),
            or_dash(quality.loss_ppm.map(loss)).into(),
            or_dash(quality.there_p50_us.map(time)).into(),
            or_dash(quality.back_p50_us.map(time)).into(),
            or_dash(quality.delivered_bps).into(),
            or_dash(quality.delivered_percent.map(|percent| format!("{percent} %"))).into(),
            tested(quality.tested.as_ref(), look).into(),
            verdict(quality),
            held(quality).into(),
        ]);
    }
    let nothing = "nothing has been measured yet; agents with --probe-listen measure each other";
    table.render(look, nothing)
}

fn links(path: &Path) -> String {
    if path.hops.is_empty() { "-".to_owned() } else { path.hops.join(" ") }
}

/// What the newest window says of what is promised.
pub(crate) fn verdict(quality: &Quality) -> Cell {
    match quality.verdict.as_deref() {
        Some("held") => Cell::new("held", Tone::Good),
        Some("broken") => Cell::new("broken", Tone::Bad),
        _ => Cell::new("-", Tone::Quiet),
    }
}

/// The share of judged windows in which all held.
pub(crate) fn held(quality: &Quality) -> String {
    let permille = (quality.windows_held * 1_000).checked_div(quality.windows_judged);
    or_dash(permille.map(percent))
}

/// What came of what was planned in a test, and when.
pub(crate) fn tested(tested: Option<&Tested>, look: &Look) -> String {
    or_dash(tested.map(|tested| {
        let Tested { came_bps, planned_bps, at_ms, .. } = tested;
        format!("{came_bps} of {planned_bps}, {}", look.when(*at_ms))
    }))
}

/// Lost packets, in percent.
pub(crate) fn loss(ppm: u32) -> String {
    format!("{}.{:03} %", ppm / 10_000, ppm % 10_000 / 10)
}

/// A latency in microseconds.
pub(crate) fn time(us: u64) -> String {
    match us {
        us @ 0..1_000 => format!("{us} µs"),
        us => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
    }
}
