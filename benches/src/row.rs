//! Rows: what was measured, as one line of JSON each.

use anyhow::Result;
use serde::Serialize;

/// Something a group measures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    /// Its row's name, without the suffix for the disk.
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) target: Option<f64>,
}

/// In which direction a figure improves.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

/// What came of measuring one figure several times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Samples {
    pub(crate) value: f64,
    samples: usize,
    spread: [f64; 2],
}

impl Samples {
    /// The median of the samples, with the least and the greatest beside it. At least one.
    pub(crate) fn median(samples: &[f64]) -> Self {
        Self::with_value(percentile(samples, 50.0), samples)
    }

    /// The rate over all samples together, each the rate at which the same amount was done. At least one.
    pub(crate) fn of_equal_work(rates: &[f64]) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer than 2^52 samples")]
        let count = rates.len() as f64;
        Self::with_value(count / rates.iter().map(|rate| rate.recip()).sum::<f64>(), rates)
    }

    /// A value found otherwise, with the least and the greatest of the samples it comes from.
    pub(crate) fn with_value(value: f64, samples: &[f64]) -> Self {
        let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self { value, samples: samples.len(), spread: [least, greatest] }
    }
}

/// The least of the samples that is not below `percent` of them: the nearest rank, nothing made up
/// between two. Not a number when there are none.
pub(crate) fn percentile(samples: &[f64], percent: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "there are far fewer than 2^52 samples"
    )]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// Another figure to hold a row against.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Bound {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
}

/// What others do with the same task.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// In the row's unit.
    pub(crate) value: f64,
    /// How it was measured: `same run`, or where it is published.
    pub(crate) how: &'static str,
}

/// More of a reason than this helps nobody who reads a table.
const LONGEST_WHY: usize = 400;

#[derive(Debug, Serialize)]
struct Row<'a> {
    name: String,
    value: Option<f64>,
    unit: &'a str,
    better: Better,
    target: Option<f64>,
    samples: usize,
    spread: Option<[f64; 2]>,
    peer: Option<&'a Peer>,
    bound: Option<Bound>,
    why: Option<String>,
}

/// Prints the rows of figures that were measured together, in their order; each says why when the
/// measurement failed.
pub(crate) fn print(
    figures: &[Figure],
    suffix: &str,
    bound: Option<Bound>,
    measured: &Result<Vec<Samples>>,
) {
    for (i, figure) in figures.iter().enumerate() {
        print_one(figure, suffix, bound, None, measured.as_ref().map(|all| all.get(i)));
    }
}

/// Prints the row of one figure, beside what a peer did.
pub(crate) fn print_beside(figure: &Figure, peer: Option<&Peer>, measured: &Result<Samples>) {
    print_one(figure, "", None, peer, measured.as_ref().map(Some));
}

fn print_one(
    figure: &Figure,
    suffix: &str,
    bound: Option<Bound>,
    peer: Option<&Peer>,
    measured: Result<Option<&Samples>, &anyhow::Error>,
) {
    let (samples, why) = match measured {
        Ok(Some(samples)) => (Some(samples), None),
        Ok(None) => (None, Some("not measured".to_owned())),
        Err(error) => (None, Some(format!("{error:#}").chars().take(LONGEST_WHY).collect())),
    };
    let row = Row {
        name: format!("{}{suffix}", figure.name),
        value: samples.map(|s| rounded(s.value)),
        unit: figure.unit,
        better: figure.better,
        target: figure.target,
        samples: samples.map_or(0, |s| s.samples),
        spread: samples.map(|s| s.spread.map(rounded)),
        peer,
        bound,
        why,
    };
    println!("{}", serde_json::to_string(&row).expect("a row has only text keys"));
}

/// To three decimals: no clock here tells more.
fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let check = |samples: &[f64], percent, expected: f64| {
            assert_eq!(percentile(samples, percent).to_bits(), expected.to_bits(), "{samples:?}");
        };
        check(&[3.0, 1.0, 2.0], 50.0, 2.0);
        check(&[4.0, 3.0, 1.0, 2.0], 50.0, 2.0);
        check(&[7.0], 99.0, 7.0);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        check(&hundred, 99.0, 99.0);
        check(&hundred, 0.0, 1.0);
    }

    #[test]
    fn the_median_comes_with_the_least_and_the_greatest() {
        let samples = Samples::median(&[5.0, 1.0, 9.0]);
        assert_eq!(samples, Samples { value: 5.0, samples: 3, spread: [1.0, 9.0] });
    }

    #[test]
    fn the_rate_of_equal_work_is_that_of_all_of_it() {
        // A thousand in one second, and a thousand in four.
        let samples = Samples::of_equal_work(&[1_000.0, 250.0]);
        assert_eq!(samples, Samples { value: 400.0, samples: 2, spread: [250.0, 1_000.0] });
    }
}
