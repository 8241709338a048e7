//! Sites, links and the paths between them; transfers planned and booked on the links' calendars.
//!
//! Two doors: [`Links::plan_transfer`] says from which replicas, over which paths, at which rates when a
//! volume arrives first, and [`Links::plan_stream`] from which moment on a rate can be had without a
//! break. A [`Topology`] is what is there (built once, shared); [`Links`] is what is still free of it,
//! one calendar a direction, and its clone costs nothing, so that a what-if is a clone with other
//! bookings.
//!
//! Deliberately absent: who asks and who pays, moving data (that is the crate `transfer`), and
//! measuring. Sites are names and regions are text here: what may cross a region is decided by the
//! caller, once a request, as [`Allowed`].

mod beside;
mod links;
pub mod quality;
mod stream;
mod topology;
mod transfer;

pub use links::{Booking, Links};
pub use stream::{StreamPlan, StreamRequest};
pub use topology::{Allowed, Link, Path, Site, Spread, Topology};
pub use transfer::{Leg, NoTransfer, TransferPlan, TransferRequest};

use calendar::Misfit;
use model::LinkId;
use model::link::Hop;

/// What is wrong with a topology, or with a booking to be made or released.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two sites of one name.
    #[error("there are two sites named `{site}`")]
    SiteTwice {
        /// The name.
        site: String,
    },
    /// Two links of one name.
    #[error("there are two links named `{link}`")]
    LinkTwice {
        /// The name.
        link: LinkId,
    },
    /// A link's end is no site.
    #[error("link `{link}` ends at `{site}`, which is no site")]
    NoSuchEnd {
        /// The link.
        link: LinkId,
        /// The end that is not there.
        site: String,
    },
    /// A link begins where it ends.
    #[error("both ends of link `{link}` are at `{site}`")]
    SameEnds {
        /// The link.
        link: LinkId,
        /// Where both ends are.
        site: String,
    },
    /// A booking names a link that is not there.
    #[error("there is no link `{link}`")]
    NoSuchLink {
        /// The name.
        link: LinkId,
    },
    /// A booking asks for more than is free, or gives back more than is booked.
    #[error("booking does not fit on {hop} (bit/s)")]
    Misfit {
        /// On which direction of which link.
        hop: Hop,
        /// Where it does not fit and by how much.
        #[source]
        misfit: Misfit,
    },
}
