//! How large a job is: nodes, tasks, cores, chips and memory, of all the ways Slurm has to say it.

use super::complaint::Said;
use super::directive::{Given, Options};
use super::gres::{Kind, Names, Wanted};
use super::memory::{self, memory};
use model::Bytes;

/// How large a job is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gang {
    /// Nodes.
    pub(crate) nodes: u64,
    /// Tasks of all nodes.
    pub(crate) tasks: u64,
    /// Tasks of each node, at most.
    pub(crate) tasks_per_node: u64,
    /// Cores of each task, where that is said.
    pub(crate) cores_per_task: Option<u64>,
    /// Cores of each node, where anything says so.
    pub(crate) cores: Option<u64>,
    /// Chips of each node.
    pub(crate) chips: u64,
    /// Which.
    pub(crate) kind: Option<Kind>,
    /// Memory of each node, where that is said.
    pub(crate) memory: Option<Bytes>,
}

/// Reads all that says how large a job is.
pub(crate) fn gang(options: &Options, names: &Names, said: &mut Said) -> Gang {
    let mut count = |name| options.get(name).and_then(|given| figure(given, said));
    let (tasks, tasks_per_node) = (count("ntasks"), count("ntasks-per-node"));
    let tasks_per_chip = count("ntasks-per-gpu");
    let (cores_per_task, cores_per_chip) = (count("cpus-per-task"), count("cpus-per-gpu"));
    let least_cores = count("mincpus");
    let chips = chips(options, names, said);
    let nodes = options.get("nodes").and_then(|given| nodes(given, said));

    let all_chips = chips.as_ref().filter(|chips| chips.of == Of::Job).map(|c| c.wanted.count);
    let all_tasks = tasks.or_else(|| Some(all_chips? * tasks_per_chip?));
    let mut gang = Gang {
        nodes: nodes.or_else(|| Some(all_tasks?.div_ceil(tasks_per_node?))).unwrap_or(1),
        cores_per_task,
        ..Gang::default()
    };
    if let (Some(tasks), Some(given)) = (all_tasks, options.get("nodes"))
        && tasks < gang.nodes
    {
        let what = format!("{} nodes for {tasks} tasks: only {tasks} are taken", gang.nodes);
        said.note(&given.place, what, "");
        gang.nodes = tasks.max(1);
    }
    gang.tasks_per_node =
        tasks_per_node.unwrap_or_else(|| all_tasks.map_or(1, |tasks| tasks.div_ceil(gang.nodes)));
    gang.tasks = all_tasks.unwrap_or(gang.nodes * gang.tasks_per_node);
    if let Some(chips) = &chips {
        gang.chips = chips_of_node(chips, &gang, said);
        gang.kind = names.settle(chips.given, chips.wanted.kind.clone(), options, said);
        if let (Some(each), None, None) = (tasks_per_chip, tasks, tasks_per_node) {
            gang.tasks_per_node = gang.chips * each;
            gang.tasks = gang.nodes * gang.tasks_per_node;
        }
    } else if let Some(given) = options.get("constraint").or_else(|| options.get("on")) {
        // It may say of which kind; what it cannot be is still told.
        let known = given.option.name == "on" || names.constraint(given, said).is_some();
        if known {
            said.note(
                &given.place,
                "no chips are asked for, so that it says nothing",
                "add --gres",
            );
        }
    }
    gang.cores = cores(&gang, cores_per_chip, options, said);
    gang.cores = gang.cores.max(least_cores);
    gang.memory = memory_of_node(&gang, options, said);
    gang
}

/// A figure above zero that sums of figures can bear.
fn figure(given: &Given, said: &mut Said) -> Option<u64> {
    let digits = given.text().bytes().all(|b| b.is_ascii_digit());
    let figure = given.text().parse().ok().filter(|n| digits && (1..=1_000_000).contains(n));
    if figure.is_none() {
        let what = format!("`{}` is no number for --{}", given.text(), given.option.name);
        said.wrong(given.value_place(), what, "write a whole number from 1 to 1000000");
    }
    figure
}

