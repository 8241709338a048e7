//! What transfers and attempts hold of the links.

use super::{Board, window};
use crate::staging::bookings;
use model::attempt::RateStep;
use model::job::Job;
use model::{Attempt, AttemptId, JobId, Moment, Placement, TransferId};
use network::{Booking, Links};
use std::ops::RangeInclusive;
use std::sync::Arc;
use world::World;

/// Whose booking it is: of a transfer each store it comes from has one, of an attempt each stream, by
/// its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    Transfer(TransferId, usize),
    Stream(AttemptId, usize),
}

impl Board {
    /// Books a transfer's bandwidth. Where a link gives less than when it was planned, what is left
    /// is booked: the transfer goes on at what the link gives.
    pub(super) fn book(&mut self, staging: &model::Staging) {
        for (number, booking) in bookings(staging).enumerate() {
            self.book_fitting(Holder::Transfer(staging.transfer, number), booking);
        }
    }

    pub(super) fn unbook(&mut self, transfer: TransferId, now: Moment) {
        self.give_back_all(
            Holder::Transfer(transfer, 0)..=Holder::Transfer(transfer, usize::MAX),
            now,
        );
    }

    /// Books what an attempt reads over the links while it holds its nodes, from `now` on.
    pub(super) fn book_streams(&mut self, attempt: &Attempt, job: &Job, now: Moment) {
        let (from, until) = window(attempt, job);
        let (from, streams) = (from.max(now), &attempt.placement.streams);
        if from >= until {
            return;
        }
        // One that started early or late holds its nodes at other times than was planned, and then the
        // links as far as there is room.
        let Placement { start, until: end, .. } = *attempt.placement;
        let [start, end] = [start, end].map(|cut| cut.clamp(from, until));
        for (number, stream) in streams.iter().enumerate() {
            let pieces = [(from, start), (start, end), (end, until)];
            let pieces = pieces.into_iter().filter(|(from, until)| from < until);
            let step = |(from, until)| RateStep { from, until, rate: stream.rate };
            let booking = Booking { hops: stream.hops.clone(), steps: pieces.map(step).collect() };
            self.book_fitting(Holder::Stream(attempt.attempt, number), booking);
        }
    }

    pub(super) fn unbook_streams(&mut self, attempt: AttemptId, now: Moment) {
        self.give_back_all(Holder::Stream(attempt, 0)..=Holder::Stream(attempt, usize::MAX), now);
    }

    /// Books what an attempt reads over the links now.
    pub(super) fn rebook_streams(&mut self, world: &World, attempt: AttemptId, now: Moment) {
        self.unbook_streams(attempt, now);
        if let Some(job) = world.job(attempt.job)
            && let Some(live) = job.phase.attempt()
        {
            self.book_streams(live, job, now);
        }
    }

    fn book_fitting(&mut self, holder: Holder, booking: Booking) {
        let booking = self.view.links.fitting(booking);
        if self.view.links.book(&booking).is_ok() {
            self.bookings.insert(holder, booking);
        }
    }

    fn give_back_all(&mut self, holders: RangeInclusive<Holder>, now: Moment) {
        let held: Vec<Holder> = self.bookings.range(holders).map(|(holder, _)| *holder).collect();
        for booking in held.iter().filter_map(|holder| self.bookings.remove(holder)) {
            let given = self.view.links.release_from(&booking, now);
            given.expect("what was booked can be given back");
        }
    }

    /// Links are planned at other rates than before. Starts reserved for jobs that read over links
    /// are found anew.
    pub(super) fn relink(&mut self, world: &World, now: Moment) {
        let reserved = self.view.reserved.iter();
        let reading = reserved.filter(|(_, reservation)| !reservation.streams.is_empty());
        let reading: Vec<JobId> = reading.map(|(job, _)| *job).collect();
        for job in reading {
            self.lift(job);
        }
        let topology = crate::staging::topology(world);
        self.view.links = Links::new(&topology);
        self.view.topology = Arc::new(topology);
        self.bookings.clear();
        for transfer in world.transfers.values() {
            self.book(transfer);
        }
        for (_, id) in world.all_live() {
            if let Some(job) = world.job(id.job)
                && let Some(live) = job.phase.attempt()
            {
                self.book_streams(live, job, now);
            }
        }
        self.touched.all = true;
    }
}
