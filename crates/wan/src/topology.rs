//! Topology files: which sites there are and what the links between them are like.
//!
//! ```toml
//! [[site]]
//! name = "east"
//!
//! [[site]]
//! name = "west"
//!
//! [[link]]
//! between = ["east", "west"]
//! rate = ["1 Gbit/s", "200 Mbit/s"]
//! delay = "2.5ms"
//! ```
//!
//! | in | key | default |
//! |---|---|---|
//! | `[[site]]` | `name` | |
//! | `[[link]]` | `between`: two sites | |
//! | | `rate` | as fast as this machine can |
//! | | `delay` (one way), `jitter` | none |
//! | | `queue` | rate times twice the delay, at least 96 kB |
//! | | `loss` | none |
//! | | `packets`: `"large"`, or `"single"` for a link whose every packet has its own time | `"large"` |
//!
//! Each of `rate`, `delay`, `jitter`, `queue` and `loss` is one amount for both directions, or a
//! list of two: from the first site to the second, and back.

use crate::quality::positive;
use crate::{Delay, Loss, Quality, WanError};
use model::{Bytes, NotAnAmount, Rate};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;
use toml::Spanned;

/// The longest name of a site: interfaces toward it are called `to-NAME`, and Linux gives an
/// interface's name 15 characters.
const LONGEST_NAME: usize = 12;

/// More sites than that have no address here.
const MOST_SITES: usize = 1_000;

/// A network to be emulated: a checked topology file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    sites: Vec<String>,
    links: Vec<LinkPlan>,
}

/// A link as its topology file wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPlan {
    /// The places of its sites in [`Topology::sites`].
    pub ends: [usize; 2],
    /// What it is like from the first site to the second, and back.
    pub ways: [Quality; 2],
    /// Whether its packets may be large.
    pub packets: Packets,
}

/// What goes over a link in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packets {
    /// Up to 64 KiB of one TCP or UDP flow go together: several Gbit/s on one core. Rate, queue and
    /// loss count them as the packets they are on a wire; only their delay is the last one's.
    #[default]
    Large,
    /// Each packet alone, at most 1,500 bytes, so each has its own time.
    Single,
}

impl Topology {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or with the first thing that is wrong in it and its line.
    pub fn read(path: &Path) -> Result<Self, WanError> {
        let text = std::fs::read_to_string(path).map_err(WanError::io("read", path))?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a text; `name` is that of its file, for messages.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong in it, with its line.
    pub fn parse(name: &str, text: &str) -> Result<Self, WanError> {
        let wrong = |span: Range<usize>, said: String, expected: String| {
            let before = &text[..text.floor_char_boundary(span.start.min(text.len()))];
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            let line = before.matches('\n').count() + 1;
            let column = before[line_start..].chars().count() + 1;
            WanError::Topology { file: name.to_owned(), line, column, said, expected }
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let said = error.message().trim().to_owned();
            let expected = "a topology file as described in docs/wan.md".to_owned();
            let (said, expected) = match said.split_once(EXPECTED) {
                Some((said, expected)) => (said.to_owned(), expected.to_owned()),
                None => (said, expected),
            };
            wrong(error.span().unwrap_or_default(), said, expected)
        })?;
        check(file).map_err(|Wrong { span, said, expected }| wrong(span, said, expected))
    }

    /// The names of the sites, in the order of the file.
    #[must_use]
    pub fn sites(&self) -> &[String] {
        &self.sites
    }

    /// The links, in the order of the file.
    #[must_use]
    pub fn links(&self) -> &[LinkPlan] {
        &self.links
    }

    /// What a link is called: its sites' names with a hyphen between, `east-west`.
    #[must_use]
    pub fn link_name(&self, link: &LinkPlan) -> String {
        link.ends.map(|end| self.sites[end].as_str()).join("-")
    }
}

