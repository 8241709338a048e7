//! Scenario files: a network, a load, faults, policies, measures and seeds.
//!
//! The one door is [`Scenario::open`]; [`Scenario::case`] then reads or makes the load of one seed,
//! and [`Case::play`] plays it under one policy. [`Scenario::on`] opens one for a network that is
//! there already: then only `[load]` counts, and the file may also be a bare list of jobs.
//!
//! | in | key | default |
//! |---|---|---|
//! | top | `about` | |
//! | | `data`: the folder that files are looked for in, beside the scenario | the scenario's own |
//! | | `seeds` | `[1]` |
//! | `[network]` | one of `files` (network files), `tables = true` (the delta's tables, in `data`), `[network.made]` | |
//! | | `chips`: chip files beside the catalog | none |
//! | `[network.made]` | `centers`, `chips`, `access` and `backbone` (rates), `[[network.made.pools]]` with `chip`, `share`, `price_per_chip_hour` | |
//! | | `chips_per_node`, `store` | 8, none |
//! | `[load]` | one of `[load.delta]`, `[load.csv]`, `[load.philly]`, `[load.openb]`, `[load.gavel]`, `[load.swf]`, `[load.made]`, `[load.sets]` | |
//! | | `speeds`: a table like the delta's `speeds.csv` | all chips have speed 1 |
//! | | `offers`: the load that the jobs offer as they are; `--load` stretches arrivals | 1 |
//! | | `from`, `until` (after the first arrival), `first` (so many jobs) | all |
//! | | `arrivals_divided_by`, `durations_divided_by`, `longest` (cuts run times) | 1, 1, none |
//! | | `limit_factor`: what people ask for, beside what they need, where a list has no limits | 2 |
//! | | `checkpoints`: whether jobs say how often they keep their progress | false |
//! | | `objective` | `"fastest"` |
//! | `[load.due]` | `share` of the jobs that have a deadline, `from` so many times their limit after they came, `to` so many | |
//! | `[load.delta]` | `jobs` (`{seed}` stands for the seed) | |
//! | | `datasets` | `"datasets.csv"` |
//! | `[load.csv]` | `file` | |
//! | | `columns = { submit = "…", chips = "…", work = "…" }` and any other of [`Columns`](crate::load::lists::Columns) | each as it is called there |
//! | `[load.philly]`, `[load.openb]` | `file`; openb: `chips = { T4 = "nvidia-t4" }` | |
//! | `[load.gavel]` | `file`, `throughputs`, `chips = { v100 = "…" }`; `jobs_per_hour` for its generator's lists | |
//! | `[load.swf]` | `file`; `processors_per_chip` | 1 |
//! | `[load.made]` | `jobs`, `over`, `tenants`, `workloads`, `clusters` (a summary like Acme's), `like = { Seren = 0.6 }` | |
//! | | `chip_seconds`, `swing`, `peak`, `largest`, `longest`, `preemptible` | as drawn, 0, noon, any, 30 d, 0 |
//! | `[load.made.data]` | `sets`, `share`, `median`; `zipf`, `sigma` | 1, 1 |
//! | `[load.sets]` | `tenants`: their names, or how many; `[[load.sets.jobs]]` with `workload`, `count`, `run` | |
//! | | `every`, `from`, `chips`, `to` (run times are drawn from `run` to `to`), `limit`, `priority`, `preemptible`, `classes` | 0, 0, 1, `run`, a round figure, 0, false, any |
//! | `[policy]` | `compare`: names of [`Contender`]s, such as `portolan`, `portolan/fair`, `race-to-all` or `race-to-all/priority` | each policy as it comes |
//! | | `loads` | as the jobs offer |
//! | | `aim` | what the real thing plans for: `fair` (as it stands), `mean-completion`, `makespan` or `deadline-first` |
//! | | `reservations`, `solve_every` | as a server's |
//! | | `round`: at which intervals it is worked out what tenants are entitled to; `"0s"` for never | as a server's |
//! | | `preemption`: whether jobs of higher priority take the place of preemptible ones | true |
//! | `[faults]` | chances in thousandths (`lost`, `doubled`, `late`, `not_started`, `cut_short`, `broken_copies`, `damaged_copies`), `latest`, `drift_ppm`, `until` | nothing goes wrong |
//! | `[[faults.event]]` | `after`, `what` (`agent-dies`, `hosts-die`, `cut`, `slow`, `rot`, `server-dies`), `center`, `lasts` (not of `rot`); `declared`, `wiped`, `holds` | |
//! | `[measures]` | `sample`: how often the network is looked at | `"10m"` |

