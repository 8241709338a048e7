//! What people see: each answer of the API as text in 80 columns, as of one moment.

use super::*;
use crate::look::Look;
use clap::CommandFactory;
use clap::error::ErrorKind;
use model::Moment;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NOW: u64 = 1_764_000_000_000;

/// What `render` makes of an answer of the API.
fn shown<T: DeserializeOwned>(answer: Value, render: fn(&T, &Look) -> String) -> String {
    let answer: T = serde_json::from_value(answer).expect("it is an answer of the API");
    let look = Look { now: Moment(NOW), width: Some(80), color: false };
    let text = render(&answer, &look);
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= 80, "{widest} columns:\n{text}");
    text
}

/// `base` with these fields set.
fn with(mut base: Value, more: Value) -> Value {
    let (Value::Object(fields), Value::Object(more)) = (&mut base, more) else {
        unreachable!("both are objects")
    };
    fields.extend(more);
    base
}

fn job(number: u64, name: &str, state: &str, more: Value) -> Value {
    let job = json!({
        "job": format!("job-{number}"), "name": name, "tenant": "university", "state": state,
        "priority": 0, "submitted_ms": NOW - 185_000, "nodes": 1, "chips_milli": 8_000,
        "attempts": 0
    });
    with(job, more)
}

fn placed() -> Value {
    json!({
        "center": "lingang", "pool": "a100", "chip": "nvidia-a100-sxm4-80", "attempts": 1,
        "started_ms": NOW - 120_000, "promised_ms": NOW - 121_000,
        "price": {"micros": 12_500_000, "currency": "CNY"}
    })
}

fn attempt(id: &str, state: &str, more: Value) -> Value {
    let attempt = json!({
        "attempt": id, "state": state, "center": "lingang", "pool": "a100", "variant": 0,
        "nodes": [{"node": 0, "chips": [0, 1], "share_milli": 1_000}], "plan": "plan-7",
        "offered_ms": NOW - 122_000, "planned_start_ms": NOW - 121_000,
        "planned_finish_ms": NOW + 60_000, "until_ms": NOW + 480_000,
        "price": {"micros": 12_500_000, "currency": "CNY"}, "inputs": [], "awaits": []
    });
    with(attempt, more)
}

#[test]
fn arguments_are_well_formed_and_say_what_they_do() {
    let mut command = Portolan::command();
    command.build();
    command.clone().debug_assert();
    let mut open = vec![&command];
    while let Some(command) = open.pop() {
        let said = command.get_about().is_some() || command.get_long_about().is_some();
        assert!(said || command.get_name() == "help", "{} says nothing", command.get_name());
        open.extend(command.get_subcommands());
    }
}

#[test]
fn the_help_names_the_commands_and_the_exit_codes() {
    insta::assert_snapshot!(Portolan::command().term_width(80).render_help());
}

