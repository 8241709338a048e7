//! The tools others use, on the same line: rclone in its set-ups, rsync, cp and iperf3.

use super::hands::Place;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longer no peer may take for one copy.
const PATIENCE_S: &str = "240";
const INSTALL: &str = "the peers are installed by: apt-get install rclone rsync iperf3 curl";
/// The port of whatever peer is asked.
const PORT: u16 = 8_973;

/// One way to use a tool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetUp {
    pub(crate) name: &'static str,
    how: How,
}

#[derive(Debug, Clone, Copy)]
enum How {
    /// The protocol and so many files at once.
    Rclone(&'static str, &'static str),
    Rsync,
}

const fn rclone(name: &'static str, protocol: &'static str, transfers: &'static str) -> SetUp {
    SetUp { name, how: How::Rclone(protocol, transfers) }
}

/// What is tried; the best counts.
pub(crate) const SET_UPS: [SetUp; 9] = [
    rclone("rclone http, 16 at once", "http", "16"),
    rclone("rclone http, 64 at once", "http", "64"),
    rclone("rclone webdav, 16 at once", "webdav", "16"),
    rclone("rclone webdav, 64 at once", "webdav", "64"),
    rclone("rclone sftp, 16 at once", "sftp", "16"),
    rclone("rclone sftp, 64 at once", "sftp", "64"),
    rclone("rclone s3, 16 at once", "s3", "16"),
    rclone("rclone s3, 64 at once", "s3", "64"),
    SetUp { name: "rsync", how: How::Rsync },
];

/// What one copy took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// Of both ends.
    pub(crate) cpu_s: f64,
}

impl SetUp {
    pub(crate) fn is_rclone(&self) -> bool {
        matches!(self.how, How::Rclone(..))
    }

