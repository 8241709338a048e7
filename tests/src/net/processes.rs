//! Starting, killing, cutting off.

use super::{LOOK_AGAIN, Net, SOON};
use crate::program::{Program, tail};
use crate::{Proxy, strays};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Instant;
use wire::view;

impl Net {
    pub(super) fn server_address(&self) -> SocketAddr {
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

    /// Other arguments for agents started from now on.
    pub fn reconfigure_agents(&mut self, agent: &[&str]) {
        self.plan.agent = agent.iter().map(ToString::to_string).collect();
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
        args.extend(["--engine", engine]);
        let config = self.plan.engines.get(center).map(|file| file.display().to_string());
        args.extend(config.iter().flat_map(|file| ["--engine-config", file]));
        if !self.plan.doorless.iter().any(|shut| shut == center) {
            args.extend(["--data-listen", &listen]);
        }
        if !url.is_empty() {
            args.extend(["--data-url", &url]);
        }
        if !self.plan.agent.iter().any(|arg| arg == "--uids") {
            // Witness files are shared by all attempts.
            args.extend(["--uids", "none"]);
        }
        let address = self.plan.site(center).map(|site| site.address().to_string());
        let address = address.unwrap_or_default();
        let further = self
            .plan
            .agent
            .iter()
            .map(|arg| arg.replace("{site}", &address).replace("{center}", center));
        let further: Vec<String> = further.collect();
        args.extend(further.iter().map(String::as_str));
        agent.program = Some(Program::start_in(self.plan.site(center), &args, &log));
    }

    fn engine(&self, center: &str) -> &'static str {
        let of = format!("center = \"{center}\"");
        let rest = self.plan.network.split(&of).nth(1).unwrap_or_default();
        let next = rest.split("engine = \"").nth(1).unwrap_or_default();
        let known = ["timer", "slurm", "kubernetes", "ray"]
            .into_iter()
            .find(|engine| next.starts_with(engine));
        known.unwrap_or("process")
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

    /// All files in a center's store, complete or coming in.
    #[must_use]
    pub fn stored(&self, center: &str) -> Vec<PathBuf> {
        let (mut dirs, mut files) = (vec![self.agent_dir(center).join("store")], Vec::new());
        while let Some(dir) = dirs.pop() {
            // What is there may go while it is looked at.
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => dirs.push(entry.path()),
                    Ok(kind) if kind.is_file() => files.push(entry.path()),
                    _ => {}
                }
            }
        }
        files
    }

    /// Changes one bit of a file in a center's store, where it lies; nobody is told.
    pub fn rot(&self, center: &str, file: &str, at: usize) {
        let all = self.stored(center);
        let path = all.iter().find(|path| path.ends_with(file));
        let path = path.unwrap_or_else(|| panic!("{center} has no {file}: {all:?}"));
        let mut bytes = fs::read(path).expect("a file of a store can be read");
        bytes[at] ^= 1;
        let writable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(path, writable).expect("a file of a store is ours");
        fs::write(path, bytes).expect("a file of a store is ours");
    }

    /// `kill -9` of every supervisor in a center, and of nothing it runs. Tells how many there were.
    pub fn kill_supervisors(&self, center: &str) -> usize {
        let supervisors = strays::supervisors(&self.agent_dir(center));
        supervisors.iter().for_each(|pid| strays::kill(*pid));
        supervisors.len()
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
        let is_known = |pid: i32| known.iter().any(|k| i64::from(*k) == i64::from(pid));
        let strays = strays::of(self.dir()).into_iter();
        let theirs = strays.filter(|pid| !strays::starts_supervisors(*pid, self.dir()));
        theirs.filter(|pid| !is_known(*pid)).count()
    }
}
