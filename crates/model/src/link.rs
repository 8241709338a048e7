//! Links between sites, and the exchanges where they meet.

use crate::quality::Sla;
use crate::{CenterId, ExchangeId, LinkId, Money, NotAnId, OwnerId, Rate, Region};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A site without compute: an internet exchange, a point of presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// Its name.
    pub exchange: ExchangeId,
    /// Where it is among the regions.
    pub region: Region,
    /// Degrees north in millionths.
    pub latitude_micro: i64,
    /// Degrees east in millionths.
    pub longitude_micro: i64,
}

/// An end of a link. Centers and exchanges share one set of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SiteId {
    /// At a center.
    Center(CenterId),
    /// At an exchange.
    Exchange(ExchangeId),
}

impl SiteId {
    /// Its name, whichever it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Center(center) => center.as_str(),
            Self::Exchange(exchange) => exchange.as_str(),
        }
    }
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A fiber, wave or leased line between two sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its name.
    pub link: LinkId,
    /// One end.
    pub a: SiteId,
    /// The other end.
    pub b: SiteId,
    /// Capacity, each way on its own.
    pub capacity: Rate,
    /// One-way latency in microseconds.
    pub latency_us: u64,
    /// Who owns it.
    pub carrier: OwnerId,
    /// Price of one Gbit/s reserved for an hour.
    pub price_per_gbps_hour: Money,
    /// Links of one risk group fail together.
    pub risk_group: Option<String>,
    /// What its carrier promises of it; version 1 does not say.
    #[serde(default, skip_serializing_if = "Sla::is_empty")]
    pub sla: Sla,
}

/// A direction of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hop {
    /// The link.
    pub link: LinkId,
    /// From `a` to `b`; otherwise from `b` to `a`.
    pub forward: bool,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.link, if self.forward { ">" } else { "<" })
    }
}

impl FromStr for Hop {
    type Err = NotAnId;

    /// The link's name and `>` or `<`: `sh-ixp--js-x>`.
    fn from_str(text: &str) -> Result<Self, NotAnId> {
        let wrong =
            || NotAnId { expected: "a link's name followed by `>` or `<`", found: text.to_owned() };
        let (name, forward) = match (text.strip_suffix('>'), text.strip_suffix('<')) {
            (Some(name), _) => (name, true),
            (_, Some(name)) => (name, false),
            _ => return Err(wrong()),
        };
        Ok(Self { link: LinkId::new(name).map_err(|_| wrong())?, forward })
    }
}

impl Serialize for Hop {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hop {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::unit::text::deserialize(from)
    }
}
