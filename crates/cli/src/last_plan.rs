//! `portolan plan` without a job: what the last plan for everybody came to.

use crate::look::Look;
use std::fmt::Write as _;
use wire::view::PlanReport;

/// The last plan, in a few lines.
pub(crate) fn report(report: &PlanReport, look: &Look) -> String {
    let Some(plan) = &report.plan else {
        return "No plan was drawn up yet since the server started.\n".to_owned();
    };
    let mut text = format!(
        "The last plan for the whole queue, of {}:\n  {} looked at, {} given a place, {} told a start\n",
        look.moment(plan.at_ms),
        jobs(plan.considered),
        plan.given,
        plan.told
    );
    if plan.left > 0 {
        let _written =
            writeln!(text, "  {} left for the next: its work was spent", jobs(plan.left));
    }
    match &report.gap {
        Some(gap) => {
            let percent = gap.gap_thousandths as f64 / 10.0;
            let _written = writeln!(
                text,
                "  {} to be over in {} in the mean; no plan below {} ({}): {percent:.1} % apart",
                jobs(gap.jobs),
                gap.value_ms,
                gap.bound_ms,
                gap.by
            );
        }
        None => text += "  nobody was given a start\n",
    }
    text
}

fn jobs(count: u64) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}
