//! Reading job files.

use crate::failure::Failure;
use anyhow::Context;
use clap::ValueEnum;
use model::file::job::{self, Format, JobFile};
use std::io::Read;
use std::path::Path;

/// In what a job file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// TOML.
    Toml,
    /// YAML or JSON.
    Yaml,
}

impl From<Form> for Format {
    fn from(form: Form) -> Self {
        match form {
            Form::Toml => Self::Toml,
            Form::Yaml => Self::Yaml,
        }
    }
}

/// Reads the job files at `paths`, `-` being standard input. Errors are all that is wrong in all of
/// them.
pub(crate) fn read_all(
    paths: &[impl AsRef<Path>],
    form: Option<Form>,
) -> anyhow::Result<Vec<JobFile>> {
    let (mut jobs, mut wrong) = (Vec::with_capacity(paths.len()), Vec::new());
    for path in paths {
        let (name, text) = open(path.as_ref())?;
        let format = match form {
            Some(form) => form.into(),
            None if path.as_ref() == Path::new("-") => guess(&text),
            None => Format::of(&name),
        };
        match job::read(&name, &text, format) {
            Ok(job) => jobs.push(job),
            Err(diagnostics) => wrong.extend(diagnostics),
        }
    }
    if wrong.is_empty() { Ok(jobs) } else { Err(Failure::from(wrong).into()) }
}

fn open(path: &Path) -> anyhow::Result<(String, String)> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(("standard input".to_owned(), text));
    }
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}

/// The format of a text without a name, by its first line that says something.
fn guess(text: &str) -> Format {
    let says = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let Some(first) = text.lines().map(str::trim).find(says) else { return Format::Toml };
    let key = first.split([':', '=']).next().unwrap_or_default();
    let yaml = first.starts_with('{')
        || first.starts_with("---")
        || first[key.len()..].starts_with(':') && !first.starts_with('[');
    if yaml { Format::Yaml } else { Format::Toml }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::{Code, report_text};

    #[test]
    fn standard_input_is_told_apart_by_its_first_line() {
        for toml in ["name = \"a:b\"", "# note: x\n\n[[input]]\n", "", "env = {a = \"b\"}"] {
            assert_eq!(guess(toml), Format::Toml, "{toml}");
        }
        for yaml in ["name: a", "{\"name\": \"a\"}", "---\nname: a", "# a = b\nlimit: 2h"] {
            assert_eq!(guess(yaml), Format::Yaml, "{yaml}");
        }
    }

    fn check(name: &str, text: &str) -> String {
        let wrong = job::read(name, text, Format::of(name)).expect_err("it is wrong");
        let (code, text) = report_text(&Failure::from(wrong).into());
        assert_eq!(code, Code::Invalid);
        text
    }

    #[test]
    fn a_bad_job_file_is_shown_with_its_lines_and_what_was_expected() {
        let text = "name = \"count\"\nlimit = \"10\"\non = \"cuda\"\nchips = -1\n\
                    command = [\"true\"]\n";
        insta::assert_snapshot!("amounts", check("job.toml", text));
        let text = "name: count\nlimit: 10m\ncomand: [true]\n";
        insta::assert_snapshot!("key", check("job.yaml", text));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read_all(&["no/such/job.toml"], None).unwrap_err();
        let (code, text) = report_text(&error);
        assert_eq!(code, Code::Failed);
        assert!(text.starts_with("error: cannot read no/such/job.toml: No such file"), "{text}");
    }
}
