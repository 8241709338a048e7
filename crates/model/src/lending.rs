//! Under which rules owners let others use what is theirs.

use crate::{Center, Chips, Moment, NotAnAmount, Pool, Region, Span, TenantId};
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Days that are looked at for the next window: one of each weekday, and the first once more.
const DAYS: i64 = 8;
const MINUTES: u16 = 24 * 60;
const WEEK: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];

/// What a tenant is to the owner of a center.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// At home in a center of the same owner.
    Internal,
    /// One of those the center names as partners.
    Partner,
    /// Neither.
    Outside,
}

impl Relation {
    /// One word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Partner => "partner",
            Self::Outside => "outside",
        }
    }
}

/// Who may use what is lent: all who meet any of these, or everyone where none is named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Guests {
    /// These tenants and all below them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub organizations: Vec<TenantId>,
    /// Tenants in these lines of work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub industries: Vec<String>,
    /// Tenants at home in centers in these regions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Region>,
    /// Tenants that are this to the owner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Relation>,
}

impl Guests {
    /// Whether nobody is left out.
    #[must_use]
    pub const fn are_all(&self) -> bool {
        self.organizations.is_empty()
            && self.industries.is_empty()
            && self.regions.is_empty()
            && self.relations.is_empty()
    }
}

impl fmt::Display for Guests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { organizations, industries, regions, relations } = self;
        let mut kinds = Vec::new();
        if !organizations.is_empty() {
            let names: Vec<_> = organizations.iter().map(TenantId::as_str).collect();
            kinds.push(format!("tenants of {}", names.join(", ")));
        }
        if !industries.is_empty() {
            kinds.push(format!("the industries {}", industries.join(", ")));
        }
        if !regions.is_empty() {
            let names: Vec<_> = regions.iter().map(Region::as_str).collect();
            kinds.push(format!("tenants at home in {}", names.join(", ")));
        }
        if !relations.is_empty() {
            let names: Vec<_> = relations.iter().map(|relation| relation.word()).collect();
            kinds.push(format!("{} tenants", names.join(", ")));
        }
        f.write_str(&if kinds.is_empty() { "everyone".to_owned() } else { kinds.join(" and ") })
    }
}

/// A time of the week, in the center's zone: `Mon-Fri 20:00-08:00` begins on each of these days and
/// may end on the day after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first day, counted from Monday.
    first: u8,
    /// The last, before the first where it goes over the end of the week.
    last: u8,
    /// Minutes after midnight.
    from: u16,
    /// Minutes after the midnight before `from`.
    until: u16,
}

impl Window {
    fn begins_on(self, day: Weekday) -> bool {
        let day = u8::try_from(day.to_monday_zero_offset()).unwrap_or(0);
        if self.first <= self.last {
            (self.first..=self.last).contains(&day)
        } else {
            day >= self.first || day <= self.last
        }
    }

    /// From when until when it is open that begins on a day, if one does.
    fn on(self, midnight: &Zoned) -> Option<(Moment, Moment)> {
        if !self.begins_on(midnight.weekday()) {
            return None;
        }
        let at = |minutes: u16| {
            let at = midnight.checked_add(i64::from(minutes).minutes()).ok()?;
            u64::try_from(at.timestamp().as_millisecond()).ok().map(Moment)
        };
        Some((at(self.from)?, at(self.until)?))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |day: u8| WEEK[usize::from(day) % WEEK.len()].0;
        match self.first == self.last {
            true => write!(f, "{}", day(self.first))?,
            false => write!(f, "{}-{}", day(self.first), day(self.last))?,
        }
        let until = if self.until == MINUTES { MINUTES } else { self.until % MINUTES };
        if (self.from, self.until) == (0, MINUTES) {
            return Ok(());
        }
        let (from, to) = (self.from, until);
        write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

impl FromStr for Window {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let day = |name: &str| {
            let found = WEEK.iter().position(|(day, _)| day.eq_ignore_ascii_case(name.trim()))?;
            u8::try_from(found).ok()
        };
        let minutes = |text: &str| {
            let (hours, minutes) = text.trim().split_once(':')?;
            let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
            let all = hours * 60 + minutes;
            (hours <= 24 && minutes < 60 && all <= MINUTES).then_some(all)
        };
        let parse = || {
            let (days, times) = text.trim().split_once(' ').unwrap_or((text.trim(), "00:00-24:00"));
            let (first, last) = days.split_once('-').unwrap_or((days, days));
            let (from, until) = times.split_once('-')?;
            let (from, until) = (minutes(from)?, minutes(until)?);
            let until = if until <= from { until + MINUTES } else { until };
            (from < MINUTES).then_some(Self { first: day(first)?, last: day(last)?, from, until })
        };
        parse().ok_or_else(|| NotAnAmount {
            expected: "days and times of the week, such as `Mon-Fri 20:00-08:00` or `Sat-Sun`",
            found: text.to_owned(),
        })
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        crate::unit::text::deserialize(from)
    }
}

/// How an owner lets others use a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lending {
    /// The most of its chips that others have at a time, in percent.
    pub percent: u8,
    /// How soon what was lent is back once its owner wants it.
    pub notice: Span,
    /// Who.
    #[serde(default)]
    pub to: Guests,
    /// When; at all times where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
}

