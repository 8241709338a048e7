//! Tables of a page: who got what, and where it ran, policies side by side.

use super::accounts::{Accounts, Gave, Got};
use super::comparison::{Comparison, RunFigures};
use super::{escaped, in_digits};
use crate::measure::mean;
use std::fmt::Write;

/// The tables of runs at a load, each figure its mean over the seeds.
pub(super) fn accounts(comparison: &Comparison, load: f64) -> String {
    let runs: Vec<&RunFigures> =
        comparison.runs.iter().filter(|run| run.load.total_cmp(&load).is_eq()).collect();
    let waited = |got: &Got| got.waited_h;
    let over = |got: &Got| got.completion_h;
    let had = |got: &Got| got.chip_hours;
    let in_use = |gave: &Gave| gave.chip_hours;
    let for_others = |gave: &Gave| gave.for_others;
    let mwh = |gave: &Gave| gave.mwh;
    let co2 = |gave: &Gave| gave.co2_t;
    [
        table(&runs, "Hours waited, by line of work", &|all| named(&all.industries, waited)),
        table(&runs, "Hours to the end, by line of work", &|all| named(&all.industries, over)),
        table(&runs, "Chip-hours had, by line of work", &|all| named(&all.industries, had)),
        table(&runs, "Hours waited, by the region of who asked", &|all| named(&all.homes, waited)),
        table(&runs, "Chip-hours run, by the region of the center", &|all| {
            named(&all.regions, in_use)
        }),
        table(&runs, "Of these, for jobs from other regions", &|all| {
            named(&all.regions, for_others)
        }),
        table(&runs, "Energy in MWh, cooling included, by region", &|all| named(&all.regions, mwh)),
        table(&runs, "Tonnes of CO2 from it", &|all| named(&all.regions, co2)),
    ]
    .concat()
}

type Named = Vec<(String, f64)>;

fn named<T>(of: &std::collections::BTreeMap<String, T>, figure: impl Fn(&T) -> f64) -> Named {
    of.iter().map(|(name, all)| (name.clone(), figure(all))).collect()
}

fn table(runs: &[&RunFigures], title: &str, of: &dyn Fn(&Accounts) -> Named) -> String {
    let mut policies: Vec<&str> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for run in runs {
        if !policies.contains(&run.policy.as_str()) {
            policies.push(&run.policy);
        }
        names.extend(of(&run.accounts).into_iter().map(|(name, _)| name));
    }
    names.sort_unstable();
    names.dedup();
    let cell = |name: &str, policy: &str| {
        let figures = runs.iter().filter(|run| run.policy == policy).map(|run| of(&run.accounts));
        let found = figures.filter_map(|all| Some(all.into_iter().find(|(of, _)| of == name)?.1));
        let found: Vec<f64> = found.collect();
        (!found.is_empty()).then(|| mean(found.iter().copied()))
    };
    let mut html =
        format!("<div class=\"scroll\"><table><caption>{title}</caption><thead><tr><th></th>");
    for name in &names {
        // Writing to a string cannot fail.
        let _ = write!(html, "<th>{}</th>", escaped(name));
    }
    html.push_str("</tr></thead><tbody>\n");
    for policy in &policies {
        let _ = write!(html, "<tr><td>{}</td>", escaped(policy));
        for name in &names {
            let text = cell(name, policy).map_or_else(|| "-".to_owned(), in_digits);
            let _ = write!(html, "<td>{text}</td>");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    html
}
