//! STAMP test packets (RFC 8762 §4.2 and §4.3, with the session identifier and TLVs of RFC 8972).
//!
//! Pure functions on bytes. With a key, packets are in authenticated mode: 112 bytes, the first 96
//! of them under a tag. Without one they are in unauthenticated mode: 44 bytes. More bytes than
//! these are TLVs; only Extra Padding is understood. Not done: the HMAC TLV (type 8) and all other
//! types, which come back with their U flag set; and answers to packets shorter than the base, as
//! TWAMP Light may send them, since the answer would be longer than the question.

mod key;
mod stamp;
mod tlv;

pub use key::Key;
pub use stamp::{ErrorEstimate, Format, Timestamp};

use key::COVERED;

/// What a sender sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderPacket {
    /// Counts up from packet to packet of a session, and on from zero after its end.
    pub sequence: u32,
    /// When it was sent, by the sender's clock.
    pub timestamp: Timestamp,
    /// How good that clock is, and how it writes timestamps.
    pub error: ErrorEstimate,
    /// The session's number (RFC 8972 §3); zero: none.
    pub session: u16,
}

/// What a reflector answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReflectorPacket {
    /// Stateless: the sender's. Stateful: how many of this session were answered before.
    pub sequence: u32,
    /// When the answer was sent, by the reflector's clock.
    pub timestamp: Timestamp,
    /// How good that clock is, and how it writes timestamps.
    pub error: ErrorEstimate,
    /// The session's number, from the sender's packet; zero from a reflector that has no notion of
    /// it.
    pub session: u16,
    /// When the sender's packet arrived, by the reflector's clock.
    pub received: Timestamp,
    /// From the sender's packet.
    pub sender_sequence: u32,
    /// From the sender's packet.
    pub sender_timestamp: Timestamp,
    /// From the sender's packet.
    pub sender_error: ErrorEstimate,
    /// The time to live with which the sender's packet arrived; 255 if unknown.
    pub sender_ttl: u8,
}

/// Why bytes are not the packet they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Fewer than the mode's base.
    #[error("{found} bytes are no STAMP packet: it has {wanted} or more in this mode")]
    Short {
        /// How many there are.
        found: usize,
        /// How many there should be.
        wanted: usize,
    },
    /// The tag is not that of the bytes under the key.
    #[error("the packet's tag is wrong: it was changed, or the other side has another key or none")]
    Tag,
    /// An error estimate of zero (RFC 4656 §4.1.2).
    #[error("the packet is corrupt: its error estimate has a multiplier of zero")]
    Corrupt,
}

/// Where fields begin. What is between them is zero when sent and ignored when received.
struct Offsets {
    timestamp: usize,
    error: usize,
    session: usize,
    received: usize,
    sender_sequence: usize,
    sender_timestamp: usize,
    sender_error: usize,
    sender_ttl: usize,
    base: usize,
}

const UNAUTHENTICATED: Offsets = Offsets {
    timestamp: 4,
    error: 12,
    session: 14,
    received: 16,
    sender_sequence: 24,
    sender_timestamp: 28,
    sender_error: 36,
    sender_ttl: 40,
    base: 44,
};

const AUTHENTICATED: Offsets = Offsets {
    timestamp: 16,
    error: 24,
    session: 26,
    received: 32,
    sender_sequence: 48,
    sender_timestamp: 64,
    sender_error: 72,
    sender_ttl: 80,
    base: 112,
};

fn offsets(key: Option<&Key>) -> &'static Offsets {
    if key.is_some() { &AUTHENTICATED } else { &UNAUTHENTICATED }
}

/// How many bytes a packet has without TLVs: 112 with a key, 44 without.
#[must_use]
pub fn base(key: Option<&Key>) -> usize {
    offsets(key).base
}

/// Whether a sender can make a packet of `size` bytes: the base alone, or with one TLV of padding.
#[must_use]
pub fn possible(size: usize, key: Option<&Key>) -> bool {
    let base = base(key);
    let longest = base + tlv::HEADER + usize::from(u16::MAX);
    size == base || (base + tlv::HEADER..=longest).contains(&size)
}

impl SenderPacket {
    /// Writes the packet over `into`, whose length decides how much padding it has.
    ///
    /// Refused if `into` is shorter than the base.
    pub fn encode(&self, key: Option<&Key>, into: &mut [u8]) -> Result<(), Refused> {
        let at = offsets(key);
        let (base, rest) = split(at, into)?;
        tlv::pad(rest);
        base.fill(0);
        put(base, 0, self.sequence.to_be_bytes());
        put(base, at.timestamp, self.timestamp.0.to_be_bytes());
        put(base, at.error, self.error.bits().to_be_bytes());
        put(base, at.session, self.session.to_be_bytes());
        seal(base, key);
        Ok(())
    }

