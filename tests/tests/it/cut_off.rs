//! Centers that cannot be heard, servers that are gone, and what jobs do meanwhile.

use whole_system::{Net, Plan, Witnesses};

/// Long enough to be alive when something else happens, short in every later attempt.
const LONG_AT_FIRST: &str = "if [ $PORTOLAN_EPOCH = 1 ]; then sleep 60; fi";

/// A job that moves when cut off runs in some center; cuts that center's line. Returns the job and
/// its witnesses once its second attempt has ended.
async fn cut_off_while_it_runs(net: &mut Net, lease: &str, kill_agent: bool) -> Witnesses {
    let witnesses = Witnesses::below(net.dir());
    let mut job = witnesses.job("mover", LONG_AT_FIRST);
    job["when_cut_off"] = "move".into();
    job["lease"] = lease.into();
    let job = net.submit("lab", &job).await;
    let running = net.in_state(job, "running").await;
    let center = running.job.center.unwrap().to_string();
    let alone = async || (witnesses.of(job) == [(1, false)]).then_some(());
    net.until("its first attempt holds the lock", alone).await;

    net.cut(&center);
    if kill_agent {
        net.kill_agent(&center);
    }
    let elsewhere = |job: &wire::view::JobDetail| {
        job.tries.len() == 2 && job.tries[1].center.as_str() != center
    };
    let placed = net.job_once(job, "is placed in another center", elsewhere).await;
    assert_eq!(placed.tries[0].outcome.as_deref(), Some("its lease expired"));
    net.job_once(job, "has ended its second attempt", |job| {
        job.tries.get(1).is_some_and(|attempt| attempt.ended_ms.is_some())
    })
    .await;
    witnesses
}

/// A server that soon takes a center for silent, and gives a lease two seconds' margin.
fn impatient() -> Plan {
    Plan::laptop().serve(&["--silent-after", "1s", "--lease-margin", "2s", "--poll", "500ms"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_agent_dead_and_line_cut_a_job_stops_itself_before_it_runs_elsewhere() {
    let mut net = impatient().start().await;
    let witnesses = cut_off_while_it_runs(&mut net, "3s", true).await;
    assert_eq!(witnesses.violations(), Vec::<String>::new());
    let jobs = net.jobs().await;
    assert_eq!(jobs[0].state, "completed", "{:?}", jobs[0]);
    assert_eq!(witnesses.of(jobs[0].job), [(1, false), (2, true)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_center_that_comes_back_does_not_run_what_moved_away() {
    let mut net = impatient().start().await;
    let witnesses = cut_off_while_it_runs(&mut net, "3s", false).await;
    for center in net.centers() {
        net.mend(&center);
        net.until_there(&center).await;
    }
    let gone = async || (net.attempts_processes() == 0).then_some(());
    net.until("nothing of the first attempt is left", gone).await;
    assert_eq!(witnesses.violations(), Vec::<String>::new());
    assert_eq!(net.jobs().await[0].attempts, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fencing_the_same_is_seen_to_run_twice_at_once() {
    let mut net = impatient().serve(&["--sabotage", "no-fencing"]).start().await;
    // The lease outlasts the silence by far, as it must not without harm.
    let witnesses = cut_off_while_it_runs(&mut net, "30s", false).await;
    let violations = witnesses.violations();
    assert!(!violations.is_empty(), "the witnesses saw nothing");
    assert!(violations[0].contains("while another attempt was alive"), "{violations:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_gone_jobs_that_hold_finish_and_are_recorded_afterwards() {
    let mut net = impatient().start().await;
    let witnesses = Witnesses::below(net.dir());
    let job = net.submit("lab", &witnesses.job("holder", "sleep 6; echo done")).await;
    net.in_state(job, "running").await;
    net.kill_server();
    // Longer than the silence and the margin together; the job ends in the meantime.
    let done = async || (witnesses.of(job) == [(1, true)]).then_some(());
    net.until("the job is done without a server", done).await;
    net.start_server().await;
    let ended = net.ended(job).await;
    assert_eq!((ended.job.state.as_str(), ended.job.attempts), ("completed", 1));
    assert_eq!(net.output(job).await, "done\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_holds_waits_for_its_silent_center_and_ends_where_it_began() {
    let net = impatient().start().await;
    let witnesses = Witnesses::below(net.dir());
    let job = net.submit("lab", &witnesses.job("holder", "sleep 6")).await;
    let running = net.in_state(job, "running").await;
    let center = running.job.center.unwrap().to_string();
    net.cut(&center);
    let silent = async || {
        let center: wire::view::Center =
            net.operator().get(&format!("/v1/centers/{center}")).await.ok();
        center.silent_since_ms
    };
    net.until("the center is taken for silent", silent).await;
    let done = async || (witnesses.of(job) == [(1, true)]).then_some(());
    net.until("the job is done behind the cut line", done).await;
    let unknown = net.job(job).await;
    assert_eq!((unknown.job.state.as_str(), unknown.job.attempts), ("running", 1));
    net.mend(&center);
    let ended = net.ended(job).await;
    assert_eq!((ended.job.state.as_str(), ended.job.attempts), ("completed", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_center_declared_lost_gives_its_jobs_back() {
    let mut net = impatient().start().await;
    let witnesses = Witnesses::below(net.dir());
    let job = net.submit("lab", &witnesses.job("holder", LONG_AT_FIRST)).await;
    let running = net.in_state(job, "running").await;
    let center = running.job.center.unwrap().to_string();
    // Its host burned down: agent, supervisors, all.
    net.burn(&center);
    let declared = net.operator().post(&format!("/v1/centers/{center}/lost"), &().into()).await;
    assert!(declared.status < 300, "{} {}", declared.status, declared.text);
    let ended = net.ended(job).await;
    assert_eq!((ended.job.state.as_str(), ended.job.attempts), ("completed", 2));
    assert!(ended.tries[0].outcome.as_deref().unwrap().contains("declared lost"), "{ended:?}");
    assert_eq!(witnesses.violations(), Vec::<String>::new());
}
