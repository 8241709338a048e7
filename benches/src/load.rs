//! Load: connections that each submit again as soon as they are answered.

use crate::http::{Connection, JSON};
use crate::network::{Counts, Network, TENANTS};
use crate::row::{Samples, percentile};
use anyhow::{Context, Result};
use hyper::Method;
use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

const CONNECTIONS: usize = 64;
/// What is answered before this is not counted.
const WARM_UP: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_secs(3);
const SAMPLES: u32 = 5;

/// Submissions of equally many jobs.
#[derive(Debug)]
pub(crate) struct Load {
    /// Taken in turn.
    pub(crate) bodies: Vec<Bytes>,
    pub(crate) jobs_each: u32,
}

/// One submission that was accepted.
#[derive(Debug, Clone, Copy)]
struct Answered {
    at: Instant,
    took: Duration,
}

impl Load {
    /// Submits for sixteen seconds. Answers jobs accepted a second, the 99th percentile of the
    /// time to a durable answer in milliseconds, and jobs ended a second meanwhile.
    pub(crate) async fn run(self, network: &Network) -> Result<Vec<Samples>> {
        let jobs_each = f64::from(self.jobs_each);
        let bodies = Arc::new(self.bodies);
        let operator = network.connect().await?;
        let begin = Instant::now() + WARM_UP;
        let mut connections = JoinSet::new();
        for i in 0..CONNECTIONS {
            let connection = network.connect_as(TENANTS[i % TENANTS.len()]).await?;
            let end = begin + SAMPLE * SAMPLES;
            connections.spawn(submit(connection, Arc::clone(&bodies), i, end));
        }
        // An error of either ends both.
        let (ended, answered) =
            tokio::try_join!(count_ended(operator, begin), collect(connections))?;
        let (mut rates, mut slowest, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for n in 0..SAMPLES {
            let sample = begin + SAMPLE * n..begin + SAMPLE * (n + 1);
            let sample = answered.iter().filter(|a| sample.contains(&a.at));
            let took: Vec<f64> = sample.map(|a| a.took.as_secs_f64() * 1_000.0).collect();
            rates.push(count(took.len()) * jobs_each / SAMPLE.as_secs_f64());
            slowest.push(percentile(&took, 99.0));
            all.extend(took);
        }
        eprintln!("  {rates:.0?} jobs/s, 99th percentiles {slowest:.0?} ms");
        let ended: Vec<f64> = ended.windows(2).map(|pair| rate(pair[0], pair[1])).collect();
        Ok(vec![
            Samples::median(&rates),
            Samples::with_value(percentile(&all, 99.0), &slowest),
            Samples::median(&ended),
        ])
    }
}

/// How many jobs had ended at the bounds of the samples.
async fn count_ended(mut operator: Connection, begin: Instant) -> Result<Vec<(u64, Instant)>> {
    let mut ended = Vec::new();
    for n in 0..=SAMPLES {
        sleep_until(begin + SAMPLE * n).await;
        ended.push((Counts::read(&mut operator).await?.ended, Instant::now()));
    }
    Ok(ended)
}

async fn collect(mut connections: JoinSet<Result<Vec<Answered>>>) -> Result<Vec<Answered>> {
    let mut answered = Vec::new();
    while let Some(submitted) = connections.join_next().await {
        answered.extend(submitted.context("a connection broke off")??);
    }
    Ok(answered)
}

fn count(things: usize) -> f64 {
    f64::from(u32::try_from(things).expect("far fewer than 2^32 requests"))
}

fn rate((before, from): (u64, Instant), (after, to): (u64, Instant)) -> f64 {
    let things = usize::try_from(after.saturating_sub(before)).unwrap_or_default();
    count(things) / to.duration_since(from).as_secs_f64()
}

async fn submit(
    mut connection: Connection,
    bodies: Arc<Vec<Bytes>>,
    first: usize,
    end: Instant,
) -> Result<Vec<Answered>> {
    let mut answered = Vec::new();
    // Each connection starts elsewhere, so that at every moment there are jobs of many classes.
    let mut bodies = bodies.iter().cycle().skip(first);
    while Instant::now() < end {
        let body = bodies.next().expect("a cycle has no end").clone();
        let asked = Instant::now();
        connection.send(Method::POST, "/v1/jobs", JSON, body).await?;
        let at = Instant::now();
        answered.push(Answered { at, took: at.duration_since(asked) });
    }
    Ok(answered)
}
