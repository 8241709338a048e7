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
/// its place in the list, has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    Transfer(TransferId, usize),
    Stream(AttemptId, usize, Times),
}

/// When an attempt holds its nodes: as was planned, or before and after, for it started early or late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Times {
    AsPlanned,
    Otherwise,
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
        for times in [Times::AsPlanned, Times::Otherwise] {
            self.book_streams_in(times, attempt, job, now);
        }
    }

    /// Books what all attempts read. Each has the rate that was planned for it; what the links have beyond
    /// that is for those that started early or late.
    pub(super) fn book_all_streams(&mut self, world: &World, now: Moment) {
        for times in [Times::AsPlanned, Times::Otherwise] {
            for id in world.readers() {
                let job = world.job(id.job);
                let live = job.and_then(|job| Some((job.phase.attempt()?, job)));
                let Some((live, job)) = live.filter(|(live, _)| live.attempt == id) else {
                    continue;
                };
                self.book_streams_in(times, live, job, now);
            }
        }
    }

    fn book_streams_in(&mut self, times: Times, attempt: &Attempt, job: &Job, now: Moment) {
        let (from, until) = window(attempt, job);
        let from = from.max(now);
        if from >= until {
            return;
        }
        let Placement { start, until: end, ref streams, .. } = *attempt.placement;
        let [start, end] = [start, end].map(|cut| cut.clamp(from, until));
        let pieces = match times {
            Times::AsPlanned => vec![(start, end)],
            Times::Otherwise => vec![(from, start), (end, until)],
        };
        for (number, stream) in streams.iter().enumerate() {
            let pieces = pieces.iter().filter(|(from, until)| from < until);
            let step = |&(from, until): &_| RateStep { from, until, rate: stream.rate };
            let booking = Booking { hops: stream.hops.clone(), steps: pieces.map(step).collect() };
            self.book_fitting(Holder::Stream(attempt.attempt, number, times), booking);
        }
    }

    pub(super) fn unbook_streams(&mut self, attempt: AttemptId, now: Moment) {
        let first = Holder::Stream(attempt, 0, Times::AsPlanned);
        self.give_back_all(first..=Holder::Stream(attempt, usize::MAX, Times::Otherwise), now);
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
        if !held.is_empty() {
            self.touch_all_readers();
        }
    }

    /// What is free on links again may let jobs start that read over them, or whose data comes over them.
    fn touch_all_readers(&mut self) {
        let readers = self.view.lines.classes().filter(|(_, class)| !class.spec.inputs.is_empty());
        self.touched.classes.extend(readers.map(|(id, _)| id));
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
        self.book_all_streams(world, now);
        self.touched.all = true;
    }
}
