//! `portolan data keep`, `copy`, `archive`, `evict`, `du` and `scrub`.

use crate::dataset::{archiving, reference};
use crate::failure::{Code, Failure};
use crate::look::Look;
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone, list, or_dash};
use crate::transfer::{paths, sources};
use clap::Args;
use model::{CenterId, DatasetId, Moment, Span, StoreId};
use wire::view::{
    self, CopyPlan, CopyState, ExternalStore, Holding, Keeping, Outlook, Store, StoreDetail,
    Stores, WantedArchive, WantedCopy,
};

/// Say what is to be kept of a dataset, or show it.
#[derive(Debug, Args)]
pub(crate) struct Keep {
    /// Which.
    name: DatasetId,
    /// How many verified copies each version has at least.
    #[arg(long, value_name = "N")]
    copies: Option<u32>,
    /// How many versions are kept, the newest; `all` for all.
    #[arg(long, value_name = "N|all")]
    versions: Option<String>,
    /// How long after it was registered each version expires, such as 30d.
    #[arg(long = "for", value_name = "SPAN", conflicts_with_all = ["until", "forever"])]
    span: Option<Span>,
    /// When all versions there are by then expire, such as 2027-01-01T00:00:00+08:00.
    #[arg(long, value_name = "TIME", conflicts_with = "forever")]
    until: Option<Moment>,
    /// Nothing expires.
    #[arg(long)]
    forever: bool,
    /// Centers whose copies stay.
    #[arg(long, value_name = "CENTER", num_args = 1..)]
    pin: Vec<CenterId>,
    /// Centers whose copies may go again.
    #[arg(long, value_name = "CENTER", num_args = 1..)]
    unpin: Vec<CenterId>,
    /// Say what would come of it, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Keep {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let before = client.dataset(&self.name).await?.keeping;
        let after = self.changed(&before)?;
        if after == before {
            return session.show(&before, rules);
        }
        let outlook = client.keep(&self.name, &after, self.dry_run).await?;
        if self.dry_run {
            session.show(&outlook, |outlook, look| told(outlook, &after, look))?;
            note("nothing was done");
            return Ok(());
        }
        session.show(&outlook, |outlook, look| told(outlook, &after, look))
    }

    fn changed(&self, before: &Keeping) -> Result<Keeping, Failure> {
        let mut after = before.clone();
        after.copies = self.copies.unwrap_or(before.copies);
        match self.versions.as_deref() {
            None => {}
            Some("all") => after.versions = None,
            Some(text) => {
                let wrong = |_| {
                    let what = format!("`--versions {text}` is neither a number nor `all`");
                    Failure::said(Code::Invalid, what)
                };
                after.versions = Some(text.parse().map_err(wrong)?);
            }
        }
        if self.forever || self.span.is_some() || self.until.is_some() {
            (after.expires_at_ms, after.expires_after_ms) = (self.until, self.span);
        }
        after.pinned.retain(|center| !self.unpin.contains(center));
        after.pinned.extend(self.pin.iter().cloned());
        after.pinned.sort_unstable();
        after.pinned.dedup();
        Ok(after)
    }
}

/// The rules, one a line.
pub(crate) fn rules(keeping: &Keeping, look: &Look) -> String {
    let copies = match keeping.copies {
        1 => "1 at least".to_owned(),
        many => format!("{many} at least, in different centers"),
    };
    let versions = match keeping.versions {
        None => "all".to_owned(),
        Some(1) => "the newest".to_owned(),
        Some(many) => format!("the newest {many}"),
    };
    let expires = match (keeping.expires_at_ms, keeping.expires_after_ms) {
        (Some(at), _) => look.moment(at),
        (None, Some(after)) => format!("{after} after it was registered"),
        (None, None) => "never".to_owned(),
    };
    let pinned: Vec<&str> = keeping.pinned.iter().map(CenterId::as_str).collect();
    let pinned = if pinned.is_empty() { "-".to_owned() } else { pinned.join(" ") };
    let pairs =
        [("copies", copies), ("versions", versions), ("expires", expires), ("pinned", pinned)];
    list(&pairs, look)
}

/// The rules, and what comes of them.
fn told(outlook: &Outlook, keeping: &Keeping, look: &Look) -> String {
    let mut text = rules(keeping, look);
    for missing in &outlook.missing {
        let (version, many) = (missing.version.short(), missing.copies);
        let word = if many == 1 { "copy" } else { "copies" };
        text.push_str(&format!("of {version}, {many} more {word} will be made\n"));
    }
    for going in &outlook.going {
        text.push_str(&format!("{} goes everywhere: {}\n", going.version.short(), going.why));
    }
    text
}

