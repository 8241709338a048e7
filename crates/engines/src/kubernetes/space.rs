//! Namespaces, and the Jobs and pods in them.

use super::job::{ENTRY, MANAGED_BY};
use super::mirror::Mirror;
use super::{Trouble, WHO, ask};
use crate::Error;
use crate::batch::Entry;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions, PropagationPolicy};
use kube::{Api, Client};

/// A namespace that Jobs are made in.
#[derive(Debug)]
pub(super) struct Space {
    pub(super) name: String,
    jobs: Api<Job>,
    pods: Api<Pod>,
    pub(super) mirror: Mirror,
}

impl Space {
    pub(super) fn new(client: &Client, name: &str) -> Self {
        let jobs = Api::namespaced(client.clone(), name);
        let pods = Api::namespaced(client.clone(), name);
        let mirror = Mirror::new(&jobs, &pods);
        Self { name: name.to_owned(), jobs, pods, mirror }
    }

    /// Whether Jobs of it can be listed.
    pub(super) async fn try_listing(&self) -> Result<(), Trouble> {
        ask(self.jobs.list(&ListParams::default().limit(1))).await.map(|_| ())
    }

    /// The Job of this name, if it is one that this engine made.
    pub(super) async fn own(&self, name: &str) -> Result<Option<Job>, Trouble> {
        match ask(self.jobs.get(name)).await {
            Ok(job) => Ok(Some(job).filter(is_own)),
            Err(Trouble::NotThere(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The pods of the Job of this name.
    pub(super) async fn pods(&self, name: &str) -> Result<Vec<Pod>, Trouble> {
        let its = ListParams::default().labels(&format!("{ENTRY}={name}"));
        Ok(ask(self.pods.list(&its)).await?.items)
    }

    /// Makes a Job; the one that is kept under its name.
    pub(super) async fn make(&self, wanted: &Job) -> Result<Job, Error> {
        let name = wanted.metadata.name.clone().unwrap_or_default();
        match ask(self.jobs.create(&PostParams::default(), wanted)).await {
            Ok(kept) => Ok(kept),
            Err(Trouble::Conflict(_)) => self.own(&name).await?.ok_or_else(|| {
                let space = &self.name;
                let said = format!("somebody else has a Job `{name}` in namespace `{space}`");
                Error::Rejected { who: WHO, said }
            }),
            // There is no such namespace, or the agent may make no Jobs there, or its quota is used up.
            Err(Trouble::NotThere(said) | Trouble::NotAllowed(said)) => {
                Err(Error::Rejected { who: WHO, said })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Deletes the Job that is this entry, if it is here; whether it is.
    pub(super) async fn delete(&self, entry: &Entry) -> Result<bool, Error> {
        let uid = Some(entry.number.clone());
        let how = DeleteParams {
            // It is there until its pods are gone.
            propagation_policy: Some(PropagationPolicy::Foreground),
            preconditions: Some(Preconditions { uid, resource_version: None }),
            ..DeleteParams::default()
        };
        match ask(self.jobs.delete(&entry.name, &how)).await {
            Ok(_) => Ok(true),
            // Another one of that name is not this entry.
            Err(Trouble::NotThere(_) | Trouble::Conflict(_)) => Ok(false),
            Err(other) => Err(other.into()),
        }
    }
}

fn is_own(job: &Job) -> bool {
    let labels = job.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(MANAGED_BY.0)).is_some_and(|by| by == MANAGED_BY.1)
}
