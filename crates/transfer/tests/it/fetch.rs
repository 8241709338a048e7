use crate::bench::{Bench, MIB, flipping_answers, http, noise, serve, source, sticking, tree};
use axum::Router;
use axum::extract::Request;
use axum::middleware::map_request;
use model::{Bytes, Rate};
use std::fs::{self, File};
use std::future::ready;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use transfer::{Giver, LocalStore, Pace, Progress, TransferError, Verb, fetch};

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_arrives_as_it_was_put() {
    let bench = Bench::new();
    let (large, odd) = (noise(1, 9 * MIB + 17), noise(2, 3 * MIB));
    let files: [(&str, &[u8]); 5] = [
        ("a/large.bin", &large),
        ("a/b/c/odd.bin", &odd),
        ("empty", b""),
        ("run.sh", b"#!/bin/sh\n"),
        ("zz/last-empty", b""),
    ];
    crate::bench::write_files(&bench.path("in"), &files);
    fs::create_dir_all(bench.path("in/no/files/here")).unwrap();
    let executable = fs::Permissions::from_mode(0o751);
    fs::set_permissions(bench.path("in/run.sh"), executable).unwrap();
    let data = bench.put("in", &[]);
    let url = serve(bench.door(&bench.far)).await;

    let arrived = bench.fetch(&[&url], &data).await.unwrap();

    let total: usize = files.iter().map(|file| file.1.len()).sum();
    assert_eq!((arrived.moved, arrived.resent, arrived.corrupted), (Bytes(total as u64), 0, 0));
    let copy = tree(&bench.near.path(&data).unwrap());
    assert_eq!(copy, tree(&bench.far.path(&data).unwrap()));
    assert_eq!(copy.len(), files.len());
    for (path, bytes) in files {
        let mode = if path == "run.sh" { 0o555 } else { 0o444 };
        assert_eq!(copy[std::path::Path::new(path)], (bytes.to_vec(), mode), "{path}");
    }
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
    let again = bench.fetch(&[&url], &data).await.unwrap();
    assert_eq!(again.moved, Bytes::ZERO);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_small_files_travel_in_few_requests() {
    let bench = Bench::new();
    for n in 0..10_000_u32 {
        let dir = bench.path("in").join(format!("{:02}", n % 50));
        if n < 50 {
            fs::create_dir_all(&dir).unwrap();
        }
        fs::write(dir.join(n.to_string()), n.to_le_bytes().repeat(1 + n as usize % 40)).unwrap();
    }
    let data = bench.far.adopt(&crate::bench::dataset(), &bench.path("in")).unwrap().0;
    let asked = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&asked);
    let door = bench.door(&bench.far).layer(map_request(move |request: Request| {
        counter.fetch_add(1, Relaxed);
        ready(request)
    }));
    let url = serve(door).await;

    bench.fetch(&[&url], &data).await.unwrap();

    assert_eq!(bench.near.replicas()[&data].files, 10_000);
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
    assert_eq!(asked.load(Relaxed), 1 + 10_000_u32.div_ceil(256));
}

