//! `portolan centers` and `portolan center`.

use crate::center_bench::{Bench, Verify, speed_of};
use crate::center_check::Check;
use crate::look::Look;
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone, list, or_dash};
use clap::{Args, Subcommand};
use model::{CenterId, Chips, TenantId};
use std::fmt::Write as _;
use wire::view::{Capability, Center, Centers, Lending, Measured, Pool, Readiness, TakenBack};

/// Lines of a command's output that are shown; all that is kept of it is in the JSON.
const LINES: usize = 12;

/// List centers and their pools, or show one center.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only this one, with all that is known of it.
    center: Option<CenterId>,
}

/// Change a center.
#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// Check whether an engine does all that a center's engine has to, by running small jobs on it.
    Check(Box<Check>),
    /// Measure what this host can show: arithmetic, memory, storage, the way to another host, and what
    /// vendors' commands say of accelerators.
    Bench(Box<Bench>),
    Verify(Verify),
    /// Declare a center lost: its attempts are over, and their jobs are placed elsewhere.
    Lost {
        /// Which. Make sure that nothing runs there any more: it cannot be told to stop.
        #[arg(value_name = "CENTER")]
        center: CenterId,
    },
}

impl List {
    /// Prints the centers.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        match self.center {
            Some(center) => session.show(&client.center(&center).await?, detail),
            None => session
                .show(&client.centers().await?, |Centers { centers }, look| table(centers, look)),
        }
    }
}

impl Change {
    /// Changes the center.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let center = match self {
            Self::Check(check) => return check.run(session).await,
            Self::Bench(bench) => return bench.run(session).await,
            Self::Verify(verify) => return verify.run(session).await,
            Self::Lost { center } => center,
        };
        session.client()?.declare_lost(&center).await?;
        note(format!("{center} is declared lost"));
        Ok(())
    }
}

/// Whether its agent is there.
fn agent(center: &Center, look: &Look) -> Cell {
    match (&center.agent, center.silent_since_ms) {
        (None, _) => Cell::new("never joined", Tone::Quiet),
        (Some(_), None) if not_admitted(center).is_some() => Cell::new("not admitted", Tone::Bad),
        (Some(_), None) => Cell::new("there", Tone::Good),
        (Some(_), Some(since)) => {
            Cell::new(format!("silent {}", look.span(since, None)), Tone::Bad)
        }
    }
}

/// Why it is given no work, if it has not shown what is asked.
fn not_admitted(center: &Center) -> Option<&str> {
    center.readiness.as_ref()?.not_admitted.as_deref()
}

/// Centers as a table, a row for each pool; below it, what centers lack of what is asked or declared.
pub(crate) fn table(centers: &[Center], look: &Look) -> String {
    let mut table = Table::new([
        Column::new("CENTER").least(10),
        Column::new("AGENT").rank(1),
        Column::new("ENGINE").rank(5),
        Column::new("JOBS").right().rank(2),
        Column::new("POOL").least(6).rank(4),
        Column::new("CHIP").least(10),
        Column::new("CHIPS HELD").right(),
        Column::new("PER HOUR").right().rank(3),
    ]);
    for center in centers {
        for (i, pool) in center.pools.iter().enumerate() {
            let first = |cell: Cell| if i == 0 { cell } else { "".into() };
            table.row([
                first(center.center.as_str().into()),
                first(agent(center, look)),
                first(engine(center).into()),
                first(center.attempts.into()),
                pool.pool.as_str().into(),
                or_dash(pool.chip.as_ref()).into(),
                held(pool).into(),
                pool.price_per_hour.into(),
            ]);
        }
    }
    let mut text = table.render(look, "no centers");
    for center in centers {
        let name = &center.center;
        if let Some(why) = not_admitted(center) {
            text.push_str(&format!("{name}: {why}\n"));
        }
        for pool in &center.pools {
            if pool.nodes_closed > 0 {
                let (pool, closed, nodes) = (&pool.pool, pool.nodes_closed, pool.nodes);
                text.push_str(&format!(
                    "{name}, pool {pool}: {closed} of {nodes} nodes take no work\n"
                ));
            }
            if let Some(less) = less_than_declared(pool) {
                text.push_str(&format!("{name}, pool {}: {less}\n", pool.pool));
            }
        }
    }
    text
}

