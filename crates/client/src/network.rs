//! The network: centers, links, tenants, chips, tokens, the log.

use crate::{Client, Error};
use model::{CenterId, LinkId, PoolId, TenantId, TokenId};
use reqwest::Method;
use wire::view::{
    Applied, BenchReport, Center, Centers, CheckReport, Chips, Circles, Exchanges, Lent, LinkTest,
    Links, LogPage, NetworkFiles, NewToken, Paths, PlanReport, QuotaPlan, RecallWanted, Recalled,
    Reservations, Shares, Tenants, TokenSecret, Tokens,
};

impl Client {
    /// Declares what network and chip files say. Repeating it changes nothing.
    pub async fn apply(&self, files: &NetworkFiles) -> Result<Applied, Error> {
        let make = || self.request(Method::PUT, "/v1/network").json(files);
        let response = self.send_again(make).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// All centers.
    pub async fn centers(&self) -> Result<Centers, Error> {
        self.get("/v1/centers", &[]).await
    }

    /// One center.
    pub async fn center(&self, center: &CenterId) -> Result<Center, Error> {
        self.get(&format!("/v1/centers/{center}"), &[]).await
    }

    /// Says that nothing runs in a center any more, so that its jobs may go elsewhere.
    pub async fn declare_lost(&self, center: &CenterId) -> Result<(), Error> {
        self.tell(Method::POST, &format!("/v1/centers/{center}/lost")).await
    }

    /// Takes back what is lent of a center.
    pub async fn recall(
        &self,
        center: &CenterId,
        wanted: &RecallWanted,
    ) -> Result<Recalled, Error> {
        self.post(&format!("/v1/centers/{center}/recall"), wanted).await
    }

    /// Hands in a check of a center's engine.
    pub async fn show_check(&self, center: &CenterId, report: &CheckReport) -> Result<(), Error> {
        let path = format!("/v1/centers/{center}/checks");
        self.send_again(|| self.request(Method::POST, &path).json(report)).await.map(|_| ())
    }

    /// Hands in a benchmark of a center's pool.
    pub async fn show_bench(
        &self,
        center: &CenterId,
        pool: &PoolId,
        report: &BenchReport,
    ) -> Result<(), Error> {
        let path = format!("/v1/centers/{center}/benches?pool={pool}");
        self.send_again(|| self.request(Method::POST, &path).json(report)).await.map(|_| ())
    }

    /// All links.
    pub async fn links(&self) -> Result<Links, Error> {
        self.get("/v1/links", &[]).await
    }

    /// Has a link tested now.
    pub async fn test_link(&self, link: &LinkId) -> Result<LinkTest, Error> {
        self.post(&format!("/v1/links/{link}/test"), &()).await
    }

    /// Says that a link carries nothing any more.
    pub async fn cut_link(&self, link: &LinkId) -> Result<(), Error> {
        self.tell(Method::POST, &format!("/v1/links/{link}/cut")).await
    }

    /// Says that a link carries again.
    pub async fn mend_link(&self, link: &LinkId) -> Result<(), Error> {
        self.tell(Method::POST, &format!("/v1/links/{link}/mend")).await
    }

    /// All exchanges.
    pub async fn exchanges(&self) -> Result<Exchanges, Error> {
        self.get("/v1/exchanges", &[]).await
    }

    /// What was measured between centers.
    pub async fn paths(&self) -> Result<Paths, Error> {
        self.get("/v1/paths", &[]).await
    }

    /// How much compute is how near to each city.
    pub async fn circles(&self) -> Result<Circles, Error> {
        self.get("/v1/circles", &[]).await
    }

    /// Who uses how much of what, and whose turn it is.
    pub async fn shares(&self) -> Result<Shares, Error> {
        self.get("/v1/shares", &[]).await
    }

    /// What is booked, of a tenant or of all.
    pub async fn reservations(&self, tenant: Option<&TenantId>) -> Result<Reservations, Error> {
        let query: Vec<_> =
            tenant.map(|tenant| ("tenant", tenant.to_string())).into_iter().collect();
        self.get("/v1/reservations", &query).await
    }

    /// What owners lent one another.
    pub async fn lent(&self) -> Result<Lent, Error> {
        self.get("/v1/lent", &[]).await
    }

    /// What the last plan for the whole queue came to.
    pub async fn last_plan(&self) -> Result<PlanReport, Error> {
        self.get("/v1/plans/last", &[]).await
    }

    /// What would change if these files were applied, which declare flavors and tenants.
    pub async fn plan_quotas(&self, files: &NetworkFiles) -> Result<QuotaPlan, Error> {
        let make = || self.request(Method::POST, "/v1/shares/plan").json(files);
        let response = self.send_again(make).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// All tenants.
    pub async fn tenants(&self) -> Result<Tenants, Error> {
        self.get("/v1/tenants", &[]).await
    }

    /// The chip catalog.
    pub async fn chips(&self) -> Result<Chips, Error> {
        self.get("/v1/chips", &[]).await
    }

    /// All valid tokens, without their secrets.
    pub async fn tokens(&self) -> Result<Tokens, Error> {
        self.get("/v1/tokens", &[]).await
    }

    /// Makes a token; its secret is in this answer and nowhere else. Not repeated by itself: that
    /// would make another.
    pub async fn create_token(&self, token: &NewToken) -> Result<TokenSecret, Error> {
        self.post("/v1/tokens", token).await
    }

    /// Lets a token's holder in no longer.
    pub async fn revoke_token(&self, token: TokenId) -> Result<(), Error> {
        self.tell(Method::DELETE, &format!("/v1/tokens/{token}")).await
    }

    /// Records of the log after a number, a page of them.
    pub async fn log_page(&self, after: u64, limit: usize) -> Result<LogPage, Error> {
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        self.get("/v1/log", &query).await
    }
}
