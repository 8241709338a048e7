//! How things are shown: how wide, in color or not, and as of when.

use model::{Moment, Span};
use std::io::IsTerminal;
use std::time::{SystemTime, UNIX_EPOCH};

/// How things are shown. Rendering looks at nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The present time.
    pub(crate) now: Moment,
    /// How wide the screen is; none where lines may be as long as they like, as in a pipe.
    pub(crate) width: Option<u16>,
    /// Whether to use colors.
    pub(crate) color: bool,
}

/// When to use colors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Look {
    /// How things are shown on standard output, now.
    pub(crate) fn of_stdout(color: Color) -> Self {
        let terminal = std::io::stdout().is_terminal();
        let wished = std::env::var_os("NO_COLOR").is_none_or(|word| word.is_empty());
        let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
        let wide = || comfy_table::Table::new().width().or(Some(80));
        Self {
            now: now(),
            width: columns().or_else(|| terminal.then(wide).flatten()),
            color: match color {
                Color::Auto => terminal && wished,
                Color::Always => true,
                Color::Never => false,
            },
        }
    }

    /// The same, as of now.
    pub(crate) fn again(self) -> Self {
        Self { now: now(), ..self }
    }

    /// How long ago, or in how long.
    pub(crate) fn when(&self, at: Moment) -> String {
        if at > self.now {
            format!("in {}", at.since(self.now))
        } else {
            format!("{} ago", self.now.since(at))
        }
    }

    /// The time to the second, and how long ago or in how long.
    pub(crate) fn moment(&self, at: Moment) -> String {
        let text = at.to_string();
        let text = text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"));
        format!("{text} ({})", self.when(at))
    }

    /// From one moment to another, or to now.
    pub(crate) fn span(&self, from: Moment, to: Option<Moment>) -> Span {
        to.unwrap_or(self.now).since(from)
    }

    /// In red.
    pub(crate) fn red(&self, text: &str) -> String {
        self.paint("31;1", text)
    }

    /// In bold.
    pub(crate) fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Less loud.
    pub(crate) fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The present time by the system's clock.
pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Moment(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
