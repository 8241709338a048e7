//! From the packets of a window to what is said about a link. Pure arithmetic.

mod one_way;
mod spread;
mod variation;

pub use one_way::{OneWay, OwnClock, WhyUnknown};
pub use spread::Spread;
pub use variation::{Jitter, Variation};

use crate::Nanos;
use one_way::Transit;

/// A packet that was sent, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// When it left, by the sender's clock.
    pub sent: Nanos,
    /// The first answer to it, late or not.
    pub reply: Option<Reply>,
    /// How many more answers came.
    pub duplicates: u32,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// When the question arrived there, by the reflector's clock.
    pub reflector_received: Nanos,
    /// When the answer left there, by the reflector's clock.
    pub reflector_sent: Nanos,
    /// How far that clock may be off from UTC; None: it does not claim to follow it.
    pub reflector_error: Option<Nanos>,
    /// When the answer arrived here, by the sender's clock.
    pub received: Nanos,
}

/// What a window of packets says about the way to the reflector and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Packets that left.
    pub sent: u32,
    /// Those of them without an answer in time: lost on the way there or back (RFC 6673).
    pub lost: u32,
    /// Those of the lost whose answer came too late, as far as it was still awaited.
    pub late: u32,
    /// Answers beyond the first to a packet (RFC 5560).
    pub duplicates: u32,
    /// Answers that arrived after the answer to a packet sent later (RFC 4737).
    pub reordered: u32,
    /// Packets answered in time with moments that cannot be: the reflector's clock was set. They
    /// count as neither lost nor measured.
    pub unusable: u32,
    /// How losses cluster.
    pub loss_runs: LossRuns,
    /// From the packet's departure to its answer's arrival, less the reflector's stay (RFC 2681).
    pub round_trip: Option<Spread>,
    /// How long the reflector took between a packet's arrival and its answer's departure, by its own
    /// word.
    pub stay: Option<Spread>,
    /// Of the round trip.
    pub variation: Variation,
    /// The way to the reflector.
    pub there: Direction,
    /// The way from it.
    pub back: Direction,
}

/// Stretches of packets lost one after another (RFC 3357), within one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossRuns {
    /// How many.
    pub count: u32,
    /// Packets in the longest.
    pub longest: u32,
}

/// One direction of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Its delay, where clocks allow to tell it (RFC 7679).
    pub delay: OneWay,
    /// How its delay varies.
    pub variation: Variation,
}

/// What goes on from one window of a session to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct Running {
    round_trip: Jitter,
    there: Jitter,
    back: Jitter,
}

/// A packet answered in time, with its place in the order of sending.
struct Answered {
    index: usize,
    received: Nanos,
    transit: Transit,
    stay: Nanos,
}

impl Figures {
    /// Of these packets in the order of sending. An answer later than `patience` after its packet
    /// left makes the packet a lost one.
    #[must_use]
    pub fn of(probes: &[Probe], patience: Nanos, own: OwnClock, running: &mut Running) -> Self {
        let in_time = |probe: &Probe| {
            probe.reply.is_some_and(|reply| reply.received - probe.sent <= patience)
        };
        let lost: Vec<bool> = probes.iter().map(|probe| !in_time(probe)).collect();
        let late = probes.iter().filter(|probe| probe.reply.is_some() && !in_time(probe)).count();
        let replies = probes.iter().zip(&lost).enumerate().filter(|(_, (_, lost))| !**lost);
        let replies = replies.filter_map(|(index, (probe, _))| Some((index, probe, probe.reply?)));
        let mut answered: Vec<_> =
            replies.map(|(n, probe, reply)| answer(n, probe, reply)).collect();
        // An answer that a bad clock makes worthless as a delay still came in some order.
        let reordered = reordered(&answered);
        let arrived = answered.len();
        answered.retain(|one| one.stay >= Nanos::ZERO && one.transit.round_trip() >= Nanos::ZERO);

        let transits: Vec<_> = answered.iter().map(|one| one.transit).collect();
        let (there, back) = one_way::both(&transits, own);
        let vary =
            |jitter: &mut Jitter, delay: fn(&Transit) -> Nanos| vary(&answered, jitter, delay);
        Self {
            sent: count(probes.len()),
            lost: count(probes.len() - arrived),
            late: count(late),
            duplicates: probes.iter().fold(0, |sum, probe| sum.saturating_add(probe.duplicates)),
            reordered,
            unusable: count(arrived - answered.len()),
            loss_runs: loss_runs(&lost),
            round_trip: Spread::of(transits.iter().map(Transit::round_trip).collect()),
            stay: Spread::of(answered.iter().map(|one| one.stay).collect()),
            variation: vary(&mut running.round_trip, Transit::round_trip),
            there: Direction {
                delay: there,
                variation: vary(&mut running.there, |transit| transit.there),
            },
            back: Direction {
                delay: back,
                variation: vary(&mut running.back, |transit| transit.back),
            },
        }
    }

    /// How many in a million packets were lost; none if none was sent.
    #[must_use]
    pub fn loss_ppm(&self) -> Option<u32> {
        let ppm = (u64::from(self.lost) * 1_000_000).checked_div(u64::from(self.sent))?;
        u32::try_from(ppm).ok()
    }
}

/// Windows are bounded far below this.
fn count(packets: usize) -> u32 {
    u32::try_from(packets).unwrap_or(u32::MAX)
}

fn answer(index: usize, probe: &Probe, reply: Reply) -> Answered {
    let transit = Transit {
        there: reply.reflector_received - probe.sent,
        back: reply.received - reply.reflector_sent,
        reflector_error: reply.reflector_error,
    };
    let stay = reply.reflector_sent - reply.reflector_received;
    Answered { index, received: reply.received, transit, stay }
}

/// RFC 4737 §3.3: an answer is reordered if one to a later packet is already there.
fn reordered(answered: &[Answered]) -> u32 {
    let mut arrivals: Vec<_> = answered.iter().map(|one| (one.received, one.index)).collect();
    arrivals.sort_unstable();
    let (mut next, mut reordered) = (0, 0);
    for (_, index) in arrivals {
        if index < next {
            reordered += 1;
        } else {
            next = index + 1;
        }
    }
    reordered
}

fn loss_runs(lost: &[bool]) -> LossRuns {
    let runs = lost.chunk_by(|one, next| one == next).filter(|run| run[0]);
    runs.fold(LossRuns::default(), |runs, run| LossRuns {
        count: runs.count + 1,
        longest: runs.longest.max(count(run.len())),
    })
}

/// Differences between neighbors in the order of sending, jitter in the order of arrival.
fn vary(answered: &[Answered], jitter: &mut Jitter, delay: fn(&Transit) -> Nanos) -> Variation {
    let adjacent = answered.windows(2).filter(|pair| pair[0].index + 1 == pair[1].index);
    let ipdv = adjacent.map(|pair| delay(&pair[1].transit) - delay(&pair[0].transit)).collect();
    let mut arrivals: Vec<_> =
        answered.iter().map(|one| (one.received, delay(&one.transit))).collect();
    arrivals.sort_by_key(|(received, _)| *received);
    for (_, transit) in arrivals {
        jitter.arrived(transit);
    }
    Variation { ipdv: Spread::of(ipdv), jitter: jitter.estimate() }
}

#[cfg(test)]
mod tests;
