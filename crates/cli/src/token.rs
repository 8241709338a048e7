//! `portolan token`.

use crate::look::{self, Look};
use crate::session::{Session, note, print};
use crate::table::{Column, Table, or_dash};
use clap::{Subcommand, ValueEnum};
use model::{Moment, Span, TokenId};
use wire::view::{NewToken, TokenRole, Tokens};

/// Create, list and revoke tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Create a token and print its secret, which is shown this once.
    Create {
        /// What its holder is.
        #[arg(long, value_enum)]
        role: Role,
        /// Which center or tenant.
        #[arg(long = "for", value_name = "NAME", required_if_eq_any = [
            ("role", "center"), ("role", "tenant")])]
        of: Option<String>,
        /// A name for people.
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// Until when it opens: a span from now such as 30d, or a time with its zone.
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expires: Option<Moment>,
    },
    /// List tokens, without their secrets.
    Ls,
    /// Let nobody in by a token any longer.
    Revoke {
        /// Which, such as token-2.
        token: TokenId,
    },
}

/// What a token's holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// May do everything, for everyone.
    Operator,
    /// The agent of one center.
    Center,
    /// A tenant.
    Tenant,
}

impl From<Role> for TokenRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Operator => Self::Operator,
            Role::Center => Self::Center,
            Role::Tenant => Self::Tenant,
        }
    }
}

fn expiry(text: &str) -> Result<Moment, String> {
    let span = text.parse::<Span>().map(|span| look::now() + span);
    span.or_else(|_| text.parse()).map_err(|_| {
        "neither a span from now such as `30d` nor a time such as `2027-01-01T00:00:00+08:00`"
            .to_owned()
    })
}

impl Token {
    /// Does it.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let client = session.client()?;
        match self {
            Self::Create { role, of, label, expires } => {
                let new = NewToken { role: role.into(), of, label, expires_ms: expires };
                let made = client.create_token(&new).await?;
                if session.is_json() {
                    return session.show(&made, |_, _| String::new());
                }
                // The secret alone goes to standard output, so that it can go straight into a file.
                note(format!("{} created; its secret is shown this once", made.token.token));
                print(&format!("{}\n", made.secret))
            }
            Self::Ls => session.show(&client.tokens().await?, table),
            Self::Revoke { token } => {
                client.revoke_token(token).await?;
                note(format!("{token} opens nothing any more"));
                Ok(())
            }
        }
    }
}

/// Tokens as a table.
pub(crate) fn table(tokens: &Tokens, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("TOKEN"),
        Column::new("ROLE"),
        Column::new("FOR").least(10),
        Column::new("EXPIRES"),
        Column::new("LABEL").least(12),
    ]);
    for token in &tokens.tokens {
        table.row([
            token.token.into(),
            format!("{:?}", token.role).to_lowercase().into(),
            or_dash(token.of.as_ref()).into(),
            token.expires_ms.map_or("never".to_owned(), |at| look.when(at)).into(),
            token.label.as_str().into(),
        ]);
    }
    table.render(look, "no tokens")
}
