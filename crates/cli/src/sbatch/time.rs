//! Times as Slurm writes them.

use model::Span;

/// What a time limit says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// So long.
    Span(Span),
    /// No limit.
    Unlimited,
}

/// The forms of a limit, for messages.
pub(crate) const LIMITS: &str = "write minutes, minutes:seconds, hours:minutes:seconds, \
                                 days-hours, days-hours:minutes or days-hours:minutes:seconds";

/// Reads a time limit: `30`, `1:30`, `1:30:00`, `2-12`, `2-12:30`, `2-12:30:00`, `UNLIMITED`.
/// None where it is none, or longer than can be said.
pub(crate) fn limit(text: &str) -> Option<Limit> {
    let text = text.trim();
    if ["unlimited", "infinite", "-1"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Limit::Unlimited);
    }
    let (days, clock) = match text.split_once('-') {
        Some((days, clock)) => (Some(figure(days)?), clock),
        None => (None, text),
    };
    let figures: Vec<u64> = clock.split(':').map(figure).collect::<Option<_>>()?;
    let (hours, minutes, seconds) = match (days, &figures[..]) {
        (None, &[minutes]) => (0, minutes, 0),
        (None, &[minutes, seconds]) => (0, minutes, seconds),
        (Some(_), &[hours]) => (hours, 0, 0),
        (Some(_), &[hours, minutes]) => (hours, minutes, 0),
        (_, &[hours, minutes, seconds]) => (hours, minutes, seconds),
        _ => return None,
    };
    let seconds = ((days.unwrap_or(0) * 24 + hours) * 60 + minutes) * 60 + seconds;
    Some(if seconds == 0 { Limit::Unlimited } else { Limit::Span(Span::from_secs(seconds)) })
}

/// A figure that cannot bring a sum of seconds out of range.
fn figure(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|figure| digits && *figure <= 100_000_000)
}

/// A span as a job file has it, to the second.
pub(crate) fn written(span: Span) -> String {
    match span.0 / 1_000 {
        seconds if seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Reads `now+COUNT[UNIT]`, seconds where no unit stands; `now` is nothing.
pub(crate) fn from_now(text: &str) -> Option<Span> {
    let rest = text.strip_prefix("now")?;
    if rest.is_empty() {
        return Some(Span::ZERO);
    }
    let rest = rest.strip_prefix('+')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let each = match rest[end..].trim() {
        "" | "second" | "seconds" => 1,
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        "week" | "weeks" => 7 * 86_400,
        _ => return None,
    };
    figure(&rest[..end]).map(|count| Span::from_secs(count * each))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_limit_is_read() {
        for (text, seconds) in [
            ("30", 1_800),
            ("90:30", 5_430),
            ("1:30:00", 5_400),
            ("25:61:00", 93_660),
            ("2-12", 216_000),
            ("2-12:30", 217_800),
            ("2-12:30:05", 217_805),
            ("0:45", 45),
            (" 30 ", 1_800),
        ] {
            let span = Span::from_secs(seconds);
            assert_eq!(limit(text), Some(Limit::Span(span)), "{text}");
            assert_eq!(written(span).parse(), Ok(span), "{text}");
        }
        for text in ["UNLIMITED", "infinite", "0", "0:00", "-1"] {
            assert_eq!(limit(text), Some(Limit::Unlimited), "{text}");
        }
        for text in ["", "abc", "1:2:3:4", "1-2:3:4:5", "2h", "+5", "1.5", "1:", "99999999999999"] {
            assert_eq!(limit(text), None, "{text}");
        }
    }

    #[test]
    fn spans_from_now_have_units() {
        assert_eq!(from_now("now"), Some(Span::ZERO));
        assert_eq!(from_now("now+90"), Some(Span::from_secs(90)));
        assert_eq!(from_now("now+2hours"), Some(Span::from_secs(7_200)));
        assert_eq!(from_now("now+1week"), Some(Span::from_secs(604_800)));
        for text in ["tomorrow", "now-1hour", "now+hour", "now+2fortnights"] {
            assert_eq!(from_now(text), None, "{text}");
        }
    }
}
