//! What becomes of data in a run.

use super::{CARE, Stage};
use crate::agent::Copy;
use crate::load::Stock;
use crate::post::{Happening, Seat};
use model::TransferId;
use reconciler::{Event, Fetched, NotFetched};

impl Stage<'_> {
    /// A copy should be there by now, if a source of it still has it and nothing broke.
    pub(super) fn copied(&mut self, seat: Seat, life: u32, transfer: TransferId) {
        let at = usize::from(seat);
        if self.agents[at].life != life {
            return;
        }
        let Some(stage) = self.agents[at].copied(transfer) else { return };
        let mishaps = self.post.mishaps;
        let is_cut = |seat: Seat| {
            self.post.cuts[usize::from(seat)].is_some_and(|cut| cut.until > self.post.now)
        };
        let sources =
            stage.sources.iter().filter_map(|s| self.server.seats().get(&s.from).copied());
        let reached: Vec<Seat> = sources.filter(|source| !is_cut(*source)).collect();
        let cut = is_cut(seat) || reached.is_empty();
        let broken = self.post.befalls(mishaps.broken_copies) || cut;
        let damaged = self.post.befalls(mishaps.damaged_copies);
        let has_room = self.agents[at].has_room(stage.bytes);
        // What one source lacks or has damaged another gives.
        let mut copy: Option<Copy> = None;
        for (number, source) in reached.into_iter().enumerate() {
            let store = &mut self.agents[usize::from(source)].store;
            let Some(held) = store.get_mut(&stage.data) else { continue };
            held.damaged |= damaged && number == 0;
            let is_better = copy.is_none_or(|best| best.damaged && !held.damaged);
            copy = if is_better { Some(*held) } else { copy };
        }
        let failed = |why: &str, damaged| Err(NotFetched { why: why.to_owned(), damaged });
        let end = match copy {
            _ if broken => failed("the line broke", false),
            _ if !has_room => failed("there is no room", false),
            None => failed("no source has it", false),
            Some(copy) if copy.damaged => failed("a chunk is damaged", true),
            Some(copy) => {
                self.agents[at].store.insert(stage.data.clone(), copy);
                Ok(Fetched { moved: stage.bytes, corrupted: 0 })
            }
        };
        self.agents[at].push(Event::Fetched { transfer, end });
        self.stirred.push(seat);
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
            agent.push(Event::Stored { data: data.data.clone(), bytes, files });
            self.stirred.push(*seat);
        }
    }
}

/// A copy as it was put.
pub(super) fn copy_of(data: &Stock) -> Copy {
    Copy { bytes: data.bytes, files: 1, damaged: false }
}
