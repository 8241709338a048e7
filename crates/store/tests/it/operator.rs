//! What an operator does with a log: verify, restore, export, import, and start it twice.

use crate::bed::{Bed, SqliteBed, grow, read, records, small};
use model::fact::{Fact, Head};
use model::{Moment, NetworkUid};
use std::fs;
use std::io::Write;
use std::sync::{Arc, Mutex};
use store::{Error, export, import, open, restore, transcript, verify};

/// Text that is written on one thread and read on another.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn closed_log(last: u64) -> (SqliteBed, Head) {
    let bed = SqliteBed::fresh();
    let log = bed.open(small()).await.log;
    let head = grow(&*log, last).await;
    log.save_snapshot(head, b"world".to_vec()).await.unwrap();
    log.close().await.unwrap();
    (bed, head)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_use_is_not_opened_twice() {
    let bed = SqliteBed::fresh();
    let log = bed.open(small()).await.log;
    log.append(records(1..=1)).await.unwrap();
    let second = open(bed.path(), small()).await.unwrap_err();
    assert!(second.to_string().contains("in use by another process"), "{second}");
    assert!(matches!(verify(bed.path()).await, Err(Error::Locked { .. })));
    log.close().await.unwrap();
    drop(log);
    open(bed.path(), small()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_log_verifies_part_by_part() {
    let (bed, head) = closed_log(100).await;
    let report = verify(bed.path()).await.unwrap();
    assert!(report.sound(), "{report}");
    assert_eq!(report.head, head);
    assert_eq!(report.to_string().lines().count(), 6, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_verify_alone_and_the_bad_one_is_named() {
    let (bed, _) = closed_log(150).await;
    let segments = bed.files_in("segments");
    assert_eq!(segments.len(), 3);
    let mut bytes = fs::read(&segments[1]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 16;
    fs::write(&segments[1], bytes).unwrap();
    let report = verify(bed.path()).await.unwrap();
    let of_segments: Vec<bool> = report
        .verdicts
        .iter()
        .filter(|verdict| verdict.what.starts_with("segment"))
        .map(|verdict| verdict.wrong.is_none())
        .collect();
    assert_eq!(of_segments, [true, false, true], "{report}");
    assert!(report.damaged.is_some_and(|number| (41..=90).contains(&number)), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_to_verify_where_no_log_is() {
    let bed = SqliteBed::fresh();
    assert!(matches!(verify(bed.path()).await, Err(Error::Missing { .. })));
    assert_eq!(bed.files(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_copy_says_so_under_its_new_uid() {
    let (bed, head) = closed_log(50).await;
    let copy = bed.copy();
    let network = NetworkUid::from_bytes([7; 8]);
    let restored = restore(copy.path(), network, Moment(9)).await.unwrap();
    assert_eq!(restored.number, head.number + 1);
    let log = copy.open(small()).await.log;
    let last = read(&*log, head.number).await.unwrap().remove(0);
    let Fact::NetworkRestored(restored) = last.fact().unwrap() else { panic!("{last:?}") };
    assert_eq!(restored.network, network);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exported_log_imports_to_the_same_head() {
    let (bed, _) = closed_log(90).await;
    let log = bed.open(small()).await.log;
    log.erase_payload(12).await.unwrap();
    log.close().await.unwrap();
    let text = Text::default();
    let head = export(bed.path(), text.clone()).await.unwrap();
    let text = text.0.lock().unwrap().clone();
    assert!(text.starts_with(b"{\"header\":{\"number\":1,"));

    let copy = SqliteBed::fresh();
    assert_eq!(import(copy.path(), &text[..], small()).await.unwrap(), head);
    let present = import(copy.path(), &text[..], small()).await;
    assert!(matches!(present, Err(Error::Present { .. })));
    let log = copy.open(small()).await.log;
    let mut expected = records(1..=90);
    expected[11].payload.clear();
    assert_eq!(read(&*log, 0).await.unwrap(), expected);

    let forged = String::from_utf8(text).unwrap().replacen("\"job\":9,", "\"job\":8,", 1);
    let error = transcript(forged.as_bytes()).find_map(Result::err).unwrap();
    assert!(error.to_string().starts_with("line 9 of the exported log"), "{error}");
}