impl Lending {
    /// Whether everyone may use all of it at all times.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.percent >= 100 && self.to.are_all() && self.windows.is_empty()
    }

    /// The most of a pool's chips that others have at a time.
    #[must_use]
    pub fn most(&self, all: Chips) -> Chips {
        let most = u128::from(all.0) * u128::from(self.percent.min(100)) / 100;
        Chips(u64::try_from(most).unwrap_or(u64::MAX))
    }

    /// When, not before `from`, it is lent for as long as `span`: windows that meet count as one.
    /// `None` where it never is for so long. Zones nobody knows are UTC.
    #[must_use]
    pub fn next(&self, zone: &str, from: Moment, span: Span) -> Option<Moment> {
        if self.windows.is_empty() {
            return Some(from);
        }
        let mut open = self.open(zone, from)?;
        open.sort_unstable();
        let mut at = from;
        let mut until = from;
        for (begins, ends) in open {
            if begins > until {
                at = begins.max(from);
            }
            until = until.max(ends);
            if until.since(at) >= span {
                return Some(at);
            }
        }
        None
    }

    /// The windows that are open at a moment or begin within the week after it.
    fn open(&self, zone: &str, from: Moment) -> Option<Vec<(Moment, Moment)>> {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
        let at = Timestamp::from_millisecond(i64::try_from(from.0).ok()?).ok()?.to_zoned(zone);
        let today = at.start_of_day().ok()?;
        let mut open = Vec::new();
        for day in -1..=DAYS {
            let Ok(midnight) = today.checked_add(day.days()) else { continue };
            let windows = self.windows.iter().filter_map(|window| window.on(&midnight));
            open.extend(windows.filter(|(_, ends)| *ends > from));
        }
        Some(open)
    }
}

impl Center {
    /// How a pool of it is lent: by the pool's own rules, or else the center's.
    #[must_use]
    pub fn lending(&self, pool: &Pool) -> Lending {
        pool.lending.clone().unwrap_or_else(|| Lending {
            percent: self.lend_percent,
            notice: self.recall_notice,
            to: self.lend_to.clone(),
            windows: self.lend_windows.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn lending(windows: &[&str]) -> Lending {
        let windows = windows.iter().map(|text| text.parse().unwrap()).collect();
        Lending { percent: 50, notice: Span(HOUR), to: Guests::default(), windows }
    }

    fn next(windows: &[&str], from: &str, hours: u64) -> Option<String> {
        let from = from.parse().unwrap();
        lending(windows).next("Asia/Shanghai", from, Span(hours * HOUR)).map(|at| at.to_string())
    }

    #[test]
    fn a_window_opens_in_the_zone_of_its_center_and_may_go_over_midnight() {
        // 2026-11-27 is a Friday.
        let nights = ["Mon-Fri 20:00-08:00"];
        let at = |text: &str| Some(text.to_owned());
        assert_eq!(next(&nights, "2026-11-27T12:00+08:00", 2), at("2026-11-27T12:00:00.000Z"));
        assert_eq!(next(&nights, "2026-11-27T23:00+08:00", 9), at("2026-11-27T15:00:00.000Z"));
        // Too long for what is left of it: the next is Monday's.
        assert_eq!(next(&nights, "2026-11-27T23:00+08:00", 10), at("2026-11-30T12:00:00.000Z"));
        assert_eq!(next(&nights, "2026-11-27T23:00+08:00", 13), None);
    }

    #[test]
    fn windows_that_meet_are_one() {
        let both = ["Mon-Fri 20:00-08:00", "Sat-Sun"];
        // Friday night, the weekend: until Monday at midnight.
        let at = next(&both, "2026-11-27T21:00+08:00", 51);
        assert_eq!(at.as_deref(), Some("2026-11-27T13:00:00.000Z"));
        assert_eq!(next(&both, "2026-11-27T21:00+08:00", 60), None);
    }

    #[test]
    fn a_window_is_written_as_it_was_read() {
        for text in ["Mon-Fri 20:00-08:00", "Sat-Sun", "Tue 00:30-24:00"] {
            let window: Window = text.parse().unwrap();
            assert_eq!(window.to_string(), text);
        }
        for wrong in ["", "Mon-Fri 20-8", "Someday", "Mon 25:00-26:00", "Mon 08:00"] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
    }
}
