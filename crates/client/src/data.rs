//! Datasets and transfers.

use crate::{Client, Error};
use model::{CenterId, DatasetId, DatasetRef, TenantId};
use reqwest::Method;
use wire::view::{Announcement, Dataset, Datasets, Ticket, Transfers};

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

    /// Removes a dataset with all versions and copies.
    pub async fn remove_dataset(&self, dataset: &DatasetId) -> Result<(), Error> {
        self.tell(Method::DELETE, &format!("/v1/datasets/{dataset}")).await
    }

    /// Transfers under way.
    pub async fn transfers(&self) -> Result<Transfers, Error> {
        self.get("/v1/transfers", &[]).await
    }
}
