//! The secrets of jobs: looked up as an attempt starts, and given to it as files.
//!
//! A job names a secret and its holder. What an agent has of a holder lies in a directory of its own,
//! filled by whoever keeps it: by hand, a vault's agent, a mounted volume. Values are copied from there
//! to the attempt by the engine, and go nowhere else.

use engines::SecretFile;
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use wire::Run;

/// The largest secret: they are keys and certificates, not data.
const MOST_BYTES: u64 = 1 << 20;
/// What nobody but the owner may do with a file: his group may read it, as mounted volumes are.
const OTHERS: u32 = 0o027;

/// Where the secrets of an attempt lie. The error is what the center lacks, for people: the attempt
/// is refused then, and its job placed where there is what it needs.
pub(crate) fn files(dir: Option<&Path>, run: &Run) -> Result<Vec<SecretFile>, String> {
    run.secrets
        .iter()
        .map(|secret| {
            let (name, holder, tenant) = (&secret.name, &secret.holder, &run.tenant);
            let which = || format!("secret {name} of holder {holder} for tenant {tenant}");
            let dir = dir.ok_or_else(|| format!("{}: its agent has no --secrets", which()))?;
            let path = dir.join(holder).join(tenant.as_str()).join(name);
            let source = usable(&path).map_err(|why| format!("{}: {why}", which()))?;
            Ok(SecretFile { name: name.into(), source })
        })
        .collect()
}

/// The whole path of a file, if that can be given away as a secret.
fn usable(path: &Path) -> Result<PathBuf, String> {
    let about = std::fs::metadata(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => "not there".to_owned(),
        _ => format!("cannot be looked at: {error}"),
    })?;
    check(&about)?;
    std::path::absolute(path).map_err(|error| error.to_string())
}

fn check(about: &Metadata) -> Result<(), String> {
    if !about.is_file() {
        return Err("not a file".to_owned());
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(format!("it is open to others (mode {mode:03o}); chmod 600"));
    }
    if about.len() > MOST_BYTES {
        return Err(format!("{} bytes long, and {MOST_BYTES} are the most", about.len()));
    }
    Ok(())
}
