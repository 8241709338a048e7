//! Reading options: of the command line, of variables, and of the `#SBATCH` lines of a script.

use super::complaint::{Place, Said, Source};
use super::option::{self, OPTIONS, Opt, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A word, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Word {
    /// What it says, without quotes.
    pub(crate) text: String,
    /// Where.
    pub(crate) place: Place,
}

/// An option as it was given.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Which.
    pub(crate) option: &'static Opt,
    /// Its value, if it has one.
    pub(crate) value: Option<Word>,
    /// Where it stands.
    pub(crate) place: Place,
}

impl Given {
    /// Its value, or nothing.
    pub(crate) fn text(&self) -> &str {
        self.value.as_ref().map_or("", |value| &value.text)
    }

    /// Where its value stands, or itself where it has none.
    pub(crate) fn value_place(&self) -> &Place {
        self.value.as_ref().map_or(&self.place, |value| &value.place)
    }
}

/// Options by name; of several of one name the last counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options(BTreeMap<&'static str, Given>);

impl Options {
    /// What was given under this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Given> {
        self.0.get(name)
    }

    /// Whether it was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Given> {
        self.0.values()
    }

    /// These, with `more` instead of what both have. An empty value takes an option back.
    pub(crate) fn overridden_by(mut self, more: Self) -> Self {
        for other in more.0.keys().flat_map(|name| rivals(name)) {
            self.0.remove(other);
        }
        self.0.extend(more.0);
        self.0.retain(|_, given| given.value.as_ref().is_none_or(|value| !value.text.is_empty()));
        self
    }
}

/// Options that say the same thing in other ways: one of them on the command line takes the place of
/// all of them in a script.
fn rivals(name: &str) -> &'static [&'static str] {
    const MEMORY: &[&str] = &["mem", "mem-per-cpu", "mem-per-gpu"];
    const REQUEUE: &[&str] = &["requeue", "no-requeue"];
    const CORES: &[&str] = &["cpus-per-task", "cpus-per-gpu"];
    [MEMORY, REQUEUE, CORES].into_iter().find(|all| all.contains(&name)).unwrap_or_default()
}

/// What the words of a command line say.
#[derive(Debug)]
pub(crate) struct Line {
    /// The options.
    pub(crate) options: Options,
    /// The script and its arguments, as they are.
    pub(crate) rest: Vec<String>,
}

/// Reads a command line, up to its first word that is no option: the script.
pub(crate) fn command_line(words: &[String], said: &mut Said) -> Line {
    let mut text = String::from("sbatch");
    let mut spans = Vec::with_capacity(words.len());
    for word in words {
        text.push(' ');
        let start = text.len();
        text.push_str(word);
        spans.push(start..text.len());
    }
    let source = Source::new("command line", &text);
    let words: Vec<Word> = words
        .iter()
        .zip(spans)
        .map(|(word, span)| Word { text: word.clone(), place: Place::new(&source, span) })
        .collect();
    let mut options = Options::default();
    let rest = read(&words, &mut options, said);
    Line { options, rest: rest.iter().map(|word| word.text.clone()).collect() }
}

/// Options that variables such as `SBATCH_PARTITION` give.
pub(crate) fn variables(env: &BTreeMap<String, String>) -> Options {
    let mut options = Options::default();
    for option in OPTIONS {
        let Some(value) = env.get(option.variable) else { continue };
        let text = format!("{}={value}", option.variable);
        let source = Source::new("environment", &text);
        let place = Place::new(&source, 0..text.len());
        let behind = place.behind(option.variable.len() + 1);
        let value = Word { text: value.clone(), place: behind };
        let value = (option.value != Value::No).then_some(value);
        options.0.insert(option.name, Given { option, value, place });
    }
    options
}

/// A line of a script that says something to `sbatch`: for whom, and its words.
const MARKS: [&str; 2] = ["#SBATCH", "#PORTOLAN"];

/// Reads the directives of a script, up to its first command. `#PORTOLAN` lines count like `#SBATCH`
/// lines, but Slurm does not read them.
pub(crate) fn script(source: &Arc<Source>, said: &mut Said) -> Options {
    let mut options = Options::default();
    let (mut offset, mut begun, mut ended) = (0, false, false);
    for line in source.text().split_inclusive('\n') {
        let place = Place::new(source, offset..offset + line.trim_end().len());
        let start = offset;
        offset += line.len();
        let mark = MARKS.into_iter().find(|mark| line.starts_with(mark));
        match mark {
            Some(mark) if begun => said.note(
                &place,
                format!("this {mark} line comes after the first command: Slurm does not read it"),
                "move it above the first command, or take it out",
            ),
            Some(_) if ended => {}
            Some(mark) => {
                let words = words(source, start + mark.len()..start + line.len(), &place, said);
                if let [only] = &words[..]
                    && matches!(&*only.text, "hetjob" | "packjob")
                {
                    heterogeneous(&only.place, said);
                    ended = true;
                    continue;
                }
                directive(&words, &mut options, said);
            }
            None => {
                let plain = line.trim();
                begun |= !plain.is_empty() && !plain.starts_with('#');
                if !begun {
                    nearly(plain, &place, said);
                }
            }
        }
    }
    options
}

fn heterogeneous(place: &Place, said: &mut Said) {
    said.wrong(
        place,
        "jobs of unlike parts are not read here, only their first part",
        "submit the parts as jobs of their own, or write a job file with `[[part]]`s",
    );
}

/// Words of a directive line: nothing but options.
fn directive(words: &[Word], options: &mut Options, said: &mut Said) {
    if let Some(stray) = read(words, options, said).first() {
        let help = "options begin with - or --, and values with blanks stand in quotes";
        said.wrong(&stray.place, format!("found `{}`, which is no option", stray.text), help);
    }
}

