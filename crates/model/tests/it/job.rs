use crate::lines;
use model::file::job::{self, Format, JobFile};
use model::job::{Duration, InputMode, JobKind, On};
use model::{Bytes, Chips, Cores, JobSpec, Moment, Rate, Span, TenantId, WhenCutOff};

const NOW: Moment = Moment(1_800_000_000_000);

const JOB: &str = r#"
name = "count-words"
limit = "10m"
on = "cuda"
command = ["sh", "-c", "wc -l $PORTOLAN_INPUT_NODES/*.csv"]

[[input]]
name = "nodes"
dataset = "openb-nodes"
"#;

fn spec(document: &str) -> JobSpec {
    let job = job::read("job.toml", document, Format::Toml);
    let job = job.unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
    job.spec(TenantId::new("lab").unwrap(), NOW).unwrap()
}

/// Reads the TOML job file `document` and compares what is wrong with it.
fn check(document: &str, expected: &str) {
    let wrong = job::read("job.toml", document, Format::Toml).unwrap_err();
    assert_eq!(lines(&wrong), expected.trim());
}

/// The same for YAML.
fn check_yaml(document: &str, expected: &str) {
    let wrong = job::read("job.yaml", document, Format::Yaml).unwrap_err();
    assert_eq!(lines(&wrong), expected.trim());
}

#[test]
fn a_short_job_file_is_a_whole_job() {
    let job = spec(JOB);
    let variant = &job.parts[0].variants[0];
    assert_eq!((variant.nodes, variant.chips_per_node), (1, Chips::ONE));
    assert_eq!((variant.cores, variant.memory), (Cores(1_000), Bytes(1 << 30)));
    assert_eq!(job.duration, Duration::Limited { limit: Span::from_secs(600), expected: None });
    assert_eq!((job.kind, job.when_cut_off), (JobKind::Batch, WhenCutOff::Hold));
    assert_eq!(job.inputs[0].mode, InputMode::Staged);
    assert_eq!((job.retries, job.priority, job.hold), (0, 0, false));
}

#[test]
fn a_job_without_chips_needs_to_name_none() {
    let job = spec(&JOB.replace("on = \"cuda\"\n", ""));
    let variant = &job.parts[0].variants[0];
    assert_eq!((&variant.on, variant.chips_per_node), (&On::Cpu, Chips::ZERO));
}

#[test]
fn variants_take_from_the_job_what_they_leave_out() {
    let job = spec(
        r#"
        name = "train"
        limit = "2h"
        expected = "90m"
        nodes = 2
        chips = 8
        memory = "64 GiB"
        command = ["./train"]
        env = { EPOCHS = "3", MODE = "slow" }
        [[variant]]
        on = "cuda"
        [[variant]]
        chip = "ascend-910b3"
        chips = "4"
        command = ["./train-npu"]
        env = { MODE = "fast" }
        speed = 0.5
        "#,
    );
    let [cuda, npu] = job.parts[0].variants.as_slice() else { panic!("two variants") };
    assert_eq!((cuda.chips_per_node, npu.chips_per_node), (Chips::whole(8), Chips::whole(4)));
    assert_eq!((npu.nodes, npu.memory), (2, Bytes(64 << 30)));
    assert_eq!(
        (cuda.on.to_string(), npu.on.to_string()),
        ("any cuda chip".into(), "ascend-910b3".into())
    );
    assert_eq!((npu.env["EPOCHS"].as_str(), npu.env["MODE"].as_str()), ("3", "fast"));
    assert_eq!((cuda.speed_thousandths, npu.speed_thousandths), (None, Some(500)));
    assert_eq!((cuda.command[0].as_str(), npu.command[0].as_str()), ("./train", "./train-npu"));
}

const ALL: &str = include_str!("everything.yaml");

#[test]
fn yaml_json_and_toml_say_the_same() {
    let yaml = job::read("job.yaml", ALL, Format::of("job.yaml"));
    let yaml = yaml.unwrap_or_else(|wrong| panic!("{}", lines(&wrong)));
    let json = serde_json::to_string(&yaml).unwrap();
    assert_eq!(serde_json::from_str::<JobFile>(&json).unwrap(), yaml);
    assert_eq!(job::read("job.json", &json, Format::of("job.json")).unwrap(), yaml);
    let toml = toml::to_string(&yaml).unwrap();
    assert_eq!(job::read("job.toml", &toml, Format::of("job.toml")).unwrap(), yaml);
}

