//! Scripts in, jobs and complaints out.

use super::*;
use model::file::job::Format;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn known() -> Names {
    Names::new(&crate::catalog::with(&[]).unwrap()).unwrap()
}

/// What becomes of a script, as text: the job and what is said of it, or why it is refused. A line
/// `# try: WORDS` in it says with which variables and options it is submitted.
fn translated(name: &str, text: &str, known: &Names) -> String {
    let words = text.lines().find_map(|line| line.strip_prefix("# try: ")).unwrap_or_default();
    let (env, words): (Vec<&str>, Vec<&str>) =
        words.split_whitespace().partition(|word| word.starts_with("SBATCH_"));
    let env = env.iter().filter_map(|pair| pair.split_once('='));
    let env = env.chain([("HOME_OF_DATA", "/data"), ("HOME", "/home/someone")]);
    let around = Surroundings {
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        dir: "/home/someone/run".to_owned(),
    };
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let mut said = Said::default();
    let line = command_line(&words, &mut said);
    let arguments = line.rest.get(1..).unwrap_or_default().to_vec();
    let script = Script::new(name, text, arguments);
    shown(translate(line, &script, known, &around, said), text)
}

fn shown(told: Result<Translation, Vec<Complaint>>, script: &str) -> String {
    let mut text = String::new();
    match told {
        Err(wrong) => {
            text.push_str("refused\n");
            wrong.iter().for_each(|one| writeln!(text, "{}", one.line()).unwrap());
        }
        Ok(Translation { mut job, tenant, notes, .. }) => {
            assert_eq!(job.command[4], script, "the script goes along as it is");
            let document = toml::to_string_pretty(&job).unwrap();
            let read = model::file::job::read("job.toml", &document, Format::Toml);
            assert_eq!(read.expect("--dry-run prints a job file"), job);
            job.command.splice(2..5, ["LAUNCHER", "sbatch", "SCRIPT"].map(str::to_owned));
            notes.iter().for_each(|one| writeln!(text, "{}", one.line()).unwrap());
            tenant.iter().for_each(|tenant| writeln!(text, "tenant {tenant}").unwrap());
            let job = toml::to_string_pretty(&job).unwrap();
            write!(text, "\n{job}").unwrap();
        }
    }
    text
}

/// The scripts that stand for those of people.
fn scripts() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sbatch/scripts");
    let mut paths: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn scripts_become_jobs_or_are_refused_with_reasons() {
    let (paths, known) = (scripts(), known());
    assert!(paths.len() >= 30, "{} scripts", paths.len());
    for path in paths {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        insta::assert_snapshot!(name.clone(), translated(&format!("{name}.sh"), &text, &known));
    }
}

/// Whether Slurm's own `sbatch` takes a script: it then looks for a controller, of which there is none.
/// What it says, where there is an `sbatch`.
fn taken_by_slurm(script: &Path, dir: &Path) -> Option<(bool, String)> {
    let conf = dir.join("slurm.conf");
    let text = "ClusterName=none\nSlurmctldHost=localhost(127.0.0.1)\nSlurmctldPort=1\n\
                AuthType=auth/none\nCredType=cred/none\nMessageTimeout=1\nGresTypes=gpu,npu,mlu,dcu\n\
                SelectType=select/cons_tres\nNodeName=localhost\nPartitionName=p Nodes=ALL\n";
    std::fs::write(&conf, text).unwrap();
    let output = std::process::Command::new("sbatch").arg(script).env("SLURM_CONF", conf).output();
    let said = String::from_utf8_lossy(&output.ok()?.stderr).into_owned();
    let looked_for = ["Unable to contact slurm controller", "Problem talking to database"];
    Some((looked_for.iter().any(|words| said.contains(words)), said))
}

#[test]
fn what_is_taken_here_slurm_takes_too() {
    let (dir, known) = (tempfile::tempdir().unwrap(), known());
    for path in scripts() {
        let text = std::fs::read_to_string(&path).unwrap();
        if translated("job.sh", &text, &known).starts_with("refused") {
            continue;
        }
        let Some((taken, said)) = taken_by_slurm(&path, dir.path()) else {
            eprintln!("skipped: there is no sbatch here");
            return;
        };
        assert!(taken, "{}: {said}", path.display());
    }
}

#[test]
fn what_is_no_script_is_refused() {
    let known = known();
    let long = format!("#!/bin/sh\n#SBATCH -t 1\n{}", "true # and so on\n".repeat(8_000));
    for (text, said) in [
        ("", "the script is empty"),
        ("true\n", "this does not look like a batch script"),
        ("#!/bin/sh\r\n#SBATCH -t 1\r\ntrue\r\n", "the script has line ends of DOS"),
        ("#!/bin/sh\n#SBATCH -J 'a\ntrue\n", "a quote is opened and never closed"),
        (&long, "what is larger belongs in a dataset"),
    ] {
        let told = translated("job.sh", text, &known);
        assert!(told.starts_with("refused\njob.sh:") && told.contains(said), "{told}");
    }
}

fn check_apart(line: &str, expected: &str) {
    let args = line.split(' ').map(OsString::from).collect();
    let args: Vec<String> =
        apart(args).into_iter().map(|word| word.into_string().unwrap()).collect();
    assert_eq!(args.join(" "), expected);
}

