//! What happens around every request.

use crate::Api;
use crate::problem::{Problem, Slug};
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tracing::Instrument;
use utoipa::openapi::{Content, RefOr, ResponseBuilder};

/// The header that names a request, for those who look it up in the server's log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id a client may give.
const LONGEST_ID: usize = 64;
/// Answers below this are not worth packing.
const WORTH_PACKING: u64 = 8 << 10;

/// Wraps what every request goes through round the routes.
pub(crate) fn around(routes: Router, api: Api) -> Router {
    let packed = SizeAbove::new(WORTH_PACKING)
        .and(NotForContentType::const_new("text/event-stream"))
        .and(NotForContentType::const_new("text/plain"))
        .and(NotForContentType::const_new("application/octet-stream"))
        .and(NotForContentType::IMAGES);
    routes
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(packed))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(axum::middleware::from_fn_with_state(api, watched))
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION]))
}

/// Names, counts and traces a request.
async fn watched(State(api): State<Api>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("other", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let span =
        tracing::debug_span!("request", id = id.to_str().unwrap_or_default(), %method, route);
    let mut response = next.run(request).instrument(span).await;
    let status = response.status();
    let took = began.elapsed();
    if status.is_server_error() {
        let id = id.to_str().unwrap_or_default();
        tracing::warn!(id, %method, route, status = status.as_u16(), ?took, "request failed");
    }
    let method = if is_known(&method) { method.as_str() } else { "other" };
    let waits = matches!(&*route, "/v1/agent/poll" | "/v1/events" | "/v1/jobs/{job}/logs");
    api.settings.metrics.answered(&route, method, status.as_u16(), (!waits).then_some(took));
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Methods worth a label of their own: anyone can make up others.
fn is_known(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD].contains(method)
}

/// The id the client gave, if it can be shown, or else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let plain = |v: &&HeaderValue| {
        !v.is_empty() && v.len() <= LONGEST_ID && v.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    headers
        .get(REQUEST_ID)
        .filter(plain)
        .cloned()
        .unwrap_or_else(|| HeaderValue::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Answers in time, or says that it could not.
pub(crate) async fn in_time(State(api): State<Api>, request: Request, next: Next) -> Response {
    let limit = api.settings.request_timeout;
    tokio::time::timeout(limit, next.run(request)).await.unwrap_or_else(|_| {
        let detail = format!("there was no answer within {} ms", limit.as_millis());
        Problem::new(Slug::TimedOut, detail).into_response()
    })
}

/// A route that exists, asked in another way.
pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Slug::WrongMethod, format!("{} does not take {method}", uri.path()))
}

#[expect(clippy::needless_pass_by_value, reason = "the layer gives it away")]
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(panic = text, "a request's handler panicked");
    let detail = "the server made a mistake with this request; its log says more";
    Problem::new(Slug::Broken, detail).into_response()
}

/// Adds to every operation what all of them have in common: the answer when it fails.
pub(crate) fn finish_document(document: &mut utoipa::openapi::OpenApi) {
    let problem = || {
        let schema = utoipa::openapi::Ref::from_schema_name("Problem");
        let content = Content::new(Some(RefOr::Ref(schema)));
        ResponseBuilder::new()
            .description("What went wrong")
            .content("application/problem+json", content)
            .build()
    };
    for item in document.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.insert("default".to_owned(), RefOr::T(problem()));
        }
    }
}
