//! Agents measure the ways between centers; what they find is shown, judged and planned with.

use serde_json::json;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use whole_system::{LAPTOP, Net, Plan, Records, sh};
use wire::view;

const PROBES: [&str; 2] = ["--probe-listen", "127.0.0.1:0"];

/// What a line takes one way.
const ONE_WAY: Duration = Duration::from_millis(5);

/// A line that holds each datagram for [`ONE_WAY`], there and back. Tells where it begins.
async fn line_to(end: SocketAddr) -> SocketAddr {
    let open = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let begins = open.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut ways, mut bytes) = (BTreeMap::new(), [0; 2_048]);
        while let Ok((size, from)) = open.recv_from(&mut bytes).await {
            if let Entry::Vacant(way) = ways.entry(from) {
                let onward = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                onward.connect(end).await.unwrap();
                tokio::spawn(back(Arc::clone(&onward), Arc::clone(&open), from));
                way.insert(onward);
            }
            let (packet, onward) = (bytes[..size].to_vec(), Arc::clone(&ways[&from]));
            tokio::spawn(async move {
                tokio::time::sleep(ONE_WAY).await; // tidy: this is what a line does
                onward.send(&packet).await
            });
        }
    });
    begins
}

async fn back(onward: Arc<UdpSocket>, open: Arc<UdpSocket>, to: SocketAddr) {
    let mut bytes = [0; 2_048];
    while let Ok(size) = onward.recv(&mut bytes).await {
        let (packet, open) = (bytes[..size].to_vec(), Arc::clone(&open));
        tokio::spawn(async move {
            tokio::time::sleep(ONE_WAY).await; // tidy: this is what a line does
            open.send_to(&packet, to).await
        });
    }
}

/// The sample network whose carriers promise a round trip of 4 ms over any two links.
fn promised() -> String {
    LAPTOP.replace("risk_group", "sla_round_trip = \"2ms\"\nrisk_group")
}

/// The way from lingang to zhangjiang once `seen` of what was measured is true.
async fn way(net: &Net, seen: impl Fn(&view::Quality) -> bool) -> view::Path {
    let look = async || {
        let paths: view::Paths = net.operator().get("/v1/paths").await.ok();
        paths.paths.into_iter().find(|path| seen(&path.quality))
    };
    net.until("the way is measured", look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_measure_the_way_between_them_and_say_when_a_promise_is_broken() {
    let plan = Plan::of(&promised()).serve(&["--quality-window", "1s"]);
    let mut net = plan.only(&["lingang", "zhangjiang"]).agent(&PROBES).start().await;
    let near = way(&net, |quality| quality.round_trip_p50_us.is_some()).await;
    assert_eq!((near.from.as_str(), near.to.as_str()), ("lingang", "zhangjiang"));
    assert_eq!(near.hops, ["lingang--sh-ixp>", "zhangjiang--sh-ixp<"]);
    assert_eq!(near.declared_us, Some(473));
    // Nobody said that clocks follow UTC.
    assert_eq!((near.quality.there_p50_us, near.quality.back_p50_us), (None, None));

    let known: view::Center = net.operator().get("/v1/centers/zhangjiang").await.ok();
    let address = known.agent.unwrap().probe_address.unwrap();
    let line = line_to(address.parse().unwrap()).await.to_string();
    net.stop_agent("zhangjiang").await;
    net.reconfigure_agents(&["--probe-listen", &address, "--probe-address", &line]);
    net.start_agent("zhangjiang").await;
    let both_ways = u64::try_from(2 * ONE_WAY.as_micros()).unwrap();
    let far = way(&net, |quality| quality.round_trip_p50_us >= Some(both_ways)).await;
    assert_eq!(far.quality.verdict.as_deref(), Some("broken"), "{far:?}");
    assert!(far.quality.broken_by[0].ends_with("4000 µs are promised"), "{far:?}");

    let shown = net.cli(net.operator(), &["paths"]).await.stdout;
    assert!(shown.contains("broken"), "{shown}");
    let shown = net.cli(net.operator(), &["circles", "cn/yrd/shanghai"]).await.stdout;
    assert!(shown.contains("it is in the city") && shown.contains("as declared"), "{shown}");
    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
}

/// The sample network with a link to kunshan so narrow that a plan over it lasts until the agent has
/// its order, whatever else goes on here.
pub(crate) fn narrow() -> String {
    LAPTOP.replace("capacity = \"1 Gbit/s\"", "capacity = \"1 Mbit/s\"")
}

/// A transfer to kunshan stands still until its links are planned at less, then goes on.
pub(crate) async fn until_rated(net: &mut Net) {
    assert_eq!(net.apply(&narrow()).await.status, 200);
    net.put("lab", ("slow", "lingang"), ("slow.txt", &vec![b'a'; 250_000]), &[]).await;
    let line = net.line_to_store("lingang").await;
    line.cut();
    let mut job = sh("reads over a bad line", "wc -c <$PORTOLAN_INPUT_S/slow.txt");
    job["centers"] = json!(["kunshan"]);
    job["input"] = json!([{"name": "s", "dataset": "slow"}]);
    let job = net.submit("lab", &job).await;
    let rated = async || net.told().iter().any(|(_, kind)| kind == "link-rated").then_some(());
    net.until("its link is planned at less", rated).await;
    line.mend();
    assert_eq!(net.ended(job).await.job.state, "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_whose_transfers_fall_short_is_planned_at_what_it_delivers() {
    let mut net = Plan::laptop().serve(&["--quality-window", "2s"]).agent(&PROBES).start().await;
    until_rated(&mut net).await;
    let links: view::Links = net.operator().get("/v1/links").await.ok();
    let less = links.links.iter().filter(|link| link.planned_bps < link.capacity_bps);
    let less: Vec<_> = less.map(|link| (link.link.as_str(), link.planned_bps.0)).collect();
    // The narrowest on the way, at a hundredth: less is nothing to plan with.
    assert_eq!(less, [("kunshan--sh-ixp", 10_000)]);
}
