//! The side that answers.

use crate::clock::{self, WallClock};
use crate::packet::{Key, ReflectorPacket, Refused, SenderPacket, Timestamp};
use crate::socket::{LARGEST, Received, Socket, Stamped};
use crate::{Nanos, ProbeError};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// A session that was silent this long is forgotten if its place is wanted.
const SILENT: Nanos = Nanos(60_000_000_000);

/// The congestion bits of a class, which are not the reflector's to repeat.
const CONGESTION: u8 = 0b11;

/// Whose packets a reflector takes.
#[derive(Clone, Debug, Default)]
pub enum Keys {
    /// Anybody's: unauthenticated mode.
    #[default]
    None,
    /// Authenticated mode with one key for all sessions.
    One(Key),
    /// Authenticated mode with a key for each sender, and whoever holds the other end may change
    /// them at any time. A packet is tried against one after the other, about a microsecond each:
    /// give tens, not thousands.
    Any(watch::Receiver<Vec<Key>>),
}

impl Keys {
    /// What is asked, and the key of who asked it.
    fn open(&self, packet: &[u8]) -> Result<(SenderPacket, Option<Key>), Refused> {
        let with = |key: &Key| Ok((SenderPacket::decode(packet, Some(key))?, Some(key.clone())));
        match self {
            Self::None => Ok((SenderPacket::decode(packet, None)?, None)),
            Self::One(key) => with(key),
            Self::Any(keys) => {
                let keys = keys.borrow();
                let found = keys.iter().map(with).find(|found| !matches!(found, Err(Refused::Tag)));
                found.unwrap_or(Err(Refused::Tag))
            }
        }
    }
}

/// Whom a reflector answers, and how.
#[derive(Clone, Debug, Default)]
pub struct ReflectorSettings {
    /// Whether packets must bear a tag, and whose.
    pub keys: Keys,
    /// Only these sources are answered; empty: all.
    pub allowed: Vec<IpAddr>,
    /// How many sessions are counted apart (RFC 8762 §4.3, stateful). Packets of more sessions than
    /// this are not answered until one has been silent for a minute. Zero: stateless, answers bear
    /// the sender's sequence numbers and no memory is kept.
    pub sessions: usize,
    /// What is known of this machine's clock.
    pub clock: WallClock,
}

/// Answers test packets on one UDP socket, any number of sessions at once.
///
/// An answer has exactly as many bytes as what it answers, so that it is no use for amplifying an
/// attack on a forged source, and goes in the same class of traffic (DSCP).
#[derive(Debug)]
pub struct Reflector {
    socket: Socket,
    address: SocketAddr,
    settings: ReflectorSettings,
    sessions: Sessions,
    counts: Arc<Counts>,
}

/// What a reflector did so far. Read while it runs.
#[derive(Debug, Default)]
pub struct Counts {
    reflected: AtomicU64,
    not_allowed: AtomicU64,
    refused: AtomicU64,
    crowded: AtomicU64,
    failed: AtomicU64,
}

/// Why a packet gets no answer.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Unanswered {
    #[error("its source is not on the list of allowed ones")]
    NotAllowed,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("there is no place for another session")]
    Crowded,
}

impl Counts {
    fn of(&self, why: Unanswered) -> &AtomicU64 {
        match why {
            Unanswered::NotAllowed => &self.not_allowed,
            Unanswered::Refused(_) => &self.refused,
            Unanswered::Crowded => &self.crowded,
        }
    }

    /// Packets answered.
    #[must_use]
    pub fn reflected(&self) -> u64 {
        self.reflected.load(Ordering::Relaxed)
    }

    /// Packets from sources that are not on the list.
    #[must_use]
    pub fn not_allowed(&self) -> u64 {
        self.not_allowed.load(Ordering::Relaxed)
    }

    /// Packets that are none: too short, corrupt, or with a wrong tag.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Packets of sessions for which there is no place.
    #[must_use]
    pub fn crowded(&self) -> u64 {
        self.crowded.load(Ordering::Relaxed)
    }