/// How a pool was declared and how it was shown, where that is less.
fn less_than_declared(pool: &Pool) -> Option<String> {
    let declared = pool.declared.as_ref()?;
    let mut said = Vec::new();
    if declared.nodes > pool.nodes {
        said.push(format!("declared {} nodes, shown {}", declared.nodes, pool.nodes));
    }
    if declared.chips_per_node > pool.chips_per_node {
        let (declared, shown) = (declared.chips_per_node, pool.chips_per_node);
        said.push(format!("declared {declared} chips a node, shown {shown}"));
    }
    if declared.cores_milli > pool.cores_milli {
        let (declared, shown) = (declared.cores_milli, pool.cores_milli);
        said.push(format!("declared {declared} cores a node, shown {shown}"));
    }
    if declared.memory_bytes > pool.memory_bytes {
        let (declared, shown) = (declared.memory_bytes, pool.memory_bytes);
        said.push(format!("declared {declared} of memory a node, shown {shown}"));
    }
    Some(said.join("; "))
}

/// Chips held of those it has.
fn held(pool: &Pool) -> String {
    if pool.chips_milli == Chips::ZERO {
        "-".to_owned()
    } else {
        format!("{} of {}", pool.chips_held_milli, pool.chips_milli)
    }
}

fn engine(center: &Center) -> String {
    let kind = center.agent.as_ref().map_or(center.engine, |agent| agent.engine);
    format!("{kind:?}").to_lowercase()
}

