//! Lines of fields, as Slurm's `--format` describes them: `%.18i %.9P %R`.

use crate::failure::{Code, Failure};

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Text as it is.
    Text(String),
    /// A field.
    Field {
        /// Which.
        letter: char,
        /// So wide, cut or filled up; as wide as it is where nothing is said.
        width: Option<usize>,
        /// Filled up on the left.
        right: bool,
    },
}

/// How a line is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns(Vec<Piece>);

impl Columns {
    /// Reads a format. Errors where it names a field that is none of `known`.
    pub(super) fn read(format: &str, known: &str) -> Result<Self, Failure> {
        let mut pieces = Vec::new();
        let mut letters = format.chars().peekable();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                match pieces.last_mut() {
                    Some(Piece::Text(text)) => text.push(letter),
                    _ => pieces.push(Piece::Text(letter.to_string())),
                }
                continue;
            }
            let right = letters.next_if_eq(&'.').is_some();
            let mut width = String::new();
            while let Some(digit) = letters.next_if(char::is_ascii_digit) {
                width.push(digit);
            }
            let width = width.parse().ok();
            match letters.next() {
                Some(letter) if known.contains(letter) => {
                    pieces.push(Piece::Field { letter, width, right });
                }
                other => {
                    let what = format!("%{} is no field", other.unwrap_or(' '));
                    let known: Vec<String> = known.chars().map(|c| format!("%{c}")).collect();
                    let help = format!("known are {}", known.join(" "));
                    return Err(Failure::said(Code::Invalid, what).help(help));
                }
            }
        }
        Ok(Self(pieces))
    }

    /// Whether this field is among them.
    pub(super) fn has(&self, field: char) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Field { letter, .. } if *letter == field))
    }

    /// A line, each field as `of` has it.
    pub(super) fn line(&self, of: impl Fn(char) -> String) -> String {
        let mut line = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => line.push_str(text),
                Piece::Field { letter, width: None, .. } => line.push_str(&of(*letter)),
                Piece::Field { letter, width: Some(width), right } => {
                    let field: String = of(*letter).chars().take(*width).collect();
                    let fill = " ".repeat(width - field.chars().count());
                    let (before, behind) = if *right { (&*fill, "") } else { ("", &*fill) };
                    line.push_str(&format!("{before}{field}{behind}"));
                }
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_cut_and_filled_up() {
        let line = |format: &str| {
            let columns = Columns::read(format, "ij").unwrap();
            columns.line(|letter| if letter == 'i' { "42".into() } else { "a-long-name".into() })
        };
        assert_eq!(line("%.5i %.4j|%i"), "   42 a-lo|42\n");
        assert_eq!(line("%5i|%j"), "42   |a-long-name\n");
        assert!(Columns::read("%i %z", "ij").is_err() && Columns::read("%", "ij").is_err());
    }
}
