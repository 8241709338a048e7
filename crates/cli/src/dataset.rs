//! `portolan data`.

use crate::external;
use crate::failure::{Code, Failure};
use crate::keeping;
use crate::look::Look;
use crate::progress;
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone};
use anyhow::Context;
use clap::{Args, Subcommand};
use client::Client;
use model::{
    CenterId, DatasetId, DatasetRef, DatasetVersion, Digest, Manifest, Region, StoreId, TenantId,
};
use std::path::PathBuf;
use std::time::Duration;
use transfer::{Pace, Progress, Source};
use wire::view::{self, Announcement, Dataset, Datasets, Ticket};

/// Put data into the network, keep, copy, check and read it.
#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Put a file or a directory into a center's store, as a new version of a dataset.
    Put(Put),
    Register(external::Register),
    /// List datasets, or the versions of one.
    Ls {
        /// Only this one, with all its versions.
        name: Option<DatasetId>,
    },
    Keep(keeping::Keep),
    Copy(keeping::Copy),
    Archive(keeping::Archive),
    Evict(keeping::Evict),
    Du(keeping::Du),
    Scrub(keeping::Scrub),
    /// Remove a dataset with all its versions and copies.
    Rm {
        /// Which.
        name: DatasetId,
        /// Say what would go, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write a file of a dataset to standard output, verified.
    Cat {
        /// Which dataset; NAME@VERSION for one that is not the newest. The first digits of the
        /// version will do.
        #[arg(value_name = "NAME[@VERSION]")]
        name: String,
        /// Which file; may be left out where there is only one.
        path: Option<String>,
    },
}

/// What to put where.
#[derive(Debug, Args)]
pub(crate) struct Put {
    /// A file or a directory.
    #[arg(value_name = "FILE|DIR")]
    from: PathBuf,
    /// The dataset's name.
    #[arg(long, value_name = "NAME")]
    name: DatasetId,
    /// Into whose store.
    #[arg(long, value_name = "CENTER")]
    at: CenterId,
    /// Regions it may not leave, such as cn/yrd; it may go anywhere where none is named.
    #[arg(long, value_name = "REGION", num_args = 1..)]
    residency: Vec<Region>,
    /// For which tenant; operators must say.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
}

/// How often to look whether a copy is registered.
const AGAIN: Duration = Duration::from_millis(250);
/// How long a center may take to tell of a copy it has.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many files of a dataset are named where one has to be chosen.
const NAMED: usize = 20;

impl Data {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        match self {
            Self::Put(put) => put.run(session).await,
            Self::Register(register) => register.run(session).await,
            Self::Ls { name: None } => session.show(&session.client()?.datasets().await?, table),
            Self::Ls { name: Some(name) } => {
                session.show(&session.client()?.dataset(&name).await?, versions)
            }
            Self::Keep(keep) => keep.run(session).await,
            Self::Copy(copy) => copy.run(session).await,
            Self::Archive(archive) => archive.run(session).await,
            Self::Evict(evict) => evict.run(session).await,
            Self::Du(du) => du.run(session).await,
            Self::Scrub(scrub) => scrub.run(session).await,
            Self::Rm { name, dry_run } => {
                let client = session.client()?;
                client.remove_dataset(&name, dry_run).await?;
                if dry_run {
                    session.show(&client.dataset(&name).await?, versions)?;
                    note("all of this would go; nothing was done");
                    return Ok(());
                }
                note(format!("{name} is removed with all its versions and copies"));
                Ok(())
            }
            Self::Cat { name, path } => cat(session, &name, path.as_deref()).await,
        }
    }
}

