//! How much carbon dioxide electricity comes with, at a place and an hour of the day.

use crate::{Center, Moment, Span};
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

const HOUR_MS: u64 = 3_600_000;
const HOURS: usize = 24;

/// Grams of carbon dioxide a kilowatt-hour from the grid comes with: the same at all times, or by the
/// hour of the day where it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CarbonIntensity(Vec<u32>);

impl CarbonIntensity {
    /// The average of mainland China's grids in 2022, 0.5366 kg/kWh, as its Ministry of Ecology and
    /// Environment and its National Bureau of Statistics published it in December 2024.
    pub const AVERAGE: u32 = 537;

    /// The same at all times.
    #[must_use]
    pub fn always(grams: u32) -> Self {
        Self(vec![grams])
    }

    /// By the hour of the day; none unless there are 24.
    #[must_use]
    pub fn hourly(grams: Vec<u32>) -> Option<Self> {
        (grams.len() == HOURS).then_some(Self(grams))
    }

    /// By the hour of the day, from midnight on; one figure where it is the same at all times.
    #[must_use]
    pub fn grams(&self) -> &[u32] {
        &self.0
    }

    /// In the greenest hour.
    #[must_use]
    pub fn least(&self) -> u32 {
        self.0.iter().copied().min().unwrap_or(Self::AVERAGE)
    }

    /// What so many milliwatt-hours, used evenly from a time of the day on, come with, in milligrams.
    fn of(&self, energy_mwh: u64, time_of_day: u64, span: Span) -> u64 {
        let grams = |hour: u64| {
            let hour = usize::try_from(hour).unwrap_or(0) % self.0.len().max(1);
            u128::from(self.0.get(hour).copied().unwrap_or(Self::AVERAGE))
        };
        let until = time_of_day.saturating_add(span.0);
        let (mut at, mut weighed) = (time_of_day, 0);
        // Whole days all come to the same.
        let days = span.0 / (HOURS as u64 * HOUR_MS);
        if days > 0 {
            let day: u128 = (0..HOURS as u64).map(|hour| grams(hour) * u128::from(HOUR_MS)).sum();
            weighed = day * u128::from(days);
            at += days * HOURS as u64 * HOUR_MS;
        }
        while at < until {
            let hour = at / HOUR_MS;
            let next = ((hour + 1) * HOUR_MS).min(until);
            weighed += grams(hour) * u128::from(next - at);
            at = next;
        }
        let mean = match span {
            Span::ZERO => return 0,
            span => weighed * u128::from(energy_mwh) / u128::from(span.0),
        };
        // mWh × g/kWh are micrograms.
        u64::try_from(mean / 1_000).unwrap_or(u64::MAX)
    }
}

impl Default for CarbonIntensity {
    fn default() -> Self {
        Self::always(Self::AVERAGE)
    }
}

impl Center {
    /// What carbon dioxide so many milliwatt-hours come with that are used here evenly over `span` from
    /// a moment on, in milligrams. Clocks that are put forward or back meanwhile are not minded.
    #[must_use]
    pub fn carbon(&self, energy_mwh: u64, from: Moment, span: Span) -> u64 {
        if self.carbon.grams().len() <= 1 {
            return self.least_carbon(energy_mwh);
        }
        let time_of_day = || {
            let zone = self.site().map_or("UTC", |site| &site.time_zone);
            let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or(TimeZone::UTC);
            let at = Timestamp::from_millisecond(i64::try_from(from.0).ok()?).ok()?;
            let midnight = at.to_zoned(zone.clone()).start_of_day().ok()?.timestamp();
            u64::try_from(at.duration_since(midnight).as_millis()).ok()
        };
        self.carbon.of(energy_mwh, time_of_day().unwrap_or(0), span)
    }

    /// The least that so many milliwatt-hours come with here, whenever they are used, in milligrams.
    #[must_use]
    pub fn least_carbon(&self, energy_mwh: u64) -> u64 {
        let micrograms = u128::from(self.carbon.least()) * u128::from(energy_mwh);
        u64::try_from(micrograms / 1_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Green for the four hours around noon.
    fn solar() -> CarbonIntensity {
        let grams = (0..24).map(|hour| if (10..14).contains(&hour) { 100 } else { 500 });
        CarbonIntensity::hourly(grams.collect()).unwrap()
    }

    #[test]
    fn carbon_follows_the_hours_in_which_energy_is_used() {
        let kwh = 1_000_000;
        let of = |from: u64, minutes: u64| {
            solar().of(kwh, from * HOUR_MS, Span::from_secs(minutes * 60))
        };
        assert_eq!(of(11, 60), 100_000);
        assert_eq!(of(9, 120), 300_000);
        assert_eq!(of(13, 90), (100_000 * 2 + 500_000) / 3);
        // Over midnight into the next noon, and over more than a day.
        assert_eq!(of(23, 15 * 60), (100 * 4 + 500 * 11) * 1_000 / 15);
        assert_eq!(of(10, 28 * 60), (100 * 8 + 500 * 20) * 1_000 / 28);
        assert_eq!(of(0, 0), 0);
    }

    #[test]
    fn a_day_has_as_many_figures_as_hours() {
        assert!(CarbonIntensity::hourly(vec![500; 23]).is_none());
        assert_eq!(solar().least(), 100);
        assert_eq!(CarbonIntensity::default().least(), CarbonIntensity::AVERAGE);
    }
}
