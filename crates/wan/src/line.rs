//! One direction of a link, without clock, device or thread: packets go in with the time, and come
//! out when they are due.
//!
//! A packet waits in the queue until the line is free, takes its bytes times eight divided by the
//! rate on it, and is then under way for delay and jitter. Times are computed from when packets
//! came, so that a late call makes packets late but the line no slower.

use crate::Loss;
use crate::packet::Packet;
use crate::quality::Quality;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// What became of packets so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets handed to the site at the other end. Like all counts here, of packets as they are on
    /// a wire: one of many segments counts as many.
    pub packets: u64,
    /// Their bytes, each packet with its IP header.
    pub bytes: u64,
    /// Packets for which there was no room in the queue.
    pub dropped_by_queue: u64,
    /// Packets lost by chance, as the link's loss demands.
    pub dropped_by_loss: u64,
    /// Packets that were on the link when it was cut, or came while it was.
    pub dropped_by_cut: u64,
    /// Packets that the receiving interface refused, because somebody has set it down.
    pub refused: u64,
    /// The longest that a packet was handed over after it was due, in nanoseconds: how far this
    /// machine was from keeping up.
    pub latest_nanos: u64,
}

/// A direction's state. Times are nanoseconds since an origin of the caller's.
#[derive(Debug)]
pub(crate) struct Line {
    quality: Quality,
    cut: bool,
    chance: ChaCha8Rng,
    waiting: VecDeque<Waiting>,
    /// Bytes of all that wait.
    waiting_bytes: u64,
    /// When the last packet put on the line has left it.
    free_at: u64,
    under_way: VecDeque<(u64, Packet)>,
    /// When the last packet under way is due: none comes out before it.
    last_due: u64,
    pub(crate) counters: Counters,
}

#[derive(Debug)]
struct Waiting {
    came: u64,
    packet: Packet,
    lost: bool,
}

impl Line {
    /// An empty line. The same seed loses the same packets of the same traffic.
    pub(crate) fn new(quality: Quality, seed: u64) -> Self {
        Self {
            quality,
            cut: false,
            chance: ChaCha8Rng::seed_from_u64(seed),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            free_at: 0,
            under_way: VecDeque::new(),
            last_due: 0,
            counters: Counters::default(),
        }
    }

    /// From `now` on the line is like this. What is under way stays so; what waits goes at the new
    /// rate; a cut loses both.
    pub(crate) fn change(&mut self, now: u64, quality: Quality, cut: bool) {
        self.advance(now);
        self.quality = quality;
        self.cut = cut;
        if cut {
            let waiting = self.waiting.drain(..).map(|waiting| waiting.packet.count);
            let under_way = self.under_way.drain(..).map(|(_, packet)| packet.count);
            self.counters.dropped_by_cut += waiting.chain(under_way).sum::<u64>();
            self.waiting_bytes = 0;
        }
    }

    /// A packet comes. Of one that stands for many, those that are lost or find no room are cut out.
    pub(crate) fn offer(&mut self, now: u64, packet: Packet) {
        if self.cut {
            self.counters.dropped_by_cut += packet.count;
            return;
        }
        self.advance(now);
        let lost: Vec<bool> = if self.quality.loss == Loss::NONE {
            Vec::new()
        } else {
            (0..packet.count).map(|_| self.draw()).collect()
        };
        if lost.contains(&true) || !self.has_room(packet.wire_bytes) {
            let pieces = packet.split();
            // A kind that cannot be cut is lost as a whole.
            let any = lost.contains(&true);
            let alone = pieces.len() == 1;
            for (at, piece) in pieces.into_iter().enumerate() {
                let lost = if alone { any } else { lost.get(at).copied().unwrap_or(false) };
                self.enter(now, piece, lost);
            }
        } else {
            self.enter(now, packet, false);
        }
    }

    fn draw(&mut self) -> bool {
        self.chance.random_ratio(self.quality.loss.millionths(), Loss::ALL)
    }

    /// Whether so many bytes more may wait; what goes on the line at once need not.
    fn has_room(&self, bytes: u64) -> bool {
        self.waiting_bytes.saturating_add(bytes) <= self.quality.room().0
    }

    fn enter(&mut self, now: u64, packet: Packet, lost: bool) {
        let at_once = self.waiting.is_empty() && self.free_at <= now;
        if !at_once && !self.has_room(packet.wire_bytes) {
            self.counters.dropped_by_queue += packet.count;
            return;
        }
        self.waiting_bytes += packet.wire_bytes;
        self.waiting.push_back(Waiting { came: now, packet, lost });
        self.advance(now);
    }

