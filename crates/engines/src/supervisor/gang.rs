//! An attempt on several nodes, of which a batch system starts a supervisor on each.
//!
//! The first is the *leader*: it claims the attempt, and writes its result. The others are *members*: they
//! run the same command beside it, each with a directory of its own for logs and result. None runs
//! anything until all are there, so that part of a gang never runs; and where one ends badly, or is heard
//! of no more, all end.

use crate::attempt_dir::{AttemptDir, wall_clock};
use crate::{Cause, Error, Outcome};
use model::Span;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// How often a supervisor looks for the others while it has nothing else to do.
const LOOK_EVERY: Span = Span(250);
/// For how long a member may say nothing: six of its beats.
const SILENT: Span = Span::from_secs(30);
/// How many looks are between two beats.
const BEAT_EVERY: u32 = 20;

/// The variable in which a node may say by what address the others reach it.
const ADDRESS: &str = "PORTOLAN_ADDRESS";

/// A supervisor's place in a gang.
#[derive(Debug)]
pub(super) struct Gang {
    main: AttemptDir,
    rank: u32,
    /// The addresses of all, by rank.
    hosts: Vec<String>,
    secrets: BTreeMap<String, String>,
    /// How the member ended for which the leader ends.
    ended_for: OnceCell<Outcome>,
}

impl Gang {
    /// Takes a place in the gang of `nodes`, and waits until all places are taken. None if this
    /// supervisor is one too many, or the attempt was given up.
    pub(super) fn join(main: &AttemptDir, nodes: u32) -> Result<Option<Self>, Error> {
        // Its leader removes them once all are there.
        let secrets = main.read_secrets()?;
        let mut ranks = 0..nodes;
        let rank = loop {
            let Some(rank) = ranks.next() else { return Ok(None) };
            if main.take_seat(rank, &own_address())? {
                break rank;
            }
        };
        if rank > 0 {
            main.make_member(rank)?;
        }
        let mut watch = Waiting::new(main, rank);
        let hosts = loop {
            if !main.holds_attempt() || main.read_result()?.is_some() {
                return Ok(None);
            }
            let hosts: Vec<String> = seats(main, nodes)?;
            if hosts.len() == usize::try_from(nodes).unwrap_or(usize::MAX) {
                break hosts;
            }
            if super::given_up_before_start(main, None)?.is_some() {
                break hosts;
            }
            watch.pause();
        };
        Ok(Some(Self { main: main.clone(), rank, hosts, secrets, ended_for: OnceCell::new() }))
    }

    pub(super) const fn is_leader(&self) -> bool {
        self.rank == 0
    }

    /// A member's own directory, once the leader's command runs; none if it never will.
    pub(super) fn await_leader(&self) -> Result<Option<AttemptDir>, Error> {
        let mut watch = Waiting::new(&self.main, self.rank);
        loop {
            if !self.main.holds_attempt() || self.main.read_result()?.is_some() {
                return Ok(None);
            }
            if self.main.read_running()?.is_some() {
                return Ok(Some(self.main.member(self.rank)));
            }
            watch.pause();
        }
    }

    /// What the command gets to see of its gang.
    pub(super) fn environment(&self) -> impl Iterator<Item = (String, String)> {
        self.secrets.clone().into_iter().chain(place(self.rank, &self.hosts))
    }

    /// Why this one is to end: the others do, or are heard of no more.
    pub(super) fn wants_end(&self) -> Option<Cause> {
        // What cannot be read now can be in a second.
        let end = if self.is_leader() { self.first_bad() } else { self.leaders_end() };
        let end = end.ok().flatten()?;
        Some(self.ended_for.get_or_init(|| end).cause.clone())
    }

    fn leaders_end(&self) -> Result<Option<Outcome>, Error> {
        if self.main.is_dismissed() || !self.main.holds_attempt() {
            return Ok(Some(gone(Cause::Stopped)));
        }
        if let Some(outcome) = self.main.read_result()? {
            return Ok(Some(outcome));
        }
        let silent = self.main.silent_for()?.is_some_and(|silent| silent >= SILENT);
        Ok(silent.then(|| gone(Cause::Evicted)))
    }

