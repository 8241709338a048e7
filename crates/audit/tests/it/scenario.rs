//! A network's history as text, one fact a line, and what the audit says of it.
//!
//! Every scenario begins with three centers of two nodes with two `910b` chips, 4 cores and 4 GiB
//! each, in pool `a`: `sh` in cn/sh, `bj` in cn/bj, `hk` in hk; the exchange `ix` in cn; and a link
//! of 10 Gbit/s from each center to the exchange, named after the center.
//!
//! ```text
//! @20                                   the time of what follows, in milliseconds
//! center sh region=cn nodes=2 price=1   declares anew; so do `chip` and `link sh gbit=10 price=1`
//! tenant lab in=city quota=4+2-1 running=9 budget=3s reclaim=any within=lower-priority   of flavor `f`
//! data d in=cn at=sh,bj                 a dataset that may only be in cn, with two copies
//! job 1 nodes=1 chips=1 cores=1 limit=10 on=cann within=center parts=1 reads=d,e@6 writes=e:cn key=k tenant=lab hold
//! offer 1.1 sh/a 0:0,1 1:0 time=0..10 share=1 price=1 variant=0 plan=1 reads=d flavor=f
//! preempt 1.1 for=2 until=10000         of jobs with `preemptible` and `priority=1`
//! accept 1.1 | start 1.1 | stop 1.1 | end 1.1 | held 1 | release 1 | requeue 1 | done 1 | archive 1
//! move 1 d sh>bj over=sh>,bj< rates=0..10@4,10..20@8 beside=hk@hk>+bj< price=1
//! ```

use audit::{History, Violation};
use model::attempt::{Leg, RateStep};
use model::fact::*;
use model::job::{
    Array, Dependency, DependencyKind, Duration, Input, InputMode, JobKind, On, Output, Together,
    Within,
};
use model::quota::{ReclaimWithinCohort, WithinQueue};
use model::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use world::World;

const NETWORK: &str = "
    network
    chip 910b
    center sh region=cn/sh
    center bj region=cn/bj
    center hk region=hk
    exchange ix
    link sh
    link bj
    link hk
";

/// A scenario after its last line.
pub(crate) struct Told {
    pub(crate) world: World,
    pub(crate) records: Vec<Record>,
    pub(crate) history: History,
    /// Violations with the doors that found them: at a `step`, or by the `log` alone.
    found: BTreeMap<Violation, BTreeSet<&'static str>>,
}

impl Told {
    /// Lives through `scenario`. A fact that the world contradicts is for the history alone.
    pub(crate) fn of(scenario: &str) -> Self {
        let mut told = Self {
            world: World::default(),
            records: Vec::new(),
            history: History::default(),
            found: BTreeMap::new(),
        };
        let mut at = Moment(0);
        for line in NETWORK.lines().chain(scenario.lines()) {
            let line = Line::of(line);
            match line.verb.strip_prefix('@') {
                Some(time) => at = Moment(number(time)),
                None if line.verb.is_empty() => {}
                None => told.take(at, &line.facts()),
            }
        }
        told
    }

    fn take(&mut self, at: Moment, facts: &[Fact]) {
        for fact in facts {
            let log = self.history.take(at, fact);
            self.note("log", log);
            if self.world.fold(at, fact).is_ok() {
                self.records.push(Record::new(self.world.number, at, fact));
            }
        }
        let step = audit::delta(&self.world, facts);
        self.note("step", step);
    }

    fn note(&mut self, door: &'static str, found: Vec<Violation>) {
        for violation in found {
            self.found.entry(violation).or_default().insert(door);
        }
    }

