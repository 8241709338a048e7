//! A batch script as a text: what it has to be, and what in it a center may not have.

use super::complaint::{Place, Said, Source};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A batch script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its text.
    pub(crate) source: Arc<Source>,
    /// What a job is called that has no name.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
}

/// What runs a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Interpreter {
    /// Its program.
    pub(crate) program: String,
    /// What it is told besides, or nothing.
    pub(crate) option: String,
}

impl Script {
    /// The script at `path` with this text.
    pub(crate) fn new(path: &str, text: &str, arguments: Vec<String>) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        Self { source: Source::new(path, text), name, arguments }
    }

    /// A script of one command.
    pub(crate) fn wrapping(command: &str) -> Self {
        Self::new("wrap", &format!("#!/bin/sh\n{command}\n"), Vec::new())
    }

    /// Its first line.
    pub(crate) fn start(&self) -> Place {
        let first = self.source.text().find('\n').unwrap_or(self.source.text().len());
        Place::new(&self.source, 0..first)
    }

    /// What runs it, as its first line says.
    pub(crate) fn interpreter(&self, said: &mut Said) -> Option<Interpreter> {
        let text = self.source.text();
        if text.trim().is_empty() {
            said.wrong(&self.start(), "the script is empty", "write what is to run");
            return None;
        }
        if let Some(at) = text.find("\r\n") {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let place = Place::new(&self.source, line..at);
            said.wrong(&place, "the script has line ends of DOS", "take them out with dos2unix");
            return None;
        }
        let first = text.lines().next().unwrap_or_default();
        let Some(line) = first.strip_prefix("#!").map(str::trim).filter(|l| !l.is_empty()) else {
            let what = "this does not look like a batch script";
            let help = "begin the first line with #! and what runs it, such as #!/bin/bash";
            said.wrong(&self.start(), what, help);
            return None;
        };
        let (program, option) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        Some(Interpreter { program: program.to_owned(), option: option.trim().to_owned() })
    }

    /// Says of what the script calls and reads that it may not be there.
    pub(crate) fn looks_for(&self, set: &BTreeSet<&str>, said: &mut Said) {
        let (mut offset, mut srun, mut told) = (0, false, BTreeSet::new());
        for line in self.source.text().split_inclusive('\n') {
            let start = offset;
            offset += line.len();
            let plain = line.trim_start();
            if plain.starts_with('#') {
                continue;
            }
            let begins = start + (line.len() - plain.len());
            if !srun && (plain.starts_with("srun ") || plain.starts_with("exec srun ")) {
                srun = true;
                let end = begins + plain.find("srun").unwrap_or_default() + "srun".len();
                let place = Place::new(&self.source, begins..end);
                let what = "srun is there only in centers that Slurm runs";
                said.note(&place, what, "name such centers with --partition, or leave srun out");
            }
            for (at, name) in variables(line) {
                if !set.contains(name) && told.insert(name.to_owned()) {
                    let place = Place::new(&self.source, start + at..start + at + name.len());
                    let what = format!("{name} is set only in centers that Slurm runs");
                    said.note(&place, what, "write ${NAME:-DEFAULT} where it may be missing");
                }
            }
        }
    }
}

/// The variables of Slurm in a line, and at which byte each begins.
fn variables(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let within = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    line.match_indices("SLURM_").filter_map(move |(at, _)| {
        let before = line[..at].bytes().last();
        let name = &line[at..];
        let end = name.bytes().position(|b| !within(b)).unwrap_or(name.len());
        let is_own = before.is_none_or(|b| !within(b)) && end > "SLURM_".len();
        is_own.then_some((at, &name[..end]))
    })
}
