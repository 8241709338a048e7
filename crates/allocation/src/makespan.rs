//! How soon everything can be done.

use crate::linear::{Program, Row};
use crate::timeline::Task;
use crate::{Choice, Error};

/// What keeps everything from being done sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// What there is of resources, over all the time in which tasks come.
    Capacity,
    /// A single task, by its place: it takes that long wherever it runs.
    Longest(usize),
}

/// A moment before which not everything is done, and why.
///
/// The greater of two: of a fluid program, in which tasks are divided at will from the moment they can
/// begin, and of the longest single task. Releases are taken together in at most `most` stretches, each
/// as if it had all come at its beginning, which keeps it a bound.
///
/// # Errors
///
/// When the solver gives up.
pub fn soonest_end(
    capacities: &[f64],
    tasks: &[Task],
    most: usize,
) -> Result<(f64, Binding), Error> {
    let able: Vec<(usize, &Task)> =
        tasks.iter().enumerate().filter(|(_, task)| task.shortest().is_finite()).collect();
    let single = able.iter().map(|(at, task)| (task.from + task.shortest(), *at));
    let (longest, which) = single.max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0));
    let fluid = fluid(capacities, &able, most)?;
    Ok(match fluid > longest {
        true => (fluid, Binding::Capacity),
        false => (longest, Binding::Longest(which)),
    })
}

fn fluid(capacities: &[f64], tasks: &[(usize, &Task)], most: usize) -> Result<f64, Error> {
    let mut moments: Vec<f64> = tasks.iter().map(|(_, task)| task.from).collect();
    moments.sort_by(f64::total_cmp);
    moments.dedup();
    let every = moments.len().div_ceil(most.max(1)).max(1);
    let moments: Vec<f64> = moments.into_iter().step_by(every).collect();
    let Some(last) = moments.last().copied() else { return Ok(0.0) };
    let long = |nth: usize| moments.get(nth + 1).map(|end| end - moments[nth]);
    let mut program = Program::default();
    let mut resources: Vec<Vec<Row>> = Vec::new();
    for nth in 0..moments.len() {
        let most = |capacity: &f64| capacity * long(nth).unwrap_or(0.0);
        resources.push(capacities.iter().map(|c| program.at_most(most(c))).collect());
    }
    // How long the last stretch is; in it each task and resource has as much time.
    let end: Vec<Row> = resources[moments.len() - 1].clone();
    let mut ends: Vec<(Row, f64)> = end.into_iter().zip(capacities.iter().map(|c| -c)).collect();
    let mut columns = Vec::new();
    for (_, task) in tasks.iter().filter(|(_, task)| task.work > 0.0) {
        let all = program.exactly(1.0);
        let first = moments.partition_point(|at| *at <= task.from).saturating_sub(1);
        for (nth, resources) in resources.iter().enumerate().skip(first) {
            let time = program.at_most(task.count * long(nth).unwrap_or(0.0));
            if long(nth).is_none() {
                ends.push((time, -task.count));
            }
            for Choice { rate, uses } in &task.choices {
                let there_is = uses.iter().all(|(r, by)| *by <= 0.0 || capacities[*r] > 0.0);
                if *rate > 0.0 && there_is {
                    let mut adds = vec![(all, rate / (task.work * task.count)), (time, 1.0)];
                    adds.extend(uses.iter().map(|(r, by)| (resources[*r], *by)));
                    columns.push(adds);
                }
            }
        }
    }
    program.unknown(1.0, ends);
    for adds in columns {
        program.unknown(0.0, adds);
    }
    Ok(last + program.least()?.cost)
}
