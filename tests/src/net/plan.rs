//! What is to be started.

use super::{LAPTOP, Net};

/// A network to be started.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(super) network: String,
    pub(super) serve: Vec<String>,
    pub(super) agent: Vec<String>,
    pub(super) centers: Option<Vec<String>>,
    pub(super) follow: bool,
}

impl Plan {
    /// The network in this file.
    #[must_use]
    pub fn of(network: &str) -> Self {
        let (serve, agent) = (Vec::new(), Vec::new());
        Self { network: network.to_owned(), serve, agent, centers: None, follow: true }
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

    /// With further arguments for every `portolan agent`.
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

    /// Without following the events: for runs of very many facts.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.follow = false;
        self
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
