//! What goes wrong, and how it is said: RFC 9457 problem documents.

use crate::gate::Stopping;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use controller::Rejected;
use wire::view::{Problem as Document, SpecError};

/// The most errors one problem lists.
const MOST_ERRORS: usize = 100;

macro_rules! slugs {
    ($($name:ident = $slug:literal $status:ident $title:literal, $help:literal;)*) => {
        /// A kind of problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Slug { $($name,)* }

        impl Slug {
            const ALL: &[Self] = &[$(Self::$name,)*];

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }
        }
    };
}

slugs! {
    Malformed = "malformed" BAD_REQUEST "The request cannot be read",
        "A path, query, header or body does not have the form the API asks for. The detail says which.";
    PageTooLarge = "page-too-large" BAD_REQUEST "The page is too large",
        "Ask for fewer at once and follow `next`.";
    Unauthorized = "unauthorized" UNAUTHORIZED "No valid token",
        "Send `Authorization: Bearer ptl_…`. `portolan token create` makes one.";
    Forbidden = "forbidden" FORBIDDEN "Not yours to do",
        "The token is valid, but its role does not allow this.";
    NotFound = "not-found" NOT_FOUND "There is no such thing",
        "It does not exist, or is not yours to see.";
    NoRoute = "no-such-route" NOT_FOUND "There is no such route",
        "`/v1/openapi.json` lists all routes.";
    WrongMethod = "wrong-method" METHOD_NOT_ALLOWED "The route does not take this method",
        "The `Allow` header lists those it takes.";
    Conflict = "conflict" CONFLICT "The present state does not allow it",
        "The detail says what stands against it.";
    StaleSession = "stale-session" CONFLICT "The agent's session is over",
        "The agent is to join again; another may have joined for the same center.";
    Protocol = "protocol" CONFLICT "Agent and server speak different protocols",
        "Run the same version of Portolan on both.";
    TooLarge = "too-large" PAYLOAD_TOO_LARGE "The body is too large",
        "Split it, or submit files as datasets.";
    BatchTooLarge = "batch-too-large" PAYLOAD_TOO_LARGE "The batch is too large",
        "Submit fewer jobs at once.";
    MediaType = "media-type" UNSUPPORTED_MEDIA_TYPE "The body is in a format the route does not take",
        "Set `Content-Type` to what the route takes.";
    Invalid = "invalid" UNPROCESSABLE_ENTITY "What was asked for cannot be",
        "`errors` lists what is wrong and what would be right.";
    NotSupported = "not-supported" UNPROCESSABLE_ENTITY "Not supported yet",
        "Portolan knows what is meant and cannot do it yet.";
    Broken = "internal" INTERNAL_SERVER_ERROR "The server made a mistake",
        "This is a fault of the server; its log says more under the request's id.";
    CenterSilent = "center-silent" BAD_GATEWAY "The center does not answer",
        "Its agent is not there at present; try again later.";
    Busy = "busy" SERVICE_UNAVAILABLE "Too much of this at once",
        "Try again in a moment.";
    Stopping = "stopping" SERVICE_UNAVAILABLE "The server is stopping",
        "Try again in a moment: another takes over, or it comes back.";
    TimedOut = "timed-out" SERVICE_UNAVAILABLE "The answer took too long",
        "What was asked for may have happened; repeat it with the same idempotency key.";
}

/// A request that failed.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    slug: Slug,
    detail: String,
    errors: Vec<SpecError>,
}

impl Problem {
    pub(crate) fn new(slug: Slug, detail: impl Into<String>) -> Self {
        Self { slug, detail: detail.into(), errors: Vec::new() }
    }

    pub(crate) fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(Slug::NotFound, format!("there is no {what}"))
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Slug::Malformed, detail)
    }

    /// With these errors listed, the first hundred of them.
    pub(crate) fn with_errors(mut self, errors: Vec<SpecError>) -> Self {
        self.errors = errors;
        self.errors.truncate(MOST_ERRORS);
        self
    }

    /// A document of which `errors` are all that is wrong.
    pub(crate) fn invalid(what: &str, errors: Vec<SpecError>) -> Self {
        let detail = match &*errors {
            [only] => format!("{what}: {only}"),
            many => format!("{what}: {} things are wrong, see `errors`", many.len()),
        };
        Self::new(Slug::Invalid, detail).with_errors(errors)
    }
}

/// What is wrong in a document, below `at`.
pub(crate) fn spec_error(at: &str, problem: model::file::Problem) -> SpecError {
    SpecError { at: format!("{at}{}", problem.at), said: problem.said, expected: problem.expected }
}

/// What is wrong in a file.
pub(crate) fn file_error(diagnostic: &model::file::Diagnostic) -> SpecError {
    let (name, line, column) = (diagnostic.name(), diagnostic.line, diagnostic.column);
    let problem = &diagnostic.problem;
    let said = match &*problem.at {
        "" => problem.said.clone(),
        at => format!("{at}: {}", problem.said),
    };
    SpecError { at: format!("{name}:{line}:{column}"), said, expected: problem.expected.clone() }
}

impl From<Stopping> for Problem {
    fn from(stopping: Stopping) -> Self {
        Self::new(Slug::Stopping, stopping.to_string())
    }
}

impl From<Rejected> for Problem {
    fn from(rejected: Rejected) -> Self {
        let slug = match &rejected {
            Rejected::NotFound { .. } => Slug::NotFound,
            Rejected::Forbidden { .. } => Slug::Forbidden,
            Rejected::Conflict { .. } => Slug::Conflict,
            Rejected::Invalid { .. } => Slug::Invalid,
            Rejected::NotSupported { .. } => Slug::NotSupported,
            Rejected::StaleSession => Slug::StaleSession,
            Rejected::Protocol { .. } => Slug::Protocol,
        };
        Self::new(slug, rejected.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.slug.status();
        let document = Document {
            kind: format!("/problems/{}", self.slug.text()),
            title: self.slug.title().to_owned(),
            status: status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let body = serde_json::to_vec(&document).expect("a problem has only text keys");
        let json = [(header::CONTENT_TYPE, "application/problem+json")];
        let mut response = (status, json, body).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// What a kind of problem means, for people who follow its `type`.
pub(crate) fn describe(slug: &str) -> Option<String> {
    let slug = Slug::ALL.iter().find(|s| s.text() == slug)?;
    Some(format!("{}\n\n{}\n", slug.title(), slug.help()))
}
