//! The one byte range a reader of a file may ask for (RFC 9110 §14).

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// All of it: no range, several, or one we do not understand.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes there are none of.
    Beyond,
}

/// What `header` asks for of a file of `length` bytes.
pub(super) fn asked(header: Option<&str>, length: u64) -> Asked {
    let parse = || {
        let (from, to) = header?.strip_prefix("bytes=")?.trim().split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(from) || !digits(to) {
            return None;
        }
        let last = || length.checked_sub(1);
        Some(match (from, to) {
            ("", suffix) => {
                let suffix: u64 = suffix.parse().ok()?;
                (suffix > 0 && length > 0).then(|| length.saturating_sub(suffix)..length)
            }
            (from, to) => {
                let from: u64 = from.parse().ok()?;
                let to: u64 = if to.is_empty() { u64::MAX } else { to.parse().ok()? };
                if from > to {
                    return None;
                }
                last().filter(|last| from <= *last).map(|last| from..to.min(last) + 1)
            }
        })
    };
    match parse() {
        None => Asked::Whole,
        Some(Some(part)) => Asked::Part(part),
        Some(None) => Asked::Beyond,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_file() {
        let check = |header, length, wanted| assert_eq!(asked(Some(header), length), wanted);
        check("bytes=0-3", 10, Asked::Part(0..4));
        check("bytes=4-", 10, Asked::Part(4..10));
        check("bytes=-4", 10, Asked::Part(6..10));
        check("bytes=-40", 10, Asked::Part(0..10));
        check("bytes=5-400", 10, Asked::Part(5..10));
        check("bytes=10-", 10, Asked::Beyond);
        check("bytes=-0", 10, Asked::Beyond);
        check("bytes=0-", 0, Asked::Beyond);
        for odd in ["bytes=3-1", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=+1-2", ""] {
            check(odd, 10, Asked::Whole);
        }
        assert_eq!(asked(None, 10), Asked::Whole);
    }
}
