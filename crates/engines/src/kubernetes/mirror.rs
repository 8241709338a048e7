//! What the API server has of this engine's Jobs and pods, and of nodes, told as it changes.

use super::job::{ENTRY, MANAGED_BY};
use super::{WHO, in_full};
use crate::Error;
use futures::{Stream, StreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::reflector::{Store, store};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the first list may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// A copy of this engine's Jobs and pods in a namespace.
#[derive(Debug)]
pub(super) struct Mirror {
    jobs: Copy<Job>,
    pods: Copy<Pod>,
}

impl Mirror {
    pub(super) fn new(jobs: &Api<Job>, pods: &Api<Pod>) -> Self {
        let config = || {
            let labels = format!("{}={}", MANAGED_BY.0, MANAGED_BY.1);
            watcher::Config::default().labels(&labels)
        };
        Self {
            jobs: Copy::new(jobs.clone(), config(), |_| {}),
            pods: Copy::new(pods.clone(), config(), |_| {}),
        }
    }

    /// All Jobs whose names begin so, each with its pods.
    pub(super) async fn entries(
        &self,
        prefix: &str,
    ) -> Result<Vec<(Arc<Job>, Vec<Arc<Pod>>)>, Error> {
        tokio::try_join!(self.jobs.listed(), self.pods.listed())?;
        let mut pods: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in self.pods.store.state() {
            if let Some(entry) = entry_of(&pod) {
                pods.entry(entry.to_owned()).or_default().push(pod);
            }
        }
        let mut entries = Vec::new();
        for job in self.jobs.store.state() {
            let Some(name) = job.metadata.name.as_deref().filter(|name| name.starts_with(prefix))
            else {
                continue;
            };
            let its = pods.remove(name).unwrap_or_default();
            entries.push((job, its));
        }
        Ok(entries)
    }

    /// The names of the nodes that its pods are on.
    pub(super) async fn in_use(&self) -> Result<BTreeSet<String>, Error> {
        self.pods.listed().await?;
        let goes_on = |pod: &Arc<Pod>| {
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            !matches!(phase, Some("Succeeded" | "Failed"))
        };
        let pods = self.pods.store.state().into_iter().filter(goes_on);
        Ok(pods.filter_map(|pod| pod.spec.as_ref()?.node_name.clone()).collect())
    }
}

/// A copy of a cluster's nodes, from when they are first asked for.
#[derive(Debug, Default)]
pub(super) struct Nodes(OnceLock<Copy<Node>>);

impl Nodes {
    /// All of them, of which `api` tells.
    pub(super) async fn all(&self, api: &Api<Node>) -> Result<Vec<Arc<Node>>, Error> {
        // Large, and nobody asks for it.
        let lean = |node: &mut Node| {
            node.metadata.managed_fields = None;
            if let Some(status) = &mut node.status {
                status.images = None;
            }
        };
        let copy = || Copy::new(api.clone(), watcher::Config::default(), lean);
        let nodes = self.0.get_or_init(copy);
        nodes.listed().await?;
        Ok(nodes.store.state())
    }
}

/// The name of the Job that a pod is of.
fn entry_of(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(ENTRY).map(String::as_str)
}

/// A copy of all of a kind. It follows the API server by watches; where one breaks or its history is gone
/// (410), everything is listed anew.
struct Copy<K: Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    /// What went wrong last, and was not mended since.
    trouble: watch::Receiver<Option<String>>,
    /// Who watches; gone with the copy.
    _watcher: JoinSet<()>,
}

impl<K: Resource<DynamicType = ()> + Clone + 'static> Debug for Copy<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copy").field("count", &self.store.len()).finish_non_exhaustive()
    }
}

impl<K> Copy<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    /// Copies what an API has, each as `lean` leaves it.
    fn new(api: Api<K>, config: watcher::Config, lean: fn(&mut K)) -> Self {
        let (store, writer) = store();
        let events = watcher(api, config).default_backoff().modify(lean);
        let (told, trouble) = watch::channel(None);
        let mut watchers = JoinSet::new();
        watchers.spawn(keep(reflector(writer, events), told));
        Self { store, trouble, _watcher: watchers }
    }

    /// Waits until all have been listed; not when they cannot be watched now.
    async fn listed(&self) -> Result<(), Error> {
        let mut trouble = self.trouble.clone();
        let said = tokio::select! {
            biased;
            Ok(trouble) = trouble.wait_for(Option::is_some) => trouble.clone(),
            // Fails only where nobody lists any more.
            _ = self.store.wait_until_ready() => None,
            () = tokio::time::sleep(PATIENCE) => {
                Some(format!("its {} could not be listed in {PATIENCE:?}", K::plural(&())))
            }
        };
        said.map_or(Ok(()), |said| Err(Error::Silent { who: WHO, said }))
    }
}

async fn keep<K>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
    trouble: watch::Sender<Option<String>>,
) {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let now = event.err().and_then(|error| match error {
            // The ordinary end of a history; it begins anew with a list.
            watcher::Error::WatchError(status) if status.code == 410 => None,
            error => Some(in_full(&error)),
        });
        trouble.send_replace(now);
    }
}