#[test]
fn everything_a_job_can_say_arrives_in_the_spec() {
    let file = job::read("job.yaml", ALL, Format::Yaml).unwrap();
    let job = file.spec(TenantId::new("lab").unwrap(), NOW).unwrap();
    assert_eq!(job.deadline, Some(NOW + Span::from_secs(7_200)));
    assert_eq!(job.when_cut_off, WhenCutOff::Move { lease: Span::from_secs(3) });
    assert_eq!(job.inputs[1].mode, InputMode::Streamed { rate: Rate(2_000_000_000) });
    assert!(job.inputs[0].dataset.version.is_some());
    assert_eq!(job.together.latency_us, Some(1_000));
    assert_eq!(job.parts[0].variants[0].chips_per_node, Chips::whole(8));
    assert_eq!(job.parts[1].variants[0].chips_per_node, Chips(250));
    let checkpoint = job.checkpoint.unwrap();
    assert_eq!(
        (checkpoint.signal.as_deref(), checkpoint.grace),
        (Some("USR1"), Span::from_secs(30))
    );
}

#[test]
fn services_and_reservations_have_their_own_fields() {
    let service =
        spec("name = 's'\nkind = 'service'\nreplicas = 3\nnear = ['cn']\ncommand = ['x']");
    assert_eq!(service.duration, Duration::Open);
    let window =
        "name = 'w'\nkind = 'reservation'\nlimit = '4h'\nstart = '1d'\nchips = 8\non = 'cuda'";
    let start = NOW + Span::from_secs(86_400);
    assert_eq!(
        spec(window).kind,
        JobKind::Reservation { start, lapse_after: Span::from_secs(900) }
    );
    let booked = spec("name = 'j'\nlimit = '1h'\ncommand = ['x']\nreservation = 'job-7'");
    assert_eq!(booked.reservation.map(model::JobId::number), Some(7));
    check(
        &format!("{window}\npreemptible = true\nlapse_after = '0s'"),
        r#"
job.toml:7:15: preemptible: stands in a reservation, which runs nothing; expected it in the jobs that run there
job.toml:8:15: lapse_after: found `0s`; expected a span above zero, at most `3650d`
"#,
    );
    check(
        "name = 'b'\nlimit = '1h'\ncommand = ['x']\nreplicas = 3\nstart = '1h'",
        r#"
job.toml:4:12: replicas: is only for `kind = "service"`
job.toml:5:9: start: is only for `kind = "reservation"`
"#,
    );
}

#[test]
fn a_key_or_word_nobody_knows_is_told_with_what_was_meant() {
    check(&format!("chps = 2{JOB}"), "job.toml:1:1: unknown key `chps`; did you mean `chips`?");
    check(
        &JOB.replace("dataset", "data_set"),
        "job.toml:9:1: input[0]: unknown key `data_set`; did you mean `dataset`?",
    );
    check(
        &format!("objective = 'cheepest'{JOB}"),
        "job.toml:1:13: objective: found `cheepest` (did you mean `cheapest`?); expected one of `fastest`, `cheapest`, `balanced`, `greenest`",
    );
    check_yaml(
        "name: x\nlimit: 1h\ncommand: [a]\ninput:\n  - name: a\n    datset: b\n",
        "job.yaml:6:5: input[0]: unknown key `datset`; did you mean `dataset`?",
    );
    check_yaml(
        "name: x\nlimit: 1h\nkind: Batch\n",
        "job.yaml:3:7: kind: found `Batch` (did you mean `batch`?); expected one of `batch`, `service`, `reservation`",
    );
}

