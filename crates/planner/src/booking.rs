//! Chips booked for later: where a reservation's window is free, and what runs in it.
//!
//! A reservation holds its nodes as an attempt does, from when it is made. What names it is planned on
//! a board of its own: the pool's, with all walled off that is not the reservation's. Its tenant's
//! quota and its owner's rules are asked for the time of its window; until that opens it leaves both to
//! whoever is gone by then.

use crate::ask::Ask;
use crate::candidate::{Candidate, Data};
use crate::lending::{Guest, most};
use crate::options::Choice;
use crate::pool::PoolBoard;
use crate::refusal::{Refusal, Standing};
use crate::roster::PoolNumber;
use crate::scene::{Asked, Scene};
use crate::view::View;
use crate::{NotLent, Policy, Situation};
use calendar::Work;
use model::job::{Job, JobKind, JobSpec};
use model::{Attempt, CenterId, Chips, JobId, Moment, PartPlacement, Placement, TenantId};
use sharing::{Claim, Usage};
use std::borrow::Cow;
use std::sync::Arc;
use world::World;

/// A reservation that is to open: what it will have.
#[derive(Debug, Clone)]
pub(crate) struct Booked {
    tenant: TenantId,
    claim: Claim,
    placement: Arc<Placement>,
}

impl Booked {
    pub(crate) fn of(job: &Job, attempt: &Attempt) -> Self {
        let placement = Arc::clone(&attempt.placement);
        Self {
            tenant: job.spec.tenant.clone(),
            claim: world::claim(&job.spec, &placement),
            placement,
        }
    }

    fn overlaps(&self, (from, until): (Moment, Moment)) -> bool {
        self.placement.start < until && from < self.placement.until
    }
}

/// What a reservation gives to those that run in it.
#[derive(Debug, Clone)]
pub(crate) struct Inside {
    pub(crate) pool: PoolNumber,
    pub(crate) board: PoolBoard,
}

/// What tenants use in the window that was last asked about: most choices are free in the same.
pub(crate) type Known = Option<((Moment, Moment), Usage)>;

/// Where a reservation's window is, or why it can be nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Booking {
    /// Its nodes are free then.
    Free(Box<Placement>),
    /// They are not.
    Taken {
        /// The earliest that they are, and where.
        earliest: Option<(Moment, CenterId)>,
        /// What stands against each center.
        standings: Vec<Standing>,
    },
}

/// Finds the place for a reservation: the cheapest of those that have the chips free in all of its
/// window. Nothing that was told a start, runs or is booked makes room for it.
#[must_use]
pub fn book(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    spec: &JobSpec,
) -> Booking {
    let JobKind::Reservation { start, .. } = spec.kind else {
        return Booking::Taken { earliest: None, standings: Vec::new() };
    };
    let told = crate::trial(world, view, situation, policy, spec);
    let asked = start.max(situation.now);
    match told.candidates.iter().find(|candidate| candidate.start == asked) {
        Some(found) => {
            let mut found = found.clone();
            let board = &view.pools[found.number as usize];
            let variant =
                spec.parts.first().and_then(|p| p.variants.get(usize::from(found.variant)));
            let ask = Ask::of(spec, variant.expect("a candidate is of a variant"));
            let ask = ask.with_its_share(view.roster.seat(found.number).pool());
            let slots = board.bind(found.start, found.until, (&ask, view.typical(found.number)));
            found.slots = slots.expect("a candidate fits where it was found");
            Booking::Free(Box::new(view.placed(&found)))
        }
        None => {
            let soonest = told.candidates.iter().min_by_key(|candidate| candidate.start);
            let earliest = soonest.map(|found| (found.start, found.center.clone()));
            Booking::Taken { earliest, standings: told.standings }
        }
    }
}

