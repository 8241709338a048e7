//! What electricity comes with, by region.

use super::Entry;
use crate::file::section::{Section, Wrong, text, whole};
use crate::file::tree::Value;
use crate::{CarbonIntensity, Center, Region};

/// More than any grid comes with: a lignite plant's kilowatt-hour is below 1,500 g.
const MOST: u32 = 2_000;

pub(super) fn grid(mut section: Section<'_>) -> Entry<'_, Region, CarbonIntensity> {
    let id = section.need("region", text::<Region>);
    let value = section.need("carbon", carbon);
    section.unknown();
    Entry { section, id, value }
}

/// One figure, or one for each hour of the day.
pub(super) fn carbon(value: &Value) -> Result<CarbonIntensity, Wrong> {
    let grams = whole(0, MOST);
    let wrong = || {
        Wrong::expected(format!(
            "grams of CO2 a kWh, from 0 to {MOST}: one figure, or 24 by the hour of the day"
        ))
    };
    match value {
        Value::List(hours) => {
            let grams: Result<Vec<u32>, _> = hours.iter().map(|hour| grams(&hour.value)).collect();
            grams.ok().and_then(CarbonIntensity::hourly).ok_or_else(wrong)
        }
        value => grams(value).map(CarbonIntensity::always).map_err(|_| wrong()),
    }
}

/// Gives a center that says nothing of its electricity what the smallest region has that it is in.
pub(super) fn supply(center: &mut Center, grids: &[(Region, CarbonIntensity)]) {
    let Some(site) = center.site() else { return };
    let around = grids.iter().filter(|(region, _)| region.contains(&site.region));
    let smallest = around.max_by_key(|(region, _)| region.as_str().len());
    if let Some((_, carbon)) = smallest {
        center.carbon = carbon.clone();
    }
}
