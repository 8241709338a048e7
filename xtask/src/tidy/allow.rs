//! The list of overruns that are there already: it may only shrink.

use super::tree::Tree;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const PATH: &str = "xtask/tidy-allow.toml";

/// Known overruns with their sizes in lines.
#[derive(Default)]
pub(super) struct Allow {
    /// By path.
    pub(super) files: BTreeMap<String, usize>,
    /// By `path::name`.
    pub(super) functions: BTreeMap<String, usize>,
}

impl Allow {
    /// The tree's own list; empty if there is none.
    pub(super) fn of(tree: &Tree) -> Result<Self> {
        let Some(text) = tree.files.get(PATH) else { return Ok(Self::default()) };
        let list: Value = toml::from_str(text).context(PATH)?;
        Ok(Self { files: section(&list, "files")?, functions: section(&list, "functions")? })
    }
}

fn section(list: &Value, name: &str) -> Result<BTreeMap<String, usize>> {
    let Some(table) = list.get(name) else { return Ok(BTreeMap::new()) };
    let table = table.as_object().with_context(|| format!("{PATH}: [{name}] is no table"))?;
    let entry = |(key, size): (&String, &Value)| {
        let lines = size.as_u64().and_then(|size| usize::try_from(size).ok());
        let lines = lines.with_context(|| format!("{PATH}: \"{key}\" is no number of lines"))?;
        Ok((key.clone(), lines))
    };
    table.iter().map(entry).collect()
}