    /// Puts on the line what the line was free for up to `now`.
    fn advance(&mut self, now: u64) {
        while self.free_at <= now {
            let Some(Waiting { came, packet, lost }) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= packet.wire_bytes;
            let start = self.free_at.max(came);
            self.free_at = start.saturating_add(self.time_on_line(packet.wire_bytes));
            if lost {
                self.counters.dropped_by_loss += packet.count;
                continue;
            }
            let due = self.free_at.saturating_add(self.time_under_way()).max(self.last_due);
            self.last_due = due;
            self.under_way.push_back((due, packet));
        }
    }

    fn time_on_line(&self, bytes: u64) -> u64 {
        let Some(rate) = self.quality.rate else { return 0 };
        let nanos = (u128::from(bytes) * 8 * 1_000_000_000).div_ceil(u128::from(rate.0.max(1)));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    fn time_under_way(&mut self) -> u64 {
        let jitter = match self.quality.jitter.nanos() {
            0 => 0,
            most => self.chance.random_range(0..=most),
        };
        self.quality.delay.nanos().saturating_add(jitter)
    }

    /// When to look again, if no packet comes before.
    pub(crate) fn next(&self) -> Option<u64> {
        let due = self.under_way.front().map(|(due, _)| *due);
        due.or_else(|| (!self.waiting.is_empty()).then_some(self.free_at))
    }

    /// The next packet that is due at `now`.
    pub(crate) fn take(&mut self, now: u64) -> Option<Packet> {
        self.advance(now);
        let due = self.under_way.front().map(|(due, _)| *due).filter(|due| *due <= now)?;
        self.counters.latest_nanos = self.counters.latest_nanos.max(now - due);
        self.under_way.pop_front().map(|(_, packet)| packet)
    }

    /// Counts a packet that was taken and handed over, or refused there.
    pub(crate) fn handed_over(&mut self, packet: &Packet, accepted: bool) {
        if accepted {
            self.counters.packets += packet.count;
            self.counters.bytes += packet.wire_bytes;
        } else {
            self.counters.refused += packet.count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::tcp;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn quality(keys: &[(&str, &str)]) -> Quality {
        let mut quality = Quality::default();
        for (key, text) in keys {
            quality.set(key, text).unwrap();
        }
        quality
    }

    fn line(keys: &[(&str, &str)]) -> Line {
        Line::new(quality(keys), 1)
    }

    fn packet(bytes: usize) -> Packet {
        Packet::new(&vec![0x45; bytes], false)
    }

    /// Takes all that comes out and says when it did, in microseconds.
    fn out(line: &mut Line) -> Vec<u64> {
        let mut times = Vec::new();
        while let Some(next) = line.next() {
            while let Some(packet) = line.take(next) {
                line.handed_over(&packet, true);
                times.push(next / 1_000);
            }
        }
        times
    }

    #[test]
    fn a_packet_takes_its_time_on_the_line_and_then_the_delay() {
        let mut line = line(&[("rate", "8 Mbit/s"), ("delay", "5ms")]);
        line.offer(0, packet(1_000));
        line.offer(0, packet(500));
        line.offer(10 * MS, packet(1_000));
        assert_eq!(out(&mut line), [6_000, 6_500, 16_000]);
    }

    #[test]
    fn what_finds_the_queue_full_is_dropped() {
        let mut line = line(&[("rate", "8 Mbit/s"), ("queue", "3 kB")]);
        for _ in 0..6 {
            line.offer(0, packet(1_000));
        }
        assert_eq!(line.counters.dropped_by_queue, 2);
        line.offer(1_500_000, packet(1_000));
        assert_eq!(out(&mut line), [1_000, 2_000, 3_000, 4_000, 5_000]);
        assert_eq!(line.counters.dropped_by_queue, 2);
    }

    #[test]
    fn a_large_packet_fills_the_queue_to_the_brim_and_the_rest_of_it_is_dropped() {
        let mut line = line(&[("rate", "8 Mbit/s"), ("queue", "10 kB")]);
        line.offer(0, packet(1_000));
        line.offer(0, Packet::new(&tcp(20 * 960, 960), true));
        assert_eq!(line.counters.dropped_by_queue, 10);
        assert_eq!(out(&mut line).len(), 11);
    }

    #[test]
    fn a_new_rate_holds_for_what_waits() {
        let mut line = line(&[("rate", "8 Mbit/s")]);
        for _ in 0..3 {
            line.offer(0, packet(1_000));
        }
        line.change(500_000, quality(&[("rate", "80 Mbit/s")]), false);
        assert_eq!(out(&mut line), [1_000, 1_100, 1_200]);
    }

    #[test]
    fn a_cut_loses_what_waits_and_what_is_under_way_and_a_mended_line_carries_again() {
        let slow = quality(&[("rate", "8 Mbit/s"), ("delay", "5ms")]);
        let mut line = Line::new(slow, 1);
        for _ in 0..3 {
            line.offer(0, packet(1_000));
        }
        line.change(MS, slow, true);
        line.offer(MS, packet(1_000));
        assert_eq!((line.counters.dropped_by_cut, line.next()), (4, None));
        line.change(10 * MS, slow, false);
        line.offer(10 * MS, packet(1_000));
        assert_eq!(out(&mut line), [16_000]);
    }

    #[test]
    fn lost_packets_take_their_time_on_the_line_all_the_same() {
        let mut line = line(&[("rate", "8 Mbit/s"), ("loss", "100%")]);
        line.offer(0, packet(1_000));
        line.change(0, quality(&[("rate", "8 Mbit/s")]), false);
        line.offer(0, packet(1_000));
        assert_eq!(out(&mut line), [2_000]);
        assert_eq!(line.counters.dropped_by_loss, 1);
    }

    #[test]
    fn segments_of_large_packets_are_lost_each_by_its_own_chance() {
        let mut line = line(&[("loss", "1%")]);
        for round in 0..500 {
            line.offer(round, Packet::new(&tcp(40 * 1_000, 1_000), true));
            while line.take(round).is_some() {}
        }
        // 20,000 draws: the standard deviation is 14.
        let lost = line.counters.dropped_by_loss;
        assert!((130..=270).contains(&lost), "{lost}");
    }

    proptest! {
        #[test]
        fn packets_come_out_in_order_never_early_never_faster_than_the_rate_and_none_vanishes(
            gaps in prop::collection::vec((0_u64..2_000_000, 20_usize..1_500), 1..200),
            (delay, jitter, loss) in (0_u64..20, 0_u64..5, 0_u32..300_000),
            queue in 0_u64..20_000,
            seed: u64,
        ) {
            let mut quality = quality(&[("rate", "8 Mbit/s")]);
            quality.set("delay", &format!("{delay}ms")).unwrap();
            quality.set("jitter", &format!("{jitter}ms")).unwrap();
            quality.set("queue", &format!("{queue} B")).unwrap();
            quality.loss = Loss::of_a_million(loss);
            let mut line = Line::new(quality, seed);
            let (mut now, mut came) = (0, Vec::new());
            let mut left: Vec<(u64, usize)> = Vec::new();
            for (at, (gap, bytes)) in gaps.iter().enumerate() {
                while let Some(next) = line.next().filter(|next| *next <= now + gap) {
                    while let Some(packet) = line.take(next) {
                        left.push((next, usize::from(packet.frame[1])));
                    }
                }
                now += gap;
                let mut one = packet(*bytes);
                one.frame[1] = u8::try_from(at).unwrap();
                came.push(now);
                line.offer(now, one);
            }
            while let Some(next) = line.next() {
                while let Some(packet) = line.take(next) {
                    left.push((next, usize::from(packet.frame[1])));
                }
            }
            prop_assert!(left.is_sorted_by(|a, b| a.0 <= b.0 && a.1 < b.1));
            for (time, at) in &left {
                let least = came[*at] + gaps[*at].1 as u64 * 1_000 + delay * MS;
                prop_assert!(*time >= least, "{} came out at {}, due {}", at, time, least);
            }
            let dropped = line.counters.dropped_by_queue + line.counters.dropped_by_loss;
            prop_assert_eq!(left.len() as u64 + dropped, gaps.len() as u64);
            if let (Some(first), Some(last)) = (left.first(), left.last()) {
                let bytes: u64 = left[1..].iter().map(|(_, at)| gaps[*at].1 as u64).sum();
                prop_assert!(last.0 + jitter * MS - first.0 >= bytes * 1_000);
            }
        }
    }
}
