//! Who may do what: an opaque secret stands for a role.

use crate::{CenterId, Digest, Moment, TenantId, TokenId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a token's holder is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May do everything, for everyone.
    Operator,
    /// The agent of one center: its own orders and reports.
    Center(CenterId),
    /// A tenant: its own jobs and datasets.
    Tenant(TenantId),
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => write!(f, "operator"),
            Self::Center(center) => write!(f, "center {center}"),
            Self::Tenant(tenant) => write!(f, "tenant {tenant}"),
        }
    }
}

/// A token as the network remembers it. The secret itself is shown once and never kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its number.
    pub token: TokenId,
    /// The digest of the secret. 256 random bits need no slow hash.
    pub secret: Digest,
    /// What the holder is.
    pub role: Role,
    /// A name for people.
    pub label: String,
    /// Until when it opens; none for as long as nobody revokes it.
    pub expires: Option<Moment>,
}

/// Who asks: the role behind a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What they are.
    pub role: Role,
    /// By which token, for the record.
    pub token: TokenId,
}