/// Says of a comment that it is not the directive it looks like.
fn nearly(line: &str, place: &Place, said: &mut Said) {
    let Some(comment) = line.strip_prefix('#') else { return };
    let word = comment.split_whitespace().next().unwrap_or_default();
    let option = comment.split_whitespace().nth(1).is_some_and(|next| next.starts_with('-'));
    if word.eq_ignore_ascii_case("SBATCH") && option {
        let what = format!("`{}` is a comment: Slurm does not read it", head(line));
        said.note(place, what, "write `#SBATCH` at the very beginning of the line");
    } else if matches!(word, "PBS" | "BSUB" | "$" | "COBALT" | "PJM" | "DSUB") && option {
        let what = format!("`{}` speaks to another batch system", head(line));
        said.note(place, what, "write what it says as `#SBATCH`");
    }
}

/// The first words of a line.
fn head(line: &str) -> String {
    line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// Takes the bytes `span` of a line of a script apart into words, as Slurm does: quotes hold words
/// together, a backslash takes the next character as it is, and `#` begins a comment.
fn words(
    source: &Arc<Source>,
    span: std::ops::Range<usize>,
    line: &Place,
    said: &mut Said,
) -> Vec<Word> {
    let (mut words, mut quote) = (Vec::new(), None);
    let mut word: Option<(String, usize)> = None;
    let mut letters = source.text()[span.clone()].char_indices();
    let mut end = span.end;
    while let Some((at, letter)) = letters.next() {
        let at = span.start + at;
        match (letter, quote) {
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert((String::new(), at));
            }
            ('\\', None) => {
                let next = letters.next().map(|(_, next)| next);
                word.get_or_insert((String::new(), at)).0.extend(next);
            }
            ('#', None) => {
                end = at;
                break;
            }
            (letter, None) if letter.is_whitespace() => {
                words.extend(
                    word.take()
                        .map(|(text, start)| Word { text, place: Place::new(source, start..at) }),
                );
            }
            (letter, _) => word.get_or_insert((String::new(), at)).0.push(letter),
        }
    }
    if quote.is_some() {
        said.wrong(line, "a quote is opened and never closed", "close it on the same line");
    }
    words.extend(word.map(|(text, start)| Word { text, place: Place::new(source, start..end) }));
    words
}

/// Reads options from the front of `words`; answers what is left from the first that is none.
fn read<'a>(words: &'a [Word], options: &mut Options, said: &mut Said) -> &'a [Word] {
    let mut left = words;
    while let Some((word, behind)) = left.split_first() {
        left = match word.text.strip_prefix("--") {
            Some("") => return behind,
            Some(long) => read_long(word, long, behind, options, said),
            None => match word.text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                Some(letters) => read_short(word, letters, behind, options, said),
                None => return left,
            },
        };
    }
    left
}

fn read_long<'a>(
    word: &Word,
    long: &str,
    behind: &'a [Word],
    options: &mut Options,
    said: &mut Said,
) -> &'a [Word] {
    let (name, value) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let option = match option::of_name(name) {
        Ok(option) => option,
        Err(could) => {
            unknown(word, name, &could, said);
            return behind;
        }
    };
    let at = word.place.behind("--=".len() + name.len());
    let value = value.map(|value| Word { text: value.to_owned(), place: at });
    if let (Value::No, Some(value)) = (option.value, &value) {
        let what = format!("--{} takes no value, but found `{}`", option.name, value.text);
        said.wrong(&value.place, what, "leave the value out");
        return behind;
    }
    take(option, word, value, behind, options, said)
}

fn unknown(word: &Word, name: &str, could: &[&str], said: &mut Said) {
    let help = match (could, option::like(name)) {
        ([], Some(near)) => format!("did you mean --{near}?"),
        ([], None) => "`portolan sbatch --help` names the options".to_owned(),
        (could, _) => format!("it could be --{}", could.join(", --")),
    };
    let what = if could.is_empty() { "is no option of sbatch" } else { "names several options" };
    said.wrong(&word.place, format!("--{name} {what}"), help);
}

fn read_short<'a>(
    word: &Word,
    letters: &str,
    behind: &'a [Word],
    options: &mut Options,
    said: &mut Said,
) -> &'a [Word] {
    for (at, letter) in letters.char_indices() {
        let Some(option) = option::of_letter(letter) else {
            let help = "`portolan sbatch --help` names the options";
            said.wrong(&word.place, format!("-{letter} is no option of sbatch"), help);
            return behind;
        };
        let after = &letters[at + letter.len_utf8()..];
        if option.value == Value::Yes {
            let place = word.place.behind(1 + at + letter.len_utf8());
            let value = (!after.is_empty()).then(|| Word { text: after.to_owned(), place });
            return take(option, word, value, behind, options, said);
        }
        let (option_place, value) = (word.place.clone(), None);
        options.0.insert(option.name, Given { option, value, place: option_place });
    }
    behind
}

/// Notes an option, with the next word for its value where it needs one and has none.
fn take<'a>(
    option: &'static Opt,
    word: &Word,
    value: Option<Word>,
    behind: &'a [Word],
    options: &mut Options,
    said: &mut Said,
) -> &'a [Word] {
    let (value, left) = match (value, behind.split_first()) {
        (None, Some((next, left))) if option.value == Value::Yes => (Some(next.clone()), left),
        (value, _) => (value, behind),
    };
    if option.value == Value::Yes && value.is_none() {
        let what = format!("--{} needs a value", option.name);
        said.wrong(&word.place, what, format!("write --{}=VALUE", option.name));
        return left;
    }
    options.0.insert(option.name, Given { option, value, place: word.place.clone() });
    left
}
