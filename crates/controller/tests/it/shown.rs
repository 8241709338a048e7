//! What centers show of themselves, and what follows from it: admission, size, speed.

use super::{NETWORK, Stage, attempt, center, ended, job, operator};
use controller::{Answer, Command, Input, Rejected, Settings};
use model::attempt::Outcome;
use model::fact::{CenterChecked, CommandSaid, PoolMeasured, PoolShown};
use model::{
    Bytes, ChipId, Cores, Digest, EngineKind, Figure, JobId, Moment, PoolId, Principal, Role, Span,
    TokenId, Unit,
};
use wire::Report;

fn pool(name: &str) -> PoolId {
    PoolId::new(name).unwrap()
}

/// A check of a center in which so many requirements of sixteen were met.
fn checked(name: &str, met: u32, pools: Vec<PoolShown>) -> CenterChecked {
    CenterChecked {
        center: center(name),
        taken: Moment(900),
        engine: EngineKind::Process,
        version: "1".into(),
        enforcement: "time limits only".into(),
        met,
        asked: 16,
        broken: vec![],
        pools,
        by: TokenId::new(0),
    }
}

fn size(name: &str, nodes: u32) -> PoolShown {
    PoolShown {
        pool: pool(name),
        nodes: Some(nodes),
        chips_per_node: None,
        cores: None,
        memory: None,
    }
}

/// What a command said of a chip of a pool, in TFLOPS.
fn measured(name: &str, of: &str, chip: &str, tflops: u64) -> PoolMeasured {
    let figure = Figure {
        name: "gemm".into(),
        unit: Unit::FlopPerSecond,
        samples: vec![tflops * 1_000_000_000_000],
        how: "as the command says".into(),
    };
    let output = format!("{tflops} TFLOPS\n");
    let said = CommandSaid {
        command: vec!["gemm".into()],
        chip: Some(ChipId::new(chip).unwrap()),
        precision: "bf16".into(),
        figure: Some(figure),
        output_bytes: output.len() as u64,
        output_digest: Digest::of(output.as_bytes()),
        output,
    };
    PoolMeasured {
        center: center(name),
        pool: pool(of),
        chip: None,
        verified: None,
        taken: Moment(900),
        host: "node1".into(),
        figures: vec![],
        commands: vec![said],
        by: TokenId::new(0),
    }
}

impl Stage {
    fn ask(&mut self, by: Principal, command: Command) -> Answer {
        let request = 1_000_000;
        self.step(vec![Input::Command { request, by, command }]);
        self.answers.remove(&request).expect("every command is answered")
    }

    fn shows(&mut self, checked: CenterChecked) {
        let answer = self.ask(operator(), Command::ShowCheck(Box::new(checked)));
        assert!(matches!(answer, Answer::Done), "{answer:?}");
    }

    fn refusal(&self, job: JobId, name: &str) -> String {
        let standings = self.standings(job);
        let standing = standings.iter().find(|standing| standing.center == center(name));
        standing.unwrap().refusal.to_string()
    }
}

/// The laptop network, which asks this of its centers.
fn asking(readiness: &str) -> Stage {
    let network = format!("{NETWORK}\n[admission]\nreadiness = {readiness}\n");
    let mut stage = Stage::of(&network, Settings::default());
    for name in ["lingang", "zhangjiang", "kunshan"] {
        stage.join(name);
    }
    stage
}

#[test]
fn a_center_gets_work_when_it_has_shown_what_the_network_asks() {
    let mut stage = asking("\"16 of 16\"");
    let job = stage.submit(job("on = \"cann\"\nchips = 2"));
    assert_eq!(
        stage.refusal(job, "zhangjiang"),
        "not admitted: no check was handed in, 16 of 16 are asked"
    );
    stage.shows(checked("zhangjiang", 14, vec![]));
    assert_eq!(
        stage.refusal(job, "zhangjiang"),
        "not admitted: shows 14 of 16, 16 of 16 are asked"
    );
    // Its agent comes anew; that alone changes nothing.
    stage.join("zhangjiang");
    assert_eq!(stage.state(job), "waiting");
    stage.shows(checked("zhangjiang", 16, vec![]));
    assert_eq!(stage.state(job), "offered at zhangjiang/ascend");
    // What runs goes on when a later check shows less; nothing new comes.
    stage.report("zhangjiang", Report::Started { attempt: attempt("job-1.1") });
    stage.shows(checked("zhangjiang", 12, vec![]));
    assert_eq!(stage.state(job), "running at zhangjiang/ascend");
    let next = stage.submit(super::job("on = \"cann\"\nchips = 2"));
    assert_eq!(stage.state(next), "waiting");
    stage.restart();
    assert_eq!(
        stage.refusal(next, "zhangjiang"),
        "not admitted: shows 12 of 16, 16 of 16 are asked"
    );
    stage.audit();
}

