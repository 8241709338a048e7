//! What is typed while a network runs.

use crate::table;
use wan::{Direction, Wan, WanError};

/// What can be typed.
pub(crate) const HELP: &str = "\
cut east-west     mend east-west     show     Ctrl-C ends
set east-west rate=500M loss=1%      both directions; east>west is one
keys: rate delay jitter queue loss";

/// Does what a line says, and answers.
pub(crate) fn obey(wan: &Wan, line: &str) -> Result<String, WanError> {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let words: Vec<_> = words.collect();
    match (verb, words.as_slice()) {
        ("", []) => return Ok(String::new()),
        ("show", []) => {
            return Ok(format!("{}\n\n{}", table::links(wan), table::counters(wan)));
        }
        ("cut", [link]) => wan.link_named(link)?.cut()?,
        ("mend", [link]) => wan.link_named(link)?.mend()?,
        ("set", [link, settings @ ..]) if !settings.is_empty() => set(wan, link, settings)?,
        _ => {
            let said = format!("`{}` is not understood", line.trim());
            return Err(WanError::Setting { said, expected: format!("one of:\n{HELP}") });
        }
    }
    Ok("done".to_owned())
}

/// All settings or none.
fn set(wan: &Wan, name: &str, settings: &[&str]) -> Result<(), WanError> {
    let ways: Vec<Direction<'_>> = match name.split_once('>') {
        Some((from, to)) => vec![wan.direction(from, to)?],
        None => wan.link_named(name)?.ways().into(),
    };
    let mut qualities = Vec::new();
    for way in &ways {
        let mut quality = way.quality();
        for setting in settings {
            let (key, text) = setting.split_once('=').ok_or_else(|| WanError::Setting {
                said: format!("`{setting}` sets nothing"),
                expected: "a key and an amount without a blank, such as `rate=500M`".to_owned(),
            })?;
            quality.set(key, text)?;
        }
        qualities.push(quality);
    }
    for (way, quality) in ways.iter().zip(qualities) {
        way.set(quality);
    }
    Ok(())
}