#[test]
fn wrong_usage_is_refused() {
    for (line, kind) in [
        ("portolan", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("portolan submit", ErrorKind::MissingRequiredArgument),
        ("portolan submit --count 0 job.toml", ErrorKind::ValueValidation),
        ("portolan job 42x", ErrorKind::ValueValidation),
        ("portolan cancel", ErrorKind::MissingRequiredArgument),
        ("portolan data put x --name ../y --at lingang", ErrorKind::ValueValidation),
        ("portolan token create --role center", ErrorKind::MissingRequiredArgument),
        ("portolan token create --role king", ErrorKind::InvalidValue),
        ("portolan token create --role operator --expires soon", ErrorKind::ValueValidation),
        ("portolan jobs --output xml", ErrorKind::InvalidValue),
        ("portolan jobs --all --limit 3", ErrorKind::ArgumentConflict),
    ] {
        let parsed = Portolan::try_parse_from(line.split(' '));
        assert_eq!(parsed.map(|_| ()).map_err(|e| e.kind()), Err(kind), "{line}");
    }
}

#[test]
fn global_options_go_before_or_behind_a_command() {
    for line in [
        "portolan --server http://localhost:1 --output json jobs",
        "portolan jobs --server http://localhost:1 --output json",
        "portolan data --server http://localhost:1 ls --output json",
    ] {
        let parsed = Portolan::try_parse_from(line.split(' ')).expect(line);
        assert_eq!(parsed.globals.server, "http://localhost:1", "{line}");
        assert_eq!(parsed.globals.output, session::Output::Json, "{line}");
    }
    let agent = "portolan agent --server https://p.example --token-file t --dir d";
    assert!(Portolan::try_parse_from(agent.split(' ')).is_ok());
}

#[test]
fn jobs_fit_the_screen() {
    let long = "对话模型的长名字 fine-tuning of a rather large model";
    insta::assert_snapshot!(shown(
        json!({"jobs": [
        job(1042, long, "running", placed()),
        job(1041, "count-words", "waiting", json!({"chips_milli": 250})),
        job(1040, "sum", "failed", json!({"chips_milli": 0, "center": "zhangjiang",
            "pool": "ascend", "started_ms": NOW - 180_000, "ended_ms": NOW - 60_000,
            "outcome": "exit code 3"})),
    ], "next": null}),
        job::list::table
    ));
    assert_eq!(shown(json!({"jobs": [], "next": null}), job::list::table), "no jobs\n");
}

#[test]
fn a_job_is_shown_with_what_it_asked_for_and_its_attempts() {
    let mut job = job(42, "train", "running", placed());
    let object = job.as_object_mut().unwrap();
    object.insert(
        "asked".into(),
        json!({
            "kind": "batch", "within": "center", "limit_ms": 600_000, "expected_ms": 120_000,
            "parts": [{"name": "main", "variants": [{
                "on": {"class": "cuda"}, "nodes": 2, "chips_per_node_milli": 8_000,
                "cores_milli": 4_000, "memory_bytes": 1 << 30,
                "command": ["sh", "-c", "python train.py --epochs 3 --input $PORTOLAN_INPUT_NODES \
                    --output $PORTOLAN_OUTPUT_MODEL --verbose"], "env": {}
            }]}],
            "inputs": [{"name": "nodes", "dataset": "openb-nodes"}],
            "outputs": [{"name": "model", "dataset": "model", "residency": []}],
            "objective": "fastest", "preemptible": false, "retries": 2,
            "centers": [], "regions": ["cn/yrd"]
        }),
    );
    object.insert(
        "tries".into(),
        json!([
            attempt(
                "job-42.1",
                "over",
                json!({"ended_ms": NOW - 150_000,
            "outcome": "the center refused it: its owner takes nothing at present"})
            ),
            attempt("job-42.2", "running", json!({"started_ms": NOW - 120_000, "called": "4711"})),
        ]),
    );
    insta::assert_snapshot!(shown(job, job::show::detail));
}

fn plan() -> Value {
    let cny = |micros: i64| json!({"micros": micros, "currency": "CNY"});
    json!({
        "candidates": [
            {"center": "lingang", "pool": "a100", "variant": 0, "data_ready_ms": NOW,
             "start_ms": NOW, "finish_ms": NOW + 120_000, "until_ms": NOW + 600_000,
             "price": cny(600_000), "energy_mwh": 26_700, "carbon_mg": 14_337, "staged_bytes": 0, "wait_ms": 0,
             "run_ms": 120_000, "limit_ms": 600_000,
             "run_from": {"from": "told", "speed_thousandths": 1_000},
             "chips_price": cny(600_000), "transfers_price": cny(0), "fetches": [],
             "risk": {"told": 80, "held": 77, "attempts": 91, "refused": 2, "lost": 1,
                "overrun_ms": 480_000},
             "behind": null},
            {"center": "kunshan", "pool": "dcu", "variant": 1, "data_ready_ms": NOW + 3_000,
             "start_ms": NOW + 3_000, "finish_ms": NOW + 243_000, "until_ms": NOW + 603_000,
             "price": cny(320_000), "energy_mwh": 41_000, "carbon_mg": 22_017, "staged_bytes": 256 << 20,
             "wait_ms": 3_000, "run_ms": 240_000, "limit_ms": 600_000,
             "run_from": {"from": "learned", "jobs": 9, "of_limit_thousandths": 400,
                "confidence_thousandths": 750, "on_this_chip": true},
             "chips_price": cny(300_000), "transfers_price": cny(20_000),
             "fetches": [{"dataset": "texts", "bytes": 256 << 20, "from": "lingang",
              "in_store": "tape", "recalled_ms": NOW + 1_000,
                "arrives_ms": NOW + 3_000, "price": cny(20_000), "is_under_way": false}],
             "risk": {"told": 0, "held": 0, "attempts": 0, "refused": 0, "lost": 0,
                "overrun_ms": 360_000},
             "behind": {"by": "time", "later_ms": 123_000}},
        ],
        "standings": [
            {"center": "kunshan", "reason": "worse", "may_pass": true,
             "text": "would finish 2m 3s later than the best, for 0.32 CNY"},
            {"center": "zhangjiang", "reason": "wrong-chip", "may_pass": false,
             "text": "has ascend-910b3, the job runs on any cuda chip or any hip chip, and there \
                      is no variant for it"},
        ],
        "ahead": 1,
        "quota": [{"flavor": "cuda", "path": [
            {"tenant": "lab", "quota": 8_000, "used": 12_000, "borrowed": 4_000},
            {"tenant": "city", "quota": 16_000, "used": 16_000, "borrowed": 0},
        ]}],
        "changes": {"goal": "none", "at": null, "found": [], "complete": true}
    })
}

fn changes() -> Value {
    let change = |field: &str, text: &str, center: &str, wait: u64| {
        json!({"field": field, "text": text, "to": null, "size_thousandths": 334,
            "at_once": wait == 0, "center": center, "pool": "a100", "start_ms": NOW + wait,
            "finish_ms": NOW + wait + 240_000,
            "price": {"micros": 7_200_000, "currency": "CNY"}})
    };
    json!({
        "goal": "start", "at": null, "complete": true,
        "found": [
            change("limit", "limit: 40m 0s instead of 1h 0m", "lingang", 0),
            change("nodes", "nodes: 1 instead of 2", "lingang", 600_000),
            change("variant", "a variant more, on: any ascend-cann-toolkit-and-more chip",
                "zhangjiang", 0),
        ]
    })
}

#[test]
fn a_plan_ticks_the_best_and_says_why_not_elsewhere() {
    insta::assert_snapshot!(shown(plan(), job::plan::planned));
}

#[test]
fn a_job_that_can_run_nowhere_is_told_so() {
    let mut plan = plan();
    plan["candidates"] = json!([]);
    plan["changes"]["goal"] = "run".into();
    insta::assert_snapshot!(shown(plan, job::plan::planned));
}

#[test]
fn why_tells_a_waiting_job_its_prospects_what_would_help_and_its_past() {
    let mut plan = plan();
    plan["changes"] = changes();
    let why = json!({
        "job": "job-42", "state": "waiting",
        "summary": "job-42 waits for lingang, where it can start soon; 1 job comes before it",
        "plan": plan,
        "tries": [attempt("job-42.1", "over", json!({"ended_ms": NOW - 150_000,
            "outcome": "preempted"}))]
    });
    insta::assert_snapshot!(shown(why, job::plan::explained));
}

#[test]
fn promises_are_told_by_how_far_ahead_by_center_and_with_what_broke_them() {
    let kept = |told: u64, held: u64, late: Option<u64>| {
        json!({"told": told, "held": held, "held_thousandths": held * 1_000 / told,
            "bias_ms": if late.is_some() { 90_500 } else { -4_000 }, "late_p50_ms": late,
            "late_p90_ms": late.map(|ms| ms * 2), "late_p99_ms": late.map(|ms| ms * 4),
            "late_max_ms": late.map(|ms| ms * 5)})
    };
    let all = json!({
        "since_ms": NOW - 86_400_000, "grace_ms": 1_000, "all": kept(131, 127, Some(44_000)),
        "withdrawn": 2,
        "horizons": [
            with(json!({"horizon": "at once"}), kept(100, 100, None)),
            with(json!({"horizon": "under 10m"}), kept(31, 27, Some(44_000))),
        ],
        "causes": [
            {"cause": "busy", "text": "its nodes were not free in time", "starts": 3},
            {"cause": "lost", "text": "its center was lost or cut off", "starts": 1},
        ],
        "centers": [with(json!({"name": "lingang"}), kept(131, 127, Some(44_000)))],
        "tenants": [with(json!({"name": "lab"}), kept(131, 127, Some(44_000)))],
    });
    insta::assert_snapshot!(shown(all, promise::record));
}

fn center(name: &str, more: Value) -> Value {
    let pool = |name: &str, chip: Value, chips: u64| {
        json!({
            "pool": name, "chip": chip, "nodes": 2, "chips_per_node": chips / 2_000,
            "cores_milli": 16_000, "memory_bytes": 32_u64 << 30, "chips_milli": chips,
            "chips_held_milli": chips / 4, "cores_held_milli": 3_500,
            "price_per_hour": {"micros": 9_000_000, "currency": "CNY"}
        })
    };
    let center = json!({
        "center": name, "owner": "lingang-compute", "region": "cn/yrd/shanghai/lingang",
        "latitude_micro": 30_900_000, "longitude_micro": -121_920_000,
        "time_zone": "Asia/Shanghai", "engine": "process", "attempts": 3,
        "pools": [pool("a100", json!("nvidia-a100-sxm4-80"), 16_000), pool("cpu", json!(null), 0)],
        "store_bytes": 64_u64 << 30, "pue_thousandths": 1_220, "lend_percent": 100,
        "only_tenants": ["lab"],
        "agent": {"version": "0.1.0", "engine": "process", "engine_version": "1",
            "enforcement": "cgroup: cpu and memory", "data_url": "http://127.0.0.1:7443"}
    });
    with(center, more)
}

#[test]
fn centers_show_their_pools_and_whether_their_agent_is_there() {
    let table = |centers: &wire::view::Centers, look: &Look| center::table(&centers.centers, look);
    insta::assert_snapshot!(shown(
        json!({"centers": [
            center("lingang", json!({})),
            center("kunshan", json!({"silent_since_ms": NOW - 65_000})),
            center("a-center-with-quite-a-long-name-in-the-west", json!({"agent": null})),
        ]}),
        table
    ));
    insta::assert_snapshot!("one_center", shown(center("lingang", json!({})), center::detail));
}

#[test]
fn links_and_transfers_fit_the_screen() {
    let end = |name: &str| json!({"kind": "center", "name": name});
    insta::assert_snapshot!(
        "links",
        shown(
            json!({"links": [{
                "link": "lingang--sh-ixp", "a": end("lingang"), "b": end("sh-ixp"),
                "is_cut": false, "capacity_bps": 10_000_000_000_u64, "booked_forward_bps": 2_500_000_000_u64,
                "booked_backward_bps": 0, "latency_us": 30, "carrier": "telecom",
                "price_per_gbps_hour": {"micros": 12_000_000, "currency": "CNY"},
                "risk_group": "lingang-duct", "planned_bps": 5_000_000_000_u64,
                "sla": {"round_trip_us": 900, "loss_ppm": null, "rate_percent": 95},
                "quality": {"round_trip_p99_us": 1_250, "loss_ppm": 833, "delivered_percent": 50,
                    "verdict": "broken", "broken_by": [], "windows_held": 3, "windows_judged": 4}
            }, {
                "link": "kunshan--sh-ixp", "a": end("kunshan"), "b": end("sh-ixp"),
                "is_cut": true, "capacity_bps": 1_000_000_000, "booked_forward_bps": 0, "booked_backward_bps": 0,
                "latency_us": 1_024, "carrier": "unicom",
                "price_per_gbps_hour": {"micros": 15_000_000, "currency": "CNY"},
                "planned_bps": 1_000_000_000, "sla": {},
                "quality": {"broken_by": [], "windows_held": 0, "windows_judged": 0}
            }]}),
            link::table
        )
    );
    insta::assert_snapshot!(
        "transfers",
        shown(
            json!({"transfers": [{
                "transfer": "transfer-3", "dataset": "generated", "version": "ab".repeat(32),
                "bytes": 256 << 20, "from": "zhangjiang", "to": "kunshan",
                "hops": ["zhangjiang--sh-ixp>", "kunshan--sh-ixp<"],
                "steps": [{"from_ms": NOW - 1_000, "until_ms": NOW + 2_000, "rate_bps": 1_000_000_000}],
                "arrives_ms": NOW + 2_000, "price": {"micros": 16_000, "currency": "CNY"},
                "done_bytes": 192 << 20, "coming_bps": 480_000_000, "expected_ms": NOW + 1_118
            }, {
                "transfer": "transfer-4", "dataset": "corpus", "version": "cd".repeat(32),
                "bytes": 1_u64 << 40, "from": "zhangjiang", "to": "lingang",
                "hops": ["zhangjiang--sh-ixp>", "lingang--sh-ixp<"],
                "steps": [{"from_ms": NOW + 1_000, "until_ms": NOW + 9_000_000, "rate_bps": 1_000_000_000}],
                "arrives_ms": NOW + 9_000_000, "price": {"micros": 16_000_000, "currency": "CNY"}
            }]}),
            transfer::table
        )
    );
}

#[test]
fn paths_and_circles_show_what_was_measured_and_what_is_taken_on_trust() {
    let measured = json!({
        "round_trip_p50_us": 988, "round_trip_p99_us": 1_250, "jitter_us": 12, "loss_ppm": 833,
        "delivered_bps": 480_000_000, "delivered_percent": 96, "verdict": "held", "broken_by": [],
        "windows_held": 287, "windows_judged": 288
    });
    insta::assert_snapshot!(
        "paths",
        shown(
            json!({"paths": [{"from": "lingang", "to": "zhangjiang", "quality": measured,
                "hops": ["lingang--sh-ixp>", "zhangjiang--sh-ixp<"], "declared_us": 473}]}),
            quality::table_of_paths
        )
    );
    let circle = |one_way_us: u64, centers: u64| {
        json!({"one_way_us": one_way_us, "centers": centers, "measured": 1, "chips": 16 * centers,
            "chips_permille": 500 * centers, "milli_tflops": 4_992_000 * centers,
            "speed_permille": 500 * centers})
    };
    let near = |center: &str, one_way_us: u64, basis: &str| json!({"center": center, "one_way_us": one_way_us, "basis": basis});
    let city = json!({"city": "cn/yrd/shanghai", "circles": [circle(1_000, 1), circle(3_000, 2)],
        "centers": [near("lingang", 0, "here"), near("kunshan", 1_054, "declared")]});
    let circles = json!({"cities": [city]});
    insta::assert_snapshot!("circles", shown(circles.clone(), quality::table_of_circles));
    insta::assert_snapshot!("circle_of_one_city", shown(circles, quality::table_of_centers));
}

#[test]
fn datasets_show_their_newest_version_and_its_copies() {
    let version = |digit: &str, replicas: Value, copies: Value| {
        json!({
            "version": digit.repeat(32), "bytes": 256 << 20, "files": 3,
            "registered_ms": NOW - 65_000, "residency": ["cn/yrd"], "replicas": replicas,
            "copies": copies, "wanted": [], "made_by": null
        })
    };
    let whole = |center: &str| {
        json!({"center": center, "state": "whole", "verified_ms": NOW - 60_000,
            "needed_ms": NOW - 10_000, "to_be_read": false})
    };
    let damaged = json!({"center": "kunshan", "state": "damaged", "chunks": 2});
    let both = json!([whole("lingang"), whole("zhangjiang"), damaged]);
    let dataset = json!({"dataset": "generated", "tenant": "lab", "keeping": {"copies": 2},
        "versions": [
            version("ab", json!(["lingang", "zhangjiang"]), both),
            version("cd", json!([]), json!([]))
        ]
    });
    let all = json!({"datasets": [dataset]});
    insta::assert_snapshot!("datasets", shown(all, dataset::table));
    insta::assert_snapshot!("versions", shown(dataset, dataset::versions));
}

#[test]
fn stores_show_how_full_they_are_and_why_copies_stay() {
    let store = json!({
        "center": "lingang", "capacity_bytes": 500_u64 << 30, "is_measured": true,
        "copies_bytes": 300_u64 << 30, "leaving_bytes": 0, "evictable_bytes": 120_u64 << 30,
        "coming_bytes": 20_u64 << 30, "other_bytes": 0, "free_bytes": 180_u64 << 30,
    });
    let mut declared = store.clone();
    declared["is_measured"] = json!(false);
    declared["center"] = json!("kunshan");
    insta::assert_snapshot!("stores", shown(json!({"stores": [declared, store]}), keeping::stores));
    let copy = |dataset: &str, stays: Value| {
        json!({
            "dataset": dataset, "version": "ab".repeat(32), "bytes": 100_u64 << 30,
            "state": "whole", "verified_ms": NOW - 86_400_000, "needed_ms": NOW - 3_600_000,
            "to_be_read": false, "stays": stays
        })
    };
    let mut damaged = copy("images", json!(null));
    (damaged["state"], damaged["chunks"]) = (json!("damaged"), json!(3));
    let copies = json!([
        copy("generated", json!(null)),
        copy("corpus", json!("2 copies are to be kept")),
        damaged
    ]);
    let detail = json!({"store": store, "copies": copies});
    insta::assert_snapshot!("one_store", shown(detail, keeping::store));
    let rules = json!({
        "copies": 2, "versions": 3, "expires_after_ms": 2_592_000_000_u64, "pinned": ["lingang"]
    });
    insta::assert_snapshot!("rules", shown(rules, keeping::rules));
}

#[test]
fn tenants_tokens_and_chips_fit_the_screen() {
    insta::assert_snapshot!(
        "tenants",
        shown(
            json!({"tenants": [{
                "tenant": "lab", "parent": null, "weight": 2, "home": "zhangjiang",
                "industry": "biomedicine", "classes": ["cuda", "cann"]
            }]}),
            network::tenants
        )
    );
    insta::assert_snapshot!(
        "tokens",
        shown(
            json!({"tokens": [
                {"token": "token-1", "role": "operator", "of": null, "label": "first operator",
                 "expires_ms": null},
                {"token": "token-2", "role": "center", "of": "lingang", "label": "",
                 "expires_ms": NOW + 2_592_000_000_u64}
            ]}),
            token::table
        )
    );
    insta::assert_snapshot!(
        "chips",
        shown(
            json!({"chips": [
                {"chip": "nvidia-a100-sxm4-80", "vendor": "NVIDIA", "model": "A100 SXM4 80GB",
                 "class": "cuda", "stack": "CUDA", "memory_bytes": 80_u64 << 30,
                 "memory_bytes_per_second": 2_039_000_000_000_u64,
                 "peak_milli_tflops": {"bf16": 312_000}, "power_watts": 400, "allocation_unit": 1,
                 "source": "maker", "confidence": "A", "notes": null},
                {"chip": "ascend-310p3", "vendor": "Huawei", "model": "310P3", "class": "cann",
                 "stack": "CANN", "memory_bytes": null, "memory_bytes_per_second": null,
                 "peak_milli_tflops": {}, "power_watts": null, "allocation_unit": 1,
                 "source": "maker", "confidence": "B", "notes": null}
            ]}),
            network::chips
        )
    );
}

#[test]
fn what_the_server_says_of_a_network_file_is_shown_at_its_place() {
    let files = wire::view::NetworkFiles {
        network: vec![wire::view::Document {
            name: "net.toml".into(),
            text: "[[link]]\nlink = \"x\"\na = \"nowhere\"\n".into(),
        }],
        chips: Vec::new(),
    };
    let error = wire::view::SpecError {
        at: "net.toml:3:5".into(),
        said: "there is no `nowhere`".into(),
        expected: "a center or an exchange".into(),
    };
    let places = network::located(&[error], &files).expect("it has a place");
    let look = Look { now: Moment(NOW), width: Some(80), color: false };
    insta::assert_snapshot!(failure::documents(&places, &look));
}

#[test]
fn the_shipped_networks_are_well_said() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog/networks/");
    let text = std::fs::read_to_string(format!("{folder}laptop.toml")).unwrap();
    let files = wire::view::NetworkFiles {
        network: vec![wire::view::Document { name: "laptop.toml".into(), text }],
        chips: Vec::new(),
    };
    let declared = network::check(&files).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_eq!(
        declared.to_string(),
        "well said: 3 centers, 1 exchanges, 3 links, 3 tenants, 0 chips"
    );
}
