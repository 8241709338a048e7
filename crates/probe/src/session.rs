//! The side that asks and measures.

mod flight;
mod schedule;
mod window;

pub use schedule::Spacing;
pub use window::{Pace, Stamps, Window};

use crate::clock::{Clock, Reading, WallClock};
use crate::packet::{self, Format, Key, ReflectorPacket, SenderPacket, Timestamp};
use crate::socket::{LARGEST, Received, Socket, Stamped};
use crate::{Nanos, ProbeError};
use flight::Flight;
use rand::Rng;
use schedule::Schedule;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// A packet this late is still sent. It covers what timers are off by; catching up on more would
/// measure bursts of our own making.
const LATE: Nanos = Nanos(20_000_000);

/// More is no datagram of IPv4.
const LONGEST: usize = 65_507;

/// More packets than any socket's buffer holds.
const MOST_WAITING: usize = 100_000;

/// Shorter ones would only measure this machine, longer ones no link.
const INTERVALS: RangeInclusive<Duration> = Duration::from_micros(100)..=Duration::from_secs(3_600);

/// At most so many packets in what is awaited.
const MOST: u128 = 1_000_000;

/// What a session sends, and how it judges what comes back.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// The reflector.
    pub remote: SocketAddr,
    /// With a key, authenticated mode. The reflector must have the same.
    pub key: Option<Key>,
    /// The mean time from packet to packet; 100 µs to an hour. Below a millisecond packets leave in
    /// small bursts, for timers are no finer.
    pub interval: Duration,
    /// How departures are spread.
    pub spacing: Spacing,
    /// Bytes of a packet without the headers of UDP and IP; none: as small as can be. The rest is
    /// padding.
    pub size: Option<usize>,
    /// The class of traffic, 0 to 63.
    pub dscp: u8,
    /// How timestamps are written.
    pub format: Format,
    /// What is known of this machine's clock.
    pub clock: WallClock,
    /// How long an answer is waited for; what comes later is lost. At most a minute.
    pub patience: Duration,
    /// How long a window is.
    pub window: Duration,
    /// How many packets are due in all; none: no end.
    pub count: Option<u64>,
}

impl SessionSettings {
    /// Ten packets a second, in windows of 10 s, with a patience of 2 s.
    #[must_use]
    pub fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            key: None,
            interval: Duration::from_millis(100),
            spacing: Spacing::default(),
            size: None,
            dscp: 0,
            format: Format::Ntp,
            clock: WallClock::default(),
            patience: Duration::from_secs(2),
            window: Duration::from_secs(10),
            count: None,
        }
    }

    fn size(&self) -> usize {
        self.size.unwrap_or(packet::base(self.key.as_ref()))
    }

    fn check(&self) -> Result<(), ProbeError> {
        let shown = |duration: Duration| format!("{duration:?}");
        let wrong = ProbeError::setting;
        let size = self.size();
        if !INTERVALS.contains(&self.interval) {
            return Err(wrong("the interval", shown(self.interval), "give 100 µs to an hour"));
        }
        if size > LONGEST || !packet::possible(size, self.key.as_ref()) {
            let wanted = "give 44 (112 with a key), or 4 and more above that, up to 65507";
            return Err(wrong("the size", size.to_string(), wanted));
        }
        if self.dscp > 63 {
            return Err(wrong("the DSCP", self.dscp.to_string(), "give 0 to 63"));
        }
        if self.patience.is_zero() || self.patience > Duration::from_secs(60) {
            return Err(wrong("the patience", shown(self.patience), "give up to a minute"));
        }
        let awaited = self.window.saturating_add(self.patience).as_nanos();
        if self.window < self.interval || awaited / self.interval.as_nanos() > MOST {
            let wanted = "give one interval or more, and no more than a million with the patience";
            return Err(wrong("the window", shown(self.window), wanted));
        }
        if self.count == Some(0) {
            return Err(wrong("the count", "0".to_owned(), "give one or more, or none for no end"));
        }
        Ok(())
    }
}

/// Measures the way to one reflector and back.
#[derive(Debug)]
pub struct Session {
    socket: Socket,
    settings: SessionSettings,
}

