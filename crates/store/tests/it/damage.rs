//! Damage: every flipped bit and every cut is harmless, repaired or refused.

use crate::bed::{Bed, SqliteBed, grow, read, records, small};
use model::fact::Head;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::fs;
use std::path::Path;
use store::{Error, Finding, Log, Settings, open, repair, verify};

const LAST: u64 = 113;

/// A log with two segments, two snapshots, a tail in a WAL and its journal; never closed.
struct Scene {
    bed: SqliteBed,
    head: Head,
    _log: std::sync::Arc<dyn Log>,
}

async fn scene() -> Scene {
    let bed = SqliteBed::fresh();
    let log = bed.open(small()).await.log;
    for last in [60, 92] {
        let head = grow(&*log, last).await;
        log.save_snapshot(head, format!("world at {last}").into_bytes()).await.unwrap();
    }
    log.close().await.unwrap();
    let log = bed.open(small()).await.log;
    let head = grow(&*log, LAST).await;
    assert_eq!(bed.files_in("segments").len(), 2);
    Scene { bed, head, _log: log }
}

/// Opens a damaged copy: the whole log and the right snapshot, or a refusal, and nothing else.
/// Answers whether it opened and read whole.
async fn judge(bed: &SqliteBed, head: Head, what: &str) -> bool {
    let opened = match open(bed.path(), small()).await {
        Ok(opened) => opened,
        Err(Error::Damaged { number, .. }) => {
            assert!((1..=LAST + 1).contains(&number), "{what}: {number}");
            return false;
        }
        Err(other) => panic!("{what}: {}", other.chain()),
    };
    assert_eq!(opened.log.head(), head, "{what}: {:?}", opened.report);
    if let Some((at, bytes)) = opened.snapshot {
        assert_eq!(bytes, format!("world at {}", at.number).into_bytes(), "{what}");
        let tail = read(&*opened.log, at.number).await.unwrap();
        assert_eq!(tail, records(at.number + 1..=LAST), "{what}");
    }
    let whole = match read(&*opened.log, 0).await {
        Ok(all) => {
            assert_eq!(all, records(1..=LAST), "{what}");
            true
        }
        Err(Error::Damaged { .. }) => false,
        Err(other) => panic!("{what}: {}", other.chain()),
    };
    // It goes on from there, and is whole again at the next opening.
    opened.log.append(records(LAST + 1..=LAST + 2)).await.unwrap();
    opened.log.close().await.unwrap();
    if whole {
        let again = open(bed.path(), small()).await.unwrap();
        let snapshots = |f: &Finding| matches!(f, Finding::BrokenSnapshot { .. });
        assert!(again.report.findings.iter().all(snapshots), "{what}: {:?}", again.report);
        assert_eq!(again.log.head().number, LAST + 2, "{what}");
        again.log.close().await.unwrap();
    }
    whole
}

