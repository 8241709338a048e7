//! Sessions against reflectors on loopback. What is asserted never depends on how fast this machine is.

use probe::figures::{OneWay, WhyUnknown};
use probe::packet::{ErrorEstimate, Format, ReflectorPacket, SenderPacket, Timestamp};
use probe::{
    Counts, Key, Keys, Nanos, Reflector, ReflectorSettings, Session, SessionSettings, Spacing,
    WallClock, Window,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn key(secret: &str) -> Option<Key> {
    Some(Key::new(secret.as_bytes()).unwrap())
}

struct Running {
    address: SocketAddr,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn reflector(at: IpAddr, settings: ReflectorSettings) -> Running {
    let reflector = Reflector::bind(SocketAddr::from((at, 0)), settings).await.unwrap();
    let (address, counts) = (reflector.address(), reflector.counts());
    let task = tokio::spawn(async move { reflector.run().await.unwrap() });
    Running { address, counts, task }
}

/// Twenty packets, and all patience there is: the session ends once all are answered.
fn settings(remote: SocketAddr) -> SessionSettings {
    SessionSettings {
        interval: Duration::from_millis(2),
        spacing: Spacing::Poisson,
        patience: Duration::from_secs(60),
        count: Some(20),
        ..SessionSettings::new(remote)
    }
}

async fn measure(settings: SessionSettings) -> Vec<Window> {
    let (sender, mut windows) = mpsc::channel(1_000);
    let session = Session::open(settings).await.unwrap();
    session.run(ChaCha8Rng::seed_from_u64(1), sender).await.unwrap();
    let mut seen = Vec::new();
    while let Some(window) = windows.recv().await {
        seen.push(window);
    }
    seen
}

/// The only window of a session. Another session if this machine was too busy to send anything.
async fn one(settings: SessionSettings) -> Window {
    loop {
        let [window] = <[Window; 1]>::try_from(measure(settings.clone()).await).unwrap();
        assert_eq!(window.figures.sent + window.pace.skipped, 20, "{window:?}");
        if window.figures.sent > 0 {
            return window;
        }
    }
}

/// The only window of a session that gets no answers.
async fn one_in_vain(mut settings: SessionSettings) -> Window {
    settings.patience = Duration::from_millis(20);
    let window = one(settings).await;
    assert_eq!((window.figures.lost, window.figures.late), (window.figures.sent, 0), "{window:?}");
    window
}

#[track_caller]
fn all_came_back(window: &Window) {
    let figures = &window.figures;
    let odd = (figures.lost, figures.duplicates, figures.unusable, window.strays);
    assert_eq!(odd, (0, 0, 0, 0), "{window:?}");
    assert!(figures.round_trip.is_some(), "{window:?}");
}

#[tokio::test]
async fn what_is_sent_comes_back_measured() {
    let reflector = reflector(LOOPBACK, ReflectorSettings::default()).await;
    let window = one(settings(reflector.address)).await;
    all_came_back(&window);
    assert_eq!(reflector.counts.reflected(), u64::from(window.figures.sent));
    let unknown = OneWay::Unknown(WhyUnknown::OwnClock);
    assert_eq!((window.figures.there.delay, window.figures.back.delay), (unknown, unknown));
}

#[tokio::test]
async fn it_is_the_same_over_ipv6_with_padding_a_class_and_ptp() {
    let at = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((at, 0)).await.is_err() {
        println!("skipped: this machine has no IPv6");
        return;
    }
    let reflector = reflector(at, ReflectorSettings::default()).await;
    let mut settings = settings(reflector.address);
    (settings.size, settings.dscp, settings.format) = (Some(1_200), 46, Format::Ptp);
    all_came_back(&one(settings).await);
}

#[tokio::test]
async fn with_the_same_key_packets_come_back_and_with_none_or_another_they_do_not() {
    let shared = key("a secret of the two ends");
    let keys = Keys::One(shared.clone().unwrap());
    let settings_with = |keys| ReflectorSettings { keys, ..ReflectorSettings::default() };
    let sealed = reflector(LOOPBACK, settings_with(keys)).await;
    let mut asks = settings(sealed.address);
    asks.key = shared;
    all_came_back(&one(asks.clone()).await);
    for wrong in [None, key("another secret of some length")] {
        asks.key = wrong;
        let refused = sealed.counts.refused();
        let window = one_in_vain(asks.clone()).await;
        assert_eq!(sealed.counts.refused() - refused, u64::from(window.figures.sent));
    }
}

#[tokio::test]
async fn each_sender_has_a_key_of_its_own_and_a_key_taken_back_opens_nothing() {
    let (one_key, other) = (key("the key of one sender"), key("the key of another sender"));
    let both = vec![one_key.clone().unwrap(), other.clone().unwrap()];
    let (ring, keys) = tokio::sync::watch::channel(both);
    let keys = Keys::Any(keys);
    let sealed = reflector(LOOPBACK, ReflectorSettings { keys, ..Default::default() }).await;
    let mut asks = settings(sealed.address);
    for known in [one_key.clone(), other.clone()] {
        asks.key = known;
        all_came_back(&one(asks.clone()).await);
    }
    ring.send(vec![one_key.unwrap()]).unwrap();
    one_in_vain(asks.clone()).await;
    assert!(sealed.counts.refused() > 0);
}

#[tokio::test]
async fn sources_that_are_not_on_the_list_get_no_answer() {
    let allowed = vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))];
    let strict = ReflectorSettings { allowed, ..ReflectorSettings::default() };
    let closed = reflector(LOOPBACK, strict).await;
    let window = one_in_vain(settings(closed.address)).await;
    assert_eq!(closed.counts.not_allowed(), u64::from(window.figures.sent));
    let listed = ReflectorSettings { allowed: vec![LOOPBACK], ..ReflectorSettings::default() };
    let open = reflector(LOOPBACK, listed).await;
    all_came_back(&one(settings(open.address)).await);
}

