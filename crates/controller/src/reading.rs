//! Attempts that read inputs over the network, when their ways change.

use crate::Controller;
use model::attempt::Stream;
use model::fact::{AttemptRerouted, Fact};
use model::{AttemptId, Stop};

impl Controller {
    /// Finds other ways for attempts whose ways lead nowhere any more, or that had none: a link was cut
    /// or carries again, a copy or its center is gone. One that has not started and finds no way is
    /// placed anew; one that runs waits for it.
    pub(crate) fn reroute(&mut self) {
        for attempt in self.world.readers().collect::<Vec<_>>() {
            self.reroute_attempt(attempt);
        }
    }

    fn reroute_attempt(&mut self, attempt: AttemptId) {
        let Some(live) = self.world.live_attempt(attempt) else { return };
        let (all, waits) = (&live.placement.streams, live.state.started().is_none());
        let mut streams: Vec<Stream> =
            all.iter().filter(|stream| self.leads(stream)).cloned().collect();
        let is_stopping = live.state.stopping().is_some();
        if streams.len() < all.len() {
            self.emit(rerouted(attempt, streams.clone()));
        }
        if is_stopping {
            return;
        }
        let (situation, policy) = (self.situation(), &self.settings.policy);
        let (found, lacks) =
            planner::reroute(&self.world, self.board.view(), &situation, policy, attempt);
        if !found.is_empty() {
            streams.extend(found);
            self.emit(rerouted(attempt, streams));
        }
        if lacks && waits {
            self.stop(attempt, Stop::Withdrawn);
        }
    }

    /// Whether data can still be read by this way.
    fn leads(&self, stream: &Stream) -> bool {
        let world = &self.world;
        let carries = |hop: &model::link::Hop| {
            world.links.contains_key(&hop.link) && !world.cut.contains(&hop.link)
        };
        let there = world.exact(&stream.data);
        stream.hops.iter().all(carries)
            && there.is_some_and(|version| version.replicas.contains_key(&stream.from))
            && world.centers.get(&stream.from).is_some_and(|center| center.agent.is_some())
    }
}

fn rerouted(attempt: AttemptId, streams: Vec<Stream>) -> Fact {
    Fact::AttemptRerouted(AttemptRerouted { attempt, streams })
}
