//! Who asks, and whether they may.

mod policy;
mod tokens;

pub(crate) use policy::{Action, Policies, Resource};
pub(crate) use tokens::Tokens;

use crate::Api;
use crate::problem::{Problem, Slug};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use model::{CenterId, Digest, Principal, Role, TenantId};

/// What a secret begins with, so that people and scanners know one when they see it.
const PREFIX: &str = "ptl_";

/// Makes a token's secret: 256 random bits. Returns it with its digest, which alone is kept.
///
/// # Errors
/// When the system has no random bits to give.
pub fn new_secret() -> Result<(String, Digest), getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    let secret = format!("{PREFIX}{}", Digest::from_bytes(bits));
    let digest = Digest::of(secret.as_bytes());
    Ok((secret, digest))
}

/// Who sent the request: the holder of a valid token.
#[derive(Debug, Clone)]
pub(crate) struct Who(pub(crate) Principal);

impl FromRequestParts<Api> for Who {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        Self::by(api, header.and_then(bearer)).await
    }
}

/// The secret in an `Authorization` header.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, secret) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

impl Who {
    /// The holder of this secret.
    pub(crate) async fn by(api: &Api, secret: Option<&str>) -> Result<Self, Problem> {
        let Some(secret) = secret else {
            let detail = "send a token: `Authorization: Bearer ptl_…`";
            return Err(Problem::new(Slug::Unauthorized, detail));
        };
        match api.tokens.holder(&api.gate, secret).await? {
            Some(principal) => Ok(Self(principal)),
            None => {
                let detail = "the token is unknown, revoked or expired";
                Err(Problem::new(Slug::Unauthorized, detail))
            }
        }
    }

    /// Whether they may.
    pub(crate) fn may(&self, api: &Api, action: Action, resource: Resource) -> bool {
        api.policies.allow(&self.0.role, action, resource)
    }

    /// Refuses what they may not.
    pub(crate) fn must(
        &self,
        api: &Api,
        action: Action,
        resource: Resource,
    ) -> Result<(), Problem> {
        if self.may(api, action, resource) {
            return Ok(());
        }
        let detail = format!("a token for {} may not {}", self.0.role, action.words());
        Err(Problem::new(Slug::Forbidden, detail))
    }

    /// The tenant a request is for: the asker's own, or the one it names.
    pub(crate) fn tenant(&self, named: Option<TenantId>) -> Result<TenantId, Problem> {
        match (named, &self.0.role) {
            (Some(tenant), _) => Ok(tenant),
            (None, Role::Tenant(own)) => Ok(own.clone()),
            (None, role) => {
                let detail = format!("a token for {role} must name a tenant: `?tenant=…`");
                Err(Problem::malformed(detail))
            }
        }
    }

    /// The center whose agent they are, for requests that only its agent makes.
    pub(crate) fn center(&self, api: &Api, action: Action) -> Result<CenterId, Problem> {
        match &self.0.role {
            Role::Center(center) => {
                self.must(api, action, Resource::Center(center.clone()))?;
                Ok(center.clone())
            }
            Role::Operator | Role::Tenant(_) => {
                let detail = format!("a token for {} is not a center's", self.0.role);
                Err(Problem::new(Slug::Forbidden, detail))
            }
        }
    }
}
