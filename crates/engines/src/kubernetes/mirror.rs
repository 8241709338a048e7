//! What the API server has of this engine's Jobs and pods, told as it changes.

use super::job::{ENTRY, MANAGED_BY};
use super::{WHO, in_full};
use crate::Error;
use futures::{Stream, StreamExt};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{Store, store};
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long the first list may take.
const PATIENCE: Duration = Duration::from_secs(45);

/// A copy of this engine's Jobs and pods. It follows the API server by watches; where one breaks or its
/// history is gone (410), everything is listed anew.
pub(super) struct Mirror {
    jobs: Store<Job>,
    pods: Store<Pod>,
    /// What went wrong last with the watches of each kind, and was not mended since.
    troubles: [watch::Receiver<Trouble>; 2],
    /// Those who watch; gone with the mirror.
    _watchers: JoinSet<()>,
}

type Trouble = Option<String>;

impl Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (jobs, pods) = (self.jobs.len(), self.pods.len());
        f.debug_struct("Mirror").field("jobs", &jobs).field("pods", &pods).finish_non_exhaustive()
    }
}

impl Mirror {
    pub(super) fn new(client: &Client, namespace: &str) -> Self {
        let mut watchers = JoinSet::new();
        let (told, of_jobs) = watch::channel(None);
        let (jobs, copying) = copy::<Job>(client, namespace, told);
        watchers.spawn(copying);
        let (told, of_pods) = watch::channel(None);
        let (pods, copying) = copy::<Pod>(client, namespace, told);
        watchers.spawn(copying);
        Self { jobs, pods, troubles: [of_jobs, of_pods], _watchers: watchers }
    }

    /// All Jobs whose names begin so, each with its pods.
    pub(super) async fn entries(
        &self,
        prefix: &str,
    ) -> Result<Vec<(Arc<Job>, Vec<Arc<Pod>>)>, Error> {
        let listed = tokio::time::timeout(PATIENCE, self.listed()).await;
        listed.unwrap_or_else(|_| {
            let said = format!("its Jobs and pods could not be listed in {PATIENCE:?}");
            Err(Error::Silent { who: WHO, said })
        })?;
        let mut pods: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
        for pod in self.pods.state() {
            if let Some(entry) = entry_of(&pod) {
                pods.entry(entry.to_owned()).or_default().push(pod);
            }
        }
        let mut entries = Vec::new();
        for job in self.jobs.state() {
            let Some(name) = job.metadata.name.as_deref().filter(|name| name.starts_with(prefix))
            else {
                continue;
            };
            let its = pods.remove(name).unwrap_or_default();
            entries.push((job, its));
        }
        Ok(entries)
    }
}

impl Mirror {
    /// Waits until both kinds have been listed; at once, if either cannot be watched now.
    async fn listed(&self) -> Result<(), Error> {
        let [mut of_jobs, mut of_pods] = self.troubles.clone();
        let is_there = |trouble: &Trouble| trouble.is_some();
        let trouble = tokio::select! {
            biased;
            Ok(trouble) = of_jobs.wait_for(is_there) => trouble.clone(),
            Ok(trouble) = of_pods.wait_for(is_there) => trouble.clone(),
            // Fails only where nobody lists any more.
            _ = async { tokio::join!(self.jobs.wait_until_ready(), self.pods.wait_until_ready()) } => None,
        };
        trouble.map_or(Ok(()), |said| Err(Error::Silent { who: WHO, said }))
    }
}

/// The name of the Job that a pod is of.
fn entry_of(pod: &Pod) -> Option<&str> {
    pod.metadata.labels.as_ref()?.get(ENTRY).map(String::as_str)
}

/// A copy of all of a kind that this engine made, and what keeps it true for as long as it is polled.
fn copy<K>(
    client: &Client,
    namespace: &str,
    trouble: watch::Sender<Trouble>,
) -> (Store<K>, impl Future<Output = ()> + Send + use<K>)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug,
    K: DeserializeOwned + Send + Sync + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let (reader, writer) = store();
    let config = watcher::Config::default().labels(&format!("{}={}", MANAGED_BY.0, MANAGED_BY.1));
    let events = reflector(writer, watcher(api, config).default_backoff());
    (reader, keep(events, trouble))
}

async fn keep<K>(
    events: impl Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send,
    trouble: watch::Sender<Trouble>,
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
