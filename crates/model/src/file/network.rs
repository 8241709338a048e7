//! Network files: centers, exchanges, links and tenants in TOML, over one file or several.
//!
//! | in | key | default |
//! |---|---|---|
//! | `[[center]]` | `center`, `owner`, `region`, `latitude`, `longitude`, `time_zone`, `engine` | |
//! | | `pue` | 1.3 |
//! | | `carbon`: g CO₂ a kWh, one figure or 24 by the hour in its zone | its region's grid's |
//! | | `lend_percent` | 100: all of it |
//! | | `recall_notice` | `"30m"` |
//! | `[center.lending]` | `organizations`, `industries`, `regions` (of homes): to whom it is lent | everyone |
//! | | `relations` to its owner, of `internal`, `partner`, `outside`: likewise | everyone |
//! | | `windows`: when, in its zone (`["Mon-Fri 20:00-08:00", "Sat-Sun"]`) | always |
//! | | `store` | none: it keeps no data |
//! | | `relay`: so much of it for copies in passing between centers without doors | none |
//! | | `partners`: tenants that are its owner's | none |
//! | | `only_tenants`, `data_url`, `external_ids`, `[[center.site]]` for its further sites | none |
//! | `[[center.pool]]` | `pool`, `nodes`, `cores`, `memory` (of one node) | |
//! | | `chip`, `chips_per_node` | none |
//! | | `price_per_chip_hour`; `price_per_node_hour` where there are no chips | |
//! | | `nodes_per_block` | 0: all nodes share one fast interconnect |
//! | | `declared_tflops` (of one chip, bf16) | none |
//! | `[center.pool.lending]` | `percent`, `notice`, and what `[center.lending]` has | its center's |
//! | `[[grid]]` | `region`, `carbon`: what centers in it have that do not say; the smallest counts | 537 |
//! | `[[exchange]]` | `exchange`, `region`, `latitude`, `longitude` | |
//! | `[[link]]` | `link`, `a`, `b`, `capacity` (each way), `latency` (one way) | |
//! | | `carrier`, `price_per_gbps_hour` | |
//! | | `risk_group` | none |
//! | | `sla_round_trip` (99 of 100), `sla_loss_ppm`, `sla_rate_percent` (of what is planned) | not promised |
//! | `[[tenant]]` | `tenant` | |
//! | | `weight` | 1 |
//! | | `parent`, `home`, `industry`, `classes` | none |
//! | | `max_running`, `max_queued` (jobs, with those below it), `budget` (`"5000 card-hours"`) | no limit |
//! | | `within_queue`: `never`, `lower-priority`, `lower-or-newer-equal` | its parent's; else never |
//! | | `reclaim_within_cohort`: `never`, `lower-priority`, `any` | likewise |
//! | | `borrow_within_cohort`: `never`, `lower-priority`; `borrow_within_cohort_max_priority` | likewise |
//! | `[[tenant.quota]]` | `flavor`, `nominal` (chips) | |
//! | | `borrowing_limit`, `lending_limit` (chips) | no limit |
//! | `[[flavor]]` | `flavor` | |
//! | | `chips`, `classes`: which chips | all |
//! | | `centers`, `regions`: where | everywhere |
//! | `[[priority_class]]` | `priority_class`, `value` (any whole number) | |
//! | | `tenants`: only these and all below them may name it | all |
//! | `[admission]` | `readiness`: what centers have to meet of a check (`"16 of 16"`, 0.9) | nothing |

mod check;
mod entry;
mod grid;
mod share;

pub(in crate::file) use entry::OneWay;

use super::section::{Section, Source};
use super::{Catalog, Diagnostic};
use crate::{Admission, Center, Exchange, Flavor, Link, PriorityClass, Tenant};

/// What network files declare, in the order they declare it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkFile {
    /// Centers, each with at least one site and one pool.
    pub centers: Vec<Center>,
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// Links, each between two different sites that are declared too.
    pub links: Vec<Link>,
    /// What quotas are counted in.
    pub flavors: Vec<Flavor>,
    /// Priorities with names.
    pub priority_classes: Vec<PriorityClass>,
    /// Tenants; parents are declared too and there is no circle of them.
    pub tenants: Vec<Tenant>,
    /// What is asked of centers, where that is said.
    pub admission: Option<Admission>,
}

/// Reads a network from its files, each a name and a text, which may refer to each other. Errors
/// are all that is wrong in all of them; a text that is not TOML hides what refers to it.
pub fn read(sources: &[(&str, &str)], catalog: &Catalog) -> Result<NetworkFile, Vec<Diagnostic>> {
    read_beside(sources, catalog, &NetworkFile::default())
}

/// Reads what is to be added to a network that is there: its files may refer to what `beside`
/// has as well as to each other. What they declare under a name that `beside` has is meant
/// to take its place.
pub fn read_beside(
    sources: &[(&str, &str)],
    catalog: &Catalog,
    beside: &NetworkFile,
) -> Result<NetworkFile, Vec<Diagnostic>> {
    let (mut texts, mut wrong) = (Vec::new(), Vec::new());
    for (name, text) in sources {
        match Source::toml(name, text) {
            Ok(source) => texts.push(source),
            Err(diagnostics) => wrong.extend(diagnostics),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut entries = entry::Entries::default();
    for source in &texts {
        entries.read(source.section());
    }
    let network = check::network(entries, catalog, beside);
    let wrong: Vec<_> = texts.iter().flat_map(Source::diagnostics).collect();
    if wrong.is_empty() { Ok(network) } else { Err(wrong) }
}

/// An entry of a network file: its section, for what is found wrong later, its name if that could
/// be read, and its value if all of it could.
struct Entry<'a, Id, T> {
    section: Section<'a>,
    id: Option<Id>,
    value: Option<T>,
}
