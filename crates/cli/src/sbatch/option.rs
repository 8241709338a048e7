//! The options of Slurm's `sbatch`, and what becomes of each: all that its releases 21.08 to 24.11
//! know, so that what is not translated is at least known by name.

/// Whether an option takes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// None.
    No,
    /// One, after `=` or as the next word.
    Yes,
    /// One after `=`, or none.
    Maybe,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is translated.
    Translated,
    /// The job is submitted without it; this is why that matters.
    LeftOut(&'static str, &'static str),
    /// The job is not submitted: without it it would be another job. Why, and what to do.
    Refused(&'static str, &'static str),
}

use Fate::{LeftOut, Refused, Translated};
use Value::{Maybe, No, Yes};

/// An option.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Its name, without dashes.
    pub(crate) name: &'static str,
    /// Its letter, or a space.
    pub(crate) letter: char,
    /// Whether it takes a value.
    pub(crate) value: Value,
    /// The variable that stands for it, or nothing.
    pub(crate) variable: &'static str,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

const fn opt(
    name: &'static str,
    letter: char,
    value: Value,
    variable: &'static str,
    fate: Fate,
) -> Opt {
    Opt { name, letter, value, variable, fate }
}

const LOGS: Fate = LeftOut(
    "the network keeps what a job prints",
    "`portolan logs JOB` prints it, with `--stderr` what went to standard error",
);
const MAIL: Fate = LeftOut("nobody is mailed", "`portolan sbatch --wait` waits for the end");
const BINDING: Fate = LeftOut(
    "how tasks are bound to cores, sockets and chips is left to the center",
    "say it to `srun` or `mpirun` in the script",
);
const NODES: Fate = Refused(
    "nodes cannot be named here",
    "name centers with --partition, or chips with --gres or --constraint",
);
const HOST: Fate =
    LeftOut("the center's own settings count", "ask the center if it needs another setting");
const SHARING: Fate =
    LeftOut("cores and chips are never given to two jobs at a time", "no need to say it");
const TRES: Fate =
    Refused("is not read here", "use --gpus-per-task, --gres, --cpus-per-task and --mem");

