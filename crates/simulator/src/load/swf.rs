//! The Standard Workload Format of the Parallel Workloads Archive: one job a line, 18 numbers, `-1`
//! where one is not known; lines that begin with `;` are comments.
//!
//! | field | what it is | used as |
//! |---|---|---|
//! | 1 | job number | |
//! | 2 | submit time, seconds | arrival |
//! | 3 | wait time, seconds | |
//! | 4 | run time, seconds | work; jobs without one never ran and are left out |
//! | 5 | allocated processors | chips, where field 8 is not known |
//! | 6 | average CPU time used, seconds | |
//! | 7 | used memory, KB per processor | |
//! | 8 | requested processors | chips |
//! | 9 | requested time, seconds | limit; a round figure where it is not known |
//! | 10 | requested memory, KB per processor | memory |
//! | 11 | status: 0 failed, 1 completed, 5 canceled | how it ends; any other is completed |
//! | 12 | user | tenant, where field 13 is not known |
//! | 13 | group | tenant |
//! | 14 | executable | workload |
//! | 15 | queue | |
//! | 16 | partition | |
//! | 17 | preceding job | |
//! | 18 | think time after it, seconds | |

use super::ask::{Ask, Wish, plain_actual};
use super::{Ending, lists};
use crate::Error;
use model::{Bytes, Chips, Span, TenantId};

/// Names of the fields, for messages.
const FIELDS: [&str; 18] = [
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "average CPU time",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
];

/// Reads a list. So many processors are one chip; a job gets whole chips.
pub fn jobs(
    file: &str,
    text: &str,
    processors_per_chip: u32,
    factor: f64,
) -> Result<Vec<Ask>, Error> {
    let mut asks = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        let fields = fields(file, number as u64 + 1, line)?;
        asks.extend(ask(&fields, processors_per_chip.max(1), factor));
    }
    asks.sort_by_key(|(at, _)| *at);
    let first = asks.first().map_or(0, |(at, _): &(u64, Ask)| *at);
    let ask = |(at, ask): (u64, Ask)| Ask { after: Span::from_secs(at - first), ..ask };
    Ok(asks.into_iter().map(ask).collect())
}

fn fields(file: &str, line: u64, text: &str) -> Result<[f64; 18], Error> {
    let mut fields = [-1.0; 18];
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.len() != fields.len() {
        return Err(Error::Line {
            file: file.to_owned(),
            line,
            said: format!("there are {} numbers", words.len()),
            expected: "18, as the Standard Workload Format has".to_owned(),
        });
    }
    for ((field, word), name) in fields.iter_mut().zip(words).zip(FIELDS) {
        *field = word.parse().map_err(|_| Error::Cell {
            file: file.to_owned(),
            line,
            column: name.to_owned(),
            found: word.chars().take(80).collect(),
            expected: "a number, -1 where it is not known".to_owned(),
        })?;
    }
    Ok(fields)
}

/// The job and its submit time; none where it never ran.
fn ask(fields: &[f64; 18], processors_per_chip: u32, factor: f64) -> Option<(u64, Ask)> {
    let known = |field: usize| super::rows::rounded(fields[field - 1]);
    let submit = known(2)?;
    let work = Span::from_secs(known(4)?);
    let processors = known(8).filter(|p| *p > 0).or(known(5).filter(|p| *p > 0))?;
    let tenant = match (known(13), known(12)) {
        (Some(group), _) => format!("group-{group}"),
        (None, Some(user)) => format!("user-{user}"),
        (None, None) => "unknown".to_owned(),
    };
    let tenant = TenantId::new(&tenant).expect("a word and a number are a slug");
    let workload = known(14).map_or("job".to_owned(), |executable| format!("app-{executable}"));
    let limit = known(9).filter(|limit| *limit > 0).map(Span::from_secs);
    let limit = limit.unwrap_or_else(|| lists::asked(work, factor));
    let memory = known(10).unwrap_or(0).saturating_mul(1_024).saturating_mul(processors);
    let chips = Chips::whole(processors.div_ceil(processors_per_chip.into()));
    let ending = match known(11) {
        Some(0) => Ending::Failure,
        Some(5) => Ending::Canceled,
        _ => Ending::Success,
    };
    let wish = Wish { memory: Bytes(memory), ..Wish::plain(tenant, &workload, chips, limit) };
    Some((submit, Ask { after: Span::ZERO, wish, actual: plain_actual(work, ending) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "; Version: 2.2\n\
        1 10 5 100 16 -1 -1 16 3600 -1 1 7 2 4 1 -1 -1 -1\n\
        2  0 0 -1 16 -1 -1 16 3600 -1 5 7 2 4 1 -1 -1 -1\n\
        3  5 0 50 -1 -1 -1 -1 -1 -1 1 7 2 4 1 -1 -1 -1\n\
        4  6 0 50 3 -1 -1 -1 -1 -1 0 7 -1 -1 1 -1 -1 -1\n";

    #[test]
    fn what_never_ran_or_needs_nothing_is_left_out_and_the_rest_is_sorted() {
        let asks = jobs("x.swf", LIST, 8, 2.0).unwrap();
        assert_eq!(asks.len(), 2);
        assert_eq!(asks[0].wish.tenant.as_str(), "user-7");
        assert_eq!(asks[0].wish.limit, Span::from_secs(600));
        assert_eq!(asks[0].wish.chips, Chips::whole(1));
        assert_eq!(asks[1].after, Span::from_secs(4));
        assert_eq!(asks[1].wish.chips, Chips::whole(2));
        assert_eq!(asks[1].wish.limit, Span::from_secs(3_600));
    }

    #[test]
    fn a_word_among_the_numbers_is_named() {
        let wrong = jobs("x.swf", &LIST.replace("3600 -1 1", "1h -1 1"), 8, 2.0).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "x.swf:2: requested time: found `1h`; expected a number, -1 where it is not known"
        );
        let short = jobs("x.swf", "1 2 3\n", 8, 2.0).unwrap_err();
        assert!(short.to_string().starts_with("x.swf:1: there are 3 numbers"));
    }
}