#[test]
fn a_copy_broken_off_is_resumed_without_fetching_twice() {
    let bench = Bench::new();
    let total = 128 * MIB;
    let data = bench.put("in", &[("x", &noise(3, total))]);
    let Bench { dir, near, far, arrived } = bench;
    let bench = Bench { dir, near: near.clone(), far: far.clone(), arrived: Arc::clone(&arrived) };
    let progress = Progress::default();

    // The first runtime is gone afterwards, and all that still wrote for it: as after a crash.
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    runtime().block_on(async {
        let stuck = Arc::new(Notify::new());
        let url = serve(sticking(bench.door(&bench.far), 13, Arc::clone(&stuck))).await;
        let sources = [source(&url, &data, Verb::Read)];
        let (client, pace) = (http(), Pace::unlimited());
        let givers = Giver::sharing(&sources, &pace);
        tokio::select! {
            ended = fetch(&client, &givers, &bench.near, &data, &progress) => {
                panic!("it should hang: {ended:?}");
            }
            () = stuck.notified() => {}
        }
    });
    let first = progress.seen();
    assert!(!near.has(&data));
    let root = near.root().to_owned();
    drop((near, bench.near));
    let (near, found) = LocalStore::open(&root, Bytes::MAX).unwrap();
    assert_eq!(found.incoming, std::slice::from_ref(&data));
    let bench = Bench { dir: bench.dir, near, far, arrived };

    let second = runtime().block_on(async {
        let url = serve(bench.door(&bench.far)).await;
        bench.fetch(&[&url], &data).await.unwrap()
    });

    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
    // Lost at most: of each of four connections the chunk that was coming in and one being written.
    let moved = first.moved.0 + second.moved.0;
    assert!(second.moved.0 < total as u64, "{first:?} {second:?}");
    assert!(moved <= (total + 8 * MIB) as u64, "{first:?} {second:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_damaged_on_the_way_is_counted_and_fetched_again() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(4, 20 * MIB))]);
    let url = serve(flipping_answers(bench.door(&bench.far), 3)).await;

    let arrived = bench.fetch(&[&url], &data).await.unwrap();

    assert_eq!(arrived.corrupted, 3);
    assert_eq!(arrived.resent, 3);
    assert_eq!(arrived.moved, Bytes(23 * MIB as u64));
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
}

/// Spoils the fourth mebibyte of `x` in the far store.
fn spoil(bench: &Bench, data: &model::DatasetVersion) {
    let path = bench.far.path(data).unwrap().join("x");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[3 * MIB + 5] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_damaged_on_disk_makes_no_replica_and_is_named() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(5, 6 * MIB))]);
    spoil(&bench, &data);
    let url = serve(bench.door(&bench.far)).await;

    let error = bench.fetch(&[&url], &data).await.unwrap_err();

    let says = error.to_string();
    assert!(matches!(error, TransferError::Corrupted { chunk: 3, .. }), "{error:?}");
    assert!(says.contains("chunk 3") && says.contains("`x`") && says.contains(&url), "{says}");
    assert!(!bench.near.has(&data));
    assert_eq!(bench.far.verify(&data).unwrap(), [3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_source_lacks_comes_from_the_next() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(5, 40 * MIB))]);
    let other = LocalStore::open(&bench.path("other"), Bytes::MAX).unwrap().0;
    other.import_dir(&crate::bench::dataset(), &bench.path("in")).unwrap();
    spoil(&bench, &data);
    let dead = "http://127.0.0.1:1";
    let empty = serve(Router::new()).await;
    let damaged = serve(bench.door(&bench.far)).await;
    let good = serve(bench.door(&other)).await;

    let arrived = bench.fetch(&[dead, &empty, &damaged, &good], &data).await.unwrap();

    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
    assert!(arrived.corrupted > 0);
    assert!(arrived.moved.0 < 50 * MIB as u64, "{arrived:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_sources_give_at_once() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(6, 96 * MIB))]);
    let gave = [(); 3].map(|()| Arc::new(AtomicU32::new(0)));
    let mut urls = Vec::new();
    for count in &gave {
        let count = Arc::clone(count);
        let counted = bench.door(&bench.far).layer(map_request(move |request: Request| {
            count.fetch_add(1, Relaxed);
            ready(request)
        }));
        urls.push(serve(counted).await);
    }
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();

    let arrived = bench.fetch(&urls, &data).await.unwrap();

    assert_eq!(arrived.moved, Bytes(96 * MIB as u64));
    let gave = gave.map(|count| count.load(Relaxed));
    assert!(gave.iter().all(|requests| *requests > 1), "{gave:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_new_version_only_what_changed_is_fetched() {
    let bench = Bench::new();
    let mut bytes = noise(7, 64 * MIB);
    let old = bench.put("old", &[("step", &bytes), ("notes", b"first")]);
    let url = serve(bench.door(&bench.far)).await;
    bench.fetch(&[&url], &old).await.unwrap();
    bytes[5 * MIB] ^= 1;
    bytes[40 * MIB..42 * MIB].copy_from_slice(&noise(8, 2 * MIB));
    let new = bench.put("new", &[("renamed", &bytes), ("notes", b"second")]);
    // What is damaged here since is fetched, not kept.
    let replica = bench.near.path(&old).unwrap().join("step");
    fs::set_permissions(&replica, fs::Permissions::from_mode(0o644)).unwrap();
    File::options().write(true).open(&replica).unwrap().write_all_at(b"!", 9).unwrap();

    let arrived = bench.fetch(&[&url], &new).await.unwrap();

    assert_eq!(bench.near.verify(&new).unwrap(), Vec::<u64>::new());
    assert_eq!(arrived.moved, Bytes(4 * MIB as u64 + 6));
    assert_eq!(arrived.reused, Bytes(60 * MIB as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_damaged_replica_only_the_damaged_chunks_are_fetched_again() {
    let bench = Bench::new();
    let files: &[(&str, &[u8])] =
        &[("a", &noise(9, 8 * MIB)), ("b", &noise(10, 3 * MIB)), ("c", b""), ("d/e", b"note")];
    let data = bench.put("in", files);
    let url = serve(bench.door(&bench.far)).await;
    bench.fetch(&[&url], &data).await.unwrap();
    let replica = bench.near.path(&data).unwrap();
    fs::set_permissions(replica.join("a"), fs::Permissions::from_mode(0o644)).unwrap();
    let a = File::options().write(true).open(replica.join("a")).unwrap();
    a.write_all_at(b"?", 5 * MIB as u64).unwrap();
    fs::remove_file(replica.join("b")).unwrap();
    let damaged = bench.near.verify(&data).unwrap();
    assert_eq!(damaged, [5, 8, 9, 10]);

    bench.near.set_aside_damaged(&data, &damaged).unwrap();

    assert!(!bench.near.has(&data));
    let root = bench.near.root().to_owned();
    let Bench { dir, near, far, arrived } = bench;
    drop(near);
    let (near, found) = LocalStore::open(&root, Bytes::MAX).unwrap();
    assert_eq!(found.incoming, std::slice::from_ref(&data));
    let bench = Bench { dir, near, far, arrived };
    let arrived = bench.fetch(&[&url], &data).await.unwrap();
    assert_eq!(bench.near.verify(&data).unwrap(), Vec::<u64>::new());
    assert_eq!(arrived.moved, Bytes(4 * MIB as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_source_that_answers_the_error_says_whether_to_come_back() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", b"x")]);
    let dead = bench.fetch(&["http://127.0.0.1:1"], &data).await.unwrap_err();
    assert!(dead.is_transient(), "{dead:?}");
    let none = bench.fetch(&[], &data).await.unwrap_err();
    assert!(matches!(none, TransferError::NoSource { .. }) && !none.is_transient(), "{none:?}");
    let odd = bench.fetch(&["not an address"], &data).await.unwrap_err();
    assert!(matches!(odd, TransferError::NotAnAddress { .. }), "{odd:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_keeps_its_pace() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(6, 5 * MIB))]);
    let url = serve(bench.door(&bench.far)).await;
    let sources = [source(&url, &data, Verb::Read)];
    let (pace, progress) = (Pace::steady(Rate(16_000_000)), Progress::default());
    let client = http();
    let begun = Instant::now();
    // Making the replica durable comes after, and takes what the disk takes.
    let timing = async {
        while progress.seen().done < Bytes(5 * MIB as u64) {
            tokio::task::yield_now().await;
        }
        begun.elapsed()
    };
    let givers = Giver::sharing(&sources, &pace);
    let fetching = fetch(&client, &givers, &bench.near, &data, &progress);

    let (fetched, took) = tokio::join!(fetching, timing);

    fetched.unwrap();
    let wanted = Duration::from_secs_f64(5.0 * MIB as f64 * 8.0 / 16e6);
    let off = wanted / 10;
    assert!(took >= Duration::from_secs(2) && took.abs_diff(wanted) <= off, "{took:?} {wanted:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pace_set_anew_frees_who_waits() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(7, 2 * MIB))]);
    let url = serve(bench.door(&bench.far)).await;
    let sources = [source(&url, &data, Verb::Read)];
    let (pace, progress) = (Pace::steady(Rate(1)), Progress::default());
    let client = http();
    let givers = Giver::sharing(&sources, &pace);
    let fetching = fetch(&client, &givers, &bench.near, &data, &progress);
    let freeing = async {
        while progress.seen().moved == Bytes::ZERO {
            tokio::task::yield_now().await;
        }
        pace.set(None);
    };
    let (fetched, ()) = tokio::join!(fetching, freeing);
    assert_eq!(fetched.unwrap().moved, Bytes(2 * MIB as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_says_so_and_keeps_nothing() {
    let bench = Bench::new();
    let data = bench.put("in", &[("x", &noise(8, 2 * MIB))]);
    let url = serve(bench.door(&bench.far)).await;
    let (small, _) = LocalStore::open(&bench.path("small"), Bytes(MIB as u64)).unwrap();
    let sources = [source(&url, &data, Verb::Read)];
    let (pace, progress) = (Pace::unlimited(), Progress::default());

    let error = fetch(&http(), &Giver::sharing(&sources, &pace), &small, &data, &progress)
        .await
        .unwrap_err();

    assert!(error.to_string().ends_with("is full: 2 MiB wanted, 1 MiB free"), "{error}");
    assert!(!error.is_transient());
    assert_eq!(small.free(), Bytes(MIB as u64));
    assert!(small.resume(&data).unwrap().is_none());
}
