//! Files of what a job printed, for those who wait for its end: `--output` and `--error`.

use super::complaint::Said;
use super::directive::{Given, Options};
use anyhow::Context;
use client::{Client, LogWish};
use std::fs::{File, OpenOptions};
use std::io::Write;
use wire::view::Job;

/// Whether the files a script names are written here, at its end: only where somebody waits for it,
/// and for one job.
pub(crate) fn is_written(options: &Options) -> bool {
    options.has("wait") && !options.has("array")
}

/// The name that a pattern such as `train-%j.out` has for a job; or the field that is none.
fn name(pattern: &str, number: u64, name: &str) -> Result<String, char> {
    let mut text = String::new();
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let mut width = String::new();
        let field = loop {
            match letters.next() {
                Some(digit) if digit.is_ascii_digit() => width.push(digit),
                other => break other.unwrap_or('%'),
            }
        };
        let width = width.parse::<usize>().unwrap_or_default().min(10);
        match field {
            '%' => text.push('%'),
            'j' | 'A' | 'J' => text.push_str(&format!("{number:0width$}")),
            'x' => text.push_str(name),
            'n' | 's' | 't' => text.push_str(&format!("{:0width$}", 0)),
            other => return Err(other),
        }
    }
    Ok(text)
}

/// Says which files have names that cannot be made.
pub(crate) fn check(options: &Options, said: &mut Said) {
    for given in ["output", "error"].iter().filter_map(|name| options.get(name)) {
        if let Err(field) = name(given.text(), 0, "") {
            let what = format!("`%{field}` is not known when the file is written");
            said.wrong(given.value_place(), what, "known are %j, %A, %J, %x, %n, %s, %t and %%");
        }
    }
}

/// Writes what a job printed to the files its script names. Without a file of its own what went to
/// standard error comes behind the rest.
pub(crate) async fn write(options: &Options, client: &Client, job: &Job) -> anyhow::Result<()> {
    let output = options.get("output").map(|given| path(given, job));
    let error = options.get("error").map(|given| path(given, job));
    let appends = options.get("open-mode").is_some_and(|mode| mode.text().starts_with('a'));
    let mut outputs = match &output {
        Some(path) => Some(create(path, appends)?),
        None => None,
    };
    if let (Some(file), Some(path)) = (&mut outputs, &output) {
        copy(client, job, false, file).await.with_context(|| format!("cannot write {path}"))?;
    }
    if let Some(path) = &error {
        let mut file = create(path, appends || error == output)?;
        copy(client, job, true, &mut file).await.with_context(|| format!("cannot write {path}"))?;
    } else if let (Some(file), Some(path)) = (&mut outputs, &output) {
        copy(client, job, true, file).await.with_context(|| format!("cannot write {path}"))?;
    }
    Ok(())
}

fn path(given: &Given, job: &Job) -> String {
    // It was checked; a pattern that is none names the file as it is.
    name(given.text(), job.job.number(), &job.name).unwrap_or_else(|_| given.text().to_owned())
}

fn create(path: &str, appends: bool) -> anyhow::Result<File> {
    let mut how = OpenOptions::new();
    how.create(true).write(true).append(appends).truncate(!appends);
    how.open(path).with_context(|| format!("cannot write {path}"))
}

async fn copy(client: &Client, job: &Job, stderr: bool, file: &mut File) -> anyhow::Result<()> {
    if job.started_ms.is_none() {
        return Ok(());
    }
    let mut wish = LogWish { attempt: None, stderr, offset: 0 };
    loop {
        let part = client.log(job.job, wish).await?;
        file.write_all(part.text.as_bytes())?;
        wish.offset = part.next;
        if part.complete || part.text.is_empty() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_made_of_patterns() {
        assert_eq!(name("train-%j.out", 42, "train").as_deref(), Ok("train-42.out"));
        assert_eq!(name("%x/%5A_%%", 42, "train").as_deref(), Ok("train/00042_%"));
        assert_eq!(name("%N.out", 42, "train"), Err('N'));
    }
}
