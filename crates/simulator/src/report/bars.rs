//! Bars in SVG: how far each policy's mean completion is above what no schedule does better than.

use super::comparison::Row;
use super::in_digits;
use crate::Error;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

const WIDTH: u32 = 760;
const ROW: u32 = 22;
/// Where bars begin, and where the longest ends.
const BARS: (i32, i32) = (250, 610);

const BOUND: RGBColor = RGBColor(150, 150, 150);
const ABOVE: RGBColor = RGBColor(0, 114, 178);

/// Mean completions under the policies of these rows, the least first, each with the part that no
/// schedule does without, `least` hours, in gray. None where no row has a mean.
pub(super) fn gaps<'r>(rows: &[&'r Row], least: f64) -> Result<Option<String>, Error> {
    let mean = |row: &&'r Row| {
        let mean = row.figures.iter().find(|figure| figure.name == "mean h")?.mean?;
        Some((row.policy.as_str(), mean))
    };
    let mut means: Vec<(&str, f64)> = rows.iter().filter_map(mean).collect();
    means.sort_by(|a, b| a.1.total_cmp(&b.1));
    let Some(longest) = means.last().map(|(_, mean)| mean.max(least)) else { return Ok(None) };
    let mut svg = String::new();
    draw(&mut svg, &means, least, longest)
        .map_err(|why| Error::Plot { plot: "gaps".to_owned(), why: why.to_string() })?;
    Ok(Some(svg))
}

fn draw(
    svg: &mut String,
    means: &[(&str, f64)],
    least: f64,
    longest: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let height = ROW * (u32::try_from(means.len())? + 1);
    let area = SVGBackend::with_string(svg, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let at = |hours: f64| BARS.0 + pixels(hours / longest.max(f64::MIN_POSITIVE));
    let font = ("sans-serif", 14).into_text_style(&area);
    let right = font.pos(Pos::new(HPos::Right, VPos::Center));
    let left = font.pos(Pos::new(HPos::Left, VPos::Center));
    for (&(policy, mean), top) in means.iter().zip((ROW / 2..).step_by(ROW as usize)) {
        let (top, bottom) = (i32::try_from(top)?, i32::try_from(top + ROW - 5)?);
        let middle = i32::midpoint(top, bottom);
        let (bound, end) = (at(mean.min(least)), at(mean));
        area.draw(&Rectangle::new([(BARS.0, top), (bound, bottom)], BOUND.filled()))?;
        area.draw(&Rectangle::new([(bound, top), (end, bottom)], ABOVE.filled()))?;
        area.draw(&Text::new(policy.to_owned(), (BARS.0 - 8, middle), right.clone()))?;
        area.draw(&Text::new(said(mean, least), (end + 8, middle), left.clone()))?;
    }
    area.present()?;
    Ok(())
}

/// A bar's hours, and how far above the bound that is.
fn said(mean: f64, least: f64) -> String {
    let hours = in_digits(mean);
    match mean > least && least > 0.0 {
        true => format!("{hours} h, +{:.0} %", (mean / least - 1.0) * 100.0),
        false => format!("{hours} h"),
    }
}

/// A part of the longest bar, in pixels.
#[expect(clippy::cast_possible_truncation, reason = "a part is between none and all")]
fn pixels(part: f64) -> i32 {
    (part.clamp(0.0, 1.0) * f64::from(BARS.1 - BARS.0)).round() as i32
}
