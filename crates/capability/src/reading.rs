//! What is read of a command's output.

use regex::Regex;

/// Where numbers are in an output.
#[derive(Debug, Clone)]
pub enum Reading {
    /// What the first group of this matches, each time it does.
    Pattern(Regex),
    /// What stands there in a JSON document, as RFC 6901 points to it.
    Pointer(String),
}

/// Text that says nothing of where to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{found}` is neither a JSON pointer (`/results/tflops`) nor a regular expression with a group around \
     the number (`TFLOPS: ([0-9.]+)`){why}"
)]
pub struct NotAReading {
    found: String,
    why: String,
}

impl std::str::FromStr for Reading {
    type Err = NotAReading;

    fn from_str(text: &str) -> Result<Self, NotAReading> {
        if text.starts_with('/') {
            return Ok(Self::Pointer(text.to_owned()));
        }
        let not = |why: String| NotAReading { found: text.to_owned(), why };
        match Regex::new(text) {
            Ok(pattern) if pattern.captures_len() >= 2 => Ok(Self::Pattern(pattern)),
            Ok(_) => Err(not(String::new())),
            Err(error) => Err(not(format!(": {error}"))),
        }
    }
}

impl Reading {
    /// All numbers that are there, in the order of the output; the error says what is there instead.
    pub(crate) fn numbers(&self, output: &str) -> Result<Vec<f64>, String> {
        let found: Vec<f64> = match self {
            Self::Pattern(pattern) => pattern
                .captures_iter(output)
                .filter_map(|found| found.get(1)?.as_str().replace(',', "").parse().ok())
                .collect(),
            Self::Pointer(pointer) => {
                let document: serde_json::Value = serde_json::from_str(output)
                    .map_err(|error| format!("its output is no JSON document: {error}"))?;
                let at = document.pointer(pointer);
                let all = at.map(|at| at.as_array().cloned().unwrap_or_else(|| vec![at.clone()]));
                all.unwrap_or_default().iter().filter_map(serde_json::Value::as_f64).collect()
            }
        };
        match found.is_empty() {
            true => Err(format!("its output has no number where {self} points to")),
            false => Ok(found),
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pattern(pattern) => write!(f, "`{pattern}`"),
            Self::Pointer(pointer) => write!(f, "`{pointer}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_pattern_or_pointer() {
        let check =
            |reading: &str, output: &str| reading.parse::<Reading>().unwrap().numbers(output);
        let lines = "run 1: 301.5 TFLOPS\nrun 2: 1,303 TFLOPS\n";
        assert_eq!(check("([0-9.,]+) TFLOPS", lines), Ok(vec![301.5, 1_303.0]));
        assert_eq!(check("/gemm/tflops", r#"{"gemm": {"tflops": 301.5}}"#), Ok(vec![301.5]));
        assert_eq!(check("/all", r#"{"all": [1, 2.5, "x"]}"#), Ok(vec![1.0, 2.5]));
        assert_eq!(
            check("([0-9]+) GFLOPS", lines),
            Err("its output has no number where `([0-9]+) GFLOPS` points to".to_owned())
        );
        assert!(check("/x", lines).unwrap_err().starts_with("its output is no JSON document"));
        for wrong in ["TFLOPS", "(unclosed", ""] {
            assert!(wrong.parse::<Reading>().is_err(), "{wrong}");
        }
    }
}
