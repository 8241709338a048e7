//! Tables that fit the screen: first columns are shortened, then the least important are left out.

use crate::look::Look;
use comfy_table::{
    CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Width, presets,
};

/// A delimiter of words that is in none.
const ANYWHERE: char = '\0';
/// The space between two columns.
const GAP: u16 = 2;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    /// Columns are left out from the highest on; zero stays.
    rank: u8,
    /// How short it may be made; as long as its content where nothing is said.
    least: Option<u16>,
    right: bool,
}

impl Column {
    /// A column that is always there, and whole.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, rank: 0, least: None, right: false }
    }

    /// It may be left out; those of a higher rank go first.
    pub(crate) const fn rank(self, rank: u8) -> Self {
        Self { rank, ..self }
    }

    /// Its content may be cut to this width.
    pub(crate) const fn least(self, width: u16) -> Self {
        Self { least: Some(width), ..self }
    }

    /// For figures.
    pub(crate) const fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// What a cell says beside its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    Plain,
    /// All is well.
    Good,
    /// It goes on.
    Busy,
    /// Something is wrong.
    Bad,
    /// It matters less.
    Quiet,
}

/// A cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell(String, Tone);

impl Cell {
    /// `text`, in this tone.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self(text.into(), tone)
    }
}

impl<T: ToString> From<T> for Cell {
    fn from(content: T) -> Self {
        Self(content.to_string(), Tone::Plain)
    }
}

/// What stands for nothing.
pub(crate) fn or_dash(content: Option<impl ToString>) -> String {
    content.map_or("-".to_owned(), |content| content.to_string())
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    wraps: bool,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new(columns: impl IntoIterator<Item = Column>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new(), wraps: false }
    }

    /// What does not fit goes on in the next line rather than being cut.
    pub(crate) fn wrapping(self) -> Self {
        Self { wraps: true, ..self }
    }

    /// Adds a row, a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text, each line ended. `nothing` is said where it has no rows.
    pub(crate) fn render(&self, look: &Look, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{nothing}\n");
        }
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_truncation_indicator("…");
        if look.color {
            table.enforce_styling().style_text_only();
        } else {
            table.force_no_tty();
        }
        let titled = self.columns.iter().any(|column| !column.title.is_empty());
        if titled {
            let quiet = |column: &Column| tinted(&Cell::new(column.title, Tone::Quiet));
            table.set_header(Row::from(self.columns.iter().map(quiet)));
        }
        for cells in &self.rows {
            if self.wraps {
                table.add_row(Row::from(cells.iter().map(tinted)));
            } else {
                // Between any two characters, not only between words.
                let cells = cells.iter().map(|cell| tinted(cell).set_delimiter(ANYWHERE));
                let mut row = Row::from(cells);
                row.max_height(1);
                table.add_row(row);
            }
        }
        self.arrange(&mut table, look.width);
        let mut text = table.trim_fmt();
        text.push('\n');
        text
    }

    fn arrange(&self, table: &mut comfy_table::Table, width: Option<u16>) {
        let natural = table.column_max_content_widths();
        let widths = match width {
            Some(width) => self.fit(&natural, width),
            None => natural.into_iter().map(Some).collect(),
        };
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::MAX);
        for (i, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            let Some(shown) = table.column_mut(i) else { continue };
            shown.set_padding((0, GAP));
            shown.set_constraint(match width {
                Some(width) => ColumnConstraint::Absolute(Width::Fixed(width + GAP)),
                None => ColumnConstraint::Hidden,
            });
            if column.right {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }

    /// How wide each column is so that all fit into `width`; none for those left out.
    fn fit(&self, natural: &[u16], width: u16) -> Vec<Option<u16>> {
        let mut widths: Vec<Option<u16>> = natural.iter().copied().map(Some).collect();
        loop {
            let shown = || widths.iter().flatten();
            let all: u16 = shown().map(|width| width + GAP).sum();
            let Some(mut over) = all.checked_sub(GAP + width).filter(|over| *over > 0) else {
                return widths;
            };
            let spare: u16 = self.spare(&widths).map(|(_, spare)| spare).sum();
            if spare >= over {
                while over > 0 {
                    // The widest gives first, so that columns shrink to one width together.
                    let widest = self.spare(&widths).max_by_key(|(i, _)| widths[*i]);
                    let Some((i, _)) = widest else { break };
                    widths[i] = widths[i].map(|width| width - 1);
                    over -= 1;
                }
                return widths;
            }
            let last = (0..widths.len()).filter(|i| widths[*i].is_some());
            match last.max_by_key(|i| self.columns[*i].rank).filter(|i| self.columns[*i].rank > 0) {
                Some(i) => widths[i] = None,
                // Nothing is left to leave out: it is cut as far as may be, and too wide.
                None => {
                    for (width, column) in widths.iter_mut().zip(&self.columns) {
                        *width = width.map(|w| column.least.map_or(w, |least| w.min(least)));
                    }
                    return widths;
                }
            }
        }
    }

    /// The shown columns that may be shortened, and by how much.
    fn spare(&self, widths: &[Option<u16>]) -> impl Iterator<Item = (usize, u16)> {
        let spare = |(i, width): (usize, &Option<u16>)| {
            let spare = (*width)?.saturating_sub(self.columns[i].least?);
            (spare > 0).then_some((i, spare))
        };
        widths.iter().enumerate().filter_map(spare).collect::<Vec<_>>().into_iter()
    }
}