    /// Reads a packet; with a key only one whose tag is right.
    pub fn decode(bytes: &[u8], key: Option<&Key>) -> Result<Self, Refused> {
        let at = offsets(key);
        let base = open(at, bytes, key)?;
        Ok(Self {
            sequence: u32::from_be_bytes(get(base, 0)),
            timestamp: Timestamp(u64::from_be_bytes(get(base, at.timestamp))),
            error: estimate(base, at.error)?,
            session: u16::from_be_bytes(get(base, at.session)),
        })
    }
}

impl ReflectorPacket {
    /// Writes the answer over the sender's packet that is in `onto`. It keeps its length and its
    /// TLVs, whose flags say which were understood.
    ///
    /// Refused if `onto` is shorter than the base.
    pub fn encode(&self, key: Option<&Key>, onto: &mut [u8]) -> Result<(), Refused> {
        let at = offsets(key);
        let (base, rest) = split(at, onto)?;
        tlv::reflect(rest);
        base.fill(0);
        put(base, 0, self.sequence.to_be_bytes());
        put(base, at.timestamp, self.timestamp.0.to_be_bytes());
        put(base, at.error, self.error.bits().to_be_bytes());
        put(base, at.session, self.session.to_be_bytes());
        put(base, at.received, self.received.0.to_be_bytes());
        put(base, at.sender_sequence, self.sender_sequence.to_be_bytes());
        put(base, at.sender_timestamp, self.sender_timestamp.0.to_be_bytes());
        put(base, at.sender_error, self.sender_error.bits().to_be_bytes());
        put(base, at.sender_ttl, [self.sender_ttl]);
        seal(base, key);
        Ok(())
    }

    /// Reads an answer; with a key only one whose tag is right.
    pub fn decode(bytes: &[u8], key: Option<&Key>) -> Result<Self, Refused> {
        let at = offsets(key);
        let base = open(at, bytes, key)?;
        let [sender_ttl] = get(base, at.sender_ttl);
        Ok(Self {
            sequence: u32::from_be_bytes(get(base, 0)),
            timestamp: Timestamp(u64::from_be_bytes(get(base, at.timestamp))),
            error: estimate(base, at.error)?,
            session: u16::from_be_bytes(get(base, at.session)),
            received: Timestamp(u64::from_be_bytes(get(base, at.received))),
            sender_sequence: u32::from_be_bytes(get(base, at.sender_sequence)),
            sender_timestamp: Timestamp(u64::from_be_bytes(get(base, at.sender_timestamp))),
            sender_error: estimate(base, at.sender_error)?,
            sender_ttl,
        })
    }
}

fn short(at: &Offsets, found: usize) -> Refused {
    Refused::Short { found, wanted: at.base }
}

fn split<'a>(at: &Offsets, bytes: &'a mut [u8]) -> Result<(&'a mut [u8], &'a mut [u8]), Refused> {
    let found = bytes.len();
    bytes.split_at_mut_checked(at.base).ok_or_else(|| short(at, found))
}

/// The base of a received packet, once its tag is found right.
fn open<'a>(at: &Offsets, bytes: &'a [u8], key: Option<&Key>) -> Result<&'a [u8], Refused> {
    let base = bytes.get(..at.base).ok_or_else(|| short(at, bytes.len()))?;
    match key {
        Some(key) if !key.agrees(&base[..COVERED], &base[COVERED..]) => Err(Refused::Tag),
        _ => Ok(base),
    }
}

fn seal(base: &mut [u8], key: Option<&Key>) {
    if let Some(key) = key {
        let tag = key.tag(&base[..COVERED]);
        put(base, COVERED, tag);
    }
}

fn estimate(base: &[u8], at: usize) -> Result<ErrorEstimate, Refused> {
    ErrorEstimate::from_bits(u16::from_be_bytes(get(base, at))).ok_or(Refused::Corrupt)
}

fn put<const N: usize>(base: &mut [u8], at: usize, field: [u8; N]) {
    base[at..at + N].copy_from_slice(&field);
}

fn get<const N: usize>(base: &[u8], at: usize) -> [u8; N] {
    *base[at..].first_chunk().expect("offsets are within the base")
}

#[cfg(test)]
mod tests;
