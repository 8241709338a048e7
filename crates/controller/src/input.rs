//! What can reach the loop, and what it answers.

use crate::ArchivePlan;
use model::fact::{CenterChecked, PoolMeasured};
use model::job::{Job, JobSpec};
use model::quality::LinkTest;
use model::{
    Admission, AttemptId, Bytes, Center, CenterId, Chip, Chips, DatasetId, DatasetRef,
    DatasetVersion, Digest, Exchange, Flavor, JobId, Keeping, Link, LinkId, Moment, PoolId,
    Principal, PriorityClass, Region, Role, Staging, StoreId, Tenant, TenantId, Token, TokenId,
};
use planner::Plan;
use std::sync::Arc;
use wire::{Join, Report};

/// Names a request whose answer somebody waits for; given by the edge, unique while it waits.
pub type RequestId = u64;

/// What can reach the loop. A closed list: to learn what wakes the server, read these variants.
#[derive(Debug, Clone)]
pub enum Input {
    /// Somebody wants something; answered by one [`Effect::Reply`](crate::Effect::Reply).
    Command {
        /// To be named in the reply.
        request: RequestId,
        /// Who wants it; the edge has checked that they may.
        by: Principal,
        /// What they want.
        command: Command,
    },
    /// An agent introduces itself; answered by a reply.
    Join {
        /// To be named in the reply.
        request: RequestId,
        /// The center its token is for.
        center: CenterId,
        /// What it says.
        join: Box<Join>,
    },
    /// A center's agent was heard of in this session: its leases go on.
    Heard {
        /// Which center.
        center: CenterId,
        /// In which session; an older one is ignored.
        session: u64,
    },
    /// An agent reports; answered by a reply once the reports are durable.
    Reports {
        /// To be named in the reply.
        request: RequestId,
        /// Which center.
        center: CenterId,
        /// In which session.
        session: u64,
        /// What is there.
        reports: Vec<Report>,
    },
    /// The answer to [`Effect::Solve`](crate::Effect::Solve).
    Solved(Box<Plan>),
    /// The answer to [`Effect::Archive`](crate::Effect::Archive): these ended jobs are in the archive
    /// and may leave the world. None are when the archive failed: it is asked again some time later.
    Archived(Vec<JobId>),
    /// Time passed. Also sent when the moment asked for by
    /// [`Effect::WakeAt`](crate::Effect::WakeAt) comes.
    Tick,
}

/// Which jobs are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// This one.
    Job(JobId),
    /// All of the array whose first this is; or this one, where it is of none.
    Array(JobId),
}

/// What is to become of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// End them.
    Cancel,
    /// Keep them from being planned.
    Hold,
    /// Let them be planned that are held.
    Release,
    /// Stop what runs of them, and have them begin anew: at once, or held.
    Requeue {
        /// Held, until somebody releases them.
        hold: bool,
    },
}

impl Change {
    /// One word for what is done.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Hold => "held",
            Self::Release => "released",
            Self::Requeue { .. } => "requeued",
        }
    }
}

/// What people and programs can want.
#[derive(Debug, Clone)]
pub enum Command {
    /// Declare or change parts of the network.
    Apply(Box<Declarations>),
    /// Run jobs: all are accepted or none.
    Submit {
        /// What to run, checked for form, at least one.
        jobs: Vec<Arc<JobSpec>>,
        /// Repeating a submission under the same key changes nothing and gives the same answer.
        key: Option<Key>,
    },
    /// Change what becomes of jobs.
    Change(Of, Change),
    /// Let somebody in. The secret is made at the edge, which shows it once.
    CreateToken {
        /// The digest of the secret.
        secret: Digest,
        /// What the holder is.
        role: Role,
        /// A name for people.
        label: String,
        /// Until when.
        expires: Option<Moment>,
    },
    /// Let somebody in no longer.
    RevokeToken(TokenId),
    /// Say that nothing runs in a center any more.
    DeclareLost(CenterId),
    /// A link carries nothing any more: what is planned over it is planned anew.
    CutLink(LinkId),
    /// A link carries again.
    MendLink(LinkId),
    /// Learn now what a link delivers.
    TestLink(LinkId),
    /// Announce data that is about to be put into a center's store. Registered once the center
    /// reports that it is there.
    PutDataset {
        /// Name and version.
        data: DatasetVersion,
        /// All its bytes.
        bytes: Bytes,
        /// How many files.
        files: u64,
        /// Into whose store.
        center: CenterId,
        /// Whose it is.
        tenant: TenantId,
        /// Regions it may not leave.
        residency: Vec<Region>,
    },
    /// Say what a check of a center's engine showed. Who says it is filled in.
    ShowCheck(Box<CenterChecked>),
    /// Say what was measured of a pool. Its chip, what is verified by it and who says it are filled in.
    ShowBench(Box<PoolMeasured>),
    /// Take back what is lent of a center.
    Recall {
        /// Which.
        center: CenterId,
        /// Of which pools how many chips no guest is to have.
        pools: Vec<(PoolId, Chips)>,
        /// By when.
        in_time: Moment,
        /// Until when.
        until: Moment,
    },
    /// Remove a dataset with all its versions and copies.
    RemoveDataset(DatasetId),
    /// Say what is to be kept of a dataset.
    Keep {
        /// Which.
        dataset: DatasetId,
        /// All its rules; those before are forgotten.
        keeping: Keeping,
    },
    /// Bring a copy to a center.
    Copy {
        /// Of which data.
        data: DatasetRef,
        /// Where it is wanted.
        to: CenterId,
    },
    /// Remove a copy from a center.
    Evict {
        /// Of which data.
        data: DatasetRef,
        /// From whose store.
        center: CenterId,
    },
    /// Put a center's copy into an external store of its.
    Archive {
        /// Of which data.
        data: DatasetRef,
        /// Whose copy.
        center: CenterId,
        /// Into which store.
        store: StoreId,
    },
    /// Read copies and compare them with their manifests.
    Scrub {
        /// Of this dataset; of all where none is named.
        dataset: Option<DatasetId>,
        /// In this center; in all where none is named.
        center: Option<CenterId>,
    },
}

