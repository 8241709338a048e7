//! What reaches an agent's decisions, and what comes of them.

use model::attempt::{Ended, Outcome};
use model::{AttemptId, Bytes, DatasetVersion, Lies, PoolId, Span, StoreId, TransferId};
use std::collections::BTreeMap;
use wire::{LinkTest, MadeOutput, Measure, Order, Report, Run, RunInput, RunOutput, Stage};

/// What can reach an agent's decisions.
#[derive(Debug, Clone)]
pub enum Event {
    /// The server let the agent in; orders of an older session no longer count.
    Joined {
        /// All data in the store.
        data: Vec<DatasetVersion>,
    },
    /// The server's orders.
    Orders {
        /// Whether these are all there are.
        full: bool,
        /// The orders, oldest first.
        orders: Vec<Order>,
    },
    /// The server answered a poll: leases of attempts go on, counted from when it was sent.
    Renewed {
        /// When the poll was sent.
        sent: u64,
    },
    /// Everything the engine knows of this network's attempts. Before the first of these nothing is decided:
    /// what was ordered may be there already.
    LookedAround(BTreeMap<AttemptId, Seen>),
    /// What the engine knows of some of them.
    Observed(BTreeMap<AttemptId, Seen>),
    /// The center's batch system has an attempt, which was observed before. May be told each time it is.
    Entered {
        /// Which.
        attempt: AttemptId,
        /// What it calls it.
        called: String,
    },
    /// An attempt wrote a checkpoint.
    Checkpointed {
        /// Which.
        attempt: AttemptId,
        /// How long after its start.
        after: Span,
    },
    /// An attempt was not started, and never will be.
    NotStarted {
        /// Which.
        attempt: AttemptId,
        /// Whether the center refuses it or its engine could not start it, and why.
        outcome: Outcome,
    },
    /// A copy has come or was sent or a test has had its time, or it could not be.
    Fetched {
        /// By which transfer or test.
        transfer: TransferId,
        /// What came of it.
        end: Result<Fetched, NotFetched>,
    },
    /// A doubted copy was read.
    Verified {
        /// Of which data.
        data: DatasetVersion,
        /// How large it is, in bytes and files, if it is whole; else how many chunks are damaged.
        /// A damaged one is in the store no more.
        whole: Result<(Bytes, u64), u64>,
    },
    /// A copy was to be removed.
    Removed {
        /// Of which data.
        data: DatasetVersion,
        /// Whether it is gone.
        gone: bool,
    },
    /// How large the store is.
    Room {
        /// How much it holds: what is in it and what more may come in.
        capacity: Bytes,
        /// What the copies in it take.
        stored: Bytes,
    },
    /// How many nodes of the center's pools take work, by pool; told by engines that count them.
    Nodes(BTreeMap<PoolId, u32>),
    /// Somebody put data into the store.
    Stored {
        /// Name and version.
        data: DatasetVersion,
        /// All its bytes.
        bytes: Bytes,
        /// How many files.
        files: u64,
        /// What was sent for it.
        sent: Fetched,
    },
    /// All data that lies in external stores. Told before [`Event::Joined`], and when it has changed.
    InPlace(BTreeMap<DatasetVersion, InPlace>),
    /// Data that lies in an external store was to be brought into the store.
    Brought {
        /// Which.
        data: DatasetVersion,
        /// Whether it is there, or why it could not be had, for people.
        end: Result<(), String>,
    },
    /// A copy was to be put into an external store.
    Archived {
        /// Which data.
        data: DatasetVersion,
        /// Into which store.
        store: StoreId,
        /// How it lies there, or why it could not be put there, for people.
        end: Result<InPlace, String>,
    },
    /// A completed attempt's outputs are in the store, or could not be kept.
    OutputsKept {
        /// Whose.
        attempt: AttemptId,
        /// What came of it.
        outputs: Result<Vec<MadeOutput>, String>,
    },
    /// A window of a measurement closed; [`Report::Probed`] or [`Report::Delivered`].
    Measured(Report),
    /// The first so many reports are durable at the server.
    Acknowledged(usize),
    /// Time passed.
    Tick,
}

