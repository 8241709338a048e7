//! Lists of jobs that others published, each in its own form.

use super::ask::{Allowed, Ask, Wish, plain_actual};
use super::rows::{Row, Table};
use super::{Actual, Ending, Speeds};
use crate::Error;
use model::{Bytes, ChipId, Chips, Cores, Moment, Span, TenantId};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What people ask for where a list does not say: the next round figure.
const ROUND: [u64; 16] = [
    600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400, 172_800, 345_600, 604_800, 1_209_600,
    2_592_000, 5_184_000, 10_368_000, 31_536_000,
];

/// The limit somebody asks for who expects to need this long: a round figure, so that it gives away
/// little of what the job turns out to be.
#[must_use]
pub fn round_limit(expected: Span) -> Span {
    let round = ROUND.into_iter().map(Span::from_secs).find(|limit| *limit >= expected);
    round.unwrap_or(expected)
}

/// The limit for a job of a list without limits.
pub(super) fn asked(work: Span, factor: f64) -> Span {
    round_limit(super::rows::rounded(work.0 as f64 * factor.max(1.0)).map_or(work, Span))
}

/// Sorts by time and lets time begin with the first.
fn in_order(mut asks: Vec<(u64, Ask)>) -> Vec<Ask> {
    asks.sort_by_key(|(at, _)| *at);
    let first = asks.first().map_or(0, |(at, _)| *at);
    let ask = |(at, ask): (u64, Ask)| Ask { after: Span(at - first), ..ask };
    asks.into_iter().map(ask).collect()
}

/// A name made a slug: what may not stand in one becomes a hyphen.
fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let slug: String = name.chars().map(plain).take(50).collect();
    let slug = slug.trim_matches('-').to_owned();
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(&slug(name)).expect("a slug was made of it")
}

/// Reads the job list of Microsoft's Philly clusters: `timestamp`, `duration` (seconds), `num_gpus`,
/// `cluster` (the tenant). It has no limits: each asks for a round figure, at least `factor` times
/// what it needs. It does not say how jobs ended.
pub fn philly(file: &str, text: &str, factor: f64) -> Result<Vec<Ask>, Error> {
    let table = Table::read(file, text)?;
    let [at, duration, chips, cluster] =
        table.columns(["timestamp", "duration", "num_gpus", "cluster"])?;
    let read = |row: Row<'_>| {
        let expected = "a local time such as `2017-10-23 00:01:40`";
        let moment: Moment =
            format!("{}Z", row.text(at)).parse().map_err(|_| row.wrong(at, expected))?;
        let work = row.seconds(duration)?;
        let chips = Chips::whole(row.get(chips, "a number of chips")?);
        let wish = Wish::plain(tenant(row.text(cluster)), "train", chips, asked(work, factor));
        let ask = Ask { after: Span::ZERO, wish, actual: plain_actual(work, Ending::Success) };
        Ok((moment.0, ask))
    };
    Ok(in_order(table.rows().map(read).collect::<Result<_, _>>()?))
}

/// Reads a pod list of openb (cluster-trace-gpu-v2023): `cpu_milli`, `memory_mib`, `num_gpu`,
/// `gpu_milli` (a share where there is one GPU), `gpu_spec`, `qos` (the tenant), `pod_phase`,
/// `creation_time`, `deletion_time`, `scheduled_time` in seconds. `gpu_spec` counts for chips that
/// `models` names; pods without a GPU are left out.
pub fn openb(
    file: &str,
    text: &str,
    models: &BTreeMap<String, ChipId>,
    factor: f64,
) -> Result<Vec<Ask>, Error> {
    let table = Table::read(file, text)?;
    let [cpu, memory, gpus, milli, spec] =
        table.columns(["cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec"])?;
    let [qos, phase, created, deleted, scheduled] =
        table.columns(["qos", "pod_phase", "creation_time", "deletion_time", "scheduled_time"])?;
    let read = |row: Row<'_>| {
        let count: u64 = row.get(gpus, "a number of GPUs")?;
        let share: u64 = row.get(milli, "thousandths of a GPU")?;
        if count == 0 {
            return Ok(None);
        }
        let at = row.seconds(created)?;
        let began = if row.text(scheduled).is_empty() { at } else { row.seconds(scheduled)? };
        let work = row.seconds(deleted)?.saturating_sub(began);
        let wanted = row.text(spec).split('|').filter_map(|name| models.get(name).cloned());
        let wanted: Vec<ChipId> = wanted.collect();
        let memory: u64 = row.get(memory, "a number of MiB")?;
        let wish = Wish {
            on: if wanted.is_empty() { Allowed::Any } else { Allowed::Models(wanted) },
            cores: Cores(row.get(cpu, "thousandths of a core")?),
            memory: Bytes(memory.saturating_mul(1 << 20)),
            ..Wish::plain(
                tenant(row.text(qos)),
                "pod",
                if count == 1 { Chips(share) } else { Chips::whole(count) },
                asked(work, factor),
            )
        };
        let ending = if row.text(phase) == "Failed" { Ending::Failure } else { Ending::Success };
        Ok(Some((at.0, Ask { after: Span::ZERO, wish, actual: plain_actual(work, ending) })))
    };
    let asks: Vec<Option<(u64, Ask)>> = table.rows().map(read).collect::<Result<_, _>>()?;
    Ok(in_order(asks.into_iter().flatten().collect()))
}

