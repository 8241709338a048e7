//! From options to a job file: what each directive becomes, and what is said of the others.

use super::array::{self, Tasks};
use super::complaint::{Complaint, Place, Said};
use super::dependency;
use super::directive::{self, Given, Line, Options};
use super::gang::{Gang, gang};
use super::gres::{Kind, Names};
use super::memory::written;
use super::option::Fate;
use super::output;
use super::script::{Interpreter, Script};
use super::signal::signal;
use super::time::{self, Limit};
use model::file::job::{JobFile, VariantFile};
use model::{CenterId, Moment, PriorityClassId, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// What of the place of submission goes into a job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Surroundings {
    /// The environment.
    pub(crate) env: BTreeMap<String, String>,
    /// The present directory.
    pub(crate) dir: String,
}

/// What a script becomes.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The job.
    pub(crate) job: JobFile,
    /// Whose it is, if that is said.
    pub(crate) tenant: Option<TenantId>,
    /// What is not done as it was written.
    pub(crate) notes: Vec<Complaint>,
    /// The options that are the command's own.
    pub(crate) options: Options,
}

/// Puts the script where it runs; its arguments are the script's text, the directory to change to,
/// what runs it and what that is told, and the script's own arguments.
const LAUNCHER: &str = include_str!("launcher.sh");
/// Variables that the launcher and the network's agents set.
const LAUNCHED: [&str; 9] = [
    "SLURM_JOB_ID",
    "SLURM_JOBID",
    "SLURM_JOB_NODELIST",
    "SLURM_NODELIST",
    "SLURM_RESTART_COUNT",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_LIST",
    "SLURM_SUBMIT_DIR",
];

/// Translates a script under the options of a command line, of variables, and of its own lines: an
/// option counts in this order. Errors are all that keeps it from being submitted.
pub(crate) fn translate(
    line: Line,
    script: &Script,
    names: &Names,
    around: &Surroundings,
    mut said: Said,
) -> Result<Translation, Vec<Complaint>> {
    let s = &mut said;
    let interpreter = script.interpreter(s);
    let options = directive::script(&script.source, s)
        .overridden_by(directive::variables(&around.env))
        .overridden_by(line.options);
    fates(&options, s);
    let gang = gang(&options, names, s);
    let tasks = options.get("array").and_then(|given| array::tasks(given, s));
    let mut job = JobFile {
        name: options.get("job-name").map_or(&*script.name, Given::text).to_owned(),
        env: env(&options, &gang, tasks.as_ref(), around, s),
        command: command(script, interpreter, &options),
        array: tasks.map(|tasks| tasks.file),
        hold: options.has("hold"),
        checkpoint: options.get("signal").and_then(|given| signal(given, s)),
        ..JobFile::default()
    };
    job.env.insert("SLURM_JOB_NAME".to_owned(), job.name.clone());
    size(&mut job, &gang);
    limit(&mut job, &options, script, s);
    place(&mut job, &options, s);
    order(&mut job, &options, s);
    if gang.memory.is_none() {
        let what = "no --mem is said: it gets 1 GiB on each node";
        s.note(&script.start(), what, "say how much it needs, such as --mem=16G");
    }
    let set: BTreeSet<&str> = job.env.keys().map(String::as_str).chain(LAUNCHED).collect();
    script.looks_for(&set, s);
    let tenant = options.get("account").and_then(|given| name::<TenantId>(given, s));
    if s.wrong.is_empty() {
        checked(&job, &options, script, s);
    }
    for list in [&mut said.wrong, &mut said.notes] {
        list.sort_by_key(Complaint::order);
    }
    match said.wrong.is_empty() {
        true => Ok(Translation { job, tenant, notes: said.notes, options }),
        false => Err(said.wrong),
    }
}

/// Says of the options that are not translated what becomes of them.
fn fates(options: &Options, said: &mut Said) {
    let writes = output::is_written(options);
    if writes {
        output::check(options, said);
    }
    for given in options.all() {
        let name = given.option.name;
        match given.option.fate {
            Fate::Translated => {}
            Fate::LeftOut(..) if writes && matches!(name, "output" | "error" | "open-mode") => {}
            Fate::LeftOut(why, help) => {
                said.note(&given.place, format!("--{name} is left out: {why}"), help);
            }
            Fate::Refused(why, help) => said.wrong(&given.place, format!("--{name}: {why}"), help),
        }
    }
}

fn command(script: &Script, interpreter: Option<Interpreter>, options: &Options) -> Vec<String> {
    let Some(Interpreter { program, option }) = interpreter else { return Vec::new() };
    let directory = options.get("chdir").map_or("", Given::text).to_owned();
    let text = script.source.text().to_owned();
    let fixed = ["/bin/sh", "-c", LAUNCHER, "sbatch"].map(str::to_owned);
    let own = script.arguments.iter().cloned();
    fixed.into_iter().chain([text, directory, program, option]).chain(own).collect()
}

