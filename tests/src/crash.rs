//! The crash matrix: processes are killed at random while jobs run, and then everything that was
//! promised is checked from outside.

use crate::{Caller, Net, Plan, Records, Witnesses};
use model::JobId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::view;

/// The seed in `PORTOLAN_SEED`, to see a failure again, or else any.
#[must_use]
pub fn seed() -> u64 {
    let given = std::env::var("PORTOLAN_SEED").ok().and_then(|text| text.parse().ok());
    let any = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    given.unwrap_or_else(|| u64::try_from(any() % 1_000_000).unwrap_or(0))
}

/// How many datasets there are for jobs to read, each in one center at first.
const DATASETS: usize = 9;
/// A job with an input copies it to its output.
const COPY: &str =
    "\n[ -z \"$PORTOLAN_OUTPUT_OUT\" ] || cp $PORTOLAN_INPUT_IN/* $PORTOLAN_OUTPUT_OUT";

fn dataset(number: usize) -> String {
    format!("numbers-{number}")
}

/// About two megabytes, different for each dataset.
fn numbers(number: usize) -> Vec<u8> {
    (0..300_000_usize).flat_map(|n| format!("{}\n", n * (number + 1)).into_bytes()).collect()
}

/// What is to happen.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// Decides the moments and the victims; printed with whatever is found.
    pub seed: u64,
    /// How many jobs are submitted, evenly over the time of the kills.
    pub jobs: usize,
    /// How many processes are killed.
    pub kills: usize,
    /// How many of ten kills hit the server; the others hit agents.
    pub of_server: u32,
    /// Between two kills, on average.
    pub every: Duration,
    /// The shortest and the longest a job takes, in milliseconds.
    pub takes_ms: (u64, u64),
    /// How long the jobs may take to end after the last kill.
    pub settle: Duration,
}

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// The seed it went by.
    pub seed: u64,
    /// Kills of the server.
    pub server_kills: usize,
    /// Kills of agents.
    pub agent_kills: usize,
    /// Jobs whose submission was answered.
    pub acknowledged: usize,
    /// How many of them ended in which state.
    pub ends: BTreeMap<String, usize>,
    /// Attempts that started, by what they wrote themselves.
    pub attempts: usize,
    /// Attempts that were done.
    pub done: usize,
    /// Facts in the log at the end.
    pub facts: usize,
    /// Every promise that was broken, in words.
    pub violations: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, server_kills, agent_kills, acknowledged, ends, .. } = self;
        let Self { attempts, done, facts, violations, .. } = self;
        let ends: Vec<String> = ends.iter().map(|(end, n)| format!("{n} {end}")).collect();
        writeln!(f, "seed {seed}: {server_kills} kills of the server, {agent_kills} of agents")?;
        writeln!(f, "{acknowledged} jobs acknowledged: {}", ends.join(", "))?;
        writeln!(f, "{attempts} attempts started, {done} were done; {facts} facts")?;
        writeln!(f, "{} violations", violations.len())?;
        violations.iter().try_for_each(|violation| writeln!(f, "  {violation}"))
    }
}

impl Matrix {
    /// Runs it on the network of `plan`, and judges. The network comes back stopped; who drops it
    /// while failing keeps its directory.
    pub async fn run(&self, plan: Plan) -> (Verdict, Net) {
        println!("crash matrix with seed {}", self.seed);
        let mut net = plan.start().await;
        let witnesses = Witnesses::below(net.dir());
        let centers = net.centers();
        for number in 0..DATASETS {
            let place = (&*dataset(number), &*centers[number % centers.len()]);
            net.put("lab", place, ("numbers.txt", &numbers(number)), &[]).await;
        }
        let tenant = net.tenant("lab").clone();
        let submitting = tokio::spawn(self.clone().submit(tenant, witnesses.clone()));
        let (server_kills, agent_kills) = self.kill(&mut net).await;
        let acknowledged = submitting.await.expect("submitting does not panic");
        let open = self.settle(&net).await;
        let mut verdict = Verdict {
            seed: self.seed,
            server_kills,
            agent_kills,
            acknowledged: acknowledged.len(),
            ..Verdict::default()
        };
        verdict.violations.extend(open);
        verdict.judge(&mut net, &acknowledged, &witnesses).await;
        (verdict, net)
    }

