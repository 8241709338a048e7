//! Putting data into a center's store, request by request.

use crate::{Answer, Caller};
use model::dataset::{CHUNK, Manifest, ManifestFile};
use model::{Bytes, Digest};
use reqwest::Method;
use serde_json::{Value, json};
use wire::view::Ticket;

/// Data of one file as the API and the stores' doors want to hear of it.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    pub(crate) manifest: Manifest,
    bytes: Vec<u8>,
}

impl Data {
    pub(crate) fn new(path: &str, bytes: &[u8]) -> Self {
        let size = usize::try_from(CHUNK.0).expect("a chunk fits in memory");
        let file = ManifestFile {
            path: path.to_owned(),
            bytes: Bytes(bytes.len() as u64),
            executable: false,
            chunks: bytes.chunks(size).map(Digest::of).collect(),
        };
        Self { manifest: Manifest { files: vec![file] }, bytes: bytes.to_vec() }
    }

    /// What the server is told before the data comes.
    pub(crate) fn announcement(&self, name: &str, center: &str, residency: &[&str]) -> Value {
        json!({
            "dataset": name,
            "version": self.manifest.version().to_string(),
            "bytes": self.bytes.len(),
            "files": 1,
            "center": center,
            "residency": residency,
        })
    }

    /// Carries the bytes to the store that `ticket` opens; the answer to the last request, or to
    /// the first that failed.
    pub(crate) async fn carry(&self, ticket: &Ticket) -> Answer {
        let door = Caller::new(&ticket.url, &ticket.ticket);
        let base = format!("/v1/data/{}/{}", ticket.dataset, ticket.version);
        let manifest = self.manifest.canonical();
        let path = format!("{base}/manifest");
        let began = door.with_body(Method::PUT, &path, "application/json", manifest).await;
        let chunks: usize = self.manifest.files.iter().map(|file| file.chunks.len()).sum();
        if began.status >= 400 || chunks == 0 {
            return began;
        }
        let path = format!("{base}/chunks?numbers=0-{}", chunks - 1);
        let media = "application/octet-stream";
        let sent = door.with_body(Method::PUT, &path, media, self.bytes.clone()).await;
        if sent.status >= 400 {
            return sent;
        }
        door.post(&format!("{base}/finish"), &json!(null)).await
    }
}
