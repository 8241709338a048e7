//! Where things are, as a path from the largest area to the smallest: `cn/yrd/shanghai/lingang`.

use crate::id::{NotAnId, is_slug};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A region path. A region contains itself and every path that goes on from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Region(Arc<str>);

impl Region {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this region or lies inside it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match other.0.strip_prefix(&*self.0) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        }
    }
}

impl FromStr for Region {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        if text.split('/').all(is_slug) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(NotAnId {
                expected: "a region path of names joined by `/`, such as `cn/yrd/shanghai`",
                found: text.to_owned(),
            })
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::unit::text::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_contains_what_lies_below_it_and_nothing_that_merely_begins_alike() {
        let region = |text: &str| text.parse::<Region>().unwrap();
        assert!(region("cn/yrd").contains(&region("cn/yrd/shanghai")));
        assert!(region("cn/yrd").contains(&region("cn/yrd")));
        assert!(!region("cn/yrd").contains(&region("cn/yrd2")));
        assert!(!region("cn/yrd/shanghai").contains(&region("cn/yrd")));
        assert!("cn//yrd".parse::<Region>().is_err());
        assert!("/cn".parse::<Region>().is_err());
    }
}
