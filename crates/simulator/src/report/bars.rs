//! Bars in SVG: how far each policy's mean completion is above what no schedule does better than.

use super::comparison::Row;
use super::in_digits;
use super::plots::COLORS;
use crate::Error;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 760;
const ROW: u32 = 22;
/// Where bars begin, behind the longest name of a policy, and where the longest ends.
const BARS: (i32, i32) = (330, 630);

const BOUND: RGBColor = RGBColor(150, 150, 150);

/// A policy's mean completion in hours, and how many percent of the bound it is above it.
struct Bar<'a> {
    policy: &'a str,
    mean: f64,
    gap: f64,
}

/// Mean completions under the policies of these rows, the least first, each with the part that no
/// schedule does without, `least` hours, in gray. None where no row has a mean.
pub(super) fn gaps<'r>(rows: &[&'r Row], least: f64) -> Result<Option<String>, Error> {
    let bar = |row: &&'r Row| {
        let figure = |name| row.figures.iter().find(|figure| figure.name == name)?.mean;
        Some(Bar { policy: &row.policy, mean: figure("mean h")?, gap: figure("gap %")? })
    };
    let mut bars: Vec<Bar<'_>> = rows.iter().filter_map(bar).collect();
    bars.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let Some(longest) = bars.last().map(|bar| bar.mean.max(least)) else { return Ok(None) };
    let mut svg = String::new();
    draw(&mut svg, &bars, least, longest)
        .map_err(|why| Error::Plot { plot: "gaps".to_owned(), why: why.to_string() })?;
    Ok(Some(svg))
}

fn draw(
    svg: &mut String,
    bars: &[Bar<'_>],
    least: f64,
    longest: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let height = ROW * (u32::try_from(bars.len())? + 1);
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let at = |hours: f64| BARS.0 + pixels(hours / longest.max(f64::MIN_POSITIVE));
    let font = ("sans-serif", 14).into_text_style(&area);
    let right = font.pos(Pos::new(HPos::Right, VPos::Center));
    let left = font.pos(Pos::new(HPos::Left, VPos::Center));
    for (bar, top) in bars.iter().zip((ROW / 2..).step_by(ROW as usize)) {
        let (top, bottom) = (i32::try_from(top)?, i32::try_from(top + ROW - 5)?);
        let middle = i32::midpoint(top, bottom);
        let (bound, end) = (at(bar.mean.min(least)), at(bar.mean));
        area.draw(&Rectangle::new([(BARS.0, top), (bound, bottom)], BOUND.filled()))?;
        area.draw(&Rectangle::new([(bound, top), (end, bottom)], COLORS[0].filled()))?;
        area.draw(&Text::new(bar.policy.to_owned(), (BARS.0 - 8, middle), right.clone()))?;
        area.draw(&Text::new(said(bar), (end + 8, middle), left.clone()))?;
    }
    area.present()?;
    Ok(())
}

/// A bar's hours, and how far above the bound that is.
fn said(bar: &Bar<'_>) -> String {
    let hours = in_digits(bar.mean);
    match bar.gap > 0.0 {
        true => format!("{hours} h, +{:.0} %", bar.gap),
        false => format!("{hours} h"),
    }
}

/// A part of the longest bar, in pixels.
#[expect(clippy::cast_possible_truncation, reason = "a part is between none and all")]
fn pixels(part: f64) -> i32 {
    (part.clamp(0.0, 1.0) * f64::from(BARS.1 - BARS.0)).round() as i32
}
