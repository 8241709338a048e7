//! Progress on standard error, where that is a terminal; nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use model::Bytes;
use std::pin::pin;
use std::time::Duration;
use transfer::Progress;

/// How often a bar moves by itself.
const TICK: Duration = Duration::from_millis(120);
/// How often it is looked how far something is.
const MOVE: Duration = Duration::from_millis(100);

/// Something that takes a while nobody knows.
pub(crate) fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg}"));
    bar.set_message(message);
    bar.enable_steady_tick(TICK);
    bar
}

/// Jobs that end one after the other.
pub(crate) fn jobs(count: u64) -> ProgressBar {
    if count == 1 {
        return spinner(String::new());
    }
    let look = "{spinner} {pos}/{len} [{bar:24}] {elapsed} {wide_msg}";
    let bar = ProgressBar::new(count).with_style(style(look));
    bar.enable_steady_tick(TICK);
    bar
}

/// What `work` gives, with a bar that follows its progress meanwhile.
pub(crate) async fn follow<T>(
    message: String,
    progress: &Progress,
    work: impl Future<Output = T>,
) -> T {
    let (bar, mut work) = (bytes(message), pin!(work));
    let given = loop {
        let seen = tokio::select! {
            given = &mut work => break given,
            () = tokio::time::sleep(MOVE) => progress.seen(),
        };
        bar.set_length(seen.total.0);
        bar.set_position(seen.done.0);
    };
    bar.finish_and_clear();
    given
}

/// Data on its way.
fn bytes(message: String) -> ProgressBar {
    let look = "{msg} [{bar:24}] {binary_bytes}/{binary_total_bytes} \
                {binary_bytes_per_sec} {eta} left";
    let bar = ProgressBar::new(0).with_style(style(look));
    bar.set_message(message);
    bar.enable_steady_tick(TICK);
    bar
}

/// A transfer that others carry.
pub(crate) fn transfer(name: String, bytes: Bytes) -> ProgressBar {
    let look = "{prefix} [{bar:24}] {percent:>3} % {wide_msg}";
    ProgressBar::new(bytes.0).with_style(style(look)).with_prefix(name)
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    style.progress_chars("=> ")
}
