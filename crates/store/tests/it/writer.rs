//! Group commit.

use crate::bed::{Bed, SqliteBed, read, records, small};
use sqlx::{ConnectOptions, Connection};
use std::time::Duration;
use store::{Error, Settings, Writer};

async fn transactions(bed: &SqliteBed) -> i64 {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(bed.path().join("log.db"));
    let mut database = options.connect().await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM batches");
    let count = count.fetch_one(&mut database).await.unwrap();
    database.close().await.unwrap();
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_commits_group_what_waits_and_answer_in_order() {
    let bed = SqliteBed::fresh();
    let delay = Some(Duration::from_millis(5));
    let log = bed.open(Settings { commit_delay: delay, ..Settings::default() }).await.log;
    let writer = Writer::start(log.clone());
    let tickets: Vec<_> = (1..=100).map(|n| writer.submit(records(n..=n))).collect();
    for (number, ticket) in (1..).zip(tickets) {
        let head = ticket.await.unwrap();
        assert!(head.number >= number);
        assert!(writer.durable().borrow().number >= number);
    }
    assert_eq!(read(&*log, 0).await.unwrap(), records(1..=100));
    let transactions = transactions(&bed).await;
    assert!(transactions < 20, "{transactions} transactions for 100 appends");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_writer_commits_at_once_and_the_durable_head_is_watched() {
    let bed = SqliteBed::fresh();
    let log = bed.open(small()).await.log;
    let writer = Writer::start(log);
    let mut durable = writer.durable();
    let _ticket = writer.submit(records(1..=3));
    let head = durable.wait_for(|head| head.number == 3).await.unwrap();
    assert_eq!(head.number, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_nothing_is_acknowledged() {
    let bed = SqliteBed::fresh();
    let log = bed.open(small()).await.log;
    let writer = Writer::start(log.clone());
    assert_eq!(writer.submit(records(1..=1)).await.unwrap().number, 1);
    log.close().await.unwrap();
    for number in 2..5 {
        let answer = writer.submit(records(number..=number)).await;
        assert!(matches!(answer, Err(Error::Poisoned { .. })));
    }
    assert_eq!(writer.durable().borrow().number, 1);
}