    /// Copies all of `from`, served in one place, to `into` in the other.
    pub(crate) fn copy(
        &self,
        from: (Place<'_>, &Path),
        host: &str,
        into: (Place<'_>, &Path),
    ) -> Result<Took> {
        let before = children_cpu_s()?;
        let mut serving = self.serve(from)?;
        let seconds = reachable(into.0, host).and_then(|()| {
            let mut copying = into.0("timeout");
            copying.arg(PATIENCE_S);
            self.ask(&mut copying, host, into.1)?;
            timed(&mut copying)
        });
        serving.kill()?;
        serving.wait()?;
        Ok(Took { seconds: seconds?, cpu_s: children_cpu_s()? - before })
    }

    fn serve(&self, (place, dir): (Place<'_>, &Path)) -> Result<Child> {
        let mut command = match self.how {
            How::Rclone(protocol, _) => {
                let mut command = place("rclone");
                command.args(["serve", protocol, "--config", ""]);
                command.arg(format!("--addr=0.0.0.0:{PORT}"));
                match protocol {
                    "sftp" => command.args(["--user=bench", "--pass=bench"]).arg(dir),
                    // What is served there is buckets.
                    "s3" => command.arg("--auth-key=bench,bench").args(dir.parent()),
                    _ => command.arg(dir),
                };
                command
            }
            How::Rsync => {
                let settings = dir.with_extension("rsyncd");
                let text = format!(
                    "use chroot = no\nport = {PORT}\nreverse lookup = no\n[bench]\npath = {}\n\
                     read only = yes\nuid = 0\ngid = 0\n",
                    dir.display()
                );
                fs::write(&settings, text)?;
                let mut command = place("rsync");
                command.args(["--daemon", "--no-detach", "--config"]).arg(settings);
                command
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("cannot start {}; {INSTALL}", self.name))
    }

    fn ask(&self, command: &mut Command, host: &str, into: &Path) -> Result<()> {
        match self.how {
            How::Rclone(protocol, transfers) => {
                let bucket = if protocol == "s3" { "in" } else { "" };
                command.args(["rclone", "copy", &format!(":{protocol}:{bucket}")]).arg(into);
                command.args(["--config", "", "-q", "--multi-thread-cutoff=64M"]);
                command.args(["--transfers", transfers, "--checkers", transfers]);
                match protocol {
                    "http" | "webdav" => {
                        command.arg(format!("--{protocol}-url=http://{host}:{PORT}/"));
                    }
                    "s3" => {
                        command.arg("--s3-provider=Rclone");
                        command.arg(format!("--s3-endpoint=http://{host}:{PORT}"));
                        command.args(["--s3-access-key-id=bench", "--s3-secret-access-key=bench"]);
                    }
                    _ => {
                        let hidden = Command::new("rclone").args(["obscure", "bench"]).output()?;
                        let hidden = String::from_utf8(hidden.stdout)?;
                        command.arg(format!("--sftp-host={host}"));
                        command.arg(format!("--sftp-port={PORT}"));
                        command.arg("--sftp-user=bench");
                        command.arg(format!("--sftp-pass={}", hidden.trim()));
                    }
                }
            }
            How::Rsync => {
                command.args(["rsync", "-a", "--whole-file"]);
                command.arg(format!("rsync://{host}:{PORT}/bench/")).arg(into);
            }
        }
        Ok(())
    }
}

/// Seconds of one `cp -r` on this machine: no network at all.
pub(crate) fn cp(from: &Path, into: &Path) -> Result<f64> {
    timed(Command::new("cp").arg("-r").arg(from).arg(into))
}

/// A server of iperf3; it ends with this.
#[derive(Debug)]
struct Iperf(Child);

impl Iperf {
    fn serve(place: Place<'_>, host: &str, client: Place<'_>) -> Result<Self> {
        let mut serving = place("iperf3");
        // It complains of whoever only looks whether it is there.
        serving.args(["-s", "-p", &PORT.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let serving = Self(serving.spawn().context(INSTALL)?);
        reachable(client, host)?;
        Ok(serving)
    }
}

impl Drop for Iperf {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn end(child: &mut Child) {
    // It is gone either way.
    let _ = child.kill();
    let _ = child.wait();
}

/// What one stream of iperf3 carries between the places, in bits a second of payload.
pub(crate) fn iperf3(server: Place<'_>, host: &str, client: Place<'_>) -> Result<f64> {
    let _serving = Iperf::serve(server, host, client)?;
    let mut asking = client("iperf3");
    asking.args(["-c", host, "-p", &PORT.to_string(), "-R", "-t", "10", "-O", "1", "--json"]);
    let report: Value = serde_json::from_slice(&asking.output()?.stdout)?;
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64();
    rate.with_context(|| format!("iperf3 says {}", report["error"]))
}

/// Four streams that take what they get of a line; they end with this.
#[derive(Debug)]
pub(crate) struct Crowd {
    client: Child,
    _serving: Iperf,
}

impl Crowd {
    pub(crate) fn start(server: Place<'_>, host: &str, client: Place<'_>) -> Result<Self> {
        let serving = Iperf::serve(server, host, client)?;
        let mut asking = client("iperf3");
        asking.args(["-c", host, "-p", &PORT.to_string(), "-R", "-P", "4", "-t", "3600"]);
        let client = asking.stdout(Stdio::null()).spawn()?;
        Ok(Self { client, _serving: serving })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        end(&mut self.client);
    }
}

/// Waits until the port answers from there.
fn reachable(place: Place<'_>, host: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let probe = format!("exec 3<>/dev/tcp/{host}/{PORT}");
        let mut command = place("bash");
        command.args(["-c", &probe]).stderr(Stdio::null());
        if command.status()?.success() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "port {PORT} at {host} does not open");
        // tidy: a server that starts gives no other sign
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn timed(command: &mut Command) -> Result<f64> {
    let began = Instant::now();
    let output = command.stdin(Stdio::null()).output().context("cannot start it")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = said.lines().last().unwrap_or_default().to_owned();
        bail!("{}: {said}", output.status);
    }
    Ok(began.elapsed().as_secs_f64())
}

/// CPU seconds of all processes this one has waited for.
fn children_cpu_s() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let all = usage.user_time() + usage.system_time();
    #[expect(clippy::cast_precision_loss, reason = "a program does not run for ages")]
    let seconds = all.num_microseconds() as f64 / 1e6;
    Ok(seconds)
}
