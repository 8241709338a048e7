//! What a server does before it listens: the network, the catalog, somebody who may do anything.

use crate::Error;
use controller::{Command, Controller, Declarations, Effect, Input};
use model::{Chip, Digest, Moment, NetworkUid, Principal, Role, TokenId};
use rust_embed::RustEmbed;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file in the server's directory that holds the first operator's token.
pub const OPERATOR_TOKEN: &str = "operator.token";

/// The chips everybody knows.
#[derive(RustEmbed)]
#[folder = "$CARGO_MANIFEST_DIR/../../catalog/chips"]
#[include = "*.toml"]
struct Shipped;

/// Creates the network in an empty log, declares the shipped catalog where it has changed, and sees
/// to it that there is an operator's token. The effects are to be carried out first.
pub(crate) fn prepare(
    controller: &mut Controller,
    dir: &Path,
    now: Moment,
) -> Result<Vec<Effect>, Error> {
    let mut effects = Vec::new();
    if controller.world().network.is_none() {
        let network = NetworkUid::from_bytes(random()?);
        effects.extend(controller.create(now, network));
    }
    let operator = Principal { role: Role::Operator, token: TokenId::new(0) };
    let mut commands = vec![Command::Apply(Box::new(Declarations {
        chips: shipped_chips()?,
        ..Declarations::default()
    }))];
    let known = controller.world().tokens.values().any(|token| token.role == Role::Operator);
    if !known {
        let text = format!("ptl_{}", Digest::from_bytes(random()?));
        write_secret(&dir.join(OPERATOR_TOKEN), &text)?;
        commands.push(Command::CreateToken {
            secret: Digest::of(text.as_bytes()),
            role: Role::Operator,
            label: "first operator".to_owned(),
            expires: None,
        });
    }
    let inputs = commands.into_iter().map(|command| Input::Command {
        request: 0,
        by: operator.clone(),
        command,
    });
    effects.extend(controller.step(now, inputs.collect()));
    Ok(effects)
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    let error = |e| Error::File("/dev/urandom".into(), std::io::Error::other(e));
    getrandom::fill(&mut bytes).map_err(error)?;
    Ok(bytes)
}

/// The chips of the shipped catalog.
fn shipped_chips() -> Result<Vec<Chip>, Error> {
    let files: Vec<(String, String)> = Shipped::iter()
        .filter_map(|name| {
            let file = Shipped::get(&name)?;
            Some((name.to_string(), String::from_utf8_lossy(&file.data).into_owned()))
        })
        .collect();
    let sources: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let catalog = model::file::chip::Catalog::read(&sources).map_err(|diagnostics| {
        let said: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        Error::Catalog(said.join("\n"))
    })?;
    Ok(catalog.chips().cloned().collect())
}

/// Writes a secret that only the server's user may read.
fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    written.map_err(|e| Error::File(path.to_owned(), e))
}
