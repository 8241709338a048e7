//! What becomes of the start a job was told.

use model::attempt::{Ended, Outcome, Stop};
use model::fact::{
    AttemptEnded, AttemptTouched, Fact, JobEnded, JobOffered, JobPromised, JobReleased,
    JobRequeued, JobSubmitted, JobTouched, JobsArchived, NetworkCreated,
};
use model::file::job::Format;
use model::{
    AttemptId, Bytes, CenterId, Currency, JobEnd, JobId, Moment, Money, NetworkUid, PartPlacement,
    Placement, PlanId, PoolId, Refused, Span, TenantId, TokenId, TransferId,
};
use std::sync::Arc;
use world::{Tally, World};

const JOB: JobId = JobId::new(1);

fn moment(text: &str) -> Moment {
    Moment(text.parse::<u64>().unwrap() * 1_000)
}

fn center(name: &str) -> CenterId {
    CenterId::new(name).unwrap()
}

fn submitted() -> Fact {
    let text = "name = \"j\"\ncommand = [\"true\"]\nlimit = \"10m\"\n";
    let file = model::file::job::read("job.toml", text, Format::Toml).unwrap();
    let spec = Arc::new(file.spec(TenantId::new("lab").unwrap(), Moment(1)).unwrap());
    Fact::JobSubmitted(Arc::new(JobSubmitted { job: JOB, spec, by: TokenId::new(1), key: None }))
}

/// An offer for this start, that waits for so many transfers.
fn offered(epoch: u32, start: Moment, at: &str, transfers: u64) -> Fact {
    let part = PartPlacement {
        center: center(at),
        pool: PoolId::new("p").unwrap(),
        variant: 0,
        nodes: Vec::new(),
        flavor: None,
        worth: 1_000,
    };
    let placement = Placement {
        plan: PlanId::new(1),
        parts: vec![part],
        start,
        until: start,
        finish: start,
        price: Money::zero(Currency::CNY),
        inputs: Vec::new(),
        awaits: (1..=transfers).map(TransferId::new).collect(),
        streams: Vec::new(),
        inside: None,
    };
    let attempt = AttemptId { job: JOB, epoch };
    Fact::JobOffered(JobOffered { attempt, placement: Arc::new(placement) })
}

fn outcome(word: &str) -> Outcome {
    match word {
        "done" => Outcome::Exited { code: 0 },
        "refused" => Outcome::Refused(Refused::Drained),
        "lost" => Outcome::Lost { why: "gone".into() },
        "preempted" => Outcome::Stopped(Stop::Preempted),
        other => panic!("{other}"),
    }
}

/// The fact of a line such as `60 offer 60 a`: the second, what happens, and its terms.
fn fact(words: &[&str], epoch: &mut u32) -> Fact {
    let attempt = AttemptId { job: JOB, epoch: *epoch };
    let touched = AttemptTouched { attempt };
    let by = JobTouched { job: JOB, by: TokenId::new(1) };
    match words {
        ["submit"] => submitted(),
        ["promise", start, at] => {
            let (start, plan) = (moment(start), PlanId::new(1));
            let center = (*at != "?").then(|| center(at));
            Fact::JobPromised(JobPromised { job: JOB, start, plan, center })
        }
        ["offer", start, at, rest @ ..] => {
            *epoch += 1;
            offered(*epoch, moment(start), at, rest.len().try_into().unwrap())
        }
        ["start"] => Fact::AttemptStarted(touched),
        ["over", how] => {
            let (ran, cpu, memory) = (Span(1), Span(1), Bytes(1));
            let ended = Ended { outcome: outcome(how), ran, cpu, memory };
            Fact::AttemptEnded(AttemptEnded { attempt, ended })
        }
        ["requeue", rest @ ..] => {
            let held = !rest.is_empty();
            Fact::JobRequeued(JobRequeued { job: JOB, not_before: Moment::ZERO, held })
        }
        ["hold"] => Fact::JobHeld(by),
        ["release"] => Fact::JobReleased(JobReleased { job: JOB, by: by.by, blocked: false }),
        ["end"] => Fact::JobEnded(JobEnded { job: JOB, end: JobEnd::Canceled }),
        ["archive"] => Fact::JobsArchived(JobsArchived { jobs: vec![JOB] }),
        other => panic!("{other:?}"),
    }
}

