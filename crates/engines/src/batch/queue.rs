//! What a batch system has to do to be an engine: this trait is all of it.

use crate::{Capacity, Error, PoolSize, RunAs};
use model::{Bytes, Cores, Span, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// How many entries that are no longer active are asked about one by one in a look.
const ASKED_ONE_BY_ONE: usize = 100;

/// A batch system, as one cluster runs it.
///
/// It starts a command on the first node of what it gives, or on each, and may lose it, start it twice,
/// forget it or call another by its number: none of this is the queue's concern. What it must not do is
/// guess. Where it does not know, it fails with [`Error::Silent`], and is asked again.
pub trait Queue: fmt::Debug + Send + Sync + 'static {
    /// The engine's kind, such as `slurm`.
    fn kind(&self) -> &'static str;

    /// The version it was found in, for people.
    fn version(&self) -> &str;

    /// What the command gets to see of the environment it is started in: variables whose names begin
    /// with one of these.
    fn keeps(&self) -> &'static [&'static str] {
        &[]
    }

    /// The variables in which it may list the chips that it gave.
    fn chips_in(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a command sees the chips that it was given and no others, numbered from zero.
    fn numbers_chips_anew(&self) -> bool {
        false
    }

    /// How the control group is called in which nothing runs but what one entry started, with a variable of
    /// its environment at the end as `$NAME`; empty where every command has one, and none where that cannot
    /// be told. Whatever the kernel kills in it for want of memory was the command's.
    fn own_group(&self) -> Option<&'static str> {
        None
    }

    /// Whether it can run a command in a container image that is named.
    fn runs_images(&self) -> bool {
        false
    }

    /// Whether it starts the command on every node of a gang; else it does on the first, and what it runs
    /// reaches the others by the batch system's own means.
    fn starts_everywhere(&self) -> bool {
        false
    }

    /// Whom entries of a tenant run as, or of nobody in particular; none for the agent's own user.
    fn user(&self, tenant: Option<&TenantId>) -> Option<RunAs>;

    /// Whether any entries run as somebody else than the agent's own user.
    fn has_users(&self) -> bool {
        self.user(None).is_some()
    }

    /// Enters a command. [`Error::Rejected`] if it will never be taken.
    fn submit(&self, ticket: &Ticket<'_>) -> impl Future<Output = Result<Entry, Error>> + Send;

    /// All entries of this name that it still knows, over or not.
    fn named(&self, name: &str) -> impl Future<Output = Result<Vec<Entry>, Error>> + Send;

    /// What is there of a ticket that may have been entered before. [`Error::Rejected`] if that cannot be
    /// found out and it will never be taken.
    fn entered(
        &self,
        ticket: &Ticket<'_>,
    ) -> impl Future<Output = Result<Vec<Entry>, Error>> + Send {
        self.named(ticket.name)
    }

    /// All entries that are not over and whose names begin so. Costs one call, however many there are,
    /// and nothing for entries of others where that can be had.
    fn active(&self, prefix: &str) -> impl Future<Output = Result<Vec<Entry>, Error>> + Send;

    /// What has become of these entries. As little is asked as will do: what is left for another time is
    /// said to be so.
    fn look(
        &self,
        prefix: &str,
        open: &[Open],
    ) -> impl Future<Output = Result<Seen, Error>> + Send {
        list(self, prefix, open)
    }

    /// What has become of these entries, and what else there is that is not over, for an engine that was
    /// opened just now: an earlier one may have left it.
    fn look_over(
        &self,
        prefix: &str,
        open: &[Open],
    ) -> impl Future<Output = Result<Seen, Error>> + Send {
        list(self, prefix, open)
    }

    /// What an entry of this name and number is called by people who look for it with its own tools.
    fn called<'a>(&self, name: &'a str, number: &'a str) -> &'a str {
        let _ = name;
        number
    }

    /// Asks for an entry's end, at once. One that is over, or not there, is no error.
    fn cancel(&self, entry: &Entry) -> impl Future<Output = Result<(), Error>> + Send;

    /// How many nodes of each pool take work, now or when what they run is over; only pools of which it
    /// can tell.
    fn nodes(&self) -> impl Future<Output = Result<BTreeMap<String, u32>, Error>> + Send {
        std::future::ready(Ok(BTreeMap::new()))
    }

    /// How large pools are, whatever state their nodes are in; only pools of which it can tell.
    fn pools(&self) -> impl Future<Output = Result<BTreeMap<String, PoolSize>, Error>> + Send {
        std::future::ready(Ok(BTreeMap::new()))
    }

    /// What all its nodes have that are in order now.
    fn capacity(&self) -> impl Future<Output = Result<Capacity, Error>> + Send;
}

