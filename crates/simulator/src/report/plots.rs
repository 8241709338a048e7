//! Plots in SVG.

use super::curves::{Curves, Kept};
use crate::Error;
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (760, 380);

/// Colors that people who see few can tell apart (Okabe and Ito, 2008).
pub(super) const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// A named line.
struct Line<'a> {
    name: &'a str,
    points: Vec<(f64, f64)>,
}

/// What stands on an axis, and from where to where it goes.
struct Axis {
    title: &'static str,
    range: Range<f64>,
    /// Only whole powers of ten are marked, for what was taken the logarithm of.
    log: bool,
}

/// Share of all chips that ran jobs, over time.
pub(super) fn utilization(all: &[&Curves]) -> Result<String, Error> {
    let lines: Vec<Line<'_>> = all
        .iter()
        .map(|curves| Line { name: &curves.policy, points: percent(&curves.utilization) })
        .collect();
    let end = most(&lines, |point| point.0);
    let hours = Axis { title: "hours after the start", range: 0.0..end, log: false };
    draw("utilization", &lines, &hours, &share("chips in use, %"))
}

/// Share of the jobs that waited no longer.
pub(super) fn waits(all: &[&Curves]) -> Result<String, Error> {
    let lines: Vec<Line<'_>> = all
        .iter()
        .map(|curves| {
            let points = percent(&curves.waits);
            // A wait of no time has no logarithm: a second stands for it.
            let points = points.iter().map(|(wait, share)| (minutes(*wait), *share)).collect();
            Line { name: &curves.policy, points }
        })
        .collect();
    let end = most(&lines, |point| point.0);
    let waited = Axis { title: "waited, minutes", range: minutes(0.0)..end, log: true };
    draw("waits", &lines, &waited, &share("jobs that waited no longer, %"))
}

/// Mean slowdown of each tenant, the best off first.
pub(super) fn fairness(all: &[&Curves]) -> Result<String, Error> {
    let lines: Vec<Line<'_>> = all
        .iter()
        .map(|curves| {
            let mut slowdowns = curves.tenants.clone();
            slowdowns.sort_by(f64::total_cmp);
            let points = slowdowns.iter().enumerate();
            let points = points.map(|(n, slow)| ((n + 1) as f64, slow.log10())).collect();
            Line { name: &curves.policy, points }
        })
        .collect();
    let tenants = Axis {
        title: "tenants, the best off first",
        range: 0.0..most(&lines, |p| p.0),
        log: false,
    };
    let slowdown = Axis { title: "mean slowdown", range: 0.0..most(&lines, |p| p.1), log: true };
    draw("fairness", &lines, &tenants, &slowdown)
}

/// What was promised, and what came of it; none where nobody promised anything.
pub(super) fn promises(all: &[&Curves]) -> Result<Option<String>, Error> {
    let Some(curves) = all.iter().find(|curves| !curves.promises.is_empty()) else {
        return Ok(None);
    };
    let line = |name, of: fn(&Kept) -> f64| {
        let points = curves.promises.iter().map(|k| (minutes(k.promised), minutes(of(k))));
        Line { name, points: points.collect() }
    };
    let lines = [
        line("as promised", |kept| kept.promised),
        line("half waited no longer than", |kept| kept.half),
        line("nine in ten no longer than", |kept| kept.most),
    ];
    let end = most(&lines, |point| point.0.max(point.1));
    let promised = Axis { title: "wait promised, minutes", range: minutes(0.0)..end, log: true };
    let waited = Axis { title: "waited, minutes", range: minutes(0.0)..end, log: true };
    draw("promises", &lines, &promised, &waited).map(Some)
}

fn share(title: &'static str) -> Axis {
    Axis { title, range: 0.0..100.0, log: false }
}

/// The logarithm of so many hours in minutes, a second at least.
fn minutes(hours: f64) -> f64 {
    (hours * 60.0).max(1.0 / 60.0).log10()
}

fn percent(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.iter().map(|(x, share)| (*x, share * 100.0)).collect()
}

/// The largest of a coordinate, and a little more.
fn most(lines: &[Line<'_>], of: fn(&(f64, f64)) -> f64) -> f64 {
    let all = lines.iter().flat_map(|line| &line.points).map(of);
    all.fold(f64::MIN_POSITIVE, f64::max) * 1.02
}

fn draw(plot: &'static str, lines: &[Line<'_>], x: &Axis, y: &Axis) -> Result<String, Error> {
    let mut svg = String::new();
    try_draw(&mut svg, lines, x, y)
        .map_err(|why| Error::Plot { plot: plot.to_owned(), why: why.to_string() })?;
    Ok(svg)
}

fn try_draw(
    svg: &mut String,
    lines: &[Line<'_>],
    x: &Axis,
    y: &Axis,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x.range.clone(), y.range.clone())?;
    let (across, up) = (|at: &f64| mark(*at, x.log), |at: &f64| mark(*at, y.log));
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .label_style(("sans-serif", 14))
        .x_desc(x.title)
        .y_desc(y.title)
        .x_label_formatter(&across)
        .y_label_formatter(&up)
        .draw()?;
    for (line, color) in lines.iter().zip(COLORS.into_iter().cycle()) {
        let style = color.stroke_width(2);
        let series = LineSeries::new(line.points.iter().copied(), style);
        let key = move |(x, y): (i32, i32)| PathElement::new([(x, y), (x + 22, y)], style);
        chart.draw_series(series)?.label(line.name).legend(key);
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    Ok(())
}

/// What stands at a mark of an axis.
fn mark(at: f64, log: bool) -> String {
    let value = if log { 10_f64.powf(at) } else { at };
    match value.abs() {
        v if v >= 10.0 || (v - v.round()).abs() < 1e-9 => format!("{value:.0}"),
        v if v >= 0.1 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
