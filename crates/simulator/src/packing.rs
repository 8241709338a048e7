//! Packing experiments: how much of a cluster's chips the planner's own in-pool code fills.
//!
//! Jobs arrive one at a time and stay for ever; one that fits on no node is gone. The planner sees
//! the job at hand, the nodes, and how often each class of jobs stands in the list: no look-ahead,
//! no eviction, no second try. Arrivals go on beyond what the cluster has, and what is allocated is
//! read when as many chips were asked for as there are, and at the end.
//!
//! [`Cluster::read`] takes nodes, jobs and orders of arrival from files in the form of the openb
//! trace (Weng et al., "Beware of Fragmentation", USENIX ATC '23); [`Cluster::pack`] runs them all.

mod read;

use crate::Error;
use model::Chips;
use planner::packing::{Demand, NodeKind, Placer, Room, Typical, typical};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What an experiment is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Comma separated, a row a node: `cpu_milli`, `memory_mib`, `gpu` (how many), `model`.
    pub nodes: PathBuf,
    /// Comma separated, a row a job: `cpu_milli`, `memory_mib`, `num_gpu`, `gpu_milli` (thousandths
    /// of each) and, if there, `gpu_spec` (models it can run on, joined by `|`; empty for any).
    pub jobs: PathBuf,
    /// In which order jobs arrive.
    pub orders: Orders,
}

/// Orders of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orders {
    /// Those of a file: on each line `seed S … : ROW ROW …`, rows of the list of jobs from 0.
    File(PathBuf),
    /// One for each seed: the list shuffled, then jobs drawn from it, until as much is asked for as
    /// is said here.
    Made {
        /// The seeds.
        seeds: Vec<u64>,
        /// Chips asked for in all, in percent of the cluster's.
        percent: u32,
    },
}

/// Nodes, classes of jobs, and orders in which they arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    kinds: Vec<NodeKind>,
    /// The kind of each node, in the order of the file.
    nodes: Vec<usize>,
    classes: Vec<Demand>,
    orders: Vec<Order>,
}

/// An order of arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    seed: u64,
    /// Classes.
    jobs: Vec<usize>,
}

/// By what a node is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Chooser {
    /// By the room that is left for typical jobs: what Portolan does.
    Typical,
    /// By what is left free, as where nothing is typical.
    BestFit,
}

/// In which order the nodes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeOrder {
    /// Shuffled by the order's seed.
    Permuted,
    /// As in the file.
    File,
}

/// The result of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Packing {
    /// Nodes.
    pub nodes: usize,
    /// Their chips.
    pub chips: Chips,
    /// Different jobs.
    pub classes: usize,
    /// One for each way to choose and order of nodes, over all orders of arrival.
    pub rows: Vec<Row>,
    /// Every single run.
    pub runs: Vec<Run>,
}

/// What runs that differ in the order of arrival only have in common.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Row {
    /// By what a node was chosen.
    pub chooser: Chooser,
    /// In which order the nodes stood.
    pub node_order: NodeOrder,
    /// [`Run::at_capacity_pct`].
    pub at_capacity_pct: Spread,
    /// [`Run::at_end_pct`].
    pub at_end_pct: Spread,
    /// Jobs placed in a second by one core, reading files apart.
    pub placed_per_second: f64,
}

/// A mean and how far single values are from it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of a sample; zero for one value.
    pub sd: f64,
}

/// One order of arrival, packed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Run {
    /// By what a node was chosen.
    pub chooser: Chooser,
    /// In which order the nodes stood.
    pub node_order: NodeOrder,
    /// The order of arrival.
    pub seed: u64,
    /// Jobs that arrived.
    pub jobs: usize,
    /// Of these, jobs that were placed.
    pub placed: usize,
    /// Chips that all of them asked for, in percent of the cluster's.
    pub asked_pct: f64,
    /// Chips allocated once as many were asked for as there are, in percent; at the end, where that
    /// many never were.
    pub at_capacity_pct: f64,
    /// Chips allocated at the end, in percent.
    pub at_end_pct: f64,
    /// What it took.
    pub seconds: f64,
}

impl Cluster {
    /// Reads an experiment.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or the file and line that are wrong.
    pub fn read(files: &Files) -> Result<Self, Error> {
        let (mut cluster, listed) =
            Self::of(&read::text(&files.nodes)?, &read::text(&files.jobs)?)?;
        match &files.orders {
            Orders::File(path) => cluster.read_orders(&read::text(path)?, &listed)?,
            Orders::Made { seeds, percent } => cluster.make_orders(&listed, seeds, *percent),
        }
        Ok(cluster)
    }

