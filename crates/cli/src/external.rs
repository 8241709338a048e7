//! External stores: trying them, and registering data that lies in them.

use crate::dataset::{self, versions};
use crate::failure::{Code, Failure};
use crate::look::Look;
use crate::progress;
use crate::session::{Session, note};
use crate::table::{Cell, Column, Table, Tone, or_dash};
use anyhow::Context;
use clap::Args;
use model::{Bytes, CenterId, DatasetId, DatasetVersion, Region, Span, TenantId};
use serde::Serialize;
use std::path::{Path, PathBuf};
use transfer::external::{Checked, Finding, Surveyed};
use transfer::{ExternalStore, ExternalStores, Location, Progress};
use wire::view::Announcement;

/// Try the stores that a file for `portolan agent --stores` names: whether each is reached, read,
/// written to, and gives parts of files. Writes a small file to each and removes it.
#[derive(Debug, Args)]
pub(crate) struct Stores {
    /// The file.
    file: PathBuf,
}

/// Register data where it lies, in an external store of a center, as a new version of a dataset.
/// Reads every byte once and moves none. To be run beside the center's agent.
#[derive(Debug, Args)]
pub(crate) struct Register {
    /// The dataset's name.
    name: DatasetId,
    /// In which center.
    #[arg(long, value_name = "CENTER")]
    at: CenterId,
    /// Where it lies: a directory, or a single file.
    #[arg(long = "in", value_name = "STORE:PATH")]
    location: Location,
    /// The file that names the center's stores, as its agent has it.
    #[arg(long, value_name = "FILE", env = "PORTOLAN_STORES")]
    stores: PathBuf,
    /// The directory of the center's agent.
    #[arg(long, value_name = "DIR", env = "PORTOLAN_AGENT_DIR")]
    dir: PathBuf,
    /// A file with the paths of the data's files, one a line: for web servers, which cannot list.
    #[arg(long, value_name = "FILE")]
    files: Option<PathBuf>,
    /// Regions it may not leave, such as cn/yrd; it may go anywhere where none is named.
    #[arg(long, value_name = "REGION", num_args = 1..)]
    residency: Vec<Region>,
    /// For which tenant; operators must say.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<TenantId>,
}

impl Register {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        let root = store_of(&self.dir)?;
        let found = self.survey().await?;
        let data = DatasetVersion { dataset: self.name, version: found.manifest.version() };
        let announcement = Announcement {
            dataset: data.dataset.clone(),
            version: data.version,
            bytes: found.manifest.bytes(),
            files: found.manifest.files.len() as u64,
            center: self.at.clone(),
            residency: self.residency,
        };
        // First, since the center lets go of what its server does not know.
        client.announce(&announcement, self.tenant.as_ref()).await?;
        let registered = data.clone();
        tokio::task::spawn_blocking(move || {
            transfer::register_in_place(&root, &registered, found.into())
        })
        .await??;
        let there = dataset::confirmed(&client, &data, &self.at).await?;
        session.show(&there, versions)
    }

    async fn survey(&self) -> anyhow::Result<Surveyed> {
        let stores = ExternalStores::read(&self.stores)?;
        let files = match &self.files {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read {}", file.display()))?;
                text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            None => Vec::new(),
        };
        let progress = Progress::default();
        let survey = stores.survey(&self.location, &files, &progress);
        let surveyed = progress::follow(self.location.to_string(), &progress, survey).await;
        Ok(surveyed?)
    }
}

/// The store in an agent's directory.
fn store_of(dir: &Path) -> Result<PathBuf, Failure> {
    let root = dir.join("store");
    if root.join("in-place").is_dir() {
        return Ok(root);
    }
    let what = format!("{} is not the directory of an agent", dir.display());
    let help = "run this beside the center's agent, once it has been started, with its --dir";
    Err(Failure::said(Code::Invalid, what).help(help))
}

/// What came of trying a store.
#[derive(Debug, Serialize)]
struct Tried {
    store: String,
    kind: String,
    tier: String,
    recall_ms: Span,
    capacity_bytes: Option<Bytes>,
    can_serve: bool,
    reachable: Word,
    readable: Word,
    writable: Word,
    ranges: Word,
}

/// What came of one try.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "can", content = "why")]
enum Word {
    Yes,
    No(String),
    Untried(String),
}

impl From<&Finding> for Word {
    fn from(finding: &Finding) -> Self {
        match finding {
            Finding::Yes => Self::Yes,
            Finding::No(error) => Self::No(error.to_string()),
            Finding::Untried(why) => Self::Untried((*why).to_owned()),
        }
    }
}

impl Tried {
    fn new(store: &ExternalStore, checked: &Checked) -> Self {
        Self {
            store: store.name().to_owned(),
            kind: store.kind().to_string(),
            tier: store.tier().to_string(),
            recall_ms: store.recall_time(),
            capacity_bytes: store.capacity(),
            can_serve: checked.can_serve(),
            reachable: (&checked.reachable).into(),
            readable: (&checked.readable).into(),
            writable: (&checked.writable).into(),
            ranges: (&checked.ranges).into(),
        }
    }

    fn findings(&self) -> [(&'static str, &Word); 4] {
        let Self { reachable, readable, writable, ranges, .. } = self;
        [("reached", reachable), ("read", readable), ("written", writable), ("in parts", ranges)]
    }
}

impl Stores {
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let stores = ExternalStores::read(&self.file)?;
        let bar = progress::spinner("trying the stores".to_owned());
        let tries = stores.iter().map(|store| async {
            let checked = store.check().await;
            Tried::new(store, &checked)
        });
        let tried = futures::future::join_all(tries).await;
        bar.finish_and_clear();
        session.show(&tried, |tried, look| table(tried, look))?;
        for store in &tried {
            for (what, word) in store.findings() {
                match word {
                    Word::Yes => {}
                    Word::No(why) => note(format!("{}, {what}: {why}", store.store)),
                    Word::Untried(why) => {
                        note(format!("{}, {what}: not tried, {why}", store.store));
                    }
                }
            }
        }
        match tried.iter().all(|store| store.can_serve) {
            true => Ok(()),
            false => Err(Failure::Told(Code::Failed).into()),
        }
    }
}

fn table(tried: &[Tried], look: &Look) -> String {
    let mut table = Table::new([
        Column::new("STORE").least(8),
        Column::new("KIND"),
        Column::new("TIER").rank(3),
        Column::new("RECALL").right().rank(2),
        Column::new("CAPACITY").right().rank(1),
        Column::new("REACHED"),
        Column::new("READ"),
        Column::new("WRITTEN"),
        Column::new("IN PARTS"),
    ]);
    for store in tried {
        let recall = (store.recall_ms > Span::ZERO).then_some(store.recall_ms);
        let words = store.findings().map(|(_, word)| match word {
            Word::Yes => Cell::new("yes", Tone::Good),
            Word::No(_) => Cell::new("no", Tone::Bad),
            Word::Untried(_) => Cell::new("-", Tone::Quiet),
        });
        let about: [Cell; 5] = [
            (&store.store).into(),
            (&store.kind).into(),
            (&store.tier).into(),
            or_dash(recall).into(),
            or_dash(store.capacity_bytes).into(),
        ];
        table.row(about.into_iter().chain(words));
    }
    table.render(look, "no stores")
}
