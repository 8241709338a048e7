//! Errors as RFC 9457 problem bodies.

use crate::external::Fault;
use crate::upload::Damaged;
use crate::{TicketError, TransferError};
use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::fmt::Display;

/// A refusal, as it goes out.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    damaged: Option<Damaged>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    damaged: Option<&'a Damaged>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Display) -> Self {
        Self { status, detail: detail.to_string(), damaged: None }
    }

    pub(super) fn bad_request(detail: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "the store is serving as many as it can")
    }

    pub(super) fn damaged(chunks: Vec<u64>) -> Self {
        let detail = format!("chunks {chunks:?} are not what the manifest says");
        let damaged = Some(Damaged { damaged: chunks });
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, detail, damaged }
    }
}

impl From<TicketError> for Problem {
    fn from(error: TicketError) -> Self {
        let status = match &error {
            TicketError::Absent
            | TicketError::Malformed
            | TicketError::Forged
            | TicketError::Expired { .. } => StatusCode::UNAUTHORIZED,
            TicketError::Elsewhere { .. } => StatusCode::FORBIDDEN,
        };
        Self::new(status, error)
    }
}

impl From<TransferError> for Problem {
    fn from(error: TransferError) -> Self {
        let status = match &error {
            TransferError::Ticket(ticket) => return ticket.clone().into(),
            TransferError::NotHere { .. }
            | TransferError::NoSuchFile { .. }
            | TransferError::NoSuchChunk { .. } => StatusCode::NOT_FOUND,
            TransferError::AlreadyHere { .. }
            | TransferError::Incomplete { .. }
            | TransferError::Abandoned { .. } => StatusCode::CONFLICT,
            TransferError::WrongManifest { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            TransferError::BadManifest { data, source } => {
                let detail = format!("the manifest of {data} cannot be used: {source}");
                return Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
            }
            TransferError::StoreFull { wanted, free, .. } => {
                let detail = format!("the store is full: {wanted} wanted, {free} free");
                return Self::new(StatusCode::INSUFFICIENT_STORAGE, detail);
            }
            // Not to be tried again: what was registered is there no more.
            TransferError::ObjectChanged { .. }
            | TransferError::External { fault: Fault::Gone, .. } => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "data registered in place is lost"
                );
                StatusCode::CONFLICT
            }
            TransferError::External { store, fault, .. } if fault.is_transient() => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a store is silent");
                let detail = format!("the store `{store}` behind this one does not answer");
                return Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
            }
            TransferError::External { .. }
            | TransferError::NoSuchStore { .. }
            | TransferError::CannotTake { .. }
            | TransferError::BadRegistration { .. }
            | TransferError::BadStores { .. }
            | TransferError::Io { .. }
            | TransferError::InUse { .. }
            | TransferError::NotPlain { .. }
            | TransferError::NotADataset { .. }
            | TransferError::Changed { .. }
            | TransferError::Corrupted { .. }
            | TransferError::NotAnAddress { .. }
            | TransferError::Unreachable { .. }
            | TransferError::Answered { .. }
            | TransferError::ForeignQdisc { .. }
            | TransferError::Shaped { .. }
            | TransferError::Tc { .. }
            | TransferError::NoSource { .. } => {
                // Paths of this machine are nobody else's business.
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                let detail = "the store cannot be read or written; its log says why";
                return Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail);
            }
        };
        Self::new(status, error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Body {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            damaged: self.damaged.as_ref(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
