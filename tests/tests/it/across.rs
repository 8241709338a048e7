//! The whole of it over a wide-area network: three centers in network namespaces, whose data
//! crosses real kernels over emulated links.

use model::fact::{Fact, TransferEnd};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use wan::{Options, Topology, Wan};
use whole_system::{Finished, Net, Plan, Records, sh};
use wire::view;

/// A triangle: from lingang to zhangjiang straight, or at a third of the rate by way of kunshan.
pub(crate) const LINES: &str = r#"
site = [{name = "lingang"}, {name = "zhangjiang"}, {name = "kunshan"}]
link = [
    {between = ["lingang", "zhangjiang"], rate = "120 Mbit/s", delay = "2ms"},
    {between = ["lingang", "kunshan"], rate = "40 Mbit/s", delay = "3ms"},
    {between = ["kunshan", "zhangjiang"], rate = "40 Mbit/s", delay = "3ms"},
]
"#;

/// The same as the network's operators declare it, with something left for what is not data.
pub(crate) fn network() -> String {
    let center = |name: &str, region: &str| {
        format!(
            r#"
[[center]]
center = "{name}"
owner = "owner"
region = "{region}"
latitude = 31
longitude = 121
time_zone = "Asia/Shanghai"
engine = "process"
pue = 1.2
recall_notice = "10m"
store = "64 GiB"

[[center.pool]]
pool = "p"
chip = "nvidia-a100-sxm4-80"
nodes = 1
chips_per_node = 8
cores = 16
memory = "32 GiB"
price_per_chip_hour = "9 CNY"
"#
        )
    };
    let link = |a: &str, b: &str, capacity: &str| {
        format!(
            r#"
[[link]]
link = "{a}--{b}"
a = "{a}"
b = "{b}"
capacity = "{capacity}"
latency = "2ms"
carrier = "telecom"
price_per_gbps_hour = "12 CNY"
"#
        )
    };
    [
        center("lingang", "cn/yrd/shanghai/lingang"),
        center("zhangjiang", "cn/yrd/shanghai/pudong"),
        center("kunshan", "cn/yrd/jiangsu/kunshan"),
        link("lingang", "zhangjiang", "100 Mbit/s"),
        link("lingang", "kunshan", "32 Mbit/s"),
        link("kunshan", "zhangjiang", "32 Mbit/s"),
        "[[tenant]]\ntenant = \"lab\"\nweight = 1\nindustry = \"biomedicine\"\n".to_owned(),
    ]
    .concat()
}

/// A job in zhangjiang that reads a dataset and says how many bytes it has.
pub(crate) fn reader(dataset: &str) -> Value {
    let mut job = sh("reader", "cat $PORTOLAN_INPUT_DATA/* | wc -c");
    job["centers"] = json!(["zhangjiang"]);
    job["input"] = json!([{"name": "data", "dataset": dataset}]);
    job["limit"] = "5m".into();
    job
}

/// Bytes that do not compress, and are others for another seed.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let word = |n: u64| model::Digest::of(&[seed.to_le_bytes(), n.to_le_bytes()].concat());
    (0..).flat_map(|n| word(n).as_bytes().to_vec()).take(bytes).collect()
}

pub(crate) async fn put(net: &Net, name: &str, bytes: &[u8], residency: &[&str]) {
    let file = net.dir().join(name);
    fs::write(&file, bytes).unwrap();
    let file = file.display().to_string();
    let mut args = vec!["data", "put", &file, "--name", name, "--at", "lingang"];
    if !residency.is_empty() {
        args.push("--residency");
        args.extend(residency);
    }
    let Finished { code, stderr, .. } = net.cli_at("lingang", net.tenant("lab"), &args).await;
    assert_eq!(code, Some(0), "{stderr}");
}

/// The bytes of TCP payload in a capture.
fn payload(pcap: &Path) -> u64 {
    let bytes = fs::read(pcap).unwrap();
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut sum) = (24, 0);
    while at < bytes.len() {
        let packet = &bytes[at + 16..at + 16 + word(at + 8)];
        let header = usize::from(packet[0] & 0x0f) * 4;
        if packet[9] == 6 {
            let offset = usize::from(packet[header + 12] >> 4) * 4;
            sum += (packet.len() - header - offset) as u64;
        }
        at += 16 + packet.len();
    }
    sum
}

/// What was carried from one site to the other so far.
fn carried(wan: &Wan, from: &str, to: &str) -> u64 {
    let link = wan.link(from, to).unwrap();
    let way = link.ways().into_iter().find(|way| way.from() == from).unwrap();
    way.counters().bytes
}