/// Which column of a table holds what. Times are in seconds; `end` is `ok`, `failed` or `cancelled`;
/// `classes` and `models` are joined by `|` or `+`. A table whose columns nobody tells has them under
/// the names of these fields.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Columns {
    /// When a job is submitted.
    pub submit: String,
    /// How many chips it needs; may be a fraction of one.
    pub chips: String,
    /// How long it runs at speed 1.
    pub work: String,
    /// For whom it is; all are for `everybody` where this is left out.
    pub tenant: Option<String>,
    /// What it has in common with jobs that run alike.
    pub workload: Option<String>,
    /// The most it may run; a round figure where this is left out.
    pub limit: Option<String>,
    /// A column of the speeds.
    pub kind: Option<String>,
    /// Classes of chips it can run on; any where this is left out, or a cell of it empty.
    pub classes: Option<String>,
    /// Chips it can run on, instead of classes.
    pub models: Option<String>,
    /// How it ends; well where this is left out.
    pub end: Option<String>,
    /// The dataset it reads.
    pub dataset: Option<String>,
    /// `1` where it may be stopped and requeued.
    pub preemptible: Option<String>,
    /// How often it keeps its progress.
    pub checkpoint: Option<String>,
    /// Higher goes first within the tenant.
    pub priority: Option<String>,
    /// Cores of all its nodes together.
    pub cores: Option<String>,
    /// Its memory in GiB, all nodes together.
    pub memory_gib: Option<String>,
}

impl Columns {
    /// The names that columns have where nobody tells others; of what may be left out, those that
    /// stand in the table's head.
    fn usual(head: &[String]) -> Self {
        let there = |name: &str| head.iter().any(|n| n == name).then(|| name.to_owned());
        Self {
            submit: "submit".to_owned(),
            chips: "chips".to_owned(),
            work: "work".to_owned(),
            tenant: there("tenant"),
            workload: there("workload"),
            limit: there("limit"),
            kind: there("kind"),
            classes: there("classes"),
            models: there("models"),
            end: there("end"),
            dataset: there("dataset"),
            preemptible: there("preemptible"),
            checkpoint: there("checkpoint"),
            priority: there("priority"),
            cores: there("cores"),
            memory_gib: there("memory_gib"),
        }
    }
}