/// Have a copy brought to a center.
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// Of which dataset; NAME@VERSION for a version that is not the newest.
    #[arg(value_name = "NAME[@VERSION]")]
    name: String,
    /// In whose store it should be.
    #[arg(long, value_name = "CENTER")]
    to: CenterId,
    /// Say from where, over what, until when and at what price, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Copy {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let data = reference(&client, &self.name).await?;
        let wanted = WantedCopy { center: self.to.clone(), version: data.version };
        let plan = client.copy(&data.dataset, &wanted, self.dry_run).await?;
        if self.dry_run {
            session.show(&plan, |plan, look| journey(plan, &self.to, look))?;
            note("nothing was done");
            return Ok(());
        }
        session.show(&plan, |plan, look| journey(plan, &self.to, look))
    }
}

/// How a copy comes.
fn journey(plan: &CopyPlan, to: &CenterId, look: &Look) -> String {
    let Some(transfer) = &plan.transfer else { return format!("{to} has a copy already\n") };
    let first = match transfer.to == *to {
        true => transfer.to.to_string(),
        false => format!("{}, in passing; {to} gets it from there", transfer.to),
    };
    let pairs = [
        ("data", format!("{}@{}", transfer.dataset, transfer.version.short())),
        ("size", transfer.bytes.to_string()),
        ("from", sources(transfer)),
        ("to", first),
        ("over", paths(transfer)),
        ("arrives", look.moment(transfer.arrives_ms)),
        ("price", transfer.price.to_string()),
    ];
    list(&pairs, look)
}

/// Have a center's copy put into an external store of its, such as an archive.
#[derive(Debug, Args)]
pub(crate) struct Archive {
    /// Of which dataset; NAME@VERSION for a version that is not the newest.
    #[arg(value_name = "NAME[@VERSION]")]
    name: String,
    /// Whose copy.
    #[arg(long, value_name = "CENTER")]
    at: CenterId,
    /// Into which of its external stores: `portolan data du --center CENTER` lists them.
    #[arg(long, value_name = "STORE")]
    to: StoreId,
    /// Say whether it can be put there, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Archive {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let data = reference(&client, &self.name).await?;
        let Self { at, to, dry_run, .. } = self;
        let wanted = WantedArchive { center: at.clone(), store: to.clone(), version: data.version };
        let plan = client.archive(&data.dataset, &wanted, dry_run).await?;
        let (copy, bytes) = (format!("{}@{}", data.dataset, plan.version.short()), plan.bytes);
        let told = match (plan.is_there, dry_run) {
            (true, _) => format!("{copy} is in {to} of {at} already"),
            (false, true) => {
                format!("{copy}, {bytes}, can be put into {to} of {at}; nothing was done")
            }
            (false, false) => format!(
                "{copy}, {bytes}, is being put into {to} of {at}; `portolan data ls {}` shows when \
                 it is there",
                data.dataset
            ),
        };
        session.tell(&plan, told)
    }
}

/// Remove a copy from a center.
#[derive(Debug, Args)]
pub(crate) struct Evict {
    /// Of which dataset; NAME@VERSION for a version that is not the newest.
    #[arg(value_name = "NAME[@VERSION]")]
    name: String,
    /// From whose store.
    #[arg(long, value_name = "CENTER")]
    at: CenterId,
    /// Say whether it can go, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Evict {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let data = reference(&client, &self.name).await?;
        client.evict(&data, &self.at, self.dry_run).await?;
        note(match self.dry_run {
            true => format!("the copy of {data} in {} can go; nothing was done", self.at),
            false => format!("the copy of {data} in {} goes", self.at),
        });
        Ok(())
    }
}

/// Show how full stores are, or what is in one and why it stays.
#[derive(Debug, Args)]
pub(crate) struct Du {
    /// Only this center's, with every copy in it.
    #[arg(long, value_name = "CENTER")]
    center: Option<CenterId>,
}

impl Du {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        match self.center {
            None => session.show(&client.stores().await?, stores),
            Some(center) => session.show(&client.store(&center).await?, store),
        }
    }
}

