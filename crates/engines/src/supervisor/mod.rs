//! The process that looks after one attempt.
//!
//! It is started by the engine, or by a batch system on a node of its own. It claims the attempt, runs
//! the command, enforces limit, lease and stop requests, and writes the result once nothing of the
//! attempt lives any more. It needs neither agent nor server: killed agents, full pipes and lost hints
//! change nothing.
//!
//! One thread, no async runtime, and it only ever signals its own unreaped children, so that no
//! signal can hit a stranger that was given a used process number.

mod command;
mod deadline;
mod eviction;
mod gang;
mod log;
mod starter;
mod tree;

pub(crate) use starter::{Ended, Wish};

use crate::attempt_dir::{AttemptDir, Batch, Order, Running, wall_clock};
use crate::cgroup::{AttemptGroups, Cgroups};
use crate::{BootTime, Cause, Error, Exit, Launch, Outcome, Stream};
use deadline::Alarm;
use eviction::Eviction;
use gang::Gang;
use log::LogPump;
use model::{Moment, Span};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use tree::Tree;

/// How often a supervisor on a node that nobody can reach looks whether it is to stop.
const LOOK_EVERY: Span = Span::from_secs(1);
/// What a batch system leaves between its TERM and its KILL: half of Slurm's default, for the result has
/// to be written too.
const KILL_WAIT: Span = Span::from_secs(15);
/// What nobody sees pass.
const SOON: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How often, and how far apart, the result is tried to be written.
const RESULT_TRIES: u32 = 600;
const RESULT_PAUSE: Span = Span::from_secs(1);

/// The argument by which a supervisor's program becomes the process that starts supervisors.
pub(crate) const ON_REQUEST: &str = "--on-request";

/// The whole of the hidden command `portolan supervise`, with the words after it; to be called before any
/// thread or async runtime is started.
///
/// With `DIR` it looks after the attempt in this directory until that is over. It returns at once, with
/// success, if another process has claimed the attempt, and fails only if the attempt's files cannot be
/// read or written; what went wrong is on standard error. With `--on-request DIR` it starts supervisors
/// for attempts in the directories in this one, as the engine asks on standard input, until that ends.
#[must_use]
pub fn supervise(words: &[OsString]) -> ExitCode {
    match words {
        [dir] if dir != ON_REQUEST => {
            let means = Means { secrets: BTreeMap::new(), groups: Cgroups::of_this_process() };
            look_after_attempt(&AttemptDir::new(dir.into()), &means)
        }
        [word, dir] if word == ON_REQUEST => starter::serve(Path::new(dir)),
        _ => {
            let _ = writeln!(std::io::stderr(), "usage: portolan-supervise [{ON_REQUEST}] DIR");
            ExitCode::FAILURE
        }
    }
}

/// What a supervisor has at hand besides the attempt's files.
struct Means {
    /// The attempt's secrets, where the engine handed them over.
    secrets: BTreeMap<String, String>,
    groups: Cgroups,
}

fn look_after_attempt(dir: &AttemptDir, means: &Means) -> ExitCode {
    match run(dir, means) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(dir, error);
            ExitCode::FAILURE
        }
    }
}

fn run(dir: &AttemptDir, means: &Means) -> Result<(), Error> {
    // Fails only for a group leader, which then is no part of the agent's group either.
    let _ = rustix::process::setsid();
    let Some(Order { launch, batch, .. }) = dir.read_order()? else { return Ok(()) };
    let gang = match batch.as_ref().map(|batch| batch.nodes) {
        Some(nodes) if nodes > 1 => match Gang::join(dir, nodes)? {
            Some(gang) => Some(gang),
            None => return Ok(()),
        },
        _ => None,
    };
    let own = match gang.as_ref().filter(|gang| !gang.is_leader()) {
        Some(gang) => match gang.await_leader()? {
            Some(own) => own,
            None => return Ok(()),
        },
        None => dir.clone(),
    };
    if !own.claim()? {
        return Ok(());
    }
    let begun = wall_clock();
    let post = Post { main: dir, own, gang, means };
    let outcome = match given_up_before_start(dir, launch.lease)? {
        Some(cause) => Outcome::never_ran(cause, begun),
        None => look_after(&post, &launch, batch.as_ref())
            .unwrap_or_else(|why| Outcome::never_ran(Cause::CouldNotStart(why), begun)),
    };
    let outcome = match post.gang.as_ref().filter(|gang| gang.is_leader()) {
        // Where the leader's command never ran, no other does.
        Some(gang) if dir.read_running()?.is_some() => gang.settle(outcome),
        _ => outcome,
    };
    record(&post.own, &outcome)?;
    dir.wake();
    Ok(())
}

