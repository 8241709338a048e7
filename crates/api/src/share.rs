//! Who uses how much of what, whose turn it is, and what other quotas would change.

use crate::Api;
use crate::access::{Action, Resource, Who};
use crate::extract::{Id, Json as Body, Raw};
use crate::network::declarations;
use crate::problem::Problem;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use controller::{Answer, Command, Controller};
use model::{CenterId, Chips, Flavor, FlavorId, Moment, OwnerId, Tenant, TenantId};
use planner::{Entitlements, QuotaTrial, Snapshot};
use sharing::{Account, Count, Share, Totals, Usage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wire::view;
use world::Shares;

/// What there is to be told, as of one moment.
struct Seen {
    at: Moment,
    tenants: BTreeMap<TenantId, Arc<Tenant>>,
    flavors: BTreeMap<FlavorId, Arc<Flavor>>,
    /// How many chips there are of each flavor.
    chips: BTreeMap<FlavorId, Chips>,
    shares: Shares,
    usage: Usage,
    totals: Totals,
    waiting: BTreeSet<TenantId>,
    entitled: Entitlements,
}

impl Seen {
    fn of(controller: &Controller) -> Self {
        let (world, view) = (controller.world(), controller.board().view());
        let mut chips: BTreeMap<FlavorId, Chips> = BTreeMap::new();
        for state in world.centers.values() {
            for pool in &state.center.pools {
                if let Some(flavor) = view.flavor(&state.center.center, &pool.pool) {
                    let of = chips.entry(flavor.clone()).or_default();
                    *of = of.saturating_add(pool.chips());
                }
            }
        }
        Self {
            at: controller.now(),
            tenants: world.tenants.clone(),
            flavors: world.flavors.clone(),
            chips,
            shares: world.shares.clone(),
            usage: view.usage().clone(),
            totals: *view.totals(),
            waiting: view.lines().tenants().cloned().collect(),
            entitled: view.entitlements().clone(),
        }
    }

    fn flavor(&self, flavor: &Flavor) -> view::Flavor {
        view::Flavor {
            flavor: flavor.flavor.clone(),
            chips: flavor.chips.clone(),
            classes: flavor.classes.clone(),
            centers: flavor.centers.clone(),
            regions: flavor.regions.clone(),
            total: self.chips.get(&flavor.flavor).copied().unwrap_or_default(),
        }
    }

    fn tenant(&self, tenant: &Tenant) -> view::TenantShare {
        let standing = self.shares.standings.standing(&tenant.tenant, self.at, &self.totals);
        let share = standing.as_ref().map_or(Share::default(), |standing| standing.share);
        let quotas = self.usage.quotas();
        let flavors = quotas.flavors().filter(|flavor| self.flavors.contains_key(*flavor));
        view::TenantShare {
            tenant: tenant.tenant.clone(),
            parent: tenant.parent.clone(),
            weight: tenant.weight,
            dominant: standing.as_ref().map_or("chips".to_owned(), |s| s.dominant.to_string()),
            share_ppb: share.ppb(),
            share: share.to_string(),
            entitled: self.entitled.of(&tenant.tenant).map(|of| view::Entitled {
                to: of.to,
                has: of.has,
                behind_ms: of.behind_ms,
            }),
            card_time: standing.map_or_else(Default::default, |standing| standing.card_time),
            running: self.usage.jobs(&tenant.tenant, Count::Running),
            max_running: tenant.max_running,
            queued: self.usage.jobs(&tenant.tenant, Count::Queued),
            max_queued: tenant.max_queued,
            budget: tenant.budget,
            quotas: flavors.filter_map(|flavor| quota(&self.usage, tenant, flavor)).collect(),
        }
    }

    /// Tenants, each after the one it is part of.
    fn in_order(&self) -> Vec<&Arc<Tenant>> {
        let mut below: BTreeMap<Option<&TenantId>, Vec<&Arc<Tenant>>> = BTreeMap::new();
        for tenant in self.tenants.values().rev() {
            below.entry(tenant.parent.as_ref()).or_default().push(tenant);
        }
        let mut left = below.remove(&None).unwrap_or_default();
        let mut order = Vec::new();
        while let Some(next) = left.pop() {
            order.push(next);
            left.extend(below.remove(&Some(&next.tenant)).unwrap_or_default());
        }
        order
    }

    fn next(&self) -> Option<view::Turn> {
        let standings = &self.shares.standings;
        let turn = standings.next(self.at, &self.totals, &self.waiting)?;
        let why = turn.levels.iter().map(ToString::to_string).collect();
        Some(view::Turn { tenant: turn.tenant, why })
    }
}

/// What a tenant has of a flavor; nothing where it has no part in it at all.
fn quota(usage: &Usage, tenant: &Tenant, flavor: &FlavorId) -> Option<view::QuotaUse> {
    let Account { nominal, own, used, borrowed, potential, .. } =
        usage.account(&tenant.tenant, flavor)?;
    let declared = tenant.quotas.get(flavor);
    if declared.is_none() && used == Chips::ZERO && potential == Chips::ZERO {
        return None;
    }
    Some(view::QuotaUse {
        flavor: flavor.clone(),
        nominal,
        borrowing_limit: declared.and_then(|quota| quota.borrowing_limit),
        lending_limit: declared.and_then(|quota| quota.lending_limit),
        own,
        used,
        borrowed,
        left: usage.room(&tenant.tenant, flavor).available,
        most: potential,
    })
}

/// Who uses how much of what, and whose turn it is
///
/// Quotas and what is used of them, decayed use against weights, and why the next job is whose. A
/// tenant sees itself; those who see all tenants see whose turn it is.
#[utoipa::path(get, path = "/v1/shares", tag = "network", responses((status = OK, body = view::Shares)))]
pub(crate) async fn read_shares(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Shares>, Problem> {
    who.must(&api, Action::ReadShares, Resource::Network)?;
    let seen = api.gate.look(Seen::of).await?;
    let may_see = |of: &TenantId| who.may(&api, Action::ListTenants, Resource::Tenant(of.clone()));
    let order = seen.in_order();
    let (all, mut shown) = (order.len(), Vec::new());
    for tenant in order.into_iter().filter(|tenant| may_see(&tenant.tenant)) {
        shown.push(seen.tenant(tenant));
    }
    let next = (shown.len() == all).then(|| seen.next()).flatten();
    let flavors = seen.flavors.values().map(|flavor| seen.flavor(flavor)).collect();
    Ok(Json(view::Shares { at_ms: seen.at, flavors, tenants: shown, next }))
}

/// What owners lent one another
///
/// Chips that guests have now, and had on each of the last 92 days, by pair of owners. A center sees
/// what it lends, a tenant what it borrows, an operator all.
#[utoipa::path(get, path = "/v1/lent", tag = "network", responses((status = OK, body = view::Lent)))]
pub(crate) async fn read_lent(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Lent>, Problem> {
    who.must(&api, Action::ReadLent, Resource::Network)?;
    let seer = api.clone();
    let look = move |controller: &Controller| {
        let may_see = |center: &CenterId, tenant: &TenantId| {
            who.may(&seer, Action::ListTenants, Resource::Tenant(tenant.clone()))
                || who.may(&seer, Action::RecallCapacity, Resource::Center(center.clone()))
        };
        let at = controller.now();
        (at, controller.world().loans(at, may_see))
    };
    let (at_ms, loans) = api.gate.look(look).await?;
    let today = at_ms.0 / 86_400_000;
    let loan = |((lender, borrower), loan): ((OwnerId, String), world::Loan)| {
        let ago = (0..world::DAYS_KEPT).rev().map(|ago| today.saturating_sub(ago));
        let days = ago.map(|day| loan.days.get(&day).copied().unwrap_or_default());
        view::Loan { lender, borrower, now: loan.now, days: days.collect() }
    };
    Ok(Json(view::Lent { at_ms, loans: loans.into_iter().map(loan).collect() }))
}

/// Take back what is lent of a center
///
/// For its owner or an operator. Guests that may be stopped are told now, as few and as cheap as will do;
/// no other comes in their place until the recall is over. What cannot be back in time is refused with
/// the reason and the earliest time, and nothing is done.
#[utoipa::path(post, path = "/v1/centers/{center}/recall", tag = "network",
    params(("center" = String, Path)), request_body = view::RecallWanted,
    responses((status = OK, body = view::Recalled)))]
pub(crate) async fn recall_capacity(
    State(api): State<Api>,
    who: Who,
    Id(center): Id<CenterId>,
    Body(wanted): Body<view::RecallWanted>,
) -> Result<Json<view::Recalled>, Problem> {
    who.must(&api, Action::RecallCapacity, Resource::Center(center.clone()))?;
    let named = center.clone();
    let look =
        move |c: &Controller| Some((c.now(), Arc::clone(&c.world().centers.get(&named)?.center)));
    let known = api.gate.look(look).await?;
    let (now, declared) = known.ok_or_else(|| Problem::not_found(format!("center {center}")))?;
    let meant = |pool: &&model::Pool| wanted.pool.as_ref().is_none_or(|name| pool.pool == *name);
    let pools: Vec<&model::Pool> = declared.pools.iter().filter(meant).collect();
    if let (Some(pool), true) = (&wanted.pool, pools.is_empty()) {
        return Err(Problem::not_found(format!("pool {pool} of {center}")));
    }
    let notice = pools.iter().map(|pool| declared.lending(pool).notice).max();
    let in_time = wanted.by_ms.unwrap_or(now + notice.unwrap_or_default());
    let chips = |pool: &&model::Pool| {
        (pool.pool.clone(), wanted.chips.unwrap_or(Chips::MAX).min(pool.chips()))
    };
    let command = Command::Recall {
        center,
        pools: pools.iter().map(chips).collect(),
        in_time,
        until: wanted.until_ms.unwrap_or(Moment::MAX),
    };
    let Answer::Recalled { leave } = crate::center::command(&api, who, command).await? else {
        unreachable!("a recall is answered by who leaves");
    };
    let leaving =
        |(attempt, by_ms): (model::AttemptId, Moment)| view::Leaving { job: attempt.job, by_ms };
    Ok(Json(view::Recalled { leave: leave.into_iter().map(leaving).collect() }))
}

/// Try other quotas
///
/// The body is what would be applied: network files that declare flavors and tenants. Nothing is
/// changed. The queue is planned as it is and as it would be, and the difference is told: who could
/// have more or less, which jobs would start, wait, or be told to make room.
#[utoipa::path(post, path = "/v1/shares/plan", tag = "network",
    request_body(content(
        (String = "application/toml"),
        (view::NetworkFiles = "application/json")
    )),
    responses((status = OK, body = view::QuotaPlan)))]
