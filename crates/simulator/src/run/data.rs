//! What becomes of data in a run.

use super::{CARE, Stage};
use crate::agent::Copy;
use crate::load::Stock;
use crate::post::{Happening, Seat};
use model::{Bytes, DatasetVersion, TransferId};
use reconciler::{Event, Fetched, NotFetched};

impl Stage<'_> {
    /// A copy should be there by now, if a source of it still has it and nothing broke.
    pub(super) fn copied(&mut self, seat: Seat, life: u32, transfer: TransferId) {
        let at = usize::from(seat);
        if self.agents[at].life != life {
            return;
        }
        if let Some(order) = self.agents[at].sent(transfer) {
            self.sent(seat, &order);
            return;
        }
        let Some(stage) = self.agents[at].copied(transfer) else { return };
        let seats = self.server.seats();
        let sources = stage.sources.iter().filter_map(|source| seats.get(&source.from).copied());
        let sources: Vec<Seat> = sources.collect();
        let end = self.carried((&sources, Some(seat)), &stage.data, stage.bytes);
        self.agents[at].push(Event::Fetched { transfer, end });
        self.stirred.push(seat);
    }

    /// A copy should be at its receiver by now, whose door its agent keeps.
    fn sent(&mut self, seat: Seat, order: &wire::Send) {
        let to = self.server.seats().get(&order.to).copied();
        let open = to.filter(|to| self.agents[usize::from(*to)].is_up);
        let end = self.carried((&[seat], open), &order.data, order.bytes);
        if let (Ok(sent), Some(to)) = (&end, to) {
            let (data, bytes, files) = (order.data.clone(), order.bytes, 1);
            let stored = Event::Stored { data, bytes, files, sent: *sent };
            self.agents[usize::from(to)].push(stored);
            self.stirred.push(to);
        }
        let fetched = Event::Fetched { transfer: order.transfer, end };
        self.agents[usize::from(seat)].push(fetched);
        self.stirred.push(seat);
    }

    /// Carries a copy from some stores to another, if nothing is against it. What one of them lacks or
    /// has damaged another gives.
    fn carried(
        &mut self,
        (from, to): (&[Seat], Option<Seat>),
        data: &DatasetVersion,
        bytes: Bytes,
    ) -> Result<Fetched, NotFetched> {
        let mishaps = self.post.mishaps;
        let is_cut = |seat: Seat| {
            self.post.cuts[usize::from(seat)].is_some_and(|cut| cut.until > self.post.now)
        };
        let reached: Vec<Seat> = from.iter().copied().filter(|source| !is_cut(*source)).collect();
        let cut = reached.is_empty() || to.is_none_or(is_cut);
        let broken = self.post.befalls(mishaps.broken_copies) || cut;
        let damaged = self.post.befalls(mishaps.damaged_copies);
        let has_room = to.is_some_and(|to| {
            let agent = &self.agents[usize::from(to)];
            agent.store.contains_key(data) || agent.has_room(bytes)
        });
        let mut copy: Option<Copy> = None;
        for (number, source) in reached.into_iter().enumerate() {
            let store = &mut self.agents[usize::from(source)].store;
            let Some(held) = store.get_mut(data) else { continue };
            held.damaged |= damaged && number == 0 && !broken && has_room;
            let is_better = copy.is_none_or(|best| best.damaged && !held.damaged);
            copy = if is_better { Some(*held) } else { copy };
        }
        let failed = |why: &str, damaged| Err(NotFetched { why: why.to_owned(), damaged });
        match (copy, to) {
            _ if broken => failed("the line broke", false),
            _ if !has_room => failed("there is no room", false),
            (None, _) | (_, None) => failed("no source has it", false),
            (Some(copy), _) if copy.damaged => failed("a chunk is damaged", true),
            (Some(copy), Some(to)) => {
                self.agents[usize::from(to)].store.entry(data.clone()).or_insert(copy);
                Ok(Fetched { moved: bytes, corrupted: 0 })
            }
        }
    }

    /// Tenants put data again that the network has lost.
    pub(super) fn care(&mut self) {
        self.post.after(CARE, Happening::Care);
        for data in &self.setup.data {
            let version = self.server.controller.world().exact(&data.data);
            let origin = data.at.first().and_then(|center| self.server.seats().get(center));
            let (Some(version), Some(seat)) = (version, origin) else { continue };
            let agent = &mut self.agents[usize::from(*seat)];
            if !version.replicas.is_empty() || !agent.is_up {
                continue;
            }
            agent.store.insert(data.data.clone(), copy_of(data));
            let (bytes, files) = (data.bytes, 1);
            agent.push(Event::Stored {
                data: data.data.clone(),
                bytes,
                files,
                sent: Fetched::default(),
            });
            self.stirred.push(*seat);
        }
    }
}

/// A copy as it was put.
pub(super) fn copy_of(data: &Stock) -> Copy {
    Copy { bytes: data.bytes, files: 1, damaged: false }
}
