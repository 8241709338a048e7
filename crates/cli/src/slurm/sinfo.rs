//! `portolan sinfo`.

use super::columns::Columns;
use crate::session::Session;
use clap::{ArgAction, Args};
use model::{Chips, Cores};
use wire::view::{Center, Centers, Pool};

/// List centers and their pools in Slurm's columns: a center is a partition, a pool a line of it.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Sinfo {
    /// Only these centers.
    #[arg(long, short, value_name = "CENTER", value_delimiter = ',')]
    partition: Vec<String>,
    /// Without the line of titles.
    #[arg(long, short = 'h')]
    noheader: bool,
    /// In these columns: see sinfo's manual.
    #[arg(long, short = 'o', value_name = "FORMAT")]
    format: Option<String>,
    /// Print help.
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

/// Slurm's columns; a center's name is longer than a partition's.
const USUAL: &str = "%12P %5a %.10l %.6D %.6t %N";
/// The fields there are.
const FIELDS: &str = "PRalDtTNcmGX";

impl Sinfo {
    /// Prints the centers.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let columns = Columns::read(self.format.as_deref().unwrap_or(USUAL), FIELDS)?;
        let mut centers = session.client()?.centers().await?;
        let named =
            |center: &Center| self.partition.iter().any(|one| one == center.center.as_str());
        centers.centers.retain(|center| self.partition.is_empty() || named(center));
        session.show(&centers, |centers, _| lines(centers, &columns, !self.noheader))
    }
}

fn lines(centers: &Centers, columns: &Columns, titled: bool) -> String {
    let mut text = String::new();
    if titled {
        text.push_str(&columns.line(|letter| title(letter).to_owned()));
    }
    for center in &centers.centers {
        for pool in &center.pools {
            let open = pool.nodes.saturating_sub(pool.nodes_closed);
            if open > 0 || pool.nodes_closed == 0 {
                text.push_str(&columns.line(|letter| field(center, pool, letter)));
            }
            if pool.nodes_closed > 0 {
                text.push_str(&columns.line(|letter| closed(center, pool, letter)));
            }
        }
    }
    text
}

/// Centers in the usual columns.
#[cfg(test)]
pub(super) fn usual(centers: &Centers, _: &crate::look::Look) -> String {
    lines(centers, &Columns::read(USUAL, FIELDS).expect("they are fields"), true)
}

fn title(letter: char) -> &'static str {
    match letter {
        'P' | 'R' => "PARTITION",
        'a' => "AVAIL",
        'l' => "TIMELIMIT",
        'D' => "NODES",
        't' | 'T' => "STATE",
        'N' => "NODELIST",
        'c' => "CPUS",
        'm' => "MEMORY",
        'G' => "GRES",
        _ => "SOCKETS",
    }
}

fn field(center: &Center, pool: &Pool, letter: char) -> String {
    let is_there = is_there(center);
    match letter {
        'P' | 'R' => center.center.to_string(),
        'a' => if is_there { "up" } else { "down" }.to_owned(),
        'l' => "infinite".to_owned(),
        'D' => pool.nodes.saturating_sub(pool.nodes_closed).to_string(),
        't' => state(pool, is_there).0.to_owned(),
        'T' => state(pool, is_there).1.to_owned(),
        // Which of them are closed only its own system knows.
        'N' if pool.nodes_closed > 0 => pool.pool.to_string(),
        'N' => match pool.nodes {
            0 => String::new(),
            1 => format!("{}-0", pool.pool),
            many => format!("{}-[0-{}]", pool.pool, many - 1),
        },
        'c' => pool.cores_milli.to_string(),
        'm' => (pool.memory_bytes.0 >> 20).to_string(),
        'G' => match &pool.chip {
            Some(chip) => format!("{chip}:{}", pool.chips_per_node),
            None => "(null)".to_owned(),
        },
        _ => "N/A".to_owned(),
    }
}

fn is_there(center: &Center) -> bool {
    center.agent.is_some() && center.silent_since_ms.is_none()
}

/// The same of those nodes that take no work.
fn closed(center: &Center, pool: &Pool, letter: char) -> String {
    match letter {
        'D' => pool.nodes_closed.to_string(),
        't' if is_there(center) => "drain".to_owned(),
        'T' if is_there(center) => "drained".to_owned(),
        other => field(center, pool, other),
    }
}

/// How much of a pool is taken, in short and in full.
fn state(pool: &Pool, is_there: bool) -> (&'static str, &'static str) {
    let open = pool.nodes.saturating_sub(pool.nodes_closed);
    let cores = Cores(pool.cores_milli.0 * u64::from(open));
    let full = match pool.chips_milli > Chips::ZERO {
        true => {
            pool.chips_held_milli >= Chips::whole(u64::from(pool.chips_per_node)).times(open.into())
        }
        false => pool.cores_held_milli >= cores,
    };
    if !is_there {
        ("down*", "down*")
    } else if full {
        ("alloc", "allocated")
    } else if pool.chips_held_milli > Chips::ZERO || pool.cores_held_milli > Cores::ZERO {
        ("mix", "mixed")
    } else {
        ("idle", "idle")
    }
}
