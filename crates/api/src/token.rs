//! Tokens.

use crate::Api;
use crate::access::{Action, Resource, Who, new_secret};
use crate::center::command;
use crate::extract::{Id, Json as Body, read_text};
use crate::problem::{Problem, Slug};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use controller::{Answer, Command};
use model::{Role, Token, TokenId};
use wire::view::{self, TokenRole};

/// The longest label.
const LONGEST_LABEL: usize = 128;

fn show(token: &Token) -> view::Token {
    let view::NewToken { role, of, .. } = view::NewToken::for_role(&token.role, "");
    view::Token {
        token: token.token,
        role,
        of,
        label: token.label.clone(),
        expires_ms: token.expires,
    }
}

/// All tokens that open, without their secrets
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", responses((status = OK, body = view::Tokens)))]
pub(crate) async fn list_tokens(
    State(api): State<Api>,
    who: Who,
) -> Result<Json<view::Tokens>, Problem> {
    who.must(&api, Action::ListTokens, Resource::Network)?;
    let tokens = api.gate.look(|c| c.world().tokens.values().cloned().collect::<Vec<_>>());
    let mut tokens: Vec<view::Token> = tokens.await?.iter().map(|token| show(token)).collect();
    tokens.sort_unstable_by_key(|token| token.token);
    Ok(Json(view::Tokens { tokens }))
}

/// Create a token; its secret is shown this once
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", request_body = view::NewToken,
    responses((status = CREATED, body = view::TokenSecret)))]
pub(crate) async fn create_token(
    State(api): State<Api>,
    who: Who,
    Body(new): Body<view::NewToken>,
) -> Result<(StatusCode, Json<view::TokenSecret>), Problem> {
    who.must(&api, Action::CreateToken, Resource::Network)?;
    let role = role(&new)?;
    let is_words =
        new.label.chars().count() <= LONGEST_LABEL && !new.label.contains(char::is_control);
    if !is_words {
        let detail = format!("`label` must be at most {LONGEST_LABEL} characters on one line");
        return Err(Problem::malformed(detail));
    }
    let (secret, digest) = new_secret().map_err(|error| {
        tracing::error!(%error, "no random bits");
        Problem::new(Slug::Broken, "the server's system has no random bits to give")
    })?;
    let create =
        Command::CreateToken { secret: digest, role, label: new.label, expires: new.expires_ms };
    let answer = command(&api, who, create).await?;
    api.tokens.forget();
    match answer {
        Answer::Token(token) => {
            let made = view::TokenSecret { token: show(&token), secret };
            Ok((StatusCode::CREATED, Json(made)))
        }
        other => unreachable!("creating a token was answered by {other:?}"),
    }
}

fn role(new: &view::NewToken) -> Result<Role, Problem> {
    match (new.role, new.of.as_deref()) {
        (TokenRole::Operator, None) => Ok(Role::Operator),
        (TokenRole::Operator, Some(_)) => {
            Err(Problem::malformed("an operator's token is not `of` anybody"))
        }
        (TokenRole::Center, Some(of)) => read_text(of).map(Role::Center),
        (TokenRole::Tenant, Some(of)) => read_text(of).map(Role::Tenant),
        (TokenRole::Center | TokenRole::Tenant, None) => {
            Err(Problem::malformed("say `of` which center or tenant the token is"))
        }
    }
}

/// Let nobody in by a token any longer
#[utoipa::path(delete, path = "/v1/tokens/{token}", tag = "tokens", params(("token" = String, Path)),
    responses((status = NO_CONTENT)))]
pub(crate) async fn revoke_token(
    State(api): State<Api>,
    who: Who,
    Id(token): Id<TokenId>,
) -> Result<StatusCode, Problem> {
    who.must(&api, Action::RevokeToken, Resource::Network)?;
    command(&api, who, Command::RevokeToken(token)).await?;
    api.tokens.forget();
    Ok(StatusCode::NO_CONTENT)
}
