//! What is known of how good links and paths are.

use model::link::Hop;
use model::quality::{LinkRated, Measured, PathMeasured, Verdict};
use model::{CenterId, LinkId, Moment, Rate};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// How many windows of each path and link are kept; of older ones only the count of verdicts is.
const KEPT: usize = 12;

/// What is known of how good links and paths are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Quality {
    /// From whom to whom. Of each pair of centers one probes; transfers go either way.
    paths: BTreeMap<CenterId, Arc<BTreeMap<CenterId, Arc<Windows>>>>,
    /// By name, of links between two centers: what was measured over them and no other.
    links: BTreeMap<LinkId, Arc<Windows>>,
    /// Links that are planned at less than their capacity.
    rated: BTreeMap<LinkId, Rate>,
    /// The newest window of a transfer or a test that told of a link, since it was last rated.
    told: BTreeMap<LinkId, Window>,
    /// What told of the rate of each direction of a link, since it was last declared.
    #[serde(default)]
    rates: BTreeMap<Hop, RateTold>,
}

/// What told of the rate of a direction of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateTold {
    /// When anything last did.
    pub at: Moment,
    /// The newest window of a test.
    pub tested: Option<Window>,
}

/// A window of a measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When it was reported.
    pub at: Moment,
    /// What it showed.
    pub path: Arc<PathMeasured>,
}

/// Windows of one path or link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Windows {
    /// The newest with test packets.
    pub probed: Option<Window>,
    /// The newest with a transfer.
    pub delivered: Option<Window>,
    /// The newest with a test.
    #[serde(default)]
    pub tested: Option<Window>,
    /// The newest windows of all kinds, oldest first; a bounded number.
    pub recent: VecDeque<Window>,
    /// In how many windows all that was promised and measured held.
    pub held: u64,
    /// In how many it did not.
    pub broken: u64,
}

impl Windows {
    fn add(&mut self, window: Window) {
        match window.path.verdict {
            Verdict::Held => self.held += 1,
            Verdict::Broken { .. } => self.broken += 1,
            Verdict::Unknown => {}
        }
        let newest = match &window.path.measured {
            Measured::Probed(_) => &mut self.probed,
            Measured::Delivered(delivered) if delivered.tested => &mut self.tested,
            Measured::Delivered(_) => &mut self.delivered,
        };
        *newest = Some(window.clone());
        self.recent.push_back(window);
        if self.recent.len() > KEPT {
            self.recent.pop_front();
        }
    }
}

impl Quality {
    /// What was measured from one center to another.
    #[must_use]
    pub fn path(&self, from: &CenterId, to: &CenterId) -> Option<&Windows> {
        self.paths.get(from)?.get(to).map(Arc::as_ref)
    }

    /// What was measured between centers: from whom, to whom.
    pub fn paths(&self) -> impl Iterator<Item = (&CenterId, &CenterId, &Windows)> {
        let from = self.paths.iter();
        from.flat_map(|(from, to)| to.iter().map(move |(to, windows)| (from, to, &**windows)))
    }

    /// What was measured over a link and no other.
    #[must_use]
    pub fn link(&self, link: &LinkId) -> Option<&Windows> {
        self.links.get(link).map(Arc::as_ref)
    }

    /// What new transfers over a link are planned at, where that is less than its capacity.
    #[must_use]
    pub fn rated(&self, link: &LinkId) -> Option<Rate> {
        self.rated.get(link).copied()
    }

    /// The newest window of a transfer or a test that told of a link, since it was last rated.
    #[must_use]
    pub fn told(&self, link: &LinkId) -> Option<&Window> {
        self.told.get(link)
    }

    /// What told of the rate of a direction of a link, since the link was last declared.
    #[must_use]
    pub fn rate_told(&self, hop: &Hop) -> Option<&RateTold> {
        self.rates.get(hop)
    }

    /// Takes in a window.
    pub(crate) fn measured(&mut self, at: Moment, path: &Arc<PathMeasured>) {
        let window = Window { at, path: Arc::clone(path) };
        if let Measured::Delivered(delivered) = &path.measured
            && let Some(link) = &delivered.narrowest
        {
            self.told.insert(link.clone(), window.clone());
            if let Some(hop) = path.hops.iter().find(|hop| hop.link == *link) {
                let told = RateTold { at, tested: None };
                let told = self.rates.entry(hop.clone()).or_insert(told);
                told.at = at;
                if delivered.tested {
                    told.tested = Some(window.clone());
                }
            }
        }
        if let [hop] = path.hops.as_slice() {
            let link = self.links.entry(hop.link.clone()).or_default();
            Arc::make_mut(link).add(window.clone());
        }
        let to = Arc::make_mut(self.paths.entry(path.from.clone()).or_default());
        Arc::make_mut(to.entry(path.to.clone()).or_default()).add(window);
    }

    /// Takes in a rating. What was seen before it says nothing of it.
    pub(crate) fn rate(&mut self, fact: &LinkRated) {
        self.told.remove(&fact.link);
        match fact.rate {
            Some(rate) => self.rated.insert(fact.link.clone(), rate),
            None => self.rated.remove(&fact.link),
        };
    }

    /// A link was declared anew: whoever owns it says what it is now.
    pub(crate) fn declared(&mut self, link: &LinkId) {
        self.told.remove(link);
        self.rated.remove(link);
        self.rates.retain(|hop, _| hop.link != *link);
    }
}