mod case;
mod faults;
mod file;
mod files;
mod made;
mod misread;
mod part;

pub use case::{Case, Played};
pub use misread::Misread;
pub use part::Part;

use crate::baseline::{Baseline, Order};
use crate::fault::Faults;
use crate::load::{Speeds, delta};
use crate::{Error, Setup};
use controller::{Declarations, Settings};
use files::Folders;
use model::Span;
use model::file::{Catalog, network};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A scenario, its network read, its loads not yet.
#[derive(Debug)]
pub struct Scenario {
    /// What it is about, for people.
    pub about: String,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// The loads it is played at, beside what its jobs offer as they are.
    pub loads: Vec<f64>,
    /// Who plays it.
    pub contenders: Vec<Contender>,
    /// Centers, links and tenants.
    pub network: Arc<Declarations>,
    faults: Faults,
    settings: Settings,
    sample: Span,
    speeds: Arc<Speeds>,
    folders: Folders,
    load: file::Load,
    jobs: Option<PathBuf>,
    source: (String, String),
}

/// Who plays a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// The real controller, planner and reconcilers.
    Portolan {
        /// What it plans for, instead of what the scenario says.
        aim: Option<planner::Aim>,
        /// What of it is left out.
        without: Option<Part>,
    },
    /// Another policy.
    Baseline(Baseline),
}

impl Contender {
    /// All there are: every other policy in every order, and the real thing with every aim.
    pub fn all() -> impl Iterator<Item = Self> {
        let ours = aims().map(|aim| Self::Portolan { aim, without: None });
        Baseline::all().map(Self::Baseline).chain(ours)
    }

    /// The real thing with this aim, whole and without each of its parts.
    pub fn ablations(aim: Option<planner::Aim>) -> impl Iterator<Item = Self> {
        let parts = Part::ALL.into_iter().map(Some);
        let all = std::iter::once(None).chain(parts);
        all.map(move |without| Self::Portolan { aim, without })
    }

    /// Who plays where nobody is named: each policy as it comes.
    pub fn usual() -> impl Iterator<Item = Self> {
        Self::all().filter(|contender| match contender {
            Self::Portolan { aim, .. } => aim.is_none(),
            Self::Baseline(baseline) => baseline.order == Order::FirstCome,
        })
    }

    /// Its name in scenarios and tables.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Portolan { aim, without } => {
                let aim = aim.map(|aim| format!("/{aim}")).unwrap_or_default();
                let without = without.map(|part| format!("/without-{}", part.name()));
                format!("portolan{aim}{}", without.unwrap_or_default())
            }
            Self::Baseline(baseline) => baseline.name(),
        }
    }

    /// The contender of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut ours = aims().flat_map(Self::ablations);
        let other = Baseline::named(name).map(Self::Baseline);
        other.or_else(|| ours.find(|contender| contender.name() == name))
    }
}

/// Every aim, and what a scenario says.
fn aims() -> impl Iterator<Item = Option<planner::Aim>> {
    std::iter::once(None).chain(planner::Aim::ALL.into_iter().map(Some))
}

/// What is said beside a scenario's file: by these, a case that nobody wrote a scenario for can be
/// played.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// The folder its files are in.
    pub data: Option<PathBuf>,
    /// Network files instead of its own.
    pub network: Vec<PathBuf>,
    /// The list of jobs instead of its own, in the same form.
    pub jobs: Option<PathBuf>,
    /// What part of each pool owners lend, in percent, instead of what they say; none is each alone.
    pub lend: Option<u8>,
}

impl Scenario {
    /// Reads a scenario's file and its network. Chips are those of `catalog` and of the files that
    /// the scenario names.
    pub fn open(path: &Path, told: &Told, catalog: &Catalog) -> Result<Self, Error> {
        let source = files::read(path)?;
        let file = parse(&source.0, &source.1)?;
        let folders = Folders::new(told.data.as_deref(), file.data.as_deref(), path);
        let network = read_network(&file, told, &folders, catalog, &source)?;
        Self::of(file, network, folders, told, source)
    }

