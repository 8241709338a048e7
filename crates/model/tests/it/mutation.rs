//! Whatever is done to a document, reading it ends in words or in diagnostics that print.

use crate::{chips, lines, text};
use model::file::job::{self, Format};
use model::file::{Catalog, Diagnostic, chip, network};
use model::{Moment, TenantId};
use proptest::prelude::*;
use std::sync::LazyLock;

static CATALOG: LazyLock<Catalog> = LazyLock::new(chips);
static LAPTOP: LazyLock<String> = LazyLock::new(|| text("networks/laptop.toml"));
static CHIP: LazyLock<String> = LazyLock::new(|| text("chips/ascend-910c.toml"));

const JOB: &str = include_str!("everything.yaml");

/// A change: at this share of the text, take out so many characters and put these in.
fn change() -> impl Strategy<Value = (f64, usize, String)> {
    let put = prop_oneof![
        "[\\PC\n]{0,6}",
        prop::sample::select(vec![
            "\"",
            "'",
            "[[",
            "]]",
            "{",
            "}",
            "=",
            ":",
            "-",
            "\n",
            "\t",
            "\0",
            "&a ",
            "*a",
            "<<: ",
            "!!int ",
            "99999999999999999999",
            "-1",
            "1e400",
            "nan",
            "..",
            "µ",
            "\u{feff}",
            "#",
        ])
        .prop_map(str::to_owned),
    ];
    (0.0..1.0, 0..12_usize, put)
}

fn changed(text: &str, changes: &[(f64, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (share, taken, put) in changes {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below len")]
        let at = (chars.len() as f64 * share) as usize;
        let end = (at + taken).min(chars.len());
        chars.splice(at..end, put.chars());
    }
    chars.into_iter().collect()
}

/// Prints diagnostics in every way they can be printed.
fn print(wrong: &[Diagnostic]) {
    assert!(!wrong.is_empty());
    let handler = miette::NarratableReportHandler::new();
    for diagnostic in wrong {
        let mut out = String::new();
        handler.render_report(&mut out, diagnostic).unwrap();
    }
    assert!(!lines(wrong).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_network_file_panics(changes in prop::collection::vec(change(), 1..4)) {
        let document = changed(&LAPTOP, &changes);
        if let Err(wrong) = network::read(&[("net.toml", &document)], &CATALOG) {
            print(&wrong);
        }
    }

    #[test]
    fn no_chip_file_panics(changes in prop::collection::vec(change(), 1..4)) {
        if let Err(wrong) = chip::read("chip.toml", &changed(&CHIP, &changes)) {
            print(&wrong);
        }
    }

    #[test]
    fn no_job_file_panics(changes in prop::collection::vec(change(), 1..4)) {
        let document = changed(JOB, &changes);
        for format in [Format::Yaml, Format::Toml] {
            match job::read("job", &document, format) {
                Err(wrong) => print(&wrong),
                // What reads without problems is a job at once, but for what time itself changes.
                Ok(job) => drop(job.spec(TenantId::new("lab").unwrap(), Moment(1)).unwrap()),
            }
        }
    }

    #[test]
    fn no_json_body_panics(changes in prop::collection::vec(change(), 1..4)) {
        let job = job::read("job", JOB, Format::Yaml).unwrap();
        let body = serde_json::to_string(&job).unwrap();
        if let Ok(job) = serde_json::from_str::<job::JobFile>(&changed(&body, &changes)) {
            drop(job.spec(TenantId::new("lab").unwrap(), Moment(1)));
        }
    }
}
