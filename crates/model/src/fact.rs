//! Facts: the durable record of what happened, and the chain that guards it.
//!
//! A fact is a header and a payload. The chain runs over headers, which hold the payload's digest,
//! so that a payload can be withheld or erased and the chain still verifies. Kinds and fields of
//! stored facts are never renamed; a changed meaning is a new version, and readers know all older
//! ones.

mod attempt;
mod content;
mod nodes;
mod shown;

pub use attempt::*;
pub use content::*;
pub use nodes::NodesCounted;
pub use shown::{CenterChecked, CommandSaid, PoolMeasured, PoolShown};

use crate::quality::{LinkRated, LinkTest, PathMeasured};
use crate::{
    Admission, Center, CenterId, Chip, DatasetId, Digest, Exchange, Flavor, JobId, Link, LinkId,
    Moment, PriorityClass, Staging, Tenant, TenantId, Token,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the log knows of a fact beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its number; the first is 1, and none is missing.
    pub number: u64,
    /// What kind of fact.
    pub kind: String,
    /// The version of that kind's payload.
    pub version: u16,
    /// When it happened, by the server's clock, which never goes back.
    pub at: Moment,
    /// What it is about, such as `job-42`, `center:sh-ssc`, `tenant:lab`: who may see it is judged
    /// by these.
    pub subjects: Vec<String>,
    /// The digest of the payload's bytes.
    pub payload: Digest,
}

impl Header {
    /// The bytes the chain runs over: compact JSON with the keys in their declared order.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(MOST_BYTES);
        serde_json::to_writer(&mut bytes, self).expect("a header has only text keys");
        bytes
    }

    /// The digest of the header; with the head before it, enough to check the chain.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.canonical())
    }
}

/// The head before the first fact.
pub const GENESIS: Digest = Digest::from_bytes([0; 32]);

/// The head after a fact whose header has the digest `header`: BLAKE3 of the two joined.
#[must_use]
pub fn extend(head: &Digest, header: &Digest) -> Digest {
    let mut joined = [0; 64];
    joined[..32].copy_from_slice(head.as_bytes());
    joined[32..].copy_from_slice(header.as_bytes());
    Digest::of(&joined)
}

/// How far a log reaches: its last fact and the chain up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The number of the last fact; zero in an empty log.
    pub number: u64,
    /// The chain's value there.
    pub digest: Digest,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { number: 0, digest: GENESIS };
}

/// A fact on its way to or from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its header.
    pub header: Header,
    /// Its payload: the fact's content as JSON. Empty bytes when it was withheld or erased.
    pub payload: Vec<u8>,
}

impl Record {
    /// `fact` as the record that follows `number`.
    #[must_use]
    pub fn new(number: u64, at: Moment, fact: &Fact) -> Self {
        let payload = fact.payload();
        let header = Header {
            number,
            kind: fact.kind().to_owned(),
            version: fact.version(),
            at,
            subjects: fact.subjects(),
            payload: Digest::of(&payload),
        };
        Self { header, payload }
    }

    /// The fact it holds.
    pub fn fact(&self) -> Result<Fact, UnreadableFact> {
        Fact::read(&self.header.kind, self.header.version, &self.payload).map_err(|why| {
            UnreadableFact {
                number: self.header.number,
                kind: self.header.kind.clone(),
                version: self.header.version,
                why,
            }
        })
    }
}

/// A fact this program cannot read. It stops a server: skipping it would make a different world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fact {number} ({kind} v{version}) cannot be read: {why}")]
pub struct UnreadableFact {
    /// Its number.
    pub number: u64,
    /// Its kind.
    pub kind: String,
    /// Its version.
    pub version: u16,
    /// What is wrong and what to do.
    pub why: String,
}

/// Most facts have no more bytes than this.
const MOST_BYTES: usize = 1_024;

