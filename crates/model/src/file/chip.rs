//! Chip files, one TOML document a chip, and the catalog they make.
//!
//! A figure is given, or listed under `undisclosed` (nobody we trust says) or `unsupported` (the
//! chip has no such thing); a file that is silent about one is refused.

use super::Diagnostic;
use super::section::{Section, Source, Wrong, choice, parts, text, whole, words};
use super::tree::Value;
use crate::{Bytes, Chip, ChipClass, ChipId};
use std::collections::BTreeMap;

/// Precisions a peak speed may be given for.
const PRECISIONS: [&str; 6] = ["bf16", "fp16", "fp32", "fp64", "int8", "fp8"];
/// Figures a file must not be silent about. `bf16` stands for `fp16` too.
const FIGURES: [&str; 8] =
    ["memory", "memory_bandwidth", "power_watts", "bf16", "fp32", "fp64", "int8", "fp8"];
/// Fastest speed a file may claim, in milli-TFLOPS: keeps sums over a network in range.
const FASTEST: u64 = 1_000_000_000;

/// The chips a network may name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    chips: BTreeMap<ChipId, Chip>,
}

impl Catalog {
    /// Reads a catalog from its files, each a name and a text. Errors are all that is wrong in all
    /// of them, a chip described twice included.
    pub fn read(sources: &[(&str, &str)]) -> Result<Self, Vec<Diagnostic>> {
        let (mut chips, mut wrong) = (BTreeMap::new(), Vec::new());
        let mut first: BTreeMap<ChipId, &str> = BTreeMap::new();
        for (name, text) in sources {
            match read(name, text) {
                Err(diagnostics) => wrong.extend(diagnostics),
                Ok(chip) => match first.get(&chip.chip) {
                    Some(first) => wrong.extend(twice(name, text, first)),
                    None => {
                        first.insert(chip.chip.clone(), name);
                        chips.insert(chip.chip.clone(), chip);
                    }
                },
            }
        }
        if wrong.is_empty() { Ok(Self { chips }) } else { Err(wrong) }
    }

    /// The chip of this name.
    #[must_use]
    pub fn get(&self, chip: &ChipId) -> Option<&Chip> {
        self.chips.get(chip)
    }

    /// All chips, by name.
    pub fn chips(&self) -> impl Iterator<Item = &Chip> {
        self.chips.values()
    }
}

impl FromIterator<Chip> for Catalog {
    /// Of two chips of one name the later stays.
    fn from_iter<I: IntoIterator<Item = Chip>>(chips: I) -> Self {
        Self { chips: chips.into_iter().map(|chip| (chip.chip.clone(), chip)).collect() }
    }
}

fn twice(name: &str, text: &str, first: &str) -> Vec<Diagnostic> {
    let Ok(source) = Source::toml(name, text) else { return Vec::new() };
    let said = format!("this chip is already described in {first}");
    source.section().report("chip", said, "one file for each chip");
    source.diagnostics()
}

/// Reads a chip file. Errors are all that is wrong in it.
pub fn read(name: &str, text: &str) -> Result<Chip, Vec<Diagnostic>> {
    let source = Source::toml(name, text)?;
    let chip = chip(source.section());
    let wrong = source.diagnostics();
    match chip {
        Some(chip) if wrong.is_empty() => Ok(chip),
        _ => Err(wrong),
    }
}

fn chip(mut file: Section<'_>) -> Option<Chip> {
    let chip = fields(&mut file);
    file.unknown();
    chip
}

