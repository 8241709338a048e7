//! What the host it runs on can show, measured without a vendor's SDK: arithmetic, memory, storage, the
//! fabric to another host; and what vendors' own commands say of accelerators.
//!
//! One door: [`measure`], which takes [`Settings`] and gives a report of figures, each with all its
//! repeats and how it was measured. The other end of a fabric is a [`Listener`].
//!
//! What cannot be measured is in the report too, with the reason, and keeps nothing else from being
//! measured. All of it blocks, and bounds its own time.
//!
//! Deliberately absent: what a center declares, and what follows from a figure for it.

mod arithmetic;
mod command;
mod crew;
mod error;
mod fabric;
mod host;
mod memory;
mod pace;
mod reading;
mod storage;

pub use command::Vendor;
pub use error::Error;
pub use fabric::Listener;
pub use host::of_this_machine;
pub use reading::{NotAReading, Reading};

use model::{Figure, Moment};
use pace::Pace;
use std::path::PathBuf;
use wire::view::{BenchReport, Missing};

/// What is to be measured.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Fewer repeats of less each: for trying it out, not for figures to be relied on.
    pub is_quick: bool,
    /// A directory on the storage to be measured; none is measured without one. Nothing is left there.
    pub dir: Option<PathBuf>,
    /// Where a [`Listener`] is, as `host:port`; no fabric is measured without one.
    pub peer: Option<String>,
    /// Vendors' commands to be run.
    pub commands: Vec<Vendor>,
}

/// Measures one thing after the other. Of each it is `told` in words as it begins, and with its figure
/// when it is there.
pub fn measure(settings: &Settings, told: &mut dyn FnMut(&str)) -> BenchReport {
    let mut report = BenchReport {
        taken_ms: now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: of_this_machine(),
        figures: Vec::new(),
        commands: Vec::new(),
        missing: Vec::new(),
    };
    let pace = Pace::new(settings.is_quick);
    type Measuring<'a> = Box<dyn FnOnce() -> Result<Figure, Error> + 'a>;
    let mut plan: Vec<(&str, Measuring<'_>)> = vec![
        (arithmetic::SINGLE, Box::new(|| arithmetic::single(pace))),
        (arithmetic::DOUBLE, Box::new(|| arithmetic::double(pace))),
        (memory::TRIAD, Box::new(|| memory::triad(pace))),
    ];
    if let Some(dir) = &settings.dir {
        // Reading needs what was written.
        let file = std::rc::Rc::new(std::cell::RefCell::new(None));
        let kept = std::rc::Rc::clone(&file);
        plan.push((
            storage::WRITE,
            Box::new(move || {
                let (figure, written) = storage::write(dir, pace)?;
                *kept.borrow_mut() = Some(written);
                Ok(figure)
            }),
        ));
        let read = move || match file.borrow_mut().take() {
            Some(mut written) => storage::read(&mut written, pace),
            None => Err(Error::NothingToRead),
        };
        plan.push((storage::READ, Box::new(read)));
    }
    if let Some(peer) = &settings.peer {
        plan.push((fabric::ROUND_TRIP, Box::new(move || fabric::round_trip(peer, pace))));
        plan.push((fabric::SEND, Box::new(move || fabric::send(peer, pace))));
        plan.push((fabric::RECEIVE, Box::new(move || fabric::receive(peer, pace))));
    }
    for (name, measuring) in plan {
        told(name);
        match measuring() {
            Ok(figure) => {
                told(&figure.to_string());
                report.figures.push(figure);
            }
            Err(error) => {
                let why = error.in_full();
                report.missing.push(Missing { name: name.to_owned(), why });
            }
        }
    }
    for vendor in &settings.commands {
        told(&vendor.name());
        report.commands.push(command::run(vendor));
    }
    report
}

/// The time, by this host's clock.
fn now() -> Moment {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Moment(since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
}