#[test]
fn a_share_is_asked_and_nothing_is_where_it_is_none() {
    let mut stage = asking("0.75");
    stage.shows(checked("zhangjiang", 12, vec![]));
    let one = stage.submit(job("on = \"cann\"\nchips = 2"));
    assert_eq!(stage.state(one), "offered at zhangjiang/ascend");
    let other = stage.submit(job("on = \"cuda\"\nchips = 2"));
    assert_eq!(
        stage.refusal(other, "lingang"),
        "not admitted: no check was handed in, 75 % are asked"
    );
    let file = model::file::network::read(
        &[("a.toml", "[admission]\nreadiness = 0\n")],
        &model::file::Catalog::default(),
    );
    let declarations =
        controller::Declarations { admission: file.unwrap().admission, ..Default::default() };
    stage.command(Command::Apply(Box::new(declarations)));
    assert_eq!(stage.state(other), "offered at lingang/a100");
    stage.audit();
}

#[test]
fn a_center_that_declares_more_than_it_shows_is_planned_with_as_it_shows_itself() {
    let mut stage = Stage::laptop();
    let gang = "on = \"cuda\"\nchips = 8\nnodes = 2";
    stage.shows(checked("lingang", 16, vec![size("a100", 1)]));
    let waits = stage.submit(job(gang));
    assert_eq!(stage.refusal(waits, "lingang"), "it has 1 nodes together, the gang wants 2");
    // Declaring it again is no news, and no second node.
    let network = model::file::network::read(
        &[("laptop.toml", NETWORK)],
        &model::file::Catalog::read(&super::CHIPS).unwrap(),
    );
    let declarations =
        controller::Declarations { centers: network.unwrap().centers, ..Default::default() };
    let answer = stage.command(Command::Apply(Box::new(declarations)));
    assert!(matches!(answer, Answer::Applied { changed: 0 }), "{answer:?}");
    assert_eq!(stage.state(waits), "waiting");
    // More than was declared changes nothing but that.
    let more = PoolShown {
        cores: Some(Cores(1_000_000)),
        memory: Some(Bytes(u64::MAX)),
        ..size("a100", 9)
    };
    stage.shows(checked("lingang", 16, vec![more]));
    assert_eq!(stage.state(waits), "offered at lingang/a100");
    // Under what runs nothing is taken away.
    let less = Command::ShowCheck(Box::new(checked("lingang", 16, vec![size("a100", 1)])));
    let answer = stage.ask(operator(), less.clone());
    let Answer::Rejected(Rejected::Conflict { why }) = answer else { panic!("{answer:?}") };
    assert!(why.starts_with("job-1.1 holds nodes that center lingang would lose"), "{why}");
    let attempt = attempt("job-1.1");
    stage.report("lingang", Report::Started { attempt });
    let ended = ended(Outcome::Exited { code: 0 });
    stage.report("lingang", Report::Ended { attempt, ended, outputs: vec![] });
    assert!(matches!(stage.ask(operator(), less), Answer::Done));
    stage.audit();
}

#[test]
fn chips_that_were_not_shown_are_not_planned_with() {
    let mut stage = Stage::laptop();
    let shows = |chips: u16| PoolShown { chips_per_node: Some(chips), ..size("a100", 2) };
    // Nodes without any of its chips are none of the pool's.
    stage.shows(checked("lingang", 16, vec![shows(0)]));
    let waits = stage.submit(job("on = \"cuda\"\nchips = 8"));
    assert_eq!(stage.refusal(waits, "lingang"), "none of its nodes is there to plan with");
    stage.shows(checked("lingang", 16, vec![shows(4)]));
    assert_eq!(stage.refusal(waits, "lingang"), "a node has 4 chips, the job wants 8 on each");
    // Under what runs there may come to be more, but not less.
    let small = stage.submit(job("on = \"cuda\"\nchips = 4"));
    assert_eq!(stage.state(small), "offered at lingang/a100");
    let less = Command::ShowCheck(Box::new(checked("lingang", 16, vec![shows(3)])));
    let answer = stage.ask(operator(), less);
    assert!(matches!(answer, Answer::Rejected(Rejected::Conflict { .. })), "{answer:?}");
    stage.shows(checked("lingang", 16, vec![shows(9)]));
    assert_eq!(stage.state(waits), "offered at lingang/a100");
    stage.audit();
}

