//! What people see of runs: a table of figures side by side, and a page with plots.
//!
//! [`Comparison`] gathers figures, [`Curves`] what plots are drawn from; [`page`] makes one file of
//! both that needs nothing beside it.

mod accounts;
mod bars;
mod comparison;
mod curves;
mod plots;
mod tables;

pub use accounts::{Accounts, Gave, Got};
pub use comparison::{CaseBounds, Comparison, FIGURES, Figure, Row, RunFigures};
pub use curves::Curves;

use crate::Error;
use crate::baseline::{Bound, Bounds};
use crate::measure::mean;
use std::fmt::Write;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;\
    padding:0 1rem;color:#222}table{border-collapse:collapse;font-size:.85rem}\
    th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}\
    th:first-child,td:first-child,.runs :is(th,td):nth-child(2){text-align:left}\
    caption{text-align:left;padding:.8rem 0 .2rem;font-weight:600}figure{margin:1.5rem 0}\
    figcaption{color:#555}.scroll{overflow-x:auto}svg{max-width:100%;height:auto}";

/// A page about runs of one scenario, in HTML.
pub fn page(
    title: &str,
    about: &str,
    comparison: &Comparison,
    curves: &[Curves],
) -> Result<String, Error> {
    let mut html = String::new();
    let (title, about) = (escaped(title), escaped(about));
    let mut put = |text: &str| html.push_str(text);
    put("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    put("<meta name=\"viewport\" content=\"width=device-width\">");
    put(&format!("<title>{title}</title><style>{STYLE}</style></head><body>\n"));
    put(&format!("<h1>{title}</h1><p>{about}</p>\n"));
    put(&table(comparison));
    put(&bounds(comparison));
    put(LEGEND);
    let mut loads: Vec<f64> = curves.iter().map(|curves| curves.load).collect();
    loads.dedup();
    for load in loads {
        let these: Vec<&Curves> =
            curves.iter().filter(|curves| curves.load.total_cmp(&load).is_eq()).collect();
        put(&format!("<h2>Load {load}</h2>\n"));
        if let Some(gaps) = gaps(comparison, load)? {
            put(&figure(
                &gaps,
                "Mean completion under each policy; gray is what no schedule does without, blue the gap.",
            ));
        }
        put(&figure(&plots::utilization(&these)?, "Chips that ran jobs, over time."));
        put(&figure(&plots::waits(&these)?, "How long jobs waited from submission to start."));
        put(&figure(&plots::fairness(&these)?, "How the tenants fared, each policy's sorted."));
        put(&tables::accounts(comparison, load));
        if let Some(promises) = plots::promises(&these)? {
            put(&figure(
                &promises,
                "Start times first told to jobs that had to wait, beside the \
                waits that came of them: below the line of what was promised is early.",
            ));
        }
    }
    put("</body></html>\n");
    Ok(html)
}

const LEGEND: &str = "<p>Mean over the seeds, ± the sample's standard deviation. The first two are completion, from \
    submission to end, whatever the end. The gap is how far the mean is above what no schedule \
    does better than. Slowdown is the time to completion beside the job's work at speed 1, at \
    least 10 s, never less than 1; of the worst tenant it is the largest mean. In use are chips that \
    run jobs, from the first submission to the last. Plots show the first seed.</p>\n";

/// What no run does better than, by load, and what makes it so.
fn bounds(comparison: &Comparison) -> String {
    let mut html = String::from(
        "<p>No schedule that runs each job at a stretch does better, however clairvoyant:</p><ul>\n",
    );
    for CaseBounds { load, seed, bounds } in &comparison.bounds {
        let Bounds { mean_completion_h, makespan_h, wan_tb } = bounds;
        let said = |bound: &Bound, unit: &str| {
            format!("{} {unit} ({})", in_digits(bound.value), escaped(bound.by))
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            html,
            "<li>load {load}, seed {seed}: mean completion {}, makespan {}, between centers {}</li>",
            said(mean_completion_h, "h"),
            said(makespan_h, "h"),
            said(wan_tb, "TB"),
        );
    }
    html.push_str("</ul>\n");
    if comparison.bounds.is_empty() { String::new() } else { html }
}

/// Bars of a load's policies beside its bound; both are means over the seeds.
fn gaps(comparison: &Comparison, load: f64) -> Result<Option<String>, Error> {
    let rows: Vec<&Row> =
        comparison.rows.iter().filter(|row| row.load.total_cmp(&load).is_eq()).collect();
    let cases = comparison.bounds.iter().filter(|case| case.load.total_cmp(&load).is_eq());
    let least: Vec<f64> = cases.map(|case| case.bounds.mean_completion_h.value).collect();
    if least.is_empty() {
        return Ok(None);
    }
    bars::gaps(&rows, mean(least.iter().copied()))
}

/// With the three digits that matter, or all before the point.
fn in_digits(value: f64) -> String {
    let places = match value.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}

fn table(comparison: &Comparison) -> String {
    let mut html = String::from(
        "<div class=\"scroll\"><table class=\"runs\"><thead><tr><th>load</th><th>policy</th>",
    );
    let titles = comparison.rows.first().map(|row| row.figures.as_slice()).unwrap_or_default();
    for figure in titles {
        // Writing to a string cannot fail.
        let _ = write!(html, "<th>{}</th>", escaped(figure.name));
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in &comparison.rows {
        let _ = write!(html, "<tr><td>{}</td><td>{}</td>", row.load, escaped(&row.policy));
        for figure in &row.figures {
            let _ = write!(html, "<td>{}</td>", escaped(&figure.text()));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}

fn figure(svg: &str, caption: &str) -> String {
    format!("<figure>{svg}<figcaption>{caption}</figcaption></figure>\n")
}

/// Text as it may stand in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
