//! What goes wrong in a run, and bugs that are planted to prove that they are noticed.

mod made;

use crate::load::Arrival;
use crate::log::{Nowhere, Sink};
use crate::run::{Counts, run};
use crate::setup::Setup;
use audit::Violation;
use model::fact::Head;
use model::{CenterId, Span};
use std::fmt;

/// What goes wrong. By default, nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults {
    /// Single events.
    pub planned: Vec<Planned>,
    /// What happens to messages, attempts and copies by chance.
    pub mishaps: Mishaps,
    /// Nothing goes wrong by chance after this long.
    pub until: Span,
}

impl Faults {
    /// Whether anything can go wrong at all.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.planned.is_empty() || self.mishaps != Mishaps::default()
    }
}

/// A fault and when it begins, counted from the start of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// When.
    pub after: Span,
    /// What.
    pub fault: Fault,
}

/// A single event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A center's agent dies; its attempts live on under their supervisors.
    AgentDies {
        /// Where.
        center: CenterId,
        /// How long until it is started again.
        back: Span,
    },
    /// A center's hosts go down and take agent and attempts with them.
    HostsDie {
        /// Where.
        center: CenterId,
        /// How long until they are back.
        back: Span,
        /// The operator, who knows that nothing runs there, declares the center lost after this
        /// long.
        declared: Option<Span>,
        /// Whether the store's disks are gone too.
        wiped: bool,
    },
    /// The line between a center and the server is cut.
    Cut {
        /// Where.
        center: CenterId,
        /// For how long.
        lasts: Span,
        /// Messages wait for the line instead of being lost.
        holds: bool,
    },
    /// Every copy in a center's store is damaged where it lies, and nobody knows.
    Rot {
        /// Where.
        center: CenterId,
    },
    /// A center's agent does nothing for a while.
    Slow {
        /// Where.
        center: CenterId,
        /// For how long.
        lasts: Span,
    },
    /// The server dies between two effects of the next step that has any.
    ServerDies {
        /// How long until it is started again.
        back: Span,
    },
}

/// What happens by chance, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mishaps {
    /// Of messages: never arrive.
    pub lost: u32,
    /// Of calls: arrive twice, the second time whenever.
    pub doubled: u32,
    /// Of messages: arrive late, so that later ones overtake them.
    pub late: u32,
    /// How late at the most.
    pub latest: Span,
    /// Of launches: fail.
    pub not_started: u32,
    /// Of launches: cut short by the death of the agent, so that the attempt is known and nobody is at it.
    pub cut_short: u32,
    /// Of copies: break off.
    pub broken_copies: u32,
    /// Of copies: the source's copy turns out to be damaged.
    pub damaged_copies: u32,
    /// Each agent's clock runs wrong by at most so many millionths.
    pub drift_ppm: u32,
}

/// A bug that is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sabotage {
    /// Fencing: a silent center's attempts are placed again whatever their lease.
    Unfenced,
    /// Capacity: agents take attempts to be over that still run.
    EarlyEnds,
    /// Replay: now and then a fact does not reach the log.
    ForgottenFacts,
    /// Quota of chips: engines have fewer chips than their center says, and start what they are told.
    MissingChips,
    /// Lost job: submissions are acknowledged before they are durable.
    EarlyAnswers,
}

impl Sabotage {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Unfenced,
        Self::EarlyEnds,
        Self::ForgottenFacts,
        Self::MissingChips,
        Self::EarlyAnswers,
    ];
}

/// What came of a network made up from a seed, in which everything went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The seed.
    pub seed: u64,
    /// The bug that was planted, if one was.
    pub sabotage: Option<Sabotage>,
    /// Promises that did not hold: none, unless something is wrong.
    pub violations: Vec<Violation>,
    /// Jobs that were submitted.
    pub jobs: usize,
    /// The log's head.
    pub head: Head,
    /// What the run amounted to.
    pub counts: Counts,
}

impl Verdict {
    /// Whether every promise held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

impl fmt::Display for Verdict {
    /// One line: that all held, or how to see again what did not, and what it was.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, jobs, counts, .. } = self;
        match self.violations.first() {
            None => write!(
                f,
                "seed {seed}: {jobs} jobs, {} offers, {} preempted, {} crashes: all promises held",
                counts.offers, counts.preemptions, counts.crashes
            ),
            Some(first) => write!(f, "portolan simulate --faults --seed {seed}  # {first}"),
        }
    }
}

/// Makes up a small network and load from the seed, lets go wrong whatever can, and judges what
/// comes of it: every promise at every step, the engines' own truth, and that everything ends once
/// nothing goes wrong any more.
#[must_use]
pub fn fault_run(seed: u64) -> Verdict {
    sabotaged_run(seed, None, &mut Nowhere)
}

/// The same network and load with nothing going wrong: recalls are then met to the moment, which is
/// judged by the engines' own books.
#[must_use]
pub fn calm_run(seed: u64) -> Verdict {
    let (mut setup, arrivals) = made::made(seed, None);
    setup.faults = Faults::default();
    played(&setup, arrivals, seed, &mut Nowhere)
}

/// The same with a bug planted, and the log going to `sink`.
#[must_use]
pub fn sabotaged_run(seed: u64, sabotage: Option<Sabotage>, sink: &mut dyn Sink) -> Verdict {
    let (setup, arrivals) = made::made(seed, sabotage);
    played(&setup, arrivals, seed, sink)
}

fn played(setup: &Setup, arrivals: Vec<Arrival>, seed: u64, sink: &mut dyn Sink) -> Verdict {
    let (jobs, sabotage) = (arrivals.len(), setup.sabotage);
    let played = run(setup, &mut arrivals.into_iter(), seed, sink);
    let run = played.expect("what is made up is well formed");
    let (violations, head, counts) = (run.violations, run.head, run.counts);
    Verdict { seed, sabotage, violations, jobs, head, counts }
}