    /// Reads a load for a network that is there already. Beside scenarios, whose network, faults and
    /// policies then mean nothing, a bare list will do: a table (`.csv`) whose columns are named as
    /// [`Columns`](crate::load::lists::Columns) calls them, or a list in the Standard Workload
    /// Format (`.swf`).
    pub fn on(network: Declarations, path: &Path, told: &Told) -> Result<Self, Error> {
        let source = match bare(path) {
            Some(form) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let name = toml::Value::from(&*name);
                let text = format!("about = \"a list\"\n[load.{form}]\nfile = {name}\n");
                (path.display().to_string(), text)
            }
            None => files::read(path)?,
        };
        let mut file = parse(&source.0, &source.1)?;
        (file.faults, file.policy) = (file::Faults::default(), file::Policy::default());
        let folders = Folders::new(told.data.as_deref(), file.data.as_deref(), path);
        Self::of(file, network, folders, told, source)
    }

    fn of(
        file: file::File,
        mut network: Declarations,
        folders: Folders,
        told: &Told,
        source: (String, String),
    ) -> Result<Self, Error> {
        for center in network.centers.iter_mut().filter(|_| told.lend.is_some()) {
            center.lend_percent = told.lend.unwrap_or(center.lend_percent);
            for lending in center.pools.iter_mut().filter_map(|pool| pool.lending.as_mut()) {
                lending.percent = center.lend_percent;
            }
        }
        let contenders = contenders(&file, &source)?;
        check(&file.load, &source)?;
        let speeds = match &file.load.get_ref().speeds {
            None => Speeds::default(),
            Some(name) => {
                let (name, text) = folders.read(name)?;
                delta::speeds(&name, &text)?
            }
        };
        let mut settings = Settings::default();
        let policy = &file.policy;
        if let Some(aim) = policy.aim {
            settings.policy = settings.policy.towards(*aim);
        }
        if let Some(reservations) = policy.reservations {
            settings.policy.reservations = reservations;
        }
        if !policy.preemption {
            settings.policy.preempting = None;
        }
        if let Some(round) = &policy.round {
            settings.policy.round = Some(**round).filter(|round| *round > Span::ZERO);
        }
        if let Some(every) = &policy.solve_every {
            settings.solve_every = **every;
        }
        Ok(Self {
            faults: faults::read(&file.faults, &network, &source)?,
            loads: policy.loads.clone(),
            sample: *file.measures.sample,
            about: file.about,
            seeds: file.seeds,
            network: Arc::new(network),
            load: file.load.into_inner(),
            speeds: Arc::new(speeds),
            jobs: told.jobs.clone(),
            contenders,
            settings,
            folders,
            source,
        })
    }

    /// Chips of all pools together.
    #[must_use]
    pub fn chips(&self) -> model::Chips {
        let pools = self.network.centers.iter().flat_map(|center| &center.pools);
        pools.fold(model::Chips::ZERO, |sum, pool| sum.saturating_add(pool.chips()))
    }

    /// The load that its jobs offer as they are.
    #[must_use]
    pub fn offers(&self) -> f64 {
        self.load.offers
    }

    /// The name and text of its file, for messages.
    fn misread(&self, at: std::ops::Range<usize>, said: impl Into<String>) -> Error {
        misread(&self.source, at, said, None)
    }

    fn setup(&self) -> Setup {
        let mut setup = Setup::new((*self.network).clone());
        setup.settings = self.settings.clone();
        setup.speeds = (*self.speeds).clone();
        setup.faults = self.faults.clone();
        setup.timing.sample = Some(self.sample).filter(|every| *every > Span::ZERO);
        setup
    }
}

/// The form of a list that stands alone, by what its name ends in.
fn bare(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    ["csv", "swf"].into_iter().find(|form| *form == ending)
}

fn misread(
    (file, text): &(String, String),
    at: std::ops::Range<usize>,
    said: impl Into<String>,
    help: Option<&str>,
) -> Error {
    let misread = Misread::at(file, text, at, said);
    Error::Scenario(Box::new(match help {
        Some(help) => misread.help(help),
        None => misread,
    }))
}

fn parse(name: &str, text: &str) -> Result<file::File, Error> {
    toml::from_str(text).map_err(|wrong| {
        let at = wrong.span().unwrap_or(0..0);
        Error::Scenario(Box::new(Misread::at(name, text, at, wrong.message())))
    })
}