    /// Answers that the system would not send.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

impl Reflector {
    /// Opens the socket. Port 0 takes any free one. On a machine with several addresses name the one
    /// that is asked: answers from another are none to who asks.
    pub async fn bind(
        address: SocketAddr,
        settings: ReflectorSettings,
    ) -> Result<Self, ProbeError> {
        let failed = ProbeError::socket("listen on", address);
        let socket = Socket::bind(address, Stamped::Received).await.map_err(&failed)?;
        let address = socket.local_addr().map_err(&failed)?;
        let sessions = Sessions::of(settings.sessions);
        Ok(Self { socket, address, settings, sessions, counts: Arc::default() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it did so far; stays readable while it runs.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Answers until dropped, or until the socket fails.
    pub async fn run(mut self) -> Result<(), ProbeError> {
        let failed = ProbeError::socket("receive on", self.address);
        let mut buffer = vec![0; LARGEST];
        loop {
            let received = self.socket.receive(&mut buffer).await.map_err(&failed)?;
            let Some(from) = received.from else { continue };
            let packet = &mut buffer[..received.bytes];
            if let Err(why) = self.answer(packet, from, received) {
                tracing::debug!(%from, %why, "a packet is not answered");
                add(self.counts.of(why));
                continue;
            }
            let class = received.class & !CONGESTION;
            match self.socket.send_to(packet, from, class).await {
                Ok(()) => add(&self.counts.reflected),
                Err(error) => {
                    add(&self.counts.failed);
                    tracing::debug!(%from, %error, "an answer was not sent");
                }
            }
        }
    }

    /// Turns `packet` into its answer.
    fn answer(
        &mut self,
        packet: &mut [u8],
        from: SocketAddr,
        received: Received,
    ) -> Result<(), Unanswered> {
        let arrived = received.stamp.unwrap_or_else(clock::wall);
        let allowed = &self.settings.allowed;
        if !allowed.is_empty() && !allowed.contains(&from.ip().to_canonical()) {
            return Err(Unanswered::NotAllowed);
        }
        let (asked, key) = self.settings.keys.open(packet)?;
        let sequence = self.sessions.next(from, asked, arrived).ok_or(Unanswered::Crowded)?;
        // In the sender's format, which it surely reads.
        let format = asked.error.format();
        let answer = ReflectorPacket {
            sequence,
            timestamp: Timestamp::of(clock::wall(), format),
            error: self.settings.clock.estimate(format),
            session: asked.session,
            received: Timestamp::of(arrived, format),
            sender_sequence: asked.sequence,
            sender_timestamp: asked.timestamp,
            sender_error: asked.error,
            sender_ttl: received.ttl,
        };
        Ok(answer.encode(key.as_ref(), packet)?)
    }
}

fn add(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// How many packets of each session were answered. Bounded.
#[derive(Debug)]
struct Sessions {
    limit: usize,
    by_sender: HashMap<(SocketAddr, u16), Answered>,
    /// When silent ones were last looked for.
    swept: Nanos,
}

#[derive(Debug)]
struct Answered {
    next: u32,
    last: Nanos,
}

impl Sessions {
    fn of(limit: usize) -> Self {
        Self { limit, by_sender: HashMap::new(), swept: Nanos::ZERO }
    }

    /// The number of the answer to `asked`; None if there is no place for another session.
    fn next(&mut self, from: SocketAddr, asked: SenderPacket, now: Nanos) -> Option<u32> {
        if self.limit == 0 {
            return Some(asked.sequence);
        }
        let sender = (from, asked.session);
        if self.by_sender.len() >= self.limit && !self.by_sender.contains_key(&sender) {
            self.sweep(now);
            if self.by_sender.len() >= self.limit {
                return None;
            }
        }
        let session = self.by_sender.entry(sender).or_insert(Answered { next: 0, last: now });
        let number = session.next;
        session.next = number.wrapping_add(1);
        session.last = now;
        Some(number)
    }

    /// Forgets silent sessions, at most once a second, whatever strangers send.
    fn sweep(&mut self, now: Nanos) {
        if (now - self.swept).abs() < Nanos(1_000_000_000) {
            return;
        }
        self.swept = now;
        // The wall clock may be set back; a session last heard of in the future is as silent.
        self.by_sender.retain(|_, session| (now - session.last).abs() < SILENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ErrorEstimate, Format};

    fn asked(sequence: u32, session: u16) -> SenderPacket {
        let error = ErrorEstimate::unsynchronized(Format::Ntp);
        SenderPacket { sequence, timestamp: Timestamp(0), error, session }
    }

    fn from(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn sessions_are_told_apart_by_source_and_number() {
        let mut sessions = Sessions::of(9);
        let mut next = |port, session| sessions.next(from(port), asked(77, session), Nanos(SECOND));
        let seen = [next(1, 1), next(1, 1), next(1, 2), next(2, 1), next(1, 1)];
        assert_eq!(seen, [0, 1, 0, 0, 2].map(Some));
    }

    #[test]
    fn without_state_the_senders_number_comes_back() {
        let next = Sessions::of(0).next(from(1), asked(77, 1), Nanos(SECOND));
        assert_eq!(next, Some(77));
    }

    #[test]
    fn there_is_a_place_for_a_new_session_only_when_another_was_silent() {
        let mut sessions = Sessions::of(2);
        let mut next =
            |port, second| sessions.next(from(port), asked(0, 1), Nanos(second * SECOND));
        assert_eq!(
            [next(1, 10), next(2, 50), next(3, 60), next(1, 61)],
            [Some(0), Some(0), None, Some(1)]
        );
        assert_eq!([next(3, 109), next(3, 111), next(2, 112)], [None, Some(0), None]);
    }
}
