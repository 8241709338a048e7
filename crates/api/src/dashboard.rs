//! The dashboard's files, where it was built before this program.

use crate::problem::{Problem, Slug, describe};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use rust_embed::Embed;

/// Debug builds read the files as they are now, release builds hold them.
#[derive(Embed)]
#[folder = "../../dashboard/dist"]
#[allow_missing = true]
struct Files;

const ABSENT: &str = "<!doctype html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Portolan</title>
<body style=\"font: 16px/1.5 system-ui; max-width: 40em; margin: 4em auto\">
<h1>Portolan</h1>
<p>The server runs, but it was built without its dashboard. To build both:</p>
<pre>cargo xtask demo</pre>
<p>It needs Node.js for the dashboard alone. Everything else is here:
<a href=\"/v1/openapi.json\">the API</a>, <code>portolan jobs</code>, <code>portolan centers</code>.</p>
";

/// Nothing of the dashboard runs or loads from elsewhere.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Whatever is no route of the API: the dashboard's files, its pages, or a problem.
pub(crate) async fn elsewhere(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if method != Method::GET && method != Method::HEAD {
        return no_route(&uri);
    }
    if let Some(slug) = path.strip_prefix("problems/") {
        return describe(slug).map_or_else(|| no_route(&uri), IntoResponse::into_response);
    }
    let accepts = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let is_page = path.is_empty()
        || (accepts.contains("text/html") && !path.starts_with("v1/") && !path.contains('.'));
    match Files::get(if is_page { "index.html" } else { path }) {
        Some(file) => show(path, &file, &headers),
        None if is_page => page(ABSENT.as_bytes().into()),
        None => no_route(&uri),
    }
}

fn no_route(uri: &Uri) -> Response {
    Problem::new(Slug::NoRoute, format!("there is nothing at {}", uri.path())).into_response()
}

fn page(body: std::borrow::Cow<'static, [u8]>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

fn show(path: &str, file: &rust_embed::EmbeddedFile, asked: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", model::Digest::from_bytes(file.metadata.sha256_hash()));
    if asked.get(header::IF_NONE_MATCH).is_some_and(|v| v.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut response = if file.metadata.mimetype() == "text/html" {
        page(file.data.clone())
    } else {
        // The build puts a digest into the names below `assets`.
        let keep =
            if path.starts_with("assets/") { "max-age=31536000, immutable" } else { "no-cache" };
        let kind = file.metadata.mimetype().to_owned();
        ([(header::CONTENT_TYPE, kind)], [(header::CACHE_CONTROL, keep)], file.data.clone())
            .into_response()
    };
    if let Ok(tag) = tag.parse() {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
