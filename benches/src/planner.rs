//! The group `planner`: one thread, no server; the planner and the loop themselves on a network of
//! national size, and whole simulated runs.

mod nation;
mod played;

use crate::row::{self, Better, Figure, Samples, percentile};
use anyhow::{Context, Result, anyhow};
use controller::{Answer, Command, Controller, Effect, Input, Settings};
use model::fact::Fact;
use model::{CenterId, EngineKind, JobId, Moment, NetworkUid, Principal, Role, Span, TokenId};
use nation::{NOW, Nation};
use planner::{Plan, Snapshot};
pub(crate) use played::Player;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::sync::Arc;

const CLASSES: usize = 2_000;
const SEED: u64 = 1;
/// How many jobs arrive one by one.
const ARRIVALS: usize = 2_000;
/// How many arrive each second, also while a plan is drawn up.
const ARRIVE_PER_S: f64 = 50.0;
/// That long after one another.
const BETWEEN: Span = Span(20);

const PLANS: [(usize, Figure); 4] = [
    (1_000, seconds("plan_1k_s", None)),
    (10_000, seconds("plan_10k_s", None)),
    (100_000, seconds("plan_100k_s", Some(2.0))),
    (1_000_000, seconds("plan_1m_s", None)),
];
const MEMORY: Figure =
    Figure { name: "plan_100k_rss_mib", unit: "MiB", better: Better::Lower, target: Some(1_024.0) };
const ARRIVAL: Figure =
    Figure { name: "arrival_p99_ms", unit: "ms", better: Better::Lower, target: Some(1.0) };

const fn seconds(name: &'static str, target: Option<f64>) -> Figure {
    Figure { name, unit: "s", better: Better::Lower, target }
}

/// Measures the group and prints its rows as they come.
pub(crate) fn run(only: &str, player: &Player) {
    let wanted = |figure: &Figure| figure.name.starts_with(only);
    // Before this program itself holds much: what it starts is measured apart.
    player.run(wanted);
    for (jobs, figure) in PLANS.iter().filter(|(_, figure)| wanted(figure)) {
        eprintln!("{}: seed {SEED}, {CLASSES} classes", figure.name);
        let laden = laden(*jobs);
        row::print(&[*figure], "", None, &laden.as_ref().map(|l| vec![l.plan]).map_err(shown));
        if *jobs == 100_000 {
            let memory = peak_mib().map(|mib| vec![Samples::median(&[mib])]);
            row::print(&[MEMORY], "", None, &memory);
            let arrivals = laden.and_then(|mut laden| laden.arrivals());
            row::print(&[ARRIVAL], "", None, &arrivals.map(|samples| vec![samples]));
        }
    }
}

fn shown(error: &anyhow::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}

/// CPU seconds of this thread.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "a program does not run for ages")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

/// The most memory this program ever held.
fn peak_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc is not there")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: f64 = line.context("no VmHWM")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1_024.0)
}

/// A loop with a nation in it, planned once.
struct Laden {
    controller: Controller,
    plan: Samples,
    now: Moment,
    nation: Nation,
}

/// Fills the nation, lines up so many jobs and plans for them.
fn laden(jobs: usize) -> Result<Laden> {
    let mut nation = Nation::found(SEED, CLASSES);
    nation.fill();
    nation.queue(jobs);
    let settings =
        Settings { silent_after: Span::MAX, policy: Nation::policy(), ..Settings::default() };
    let controller = Controller::new(std::mem::take(&mut nation.world), NOW, settings);
    let mut laden = Laden { controller, plan: Samples::median(&[0.0]), now: NOW, nation };
    let snapshot = laden.join().context("no plan was asked for")?;
    let mut samples = Vec::new();
    let mut plan = None;
    // The first one also works out where each class could go; that is part of its time.
    for _ in 0..if jobs > 100_000 { 1 } else { 3 } {
        let begun = cpu();
        let drawn = snapshot.plan();
        samples.push(cpu() - begun);
        plan = Some(drawn);
    }
    let plan = plan.context("no plan")?;
    tell(jobs, &plan);
    laden.plan = Samples::with_value(samples[0], &samples);
    laden.put_in_force(plan, samples[0])?;
    Ok(laden)
}

