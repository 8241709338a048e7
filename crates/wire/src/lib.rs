//! What server and agents say to each other.
//!
//! An agent speaks first, always: it [joins](Join), then [polls](Poll) for orders while it sends
//! [reports](Report). Orders are level-triggered: they say what should be, carry a revision, and
//! repeating one is harmless. Reports say what is; repeating one is harmless too.
//!
//! What server and people's programs say to each other is in [`view`].
//!
//! Deliberately absent: transport, tokens, retries. Those are the edges' business.

mod ask;
mod quality;
mod reading;
mod under_way;
pub mod view;

pub use ask::{Answer, Ask, LogPiece, Question};
pub use quality::{LinkTest, Measure, Peer};
pub use reading::{ReadOver, RunInput};
pub use under_way::{CopyUnderWay, UnderWay};

use model::attempt::{Ended, Slots, Stop};
use model::fact::Head;
use model::job::SecretRef;
use model::quality::Probed;
use model::{
    AttemptId, Bytes, CenterId, ChipId, Cores, DatasetId, DatasetVersion, Digest, EngineKind,
    ExternalStore, Lies, Moment, NetworkUid, PoolId, Rate, Refused, Region, Span, StoreId,
    TenantId, TransferId,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of this protocol. A server answers another version with a refusal that names both.
pub const PROTOCOL: u32 = 10;

/// An agent introduces itself, at its start and whenever the server does not know its session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its program's version, for people.
    pub version: String,
    /// Its own random name, kept in its directory: tells a restarted agent from a second one.
    pub agent: NetworkUid,
    /// What runs its jobs.
    pub engine: EngineKind,
    /// The engine's version, for people.
    pub engine_version: String,
    /// How limits are enforced, for people.
    pub enforcement: String,
    /// The URL under which other centers fetch from its store.
    pub data_url: Option<String>,
    /// Where it answers test packets, as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_address: Option<String>,
    /// The external stores of its center, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stores: Vec<ExternalStore>,
    /// The last head it saw of this network's log, if any.
    pub seen: Option<Head>,
}

/// The server's answer to [`Join`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The network: attempts tagged with another are strangers to be left alone.
    pub network: NetworkUid,
    /// The center the token is for.
    pub center: CenterId,
    /// To be given with every poll and report; a newer join ends it.
    pub session: u64,
    /// The key that opens the center's store to holders of tickets, in hexadecimal.
    pub door_key: Digest,
    /// How long a poll may last at most.
    pub poll: Span,
    /// The log's head.
    pub head: Head,
}

/// An agent asks for orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The session from [`Joined`].
    pub session: u64,
    /// The revision of the newest order it has; zero asks for all.
    pub after: u64,
    /// How long the answer may be held back while there is nothing new.
    pub wait: Span,
}

/// The server's answer to [`Poll`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// The revision these orders bring the agent to.
    pub revision: u64,
    /// Whether these are all orders there are: attempts and transfers not among them should not be.
    pub full: bool,
    /// Orders newer than the poll's revision, oldest first.
    pub orders: Vec<Order>,
    /// Questions to be answered once, such as a piece of a log.
    pub asks: Vec<Ask>,
    /// The log's head.
    pub head: Head,
}

/// What should be at a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// This attempt should run once its data is there and its nodes are free.
    Run(Box<Run>),
    /// This attempt should not be alive.
    Stop {
        /// Which.
        attempt: AttemptId,
        /// Why.
        why: Stop,
    },
    /// A copy of this data should be in the store.
    Stage(Box<Stage>),
    /// The copy of this data should go into another center's store: this center has no door to fetch it
    /// through.
    Send(Box<Send>),
    /// Filler should be fetched, for the time its steps say.
    Test(Box<LinkTest>),
    /// The copy or the filler is not wanted any more; what has come of it may go.
    Drop {
        /// Which transfer or test.
        transfer: TransferId,
    },
    /// The copy of this data is doubted: it is to be read and compared with its manifest.
    Verify {
        /// Which data.
        data: DatasetVersion,
    },
    /// No copy of this data should be in the store.
    Remove {
        /// Which data.
        data: DatasetVersion,
        /// Whether what lies of it in an external store stays. Else it is forgotten where that is, and
        /// what the center put there is removed.
        #[serde(default)]
        keep_in_place: bool,
    },
    /// The copy of this data should be in this external store of the center too.
    Archive {
        /// Which data.
        data: DatasetVersion,
        /// Into which store.
        store: StoreId,
    },
    /// The ways to these peers, and to no others, should be measured. Only told to agents that
    /// answer test packets.
    Measure(Measure),
}

