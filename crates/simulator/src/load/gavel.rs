//! Gavel's lists of training jobs (OSDI '20), whose work is a number of steps and whose chips do so
//! many steps a second.
//!
//! Two forms are read: its trace files, tab separated without a head (`job_type`, `command`,
//! `working_dir`, `num_steps_arg`, `needs_data_dir`, `total_steps`, `scale_factor`,
//! `priority_weight`, `SLO`, `arrival_time_s`; or seven of these: `job_type`, `command`,
//! `num_steps_arg`, `needs_data_dir`, `total_steps`, `arrival_time_s`, `scale_factor`), and the
//! output of its generator, comma separated (`job_type`, `scale_factor`, `total_steps`,
//! `arrival_unit`, to be stretched to a rate of arrivals).

use super::ask::{Allowed, Ask, Wish};
use super::rows::{Column, Row, Table, rounded};
use super::{Actual, Ending, Speeds, lists};
use crate::Error;
use model::{ChipId, Chips, Span, TenantId};
use std::collections::BTreeMap;

/// The chip whose speed is 1.
const REFERENCE: &str = "v100";

/// Steps a second by kind of work, and how much faster or slower the other chips are.
#[derive(Debug, Clone)]
pub struct Throughputs {
    /// Each kind is a type of job at a scale.
    pub speeds: Speeds,
    /// Steps a second on the reference, for each kind.
    steps: Vec<f64>,
    /// The same on each chip that was asked for.
    rates: BTreeMap<ChipId, Vec<f64>>,
}

impl Throughputs {
    /// Reads Gavel's matrix: `{chip: {"('job type', scale)": {"null": steps/s, …}}}`. `chips` says
    /// what its chips are called in the catalog; chips that it does not name are left out.
    pub fn read(file: &str, text: &str, chips: &BTreeMap<String, ChipId>) -> Result<Self, Error> {
        type Matrix = BTreeMap<String, BTreeMap<String, BTreeMap<String, serde_json::Value>>>;
        let wrong = |line: usize, said: String| Error::Line {
            file: file.to_owned(),
            line: line as u64,
            said,
            expected: "Gavel's throughputs in JSON: chip, then job type and scale, then steps a \
                       second under `null`"
                .to_owned(),
        };
        let matrix: Matrix =
            serde_json::from_str(text).map_err(|e| wrong(e.line(), e.to_string()))?;
        let reference = matrix
            .get(REFERENCE)
            .ok_or_else(|| wrong(1, format!("there is no chip `{REFERENCE}`")))?;
        let alone = |cell: &BTreeMap<String, serde_json::Value>| {
            cell.get("null").and_then(serde_json::Value::as_f64)
        };
        let mut speeds = Speeds::default();
        let mut steps = Vec::new();
        for (kind, cell) in reference {
            if let Some(rate) = alone(cell).filter(|rate| *rate > 0.0) {
                speeds.kinds.push(kind.clone());
                steps.push(rate);
            }
        }
        let mut rates = BTreeMap::new();
        for (name, chip) in chips {
            let of =
                matrix.get(name).ok_or_else(|| wrong(1, format!("there is no chip `{name}`")))?;
            let steps_of = |kind: &String| of.get(kind).and_then(alone).unwrap_or(0.0);
            rates.insert(chip.clone(), speeds.kinds.iter().map(steps_of).collect());
            let speed = |(kind, rate): (&String, &f64)| {
                let steps = steps_of(kind);
                rounded(steps / rate * 1_000.0).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
            };
            let all = speeds.kinds.iter().zip(&steps).map(speed).collect();
            speeds.of.insert(chip.clone(), all);
        }
        Ok(Self { speeds, steps, rates })
    }

    /// Steps a second of a kind on a chip; zero where it does not run.
    #[must_use]
    pub fn rate(&self, chip: &ChipId, kind: u16) -> f64 {
        let rates = self.rates.get(chip);
        rates.and_then(|rates| rates.get(usize::from(kind))).copied().unwrap_or(0.0)
    }

    /// The number of a kind.
    fn kind(&self, job_type: &str, scale: u64) -> Option<u16> {
        let name = format!("('{job_type}', {scale})");
        let number = self.speeds.kinds.iter().position(|kind| *kind == name)?;
        u16::try_from(number).ok()
    }
}

/// Where a list has what.
struct Places {
    job_type: Column,
    steps: Column,
    scale: Column,
    arrival: Column,
    /// Seconds of one unit of arrival.
    unit: f64,
}

/// A job of a list, as it stands there.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Its type.
    pub job_type: String,
    /// Its type at its scale, among the throughputs' kinds.
    pub kind: u16,
    /// Chips of its gang.
    pub scale: u64,
    /// Its work.
    pub steps: f64,
    /// When it comes, in seconds.
    pub arrival_s: f64,
}