impl Input {
    /// Whether somebody wants to book chips.
    pub(crate) fn books(&self) -> bool {
        match self {
            Self::Command { command: Command::Submit { jobs, .. }, .. } => {
                jobs.iter().any(|spec| spec.is_reservation())
            }
            _ => false,
        }
    }
}

/// Parts of a network to be declared.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// Chips.
    pub chips: Vec<Chip>,
    /// Centers.
    pub centers: Vec<Center>,
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// Links.
    pub links: Vec<Link>,
    /// What quotas are counted in.
    pub flavors: Vec<Flavor>,
    /// Priorities with names.
    pub priority_classes: Vec<PriorityClass>,
    /// Tenants.
    pub tenants: Vec<Tenant>,
    /// What is asked of centers; as it is where nothing is said.
    pub admission: Option<Admission>,
}

/// A submission's idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The digest of tenant and key.
    pub key: Digest,
    /// The digest of what is submitted.
    pub content: Digest,
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The jobs were accepted, numbered on from the first; or had been before.
    Submitted {
        /// The first of them.
        first: JobId,
        /// How many.
        count: u32,
        /// Whether the same submission had been accepted before.
        repeated: bool,
    },
    /// So many parts of the network changed.
    Applied {
        /// How many.
        changed: usize,
    },
    /// The job as it is now.
    Job(Arc<Job>),
    /// The token as it is kept.
    Token(Arc<Token>),
    /// An agent is let in.
    Joined {
        /// Its session.
        session: u64,
    },
    /// The transfer that brings the copy; none when it is there.
    Copy(Option<Arc<Staging>>),
    /// The copy is in the external store, or will be put there.
    Archive(ArchivePlan),
    /// Copies will be read.
    Scrubbing {
        /// How many.
        copies: usize,
    },
    /// These leave for their owner, each by then.
    Recalled {
        /// Who, and by when.
        leave: Vec<(AttemptId, Moment)>,
    },
    /// The test that begins.
    Test(Arc<LinkTest>),
    /// It is done.
    Done,
    /// Reports were taken.
    Acknowledged {
        /// The number of the last fact they rest on.
        number: u64,
    },
    /// It cannot be done.
    Rejected(Rejected),
}

/// Why something cannot be done. Variants differ where the asker acts differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejected {
    /// There is no such thing, or none that the asker may see.
    NotFound {
        /// What is missing.
        what: String,
    },
    /// It is not the asker's to do.
    Forbidden {
        /// Why.
        why: String,
    },
    /// The present state does not allow it.
    Conflict {
        /// Why.
        why: String,
    },
    /// What was asked for cannot be, now or later.
    Invalid {
        /// Why, and what would be right.
        why: String,
    },
    /// Portolan knows what is meant and cannot do it yet.
    NotSupported {
        /// What.
        what: String,
    },
    /// The agent's session is over: it is to join again.
    StaleSession,
    /// The agent speaks another protocol version.
    Protocol {
        /// What it speaks.
        theirs: u32,
    },
}

impl std::fmt::Display for Rejected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotFound { what } => write!(f, "there is no {what}"),
            Self::Forbidden { why } | Self::Conflict { why } | Self::Invalid { why } => {
                write!(f, "{why}")
            }
            Self::NotSupported { what } => write!(f, "not supported yet: {what}"),
            Self::StaleSession => write!(f, "this session is over; join again"),
            Self::Protocol { theirs } => write!(
                f,
                "the agent speaks protocol {theirs}, this server {}; run the same version on both",
                wire::PROTOCOL
            ),
        }
    }
}
