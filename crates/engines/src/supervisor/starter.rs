//! The process that starts supervisors.
//!
//! To start a program costs more than all else that a supervisor does for a short command, and to fork one
//! that already runs a fraction of it. So the engine starts this program once, and asks it for a
//! supervisor a line each. It decides nothing and keeps nothing: it ends with the engine, and its
//! supervisors go on.

use super::{Means, look_after_attempt};
use crate::attempt_dir::AttemptDir;
use crate::cgroup::Cgroups;
use fork::Fork;
use model::AttemptId;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::process::WaitOptions;
use serde::{Deserialize, Serialize};
use signal_hook::SigId;
use signal_hook::consts::SIGCHLD;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

/// What the engine asks for: a line of JSON on standard input. Not to be printed, for its secrets.
#[derive(Serialize, Deserialize)]
pub(crate) struct Wish {
    pub(crate) attempt: AttemptId,
    /// The attempt's secrets: neither on disk nor in any process's environment but its command's.
    pub(crate) secrets: BTreeMap<String, String>,
}

/// What it is told of every supervisor: a line of JSON on standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) attempt: AttemptId,
    /// How it ended, or why it could not be started.
    pub(crate) how: String,
}

/// Starts supervisors for attempts in this directory for as long as the engine wishes.
pub(super) fn serve(network_dir: &Path) -> ExitCode {
    // Or what is typed to its agent would end it.
    let _ = rustix::process::setsid();
    let groups = Cgroups::of_this_process();
    let wish = match Starter::new().and_then(Starter::until_one_is_wished_here) {
        Ok(Some(wish)) => wish,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "supervisors can no longer be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    let dir = network_dir.join(wish.attempt.to_string());
    // Where it fails there is no attempt any more, which is found out next.
    let _ = std::env::set_current_dir(&dir);
    let means = Means { secrets: wish.secrets, groups };
    look_after_attempt(&AttemptDir::new(dir), &means)
}

struct Starter {
    /// By process number.
    started: BTreeMap<i32, AttemptId>,
    /// Has something to read when a child has ended.
    ended: UnixStream,
    listens: SigId,
    /// Of a line whose end has not been read yet.
    input: Vec<u8>,
}

impl Starter {
    fn new() -> io::Result<Self> {
        let (ended, teller) = UnixStream::pair()?;
        ended.set_nonblocking(true)?;
        let listens = signal_hook::low_level::pipe::register(SIGCHLD, teller)?;
        Ok(Self { started: BTreeMap::new(), ended, listens, input: Vec::new() })
    }

    /// Returns a wish in the process that is to fulfil it; none once nobody wishes any more.
    fn until_one_is_wished_here(mut self) -> io::Result<Option<Wish>> {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN),
                PollFd::new(&self.ended, PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            let [asked, ended] = fds.map(|fd| !fd.revents().is_empty());
            if ended {
                self.tell_of_the_ended()?;
            }
            if asked && !self.read()? {
                return Ok(None);
            }
            while let Some(wish) = self.next_wish()? {
                match fork::fork() {
                    Ok(Fork::Child) => return self.let_go().map(|()| Some(wish)),
                    Ok(Fork::Parent(child)) => drop(self.started.insert(child, wish.attempt)),
                    Err(error) => tell(wish.attempt, error.to_string())?,
                }
            }
        }
    }

    /// Whether there may be more.
    fn read(&mut self) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
            Ok(count) => {
                self.input.extend_from_slice(&buffer[..count]);
                Ok(count > 0)
            }
            Err(Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn next_wish(&mut self) -> io::Result<Option<Wish>> {
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        Ok(Some(serde_json::from_slice(&line)?))
    }

    fn tell_of_the_ended(&mut self) -> io::Result<()> {
        while (&self.ended).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        while let Ok(Some((child, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            if let Some(attempt) = self.started.remove(&child.as_raw_pid()) {
                tell(attempt, ExitStatus::from_raw(status.as_raw()).to_string())?;
            }
        }
        Ok(())
    }

    /// In a supervisor: holds nothing any more by which engine and starter hear of each other.
    fn let_go(self) -> io::Result<()> {
        signal_hook::low_level::unregister(self.listens);
        let null = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        Ok(())
    }
}

fn tell(attempt: AttemptId, how: String) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Ended { attempt, how })?;
    line.push(b'\n');
    io::stdout().write_all(&line)
}