/// Reads a list as it stands. `jobs_per_hour` is for lists of the generator.
///
/// # Errors
///
/// A line or cell that is not what belongs there.
pub fn list(
    file: &str,
    text: &str,
    throughputs: &Throughputs,
    jobs_per_hour: f64,
) -> Result<Vec<Listed>, Error> {
    let (table, places) = open(file, text, jobs_per_hour)?;
    let read = |row: Row<'_>| {
        let scale: u64 = row.get(places.scale, "a number of chips")?;
        let job_type = row.text(places.job_type).to_owned();
        let kind = throughputs.kind(&job_type, scale).ok_or_else(|| {
            row.wrong(places.job_type, &format!("a type with a throughput at scale {scale}"))
        })?;
        let steps: f64 = row.get(places.steps, "a number of steps")?;
        if !(steps.is_finite() && steps >= 0.0) {
            return Err(row.wrong(places.steps, "a number of steps"));
        }
        let arrival: f64 = row.get(places.arrival, "a time")?;
        let arrival_s = arrival * places.unit;
        if rounded(arrival_s * 1_000.0).is_none() {
            return Err(row.wrong(places.arrival, "a time, zero or more"));
        }
        Ok(Listed { job_type, kind, scale, steps, arrival_s })
    };
    table.rows().map(read).collect()
}

/// Reads a list. All jobs are of one tenant and run on the chips the throughputs name; limits are
/// round figures. `jobs_per_hour` is for lists of the generator.
pub fn jobs(
    file: &str,
    text: &str,
    throughputs: &Throughputs,
    jobs_per_hour: f64,
    factor: f64,
) -> Result<Vec<Ask>, Error> {
    let models: Vec<ChipId> = throughputs.speeds.of.keys().cloned().collect();
    let tenant = TenantId::new("gavel").expect("a slug");
    let ask = |listed: Listed| {
        let kind = listed.kind;
        let seconds = listed.steps / throughputs.steps[usize::from(kind)];
        let work = Span(rounded(seconds * 1_000.0).unwrap_or(u64::MAX).max(1));
        let after = Span(rounded(listed.arrival_s * 1_000.0).unwrap_or(u64::MAX));
        let limit = lists::asked(work, factor);
        let wish = Wish {
            kind,
            on: Allowed::Models(models.clone()),
            ..Wish::plain(tenant.clone(), &listed.job_type, Chips::whole(listed.scale), limit)
        };
        Ask { after, wish, actual: Actual { work, kind, ending: Ending::Success } }
    };
    let listed = list(file, text, throughputs, jobs_per_hour)?;
    let mut asks: Vec<Ask> = listed.into_iter().map(ask).collect();
    asks.sort_by_key(|ask| ask.after);
    Ok(asks)
}

fn open(file: &str, text: &str, jobs_per_hour: f64) -> Result<(Table, Places), Error> {
    let first = text.lines().next().unwrap_or_default();
    if !first.contains('\t') {
        let table = Table::read(file, text)?;
        let [job_type, steps, scale, arrival] =
            table.columns(["job_type", "total_steps", "scale_factor", "arrival_unit"])?;
        let unit = 3_600.0 / jobs_per_hour.max(f64::MIN_POSITIVE);
        return Ok((table, Places { job_type, steps, scale, arrival, unit }));
    }
    let table = Table::read_tabs(file, text)?;
    let at = |steps, scale, arrival| Places {
        job_type: Column::at(0),
        steps: Column::at(steps),
        scale: Column::at(scale),
        arrival: Column::at(arrival),
        unit: 1.0,
    };
    match first.split('\t').count() {
        10 => Ok((table, at(5, 6, 9))),
        7 => Ok((table, at(4, 6, 5))),
        n => Err(Error::Line {
            file: file.to_owned(),
            line: 1,
            said: format!("there are {n} columns"),
            expected: "the 10 or 7 of Gavel's traces".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throughputs() -> Throughputs {
        let json = r#"{"v100": {"('LM', 1)": {"null": 10.0}}, "k80": {"('LM', 1)": {"null": 1.0,
                       "('LM', 1)": [0.5, 0.5]}}}"#;
        let chips = ["v100", "k80"].map(|name| (name.to_owned(), ChipId::new(name).unwrap()));
        Throughputs::read("t.json", json, &BTreeMap::from(chips)).unwrap()
    }

    #[test]
    fn work_is_steps_at_the_speed_of_the_reference() {
        let throughputs = throughputs();
        let trace = "LM\tcmd\tdir\t-n\t1\t1000\t1\t1\t-1.0\t60\n";
        let asks = jobs("x.trace", trace, &throughputs, 1.0, 1.0).unwrap();
        assert_eq!(asks[0].actual.work, Span::from_secs(100));
        assert_eq!(asks[0].after, Span::from_secs(60));
        let k80 = ChipId::new("k80").unwrap();
        assert_eq!(throughputs.speeds.thousandths(Some(&k80), 0), 100);
        let generated = "job_id,job_type,scale_factor,total_steps,arrival_unit\n0,LM,1,10,2.5\n";
        let asks = jobs("g.csv", generated, &throughputs, 2.0, 1.0).unwrap();
        assert_eq!(asks[0].after, Span::from_secs(4_500));
        let wrong = jobs("x.trace", &trace.replace("LM", "GAN"), &throughputs, 1.0, 1.0);
        assert!(wrong.unwrap_err().to_string().starts_with("x.trace:1: column 1: found `GAN`"));
    }
}
