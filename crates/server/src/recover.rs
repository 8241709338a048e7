//! From the log to the world.

use crate::Error;
use model::fact::Head;
use std::path::Path;
use std::sync::Arc;
use store::Log;
use world::World;

/// What the log amounts to.
#[derive(Debug)]
pub struct Recovered {
    /// The log, open for writing.
    pub log: Arc<dyn Log>,
    /// The world after its last fact.
    pub world: World,
    /// The number of the fact its newest snapshot was taken at; zero when there is none.
    pub snapshot: u64,
}

/// Opens the log in `dir` and replays what the newest snapshot does not hold.
pub async fn recover(dir: &Path, settings: store::Settings) -> Result<Recovered, Error> {
    let opened = store::open(dir, settings).await.map_err(Error::Store)?;
    for finding in &opened.report.findings {
        tracing::warn!("{finding}");
    }
    let (log, snapshot) = (opened.log, opened.snapshot);
    let snapshot_at = snapshot.as_ref().map_or(0, |(head, _)| head.number);
    let reader = Arc::clone(&log);
    let replayed = tokio::task::spawn_blocking(move || replay(reader.as_ref(), snapshot));
    let world = replayed.await.map_err(|_| Error::BrokenOff)??;
    tracing::info!(facts = world.number, "the log is whole");
    Ok(Recovered { log, world, snapshot: snapshot_at })
}

fn replay(log: &dyn Log, snapshot: Option<(Head, Vec<u8>)>) -> Result<World, Error> {
    let mut world = World::default();
    if let Some((head, bytes)) = snapshot {
        match serde_json::from_slice::<World>(&bytes) {
            Ok(read) if read.number == head.number => {
                world = read;
                world.reindex();
            }
            Ok(_) => tracing::warn!("the snapshot is of another moment; replaying the whole log"),
            Err(error) => {
                // A snapshot of another version of this program, most likely.
                tracing::warn!(%error, "the snapshot cannot be read; replaying the whole log");
            }
        }
    }
    for record in log.read(world.number) {
        let record = record.map_err(Error::Store)?;
        world.fold(record.header.at, &record.fact()?)?;
    }
    Ok(world)
}
