//! What a center should know of an attempt.

use super::data_url;
use model::attempt::AttemptState;
use model::job::Job;
use model::{Attempt, AttemptId, CenterId, Placement};
use wire::{Order, ReadOver, Run, RunCheckpoint, RunInput, RunOutput};
use world::World;

/// What a center should know of an attempt. Of one that is to stop also what it holds: an agent that
/// has just started would else give its nodes to those who wait for them.
pub(super) fn attempt_orders(world: &World, center: &CenterId, id: AttemptId) -> Vec<Order> {
    let Some(job) = world.job(id.job) else { return Vec::new() };
    let Some(attempt) = job.phase.attempt().filter(|attempt| attempt.attempt == id) else {
        return Vec::new();
    };
    let stop = match attempt.state {
        AttemptState::Stopping { why, .. } => Some(Order::Stop { attempt: id, why }),
        _ => None,
    };
    run_order(world, center, job, attempt).into_iter().chain(stop).collect()
}

/// What a task of an array is told about it.
fn of_array(job: &Job) -> impl Iterator<Item = (String, String)> {
    let array = job.task.zip(job.spec.array.as_ref());
    let told = array.map(|(task, array)| {
        [
            ("PORTOLAN_ARRAY", task.array.to_string()),
            ("PORTOLAN_ARRAY_INDEX", task.index.to_string()),
            ("PORTOLAN_ARRAY_FIRST", array.first.to_string()),
            ("PORTOLAN_ARRAY_LAST", array.last.to_string()),
            ("PORTOLAN_ARRAY_STEP", array.step.to_string()),
            ("PORTOLAN_ARRAY_TASKS", array.tasks().to_string()),
        ]
    });
    told.into_iter().flatten().map(|(name, value)| (name.to_owned(), value))
}

fn run_order(world: &World, center: &CenterId, job: &Job, attempt: &Attempt) -> Option<Order> {
    let id = attempt.attempt;
    let place = &attempt.placement;
    let at = place.parts.iter().position(|p| p.center == *center)?;
    let part = &place.parts[at];
    let variant = job.spec.parts.get(at)?.variants.get(usize::from(part.variant))?;
    let pool = world.centers.get(center)?.center.pool(&part.pool)?;
    let chip = pool.chip.as_ref().and_then(|c| world.chips.get(c));
    let inputs = job.spec.inputs.iter().zip(&place.inputs);
    let outputs = job.spec.outputs.iter();
    Some(Order::Run(Box::new(Run {
        attempt: id,
        name: job.name(),
        tenant: job.spec.tenant.clone(),
        pool: part.pool.to_string(),
        chip: pool.chip.clone(),
        visible_devices: chip.map(|c| c.visible_devices.clone()),
        chips_per_node: pool.chips_per_node,
        node_cores: pool.cores,
        node_memory: pool.memory,
        nodes: part.nodes.clone(),
        start: place.start,
        command: variant.command.clone(),
        image: variant.image.clone(),
        secrets: job.spec.secrets.clone(),
        env: variant
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .chain(of_array(job))
            .collect(),
        cores: variant.cores,
        memory: variant.memory,
        limit: job.spec.limit(part.variant),
        grace: job.spec.grace(),
        checkpoint: job.spec.checkpoint.as_ref().map(|checkpoint| RunCheckpoint {
            path: checkpoint.path.clone(),
            interval: checkpoint.interval,
            signal: checkpoint.signal.clone(),
        }),
        lease: job.spec.when_cut_off.lease(),
        inputs: inputs
            .map(|(input, data)| RunInput {
                name: input.name.clone(),
                data: data.clone(),
                streamed: input.streamed().is_some(),
                read: read_over(world, place, &input.name),
            })
            .collect(),
        outputs: outputs
            .map(|o| RunOutput {
                name: o.name.clone(),
                dataset: o.dataset.clone(),
                residency: o.residency.clone(),
            })
            .collect(),
    })))
}

/// Where an attempt reads an input over the network, if it does.
fn read_over(world: &World, place: &Placement, input: &str) -> Option<ReadOver> {
    let stream = place.streams.iter().find(|stream| stream.input == input)?;
    Some(ReadOver {
        from: stream.from.clone(),
        url: world.centers.get(&stream.from).and_then(data_url).unwrap_or_default(),
        ticket: None,
        rate: stream.rate.payload(),
        lasts: place.until.since(place.start),
    })
}
