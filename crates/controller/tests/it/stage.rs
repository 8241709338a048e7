//! The loop on a stage: a network from a file, centers that answer by hand, and time that is told.

use controller::{Answer, Command, Controller, Declarations, Effect, Input, Settings};
use model::attempt::{Ended, Outcome};
use model::fact::Fact;
use model::file::chip::Catalog;
use model::file::job::Format;
use model::{
    AttemptId, Bytes, CenterId, EngineKind, ExternalStore, JobId, JobSpec, Moment, NetworkUid,
    Principal, Role, Span, TenantId, TokenId,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::{Join, Order, Report};

pub(crate) const CHIPS: [(&str, &str); 3] = [
    ("a100", include_str!("../../../../catalog/chips/nvidia-a100-sxm4-80.toml")),
    ("ascend", include_str!("../../../../catalog/chips/ascend-910b3.toml")),
    ("hygon", include_str!("../../../../catalog/chips/hygon-k100-ai.toml")),
];
pub(crate) const NETWORK: &str = include_str!("../../../../catalog/networks/laptop.toml");

/// A loop with a network, and all that has left it.
pub(crate) struct Stage {
    pub(crate) controller: Controller,
    pub(crate) now: Moment,
    pub(crate) facts: Vec<(Moment, Fact)>,
    pub(crate) answers: BTreeMap<u64, Answer>,
    pub(crate) sessions: BTreeMap<CenterId, u64>,
    pub(crate) requests: u64,
}

pub(crate) fn center(name: &str) -> CenterId {
    CenterId::new(name).unwrap()
}

pub(crate) fn operator() -> Principal {
    Principal { role: Role::Operator, token: TokenId::new(1) }
}

/// A job of the tenant `lab`, as people write it.
pub(crate) fn job(text: &str) -> Arc<JobSpec> {
    let text = format!("name = \"j\"\ncommand = [\"true\"]\nlimit = \"10m\"\n{text}");
    let file = model::file::job::read("job.toml", &text, Format::Toml).unwrap();
    Arc::new(file.spec(TenantId::new("lab").unwrap(), Moment(1_000)).unwrap())
}

pub(crate) fn attempt(text: &str) -> AttemptId {
    text.parse().unwrap()
}

pub(crate) fn ended(outcome: Outcome) -> Ended {
    Ended { outcome, ran: Span(5), cpu: Span(1), memory: Bytes(1) }
}

impl Stage {
    /// The laptop network, nobody there yet.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    /// The same with other settings.
    pub(crate) fn with(settings: Settings) -> Self {
        Self::of(NETWORK, settings)
    }

    /// Another network.
    pub(crate) fn of(network: &str, settings: Settings) -> Self {
        let settings = Settings { solve_every: Span(10), ..settings };
        let mut controller = Controller::new(world::World::default(), Moment(1_000), settings);
        let effects = controller.create(Moment(1_000), NetworkUid::from_bytes([7; 8]));
        let mut stage = Self {
            controller,
            now: Moment(1_000),
            facts: Vec::new(),
            answers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            requests: 0,
        };
        stage.carry_out(effects);
        let catalog = Catalog::read(&CHIPS).unwrap();
        let file = model::file::network::read(&[("laptop.toml", network)], &catalog).unwrap();
        let declarations = Declarations {
            chips: catalog.chips().cloned().collect(),
            centers: file.centers,
            exchanges: file.exchanges,
            links: file.links,
            flavors: file.flavors,
            priority_classes: file.priority_classes,
            tenants: file.tenants,
            admission: file.admission,
        };
        stage.command(Command::Apply(Box::new(declarations)));
        stage
    }

    /// The laptop network with all three agents there.
    pub(crate) fn laptop() -> Self {
        let mut stage = Self::new();
        for name in ["lingang", "zhangjiang", "kunshan"] {
            stage.join(name);
        }
        stage
    }

    /// A server that reads the log anew.
    pub(crate) fn restart(&mut self) {
        let settings = Settings { solve_every: Span(10), ..Settings::default() };
        let world = self.controller.world().clone();
        self.controller = Controller::new(world, self.now, settings);
        self.sessions.clear();
    }

    pub(crate) fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Append { at, facts } => {
                    self.facts.extend(facts.into_iter().map(|fact| (at, fact)));
                }
                Effect::Reply { request, answer } => {
                    self.answers.insert(request, *answer);
                }
                Effect::Solve(snapshot) => {
                    let plan = snapshot.plan();
                    self.step(vec![Input::Solved(Box::new(plan))]);
                }
                Effect::Archive(jobs) => {
                    let jobs = jobs.iter().map(|job| job.job).collect();
                    self.step(vec![Input::Archived(jobs)]);
                }
                Effect::Orders(_) | Effect::WakeAt(_) => {}
                Effect::Alarm(violations) => panic!("{violations:?}"),
                Effect::Halt(violations) => panic!("{violations:?}"),
            }
        }
    }

    pub(crate) fn step(&mut self, inputs: Vec<Input>) {
        let effects = self.controller.step(self.now, inputs);
        self.carry_out(effects);
    }

    pub(crate) fn command(&mut self, command: Command) -> Answer {
        self.requests += 1;
        let request = self.requests;
        self.step(vec![Input::Command { request, by: operator(), command }]);
        self.answers.remove(&request).expect("every command is answered")
    }

    pub(crate) fn submit(&mut self, spec: Arc<JobSpec>) -> JobId {
        match self.command(Command::Submit { jobs: vec![spec], key: None }) {
            Answer::Submitted { first, .. } => first,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn join(&mut self, name: &str) {
        self.join_with(name, Vec::new());
    }

    /// The agent of a center with these external stores.
    pub(crate) fn join_with(&mut self, name: &str, stores: Vec<ExternalStore>) {
        self.join_at(name, stores, Some(format!("http://{name}")));
    }

    /// The agent of a center whose store cannot be reached from others.
    pub(crate) fn join_without_door(&mut self, name: &str) {
        self.join_at(name, Vec::new(), None);
    }

    pub(crate) fn join_at(
        &mut self,
        name: &str,
        stores: Vec<ExternalStore>,
        data_url: Option<String>,
    ) {
        self.requests += 1;
        let join = Join {
            protocol: wire::PROTOCOL,
            version: "test".into(),
            agent: NetworkUid::from_bytes([1; 8]),
            engine: EngineKind::Process,
            engine_version: "test".into(),
            enforcement: "none".into(),
            data_url,
            probe_address: None,
            stores,
            seen: None,
        };
        let request = self.requests;
        self.step(vec![Input::Join { request, center: center(name), join: Box::new(join) }]);
        match self.answers.remove(&request) {
            Some(Answer::Joined { session }) => self.sessions.insert(center(name), session),
            other => panic!("{other:?}"),
        };
    }

    pub(crate) fn report(&mut self, name: &str, report: Report) {
        self.reports(name, vec![report]);
    }

    pub(crate) fn reports(&mut self, name: &str, reports: Vec<Report>) {
        let (session, request) = (self.sessions[&center(name)], 0);
        self.step(vec![Input::Reports { request, center: center(name), session, reports }]);
    }

    /// Lets time pass; centers named are heard of meanwhile.
    pub(crate) fn pass(&mut self, span: Span, heard: &[&str]) {
        self.now = self.now + span;
        let heard = heard.iter().map(|name| {
            let session = self.sessions[&center(name)];
            Input::Heard { center: center(name), session }
        });
        let inputs = heard.chain([Input::Tick]).collect();
        self.step(inputs);
    }

    pub(crate) fn state(&self, job: JobId) -> String {
        let job = self.controller.world().job(job).expect("the job is in the world");
        match job.phase.attempt() {
            Some(live) => {
                let part = &live.placement.parts[0];
                format!("{} at {}/{}", job.phase.word(), part.center, part.pool)
            }
            None => job.phase.word().to_owned(),
        }
    }

    /// Where every center stands for a job that waits.
    pub(crate) fn standings(&self, job: JobId) -> Vec<planner::Standing> {
        let controller = &self.controller;
        let told = planner::explain(
            controller.world(),
            controller.board().view(),
            &controller.situation(),
            controller.policy(),
            job,
        );
        told.expect("it waits").standings
    }

    pub(crate) fn orders(&self, name: &str) -> Vec<Order> {
        let session = self.sessions[&center(name)];
        self.controller.orders(&center(name), session, 0).expect("the session is its latest").1
    }

    /// Folding everything that was written gives the world there is, and no promise is broken.
    pub(crate) fn audit(&self) {
        let mut world = world::World::default();
        for (at, fact) in &self.facts {
            world.fold(*at, fact).unwrap();
        }
        assert_eq!(&world, self.controller.world());
        let mut history = audit::History::default();
        for (at, fact) in &self.facts {
            assert_eq!(history.take(*at, fact), []);
        }
        assert_eq!(audit::world(&world), []);
    }
}
