//! The files of the workspace that people write, and its crates.

use super::rust::Source;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Folders that tools fill.
const SKIPPED: [&str; 6] = ["target", "node_modules", "dist", ".git", ".portolan", ".svelte-kit"];

/// Endings of the text files that are looked at; a file without an ending is looked at too.
const TEXT: [&str; 16] = [
    "rs", "toml", "md", "json", "lock", "ts", "js", "svelte", "html", "css", "yaml", "yml", "sh",
    "txt", "sql", "service",
];

/// Text of every file by its path from the root, and the crates among them.
pub(super) struct Tree {
    pub(super) files: BTreeMap<String, String>,
    pub(super) sources: Vec<Source>,
    pub(super) crates: Vec<Crate>,
}

/// A crate of the workspace.
pub(super) struct Crate {
    pub(super) name: String,
    /// Its folder from the root, such as `crates/model`.
    pub(super) dir: String,
    pub(super) manifest: toml::Table,
}

impl Crate {
    pub(super) fn manifest_path(&self) -> String {
        format!("{}/Cargo.toml", self.dir)
    }

    /// What the manifest declares as its layer.
    pub(super) fn layer(&self) -> Option<&str> {
        self.manifest.get("package")?.get("metadata")?.get("portolan")?.get("layer")?.as_str()
    }
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(root, "", &mut files)?;
        let sources = files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| Source::new(path, text));
        let sources = sources.collect();
        let crates = crates(&files)?;
        Ok(Self { files, sources, crates })
    }

    /// The crate a file belongs to.
    pub(super) fn crate_of(&self, path: &str) -> Option<&Crate> {
        self.crates
            .iter()
            .find(|krate| path.strip_prefix(&krate.dir).is_some_and(|rest| rest.starts_with('/')))
    }

    /// The line, counted from 1, where `part` first occurs in a file; 1 if it does not.
    pub(super) fn line_of(&self, path: &str, part: &str) -> usize {
        let text = self.files.get(path).map_or("", String::as_str);
        text.lines().position(|line| line.contains(part)).map_or(1, |index| index + 1)
    }
}

fn collect(dir: &Path, relative: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    let entries =
        std::fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            collect(&entry.path(), &path, files)?;
        } else if kind.is_file() && is_text(&name) {
            // Editors and builds come and go beside us, so a file that vanished is not an error.
            if let Ok(text) = std::fs::read_to_string(entry.path()) {
                files.insert(path, text);
            }
        }
    }
    Ok(())
}

fn is_text(name: &str) -> bool {
    match name.trim_start_matches('.').rsplit_once('.') {
        None => true,
        Some((_, ending)) => TEXT.contains(&ending),
    }
}

/// Every folder with a manifest that names a package.
fn crates(files: &BTreeMap<String, String>) -> Result<Vec<Crate>> {
    let mut crates = Vec::new();
    for (path, text) in files {
        let Some(dir) = path.strip_suffix("/Cargo.toml") else { continue };
        let manifest: toml::Table = toml::from_str(text).with_context(|| path.clone())?;
        let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
        if let Some(name) = name.map(str::to_owned) {
            crates.push(Crate { name, dir: dir.to_owned(), manifest });
        }
    }
    Ok(crates)
}
