//! Verified, resumable, paced copies of dataset versions between the stores of centers.
//!
//! Two doors. On disk, [`LocalStore`]: a replica is there whole and verified, or not there at all;
//! what lies in an [`ExternalStore`] may be registered there in place.
//! On the network, [`door`] serves a store to holders of a [`Ticket`], and [`fetch`], [`send`],
//! [`upload`] and [`cat`] are its clients; [`fill`] takes what only loads the line. What a job reads
//! while it runs goes through a [`Reading`]. Chunks are numbered through all files of a dataset
//! ([`Layout`]), so that ten thousand small files travel like one large one. What a ticket says of rates
//! is kept by the door, and by the kernel where a [`Shaper`] has been set up.
//!
//! Deliberately absent: which data goes where, when and how fast (the plan says so), residency (the
//! server issues no ticket against it), and any trust in the other side. Every chunk is compared
//! with the manifest, and the manifest with the version asked for, before a byte counts.

mod carry;
mod disk;
pub mod door;
mod error;
pub mod external;
mod fetch;
mod fill;
mod import;
mod incoming;
mod layout;
mod leave;
mod pace;
mod picked;
mod progress;
mod reading;
mod remote;
mod reuse;
mod shaper;
mod store;
pub mod ticket;
mod upload;

pub use error::TransferError;
pub use external::{ExternalStore, ExternalStores, Location};
pub use fetch::{Arrived, Giver, fetch};
pub use fill::fill;
pub use import::survey;
pub use incoming::{Incoming, Written};
pub use layout::{Layout, Place};
pub use leave::{Flow, Leave};
pub use pace::Pace;
pub use progress::{Progress, Seen};
pub use reading::Reading;
pub use remote::{Source, cat, manifest};
pub use shaper::{Class, Classes, Shaper};
pub use store::{
    Found, Held, InPlace, InPlaceChanges, LocalStore, Quarantined, Registration, Replica,
    register_in_place,
};
pub use ticket::{Ticket, TicketError, Verb};
pub use upload::{send, upload};
