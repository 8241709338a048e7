//! Who measures the way to whom, and what follows from what was measured.

use crate::Controller;
use model::link::{Hop, Link};
use model::quality::{Delivered, LinkRated, Measured, PathMeasured, Probed};
use model::{Bytes, CenterId, Fact, Span, TransferId};
use network::Topology;
use network::quality::{Stretch, judge, promised, rating};
use std::cmp::Reverse;
use std::sync::Arc;
use wire::{Measure, Peer};
use world::World;

/// An agent sends test packets to no more peers than this, the nearest: with hundreds of centers
/// every pair would be more knowledge than anybody reads.
const MOST_PEERS: usize = 32;

/// Whom a center should measure the way to. Of a pair the one of the lesser name sends.
pub(crate) fn peers(world: &World, topology: &Topology, center: &CenterId) -> Vec<Peer> {
    let peer = |(id, state): (&CenterId, &world::CenterState)| {
        let address = state.agent.as_ref()?.probe_address.clone()?;
        (id != center).then(|| Peer { center: id.clone(), address, key: None, sends: center < id })
    };
    let all = world.centers.iter().filter_map(peer);
    let (mut to, mut peers): (Vec<Peer>, Vec<Peer>) = all.partition(|peer| peer.sends);
    if to.len() > MOST_PEERS {
        to.sort_by_key(|peer| latency(topology, center, &peer.center).unwrap_or(u64::MAX));
        to.truncate(MOST_PEERS);
    }
    peers.append(&mut to);
    peers.sort_by(|x, y| x.center.cmp(&y.center));
    peers
}

fn latency(topology: &Topology, from: &CenterId, to: &CenterId) -> Option<u64> {
    let everywhere = topology.allow(|_| true);
    Some(topology.paths(from.as_str(), to.as_str(), 1, &everywhere).first()?.latency_us)
}

impl Controller {
    /// Whom a center should measure the way to, and for how long at a time.
    pub(crate) fn measure(&self, center: &CenterId) -> Measure {
        let peers = peers(&self.world, self.board.view().topology(), center);
        Measure { window: self.settings.quality_window, peers }
    }

    /// Takes in what test packets said. A peer that is silent itself says nothing of the way to it.
    pub(crate) fn probed(&mut self, from: &CenterId, to: CenterId, lasted: Span, probed: Probed) {
        let is_there = |center: &CenterId| {
            let session = self.sessions.get(center).filter(|session| session.number > 0);
            session.is_some_and(|s| self.now.since(s.heard) < self.settings.silent_after)
        };
        if probed.sent == 0 || from == &to || !is_there(&to) {
            return;
        }
        let topology = self.board.view().topology();
        let everywhere = topology.allow(|_| true);
        let shortest = topology.paths(from.as_str(), to.as_str(), 1, &everywhere);
        let hops = shortest.first().map(|path| path.hops.clone()).unwrap_or_default();
        self.tell_measured(from.clone(), to, lasted, hops, Measured::Probed(probed));
    }

    /// Takes in what a transfer or a test brought, and rates a link by it: the one that is tested, or
    /// else the narrowest on the path.
    pub(crate) fn delivered(
        &mut self,
        by: &CenterId,
        (transfer, from): (TransferId, CenterId),
        lasted: Span,
        (planned, delivered): (Bytes, Bytes),
    ) {
        let staging = self.world.transfers.get(&transfer).filter(|s| s.mover() == by);
        let test = self.world.tests.get(&transfer).filter(|t| t.to == *by && t.from == from);
        let leg = staging.and_then(|staging| {
            let (_, hops, _) = staging.legs().find(|(source, ..)| **source == from)?;
            Some((&staging.to, hops))
        });
        let (to, hops, link) = match (leg, test) {
            (Some((to, hops)), _) => (to, hops, self.narrowest(hops)),
            (None, Some(t)) => (&t.to, &*t.hops, self.world.links.get(&t.tests.link)),
            (None, None) => return,
        };
        let (to, hops, link) = (to.clone(), hops.to_vec(), link.cloned());
        let tested = test.is_some();
        let mut delivered = Delivered { transfer, planned, delivered, narrowest: None, tested };
        let Some(newest) = Stretch::of(&delivered, lasted) else { return };
        let before = link.as_ref().and_then(|link| self.told(link));
        // Of two links either may be to blame: another test has to say the same.
        let is_alone = tested && hops.len() > 1 && before.is_some_and(|(by, _)| by == transfer);
        delivered.narrowest = link.as_ref().map(|link| link.link.clone());
        self.tell_measured(from, to, lasted, hops, Measured::Delivered(delivered));
        let (Some(link), Some((_, before))) = (link, before) else { return };
        if is_alone && newest.is_short() {
            return;
        }
        let rated = self.world.quality.rated(&link.link);
        if let Some(rate) = rating(link.capacity, rated, &before, &newest) {
            self.emit(Fact::LinkRated(LinkRated { link: link.link.clone(), rate }));
        }
    }

    /// The link of these that is planned at least.
    fn narrowest(&self, hops: &[Hop]) -> Option<&Arc<Link>> {
        let links = hops.iter().filter_map(|hop| self.world.links.get(&hop.link));
        links.min_by_key(|link| (self.world.planned_rate(link), Reverse(link.latency_us)))
    }

    /// What the newest window that told of a link said, and of which transfer or test it was.
    pub(crate) fn told(&self, link: &Link) -> Option<(TransferId, Stretch)> {
        let window = self.world.quality.told(&link.link)?;
        match &window.path.measured {
            Measured::Delivered(delivered) => {
                Some((delivered.transfer, Stretch::of(delivered, window.path.lasted)?))
            }
            Measured::Probed(_) => None,
        }
    }

    fn tell_measured(
        &mut self,
        from: CenterId,
        to: CenterId,
        lasted: Span,
        hops: Vec<Hop>,
        measured: Measured,
    ) {
        let links = hops.iter().filter_map(|hop| self.world.links.get(&hop.link));
        let verdict = judge(&promised(links.map(|link| &link.sla)), &measured);
        let fact = PathMeasured { from, to, lasted, hops, measured, verdict };
        self.emit(Fact::PathMeasured(Arc::new(fact)));
    }
}
