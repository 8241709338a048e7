//! An answer as a page that needs nothing beside it.

use super::table::{Sheet, Told, told};
use crate::table::Tone;
use simulator::whatif::Answer;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
    padding:0 1rem;color:#222}table{border-collapse:collapse;margin:1.5rem 0}\
    th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}\
    th:first-child,td:first-child{text-align:left}.good{color:#176f2c}.bad{color:#b3261e}\
    .scroll{overflow-x:auto}";

/// The page.
pub(super) fn page(answer: &Answer) -> String {
    let Told { lines, sheets, end } = told(answer);
    let paragraphs = |lines: &[String]| -> String {
        lines.iter().map(|line| format!("<p>{}</p>\n", escaped(line))).collect()
    };
    let sheets: String = sheets.iter().map(table).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>What if</title><style>{STYLE}</style></head><body>\n<h1>What if</h1>\n\
         {}{sheets}{}</body></html>\n",
        paragraphs(&lines),
        paragraphs(&end)
    )
}

fn table(sheet: &Sheet) -> String {
    let titles: String = sheet.titles.iter().map(|title| format!("<th>{title}</th>")).collect();
    let row = |(cells, tone): &(Vec<String>, Tone)| {
        let class = match tone {
            Tone::Good => " class=\"good\"",
            Tone::Bad => " class=\"bad\"",
            Tone::Plain | Tone::Busy | Tone::Quiet => "",
        };
        let last = cells.len() - 1;
        let cell = |(at, text): (usize, &String)| {
            let class = if at == last { class } else { "" };
            format!("<td{class}>{}</td>", escaped(text))
        };
        let cells: String = cells.iter().enumerate().map(cell).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = sheet.rows.iter().map(row).collect();
    format!(
        "<div class=\"scroll\"><table><thead><tr>{titles}</tr></thead>\n<tbody>\n{rows}</tbody>\
         </table></div>\n"
    )
}

/// Text as it may stand in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
