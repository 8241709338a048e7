//! What comes damaged or finds no room: nothing of it is ever taken for good.

use crate::bench::{Bench, MIB, http, noise, serve, source, tree};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use model::{Bytes, DatasetVersion, Rate};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};
use transfer::{Giver, LocalStore, Pace, Progress, TransferError, Verb, fetch};

/// Each file is one chunk.
const FILE: usize = 1_500;
const FILES: usize = 1_000;
/// Every other one is damaged: five hundred on the line, five hundred on the disk.
const ONE_IN: usize = 2;

/// Flips one bit in each of so many chunks of the answers, in each chunk once.
fn noisy(router: Router, many: usize) -> Router {
    let flipped = Arc::new(Mutex::new(BTreeSet::new()));
    router.layer(from_fn(move |request: Request, next: Next| {
        let flipped = Arc::clone(&flipped);
        async move {
            let about_chunks = request.uri().path().ends_with("/chunks");
            let response = next.run(request).await;
            if !about_chunks {
                return response;
            }
            let (parts, body) = response.into_parts();
            let mut bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
            let mut flipped = flipped.lock().unwrap();
            for chunk in bytes.chunks_exact_mut(FILE) {
                if flipped.len() < many && flipped.insert(model::Digest::of(chunk)) {
                    let bit = flipped.len() * 7_919 % (FILE * 8);
                    chunk[bit / 8] ^= 1 << (bit % 8);
                }
            }
            Response::from_parts(parts, Body::from(bytes))
        }
    }))
}

/// Flips one bit in every [`ONE_IN`]th file of a replica, a different one in each; how many.
fn rot(store: &LocalStore, data: &DatasetVersion) -> usize {
    let replica = store.path(data).unwrap();
    let damaged = (0..FILES).step_by(ONE_IN);
    damaged
        .map(|file| {
            let path = replica.join(format!("{file:04}"));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            let bit = file * 6_151 % (FILE * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_flipped_bits_on_line_and_disk_none_is_delivered() {
    let bench = Bench::in_memory();
    let contents: Vec<Vec<u8>> = (0..FILES).map(|n| noise(n as u64, FILE)).collect();
    let names: Vec<String> = (0..FILES).map(|n| format!("{n:04}")).collect();
    let files: Vec<(&str, &[u8])> =
        names.iter().zip(&contents).map(|(name, bytes)| (&**name, &**bytes)).collect();
    let data = bench.put("in", &files);

    // On the line: every chunk that came damaged is noticed, and fetched again.
    let on_line = FILES / ONE_IN;
    let url = serve(noisy(bench.door(&bench.far), on_line)).await;
    let arrived = bench.fetch(&[&url], &data).await.unwrap();
    assert_eq!(arrived.corrupted, on_line as u64);
    assert!(tree(&bench.near.path(&data).unwrap()) == tree(&bench.far.path(&data).unwrap()));

    // On the disk: the same, when it is read, when it is given out, and when it is repaired.
    let on_disk = rot(&bench.near, &data);
    assert_eq!(on_line + on_disk, 1_000);
    let damaged = bench.near.verify(&data).unwrap();
    assert_eq!(damaged.len(), on_disk);
    let third = LocalStore::open(&bench.path("third"), Bytes::MAX).unwrap().0;
    let url = serve(bench.door(&bench.near)).await;
    let whole = serve(bench.door(&bench.far)).await;
    let sources = [source(&url, &data, Verb::Read), source(&whole, &data, Verb::Read)];
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    let alone =
        fetch(&http(), &Giver::sharing(&sources[..1], &pace), &third, &data, &progress).await;
    assert!(matches!(alone, Err(TransferError::Corrupted { .. })), "{alone:?}");
    assert!(!third.has(&data), "a copy with a damaged chunk counts as whole");
    let progress = Progress::default();
    fetch(&http(), &Giver::sharing(&sources, &pace), &third, &data, &progress).await.unwrap();
    assert!(tree(&third.path(&data).unwrap()) == tree(&bench.far.path(&data).unwrap()));

    bench.near.set_aside_damaged(&data, &damaged).unwrap();
    let repaired = bench.fetch(&[&whole], &data).await.unwrap();
    assert_eq!(repaired.moved, Bytes((on_disk * FILE) as u64), "what was good was kept");
    assert!(tree(&bench.near.path(&data).unwrap()) == tree(&bench.far.path(&data).unwrap()));
}

/// A file system of so many MiB.
struct Disk(PathBuf);

impl Disk {
    /// It, mounted, or why there can be none.
    fn new(at: PathBuf, mib: usize) -> Result<Self, String> {
        fs::create_dir_all(&at).unwrap();
        let size = format!("size={mib}m");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at))?;
        Ok(Self(at))
    }

    /// Fills it with something else, to the last byte.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("something else");
        let mut file = fs::File::create(&path).unwrap();
        while file.write_all(&[1; 4_096]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0)).unwrap();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let done = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    if done.status.success() { Ok(()) } else { Err(format!("{command:?}: {said}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_disk_runs_full_a_copy_keeps_what_it_has_and_goes_on_once_there_is_room() {
    let bench = Bench::new();
    let disk = match Disk::new(bench.path("disk"), 64) {
        Ok(disk) => disk,
        Err(why) => {
            eprintln!("skipped, no file system can be mounted: {why}");
            return;
        }
    };
    let total = 32 * MIB;
    let data = bench.put("in", &[("x", &noise(9, total))]);
    let url = serve(bench.door(&bench.far)).await;
    let (store, _) = LocalStore::open(&bench.path("disk/store"), Bytes::MAX).unwrap();
    let (client, sources) = (http(), [source(&url, &data, Verb::Read)]);
    let (pace, progress) = (Pace::steady(Rate(200_000_000)), Progress::default());

    let givers = Giver::sharing(&sources, &pace);
    let fetching = fetch(&client, &givers, &store, &data, &progress);
    let filling = async {
        while progress.seen().moved < Bytes(16 * MIB as u64) {
            tokio::task::yield_now().await;
        }
        let filler = disk.fill();
        pace.set(None);
        filler
    };
    let (ended, filler) = tokio::join!(fetching, filling);
    let error = ended.unwrap_err();
    assert!(error.to_string().contains("is full"), "{error}");
    assert!(!store.has(&data));
    let first = progress.seen().moved;

    fs::remove_file(filler).unwrap();
    let (pace, progress) = (Pace::unlimited(), Progress::default());
    let second =
        fetch(&client, &Giver::sharing(&sources, &pace), &store, &data, &progress).await.unwrap();
    assert!(tree(&store.path(&data).unwrap()) == tree(&bench.far.path(&data).unwrap()));
    assert!(second.moved.0 <= (total - 8 * MIB) as u64, "{first} came, then {second:?}");
}
