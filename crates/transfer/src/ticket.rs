//! Tickets: leave to read or write one dataset version at one center for a short time.
//!
//! The server hands each center's agent a door key when it joins, and nobody else; it signs a ticket
//! with that key (keyed BLAKE3), so the agent can check one without asking. A ticket is a bearer's:
//! it is short-lived because it cannot be called back. Pure: the time is an argument.

use crate::Leave;
use model::{CenterId, DatasetId, DatasetVersion, Digest, Moment};
use serde::{Deserialize, Serialize};

/// What signs and checks the tickets of one center.
pub type DoorKey = [u8; 32];

/// What a ticket gives leave to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Read the data.
    Read,
    /// Put the data there.
    Write,
    /// Have bytes made up and sent for as long as its rates last. The data is [`filler`].
    Fill,
}

/// Leave to do one thing with one dataset version at one center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ticket {
    /// Whose store it opens.
    pub center: CenterId,
    /// Which data.
    pub data: DatasetVersion,
    /// What may be done.
    pub verb: Verb,
    /// From when on it opens nothing, by the center's clock.
    pub expires: Moment,
    /// How fast the data may be read; as fast as it goes where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Leave>,
}

/// Why a ticket opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// There is none.
    #[error("there is no ticket: send it as `Authorization: Bearer …`")]
    Absent,
    /// The text is not a ticket.
    #[error("the text is not a ticket")]
    Malformed,
    /// It was not signed with this center's key, or changed since.
    #[error("the ticket was not issued for this center, or was changed")]
    Forged,
    /// It is too old.
    #[error("the ticket expired at {at}")]
    Expired {
        /// When it did.
        at: Moment,
    },
    /// It is good, but not for this.
    #[error("the ticket is for something else: it gives leave to {verb:?} {data} at {center}")]
    Elsewhere {
        /// At which center.
        center: CenterId,
        /// Which data.
        data: DatasetVersion,
        /// What may be done.
        verb: Verb,
    },
}

/// What a ticket for made-up bytes names as its data. No manifest has this version, so no store
/// ever holds it.
#[must_use]
pub fn filler() -> DatasetVersion {
    let dataset = DatasetId::new("filler").expect("a plain word is a name");
    DatasetVersion { dataset, version: Digest::of(b"filler") }
}

/// Keeps these signatures apart from anything else the key may ever sign.
const DOMAIN: &[u8] = b"portolan ticket v1\n";

fn mac(key: &DoorKey, body: &[u8]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    hasher.update(DOMAIN).update(body);
    hasher.finalize()
}

/// The ticket as text fit for an HTTP header.
#[must_use]
pub fn issue(key: &DoorKey, ticket: &Ticket) -> String {
    let body = serde_json::to_vec(ticket).expect("a ticket has only text keys");
    format!("{}.{}", to_hex(&body), mac(key, &body).to_hex())
}

/// The ticket in `text`, if it was signed with `key` and is good at `now`. Whether it is for what is
/// being asked is the caller's question. Takes the same time for every wrong signature.
pub fn check(key: &DoorKey, text: &str, now: Moment) -> Result<Ticket, TicketError> {
    let (body, signature) = text.trim().split_once('.').ok_or(TicketError::Malformed)?;
    let body = from_hex(body).ok_or(TicketError::Malformed)?;
    let signature = blake3::Hash::from_hex(signature).map_err(|_| TicketError::Malformed)?;
    // `blake3::Hash` compares in constant time.
    if mac(key, &body) != signature {
        return Err(TicketError::Forged);
    }
    let ticket: Ticket = serde_json::from_slice(&body).map_err(|_| TicketError::Malformed)?;
    if ticket.expires <= now {
        return Err(TicketError::Expired { at: ticket.expires });
    }
    Ok(ticket)
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: DoorKey = [7; 32];

    fn ticket() -> Ticket {
        Ticket {
            center: "delta-1".parse().unwrap(),
            data: DatasetVersion { dataset: "d".parse().unwrap(), version: Digest::of(b"d") },
            verb: Verb::Read,
            expires: Moment(1_000),
            pace: Some(Leave::new(model::TransferId::new(7), Moment(5), Vec::new())),
        }
    }

    #[test]
    fn a_ticket_reads_back_until_it_expires() {
        let text = issue(&KEY, &ticket());
        assert_eq!(check(&KEY, &text, Moment(999)), Ok(ticket()));
        let expired = Err(TicketError::Expired { at: Moment(1_000) });
        assert_eq!(check(&KEY, &text, Moment(1_000)), expired);
    }

    #[test]
    fn a_ticket_of_another_key_opens_nothing() {
        let text = issue(&[8; 32], &ticket());
        assert_eq!(check(&KEY, &text, Moment(0)), Err(TicketError::Forged));
    }

    #[test]
    fn no_changed_digit_goes_unnoticed() {
        let text = issue(&KEY, &ticket());
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&KEY, &changed, Moment(0)).is_err(), "digit {at}");
        }
    }

    #[test]
    fn nonsense_is_malformed() {
        for text in ["", ".", "zz.00", "é.é", "0.0", "00"] {
            assert_eq!(check(&KEY, text, Moment(0)), Err(TicketError::Malformed), "{text}");
        }
    }
}
