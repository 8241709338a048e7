use crate::enclosure::there_is;
use crate::{config, fresh_network};
use engines::conformance::{Finding, Site, Verdict, check};
use engines::{AnyEngine, Capacity, Isolation, ProcessEngine, TimerEngine};
use model::{Bytes, Cores};

pub(crate) fn assert_conforms(findings: &[Finding]) {
    let broken: Vec<String> = findings
        .iter()
        .filter(|finding| matches!(finding.verdict, Verdict::Broken(_)))
        .map(ToString::to_string)
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_engine_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let network = fresh_network();
    let site = Site { network, place: None };
    let open =
        async || ProcessEngine::open(config(dir.path(), network)).await.map(AnyEngine::Process);
    let findings = check(&site, open, |_| ()).await.unwrap();
    assert_conforms(&findings);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Met));
    let left: Vec<_> = std::fs::read_dir(dir.path().join(network.to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name != "lock" && name != "wake" && name != "supervisors.log")
        .collect();
    assert!(left.is_empty(), "{left:?} left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_process_engine_conforms_with_sandboxes() {
    if !there_is("bwrap") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let network = fresh_network();
    let site = Site { network, place: None };
    let sandboxed = || {
        let mut config = config(dir.path(), network);
        config.options.isolation = Isolation::Bubblewrap;
        config
    };
    let open = async || ProcessEngine::open(sandboxed()).await.map(AnyEngine::Process);
    let findings = check(&site, open, |_| ()).await.unwrap();
    assert_conforms(&findings);
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::Met));
}

#[tokio::test]
async fn an_engine_that_starts_nothing_is_asked_no_further() {
    let dir = tempfile::tempdir().unwrap();
    let network = fresh_network();
    let site = Site { network, place: None };
    let broken = || {
        let mut config = config(dir.path(), network);
        config.supervisor.program = "/bin/false".into();
        config.supervisor.arguments.clear();
        config
    };
    let open = async || ProcessEngine::open(broken()).await.map(AnyEngine::Process);
    let findings = check(&site, open, |_| ()).await.unwrap();
    let last = findings.last().unwrap();
    assert_eq!((findings.len(), last.requirement), (1, "a command is started at all"));
    let why = |why: &String| why.contains("its supervisor ended at once (exit status: 1)");
    assert!(matches!(&last.verdict, Verdict::Broken(said) if why(said)), "{last}");
}

#[tokio::test]
async fn the_timer_engine_conforms() {
    let capacity = Capacity { cpu: Cores(64_000), memory: Bytes(1 << 40) };
    let network = fresh_network();
    let site = Site { network, place: None };
    let open =
        async || Ok::<_, engines::Error>(AnyEngine::Timer(TimerEngine::new(network, capacity)));
    let findings = check(&site, open, |_| ()).await.unwrap();
    assert_conforms(&findings);
    assert!(findings.iter().any(|finding| finding.verdict == Verdict::Met));
}
