use crate::bench::{
    Bench, KEY, MIB, NOW, dataset, flipping_requests, good_ticket, http, noise, serve, source,
    sticking, tree, write_files,
};
use axum::Router;
use model::{Bytes, DatasetVersion, Manifest, Rate, Span, TransferId};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Notify;
use transfer::{
    Arrived, Leave, LocalStore, Pace, Progress, Source, Ticket, TransferError, Verb, send, survey,
    ticket, upload,
};
use wire::PaceStep;

/// A directory ready to be put.
struct Load {
    bench: Bench,
    manifest: Manifest,
    data: DatasetVersion,
}

impl Load {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let bench = Bench::new();
        write_files(&bench.path("in"), files);
        let manifest = survey(&bench.path("in")).unwrap();
        let data = DatasetVersion { dataset: dataset(), version: manifest.version() };
        Self { bench, manifest, data }
    }

    async fn upload(&self, door: Router, progress: &Progress) -> Result<Arrived, TransferError> {
        let to = source(&serve(door).await, &self.data, Verb::Write);
        let (from, pace) = (self.bench.path("in"), Pace::unlimited());
        upload(&http(), &from, &self.manifest, &self.data, &to, &pace, progress).await
    }

    fn door(&self) -> Router {
        self.bench.door(&self.bench.near)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_put_becomes_a_replica_and_is_told_of() {
    let noise = noise(1, 20 * MIB + 3);
    let load = Load::new(&[("a/x", &noise), ("b", b""), ("c", b"c")]);
    let progress = Progress::default();

    let arrived = load.upload(load.door(), &progress).await.unwrap();

    assert_eq!(arrived.moved, load.manifest.bytes());
    assert_eq!(progress.seen().done, load.manifest.bytes());
    assert_eq!(*load.bench.arrived.lock().unwrap(), std::slice::from_ref(&load.data));
    let replica = tree(&load.bench.near.path(&load.data).unwrap());
    let source = tree(&load.bench.path("in"));
    assert!(replica.keys().eq(source.keys()));
    assert!(replica.values().map(|file| &file.0).eq(source.values().map(|file| &file.0)));
    let again = load.upload(load.door(), &progress).await.unwrap();
    assert_eq!(again.moved, Bytes::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_file_can_be_put() {
    let mut load = Load::new(&[("x", b"hello")]);
    let from = load.bench.path("in/x");
    load.manifest = survey(&from).unwrap();
    let to = source(&serve(load.door()).await, &load.data, Verb::Write);
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    upload(&http(), &from, &load.manifest, &load.data, &to, &pace, &progress).await.unwrap();
    assert!(load.bench.near.has(&load.data));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_broken_off_sends_only_what_is_missing() {
    let load = Load::new(&[("x", &noise(2, 48 * MIB))]);
    let stuck = Arc::new(Notify::new());
    let door = sticking(load.door(), 3, Arc::clone(&stuck));
    let first = Progress::default();
    tokio::select! {
        ended = load.upload(door, &first) => panic!("it should hang: {ended:?}"),
        // Three batches of 8 MiB pass; a fourth hangs only after the first of them is answered.
        () = async {
            stuck.notified().await;
            while first.seen().done < Bytes(24 * MIB as u64) {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let second = load.upload(load.door(), &Progress::default()).await.unwrap();
    assert_eq!(second.moved, Bytes(24 * MIB as u64));
    assert_eq!(load.bench.near.verify(&load.data).unwrap(), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_damaged_on_its_way_in_is_sent_again() {
    let load = Load::new(&[("x", &noise(3, 10 * MIB))]);
    let door = flipping_requests(load.door(), 2);
    let arrived = load.upload(door, &Progress::default()).await.unwrap();
    assert_eq!((arrived.corrupted, arrived.resent), (2, 2));
    // The door may answer before the last piece of a damaged chunk has left.
    let least = 11 * MIB as u64;
    assert!((least + 1..=12 * MIB as u64).contains(&arrived.moved.0), "{}", arrived.moved);
    assert_eq!(load.bench.near.verify(&load.data).unwrap(), Vec::<u64>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_changed_since_its_survey_is_not_sent() {
    let load = Load::new(&[("x", b"then")]);
    fs::write(load.bench.path("in/x"), b"than").unwrap();
    let error = load.upload(load.door(), &Progress::default()).await.unwrap_err();
    assert!(matches!(error, TransferError::Changed { .. }), "{error:?}");
    assert!(!load.bench.near.has(&load.data));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_takes_no_upload() {
    let load = Load::new(&[("x", &noise(4, 2 * MIB))]);
    let (small, _) = LocalStore::open(&load.bench.path("small"), Bytes(MIB as u64)).unwrap();
    let door = load.bench.door(&small);
    let error = load.upload(door, &Progress::default()).await.unwrap_err();
    assert!(matches!(error, TransferError::Answered { status: 507, .. }), "{error:?}");
    assert!(error.to_string().contains("full: 2 MiB wanted, 1 MiB free") && !error.is_transient());
}

/// Sends what a bench's far store has into the near one.
async fn send_from_far(bench: &Bench, data: &DatasetVersion) -> Result<Arrived, TransferError> {
    let to = source(&serve(bench.door(&bench.near)).await, data, Verb::Write);
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    send(&http(), &bench.far, data, &to, &pace, &progress).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_sent_from_store_to_store_and_only_what_is_missing() {
    let bench = Bench::new();
    let data = bench.put("in", &[("a/x", &noise(5, 9 * MIB)), ("b", b"b")]);
    let layout = bench.far.layout(&data).unwrap();
    let half = bench.near.incoming(&data, layout.manifest().clone()).unwrap();
    for chunk in 0..4 {
        half.write_chunk(chunk, &bench.far.read_chunk(&layout, chunk).unwrap()).unwrap();
    }
    drop(half);
    let arrived = send_from_far(&bench, &data).await.unwrap();
    assert_eq!(arrived.moved, Bytes(5 * MIB as u64 + 1));
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
    assert_eq!(*bench.arrived.lock().unwrap(), std::slice::from_ref(&data));
    let again = send_from_far(&bench, &data).await.unwrap();
    assert_eq!(again.moved, Bytes::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_not_sent() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(6, 3 * MIB))]);
    let file = bench.far.path(&data).unwrap().join("x");
    let mut bytes = fs::read(&file).unwrap();
    bytes[2 * MIB] ^= 1;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, bytes).unwrap();
    let error = send_from_far(&bench, &data).await.unwrap_err();
    assert!(matches!(error, TransferError::Changed { .. }), "{error:?}");
    assert!(!bench.near.has(&data));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_door_takes_what_is_sent_no_faster_than_its_ticket_says() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(7, 2 * MIB))]);
    let url = serve(bench.door(&bench.near)).await;
    let rate = Rate(40_000_000);
    let step = PaceStep { after: Span::ZERO, lasts: Span::MAX, rate };
    let leave = Some(Leave::new(TransferId::new(1), NOW, vec![step]));
    let ticket = Ticket { pace: leave, ..good_ticket(&data, Verb::Write) };
    let to = Source { url, ticket: ticket::issue(&KEY, &ticket) };
    let (began, hasty, progress) = (Instant::now(), Pace::unlimited(), Progress::default());
    send(&http(), &bench.far, &data, &to, &hasty, &progress).await.unwrap();
    // The first piece is ahead of the rate.
    let least = Bytes(MIB as u64).time_at(rate).unwrap();
    assert!(began.elapsed() >= least.to_std(), "{:?}", began.elapsed());
    assert!(bench.near.has(&data));
}
