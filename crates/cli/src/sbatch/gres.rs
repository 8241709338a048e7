//! Which chips a script asks for, and how many: `--gres`, `--gpus` and `--constraint`.

use super::complaint::Said;
use super::directive::{Given, Options};
use model::file::Catalog;
use model::{ChipClass, ChipId};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What scripts call chips, as `chips.toml` has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    resources: BTreeMap<String, Kind>,
    types: BTreeMap<String, Vec<ChipId>>,
}

/// Which chips are meant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Kind {
    /// All of this portability class.
    Class(ChipClass),
    /// Any of these.
    Chips(Vec<ChipId>),
}

/// The names of chips that are known.
#[derive(Debug)]
pub(crate) struct Names {
    table: Table,
    chips: Vec<ChipId>,
    classes: Vec<ChipClass>,
}

/// Chips, counted in one of the ways that Slurm has.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Which, if that is said.
    pub(crate) kind: Option<Kind>,
    /// How many.
    pub(crate) count: u64,
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

impl Names {
    /// Those of the shipped table and of the catalog. Errors where the table is wrong.
    pub(crate) fn new(catalog: &Catalog) -> Result<Self, toml::de::Error> {
        let table = toml::from_str(include_str!("chips.toml"))?;
        let chips = catalog.chips().map(|chip| chip.chip.clone()).collect();
        let mut classes: Vec<_> = catalog.chips().map(|chip| chip.class.clone()).collect();
        classes.sort();
        classes.dedup();
        Ok(Self { table, chips, classes })
    }

    /// The chips of this type, if it is known.
    fn of_type(&self, name: &str) -> Option<Vec<ChipId>> {
        let name = plain(name);
        let own = || self.chips.iter().find(|chip| plain(chip.as_str()) == name);
        self.table.types.get(&name).cloned().or_else(|| own().map(|chip| vec![chip.clone()]))
    }

    fn types(&self) -> String {
        let names: Vec<&str> = self.table.types.keys().map(String::as_str).collect();
        format!("known are {}, and the chips of `portolan chips`", names.join(", "))
    }

    fn classes(&self) -> String {
        self.classes.iter().map(ChipClass::as_str).collect::<Vec<_>>().join(", ")
    }

    /// Reads `[TYPE:]COUNT`, as --gpus has it.
    pub(crate) fn gpus(&self, given: &Given, said: &mut Said) -> Option<Wanted> {
        let text = given.text();
        if text.contains(',') {
            several(given, said);
            return None;
        }
        let (kind, count) = match text.split_once(':').or_else(|| text.split_once('=')) {
            Some((kind, count)) => (Some(kind), count),
            None if text.bytes().all(|b| b.is_ascii_digit()) => (None, text),
            None => (Some(text), "1"),
        };
        self.wanted(given, kind, count, None, said)
    }

    /// Reads a list of generic resources: the chips among them, of which there is one kind at most.
    pub(crate) fn gres(&self, given: &Given, said: &mut Said) -> Option<Wanted> {
        let mut wanted = None;
        for one in given.text().split(',').map(str::trim).filter(|one| *one != "none") {
            let one =
                one.strip_prefix("gres:").or_else(|| one.strip_prefix("gres/")).unwrap_or(one);
            let mut fields = one.splitn(3, ':');
            let name = fields.next().unwrap_or_default();
            let Some(resource) = self.table.resources.get(&plain(name)) else {
                self.no_chip(given, name, said);
                continue;
            };
            let (kind, count) = match (fields.next(), fields.next()) {
                (None, _) => (None, "1"),
                (Some(count), None) if is_count(count) => (None, count),
                (Some(kind), None) => (Some(kind), "1"),
                (Some(kind), Some(count)) => (Some(kind), count),
            };
            if wanted.is_some() {
                several(given, said);
                return None;
            }
            wanted = Some(self.wanted(given, kind, count, Some(resource), said)?);
        }
        wanted.filter(|wanted| wanted.count > 0)
    }

    fn no_chip(&self, given: &Given, name: &str, said: &mut Said) {
        let known: Vec<&str> = self.table.resources.keys().map(String::as_str).collect();
        let what = format!("`{name}` is no resource that is counted here");
        let help = match name {
            "shard" | "mps" => "a share of a chip is said in a job file: `chips = 0.25`".to_owned(),
            _ => format!("known are {}; take out the rest", known.join(", ")),
        };
        said.wrong(given.value_place(), what, help);
    }