/// Reads --nodes: a number, or a range, of which the least is taken.
fn nodes(given: &Given, said: &mut Said) -> Option<u64> {
    let number = |text: &str| -> Option<u64> {
        let (digits, times) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1_024),
            None => (text, 1),
        };
        let digits = digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)?;
        digits
            .parse()
            .ok()
            .map(|n: u64| n.saturating_mul(times))
            .filter(|n| (1..=100_000).contains(n))
    };
    let (least, most) = given.text().split_once('-').unwrap_or((given.text(), given.text()));
    match (number(least), number(most)) {
        (Some(least), Some(most)) if least <= most => {
            if least < most {
                let what = format!("a gang has a fixed size: {least} nodes are taken");
                said.note(given.value_place(), what, "write the number you want");
            }
            Some(least)
        }
        _ => {
            let what = format!("`{}` is no number of nodes", given.text());
            said.wrong(given.value_place(), what, "write a number from 1 to 100000");
            None
        }
    }
}

/// What a number of chips counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The chips of the whole job.
    Job,
    /// Those of each node.
    Node,
    /// Those of each task.
    Task,
}

struct Counted<'a> {
    given: &'a Given,
    of: Of,
    wanted: Wanted,
}

/// The chips asked for, in the one way that counts.
fn chips<'a>(options: &'a Options, names: &Names, said: &mut Said) -> Option<Counted<'a>> {
    let ways = [
        ("gpus-per-node", Of::Node),
        ("gres", Of::Node),
        ("gpus-per-task", Of::Task),
        ("gpus", Of::Job),
    ];
    let mut first: Option<Counted<'a>> = None;
    for (name, of) in ways {
        let Some(given) = options.get(name) else { continue };
        let wanted = match name {
            "gres" => names.gres(given, said),
            _ => names.gpus(given, said),
        };
        let Some(wanted) = wanted.filter(|wanted| wanted.count > 0) else { continue };
        match &mut first {
            None => first = Some(Counted { given, of, wanted }),
            Some(first) => {
                let what = format!("--{name} stands beside --{}", first.given.option.name);
                let help = "say in one way how many chips there are: --gres counts those of a node";
                said.wrong(&given.place, what, help);
            }
        }
    }
    first
}

fn chips_of_node(chips: &Counted<'_>, gang: &Gang, said: &mut Said) -> u64 {
    let count = chips.wanted.count;
    match chips.of {
        Of::Node => count,
        Of::Task => count * gang.tasks_per_node,
        Of::Job if count.is_multiple_of(gang.nodes) => count / gang.nodes,
        Of::Job => {
            let what = format!("{count} chips cannot be shared out evenly to {} nodes", gang.nodes);
            said.wrong(chips.given.value_place(), what, "ask for as many on each node");
            count / gang.nodes
        }
    }
}

fn cores(gang: &Gang, per_chip: Option<u64>, options: &Options, said: &mut Said) -> Option<u64> {
    let (Some(per_chip), Some(given)) = (per_chip, options.get("cpus-per-gpu")) else {
        let many = gang.cores_per_task.is_some() || gang.tasks_per_node > 1;
        return many.then(|| gang.tasks_per_node * gang.cores_per_task.unwrap_or(1));
    };
    if gang.cores_per_task.is_some() {
        said.wrong(&given.place, "--cpus-per-gpu stands beside --cpus-per-task", "leave one out");
    } else if gang.chips == 0 {
        said.wrong(&given.place, "--cpus-per-gpu, but no chips", "ask for chips with --gres");
    }
    Some(per_chip * gang.chips)
}

fn memory_of_node(gang: &Gang, options: &Options, said: &mut Said) -> Option<Bytes> {
    let given: Vec<&Given> =
        ["mem", "mem-per-cpu", "mem-per-gpu"].iter().filter_map(|name| options.get(name)).collect();
    let (first, others) = given.split_first()?;
    for other in others {
        let what = format!("--{} stands beside --{}", other.option.name, first.option.name);
        said.wrong(&other.place, what, "say in one way how much memory there is");
    }
    let Some(each) = memory(first.text()) else {
        let what = format!("`{}` is no amount of memory", first.text());
        said.wrong(first.value_place(), what, memory::FORMS);
        return None;
    };
    if each == Bytes::ZERO {
        let what = "all of a node's memory (0) cannot be asked for: nodes differ";
        said.wrong(first.value_place(), what, "say how much the job needs");
        return None;
    }
    let times = match first.option.name {
        "mem" => 1,
        "mem-per-cpu" => gang.cores.unwrap_or(1),
        _ => gang.chips,
    };
    if times == 0 {
        said.wrong(&first.place, "--mem-per-gpu, but no chips", "say --mem");
    }
    let memory = each.0.checked_mul(times.max(1)).map(Bytes);
    if memory.is_none() {
        said.wrong(first.value_place(), "this is more memory than can be said", memory::FORMS);
    }
    memory
}
