//! Parts and the ways to run them.

use super::check::{Check, found};
use super::spec::MOST_LISTED;
use super::{Figure, JobFile, Kind, PartFile, VariantFile};
use crate::file::chip::is_variable;
use crate::job::On;
use crate::unit::parse_with;
use crate::{Bytes, Chips, Cores, Part, Variant};
use std::collections::{BTreeMap, BTreeSet};

/// Most nodes of one gang.
const MOST_NODES: u32 = 100_000;
/// Most chips of one node.
const MOST_CHIPS: Chips = Chips::whole(1_024);
/// Most arguments of a command, and most variables of an environment.
const MOST_ARGUMENTS: usize = 256;
/// Longest command, and largest environment, in bytes.
const LONGEST_COMMAND: usize = 128 << 10;

/// The parts `file` asks for.
pub(super) fn parts(c: &mut Check, file: &JobFile) -> Vec<Part> {
    let flat = VariantFile {
        on: file.on.clone(),
        chip: file.chip.clone(),
        nodes: file.nodes.clone(),
        chips: file.chips.clone(),
        cores: file.cores.clone(),
        memory: file.memory.clone(),
        command: file.command.clone(),
        image: file.image.clone(),
        env: file.env.clone(),
        speed: file.speed.clone(),
        limit: None,
    };
    let runs = file.kind != Some(Kind::Reservation);
    if file.parts.is_empty() {
        let variants = variants(c, "", &file.variants, &flat, runs);
        return vec![Part { name: "main".to_owned(), variants }];
    }
    let expected = "each part's variants under `[[part.variant]]`";
    c.that(file.variants.is_empty(), "variant", "stands beside `[[part]]`", expected);
    let mut names = BTreeSet::new();
    let part = |(i, part): (usize, &PartFile)| {
        let at = format!("part[{i}]");
        c.words(&format!("{at}.name"), &part.name);
        if !names.insert(part.name.clone()) {
            let said = format!("`{}` names two parts", part.name);
            c.wrong(format!("{at}.name"), said, "a name of its own");
        }
        let variants = variants(c, &format!("{at}."), &part.variants, &flat, runs);
        Part { name: part.name.clone(), variants }
    };
    file.parts.iter().take(MOST_LISTED).enumerate().map(part).collect()
}

fn variants(
    c: &mut Check,
    under: &str,
    variants: &[VariantFile],
    flat: &VariantFile,
    runs: bool,
) -> Vec<Variant> {
    if variants.is_empty() {
        return variant(c, "", flat, runs).into_iter().collect();
    }
    let read = |(i, written): (usize, &VariantFile)| {
        let whole = completed(written.clone(), flat);
        variant(c, &format!("{under}variant[{i}]."), &whole, runs)
    };
    variants.iter().take(MOST_LISTED).enumerate().filter_map(read).collect()
}

/// `written`, with what it leaves out taken from `flat`. Which chips is one question: a variant
/// that answers it in either way takes neither answer from `flat`.
fn completed(written: VariantFile, flat: &VariantFile) -> VariantFile {
    let (on, chip) = match (written.on, written.chip) {
        (None, None) => (flat.on.clone(), flat.chip.clone()),
        answered => answered,
    };
    let command = written.command;
    VariantFile {
        on,
        chip,
        nodes: written.nodes.or_else(|| flat.nodes.clone()),
        chips: written.chips.or_else(|| flat.chips.clone()),
        cores: written.cores.or_else(|| flat.cores.clone()),
        memory: written.memory.or_else(|| flat.memory.clone()),
        command: if command.is_empty() { flat.command.clone() } else { command },
        image: written.image.or_else(|| flat.image.clone()),
        env: flat.env.clone().into_iter().chain(written.env).collect(),
        speed: written.speed.or_else(|| flat.speed.clone()),
        limit: written.limit,
    }
}

fn variant(c: &mut Check, under: &str, file: &VariantFile, runs: bool) -> Option<Variant> {
    let at = |key: &str| format!("{under}{key}");
    let on = on(c, under, file);
    let nodes = nodes(c, &at("nodes"), file.nodes.as_ref());
    let chips = chips(c, &at("chips"), file, nodes);
    let cores = file.cores.as_ref().and_then(|cores| c.read(at("cores"), cores.as_str()));
    c.that(cores != Some(Cores::ZERO), &at("cores"), "found `0`", "at least a share of a core");
    let memory = file.memory.as_deref();
    let memory = memory.and_then(|memory| c.read::<Bytes>(at("memory"), memory));
    c.that(memory != Some(Bytes::ZERO), &at("memory"), "found none at all", "at least a byte");
    // With chips that are booked goes what stands beside them, whatever that is where they are.
    let has_chips = chips.is_some_and(|chips| chips > Chips::ZERO);
    let (some_cores, some_memory) = match runs || !has_chips {
        true => (Cores(1_000), Bytes(1 << 30)),
        false => (Cores::ZERO, Bytes::ZERO),
    };
    command(c, &at("command"), &file.command, runs);
    env(c, &at("env"), &file.env);
    if let Some(image) = &file.image {
        let plain =
            !image.is_empty() && image.len() <= 512 && image.bytes().all(|b| b.is_ascii_graphic());
        c.that(plain, &at("image"), &found(image), "a container image, at most 512 characters");
    }
    let speed = file.speed.as_ref().and_then(|speed| thousandths(c, &at("speed"), speed));
    let limit = file.limit.as_deref().and_then(|limit| super::spec::span(c, &at("limit"), limit));
    Some(Variant {
        on: on?,
        nodes: nodes?,
        chips_per_node: chips?,
        cores: cores.unwrap_or(some_cores),
        memory: memory.unwrap_or(some_memory),
        command: file.command.clone(),
        image: file.image.clone(),
        env: file.env.clone(),
        speed_thousandths: speed,
        limit,
    })
}

