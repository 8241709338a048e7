//! Asking the server, as a program with a token and an HTTP library would.

use reqwest::{Client, Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::OnceLock;
use std::time::Duration;
use wire::view::Problem;

/// How long any one answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct Caller {
    http: Client,
    base: String,
    token: String,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The whole body.
    pub text: String,
}

impl Answer {
    /// The body as a `T`; the test ends if the request failed.
    #[must_use]
    pub fn ok<T: DeserializeOwned>(&self) -> T {
        assert!((200..300).contains(&self.status), "refused: {} {}", self.status, self.text);
        serde_json::from_str(&self.text).unwrap_or_else(|error| {
            panic!("the answer is not what it should be: {error}\n{}", self.text)
        })
    }

    /// Why the request failed; the test ends if it did not.
    #[must_use]
    pub fn problem(&self) -> Problem {
        assert!(self.status >= 400, "accepted: {} {}", self.status, self.text);
        let problem: Problem = serde_json::from_str(&self.text).unwrap_or_else(|error| {
            panic!("a failure without a problem document: {error}\n{} {}", self.status, self.text)
        });
        assert_eq!(problem.status, self.status, "the document tells another status");
        problem
    }

    /// The status, kind and words of a failure: `404 not-found: there is no job-7`.
    #[must_use]
    pub fn refusal(&self) -> String {
        let problem = self.problem();
        format!("{} {}: {problem}", self.status, problem.slug())
    }
}

/// One connection pool a test: what is kept alive in it dies with the server it leads to.
fn http() -> Client {
    static PROVIDER: OnceLock<()> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        // It fails only where one is installed, and then nothing is to be done.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().timeout(PATIENCE).build().expect("a client without TLS files can be built")
}

impl Caller {
    /// Somebody who speaks to `base`, such as `http://127.0.0.1:7070`, with `token`.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        Self { http: http(), base: base.to_owned(), token: token.to_owned() }
    }

    /// The same place, with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The same, over connections of its own: for after the server hung up on the old ones.
    #[must_use]
    pub fn afresh(&self) -> Self {
        Self::new(&self.base, &self.token)
    }

    /// The token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A request to be finished.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    /// Sends a request; the error is that nobody answered.
    pub async fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        Ok(Answer { status, text: response.text().await? })
    }

    /// Sends a request that must be answered.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        match self.try_send(request).await {
            Ok(answer) => answer,
            Err(error) => panic!("the server does not answer: {error:?}"),
        }
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST` of a JSON document.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// Any method with a body of a kind.
    pub async fn with_body(
        &self,
        method: Method,
        path: &str,
        media: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let request = self.request(method, path).header("content-type", media).body(body);
        self.send(request).await
    }
}