impl Put {
    async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let manifest = self.survey().await?;
        let data = DatasetVersion { dataset: self.name.clone(), version: manifest.version() };
        let announcement = Announcement {
            dataset: data.dataset.clone(),
            version: data.version,
            bytes: manifest.bytes(),
            files: manifest.files.len() as u64,
            center: self.at.clone(),
            residency: self.residency.clone(),
        };
        let ticket = client.announce(&announcement, self.tenant.as_ref()).await?;
        let there = client.dataset(&data.dataset).await?;
        if registered(&there, &data.version, &self.at) {
            note(format!("{data} is there already"));
            return session.show(&there, versions);
        }
        self.upload(&manifest, &data, &ticket).await?;
        let there = confirmed(&client, &data, &self.at).await?;
        session.show(&there, versions)
    }

    /// The manifest of what is to be put.
    async fn survey(&self) -> anyhow::Result<Manifest> {
        let bar = progress::spinner(format!("hashing {}", self.from.display()));
        let from = self.from.clone();
        let manifest = tokio::task::spawn_blocking(move || transfer::survey(&from)).await?;
        bar.finish_and_clear();
        Ok(manifest?)
    }

    async fn upload(
        &self,
        manifest: &Manifest,
        data: &DatasetVersion,
        ticket: &Ticket,
    ) -> anyhow::Result<()> {
        let (http, pace, progress) = (http()?, Pace::unlimited(), Progress::default());
        let to = source(ticket);
        let copy = transfer::upload(&http, &self.from, manifest, data, &to, &pace, &progress);
        let message = format!("{} to {}", self.name, self.at);
        let result = progress::follow(message, &progress, copy).await;
        let arrived = result.map_err(|error| {
            let help = "run the same command again: what has arrived is not sent again";
            Failure::said(Code::Failed, chain(&error)).help(help)
        })?;
        if arrived.corrupted > 0 {
            note(format!("{} chunks arrived damaged and were sent again", arrived.corrupted));
        }
        Ok(())
    }
}