pub(crate) async fn plan_quotas(
    State(api): State<Api>,
    who: Who,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Json<view::QuotaPlan>, Problem> {
    who.must(&api, Action::PlanQuotas, Resource::Network)?;
    let new = declarations(&api, &headers, &body).await?;
    if !(new.centers.is_empty() && new.exchanges.is_empty() && new.links.is_empty()) {
        let detail =
            "only flavors and tenants can be tried; leave out centers, exchanges and links";
        return Err(Problem::malformed(detail));
    }
    let (tenants, flavors) = (new.tenants.clone(), new.flavors.clone());
    let checked = api.gate.look(move |c| c.check_quotas(&new)).await?;
    checked.map_err(Problem::from)?;
    let told = crate::job::why::on_snapshot(&api, move |snapshot| {
        let trial = planner::try_quotas(snapshot, &tenants, &flavors);
        show(snapshot, &trial)
    });
    Ok(Json(told.await?))
}

fn show(snapshot: &Snapshot, trial: &QuotaTrial) -> view::QuotaPlan {
    let (before, after) = (snapshot.view.usage(), &trial.usage);
    let mut quotas = Vec::new();
    let flavors: BTreeSet<&FlavorId> =
        before.quotas().flavors().chain(after.quotas().flavors()).collect();
    for tenant in after.quotas().tenants() {
        for flavor in &flavors {
            let was = before.account(tenant, flavor).unwrap_or_default();
            let is = after.account(tenant, flavor).unwrap_or_default();
            if (was.nominal, was.potential) == (is.nominal, is.potential) {
                continue;
            }
            quotas.push(view::QuotaChange {
                tenant: tenant.clone(),
                flavor: (*flavor).clone(),
                nominal_before: was.nominal,
                nominal_after: is.nominal,
                most_before: was.potential,
                most_after: is.potential,
                own: is.own,
            });
        }
    }
    let jobs = |jobs: &BTreeMap<model::JobId, TenantId>| {
        let of = |(job, tenant): (&model::JobId, &TenantId)| view::JobOf {
            job: *job,
            tenant: tenant.clone(),
        };
        jobs.iter().map(of).collect()
    };
    let QuotaTrial { start, leave, wait, .. } = trial;
    view::QuotaPlan { quotas, start: jobs(start), leave: jobs(leave), wait: jobs(wait) }
}