impl Scene<'_> {
    /// The terms of a choice for a reservation, from when its window can be at the earliest, or why it
    /// will not do.
    pub(crate) fn open_booking(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        (known, work): (&mut Known, &mut Work),
    ) -> Result<Candidate, Refusal> {
        let JobKind::Reservation { start, .. } = asked.spec.kind else {
            return Err(Refusal::NoWindow);
        };
        let seat = self.view.roster.seat(choice.pool);
        self.shut(asked.class, seat)?;
        let board = &self.view.pools[choice.pool as usize];
        let ask = &asked.options.ask(choice).with_its_share(seat.pool());
        let limit = asked.options.limit(choice);
        let mut at = start.max(self.situation.now);
        loop {
            let lent = self.lent_from(asked, seat, (at, limit))?;
            let free = board.earliest(lent, limit, ask, work).ok_or(Refusal::NoWindow)?;
            if free == at {
                break;
            }
            at = free;
        }
        let window = (at, at + limit);
        if !self.view.no_quotas {
            if known.as_ref().is_none_or(|(of, _)| *of != window) {
                *known = Some((window, self.view.usage_in(self.world, window)));
            }
            let usage = known.as_ref().map_or(&self.view.usage, |(_, usage)| usage);
            let denied = self.admits(usage, asked, choice);
            denied.map_err(|denied| Refusal::Quota { denied })?;
        }
        let used = self.view.guests_in(self.world, choice.pool, window);
        self.shares(asked, choice, used)?;
        self.candidate(asked, choice, Data::none(self.situation.now), (at, Vec::new()), Vec::new())
    }

    /// What stands against giving a choice to a job of the class for a time in which windows open that
    /// are booked.
    pub(crate) fn beside_booked(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        window: (Moment, Moment),
    ) -> Result<(), Refusal> {
        if self.view.booked.is_empty() || asked.spec.reservation.is_some() {
            return Ok(());
        }
        // What a job is given counts from when it is offered, whenever it starts.
        let from = if asked.spec.is_reservation() { window.0 } else { self.situation.now };
        let window = (window.0.min(from), window.1);
        if let Cow::Owned(usage) = self.view.usage_beside(window) {
            let denied = self.admits(&usage, asked, choice);
            denied.map_err(|denied| Refusal::Quota { denied })?;
        }
        let used = self.view.guests.get(&choice.pool).copied().unwrap_or_default();
        let booked = self.view.booked_guests(self.world, choice.pool, window);
        match booked {
            Chips::ZERO => Ok(()),
            booked => self.shares(asked, choice, used.saturating_add(booked)),
        }
    }

    /// Whether an owner lends as much more than `used` of a choice's pool as a job of the class takes.
    pub(crate) fn shares(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        used: Chips,
    ) -> Result<(), Refusal> {
        let seat = self.view.roster.seat(choice.pool);
        let Some(most) = most(self.world, seat) else { return Ok(()) };
        let ask = asked.options.ask(choice);
        let takes = ask.chips.times(ask.nodes.into());
        let fits = used.saturating_add(takes) <= most;
        if fits || Guest::of(self.world, &asked.spec.tenant).is_at_home(&seat.center.center) {
            return Ok(());
        }
        let ever = seat.lending.most(seat.pool().chips());
        let rule = match takes > ever {
            true => NotLent::Size { most: ever, takes },
            false => NotLent::Share { most, used },
        };
        Err(Refusal::NotLent { rule })
    }
}

impl View {
    /// The calendars on which a job is planned: its reservation's, or else the pool's. `None` when the
    /// reservation is not there, or elsewhere.
    pub(crate) fn board(&self, inside: Option<JobId>, pool: PoolNumber) -> Option<&PoolBoard> {
        match inside {
            None => self.pools.get(pool as usize).map(Arc::as_ref),
            Some(reservation) => {
                let inside = self.inside.get(&reservation)?;
                (inside.pool == pool).then_some(&inside.board)
            }
        }
    }

