//! Where the workspace is, and how other programs are run from here.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The checkout this xtask belongs to.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the user's configuration puts it.
    pub(crate) target: PathBuf,
    /// Workspace packages that have a `long` feature, whose tests run for hours.
    pub(crate) long_packages: Vec<String>,
}

impl Workspace {
    pub(crate) fn locate() -> Result<Self> {
        // Cargo sets the variable at run time; the compile-time one is for a binary started by hand.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask has no parent directory")?.to_owned();
        let metadata = metadata(&root, &["--no-deps"])?;
        let target = metadata["target_directory"].as_str().context("cargo names no target dir")?;
        let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let long_packages = packages
            .iter()
            .filter(|package| package["features"].get("long").is_some())
            .filter_map(|package| package["name"].as_str().map(str::to_owned))
            .collect();
        Ok(Self { target: PathBuf::from(target), root, long_packages })
    }

    /// `cargo`, the one that started us, in the workspace root.
    pub(crate) fn cargo<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root).args(args);
        command
    }

    /// A binary of ours as the given profile leaves it.
    pub(crate) fn binary(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }
}

/// What `cargo metadata` says about the workspace at `root`.
pub(crate) fn metadata(root: &Path, args: &[&str]) -> Result<Value> {
    let mut command = cargo();
    command.current_dir(root).args(["metadata", "--format-version", "1"]).args(args);
    serde_json::from_str(&capture(&mut command)?).context("cargo metadata did not print JSON")
}

/// Without what the cargo that started us set for us alone: build scripts look at some of it, and all that
/// they are for would be built anew whenever a command comes from here and not from a shell.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ours = ["CARGO_PKG_", "CARGO_MANIFEST_"];
    for (name, _) in std::env::vars_os() {
        if ours.iter().any(|ours| name.as_encoded_bytes().starts_with(ours.as_bytes())) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command on our own terminal; an error names it and its exit status.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed; an error carries what it complained about.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed ({}): {}", shown(command), output.status, complaint.trim());
    }
    String::from_utf8(output.stdout).context("output is not UTF-8")
}

/// Whether a command can be started and says that all is well; it prints nothing.
pub(crate) fn works(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The command as a person would type it, without the path of its program.
pub(crate) fn shown(command: &Command) -> String {
    let quoted = |word: &OsStr| {
        let word = word.to_string_lossy();
        if word.contains(' ') { format!("'{word}'") } else { word.into_owned() }
    };
    let set = command.get_envs().filter_map(|(key, value)| Some((key, value?)));
    let mut words: Vec<_> =
        set.map(|(key, value)| format!("{}={}", key.to_string_lossy(), quoted(value))).collect();
    words.push(quoted(Path::new(command.get_program()).file_name().unwrap_or_default()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}
