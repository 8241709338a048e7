//! What is published of a cluster's jobs, and the distributions that follow from it.

use crate::Error;
use crate::load::Ending;
use crate::load::rows::{Row, Table};
use model::Chips;

/// A cluster in figures, as in the AcmeTrace summary (Hu et al., NSDI '24).
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Mean run time of GPU jobs, in seconds.
    pub mean_s: f64,
    /// Median of the same.
    pub median_s: f64,
    /// Mean number of GPUs.
    pub mean_chips: f64,
    /// The most GPUs of a job.
    pub largest: f64,
    /// How jobs end: the share of jobs that end so, and their share of the GPU time.
    pub endings: [(Ending, f64, f64); 3],
}

/// Reads the summary: `id`, `avg_run_time_gpu`, `med_run_time_gpu`, `avg_gpu_num`, `max_gpu`, and
/// `complete_rate_gpu`, `cancel_rate_gpu`, `fail_rate_gpu` with the same of `…_gpu_time`. A cluster
/// whose rates are not published completes all its jobs.
pub fn clusters(file: &str, text: &str) -> Result<Vec<Cluster>, Error> {
    let table = Table::read(file, text)?;
    let [id, mean, median, chips, largest] =
        table.columns(["id", "avg_run_time_gpu", "med_run_time_gpu", "avg_gpu_num", "max_gpu"])?;
    let rates = table.columns(["complete_rate_gpu", "cancel_rate_gpu", "fail_rate_gpu"])?;
    let times =
        table.columns(["complete_rate_gpu_time", "cancel_rate_gpu_time", "fail_rate_gpu_time"])?;
    let all = [Ending::Success, Ending::Canceled, Ending::Failure];
    let read = |row: Row<'_>| {
        let number = |column| {
            let expected = "a number above zero";
            let number: f64 = row.get(column, expected)?;
            if number > 0.0 { Ok(number) } else { Err(row.wrong(column, expected)) }
        };
        let mut endings = all.map(|ending| {
            let share = if ending == Ending::Success { 1.0 } else { 0.0 };
            (ending, share, share)
        });
        for ((ending, rate), time) in endings.iter_mut().zip(rates).zip(times) {
            let (rate, time) = (row.maybe(rate, "a share")?, row.maybe(time, "a share")?);
            if let (Some(rate), Some(time)) = (rate, time) {
                *ending = (ending.0, rate, time);
            }
        }
        Ok(Cluster {
            name: row.text(id).to_owned(),
            mean_s: number(mean)?,
            median_s: number(median)?,
            mean_chips: number(chips)?,
            largest: number(largest)?,
            endings,
        })
    };
    table.rows().map(read).collect()
}

impl Cluster {
    /// Standard deviation of the logarithm of run times, of a lognormal with this mean and median.
    pub(super) fn sigma(&self) -> f64 {
        (2.0 * (self.mean_s / self.median_s).ln()).max(0.0).sqrt()
    }

    /// How a job ends, and how many times longer than usual such jobs run: their share of the GPU
    /// time beside their share of the jobs.
    pub(super) fn ending(&self, at: f64) -> (Ending, f64) {
        let all: f64 = self.endings.iter().map(|(_, share, _)| share).sum();
        let mut left = at * all;
        let found = self.endings.iter().find(|(_, share, _)| {
            left -= share;
            left < 0.0
        });
        let (ending, share, time) = found.unwrap_or(&self.endings[0]);
        (*ending, if *share > 0.0 { time / share } else { 1.0 })
    }

    /// The gang size for a number from 0 to 1: a power of two, at most `most`.
    pub(super) fn chips(&self, most: u64, at: f64) -> Chips {
        let most = self.largest.min(most.max(1) as f64);
        let sizes: Vec<f64> =
            (0..=20).map(|k| 2_f64.powi(k)).take_while(|size| *size <= most).collect();
        let ratio = ratio(&sizes, self.mean_chips);
        let weights = sizes.iter().scan(1.0, |weight, size| {
            let this = (*size, *weight);
            *weight *= ratio;
            Some(this)
        });
        let weights: Vec<(f64, f64)> = weights.collect();
        let mut left = at * weights.iter().map(|(_, weight)| weight).sum::<f64>();
        let found = weights.iter().find(|(_, weight)| {
            left -= weight;
            left < 0.0
        });
        Chips::whole(super::rounded(found.map_or(1.0, |(size, _)| *size)).unwrap_or(1))
    }
}

/// The ratio of a geometric distribution over sizes that gives this mean, as near as can be.
fn ratio(sizes: &[f64], mean: f64) -> f64 {
    let mean_of = |ratio: f64| {
        let mut weight = 1.0;
        let (mut sum, mut all) = (0.0, 0.0);
        for size in sizes {
            sum += weight * size;
            all += weight;
            weight *= ratio;
        }
        sum / all
    };
    let (mut low, mut high) = (0.0, 4.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if mean_of(middle) < mean { low = middle } else { high = middle }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "id,avg_run_time_gpu,med_run_time_gpu,avg_gpu_num,max_gpu,\
        complete_rate_gpu,cancel_rate_gpu,fail_rate_gpu,complete_rate_gpu_time,\
        cancel_rate_gpu_time,fail_rate_gpu_time\n\
        Seren,1414.3,122,5.68,1024,0.497,0.075,0.429,0.212,0.664,0.124\n\
        PAI,4787.1,480.7,0.683,8,,,,,,\n";

    #[test]
    fn sizes_drawn_have_the_published_mean() {
        let seren = &clusters("s.csv", SUMMARY).unwrap()[0];
        let draws = 10_000;
        let sum: u64 =
            (0..draws).map(|n| seren.chips(1_024, f64::from(n) / f64::from(draws)).0).sum();
        let mean = sum as f64 / 1_000.0 / f64::from(draws);
        assert!((mean / seren.mean_chips - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn canceled_jobs_run_as_much_longer_as_their_gpu_time_says() {
        let clusters = clusters("s.csv", SUMMARY).unwrap();
        let (ending, longer) = clusters[0].ending(0.55);
        assert_eq!(ending, Ending::Canceled);
        assert!((longer - 0.664 / 0.075).abs() < 1e-9);
        assert_eq!(clusters[1].ending(0.99).0, Ending::Success);
    }
}
