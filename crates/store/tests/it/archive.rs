//! The archive of what is over.

use std::collections::BTreeMap;
use std::fs;
use store::archive::{Archive, ArchivedJob, Filter};
use tempfile::TempDir;

fn job(number: u64) -> ArchivedJob {
    ArchivedJob {
        job: number,
        tenant: ["lab", "city", "firm"][usize::try_from(number % 3).unwrap()].into(),
        name: format!("Train-{number}"),
        state: if number.is_multiple_of(4) { "failed" } else { "succeeded" }.into(),
        submitted: 1_000,
        ended: 2_000,
        doc: format!("{{\"n\":{number}}}").into_bytes(),
    }
}

async fn filled(jobs: u64) -> (TempDir, Archive) {
    let dir = TempDir::new().unwrap();
    let archive = Archive::open(&dir.path().join("archive.db")).await.unwrap();
    let jobs: Vec<_> = (1..=jobs).map(job).collect();
    archive.put(&jobs, 77).await.unwrap();
    (dir, archive)
}

async fn numbers(archive: &Archive, filter: Filter, limit: u32) -> Vec<u64> {
    archive.list(&filter, limit).await.unwrap().iter().map(|job| job.job).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_found_by_number_tenant_state_and_name_page_by_page() {
    let (_dir, archive) = filled(2_500).await;
    assert_eq!(archive.cursor().await.unwrap(), 77);
    assert_eq!(archive.get(9).await.unwrap(), Some(job(9)));
    assert_eq!(archive.get(9_999).await.unwrap(), None);
    assert_eq!(numbers(&archive, Filter::default(), 3).await, [2500, 2499, 2498]);
    let lab = Filter { tenant: some("lab"), before: Some(10), ..Filter::default() };
    assert_eq!(numbers(&archive, lab.clone(), 9).await, [9, 6, 3].map(|n| n.min(9)));
    let failed = Filter { state: some("failed"), before: Some(25), ..lab };
    assert_eq!(numbers(&archive, failed, 9).await, [24, 12]);
    let named = Filter { name: some("train-249"), ..Filter::default() };
    assert_eq!(numbers(&archive, named, 2).await, [2499, 2498]);
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_follow_what_is_put_and_put_again() {
    let (_dir, archive) = filled(12).await;
    let counts = |failed, succeeded| {
        BTreeMap::from([("failed".to_owned(), failed), ("succeeded".to_owned(), succeeded)])
    };
    assert_eq!(archive.counts(None).await.unwrap(), counts(3, 9));
    assert_eq!(archive.counts(Some("lab")).await.unwrap(), counts(1, 3));
    let changed = ArchivedJob { state: "failed".into(), ..job(1) };
    archive.put(&[job(1), changed.clone()], 78).await.unwrap();
    assert_eq!(archive.get(1).await.unwrap(), Some(changed));
    assert_eq!(archive.counts(None).await.unwrap(), counts(4, 8));
    assert_eq!(archive.cursor().await.unwrap(), 78);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_archive_is_made_anew_to_be_filled_from_the_log() {
    let (dir, archive) = filled(5).await;
    archive.close().await;
    let path = dir.path().join("archive.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[..64].fill(1);
    fs::write(&path, bytes).unwrap();
    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(archive.cursor().await.unwrap(), 0);
    assert_eq!(numbers(&archive, Filter::default(), 9).await, Vec::<u64>::new());
}