/// The variables a script reads, as far as they are known before it is placed, and those it asks for.
fn env(
    options: &Options,
    gang: &Gang,
    tasks: Option<&Tasks>,
    around: &Surroundings,
    said: &mut Said,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    let mut set = |name: &str, value: Option<String>| {
        env.extend(value.map(|value| (format!("SLURM_{name}"), value)));
    };
    let asked = |name: &str| options.get(name).map(|given| given.text().to_owned());
    set("SUBMIT_DIR", Some(around.dir.clone()));
    for name in ["NNODES", "JOB_NUM_NODES"] {
        set(name, Some(gang.nodes.to_string()));
    }
    for name in ["NTASKS", "NPROCS"] {
        set(name, Some(gang.tasks.to_string()));
    }
    set("TASKS_PER_NODE", Some(tasks_per_node(gang)));
    set("NTASKS_PER_NODE", asked("ntasks-per-node"));
    set("CPUS_PER_TASK", gang.cores_per_task.map(|cores| cores.to_string()));
    set("CPUS_ON_NODE", Some(gang.cores.unwrap_or(1).to_string()));
    set("GPUS_ON_NODE", (gang.chips > 0).then(|| gang.chips.to_string()));
    let megabytes = gang.memory.map(|memory| memory.0.div_ceil(1 << 20).to_string());
    set("MEM_PER_NODE", megabytes.filter(|_| options.has("mem")));
    set("JOB_ACCOUNT", asked("account"));
    set("JOB_PARTITION", asked("partition"));
    set("JOB_QOS", asked("qos"));
    if let Some(Tasks { file, list }) = tasks {
        let step = file.step.unwrap_or(1);
        let count = (file.last - file.first) / step + 1;
        let ends = list.as_ref().and_then(|list| Some((*list.first()?, *list.last()?)));
        let (first, last) = ends.unwrap_or((file.first, file.last));
        set("ARRAY_TASK_COUNT", Some(count.to_string()));
        set("ARRAY_TASK_MIN", Some(first.to_string()));
        set("ARRAY_TASK_MAX", Some(last.to_string()));
        set("ARRAY_TASK_STEP", list.is_none().then(|| step.to_string()));
        let words = |list: &Vec<u32>| list.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        set("ARRAY_LIST", list.as_ref().map(words));
    }
    if let Some(given) = options.get("export") {
        export(given, around, &mut env, said);
    }
    env
}

/// Tasks of each node as Slurm writes them: `4(x2),3`.
fn tasks_per_node(gang: &Gang) -> String {
    let Gang { nodes, tasks, tasks_per_node: each, .. } = *gang;
    let full = tasks.checked_div(each).unwrap_or_default().min(nodes);
    let rest = tasks.saturating_sub(full * each);
    let full = match full {
        0 => None,
        1 => Some(each.to_string()),
        several => Some(format!("{each}(x{several})")),
    };
    let rest = (rest > 0).then(|| rest.to_string());
    full.into_iter().chain(rest).collect::<Vec<_>>().join(",")
}

/// Reads --export: variables that go along, with a value or with the one they have here.
fn export(
    given: &Given,
    around: &Surroundings,
    env: &mut BTreeMap<String, String>,
    said: &mut Said,
) {
    for word in given.text().split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word, around.env.get(word).cloned()),
        };
        match (name, value) {
            ("NONE" | "NIL", None) => {}
            ("ALL", None) => {
                let what = "the whole environment is not sent: it holds much that is yours alone";
                said.note(
                    given.value_place(),
                    what,
                    "name the variables: --export=NAME,NAME=VALUE",
                );
            }
            (name, Some(value)) => {
                env.insert(name.to_owned(), value);
            }
            (name, None) => {
                let what = format!("--export names {name}, which is not set here");
                said.note(given.value_place(), what, "set it, or write NAME=VALUE");
            }
        }
    }
}

fn size(job: &mut JobFile, gang: &Gang) {
    job.nodes = (gang.nodes > 1).then(|| gang.nodes.into());
    job.cores = gang.cores.map(Into::into);
    job.memory = gang.memory.map(written);
    if gang.chips == 0 {
        return;
    }
    job.chips = Some(gang.chips.into());
    match &gang.kind {
        Some(Kind::Class(class)) => job.on = Some(class.to_string()),
        Some(Kind::Chips(chips)) => match &chips[..] {
            [chip] => job.chip = Some(chip.to_string()),
            chips => {
                let chip = |chip: &model::ChipId| Some(chip.to_string());
                let way = |id| VariantFile { chip: chip(id), ..VariantFile::default() };
                job.variants = chips.iter().map(way).collect();
            }
        },
        None => {}
    }
}