impl Session {
    /// Opens the socket, on a port of the system's choice. Refused if a setting makes no sense.
    pub async fn open(settings: SessionSettings) -> Result<Self, ProbeError> {
        settings.check()?;
        let remote = settings.remote;
        let failed = ProbeError::socket("send to", remote);
        let any = match remote {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = Socket::bind(any, Stamped::Both).await.map_err(&failed)?;
        socket.connect(remote, settings.dscp << 2).await.map_err(&failed)?;
        Ok(Self { socket, settings })
    }

    /// Sends and listens until the count is reached and all is answered or out of patience, or nobody
    /// takes windows any more. `random` decides the session's number and when packets leave. Windows
    /// are dropped when the channel is full: the pace waits for nobody.
    pub async fn run<R: Rng>(
        self,
        mut random: R,
        windows: mpsc::Sender<Window>,
    ) -> Result<(), ProbeError> {
        let mut bytes = vec![0; LARGEST];
        let mut running = Run::start(self, &mut random);
        let mut due = Some(running.schedule.next(&mut random));
        let mut left = running.settings.count.unwrap_or(u64::MAX);
        loop {
            let wake = due.unwrap_or(Nanos::MAX).min(running.flight.closes());
            tokio::select! {
                // Answers first, and one packet a turn: so neither a flood nor a machine that cannot
                // keep the pace leaves answers lying until the socket's buffer is full.
                biased;
                received = running.socket.receive(&mut bytes) => match received {
                    Ok(received) => running.take(&bytes, received),
                    Err(error) => running.bear(error)?,
                },
                () = tokio::time::sleep_until(running.clock.instant(wake)) => {}
            }
            if let Some(at) = due.filter(|at| *at <= running.clock.steady()) {
                running.send(at).await;
                left -= 1;
                due = (left > 0).then(|| running.schedule.next(&mut random));
                if due.is_none() {
                    running.flight.end(running.clock.steady());
                }
            }
            while let Some(window) = running.close(&mut bytes) {
                if !deliver(&windows, window) {
                    return Ok(());
                }
            }
            if running.flight.is_over() || windows.is_closed() {
                return Ok(());
            }
        }
    }
}

/// Whether anybody still listens.
fn deliver(windows: &mpsc::Sender<Window>, window: Window) -> bool {
    match windows.try_send(window) {
        Ok(()) => true,
        Err(TrySendError::Closed(_)) => false,
        Err(TrySendError::Full(window)) => {
            tracing::warn!(number = window.number, "nobody took a window of a probe in time");
            true
        }
    }
}

/// A session under way.
struct Run {
    socket: Socket,
    settings: SessionSettings,
    session: u16,
    clock: Clock,
    schedule: Schedule,
    flight: Flight,
    packet: Vec<u8>,
    /// How many packets the socket had no room for, when last told.
    overrun: u32,
}

impl Run {
    fn start<R: Rng>(session: Session, random: &mut R) -> Self {
        let Session { socket, settings } = session;
        let clock = Clock::start();
        let now = clock.steady();
        let number = u16::try_from(random.next_u32() >> 16).expect("half of 32 bits");
        Self {
            // Zero is the number of those that have none.
            session: number.max(1),
            schedule: Schedule::new(settings.interval, settings.spacing, now),
            flight: Flight::new(settings.window.into(), settings.patience.into(), now),
            packet: vec![0; settings.size()],
            overrun: 0,
            socket,
            settings,
            clock,
        }
    }

    fn read(&mut self) -> Reading {
        let reading = self.clock.read();
        if reading.was_set {
            tracing::debug!("the wall clock was set");
            self.flight.clock_was_set();
        }
        reading
    }

