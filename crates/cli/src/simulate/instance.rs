//! `portolan simulate --instance`: who ought to get how much.

use super::failed;
use crate::look::Look;
use crate::session::Session;
use crate::table::{Cell, Column, Table};
use allocation::{Fair, fair};
use anyhow::Context;
use serde_json::json;
use simulator::instance::Instance;
use std::path::Path;
use std::time::{Duration, Instant};

/// How many levels people are shown.
const LEVELS: usize = 12;

/// Solves an instance and shows who gets how much, and what chips are worth.
pub(super) fn solve(path: &Path, session: &Session) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(path);
    let text = text.with_context(|| format!("cannot read {}", path.display()))?;
    let instance = Instance::read(&path.display().to_string(), &text).map_err(failed)?;
    let began = Instant::now();
    let (problem, classes) = instance.problem();
    let found = fair(&problem)?;
    let took = began.elapsed();
    let throughputs: Vec<f64> = classes.iter().map(|class| found.throughputs[*class]).collect();
    let told = json!({
        "throughputs": throughputs,
        "classes": problem.classes.len(),
        "prices": instance.chips.iter().zip(found.prices()).collect::<Vec<_>>(),
        "seconds": took.as_secs_f64(),
    });
    let shown = |look: &Look| table(&instance, &throughputs, &found, took, look);
    session.tell(&told, shown(&session.look))
}

fn table(
    instance: &Instance,
    throughputs: &[f64],
    found: &Fair,
    took: Duration,
    look: &Look,
) -> String {
    let jobs = instance.jobs.iter().zip(throughputs);
    let mut levels: Vec<f64> = jobs.map(|(job, has)| has / job.priority).collect();
    levels.sort_by(f64::total_cmp);
    let mut table = Table::new([Column::new("of all jobs"), Column::new("have at least").right()]);
    for nth in 0..LEVELS {
        let at = levels.len() * nth / LEVELS;
        if let Some(level) = levels.get(at) {
            let part = 100.0 * (levels.len() - at) as f64 / levels.len() as f64;
            table.row([Cell::from(format!("{part:.0} %")), Cell::from(format!("{level:.4}"))]);
        }
    }
    let prices = instance.chips.iter().zip(found.prices());
    let prices: Vec<String> = prices.map(|(chip, price)| format!("{chip} {price:.3e}")).collect();
    format!(
        "{}\n{} jobs in {:.1} ms. What a chip is worth, all of them together one: {}.\n\
         Throughput is by priority; 1 is what a job would have of an even share of all chips.\n",
        table.render(look, "no jobs").trim_end(),
        levels.len(),
        took.as_secs_f64() * 1e3,
        prices.join(", "),
    )
}
