//! The demo's processes: a server and three agents, each its own, ended by id.

use anyhow::{Context, bail};
use client::Client;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a process may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server and its agents.
#[derive(Debug)]
pub(crate) struct Cast {
    dir: PathBuf,
    children: Vec<(String, Child)>,
}

impl Cast {
    /// Nobody yet.
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), children: Vec::new() }
    }

    fn start(&mut self, name: &str, arguments: &[String]) -> anyhow::Result<()> {
        let log = std::fs::File::create(self.dir.join(format!("{name}.log")))?;
        let child = Command::new(super::THIS_PROGRAM)
            .arg0("portolan")
            .args(arguments)
            .arg("--with-parent")
            .env_remove("PORTOLAN_SERVER")
            .env_remove("PORTOLAN_TOKEN_FILE")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// Starts the server on loopback and returns its URL and the operator's token.
    pub(crate) async fn server(&mut self, port: u16) -> anyhow::Result<(String, String)> {
        let dir = self.dir.join("server");
        let address = self.dir.join("address");
        self.start(
            "server",
            &[
                "serve".into(),
                format!("--dir={}", dir.display()),
                format!("--listen=127.0.0.1:{port}"),
                format!("--address-file={}", address.display()),
                // Whoever looks at a demo does not wait for five minutes.
                "--quality-window=10s".into(),
            ],
        )?;
        let started = Instant::now();
        while !address.exists() {
            self.all_alive()?;
            if started.elapsed() > PATIENCE {
                bail!("the server does not start; see {}", self.dir.join("server.log").display());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let url = format!("http://{}", std::fs::read_to_string(&address)?.trim());
        let token = std::fs::read_to_string(dir.join(server::OPERATOR_TOKEN))?;
        Ok((url, token.trim().to_owned()))
    }

    /// Starts a center's agent.
    pub(crate) fn agent(&mut self, center: &str, url: &str, token: &str) -> anyhow::Result<()> {
        let token_file = self.dir.join(format!("{center}.token"));
        std::fs::write(&token_file, token)?;
        self.start(
            &format!("agent-{center}"),
            &[
                "agent".into(),
                format!("--server={url}"),
                format!("--token-file={}", token_file.display()),
                format!("--dir={}", self.dir.join(center).display()),
                "--data-listen=127.0.0.1:0".into(),
                "--probe-listen=127.0.0.1:0".into(),
            ],
        )
    }

    /// Waits until so many agents have joined.
    pub(crate) async fn joined(&mut self, client: &Client, agents: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            self.all_alive()?;
            let centers = client.centers().await?.centers;
            let here = |c: &&wire::view::Center| c.agent.is_some() && c.silent_since_ms.is_none();
            if centers.iter().filter(here).count() >= agents {
                return Ok(());
            }
            if started.elapsed() > PATIENCE {
                bail!("an agent does not join; see the logs in {}", self.dir.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Fails if one of them has ended.
    pub(crate) fn all_alive(&mut self) -> anyhow::Result<()> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                let log = self.dir.join(format!("{name}.log"));
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                let last: Vec<&str> = said.lines().rev().take(3).collect();
                bail!("the {name} ended with {status}: {}", last.join(" / "));
            }
        }
        Ok(())
    }

    /// Ends them all, politely, then hard.
    pub(crate) fn end(&mut self) {
        use rustix::process::{Pid, Signal, kill_process};
        for (_, child) in &mut self.children {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            // It may have ended by itself meanwhile.
            pid.map(|pid| kill_process(pid, Signal::TERM));
        }
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            let over = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
            if self.children.iter_mut().all(|(_, child)| over(child)) {
                break;
            }
            std::thread::yield_now();
        }
        super::sweep::sweep(&self.dir);
        for (_, child) in &mut self.children {
            let _ = child.wait();
        }
        self.children.clear();
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.end();
    }
}
