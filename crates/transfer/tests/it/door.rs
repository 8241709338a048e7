use crate::bench::{
    Bench, KEY, MIB, NOW, dataset, flipping_answers, good_ticket, http, noise, serve, source,
};
use model::dataset::ManifestFile;
use model::{Bytes, DatasetVersion, Digest, Manifest, Moment, Rate, Span, TransferId};
use reqwest::Method;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transfer::{Giver, Leave, Pace, Progress, Source, Ticket, TransferError, Verb, cat, ticket};
use wire::PaceStep;

/// What a door answers: the status, and the words of the problem or the body.
async fn ask(method: Method, url: &str, ticket: &str, body: Vec<u8>) -> (u16, String) {
    let request = http().request(method, url).bearer_auth(ticket).body(body);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").cloned();
    let text = response.text().await.unwrap();
    if status >= 400 {
        assert_eq!(kind.unwrap(), "application/problem+json", "{status} {text}");
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["status"], status);
        return (status, problem["detail"].as_str().unwrap().to_owned());
    }
    (status, text)
}

fn base(url: &str, data: &DatasetVersion) -> String {
    format!("{url}/v1/data/{}/{}", data.dataset, data.version)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_opens_only_to_its_own_tickets_while_they_last() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", b"x")]);
    let other = bench.put("other", &[("x", b"y")]);
    let url = serve(bench.door(&bench.far)).await;
    let manifest = format!("{}/manifest", base(&url, &data));
    let good = good_ticket(&data, Verb::Read);
    let check = async |ticket: String, wanted: u16, says: &str| {
        let (status, detail) = ask(Method::GET, &manifest, &ticket, Vec::new()).await;
        assert_eq!(status, wanted, "{detail}");
        assert!(detail.contains(says), "{detail}");
    };
    let issue = |ticket: Ticket| ticket::issue(&KEY, &ticket);
    check(issue(good.clone()), 200, "files").await;
    check(ticket::issue(&[1; 32], &good), 401, "not issued for this center").await;
    check(issue(Ticket { expires: NOW, ..good.clone() }), 401, "expired").await;
    check("nonsense".to_owned(), 401, "not a ticket").await;
    check(issue(Ticket { verb: Verb::Write, ..good.clone() }), 403, "something else").await;
    check(issue(Ticket { data: other, ..good.clone() }), 403, "something else").await;
    let foreign = Ticket { center: "delta-2".parse().unwrap(), ..good };
    check(issue(foreign), 403, "something else").await;
    let bare = http().get(&manifest).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(bare.headers()["www-authenticate"], "Bearer");

    let late = Ticket { expires: Moment(1), ..good_ticket(&data, Verb::Read) };
    let late = Source { url, ticket: issue(late) };
    let error = transfer::manifest(&http(), &late, &data).await.unwrap_err();
    assert!(matches!(error, TransferError::Answered { status: 401, .. }) && !error.is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_the_dataset_can_be_named() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", b"x")]);
    let url = serve(bench.door(&bench.far)).await;
    let read = source(&url, &data, Verb::Read).ticket;
    for path in ["..%2f..%2flock", "x%2f..%2flock", "%2Fetc%2Fpasswd", "x%00", "y"] {
        let url = format!("{}/files/{path}", base(&url, &data));
        let (status, detail) = ask(Method::GET, &url, &read, Vec::new()).await;
        assert_eq!(status, 404, "{path}: {detail}");
    }
    for dataset in ["..%2fcorpus", "corpus%2f..", "Corpus"] {
        let url = format!("{url}/v1/data/{dataset}/{}/manifest", data.version);
        let (status, _) = ask(Method::GET, &url, &read, Vec::new()).await;
        assert_eq!(status, 400, "{dataset}");
    }
    // Clients fold `..` themselves; one that does not gets no further.
    let mut raw = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let path = base("", &data) + "/files/../../../lock";
    let request = format!("GET {path} HTTP/1.0\r\nAuthorization: Bearer {read}\r\n\r\n");
    raw.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    raw.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(" 404 ") && answer.contains("has no file"), "{answer}");
    for path in ["../x", "/x", "a/../x"] {
        let chunks = vec![Digest::of(b"x")];
        let file = ManifestFile { path: path.into(), bytes: Bytes(1), executable: false, chunks };
        let manifest = Manifest { files: vec![file] };
        let data = DatasetVersion { dataset: dataset(), version: manifest.version() };
        let write = source(&url, &data, Verb::Write).ticket;
        let url = format!("{}/manifest", base(&url, &data));
        let (status, detail) = ask(Method::PUT, &url, &write, manifest.canonical()).await;
        assert_eq!(status, 422, "{path}: {detail}");
        assert!(detail.contains(path), "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_too_much_or_too_little_are_refused() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(1, 2 * MIB))]);
    let url = serve(bench.door(&bench.far)).await;
    let read = source(&url, &data, Verb::Read).ticket;
    for (query, wanted) in [
        ("numbers=0-1", 200),
        ("numbers=1", 200),
        ("numbers=0-256", 400),
        ("numbers=", 400),
        ("numbers=1,0", 400),
        ("numbers=-1", 400),
        ("from=0", 400),
        ("numbers=0,2", 404),
        ("numbers=18446744073709551615", 404),
    ] {
        let url = format!("{}/chunks?{query}", base(&url, &data));
        let answer = http().get(&url).bearer_auth(&read).send().await.unwrap();
        assert_eq!(answer.status(), wanted, "{query}");
    }

    let url = serve(bench.door(&bench.near)).await;
    let write = source(&url, &data, Verb::Write).ticket;
    let at = |rest: &str| format!("{}/{rest}", base(&url, &data));
    let before = ask(Method::PUT, &at("chunks?numbers=0"), &write, vec![0; MIB]).await;
    assert_eq!(before.0, 404);
    assert_eq!(ask(Method::PUT, &at("manifest"), &write, b"{}".to_vec()).await.0, 422);
    let manifest = bench.far.layout(&data).unwrap().manifest().canonical();
    let opened = ask(Method::PUT, &at("manifest"), &write, manifest).await;
    assert_eq!(opened, (200, r#"{"chunks":2,"missing":[[0,2]]}"#.to_owned()));
    let bytes = noise(1, 2 * MIB);
    let put = async |query: &str, body: &[u8]| {
        ask(Method::PUT, &at(&format!("chunks?{query}")), &write, body.to_vec()).await
    };
    assert_eq!(put("numbers=0", &bytes[..MIB - 1]).await.0, 400);
    assert_eq!(put("numbers=1", &bytes).await.0, 400);
    let (status, detail) = put("numbers=0-1", &[&bytes[..MIB], &bytes[..MIB]].concat()).await;
    assert_eq!((status, detail.as_str()), (422, "chunks [1] are not what the manifest says"));
    assert_eq!(ask(Method::POST, &at("finish"), &write, Vec::new()).await.0, 409);
    let missing = ask(Method::GET, &at("missing"), &write, Vec::new()).await.1;
    assert_eq!(missing, r#"{"chunks":2,"missing":[[1,2]]}"#);
    assert_eq!(put("numbers=1", &bytes[MIB..]).await.0, 204);
    assert_eq!(ask(Method::POST, &at("finish"), &write, Vec::new()).await.0, 204);
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_read_whole_or_in_part() {
    let bench = Bench::new();
    let bytes = noise(2, 9 * MIB + 9);
    let data = bench.put("in", &[("a", b"a"), ("d/my file", &bytes), ("empty", b"")]);
    let url = serve(bench.door(&bench.far)).await;
    let reader = source(&url, &data, Verb::Read);
    let get = async |path: &str, range: &str| {
        let url = format!("{}/files/{path}", base(&url, &data));
        let request = http().get(url).bearer_auth(&reader.ticket).header("range", range);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let range = response.headers().get("content-range").map(|r| r.to_str().unwrap().to_owned());
        (status, range.unwrap_or_default(), response.bytes().await.unwrap())
    };
    let (status, range, part) = get("d/my%20file", "bytes=5-1000004").await;
    assert_eq!((status, range.as_str()), (206, "bytes 5-1000004/9437193"));
    assert_eq!(part, bytes[5..1_000_005]);
    let (status, _, whole) = get("d/my%20file", "bytes=0-1,5-6").await;
    assert!(status == 200 && whole == bytes);
    let (status, range, _) = get("a", "bytes=1-").await;
    assert_eq!((status, range.as_str()), (416, "bytes */1"));

    let mut out = Vec::new();
    let read = cat(&http(), &reader, &data, "d/my file", &mut out).await.unwrap();
    assert!(read == Bytes(bytes.len() as u64) && out == bytes);
    assert_eq!(cat(&http(), &reader, &data, "empty", &mut out).await.unwrap(), Bytes::ZERO);
    let gone = cat(&http(), &reader, &data, "../a", &mut out).await;
    assert!(matches!(gone, Err(TransferError::NoSuchFile { .. })), "{gone:?}");

    let liar = serve(flipping_answers(bench.door(&bench.far), 1)).await;
    let (liar, mut out) = (source(&liar, &data, Verb::Read), Vec::new());
    let damaged = cat(&http(), &liar, &data, "d/my file", &mut out).await;
    assert!(matches!(damaged, Err(TransferError::Corrupted { chunk: 1, .. })), "{damaged:?}");
    assert!(out.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_connections_of_a_transfer_share_its_rate() {
    let bench = Bench::new();
    let bytes = noise(1, MIB);
    let data = bench.put("in", &[("x", &bytes)]);
    let url = serve(bench.door(&bench.far)).await;
    let rate = Rate(80_000_000);
    let step = PaceStep { after: Span::ZERO, lasts: Span::MAX, rate };
    let pace = Some(Leave::new(TransferId::new(1), NOW, vec![step]));
    let opens = ticket::issue(&KEY, &Ticket { pace, ..good_ticket(&data, Verb::Read) });
    let began = Instant::now();
    let read = async |path: &str| {
        let request = http().get(format!("{}/{path}", base(&url, &data))).bearer_auth(&opens);
        request.send().await.unwrap().bytes().await.unwrap()
    };
    let (one, other) = tokio::join!(read("chunks?numbers=0"), read("files/x"));
    assert!(one == bytes && other == bytes);
    // Two parts of 64 KiB at the most are ahead of the rate: the first, and one that was let go.
    let ahead = Bytes(2 * (64 << 10));
    let least = Bytes(2 * MIB as u64 - ahead.0).time_at(rate).unwrap();
    assert!(began.elapsed() >= least.to_std(), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_stays_shut_until_the_plans_first_step() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(1, MIB))]);
    let url = serve(bench.door(&bench.far)).await;
    let (after, lasts) = (Span(500), Span::MAX);
    let steps = vec![PaceStep { after, lasts, rate: Rate(8_000_000_000) }];
    let pace = Some(Leave::new(TransferId::new(1), NOW, steps.clone()));
    let opens = ticket::issue(&KEY, &Ticket { pace, ..good_ticket(&data, Verb::Read) });
    let (began, near) = (Instant::now(), Progress::default());
    let from = [Source { url, ticket: opens }];
    let pace = Pace::steps(&steps);
    transfer::fetch(&http(), &Giver::sharing(&from, &pace), &bench.near, &data, &near)
        .await
        .unwrap();
    assert!(began.elapsed() >= after.to_std());
}

/// Leave for filler at 80 Mbit/s for so many milliseconds.
fn filler_for(lasts: u64) -> Ticket {
    let step = PaceStep { after: Span::ZERO, lasts: Span(lasts), rate: Rate(80_000_000) };
    let pace = Some(Leave::new(TransferId::new(1), NOW, vec![step]));
    Ticket { pace, ..good_ticket(&ticket::filler(), Verb::Fill) }
}

#[tokio::test(flavor = "multi_thread")]
async fn filler_comes_at_the_rate_of_its_ticket_and_ends_with_it() {
    let bench = Bench::new();
    let url = serve(bench.door(&bench.far)).await;
    let leave = filler_for(500);
    let pace = Pace::steps(&leave.pace.as_ref().unwrap().steps);
    let source = Source { url, ticket: ticket::issue(&KEY, &leave) };
    let (began, progress) = (Instant::now(), Progress::default());
    transfer::fill(&http(), &source, &pace, &progress).await.unwrap();
    let (took, moved) = (began.elapsed(), progress.seen().moved.0);
    assert!(took >= std::time::Duration::from_millis(500), "{took:?}");
    // A part of 64 KiB for each of four connections may be ahead.
    let most = 5_000_000 + 5 * (64 << 10);
    assert!((1..=most).contains(&moved), "{moved} bytes in {took:?}");
    assert_eq!(bench.near.replicas().len() + bench.far.replicas().len(), 0);
}

#[tokio::test]
async fn filler_is_for_tickets_that_say_how_much_and_cannot_be_made_smaller() {
    let bench = Bench::new();
    let url = serve(bench.door(&bench.far)).await;
    let at = format!("{}/filler", base(&url, &ticket::filler()));
    let ask = async |ticket: Ticket| {
        let opens = ticket::issue(&KEY, &ticket);
        http().get(&at).bearer_auth(opens).send().await.unwrap()
    };
    let data = ticket::filler();
    assert_eq!(ask(good_ticket(&data, Verb::Read)).await.status(), 403);
    assert_eq!(ask(good_ticket(&data, Verb::Fill)).await.status(), 400);
    let one = ask(filler_for(200)).await.bytes().await.unwrap();
    let other = ask(filler_for(200)).await.bytes().await.unwrap();
    let least = one.len().min(other.len()).min(32 << 10);
    assert!(least > 0);
    let mut counts = [0_usize; 256];
    one[..least].iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    assert!(counts.iter().all(|count| *count < least / 64), "some bytes are frequent");
    assert_ne!(one[..least], other[..least]);
}
