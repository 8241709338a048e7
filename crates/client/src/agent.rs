//! What agents say. Not repeated here: the agent's own loops do that.

use crate::{Client, Error};
use model::Digest;
use model::fact::Head;
use reqwest::Method;
use std::time::Duration;
use wire::{Acknowledged, Answer, Join, Joined, Orders, Poll, Reports, UnderWay};

/// How much longer than its wait a poll may take.
const BEYOND_WAIT: Duration = Duration::from_secs(10);

impl Client {
    /// Introduces a center's agent.
    pub async fn agent_join(&self, join: &Join) -> Result<Joined, Error> {
        self.post("/v1/agent/join", join).await
    }

    /// Asks for orders; returns when there are some, or when the poll's wait is over.
    pub async fn agent_poll(&self, poll: &Poll) -> Result<Orders, Error> {
        let request = self.request(Method::POST, "/v1/agent/poll").json(poll);
        let response = self.send(request.timeout(poll.wait.to_std() + BEYOND_WAIT)).await?;
        response.json().await.map_err(Error::unreadable)
    }

    /// Reports what is at a center; returns once it is durable.
    pub async fn agent_reports(&self, reports: &Reports) -> Result<Acknowledged, Error> {
        self.post("/v1/agent/reports", reports).await
    }

    /// Tells how far the copies are that come to a center.
    pub async fn agent_under_way(&self, told: &UnderWay) -> Result<(), Error> {
        let request = self.request(Method::POST, "/v1/agent/under-way").json(told);
        self.send(request).await.map(|_| ())
    }

    /// Answers what the server asked on somebody's behalf.
    pub async fn agent_answers(&self, answers: &[Answer]) -> Result<(), Error> {
        let request = self.request(Method::POST, "/v1/agent/answers").json(answers);
        self.send(request).await.map(|_| ())
    }

    /// The digests of at most `limit` headers after fact `after`, and the head they were read
    /// under.
    pub async fn log_heads(&self, after: u64, limit: usize) -> Result<(Vec<Digest>, Head), Error> {
        let query = [("after", after.to_string()), ("limit", limit.to_string())];
        let request = || self.request(Method::GET, "/v1/log/heads").query(&query);
        let response = self.send_again(request).await?;
        let header = |name: &str| {
            let text = response.headers().get(name).and_then(|value| value.to_str().ok());
            text.ok_or_else(|| Error::Unreadable { why: format!("it has no header {name}") })
        };
        let wrong = |name: &str| Error::Unreadable { why: format!("its header {name} is odd") };
        let number = header("portolan-head-number")?;
        let number = number.parse().map_err(|_| wrong("portolan-head-number"))?;
        let digest = header("portolan-head-digest")?;
        let digest = digest.parse().map_err(|_| wrong("portolan-head-digest"))?;
        let body = response.bytes().await.map_err(Error::unreachable)?;
        let (digests, rest) = body.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(Error::Unreadable { why: "half a digest".to_owned() });
        }
        let digests = digests.iter().map(|bytes| Digest::from_bytes(*bytes)).collect();
        Ok((digests, Head { number, digest }))
    }
}
