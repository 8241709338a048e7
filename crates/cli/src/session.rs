//! What every command is given: the server to ask, and how to show its answers.

use crate::failure::{Code, Failure};
use crate::look::{Color, Look};
use anyhow::Context;
use clap::{Args, ValueEnum};
use client::Client;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// What may be said with every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// The server to ask.
    #[arg(long, global = true, value_name = "URL", env = "PORTOLAN_SERVER", hide_env_values = true,
        default_value = crate::SERVER)]
    pub(crate) server: String,
    /// The token that opens it; better kept in a file or in PORTOLAN_TOKEN.
    #[arg(long, global = true, value_name = "TOKEN")]
    pub(crate) token: Option<String>,
    /// The file that holds the token; or PORTOLAN_TOKEN_FILE.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Tables for people, or JSON as the API has it.
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
    /// When to use colors.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// In which form answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Tables and sentences.
    Table,
    /// JSON.
    Json,
}

/// A command's surroundings.
#[derive(Debug)]
pub(crate) struct Session {
    globals: Globals,
    /// How things are shown.
    pub(crate) look: Look,
}

impl Session {
    /// With what was said on the command line.
    pub(crate) fn new(globals: Globals) -> Self {
        let look = Look::of_stdout(globals.color);
        Self { globals, look }
    }

    /// The client of the server, with the token. Nothing is asked yet.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        Ok(Client::new(&self.globals.server, &self.token()?)?)
    }

    /// The token: what the command line says before what the environment says.
    fn token(&self) -> anyhow::Result<String> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let file = match (&self.globals.token, &self.globals.token_file) {
            (Some(token), _) => return Ok(token.clone()),
            (None, Some(file)) => Some(file.clone()),
            (None, None) => match variable("PORTOLAN_TOKEN") {
                Some(token) => return Ok(token),
                None => variable("PORTOLAN_TOKEN_FILE").map(PathBuf::from),
            },
        };
        let Some(file) = file else {
            let none = Failure::said(Code::Refused, "no token was given");
            return Err(none
                .help(
                    "name the file that holds yours with --token-file or PORTOLAN_TOKEN_FILE; a \
                     new server writes its first operator's to `operator.token` in its directory",
                )
                .into());
        };
        let token = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read the token in {}", file.display()))?;
        Ok(token.trim().to_owned())
    }

    /// Whether answers are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.globals.output == Output::Json
    }

    /// Prints an answer: as JSON, or as `text` has it.
    pub(crate) fn show<T: Serialize>(
        &self,
        answer: &T,
        text: impl FnOnce(&T, &Look) -> String,
    ) -> anyhow::Result<()> {
        if self.is_json() {
            let mut json = serde_json::to_string_pretty(answer)?;
            json.push('\n');
            return print(&json);
        }
        print(&text(answer, &self.look.again()))
    }

    /// Prints an answer as JSON, or else `line`.
    pub(crate) fn tell<T: Serialize>(
        &self,
        answer: &T,
        line: impl std::fmt::Display,
    ) -> anyhow::Result<()> {
        self.show(answer, |_, _| format!("{line}\n"))
    }
}

/// Prints to standard output. An output that is closed is an error, which ends the program quietly.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    write(text.as_bytes())
}

/// The same, for bytes.
pub(crate) fn write(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    Ok(out.write_all(bytes).and_then(|()| out.flush())?)
}

/// Tells people something beside the answer, on standard error.
pub(crate) fn note(text: impl std::fmt::Display) {
    // There is nobody to tell if this fails.
    let _told = writeln!(io::stderr(), "{text}");
}
