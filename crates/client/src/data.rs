//! Datasets and transfers.

use crate::{Client, Error};
use model::{CenterId, DatasetId, DatasetRef, TenantId};
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::view::{
    Announcement, ArchivePlan, CopyPlan, Dataset, Datasets, Keeping, Outlook, Scrub, Scrubbing,
    StoreDetail, Stores, Ticket, Transfers, WantedArchive, WantedCopy,
};

impl Client {
    /// All datasets.
    pub async fn datasets(&self) -> Result<Datasets, Error> {
        self.get("/v1/datasets", &[]).await
    }

    /// One dataset with its versions and copies.
    pub async fn dataset(&self, dataset: &DatasetId) -> Result<Dataset, Error> {
        self.get(&format!("/v1/datasets/{dataset}"), &[]).await
    }

    /// Announces data and gets the ticket to put it with. Repeating it changes nothing.
    pub async fn announce(
        &self,
        data: &Announcement,
        tenant: Option<&TenantId>,
    ) -> Result<Ticket, Error> {
        let query: Vec<_> = tenant.iter().map(|t| ("tenant", t.to_string())).collect();
        let make = || self.request(Method::POST, "/v1/datasets").query(&query).json(data);
        let response = self.send_again(make).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// A ticket to read a dataset from a center that has it.
    pub async fn read_ticket(
        &self,
        data: &DatasetRef,
        center: Option<&CenterId>,
    ) -> Result<Ticket, Error> {
        let version = data.version.map(|version| ("version", version.to_string()));
        let center = center.map(|center| ("center", center.to_string()));
        let query: Vec<_> = version.into_iter().chain(center).collect();
        self.get(&format!("/v1/datasets/{}/ticket", data.dataset), &query).await
    }

    /// Removes a dataset with all versions and copies; a dry run only says what stands against it.
    pub async fn remove_dataset(&self, dataset: &DatasetId, dry_run: bool) -> Result<(), Error> {
        let path = format!("/v1/datasets/{dataset}");
        let make = || self.request(Method::DELETE, &path).query(&[("dry_run", dry_run)]);
        self.send_again(make).await.map(|_| ())
    }

    /// Says what is to be kept of a dataset, and is told what comes of it; of a dry run, nothing.
    pub async fn keep(
        &self,
        dataset: &DatasetId,
        keeping: &Keeping,
        dry_run: bool,
    ) -> Result<Outlook, Error> {
        let path = format!("/v1/datasets/{dataset}/keeping");
        self.put_trial(Method::PUT, &path, keeping, dry_run).await
    }

    /// Has a copy brought to a center, or is told how it would come.
    pub async fn copy(
        &self,
        dataset: &DatasetId,
        wanted: &WantedCopy,
        dry_run: bool,
    ) -> Result<CopyPlan, Error> {
        let path = format!("/v1/datasets/{dataset}/copies");
        self.put_trial(Method::POST, &path, wanted, dry_run).await
    }

    /// Has a center's copy put into an external store of its; a dry run only says what stands against it.
    pub async fn archive(
        &self,
        dataset: &DatasetId,
        wanted: &WantedArchive,
        dry_run: bool,
    ) -> Result<ArchivePlan, Error> {
        let path = format!("/v1/datasets/{dataset}/archives");
        self.put_trial(Method::POST, &path, wanted, dry_run).await
    }

    /// Removes a copy from a center; a dry run only says what stands against it.
    pub async fn evict(
        &self,
        data: &DatasetRef,
        center: &CenterId,
        dry_run: bool,
    ) -> Result<(), Error> {
        let version = data.version.map(|version| ("version", version.to_string()));
        let which = [("center", center.to_string()), ("dry_run", dry_run.to_string())];
        let query: Vec<_> = version.into_iter().chain(which).collect();
        let path = format!("/v1/datasets/{}/copies", data.dataset);
        let make = || self.request(Method::DELETE, &path).query(&query);
        self.send_again(make).await.map(|_| ())
    }

    /// Has copies read, or is told how many there are.
    pub async fn scrub(&self, which: &Scrub, dry_run: bool) -> Result<Scrubbing, Error> {
        self.put_trial(Method::POST, "/v1/scrubs", which, dry_run).await
    }

    /// All stores.
    pub async fn stores(&self) -> Result<Stores, Error> {
        self.get("/v1/stores", &[]).await
    }

    /// A center's store with all that is in it.
    pub async fn store(&self, center: &CenterId) -> Result<StoreDetail, Error> {
        self.get(&format!("/v1/stores/{center}"), &[]).await
    }

    /// Sends something that may be repeated, or only tries it.
    async fn put_trial<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &B,
        dry_run: bool,
    ) -> Result<T, Error> {
        let query = [("dry_run", dry_run)];
        let make = || self.request(method.clone(), path).query(&query).json(body);
        self.send_again(make).await?.json().await.map_err(Error::unreadable)
    }

    /// Transfers under way.
    pub async fn transfers(&self) -> Result<Transfers, Error> {
        self.get("/v1/transfers", &[]).await
    }
}
