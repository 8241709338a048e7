//! What is to be started.

use super::{LAPTOP, Net};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wan::Wan;

/// A network to be started.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) network: String,
    pub(super) serve: Vec<String>,
    pub(super) agent: Vec<String>,
    pub(super) centers: Option<Vec<String>>,
    pub(super) doorless: Vec<String>,
    pub(super) engines: BTreeMap<String, PathBuf>,
    pub(super) follow: bool,
    pub(super) wan: Option<Arc<Wan>>,
}

impl Plan {
    /// The network in this file.
    #[must_use]
    pub fn of(network: &str) -> Self {
        let (serve, agent) = (Vec::new(), Vec::new());
        let (network, doorless) = (network.to_owned(), Vec::new());
        let engines = BTreeMap::new();
        Self { network, serve, agent, centers: None, doorless, engines, follow: true, wan: None }
    }

    /// The sample network of three centers.
    #[must_use]
    pub fn laptop() -> Self {
        Self::of(LAPTOP)
    }

    /// With further arguments for `portolan serve`.
    #[must_use]
    pub fn serve(mut self, args: &[&str]) -> Self {
        self.serve.extend(args.iter().map(ToString::to_string));
        self
    }

    /// With further arguments for every `portolan agent`. `{center}` in them is its center, `{site}` the
    /// address of its site in an emulated network.
    #[must_use]
    pub fn agent(mut self, args: &[&str]) -> Self {
        self.agent.extend(args.iter().map(ToString::to_string));
        self
    }

    /// With agents for these centers only.
    #[must_use]
    pub fn only(mut self, centers: &[&str]) -> Self {
        self.centers = Some(centers.iter().map(ToString::to_string).collect());
        self
    }

    /// With what this file says of a center's engine.
    #[must_use]
    pub fn engine_of(mut self, center: &str, file: &Path) -> Self {
        self.engines.insert(center.to_owned(), file.to_owned());
        self
    }

    /// With agents of these centers whose stores others cannot reach.
    #[must_use]
    pub fn doorless(mut self, centers: &[&str]) -> Self {
        self.doorless = centers.iter().map(ToString::to_string).collect();
        self
    }

    /// With each center's agent in the site of this emulated network that has its name. Data crosses
    /// its links; orders and reports come by lines of their own.
    #[must_use]
    pub fn across(mut self, wan: &Arc<Wan>) -> Self {
        self.wan = Some(Arc::clone(wan));
        self
    }

    /// Without following the events: for runs of very many facts.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.follow = false;
        self
    }

    /// The site of a center, where there is an emulated network.
    pub(super) fn site(&self, center: &str) -> Option<wan::Site<'_>> {
        let wan = self.wan.as_deref()?;
        Some(wan.site(center).expect("a site for each center"))
    }

    /// Starts all of it and waits until every agent is there.
    pub async fn start(self) -> Net {
        let mut net = Net::prepare(self).await;
        net.start_server().await;
        net.admit().await;
        let centers: Vec<String> = net.agents.keys().cloned().collect();
        for center in &centers {
            net.spawn_agent(center);
        }
        for center in &centers {
            net.until_there(center).await;
        }
        net
    }
}
