//! Where a scenario's files are.

use crate::Error;
use std::path::{Path, PathBuf};

/// The folders that a scenario's files are looked for in, the first first.
#[derive(Debug, Clone)]
pub(super) struct Folders(Vec<PathBuf>);

impl Folders {
    /// What the command line names, then what the scenario names, then where the scenario is.
    pub(super) fn new(told: Option<&Path>, named: Option<&str>, scenario: &Path) -> Self {
        let beside = scenario.parent().unwrap_or(Path::new("")).to_owned();
        let named = named.map(|name| beside.join(name));
        Self(told.map(Path::to_owned).into_iter().chain(named).chain([beside]).collect())
    }

    /// The path of a file: in the first folder that has it, or else where it should have been.
    pub(super) fn find(&self, name: &str) -> PathBuf {
        let mut places = self.0.iter().map(|folder| folder.join(name));
        let found = places.clone().find(|path| path.exists());
        found.or_else(|| places.next()).unwrap_or_else(|| PathBuf::from(name))
    }

    /// The name for messages and the text of a file.
    pub(super) fn read(&self, name: &str) -> Result<(String, String), Error> {
        read(&self.find(name))
    }
}

/// The name for messages and the text of a file.
pub(super) fn read(path: &Path) -> Result<(String, String), Error> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path);
    text.map(|text| (file.clone(), text)).map_err(|source| Error::Unreadable { file, source })
}