    /// Sends the packet that was due then, if it is not too late.
    async fn send(&mut self, due: Nanos) {
        let reading = self.read();
        if reading.steady - due > LATE.max(self.settings.interval.into()) {
            return self.flight.skipped(due);
        }
        let mark = Timestamp::of(reading.wall, self.settings.format);
        let question = SenderPacket {
            sequence: self.flight.next_sequence(),
            timestamp: mark,
            error: self.settings.clock.estimate(self.settings.format),
            session: self.session,
        };
        let key = self.settings.key.as_ref();
        question.encode(key, &mut self.packet).expect("the size was checked when opening");
        let mut done = self.socket.send(&self.packet).await;
        if done.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            // What the system reports here is the fate of an earlier packet.
            done = self.socket.send(&self.packet).await;
        }
        match done {
            Ok(()) => self.flight.left(due, reading.steady, mark),
            Err(error) => {
                tracing::debug!(remote = %self.settings.remote, %error, "a packet was not sent");
                self.flight.failed(due);
            }
        }
        self.note_departures();
    }

    /// Takes the kernel's word for when packets left.
    fn note_departures(&mut self) {
        let reading = self.read();
        let (size, key) = (self.packet.len(), self.settings.key.as_ref());
        while let Some((bytes, stamp)) = self.socket.departed() {
            let packet = bytes.split_at_checked(bytes.len().saturating_sub(size));
            let question = packet.and_then(|(_, packet)| SenderPacket::decode(packet, key).ok());
            if let (Some(question), Some(at)) = (question, reading.place(stamp)) {
                self.flight.departed(question.sequence, question.timestamp, at);
            }
        }
    }

    /// Looks at a packet that arrived.
    fn take(&mut self, buffer: &[u8], received: Received) {
        let reading = self.read();
        self.flight.overrun(received.overrun.saturating_sub(self.overrun));
        self.overrun = self.overrun.max(received.overrun);
        // A stamp of a departure may come only now.
        self.note_departures();
        let placed = received.stamp.and_then(|stamp| reading.place(stamp));
        let bytes = &buffer[..received.bytes];
        match ReflectorPacket::decode(bytes, self.settings.key.as_ref()) {
            // Reflectors of RFC 8762 alone know no sessions and answer with zero.
            Ok(answer) if answer.session == self.session || answer.session == 0 => {
                let at = placed.unwrap_or(reading.steady);
                self.flight.answered(&answer, at, placed.is_some());
            }
            Ok(_) => self.flight.stray(),
            Err(why) => {
                tracing::debug!(remote = %self.settings.remote, %why, "a packet was refused");
                self.flight.stray();
            }
        }
    }

    /// What the network reports (nobody listens there, no way to it) is no end: the packet is lost.
    fn bear(&self, error: io::Error) -> Result<(), ProbeError> {
        if error.raw_os_error().is_none() {
            return Err(ProbeError::socket("receive from", self.settings.remote)(error));
        }
        tracing::debug!(remote = %self.settings.remote, %error, "the network reports a lost packet");
        Ok(())
    }

    /// The oldest window if it has waited long enough.
    fn close(&mut self, buffer: &mut [u8]) -> Option<Window> {
        if self.flight.closes() > self.clock.steady() {
            return None;
        }
        // This process may have waited longer than the answers: what is there was not lost.
        for _ in 0..MOST_WAITING {
            match self.socket.receive_now(buffer) {
                Ok(received) => self.take(buffer, received),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // The network's report of a lost packet, which may stand before answers.
                Err(_) => {}
            }
        }
        let reading = self.read();
        let own = reading.own(self.settings.clock);
        self.flight.close(reading.steady, own, reading.ahead())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(change: impl FnOnce(&mut SessionSettings), message: &str) {
        let mut settings = SessionSettings::new(SocketAddr::from(([127, 0, 0, 1], 862)));
        assert!(settings.check().is_ok());
        change(&mut settings);
        assert_eq!(settings.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_with_what_would() {
        let micro = Duration::from_micros(1);
        refused(|s| s.interval = micro, "the interval is 1µs: give 100 µs to an hour");
        refused(
            |s| s.size = Some(45),
            "the size is 45: give 44 (112 with a key), or 4 and more above that, up to 65507",
        );
        refused(|s| s.dscp = 64, "the DSCP is 64: give 0 to 63");
        refused(|s| s.patience = Duration::ZERO, "the patience is 0ns: give up to a minute");
        refused(
            |s| s.window = micro,
            "the window is 1µs: give one interval or more, and no more than a million with the patience",
        );
        refused(|s| s.count = Some(0), "the count is 0: give one or more, or none for no end");
    }
}
