//! Measuring the ways to other centers: a reflector, and a session to each peer the server named.

use crate::Error;
use model::quality::{Delays, Probed};
use model::{CenterId, Span};
use probe::figures::{OneWay, Spread};
use probe::{
    Key, Keys, Nanos, Reflector, ReflectorSettings, Session, SessionSettings, WallClock, Window,
};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use reconciler::Event;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use wire::{Measure, Peer, Report};

/// From packet to packet: four a second are too few to be in anybody's way, and 1,200 in a window of
/// five minutes.
const INTERVAL: Duration = Duration::from_millis(250);
/// How long until a peer that could not be reached is tried again.
const AGAIN: Duration = Duration::from_secs(10);
/// So many sessions are counted apart; more are not answered.
const SESSIONS: usize = 4_096;

/// The side that answers, for as long as the agent runs.
#[derive(Debug)]
pub(crate) struct Answering {
    keys: watch::Sender<Vec<Key>>,
    address: SocketAddr,
    task: AbortHandle,
}

impl Answering {
    /// Opens the reflector. It answers nobody until [`Ways::measure`] gives it keys.
    pub(crate) async fn open(at: SocketAddr, clock: WallClock) -> Result<Self, Error> {
        let (keys, ring) = watch::channel(Vec::new());
        let settings = ReflectorSettings {
            keys: Keys::Any(ring),
            sessions: SESSIONS,
            clock,
            ..ReflectorSettings::default()
        };
        let reflector = Reflector::bind(at, settings).await.map_err(Error::Reflector)?;
        let address = reflector.address();
        let task = tokio::spawn(async move {
            if let Err(error) = reflector.run().await {
                tracing::error!(%error, "test packets are no longer answered");
            }
        });
        Ok(Self { keys, address, task: task.abort_handle() })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The sessions that go on.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    window: Span,
    running: BTreeMap<CenterId, (Peer, AbortHandle)>,
}

impl Ways {
    /// Measures the ways to these peers, and to no others.
    pub(crate) fn measure(
        &mut self,
        measure: Measure,
        answering: &Answering,
        clock: WallClock,
        events: &mpsc::Sender<Event>,
    ) {
        answering.keys.send_replace(measure.peers.iter().filter_map(key).collect());
        let anew = self.window != measure.window;
        self.window = measure.window;
        let wanted: BTreeMap<CenterId, Peer> = measure
            .peers
            .into_iter()
            .filter(|peer| peer.sends)
            .map(|peer| (peer.center.clone(), peer))
            .collect();
        self.running.retain(|center, (peer, task)| {
            let stays = !anew && wanted.get(center) == Some(peer);
            if !stays {
                task.abort();
            }
            stays
        });
        for (center, peer) in wanted {
            self.running.entry(center).or_insert_with(|| {
                let way = keep_measuring(peer.clone(), measure.window, clock, events.clone());
                (peer, tokio::spawn(way).abort_handle())
            });
        }
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        self.running.values().for_each(|(_, task)| task.abort());
    }
}

/// The key of a peer. Without one the two are strangers: nothing is sent and nothing answered.
fn key(peer: &Peer) -> Option<Key> {
    Key::new(peer.key.as_ref()?.as_bytes()).ok()
}

/// Measures until it is aborted, whatever becomes of names and sockets.
async fn keep_measuring(peer: Peer, window: Span, clock: WallClock, events: mpsc::Sender<Event>) {
    loop {
        if let Err(why) = measure(&peer, window, clock, &events).await {
            tracing::warn!(peer = %peer.center, address = peer.address, why, "cannot be measured");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn measure(
    peer: &Peer,
    window: Span,
    clock: WallClock,
    events: &mpsc::Sender<Event>,
) -> Result<(), String> {
    let key = key(peer).ok_or("the server gave no key for it")?;
    let mut found = tokio::net::lookup_host(&peer.address).await.map_err(|e| e.to_string())?;
    let remote = found.next().ok_or("its address has no number")?;
    let settings = SessionSettings {
        key: Some(key),
        interval: INTERVAL,
        window: window.to_std(),
        clock,
        ..SessionSettings::new(remote)
    };
    let session = Session::open(settings).await.map_err(|e| e.to_string())?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| e.to_string())?;
    let (sender, mut windows) = mpsc::channel(16);
    let report = async {
        while let Some(window) = windows.recv().await {
            let report = told(&peer.center, &window);
            if events.send(Event::Measured(report)).await.is_err() {
                return;
            }
        }
    };
    let run = session.run(ChaCha20Rng::from_seed(seed), sender);
    let (ran, ()) = tokio::join!(run, report);
    ran.map_err(|e| e.to_string())
}

/// A window in the server's words. What this machine dropped itself is not told as lost on the way.
fn told(peer: &CenterId, window: &Window) -> Report {
    let figures = &window.figures;
    let lost = figures.lost.saturating_sub(window.pace.overrun);
    let probed = Probed {
        sent: figures.sent.saturating_sub(figures.lost - lost),
        lost,
        reordered: figures.reordered,
        round_trip: figures.round_trip.map(delays),
        jitter_us: micros(figures.variation.jitter),
        there: one_way(figures.there.delay),
        back: one_way(figures.back.delay),
    };
    let lasted = Span(u64::try_from(window.lasted.as_millis()).unwrap_or(u64::MAX));
    Report::Probed { peer: peer.clone(), lasted, probed }
}

fn one_way(delay: OneWay) -> Option<Delays> {
    match delay {
        OneWay::Known { delay, .. } => Some(delays(delay)),
        OneWay::Unknown(_) => None,
    }
}

fn delays(spread: Spread) -> Delays {
    let Spread { min, p50, p90, p99, .. } = spread;
    let [min_us, p50_us, p90_us, p99_us] = [min, p50, p90, p99].map(micros);
    Delays { min_us, p50_us, p90_us, p99_us }
}

/// Microseconds, rounded; none of a delay that a clock's error makes negative.
fn micros(nanos: Nanos) -> u64 {
    u64::try_from(nanos.0.saturating_add(500) / 1_000).unwrap_or(0)
}