/// Reads any table; its columns are those told, or have the names of [`Columns`].
pub fn csv(
    file: &str,
    text: &str,
    told: Option<&Columns>,
    speeds: &Speeds,
    factor: f64,
) -> Result<Vec<Ask>, Error> {
    let table = Table::read(file, text)?;
    let names = &told.cloned().unwrap_or_else(|| Columns::usual(table.head()));
    let [submit, chips, work] = table.columns([&names.submit, &names.chips, &names.work])?;
    let of = |name: &Option<String>| name.as_ref().map(|n| table.column(n)).transpose();
    let (owner, workload, limit) = (of(&names.tenant)?, of(&names.workload)?, of(&names.limit)?);
    let (kind, classes, models) = (of(&names.kind)?, of(&names.classes)?, of(&names.models)?);
    let (end, dataset, preemptible) =
        (of(&names.end)?, of(&names.dataset)?, of(&names.preemptible)?);
    let (checkpoint, priority) = (of(&names.checkpoint)?, of(&names.priority)?);
    let (cores, memory) = (of(&names.cores)?, of(&names.memory_gib)?);
    let read = |row: Row<'_>| {
        let work = row.seconds(work)?.max(Span(1));
        let kind = kind.map_or(Ok(0), |column| row.kind(column, speeds))?;
        let chips = Chips(row.thousandths(chips)?.into());
        let limit = limit.map_or(Ok(asked(work, factor)), |column| row.seconds(column))?;
        let name = workload.map_or("job", |column| row.text(column));
        let classes = classes.map_or(Ok(vec![]), |column| row.items(column, "classes of chips"))?;
        let models =
            models.map_or(Ok(vec![]), |column| row.items(column, "chips of the catalog"))?;
        let on = match (&*classes, &*models) {
            ([], []) => Allowed::Any,
            ([], _) => Allowed::Models(models),
            _ => Allowed::Classes(classes),
        };
        let span = |column| {
            if row.text(column).is_empty() { Ok(None) } else { row.seconds(column).map(Some) }
        };
        let gib = memory.map_or(Ok(0), |column| row.get::<u64>(column, "a number of GiB"))?;
        let wish = Wish {
            kind,
            on,
            cores: Cores(cores.map_or(Ok(0), |column| row.thousandths(column))?.into()),
            memory: Bytes(gib.saturating_mul(1 << 30)),
            dataset: dataset.map_or(Ok(None), |column| row.maybe(column, "a dataset's name"))?,
            preemptible: preemptible.is_some_and(|column| row.text(column) == "1"),
            checkpoint: checkpoint.map_or(Ok(None), span)?,
            priority: priority.map_or(Ok(0), |column| row.get(column, "a whole number"))?,
            ..Wish::plain(tenant(owner.map_or("everybody", |c| row.text(c))), name, chips, limit)
        };
        let ending = end.map_or(Ok(Ending::Success), |column| row.ending(column))?;
        let ask = Ask { after: Span::ZERO, wish, actual: Actual { work, kind, ending } };
        Ok((row.seconds(submit)?.0, ask))
    };
    Ok(in_order(table.rows().map(read).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_philly_list_is_sorted_and_its_clusters_are_the_tenants() {
        let text = "timestamp,duration,num_gpus,gpu_time,cluster\n\
                    2017-10-23 00:02:00,60.0,8,480.0,11CB_48\n\
                    2017-10-23 00:01:40,4000.0,1,4000.0,6214e9\n";
        let asks = philly("p.csv", text, 2.0).unwrap();
        assert_eq!(asks[0].wish.tenant.as_str(), "6214e9");
        assert_eq!(asks[0].wish.limit, Span::from_secs(14_400));
        assert_eq!(asks[1].after, Span::from_secs(20));
        assert_eq!(asks[1].wish.tenant.as_str(), "11cb-48");
        let wrong = philly("p.csv", &text.replace("2017-10-23 00:02:00", "monday"), 2.0);
        assert!(wrong.unwrap_err().to_string().starts_with("p.csv:2: column `timestamp`"));
    }

    #[test]
    fn a_pod_asks_for_a_share_of_one_gpu_or_for_whole_ones() {
        let text = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,\
                    creation_time,deletion_time,scheduled_time\n\
                    a,6000,1024,1,460,,LS,Running,100,400,200\n\
                    b,6000,1024,2,1000,T4,BE,Failed,0,10,\n\
                    c,6000,1024,0,0,,BE,Running,0,10,0\n";
        let models = BTreeMap::from([("T4".to_owned(), ChipId::new("nvidia-t4").unwrap())]);
        let asks = openb("pods.csv", text, &models, 1.0).unwrap();
        assert_eq!(asks.len(), 2);
        assert_eq!(asks[0].wish.chips, Chips(2_000));
        assert_eq!(asks[0].wish.on, Allowed::Models(vec![ChipId::new("nvidia-t4").unwrap()]));
        assert_eq!(asks[0].actual.ending, Ending::Failure);
        assert_eq!(asks[1].wish.chips, Chips(460));
        assert_eq!(asks[1].actual.work, Span::from_secs(200));
        assert_eq!(asks[1].after, Span::from_secs(100));
    }

    #[test]
    fn any_table_will_do_once_its_columns_are_told() {
        let names = Columns {
            submit: "t".to_owned(),
            chips: "gpus".to_owned(),
            work: "run".to_owned(),
            tenant: Some("who".to_owned()),
            workload: None,
            limit: None,
            kind: None,
            classes: Some("on".to_owned()),
            models: None,
            end: None,
            dataset: None,
            preemptible: None,
            checkpoint: None,
            priority: None,
            cores: None,
            memory_gib: None,
        };
        let text = "t,who,gpus,run,on\n5,Ann,0.5,100,cuda|cann\n3,bob,8,1,cuda\n";
        let asks = csv("x.csv", text, Some(&names), &Speeds::default(), 1.0).unwrap();
        assert_eq!(asks[1].wish.tenant.as_str(), "ann");
        assert_eq!(asks[1].wish.chips, Chips(500));
        assert_eq!(asks[1].after, Span::from_secs(2));
        let Allowed::Classes(classes) = &asks[1].wish.on else { panic!("classes were told") };
        assert_eq!(classes.len(), 2);
        let wrong =
            csv("x.csv", &text.replace("gpus", "cards"), Some(&names), &Speeds::default(), 1.0);
        assert!(wrong.unwrap_err().to_string().contains("there is no column `gpus`"));
    }

    #[test]
    fn a_table_whose_columns_nobody_tells_has_them_under_their_own_names() {
        let text = "submit,tenant,chips,work,priority,models,note\n0,lab,2,1.5,7,,x\n";
        let asks = csv("x.csv", text, None, &Speeds::default(), 1.0).unwrap();
        let Ask { wish, actual, .. } = &asks[0];
        assert_eq!(wish.on, Allowed::Any);
        assert_eq!((wish.tenant.as_str(), wish.chips, wish.priority), ("lab", Chips(2_000), 7));
        assert_eq!((actual.work, wish.workload.as_str()), (Span(1_500), "job"));
        let wrong = csv("x.csv", "submit,chips\n0,1\n", None, &Speeds::default(), 1.0);
        assert!(wrong.unwrap_err().to_string().contains("there is no column `work`"));
    }
}