#[test]
fn only_the_center_itself_or_an_operator_says_what_it_shows() {
    let mut stage = Stage::laptop();
    let by = |role: Role| Principal { role, token: TokenId::new(3) };
    let check = |name: &str| Command::ShowCheck(Box::new(checked(name, 16, vec![])));
    let own = by(Role::Center(center("lingang")));
    assert!(matches!(stage.ask(own.clone(), check("lingang")), Answer::Done));
    let answer = stage.ask(own.clone(), check("kunshan"));
    assert!(matches!(answer, Answer::Rejected(Rejected::Forbidden { .. })), "{answer:?}");
    let bench = measured("kunshan", "dcu", "hygon-k100-ai", 90);
    let answer = stage.ask(own, Command::ShowBench(Box::new(bench)));
    assert!(matches!(answer, Answer::Rejected(Rejected::Forbidden { .. })), "{answer:?}");
    // An engine that the center is not declared with, more met than asked, a pool that is not there.
    let wrong = [
        CenterChecked { engine: EngineKind::Timer, ..checked("lingang", 16, vec![]) },
        checked("lingang", 17, vec![]),
        checked("lingang", 16, vec![size("nowhere", 1)]),
        checked("nowhere", 16, vec![]),
    ];
    for wrong in wrong {
        let answer = stage.ask(operator(), Command::ShowCheck(Box::new(wrong)));
        assert!(matches!(answer, Answer::Rejected(_)), "{answer:?}");
    }
    stage.audit();
}

/// Two pools with the same chips, the first of which is cheaper.
fn two_of_a_kind() -> Stage {
    let of = |name: &str, price: u32| {
        format!(
            "[[center]]\ncenter = \"{name}\"\nowner = \"{name}\"\nregion = \"cn/{name}\"\n\
             latitude = 31\nlongitude = 121\ntime_zone = \"Asia/Shanghai\"\nengine = \"process\"\n\
             [[center.pool]]\npool = \"p\"\nchip = \"nvidia-a100-sxm4-80\"\nnodes = 1\n\
             chips_per_node = 8\ncores = 64\nmemory = \"256 GiB\"\n\
             price_per_chip_hour = \"{price} CNY\"\n"
        )
    };
    let network = of("cheap", 5) + &of("dear", 6) + "[[tenant]]\ntenant = \"lab\"\n";
    let mut stage = Stage::of(&network, Settings::default());
    stage.join("cheap");
    stage.join("dear");
    stage
}

#[test]
fn jobs_are_expected_to_run_longer_where_chips_were_measured_to_be_slower() {
    let a100 = "nvidia-a100-sxm4-80";
    let mut stage = two_of_a_kind();
    let text = "on = \"cuda\"\nchips = 8\nexpected = \"5m\"\nobjective = \"fastest\"";
    let first = stage.submit(job(text));
    assert_eq!(stage.state(first), "offered at cheap/p");
    let mut stage = two_of_a_kind();
    for (name, tflops) in [("cheap", 130), ("dear", 260)] {
        let bench = Command::ShowBench(Box::new(measured(name, "p", a100, tflops)));
        assert!(matches!(stage.ask(operator(), bench), Answer::Done));
    }
    let world = stage.controller.world();
    let verified = |name: &str| world.centers[&center(name)].center.pools[0].capability.verified;
    assert_eq!((verified("cheap"), verified("dear")), (Some(130_000), Some(260_000)));
    let first = stage.submit(job(text));
    assert_eq!(stage.state(first), "offered at dear/p");
    // The other takes twice as long, ten minutes: sooner over than what would wait for the faster one.
    let second = stage.submit(job(text));
    assert_eq!(stage.state(second), "offered at cheap/p");
    let run = |job: JobId| {
        let job = stage.controller.world().job(job).unwrap();
        let placement = &job.phase.attempt().unwrap().placement;
        placement.finish.since(placement.start)
    };
    assert_eq!((run(first), run(second)), (Span::from_secs(300), Span::from_secs(600)));
    stage.audit();
}

#[test]
fn what_cannot_be_of_one_chip_verifies_nothing() {
    let mut stage = Stage::laptop();
    let why = |stage: &mut Stage, bench: PoolMeasured| match stage
        .ask(operator(), Command::ShowBench(Box::new(bench)))
    {
        Answer::Rejected(Rejected::Invalid { why }) => why,
        other => panic!("{other:?}"),
    };
    let all_eight = measured("lingang", "a100", "nvidia-a100-sxm4-80", 2_100);
    assert!(why(&mut stage, all_eight).starts_with("2.10 PFLOPS was read for one chip, more than"));
    let other = measured("lingang", "a100", "ascend-910b3", 300);
    assert_eq!(
        why(&mut stage, other),
        "ascend-910b3 was measured, pool a100 has nvidia-a100-sxm4-80"
    );
    let nothing = measured("lingang", "a100", "nvidia-a100-sxm4-80", 0);
    assert!(why(&mut stage, nothing).starts_with("less than 1 GFLOPS"));
    // Another precision than the two that speak for a chip is kept, and verifies nothing.
    let mut other = measured("lingang", "a100", "nvidia-a100-sxm4-80", 18);
    other.commands[0].precision = "fp32".into();
    assert!(matches!(stage.ask(operator(), Command::ShowBench(Box::new(other))), Answer::Done));
    let state = &stage.controller.world().centers[&center("lingang")];
    assert_eq!(state.center.pools[0].capability.verified, None);
    assert_eq!(state.measured[&pool("a100")].commands[0].output, "18 TFLOPS\n");
    stage.audit();
}