/// What a supervisor is for: an attempt, or one node's part of it.
struct Post<'a> {
    /// The attempt's directory: what is to be done, and how long.
    main: &'a AttemptDir,
    /// Where this supervisor writes what it has to say; the same, but for a member of a gang.
    own: AttemptDir,
    gang: Option<Gang>,
    means: &'a Means,
}

/// Writes to the common log of all supervisors, if it can be written to.
fn complain(dir: &AttemptDir, error: Error) {
    let name = dir.path().file_name().unwrap_or_default().display().to_string();
    let _ = writeln!(std::io::stderr(), "{name}: {}", error.in_full());
}

/// Writes the result. A disk that is full now may not be in a minute, and the result is all that
/// is left of hours of work.
fn record(dir: &AttemptDir, outcome: &Outcome) -> Result<(), Error> {
    let mut tries = 1;
    loop {
        match dir.write_result(outcome) {
            Ok(()) => return Ok(()),
            Err(error) if tries >= RESULT_TRIES || !dir.holds_attempt() => return Err(error),
            // tidy: the disk is full; nothing tells when it no longer is
            Err(_) => std::thread::sleep(RESULT_PAUSE.to_std()),
        }
        tries += 1;
    }
}

fn given_up_before_start(
    dir: &AttemptDir,
    ordered: Option<BootTime>,
) -> Result<Option<Cause>, Error> {
    if dir.read_stop()?.is_some() {
        return Ok(Some(Cause::Stopped));
    }
    let expired = dir.read_lease(ordered)?.is_some_and(|deadline| deadline <= BootTime::now());
    Ok(expired.then_some(Cause::LeaseExpired))
}

/// Runs the command to its end. The error is why it could not be started; nothing of it lives then.
fn look_after(post: &Post<'_>, launch: &Launch, batch: Option<&Batch>) -> Result<Outcome, String> {
    let dir = &post.own;
    let evicted = batch.map(|_| Eviction::new()).transpose()?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| format!("its orphans cannot be adopted: {error}"))?;
    let alarm = Alarm::new().map_err(|error| format!("it cannot be timed: {error}"))?;
    let lease_at = post.main.read_lease(launch.lease).map_err(Error::in_full)?;
    // A batch system limits its jobs itself; a group below its own might be entered and not be left.
    let groups = batch.is_none().then(|| post.means.groups.make(launch)).flatten();
    let alone = batch.and_then(|batch| in_environment(batch.own_group.as_deref()?));
    let alone = alone.filter(|name| post.means.groups.is_limited_in(name));
    let killed_before = alone.map(|_| post.means.groups.oom_kills());
    let started = wall_clock();
    let mut child = command::spawn(post, launch, batch, groups.as_ref()).inspect_err(|_| {
        groups.iter().for_each(AttemptGroups::remove);
    })?;
    command::outlive_the_hungry();
    let cap = launch.log_cap.0;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let logs = [
        LogPump::new(stdout.map(OwnedFd::from), dir.log(Stream::Stdout), cap),
        LogPump::new(stderr.map(OwnedFd::from), dir.log(Stream::Stderr), cap),
    ];
    let main = Pid::from_child(&child);
    let mut tree = Tree::new(main, launch);
    let mut undo = |why: String| {
        tree.kill_all();
        groups.iter().for_each(AttemptGroups::remove);
        why
    };
    let ended = rustix::process::pidfd_open(main, PidfdFlags::empty())
        .map_err(|error| undo(format!("its command cannot be watched: {error}")))?;
    let control = match batch.is_none() && is_over_soon(&ended) {
        true => None,
        false => Some(post.main.open_control().map_err(|error| undo(error.in_full()))?),
    };
    if control.is_some() {
        if let Err(error) = dir.write_running(&Running { started, command_pid: child.id() }) {
            complain(dir, error);
        }
        dir.wake();
    }
    let limit_at = launch.limit.map(|limit| BootTime::now().after(limit));
    let mut watch = Watch {
        post,
        tree,
        ended,
        logs,
        control,
        alarm,
        evicted,
        killed_before,
        limit_at,
        lease_at,
        look_at: batch.map(|_| BootTime::now()),
        grace: launch.grace,
        asks: launch.checkpoint.as_ref().and_then(|kept| tree::signal(kept.signal.as_deref()?)),
        stopping: None,
    };
    let exit = watch.until_command_ends();
    Ok(watch.finish(exit, started, (launch, groups.as_ref())))
}

