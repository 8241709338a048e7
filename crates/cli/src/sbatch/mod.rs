//! `portolan sbatch`: batch scripts of Slurm become jobs.
//!
//! [`translate()`] does it without looking at anything but texts; here files are read and the job is
//! submitted. Each directive is translated, or it is said what becomes of it: nothing is passed over.

mod array;
mod centers;
mod complaint;
mod dependency;
mod directive;
mod gang;
mod gres;
mod memory;
mod option;
mod output;
mod script;
mod signal;
mod time;
mod translate;

use crate::failure::{Failure, Misprint};
use crate::job::wait::{told as ended, until_ended};
use crate::session::{Session, note};
use anyhow::Context;
use clap::Args;
use client::{Client, Submission};
use complaint::{Complaint, Said};
use directive::{Line, command_line};
use gres::Names;
use option::Value;
use script::Script;
use std::ffi::OsString;
use std::io::Read;
use translate::{Surroundings, Translation, translate};

const EXAMPLES: &str = "\
Options are those of Slurm's sbatch and of the script's `#SBATCH` lines. Each is
translated, or it is said what becomes of it. Of Portolan itself are:

  --dry-run   Print the job that would be submitted, as --test-only does
  --on=CLASS  The class of chips that a program is built for, such as cuda,
              where the script does not say which chips it wants

`#PORTOLAN` lines count like `#SBATCH` lines, and Slurm does not read them.
`--option=` takes an option of the script back. --output names a file here: what
it means to other commands stands before `sbatch`.

  portolan sbatch --time=2:00:00 --gres=gpu:a100:2 train.sh config.yaml
  portolan sbatch --array=0-99%10 --wrap='./step $SLURM_ARRAY_TASK_ID'";

/// Submit a batch script of Slurm.
#[derive(Debug, Args)]
#[command(override_usage = "portolan sbatch [OPTIONS] [SCRIPT [ARGUMENT]...]",
    after_help = EXAMPLES)]
pub(crate) struct Sbatch {
    /// Options of sbatch, the script (standard input where none is named), its arguments.
    #[arg(value_name = "WORD", allow_hyphen_values = true, trailing_var_arg = true)]
    words: Vec<String>,
}

/// Options of every command that may stand among those of `sbatch`, which has none of these names.
const GLOBALS: [&str; 4] = ["--server", "--token", "--token-file", "--color"];
/// Those of them, and the one that has the name of one of `sbatch`, that may stand before it.
const BEFORE: [&str; 5] = ["--server", "--token", "--token-file", "--color", "--output"];

/// A command line with the words of `sbatch` set apart behind `--`: several of its options have the
/// names of others that every command has.
pub(crate) fn apart(mut args: Vec<OsString>) -> Vec<OsString> {
    let mut at = 1;
    while let Some(word) = args.get(at).and_then(|word| word.to_str()) {
        match word {
            "sbatch" => break,
            word if BEFORE.contains(&word) => at += 2,
            word if word.starts_with('-') => at += 1,
            _ => return args,
        }
    }
    if at >= args.len() {
        return args;
    }
    let mut words = args.split_off(at + 1).into_iter().peekable();
    let (mut globals, mut own) = (Vec::new(), Vec::new());
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let (name, has_value) = text.split_once('=').map_or((&*text, false), |(n, _)| (n, true));
        if matches!(name, "--help" | "-h" | "--usage") {
            args.push("--help".into());
            return args;
        }
        let (list, takes_next) = match GLOBALS.contains(&name) {
            true => (&mut globals, !has_value),
            false => (&mut own, takes_next(&text)),
        };
        list.push(word);
        if takes_next {
            list.extend(words.next());
        }
        if !text.starts_with('-') || text == "--" {
            break;
        }
    }
    let command = args.pop();
    let parts = [args, globals, command.into_iter().collect(), vec!["--".into()], own];
    parts.into_iter().flatten().chain(words).collect()
}

/// Whether the value of an option is the next word.
fn takes_next(word: &str) -> bool {
    if let Some(long) = word.strip_prefix("--") {
        let found = option::of_name(long);
        return !long.contains('=') && found.is_ok_and(|option| option.value == Value::Yes);
    }
    let letters = word.strip_prefix('-').unwrap_or_default();
    let needs = |letter: char| option::of_letter(letter).is_some_and(|o| o.value == Value::Yes);
    letters.find(needs).is_some_and(|at| at + 1 == letters.len())
}

impl Sbatch {
    /// Translates the script and submits the job.
    pub(crate) async fn run(self, session: &Session) -> anyhow::Result<()> {
        let mut said = Said::default();
        let line = command_line(&self.words, &mut said);
        let script = script(&line)?;
        let names = Names::new(&crate::catalog::with(&[])?)?;
        let around = Surroundings {
            env: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            dir: std::env::current_dir().unwrap_or_default().display().to_string(),
        };
        let mut told = translate(line, &script, &names, &around, said).map_err(refused)?;
        let dry = told.options.has("dry-run") || told.options.has("test-only");
        let client = if dry { None } else { Some(session.client()?) };
        if let Some(client) = &client {
            let mut said = Said::default();
            centers::held_against(&told, &client.centers().await?.centers, &mut said);
            if !said.wrong.is_empty() {
                return Err(refused(said.wrong).into());
            }
            told.notes.extend(said.notes);
        }
        if !told.options.has("quiet") {
            told.notes.iter().for_each(|one| note(format!("sbatch: {}", one.line())));
        }
        match client {
            Some(client) => submit(told, &client, session).await,
            None => {
                let text = toml::to_string_pretty(&told.job)?;
                session.show(&told.job, |_, _| text)
            }
        }
    }
}

fn refused(wrong: Vec<Complaint>) -> Failure {
    Failure::Documents(wrong.into_iter().map(|one| Box::new(one) as Misprint).collect())
}

/// The script a command line names.
fn script(line: &Line) -> anyhow::Result<Script> {
    if let Some(wrap) = line.options.get("wrap") {
        if let Some(stray) = line.rest.first() {
            anyhow::bail!("--wrap is all that runs, but found `{stray}` besides");
        }
        return Ok(Script::wrapping(wrap.text()));
    }
    let Some((path, arguments)) = line.rest.split_first() else {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(Script::new("sbatch", &text, Vec::new()));
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(Script::new(path, &text, arguments.to_vec()))
}

async fn submit(told: Translation, client: &Client, session: &Session) -> anyhow::Result<()> {
    let Translation { job, tenant, options, .. } = told;
    let submission = Submission { jobs: vec![job], tenant, key: None };
    let submitted = client.submit(&submission).await?;
    let number = submitted.first.number();
    session.show(&submitted, |_, _| match options.has("parsable") {
        true => format!("{number}\n"),
        false => format!("Submitted batch job {number}\n"),
    })?;
    if !options.has("wait") {
        return Ok(());
    }
    let jobs = until_ended(client, &submitted).await?;
    if output::is_written(&options) {
        for job in &jobs {
            output::write(&options, client, job).await?;
        }
    }
    ended(&jobs)
}

#[cfg(test)]
mod tests;
