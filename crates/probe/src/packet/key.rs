//! The secret that both ends of an authenticated session share.

use crate::ProbeError;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;

/// How many bytes of a packet the tag covers: the first six blocks of 16 (RFC 8762 §4.4).
pub(super) const COVERED: usize = 96;

/// HMAC-SHA-256 cut to 128 bits (RFC 8762 §4.4, as RFC 4868 does).
pub(super) const TAG: usize = 16;

/// Shorter secrets can be guessed by who hears the packets.
const SHORTEST: usize = 16;

/// A secret shared by sender and reflector. It is never shown.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    /// The key made of these bytes, of which there must be 16 or more.
    pub fn new(secret: &[u8]) -> Result<Self, ProbeError> {
        if secret.len() < SHORTEST {
            let found = format!("{} bytes long", secret.len());
            return Err(ProbeError::setting("the key", found, "give it 16 random bytes or more"));
        }
        Ok(Self(Hmac::new_from_slice(secret).expect("HMAC takes keys of any length")))
    }

    pub(super) fn tag(&self, covered: &[u8]) -> [u8; TAG] {
        let whole = self.0.clone().chain_update(covered).finalize().into_bytes();
        let (tag, _) = whole.split_first_chunk().expect("SHA-256 gives 32 bytes");
        *tag
    }

    /// Whether `tag` is that of `covered`; takes the same time for any wrong one.
    pub(super) fn agrees(&self, covered: &[u8], tag: &[u8]) -> bool {
        self.0.clone().chain_update(covered).verify_truncated_left(tag).is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}
