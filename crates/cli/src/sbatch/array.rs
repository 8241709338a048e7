//! Arrays as Slurm writes them: `0-15:4`, `1,3,9-12`, `0-99%10`.

use super::complaint::Said;
use super::directive::Given;
use model::file::job::ArrayFile;

/// Most tasks of an array.
const MOST: usize = 100_000;

/// An array of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tasks {
    /// As a job file has it.
    pub(crate) file: ArrayFile,
    /// The numbers the tasks have in Slurm, where these are not evenly spaced.
    pub(crate) list: Option<Vec<u32>>,
}

/// Reads --array.
pub(crate) fn tasks(given: &Given, said: &mut Said) -> Option<Tasks> {
    let (indices, at_once) = match given.text().split_once('%') {
        Some((indices, most)) => (indices, Some(most)),
        None => (given.text(), None),
    };
    let at_once = at_once.map(|most| most.parse().ok().filter(|most| *most > 0));
    let numbers = numbers(indices.trim_matches(['[', ']']));
    let (Some(numbers), None | Some(Some(_))) = (numbers, at_once) else {
        let help = "write numbers and ranges such as `0-15`, `0-15:4` or `1,3,5-7`, and `%4` behind \
                    them for four at once";
        let what = format!("`{}` is no list of tasks", given.text());
        said.wrong(given.value_place(), what, help);
        return None;
    };
    if numbers.len() > MOST {
        let what = format!("the array has more than {MOST} tasks");
        said.wrong(given.value_place(), what, "submit it in several arrays");
        return None;
    }
    let tasks = even(&numbers, at_once.flatten());
    if tasks.list.is_some() {
        let last = numbers.len() - 1;
        let what = format!("its tasks are not evenly spaced: they are 0 to {last} in lists");
        let help = "SLURM_ARRAY_TASK_ID is what the script asked for all the same";
        said.note(given.value_place(), what, help);
    }
    Some(tasks)
}

/// The numbers a list names, in order, each once; one more than the most where there are more.
fn numbers(list: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (range, step) = match part.split_once(':') {
            Some((range, step)) if range.contains('-') => (range, figure(step)?),
            Some(_) => return None,
            None => (part, 1),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (figure(first)?, figure(last)?),
            None => (figure(range)?, figure(range)?),
        };
        if first > last || step == 0 {
            return None;
        }
        let step = usize::try_from(step).ok()?;
        numbers.extend((first..=last).step_by(step).take(MOST + 1));
        if numbers.len() > MOST {
            break;
        }
    }
    numbers.sort_unstable();
    numbers.dedup();
    Some(numbers)
}

fn figure(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Numbers, of which there is one at least, as evenly spaced tasks, or else as tasks from 0 on and a
/// list.
fn even(numbers: &[u32], at_once: Option<u32>) -> Tasks {
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    let step = numbers.get(1).map_or(1, |second| second - first);
    if numbers.windows(2).all(|two| two[1] - two[0] == step) {
        let step = (step > 1).then_some(step);
        return Tasks { file: ArrayFile { first, last, step, at_once }, list: None };
    }
    let last = u32::try_from(numbers.len() - 1).unwrap_or(u32::MAX);
    let file = ArrayFile { first: 0, last, step: None, at_once };
    Tasks { file, list: Some(numbers.to_vec()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(list: &str, first: u32, last: u32, step: Option<u32>, uneven: Option<&[u32]>) {
        let tasks = even(&numbers(list).expect(list), None);
        let file = ArrayFile { first, last, step, at_once: None };
        assert_eq!(tasks, Tasks { file, list: uneven.map(<[u32]>::to_vec) }, "{list}");
    }

    #[test]
    fn ranges_steps_and_lists_become_one_array() {
        check("0-15", 0, 15, None, None);
        check("7", 7, 7, None, None);
        check("0-15:4", 0, 12, Some(4), None);
        check("1,3,5,7", 1, 7, Some(2), None);
        check("3,1-2", 1, 3, None, None);
        check("0,5,9", 0, 2, None, Some(&[0, 5, 9]));
        check("1-3,10", 0, 3, None, Some(&[1, 2, 3, 10]));
        for wrong in ["", "a", "5-2", "1-5:0", "1:2", "-1", "1-", "1,,2", "4294967296"] {
            assert_eq!(numbers(wrong), None, "{wrong}");
        }
    }
}