/// That the load comes from one place, and that nothing is said of it in vain.
fn check(load: &toml::Spanned<file::Load>, source: &(String, String)) -> Result<(), Error> {
    let wrong = |said: String, help| Err(misread(source, load.span(), said, Some(help)));
    if load.get_ref().forms() != 1 {
        let help = "give one of `[load.delta]`, `[load.csv]`, `[load.philly]`, `[load.openb]`, \
                    `[load.gavel]`, `[load.swf]`, `[load.made]` and `[load.sets]`";
        return wrong("a load comes from one place".to_owned(), help);
    }
    if let Some((key, expected)) = load.get_ref().out_of_range() {
        let help = "the keys and what they mean are in the documentation of scenarios";
        return wrong(format!("`{key}` must be {expected}"), help);
    }
    match load.get_ref().for_lists_only() {
        Some(key) => wrong(
            format!("`{key}` means nothing to a load that is made up"),
            "leave it out; `[load.made]` has keys of its own",
        ),
        None => Ok(()),
    }
}

/// Which contenders there are, for people.
#[must_use]
pub fn known_contenders() -> String {
    let usual: Vec<String> = Contender::usual().map(Contender::name).collect();
    let orders = Order::ALL.into_iter().skip(1).map(|order| format!("/{}", order.name()));
    let aims = planner::Aim::ALL.into_iter().map(|aim| format!("portolan/{aim}"));
    let (orders, aims): (Vec<_>, Vec<_>) = (orders.collect(), aims.collect());
    let (usual, orders, aims) = (usual.join(", "), orders.join(" or "), aims.join(", "));
    let parts = Part::ALL.map(|part| format!("/without-{}", part.name())).join(", ");
    format!(
        "known are {usual}, those of others with {orders} behind them, and {aims}, each also with one of \
         {parts}"
    )
}

fn contenders(file: &file::File, source: &(String, String)) -> Result<Vec<Contender>, Error> {
    let names = &file.policy.compare;
    let named = |name: &String| {
        Contender::named(name).ok_or_else(|| {
            let help = known_contenders();
            misread(source, names.span(), format!("there is no policy `{name}`"), Some(&help))
        })
    };
    names.get_ref().iter().map(named).collect()
}

fn read_network(
    file: &file::File,
    told: &Told,
    folders: &Folders,
    catalog: &Catalog,
    source: &(String, String),
) -> Result<Declarations, Error> {
    let Some(network) = &file.network else {
        let help = "give `[network]` with `files`, `tables = true` or `[network.made]`";
        return Err(misread(source, 0..0, "there is no network", Some(help)));
    };
    let (at, network) = (network.span(), network.get_ref());
    let catalog = &with_chips(catalog, &network.chips, folders)?;
    if !told.network.is_empty() {
        let texts: Result<Vec<_>, _> = told.network.iter().map(|path| files::read(path)).collect();
        return declared(&texts?, catalog);
    }
    match (&network.files, network.tables, &network.made) {
        (Some(names), false, None) => {
            let texts: Result<Vec<_>, _> = names.iter().map(|name| folders.read(name)).collect();
            declared(&texts?, catalog)
        }
        (None, true, None) => delta::network(catalog, &|name| folders.read(name)),
        (None, false, Some(made)) => {
            made::network(made, catalog).map_err(|said| misread(source, at, said, None))
        }
        _ => Err(misread(
            source,
            at,
            "a network comes from one place",
            Some("give one of `files`, `tables = true` and `[network.made]`"),
        )),
    }
}

/// The catalog with chips from further files.
fn with_chips(catalog: &Catalog, names: &[String], folders: &Folders) -> Result<Catalog, Error> {
    let texts: Vec<_> = names.iter().map(|name| folders.read(name)).collect::<Result<_, _>>()?;
    let sources: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    let own = Catalog::read(&sources).map_err(Error::Network)?;
    Ok(catalog.chips().chain(own.chips()).cloned().collect())
}

fn declared(texts: &[(String, String)], catalog: &Catalog) -> Result<Declarations, Error> {
    let sources: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (&**name, &**text)).collect();
    let read = network::read(&sources, catalog).map_err(Error::Network)?;
    Ok(Declarations {
        chips: catalog.chips().cloned().collect(),
        centers: read.centers,
        exchanges: read.exchanges,
        links: read.links,
        flavors: read.flavors,
        priority_classes: read.priority_classes,
        tenants: read.tenants,
        admission: read.admission,
    })
}