/// What is between the two halves of a message on its way through serde.
const EXPECTED: &str = "; expected ";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    site: Vec<SiteEntry>,
    #[serde(default)]
    link: Vec<LinkEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SiteEntry {
    name: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkEntry {
    between: Spanned<[Spanned<String>; 2]>,
    rate: Option<Each<Rate>>,
    delay: Option<Each<Delay>>,
    jitter: Option<Each<Delay>>,
    queue: Option<Each<Bytes>>,
    loss: Option<Each<Loss>>,
    #[serde(default)]
    packets: Packets,
}

/// An amount for both directions, or one for each.
#[derive(Clone, Copy)]
struct Each<T>([T; 2]);

impl<'de, T: Written> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Amounts<T>(PhantomData<T>);
        impl<'de, T: Written> Visitor<'de> for Amounts<T> {
            type Value = Each<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount with its unit in quotes, or a list of two: there and back")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Each<T>, E> {
                read(text).map(|amount| Each([amount; 2]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Each<T>, A::Error> {
                let mut amounts = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    amounts.push(read(&text)?);
                }
                let count = amounts.len();
                amounts.try_into().map(Each).map_err(|_| A::Error::invalid_length(count, &self))
            }
        }
        from.deserialize_any(Amounts(PhantomData))
    }
}

/// An amount as people write it in a topology file.
trait Written: Copy + FromStr<Err = NotAnAmount> {
    /// Whether a link can have it.
    fn possible(self) -> Result<Self, NotAnAmount> {
        Ok(self)
    }
}

impl Written for Delay {}
impl Written for Bytes {}
impl Written for Loss {}
impl Written for Rate {
    fn possible(self) -> Result<Self, NotAnAmount> {
        positive(self)
    }
}

fn read<T: Written, E: serde::de::Error>(text: &str) -> Result<T, E> {
    let amount = text.parse::<T>().and_then(T::possible);
    amount.map_err(|wrong| {
        E::custom(format_args!("`{}` is not that{EXPECTED}{}", wrong.found, wrong.expected))
    })
}

struct Wrong {
    span: Range<usize>,
    said: String,
    expected: String,
}

impl Wrong {
    fn new(span: Range<usize>, said: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { span, said: said.into(), expected: expected.into() }
    }
}

fn check(file: File) -> Result<Topology, Wrong> {
    let mut topology = Topology { sites: Vec::new(), links: Vec::new() };
    for SiteEntry { name } in file.site {
        check_name(&name)?;
        if topology.sites.contains(name.get_ref()) {
            let said = format!("there are two sites `{}`", name.get_ref());
            return Err(Wrong::new(name.span(), said, "another name for one of them"));
        }
        if topology.sites.len() == MOST_SITES {
            let said = format!("there are more than {MOST_SITES} sites");
            return Err(Wrong::new(name.span(), said, "fewer, for that is all there is room for"));
        }
        topology.sites.push(name.into_inner());
    }
    if topology.sites.is_empty() {
        return Err(Wrong::new(0..0, "there is no site", "at least one `[[site]]` with a `name`"));
    }
    for entry in file.link {
        let link = link(&topology, &entry)?;
        topology.links.push(link);
    }
    Ok(topology)
}

fn check_name(name: &Spanned<String>) -> Result<(), Wrong> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let text = name.get_ref();
    let good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(plain)
        && !text.ends_with('-')
        && text.len() <= LONGEST_NAME;
    let expected = format!(
        "at most {LONGEST_NAME} lower-case letters, digits and hyphens, a letter first, no hyphen last"
    );
    let wrong = || Wrong::new(name.span(), format!("`{text}` cannot name a site"), expected);
    good.then_some(()).ok_or_else(wrong)
}

