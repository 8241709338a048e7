//! What can go wrong, told apart where the caller acts differently.

use std::io;
use std::net::SocketAddr;

/// Why nothing is measured or reflected.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A setting makes no sense.
    #[error("{setting} is {found}: {wanted}")]
    Setting {
        /// Which one.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// The system said no to something with the socket.
    #[error("cannot {doing} {address}")]
    Socket {
        /// What was being done, as a verb.
        doing: &'static str,
        /// Our address when reflecting, the other side's when measuring.
        address: SocketAddr,
        /// The system's words.
        #[source]
        source: io::Error,
    },
}

impl ProbeError {
    /// For `map_err`: what was being done with which address.
    pub(crate) fn socket(doing: &'static str, address: SocketAddr) -> impl Fn(io::Error) -> Self {
        move |source| Self::Socket { doing, address, source }
    }

    pub(crate) fn setting(setting: &'static str, found: String, wanted: &'static str) -> Self {
        Self::Setting { setting, found, wanted }
    }
}