    /// Submits every job until it is acknowledged, repeating under its key what was not answered.
    async fn submit(self, tenant: Caller, witnesses: Witnesses) -> Vec<(JobId, String)> {
        let mut dice = ChaCha8Rng::seed_from_u64(self.seed ^ 1);
        let pause = self.every * u32::try_from(self.kills).unwrap_or(u32::MAX)
            / u32::try_from(self.jobs).unwrap_or(u32::MAX);
        let mut acknowledged = Vec::new();
        for number in 0..self.jobs {
            let name = format!("crash-{number}");
            let takes = dice.random_range(self.takes_ms.0..=self.takes_ms.1);
            let work = format!("sleep {}.{:03}{COPY}", takes / 1_000, takes % 1_000);
            let mut job = witnesses.job(&name, &work);
            if dice.random_ratio(1, 4) {
                job["when_cut_off"] = "move".into();
                job["lease"] = "30s".into();
            }
            if dice.random_ratio(1, 4) {
                let name = dataset(dice.random_range(0..DATASETS));
                job["input"] = json!([{"name": "in", "dataset": name}]);
                job["output"] = json!([{"name": "out", "dataset": format!("made-{number}")}]);
            }
            let id = submit(&tenant, &job, &name).await;
            acknowledged.push((id, name));
            tokio::time::sleep(pause.mul_f64(dice.random_range(0.0..2.0))).await;
        }
        acknowledged
    }

    /// Kills at random, and restarts what was killed a little later.
    async fn kill(&self, net: &mut Net) -> (usize, usize) {
        let mut dice = ChaCha8Rng::seed_from_u64(self.seed);
        let centers = net.centers();
        let (mut of_server, mut of_agents) = (0, 0);
        for _ in 0..self.kills {
            tokio::time::sleep(self.every.mul_f64(dice.random_range(0.0..1.6))).await;
            let down = self.every.mul_f64(dice.random_range(0.0..0.8));
            if dice.random_ratio(self.of_server, 10) {
                net.kill_server();
                of_server += 1;
                tokio::time::sleep(down).await;
                net.start_server().await;
            } else {
                let center = &centers[dice.random_range(0..centers.len())];
                net.kill_agent(center);
                of_agents += 1;
                tokio::time::sleep(down).await;
                net.spawn_agent(center);
            }
        }
        (of_server, of_agents)
    }

