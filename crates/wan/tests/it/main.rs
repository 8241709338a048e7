//! Networks on this machine's kernel. Where none can be started, each test says so and passes.

mod command;
mod traffic;

use std::io::Write;
use std::path::Path;
use wan::{Options, Topology, Wan};

/// Two sites, one link.
const PAIR: &str = "[[site]]\nname = \"east\"\n[[site]]\nname = \"west\"\n\
                    [[link]]\nbetween = [\"east\", \"west\"]\n";

/// A running network of two sites whose link has these further keys, or none where it cannot be.
fn pair(keys: &str) -> Option<Wan> {
    start(&format!("{PAIR}{keys}\n"), Options::default())
}

fn start(text: &str, options: Options) -> Option<Wan> {
    if is_skipped() {
        return None;
    }
    Some(Wan::start(&topology(text), options).expect("the network starts"))
}

fn topology(text: &str) -> Topology {
    Topology::parse("test.toml", text).expect("the topology is right")
}

/// Whether there can be no network here; says so where people see it even if all is well.
fn is_skipped() -> bool {
    let obstacle = Wan::obstacle();
    if let Some(why) = &obstacle {
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        writeln!(std::io::stderr(), "skipped {name}: {why}").expect("stderr is there");
    }
    obstacle.is_some()
}

fn is_there(namespace: &str) -> bool {
    Path::new("/run/netns").join(namespace).exists()
}

#[test]
fn a_network_is_removed_with_its_processes_even_when_a_test_panics() {
    let Some(wan) = pair("") else { return };
    let names: Vec<_> = wan.sites().map(|site| site.namespace().to_owned()).collect();
    let east = wan.site("east").unwrap();
    let mut left = east.command("sleep").arg("1000").spawn().expect("it starts");
    // It is inside once its namespace is another than ours.
    let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    while of(&left.id().to_string()).unwrap() == of("self").unwrap() {
        std::thread::yield_now();
    }
    assert!(names.iter().all(|name| is_there(name)));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _wan = wan;
        panic!("as a test does");
    }));
    assert!(panicked.is_err());
    assert!(!names.iter().any(|name| is_there(name)));
    assert!(!left.wait().expect("it ends").success(), "it was killed");
}

#[test]
fn two_networks_may_run_at_once_but_not_under_one_prefix() {
    let (Some(one), Some(other)) = (pair(""), pair("")) else { return };
    assert_ne!(one.prefix(), other.prefix());
    let prefix = Some(one.prefix().to_owned());
    let refused = Wan::start(&topology(PAIR), Options { prefix, ..Options::default() });
    let said = refused.expect_err("it is in use").to_string();
    assert!(said.contains(one.prefix()) && said.contains("choose another"), "{said}");
    assert!(is_there(one.site("east").unwrap().namespace()));
}

#[test]
fn names_that_are_not_there_are_answered_with_those_that_are() {
    let Some(wan) = pair("") else { return };
    let said = wan.site("south").unwrap_err().to_string();
    assert!(said.contains("`east`, `west`"), "{said}");
    let said = wan.link_named("east-south").unwrap_err().to_string();
    assert!(said.contains("`east-west`"), "{said}");
    assert_eq!(wan.link_named("west-east").unwrap().name(), "east-west");
    assert_eq!(wan.direction("west", "east").unwrap().to(), "east");
}
