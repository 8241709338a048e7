//! The windows whose answers are still awaited. Pure: moments are arguments.

use super::{Pace, Stamps, Window};
use crate::figures::{Figures, Probe, Reply, Running};
use crate::packet::{ReflectorPacket, Timestamp};
use crate::{Nanos, OwnClock};
use std::collections::VecDeque;

#[derive(Debug)]
pub(super) struct Flight {
    length: Nanos,
    patience: Nanos,
    /// Oldest first; never empty before the end.
    open: VecDeque<Open>,
    /// Nothing more will be sent.
    ended: bool,
    running: Running,
}

#[derive(Debug)]
struct Open {
    number: u64,
    since: Nanos,
    until: Nanos,
    /// Sequence number of its first packet.
    first: u32,
    probes: Vec<Probe>,
    /// What each packet bears as its timestamp, and an answer has to repeat.
    marks: Vec<Timestamp>,
    /// How many of them have no answer yet.
    awaited: usize,
    pace: Pace,
    stamps: Stamps,
    strays: u32,
    clock_was_set: bool,
}

impl Flight {
    pub(super) fn new(length: Nanos, patience: Nanos, from: Nanos) -> Self {
        let (open, running) = (VecDeque::new(), Running::default());
        let mut flight = Self { length, patience, open, ended: false, running };
        flight.open(0, from, 0);
        flight
    }

    fn open(&mut self, number: u64, since: Nanos, first: u32) {
        self.open.push_back(Open {
            number,
            since,
            until: since + self.length,
            first,
            probes: Vec::new(),
            marks: Vec::new(),
            awaited: 0,
            pace: Pace::default(),
            stamps: Stamps::default(),
            strays: 0,
            clock_was_set: false,
        });
    }

    fn newest(&mut self) -> &mut Open {
        self.open.back_mut().expect("a window is open while the session runs")
    }

    /// Opens the windows up to the one in which `due` falls.
    fn reach(&mut self, due: Nanos) {
        while self.newest().until <= due {
            let next = self.next_sequence();
            let Open { number, until, .. } = *self.newest();
            self.open(number + 1, until, next);
        }
    }

    /// Of the packet to be sent next.
    pub(super) fn next_sequence(&mut self) -> u32 {
        let newest = self.newest();
        let sent = u32::try_from(newest.probes.len()).expect("windows are bounded");
        newest.first.wrapping_add(sent)
    }

    /// The packet that was due then left, bearing this mark.
    pub(super) fn left(&mut self, due: Nanos, sent: Nanos, mark: Timestamp) {
        self.reach(due);
        let newest = self.newest();
        newest.probes.push(Probe { sent, reply: None, duplicates: 0 });
        newest.marks.push(mark);
        newest.awaited += 1;
        newest.pace.latest = newest.pace.latest.max(sent - due);
    }

    /// The packet that was due then was not sent, being too late.
    pub(super) fn skipped(&mut self, due: Nanos) {
        self.reach(due);
        self.newest().pace.skipped += 1;
    }

    /// The system refused to send the packet that was due then.
    pub(super) fn failed(&mut self, due: Nanos) {
        self.reach(due);
        self.newest().pace.failed += 1;
    }

    /// So many more packets arrived and were dropped for want of room.
    pub(super) fn overrun(&mut self, packets: u32) {
        let pace = &mut self.newest().pace;
        pace.overrun = pace.overrun.saturating_add(packets);
    }

    /// The wall clock was set: one-way delays of what is under way cannot be told.
    pub(super) fn clock_was_set(&mut self) {
        for open in &mut self.open {
            open.clock_was_set = true;
        }
    }

    fn find(&mut self, sequence: u32) -> Option<(&mut Open, usize)> {
        self.open.iter_mut().find_map(|open| {
            let index = usize::try_from(sequence.wrapping_sub(open.first)).ok()?;
            (index < open.probes.len()).then_some((open, index))
        })
    }

    /// The kernel says when the packet really left.
    pub(super) fn departed(&mut self, sequence: u32, mark: Timestamp, at: Nanos) {
        if let Some((open, index)) = self.find(sequence).filter(|(open, n)| open.marks[*n] == mark)
        {
            open.probes[index].sent = at;
            open.stamps.sent += 1;
        }
    }

    /// An answer arrived; by the kernel's stamp, or else by when it was read.
    pub(super) fn answered(&mut self, answer: &ReflectorPacket, received: Nanos, by_kernel: bool) {
        let found = self.find(answer.sender_sequence);
        // Who cannot see our packets cannot know their marks.
        let Some((open, index)) =
            found.filter(|(open, n)| open.marks[*n] == answer.sender_timestamp)
        else {
            return self.stray();
        };
        let probe = &mut open.probes[index];
        if probe.reply.is_some() {
            probe.duplicates = probe.duplicates.saturating_add(1);
            return;
        }
        let format = answer.error.format();
        probe.reply = Some(Reply {
            reflector_received: answer.received.wall(format),
            reflector_sent: answer.timestamp.wall(format),
            reflector_error: answer.error.error(),
            received,
        });
        open.awaited -= 1;
        open.stamps.received += u32::from(by_kernel);
    }

    /// Whether the session ended and its last window was closed.
    pub(super) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Something arrived that answers nothing awaited.
    pub(super) fn stray(&mut self) {
        let newest = self.newest();
        newest.strays = newest.strays.saturating_add(1);
    }

