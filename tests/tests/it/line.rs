//! Sessions over an emulated line of the kernel's own network: beside `ping`, and with losses that
//! the line counts itself. Where there can be no such network, each test says so and passes.

use probe::{Reflector, ReflectorSettings, Session, SessionSettings, Spacing, Window};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::io;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use wan::{Options, Topology, Wan};

/// A line of 1 Gbit/s and 5 ms there and back, every packet by itself.
fn line(keys: &str) -> Option<Wan> {
    if let Some(why) = Wan::obstacle() {
        eprintln!("skipped: {why}");
        return None;
    }
    let text = format!(
        "[[site]]\nname = \"east\"\n[[site]]\nname = \"west\"\n[[link]]\nbetween = [\"east\", \"west\"]\n\
         rate = \"1 Gbit/s\"\ndelay = \"2.5ms\"\npackets = \"single\"\n{keys}"
    );
    let topology = Topology::parse("line.toml", &text).expect("the topology is right");
    Some(Wan::start(&topology, Options::default()).expect("the network starts"))
}

/// Does in a site what opens a socket.
fn within<T: Send, E: std::error::Error + Send + Sync + 'static>(
    wan: &Wan,
    site: &str,
    open: impl Future<Output = Result<T, E>> + Send,
) -> T {
    let handle = Handle::current();
    let opened = move || handle.block_on(open).map_err(io::Error::other);
    wan.site(site).unwrap().inside(opened).expect("a socket opens in the site")
}

/// What a session of so many packets from east to west says.
async fn session(wan: &Wan, count: u64, interval: Duration) -> Window {
    let west = wan.site("west").unwrap().address();
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let reflector = within(wan, "west", Reflector::bind(any, ReflectorSettings::default()));
    let remote = SocketAddr::from((west, reflector.address().port()));
    let reflecting = tokio::spawn(reflector.run());
    let settings = SessionSettings {
        interval,
        spacing: Spacing::Jittered,
        window: Duration::from_secs(60),
        count: Some(count),
        ..SessionSettings::new(remote)
    };
    let (sender, mut windows) = mpsc::channel(10);
    let opened = within(wan, "east", Session::open(settings));
    opened.run(ChaCha8Rng::seed_from_u64(1), sender).await.unwrap();
    reflecting.abort();
    let window = windows.recv().await.expect("a window ends with the session");
    assert!(windows.recv().await.is_none(), "one window holds the session");
    window
}

/// The median of what `ping` says, in milliseconds. None where there is no such program.
async fn ping(wan: &Wan, count: u64, interval: Duration) -> Option<f64> {
    if tokio::process::Command::new("ping").arg("-V").output().await.is_err() {
        eprintln!("skipped: there is no `ping`: apt install iputils-ping");
        return None;
    }
    let mut ping = tokio::process::Command::from(wan.site("east").unwrap().command("ping"));
    ping.args(["-n", "-c", &count.to_string(), "-i", &interval.as_secs_f64().to_string()]);
    ping.arg(wan.site("west").unwrap().address().to_string());
    let said = ping.stdin(Stdio::null()).output().await.unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let times = text.lines().filter_map(|line| line.split_once("time=")?.1.split(' ').next());
    let mut times: Vec<f64> = times.map(|time| time.parse().unwrap()).collect();
    assert!(times.len() as u64 > count / 2, "{text}");
    times.sort_by(f64::total_cmp);
    Some(times[times.len().div_ceil(2) - 1])
}

/// Both ask at once, so that what else this machine does weighs on both. It does not weigh on both
/// alike, for the kernel itself answers ping: a round in which the machine was busy says nothing. So
/// one round in which they agree is enough; that the probe is off it cannot hide, for then none does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_trip_is_that_of_ping_within_a_tenth_of_a_millisecond() {
    let Some(wan) = line("") else { return };
    let (count, interval) = (800, Duration::from_millis(5));
    let mut rounds = Vec::new();
    for _ in 0..5 {
        let (window, pinged) =
            tokio::join!(session(&wan, count, interval), ping(&wan, count, interval));
        let Some(pinged) = pinged else { return };
        let median = window.figures.round_trip.expect("packets came back").p50;
        let probed = median.to_std().as_secs_f64() * 1e3;
        println!("the probe says {probed:.3} ms, ping {pinged:.3} ms");
        assert!(probed >= 5.0, "no packet is faster than the line: {probed} ms");
        if (probed - pinged).abs() <= 0.1 {
            return;
        }
        rounds.push((probed, pinged));
    }
    panic!("in no round did the probe and ping agree (each in ms): {rounds:?}");
}

/// Of `count` packets each lost by its own chance, whatever is within four standard deviations.
fn within_binomial_error(lost: f64, count: f64, chance: f64) -> bool {
    (lost - count * chance).abs() <= 4.0 * (count * chance * (1.0 - chance)).sqrt()
}

async fn loses(loss: &str, chance: f64) {
    let Some(wan) = line(&format!("loss = \"{loss}\"")) else { return };
    let figures = session(&wan, 20_000, Duration::from_micros(500)).await.figures;
    println!("of {} packets {} lost at {loss} each way", figures.sent, figures.lost);
    // A packet passes the line twice.
    let (sent, lost) = (f64::from(figures.sent), f64::from(figures.lost));
    assert!(figures.sent > 10_000, "{figures:?}");
    assert!(within_binomial_error(lost, sent, 1.0 - (1.0 - chance).powi(2)), "{figures:?}");
    // Whatever chance does, the line's own count is the truth.
    let ways = wan.link("east", "west").unwrap().ways().map(|way| way.counters());
    let dropped: u64 = ways.iter().map(|way| way.dropped_by_loss).sum();
    assert_eq!(u64::from(figures.lost), dropped, "{ways:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_is_told_within_binomial_error_where_one_packet_in_a_thousand_is_lost() {
    loses("0.1 %", 0.001).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loss_is_told_within_binomial_error_where_one_packet_in_a_hundred_is_lost() {
    loses("1 %", 0.01).await;
}
