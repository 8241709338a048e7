//! How a center's Ray is used.

use crate::batch::span;
use crate::{Error, RunAs};
use model::Span;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// How long what no node could ever take waits for one that can, if nothing else is said.
const PATIENCE: Span = Span::from_secs(60);

/// How a center's Ray is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RayConfig {
    /// Where its dashboard is: `http://host:8265`.
    pub url: String,
    /// The file that holds the cluster's token, where it asks for one (`RAY_AUTH_MODE=token`).
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The user and group that attempts run as; another than the agent's own needs an agent that is
    /// root, and a Ray that is root or that user. None for the agent's own, who must not be root.
    #[serde(default)]
    pub run_as: Option<RunAs>,
    /// How long an attempt that no node of the cluster could ever take waits for a node that can, until
    /// it is given back. One minute if nothing is said; longer where nodes are started on demand.
    #[serde(default = "patience", deserialize_with = "span")]
    pub patience: Span,
    /// What each pool is in Ray; one that is not named here is any node, without chips.
    #[serde(default)]
    pub pools: BTreeMap<String, RayPool>,
}

/// What a pool is in Ray.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RayPool {
    /// The resource that its chips are, such as `GPU`, `NPU` or a custom one; needed where it has chips.
    pub resource: Option<String>,
    /// Further resources that each attempt takes, and how much of each: a little of what only this
    /// pool's nodes have keeps it to them, such as `"accelerator_type:A100" = 0.001`.
    pub resources: BTreeMap<String, f64>,
    /// Whether its nodes are started on demand: then what was declared of them counts, whatever is there now.
    pub on_demand: bool,
}

impl RayConfig {
    /// Whom attempts run as; or what is wrong with it.
    pub(super) fn check(&self) -> Result<RunAs, Error> {
        let wrong = |why: String| Err(Error::Setup(why));
        if !self.url.starts_with("http://") && !self.url.starts_with("https://") {
            return wrong(format!(
                "[ray] `url` is `{}`; it should be that of Ray's dashboard, like `http://ray-head:8265`",
                self.url
            ));
        }
        let wanting = |(_, amount): &(&String, &f64)| !amount.is_finite() || **amount <= 0.0;
        for (name, pool) in &self.pools {
            if let Some(own) =
                ["CPU", "memory"].iter().find(|own| pool.resources.contains_key(**own))
            {
                return wrong(format!(
                    "[ray.pools.{name}] takes `{own}`, which each job asks for itself: leave it out"
                ));
            }
            if let Some((resource, amount)) = pool.resources.iter().find(wanting) {
                return wrong(format!(
                    "[ray.pools.{name}] takes {amount} of `{resource}`; it should be more than 0"
                ));
            }
        }
        let (own, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
        let user = self.run_as.unwrap_or(RunAs { uid: own.as_raw(), gid: group.as_raw() });
        if user.uid == 0 {
            let why = "tenants' jobs would run as root: say whom they are to run as in `run_as` of [ray], \
                       or start the agent as that user";
            return wrong(why.to_owned());
        }
        if user.uid != own.as_raw() && !own.is_root() {
            return wrong(format!(
                "only root can give files to user {}: start the agent as root, or as that user",
                user.uid
            ));
        }
        Ok(user)
    }
}

const fn patience() -> Span {
    PATIENCE
}