#[tokio::test]
async fn many_sessions_are_measured_at_once() {
    let stateful = ReflectorSettings { sessions: 8, ..ReflectorSettings::default() };
    let reflector = reflector(LOOPBACK, stateful).await;
    let sessions: Vec<_> = (0..8).map(|_| tokio::spawn(one(settings(reflector.address)))).collect();
    for session in sessions {
        all_came_back(&session.await.unwrap());
    }
    assert_eq!(reflector.counts.crowded(), 0);
}

#[tokio::test]
async fn windows_follow_one_another_until_the_count_is_reached() {
    let reflector = reflector(LOOPBACK, ReflectorSettings::default()).await;
    let mut settings = settings(reflector.address);
    settings.spacing = Spacing::Jittered;
    settings.window = Duration::from_millis(10);
    let seen = measure(settings).await;
    let numbers: Vec<_> = seen.iter().map(|window| window.number).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    let due: u32 = seen.iter().map(|window| window.figures.sent + window.pace.skipped).sum();
    assert!(due == 20 && seen.len() >= 4, "{seen:?}");
}

#[tokio::test]
async fn where_nobody_listens_everything_is_lost_and_the_session_goes_on() {
    let free = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let window = one_in_vain(settings(address)).await;
    assert_eq!((window.pace.failed, window.stamps.received), (0, 0));
}

#[tokio::test]
async fn one_clock_on_both_sides_tells_one_way_delays_unless_they_are_too_short_for_it() {
    let within = |micros| WallClock::Within(Duration::from_micros(micros));
    let synchronized = ReflectorSettings { clock: within(0), ..ReflectorSettings::default() };
    let reflector = reflector(LOOPBACK, synchronized).await;
    let mut settings = settings(reflector.address);
    settings.clock = within(1_000_000);
    let unsure = one(settings.clone()).await;
    let delay = unsure.figures.there.delay;
    assert!(matches!(delay, OneWay::Unknown(WhyUnknown::Error(_))), "{delay:?}");
    settings.clock = within(1);
    let sure = one(settings).await;
    let round = sure.figures.round_trip.unwrap();
    if let OneWay::Known { delay, error } = sure.figures.there.delay {
        assert!(delay.max <= round.max + error && delay.min >= -error, "{delay:?}");
    } else {
        // Only if the two stamps of a packet are closer than the error, or this clock was set.
        println!("not told here: {:?}", sure.figures.there.delay);
    }
}

/// Sends `packet` and gives the answer, unless the next packet, which is a good one, is answered
/// first.
async fn ask(reflector: &Running, packet: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind((LOOPBACK, 0)).await.unwrap();
    socket.send_to(packet, reflector.address).await.unwrap();
    let mut good = [0; 44];
    let error = ErrorEstimate::unsynchronized(Format::Ntp);
    let sequence = 4_000_000_000;
    let question = SenderPacket { sequence, timestamp: Timestamp(0), error, session: 0 };
    question.encode(None, &mut good).unwrap();
    socket.send_to(&good, reflector.address).await.unwrap();
    let mut buffer = [0; 2_000];
    let bytes = socket.recv(&mut buffer).await.unwrap();
    let answer = ReflectorPacket::decode(&buffer[..bytes], None).unwrap();
    (answer.sender_sequence != sequence).then(|| buffer[..bytes].to_vec())
}

#[tokio::test]
async fn an_answer_is_as_long_as_its_question_and_marks_what_it_did_not_understand() {
    let reflector = reflector(LOOPBACK, ReflectorSettings::default()).await;
    let error = ErrorEstimate::synchronized(Nanos::MILLISECOND, Format::Ptp);
    let question = SenderPacket { sequence: 5, timestamp: Timestamp(6), error, session: 7 };
    let mut packet = vec![0; 44 + 3 + 4 + 20];
    question.encode(None, &mut packet).unwrap();
    packet[44..51].copy_from_slice(&[0x80, 8, 0, 3, 1, 2, 3]);
    packet[51..55].copy_from_slice(&[0x80, 1, 0, 16]);
    let answer = ask(&reflector, &packet).await.unwrap();
    assert_eq!(answer.len(), packet.len());
    assert_eq!(answer[44..55], [0x80, 8, 0, 3, 1, 2, 3, 0, 1, 0, 16]);
    let answer = ReflectorPacket::decode(&answer, None).unwrap();
    assert_eq!((answer.sequence, answer.session), (5, 7));
    assert_eq!((answer.sender_timestamp, answer.sender_error), (Timestamp(6), error));
    assert_eq!(answer.error.format(), Format::Ptp);
}

#[tokio::test]
async fn what_is_no_packet_gets_no_answer() {
    let reflector = reflector(LOOPBACK, ReflectorSettings::default()).await;
    let corrupt = [0; 44];
    for packet in [&b""[..], b"hello", &[1; 43], &corrupt] {
        assert_eq!(ask(&reflector, packet).await, None);
    }
    assert_eq!(reflector.counts.refused(), 4);
}
