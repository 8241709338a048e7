//! Stores that are not a directory of the agent's own: object stores, WebDAV, web servers, other
//! directories. Data may lie there and be served from there without being copied first, and
//! replicas may be archived there and brought back.
//!
//! The door is [`ExternalStores`], read from the file in which a center names its stores. The
//! protocols are opendal's; what is ours is that nothing counts before it has been compared with a
//! manifest, that what was broken off goes on file by file, and that errors say what to do.

mod archive;
mod check;
mod config;
mod fault;
mod operator;
mod read;
mod stores;
mod survey;

pub use archive::{Archived, ReadBack};
pub use check::{Checked, Finding};
pub use config::{StoreConfig, StoreKind};
pub use fault::Fault;
pub(crate) use read::read_in_place;
pub use stores::{ExternalStore, ExternalStores};
pub use survey::Surveyed;

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where data lies in an external store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// The store's name in the center's configuration.
    pub store: String,
    /// The path below the store's root, `/` between its parts and none at its ends; empty for all of
    /// the store.
    pub path: String,
}

impl Location {
    /// The path of something below it.
    pub(crate) fn join(&self, path: &str) -> String {
        if self.path.is_empty() { path.to_owned() } else { format!("{}/{path}", self.path) }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.store, self.path)
    }
}

/// Text that names no place in a store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a location: write STORE:PATH, such as `archive:images/train`")]
pub struct NotALocation(String);

impl FromStr for Location {
    type Err = NotALocation;

    fn from_str(text: &str) -> Result<Self, NotALocation> {
        let parse = || {
            let (store, path) = text.split_once(':')?;
            let path = path.trim_matches('/');
            let inside = path.is_empty() || model::dataset::is_inside_path(path);
            (model::id::is_slug(store) && inside)
                .then(|| Self { store: store.to_owned(), path: path.to_owned() })
        };
        parse().ok_or_else(|| NotALocation(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_store_and_a_path_that_stays_below_its_root() {
        for good in ["archive:a/b", "archive:"] {
            assert_eq!(good.parse::<Location>().unwrap().to_string(), good);
        }
        assert_eq!("archive:/a/b/".parse::<Location>().unwrap().path, "a/b");
        for bad in ["archive", "a/b", ":a", "Archive:a", "archive:../a", "archive:a//b"] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }
}