    /// All that any door found, one a line: `step+world capacity: …`.
    pub(crate) fn verdict(mut self) -> String {
        let world = audit::world(&self.world);
        self.note("world", world);
        let line = |(violation, doors): (Violation, BTreeSet<&str>)| {
            format!("{} {violation}", doors.into_iter().collect::<Vec<_>>().join("+"))
        };
        self.found.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Lives through a scenario and compares what is found with `expected`, line by line.
pub(crate) fn check(scenario: &str, expected: &str) {
    check_changed(scenario, |_| {}, expected);
}

/// The same, with the world changed by hand at the end into one that no facts lead to.
pub(crate) fn check_changed(scenario: &str, change: impl FnOnce(&mut World), expected: &str) {
    let mut told = Told::of(scenario);
    change(&mut told.world);
    let expected: Vec<_> = expected.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    // A version prints as a digest; here a name says enough.
    let short = |verdict: String, name| verdict.replace(&data(name).to_string(), name);
    let verdict = ["d", "s", "t"].into_iter().fold(told.verdict(), short);
    assert_eq!(verdict, expected.join("\n"), "\n{scenario}");
}

/// A line taken apart: a verb, words, and `name=value` options.
struct Line<'a> {
    verb: &'a str,
    words: Vec<&'a str>,
    options: BTreeMap<&'a str, &'a str>,
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` is no number of the kind it should be"))
}

fn id<T: std::str::FromStr<Err = NotAnId>>(text: &str) -> T {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|part| !part.is_empty())
}

fn span(text: &str) -> (Moment, Moment) {
    let (from, until) = text.split_once("..").expect("a time is from..until");
    (Moment(number(from)), Moment(number(until)))
}

fn price(text: &str) -> Money {
    Money { micros: text.parse().expect("a price is a number"), currency: Currency::CNY }
}

fn attempt(text: &str) -> AttemptId {
    id(&format!("job-{text}"))
}

fn data(name: &str) -> DatasetVersion {
    DatasetVersion { dataset: id(name), version: Digest::of(name.as_bytes()) }
}

impl<'a> Line<'a> {
    fn of(line: &'a str) -> Self {
        let (mut words, mut options) = (Vec::new(), BTreeMap::new());
        for word in line.split_whitespace() {
            match word.split_once('=') {
                Some((name, value)) => drop(options.insert(name, value)),
                None => words.push(word),
            }
        }
        let verb = if words.is_empty() { "" } else { words.remove(0) };
        Self { verb, words, options }
    }

    fn option(&self, name: &str, or: &'a str) -> &'a str {
        self.options.get(name).copied().unwrap_or(or)
    }

    fn job(&self) -> JobId {
        JobId::new(number(self.words[0]))
    }

    fn facts(&self) -> Vec<Fact> {
        let by = TokenId::new(1);
        let touched = || JobTouched { job: self.job(), by };
        let of_attempt = || AttemptTouched { attempt: attempt(self.words[0]) };
        vec![match self.verb {
            "network" => {
                Fact::NetworkCreated(NetworkCreated { network: NetworkUid::from_bytes([7; 8]) })
            }
            "chip" => Fact::ChipDeclared(Arc::new(self.chip())),
            "center" => Fact::CenterDeclared(Arc::new(self.center())),
            "tenant" => Fact::TenantDeclared(Arc::new(self.tenant())),
            "exchange" => Fact::ExchangeDeclared(Arc::new(Exchange {
                exchange: id(self.words[0]),
                region: id(self.option("region", "cn")),
                latitude_micro: 0,
                longitude_micro: 0,
            })),
            "link" => Fact::LinkDeclared(Arc::new(self.link())),
            "data" => return self.data(),
            "job" => Fact::JobSubmitted(Arc::new(self.submitted())),
            "held" => Fact::JobHeld(touched()),
            "release" => {
                let JobTouched { job, by } = touched();
                Fact::JobReleased(JobReleased { job, by, blocked: false })
            }
            "offer" => Fact::JobOffered(JobOffered {
                attempt: attempt(self.words[0]),
                placement: Arc::new(self.placement()),
            }),
            "accept" => Fact::AttemptAccepted(of_attempt()),
            "start" => Fact::AttemptStarted(of_attempt()),
            "stop" => Fact::AttemptStopping(AttemptStopping {
                attempt: of_attempt().attempt,
                why: Stop::Withdrawn,
            }),
            "preempt" => Fact::AttemptPreempted(AttemptPreempted {
                attempt: of_attempt().attempt,
                by: self.options.get("for").map(|by| JobId::new(number(by))),
                until: Moment(number(self.option("until", ""))),
            }),
            "recall" => Fact::CapacityRecalled(CapacityRecalled {
                center: id(self.words[0]),
                pool: id("a"),
                chips: number(self.option("chips", "1")),
                in_time: Some(Moment(number(self.option("by", "0")))),
                until: Moment(number(self.option("until", "99999"))),
                by,
            }),
            "end" => Fact::AttemptEnded(AttemptEnded {
                attempt: of_attempt().attempt,
                ended: Ended {
                    outcome: Outcome::Exited { code: 0 },
                    ran: Span::ZERO,
                    cpu: Span::ZERO,
                    memory: Bytes::ZERO,
                },
            }),
            "requeue" => Fact::JobRequeued(JobRequeued {
                job: self.job(),
                not_before: Moment(0),
                held: self.words.contains(&"held"),
            }),
            "done" => Fact::JobEnded(JobEnded { job: self.job(), end: JobEnd::Completed }),
            "canceled" => Fact::JobEnded(JobEnded { job: self.job(), end: JobEnd::Canceled }),
            "unmet" => {
                let end = JobEnd::Unmet { job: JobId::new(number(self.words[1])) };
                Fact::JobEnded(JobEnded { job: self.job(), end })
            }
            "unblock" => Fact::JobUnblocked(JobUnblocked { job: self.job() }),
            "archive" => Fact::JobsArchived(JobsArchived { jobs: vec![self.job()] }),
            "forget" => {
                Fact::KeysForgotten(KeysForgotten { before: Moment(number(self.words[0])) })
            }
            "door" => Fact::AgentJoined(Arc::new(AgentJoined {
                center: id(self.words[0]),
                agent: NetworkUid::from_bytes([1; 8]),
                engine: EngineKind::Timer,
                engine_version: String::new(),
                enforcement: String::new(),
                data_url: Some("http://door".into()),
                probe_address: None,
                version: String::new(),
            })),
            "copied" => Fact::ReplicaAdded(self.copy()),
            "arrived" => Fact::TransferEnded(TransferEnded {
                transfer: TransferId::new(number(self.words[0])),
                end: TransferEnd::Arrived { moved: Bytes(1), corrupted: 0 },
            }),
            "leave" => {
                let (ReplicaTouched { data, center }, by) = (self.copy(), None);
                let why = match self.option("why", "room") {
                    "passed" => Leave::Passed,
                    _ => Leave::Room,
                };
                Fact::ReplicaLeaving(ReplicaLeaving { data, center, why, by })
            }
            "want" => {
                let ReplicaTouched { data, center } = self.copy();
                Fact::CopyWanted(CopyWanted { data, center, by })
            }
            "move" => Fact::TransferPlanned(Arc::new(self.staging())),
            other => panic!("no such verb: {other}"),
        }]
    }

    /// `d bj`: the copy of that data there.
    fn copy(&self) -> ReplicaTouched {
        ReplicaTouched { data: data(self.words[0]), center: id(self.words[1]) }
    }

    fn chip(&self) -> Chip {
        Chip {
            chip: id(self.words[0]),
            vendor: String::new(),
            model: String::new(),
            class: id(self.option("class", "cann")),
            stack: String::new(),
            memory: None,
            memory_kind: None,
            memory_bandwidth: None,
            interconnect: None,
            interconnect_bandwidth: None,
            peak_milli_tflops: BTreeMap::new(),
            power_watts: None,
            allocation_unit: number(self.option("unit", "1")),
            visible_devices: String::new(),
            kubernetes_resources: Vec::new(),
            slurm_gres: None,
            pci_vendor: None,
            source: String::new(),
            confidence: "A".into(),
            notes: None,
        }
    }

    fn center(&self) -> Center {
        let pool = Pool {
            pool: id("a"),
            chip: Some(id(self.option("chip", "910b"))),
            nodes: number(self.option("nodes", "2")),
            chips_per_node: 2,
            cores: Cores(4_000),
            memory: Bytes(4 << 30),
            nodes_per_block: number(self.option("block", "0")),
            price_per_hour: price(self.option("price", "1")),
            capability: Capability::default(),
            lending: None,
        };
        let site = Site {
            region: id(self.option("region", "cn")),
            latitude_micro: 0,
            longitude_micro: 0,
            time_zone: "Asia/Shanghai".into(),
        };
        Center {
            center: id(self.words[0]),
            owner: id("owner"),
            sites: vec![site],
            engine: EngineKind::Timer,
            pools: vec![pool],
            store: None,
            relay: self.options.get("relay").map(|bytes| Bytes(number(bytes))),
            data_url: None,
            pue_thousandths: 1_000,
            carbon: CarbonIntensity::default(),
            lend_percent: number(self.option("lends", "100")),
            recall_notice: number(self.option("notice", "0s")),
            lend_to: Guests::default(),
            lend_windows: Vec::new(),
            partners: Vec::new(),
            only_tenants: Vec::new(),
            external_ids: Vec::new(),
        }
    }

    fn link(&self) -> Link {
        Link {
            link: id(self.words[0]),
            a: SiteId::Center(id(self.words[0])),
            b: SiteId::Exchange(id("ix")),
            capacity: Rate(number::<u64>(self.option("gbit", "10")) * 1_000_000_000),
            latency_us: 1,
            carrier: id("carrier"),
            price_per_gbps_hour: price(self.option("price", "1")),
            risk_group: None,
            sla: quality::Sla::default(),
        }
    }

    fn data(&self) -> Vec<Fact> {
        let data = data(self.words[0]);
        let registered = DatasetRegistered {
            data: data.clone(),
            tenant: id("lab"),
            bytes: Bytes(1),
            files: 1,
            residency: list(self.option("in", "")).map(id).collect(),
            made_by: None,
        };
        let copy =
            |center| Fact::ReplicaAdded(ReplicaTouched { data: data.clone(), center: id(center) });
        let copies = list(self.option("at", "")).map(copy);
        std::iter::once(Fact::DatasetRegistered(Arc::new(registered))).chain(copies).collect()
    }

    fn submitted(&self) -> JobSubmitted {
        let key = |key: &&str| SubmissionKey {
            key: Digest::of(key.as_bytes()),
            content: Digest::of(b"content"),
            jobs: number(self.option("count", "1")),
        };
        JobSubmitted {
            job: self.job(),
            spec: Arc::new(self.spec()),
            by: TokenId::new(1),
            key: self.options.get("key").map(key),
        }
    }

    fn spec(&self) -> JobSpec {
        let on = match self.option("on", "cann") {
            "cpu" => On::Cpu,
            "910b" => On::Chip(id("910b")),
            class => On::Class(id(class)),
        };
        let variant = Variant {
            on,
            nodes: number(self.option("nodes", "1")),
            chips_per_node: number(self.option("chips", "1")),
            cores: number(self.option("cores", "1")),
            memory: Bytes(1),
            command: vec!["true".into()],
            image: None,
            env: BTreeMap::new(),
            speed_thousandths: None,
            limit: None,
        };
        let part = |i| Part { name: format!("part{i}"), variants: vec![variant.clone()] };
        let within = match self.option("within", "center") {
            "block" => Within::Block,
            "pool" => Within::Pool,
            "center" => Within::Center,
            _ => Within::Network,
        };
        JobSpec {
            name: String::new(),
            tenant: id(self.option("tenant", "lab")),
            workload: None,
            kind: match self.options.get("opens") {
                Some(start) => {
                    JobKind::Reservation { start: Moment(number(start)), lapse_after: Span(1_000) }
                }
                None => JobKind::Batch,
            },
            reservation: None,
            parts: (1..=number::<u32>(self.option("parts", "1"))).map(part).collect(),
            together: Together { within, ..Together::default() },
            duration: Duration::Limited {
                limit: Span(number(self.option("limit", "10"))),
                expected: None,
            },
            inputs: list(self.option("reads", "")).map(input).collect(),
            outputs: list(self.option("writes", "")).map(output).collect(),
            objective: Objective::Fastest,
            deadline: None,
            budget: None,
            priority: number(self.option("priority", "0")),
            priority_class: None,
            preemptible: self.words.contains(&"preemptible"),
            hold: self.words.contains(&"hold"),
            checkpoint: None,
            when_cut_off: WhenCutOff::Hold,
            retries: 0,
            array: self.options.get("tasks").map(|tasks| Array {
                first: 0,
                last: number::<u32>(tasks) - 1,
                step: 1,
                at_once: self.options.get("at-once").map(|at_once| number(at_once)),
            }),
            after: self
                .options
                .get("after")
                .map(|job| Dependency {
                    job: JobId::new(number(job)),
                    when: match self.option("when", "ok") {
                        "any" => DependencyKind::AfterAny,
                        "corr" => DependencyKind::AfterCorr,
                        _ => DependencyKind::AfterOk,
                    },
                })
                .into_iter()
                .collect(),
            secrets: Vec::new(),
            centers: Vec::new(),
            regions: Vec::new(),
        }
    }

    /// `4+2-1` is four of its own, two at most borrowed, one at most lent.
    fn tenant(&self) -> Tenant {
        let parent = self.options.get("in").map(|parent| id(parent));
        let mut tenant = Tenant::new(id(self.words[0]), parent);
        if let Some(text) = self.options.get("quota") {
            let (text, lends) = text.split_once('-').map_or((*text, None), |(t, l)| (t, Some(l)));
            let (own, borrows) = text.split_once('+').map_or((text, None), |(t, b)| (t, Some(b)));
            let quota = Quota {
                nominal: number(own),
                borrowing_limit: borrows.map(number),
                lending_limit: lends.map(number),
            };
            tenant.quotas.insert(id("f"), quota);
        }
        tenant.home = self.options.get("home").map(|home| id(home));
        tenant.max_running = self.options.get("running").map(|most| number(most));
        let budget = |span: &&str| Chips::ONE.over(number::<Span>(span));
        tenant.budget = self.options.get("budget").map(budget);
        let reclaim_within_cohort = match self.option("reclaim", "never") {
            "any" => ReclaimWithinCohort::Any,
            "lower-priority" => ReclaimWithinCohort::LowerPriority,
            _ => ReclaimWithinCohort::Never,
        };
        let within_queue = match self.option("within", "never") {
            "lower-priority" => WithinQueue::LowerPriority,
            _ => WithinQueue::Never,
        };
        let policies = Preemption { within_queue, reclaim_within_cohort, ..Preemption::default() };
        tenant.preemption = (policies != Preemption::default()).then_some(policies);
        tenant
    }

    /// `sh/a` opens a part, `0:0,1` adds a node with its chips.
    fn placement(&self) -> Placement {
        let mut parts: Vec<PartPlacement> = Vec::new();
        for word in &self.words[1..] {
            if let Some((center, pool)) = word.split_once('/') {
                let variant = number(self.option("variant", "0"));
                let (center, pool) = (id(center), id(pool));
                let flavor = self.options.get("flavor").map(|flavor| id(flavor));
                let (nodes, worth) = (Vec::new(), 1_000);
                parts.push(PartPlacement { center, pool, variant, nodes, flavor, worth });
            } else {
                let (node, chips) = word.split_once(':').expect("a node is node:chip,chip");
                let slots = Slots {
                    node: number(node),
                    chips: list(chips).map(number).collect(),
                    share: number(self.option("share", "1")),
                    cores: number(self.option("cores", "1")),
                    memory: Bytes(number::<u64>(self.option("gib", "1")) << 30),
                };
                parts.last_mut().expect("a part comes before its nodes").nodes.push(slots);
            }
        }
        let (start, until) = span(self.option("time", "0..10"));
        Placement {
            plan: PlanId::new(number(self.option("plan", "1"))),
            parts,
            start,
            until,
            finish: until,
            price: price(self.option("price", "1")),
            inputs: list(self.option("reads", "")).map(data).collect(),
            awaits: Vec::new(),
            streams: list(self.option("streams", "")).map(stream).collect(),
            inside: self.options.get("inside").map(|job| JobId::new(number(job))),
        }
    }

    fn staging(&self) -> Staging {
        let (from, to) = self.words[2].split_once('>').expect("a move is from>to");
        let step = |text| {
            let (time, gbit) = str::split_once(text, '@').expect("a rate is from..until@gbit");
            let (from, until) = span(time);
            RateStep { from, until, rate: Rate(number::<u64>(gbit) * 1_000_000_000) }
        };
        let steps: Vec<RateStep> = list(self.option("rates", "0..10@1")).map(step).collect();
        let leg = |text: &str| {
            let (from, over) = text.split_once('@').expect("beside a move is from@hop+hop");
            Leg { from: id(from), hops: over.split('+').map(id).collect(), steps: steps.clone() }
        };
        let beside = list(self.option("beside", "")).map(leg).collect();
        Staging {
            transfer: TransferId::new(number(self.words[0])),
            data: data(self.words[1]),
            bytes: Bytes(1),
            from: id(from),
            to: id(to),
            hops: list(self.option("over", "")).map(id).collect(),
            steps,
            beside,
            arrives: Moment(10),
            price: price(self.option("price", "1")),
            sent: self.words.contains(&"sent"),
            passing: self.words.contains(&"passing"),
        }
    }
}

/// From `d`, or from `d@6` what is read at 6 Gbit/s while the job runs.
fn input(text: &str) -> Input {
    let (name, mode) = match text.split_once('@') {
        Some((name, gbit)) => {
            let rate = Rate(number::<u64>(gbit) * 1_000_000_000);
            (name, InputMode::Streamed { rate })
        }
        None => (text, InputMode::Staged),
    };
    let dataset = DatasetRef { dataset: id(name), version: None };
    Input { name: name.into(), dataset, mode }
}

fn output(text: &str) -> Output {
    let (name, region) = text.split_once(':').unwrap_or((text, ""));
    Output { name: name.into(), dataset: id(name), residency: list(region).map(id).collect() }
}

/// `d@bj/bj>+sh<@6`: a dataset, from where, over which hops, at how many Gbit/s.
fn stream(text: &str) -> Stream {
    let (what, way) = text.split_once('/').expect("a stream is data@from/hop+hop@gbit");
    let (name, from) = what.split_once('@').expect("data@from");
    let (hops, gbit) = way.split_once('@').expect("hop+hop@gbit");
    Stream {
        input: name.to_owned(),
        data: data(name),
        from: id(from),
        hops: hops.split('+').map(id).collect(),
        rate: Rate(number::<u64>(gbit) * 1_000_000_000),
        since: Moment(0),
        price: price("1"),
    }
}

/// Random lines over three jobs, one node and two links: most make no sense.
pub(crate) fn random_lines(seed: u64, verbs: &[&str]) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut scenario = String::from("data d at=sh,bj\njob 7\njob 8 hold\njob 9\n");
    for i in 1..100 {
        let mut up_to = |n: u64| random.random_range(0..n);
        let verb = verbs[usize::try_from(up_to(verbs.len() as u64)).unwrap()];
        let (job, epoch) = (1 + up_to(3), 1 + up_to(2));
        let (from, length) = (up_to(60), 10 + up_to(20));
        scenario += &match verb {
            "job" => format!("job {} {}\n", 10 - job, if up_to(4) == 0 { "hold" } else { "" }),
            "offer" => {
                let time = format!("{from}..{}", from + length);
                format!("offer {}.{epoch} sh/a {}:{} time={time}\n", 10 - job, up_to(2), up_to(2))
            }
            "place" => {
                let (id, time) = (100 + i, format!("{from}..{}", from + length));
                format!("job {id}\noffer {id}.1 sh/a {}:{} time={time}\n", up_to(2), up_to(2))
            }
            "move" => {
                let rate = format!("{from}..{}@{}", from + length, 1 + up_to(6));
                format!("move {i} d sh>bj over=sh>,bj< rates={rate}\n")
            }
            "@" => format!("@{}\n", i),
            verb if verb.starts_with("attempt") => {
                format!("{} {}.{epoch}\n", &verb["attempt-".len()..], 10 - job)
            }
            verb => format!("{verb} {}\n", 10 - job),
        };
    }
    scenario
}