    /// Packs every order of arrival, with nodes permuted and as in the file, by typical jobs and by
    /// best fit. `clock` tells the time since any moment that stays the same; it goes into the
    /// rates only.
    #[must_use]
    pub fn pack(&self, clock: impl Fn() -> Duration) -> Packing {
        let mut packing = Packing {
            nodes: self.nodes.len(),
            chips: self.chips(),
            classes: self.classes.len(),
            rows: Vec::new(),
            runs: Vec::new(),
        };
        for chooser in [Chooser::Typical, Chooser::BestFit] {
            for node_order in [NodeOrder::Permuted, NodeOrder::File] {
                let runs: Vec<Run> = self
                    .orders
                    .iter()
                    .map(|order| {
                        let begun = clock();
                        let run = self.run(chooser, node_order, order);
                        Run { seconds: clock().saturating_sub(begun).as_secs_f64(), ..run }
                    })
                    .collect();
                packing.rows.push(Row::over(chooser, node_order, &runs));
                packing.runs.extend(runs);
            }
        }
        packing
    }

    fn chips(&self) -> Chips {
        let chips = self.nodes.iter().map(|kind| self.kinds[*kind].empty.chips().0);
        Chips(chips.sum())
    }

    fn run(&self, chooser: Chooser, node_order: NodeOrder, order: &Order) -> Run {
        let mut nodes = self.nodes.clone();
        if node_order == NodeOrder::Permuted {
            nodes.shuffle(&mut ChaCha8Rng::seed_from_u64(order.seed));
        }
        let typical = match chooser {
            Chooser::Typical => typical(&self.kinds, &self.classes),
            Chooser::BestFit => vec![Typical::default(); self.kinds.len()],
        };
        let room = |kind: usize| (kind, self.kinds[kind].empty.clone());
        let mut placer = Placer::new(typical, nodes.into_iter().map(room));
        let known: Vec<usize> = self.classes.iter().map(|c| placer.class(c.need, &c.on)).collect();
        let capacity = self.chips().0;
        let (mut asked, mut allocated, mut placed, mut at_capacity) = (0, 0, 0, None);
        for class in &order.jobs {
            let chips = self.classes[*class].need.chips.0;
            asked += chips;
            if placer.place(known[*class]).is_some() {
                allocated += chips;
                placed += 1;
            }
            if asked >= capacity {
                at_capacity.get_or_insert(allocated);
            }
        }
        let left: u64 = placer.rooms().map(|room: &Room| room.chips().0).sum();
        assert_eq!(allocated + left, capacity, "chips are either allocated or free");
        let percent = |chips: u64| chips as f64 / capacity as f64 * 100.0;
        Run {
            chooser,
            node_order,
            seed: order.seed,
            jobs: order.jobs.len(),
            placed,
            asked_pct: percent(asked),
            at_capacity_pct: percent(at_capacity.unwrap_or(allocated)),
            at_end_pct: percent(allocated),
            seconds: 0.0,
        }
    }

    /// Orders of arrival as [`Orders::Made`] says; `listed` are the classes of the jobs' rows.
    fn make_orders(&mut self, listed: &[usize], seeds: &[u64], percent: u32) {
        let enough = u128::from(self.chips().0) * u128::from(percent) / 100;
        let asks = |class: usize| u128::from(self.classes[class].need.chips.0);
        let drawable = listed.iter().any(|class| asks(*class) > 0);
        let order = |seed: &u64| {
            let mut rng = ChaCha8Rng::seed_from_u64(*seed);
            let mut shuffled = listed.to_vec();
            shuffled.shuffle(&mut rng);
            let drawn = std::iter::repeat_with(|| listed[rng.random_range(0..listed.len())]);
            let drawn = drawn.take_while(|_| drawable);
            let mut asked = 0;
            let jobs = shuffled.into_iter().chain(drawn).take_while(|class| {
                let more = asked < enough;
                asked += asks(*class);
                more
            });
            Order { seed: *seed, jobs: jobs.collect() }
        };
        self.orders = seeds.iter().map(order).collect();
    }
}

impl Row {
    fn over(chooser: Chooser, node_order: NodeOrder, runs: &[Run]) -> Self {
        let placed: usize = runs.iter().map(|run| run.placed).sum();
        let seconds: f64 = runs.iter().map(|run| run.seconds).sum();
        Self {
            chooser,
            node_order,
            at_capacity_pct: Spread::over(runs.iter().map(|run| run.at_capacity_pct)),
            at_end_pct: Spread::over(runs.iter().map(|run| run.at_end_pct)),
            placed_per_second: if seconds > 0.0 { placed as f64 / seconds } else { 0.0 },
        }
    }
}