    /// When the oldest window has waited long enough: at once if nothing more will be sent and all
    /// is answered.
    pub(super) fn closes(&self) -> Nanos {
        let patience = |open: &Open| match self.ended && open.awaited == 0 {
            true => Nanos::ZERO,
            false => self.patience,
        };
        self.open.front().map_or(Nanos::MAX, |open| open.until + patience(open))
    }

    /// Nothing more will be sent: ends the newest window now.
    pub(super) fn end(&mut self, now: Nanos) {
        self.reach(now);
        self.ended = true;
        let newest = self.newest();
        newest.until = newest.until.min(now);
    }

    /// The oldest window if it has waited long enough. `own` relates the steady clock to the wall
    /// clock; `ahead` is what the latter is ahead.
    pub(super) fn close(&mut self, now: Nanos, own: OwnClock, ahead: Nanos) -> Option<Window> {
        if !self.ended {
            self.reach(now);
        }
        if self.closes() > now {
            return None;
        }
        let closed = self.open.pop_front()?;
        let own = match own {
            OwnClock::Synchronized { .. } if closed.clock_was_set => OwnClock::Set,
            own => own,
        };
        Some(Window {
            number: closed.number,
            opened: closed.since + ahead,
            lasted: (closed.until - closed.since).to_std(),
            figures: Figures::of(&closed.probes, self.patience, own, &mut self.running),
            pace: closed.pace,
            stamps: closed.stamps,
            strays: closed.strays,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{ErrorEstimate, Format};

    const MS: i64 = 1_000_000;

    fn flight() -> Flight {
        Flight::new(Nanos(100 * MS), Nanos(50 * MS), Nanos::ZERO)
    }

    /// Sends a packet at each of these milliseconds, its number as its mark.
    fn send(flight: &mut Flight, millis: &[i64]) {
        for at in millis {
            let at = Nanos(at * MS);
            let sequence = flight.next_sequence();
            flight.left(at, at, Timestamp(u64::from(sequence)));
        }
    }

    fn answer(flight: &mut Flight, sequence: u32, mark: u64, millis: i64) {
        let error = ErrorEstimate::unsynchronized(Format::Ntp);
        let answer = ReflectorPacket {
            sequence,
            timestamp: Timestamp(0),
            error,
            session: 1,
            received: Timestamp(0),
            sender_sequence: sequence,
            sender_timestamp: Timestamp(mark),
            sender_error: error,
            sender_ttl: 255,
        };
        flight.answered(&answer, Nanos(millis * MS), true);
    }

    fn close(flight: &mut Flight, millis: i64) -> Option<Window> {
        flight.close(Nanos(millis * MS), OwnClock::Free, Nanos::ZERO)
    }

    #[test]
    fn a_window_closes_when_its_last_packet_had_all_patience() {
        let mut flight = flight();
        send(&mut flight, &[10, 99, 100, 120]);
        answer(&mut flight, 1, 1, 149);
        assert!(close(&mut flight, 149).is_none());
        let window = close(&mut flight, 150).unwrap();
        assert_eq!((window.number, window.figures.sent, window.figures.lost), (0, 2, 1));
        answer(&mut flight, 3, 3, 151);
        let window = close(&mut flight, 250).unwrap();
        assert_eq!((window.number, window.figures.sent, window.figures.lost), (1, 2, 1));
    }

    #[test]
    fn silent_windows_are_windows_too() {
        let mut flight = flight();
        send(&mut flight, &[10]);
        flight.skipped(Nanos(250 * MS));
        let seen: Vec<_> = std::iter::from_fn(|| close(&mut flight, 400))
            .map(|window| (window.number, window.figures.sent, window.pace.skipped))
            .collect();
        assert_eq!(seen, [(0, 1, 0), (1, 0, 0), (2, 0, 1)]);
        assert!(!flight.is_over());
    }

    #[test]
    fn an_answer_with_another_mark_or_number_is_a_stray_and_a_second_one_a_duplicate() {
        let mut flight = flight();
        send(&mut flight, &[10, 20]);
        for (sequence, mark) in [(0, 7), (5, 5), (0, 0), (0, 0)] {
            answer(&mut flight, sequence, mark, 30);
        }
        let window = close(&mut flight, 150).unwrap();
        assert_eq!((window.strays, window.figures.duplicates, window.figures.lost), (2, 1, 1));
    }

    #[test]
    fn the_end_closes_the_last_window_when_all_is_answered_or_patience_ends() {
        let ended = || {
            let mut flight = flight();
            send(&mut flight, &[10]);
            flight.end(Nanos(20 * MS));
            flight
        };
        let mut silent = ended();
        assert!(close(&mut silent, 69).is_none());
        assert_eq!(close(&mut silent, 70).unwrap().lasted, Nanos(20 * MS).to_std());
        assert!(silent.is_over());
        let mut answered = ended();
        answer(&mut answered, 0, 0, 25);
        assert_eq!(close(&mut answered, 25).unwrap().figures.lost, 0);
    }

    #[test]
    fn numbers_begin_anew_after_the_last_one() {
        let mut flight = flight();
        flight.open[0].first = u32::MAX;
        send(&mut flight, &[10, 20, 110]);
        answer(&mut flight, 0, 0, 30);
        answer(&mut flight, 1, 1, 115);
        assert_eq!(close(&mut flight, 150).unwrap().figures.lost, 1);
        assert_eq!(close(&mut flight, 250).unwrap().figures.lost, 0);
    }
}