    /// How the first member ended that did not end well.
    fn first_bad(&self) -> Result<Option<Outcome>, Error> {
        for rank in self.members() {
            let member = self.main.member(rank);
            match member.read_result()? {
                Some(outcome) if !outcome.is_success() => return Ok(Some(outcome)),
                Some(_) => {}
                None if member.silent_for()?.is_some_and(|silent| silent >= SILENT) => {
                    return Ok(Some(gone(Cause::Evicted)));
                }
                None => {}
            }
        }
        Ok(None)
    }

    fn members(&self) -> impl Iterator<Item = u32> + use<> {
        1..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)
    }

    /// Waits until all members have ended, which they are told to unless all is well; how the gang ended
    /// whose leader did so. Members keep limit, lease and requests to stop by themselves.
    pub(super) fn settle(&self, own: Outcome) -> Outcome {
        let mut outcome = match self.ended_for.get() {
            Some(bad) => Outcome { started: own.started, usage: own.usage, ..bad.clone() },
            None => own,
        };
        let mut watch = Waiting::new(&self.main, self.rank);
        loop {
            if outcome.is_success()
                && let Ok(Some(bad)) = self.first_bad()
            {
                outcome = Outcome { started: outcome.started, usage: outcome.usage, ..bad };
            }
            if !outcome.is_success() {
                // Tried again until they are gone.
                let _ = self.main.dismiss();
            }
            if self.members().all(|rank| has_ended(&self.main.member(rank))) {
                break;
            }
            watch.pause();
        }
        for rank in self.members() {
            if let Ok(Some(member)) = self.main.member(rank).read_result() {
                let usage = &mut outcome.usage;
                usage.user = usage.user + member.usage.user;
                usage.system = usage.system + member.usage.system;
                usage.max_rss = usage.max_rss.max(member.usage.max_rss);
                outcome.truncated |= member.truncated;
            }
        }
        Outcome { ended: wall_clock(), ..outcome }
    }
}

/// Whether a member has ended, or is heard of no more.
fn has_ended(member: &AttemptDir) -> bool {
    let silent = || member.silent_for().is_ok_and(|silent| silent.is_some_and(|s| s >= SILENT));
    member.read_result().is_ok_and(|result| result.is_some()) || silent()
}

/// The addresses of all who are there, by rank.
fn seats(main: &AttemptDir, nodes: u32) -> Result<Vec<String>, Error> {
    (0..nodes).filter_map(|rank| main.read_seat(rank).transpose()).collect()
}

fn own_address() -> String {
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    std::env::var(ADDRESS).unwrap_or_else(|_| host())
}

/// What a command that is on one node gets to see, where one on several would see its gang.
pub(super) fn of_one() -> impl Iterator<Item = (String, String)> {
    place(0, &[own_address()])
}

fn place(rank: u32, hosts: &[String]) -> impl Iterator<Item = (String, String)> + use<> {
    let place = [
        ("PORTOLAN_RANK", rank.to_string()),
        ("PORTOLAN_NODES", hosts.len().to_string()),
        ("PORTOLAN_HOSTS", hosts.join(",")),
    ];
    place.into_iter().map(|(name, value)| (name.to_owned(), value))
}

/// An outcome of one that is heard of no more.
fn gone(cause: Cause) -> Outcome {
    Outcome::never_ran(cause, wall_clock())
}

/// Waiting for others, while they see that one is there.
struct Waiting {
    own: AttemptDir,
    looks: u32,
}

impl Waiting {
    fn new(main: &AttemptDir, rank: u32) -> Self {
        let own = if rank == 0 { main.clone() } else { main.member(rank) };
        Self { own, looks: 0 }
    }

    fn pause(&mut self) {
        if self.looks.is_multiple_of(BEAT_EVERY) {
            let _ = self.own.beat();
        }
        self.looks = self.looks.wrapping_add(1);
        // tidy: nothing tells what happens on other machines
        std::thread::sleep(LOOK_EVERY.to_std());
    }
}
