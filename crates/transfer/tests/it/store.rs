use crate::bench::{Bench, MIB, dataset, noise, tree, write_files};
use model::dataset::ManifestFile;
use model::{Bytes, DatasetVersion, Digest, Manifest};
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use tempfile::TempDir;
use transfer::{LocalStore, TransferError, Written, survey};

fn reopen(store: LocalStore) -> (LocalStore, transfer::Found) {
    let root = store.root().to_owned();
    drop(store);
    LocalStore::open(&root, Bytes::MAX).unwrap()
}

#[test]
fn replicas_outlive_the_process_and_go_when_removed() {
    let bench = Bench::new();
    let data = bench.put("in", &[("a", b"one"), ("b/c", b"two")]);
    let (store, found) = reopen(bench.far);
    assert_eq!(found.replicas, store.replicas());
    assert_eq!(found.replicas[&data].bytes, Bytes(6));
    assert_eq!(store.layout(&data).unwrap().manifest().files.len(), 2);
    store.remove(&data).unwrap();
    store.remove(&data).unwrap();
    assert!(!store.has(&data));
    assert!(matches!(store.path(&data), Err(TransferError::NotHere { .. })));
    assert!(tree(store.root()).keys().all(|path| path == Path::new("lock")));
    assert!(reopen(store).1.replicas.is_empty());
}

#[test]
fn one_process_at_a_time_has_a_store() {
    let bench = Bench::new();
    let second = LocalStore::open(bench.far.root(), Bytes::MAX);
    assert!(matches!(second, Err(TransferError::InUse { .. })), "{second:?}");
}

#[test]
fn a_broken_replica_is_put_aside_and_reported() {
    let bench = Bench::new();
    let manifest = bench.put("one", &[("a", b"one")]);
    let short = bench.put("two", &[("a", b"two")]);
    let gone = bench.put("three", &[("a", b"three")]);
    let good = bench.put("four", &[("a", b"four")]);
    let replicas = bench.far.root().join("replicas");
    let at = |data: &DatasetVersion| format!("{}@{}", data.dataset, data.version);
    fs::write(replicas.join(at(&manifest) + ".manifest.json"), b"{\"files\":[]}").unwrap();
    let file = replicas.join(at(&short)).join("a");
    fs::remove_file(&file).unwrap();
    fs::write(&file, b"tw").unwrap();
    fs::remove_file(replicas.join(at(&gone) + ".manifest.json")).unwrap();
    fs::create_dir(replicas.join("what is this")).unwrap();
    fs::write(replicas.join(format!("x@{}.manifest.json", Digest::of(b""))), b"orphan").unwrap();

    let (store, found) = reopen(bench.far);

    assert_eq!(store.replicas().into_keys().collect::<Vec<_>>(), [good]);
    let mut broken: Vec<_> = found.quarantined.iter().map(|q| q.data.clone()).collect();
    let mut wanted = vec![None, Some(manifest), Some(short), Some(gone)];
    broken.sort();
    wanted.sort();
    assert_eq!(broken, wanted);
    assert_eq!(fs::read_dir(&replicas).unwrap().count(), 2);
    assert!(reopen(store).1.quarantined.is_empty());
}