/// A center with all that is known of it.
pub(crate) fn detail(center: &Center, look: &Look) -> String {
    let mut pairs = vec![("Owner", center.owner.to_string())];
    let mut add = |name, what: Option<String>| pairs.extend(what.map(|what| (name, what)));
    add("Region", center.region.as_ref().map(ToString::to_string));
    let degrees = |micro: i64| {
        let sign = if micro < 0 { "-" } else { "" };
        let micro = micro.unsigned_abs();
        format!("{sign}{}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100)
    };
    let (north, east) = (degrees(center.latitude_micro), degrees(center.longitude_micro));
    add("Place", Some(format!("{north}, {east}; {}", center.time_zone)));
    match &center.agent {
        None => add("Agent", Some("never joined".to_owned())),
        Some(agent) => {
            let here = match center.silent_since_ms {
                None => "there".to_owned(),
                Some(since) => format!("silent since {}", look.moment(since)),
            };
            add("Agent", Some(format!("{here}; version {}", agent.version)));
            add("Engine", Some(format!("{} {}", engine(center), agent.engine_version)));
            add("Limits", Some(agent.enforcement.clone()));
            add("Door", agent.data_url.clone());
            add("Probe", agent.probe_address.clone());
        }
    }
    add("Store", Some(center.store_bytes.map_or("none".to_owned(), |bytes| bytes.to_string())));
    add("Relay", center.relay_bytes.map(|bytes| format!("lends {bytes} to copies in passing")));
    let pue = center.pue_thousandths;
    add("PUE", Some(format!("{}.{:02}", pue / 1_000, pue % 1_000 / 10)));
    add("Grid", carbon(&center.carbon_grams_per_kwh));
    for pool in &center.pools {
        add("Lends", pool.lending.as_ref().map(|lending| lends(pool, lending, look)));
    }
    if !center.only_tenants.is_empty() {
        let tenants: Vec<&str> = center.only_tenants.iter().map(TenantId::as_str).collect();
        add("Tenants", Some(format!("only {}", tenants.join(", "))));
    }
    add("Jobs", Some(center.attempts.to_string()));
    add("Ready", center.readiness.as_ref().map(|readiness| ready(readiness, look)));
    for pool in &center.pools {
        let name = &pool.pool;
        add("Shows", less_than_declared(pool).map(|less| format!("{name}: {less}")));
        add("Speed", pool.capability.as_ref().map(|said| format!("{name}: {}", speed(said, look))));
    }
    let title = look.bold(center.center.as_str());
    let shown: String = center.pools.iter().map(|pool| evidence(pool, look)).collect();
    format!("{title}\n{}\n{}{shown}", list(&pairs, look), pools(center, look))
}

/// How far it is ready for work.
fn ready(readiness: &Readiness, look: &Look) -> String {
    let Readiness { not_admitted, asks, check } = readiness;
    let mut text = match (not_admitted, check, asks) {
        (Some(why), ..) => why.clone(),
        (None, Some(check), Some(asks)) => {
            format!("shows {} of {}, {asks} are asked", check.met, check.asked)
        }
        (None, Some(check), None) => format!("shows {} of {}", check.met, check.asked),
        (None, None, _) => "nothing is asked".to_owned(),
    };
    if let Some(check) = check {
        let _written = write!(text, "; checked {}", look.moment(check.taken_ms));
        for broken in &check.broken {
            let why = broken.why.as_deref().unwrap_or_default();
            let _written = write!(text, "; not met: {} ({why})", broken.requirement);
        }
    }
    text
}

/// How fast a pool's chips are, by whom.
fn speed(said: &Capability, look: &Look) -> String {
    let declared = said.declared.map(|speed| format!("declared {} a chip", speed_of(speed)));
    let verified = said.verified.map(|speed| format!("verified {} a chip", speed_of(speed)));
    let measured = said.measured.as_ref();
    let measured = measured.map(|m| format!("measured {} on {}", look.moment(m.taken_ms), m.host));
    declared.into_iter().chain(verified).chain(measured).collect::<Vec<_>>().join("; ")
}

/// What a pool's speed rests on: figures, commands, and what these said.
fn evidence(pool: &Pool, look: &Look) -> String {
    let measured = pool.capability.as_ref().and_then(|said| said.measured.as_ref());
    let Some(Measured { figures, commands, .. }) = measured else { return String::new() };
    let mut text = format!("\n{}\n", look.bold(&format!("Measured of pool {}", pool.pool)));
    for figure in figures {
        let _written = writeln!(text, "  {figure} ({})", figure.how);
    }
    for said in commands {
        let command = said.command.join(" ");
        let figure = said.figure.as_ref().map_or("nothing read".to_owned(), ToString::to_string);
        let _written = writeln!(text, "  {figure}: {command}");
        for line in said.output.iter().flat_map(|output| output.lines()).take(LINES) {
            let _written = writeln!(text, "    {line}");
        }
        let (bytes, digest) = (model::Bytes(said.output_bytes), said.output_digest.to_string());
        let _written = writeln!(text, "    ({bytes} in all, BLAKE3 {})", &digest[..16]);
    }
    text
}

/// What its electricity comes with.
fn carbon(grams: &[u32]) -> Option<String> {
    let (least, most) = (grams.iter().min()?, grams.iter().max()?);
    Some(match least == most {
        true => format!("{least} g CO2 a kWh"),
        false => format!("{least} to {most} g CO2 a kWh, by the hour of the day"),
    })
}

/// What of a pool is lent, to whom and when, and what of it is taken back.
fn lends(pool: &Pool, lending: &Lending, look: &Look) -> String {
    let Lending { percent, to, windows, notice_ms, guests_milli, recalled } = lending;
    let mut text = format!("{percent} % of {}", pool.pool);
    if let Some(to) = to {
        let _written = write!(text, " to {to}");
    }
    if !windows.is_empty() {
        let _written = write!(text, ", {}", windows.join(", "));
    }
    let _written = write!(text, ", back within {notice_ms}; guests have {guests_milli} chips");
    if let Some(TakenBack { chips_milli, until_ms, .. }) = recalled {
        let until = match until_ms {
            Some(until) => look.moment(*until),
            None => "they are lent again".to_owned(),
        };
        let _written = write!(text, "; {chips_milli} are taken back until {until}");
    }
    text
}

fn pools(center: &Center, look: &Look) -> String {
    let is_counted = center.pools.iter().any(|pool| pool.indicative_price_ms.is_some());
    let counted = is_counted.then(|| Column::new("OTHERS LATER").right().rank(4));
    let usual = [
        Column::new("POOL").least(8),
        Column::new("NODES").right(),
        Column::new("CHIP").least(10),
        Column::new("CHIPS HELD").right(),
        Column::new("CORES HELD").right().rank(1),
        Column::new("MEMORY").right().rank(3),
        Column::new("PER HOUR").right().rank(2),
    ];
    let mut table = Table::new(usual.into_iter().chain(counted));
    for pool in &center.pools {
        let cores = pool.cores_milli.0.saturating_mul(pool.nodes.into());
        let later = pool.indicative_price_ms.map_or("-".to_owned(), |later| later.to_string());
        let usual = [
            pool.pool.as_str().into(),
            pool.nodes.into(),
            or_dash(pool.chip.as_ref()).into(),
            held(pool).into(),
            format!("{} of {}", pool.cores_held_milli, model::Cores(cores)).into(),
            pool.memory_bytes.into(),
            pool.price_per_hour.into(),
        ];
        table.row(usual.into_iter().chain(is_counted.then(|| later.into())));
    }
    table.render(look, "no pools")
}