impl Spread {
    fn over(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count();
        let mean = values.clone().sum::<f64>() / count.max(1) as f64;
        let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
        Self { mean, sd: (squares / count.saturating_sub(1).max(1) as f64).sqrt() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = include_str!("../../../catalog/data/openb_node_list_gpu_node.csv");
    const JOBS: &str = include_str!("../../../catalog/data/openb_pod_list_gpuspec33_part.csv");

    fn text(file: &str, text: &str) -> read::Text {
        (file.to_owned(), text.to_owned())
    }

    /// One node in forty of the cluster, as many as its jobs are a part of all.
    fn part() -> (Cluster, Vec<usize>) {
        let mut lines = NODES.lines();
        let head = lines.next().unwrap();
        let lines: Vec<&str> = [head].into_iter().chain(lines.step_by(40)).collect();
        Cluster::of(&text("nodes.csv", &lines.join("\n")), &text("jobs.csv", JOBS)).unwrap()
    }

    fn pack(cluster: &Cluster) -> Packing {
        cluster.pack(|| Duration::ZERO)
    }

    #[test]
    fn choosing_by_typical_jobs_fills_more_than_best_fit_whatever_the_order() {
        let (mut cluster, listed) = part();
        cluster.make_orders(&listed, &[1, 2, 3, 4, 5, 6, 7, 8], 130);
        let packing = pack(&cluster);
        let [by_typical, in_file_order, by_best_fit, _] = &packing.rows[..] else {
            panic!("four rows, not {:?}", packing.rows)
        };
        assert!(by_typical.at_end_pct.mean > by_best_fit.at_end_pct.mean + 0.5, "{packing:?}");
        assert!(by_typical.at_capacity_pct.mean > by_best_fit.at_capacity_pct.mean, "{packing:?}");
        assert!((by_typical.at_end_pct.mean - in_file_order.at_end_pct.mean).abs() < 1.0);
        for run in &packing.runs {
            assert!((130.0..136.0).contains(&run.asked_pct), "{run:?}");
            assert!(run.at_capacity_pct <= run.at_end_pct && run.at_end_pct <= 100.0, "{run:?}");
        }
        assert_eq!(pack(&cluster), packing);
    }

    #[test]
    fn jobs_arrive_in_the_order_that_a_file_gives() {
        let nodes = text("nodes.csv", "sn,cpu_milli,memory_mib,gpu,model\na,9000,64,2,T4\n");
        let jobs = "cpu_milli,memory_mib,num_gpu,gpu_milli\n0,0,2,1000\n0,0,1,300\n9000,1,0,\n";
        let (mut cluster, listed) = Cluster::of(&nodes, &text("jobs.csv", jobs)).unwrap();
        let orders = "seed 4 pods 2 : 0 1 2\n\nseed 5 : 1 0 2 2\n";
        cluster.read_orders(&text("orders.txt", orders), &listed).unwrap();
        let runs = pack(&cluster).runs;
        let said = runs[..2].iter().map(|run| {
            let Run { seed, jobs, placed, at_end_pct, .. } = run;
            format!("{seed}: {placed} of {jobs}, {at_end_pct:.0} %")
        });
        assert_eq!(said.collect::<Vec<_>>(), ["4: 2 of 3, 100 %", "5: 2 of 4, 15 %"]);
    }

    #[test]
    fn models_that_a_job_names_are_the_only_ones_it_runs_on() {
        let nodes = "cpu_milli,memory_mib,gpu,model\n9000,64,4,G2\n9000,64,1,T4\n9000,64,1,P100\n";
        let jobs = "cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n0,0,1,1000,T4|P100\n";
        let texts = (text("nodes.csv", nodes), text("jobs.csv", jobs));
        let (mut cluster, listed) = Cluster::of(&texts.0, &texts.1).unwrap();
        cluster.make_orders(&listed, &[1], 100);
        assert_eq!(pack(&cluster).runs.iter().map(|run| run.placed).collect::<Vec<_>>(), [2; 4]);
    }

    /// What is said about nodes, jobs and orders of which one is wrong.
    fn check(nodes: &str, jobs: &str, orders: &str, expected: &str) {
        let nodes = text("nodes.csv", &format!("cpu_milli,memory_mib,gpu,model\n{nodes}\n"));
        let jobs = text("jobs.csv", &format!("cpu_milli,memory_mib,num_gpu,gpu_milli\n{jobs}\n"));
        let read = Cluster::of(&nodes, &jobs).and_then(|(mut cluster, listed)| {
            cluster.read_orders(&text("orders.txt", orders), &listed)
        });
        let said = read.unwrap_err().to_string();
        assert!(said.starts_with(expected), "{said}");
    }

    #[test]
    fn what_is_wrong_is_named_by_file_and_line() {
        let (node, job) = ("1,1,8,T4", "1,1,1,500");
        check(&format!("{node}\n1,one,8,T4"), job, "", "nodes.csv:3: field 1: invalid digit");
        check("1,1,0,T4", job, "", "nodes.csv:1: no node has a chip");
        check("1,1,9999999,T4", job, "", "nodes.csv:2: an amount too large");
        check(node, "", "", "jobs.csv:1: there are no rows");
        check(node, &format!("{job}\n1,1,2,500"), "", "jobs.csv:3: 2 chips with 500 of each");
        check(node, "1,1,1,", "", "jobs.csv:2: 1 chips with 0 of each");
        check(node, job, "", "orders.txt:1: there is no order");
        check(node, job, "seed 1 : 0\nseed 2 0", "orders.txt:2: there is no `:`");
        check(node, job, "pods 3 : 0", "orders.txt:1: there is no seed");
        check(node, job, "seed 1 : 0 1", "orders.txt:1: `1` is none of the list's 1 rows");
    }
}
