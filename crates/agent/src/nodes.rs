//! Counts the nodes that take work, where the engine can tell.

use engines::{AnyEngine, Engine};
use model::PoolId;
use reconciler::Event;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How often they are counted.
const COUNT_EVERY: Duration = Duration::from_secs(5);

/// Counts for ever, and says what has changed.
pub(crate) async fn watch(engine: Arc<AnyEngine>, events: mpsc::Sender<Event>) {
    let (mut told, mut trouble) = (BTreeMap::new(), None);
    let mut ticks = tokio::time::interval(COUNT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let counted = match engine.nodes().await {
            Ok(counted) => counted,
            // Nobody knows: what was counted before is as good as anything.
            Err(error) => {
                let said = error.to_string();
                if trouble.as_ref() != Some(&said) {
                    tracing::warn!("nodes cannot be counted: {said}");
                }
                trouble = Some(said);
                continue;
            }
        };
        trouble = None;
        let named = counted.into_iter().filter_map(|(pool, up)| Some((pool.parse().ok()?, up)));
        let counted: BTreeMap<PoolId, u32> = named.collect();
        if counted == told {
            continue;
        }
        if events.send(Event::Nodes(counted.clone())).await.is_err() {
            return;
        }
        told = counted;
    }
}