/// A sentence on its own, wrapped where it is longer than a line.
pub(crate) fn sentence(text: &str, look: &Look) -> String {
    let mut table = Table::new([Column::new("").least(24)]).wrapping();
    table.row([text.into()]);
    table.render(look, "")
}

/// Names and what they are, one a line, long ones wrapped.
pub(crate) fn list(pairs: &[(&'static str, String)], look: &Look) -> String {
    let columns = [Column::new(""), Column::new("").least(24)];
    let mut table = Table::new(columns).wrapping();
    for (name, what) in pairs {
        table.row([Cell::new(*name, Tone::Quiet), what.into()]);
    }
    table.render(look, "")
}

fn tinted(cell: &Cell) -> comfy_table::Cell {
    let shown = comfy_table::Cell::new(&cell.0);
    match cell.1 {
        Tone::Plain => shown,
        Tone::Good => shown.fg(Color::Green),
        Tone::Busy => shown.fg(Color::Yellow),
        Tone::Bad => shown.fg(Color::Red),
        Tone::Quiet => shown.fg(Color::DarkGrey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Moment;

    fn check(width: Option<u16>, expected: &str) {
        let columns = [
            Column::new("JOB"),
            Column::new("NAME").least(6),
            Column::new("TENANT").rank(2),
            Column::new("CHIPS").right().rank(1),
        ];
        let mut table = Table::new(columns);
        table.row(["job-1".into(), "count-all-words".into(), "lab".into(), 8.into()]);
        table.row(["job-12".into(), "对话模型训练".into(), "university".into(), "0.25".into()]);
        let look = Look { now: Moment(0), width, color: false };
        assert_eq!(table.render(&look, "no jobs").trim_end(), expected.trim_end());
    }

    #[test]
    fn a_table_keeps_all_where_there_is_room() {
        let all = "\
JOB     NAME             TENANT      CHIPS
job-1   count-all-words  lab             8
job-12  对话模型训练     university   0.25
";
        check(None, all);
        check(Some(42), all);
    }

    #[test]
    fn a_table_shortens_names_before_it_leaves_columns_out() {
        check(
            Some(36),
            "\
JOB     NAME       TENANT      CHIPS
job-1   count-al…  lab             8
job-12  对话模型…  university   0.25
",
        );
        check(
            Some(30),
            "\
JOB     NAME             CHIPS
job-1   count-all-words      8
job-12  对话模型训练      0.25
",
        );
        check(
            Some(15),
            "\
JOB     NAME
job-1   count-…
job-12  对话模…
",
        );
    }

    #[test]
    fn a_table_without_rows_says_so() {
        let look = Look { now: Moment(0), width: Some(80), color: false };
        assert_eq!(Table::new([Column::new("JOB")]).render(&look, "no jobs"), "no jobs\n");
    }
}
