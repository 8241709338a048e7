//! The network's API: REST under `/v1`, its OpenAPI document, events, metrics and the dashboard.
//!
//! The one door is [`router`]: a [`Gate`] to the loop in, an axum router out;
//! [`serve::serve`] listens with it. Handlers read a request, ask whether its sender may, pass
//! it through the gate and show the answer as [`wire::view`] has it. What comes back through the
//! gate is durable, so nothing leaves here that a crash could take back.
//!
//! Deliberately absent: state of the network, decisions about it, the log. Beside tokens remembered
//! for half a second, nothing is kept between two requests.

#![allow(unused_qualifications, reason = "utoipa's path macro qualifies what it is given")]

mod access;
mod agent;
mod center;
mod circle;
mod dashboard;
mod dataset;
mod edge;
mod event;
mod extract;
pub mod gate;
mod health;
mod job;
mod keeping;
mod link;
mod log;
mod metrics;
mod network;
mod plan;
mod problem;
mod promise;
mod quality;
mod reservation;
pub mod serve;
mod settings;
mod share;
mod shown;
mod token;
mod transfer;
mod under_way;

pub use access::new_secret;
pub use metrics::Metrics;
pub use settings::Settings;

use access::{Policies, Tokens};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use gate::Gate;
use problem::{Problem, Slug};
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{Semaphore, SemaphorePermit};
use under_way::UnderWay;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Explanations and dry runs are worked out so many at a time.
const PLANNING_AT_ONCE: usize = 2;

/// What handlers share. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Api(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    gate: Gate,
    settings: Settings,
    tokens: Tokens,
    policies: Policies,
    planning: Semaphore,
    under_way: UnderWay,
    streams: Arc<Semaphore>,
}

impl Deref for Api {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    fn new(gate: Gate, settings: Settings) -> Self {
        Self(Arc::new(Shared {
            gate,
            tokens: Tokens::default(),
            policies: Policies::embedded(),
            planning: Semaphore::new(PLANNING_AT_ONCE),
            under_way: UnderWay::default(),
            streams: Arc::new(Semaphore::new(settings.max_streams)),
            settings,
        }))
    }

    /// How many entries a page has that asks for `asked`.
    fn page(&self, asked: Option<usize>, usual: usize) -> Result<usize, Problem> {
        let most = self.settings.max_page;
        match asked.unwrap_or(usual.min(most)) {
            0 => Err(Problem::malformed("`limit` must be above zero")),
            limit if limit > most => {
                let detail = format!("`limit` is {limit}; a page has at most {most} entries");
                Err(Problem::new(Slug::PageTooLarge, detail))
            }
            limit => Ok(limit),
        }
    }

    /// A turn to plan something.
    async fn planning_turn(&self) -> SemaphorePermit<'_> {
        self.planning.acquire().await.expect("the semaphore is never closed")
    }

    /// A place among the streams.
    fn stream_place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.streams).try_acquire_owned();
        let busy = |_| Problem::new(Slug::Busy, "as many streams are open as this server serves");
        place.map_err(busy)
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Portolan",
        description = "Many independently owned computing centers as one network: submit a job \
                       once, and it runs in the best of them.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(wire::view::Problem, wire::view::Event)),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", scheme);
    }
}

/// Routes whose answer comes at once.
fn quick() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(job::submit::submit_jobs, job::list::list_jobs))
        .routes(routes!(job::list::get_job))
        .routes(routes!(job::change::cancel_job))
        .routes(routes!(job::change::hold_job))
        .routes(routes!(job::change::release_job))
        .routes(routes!(job::change::requeue_job))
        .routes(routes!(job::why::explain_job))
        .routes(routes!(job::why::plan_job))
        .routes(routes!(reservation::list_reservations))
        .routes(routes!(center::list_centers))
        .routes(routes!(center::get_center))
        .routes(routes!(center::declare_center_lost))
        .routes(routes!(link::list_links))
        .routes(routes!(link::cut_link))
        .routes(routes!(link::test_link))
        .routes(routes!(link::mend_link))
        .routes(routes!(link::list_exchanges))
        .routes(routes!(quality::list_paths))
        .routes(routes!(circle::list_circles))
        .routes(routes!(network::apply_network))
        .routes(routes!(network::list_tenants))
        .routes(routes!(network::list_chips))
        .routes(routes!(dataset::list_datasets, dataset::announce_dataset))
        .routes(routes!(dataset::get_dataset, dataset::remove_dataset))
        .routes(routes!(dataset::get_dataset_ticket))
        .routes(routes!(keeping::keep_dataset))
        .routes(routes!(keeping::copy_dataset, keeping::evict_copy))
        .routes(routes!(keeping::archive_copy))
        .routes(routes!(keeping::scrub_copies))
        .routes(routes!(keeping::list_stores))
        .routes(routes!(keeping::get_store))
        .routes(routes!(transfer::list_transfers))
        .routes(routes!(promise::read_promises))
        .routes(routes!(share::read_shares))
        .routes(routes!(share::plan_quotas))
        .routes(routes!(share::read_lent))
        .routes(routes!(plan::read_plan))
        .routes(routes!(share::recall_capacity))
        .routes(routes!(shown::show_check))
        .routes(routes!(shown::show_bench))
        .routes(routes!(token::list_tokens, token::create_token))
        .routes(routes!(token::revoke_token))
        .routes(routes!(log::read_log))
        .routes(routes!(log::read_log_heads))
        .routes(routes!(agent::join_agent))
        .routes(routes!(agent::report_agent))
        .routes(routes!(agent::answer_agent))
        .routes(routes!(agent::tell_under_way))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::read_metrics))
        .routes(routes!(health::openapi_json))
}

/// Routes whose answer may take as long as its asker wants.
fn patient() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(job::log::read_job_log))
        .routes(routes!(event::follow_events))
        .routes(routes!(agent::poll_agent))
}

/// The OpenAPI document, made from the routes themselves.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let routes = OpenApiRouter::with_openapi(Document::openapi()).merge(quick()).merge(patient());
    let mut document = routes.into_openapi();
    edge::finish_document(&mut document);
    document
}

/// The API over `gate`, to be served.
pub fn router(gate: Gate, settings: Settings) -> Router {
    let max_body = settings.max_body;
    let api = Api::new(gate, settings);
    let (quick, _) = quick().split_for_parts();
    let (patient, _) = patient().split_for_parts();
    let quick = quick.route_layer(axum::middleware::from_fn_with_state(api.clone(), edge::in_time));
    let routes = quick
        .merge(patient)
        .fallback(dashboard::elsewhere)
        .method_not_allowed_fallback(edge::wrong_method)
        .layer(DefaultBodyLimit::max(max_body))
        .with_state(api.clone());
    edge::around(routes, api)
}
