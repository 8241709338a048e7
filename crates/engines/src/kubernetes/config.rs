//! How a center's Kubernetes is used.

use crate::batch::span;
use crate::{Error, RunAs};
use model::{Span, TenantId};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How long what should not take long is waited for, if nothing else is said.
const PATIENCE: Span = Span::from_secs(600);

/// How a center's Kubernetes is used.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The file that says how its API server is reached. None for what `KUBECONFIG` names, or
    /// `~/.kube/config`, or, in a pod of the cluster, the pod's own service account.
    #[serde(default)]
    pub kubeconfig: Option<PathBuf>,
    /// Which of that file's contexts, if not its present one.
    #[serde(default)]
    pub context: Option<String>,
    /// The namespace of all Jobs, if not the context's or the pod's own.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The user and group that attempts run as; another than the agent's own needs an agent that is
    /// root. None for the agent's own, who must not be root.
    #[serde(default)]
    pub run_as: Option<RunAs>,
    /// The container image of jobs that name none, where their pool says nothing else. Any image needs a C
    /// library that the agent's program runs with.
    #[serde(default)]
    pub image: Option<String>,
    /// The file system that the agent and all pods share.
    pub volume: Volume,
    /// How long an image may take to come, and some pods of a gang may wait while others have their
    /// nodes, until the attempt is given back. Ten minutes if nothing is said.
    #[serde(default = "patience", deserialize_with = "span")]
    pub patience: Span,
    /// What each pool is in Kubernetes; one that is not named here is any node, without chips.
    #[serde(default)]
    pub pools: BTreeMap<String, KubernetesPool>,
    /// What tenants are in Kubernetes; one that is not named here is like all others.
    #[serde(default)]
    pub tenants: BTreeMap<TenantId, KubernetesTenant>,
}

/// What a tenant is in Kubernetes: what is said here counts, whatever is said of a job's pool or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesTenant {
    /// The namespace of its Jobs. The shared file system's claim, queues and service accounts that pools name
    /// are looked up there.
    pub namespace: Option<String>,
    /// The service account of its pods, who get no token of it.
    pub service_account: Option<String>,
    /// The user and group that its attempts run as; another than the agent's own needs an agent that is root.
    pub run_as: Option<RunAs>,
}

/// The file system that the agent and all pods share.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// Where the agent has it, and where pods get it: the same path. The agent's directory is in it.
    pub mount: PathBuf,
    /// What it is, as an entry of a pod's `volumes` has it beside its name: such as
    /// `{ persistentVolumeClaim = { claimName = "portolan" } }`.
    pub source: Value,
}

/// What a pool is in Kubernetes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KubernetesPool {
    /// The extended resource that its chips are, such as `huawei.com/Ascend910`; needed where it has
    /// chips.
    pub resource: Option<String>,
    /// Whether its nodes are started on demand: then what was declared of them counts, whatever is there now.
    pub on_demand: bool,
    /// The container image of jobs that name none, if not the common one.
    pub image: Option<String>,
    /// Labels that its nodes have.
    pub node_selector: BTreeMap<String, String>,
    /// What its pods tolerate, as a pod's `tolerations` has it.
    pub tolerations: Vec<Value>,
    /// The service account of its pods, who get no token of it.
    pub service_account: Option<String>,
    /// The priority class of its pods.
    pub priority_class: Option<String>,
    /// The runtime class of its pods.
    pub runtime_class: Option<String>,
    /// The scheduler of its pods.
    pub scheduler: Option<String>,
    /// The queue of Kueue that its Jobs go to; Kueue then starts a gang as a whole.
    pub kueue_queue: Option<String>,
    /// The queue of Volcano that its gangs go to, each as a pod group; Volcano then starts it as a
    /// whole.
    pub volcano_queue: Option<String>,
    /// Further labels of its Jobs and pods.
    pub labels: BTreeMap<String, String>,
    /// Further annotations of its Jobs and pods.
    pub annotations: BTreeMap<String, String>,
}

impl KubernetesConfig {
    /// What is wrong with it for an agent whose attempts are below `base`.
    pub(super) fn check(&self, base: &Path) -> Result<(), Error> {
        let wrong = |why: String| Err(Error::Setup(why));
        let mount = &self.volume.mount;
        if !base.starts_with(mount) {
            return wrong(format!(
                "pods see {} and nothing else of the shared file system, and the agent's directory {} is \
                 not in it: choose another directory, or another `mount` in [kubernetes.volume]",
                mount.display(),
                base.display(),
            ));
        }
        let own = nix::unistd::geteuid();
        let tenants = self.tenants.values().filter_map(|tenant| tenant.run_as);
        let users = tenants.map(|user| user.uid);
        for user in users.chain([self.run_as.map_or(own.as_raw(), |user| user.uid)]) {
            if user == 0 {
                let why = "tenants' jobs would run as root: say whom they are to run as in `run_as`, or \
                           start the agent as that user";
                return wrong(why.to_owned());
            }
            if user != own.as_raw() && !own.is_root() {
                return wrong(format!(
                    "only root can give files to user {user}: start the agent as root, or as that user"
                ));
            }
        }
        let both =
            |pool: &KubernetesPool| pool.kueue_queue.is_some() && pool.volcano_queue.is_some();
        match self.pools.iter().find(|(_, pool)| both(pool)) {
            Some((name, _)) => wrong(format!(
                "pool `{name}` has both `kueue_queue` and `volcano_queue`: only one can start its gangs"
            )),
            None => Ok(()),
        }
    }
}

const fn patience() -> Span {
    PATIENCE
}