fn tell(jobs: usize, plan: &Plan) {
    let Plan { offers, starts, considered, left, opened, work, .. } = plan;
    eprintln!(
        "  {jobs} queued: {} placed, {} reserved, {considered} considered, {left} left, \
         {opened} candidates opened, {work} units of work",
        offers.len(),
        starts.len()
    );
}

impl Laden {
    /// All centers' agents join, which asks for a plan. What the step itself places is little.
    fn join(&mut self) -> Option<Box<Snapshot>> {
        let centers: Vec<CenterId> = self.controller.world().centers.keys().cloned().collect();
        let join = |center: CenterId| Input::Join {
            request: 0,
            center,
            join: Box::new(wire::Join {
                protocol: wire::PROTOCOL,
                version: String::new(),
                agent: NetworkUid::from_bytes([2; 8]),
                engine: EngineKind::Timer,
                engine_version: String::new(),
                enforcement: String::new(),
                data_url: Some("http://store".to_owned()),
                probe_address: None,
                stores: Vec::new(),
                seen: None,
            }),
        };
        let joins = centers.into_iter().map(join).collect();
        let effects = self.controller.step(self.now, joins);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Solve(snapshot) => Some(snapshot),
            _ => None,
        })
    }

    /// Puts a plan in force after what came while it was drawn up: what it takes for granted is
    /// checked placement by placement, and none is given up for having been thought of before.
    fn put_in_force(&mut self, plan: Plan, took: f64) -> Result<()> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "few seconds")]
        let arrivals = (took * ARRIVE_PER_S).ceil() as u64;
        for number in 0..arrivals {
            self.now = self.now + BETWEEN;
            self.arrive(number)?;
        }
        let planned: BTreeSet<JobId> = plan.offers.iter().map(|offer| offer.job).collect();
        let begun = cpu();
        self.now = self.now + Span(1);
        let effects = self.controller.step(self.now, vec![Input::Solved(Box::new(plan))]);
        let took = cpu() - begun;
        let mut offered = 0;
        for effect in &effects {
            match effect {
                Effect::Halt(why) => return Err(anyhow!("the plan broke a promise: {why:?}")),
                Effect::Append { facts, .. } => {
                    let job = |fact: &Fact| match fact {
                        Fact::JobOffered(offer) => Some(offer.attempt.job),
                        _ => None,
                    };
                    offered += facts.iter().filter_map(job).filter(|j| planned.contains(j)).count();
                }
                _ => {}
            }
        }
        eprintln!(
            "  {arrivals} arrivals meanwhile; {offered} of {} placements put in force in {took:.3} s: \
             what the others needed was taken",
            planned.len()
        );
        Ok(())
    }

    /// One more job arrives, in a step of its own.
    fn arrive(&mut self, request: u64) -> Result<()> {
        let spec = self.nation.draw();
        let by = Principal { role: Role::Tenant(spec.tenant.clone()), token: TokenId::new(1) };
        let command = Command::Submit { jobs: vec![Arc::clone(&spec)], key: None };
        let inputs = vec![Input::Command { request, by, command }];
        let effects = self.controller.step(self.now, inputs);
        let accepted = effects.iter().any(|effect| match effect {
            Effect::Reply { answer, .. } => matches!(**answer, Answer::Submitted { .. }),
            _ => false,
        });
        if accepted { Ok(()) } else { Err(anyhow!("an arrival was not accepted: {effects:?}")) }
    }

    /// The time one arrival takes, all that follows from it in the same step included. What becomes
    /// due as time goes on has a step of its own before it, which is told beside.
    fn arrivals(&mut self) -> Result<Samples> {
        let (mut samples, mut ticks) = (Vec::new(), Vec::new());
        for number in 0..ARRIVALS {
            self.now = self.now + BETWEEN;
            let begun = cpu();
            drop(self.controller.step(self.now, Vec::new()));
            ticks.push((cpu() - begun) * 1e3);
            let begun = cpu();
            self.arrive(number as u64)?;
            samples.push((cpu() - begun) * 1e3);
        }
        eprintln!(
            "  {ARRIVALS} arrivals: p50 {:.3} ms, p99 {:.3} ms; what became due between: p50 {:.3} \
             ms, p99 {:.3} ms",
            percentile(&samples, 50.0),
            percentile(&samples, 99.0),
            percentile(&ticks, 50.0),
            percentile(&ticks, 99.0)
        );
        Ok(Samples::with_value(percentile(&samples, 99.0), &samples))
    }
}
