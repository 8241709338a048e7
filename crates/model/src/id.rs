//! Names of things. Produced things carry a number handed out by the log and print with a prefix
//! (`job-42`); configured things keep the slug their owner chose (`sh-ssc`).

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct NotAnId {
    /// What would have been right, as a phrase.
    pub expected: &'static str,
    /// What was there.
    pub found: String,
}

macro_rules! numbered {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number. Numbers are handed out by the log, never drawn at random.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// Its number.
            #[must_use]
            pub const fn number(self) -> u64 {
                self.0
            }

            /// The id handed out after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let number = text.strip_prefix($prefix).and_then(|n| n.parse().ok());
                number
                    .map(Self)
                    .ok_or_else(|| NotAnId { expected: $expected, found: text.to_owned() })
            }
        }
    )*};
}

numbered! {
    /// A job, from submission to settlement. Local to its network.
    JobId = "job-", "a job id such as `job-42`";
    /// A plan that the controller accepted. Each names the fact its snapshot was taken at.
    PlanId = "plan-", "a plan id such as `plan-7`";
    /// One staging of a dataset version to a center.
    TransferId = "transfer-", "a transfer id such as `transfer-3`";
    /// An access token; the secret itself is never kept.
    TokenId = "token-", "a token id such as `token-2`";
}

/// One try of a job in one center. The epoch counts the job's tries from 1 and fences: it is part
/// of paths, leases and engine names, and a report of an older epoch changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// The job tried.
    pub job: JobId,
    /// Which try, from 1.
    pub epoch: u32,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.job, self.epoch)
    }
}

impl FromStr for AttemptId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let parse = || {
            let (job, epoch) = text.rsplit_once('.')?;
            Some(Self { job: job.parse().ok()?, epoch: epoch.parse().ok()? })
        };
        parse().ok_or_else(|| NotAnId {
            expected: "an attempt id such as `job-42.1`",
            found: text.to_owned(),
        })
    }
}

impl Serialize for AttemptId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttemptId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The longest slug, in bytes.
pub const SLUG_MAX: usize = 63;

/// Whether `text` may be a slug: 1 to 63 of `a-z 0-9 - _ .`, beginning with a letter or digit.
#[must_use]
pub fn is_slug(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let rest = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'));
    first && rest && text.len() <= SLUG_MAX && !text.contains("..")
}

macro_rules! slugs {
    ($($(#[$doc:meta])* $name:ident = $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The slug `text`, if it is one: 1 to 63 of `a-z 0-9 - _ .`, no `..`, beginning with
            /// a letter or digit.
            pub fn new(text: &str) -> Result<Self, NotAnId> {
                if is_slug(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(NotAnId { expected: $expected, found: text.to_owned() })
                }
            }

            /// The slug as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                Self::new(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    )*};
}

slugs! {
    /// A computing center.
    CenterId = "a center name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A site without compute where links meet.
    ExchangeId = "an exchange name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A link between two sites.
    LinkId = "a link name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A pool; unique inside its center.
    PoolId = "a pool name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A chip of the catalog.
    ChipId = "a chip name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// Who uses.
    TenantId = "a tenant name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// Who offers: the owner of a center or the carrier of a link.
    OwnerId = "an owner name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// An external store of a center; unique inside it.
    StoreId = "a store name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A dataset, without its version.
    DatasetId = "a dataset name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// What quotas are counted in: a chip family in a group of centers, such as `910b-yrd`.
    FlavorId = "a flavor name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A priority with a name, such as `urgent`.
    PriorityClassId = "a priority class (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)";
    /// A family of chips that run the same program, such as `cuda`, `cann`, `hip`.
    ChipClass = "a portability class such as `cuda` (1 to 63 of a-z 0-9 - _ .)";
}

/// Text as 32 lower-case hexadecimal digits.
macro_rules! hex_names {
    ($($(#[$doc:meta])* $name:ident[$bytes:literal] = $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// These bytes as a name.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }

            /// The bytes named.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Shows the digits. Every record names a few: this is some ten times faster than
            /// formatting bytes.
            fn show<T>(&self, to: impl FnOnce(&str) -> T) -> T {
                let mut text = [0; $bytes * 2];
                for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    let digit = |four: u8| b"0123456789abcdef"[usize::from(four)];
                    pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
                }
                to(std::str::from_utf8(&text).expect("digits are text"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.show(|digits| f.write_str(digits))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let wrong = || NotAnId { expected: $expected, found: text.to_owned() };
                if text.len() != $bytes * 2 || !text.is_ascii() {
                    return Err(wrong());
                }
                let mut bytes = [0; $bytes];
                for (i, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
                }
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                self.show(|digits| to.serialize_str(digits))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

hex_names! {
    /// A BLAKE3 digest: of a chunk, a manifest (then it is a dataset's version), a token's secret,
    /// a fact's payload or the log's head.
    Digest[32] = "a BLAKE3 digest (64 hexadecimal digits)";
    /// A network's random name, new whenever a log is created or restored from a copy, so that an
    /// agent never takes a stranger's attempts, or a restored log's, for its own.
    NetworkUid[8] = "a network uid (16 hexadecimal digits)";
    /// One start of one machine's kernel. Processes of another boot are gone.
    BootId[16] = "a boot id (32 hexadecimal digits)";
}

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first 12 hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_what_it_prints() {
        let attempt = AttemptId { job: JobId::new(42), epoch: 3 };
        assert_eq!(attempt.to_string(), "job-42.3");
        assert_eq!("job-42.3".parse(), Ok(attempt));
        assert_eq!("job-42".parse::<JobId>(), Ok(JobId::new(42)));
        assert!("42".parse::<JobId>().is_err());
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn a_slug_cannot_climb_out_of_its_directory() {
        for bad in ["", "..", "a..b", "a/b", "-a", ".a", "A", "a b", "é", &"a".repeat(64)] {
            assert!(CenterId::new(bad).is_err(), "{bad}");
        }
        assert!(CenterId::new("sh-ssc.1_b").is_ok());
    }
}
