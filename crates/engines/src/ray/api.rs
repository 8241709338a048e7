//! The requests to Ray's dashboard.

use super::{RayConfig, WHO};
use crate::Error;
use crate::engine::in_full;
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// How long a connection, and any one request, may take. A dashboard whose cluster is busy starting jobs
/// takes seconds.
const CONNECTING: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
/// The most of an answer that is repeated.
const REPEATED: usize = 240;

/// Where requests go.
#[derive(Debug)]
pub(super) struct Api {
    client: Client,
    url: String,
    token_file: Option<PathBuf>,
}

/// What came, good or bad.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Vec<u8>,
}

/// The version of a cluster.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) ray_version: String,
}

impl Api {
    pub(super) fn new(config: &RayConfig) -> Result<Self, Error> {
        let client = Client::builder().connect_timeout(CONNECTING).timeout(PATIENCE).no_proxy();
        let client = client.build().map_err(|error| {
            Error::Setup(format!("no connection to Ray can be made: {}", in_full(&error)))
        })?;
        let url = config.url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, token_file: config.token_file.clone() })
    }

    /// Asks once. Fails if there is no answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Error> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(file) = &self.token_file {
            // Each time: whoever keeps it there may renew it.
            let read = tokio::fs::read_to_string(file).await;
            let token = read.map_err(Error::io("read the token in", file))?;
            let mut shown = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| silent("the token has letters that no token has"))?;
            shown.set_sensitive(true);
            request = request.header("Authorization", shown);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let talk = async {
            let response = request.send().await?;
            Ok((response.status(), response.bytes().await?.to_vec()))
        };
        let talked: Result<_, reqwest::Error> = talk.await;
        let (status, body) = talked.map_err(|error| silent(in_full(&error)))?;
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(silent(format!(
                "it wants another token ({status}): name the file with the cluster's in `token_file`"
            ))),
            _ => Ok(Answer { status, body }),
        }
    }

    /// Reads what is at a path; none if nothing is.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Error> {
        let answer = self.ask(Method::GET, path, None).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        answer.good(path).map(Some)
    }

    /// Reads what must be at a path.
    pub(super) async fn expect<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let found = self.read(path).await?;
        found.ok_or_else(|| silent(format!("it has no {path}: is {} Ray's dashboard?", self.url)))
    }
}

impl Answer {
    /// What it says, if that is no complaint.
    pub(super) fn good<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        if !self.status.is_success() {
            return Err(silent(format!("it says {}: {}", self.status, self.complaint())));
        }
        let read = serde_json::from_slice(&self.body);
        read.map_err(|error| silent(format!("its answer to {path} makes no sense: {error}")))
    }

    /// The last line of a complaint, which often is a traceback, and then says what was wrong.
    pub(super) fn complaint(&self) -> String {
        gist(&String::from_utf8_lossy(&self.body))
    }
}

/// The last line of a text that says anything.
pub(super) fn gist(text: &str) -> String {
    let says = |line: &&str| line.chars().any(char::is_alphanumeric);
    let line = text.lines().rev().map(str::trim).find(says).unwrap_or("it does not say why");
    line.chars().take(REPEATED).collect()
}

pub(super) fn silent(said: impl Into<String>) -> Error {
    Error::Silent { who: WHO, said: said.into() }
}