/// Looks by a list of all that is active, and for those that are not in it by name.
pub(crate) async fn list<Q: Queue + ?Sized>(
    queue: &Q,
    prefix: &str,
    open: &[Open],
) -> Result<Seen, Error> {
    let mut seen = Seen { entries: queue.active(prefix).await?, unasked: BTreeSet::new() };
    let active: BTreeSet<&str> = seen.entries.iter().map(|entry| entry.name.as_str()).collect();
    let missing = open.iter().filter(|one| !active.contains(one.name.as_str()));
    let missing: Vec<&Open> = missing.collect();
    let (now, later) = missing.split_at(missing.len().min(ASKED_ONE_BY_ONE));
    for one in now {
        seen.entries.extend(queue.named(&one.name).await?);
    }
    seen.unasked = later.iter().map(|one| one.name.clone()).collect();
    Ok(seen)
}

/// An entry that was not over when it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The name it was entered by.
    pub name: String,
    /// The number it was given.
    pub number: String,
    /// Whether it was said to be active, and what looks after it says itself that it is alive: then
    /// there is little to be learned about it.
    pub is_heard: bool,
}

/// What a look brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What was found, over or not.
    pub entries: Vec<Entry>,
    /// The names of those that were not asked about.
    pub unasked: BTreeSet<String>,
}

/// A command to be entered.
#[derive(Debug, Clone, Copy)]
pub struct Ticket<'a> {
    /// Its name, which no other entry of this engine has: letters, digits and hyphens.
    pub name: &'a str,
    /// Program and arguments.
    pub command: &'a [String],
    /// Where it is started, and where what it says before it does anything is to go.
    pub dir: &'a Path,
    /// The pool it is for.
    pub pool: &'a str,
    /// Whose it is, where that is known.
    pub tenant: Option<&'a TenantId>,
    /// How many nodes, all at once.
    pub nodes: u32,
    /// Chips on each.
    pub chips_per_node: u32,
    /// The container image it is to run in, if one is named and it [can](Queue::runs_images).
    pub image: Option<&'a str>,
    /// Cores on each; none leaves it to the batch system.
    pub cores: Option<Cores>,
    /// Memory on each; none leaves it to the batch system.
    pub memory: Option<Bytes>,
    /// When it may be ended by force; none for never.
    pub limit: Option<Span>,
}

/// A command that a batch system knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number there, which may be used again after a crash.
    pub number: String,
    /// The name it was entered by.
    pub name: String,
    /// How it is.
    pub phase: Phase,
}

/// How an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It waits, for the reason given.
    Waiting(String),
    /// It waits for what will never be, for the reason given: some batch systems take what they could
    /// never run.
    Hopeless(String),
    /// It runs, or is about to, or is being cleaned up behind.
    Running,
    /// It is over, and every process of it is known to be gone.
    Over(String),
    /// It is over, every process of it is known to be gone, and they are for having used more memory than
    /// they were given.
    OutOfMemory(String),
    /// It is over as far as the batch system is concerned, but what ran on a node that does not answer
    /// may run on.
    OutOfReach(String),
}

impl Phase {
    /// Whether it may still come to something.
    pub(crate) const fn is_active(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::Hopeless(_) | Self::Running)
    }
}