#[test]
fn options_of_sbatch_are_kept_from_those_of_every_command() {
    check_apart("portolan sbatch -o x.log job.sh", "portolan sbatch -- -o x.log job.sh");
    check_apart(
        "portolan --output json sbatch --output=x --server http://h -t 1 job.sh --server y",
        "portolan --output json --server http://h sbatch -- --output=x -t 1 job.sh --server y",
    );
    check_apart("portolan sbatch -Wt 1 --token=t a b", "portolan --token=t sbatch -- -Wt 1 a b");
    check_apart("portolan sbatch -p lab --help", "portolan sbatch --help");
    check_apart("portolan submit sbatch --output json", "portolan submit sbatch --output json");
    check_apart("portolan sbatch", "portolan sbatch --");
    check_apart("portolan --version", "portolan --version");
}

/// The launcher itself, run as an agent would run it: what a script is told.
fn launched(env: &[(&str, &str)], script: &str, args: &[&str]) -> String {
    launched_with(&[], env, script, args)
}

fn launched_with(options: &[&str], env: &[(&str, &str)], script: &str, args: &[&str]) -> String {
    let words: Vec<String> =
        ["-t", "1"].iter().chain(options).map(|word| (*word).to_owned()).collect();
    let mut said = Said::default();
    let line = command_line(&words, &mut said);
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let script = Script::new("job.sh", script, args);
    let told = translate(line, &script, &known(), &Surroundings::default(), said).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let usual = [("PORTOLAN_JOB", "job-42"), ("PORTOLAN_EPOCH", "1"), ("PORTOLAN_NODELIST", "a-0")];
    let env: BTreeMap<&str, &str> = usual.into_iter().chain(env.iter().copied()).collect();
    let output = std::process::Command::new(&told.job.command[0])
        .args(&told.job.command[1..])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(&told.job.env)
        .envs(env)
        .current_dir(dir.path())
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn a_script_is_told_what_slurm_would_tell_it() {
    let say = "#!/bin/sh\necho $SLURM_JOB_ID $SLURM_JOB_NAME $SLURM_JOB_NODELIST \
               ${SLURM_ARRAY_JOB_ID-}/${SLURM_ARRAY_TASK_ID-} ${SLURM_RESTART_COUNT-none} \"$@\"\n";
    assert_eq!(launched(&[], say, &["a  b", "'c'"]), "42 job.sh a-0 / none a  b 'c'\n");
    let array = ("PORTOLAN_ARRAY", "job-40");
    let task = [array, ("PORTOLAN_ARRAY_INDEX", "7"), ("PORTOLAN_EPOCH", "3")];
    assert_eq!(launched(&task, say, &[]), "42 job.sh a-0 40/7 2\n");
    let uneven = [array, ("PORTOLAN_ARRAY_INDEX", "1"), ("SLURM_ARRAY_LIST", "1,5,9")];
    assert_eq!(launched(&uneven, say, &[]), "42 job.sh a-0 40/5 none\n");
    // In a center that Slurm runs, its own numbers stay: `srun` goes by them.
    let inside = [("SLURM_JOB_ID", "9001"), ("SLURM_JOB_NODELIST", "n[1-2]")];
    assert_eq!(launched(&inside, say, &[]), "9001 job.sh n[1-2] / none\n");
}

#[test]
fn a_script_starts_where_it_is_to_and_nowhere_else() {
    assert_eq!(launched_with(&["--chdir=/usr"], &[], "#!/bin/sh\npwd\n", &[]), "/usr\n");
    let nowhere = launched_with(&["-D", "/no/such"], &[], "#!/bin/sh\necho ran\n", &[]);
    assert!(nowhere.contains("/no/such") && !nowhere.contains("ran"), "{nowhere}");
    let given = launched_with(&["--export=A=b c"], &[], "#!/bin/sh\necho $A\n", &[]);
    assert_eq!(given, "b c\n");
}

#[test]
fn any_interpreter_runs_a_script() {
    let shell = "#!/bin/sh -e\nfalse\necho still here\n";
    assert_eq!(launched(&[], shell, &[]), "");
    let cat = "#!/usr/bin/env cat\nto be printed\n";
    assert_eq!(launched(&[], cat, &[]), cat);
}

#[test]
fn whatever_a_script_says_it_is_translated_or_refused() {
    let known = known();
    let odd = [
        "",
        "-",
        "=",
        ":",
        "0",
        "99999999999999999999",
        "\u{4e2d}",
        "\"",
        "\\",
        "#",
        "@",
        "%",
        ",",
    ];
    let mut seed: usize = 7;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    for path in scripts() {
        let text = std::fs::read_to_string(&path).unwrap();
        for _ in 0..50 {
            let mut text = text.clone();
            for _ in 0..=next(4) {
                let at = text.floor_char_boundary(next(text.len()));
                let end = text.ceil_char_boundary((at + next(4)).min(text.len()));
                text.replace_range(at..end, odd[next(odd.len())]);
            }
            assert!(!translated("job.sh", &text, &known).is_empty());
        }
    }
}
