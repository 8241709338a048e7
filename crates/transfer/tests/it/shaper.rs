//! Shapers in network namespaces of their own.

use crate::bench::{Bench, KEY, good_ticket, http, noise};
use crate::namespace::{DEVICE, Namespace, Pair};
use model::{Moment, Rate, Span, TransferId};
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread::Scope;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use transfer::door::{router, serve};
use transfer::{
    Giver, Leave, Pace, Progress, Shaper, Source, Ticket, TransferError, Verb, cat, fetch,
    manifest, ticket,
};
use wire::PaceStep;

/// Tells a process of this test to hold a shaper until it is killed.
const HOLD: &str = "PORTOLAN_TEST_HOLD_SHAPER";

fn shown(site: &Namespace) -> String {
    site.tc("qdisc show dev to-west") + &site.tc("class show dev to-west")
}

/// Begins a shaper in the site and ends it at once.
fn begin(site: &Namespace) -> Result<(), TransferError> {
    site.inside(|| Shaper::begin(DEVICE, None).map(drop))
}

#[test]
fn a_class_lasts_as_long_as_its_transfer_and_the_root_as_long_as_its_shaper() {
    let Some(Pair { east, west: _west }) = Pair::new() else { return };
    let before = shown(&east);
    let look = |wanted: &[&str], absent: &[&str]| {
        let shown = shown(&east);
        assert!(wanted.iter().all(|text| shown.contains(text)), "{shown}");
        assert!(!absent.iter().any(|text| shown.contains(text)), "{shown}");
    };
    let work = || {
        let shaper = Shaper::begin(DEVICE, Some(Rate(900_000_000))).unwrap();
        look(&["htb 50: root", "htb 50:1 parent 50:ffff prio 1", "ceil 900Mbit"], &["50:2 "]);
        let class = shaper.classes().open(Rate(200_000_000)).unwrap();
        look(&["htb 50:2 parent 50:ffff prio 0 rate 200Mbit ceil 200Mbit"], &[]);
        let other = shaper.classes().open(Rate(50_000_000)).unwrap();
        class.set(Rate(100_000_000)).unwrap();
        look(&["htb 50:2 parent 50:ffff prio 0 rate 100Mbit ceil 100Mbit", "htb 50:3 "], &[]);
        drop(class);
        look(&["htb 50:3 "], &["50:2 "]);
        assert!(matches!(Shaper::begin(DEVICE, None), Err(TransferError::Shaped { .. })));
        let late = shaper.classes();
        drop(shaper);
        assert!(late.open(Rate(1)).is_err());
        drop(other);
    };
    east.inside(work);
    assert_eq!(shown(&east), before);
}

#[test]
fn what_others_put_at_the_root_is_left_alone_and_named() {
    let Some(Pair { east, west: _west }) = Pair::new() else { return };
    east.tc("qdisc add dev to-west root tbf rate 1mbit burst 10k latency 50ms");
    let before = shown(&east);
    let error = begin(&east).unwrap_err().to_string();
    assert!(error.contains("tbf") && error.contains("tc qdisc del dev to-west root"), "{error}");
    assert_eq!(shown(&east), before);
    let none = east.inside(|| Shaper::begin("nothing", None).map(drop)).unwrap_err();
    assert!(none.to_string().contains("Cannot find device"), "{none}");
}

#[test]
fn what_one_that_was_killed_left_is_removed_by_the_next() {
    if std::env::var_os(HOLD).is_some() {
        let shaper = Shaper::begin(DEVICE, None).unwrap();
        let _class = shaper.classes().open(Rate(1_000_000)).unwrap();
        println!("\nheld");
        std::io::stdin().read_line(&mut String::new()).unwrap();
        return;
    }
    let Some(Pair { east, west: _west }) = Pair::new() else { return };
    let before = shown(&east);
    let program = std::env::current_exe().unwrap();
    let mut holder = east.command(program.to_str().unwrap());
    let name = "shaper::what_one_that_was_killed_left_is_removed_by_the_next";
    holder.args(["--exact", name, "--nocapture"]).env(HOLD, "1");
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "held"));
    assert!(matches!(begin(&east), Err(TransferError::Shaped { .. })));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(shown(&east).contains("htb 50:2 "));
    begin(&east).unwrap();
    assert_eq!(shown(&east), before);
}

#[test]
fn a_transfers_data_leaves_through_its_class_and_nothing_else_does() {
    let Some(Pair { east, west }) = Pair::new() else { return };
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(1, 3 << 20))]);
    let step = PaceStep { after: Span::ZERO, lasts: Span::MAX, rate: Rate(400_000_000) };
    let pace = Some(Leave::new(TransferId::new(1), Moment(0), vec![step]));
    let metered = Ticket { pace, ..good_ticket(&data, Verb::Read) };
    let plain = good_ticket(&data, Verb::Read);
    std::thread::scope(|scope| {
        let (url, _end) = serve_in(scope, &east, &bench);
        let source =
            |leave: &Ticket| Source { url: url.clone(), ticket: ticket::issue(&KEY, leave) };
        let read = async {
            let http = http();
            manifest(&http, &source(&plain), &data).await.unwrap();
            assert_eq!(sent(&east), None);
            let (pace, progress) = (Pace::unlimited(), Progress::default());
            let from = [source(&metered)];
            fetch(&http, &Giver::sharing(&from, &pace), &bench.near, &data, &progress)
                .await
                .unwrap();
            let once = sent(&east).unwrap();
            assert!((3 << 20..4 << 20).contains(&once), "{once}");
            let mut out = Vec::new();
            cat(&http, &source(&plain), &data, "x", &mut out).await.unwrap();
            assert!(sent(&east).unwrap() < once + (1 << 19));
        };
        west.inside(|| runtime().block_on(read));
    });
}

/// Serves the far store in a site, with a shaper there, until what is given beside the address goes.
fn serve_in<'s>(
    scope: &'s Scope<'s, '_>,
    site: &'s Namespace,
    bench: &'s Bench,
) -> (String, oneshot::Sender<()>) {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = oneshot::channel();
    let serving = async move {
        let shaper = Shaper::begin(DEVICE, None).unwrap();
        let listener = TcpListener::bind((site.address, 0)).await.unwrap();
        tell.send(listener.local_addr().unwrap()).unwrap();
        let door = router(bench.shaped_door(&bench.far, Some(shaper.classes())));
        tokio::select! {
            served = serve(listener, door) => served.unwrap(),
            _ = ended => {}
        }
    };
    scope.spawn(|| site.inside(|| runtime().block_on(serving)));
    (format!("http://{}", told.recv().unwrap()), end)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// What left through the first transfer's class; none while there is no such class.
fn sent(site: &Namespace) -> Option<u64> {
    let shown = site.tc("-s class show dev to-west");
    let (_, class) = shown.split_once("htb 50:2 ")?;
    let (_, sent) = class.split_once("Sent ")?;
    sent.split(' ').next()?.parse().ok()
}
