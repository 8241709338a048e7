//! Whether owners lend a tenant what it asks for, and who is at home where.

use crate::options::Choice;
use crate::proposal::Offer;
use crate::refusal::Refusal;
use crate::roster::Seat;
use crate::scene::{Asked, Scene};
use crate::view::View;
use model::{
    Center, CenterId, Chips, Lending, Moment, OwnerId, PartPlacement, Region, Relation, Span,
    Tenant, TenantId,
};
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use world::World;

/// What of an owner's rules stands against a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "rule")]
pub enum NotLent {
    /// It lends to others only.
    To {
        /// To whom, in words.
        guests: String,
    },
    /// Others have as much of it as it lends.
    Share {
        /// The most that it lends.
        most: Chips,
        /// What others have.
        used: Chips,
    },
    /// It never lends as much as the job takes.
    Size {
        /// The most that it lends.
        most: Chips,
        /// What the job takes.
        takes: Chips,
    },
    /// It lends at other times, or never for so long.
    When {
        /// When, in words.
        windows: String,
        /// How long the job may run.
        limit: Span,
    },
}

impl NotLent {
    /// Whether waiting may cure it.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Share { .. })
    }
}

impl fmt::Display for NotLent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::To { guests } => write!(f, "its owner lends it to {guests} only"),
            Self::Share { most, used } => {
                write!(f, "its owner lends {most} of its chips, and others have {used} of them")
            }
            Self::Size { most, takes } => {
                write!(f, "its owner lends {most} of its chips, and the job takes {takes}")
            }
            Self::When { windows, limit } => {
                write!(f, "its owner lends it {windows}, and the job may run {limit}")
            }
        }
    }
}

/// A tenant as owners see it: itself and all it is part of.
pub(crate) struct Guest<'a> {
    path: Vec<&'a Tenant>,
    /// Where they are at home.
    regions: Vec<&'a Region>,
    /// Whose centers those are.
    owners: Vec<&'a OwnerId>,
}

impl<'a> Guest<'a> {
    pub(crate) fn of(world: &'a World, tenant: &TenantId) -> Self {
        let of = |tenant: &TenantId| world.tenants.get(tenant).map(Arc::as_ref);
        let above = |tenant: &&'a Tenant| tenant.parent.as_ref().and_then(of);
        let path: Vec<&Tenant> =
            std::iter::successors(of(tenant), above).take(world.tenants.len()).collect();
        let homes = || path.iter().filter_map(|tenant| world.centers.get(tenant.home.as_ref()?));
        let regions = homes().filter_map(|home| Some(&home.center.site()?.region)).collect();
        let owners = homes().map(|home| &home.center.owner).collect();
        Self { path, regions, owners }
    }

    /// Where it is at home, and all that it is part of.
    pub(crate) fn homes(&self) -> impl Iterator<Item = &'a CenterId> {
        self.path.iter().filter_map(|tenant| tenant.home.as_ref())
    }

    /// What it is to a center's owner.
    fn relation_to(&self, center: &Center) -> Relation {
        let is_partner = |of: &&Tenant| center.partners.contains(&of.tenant);
        match self.path.iter().any(is_partner) {
            _ if self.owners.contains(&&center.owner) => Relation::Internal,
            true => Relation::Partner,
            false => Relation::Outside,
        }
    }

    /// Whether it is one of a center's own.
    pub(crate) fn is_at_home(&self, center: &CenterId) -> bool {
        self.path.iter().any(|tenant| tenant.home.as_ref() == Some(center))
    }

    /// Whether anybody else has something where it is at home.
    pub(crate) fn has_guests(&self, view: &View) -> bool {
        let mut pools = self.homes().flat_map(|home| view.roster.pools_of(home));
        pools.any(|pool| view.guests.contains_key(&pool))
    }

    /// Whether a center's owner lends a pool to it, or it is the center's own.
    pub(crate) fn may_have(&self, center: &Center, lending: &Lending) -> Result<(), Refusal> {
        let to = &lending.to;
        let is_meant = to.are_all()
            || self.path.iter().any(|of| to.organizations.contains(&of.tenant))
            || self
                .path
                .iter()
                .filter_map(|of| of.industry.as_ref())
                .any(|of| to.industries.contains(of))
            || self.regions.iter().any(|of| to.regions.iter().any(|region| region.contains(of)))
            || (!to.relations.is_empty() && to.relations.contains(&self.relation_to(center)));
        if is_meant || self.is_at_home(&center.center) {
            return Ok(());
        }
        let guests = to.to_string();
        Err(Refusal::NotLent { rule: NotLent::To { guests } })
    }
}

