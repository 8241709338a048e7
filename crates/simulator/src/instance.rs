//! Instances of the question who ought to get how much: jobs with their throughputs, and how many
//! chips there are of each kind.
//!
//! The form is that in which such instances are published (Gavel, POP, Soroush): a first line
//! `# capacity k80=128 p100=128 v100=128`, then a table with the columns `job_type`, `scale_factor`
//! (chips of the gang), a `tput_` column for each chip named in the first line, and if need be
//! `priority` (else all weigh alike) and `prop_tput` (the throughput that counts as one; else that of
//! an even share of all chips).

use crate::Error;
use crate::load::Table;
use allocation::{Choice, Gathering, Problem};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use smallvec::smallvec;

/// Jobs that want chips.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// What the chips are called.
    pub chips: Vec<String>,
    /// How many there are of each.
    pub capacities: Vec<f64>,
    /// Who wants some.
    pub jobs: Vec<Wants>,
}

/// A job of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct Wants {
    /// How many chips its gang has.
    pub scale: f64,
    /// How much its throughput counts.
    pub priority: f64,
    /// Throughput of the gang on each kind of chip, where 1 is what it would have of an even share.
    pub rates: Vec<f64>,
}

impl Instance {
    /// Reads an instance.
    ///
    /// # Errors
    ///
    /// A line or cell that is not what belongs there.
    pub fn read(file: &str, text: &str) -> Result<Self, Error> {
        let wrong = |said: &str| Error::Line {
            file: file.to_owned(),
            line: 1,
            said: said.to_owned(),
            expected: "how many chips there are, as `# capacity k80=128 v100=64`".to_owned(),
        };
        let first = text.lines().next().unwrap_or_default();
        let named = first.strip_prefix("# capacity ").ok_or_else(|| wrong("it does not say so"))?;
        let (mut chips, mut capacities) = (Vec::new(), Vec::new());
        for pair in named.split_whitespace() {
            let (chip, count) =
                pair.split_once('=').ok_or_else(|| wrong("a chip has no number"))?;
            let count: f64 = count.parse().map_err(|_| wrong("a number cannot be read"))?;
            chips.push(chip.to_owned());
            capacities.push(count);
        }
        let table = Table::read_after_comments(file, text)?;
        let scale = table.column("scale_factor")?;
        let priority = table.column("priority").ok();
        let unit = table.column("prop_tput").ok();
        let of_chip = |chip: &String| table.column(&format!("tput_{chip}"));
        let throughputs: Vec<_> = chips.iter().map(of_chip).collect::<Result<_, _>>()?;
        let mut jobs = Vec::new();
        for row in table.rows() {
            let number = |column| row.get::<f64>(column, "a number, zero or more");
            let raw: Vec<f64> =
                throughputs.iter().map(|column| number(*column)).collect::<Result<_, _>>()?;
            let unit = match unit {
                Some(column) => number(column)?,
                None => even_share(&raw, &capacities),
            };
            let scale = number(scale)?;
            let rates = raw.iter().map(|rate| rate * scale / unit).collect();
            let priority = priority.map_or(Ok(1.0), number)?;
            jobs.push(Wants { scale, priority, rates });
        }
        Ok(Self { chips, capacities, jobs })
    }

    /// The same with each throughput of each job multiplied by a factor drawn evenly from
    /// `1 - by` to `1 + by`: no two jobs are alike any more.
    #[must_use]
    pub fn perturbed(&self, by: f64, seed: u64) -> Self {
        let mut drawn = ChaCha8Rng::seed_from_u64(seed);
        let mut instance = self.clone();
        for job in &mut instance.jobs {
            for rate in &mut job.rates {
                *rate *= drawn.random_range(1.0 - by..=1.0 + by);
            }
        }
        instance
    }

    /// As a problem of classes, with the class of each job.
    #[must_use]
    pub fn problem(&self) -> (Problem, Vec<usize>) {
        let mut gathered = Gathering::default();
        let mut choices = Vec::with_capacity(self.chips.len());
        let add = |job: &Wants| {
            choices.clear();
            let rates = job.rates.iter().enumerate();
            choices.extend(
                rates
                    .map(|(chip, rate)| Choice { rate: *rate, uses: smallvec![(chip, job.scale)] }),
            );
            gathered.add(None, job.priority, &choices)
        };
        let classes = self.jobs.iter().map(add).collect();
        (gathered.problem(self.capacities.clone()), classes)
    }
}

/// The throughput of a job that has an even share of its time on all chips.
fn even_share(rates: &[f64], capacities: &[f64]) -> f64 {
    let all: f64 = capacities.iter().sum();
    rates.iter().zip(capacities).map(|(rate, has)| rate * has / all).sum()
}