/// All of them, by name.
pub(crate) const OPTIONS: &[Opt] = &[
    opt("account", 'A', Yes, "SBATCH_ACCOUNT", Translated),
    opt("acctg-freq", ' ', Yes, "SBATCH_ACCTG_FREQ", HOST),
    opt("array", 'a', Yes, "SBATCH_ARRAY_INX", Translated),
    opt("batch", ' ', Yes, "SBATCH_BATCH", NODES),
    opt(
        "bb",
        ' ',
        Yes,
        "SBATCH_BURST_BUFFER",
        Refused("there are no burst buffers", "bring data with `[[input]]` in a job file"),
    ),
    opt(
        "bbf",
        ' ',
        Yes,
        "",
        Refused("there are no burst buffers", "bring data with `[[input]]` in a job file"),
    ),
    opt("begin", 'b', Yes, "", Translated),
    opt("chdir", 'D', Yes, "", Translated),
    opt(
        "cluster-constraint",
        ' ',
        Yes,
        "SBATCH_CLUSTER_CONSTRAINT",
        Refused("features of clusters are not known", "name centers with --clusters"),
    ),
    opt("clusters", 'M', Yes, "SBATCH_CLUSTERS", Translated),
    opt("comment", ' ', Yes, "", LeftOut("comments are not kept", "use --job-name")),
    opt("constraint", 'C', Yes, "SBATCH_CONSTRAINT", Translated),
    opt(
        "container",
        ' ',
        Yes,
        "SBATCH_CONTAINER",
        Refused("bundles are not carried to other centers", "name an `image` in a job file"),
    ),
    opt(
        "container-id",
        ' ',
        Yes,
        "SBATCH_CONTAINER_ID",
        Refused("bundles are not carried to other centers", "name an `image` in a job file"),
    ),
    opt("contiguous", ' ', No, "", LeftOut("which nodes go together is the planner's to say", "")),
    opt("core-spec", 'S', Yes, "SBATCH_CORE_SPEC", BINDING),
    opt("cores-per-socket", ' ', Yes, "", BINDING),
    opt("cpu-freq", ' ', Yes, "SLURM_CPU_FREQ_REQ", HOST),
    opt("cpus-per-gpu", ' ', Yes, "SBATCH_CPUS_PER_GPU", Translated),
    opt("cpus-per-task", 'c', Yes, "", Translated),
    opt("deadline", ' ', Yes, "", Translated),
    opt("delay-boot", ' ', Yes, "SBATCH_DELAY_BOOT", HOST),
    opt("dependency", 'd', Yes, "", Translated),
    opt("distribution", 'm', Yes, "SBATCH_DISTRIBUTION", BINDING),
    opt("dry-run", ' ', No, "", Translated),
    opt("error", 'e', Yes, "SBATCH_ERROR", LOGS),
    opt("exclude", 'x', Yes, "", NODES),
    opt(
        "exclusive",
        ' ',
        Maybe,
        "SBATCH_EXCLUSIVE",
        LeftOut(
            "other jobs may run on its nodes beside it",
            "ask for all of a node's cores and memory to keep them off",
        ),
    ),
    opt("export", ' ', Yes, "SBATCH_EXPORT", Translated),
    opt(
        "export-file",
        ' ',
        Yes,
        "SBATCH_EXPORT_FILE",
        Refused("files of variables are not read", "name the variables in --export"),
    ),
    opt("extra-node-info", 'B', Yes, "", BINDING),
    opt("get-user-env", ' ', Maybe, "SBATCH_GET_USER_ENV", HOST),
    opt("gid", ' ', Yes, "", Refused("the center says as whom jobs run", "leave it out")),
    opt("gpu-bind", ' ', Yes, "SBATCH_GPU_BIND", BINDING),
    opt("gpu-freq", ' ', Yes, "SBATCH_GPU_FREQ", HOST),
    opt("gpus", 'G', Yes, "SBATCH_GPUS", Translated),
    opt("gpus-per-node", ' ', Yes, "SBATCH_GPUS_PER_NODE", Translated),
    opt(
        "gpus-per-socket",
        ' ',
        Yes,
        "",
        Refused("sockets are not counted here", "say --gpus-per-node"),
    ),
    opt("gpus-per-task", ' ', Yes, "SBATCH_GPUS_PER_TASK", Translated),
    opt("gres", ' ', Yes, "SBATCH_GRES", Translated),
    opt("gres-flags", ' ', Yes, "SBATCH_GRES_FLAGS", BINDING),
    opt("hint", ' ', Yes, "SBATCH_HINT", BINDING),
    opt("hold", 'H', No, "", Translated),
    opt("ignore-pbs", ' ', No, "SBATCH_IGNORE_PBS", LeftOut("lines of PBS are never read", "")),
    opt(
        "input",
        'i',
        Yes,
        "SBATCH_INPUT",
        Refused("standard input is empty in a center", "redirect it in the script"),
    ),
    opt("job-name", 'J', Yes, "SBATCH_JOB_NAME", Translated),
    opt(
        "kill-on-invalid-dep",
        ' ',
        Yes,
        "SBATCH_KILL_INVALID_DEPEND",
        LeftOut("the network says what becomes of a job whose dependency failed", ""),
    ),
    opt(
        "licenses",
        'L',
        Yes,
        "",
        Refused("licenses are not counted here", "leave it out, and name the center that has them"),
    ),
    opt("mail-type", ' ', Yes, "", MAIL),
    opt("mail-user", ' ', Yes, "", MAIL),
    opt("mcs-label", ' ', Yes, "", HOST),
    opt("mem", ' ', Yes, "SBATCH_MEM_PER_NODE", Translated),
    opt("mem-bind", ' ', Yes, "SBATCH_MEM_BIND", BINDING),
    opt("mem-per-cpu", ' ', Yes, "SBATCH_MEM_PER_CPU", Translated),
    opt("mem-per-gpu", ' ', Yes, "SBATCH_MEM_PER_GPU", Translated),
    opt("mincpus", ' ', Yes, "", Translated),
    opt("network", ' ', Yes, "SBATCH_NETWORK", HOST),
    opt("nice", ' ', Maybe, "", Translated),
    opt(
        "no-kill",
        'k',
        Maybe,
        "SBATCH_NO_KILL",
        LeftOut("a gang ends when a node of it fails", ""),
    ),
    opt(
        "no-requeue",
        ' ',
        No,
        "SBATCH_NO_REQUEUE",
        LeftOut(
            "a job whose node or center is lost is started anew all the same",
            "let the script find out: SLURM_RESTART_COUNT is above 0 then",
        ),
    ),
    opt("nodefile", 'F', Yes, "", NODES),
    opt("nodelist", 'w', Yes, "", NODES),
    opt("nodes", 'N', Yes, "", Translated),
    opt("ntasks", 'n', Yes, "", Translated),
    opt("ntasks-per-core", ' ', Yes, "", BINDING),
    opt("ntasks-per-gpu", ' ', Yes, "SBATCH_NTASKS_PER_GPU", Translated),
    opt("ntasks-per-node", ' ', Yes, "", Translated),
    opt("ntasks-per-socket", ' ', Yes, "", BINDING),
    opt("on", ' ', Yes, "", Translated),
    opt(
        "open-mode",
        ' ',
        Yes,
        "SBATCH_OPEN_MODE",
        LeftOut("each attempt has a log of its own", "`portolan logs JOB --attempt N` prints it"),
    ),
    opt("output", 'o', Yes, "SBATCH_OUTPUT", LOGS),
    opt("overcommit", 'O', No, "SBATCH_OVERCOMMIT", SHARING),
    opt("oversubscribe", 's', No, "", SHARING),
    opt("parsable", ' ', No, "", Translated),
    opt("partition", 'p', Yes, "SBATCH_PARTITION", Translated),
    opt("power", ' ', Yes, "SBATCH_POWER", HOST),
    opt("prefer", ' ', Yes, "", LeftOut("the planner takes the best it finds", "")),
    opt("priority", ' ', Yes, "", Translated),
    opt("profile", ' ', Yes, "SBATCH_PROFILE", HOST),
    opt("propagate", ' ', Maybe, "", HOST),
    opt("qos", 'q', Yes, "SBATCH_QOS", Translated),
    opt("quiet", 'Q', No, "", Translated),
    opt("reboot", ' ', No, "", HOST),
    opt("requeue", ' ', No, "SBATCH_REQUEUE", Translated),
    opt("reservation", ' ', Yes, "SBATCH_RESERVATION", Translated),
    opt("resv-ports", ' ', Maybe, "", HOST),
    opt(
        "segment",
        ' ',
        Yes,
        "SBATCH_SEGMENT_SIZE",
        Refused("blocks cannot be cut", "leave it out"),
    ),
    opt("signal", ' ', Yes, "SBATCH_SIGNAL", Translated),
    opt("sockets-per-node", ' ', Yes, "", BINDING),
    opt("spread-job", ' ', No, "SBATCH_SPREAD_JOB", LeftOut("--nodes says how many nodes", "")),
    opt("switches", ' ', Yes, "SBATCH_REQ_SWITCH", LeftOut("the planner keeps gangs together", "")),
    opt("test-only", ' ', No, "", Translated),
    opt("thread-spec", ' ', Yes, "SBATCH_THREAD_SPEC", BINDING),
    opt("threads-per-core", ' ', Yes, "SBATCH_THREADS_PER_CORE", BINDING),
    opt("time", 't', Yes, "SBATCH_TIMELIMIT", Translated),
    opt("time-min", ' ', Yes, "", LeftOut("the limit of --time is not cut down", "")),
    opt(
        "tmp",
        ' ',
        Yes,
        "",
        LeftOut("room on a node's disk is not counted", "check for it in the script"),
    ),
    opt("tres-bind", ' ', Yes, "SBATCH_TRES_BIND", BINDING),
    opt("tres-per-task", ' ', Yes, "SBATCH_TRES_PER_TASK", TRES),
    opt("uid", ' ', Yes, "", Refused("the center says as whom jobs run", "leave it out")),
    opt(
        "use-min-nodes",
        ' ',
        No,
        "SBATCH_USE_MIN_NODES",
        LeftOut("the smaller is always taken", ""),
    ),
    opt("verbose", 'v', No, "", LeftOut("there is no more to say", "--dry-run shows the job")),
    opt("wait", 'W', No, "SBATCH_WAIT", Translated),
    opt("wckey", ' ', Yes, "SBATCH_WCKEY", LeftOut("workload keys are not kept", "")),
    opt("wrap", ' ', Yes, "", Translated),
];