fn fields(file: &mut Section<'_>) -> Option<Chip> {
    let (chip, class) = (file.need("chip", text::<ChipId>), file.need("class", text::<ChipClass>));
    let confidences = [("A", "A"), ("B", "B"), ("C", "C")];
    Some(Chip {
        vendor: file.need("vendor", words(128)).unwrap_or_default(),
        model: file.need("model", words(128)).unwrap_or_default(),
        stack: file.need("stack", words(128)).unwrap_or_default(),
        memory: file.maybe("memory", text::<Bytes>),
        memory_kind: file.maybe("memory_kind", words(128)),
        memory_bandwidth: file.maybe("memory_bandwidth", bytes_per_second),
        interconnect: file.maybe("interconnect", words(128)),
        interconnect_bandwidth: file.maybe("interconnect_bandwidth", bytes_per_second),
        peak_milli_tflops: figures(file),
        power_watts: file.maybe("power_watts", whole(1, 100_000)),
        allocation_unit: file.maybe("allocation_unit", whole(1, 64)).unwrap_or(1),
        visible_devices: file.need("visible_devices", variable).unwrap_or_default(),
        kubernetes_resources: file.list("kubernetes_resources", words(128)),
        slurm_gres: file.maybe("slurm_gres", words(128)),
        pci_vendor: file.maybe("pci_vendor", pci_vendor),
        source: file.need("source", words(2_000)).unwrap_or_default(),
        confidence: file.need("confidence", choice(&confidences)).unwrap_or_default().to_owned(),
        notes: file.maybe("notes", words(2_000)),
        // Last, so that a missing name hides nothing else that is wrong.
        chip: chip?,
        class: class?,
    })
}

/// The peak speeds, once every figure is known to be given or said to be missing.
fn figures(file: &mut Section<'_>) -> BTreeMap<String, u64> {
    let (mut peaks, mut given) = (BTreeMap::new(), Vec::new());
    given.extend(FIGURES.into_iter().filter(|figure| file.has(figure)));
    if let Some(mut table) = file.table("peak_tflops") {
        given.extend(PRECISIONS.into_iter().filter(|precision| table.has(precision)));
        for precision in PRECISIONS {
            let speed = "a speed in TFLOPS (TOPS for integers) above 0, at most three decimals";
            if let Some(milli) = table.maybe(precision, parts(1_000, 1, FASTEST, speed)) {
                peaks.insert(precision.to_owned(), milli);
            }
        }
        table.unknown();
    }
    let names: Vec<_> = FIGURES.iter().map(|name| (*name, *name)).collect();
    let mut lists = Vec::new();
    for key in ["undisclosed", "unsupported"] {
        lists.extend(file.list(key, choice(&names)).into_iter().map(|name| (name, key)));
    }
    for figure in FIGURES {
        let half = figure == "bf16" && given.contains(&"fp16");
        match lists.iter().find(|(name, _)| *name == figure) {
            Some((_, key)) if given.contains(&figure) => {
                file.report(key, format!("`{figure}` is listed here and given too"), "one of both");
            }
            None if !given.contains(&figure) && !half => {
                let expected = "the figure, or its name under `undisclosed` or `unsupported`";
                file.report("", format!("says nothing about `{figure}`"), expected);
            }
            _ => {}
        }
    }
    peaks
}

fn bytes_per_second(value: &Value) -> Result<Bytes, Wrong> {
    let bytes = match value {
        Value::Text(text) => text.strip_suffix("/s").and_then(|bytes| bytes.parse().ok()),
        _ => None,
    };
    bytes.ok_or_else(|| Wrong::expected("an amount of data a second, such as `1600 GB/s`"))
}

fn variable(value: &Value) -> Result<String, Wrong> {
    match value {
        Value::Text(text) if is_variable(text) => Ok(text.clone()),
        _ => Err(Wrong::expected("an environment variable's name")),
    }
}

/// Whether `name` can name an environment variable in every shell.
pub(super) fn is_variable(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(plain)
        && name.len() <= 128
        && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

fn pci_vendor(value: &Value) -> Result<String, Wrong> {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    match value {
        Value::Text(text) if text.len() == 4 && text.bytes().all(hex) => Ok(text.clone()),
        _ => Err(Wrong::expected("four hexadecimal digits in quotes, such as `10de`")),
    }
}
