//! `portolan apply`, `tenants` and `chips`: the network as it is declared.

use crate::catalog;
use crate::failure::{Code, Failure, Misprint};
use crate::look::Look;
use crate::session::Session;
use crate::table::{Column, Table, or_dash};
use anyhow::Context;
use clap::Args;
use miette::{LabeledSpan, NamedSource, SourceCode};
use model::file::network;
use model::{Bytes, ChipClass};
use std::fmt;
use std::path::{Path, PathBuf};
use wire::view::{Chips, Document, NetworkFiles, SpecError, Tenants};

/// Declare or change parts of the network. What the files do not name stays as it is.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// Network files in TOML; they may refer to each other. Of a directory, all `.toml` in it.
    #[arg(required_unless_present = "chips", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Chip files in TOML, for chips the network does not know yet.
    #[arg(long, value_name = "FILE")]
    chips: Vec<PathBuf>,
    /// Only read and check the files, against the shipped catalog and those of --chips.
    #[arg(long)]
    dry_run: bool,
}

impl Apply {
    /// Applies or checks the files.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let files = NetworkFiles { network: read(&self.files)?, chips: read(&self.chips)? };
        if self.dry_run {
            let declared = check(&files)?;
            return session.show(&declared, |declared, _| format!("{declared}\n"));
        }
        match session.client()?.apply(&files).await {
            Ok(applied) => session.tell(
                &applied,
                match applied.changed {
                    0 => "nothing changed".to_owned(),
                    1 => "1 part of the network changed".to_owned(),
                    many => format!("{many} parts of the network changed"),
                },
            ),
            Err(error) => Err(misprint(error, &files)),
        }
    }
}

/// What a server found wrong with files, with the places where they have them.
pub(crate) fn misprint(error: client::Error, files: &NetworkFiles) -> anyhow::Error {
    let places = error.problem().map(|problem| located(&problem.errors, files));
    match places.flatten() {
        Some(places) => Failure::Documents(places).into(),
        None => error.into(),
    }
}

/// Documents with their names: of a directory, all `.toml` in it.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for path in paths {
        if path.is_dir() {
            let cannot = || format!("cannot read {}", path.display());
            let entries = std::fs::read_dir(path).with_context(cannot)?;
            let mut inside: Vec<PathBuf> = entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<_, _>>()
                .with_context(cannot)?;
            inside.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
            inside.sort();
            if inside.is_empty() {
                let what = format!("there is no `.toml` in {}", path.display());
                return Err(Failure::said(Code::Failed, what).into());
            }
            for path in &inside {
                documents.push(document(path)?);
            }
        } else {
            documents.push(document(path)?);
        }
    }
    Ok(documents)
}

fn document(path: &Path) -> anyhow::Result<Document> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Ok(Document { name, text })
}

/// What files declare.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Declared {
    centers: usize,
    exchanges: usize,
    links: usize,
    tenants: usize,
    chips: usize,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "well said: {} centers, {} exchanges, {} links, {} tenants, {} chips",
            self.centers, self.exchanges, self.links, self.tenants, self.chips
        )
    }
}

/// Checks the files as the server will, but for chips only that server knows.
pub(crate) fn check(files: &NetworkFiles) -> Result<Declared, Failure> {
    let named = |documents: &'_ [Document]| -> Vec<(String, String)> {
        documents.iter().map(|file| (file.name.clone(), file.text.clone())).collect()
    };
    let (networks, chips) = (named(&files.network), named(&files.chips));
    let catalog = catalog::with(&pairs(&chips))?;
    let network = network::read(&pairs(&networks), &catalog)?;
    Ok(Declared {
        centers: network.centers.len(),
        exchanges: network.exchanges.len(),
        links: network.links.len(),
        tenants: network.tenants.len(),
        chips: chips.len(),
    })
}

fn pairs(named: &[(String, String)]) -> Vec<(&str, &str)> {
    named.iter().map(|(name, text)| (&**name, &**text)).collect()
}