/// The option of this letter.
pub(crate) fn of_letter(letter: char) -> Option<&'static Opt> {
    OPTIONS.iter().find(|option| option.letter == letter && letter != ' ')
}

/// The option that `name` names, in full or by what only it begins with; else those it could be.
pub(crate) fn of_name(name: &str) -> Result<&'static Opt, Vec<&'static str>> {
    if let Some(option) = OPTIONS.iter().find(|option| option.name == name) {
        return Ok(option);
    }
    let could: Vec<_> = OPTIONS.iter().filter(|o| o.name.starts_with(name)).collect();
    match &could[..] {
        [only] => Ok(only),
        several => Err(several.iter().map(|option| option.name).collect()),
    }
}

/// The option whose name is most like `name`, if one is.
pub(crate) fn like(name: &str) -> Option<&'static str> {
    const FAR: usize = 3;
    let nearest = OPTIONS.iter().map(|o| (distance(name, o.name), o.name)).min()?;
    (nearest.0 < FAR.min(name.len())).then_some(nearest.1)
}

/// In how many letters two words differ: put in, left out, or another.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let other = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = other.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_in_order_and_each_letter_is_one_options() {
        assert!(OPTIONS.is_sorted_by(|a, b| a.name < b.name));
        for option in OPTIONS.iter().filter(|option| option.letter != ' ') {
            assert_eq!(of_letter(option.letter).unwrap().name, option.name);
        }
    }

    #[test]
    fn what_only_one_option_begins_with_is_enough() {
        assert_eq!(of_name("part").unwrap().name, "partition");
        assert_eq!(of_name("mem").unwrap().name, "mem");
        assert_eq!(of_name("nod").unwrap_err(), ["nodefile", "nodelist", "nodes"]);
        assert_eq!(
            (like("job_name"), like("ntask-per-node")),
            (Some("job-name"), Some("ntasks-per-node"))
        );
        assert_eq!(like("frobnicate"), None);
    }
}
