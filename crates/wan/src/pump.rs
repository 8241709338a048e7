//! The thread of one direction of a link: reads what one TUN device sends, keeps it as long as the
//! line says, and writes it to the other.

use crate::capture::Sink;
use crate::line::{Counters, Line};
use crate::packet::Packet;
use crate::quality::Quality;
use crate::{Packets, WanError};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
};
use tun_rs::{SyncDevice, VIRTIO_NET_HDR_LEN};

/// Room for the largest read: an IP packet of any length behind its header.
const LARGEST_READ: usize = 65_536 + VIRTIO_NET_HDR_LEN;

/// Reads in a row before orders are looked at again.
const READS: usize = 64;

/// What a direction is to do.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    pub(crate) quality: Quality,
    pub(crate) cut: bool,
    /// Where packets that come to the line are copied to.
    pub(crate) entering: Vec<Arc<Sink>>,
    /// Where packets that are handed over are copied to.
    pub(crate) leaving: Vec<Arc<Sink>>,
}

/// A running direction. Dropping it ends its thread; what is under way is lost.
#[derive(Debug)]
pub(crate) struct Pump {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Whether the thread goes before ordinary ones, which times need on a busy machine.
    pub(crate) realtime: bool,
}

#[derive(Debug)]
struct Shared {
    /// Wakes the thread when there are orders.
    bell: OwnedFd,
    desk: Mutex<Desk>,
    taken: Condvar,
}

#[derive(Debug)]
struct Desk {
    orders: Orders,
    /// How often orders were given, and how many of those the thread follows.
    given: u64,
    taken: u64,
    counters: Counters,
    /// The thread shall end, or has.
    stop: bool,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // Only a bell that was rung 2^64 times unheard can refuse.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

/// The two devices of a direction and how their packets look.
pub(crate) struct Ends {
    pub(crate) from: Arc<SyncDevice>,
    pub(crate) to: Arc<SyncDevice>,
    pub(crate) packets: Packets,
}

impl Pump {
    pub(crate) fn start(
        name: &str,
        ends: Ends,
        quality: Quality,
        seed: u64,
    ) -> Result<Self, WanError> {
        let failed = |doing| WanError::io(doing, Path::new(name));
        let bell = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .map_err(|error| failed("make the bell of")(error.into()))?;
        let orders = Orders { quality, cut: false, entering: Vec::new(), leaving: Vec::new() };
        let counters = Counters::default();
        let desk = Desk { orders: orders.clone(), given: 0, taken: 0, counters, stop: false };
        let shared = Arc::new(Shared { bell, desk: Mutex::new(desk), taken: Condvar::new() });
        let worker = Worker {
            shared: Arc::clone(&shared),
            offload: ends.packets == Packets::Large,
            ends,
            line: Line::new(quality, seed),
            orders,
            origin: Instant::now(),
            buffer: vec![0; LARGEST_READ],
        };
        let (tell, told) = mpsc::channel();
        let work = move || {
            // Whoever started it waits for the answer, so it is heard.
            let _ = tell.send(prefer());
            worker.run();
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
        let thread = Some(thread.map_err(failed("start the thread of"))?);
        Ok(Self { shared, thread, realtime: told.recv().unwrap_or(false) })
    }

    /// Changes what the direction does; when this returns, it does.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        drop(self.meet(change));
    }

    /// What it is to do.
    pub(crate) fn orders(&self) -> Orders {
        self.shared.desk().orders.clone()
    }

    /// What became of packets up to now.
    pub(crate) fn counters(&self) -> Counters {
        self.meet(|_| {}).counters
    }

    fn meet(&self, change: impl FnOnce(&mut Orders)) -> MutexGuard<'_, Desk> {
        let mut desk = self.shared.desk();
        change(&mut desk.orders);
        desk.given += 1;
        let mine = desk.given;
        self.shared.ring();
        let waits = |desk: &mut Desk| desk.taken < mine && !desk.stop;
        self.shared.taken.wait_while(desk, waits).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.shared.desk().stop = true;
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed; there is nothing left to do about it.
            let _ = thread.join();
        }
    }
}

/// Makes the calling thread go before ordinary ones and wake when it asked to. Whether that is
/// permitted.
fn prefer() -> bool {
    // Ordinary timers may be 50 µs late to save power.
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    let Ok(middle) = ThreadPriorityValue::try_from(50_u8) else { return false };
    thread_priority::set_thread_priority_and_policy(
        thread_priority::thread_native_id(),
        ThreadPriority::Crossplatform(middle),
        ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo),
    )
    .is_ok()
}

struct Worker {
    shared: Arc<Shared>,
    ends: Ends,
    offload: bool,
    line: Line,
    orders: Orders,
    origin: Instant,
    buffer: Vec<u8>,
}

impl Drop for Worker {
    /// Nobody waits for a thread that is gone.
    fn drop(&mut self) {
        self.shared.desk().stop = true;
        self.shared.taken.notify_all();
    }
}

impl Worker {
    /// Until it shall stop, or the device it reads is gone.
    fn run(mut self) {
        while let Some((readable, called)) = self.wait() {
            if called && self.take_orders() {
                return;
            }
            if readable {
                self.read();
            }
            self.deliver();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Sleeps until a packet comes, one is due, or there are orders: whether there is something to
    /// read, and orders. None once the device is gone.
    fn wait(&self) -> Option<(bool, bool)> {
        let timeout = self.line.next().map(|next| {
            let nanos = next.saturating_sub(self.now());
            Timespec {
                tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (nanos % 1_000_000_000).cast_signed(),
            }
        });
        let mut fds = [
            PollFd::from_borrowed_fd(self.ends.from.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.shared.bell.as_fd(), PollFlags::IN),
        ];
        if poll(&mut fds, timeout.as_ref()).is_err() {
            // A signal came first.
            return Some((false, false));
        }
        let [device, bell] = fds.map(|fd| fd.revents());
        let gone = device.intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL);
        (!gone).then(|| (device.contains(PollFlags::IN), bell.contains(PollFlags::IN)))
    }

    /// Follows the orders on the desk and leaves the counters there. Whether it shall stop.
    fn take_orders(&mut self) -> bool {
        // Nothing to read means that it was rung for orders taken already.
        let _ = rustix::io::read(&self.shared.bell, &mut [0; 8]);
        let now = self.now();
        let shared = Arc::clone(&self.shared);
        let mut desk = shared.desk();
        self.orders = desk.orders.clone();
        self.line.change(now, self.orders.quality, self.orders.cut);
        desk.counters = self.line.counters;
        desk.taken = desk.given;
        shared.taken.notify_all();
        desk.stop
    }

    fn read(&mut self) {
        for _ in 0..READS {
            // Whatever is wrong with the device, `wait` finds out whether it lasts.
            let Ok(length) = self.ends.from.recv(&mut self.buffer) else { return };
            let frame = &self.buffer[..length];
            for sink in &self.orders.entering {
                sink.put(Packet::ip(frame, self.offload));
            }
            let packet = Packet::new(frame, self.offload);
            self.line.offer(self.now(), packet);
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        while let Some(packet) = self.line.take(self.now()) {
            let accepted = self.ends.to.send(&packet.frame).is_ok();
            self.line.handed_over(&packet, accepted);
            if accepted {
                for sink in &self.orders.leaving {
                    sink.put(Packet::ip(&packet.frame, self.offload));
                }
            }
        }
    }
}