    /// Changes them.
    pub(crate) fn board_mut(
        &mut self,
        inside: Option<JobId>,
        pool: PoolNumber,
        change: impl FnOnce(&mut PoolBoard),
    ) {
        match inside {
            None => change(self.pool_mut(pool)),
            Some(reservation) => {
                if let Some(inside) = Arc::make_mut(&mut self.inside).get_mut(&reservation) {
                    change(&mut inside.board);
                }
            }
        }
    }

    /// What tenants use in a window that comes: those gone by then have nothing, and what is booked for
    /// the time is taken.
    fn usage_in(&self, world: &World, window: (Moment, Moment)) -> Usage {
        let mut usage = self.usage_beside(window).into_owned();
        for (_, id) in world.all_live() {
            let Some((job, live)) = stays(world, id, window.0, false) else { continue };
            let claim = world::claim(&job.spec, &live.placement);
            // What it may cost stays spent.
            let _not_counted = usage.give(&job.spec.tenant, &claim, claim.card_time);
        }
        usage
    }

    /// What tenants use now and in the windows that open in this time.
    pub(crate) fn usage_beside(&self, window: (Moment, Moment)) -> Cow<'_, Usage> {
        let mut usage = Cow::Borrowed(&self.usage);
        if self.no_quotas {
            return usage;
        }
        for booked in self.booked.values() {
            // What it may cost is spent whenever it opens.
            let cost = Claim { jobs: 0, card_time: booked.claim.card_time, ..Claim::default() };
            let claim = if booked.overlaps(window) { &booked.claim } else { &cost };
            let _unknown = usage.to_mut().take(&booked.tenant, claim);
        }
        usage
    }

    /// What guests have of a pool in a window that comes.
    fn guests_in(&self, world: &World, pool: PoolNumber, window: (Moment, Moment)) -> Chips {
        let seat = self.roster.seat(pool);
        let mut used = self.booked_guests(world, pool, window);
        for id in world.live(&seat.center.center) {
            let Some((job, live)) = stays(world, id, window.0, true) else { continue };
            used =
                used.saturating_add(self.as_guest(world, &job.spec.tenant, &live.placement, pool));
        }
        used
    }

    /// What guests have booked of a pool for a time.
    pub(crate) fn booked_guests(
        &self,
        world: &World,
        pool: PoolNumber,
        window: (Moment, Moment),
    ) -> Chips {
        let booked = self.booked.values().filter(|booked| booked.overlaps(window));
        let of = |booked: &Booked| self.as_guest(world, &booked.tenant, &booked.placement, pool);
        booked.map(of).fold(Chips::ZERO, Chips::saturating_add)
    }

    /// What a tenant has as a guest of a pool by a placement.
    fn as_guest(
        &self,
        world: &World,
        tenant: &TenantId,
        placement: &Placement,
        pool: PoolNumber,
    ) -> Chips {
        let seat = self.roster.seat(pool);
        let center = &seat.center.center;
        if Guest::of(world, tenant).is_at_home(center) {
            return Chips::ZERO;
        }
        let here = |part: &&PartPlacement| part.center == *center && part.pool == seat.pool().pool;
        let chips = placement.parts.iter().filter(here).map(PartPlacement::chips);
        chips.fold(Chips::ZERO, Chips::saturating_add)
    }
}

/// A live attempt that counts now, if it stays until a moment, or does not: not what makes room for
/// another, runs in a reservation or is one whose window has not opened.
fn stays(
    world: &World,
    id: model::AttemptId,
    at: Moment,
    wanted: bool,
) -> Option<(&Arc<Job>, &Attempt)> {
    let (job, live) = (world.job(id.job)?, world.live_attempt(id)?);
    let is_to_open = job.spec.is_reservation() && live.state.started().is_none();
    if is_to_open || live.preempted.is_some() || live.placement.inside.is_some() {
        return None;
    }
    let (_, until) = crate::board::window(live, job);
    ((until > at) == wanted).then_some((job, live))
}
