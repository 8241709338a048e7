//! Asking another center's door.

use crate::layout::Layout;
use crate::picked::Picked;
use crate::progress::Progress;
use crate::{Pace, TransferError};
use axum::body::Bytes as Piece;
use model::dataset::CHUNK;
use model::{Bytes, DatasetVersion, Digest};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// A door, and what opens it for one dataset version.
#[derive(Clone)]
pub struct Source {
    /// Where the door is, such as `https://center.example:7443`.
    pub url: String,
    /// The ticket.
    pub ticket: String,
}

impl fmt::Debug for Source {
    /// Without the ticket.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The largest manifest, in bytes of its canonical form; that of about one tebibyte of data.
pub(crate) const MANIFEST_MAX: usize = 64 << 20;

/// The most of a problem body that is read.
pub(crate) const PROBLEM_MAX: usize = 64 << 10;

/// How long a door may take to begin its answer, or be silent within one.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

impl Source {
    /// A request for something of `data`.
    pub(crate) fn request(
        &self,
        http: &Client,
        method: Method,
        data: &DatasetVersion,
        rest: &str,
    ) -> Result<RequestBuilder, TransferError> {
        let not = || TransferError::NotAnAddress { url: self.url.clone() };
        let base = self.url.trim_end_matches('/');
        let text = format!("{base}/v1/data/{}/{}/{rest}", data.dataset, data.version);
        let url = reqwest::Url::parse(&text).map_err(|_| not())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(not());
        }
        Ok(http.request(method, url).bearer_auth(&self.ticket))
    }

    /// Sends `request` and waits up to `patience` for a good answer to begin.
    pub(crate) async fn ask(
        &self,
        request: RequestBuilder,
        patience: Duration,
    ) -> Result<Response, TransferError> {
        let response = self.in_time(patience, request.send()).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.whole(response, PROBLEM_MAX).await.unwrap_or_default();
        Err(self.refused(status, &body))
    }

    /// The error an answer with a bad `status` stands for: the words of its problem body, or what
    /// else is in there, shortened.
    pub(crate) fn refused(&self, status: StatusCode, body: &[u8]) -> TransferError {
        let problem: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let detail = match problem.as_ref().and_then(|problem| problem.get("detail")?.as_str()) {
            Some(detail) => detail.to_owned(),
            None => String::from_utf8_lossy(body).chars().take(200).collect(),
        };
        TransferError::Answered { url: self.url.clone(), status: status.as_u16(), detail }
    }

    /// The next piece of an answer.
    pub(crate) async fn piece(
        &self,
        response: &mut Response,
    ) -> Result<Option<Piece>, TransferError> {
        self.in_time(SILENCE, response.chunk()).await
    }

    /// What `asking` gives, a failure or a silence told as an unreachable door.
    pub(crate) async fn in_time<T>(
        &self,
        patience: Duration,
        asking: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<T, TransferError> {
        let answer = tokio::time::timeout(patience, asking).await;
        let broken = |source| TransferError::Unreachable { url: self.url.clone(), source };
        answer.map_err(|late| broken(late.into()))?.map_err(|e| broken(e.into()))
    }

    /// A whole small answer.
    pub(crate) async fn whole(
        &self,
        mut response: Response,
        most: usize,
    ) -> Result<Vec<u8>, TransferError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(&mut response).await? {
            if whole.len() + piece.len() > most {
                let status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
                let detail = format!("more than {most} bytes where fewer were to be expected");
                let url = self.url.clone();
                return Err(TransferError::Answered { url, status, detail });
            }
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }
}

/// The manifest of `data` at `source`, verified against the version, with its chunks numbered.
pub async fn manifest(
    http: &Client,
    source: &Source,
    data: &DatasetVersion,
) -> Result<Layout, TransferError> {
    let request = source.request(http, Method::GET, data, "manifest")?;
    let response = source.ask(request, SILENCE).await?;
    let text = source.whole(response, MANIFEST_MAX).await?;
    Layout::parse(data, &text)
}

/// Writes the file at `path` of `data` to `out`, each chunk verified before it is written; how much
/// that was. A damaged chunk ends it with an error.
pub async fn cat(
    http: &Client,
    source: &Source,
    data: &DatasetVersion,
    path: &str,
    out: &mut (impl AsyncWrite + Unpin),
) -> Result<Bytes, TransferError> {
    let layout = manifest(http, source, data).await?;
    let (file, chunks) = layout.file(path)?;
    let out_at = std::path::Path::new("the output");
    for part in parts(chunks) {
        let mut pieces =
            Pieces::open(http, source, data, &Picked::of(&part.clone().collect())).await?;
        for chunk in part {
            let place = layout.place(chunk)?;
            let bytes = pieces.take(place.bytes, &Pace::unlimited(), &Progress::default()).await?;
            if Digest::of(&bytes) != place.digest {
                return Err(corrupted(&layout, chunk, &source.url));
            }
            out.write_all(&bytes).await.map_err(crate::error::io_at("write", out_at))?;
        }
    }
    out.flush().await.map_err(crate::error::io_at("write", out_at))?;
    Ok(file.bytes)
}

/// Chunks cut into requests of a few full chunks.
fn parts(chunks: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let most = crate::carry::BATCH_BYTES / CHUNK.0;
    let end = chunks.end;
    let step = usize::try_from(most).expect("a few chunks");
    chunks.step_by(step).map(move |from| from..(from + most).min(end))
}

pub(crate) fn corrupted(layout: &Layout, chunk: u64, url: &str) -> TransferError {
    let file = layout.place(chunk).map(|place| place.file.path.clone()).unwrap_or_default();
    TransferError::Corrupted { data: layout.data().clone(), chunk, file, url: url.to_owned() }
}

/// The bytes of chunks as they come from a door.
#[derive(Debug)]
pub(crate) struct Pieces<'a> {
    source: &'a Source,
    response: Response,
    rest: Piece,
}

impl<'a> Pieces<'a> {
    pub(crate) async fn open(
        http: &Client,
        source: &'a Source,
        data: &DatasetVersion,
        picked: &Picked,
    ) -> Result<Self, TransferError> {
        let rest = format!("chunks?numbers={picked}");
        let request = source.request(http, Method::GET, data, &rest)?;
        let response = source.ask(request, SILENCE).await?;
        Ok(Self { source, response, rest: Piece::new() })
    }

    /// The next `bytes`, no faster than `pace`.
    pub(crate) async fn take(
        &mut self,
        bytes: usize,
        pace: &Pace,
        progress: &Progress,
    ) -> Result<Vec<u8>, TransferError> {
        let mut taken = Vec::with_capacity(bytes);
        loop {
            let part = self.rest.len().min(bytes - taken.len());
            taken.extend_from_slice(&self.rest.split_to(part));
            if taken.len() == bytes {
                return Ok(taken);
            }
            let Some(piece) = self.source.piece(&mut self.response).await? else {
                let source = "the answer ended early".into();
                return Err(TransferError::Unreachable { url: self.source.url.clone(), source });
            };
            pace.take(piece.len()).await;
            progress.moved(piece.len());
            self.rest = piece;
        }
    }
}
