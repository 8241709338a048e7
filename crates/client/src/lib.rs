//! The typed client of the REST API, for the command line, agents and tests.
//!
//! The one door is [`Client`]: a server's URL and a token, a method for each thing the API does.
//! Answers are [`wire::view`]; errors keep the server's own words and say whether trying again may
//! help. Calls that may be repeated are repeated a few times by themselves while the server cannot
//! be reached; submissions carry an idempotency key so that they may be.
//!
//! Deliberately absent: waiting for jobs, tables, files. Callers do that.

mod agent;
mod data;
mod error;
mod events;
mod jobs;
mod network;

pub use error::Error;
pub use events::{Event, Events};
pub use jobs::{JobFilter, LogPart, LogWish, PromiseFilter, Submission, Which};

use backon::{ExponentialBuilder, Retryable};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an ordinary answer may take.
const ANSWER: Duration = Duration::from_secs(60);
/// How often a call is repeated while the server cannot be reached.
const REPEATS: usize = 4;

/// A server, and who speaks to it. Clones share connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: String,
}

impl fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// Whether a server's URL names this machine's loopback.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_matches(['[', ']']);
            host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

impl Client {
    /// A client for the server at `base`, such as `https://portolan.example:7070`. A token is sent
    /// in the clear only to this machine itself.
    ///
    /// A process-wide crypto provider must be installed first (`rustls`' `install_default`).
    pub fn new(base: &str, token: &str) -> Result<Self, Error> {
        let wrong = || Error::Address { url: base.to_owned() };
        let base_url = Url::parse(base).map_err(|_| wrong())?;
        match base_url.scheme() {
            "https" => {}
            "http" if is_loopback(base) => {}
            "http" => return Err(Error::InTheClear { url: base.to_owned() }),
            _ => return Err(wrong()),
        }
        let http = reqwest::Client::builder().connect_timeout(CONNECT).tcp_nodelay(true);
        let http = http.build().map_err(Error::unreachable)?;
        Ok(Self { http, base: base_url, token: token.trim().to_owned() })
    }

    /// The server's URL.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base());
        self.http.request(method, url).bearer_auth(&self.token).timeout(ANSWER)
    }

    /// Sends a request and reads the answer, or the problem.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        let response = request.send().await.map_err(Error::unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(Error::of(response).await)
    }

    /// Sends a request that may be repeated, a few times if need be.
    async fn send_again(
        &self,
        make: impl Fn() -> RequestBuilder + Send,
    ) -> Result<Response, Error> {
        let patience = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_times(REPEATS)
            .with_jitter();
        (|| self.send(make())).retry(patience).when(Error::is_transient).await
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Error> {
        let response = self.send_again(|| self.request(Method::GET, path).query(query)).await?;
        response.json().await.map_err(Error::unreadable)
    }

    async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Error> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// Sends a request whose answer says no more than that it is done, and that may be repeated.
    async fn tell(&self, method: Method, path: &str) -> Result<(), Error> {
        self.send_again(|| self.request(method.clone(), path)).await.map(|_| ())
    }

    /// Whether the server answers and has recovered its state.
    pub async fn is_ready(&self) -> bool {
        let answer = self.request(Method::GET, "/readyz").send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }
}