    /// Waits until no job is open any more; says which are if that does not come.
    async fn settle(&self, net: &Net) -> Vec<String> {
        let deadline = Instant::now() + self.settle;
        let mut open = Vec::new();
        while Instant::now() < deadline {
            let live: view::Jobs = net.operator().get("/v1/jobs?state=live&limit=500").await.ok();
            open = live.jobs;
            if open.is_empty() {
                return Vec::new();
            }
            // Ends are told one by one; looking at all of them after each would be too much.
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let within = self.settle;
        let tell = |job: view::Job| {
            format!("{} is still {} {within:?} after the last kill", job.job, job.state)
        };
        open.into_iter().map(tell).collect()
    }
}

/// How long one try to submit may take; a server that is killed while it answers may never hang up.
const TRY: Duration = Duration::from_secs(10);

/// Submits until somebody answers.
async fn submit(tenant: &Caller, job: &Value, key: &str) -> JobId {
    let deadline = Instant::now() + 12 * TRY;
    loop {
        let request = tenant.request(Method::POST, "/v1/jobs").json(job).timeout(TRY);
        let request = request.header("idempotency-key", key);
        match tenant.try_send(request).await {
            Ok(answer) if answer.status < 300 => return answer.ok::<view::Submitted>().first,
            Ok(answer) if answer.status == 503 => {}
            Ok(answer) => panic!("{key} was refused: {} {}", answer.status, answer.text),
            Err(error) if error.is_timeout() => println!("{key}: no answer within {TRY:?}"),
            Err(_) => {}
        }
        assert!(Instant::now() < deadline, "{key} finds no server to be submitted to");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

impl Verdict {
    /// Compares what was acknowledged with what is there, what the API says with what the log
    /// says, and the log with itself.
    async fn judge(
        &mut self,
        net: &mut Net,
        acknowledged: &[(JobId, String)],
        witnesses: &Witnesses,
    ) {
        let shown = net.jobs().await;
        self.compare(acknowledged, &shown);
        let jobs = || acknowledged.iter().map(|(job, _)| *job);
        self.violations.extend(witnesses.check(jobs()));
        (self.attempts, self.done) = witnesses.count(jobs());
        self.judge_made(net, &shown).await;
        for center in net.centers() {
            net.stop_agent(&center).await;
        }
        // Something new, so that the server leaves the world as it ends.
        let last = json!({"role": "operator", "label": "the last fact"});
        let _: view::TokenSecret = net.operator().post("/v1/tokens", &last).await.ok();
        let told = net.told();
        net.stop_server().await;
        let records = Records::read(&net.server_dir()).await;
        self.facts = records.records.len();
        self.violations.extend(records.violations());
        self.judge_told(&told, &records);
        self.judge_shown(&shown, &records);
        // A job that was done wrote so under the lock; one that was not cannot have completed.
        for job in shown.iter().filter(|job| job.state == "completed") {
            if !witnesses.of(job.job).last().is_some_and(|(_, done)| *done) {
                self.violations
                    .push(format!("{} completed, but its last attempt did not", job.job));
            }
        }
    }

    /// What a completed job was to make is there, once and whole.
    async fn judge_made(&mut self, net: &Net, shown: &[view::Job]) {
        let known: view::Datasets = net.operator().get("/v1/datasets").await.ok();
        let known: BTreeMap<String, view::Dataset> =
            known.datasets.into_iter().map(|set| (set.dataset.to_string(), set)).collect();
        for job in shown {
            let detail = net.job(job.job).await;
            let (Some(input), Some(output)) =
                (detail.asked.inputs.first(), detail.asked.outputs.first())
            else {
                continue;
            };
            let read =
                known.get(input.dataset.dataset.as_str()).and_then(|set| set.versions.last());
            let made = known.get(output.dataset.as_str()).map(|set| &set.versions[..]);
            let is_right = match (read, made) {
                (Some(read), Some([made])) => made.bytes == read.bytes && !made.replicas.is_empty(),
                (_, None) => job.state != "completed",
                _ => false,
            };
            if !is_right {
                let (id, state) = (job.job, &job.state);
                self.violations.push(format!("{id} is {state} and made {made:?} of {read:?}"));
            }
        }
    }

    fn compare(&mut self, acknowledged: &[(JobId, String)], shown: &[view::Job]) {
        let by_id: BTreeMap<JobId, &view::Job> = shown.iter().map(|job| (job.job, job)).collect();
        for (id, name) in acknowledged {
            match by_id.get(id) {
                None => self.violations.push(format!("{id} ({name}) was acknowledged and is gone")),
                Some(job) if job.name != *name => {
                    let now = &job.name;
                    self.violations.push(format!("{id} was acknowledged as {name} and is {now}"));
                }
                Some(job) => *self.ends.entry(job.state.clone()).or_default() += 1,
            }
        }
        let known: BTreeSet<JobId> = acknowledged.iter().map(|(job, _)| *job).collect();
        for job in shown.iter().filter(|job| !known.contains(&job.job)) {
            self.violations.push(format!("{} ({}) is there twice", job.job, job.name));
        }
    }

    /// Nothing may have been told that is not in the log, and nothing left out between.
    fn judge_told(&mut self, told: &[(u64, String)], records: &Records) {
        let first = told.first().map_or(1, |(number, _)| *number);
        for (expected, (number, kind)) in (first..).zip(told) {
            let at = usize::try_from(number - 1).expect("facts fit in memory");
            let real = records.records.get(at).map(|record| record.header.kind.as_str());
            if *number != expected || real != Some(kind) {
                self.violations.push(format!(
                    "the stream told fact {number} ({kind}) where fact {expected} was due; the log \
                     has {}",
                    real.unwrap_or("none")
                ));
                return;
            }
        }
    }

    /// What the API said last must be what the log amounts to.
    fn judge_shown(&mut self, shown: &[view::Job], records: &Records) {
        let world = records.world();
        for job in shown {
            let real = world.job(job.job);
            let real = real.map(|real| (real.phase.word(), real.epoch));
            if real != Some((job.state.as_str(), job.attempts)) {
                let (id, state, attempts) = (job.job, &job.state, job.attempts);
                let said = format!("{id} was shown {state} after {attempts} attempts");
                self.violations.push(format!("{said}, the log says {real:?}"));
            }
        }
    }
}
