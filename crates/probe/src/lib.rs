//! The quality of links, measured by STAMP (RFC 8762): round trip, variation, loss, order.
//!
//! Two doors. [`Reflector`] answers test packets; [`Session`] sends them to one reflector and yields
//! a [`Window`] of [`figures`] at intervals. With a [`Key`] both refuse what does not bear its tag.
//! Other implementations of STAMP will do on either side.
//!
//! Round trips need no agreement between clocks, as the reflector's stay is subtracted. One-way
//! delays are told only where both sides claim a clock that follows UTC, closely enough for the link
//! at hand; else they are unknown, never half a round trip.
//!
//! Deliberately absent: who measures whom and when, what a carrier promised, and whether it held;
//! throughput, which would compete with what the plan put on a link.

mod clock;
mod error;
pub mod figures;
mod nanos;
pub mod packet;
mod reflector;
mod session;
mod socket;

pub use clock::WallClock;
pub use error::ProbeError;
pub use figures::OwnClock;
pub use nanos::Nanos;
pub use packet::Key;
pub use reflector::{Counts, Keys, Reflector, ReflectorSettings};
pub use session::{Pace, Session, SessionSettings, Spacing, Stamps, Window};
