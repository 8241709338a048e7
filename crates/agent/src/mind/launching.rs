//! What an attempt is started with.

use super::Mind;
use crate::{keeping, secrets};
use engines::{BootTime, CheckpointDir, Engine, InputLink, Launch, Place, Secret};
use futures::{StreamExt, stream};
use model::attempt::Outcome;
use model::{Bytes, Refused};
use reconciler::Event;
use std::collections::BTreeMap;
use wire::Run;

/// How much of each of an attempt's outputs to the terminal is kept.
const LOG_CAP: Bytes = Bytes(64 << 20);

/// How many attempts are started at once: there is more waiting in it than work.
const AT_ONCE: usize = 4;

impl Mind {
    /// Starts attempts, and tells what has become of them.
    pub(super) async fn launch_all(
        &mut self,
        launches: Vec<(Box<Run>, Option<u64>)>,
        batch: &mut Vec<Event>,
    ) {
        let launch = |(run, lease): (Box<Run>, Option<u64>)| {
            let mind = &*self;
            async move {
                match mind.launch(&run, lease).await {
                    Ok(()) => (run.attempt, Ok(mind.state_of(run.attempt).await)),
                    Err(outcome) => (run.attempt, Err(outcome)),
                }
            }
        };
        let launched = stream::iter(launches).map(launch).buffered(AT_ONCE);
        let launched: Vec<_> = launched.collect().await;
        let mut seen = BTreeMap::new();
        for (attempt, state) in launched {
            match state {
                Ok(Some(state)) => drop(seen.insert(attempt, self.saw(attempt, state, batch))),
                Ok(None) => {}
                Err(outcome) => {
                    tracing::warn!(%attempt, %outcome, "not started");
                    batch.push(Event::NotStarted { attempt, outcome });
                }
            }
        }
        if !seen.is_empty() {
            batch.push(Event::Observed(seen));
        }
    }

    /// Starts an attempt. What it returns otherwise is how that ended: refused where the center lacks
    /// what it needs.
    pub(super) async fn launch(&self, run: &Run, lease: Option<u64>) -> Result<(), Outcome> {
        let secrets = secrets::files(self.shared.settings.secrets.as_deref(), run);
        let secrets = secrets.map_err(|what| Outcome::Refused(Refused::Unsupported { what }))?;
        let launched = async {
            let mut launch = self.launch_of(run, lease)?;
            launch.secret_files = secrets;
            self.engine.launch(&launch).await.map_err(|e| e.to_string())
        };
        launched.await.map_err(|why| Outcome::NotStarted { why })
    }

    fn launch_of(&self, run: &Run, lease: Option<u64>) -> Result<Launch, String> {
        let mut launch = Launch::new(self.network, run.attempt, run.command.clone());
        launch.env = self.environment(run)?;
        launch.tenant = Some(run.tenant.clone());
        launch.image.clone_from(&run.image);
        for input in &run.inputs {
            if input.streamed {
                let at = self.addresses.of(run.attempt, &input.name);
                let at = at.ok_or("its inputs cannot be read over the network")?;
                launch.secrets.push((variable("INPUT", &input.name), Secret::new(at)));
                continue;
            }
            let target = self.shared.store.path(&input.data).map_err(|e| e.to_string())?;
            let target = std::path::absolute(target).map_err(|e| e.to_string())?;
            launch.inputs.push(InputLink { name: input_dir(&input.name), target });
        }
        launch.outputs = run.outputs.iter().map(|o| keeping::output_dir(&o.name)).collect();
        if let Some(kept) = &run.checkpoint {
            let (name, target) = (kept.path.clone().into(), self.checkpoints.dir(run.attempt.job)?);
            launch.checkpoint = Some(CheckpointDir { name, target, signal: kept.signal.clone() });
        }
        launch.limit = run.limit;
        launch.grace = run.grace;
        launch.lease = lease.map(BootTime);
        launch.cpu = (run.cores.0 > 0).then_some(run.cores);
        launch.memory = (run.memory.0 > 0).then_some(run.memory);
        launch.log_cap = LOG_CAP;
        let each = run.nodes.first().map_or(0, |node| node.chips.len());
        launch.place = Some(Place {
            pool: run.pool.clone(),
            nodes: u32::try_from(run.nodes.len()).unwrap_or(u32::MAX),
            chips_per_node: u32::try_from(each).unwrap_or(u32::MAX),
        });
        launch.chips = run.visible_devices.clone().map(|variable| {
            let slot = |node: u32, chip: u16| {
                u16::try_from(node).unwrap_or(u16::MAX).saturating_mul(run.chips_per_node) + chip
            };
            let slots = run.nodes.iter();
            let slots = slots.flat_map(|n| n.chips.iter().map(move |chip| slot(n.node, *chip)));
            engines::ChipSlots { variable, slots: slots.collect() }
        });
        Ok(launch)
    }

    /// What an attempt is told about itself, beside its own environment.
    fn environment(&self, run: &Run) -> Result<Vec<(String, String)>, String> {
        let work = self.engine.workdir(run.attempt).unwrap_or_default();
        let work = if work.as_os_str().is_empty() {
            work
        } else {
            std::path::absolute(work).map_err(|e| e.to_string())?
        };
        let nodes: Vec<String> =
            run.nodes.iter().map(|n| format!("{}-{}", run.pool, n.node)).collect();
        let chips = run.nodes.first().map_or(0, |n| n.chips.len());
        let mut env: Vec<(String, String)> =
            run.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut add = |name: &str, value: String| env.push((name.to_owned(), value));
        add("PORTOLAN_JOB", run.attempt.job.to_string());
        add("PORTOLAN_ATTEMPT", run.attempt.to_string());
        add("PORTOLAN_EPOCH", run.attempt.epoch.to_string());
        add("PORTOLAN_NODES", nodes.len().to_string());
        add("PORTOLAN_NODELIST", nodes.join(","));
        add("PORTOLAN_CHIPS_PER_NODE", chips.to_string());
        if let Some(chip) = &run.chip {
            add("PORTOLAN_CHIP", chip.to_string());
        }
        for input in run.inputs.iter().filter(|input| !input.streamed) {
            let path = work.join(input_dir(&input.name));
            add(&variable("INPUT", &input.name), path.display().to_string());
        }
        if let Some(kept) = &run.checkpoint {
            add("PORTOLAN_CHECKPOINT", work.join(&kept.path).display().to_string());
        }
        for output in &run.outputs {
            let path = work.join(keeping::output_dir(&output.name));
            add(&variable("OUTPUT", &output.name), path.display().to_string());
        }
        Ok(env)
    }
}

fn input_dir(name: &str) -> std::path::PathBuf {
    std::path::Path::new("inputs").join(name)
}

/// The variable that names an input's or output's directory: `PORTOLAN_INPUT_TRAIN_SET`.
fn variable(kind: &str, name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("PORTOLAN_{kind}_{}", name.chars().map(plain).collect::<String>())
}
