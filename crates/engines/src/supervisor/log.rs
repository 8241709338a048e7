//! Copying a command's output to a file, up to a cap.

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

const BUFFER: usize = 64 << 10;

/// Goes on reading past the cap, so that the command never blocks or dies for its talk.
pub(super) struct LogPump {
    source: Option<OwnedFd>,
    path: PathBuf,
    /// Made with the first byte: most commands leave at least one of their logs empty.
    file: Option<File>,
    room: u64,
    truncated: bool,
}

impl LogPump {
    pub(super) fn new(source: Option<OwnedFd>, path: PathBuf, cap: u64) -> Self {
        Self { source, path, file: None, room: cap, truncated: false }
    }

    /// The pipe to wait for, until its end.
    pub(super) const fn source(&self) -> Option<&OwnedFd> {
        self.source.as_ref()
    }

    pub(super) const fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Copies one buffer if there is anything to read. False if there was not.
    fn copy_one(&mut self) -> bool {
        let Some(source) = &self.source else { return false };
        let mut fds = [PollFd::new(source, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if !rustix::event::poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0) {
            return false;
        }
        // Not of zeros: a command that says nothing is not to cost as much memory as one that talks.
        let mut buffer = Vec::with_capacity(BUFFER);
        match rustix::io::read(source, spare_capacity(&mut buffer)) {
            Ok(0) => self.source = None,
            Ok(_) => self.keep(&buffer),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => self.source = None,
        }
        self.source.is_some()
    }

    fn keep(&mut self, bytes: &[u8]) {
        let kept = usize::try_from(self.room).unwrap_or(usize::MAX).min(bytes.len());
        // A full disk is one more reason to drop, not to disturb the command.
        let written = self.write(&bytes[..kept]).is_ok();
        self.truncated |= kept < bytes.len() || !written;
        self.room -= u64::try_from(kept).expect("lengths fit in 64 bits");
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = OpenOptions::new();
                let options = options.write(true).create(true).truncate(true).mode(0o600);
                none.insert(options.open(&self.path)?)
            }
        };
        file.write_all(bytes)
    }

    pub(super) fn copy_ready(&mut self) {
        self.copy_one();
    }

    /// Copies all that is in the pipe now, without waiting for its end: a stranger may hold it.
    pub(super) fn drain(&mut self) {
        while self.copy_one() {}
    }
}