#[test]
fn only_files_and_directories_can_be_data() {
    let bench = Bench::new();
    let (dir, free) = (bench.path("in"), bench.far.free());
    write_files(&dir, &[("a", b"a"), ("sub/b", b"b")]);
    let refused = |kind: &str| {
        let all: [Result<(), TransferError>; 3] = [
            bench.far.import_dir(&dataset(), &dir).map(drop),
            bench.far.adopt(&dataset(), &dir).map(drop),
            survey(&dir).map(drop),
        ];
        for error in all.map(Result::unwrap_err) {
            assert!(matches!(error, TransferError::NotPlain { .. }), "{error:?}");
            assert!(error.to_string().contains(kind), "{error}");
        }
    };
    symlink("/etc/passwd", dir.join("sub/link")).unwrap();
    refused("sub/link is a symbolic link");
    fs::remove_file(dir.join("sub/link")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(dir.join("sub/socket")).unwrap();
    refused("sub/socket is a socket");
    drop(socket);
    fs::remove_file(dir.join("sub/socket")).unwrap();
    symlink(&dir, bench.path("link")).unwrap();
    let link = bench.far.adopt(&dataset(), &bench.path("link"));
    assert!(matches!(link, Err(TransferError::NotPlain { .. })), "{link:?}");
    fs::create_dir_all(bench.path("bare/empty")).unwrap();
    let empty = bench.far.import_dir(&dataset(), &bench.path("bare"));
    assert!(matches!(empty, Err(TransferError::NotADataset { .. })), "{empty:?}");
    assert!(bench.far.replicas().is_empty());
    assert!(bench.far.free().0.abs_diff(free.0) < 1 << 30, "room is given back");
}

#[test]
fn an_adopted_directory_moves_in_whole_and_read_only() {
    let bench = Bench::new();
    let out = bench.path("out");
    write_files(&out, &[("model.bin", &noise(1, MIB + 1)), ("logs/a", b"a"), ("tool", b"t")]);
    fs::create_dir_all(out.join("tmp/empty")).unwrap();
    fs::set_permissions(out.join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::hard_link(out.join("logs/a"), bench.path("elsewhere")).unwrap();
    let surveyed = survey(&out).unwrap();

    let (data, manifest) = bench.far.adopt(&dataset(), &out).unwrap();

    assert_eq!(manifest, surveyed);
    assert!(!out.exists());
    let replica = bench.far.path(&data).unwrap();
    assert_eq!(tree(&replica)[Path::new("tool")].1, 0o555);
    assert_eq!(tree(&replica)[Path::new("model.bin")].1, 0o444);
    assert!(!replica.join("tmp").exists());
    fs::write(bench.path("elsewhere"), b"b").unwrap();
    assert_eq!(fs::read(replica.join("logs/a")).unwrap(), b"a");
    write_files(&out, &[("model.bin", &noise(1, MIB + 1)), ("logs/a", b"a"), ("tool", b"t")]);
    fs::set_permissions(out.join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(bench.far.adopt(&dataset(), &out).unwrap().0, data);
    assert!(!out.exists());
}

#[test]
fn a_directory_on_another_file_system_is_adopted_by_copy() {
    let bench = Bench::new();
    // Where there is no such directory, this is one more adoption by rename.
    let elsewhere = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap();
    let out = elsewhere.path().join("out");
    write_files(&out, &[("a/b", b"b"), ("c", b"c")]);
    let data = bench.far.adopt(&dataset(), &out).unwrap().0;
    assert!(!out.exists());
    assert_eq!(bench.far.verify(&data).unwrap(), Vec::<u64>::new());
    assert_eq!(reopen(bench.far).1.replicas.into_keys().collect::<Vec<_>>(), [data]);
}

#[test]
fn a_single_file_is_a_dataset_too() {
    let bench = Bench::new();
    write_files(bench.dir.path(), &[("list.csv", b"a,b\n")]);
    let (data, manifest) = bench.far.import_dir(&dataset(), &bench.path("list.csv")).unwrap();
    assert_eq!(manifest.files[0].path, "list.csv");
    assert_eq!(bench.near.adopt(&dataset(), &bench.path("list.csv")).unwrap().0, data);
    assert!(!bench.path("list.csv").exists());
}

#[test]
fn an_import_that_does_not_fit_leaves_nothing() {
    let bench = Bench::new();
    write_files(&bench.path("in"), &[("x", &noise(1, 2 * MIB))]);
    let (small, _) = LocalStore::open(&bench.path("small"), Bytes(MIB as u64)).unwrap();
    for refused in [
        small.import_dir(&dataset(), &bench.path("in")),
        small.adopt(&dataset(), &bench.path("in")),
    ] {
        assert!(matches!(refused, Err(TransferError::StoreFull { .. })), "{refused:?}");
    }
    assert!(bench.path("in/x").exists());
    assert!(tree(small.root()).keys().all(|path| path == Path::new("lock")));
}

/// A manifest of one file of noise, and the noise.
fn noisy(chunks: usize) -> (DatasetVersion, Manifest, Vec<u8>) {
    let bytes = noise(9, chunks * MIB);
    let file = ManifestFile {
        path: "d/x".to_owned(),
        bytes: Bytes(bytes.len() as u64),
        executable: false,
        chunks: bytes.chunks(MIB).map(Digest::of).collect(),
    };
    let manifest = Manifest { files: vec![file] };
    (DatasetVersion { dataset: dataset(), version: manifest.version() }, manifest, bytes)
}

#[test]
fn chunks_in_any_order_make_a_replica_only_when_all_are_right() {
    let bench = Bench::new();
    let (data, manifest, bytes) = noisy(4);
    let chunk = |n: usize| &bytes[n * MIB..(n + 1) * MIB];
    let incoming = bench.near.incoming(&data, manifest.clone()).unwrap();
    assert_eq!(incoming.missing(), vec![0..4]);
    assert_eq!(incoming.write_chunk(2, chunk(2)).unwrap(), Written::Verified);
    assert_eq!(incoming.write_chunk(1, chunk(2)).unwrap(), Written::Corrupted);
    assert_eq!(incoming.write_chunk(1, &chunk(1)[1..]).unwrap(), Written::Corrupted);
    assert!(matches!(incoming.write_chunk(4, b""), Err(TransferError::NoSuchChunk { .. })));
    assert_eq!(incoming.missing(), [0..2, 3..4]);
    let early = incoming.finish();
    assert!(matches!(early, Err(TransferError::Incomplete { missing: 3, .. })), "{early:?}");
    assert!(!bench.near.has(&data));
    for n in [3, 0, 1] {
        assert_eq!(incoming.write_chunk(n as u64, chunk(n)).unwrap(), Written::Verified);
    }
    incoming.finish().unwrap();
    incoming.finish().unwrap();
    assert_eq!(fs::read(bench.near.path(&data).unwrap().join("d/x")).unwrap(), bytes);
    let again = bench.near.incoming(&data, manifest);
    assert!(matches!(again, Err(TransferError::AlreadyHere { .. })), "{again:?}");
}

#[test]
fn after_a_crash_of_the_process_chunks_are_trusted_of_the_machine_read_again() {
    let bench = Bench::new();
    let (data, manifest, bytes) = noisy(70);
    let incoming = bench.near.incoming(&data, manifest).unwrap();
    for (n, chunk) in bytes.chunks(MIB).take(66).enumerate() {
        incoming.write_chunk(n as u64, chunk).unwrap();
    }
    drop(incoming);
    let (store, found) = reopen(bench.near);
    assert_eq!(found.incoming, std::slice::from_ref(&data));
    let incoming = store.resume(&data).unwrap().unwrap();
    let known = incoming.missing()[0].start;
    assert!((64..=66).contains(&known), "{known}");
    drop(incoming);

    let dir = store.root().join(format!("incoming/corpus@{}", data.version));
    let file = fs::OpenOptions::new().write(true).open(dir.join("files/d/x")).unwrap();
    file.write_all_at(b"lost", 5 * MIB as u64).unwrap();
    file.set_len(10 * MIB as u64 + 5).unwrap();
    let progress = fs::OpenOptions::new().write(true).open(dir.join("progress")).unwrap();
    progress.write_all_at(b"another machine!", 0).unwrap();
    let (store, _) = reopen(store);
    let incoming = store.resume(&data).unwrap().unwrap();
    assert_eq!(incoming.missing(), [5..6, 10..70]);
}

#[test]
fn an_abandoned_copy_frees_its_room_and_takes_nothing_more() {
    let bench = Bench::new();
    let (data, manifest, bytes) = noisy(2);
    let (store, _) = LocalStore::open(&bench.path("small"), Bytes(3 * MIB as u64)).unwrap();
    let incoming = store.incoming(&data, manifest.clone()).unwrap();
    assert_eq!(store.free(), Bytes(MIB as u64));
    incoming.abandon().unwrap();
    assert_eq!(store.free(), Bytes(3 * MIB as u64));
    let late = incoming.write_chunk(0, &bytes[..MIB]);
    assert!(matches!(late, Err(TransferError::Abandoned { .. })), "{late:?}");
    assert!(store.resume(&data).unwrap().is_none());
    assert_eq!(store.incoming(&data, manifest).unwrap().missing(), vec![0..2]);
}

#[test]
fn a_manifest_that_climbs_or_is_another_versions_opens_nothing() {
    let bench = Bench::new();
    for path in ["../x", "/etc/x", "a/../../x", "a//x", "a\\x"] {
        let (_, mut manifest, _) = noisy(1);
        manifest.files[0].path = path.to_owned();
        let data = DatasetVersion { dataset: dataset(), version: manifest.version() };
        let refused = bench.near.incoming(&data, manifest);
        assert!(matches!(refused, Err(TransferError::BadManifest { .. })), "{path}");
    }
    let ((data, _, _), (_, other, _)) = (noisy(1), noisy(2));
    let refused = bench.near.incoming(&data, other);
    assert!(matches!(refused, Err(TransferError::WrongManifest { .. })), "{refused:?}");
    assert!(tree(bench.near.root()).keys().all(|path| path == Path::new("lock")));
}