fn limit(job: &mut JobFile, options: &Options, script: &Script, said: &mut Said) {
    match options.get("time") {
        None => {
            let what = "no --time is said, and there is no partition whose default would count";
            let help = "add a line `#SBATCH --time=2:00:00`, or set SBATCH_TIMELIMIT";
            said.wrong(&script.start(), what, help);
        }
        Some(given) => match time::limit(given.text()) {
            Some(Limit::Span(limit)) => job.limit = Some(time::written(limit)),
            Some(Limit::Unlimited) => job.open_ended = true,
            None => {
                let what = format!("`{}` is no time limit", given.text());
                said.wrong(given.value_place(), what, time::LIMITS);
            }
        },
    }
    if let Some(given) = options.get("deadline") {
        let text = given.text();
        match (time::from_now(text), text.parse::<Moment>()) {
            (Some(span), _) => job.deadline = Some(time::written(span)),
            (None, Ok(_)) => job.deadline = Some(text.to_owned()),
            (None, Err(_)) => {
                let help = "write now+2hours, or a time with its zone such as \
                            2026-11-23T20:00:00+08:00";
                said.wrong(given.value_place(), format!("`{text}` is no deadline"), help);
            }
        }
    }
    if let Some(given) = options.get("begin")
        && time::from_now(given.text()).is_none_or(|span| span > model::Span::ZERO)
    {
        let help = "submit it with --hold, and `portolan release` it when it may begin";
        said.wrong(&given.place, "that a job begins later is not supported", help);
    }
}

/// Reads a name as one of Portolan's own.
fn name<T: FromStr<Err: std::fmt::Display>>(given: &Given, said: &mut Said) -> Option<T> {
    names(given, said).into_iter().next()
}

fn names<T: FromStr<Err: std::fmt::Display>>(given: &Given, said: &mut Said) -> Vec<T> {
    let mut names = Vec::new();
    for one in given.text().split(',').map(str::trim) {
        match one.parse::<T>() {
            Ok(name) => names.push(name),
            Err(error) => {
                let help =
                    format!("name another with --{0}, or none with --{0}=", given.option.name);
                said.wrong(given.value_place(), error.to_string(), help);
            }
        }
    }
    names
}

/// Where it may run: clusters are centers, and so are partitions where no cluster is named.
fn place(job: &mut JobFile, options: &Options, said: &mut Said) {
    let clusters = options.get("clusters").filter(|given| given.text() != "all");
    if let (Some(_), Some(partition)) = (clusters, options.get("partition")) {
        let what = "--partition is left out: --clusters says which centers it may run in";
        said.note(&partition.place, what, "leave one of both out");
    }
    if let Some(given) = clusters.or_else(|| options.get("partition")) {
        job.centers = names::<CenterId>(given, said).iter().map(ToString::to_string).collect();
    }
    if let Some(given) = options.get("reservation") {
        job.reservation = dependency::job(given.text()).map(|job| job.to_string());
        if job.reservation.is_none() {
            let what = format!("`{}` is no reservation", given.text());
            said.wrong(given.value_place(), what, "reservations are jobs here, such as job-42");
        }
    }
}

/// In which order it comes: priorities, and jobs that go before.
fn order(job: &mut JobFile, options: &Options, said: &mut Said) {
    if let Some(given) = options.get("dependency") {
        job.after = dependency::dependencies(given, said);
    }
    if let Some(given) = options.get("qos") {
        job.priority_class = name::<PriorityClassId>(given, said).map(|class| class.to_string());
    }
    let number = |given: &Given, usual: &str| {
        let text = given.value.as_ref().map_or(usual, |value| &value.text);
        text.parse::<i32>().ok().filter(|n| n.unsigned_abs() <= 1_000_000_000)
    };
    let by_number = options.get("priority").or_else(|| options.get("nice"));
    let Some(given) = by_number else { return };
    if job.priority_class.is_some() {
        let what =
            format!("--{} is left out: the class of --qos has a priority", given.option.name);
        return said.note(&given.place, what, "leave one of both out");
    }
    match (number(given, "100"), given.option.name) {
        (Some(nice), "nice") => job.priority = -nice,
        (Some(priority), _) => job.priority = priority,
        (None, _) => {
            let what = format!("`{}` is no priority", given.text());
            said.wrong(given.value_place(), what, "write a whole number");
        }
    }
}

/// Checks what the server would, so that it is told with its place.
fn checked(job: &JobFile, options: &Options, script: &Script, said: &mut Said) {
    let nobody: TenantId = "nobody".parse().expect("a slug");
    let Err(problems) = job.clone().spec(nobody, Moment::ZERO) else { return };
    for problem in problems {
        let key = problem.at.split(['.', '[']).next().unwrap_or_default();
        let from: &[&str] = match key {
            "name" => &["job-name"],
            "limit" | "open_ended" => &["time"],
            "nodes" => &["nodes", "ntasks"],
            "chips" | "variant" => &["gres", "gpus-per-node", "gpus", "gpus-per-task"],
            "cores" => &["cpus-per-task", "ntasks", "ntasks-per-node", "cpus-per-gpu"],
            "memory" => &["mem", "mem-per-cpu", "mem-per-gpu"],
            "env" => &["export"],
            "after" => &["dependency"],
            "centers" => &["clusters", "partition"],
            "checkpoint" => &["signal"],
            other => &[other],
        };
        let given = from.iter().find_map(|name| options.get(name));
        let place: Place = given.map_or(script.start(), |given| given.value_place().clone());
        let help = match problem.expected.is_empty() {
            true => String::new(),
            false => format!("expected {}", problem.expected),
        };
        said.wrong(&place, format!("{}: {}", problem.at, problem.said), help);
    }
}
