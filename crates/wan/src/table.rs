//! A running network in aligned columns.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use std::time::Duration;
use wan::{Direction, Wan};

/// What a site's name becomes in the names of variables.
fn variable(site: &str) -> String {
    site.to_uppercase().replace('-', "_")
}

/// The variables a command is given: each site's address and namespace.
pub(crate) fn environment(wan: &Wan) -> Vec<(String, String)> {
    let of = |site: wan::Site<'_>| {
        let name = variable(site.name());
        [
            (format!("WAN_{name}"), site.address().to_string()),
            (format!("WAN_NS_{name}"), site.namespace().to_owned()),
        ]
    };
    wan.sites().flat_map(of).collect()
}

/// Each site with its namespace and address.
pub(crate) fn sites(wan: &Wan) -> String {
    let row = |site: wan::Site<'_>| {
        [site.name().to_owned(), site.namespace().to_owned(), site.address().to_string()]
    };
    shown(&["SITE", "NAMESPACE", "ADDRESS"], 3, wan.sites().map(row))
}

/// What each direction of each link is like.
pub(crate) fn links(wan: &Wan) -> String {
    let row = |(way, is_cut): (Direction<'_>, bool)| {
        let quality = way.quality();
        let rate = quality.rate.map_or("unlimited".to_owned(), |rate| rate.to_string());
        let queue = quality.rate.map_or("-".to_owned(), |_| quality.room().to_string());
        [
            arrow(&way),
            rate,
            quality.delay.to_string(),
            quality.jitter.to_string(),
            queue,
            quality.loss.to_string(),
            if is_cut { "cut" } else { "up" }.to_owned(),
        ]
    };
    let heads = ["LINK", "RATE", "DELAY", "JITTER", "QUEUE", "LOSS", "STATE"];
    let ways = wan.links().flat_map(|link| link.ways().map(|way| (way, link.is_cut())));
    shown(&heads, 1, ways.map(row))
}

/// What became of the packets of each direction.
pub(crate) fn counters(wan: &Wan) -> String {
    let row = |way: Direction<'_>| {
        let counters = way.counters();
        [
            arrow(&way),
            counters.packets.to_string(),
            counters.bytes.to_string(),
            counters.dropped_by_queue.to_string(),
            counters.dropped_by_loss.to_string(),
            counters.dropped_by_cut.to_string(),
            format!("{:.0?}", Duration::from_nanos(counters.latest_nanos)),
        ]
    };
    let heads = ["LINK", "PACKETS", "BYTES", "QUEUE FULL", "LOST", "CUT", "LATEST"];
    shown(&heads, 1, wan.links().flat_map(|link| link.ways()).map(row))
}

fn arrow(way: &Direction<'_>) -> String {
    format!("{}>{}", way.from(), way.to())
}

/// Columns two blanks apart, those after the first `words` to the right.
fn shown<const N: usize>(
    heads: &[&str; N],
    words: usize,
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(heads).add_rows(rows);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if at >= words {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_a_line_has_no_blanks_at_its_end() {
        let rows = [["east>west", "5"], ["a>b", "1000"]].map(|row| row.map(str::to_owned));
        let table = shown(&["LINK", "PACKETS"], 1, rows.into_iter());
        assert_eq!(table, "LINK       PACKETS\neast>west        5\na>b           1000");
    }
}
