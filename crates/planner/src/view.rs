//! What a plan is drawn up against.

use crate::booking::{Booked, Inside};
use crate::class::{Class, ClassId, Lines, class_of_job};
use crate::demand::Offered;
use crate::entitlement::Entitlements;
use crate::idle::Idle;
use crate::packing::Typical;
use crate::pool::PoolBoard;
use crate::proposal::Reservation;
use crate::roster::{PoolNumber, Roster};
use crate::runs::Runs;
use crate::tally::Tally;
use crate::toll::Tolls;
use crate::victims::Victims;
use model::job::Job;
use model::{CenterId, Chips, JobId, Moment, PoolId, Refused};
use network::{Links, Topology};
use sharing::{Totals, Usage};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::NotReady;

/// What planning reads. A copy shares all that is large, and copies no job.
#[derive(Debug, Clone)]
pub struct View {
    pub(crate) roster: Arc<Roster>,
    /// Whether each center can be given work, by the center's number: its agent has joined, and it has
    /// shown what the network asks of it.
    pub(crate) joined: Arc<Vec<bool>>,
    /// Centers that have not shown that.
    pub(crate) unready: Arc<BTreeMap<CenterId, NotReady>>,
    /// By number. Every step copies the list and changes a few: of thousands of pools, hundreds of
    /// runs are copied and the pools of those few.
    pub(crate) pools: Runs<Arc<PoolBoard>, 32>,
    /// How often each of them was changed.
    pub(crate) changes: Vec<u32>,
    pub(crate) links: Links,
    pub(crate) topology: Arc<Topology>,
    pub(crate) lines: Arc<Lines>,
    pub(crate) declined: BTreeMap<(ClassId, CenterId), (Refused, Moment)>,
    /// Starts told to jobs that wait; what they hold is taken off the pools and links.
    pub(crate) reserved: Arc<BTreeMap<JobId, Arc<Reservation>>>,
    /// How many of them each tenant has.
    pub(crate) reserved_by: Arc<Tally>,
    /// Attempts that could make room for others.
    pub(crate) victims: Victims,
    /// What is typical for each kind of node.
    pub(crate) typical: Arc<Vec<Typical>>,
    /// What tenants have of their quotas.
    pub(crate) usage: Usage,
    /// What guests have of pools that are lent in part, or whose center has tenants of its own.
    pub(crate) guests: Arc<BTreeMap<PoolNumber, Chips>>,
    /// Windows that are booked and have not opened.
    pub(crate) booked: Arc<BTreeMap<JobId, Booked>>,
    /// What jobs that run in a booked window are planned on, by the reservation.
    pub(crate) inside: Arc<BTreeMap<JobId, Inside>>,
    /// Whether nothing limits anybody.
    pub(crate) no_quotas: bool,
    /// All there is in the network.
    pub(crate) totals: Totals,
    /// What came lately.
    pub(crate) offered: Arc<Offered>,
    /// What chips cost by that.
    pub(crate) tolls: Arc<Tolls>,
    /// For how long chips that are free are nobody's.
    pub(crate) idle: Arc<Idle>,
    /// What tenants may have.
    pub(crate) entitlements: Arc<Entitlements>,
}

impl View {
    /// A pool's commitments.
    #[must_use]
    pub fn pool(&self, center: &CenterId, pool: &PoolId) -> Option<&PoolBoard> {
        let number = self.roster.number(center, pool)?;
        self.pools.get(number as usize).map(Arc::as_ref)
    }

    /// What is typical for the nodes of a pool.
    pub(crate) fn typical(&self, number: PoolNumber) -> &Typical {
        &self.typical[self.roster.seat(number).kind]
    }

    /// How often a pool was changed: what was found out of it is still so while this stays the same.
    pub(crate) fn changes(&self, number: PoolNumber) -> u32 {
        self.changes[number as usize]
    }

    pub(crate) fn pool_mut(&mut self, number: PoolNumber) -> &mut PoolBoard {
        let changes = &mut self.changes[number as usize];
        *changes = changes.wrapping_add(1);
        let pool = self.pools.get_mut(number as usize);
        Arc::make_mut(pool.expect("a number is a pool's"))
    }

    /// The sites and links, at the rates they are planned at.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The bandwidth calendars.
    #[must_use]
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Who is in line.
    #[must_use]
    pub fn lines(&self) -> &Lines {
        &self.lines
    }

    /// What tenants are entitled to of the network's chips.
    #[must_use]
    pub fn entitlements(&self) -> &Entitlements {
        &self.entitlements
    }

    /// The class of a job that is in line.
    pub(crate) fn class_of(&self, job: &Job) -> Option<(ClassId, &Arc<Class>)> {
        let id = class_of_job(job);
        self.lines.has(id, job.job).then_some((id, self.lines.class(id)?))
    }

    /// Reservations that are not over, whether their windows are open or not.
    pub fn reservations(&self) -> impl Iterator<Item = JobId> {
        self.inside.keys().copied()
    }

    /// The start reserved for a job that waits.
    #[must_use]
    pub fn reservation(&self, job: JobId) -> Option<&Reservation> {
        self.reserved.get(&job).map(Arc::as_ref)
    }

    /// Takes back what a reservation holds of the pools and links.
    pub(crate) fn lift(&mut self, reservation: &Reservation) {
        let tag = reservation.tag();
        let Reservation { inside, number, slots, .. } = reservation;
        self.board_mut(*inside, *number, |board| board.release(tag, slots));
        self.read_no_more(&reservation.streams, (reservation.start, reservation.until));
    }

    /// Holds what a reservation holds of the pools and links.
    pub(crate) fn put_down(&mut self, reservation: &Reservation) {
        let (from, until) = (reservation.start, reservation.until);
        let tag = reservation.tag();
        let Reservation { inside, number, slots, .. } = reservation;
        self.board_mut(*inside, *number, |board| board.hold(tag, slots, from, until));
        self.read_over(&reservation.streams, (from, until));
    }

    /// Whether a reservation's nodes and bandwidth are free when it wants them.
    pub(crate) fn has_room_for(&self, reservation: &Reservation) -> bool {
        let Reservation { slots, start, until, .. } = reservation;
        let pool = self.board(reservation.inside, reservation.number);
        pool.is_some_and(|pool| pool.is_free(slots, *start, *until))
            && self.can_read(&reservation.streams, (*start, *until))
    }
}