fn flip(path: &Path, random: &mut ChaCha8Rng) -> String {
    let mut bytes = fs::read(path).unwrap();
    let (at, bit) = (random.random_range(0..bytes.len()), random.random_range(0..8));
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
    format!("bit {bit} of byte {at} of {}", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_taken_in_mid_life_opens_with_everything() {
    let scene = scene().await;
    assert!(judge(&scene.bed.copy(), scene.head, "untouched").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_flipped_bit_anywhere_is_harmless_repaired_or_refused() {
    let scene = scene().await;
    let mut refused = 0;
    for seed in 0..240 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let bed = scene.bed.copy();
        let files = bed.files();
        let path = &files[random.random_range(0..files.len())];
        let what = format!("seed {seed}: {}", flip(path, &mut random));
        let whole = judge(&bed, scene.head, &what).await;
        // Two copies of the tail: one flip never costs any of it.
        let sealed = path.starts_with(bed.path().join("segments"));
        assert!(whole || sealed, "{what}");
        refused += u32::from(!whole);
    }
    assert!(refused > 0, "flips in segments are noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn flips_in_both_copies_are_repaired_or_refused() {
    let scene = scene().await;
    let mut refused = 0;
    for seed in 0..150 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let bed = scene.bed.copy();
        let mut what = format!("seed {seed}:");
        for _ in 0..random.random_range(1..4) {
            what += &flip(&bed.files_in("journal")[0], &mut random);
            what += &flip(&bed.path().join("log.db-wal"), &mut random);
        }
        refused += u32::from(!judge(&bed, scene.head, &what).await);
    }
    assert!(refused > 0, "some hit the same fact twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_copy_cut_anywhere_is_restored_from_the_other() {
    let scene = scene().await;
    for (file, step) in [("journal", 131), ("log.db-wal", 2003), ("log.db", 2039)] {
        let length = fs::metadata(&scene.bed.files_in(file)[0]).unwrap().len();
        for at in (0..length).step_by(step) {
            let bed = scene.bed.copy();
            let path = bed.files_in(file).remove(0);
            fs::File::options().write(true).open(&path).unwrap().set_len(at).unwrap();
            let what = format!("{file} cut at {at} of {length}");
            assert!(judge(&bed, scene.head, &what).await, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_copy_deleted_is_restored_from_the_other() {
    let scene = scene().await;
    for gone in [&["journal"][..], &["log.db", "log.db-wal", "log.db-shm"]] {
        let bed = scene.bed.copy();
        for path in gone.iter().flat_map(|name| bed.files_in(name)) {
            fs::remove_file(path).unwrap();
        }
        assert!(judge(&bed, scene.head, &format!("{gone:?} deleted")).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_write_is_dropped_and_told() {
    let scene = scene().await;
    let bed = scene.bed.copy();
    let path = bed.files_in("journal").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_within(..100);
    fs::write(&path, bytes).unwrap();
    let opened = open(bed.path(), small()).await.unwrap();
    assert_eq!(opened.report.findings, [Finding::TornWrite { bytes: 100 }]);
    assert_eq!(opened.log.head(), scene.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lost_its_last_commits_catches_up_from_the_journal() {
    let scene = scene().await;
    let bed = scene.bed.copy();
    fs::remove_file(bed.path().join("log.db-wal")).unwrap();
    let opened = open(bed.path(), small()).await.unwrap();
    let caught_up = |f: &Finding| matches!(f, Finding::CaughtUp { last: LAST, .. });
    assert!(opened.report.findings.iter().any(caught_up), "{:?}", opened.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_bad_in_both_copies_opens_only_after_a_loss_was_accepted() {
    let scene = scene().await;
    let bed = scene.bed.copy();
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        fs::remove_file(bed.path().join(name)).unwrap();
    }
    let path = bed.files_in("journal").remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let refused = open(bed.path(), small()).await.unwrap_err();
    assert!(refused.to_string().contains("portolan log repair --accept-loss"), "{refused}");
    let Error::Damaged { number, .. } = refused else { panic!("{refused}") };
    assert!(number > 92 && number <= LAST, "{number}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "a refusal changes nothing");
    assert!(matches!(repair(bed.path(), false).await, Err(Error::Damaged { .. })));
    assert!(!verify(bed.path()).await.unwrap().sound());

    let report = repair(bed.path(), true).await.unwrap();
    assert_eq!(report.head.number, number - 1);
    let lost = |f: &Finding| matches!(f, Finding::Lost { from, .. } if *from == number);
    assert!(report.findings.iter().any(lost), "{report:?}");
    assert!(bed.files_in("damaged-1").iter().any(|kept| fs::read(kept).unwrap() == bytes));
    let log = bed.open(small()).await.log;
    assert_eq!(read(&*log, 0).await.unwrap(), records(1..=number - 1));
    assert!(verify_closed(&bed, &*log).await);
}

async fn verify_closed(bed: &SqliteBed, log: &dyn Log) -> bool {
    log.close().await.unwrap();
    verify(bed.path()).await.unwrap().sound()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_segment_is_cut_where_it_breaks_when_a_loss_is_accepted() {
    let scene = scene().await;
    let bed = scene.bed.copy();
    let segment = bed.files_in("segments").remove(1);
    let length = fs::metadata(&segment).unwrap().len();
    fs::File::options().write(true).open(&segment).unwrap().set_len(length - 30).unwrap();
    assert!(matches!(open(bed.path(), small()).await, Err(Error::Damaged { .. })));
    let report = repair(bed.path(), true).await.unwrap();
    let log = bed.open(small()).await.log;
    let head = log.head();
    assert!((40..=92).contains(&head.number), "{report:?}");
    assert_eq!(read(&*log, 0).await.unwrap(), records(1..=head.number));
    assert!(verify_closed(&bed, &*log).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_newest_snapshot_is_told_and_the_older_one_used() {
    let scene = scene().await;
    let bed = scene.bed.copy();
    let newest = bed.files_in("snapshots").remove(1);
    fs::write(&newest, b"nothing").unwrap();
    let opened = open(bed.path(), small()).await.unwrap();
    assert_eq!(opened.snapshot.unwrap().0.number, 60);
    let broken = |f: &Finding| matches!(f, Finding::BrokenSnapshot { path, .. } if *path == newest);
    assert!(opened.report.findings.iter().any(broken), "{:?}", opened.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_shorter_than_its_snapshot_is_refused() {
    let scene = scene().await;
    let bed = scene.bed.copy();
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        fs::remove_file(bed.path().join(name)).unwrap();
    }
    let path = bed.files_in("journal").remove(0);
    fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    assert!(matches!(open(bed.path(), small()).await, Err(Error::Damaged { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_poisons_and_opening_anew_recovers() {
    use sqlx::{ConnectOptions, Connection};
    let bed = SqliteBed::fresh();
    let log = bed.open(small()).await.log;
    grow(&*log, 10).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(bed.path().join("log.db"));
    let mut other = options.connect().await.unwrap();
    sqlx::query("DROP TABLE batches").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    assert!(matches!(log.append(records(11..=11)).await, Err(Error::Database { .. })));
    assert!(matches!(log.append(records(11..=11)).await, Err(Error::Poisoned { .. })));
    assert_eq!(log.head().number, 10);
    log.close().await.unwrap();
    let opened = bed.open(small()).await;
    // The journal has what failed in the database: never acknowledged, it may be there or not.
    assert_eq!(opened.report.findings, [Finding::CaughtUp { first: 1, last: 11 }]);
    assert_eq!(read(&*opened.log, 0).await.unwrap(), records(1..=11));
}

#[tokio::test(flavor = "multi_thread")]
async fn sealing_cut_short_after_the_segment_was_written_is_finished_by_opening() {
    let bed = SqliteBed::fresh();
    let log = bed.open(Settings::default()).await.log;
    grow(&*log, 45).await;
    let sealed = bed.copy();
    let other = sealed.open(small()).await.log;
    other.append(records(46..=46)).await.unwrap();
    other.close().await.unwrap();
    log.append(records(46..=46)).await.unwrap();
    log.append(records(47..=50)).await.unwrap();

    let bed = bed.copy();
    let segment = sealed.files_in("segments").remove(0);
    let name = segment.file_name().unwrap();
    fs::copy(&segment, bed.path().join("segments").join(name)).unwrap();
    let opened = bed.open(small()).await;
    assert_eq!((opened.report.segments, opened.report.findings), (1, vec![]));
    assert_eq!(read(&*opened.log, 0).await.unwrap(), records(1..=50));
    grow(&*opened.log, 99).await;
    assert!(verify_closed(&bed, &*opened.log).await);
    let log = bed.open(small()).await.log;
    assert_eq!(read(&*log, 0).await.unwrap(), records(1..=99));
}