/// Waits until a center has told of its copy.
pub(crate) async fn confirmed(
    client: &Client,
    data: &DatasetVersion,
    center: &CenterId,
) -> anyhow::Result<Dataset> {
    let bar = progress::spinner(format!("waiting for {center} to confirm its copy"));
    let asking = async {
        loop {
            match client.dataset(&data.dataset).await {
                Ok(there) if registered(&there, &data.version, center) => return Ok(there),
                Ok(_) => {}
                Err(error) if error.is_transient() => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    let there = tokio::time::timeout(PATIENCE, asking).await;
    bar.finish_and_clear();
    let late = |_| {
        let what = format!("{center} has the data and has not told the server so far");
        let help = format!("`portolan data ls {}` shows when it has", data.dataset);
        Failure::said(Code::Failed, what).help(help)
    };
    Ok(there.map_err(late)??)
}

fn registered(dataset: &Dataset, version: &Digest, center: &CenterId) -> bool {
    dataset.versions.iter().any(|v| v.version == *version && v.replicas.contains(center))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn source(ticket: &Ticket) -> Source {
    Source { url: ticket.url.clone(), ticket: ticket.ticket.clone() }
}

fn http() -> anyhow::Result<reqwest::Client> {
    let patience = Duration::from_secs(10);
    reqwest::Client::builder().connect_timeout(patience).build().context("no HTTP client")
}

async fn cat(session: &Session, name: &str, path: Option<&str>) -> anyhow::Result<()> {
    let client = session.client()?;
    let ticket = client.read_ticket(&reference(&client, name).await?, None).await?;
    let data = DatasetVersion { dataset: ticket.dataset.clone(), version: ticket.version };
    let (http, from) = (http()?, source(&ticket));
    let path = match path {
        Some(path) => path.to_owned(),
        None => only(transfer::manifest(&http, &from, &data).await?.manifest(), &data)?,
    };
    transfer::cat(&http, &from, &data, &path, &mut tokio::io::stdout()).await?;
    Ok(())
}

/// The dataset, and the version where one is named, that `NAME[@VERSION]` means.
pub(crate) async fn reference(client: &Client, text: &str) -> anyhow::Result<DatasetRef> {
    let (name, digits) = match text.split_once('@') {
        Some((name, version)) => (name.parse::<DatasetId>()?, Some(version)),
        None => (text.parse()?, None),
    };
    let version = match digits {
        Some(digits) => Some(full(&client.dataset(&name).await?, digits)?),
        None => None,
    };
    Ok(DatasetRef { dataset: name, version })
}

/// The version of a dataset that begins with these digits.
fn full(dataset: &Dataset, digits: &str) -> Result<Digest, Failure> {
    let fits = |version: &&Digest| version.to_string().starts_with(digits);
    let mut found = dataset.versions.iter().map(|v| &v.version).filter(fits);
    let name = &dataset.dataset;
    let help = format!("`portolan data ls {name}` lists its versions");
    match (found.next(), found.next()) {
        (Some(version), None) => Ok(*version),
        (Some(_), Some(_)) => {
            let what = format!("several versions of {name} begin with `{digits}`");
            Err(Failure::said(Code::Invalid, what).help(help))
        }
        (None, _) => {
            let what = format!("{name} has no version `{digits}`");
            Err(Failure::said(Code::NotFound, what).help(help))
        }
    }
}

/// The only file of a manifest.
fn only(manifest: &Manifest, data: &DatasetVersion) -> Result<String, Failure> {
    if let [file] = &*manifest.files {
        return Ok(file.path.clone());
    }
    let names: Vec<&str> = manifest.files.iter().take(NAMED).map(|f| &*f.path).collect();
    let more = if manifest.files.len() > NAMED { ", …" } else { "" };
    let what = format!("{} has {} files", data.dataset, manifest.files.len());
    let help = format!("name one of them: {}{more}", names.join(", "));
    Err(Failure::said(Code::Invalid, what).help(help))
}

const COLUMNS: [Column; 8] = [
    Column::new("DATASET").least(10),
    Column::new("VERSION"),
    Column::new("SIZE").right(),
    Column::new("FILES").right().rank(2),
    Column::new("TENANT").least(8).rank(3),
    Column::new("COPIES").least(10),
    Column::new("AGE").right().rank(1),
    Column::new("RESIDENCY").least(8).rank(4),
];

/// Datasets as a table, each with its newest version.
pub(crate) fn table(datasets: &Datasets, look: &Look) -> String {
    let mut table = Table::new(COLUMNS);
    for dataset in &datasets.datasets {
        if let Some(newest) = dataset.versions.len().checked_sub(1) {
            row(&mut table, dataset, newest, look);
        }
    }
    table.render(look, "no datasets")
}

/// The versions of a dataset as a table, newest first, and what is to be archived of them or could not
/// be.
pub(crate) fn versions(dataset: &Dataset, look: &Look) -> String {
    let mut table = Table::new(COLUMNS);
    for version in (0..dataset.versions.len()).rev() {
        row(&mut table, dataset, version, look);
    }
    let mut text = table.render(look, "no versions");
    for version in dataset.versions.iter().rev() {
        for view::Archiving { center, store, failed } in &version.archiving {
            text.push_str(&archiving((&version.version, store), Some(center), failed.as_deref()));
        }
    }
    text
}

/// What comes of a copy that is to be put into an external store.
pub(crate) fn archiving(
    (version, store): (&Digest, &StoreId),
    center: Option<&CenterId>,
    failed: Option<&str>,
) -> String {
    let at = center.map_or_else(String::new, |center| format!(" of {center}"));
    match failed {
        None => format!("{} is being put into {store}{at}\n", version.short()),
        Some(why) => format!("{} could not be put into {store}{at}: {why}\n", version.short()),
    }
}

fn row(table: &mut Table, dataset: &Dataset, version: usize, look: &Look) {
    let version = &dataset.versions[version];
    let copy = |copy: &view::Copy| match (&copy.state, &copy.in_store, &copy.also_in) {
        (view::CopyState::Whole { .. }, None, None) if copy.passing => {
            format!("{} (in passing)", copy.center)
        }
        (view::CopyState::Whole { .. }, None, None) => copy.center.to_string(),
        (view::CopyState::Whole { .. }, Some(store), _) => format!("{} (in {store})", copy.center),
        (view::CopyState::Whole { .. }, None, Some(store)) => {
            format!("{} (and in {store})", copy.center)
        }
        _ => format!("{} ({})", copy.center, copy.state.word()),
    };
    // First what is amiss: the rest may be cut off.
    let is_whole = |copy: &&view::Copy| matches!(copy.state, view::CopyState::Whole { .. });
    let (whole, amiss): (Vec<_>, Vec<_>) = version.copies.iter().partition(is_whole);
    let copies: Vec<String> = amiss.into_iter().chain(whole).map(copy).collect();
    let tone =
        if version.replicas.is_empty() && !copies.is_empty() { Tone::Bad } else { Tone::Plain };
    let regions: Vec<String> = version.residency.iter().map(ToString::to_string).collect();
    table.row([
        dataset.dataset.as_str().into(),
        version.version.short().into(),
        version.bytes.into(),
        version.files.into(),
        dataset.tenant.as_str().into(),
        match copies.is_empty() {
            true => "none yet".into(),
            false => Cell::new(copies.join(" "), tone),
        },
        look.span(version.registered_ms, None).into(),
        if regions.is_empty() { "-".into() } else { regions.join(" ").into() },
    ]);
}