fn told(tally: &Tally) -> String {
    let all = tally.all();
    let ahead: Vec<&str> = tally.horizons.keys().map(|horizon| horizon.words()).collect();
    let causes: Vec<&str> = tally.causes.keys().map(|cause| cause.token()).collect();
    match (all.told, tally.withdrawn) {
        (0, 0) => "nothing".to_owned(),
        (0, _) => "withdrawn".to_owned(),
        (_, 0) if all.held == all.told => format!("held, told {}", ahead.join(" ")),
        (_, 0) => format!("late {}, {}", all.most_late, causes.join(" ")),
        _ => format!("withdrawn once, then {} of {} held", all.held, all.told),
    }
}

fn check(story: &str, expected: &str, at: &[&str]) {
    let (mut world, mut epoch) = (World::default(), 0);
    let created = NetworkCreated { network: NetworkUid::from_bytes([1; 8]) };
    world.fold(Moment::ZERO, &Fact::NetworkCreated(created)).unwrap();
    for line in story.split(';').map(str::trim) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let fact = fact(&words[1..], &mut epoch);
        world.fold(moment(words[0]), &fact).unwrap_or_else(|why| panic!("{line}: {why}"));
    }
    let lab = TenantId::new("lab").unwrap();
    assert_eq!(told(&world.promises.of_tenant(&lab, Moment::ZERO)), expected, "{story}");
    assert_eq!(told(&world.promises.all(Moment::ZERO)), expected, "{story}");
    let centers: Vec<String> =
        world.promises.by_center(Moment::ZERO).keys().map(ToString::to_string).collect();
    assert_eq!(centers, at, "{story}");
    // A snapshot keeps all of it.
    let kept = serde_json::to_string(&world.promises).unwrap();
    assert_eq!(serde_json::from_str::<world::Promises>(&kept).unwrap(), world.promises);
}

#[test]
fn a_start_holds_or_is_beaten_and_is_told_once() {
    check("0 submit; 0 offer 0 a; 1 start", "held, told at once", &["a"]);
    check("0 submit; 5 promise 65 a; 60 offer 60 a; 61 start", "held, told under 10m", &["a"]);
    // What it is told later does not count, and neither does what comes after its first start.
    let again = "0 submit; 5 promise 65 a; 9 promise 900 a; 20 offer 20 a; 20 start; \
                 30 over lost; 30 requeue; 500 offer 500 b; 500 start; 501 over done; 501 end; \
                 502 archive";
    check(again, "held, told under 10m", &["a"]);
    check("0 submit; 0 promise 7200 ?; 60 offer 60 b; 60 start", "held, told under 6h", &["b"]);
    check("0 submit; 5 promise 65 a", "nothing", &[]);
}

#[test]
fn a_late_start_tells_why() {
    check("0 submit; 5 promise 65 a; 90 offer 90 a; 95 start", "late 30s, busy", &["a"]);
    check("0 submit; 5 promise 65 a; 90 offer 90 b; 95 start", "late 30s, moved", &["a"]);
    check("0 submit; 5 promise 65 a; 60 offer 65 a; 95 start", "late 30s, slow", &["a"]);
    check("0 submit; 5 promise 65 a; 60 offer 65 a data; 95 start", "late 30s, data", &["a"]);
    for (how, why) in [("refused", "refused"), ("lost", "lost"), ("preempted", "preempted")] {
        let story = format!(
            "0 submit; 5 promise 65 a; 60 offer 65 a; 61 over {how}; 61 requeue; 95 offer 95 b; \
             95 start"
        );
        check(&story, &format!("late 30s, {why}"), &["a"]);
    }
    check("0 submit; 5 promise 65 a; 95 end", "late 30s, never", &["a"]);
}

#[test]
fn a_start_the_tenant_gave_up_is_not_counted_against_anybody() {
    check("0 submit; 5 promise 65 a; 30 end", "withdrawn", &["a"]);
    check("0 submit; 5 promise 65 a; 30 hold", "withdrawn", &["a"]);
    let held = "0 submit; 5 promise 65 a; 60 offer 65 a; 61 over lost; 61 requeue held";
    check(held, "withdrawn", &["a"]);
    // Once it is released it is told anew.
    let again = "0 submit; 5 promise 65 a; 30 hold; 900 release; 900 promise 960 a; \
                 950 offer 950 a; 950 start";
    check(again, "withdrawn once, then 1 of 1 held", &["a"]);
}
