//! Tables in text files: rows that know their line, cells that know their column.

use super::{Ending, Speeds};
use crate::Error;
use model::{Bytes, Span};
use std::str::FromStr;

/// A table with a head, in comma or tab separated values.
#[derive(Debug)]
pub(crate) struct Table {
    file: String,
    head: Vec<String>,
    rows: Vec<csv::StringRecord>,
}

/// A column of one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column(usize);

impl Column {
    /// The column at this place, from 0, for tables without a head.
    pub(crate) const fn at(place: usize) -> Self {
        Self(place)
    }
}

impl Table {
    /// Reads comma separated values whose first line names the columns.
    pub(crate) fn read(file: &str, text: &str) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let head = reader.headers().map_err(|wrong| broken(file, &wrong))?;
        let head = head.iter().map(|name| name.trim().to_owned()).collect();
        Self { file: file.to_owned(), head, rows: Vec::new() }.filled(reader)
    }

    /// The same below lines that begin with `#`.
    pub(crate) fn read_after_comments(file: &str, text: &str) -> Result<Self, Error> {
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder.flexible(true).comment(Some(b'#')).from_reader(text.as_bytes());
        let head = reader.headers().map_err(|wrong| broken(file, &wrong))?;
        let head = head.iter().map(|name| name.trim().to_owned()).collect();
        Self { file: file.to_owned(), head, rows: Vec::new() }.filled(reader)
    }

    /// Reads tab separated values without a head.
    pub(crate) fn read_tabs(file: &str, text: &str) -> Result<Self, Error> {
        let mut builder = csv::ReaderBuilder::new();
        let reader = builder.flexible(true).has_headers(false).delimiter(b'\t').quoting(false);
        let reader = reader.from_reader(text.as_bytes());
        Self { file: file.to_owned(), head: Vec::new(), rows: Vec::new() }.filled(reader)
    }

    fn filled(mut self, mut reader: csv::Reader<&[u8]>) -> Result<Self, Error> {
        for record in reader.records() {
            self.rows.push(record.map_err(|wrong| broken(&self.file, &wrong))?);
        }
        Ok(self)
    }

    /// The column of this name, which must be there.
    pub(crate) fn column(&self, name: &str) -> Result<Column, Error> {
        let place = self.head.iter().position(|n| n == name).map(Column);
        place.ok_or_else(|| Error::Line {
            file: self.file.clone(),
            line: 1,
            said: format!("there is no column `{name}`"),
            expected: format!("it among `{}`", self.head.join("`, `")),
        })
    }

    /// The columns of these names, which must be there.
    pub(crate) fn columns<const N: usize>(&self, names: [&str; N]) -> Result<[Column; N], Error> {
        let mut columns = [Column(0); N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = self.column(name)?;
        }
        Ok(columns)
    }

    /// The columns' names; none without a head.
    pub(crate) fn head(&self) -> &[String] {
        &self.head
    }

    /// The rows in their order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows.iter().map(|record| Row { table: self, record })
    }
}

