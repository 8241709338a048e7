//! A network of real processes.

mod asking;
mod plan;
mod processes;

pub use plan::Plan;

use crate::facts::Facts;
use crate::program::{Finished, Program, tail};
use crate::{Answer, Caller, Proxy, strays};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
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
            let (line, door) = match self.plan.site(&center) {
                None => (Proxy::new().await, None),
                Some(site) => {
                    let door = SocketAddr::from((site.address(), 0));
                    (Proxy::inside(site), Some((door, String::new())))
                }
            };
            line.lead_to(Some(self.server_address()));
            self.agents.insert(center, Agent { program: None, line, token, door });
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

    /// Runs `portolan` in a center's site of an emulated network.
    pub async fn cli_at(&self, center: &str, who: &Caller, args: &[&str]) -> Finished {
        let site = self.plan.site(center).expect("the network is across an emulated one");
        let file = self.dir().join("cli.token");
        fs::write(&file, who.token()).expect("the network's directory can be written");
        let (file, server) = (file.display().to_string(), self.agents[center].line.url());
        let env = [("PORTOLAN_SERVER", &*server), ("PORTOLAN_TOKEN_FILE", &*file)];
        Finished::run_in(Some(site), args, &env, self.dir()).await
    }

    /// Runs `portolan` with this network's server and this token.
    pub async fn cli(&self, who: &Caller, args: &[&str]) -> Finished {
        let file = self.dir().join("cli.token");
        fs::write(&file, who.token()).expect("the network's directory can be written");
        let file = file.display().to_string();
        let env = [("PORTOLAN_SERVER", &*self.url()), ("PORTOLAN_TOKEN_FILE", &*file)];
        Finished::run(args, &env, self.dir()).await
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
