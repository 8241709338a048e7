//! What a run starts from.

use crate::fault::{Faults, Sabotage};
use crate::load::{Speeds, Stock};
use controller::{Command, Declarations, Settings};
use model::{CenterId, Chips, Moment, Span};
use std::collections::BTreeSet;

/// A network, the way its parts talk to each other, and what goes wrong there.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The moment that arrivals, faults and measures count from. The network is set up and its
    /// agents join a little before.
    pub start: Moment,
    /// Chips, centers, links, tenants.
    pub declarations: Declarations,
    /// What is in the centers' stores at the start. The first center of each is its origin: its
    /// tenant puts the data there again should it be lost everywhere.
    pub data: Vec<Stock>,
    /// Centers whose stores cannot be reached by others.
    pub doorless: BTreeSet<CenterId>,
    /// The controller's settings, its policy among them.
    pub settings: Settings,
    /// How fast chips do which kind of work.
    pub speeds: Speeds,
    /// How long messages, plans and looks take.
    pub timing: Timing,
    /// What goes wrong; nothing by default.
    pub faults: Faults,
    /// What is asked of the network beside jobs, and how long after the start.
    pub wishes: Vec<(Span, Command)>,
    /// How much is judged beside what the controller judges itself.
    pub audit: Audit,
    /// The run stops this long after its start, whatever has not ended; none to go on until every
    /// job has ended or nothing can become of those that have not.
    pub until: Option<Span>,
    /// A bug to be planted, to prove that it is noticed.
    pub sabotage: Option<Sabotage>,
}

/// When runs start where nobody says otherwise: 2027-01-15 at 16:00 in Shanghai.
pub(crate) const START: Moment = Moment(1_800_000_000_000);

impl Setup {
    /// A network without data, load or faults, all else by default.
    #[must_use]
    pub fn new(declarations: Declarations) -> Self {
        Self {
            start: START,
            timing: Timing::of(&declarations),
            declarations,
            data: Vec::new(),
            doorless: BTreeSet::new(),
            settings: Settings::default(),
            speeds: Speeds::default(),
            faults: Faults::default(),
            wishes: Vec::new(),
            audit: Audit::Steps,
            until: None,
            sabotage: None,
        }
    }
}

/// How long things take that are nobody's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// A message's way, one way.
    pub latency: Span,
    /// At most this much is added to each way, drawn anew.
    pub jitter: Span,
    /// Messages arrive on whole multiples of this, so that what comes together is decided
    /// together. A large network needs it as a busy server needs its group commits.
    pub beat: Span,
    /// The longest that a poll is held back while there are no orders.
    pub poll: Span,
    /// How long after an answer was due the asker asks again.
    pub patience: Span,
    /// How often the loop is told that time passed.
    pub tick: Span,
    /// How long a background plan takes.
    pub solve: Span,
    /// An attempt that is stopped, for whatever reason, lives on for at most this long, drawn
    /// anew, and never longer than its grace.
    pub dying: Span,
    /// How often the network's state is sampled; none for never.
    pub sample: Option<Span>,
}

impl Timing {
    /// The pace that suits a network: one of more than [`LARGE`] chips decides once a second about
    /// all that came meanwhile, as a busy server does by its group commits, so that a day of it can
    /// be simulated in minutes.
    #[must_use]
    pub fn of(network: &Declarations) -> Self {
        let pools = network.centers.iter().flat_map(|center| &center.pools);
        let chips = pools.fold(Chips::ZERO, |sum, pool| sum.saturating_add(pool.chips()));
        if chips < LARGE {
            return Self::default();
        }
        let (beat, tick) = (Span::from_secs(1), Span::from_secs(5));
        Self { beat, tick, patience: Span::from_secs(5), ..Self::default() }
    }
}

/// From how many chips on a network is a large one.
pub const LARGE: Chips = Chips::whole(20_000);

impl Default for Timing {
    fn default() -> Self {
        Self {
            latency: Span(20),
            jitter: Span::ZERO,
            beat: Span(1),
            poll: Span::from_secs(10),
            patience: Span::from_secs(2),
            tick: Span::from_secs(1),
            solve: Span(500),
            dying: Span::ZERO,
            sample: None,
        }
    }
}

/// How much is judged beside what the controller judges at every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// Every fact against a history, each start against what the engines know. Memory does not grow
    /// with what has ended.
    Steps,
    /// That, the whole world after each step, and the log replayed now and then and at the end. The
    /// log is kept in memory.
    Everything,
}