impl Scene<'_> {
    /// Whether its owner lends as much more of a choice's pool as a job of the class takes.
    pub(crate) fn within_share(&self, asked: Asked<'_>, choice: &Choice) -> Result<(), Refusal> {
        let used = self.view.guests.get(&choice.pool).copied().unwrap_or_default();
        self.shares(asked, choice, used)
    }

    /// When, not before `from`, a choice's pool is lent for as long as a job of the class may run.
    pub(crate) fn lent_from(
        &self,
        asked: Asked<'_>,
        seat: &Seat,
        (from, limit): (Moment, Span),
    ) -> Result<Moment, Refusal> {
        let lending = &seat.lending;
        if lending.windows.is_empty()
            || asked.spec.reservation.is_some()
            || Guest::of(self.world, &asked.spec.tenant).is_at_home(&seat.center.center)
        {
            return Ok(from);
        }
        let zone = seat.center.site().map_or("UTC", |site| &site.time_zone);
        lending.next(zone, from, limit).ok_or_else(|| {
            let windows: Vec<_> = lending.windows.iter().map(ToString::to_string).collect();
            Refusal::NotLent { rule: NotLent::When { windows: windows.join(", "), limit } }
        })
    }
}

/// The most chips of a seat's pool that guests have at a time now that its owner may have taken back
/// some; none where they may have all.
pub(crate) fn most(world: &World, seat: &Seat) -> Option<Chips> {
    // Nearly always nobody has taken anything back.
    let recalled = match world.recalls.is_empty() {
        true => None,
        false => world.recall_of(&seat.center.center, &seat.pool().pool),
    };
    if seat.lending.percent >= 100 && recalled.is_none() {
        return None;
    }
    let recalled = recalled.map_or(Chips::ZERO, |recalled| recalled.chips);
    let all = seat.pool().chips();
    Some(seat.lending.most(all).min(all - recalled))
}

impl View {
    /// Whether owners still lend what an offer is given, once those have left that make room for it.
    pub(crate) fn lends(&self, world: &World, offer: &Offer) -> bool {
        let Some(job) = world.job(offer.job) else { return false };
        let guest = Guest::of(world, &job.spec.tenant);
        let place = &offer.placement;
        if place.inside.is_some() {
            return true;
        }
        place.parts.iter().filter(|part| !guest.is_at_home(&part.center)).all(|part| {
            let Some(number) = self.roster.number(&part.center, &part.pool) else { return false };
            let seat = self.roster.seat(number);
            let zone = seat.center.site().map_or("UTC", |site| &site.time_zone);
            let span = place.until.since(place.start);
            // Its owner may have changed its mind since.
            if guest.may_have(&seat.center, &seat.lending).is_err() {
                return false;
            }
            if seat.lending.next(zone, place.start, span) != Some(place.start) {
                return false;
            }
            let Some(most) = most(world, seat) else { return true };
            let leave = offer.preempts.iter().filter_map(|attempt| {
                let (job, live) = (world.job(attempt.job)?, world.live_attempt(*attempt)?);
                let own = Guest::of(world, &job.spec.tenant).is_at_home(&part.center);
                let here = live
                    .placement
                    .parts
                    .iter()
                    .filter(|of| !own && (&of.center, &of.pool) == (&part.center, &part.pool));
                Some(here.map(PartPlacement::chips).fold(Chips::ZERO, Chips::saturating_add))
            });
            let used = self.guests.get(&number).copied().unwrap_or_default();
            let used = used - leave.fold(Chips::ZERO, Chips::saturating_add);
            let booked = self.booked_guests(world, number, (place.start, place.until));
            used.saturating_add(booked).saturating_add(part.chips()) <= most
        })
    }

    /// Counts what a guest has of a pool, or no longer has; nothing of the pool's own.
    pub(crate) fn count_guest(
        &mut self,
        world: &World,
        tenant: &TenantId,
        part: &PartPlacement,
        comes: bool,
    ) {
        let Some(number) = self.roster.number(&part.center, &part.pool) else { return };
        let seat = self.roster.seat(number);
        let recalled = || world.recall_of(&part.center, &part.pool).is_some();
        let matters = seat.lending.percent < 100 || seat.has_own || recalled();
        if !matters || Guest::of(world, tenant).is_at_home(&part.center) {
            return;
        }
        let chips = part.chips();
        let guests = Arc::make_mut(&mut self.guests);
        let used = guests.entry(number).or_default();
        *used = if comes { used.saturating_add(chips) } else { *used - chips };
        if *used == Chips::ZERO {
            guests.remove(&number);
        }
    }
}