async fn cut(net: &Net, wan: &Wan) {
    wan.link("lingang", "zhangjiang").unwrap().cut().unwrap();
    let said = net.cli(net.operator(), &["link", "cut", "lingang--zhangjiang"]).await;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

async fn mend(net: &Net, wan: &Wan) {
    wan.link("lingang", "zhangjiang").unwrap().mend().unwrap();
    let said = net.cli(net.operator(), &["link", "mend", "lingang--zhangjiang"]).await;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_arrives_as_planned_goes_around_a_cut_and_never_where_it_may_not() {
    if let Some(why) = Wan::obstacle() {
        eprintln!("skipped: {why}");
        return;
    }
    let topology = Topology::parse("lines", LINES).unwrap();
    let wan = Arc::new(Wan::start(&topology, Options::default()).unwrap());
    let mut net = Plan::of(&network()).across(&wan).start().await;
    let shanghai = ["cn/yrd/shanghai"];
    put(&net, "records", &noise(1, 20_000_000), &shanghai).await;
    put(&net, "records2", &noise(2, 5_000_000), &shanghai).await;
    put(&net, "open", &noise(3, 60_000_000), &[]).await;

    // Straight, and only there.
    let pcap = net.dir().join("kunshan.pcap");
    let watch = wan.site("kunshan").unwrap().capture(&pcap).unwrap();
    let first = net.submit("lab", &reader("records")).await;
    let ended = net.ended(first).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert!(net.output(first).await.contains("20000000"));
    assert!(carried(&wan, "lingang", "zhangjiang") > 20_000_000);

    // Cut, the only other way leads over a region the data may not touch: its job waits.
    cut(&net, &wan).await;
    let second = net.submit("lab", &reader("records2")).await;
    let reason = async || {
        let why = net.why(second).await;
        let standings = why.plan.map(|plan| plan.standings).unwrap_or_default();
        standings.into_iter().find(|standing| standing.center.as_str() == "zhangjiang")
    };
    let standing = net.until("it is explained", reason).await;
    assert_eq!(standing.reason, "no-path", "{}", standing.text);
    watch.finish().unwrap();
    assert_eq!(payload(&pcap), 0, "the forbidden center saw data");
    mend(&net, &wan).await;
    assert_eq!(net.ended(second).await.job.state, "completed");
    net.until_copy("records2", "zhangjiang").await;

    // What may go anywhere goes around: from where it was when the link was cut.
    let pcap = net.dir().join("around.pcap");
    let watch = wan.site("kunshan").unwrap().capture(&pcap).unwrap();
    let before = carried(&wan, "lingang", "zhangjiang");
    let third = net.submit("lab", &reader("open")).await;
    let moved =
        async || (carried(&wan, "lingang", "zhangjiang") > before + 15_000_000).then_some(());
    net.until("a quarter has come", moved).await;
    let coming = async || {
        let all: view::Transfers = net.operator().get("/v1/transfers").await.ok();
        let seen = all.transfers.into_iter().find(|t| t.dataset.as_str() == "open")?;
        (seen.done_bytes?.0 > 0 && seen.coming_bps?.0 > 0).then_some(seen.expected_ms?)
    };
    net.until("its receiver tells how far it is", coming).await;
    cut(&net, &wan).await;
    let ended = net.ended(third).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert!(net.output(third).await.contains("60000000"));
    watch.finish().unwrap();
    let straight = carried(&wan, "lingang", "zhangjiang") - before;
    let around = payload(&pcap) / 2;
    assert!(around > 20_000_000, "{around} bytes went around");
    assert!(straight + around < 75_000_000, "{straight} and {around} bytes were sent of 60000000");

    // It was late, and that is on record with what came between.
    let promised = ended.job.promised_ms.unwrap();
    assert!(ended.job.started_ms.unwrap() > promised, "{ended:?}");
    let record: view::Promises = net.operator().get("/v1/promises").await.ok();
    assert_eq!(record.all.told, 3, "{record:?}");
    assert!(record.causes.iter().any(|cause| cause.cause == "withdrawn"), "{record:?}");
    eprintln!("of {} told starts {} held: {:?}", record.all.told, record.all.held, record.causes);

    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    let ends = records.records.iter().filter_map(|record| match record.fact() {
        Ok(Fact::TransferEnded(fact)) => Some(fact.end),
        _ => None,
    });
    let why = "link lingang--zhangjiang was cut".to_owned();
    assert!(ends.collect::<Vec<_>>().contains(&TransferEnd::Failed { why }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_centers_that_have_it_send_at_once_each_over_its_own_link_as_planned() {
    if let Some(why) = Wan::obstacle() {
        eprintln!("skipped: {why}");
        return;
    }
    let topology = Topology::parse("lines", LINES).unwrap();
    let wan = Arc::new(Wan::start(&topology, Options::default()).unwrap());
    let mut net = Plan::of(&network()).across(&wan).start().await;
    put(&net, "both", &noise(4, 60_000_000), &[]).await;
    let said = net.cli(net.tenant("lab"), &["data", "copy", "both", "--to", "kunshan"]).await;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    net.until_copy("both", "kunshan").await;

    let before = ["lingang", "kunshan"].map(|from| carried(&wan, from, "zhangjiang"));
    let job = net.submit("lab", &reader("both")).await;
    let planned = async || {
        let all: view::Transfers = net.operator().get("/v1/transfers").await.ok();
        all.transfers.into_iter().find(|transfer| transfer.to.as_str() == "zhangjiang")
    };
    let planned = net.until("it is planned", planned).await;
    let sources: Vec<&str> = planned.sources().map(model::CenterId::as_str).collect();
    assert_eq!(sources, ["lingang", "kunshan"]);
    let ended = net.ended(job).await;
    assert_eq!(ended.job.state, "completed", "{ended:?}");
    assert!(net.output(job).await.contains("60000000"));

    // Links of 100 and 32 Mbit/s carry about three quarters and one.
    let now = ["lingang", "kunshan"].map(|from| carried(&wan, from, "zhangjiang"));
    let [straight, beside] = [0, 1].map(|at| now[at] - before[at]);
    assert!(straight + beside < 75_000_000, "{straight} and {beside} bytes of 60000000");
    assert!((10_000_000..25_000_000).contains(&beside), "{beside} bytes came from kunshan");

    net.stop_server().await;
    let records = Records::read(&net.server_dir()).await;
    assert_eq!(records.violations(), Vec::<String>::new());
    let measured: Vec<String> = records
        .records
        .iter()
        .filter_map(|record| match record.fact() {
            Ok(Fact::PathMeasured(path)) if path.to.as_str() == "zhangjiang" => {
                matches!(path.measured, model::quality::Measured::Delivered(_))
                    .then(|| path.from.to_string())
            }
            _ => None,
        })
        .collect();
    assert_eq!(measured, ["lingang", "kunshan"], "each way is measured by what came over it");
}
