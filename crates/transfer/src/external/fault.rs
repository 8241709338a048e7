//! What ails a store, in words that help.

use crate::TransferError;
use opendal::ErrorKind;
use std::fmt;

/// Why a store did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not answer, or broke off, again and again.
    Unreachable,
    /// It asks to be asked less often.
    Busy,
    /// It does not accept the keys, or they may not do this.
    Denied,
    /// There is no such bucket.
    NoBucket,
    /// Its quota or its disk is used up.
    Full,
    /// The object is not there.
    Gone,
    /// The kind of store cannot do this at all.
    Unsupported,
    /// Anything else.
    Refused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "it does not answer; check `endpoint` and the network, or wait",
            Self::Busy => "it is asked too often; wait",
            Self::Denied => {
                "it refuses the keys; check that the access key and the secret key belong \
                 together and what they may do in this bucket"
            }
            Self::NoBucket => "there is no such bucket; check `bucket`, `region` and `endpoint`",
            Self::Full => "it is full; free some of it, or have its quota raised",
            Self::Gone => "it is not there; check the path, `root` and `bucket`",
            Self::Unsupported => "this kind of store cannot do that",
            Self::Refused => "it answered with an error",
        })
    }
}

impl Fault {
    /// Whether the same ask may succeed later with nothing changed by us.
    pub(crate) fn is_transient(self) -> bool {
        matches!(self, Self::Unreachable | Self::Busy)
    }

    /// What stands behind an error of opendal. Stores differ in how they say that they are full or
    /// have no such bucket, so their words are searched where the kind does not tell.
    pub(super) fn of(error: &opendal::Error) -> Self {
        const FULL: [&str; 8] = [
            "status: 507",
            "QuotaExceeded",
            "ExceedQuota",
            "StorageFull",
            "InsufficientStorage",
            "CapacityExceeded",
            "No space left",
            "quota exceeded",
        ];
        let said = format!("{error:?}");
        let says = |words: &[&str]| words.iter().any(|words| said.contains(words));
        if says(&FULL) {
            return Self::Full;
        }
        if says(&["NoSuchBucket"]) {
            return Self::NoBucket;
        }
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::NotFound => Self::Gone,
            ErrorKind::RateLimited => Self::Busy,
            ErrorKind::Unsupported => Self::Unsupported,
            _ if says(&["status: 401", "InvalidAccessKeyId", "SignatureDoesNotMatch"]) => {
                Self::Denied
            }
            // Persistent: still failing when the retries were used up.
            _ if error.is_temporary() || error.is_persistent() => Self::Unreachable,
            _ => Self::Refused,
        }
    }
}

/// Names what was being done at which store when it failed.
pub(super) fn at<'a>(
    store: &'a str,
    doing: &'static str,
    path: &'a str,
) -> impl FnOnce(opendal::Error) -> TransferError + 'a {
    move |source| TransferError::External {
        store: store.to_owned(),
        doing,
        path: path.to_owned(),
        fault: Fault::of(&source),
        source: source.into(),
    }
}