macro_rules! facts {
    ($($(#[$doc:meta])* $name:ident($content:ty) = $kind:literal v $version:literal;)*) => {
        /// Something that happened.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Fact {
            $($(#[$doc])* $name($content),)*
        }

        impl Fact {
            /// Every kind there is, in declaration order.
            pub const KINDS: &'static [&'static str] = &[$($kind,)*];

            /// Its kind, as stored.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self { $(Self::$name(_) => $kind,)* }
            }

            /// The version of its kind this program writes.
            #[must_use]
            pub const fn version(&self) -> u16 {
                match self { $(Self::$name(_) => $version,)* }
            }

            /// Its content as JSON.
            #[must_use]
            pub fn payload(&self) -> Vec<u8> {
                let mut bytes = Vec::with_capacity(MOST_BYTES);
                match self {
                    $(Self::$name(content) => serde_json::to_writer(&mut bytes, content),)*
                }
                .expect("facts have only text keys");
                // Records are kept a while, by whoever is behind.
                bytes.shrink_to_fit();
                bytes
            }

            /// Reads a stored fact of this or an older version; the error says why and what to do.
            pub fn read(kind: &str, version: u16, payload: &[u8]) -> Result<Self, String> {
                match (kind, version) {
                    $(($kind, 1..=$version) => serde_json::from_slice(payload)
                        .map(Self::$name)
                        .map_err(|error| error.to_string()),)*
                    _ => Err("this program does not know it; a newer one wrote it, so run that".into()),
                }
            }
        }
    };
}

facts! {
    /// The log was created, and with it a network.
    NetworkCreated(NetworkCreated) = "network-created" v 1;
    /// The log was restored from a copy: attempts of the old uid are strangers now.
    NetworkRestored(NetworkCreated) = "network-restored" v 1;
    /// A chip of the catalog was declared or changed.
    ChipDeclared(Arc<Chip>) = "chip-declared" v 1;
    /// A center was declared or changed.
    CenterDeclared(Arc<Center>) = "center-declared" v 2;
    /// It was said what the network asks of its centers.
    AdmissionDeclared(Admission) = "admission-declared" v 1;
    /// A center showed that its engine does what it must, and how much there is.
    CenterChecked(Arc<CenterChecked>) = "center-checked" v 1;
    /// A center showed how fast a pool is.
    PoolMeasured(Arc<PoolMeasured>) = "pool-measured" v 1;
    /// An exchange was declared or changed.
    ExchangeDeclared(Arc<Exchange>) = "exchange-declared" v 1;
    /// A link was declared or changed.
    LinkDeclared(Arc<Link>) = "link-declared" v 2;
    /// A tenant was declared or changed.
    TenantDeclared(Arc<Tenant>) = "tenant-declared" v 2;
    /// An owner takes back what it lent of a pool, or lends it again.
    CapacityRecalled(CapacityRecalled) = "capacity-recalled" v 2;
    /// A flavor was declared or changed.
    FlavorDeclared(Arc<Flavor>) = "flavor-declared" v 1;
    /// A priority class was declared or changed.
    PriorityClassDeclared(Arc<PriorityClass>) = "priority-class-declared" v 1;
    /// An agent came for its center, or came back with something changed.
    AgentJoined(Arc<AgentJoined>) = "agent-joined" v 2;
    /// An operator declared a center lost: nothing there runs any more.
    CenterLost(CenterLost) = "center-lost" v 1;
    /// An operator said that a link carries nothing any more.
    LinkCut(LinkTouched) = "link-cut" v 1;
    /// An operator said that a link carries again.
    LinkMended(LinkTouched) = "link-mended" v 1;
    /// A token was created.
    TokenCreated(Token) = "token-created" v 1;
    /// A token was revoked.
    TokenRevoked(TokenRevoked) = "token-revoked" v 1;
    /// A job was accepted, or an array of them.
    JobSubmitted(Arc<JobSubmitted>) = "job-submitted" v 3;
    /// A waiting job was put on hold.
    JobHeld(JobTouched) = "job-held" v 1;
    /// A held job was released.
    JobReleased(JobReleased) = "job-released" v 2;
    /// What a job waited for has come: it is to be planned.
    JobUnblocked(JobUnblocked) = "job-unblocked" v 1;
    /// A job's end was asked for.
    JobCanceled(JobTouched) = "job-canceled" v 1;
    /// A job was first told when it starts.
    JobPromised(JobPromised) = "job-promised" v 2;
    /// A job was given a place: a new attempt, to be confirmed by the center.
    JobOffered(JobOffered) = "job-offered" v 3;
    /// The center took an attempt.
    AttemptAccepted(AttemptTouched) = "attempt-accepted" v 1;
    /// The batch system of its center has an attempt: again, where it had lost it.
    AttemptEntered(AttemptEntered) = "attempt-entered" v 1;
    /// An attempt's process started.
    AttemptStarted(AttemptTouched) = "attempt-started" v 1;
    /// An attempt is to stop.
    AttemptStopping(AttemptStopping) = "attempt-stopping" v 1;
    /// An attempt is to stop and make room for another job.
    AttemptPreempted(AttemptPreempted) = "attempt-preempted" v 2;
    /// A running attempt wrote a checkpoint.
    AttemptCheckpointed(AttemptCheckpointed) = "attempt-checkpointed" v 1;
    /// An attempt reads inputs over other ways than before, or not at all for want of one.
    AttemptRerouted(AttemptRerouted) = "attempt-rerouted" v 1;
    /// Nothing of an attempt is alive any more.
    AttemptEnded(AttemptEnded) = "attempt-ended" v 1;
    /// A job whose attempt is over waits again.
    JobRequeued(JobRequeued) = "job-requeued" v 1;
    /// A job ended.
    JobEnded(JobEnded) = "job-ended" v 1;
    /// Ended jobs left the world for the archive.
    JobsArchived(JobsArchived) = "jobs-archived" v 1;
    /// A dataset version came to be.
    DatasetRegistered(Arc<DatasetRegistered>) = "dataset-registered" v 1;
    /// A dataset version was removed everywhere.
    DatasetRemoved(DatasetRemoved) = "dataset-removed" v 1;
    /// It was said what is to be kept of a dataset.
    DatasetKept(Arc<DatasetKept>) = "dataset-kept" v 1;
    /// A dataset version that was not to be kept any longer is gone everywhere.
    VersionRemoved(VersionRemoved) = "version-removed" v 1;
    /// Somebody asked for a copy in a center's store.
    CopyWanted(CopyWanted) = "copy-wanted" v 1;
    /// A verified copy is in a center's store.
    ReplicaAdded(ReplicaTouched) = "replica-added" v 1;
    /// A verified copy lies in an external store of a center, and can be had there.
    ReplicaInPlace(ReplicaInPlace) = "replica-in-place" v 1;
    /// Somebody asked for a center's copy to be put into an external store of its.
    ArchiveWanted(ArchiveWanted) = "archive-wanted" v 1;
    /// A copy that was to be put into an external store could not be.
    ArchiveFailed(ArchiveFailed) = "archive-failed" v 1;
    /// A center has read its copy and found it whole.
    ReplicaVerified(ReplicaTouched) = "replica-verified" v 1;
    /// What somebody received of a copy was not what it should be: the copy counts no more until its
    /// center has read it.
    ReplicaDoubted(ReplicaTouched) = "replica-doubted" v 1;
    /// A center has read its copy and found it damaged.
    ReplicaDamaged(ReplicaDamaged) = "replica-damaged" v 1;
    /// A copy is to go; nobody counts on it any more.
    ReplicaLeaving(ReplicaLeaving) = "replica-leaving" v 1;
    /// A copy is no longer in a center's store.
    ReplicaRemoved(ReplicaTouched) = "replica-removed" v 1;
    /// Somebody asked for copies to be read.
    ScrubWanted(ScrubWanted) = "scrub-wanted" v 1;
    /// A center told how much its store holds, and what of it data takes that the network does not
    /// know.
    StoreMeasured(StoreMeasured) = "store-measured" v 1;
    /// A center told how many nodes of a pool take work; what it told before counts no more.
    NodesCounted(NodesCounted) = "nodes-counted" v 1;
    /// A center's agent told which external stores it has; what it told before counts no more.
    StoresTold(StoresTold) = "stores-told" v 1;
    /// A transfer was planned and its bandwidth reserved.
    TransferPlanned(Arc<Staging>) = "transfer-planned" v 2;
    /// A test of a link was planned and its bandwidth reserved.
    LinkTestPlanned(Arc<LinkTest>) = "link-test-planned" v 1;
    /// A transfer or a test of a link is over.
    TransferEnded(TransferEnded) = "transfer-ended" v 1;
    /// A window of time showed how good the way between two centers is.
    PathMeasured(Arc<PathMeasured>) = "path-measured" v 1;
    /// What a link delivers changed, and so what new transfers are planned at.
    LinkRated(LinkRated) = "link-rated" v 1;
    /// Idempotency keys whose time had passed were forgotten.
    KeysForgotten(KeysForgotten) = "keys-forgotten" v 1;
}

impl Fact {
    /// The job it is about, if it is about one; of an array that is submitted, the first.
    #[must_use]
    pub fn job(&self) -> Option<JobId> {
        match self {
            Self::JobSubmitted(f) => Some(f.job),
            Self::JobHeld(f) | Self::JobCanceled(f) => Some(f.job),
            Self::JobReleased(f) => Some(f.job),
            Self::JobUnblocked(f) => Some(f.job),
            Self::JobPromised(f) => Some(f.job),
            Self::JobOffered(f) => Some(f.attempt.job),
            Self::AttemptAccepted(f) | Self::AttemptStarted(f) => Some(f.attempt.job),
            Self::AttemptEntered(f) => Some(f.attempt.job),
            Self::AttemptStopping(f) => Some(f.attempt.job),
            Self::AttemptPreempted(f) => Some(f.attempt.job),
            Self::AttemptCheckpointed(f) => Some(f.attempt.job),
            Self::AttemptRerouted(f) => Some(f.attempt.job),
            Self::AttemptEnded(f) => Some(f.attempt.job),
            Self::JobRequeued(f) => Some(f.job),
            Self::JobEnded(f) => Some(f.job),
            _ => None,
        }
    }

    /// What it is about, as the header lists it.
    #[must_use]
    pub fn subjects(&self) -> Vec<String> {
        let center = |c: &CenterId| ["center:", c.as_str()].concat();
        let tenant = |t: &TenantId| ["tenant:", t.as_str()].concat();
        let link = |l: &LinkId| ["link:", l.as_str()].concat();
        let dataset = |d: &DatasetId| ["dataset:", d.as_str()].concat();
        match self {
            Self::CenterDeclared(f) => vec![center(&f.center)],
            Self::AgentJoined(f) => vec![center(&f.center)],
            Self::CenterLost(f) => vec![center(&f.center)],
            Self::ExchangeDeclared(f) => vec![format!("exchange:{}", f.exchange)],
            Self::LinkDeclared(f) => vec![link(&f.link)],
            Self::LinkCut(f) | Self::LinkMended(f) => vec![link(&f.link)],
            Self::ChipDeclared(f) => vec![format!("chip:{}", f.chip)],
            Self::TenantDeclared(f) => vec![tenant(&f.tenant)],
            Self::FlavorDeclared(f) => vec![format!("flavor:{}", f.flavor)],
            Self::PriorityClassDeclared(f) => {
                vec![format!("priority-class:{}", f.priority_class)]
            }
            Self::TokenCreated(f) => vec![f.token.to_string()],
            Self::TokenRevoked(f) => vec![f.token.to_string()],
            Self::JobSubmitted(f) => vec![f.job.to_string(), tenant(&f.spec.tenant)],
            Self::JobOffered(f) => {
                let centers = f.placement.parts.iter().map(|p| center(&p.center));
                std::iter::once(f.attempt.job.to_string()).chain(centers).collect()
            }
            Self::AttemptPreempted(f) => {
                let by = f.by.map(|by| by.to_string());
                std::iter::once(f.attempt.job.to_string()).chain(by).collect()
            }
            Self::AttemptEntered(f) => vec![f.attempt.job.to_string(), center(&f.center)],
            Self::CapacityRecalled(f) => vec![center(&f.center)],
            Self::DatasetRegistered(f) => {
                vec![dataset(&f.data.dataset), tenant(&f.tenant)]
            }
            Self::DatasetRemoved(f) => vec![dataset(&f.dataset)],
            Self::DatasetKept(f) => vec![dataset(&f.dataset), tenant(&f.tenant)],
            Self::VersionRemoved(f) => vec![dataset(&f.data.dataset), tenant(&f.tenant)],
            Self::ReplicaAdded(f)
            | Self::ReplicaVerified(f)
            | Self::ReplicaDoubted(f)
            | Self::ReplicaRemoved(f) => {
                vec![dataset(&f.data.dataset), center(&f.center)]
            }
            Self::ReplicaInPlace(f) => vec![dataset(&f.data.dataset), center(&f.center)],
            Self::ArchiveWanted(f) => vec![dataset(&f.data.dataset), center(&f.center)],
            Self::ArchiveFailed(f) => vec![dataset(&f.data.dataset), center(&f.center)],
            Self::CopyWanted(f) => vec![dataset(&f.data.dataset), center(&f.center)],
            Self::ReplicaLeaving(f) => vec![dataset(&f.data.dataset), center(&f.center)],
            Self::ReplicaDamaged(f) => {
                vec![dataset(&f.data.dataset), center(&f.center), tenant(&f.tenant)]
            }
            Self::ScrubWanted(f) => {
                let about = f.dataset.iter().map(dataset);
                about.chain(f.center.iter().map(center)).collect()
            }
            Self::StoreMeasured(f) => vec![center(&f.center)],
            Self::NodesCounted(f) => vec![center(&f.center)],
            Self::CenterChecked(f) => vec![center(&f.center)],
            Self::PoolMeasured(f) => vec![center(&f.center)],
            Self::StoresTold(f) => vec![center(&f.center)],
            Self::TransferPlanned(f) => {
                let mut ends = vec![f.transfer.to_string(), center(&f.from), center(&f.to)];
                ends.extend(f.beside.iter().map(|leg| center(&leg.from)));
                ends.into_iter().chain(f.links().map(link)).collect()
            }
            Self::LinkTestPlanned(f) => {
                let ends = vec![f.transfer.to_string(), center(&f.from), center(&f.to)];
                ends.into_iter().chain(f.hops.iter().map(|h| link(&h.link))).collect()
            }
            Self::TransferEnded(f) => vec![f.transfer.to_string()],
            Self::PathMeasured(f) => {
                let ends = vec![center(&f.from), center(&f.to)];
                ends.into_iter().chain(f.hops.iter().map(|h| link(&h.link))).collect()
            }
            Self::LinkRated(f) => vec![link(&f.link)],
            // Those of the whole network are about no job.
            _ => self.job().iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenId;

    #[test]
    fn a_fact_reads_back_from_its_record_and_an_unknown_one_stops_the_reader() {
        let fact = Fact::JobHeld(JobTouched { job: JobId::new(7), by: TokenId::new(1) });
        let record = Record::new(3, Moment(5), &fact);
        assert_eq!(record.fact(), Ok(fact));
        assert_eq!(record.header.subjects, ["job-7"]);
        let newer = Record { header: Header { version: 2, ..record.header }, ..record };
        assert!(newer.fact().unwrap_err().to_string().contains("a newer one wrote it"));
    }

    #[test]
    fn a_start_told_by_an_older_program_reads_without_its_center() {
        let old = br#"{"job":7,"start":5000,"plan":2}"#;
        let read = Fact::read("job-promised", 1, old).unwrap();
        let Fact::JobPromised(promised) = &read else { panic!("{read:?}") };
        assert_eq!((promised.start, promised.center.as_ref()), (Moment(5_000), None));
        assert_eq!(Fact::read("job-promised", 2, &read.payload()), Ok(read));
        assert!(Fact::read("job-promised", 3, old).is_err());
    }

    #[test]
    fn the_chain_tells_any_change_of_a_header() {
        let fact = Fact::JobHeld(JobTouched { job: JobId::new(7), by: TokenId::new(1) });
        let one = Record::new(1, Moment(5), &fact).header;
        let other = Header { at: Moment(6), ..one.clone() };
        assert_ne!(extend(&GENESIS, &one.digest()), extend(&GENESIS, &other.digest()));
    }
}