/// The server's errors at their places in the files; none unless all of them have one.
pub(crate) fn located(errors: &[SpecError], files: &NetworkFiles) -> Option<Vec<Misprint>> {
    let all: Option<Vec<Misprint>> = errors
        .iter()
        .map(|error| Some(Box::new(Located::find(error, files)?) as Misprint))
        .collect();
    all.filter(|all| !all.is_empty())
}

/// Something the server says is wrong in a file we have.
#[derive(Debug)]
struct Located {
    error: SpecError,
    source: NamedSource<String>,
    at: usize,
}

impl Located {
    /// Where `at` is `file:line:column`.
    fn find(error: &SpecError, files: &NetworkFiles) -> Option<Self> {
        let (rest, column) = error.at.rsplit_once(':')?;
        let (name, line) = rest.rsplit_once(':')?;
        let (line, column): (usize, usize) = (line.parse().ok()?, column.parse().ok()?);
        let file = files.network.iter().chain(&files.chips).find(|file| file.name == name)?;
        let mut lines = file.text.split_inclusive('\n');
        let before: usize = lines.by_ref().take(line.checked_sub(1)?).map(str::len).sum();
        let inside = lines.next().unwrap_or_default();
        let within = inside.char_indices().nth(column.checked_sub(1)?).map_or(0, |(at, _)| at);
        let source = NamedSource::new(name, file.text.clone());
        Some(Self { error: error.clone(), source, at: before + within })
    }
}

impl fmt::Display for Located {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error.said)
    }
}

impl std::error::Error for Located {}

impl miette::Diagnostic for Located {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(Some("here".to_owned()), self.at, 1);
        Some(Box::new(std::iter::once(label)))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let expected = &self.error.expected;
        (!expected.is_empty()).then(|| Box::new(format!("expected {expected}")) as Box<_>)
    }
}

/// Tenants as a table.
pub(crate) fn tenants(tenants: &Tenants, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("TENANT").least(12),
        Column::new("PARENT").least(8).rank(2),
        Column::new("WEIGHT").right(),
        Column::new("HOME").least(8).rank(1),
        Column::new("INDUSTRY").least(8).rank(4),
        Column::new("CLASSES").least(8).rank(3),
    ]);
    for tenant in &tenants.tenants {
        let classes: Vec<&str> = tenant.classes.iter().map(ChipClass::as_str).collect();
        table.row([
            tenant.tenant.as_str().into(),
            or_dash(tenant.parent.as_ref()).into(),
            tenant.weight.into(),
            or_dash(tenant.home.as_ref()).into(),
            or_dash(tenant.industry.as_ref()).into(),
            classes.join(" ").into(),
        ]);
    }
    table.render(look, "no tenants")
}

/// The chip catalog as a table.
pub(crate) fn chips(chips: &Chips, look: &Look) -> String {
    let mut table = Table::new([
        Column::new("CHIP"),
        Column::new("VENDOR").least(8).rank(2),
        Column::new("CLASS"),
        Column::new("MEMORY").right().rank(1),
        Column::new("BF16").right(),
        Column::new("POWER").right().rank(3),
        Column::new("UNIT").right().rank(5),
        Column::new("TRUST").rank(4),
    ]);
    for chip in &chips.chips {
        let peak = &chip.peak_milli_tflops;
        let tflops = peak.get("bf16").or(peak.get("fp16")).map(|milli| match milli % 1_000 {
            0 => format!("{} TFLOPS", milli / 1_000),
            part => format!("{}.{} TFLOPS", milli / 1_000, part / 100),
        });
        table.row([
            chip.chip.as_str().into(),
            chip.vendor.as_str().into(),
            chip.class.as_str().into(),
            or_dash(chip.memory_bytes.map(Bytes)).into(),
            or_dash(tflops).into(),
            or_dash(chip.power_watts.map(|watts| format!("{watts} W"))).into(),
            chip.allocation_unit.into(),
            chip.confidence.as_str().into(),
        ]);
    }
    table.render(look, "no chips")
}
