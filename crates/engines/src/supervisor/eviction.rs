//! Being told by a batch system to go.

use crate::BootTime;
use model::Span;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::SIGTERM;
use std::io::{ErrorKind, Read};
use std::os::unix::net::UnixStream;

/// How often a supervisor shows that it lives.
const BEAT_EVERY: Span = Span::from_secs(5);

/// How much later than its command a supervisor may be told.
const ON_ITS_WAY: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };

/// TERM, which batch systems send before they kill: for a job of more worth, a node to be mended, an
/// operator's will.
pub(super) struct Eviction {
    told: UnixStream,
    next_beat: BootTime,
}

impl Eviction {
    /// From now on TERM is heard, not died of. What is started hears it as ever.
    pub(super) fn new() -> Result<Self, String> {
        let listen = || {
            let (told, teller) = UnixStream::pair()?;
            told.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(SIGTERM, teller)?;
            std::io::Result::Ok(told)
        };
        let told = listen().map_err(|error| format!("it cannot listen to signals: {error}"))?;
        Ok(Self { told, next_beat: BootTime::now() })
    }

    pub(super) const fn fd(&self) -> &UnixStream {
        &self.told
    }

    /// Whether it was told to go since this was last asked.
    pub(super) fn came(&self) -> bool {
        match (&self.told).read(&mut [0; 64]) {
            Ok(count) => count > 0,
            Err(error) => error.kind() == ErrorKind::Interrupted,
        }
    }

    /// The same for a command that is over; where a signal ended it, one to the supervisor may be on its
    /// way.
    pub(super) fn comes(&self, is_likely: bool) -> bool {
        if is_likely {
            let mut told = [PollFd::new(&self.told, PollFlags::IN)];
            let _ = poll(&mut told, Some(&ON_ITS_WAY));
        }
        self.came()
    }

    /// Whether it is time to show that it lives.
    pub(super) fn is_to_beat(&mut self) -> bool {
        let now = BootTime::now();
        let is_time = self.next_beat <= now;
        if is_time {
            self.next_beat = now.after(BEAT_EVERY);
        }
        is_time
    }
}
