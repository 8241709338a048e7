//! What may be set.

use crate::metrics::Metrics;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How the API behaves. Clones share the metrics and the shutdown.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most bytes a body may have.
    pub max_body: usize,
    /// The most jobs one submission may have.
    pub max_batch: usize,
    /// The most entries of a page.
    pub max_page: usize,
    /// How long an answer may take, where the request does not itself ask to wait.
    pub request_timeout: Duration,
    /// The most event streams and followed logs at once.
    pub max_streams: usize,
    /// How often a comment is sent on a silent event stream.
    pub keep_alive: Duration,
    /// Whether `/metrics` opens without a token.
    pub metrics_open: bool,
    /// What is counted.
    pub metrics: Metrics,
    /// Ends event streams, followed logs and held polls, so that a server can stop.
    pub shutdown: CancellationToken,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 8 << 20,
            max_batch: 10_000,
            max_page: 1_000,
            request_timeout: Duration::from_secs(30),
            max_streams: 1_024,
            keep_alive: Duration::from_secs(15),
            metrics_open: false,
            metrics: Metrics::default(),
            shutdown: CancellationToken::new(),
        }
    }
}
