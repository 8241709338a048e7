//! One connection to a server, kept open. As light as it can be: what generates load must not be
//! what is measured.

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;

pub(crate) const JSON: &str = "application/json";
pub(crate) const TOML: &str = "application/toml";

/// A connection by which its holder of a token asks one thing after another.
#[derive(Debug)]
pub(crate) struct Connection {
    requests: SendRequest<Full<Bytes>>,
    host: String,
    bearer: String,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, token: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("cannot connect")?;
        stream.set_nodelay(true)?;
        let (requests, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the connection; what goes wrong on it is told to whoever asks.
        tokio::spawn(connection);
        Ok(Self { requests, host: address.to_string(), bearer: format!("Bearer {token}") })
    }

    /// The answer's body; an error unless it is a success.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<Bytes> {
        let (status, body) = self.answer(method, path, kind, body).await?;
        if !status.is_success() {
            bail!("{path} was answered with {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }

    async fn answer(
        &mut self,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes)> {
        self.requests.ready().await.context("the server hung up")?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(AUTHORIZATION, &self.bearer)
            .header(CONTENT_TYPE, kind)
            .body(Full::new(body))?;
        let response = self.requests.send_request(request).await.context("no answer")?;
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let answer = self.send(Method::POST, path, JSON, body.to_string().into()).await?;
        serde_json::from_slice(&answer).with_context(|| format!("the answer of {path}"))
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Value> {
        let answer = self.send(Method::GET, path, JSON, Bytes::new()).await?;
        serde_json::from_slice(&answer).with_context(|| format!("the answer of {path}"))
    }

    pub(crate) async fn text(&mut self, path: &str) -> Result<String> {
        let answer = self.send(Method::GET, path, JSON, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Whether the server says that it takes work.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let answer = self.answer(Method::GET, "/readyz", JSON, Bytes::new()).await;
        answer.is_ok_and(|(status, _)| status.is_success())
    }
}