#[test]
fn a_value_of_another_shape_is_refused() {
    check("name = 3", "job.toml:1:8: name: found `3`; expected text in quotes");
    check(
        "name = 'x'\ncommand = 'sleep 5'",
        "job.toml:2:11: command: found `sleep 5`; expected a list",
    );
    check(
        "name = 'x'\nretries = -1",
        "job.toml:2:11: retries: found `-1`; expected a whole number from 0 to 4294967295",
    );
    check(
        "name = 'x'\nenv = { N = 5 }",
        "job.toml:2:13: env.N: found `5`; expected text in quotes",
    );
    check("name = 'x'\ninput = 'nodes'", "job.toml:2:9: input: found `nodes`; expected a list");
    check("name = 'x'\nnodes = true", "job.toml:2:9: nodes: found `true`; expected a number");
    check(
        "name = 'x'\npriority = 99999999999",
        "job.toml:2:12: priority: found `99999999999`; expected a whole number from -2147483648 to 2147483647",
    );
    check_yaml("- name: x", "job.yaml:1:1: found a list; expected a table");
    check_yaml(
        "name: x\n  limit: 1h",
        "job.yaml:2:8: mapping values are not allowed in this context",
    );
    check_yaml(
        "name: x\nname: y",
        "job.yaml:2:1: duplicate mapping key `name` is not allowed here",
    );
    check("name = 'x", "job.toml:1:10: invalid literal string; expected `'`");
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    check(
        r#"
name = ""
limit = "10"
expected = "1h"
on = "CUDA"
nodes = 0
chips = "half"
cores = -1
memory = "5"
deadline = "soon"
budget = "20"
lease = "1s"
env = { "A B" = "x", PORTOLAN_X = "y" }
centers = ["Lingang"]
regions = ["cn//sh"]
[[input]]
name = "a"
dataset = "x y"
[[input]]
name = "A"
dataset = "b"
stream = "fast"
[checkpoint]
path = "../../etc"
signal = "KILL"
[[after]]
job = "3"
"#,
        r#"
job.toml:1:1: command: missing; expected a program and its arguments, such as `["./train"]`
job.toml:2:8: name: found nothing; expected text of 1 to 128 characters, on one line
job.toml:3:9: limit: found `10`; expected a length of time with its unit, such as `90s`, `2h` or `1d 12h`
job.toml:5:6: on: found `CUDA`; expected a portability class such as `cuda` (1 to 63 of a-z 0-9 - _ .)
job.toml:6:9: nodes: found `0`; expected a whole number from 1 to 100000
job.toml:7:9: chips: found `half`; expected a number of chips with at most three decimals, such as `8` or `0.25`
job.toml:8:9: cores: found `-1`; expected a number of cores with at most three decimals, such as `4` or `0.5`
job.toml:9:10: memory: found `5`; expected an amount of data with its unit, such as `512 MiB` or `40 GB`
job.toml:10:12: deadline: found `soon`; expected a time such as `2026-11-23T20:00:00+08:00`, or a span from now such as `2h`
job.toml:11:10: budget: found `20`; expected an amount of money with its currency, such as `12.50 CNY`
job.toml:12:9: lease: stands alone; expected `when_cut_off = "move"` beside it
job.toml:13:7: env: found `A B` as a variable's name; expected letters, digits and _, beginning with no digit
job.toml:13:35: env.PORTOLAN_X: is a name the network gives to jobs itself; expected a name that does not begin with `PORTOLAN_`
job.toml:14:12: centers[0]: found `Lingang`; expected a center name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)
job.toml:15:12: regions[0]: found `cn//sh`; expected a region path of names joined by `/`, such as `cn/yrd/shanghai`
job.toml:18:11: input[0].dataset: found `x y`; expected a dataset name (1 to 63 of a-z 0-9 - _ ., beginning with a letter or digit)
job.toml:20:8: input[1].name: `A` stands twice, as a variable's name at least; expected a name of its own
job.toml:22:10: input[1].stream: found `fast`; expected a rate of data with its unit, such as `10 Gbit/s`
job.toml:24:8: checkpoint.path: found `../../etc`; expected a path below the job's working directory, relative and without `..`
job.toml:25:10: checkpoint.signal: found `KILL`; expected one of USR1, USR2, HUP, INT, TERM, ALRM, CONT
job.toml:27:7: after[0].job: found `3`; expected a job id such as `job-42`
"#,
    );
}