/// An attempt as its center needs to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Which attempt; its epoch fences.
    pub attempt: AttemptId,
    /// The job's name, for people.
    pub name: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Its pool, for people.
    pub pool: String,
    /// The chip in that pool.
    pub chip: Option<ChipId>,
    /// The variable that tells a process its chips.
    pub visible_devices: Option<String>,
    /// Chips of each node of the pool.
    pub chips_per_node: u16,
    /// Cores of each node of the pool.
    pub node_cores: Cores,
    /// Memory of each node of the pool.
    pub node_memory: Bytes,
    /// What it holds of which nodes.
    pub nodes: Vec<Slots>,
    /// The planned start: attempts that want the same slots go in this order.
    pub start: Moment,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// A container image to run it in.
    pub image: Option<String>,
    /// Secrets it is given, by name and holder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef>,
    /// Environment beside the engine's own.
    pub env: BTreeMap<String, String>,
    /// Cores on each node.
    pub cores: Cores,
    /// Memory on each node.
    pub memory: Bytes,
    /// The most it may run.
    pub limit: Option<Span>,
    /// Between the polite and the hard signal.
    pub grace: Span,
    /// How it keeps its progress, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<RunCheckpoint>,
    /// How long it may run without word from the server; none to hold.
    pub lease: Option<Span>,
    /// Data that must be in the store first.
    pub inputs: Vec<RunInput>,
    /// Data it makes.
    pub outputs: Vec<RunOutput>,
}

/// How an attempt keeps its progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCheckpoint {
    /// Where it writes its checkpoints, below its working directory. What is there outlives it: the
    /// job's next attempt in the same center finds it there.
    pub path: String,
    /// How often it writes one by itself.
    pub interval: Option<Span>,
    /// The signal that asks for one, such as `USR1`.
    pub signal: Option<String>,
}

/// An output of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    /// The name the job knows it by.
    pub name: String,
    /// The dataset it becomes a version of.
    pub dataset: DatasetId,
    /// Regions it may not leave.
    pub residency: Vec<Region>,
}

/// A copy to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Its number.
    pub transfer: TransferId,
    /// Which data.
    pub data: DatasetVersion,
    /// How much.
    pub bytes: Bytes,
    /// Where it is fetched from, from all at once; one at least, unless it is sent.
    pub sources: Vec<StageSource>,
    /// Whether its source sends it: then it is to be expected, and there is room to be made for it.
    pub sent: bool,
}

/// A store that a copy is fetched from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageSource {
    /// Whose store.
    pub from: CenterId,
    /// Where that store opens.
    pub url: String,
    /// What opens it. Deciding knows no secrets: the server's edge fills this in as it answers.
    pub ticket: Option<String>,
    /// At which rate when, counted from the moment the order is received.
    pub steps: Vec<PaceStep>,
}

/// A copy to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Its number.
    pub transfer: TransferId,
    /// Which data.
    pub data: DatasetVersion,
    /// How much.
    pub bytes: Bytes,
    /// Whose it is, and who is to send it.
    pub from: CenterId,
    /// Into whose store.
    pub to: CenterId,
    /// Where that store opens.
    pub url: String,
    /// What opens it, for this data and to put it there. The server's edge fills this in.
    pub ticket: Option<String>,
    /// At which rate when, counted from the moment the order is received.
    pub steps: Vec<PaceStep>,
}

/// A rate for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaceStep {
    /// From how long after the order.
    pub after: Span,
    /// For how long.
    pub lasts: Span,
    /// How fast.
    pub rate: Rate,
}