fn link(topology: &Topology, entry: &LinkEntry) -> Result<LinkPlan, Wrong> {
    let place = |name: &Spanned<String>| {
        let found = topology.sites.iter().position(|site| site == name.get_ref());
        found.ok_or_else(|| {
            let said = format!("there is no site `{}`", name.get_ref());
            Wrong::new(name.span(), said, "one that a `[[site]]` names")
        })
    };
    let [a, b] = entry.between.get_ref();
    let ends = [place(a)?, place(b)?];
    let same = |other: &LinkPlan| other.ends == ends || other.ends == [ends[1], ends[0]];
    if ends[0] == ends[1] {
        let said = "the link ends where it begins";
        return Err(Wrong::new(entry.between.span(), said, "two different sites"));
    }
    if topology.links.iter().any(same) {
        let said = format!("a link between {} and {} is there already", a.get_ref(), b.get_ref());
        let expected = "one link between two sites; a second way can go through a site of its own";
        return Err(Wrong::new(entry.between.span(), said, expected));
    }
    let ways = [0, 1].map(|way| Quality {
        rate: entry.rate.map(|each| each.0[way]),
        delay: entry.delay.map_or(Delay::default(), |each| each.0[way]),
        jitter: entry.jitter.map_or(Delay::default(), |each| each.0[way]),
        queue: entry.queue.map(|each| each.0[way]),
        loss: entry.loss.map_or(Loss::NONE, |each| each.0[way]),
    });
    Ok(LinkPlan { ends, ways, packets: entry.packets })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "[[site]]\nname = \"east\"\n[[site]]\nname = \"west\"\n";

    fn parse(links: &str) -> Result<Topology, WanError> {
        Topology::parse("t.toml", &format!("{TWO}{links}"))
    }

    #[track_caller]
    fn refused(links: &str, place: &str, parts: &[&str]) {
        let said = parse(links).unwrap_err().to_string();
        assert!(said.starts_with(&format!("t.toml:{place}: ")), "{said}");
        for part in parts.iter().chain(&["; expected "]) {
            assert!(said.contains(part), "{said} does not say {part}");
        }
    }

    #[test]
    fn amounts_hold_for_both_directions_or_for_one_each() {
        let link = "[[link]]\nbetween = [\"west\", \"east\"]\nrate = \"1 Gbit/s\"\n\
                    delay = [\"2.5ms\", \"4ms\"]\npackets = \"single\"\n";
        let topology = parse(link).unwrap();
        let [link] = topology.links() else { panic!("{topology:?}") };
        assert_eq!(topology.link_name(link), "west-east");
        assert_eq!(link.ways.map(|way| way.rate), [Some(Rate(1_000_000_000)); 2]);
        assert_eq!(link.ways.map(|way| way.delay.to_string()), ["2.5ms", "4ms"]);
        assert_eq!(link.packets, Packets::Single);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
        let link = "[[link]]\nbetween = [\"east\", \"west\"]\n";
        let with = |line: &str| format!("{link}{line}\n");
        refused(&with("rate = \"fast\""), "7:8", &["`fast`", "10 Gbit/s"]);
        refused(&with("rate = \"0 bit/s\""), "7:8", &["above zero"]);
        refused(&with("rate = [\"1 Gbit/s\"]"), "7:8", &["length 1", "there and back"]);
        refused(&with("delay = 5"), "7:9", &["integer `5`", "in quotes"]);
        refused(&with("speed = \"1 Gbit/s\""), "7:1", &["`speed`", "`rate`"]);
        refused(&with("packets = \"huge\""), "7:11", &["`huge`", "`single`"]);
        refused(&with("loss = \"101 %\""), "7:8", &["0.1 %"]);
        refused(&format!("{link}{link}"), "8:11", &["there already"]);
        refused("[[link]]\nbetween = [\"east\", \"wets\"]\n", "6:20", &["no site `wets`"]);
        refused("[[link]]\nbetween = [\"east\", \"east\"]\n", "6:11", &["two different"]);
        refused("[[site]]\nname = \"east\"\n", "6:8", &["two sites `east`"]);
        refused("[[site]]\nname = \"East Coast\"\n", "6:8", &["lower-case"]);
        refused("[[site]]\nname = \"a-very-long-name\"\n", "6:8", &["at most 12"]);
        refused("[[link]\n", "5:8", &["docs/wan.md"]);
        let empty = Topology::parse("t.toml", "").unwrap_err().to_string();
        assert!(empty.starts_with("t.toml:1:1: there is no site"), "{empty}");
    }
}