    fn wanted(
        &self,
        given: &Given,
        kind: Option<&str>,
        count: &str,
        resource: Option<&Kind>,
        said: &mut Said,
    ) -> Option<Wanted> {
        let place = given.value_place();
        let Some(count) = is_count(count).then(|| count.parse().ok()).flatten() else {
            let help = "write NAME:TYPE:COUNT such as `gpu:a100:2`, or TYPE:COUNT for --gpus";
            said.wrong(place, format!("`{count}` is no number of chips"), help);
            return None;
        };
        let kind = match kind {
            None => resource.filter(|kind| **kind != Kind::Chips(Vec::new())).cloned(),
            Some(name) => match self.of_type(name) {
                Some(chips) => Some(Kind::Chips(chips)),
                None => {
                    said.wrong(place, format!("`{name}` is no chip that is known"), self.types());
                    return None;
                }
            },
        };
        Some(Wanted { kind, count })
    }

    /// The chips that --constraint names: one, or several with `|` between them.
    pub(crate) fn constraint(&self, given: &Given, said: &mut Said) -> Option<Kind> {
        let text = given.text().trim_matches(['[', ']', '(', ')']);
        let mut chips = Vec::new();
        for name in text.split('|').map(str::trim) {
            let Some(known) = self.of_type(name) else {
                let what = format!("`{name}` is no feature that is known here");
                let help = "names of chips are, with | between them; else name centers with \
                            --partition, or take it back with --constraint=";
                said.wrong(given.value_place(), what, help);
                return None;
            };
            chips
                .extend(known.into_iter().filter(|chip| !chips.contains(chip)).collect::<Vec<_>>());
        }
        Some(Kind::Chips(chips))
    }

    /// Which chips are meant, where `given` says how many and perhaps, by `first`, which.
    pub(crate) fn settle(
        &self,
        given: &Given,
        first: Option<Kind>,
        options: &Options,
        said: &mut Said,
    ) -> Option<Kind> {
        let on = options.get("on");
        let constraint = options.get("constraint");
        let named = constraint.and_then(|constraint| self.constraint(constraint, said));
        match (first, named, on) {
            (Some(_), _, Some(on)) => {
                let help = "leave one of both out";
                said.wrong(&on.place, "--on stands beside chips that have a type", help);
                None
            }
            (Some(Kind::Chips(chips)), Some(Kind::Chips(named)), None) => {
                let both: Vec<_> = chips.into_iter().filter(|c| named.contains(c)).collect();
                if both.is_empty() {
                    let help = "let --gres and --constraint name the same chips";
                    said.wrong(given.value_place(), "no chip is both types", help);
                }
                Some(Kind::Chips(both))
            }
            (_, Some(named), None) => Some(named),
            (first @ Some(_), None, None) => first,
            (None, _, Some(on)) => {
                let class = self.classes.iter().find(|class| class.as_str() == on.text());
                if class.is_none() {
                    let what = format!("`{}` is no class of chips", on.text());
                    said.wrong(on.value_place(), what, format!("known are {}", self.classes()));
                }
                class.cloned().map(Kind::Class)
            }
            (None, None, None) if constraint.is_some() => None,
            (None, None, None) => {
                let help = format!(
                    "name a type, such as `gpu:a100:2`, or say what the program is built for: \
                     `#PORTOLAN --on=CLASS`, of {}",
                    self.classes()
                );
                said.wrong(given.value_place(), "this does not say which chips", help);
                None
            }
        }
    }
}

fn several(given: &Given, said: &mut Said) {
    let help = "a gang has one kind of chip; submit the kinds as jobs of their own";
    said.wrong(given.value_place(), "this asks for several kinds of chips at once", help);
}

fn is_count(text: &str) -> bool {
    !text.is_empty() && text.len() < 7 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_chip_of_the_table_is_in_the_catalog() {
        let catalog = crate::catalog::with(&[]).unwrap();
        let names = Names::new(&catalog).unwrap();
        let chips: BTreeSet<_> = names.chips.iter().collect();
        for (name, of_type) in &names.table.types {
            assert_eq!(*name, plain(name), "names are kept small, and with _");
            assert!(
                !of_type.is_empty() && of_type.iter().all(|chip| chips.contains(chip)),
                "{name}"
            );
        }
        for (name, kind) in &names.table.resources {
            let known = match kind {
                Kind::Class(class) => names.classes.contains(class),
                Kind::Chips(list) => list.iter().all(|chip| chips.contains(chip)),
            };
            assert!(known, "{name}");
        }
    }

    #[test]
    fn what_the_catalog_calls_a_chip_on_slurm_is_known_here() {
        let catalog = crate::catalog::with(&[]).unwrap();
        let names = Names::new(&catalog).unwrap();
        for chip in catalog.chips() {
            let Some(gres) = &chip.slurm_gres else { continue };
            let (resource, of_type) = gres.split_once(':').unwrap();
            assert!(names.table.resources.contains_key(resource), "{gres}");
            let meant = names.of_type(of_type).unwrap_or_default();
            assert!(meant.contains(&chip.chip), "{gres} is not {}", chip.chip);
        }
    }
}
