//! What every log does, whatever keeps it.

use crate::bed::{Bed, SqliteBed, grow, read, record, records, small};
use model::fact::{Head, Record, extend};
use store::{Error, Settings};

macro_rules! suite {
    ($bed:ty: $($case:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $case() {
            super::$case::<$bed>().await;
        })*
    };
}

mod sqlite {
    use super::SqliteBed;
    suite!(SqliteBed:
        what_is_appended_reads_back_after_reopening
        reading_starts_anywhere_and_crosses_segments
        reading_goes_on_while_facts_are_appended_and_sealed
        records_that_do_not_follow_or_fit_are_refused_and_change_nothing
        an_abandoned_append_poisons_the_log
        heads_extend_an_earlier_head_and_a_rewritten_log_does_not
        an_erased_payload_is_gone_and_the_chain_still_verifies
        the_newest_snapshot_comes_back_and_a_stranger_is_refused);
}

async fn what_is_appended_reads_back_after_reopening<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(Settings::default()).await.log;
    assert_eq!(log.head(), Head::EMPTY);
    assert_eq!(log.append(Vec::new()).await.unwrap(), Head::EMPTY);
    let head = log.append(records(1..=3)).await.unwrap();
    assert_eq!(head.number, 3);
    log.close().await.unwrap();
    assert!(matches!(log.append(records(4..=4)).await, Err(Error::Poisoned { .. })));

    let opened = bed.open(Settings::default()).await;
    assert_eq!((opened.report.head, opened.report.findings), (head, vec![]));
    assert_eq!(read(&*opened.log, 0).await.unwrap(), records(1..=3));
    assert_eq!(opened.log.append(records(4..=9)).await.unwrap().number, 9);
    assert_eq!(read(&*opened.log, 0).await.unwrap(), records(1..=9));
}

async fn reading_starts_anywhere_and_crosses_segments<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(small()).await.log;
    grow(&*log, 100).await;
    log.close().await.unwrap();
    let opened = bed.open(small()).await;
    assert_eq!((opened.report.segments, opened.report.head.number), (2, 100));
    grow(&*opened.log, 150).await;
    for after in [0, 1, 39, 40, 41, 42, 43, 79, 99, 120, 149] {
        assert_eq!(read(&*opened.log, after).await.unwrap(), records(after + 1..=150), "{after}");
        let head = opened.log.head_at(after).await.unwrap().unwrap();
        assert_eq!(head.number, after);
    }
    assert_eq!(read(&*opened.log, 150).await.unwrap(), []);
    assert_eq!(read(&*opened.log, 999).await.unwrap(), []);
    assert_eq!(opened.log.head_at(151).await.unwrap(), None);
}

async fn reading_goes_on_while_facts_are_appended_and_sealed<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(small()).await.log;
    while log.head().number < 600 {
        let end = grow(&*log, log.head().number + 30).await.number;
        let (all, some) = tokio::join!(read(&*log, 0), read(&*log, end / 2));
        assert!(all.unwrap() == records(1..=end), "all up to {end}");
        assert!(some.unwrap() == records(end / 2 + 1..=end), "the later half up to {end}");
    }
}

async fn records_that_do_not_follow_or_fit_are_refused_and_change_nothing<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(Settings::default()).await.log;
    let head = log.append(records(1..=2)).await.unwrap();
    let gap = log.append(records(4..=4)).await;
    assert!(matches!(gap, Err(Error::OutOfOrder { expected: 3, found: 4 })));
    let swapped = Record { payload: record(4).payload, ..record(3) };
    assert!(matches!(log.append(vec![swapped]).await, Err(Error::Unfit { number: 3, .. })));
    let mut lines = record(3);
    lines.payload = b"{\n}".to_vec();
    lines.header.payload = model::Digest::of(&lines.payload);
    assert!(matches!(log.append(vec![lines]).await, Err(Error::Unfit { number: 3, .. })));
    assert_eq!(log.head(), head);
    assert_eq!(log.append(records(3..=3)).await.unwrap().number, 3);
}

async fn an_abandoned_append_poisons_the_log<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(Settings::default()).await.log;
    let mut head = log.append(records(1..=2)).await.unwrap();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    // Where the disk is quick and this thread is not, there is nothing left to abandon.
    loop {
        let next = head.number + 1;
        let mut append = log.append(records(next..=next));
        match append.as_mut().poll(&mut context) {
            std::task::Poll::Ready(appended) => head = appended.unwrap(),
            std::task::Poll::Pending => break,
        }
    }
    let next = head.number + 1;
    assert!(matches!(log.append(records(next..=next)).await, Err(Error::Poisoned { .. })));
    assert_eq!(log.head(), head);
}

async fn heads_extend_an_earlier_head_and_a_rewritten_log_does_not<B: Bed>() {
    let (bed, forged) = (B::fresh(), B::fresh());
    let log = bed.open(small()).await.log;
    let seen = grow(&*log, 57).await;
    let now = grow(&*log, 130).await;
    let rewritten = forged.open(small()).await.log;
    let mut story = records(1..=130);
    story[20].header.at = model::Moment(1);
    let forged_head = rewritten.append(story).await.unwrap();

    for (log, head, extends) in [(log, now, true), (rewritten, forged_head, false)] {
        let mut at = seen;
        while at.number < head.number {
            for digest in log.heads(at.number, 50).await.unwrap() {
                at = Head { number: at.number + 1, digest: extend(&at.digest, &digest) };
            }
        }
        assert_eq!(at == head, extends);
    }
}

async fn an_erased_payload_is_gone_and_the_chain_still_verifies<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(small()).await.log;
    grow(&*log, 60).await;
    log.close().await.unwrap();
    let log = bed.open(small()).await.log;
    let head = grow(&*log, 70).await;
    let mut expected = records(1..=70);
    for number in [7, 63, 70, 63] {
        log.erase_payload(number).await.unwrap();
        expected[usize::try_from(number).unwrap() - 1].payload.clear();
    }
    for number in [0, 71] {
        assert!(matches!(log.erase_payload(number).await, Err(Error::NoSuchFact { .. })));
    }
    assert_eq!(read(&*log, 0).await.unwrap(), expected);
    log.append(records(71..=71)).await.unwrap();
    assert_eq!(log.head_at(70).await.unwrap(), Some(head));
    log.close().await.unwrap();
    let opened = bed.open(small()).await;
    assert_eq!(opened.report.findings, []);
    assert_eq!(read(&*opened.log, 0).await.unwrap()[..70], expected);
}

async fn the_newest_snapshot_comes_back_and_a_stranger_is_refused<B: Bed>() {
    let bed = B::fresh();
    let log = bed.open(small()).await.log;
    for last in [10, 33, 50, 64] {
        let head = grow(&*log, last).await;
        log.save_snapshot(head, format!("world at {last}").into_bytes()).await.unwrap();
    }
    let stranger = Head { number: 60, ..log.head() };
    assert!(matches!(log.save_snapshot(stranger, vec![]).await, Err(Error::NoSuchFact { .. })));
    log.close().await.unwrap();
    let opened = bed.open(small()).await;
    let (head, bytes) = opened.snapshot.unwrap();
    assert_eq!((head, &bytes[..]), (opened.log.head(), &b"world at 64"[..]));
}
