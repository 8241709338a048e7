//! What jobs of this machine read while they run, over HTTP on loopback. Whoever has the address may
//! read: it holds a secret for each attempt and input.
//!
//! | request | answer |
//! |---|---|
//! | `GET /{secret}/` | the paths of all files, sorted, one a line |
//! | `GET /{secret}/{path}` | one file; understands one byte range |

use super::problem::Problem;
use super::range::{Asked, asked};
use super::read::file_answer;
use crate::Reading;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CONTENT_TYPE, RANGE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

/// All that is being read, by the secrets of their addresses. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Readings(Arc<std::sync::Mutex<BTreeMap<String, Reading>>>);

impl Readings {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Reading>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is read by this secret; begun by `begin` if nothing is.
    pub fn of(&self, secret: &str, begin: impl FnOnce() -> Reading) -> Reading {
        self.open().entry(secret.to_owned()).or_insert_with(begin).clone()
    }

    /// Nothing more is read by this secret; what was.
    pub fn close(&self, secret: &str) -> Option<Reading> {
        self.open().remove(secret)
    }

    fn find(&self, secret: &str) -> Result<Reading, Problem> {
        // An agent that was just started hears in a moment who reads what.
        let none = || {
            let what = "no input is read by this address, so far at least: try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, what)
        };
        self.open().get(secret).cloned().ok_or_else(none)
    }
}

/// The router to serve on loopback.
pub fn readings(readings: Readings) -> Router {
    Router::new()
        .route("/{secret}/", get(list))
        .route("/{secret}/{*path}", get(file))
        .with_state(readings)
}

async fn list(
    State(readings): State<Readings>,
    Path(secret): Path<String>,
) -> Result<Response, Problem> {
    let layout = readings.find(&secret)?.layout().await?;
    let mut text = String::new();
    for file in &layout.manifest().files {
        text.push_str(&file.path);
        text.push('\n');
    }
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

async fn file(
    State(readings): State<Readings>,
    Path((secret, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let reading = readings.find(&secret)?;
    let layout = reading.layout().await?;
    let (file, _) = layout.file(&path)?;
    let length = file.bytes.0;
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let asked = asked(range, length);
    let body = match &asked {
        Asked::Whole => Body::from_stream(reading.part(&path, 0..length).await?),
        Asked::Part(part) => Body::from_stream(reading.part(&path, part.clone()).await?),
        Asked::Beyond => Body::empty(),
    };
    Ok(file_answer(&asked, length, body))
}