/// A name with the variable at its end, after `$`, as it is here; none without such a variable.
fn in_environment(name: &str) -> Option<String> {
    match name.split_once('$') {
        None => Some(name.to_owned()),
        Some((before, variable)) => Some(before.to_owned() + &std::env::var(variable).ok()?),
    }
}

/// Whether the command ends so soon that only its end is worth telling.
fn is_over_soon(ended: &OwnedFd) -> bool {
    loop {
        match rustix::event::poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&SOON)) {
            Err(Errno::INTR) => {}
            ready => return ready.is_ok_and(|count| count > 0),
        }
    }
}

/// A command that is being stopped.
struct Stopping {
    cause: Cause,
    /// When it is told to end, while it has only been asked for a checkpoint.
    end_at: Option<BootTime>,
    kill_at: BootTime,
}

struct Watch<'a> {
    post: &'a Post<'a>,
    tree: Tree<'a>,
    ended: OwnedFd,
    logs: [LogPump; 2],
    /// Through which it is told to look at its files; none for a command that is over already.
    control: Option<File>,
    alarm: Alarm,
    /// Where a batch system runs it, by which it says that it is to go.
    evicted: Option<Eviction>,
    /// Where its control group is the attempt's own, how many the kernel had killed in it for want of memory
    /// before the command began.
    killed_before: Option<u64>,
    limit_at: Option<BootTime>,
    lease_at: Option<BootTime>,
    /// When to look at files of which nobody on another machine can tell that they changed.
    look_at: Option<BootTime>,
    grace: Span,
    /// The signal that asks for a checkpoint.
    asks: Option<Signal>,
    stopping: Option<Stopping>,
}

