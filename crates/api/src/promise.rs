//! How told starts held.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::Query;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use model::job::{Cause, GRACE};
use model::{CenterId, Moment, TenantId};
use serde::Deserialize;
use std::cmp::Reverse;
use std::fmt::Display;
use utoipa::IntoParams;
use wire::view;
use world::{Promises, Record, Tally};

/// Which promises are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Starts that came, or fell due, since about then, in milliseconds since 1970; all of them
    /// where nothing is said.
    #[param(value_type = Option<u64>)]
    since_ms: Option<Moment>,
    /// Only this tenant's.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Only those of this center.
    #[param(value_type = Option<String>)]
    center: Option<CenterId>,
}

/// How the starts held that jobs were told
///
/// Of the whole network, a tenant or a center. Everyone may see how the network and its centers keep
/// their word; a tenant's own record is its own.
#[utoipa::path(get, path = "/v1/promises", tag = "jobs", params(Wanted),
    responses((status = OK, body = view::Promises)))]
pub(crate) async fn read_promises(
    State(api): State<Api>,
    who: Who,
    Query(wanted): Query<Wanted>,
) -> Result<Json<view::Promises>, Problem> {
    who.must(&api, Action::ReadPromises, Resource::Network)?;
    let Wanted { since_ms, tenant, center } = wanted;
    if tenant.is_some() && center.is_some() {
        let detail = "name a `tenant` or a `center`: nobody counts starts by both";
        return Err(Problem::malformed(detail));
    }
    if let Some(tenant) = &tenant {
        who.must(&api, Action::ListTenants, Resource::Tenant(tenant.clone()))?;
    }
    let asked = (tenant.clone(), center.clone());
    let look = move |c: &controller::Controller| {
        let world = c.world();
        let (tenant, center) = asked;
        let known = tenant.is_none_or(|tenant| world.tenants.contains_key(&tenant))
            && center.is_none_or(|center| world.centers.contains_key(&center));
        known.then(|| world.promises.clone())
    };
    let promises = api.gate.look(look).await?;
    let nobody =
        || tenant.as_ref().map(ToString::to_string).or(center.as_ref().map(ToString::to_string));
    let promises = promises.ok_or_else(|| Problem::not_found(nobody().unwrap_or_default()))?;
    let since = since_ms.unwrap_or(Moment::ZERO);
    let may_see = |of: &TenantId| who.may(&api, Action::ListTenants, Resource::Tenant(of.clone()));
    Ok(Json(show(&promises, since, tenant.as_ref(), center.as_ref(), &may_see)))
}

fn show(
    promises: &Promises,
    since: Moment,
    tenant: Option<&TenantId>,
    center: Option<&CenterId>,
    may_see: &dyn Fn(&TenantId) -> bool,
) -> view::Promises {
    let (tally, mut centers, mut tenants) = match (tenant, center) {
        (Some(tenant), _) => (promises.of_tenant(tenant, since), Vec::new(), Vec::new()),
        (None, Some(center)) => (promises.of_center(center, since), Vec::new(), Vec::new()),
        (None, None) => {
            let mut by_tenant = promises.by_tenant(since);
            by_tenant.retain(|tenant, _| may_see(tenant));
            let centers = promises.by_center(since).iter().map(by).collect();
            (promises.all(since), centers, by_tenant.iter().map(by).collect())
        }
    };
    centers.retain(|one: &view::KeptBy| one.kept.told > 0);
    tenants.retain(|one: &view::KeptBy| one.kept.told > 0);
    let horizons = tally.horizons.iter().map(|(horizon, record)| view::KeptAhead {
        horizon: horizon.words().to_owned(),
        kept: kept(record),
    });
    let mut causes: Vec<(&Cause, &u64)> = tally.causes.iter().collect();
    causes.sort_by_key(|(cause, starts)| (Reverse(**starts), **cause));
    let causes = causes.into_iter().map(|(cause, starts)| view::Cause {
        cause: cause.token().to_owned(),
        text: cause.words().to_owned(),
        starts: *starts,
    });
    view::Promises {
        since_ms: promises.begins(since),
        grace_ms: GRACE,
        all: kept(&tally.all()),
        withdrawn: tally.withdrawn,
        horizons: horizons.collect(),
        causes: causes.collect(),
        centers,
        tenants,
    }
}

fn by((name, tally): (&impl Display, &Tally)) -> view::KeptBy {
    view::KeptBy { name: name.to_string(), kept: kept(&tally.all()) }
}

fn kept(record: &Record) -> view::Kept {
    view::Kept {
        told: record.told,
        held: record.held,
        held_thousandths: record.held_thousandths(),
        bias_ms: record.bias_ms(),
        late_p50_ms: record.late_quantile(500),
        late_p90_ms: record.late_quantile(900),
        late_p99_ms: record.late_quantile(990),
        late_max_ms: (record.told > record.held).then_some(record.most_late),
    }
}