#[test]
fn what_makes_no_sense_is_refused_in_a_job_too() {
    let job = |more: &str| format!("name = 'x'\ncommand = ['x']\n{more}");
    check(
        &job("limit = '1h'\nexpected = '2h'"),
        "job.toml:4:12: expected: found `2h`; expected a span above zero, at most the limit of 1h 0m",
    );
    check(
        &job("limit = '0s'"),
        "job.toml:3:9: limit: found `0s`; expected a span above zero, at most `3650d`",
    );
    check(
        &job("limit = '9999999d'"),
        "job.toml:3:9: limit: found `9999999d`; expected a span above zero, at most `3650d`",
    );
    check(
        &job("limit = '99999999999999999999d'"),
        "job.toml:3:9: limit: found `99999999999999999999d`; expected a length of time with its unit, such as `90s`, `2h` or `1d 12h`",
    );
    check(
        &job("open_ended = true\nlimit = '1h'"),
        "job.toml:3:14: open_ended: stands beside a limit; expected one of both",
    );
    check(
        &job("limit = '1h'\nchips = 2"),
        "job.toml:4:9: chips: found `2`, but nothing says of which; expected `on` or `chip` beside it",
    );
    check(
        &job("limit = '1h'\non = 'cuda'\nchips = 0"),
        "job.toml:5:9: chips: found `0`; expected at least a share of a chip, or neither `on` nor `chip`",
    );
    check(
        &job("limit = '1h'\non = 'cuda'\nnodes = 2\nchips = 0.5"),
        "job.toml:6:9: chips: found `0.5` on several nodes; expected whole chips, or one node",
    );
    check(
        &job("limit = '1h'\non = 'cuda'\nchips = 1.5"),
        "job.toml:5:9: chips: found `1.5`; expected a share of one chip, or whole chips",
    );
    check(
        &job("limit = '1h'\non = 'cuda'\nchip = 'x'"),
        "job.toml:5:8: chip: stands beside `on`; expected one of both",
    );
    check(
        &job("limit = '1h'\nwhen_cut_off = 'move'\nlease = '2s'"),
        "job.toml:5:9: lease: found `2s`; expected at least 3.0s",
    );
    check(
        &job("limit = '1h'\narray = { first = 5, last = 2, step = 0 }"),
        r#"
job.toml:4:29: array.last: found `2`; expected at least the first, `5`
job.toml:4:39: array.step: found `0`; expected a step above zero
"#,
    );
    check(
        &job("limit = '1h'\narray = { last = 4294967295 }"),
        "job.toml:4:9: array: has 4294967296 tasks; expected at most 100000 tasks",
    );
    check(
        &job("limit = '1h'\n[[part]]\nname = 'a'\n[[part]]\nname = 'a'"),
        "job.toml:7:8: part[1].name: `a` names two parts; expected a name of its own",
    );
    check(
        &job("limit = '1h'\nretries = 101"),
        "job.toml:4:11: retries: found `101`; expected at most 100",
    );
    check(
        &job("limit = '1h'\nspeed = 0.0001"),
        "job.toml:4:9: speed: found `0.0001`; expected a number above 0, at most 1000, with at most three decimals",
    );
    check(
        "name = 'x'\nlimit = '1h'",
        r#"job.toml:1:1: command: missing; expected a program and its arguments, such as `["./train"]`"#,
    );
    check(
        "name = 'x'\nlimit = '1h'\ncommand = ['a', \"\\u0000\"]",
        "job.toml:3:17: command[1]: holds a NUL character; expected text without any",
    );
}

#[test]
fn what_is_too_large_is_refused() {
    let long = "x".repeat(129);
    check(
        &format!("name = '{long}'\nlimit = '1h'\ncommand = ['x']"),
        "job.toml:1:8: name: found `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…`; expected text of 1 to 128 characters, on one line",
    );
    let command = "'x',".repeat(257);
    check(
        &format!("name = 'x'\nlimit = '1h'\ncommand = [{command}]"),
        "job.toml:3:11: command: has 257 arguments; expected at most 256",
    );
    let argument = "x".repeat(200_000);
    check(
        &format!("name = 'x'\nlimit = '1h'\ncommand = ['{argument}']"),
        "job.toml:3:11: command: is 200001 bytes long; expected at most 131072; what is larger belongs in a dataset",
    );
    let inputs: String =
        (0..65).map(|i| format!("[[input]]\nname = 'a{i}'\ndataset = 'b'\n")).collect();
    check(
        &format!("name = 'x'\nlimit = '1h'\ncommand = ['x']\n{inputs}"),
        "job.toml:4:1: input: lists 65; expected at most 64",
    );
}

#[test]
fn a_deadline_that_has_passed_is_refused_on_submission() {
    let file = format!("deadline = '2020-01-01T00:00:00Z'{JOB}");
    let job = job::read("job.toml", &file, Format::Toml).unwrap();
    let problems = job.spec(TenantId::new("lab").unwrap(), NOW).unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "deadline: found `2020-01-01T00:00:00Z`, which has passed; expected a time to come"
    );
}
