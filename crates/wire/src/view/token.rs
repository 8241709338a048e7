//! Tokens.

use model::{Moment, Role, TokenId};
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// A token as the network remembers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its number.
    #[serde(with = "model::unit::text")]
    #[schema(value_type = String, example = "token-2")]
    pub token: TokenId,
    /// What its holder is.
    pub role: TokenRole,
    /// Which center or tenant; absent for operators.
    pub of: Option<String>,
    /// A name for people.
    pub label: String,
    /// Until when it opens; absent for as long as nobody revokes it.
    #[schema(value_type = Option<u64>)]
    pub expires_ms: Option<Moment>,
}

/// What a token's holder can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenRole {
    /// May do everything, for everyone.
    Operator,
    /// The agent of one center.
    Center,
    /// A tenant.
    Tenant,
}

/// Tokens, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// All that open.
    pub tokens: Vec<Token>,
}

/// A token to be created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What its holder is.
    pub role: TokenRole,
    /// Which center or tenant; absent for operators.
    #[serde(default)]
    pub of: Option<String>,
    /// A name for people, at most 128 characters.
    #[serde(default)]
    pub label: String,
    /// Until when it opens; for as long as nobody revokes it where nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<u64>)]
    pub expires_ms: Option<Moment>,
}

impl NewToken {
    /// A token for `role` that does not expire.
    #[must_use]
    pub fn for_role(role: &Role, label: &str) -> Self {
        let (role, of) = match role {
            Role::Operator => (TokenRole::Operator, None),
            Role::Center(center) => (TokenRole::Center, Some(center.to_string())),
            Role::Tenant(tenant) => (TokenRole::Tenant, Some(tenant.to_string())),
        };
        Self { role, of, label: label.to_owned(), expires_ms: None }
    }
}

/// A new token with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenSecret {
    /// The token.
    pub token: Token,
    /// To be sent as `Authorization: Bearer …`.
    #[schema(example = "ptl_…")]
    pub secret: String,
}

impl fmt::Debug for TokenSecret {
    /// Leaves the secret out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSecret").field("token", &self.token).finish_non_exhaustive()
    }
}
