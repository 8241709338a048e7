//! A network of real processes.

use crate::facts::Facts;
use crate::program::{Finished, Program, tail};
use crate::put::Data;
use crate::{Answer, Caller, Proxy, strays};
use model::{DatasetVersion, JobId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wire::view;

/// The sample network of three centers and 24 chips.
pub const LAPTOP: &str = include_str!("../../catalog/networks/laptop.toml");

/// How long anything may take that should happen at once, on a busy machine.
const SOON: Duration = Duration::from_secs(45);
/// How soon to look again at what sends no facts, such as a file.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A job that runs a piece of shell, for a tenant who expects no trouble.
#[must_use]
pub fn sh(name: &str, script: &str) -> Value {
    json!({"name": name, "limit": "1m", "memory": "64 MiB", "command": ["sh", "-c", script]})
}

/// A network to be started.
#[derive(Debug, Clone)]
pub struct Plan {
    network: String,
    serve: Vec<String>,
    agent: Vec<String>,
    centers: Option<Vec<String>>,
    follow: bool,
}

impl Plan {
    /// The network in this file.
    #[must_use]
    pub fn of(network: &str) -> Self {
        let (serve, agent) = (Vec::new(), Vec::new());
        Self { network: network.to_owned(), serve, agent, centers: None, follow: true }
    }

    /// The sample network of three centers.
    #[must_use]
    pub fn laptop() -> Self {
        Self::of(LAPTOP)
    }

    /// With further arguments for `portolan serve`.
    #[must_use]
    pub fn serve(mut self, args: &[&str]) -> Self {
        self.serve.extend(args.iter().map(ToString::to_string));
        self
    }

    /// With further arguments for every `portolan agent`.
    #[must_use]
    pub fn agent(mut self, args: &[&str]) -> Self {
        self.agent.extend(args.iter().map(ToString::to_string));
        self
    }

    /// With agents for these centers only.
    #[must_use]
    pub fn only(mut self, centers: &[&str]) -> Self {
        self.centers = Some(centers.iter().map(ToString::to_string).collect());
        self
    }

    /// Without following the events: for runs of very many facts.
    #[must_use]
    pub fn unwatched(mut self) -> Self {
        self.follow = false;
        self
    }

    /// Starts all of it and waits until every agent is there.
    pub async fn start(self) -> Net {
        let mut net = Net::prepare(self).await;
        net.start_server().await;
        net.admit().await;
        let centers: Vec<String> = net.agents.keys().cloned().collect();
        for center in &centers {
            net.spawn_agent(center);
        }
        for center in &centers {
            net.until_there(center).await;
        }
        net
    }
}

/// A network that runs. Dropping it ends every process of it; its directory is kept if the test
/// failed.
#[derive(Debug)]
pub struct Net {
    dir: Option<TempDir>,
    plan: Plan,
    server: Option<Program>,
    /// The line people come by; it stays while servers come and go.
    door: Proxy,
    operator: Caller,
    tenants: BTreeMap<String, Caller>,
    agents: BTreeMap<String, Agent>,
    facts: Option<Facts>,
}

#[derive(Debug)]
struct Agent {
    program: Option<Program>,
    line: Proxy,
    token: PathBuf,
    /// Where its store's door is to listen and how others are to reach it, if not just anywhere.
    door: Option<(SocketAddr, String)>,
}

impl Net {
    async fn prepare(plan: Plan) -> Self {
        let dir = tempfile::Builder::new().prefix("portolan-net-").tempdir();
        let dir = dir.expect("a temporary directory can be made");
        // Attempts may run as users of their own, and must find their way.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("one's own directory can be opened");
        let door = Proxy::new().await;
        let operator = Caller::new(&door.url(), "");
        Self {
            dir: Some(dir),
            plan,
            server: None,
            door,
            operator,
            tenants: BTreeMap::new(),
            agents: BTreeMap::new(),
            facts: None,
        }
    }

    /// Declares the network and makes everybody's token.
    async fn admit(&mut self) {
        let secret = fs::read_to_string(self.server_dir().join("operator.token"))
            .expect("the server leaves the first operator's token");
        self.operator = self.operator.with_token(secret.trim());
        if self.plan.follow {
            self.facts = Some(Facts::follow(self.operator.clone()));
        }
        let file = self.plan.network.clone();
        let applied = self.apply(&file).await;
        let _: view::Applied = applied.ok();
        let tenants: view::Tenants = self.operator.get("/v1/tenants").await.ok();
        for view::Tenant { tenant, .. } in tenants.tenants {
            let token = self.token(&json!({"role": "tenant", "of": tenant})).await;
            self.tenants.insert(tenant.to_string(), self.operator.with_token(&token));
        }
        let centers: view::Centers = self.operator.get("/v1/centers").await.ok();
        for view::Center { center, .. } in centers.centers {
            let center = center.to_string();
            if self.plan.centers.as_ref().is_some_and(|only| !only.contains(&center)) {
                continue;
            }
            let secret = self.token(&json!({"role": "center", "of": center})).await;
            let token = self.dir().join(format!("{center}.token"));
            fs::write(&token, secret).expect("the network's directory can be written");
            fs::set_permissions(&token, fs::Permissions::from_mode(0o600))
                .expect("one's own file can be closed");
            let line = Proxy::new().await;
            line.lead_to(Some(self.server_address()));
            self.agents.insert(center, Agent { program: None, line, token, door: None });
        }
    }

    /// Declares what a network file says.
    pub async fn apply(&self, file: &str) -> Answer {
        let media = "application/toml";
        let put = reqwest::Method::PUT;
        self.operator.with_body(put, "/v1/network", media, file.to_owned()).await
    }

    async fn token(&self, wanted: &Value) -> String {
        let made: view::TokenSecret = self.operator.post("/v1/tokens", wanted).await.ok();
        made.secret
    }

    /// The directory of everything.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("it goes with the network").path()
    }

    /// The server's directory.
    #[must_use]
    pub fn server_dir(&self) -> PathBuf {
        self.dir().join("server")
    }

    /// An agent's directory.
    #[must_use]
    pub fn agent_dir(&self, center: &str) -> PathBuf {
        self.dir().join(center)
    }

    /// The file that holds a center's token.
    #[must_use]
    pub fn token_file(&self, center: &str) -> PathBuf {
        self.agents[center].token.clone()
    }

    /// What server (`server`) or agent (its center) said so far.
    #[must_use]
    pub fn said(&self, who: &str) -> String {
        fs::read_to_string(self.log_file(who)).unwrap_or_default()
    }

    fn log_file(&self, who: &str) -> PathBuf {
        self.dir().join(format!("{who}.log"))
    }

    /// Somebody who may do everything.
    #[must_use]
    pub const fn operator(&self) -> &Caller {
        &self.operator
    }

    /// A tenant.
    #[must_use]
    pub fn tenant(&self, name: &str) -> &Caller {
        self.tenants.get(name).unwrap_or_else(|| panic!("there is no tenant {name}"))
    }

    /// The URL of the server, whichever runs.
    #[must_use]
    pub fn url(&self) -> String {
        self.door.url()
    }

    /// Runs `portolan` with this network's server and this token.
    pub async fn cli(&self, who: &Caller, args: &[&str]) -> Finished {
        let file = self.dir().join("cli.token");
        fs::write(&file, who.token()).expect("the network's directory can be written");
        let file = file.display().to_string();
        let env = [("PORTOLAN_SERVER", &*self.url()), ("PORTOLAN_TOKEN_FILE", &*file)];
        Finished::run(args, &env, self.dir()).await
    }

    // Processes.

    fn server_address(&self) -> SocketAddr {
        let text = fs::read_to_string(self.dir().join("address"));
        text.expect("the server says where it listens").parse().expect("an address")
    }

    /// Starts the server where its log is, and waits until it answers.
    pub async fn start_server(&mut self) {
        if let Err(why) = self.try_start_server().await {
            panic!("the server does not start: {why}");
        }
    }

    /// Starts the server; the error is what it said before it gave up.
    pub async fn try_start_server(&mut self) -> Result<(), String> {
        assert!(self.server.is_none(), "the server runs already");
        let address = self.dir().join("address");
        // It is there again once the new server listens.
        let _ = fs::remove_file(&address);
        let (dir, file) = (self.server_dir().display().to_string(), address.display().to_string());
        let mut args = vec!["serve", "--dir", &dir, "--address-file", &file];
        args.extend(["--listen", "127.0.0.1:0"]);
        args.extend(self.plan.serve.iter().map(String::as_str));
        let mut server = Program::start(&args, &self.log_file("server"));
        let deadline = Instant::now() + SOON;
        while !address.exists() {
            if let Some(status) = server.ended() {
                return Err(format!("{status}: {}", tail(&self.log_file("server"), 5)));
            }
            assert!(Instant::now() < deadline, "the server does not listen within {SOON:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.server = Some(server);
        let address = self.server_address();
        self.door.lead_to(Some(address));
        self.agents.values().for_each(|agent| agent.line.lead_to(Some(address)));
        Ok(())
    }

    /// `kill -9` of the server.
    pub fn kill_server(&mut self) {
        self.lead_nowhere();
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// Asks the server to stop, and waits until it has.
    pub async fn stop_server(&mut self) {
        self.lead_nowhere();
        if let Some(server) = self.server.take() {
            let status = server.stop().await;
            assert!(status.success(), "{status}: {}", tail(&self.log_file("server"), 10));
        }
    }

    fn lead_nowhere(&self) {
        self.door.lead_to(None);
        self.agents.values().for_each(|agent| agent.line.lead_to(None));
    }

    /// The server's process number.
    #[must_use]
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().expect("the server runs").pid()
    }

    /// Other arguments for the next server.
    pub fn reconfigure(&mut self, serve: &[&str]) {
        self.plan.serve = serve.iter().map(ToString::to_string).collect();
    }

    /// Starts a center's agent and waits until the server has heard of it.
    pub async fn start_agent(&mut self, center: &str) {
        self.spawn_agent(center);
        self.until_there(center).await;
    }

    /// Starts a center's agent.
    pub fn spawn_agent(&mut self, center: &str) {
        let dir = self.agent_dir(center).display().to_string();
        let log = self.log_file(center);
        let engine = self.engine(center);
        let agent = self.agents.get_mut(center).expect("the center has an agent");
        assert!(agent.program.is_none(), "the agent of {center} runs already");
        let (server, token) = (agent.line.url(), agent.token.display().to_string());
        let mut args = vec!["agent", "--server", &server, "--token-file", &token, "--dir", &dir];
        let anywhere = (SocketAddr::from(([127, 0, 0, 1], 0)), String::new());
        let (listen, url) = agent.door.clone().unwrap_or(anywhere);
        let listen = listen.to_string();
        args.extend(["--engine", engine, "--data-listen", &listen]);
        if !url.is_empty() {
            args.extend(["--data-url", &url]);
        }
        if !self.plan.agent.iter().any(|arg| arg == "--uids") {
            // Witness files are shared by all attempts.
            args.extend(["--uids", "none"]);
        }
        args.extend(self.plan.agent.iter().map(String::as_str));
        agent.program = Some(Program::start(&args, &log));
    }

    fn engine(&self, center: &str) -> &'static str {
        let of = format!("center = \"{center}\"");
        let rest = self.plan.network.split(&of).nth(1).unwrap_or_default();
        let next = rest.split("engine = \"").nth(1).unwrap_or_default();
        if next.starts_with("timer") { "timer" } else { "process" }
    }

    /// `kill -9` of an agent; its attempts go on.
    pub fn kill_agent(&mut self, center: &str) {
        let agent = self.agents.get_mut(center).expect("the center has an agent");
        if let Some(mut program) = agent.program.take() {
            program.kill();
        }
    }

    /// Ends everything in a center at once: its agent, the supervisors and what they run.
    pub fn burn(&mut self, center: &str) {
        self.kill_agent(center);
        strays::end(&self.agent_dir(center));
    }

    /// Asks an agent to stop, and waits until it has.
    pub async fn stop_agent(&mut self, center: &str) {
        let agent = self.agents.get_mut(center).expect("the center has an agent");
        if let Some(program) = agent.program.take() {
            let status = program.stop().await;
            assert!(status.success(), "{status}: {}", tail(&self.log_file(center), 10));
        }
    }

    /// Whether an agent runs; otherwise how it ended.
    pub fn agent_ended(&mut self, center: &str) -> Option<std::process::ExitStatus> {
        let agent = self.agents.get_mut(center).expect("the center has an agent");
        agent.program.as_mut().and_then(Program::ended)
    }

    /// The centers with agents.
    #[must_use]
    pub fn centers(&self) -> Vec<String> {
        self.agents.keys().cloned().collect()
    }

    /// Cuts an agent's line to the server, silently.
    pub fn cut(&self, center: &str) {
        self.agents[center].line.cut();
    }

    /// Mends an agent's line.
    pub fn mend(&self, center: &str) {
        self.agents[center].line.mend();
    }

    /// Puts a line of the caller's between a center's store and whoever reads from it. The agent is
    /// restarted for it.
    pub async fn line_to_store(&mut self, center: &str) -> Proxy {
        let known: view::Center = self.operator.get(&format!("/v1/centers/{center}")).await.ok();
        let url = known.agent.and_then(|agent| agent.data_url).expect("its store has a door");
        let address = url.trim_start_matches("http://").parse().expect("a door on loopback");
        let line = Proxy::new().await;
        line.lead_to(Some(address));
        self.stop_agent(center).await;
        let agent = self.agents.get_mut(center).expect("the center has an agent");
        agent.door = Some((address, line.url()));
        self.spawn_agent(center);
        let path = format!("/v1/centers/{center}");
        let moved = async || {
            let known: view::Center = self.operator.get(&path).await.ok();
            (known.agent?.data_url? == line.url()).then_some(())
        };
        self.until("the store has moved behind the line", moved).await;
        line
    }

    /// Processes of this network beside servers, agents: supervisors and what they run.
    #[must_use]
    pub fn attempts_processes(&self) -> usize {
        let of = |program: &Option<Program>| program.as_ref().map(Program::pid);
        let known: Vec<u32> = std::iter::once(of(&self.server))
            .chain(self.agents.values().map(|agent| of(&agent.program)))
            .flatten()
            .collect();
        let strays = strays::of(self.dir());
        strays.iter().filter(|pid| !known.iter().any(|k| i64::from(*k) == i64::from(**pid))).count()
    }

    // Waiting.

    /// Waits until `probe` gives something: looks after every fact the server tells, and now and
    /// then, for files tell nothing. `what` is for the message when it never comes.
    pub async fn until<T>(&self, what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
        self.within(SOON, what, &mut probe).await
    }

    /// [`Self::until`] with another deadline than the usual.
    pub async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        mut probe: impl AsyncFnMut() -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut facts = self.facts.as_ref().map(Facts::newest);
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
            let told = async {
                let Some(facts) = &mut facts else { return std::future::pending().await };
                if facts.changed().await.is_err() {
                    std::future::pending().await
                }
            };
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Waits until a center's agent has been heard of.
    pub async fn until_there(&self, center: &str) {
        let path = format!("/v1/centers/{center}");
        let there = async || {
            let answer = self.operator.try_send(self.operator.request(reqwest::Method::GET, &path));
            let center: view::Center = answer.await.ok()?.ok();
            (center.agent.is_some() && center.silent_since_ms.is_none()).then_some(())
        };
        self.until(&format!("the agent of {center} is there"), there).await;
    }

    // Jobs and data.

    /// Submits a job; the test ends if it is refused.
    pub async fn submit(&self, tenant: &str, job: &Value) -> JobId {
        let submitted: view::Submitted = self.tenant(tenant).post("/v1/jobs", job).await.ok();
        submitted.first
    }

    /// A job as it is now.
    pub async fn job(&self, job: JobId) -> view::JobDetail {
        self.operator.get(&format!("/v1/jobs/{job}")).await.ok()
    }

    /// A job once `is` holds of it.
    pub async fn job_once(
        &self,
        job: JobId,
        what: &str,
        is: impl Fn(&view::JobDetail) -> bool,
    ) -> view::JobDetail {
        let path = format!("/v1/jobs/{job}");
        let probe = async || {
            let request = self.operator.request(reqwest::Method::GET, &path);
            // The server may be down just now.
            let answer = self.operator.try_send(request).await.ok()?;
            let job: view::JobDetail = (answer.status < 400).then(|| answer.ok())?;
            is(&job).then_some(job)
        };
        self.until(&format!("{job} {what}"), probe).await
    }

    /// A job once it is in this state.
    pub async fn in_state(&self, job: JobId, state: &str) -> view::JobDetail {
        self.job_once(job, &format!("is {state}"), |job| job.job.state == state).await
    }

    /// A job once it has ended.
    pub async fn ended(&self, job: JobId) -> view::JobDetail {
        self.job_once(job, "has ended", |job| job.job.ended_ms.is_some()).await
    }

    /// Why a job is where it is.
    pub async fn why(&self, job: JobId) -> view::Why {
        self.operator.get(&format!("/v1/jobs/{job}/why")).await.ok()
    }

    /// All jobs there are, oldest first.
    pub async fn jobs(&self) -> Vec<view::Job> {
        let (mut all, mut before) = (Vec::new(), String::new());
        loop {
            let page = self.operator.get(&format!("/v1/jobs?limit=500{before}")).await;
            let page: view::Jobs = page.ok();
            all.extend(page.jobs);
            let Some(next) = page.next else { break };
            before = format!("&before={next}");
        }
        all.reverse();
        all
    }

    /// All of what a job printed, once it is over.
    pub async fn output(&self, job: JobId) -> String {
        self.operator.get(&format!("/v1/jobs/{job}/logs?follow=true")).await.text
    }

    /// Puts one file as a dataset into a center's store, and waits until the network knows.
    pub async fn put(
        &self,
        tenant: &str,
        (dataset, center): (&str, &str),
        (path, bytes): (&str, &[u8]),
        residency: &[&str],
    ) -> DatasetVersion {
        let data = Data::new(path, bytes);
        let announcement = data.announcement(dataset, center, residency);
        let ticket: view::Ticket =
            self.tenant(tenant).post("/v1/datasets", &announcement).await.ok();
        let carried = data.carry(&ticket).await;
        assert!(carried.status < 300, "{} {}", carried.status, carried.text);
        self.until_copy(dataset, center).await;
        DatasetVersion { dataset: ticket.dataset, version: ticket.version }
    }

    /// Waits until a center has a copy of the newest version of a dataset.
    pub async fn until_copy(&self, dataset: &str, center: &str) -> view::DatasetVersion {
        let probe = async || {
            let answer = self.operator.get(&format!("/v1/datasets/{dataset}")).await;
            let known: view::Dataset = (answer.status < 400).then(|| answer.ok())?;
            let newest = known.versions.last()?.clone();
            newest.replicas.iter().any(|c| c.as_str() == center).then_some(newest)
        };
        self.until(&format!("{dataset} is at {center}"), probe).await
    }

    /// Facts told so far to somebody who follows events all the time: their numbers and kinds.
    #[must_use]
    pub fn told(&self) -> Vec<(u64, String)> {
        self.facts.as_ref().map(Facts::told).unwrap_or_default()
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.facts = None;
        for agent in self.agents.values_mut() {
            agent.program = None;
        }
        self.server = None;
        let Some(dir) = self.dir.take() else { return };
        strays::end(dir.path());
        if std::thread::panicking() {
            let kept = dir.keep();
            eprintln!("\nthe network's directory is kept: {}", kept.display());
            let names = self.agents.keys().map(String::as_str);
            for who in std::iter::once("server").chain(names) {
                let said = tail(&kept.join(format!("{who}.log")), 12);
                eprintln!("--- the last {who} said ---\n{said}");
            }
        }
    }
}