fn on(c: &mut Check, under: &str, file: &VariantFile) -> Option<On> {
    match (&file.on, &file.chip) {
        (Some(class), None) => c.read(format!("{under}on"), class).map(On::Class),
        (None, Some(chip)) => c.read(format!("{under}chip"), chip).map(On::Chip),
        (None, None) => Some(On::Cpu),
        (Some(_), Some(_)) => {
            c.wrong(format!("{under}chip"), "stands beside `on`", "one of both");
            None
        }
    }
}

fn nodes(c: &mut Check, at: &str, written: Option<&Figure>) -> Option<u32> {
    let Some(written) = written else { return Some(1) };
    let nodes = written.as_str().parse().ok().filter(|n| (1..=MOST_NODES).contains(n));
    if nodes.is_none() {
        c.wrong(at, found(written.as_str()), format!("a whole number from 1 to {MOST_NODES}"));
    }
    nodes
}

fn chips(c: &mut Check, at: &str, file: &VariantFile, nodes: Option<u32>) -> Option<Chips> {
    let named = file.on.is_some() || file.chip.is_some();
    let Some(written) = &file.chips else {
        return Some(if named { Chips::ONE } else { Chips::ZERO });
    };
    let chips = c.read::<Chips>(at, written.as_str())?;
    let said = found(written.as_str());
    if !named && chips > Chips::ZERO {
        c.wrong(at, format!("{said}, but nothing says of which"), "`on` or `chip` beside it");
    } else if named && chips == Chips::ZERO {
        c.wrong(at, said, "at least a share of a chip, or neither `on` nor `chip`");
    } else if chips > MOST_CHIPS {
        c.wrong(at, said, format!("at most {MOST_CHIPS} chips on each node"));
    } else if chips > Chips::ONE && chips != Chips::whole(chips.touched()) {
        c.wrong(at, said, "a share of one chip, or whole chips");
    } else if chips < Chips::ONE && nodes.is_some_and(|nodes| nodes > 1) && named {
        c.wrong(at, format!("{said} on several nodes"), "whole chips, or one node");
    }
    Some(chips)
}

fn thousandths(c: &mut Check, at: &str, written: &Figure) -> Option<u32> {
    let milli = parse_with(written.as_str(), &[("", 1_000)]).and_then(|m| u32::try_from(m).ok());
    let milli = milli.filter(|milli| (1..=1_000_000).contains(milli));
    if milli.is_none() {
        let expected = "a number above 0, at most 1000, with at most three decimals";
        c.wrong(at, found(written.as_str()), expected);
    }
    milli
}

fn command(c: &mut Check, at: &str, command: &[String], runs: bool) {
    if !runs {
        return c.that(command.is_empty(), at, "stands in a reservation", "no command");
    }
    match command.first().map(String::as_str) {
        None => c.wrong(at, "missing", "a program and its arguments, such as `[\"./train\"]`"),
        Some("") => c.wrong(format!("{at}[0]"), "found no program", "a program's name or path"),
        Some(_) => {}
    }
    let (arguments, bytes) = (command.len(), command.iter().map(|a| a.len() + 1).sum::<usize>());
    let most = format!("at most {MOST_ARGUMENTS}");
    c.that(arguments <= MOST_ARGUMENTS, at, &format!("has {arguments} arguments"), &most);
    let most = format!("at most {LONGEST_COMMAND}; what is larger belongs in a dataset");
    c.that(bytes <= LONGEST_COMMAND, at, &format!("is {bytes} bytes long"), &most);
    if let Some(i) = command.iter().position(|argument| argument.contains('\0')) {
        c.wrong(format!("{at}[{i}]"), "holds a NUL character", "text without any");
    }
}

fn env(c: &mut Check, at: &str, env: &BTreeMap<String, String>) {
    for (name, value) in env {
        let below = format!("{at}.{name}");
        if !is_variable(name) {
            let expected = "letters, digits and _, beginning with no digit";
            c.wrong(at, format!("{} as a variable's name", found(name)), expected);
        } else if name.starts_with("PORTOLAN_") {
            let said = "is a name the network gives to jobs itself";
            c.wrong(below, said, "a name that does not begin with `PORTOLAN_`");
        } else if value.contains('\0') {
            c.wrong(below, "holds a NUL character", "text without any");
        }
    }
    let bytes = env.iter().map(|(name, value)| name.len() + value.len() + 2).sum::<usize>();
    let most = format!("at most {LONGEST_COMMAND}; what is larger belongs in a dataset");
    c.that(bytes <= LONGEST_COMMAND, at, &format!("is {bytes} bytes long"), &most);
    let most = format!("at most {MOST_ARGUMENTS}");
    c.that(env.len() <= MOST_ARGUMENTS, at, &format!("has {} variables", env.len()), &most);
}