/// What is at a center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The center takes the attempt.
    Accepted {
        /// Which.
        attempt: AttemptId,
    },
    /// It will not.
    Refused {
        /// Which.
        attempt: AttemptId,
        /// Why.
        why: Refused,
    },
    /// The center's batch system has the attempt.
    Entered {
        /// Which.
        attempt: AttemptId,
        /// What it is called there.
        called: String,
    },
    /// The attempt's process started.
    Started {
        /// Which.
        attempt: AttemptId,
    },
    /// The attempt wrote a checkpoint.
    Checkpointed {
        /// Which.
        attempt: AttemptId,
        /// How long after its start, by the center's clock.
        after: Span,
    },
    /// Nothing of the attempt is alive any more.
    Ended {
        /// Which.
        attempt: AttemptId,
        /// How, and what it used.
        ended: Ended,
        /// The data it made, in the store already.
        outputs: Vec<MadeOutput>,
    },
    /// A verified copy is in the store, or a test has had its time.
    Arrived {
        /// By which transfer or test.
        transfer: TransferId,
        /// Bytes that crossed the links.
        moved: Bytes,
        /// Chunks that came damaged and were fetched again.
        corrupted: u64,
    },
    /// A copy or filler could not be had.
    TransferFailed {
        /// By which transfer or test.
        transfer: TransferId,
        /// Why, for people.
        why: String,
        /// Whether the source's copy is to blame.
        damaged: bool,
    },
    /// Data is in the store, whole: somebody put it there, or it was doubted and found good.
    Put {
        /// Name and version.
        data: DatasetVersion,
        /// All its bytes.
        bytes: Bytes,
        /// How many files.
        files: u64,
        /// In which external store of the center it lies, and how; absent where it lies in none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lies: Option<Lies>,
        /// Whether, where it lies in an external store, the center's own has it besides.
        #[serde(default)]
        also_own: bool,
    },
    /// A copy could not be put into an external store.
    NotArchived {
        /// Of which data.
        data: DatasetVersion,
        /// Into which.
        store: StoreId,
        /// Why, for people.
        why: String,
    },
    /// A copy was read and is damaged. What is good of it is kept for its repair; nothing reads it.
    Damaged {
        /// Of which data.
        data: DatasetVersion,
        /// How many chunks are not what they should be; all of them when it could not be read.
        chunks: u64,
    },
    /// A copy that was to go is gone.
    Removed {
        /// Of which data.
        data: DatasetVersion,
    },
    /// How large the store is. Sent after joining and when it has changed noticeably.
    Room {
        /// How much it holds: what is in it and what more may come in.
        capacity: Bytes,
        /// What the copies in it take.
        stored: Bytes,
    },
    /// How many nodes of a pool take work, now or when what they run is over. Sent after joining and when
    /// it has changed; a center whose engine cannot tell sends none.
    Nodes {
        /// Which pool.
        pool: PoolId,
        /// How many of its nodes.
        up: u32,
    },
    /// All data in the store. Sent after joining; what the server misses there it plans without,
    /// what it does not know it orders removed.
    Inventory {
        /// Which data.
        data: Vec<DatasetVersion>,
        /// What of it lies in external stores, in the center's own store or not.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        in_place: Vec<DatasetVersion>,
    },
    /// What test packets to a peer said in a window that has just closed. May be lost.
    Probed {
        /// Whose reflector answered.
        peer: CenterId,
        /// How long the window was.
        lasted: Span,
        /// What they said.
        probed: Probed,
    },
    /// What a transfer or a test brought in a window that has just closed, or since the last one up
    /// to its end. May be lost.
    Delivered {
        /// Which.
        transfer: TransferId,
        /// What came from whose store.
        from: CenterId,
        /// How long the window was.
        lasted: Span,
        /// Bytes that could have come at the ordered rates.
        planned: Bytes,
        /// Bytes that came.
        delivered: Bytes,
    },
}

/// Data an attempt made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeOutput {
    /// The name the job knew it by.
    pub name: String,
    /// Name and version.
    pub data: DatasetVersion,
    /// All its bytes.
    pub bytes: Bytes,
    /// How many files.
    pub files: u64,
}

/// Reports on their way to the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reports {
    /// The session from [`Joined`].
    pub session: u64,
    /// Oldest first.
    pub reports: Vec<Report>,
}

/// The server's answer to [`Reports`]: all of them are durable, or need no record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The log's head.
    pub head: Head,
}

impl Report {
    /// The attempt it is about, if it is about one.
    #[must_use]
    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Accepted { attempt }
            | Self::Refused { attempt, .. }
            | Self::Entered { attempt, .. }
            | Self::Started { attempt }
            | Self::Checkpointed { attempt, .. }
            | Self::Ended { attempt, .. } => Some(*attempt),
            Self::Arrived { .. }
            | Self::TransferFailed { .. }
            | Self::Put { .. }
            | Self::NotArchived { .. }
            | Self::Damaged { .. }
            | Self::Removed { .. }
            | Self::Room { .. }
            | Self::Nodes { .. }
            | Self::Probed { .. }
            | Self::Delivered { .. }
            | Self::Inventory { .. } => None,
        }
    }
}