fn broken(file: &str, wrong: &csv::Error) -> Error {
    Error::Line {
        file: file.to_owned(),
        line: wrong.position().map_or(1, csv::Position::line),
        said: wrong.to_string(),
        expected: "a table in UTF-8".to_owned(),
    }
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row<'a> {
    table: &'a Table,
    record: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// The text of a cell; nothing where the row is too short.
    pub(crate) fn text(&self, column: Column) -> &'a str {
        self.record.get(column.0).unwrap_or_default().trim()
    }

    /// The value of a cell, which must read as one.
    pub(crate) fn get<T: FromStr>(&self, column: Column, expected: &str) -> Result<T, Error> {
        self.text(column).parse().map_err(|_| self.wrong(column, expected))
    }

    /// The value of a cell that may be empty.
    pub(crate) fn maybe<T: FromStr>(
        &self,
        column: Column,
        expected: &str,
    ) -> Result<Option<T>, Error> {
        if self.text(column).is_empty() {
            return Ok(None);
        }
        self.get(column, expected).map(Some)
    }

    /// A number of seconds, to the millisecond.
    pub(crate) fn seconds(&self, column: Column) -> Result<Span, Error> {
        let expected = "a number of seconds, zero or more, such as `27.6`";
        let seconds: f64 = self.get(column, expected)?;
        rounded(seconds * 1_000.0).map(Span).ok_or_else(|| self.wrong(column, expected))
    }

    /// A number of gigabytes, to the byte.
    pub(crate) fn gigabytes(&self, column: Column) -> Result<Bytes, Error> {
        let expected = "a number of gigabytes, zero or more, such as `520.5`";
        let gigabytes: f64 = self.get(column, expected)?;
        rounded(gigabytes * 1e9).map(Bytes).ok_or_else(|| self.wrong(column, expected))
    }

    /// A number of thousandths, such as a speed.
    pub(crate) fn thousandths(&self, column: Column) -> Result<u32, Error> {
        let expected = "a number, zero or more, such as `0.85`";
        let number: f64 = self.get(column, expected)?;
        let thousandths = rounded(number * 1_000.0).and_then(|n| u32::try_from(n).ok());
        thousandths.ok_or_else(|| self.wrong(column, expected))
    }

    /// The items of a cell, joined by `|` or `+`, each of which must read as one.
    pub(crate) fn items<T: FromStr>(
        &self,
        column: Column,
        expected: &str,
    ) -> Result<Vec<T>, Error> {
        let items = self.text(column).split(['|', '+']).map(str::trim).filter(|i| !i.is_empty());
        items.map(|item| item.parse().map_err(|_| self.wrong(column, expected))).collect()
    }

    /// A kind of work, by its name.
    pub(crate) fn kind(&self, column: Column, speeds: &Speeds) -> Result<u16, Error> {
        let number = speeds.kinds.iter().position(|kind| kind == self.text(column));
        number.and_then(|n| u16::try_from(n).ok()).ok_or_else(|| {
            let kinds = speeds.kinds.join("`, `");
            self.wrong(column, &format!("one of `{kinds}`, the speeds' columns"))
        })
    }

    /// How a job ends.
    pub(crate) fn ending(&self, column: Column) -> Result<Ending, Error> {
        match self.text(column) {
            "ok" => Ok(Ending::Success),
            "failed" => Ok(Ending::Failure),
            "cancelled" => Ok(Ending::Canceled),
            _ => Err(self.wrong(column, "`ok`, `failed` or `cancelled`")),
        }
    }

    /// That a cell does not hold what is expected.
    pub(crate) fn wrong(&self, column: Column, expected: &str) -> Error {
        let column_name = match self.table.head.get(column.0) {
            Some(name) => format!("column `{name}`"),
            None => format!("column {}", column.0 + 1),
        };
        Error::Cell {
            file: self.table.file.clone(),
            line: self.record.position().map_or(0, csv::Position::line),
            column: column_name,
            found: self.text(column).chars().take(80).collect(),
            expected: expected.to_owned(),
        }
    }
}

/// The whole number nearest to `x`; `None` below zero, beyond 2^53, or where there is none.
pub(crate) fn rounded(x: f64) -> Option<u64> {
    let most = (1_u64 << f64::MANTISSA_DIGITS) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
    (0.0..=most).contains(&x).then(|| x.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_cell_is_named_by_file_line_and_column() {
        let table = Table::read("jobs.csv", "job,submit_s\na,1.5\nb,soon\n").unwrap();
        let column = table.column("submit_s").unwrap();
        let read: Vec<_> = table.rows().map(|row| row.seconds(column)).collect();
        assert_eq!(read[0].as_ref().unwrap(), &Span(1_500));
        assert_eq!(
            read[1].as_ref().unwrap_err().to_string(),
            "jobs.csv:3: column `submit_s`: found `soon`; expected a number of seconds, zero or \
             more, such as `27.6`"
        );
        assert_eq!(
            table.column("chips").unwrap_err().to_string(),
            "jobs.csv:1: there is no column `chips`; expected it among `job`, `submit_s`"
        );
    }

    #[test]
    fn numbers_that_are_no_amounts_are_refused() {
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e30] {
            assert_eq!(rounded(bad), None, "{bad}");
        }
        assert_eq!(rounded(0.5), Some(1));
    }
}