impl Watch<'_> {
    /// Returns when the command itself has ended, or as none when it has been given no more time;
    /// what it started may live on.
    fn until_command_ends(&mut self) -> Option<Exit> {
        loop {
            if let Some(exit) = self.tree.reap() {
                return Some(exit);
            }
            let looks = self.is_to_look();
            self.heed_stop_request(looks);
            self.heed_eviction();
            if looks {
                self.heed_gang();
            }
            if self.enforce(BootTime::now()) {
                return None;
            }
            self.wait();
        }
    }

    /// Sleeps until anything happens, and copies what was written to the logs.
    fn wait(&mut self) {
        let stopping = self.stopping.as_ref();
        let next = stopping.map(|stopping| stopping.end_at.unwrap_or(stopping.kill_at));
        self.alarm
            .set([self.limit_at, self.lease_at, next, self.look_at].into_iter().flatten().min());
        let mut fds = vec![
            PollFd::new(&self.ended, PollFlags::IN),
            PollFd::new(self.alarm.fd(), PollFlags::IN),
        ];
        fds.extend(self.control.iter().map(|told| PollFd::new(told, PollFlags::IN)));
        fds.extend(self.evicted.iter().map(|told| PollFd::new(told.fd(), PollFlags::IN)));
        let logs = self.logs.iter().filter_map(LogPump::source);
        fds.extend(logs.map(|fd| PollFd::new(fd, PollFlags::IN)));
        match rustix::event::poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            // Out of kernel memory: look again soon rather than leave the command alone.
            // tidy: nothing to wait for, the system is short of memory
            Err(_) => std::thread::sleep(Span(100).to_std()),
        }
        self.alarm.acknowledge();
        self.logs.iter_mut().for_each(LogPump::copy_ready);
    }

    fn is_to_look(&mut self) -> bool {
        let now = BootTime::now();
        let is_time = self.look_at.is_some_and(|at| at <= now);
        if is_time {
            self.look_at = Some(now.after(LOOK_EVERY));
        }
        is_time
    }

    fn heed_stop_request(&mut self, looks: bool) {
        let mut hints = [0; 64];
        let mut asked = looks || self.alarm.rang();
        while self.control.as_mut().is_some_and(|c| c.read(&mut hints).is_ok_and(|n| n > 0)) {
            asked = true;
        }
        if !asked {
            return;
        }
        match self.post.main.read_stop() {
            Ok(Some(grace)) => self.begin_stop(Cause::Stopped, grace),
            Ok(None) => {}
            Err(error) => complain(&self.post.own, error),
        }
    }

    /// On a batch system's node: shows that it lives, and ends what the batch system wants to be gone.
    fn heed_eviction(&mut self) {
        let Some(evicted) = &mut self.evicted else { return };
        if evicted.is_to_beat() {
            let _ = self.post.own.beat();
        }
        if evicted.came() {
            self.begin_stop(Cause::Evicted, self.grace.min(KILL_WAIT));
        }
    }

    /// Ends with the others of a gang.
    fn heed_gang(&mut self) {
        if self.stopping.is_none()
            && let Some(cause) = self.post.gang.as_ref().and_then(Gang::wants_end)
        {
            self.begin_stop(cause, self.grace);
        }
    }

    /// Stops the command if its time is over. True once it must be killed.
    fn enforce(&mut self, now: BootTime) -> bool {
        if self.limit_at.is_some_and(|at| at <= now) {
            self.limit_at = None;
            self.begin_stop(Cause::TimeLimit, self.grace);
        }
        if self.lease_at.is_some_and(|at| at <= now) {
            // It may have been extended since it was last read. One that cannot be read was not.
            let moved = self.post.main.read_lease(None);
            self.lease_at = moved.ok().flatten().filter(|&at| at > now);
            if self.lease_at.is_none() {
                self.begin_stop(Cause::LeaseExpired, self.grace);
            }
        }
        let Some(stopping) = &mut self.stopping else { return false };
        if stopping.end_at.is_some_and(|at| at <= now) {
            stopping.end_at = None;
            self.tree.ask_to_end();
        }
        stopping.kill_at <= now
    }

    /// The first cause stays; a later one can only bring the end nearer.
    fn begin_stop(&mut self, cause: Cause, grace: Span) {
        let now = BootTime::now();
        let kill_at = now.after(grace);
        if let Some(stopping) = &mut self.stopping {
            stopping.kill_at = stopping.kill_at.min(kill_at);
            stopping.end_at = stopping.end_at.map(|at| at.min(kill_at));
            return;
        }
        let asks = self.asks.filter(|_| grace > Span::ZERO);
        match asks {
            Some(signal) => self.tree.ask(signal),
            None => self.tree.ask_to_end(),
        }
        let end_at = asks.map(|_| now.after(Span(grace.0 / 2)));
        self.stopping = Some(Stopping { cause, end_at, kill_at });
    }

    /// Whether a command that ended, not well, was told to by a batch system. That tells all processes at
    /// once, and the command may have gone before its supervisor heard of it.
    fn was_evicted(&self, exit: Option<Exit>) -> bool {
        let told = matches!(exit, Some(Exit::Signaled(15)));
        let well = exit == Some(Exit::Exited(0));
        !well && self.evicted.as_ref().is_some_and(|evicted| evicted.comes(told))
    }

    /// Kills whatever is left and tells how it all ended.
    fn finish(
        mut self,
        exit: Option<Exit>,
        started: Moment,
        (launch, groups): (&Launch, Option<&AttemptGroups>),
    ) -> Outcome {
        groups.into_iter().for_each(AttemptGroups::kill);
        let killed = self.tree.kill_all();
        let exit = exit.or(killed);
        self.logs.iter_mut().for_each(LogPump::drain);
        let killed_here = |before: u64| self.post.means.groups.oom_kills() > before;
        let out_of_memory = groups.is_some_and(|groups| groups.oom_kills() > 0)
            || self.killed_before.is_some_and(killed_here);
        groups.into_iter().for_each(AttemptGroups::remove);
        let out_of_memory = launch.enclosure.clear_away(launch, exit) || out_of_memory;
        let cause = match self.stopping {
            Some(stopping) => stopping.cause,
            None if self.was_evicted(exit) => Cause::Evicted,
            None if out_of_memory && exit != Some(Exit::Exited(0)) => Cause::OutOfMemory,
            None => Cause::Finished,
        };
        Outcome {
            exit: exit.map(|exit| launch.enclosure.exit(exit)),
            cause,
            started,
            ended: wall_clock(),
            usage: tree::usage(),
            truncated: self.logs.iter().any(LogPump::is_truncated),
        }
    }
}
