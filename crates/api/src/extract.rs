//! Reading requests, with a problem document for whatever cannot be read.

use crate::problem::{Problem, Slug};
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::str::FromStr;
use wire::view::SpecError;

/// The one parameter of the path.
pub(crate) struct Id<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr<Err: Display>> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::malformed(error.to_string()))?;
        let (_, text) = params.iter().next().expect("the route has a parameter");
        read_text(text).map(Self)
    }
}

/// `text` as whatever it should be.
pub(crate) fn read_text<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::malformed(error.to_string()))
}

/// The query. Unknown keys are refused where `T` refuses them.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::malformed(rejection.body_text())
    }
}

/// The body's bytes.
pub(crate) struct Raw(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self(Bytes::from_request(request, state).await?))
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let detail = "the body is larger than this server takes";
                Self::new(Slug::TooLarge, detail)
            }
            _ => Self::malformed(rejection.body_text()),
        }
    }
}

/// A body of JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        must_be_json(request.headers())?;
        let Raw(body) = Raw::from_request(request, state).await?;
        read_json(&body).map(Self)
    }
}

/// Whether the body is said to be of this media type.
pub(crate) fn is_media(headers: &HeaderMap, media: &str) -> bool {
    let said = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media)
}

/// Refuses a body that is not said to be JSON.
pub(crate) fn must_be_json(headers: &HeaderMap) -> Result<(), Problem> {
    if is_media(headers, "application/json") {
        return Ok(());
    }
    let detail = "the body must be JSON, with `Content-Type: application/json`";
    Err(Problem::new(Slug::MediaType, detail))
}

/// The JSON document `body` is; a problem names the field that is wrong.
pub(crate) fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // Keeping track of the path costs time, so it is done only once something is wrong.
    serde_json::from_slice(body).or_else(|_| {
        let document = &mut serde_json::Deserializer::from_slice(body);
        let value: T = serde_path_to_error::deserialize(&mut *document).map_err(|error| {
            let at = match error.path().to_string() {
                root if root == "." => String::new(),
                path => path,
            };
            let said = error.inner().to_string();
            json_problem(at, said)
        })?;
        document.end().map_err(|error| json_problem(String::new(), error.to_string()))?;
        Ok(value)
    })
}

fn json_problem(at: String, said: String) -> Problem {
    let error = SpecError { at, said, expected: String::new() };
    Problem::malformed(format!("the body cannot be read: {error}")).with_errors(vec![error])
}
