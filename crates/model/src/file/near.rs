//! Which known name a mistyped one was meant to be.

/// The one of `known` nearest to `name`, if it is near: at most a third of its letters differ.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |k: &&str| k.chars().count().abs_diff(name.chars().count()) <= 3;
    let ranked = known.into_iter().filter(near).map(|k| (distance(name, k), k));
    let (edits, best) = ranked.min()?;
    (edits <= best.chars().count().div_ceil(3).min(3) && edits < best.len()).then_some(best)
}

/// That `key` is unknown: with what was meant where a known one is near, else with all of them.
pub(super) fn unknown_key(key: &str, known: &[&str]) -> (String, String) {
    match nearest(key, known.iter().copied()) {
        Some(meant) => (format!("unknown key `{key}`; did you mean `{meant}`?"), String::new()),
        None => (format!("unknown key `{key}`"), one_of(known.iter().copied())),
    }
}

/// `one of a, b, c`.
#[must_use]
pub fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.len() {
        1 => names.concat(),
        _ => format!("one of {}", names.join(", ")),
    }
}

/// ` (did you mean …?)` where a known name is near, else nothing.
#[must_use]
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map(|k| format!(" (did you mean `{k}`?)")).unwrap_or_default()
}

/// How many letters must be put in, taken out, changed or swapped with their neighbor to make one
/// of the other (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let mut best = (row[j] + usize::from(x != y)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && x == b[j - 1] && a[i - 1] == y {
                best = best.min(above[j - 1] + 1);
            }
            next.push(best);
        }
        above = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognized_and_another_word_is_not() {
        let known = ["chips", "chip", "command", "cores", "open_ended"];
        assert_eq!(nearest("chps", known), Some("chips"));
        assert_eq!(nearest("comand", known), Some("command"));
        assert_eq!(nearest("cipsh", known), Some("chips"));
        assert_eq!(nearest("openended", known), Some("open_ended"));
        assert_eq!(nearest("walltime", known), None);
        assert_eq!(nearest("", known), None);
    }
}
