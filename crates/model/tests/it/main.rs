//! Documents in, words or diagnostics out.
#![cfg(test)]

mod catalog;
mod job;
mod mutation;
mod network;

use model::file::{Catalog, Diagnostic};
use std::path::PathBuf;

/// The path of something in the catalog.
fn path(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../catalog").join(below)
}

/// The text of a file in the catalog.
fn text(below: &str) -> String {
    std::fs::read_to_string(path(below)).unwrap()
}

/// All chip files: name and text.
fn chip_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path("chips")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.push((name.clone(), text(&format!("chips/{name}"))));
    }
    files.sort();
    files
}

/// The catalog.
fn chips() -> Catalog {
    let files = chip_files();
    let sources: Vec<_> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    Catalog::read(&sources).unwrap_or_else(|wrong| panic!("{}", lines(&wrong)))
}

/// Diagnostics as they print, one a line.
fn lines(wrong: &[Diagnostic]) -> String {
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