/// Stores as a table.
pub(crate) fn stores(stores: &Stores, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("CENTER").least(10),
        Column::new("HOLDS").right(),
        Column::new("COPIES").right(),
        Column::new("EVICTABLE").right().rank(1),
        Column::new("COMING").right().rank(2),
        Column::new("OTHER").right().rank(3),
        Column::new("FREE").right(),
    ]);
    for store in &stores.stores {
        table.row([
            store.center.as_str().into(),
            capacity(store).into(),
            store.copies_bytes.into(),
            store.evictable_bytes.into(),
            store.coming_bytes.into(),
            store.other_bytes.into(),
            store.free_bytes.into(),
        ]);
    }
    table.render(look, "no center keeps a store")
}

/// How much a store holds; with a mark where nobody has measured it.
fn capacity(store: &Store) -> String {
    let mark = if store.is_measured { "" } else { " (declared)" };
    format!("{}{mark}", store.capacity_bytes)
}

/// What is in a store, as a table; first what would go first.
pub(crate) fn store(detail: &StoreDetail, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("DATASET").least(10),
        Column::new("VERSION"),
        Column::new("SIZE").right(),
        Column::new("STATE"),
        Column::new("NEEDED").right().rank(2),
        Column::new("CHECKED").right().rank(3),
        Column::new("STAYS BECAUSE").least(12).rank(1),
    ]);
    for copy in &detail.copies {
        let (needed, verified) = match copy.state {
            CopyState::Whole { needed_ms, verified_ms, .. } => (Some(needed_ms), Some(verified_ms)),
            _ => (None, None),
        };
        table.row([
            copy.dataset.as_str().into(),
            copy.version.short().into(),
            copy.bytes.into(),
            state(copy),
            or_dash(needed.map(|at| look.when(at))).into(),
            or_dash(verified.map(|at| look.when(at))).into(),
            or_dash(copy.stays.as_ref()).into(),
        ]);
    }
    let Store { capacity_bytes, free_bytes, evictable_bytes, .. } = detail.store;
    let sum = format!(
        "{free_bytes} of {capacity_bytes} free, {evictable_bytes} more could be made free\n"
    );
    let mut text = table.render(look, "no copies") + &sum;
    if !detail.external.is_empty() {
        text = text + "\n" + &external(&detail.external, look);
    }
    for copy in &detail.archiving {
        let line = archiving((&copy.version, &copy.store), None, copy.failed.as_deref());
        text.push_str(&format!("{}@{line}", copy.dataset));
    }
    text
}

/// External stores as a table.
fn external(stores: &[ExternalStore], look: &Look) -> String {
    let mut table = Table::new([
        Column::new("EXTERNAL").least(8),
        Column::new("KIND"),
        Column::new("TIER"),
        Column::new("RECALL").right(),
        Column::new("COPIES").right(),
        Column::new("CAPACITY").right(),
        Column::new("TAKES"),
    ]);
    for store in stores {
        let recall = (store.recall_ms > Span::ZERO).then_some(store.recall_ms);
        table.row([
            store.store.as_str().into(),
            store.kind.as_str().into(),
            store.tier.as_str().into(),
            or_dash(recall).into(),
            store.copies_bytes.into(),
            or_dash(store.capacity_bytes).into(),
            if store.takes { "yes" } else { "no" }.into(),
        ]);
    }
    table.render(look, "")
}

fn state(copy: &Holding) -> Cell {
    let word = match (&copy.in_store, &copy.also_in) {
        (Some(store), _) => format!("{}, in {store}", copy.state.word()),
        (None, Some(store)) => format!("{}, and in {store}", copy.state.word()),
        (None, None) => copy.state.word().to_owned(),
    };
    match copy.state {
        CopyState::Whole { .. } => Cell::new(word, Tone::Good),
        CopyState::Doubted | CopyState::Leaving { .. } => Cell::new(word, Tone::Busy),
        CopyState::Damaged { .. } => Cell::new(word, Tone::Bad),
    }
}

/// Have copies read, and what is damaged repaired from others.
#[derive(Debug, Args)]
pub(crate) struct Scrub {
    /// Of which dataset; of all where none is named.
    name: Option<DatasetId>,
    /// In whose store; in all where none is named.
    #[arg(long, value_name = "CENTER")]
    at: Option<CenterId>,
    /// Say how many copies would be read, and do nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Scrub {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let which = view::Scrub { dataset: self.name, center: self.at };
        let scrubbing = session.client()?.scrub(&which, self.dry_run).await?;
        let copies = match scrubbing.copies {
            1 => "1 copy".to_owned(),
            many => format!("{many} copies"),
        };
        let told = match self.dry_run {
            true => format!("{copies} would be read; nothing was done"),
            false => format!("{copies} will be read, one after the other in each center"),
        };
        session.tell(&scrubbing, told)
    }
}