/// Data that lies in an external store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InPlace {
    /// In which, and how.
    pub lies: Lies,
    /// All its bytes.
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
}

/// What the engine sees of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is about to run.
    Starting,
    /// It was taken, and nobody is at it: whoever launched it was killed meanwhile. To launch it again has
    /// it run, to stop it ends it.
    Unattended,
    /// Its process runs.
    Running,
    /// Nothing of it is alive.
    Ended(Ended),
}

/// A copy that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetched {
    /// Bytes that crossed the links.
    pub moved: Bytes,
    /// Chunks that came damaged and were fetched again.
    pub corrupted: u64,
}

/// Why a copy could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFetched {
    /// Why, for people.
    pub why: String,
    /// Whether the source's copy is to blame.
    pub damaged: bool,
}

impl Event {
    /// Whether there is more or less in the store after this, or it is to be told anew how much: an
    /// [`Event::Room`] should come with it.
    #[must_use]
    pub const fn changes_the_store(&self) -> bool {
        matches!(
            self,
            Self::Joined { .. }
                | Self::Stored { .. }
                | Self::Removed { .. }
                | Self::Verified { .. }
                | Self::Fetched { .. }
                | Self::Brought { .. }
                | Self::OutputsKept { .. }
        )
    }
}

/// What the agent must do. Each may be carried out twice without harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start an attempt.
    Launch {
        /// What.
        run: Box<Run>,
        /// When its lease runs out unless extended, on the clock of `now`; none to hold.
        lease: Option<u64>,
    },
    /// Stop an attempt: politely, then hard.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// Between the two signals.
        grace: Span,
    },
    /// Let an attempt's lease run until then.
    ExtendLease {
        /// Which.
        attempt: AttemptId,
        /// On the clock of `now`.
        until: u64,
    },
    /// Take a completed attempt's outputs into the store.
    KeepOutputs {
        /// Whose.
        attempt: AttemptId,
        /// What it makes.
        outputs: Vec<RunOutput>,
    },
    /// The server knows how an attempt ended: what is kept of it is for its log's readers only.
    Settle {
        /// Which.
        attempt: AttemptId,
    },
    /// Fetch a copy.
    Fetch(Box<Stage>),
    /// See to it that there is room for a copy that is sent here; it is told by [`Event::Stored`].
    Expect(Box<Stage>),
    /// Send a copy into another center's store, and say so by [`Event::Fetched`].
    Send(Box<wire::Send>),
    /// Bring data that lies in an external store into the store, and say so by [`Event::Brought`].
    Bring {
        /// Which.
        data: DatasetVersion,
    },
    /// Let an attempt read these inputs over the network. Said again when where they are read from has
    /// changed, and to an agent that was started anew.
    Read {
        /// Which attempt.
        attempt: AttemptId,
        /// Its inputs that are read while it runs.
        inputs: Vec<RunInput>,
    },
    /// Fetch filler, and say that its time has passed by [`Event::Fetched`].
    Test(Box<LinkTest>),
    /// Stop fetching or sending a copy, or fetching filler.
    Abandon {
        /// By which transfer or test.
        transfer: TransferId,
    },
    /// Read a copy and compare it with its manifest.
    Verify {
        /// Of which data.
        data: DatasetVersion,
    },
    /// Measure the ways to these peers and to no others.
    Measure(Measure),
    /// Put a copy into an external store, and say so by [`Event::Archived`].
    Archive {
        /// Which data.
        data: DatasetVersion,
        /// Into which store.
        store: StoreId,
    },
    /// Remove the copy in the store, and say so by [`Event::Removed`].
    Remove {
        /// Of which data.
        data: DatasetVersion,
        /// Whether what lies of it in an external store stays; else it is forgotten where that is, and
        /// what was put there is removed.
        keep_in_place: bool,
    },
}
