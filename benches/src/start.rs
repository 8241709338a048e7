//! From submission to a process that runs, on a network with nothing else to do.

use crate::disk::Disk;
use crate::http::Connection;
use crate::job::witness;
use crate::network::{Network, Shape, TENANTS, first_job, until};
use crate::row::{Samples, percentile};
use anyhow::{Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many jobs are submitted, one after the end of another.
const JOBS: usize = 300;
/// Left out: the first job in a center makes what later ones find.
const WARM_UP: usize = 6;
/// The chips of the three centers, so that each has its turn.
const CLASSES: [&str; 3] = ["cuda", "cann", "hip"];

/// The 50th and 99th percentile of the time from just before the request until the job's own
/// program tells the time, in milliseconds. Both are read from the one wall clock of this machine.
pub(crate) async fn measure(portolan: &Path, dir: PathBuf, disk: Disk) -> Result<Vec<Samples>> {
    let witnesses = dir.join("witnesses");
    fs::create_dir_all(&witnesses)?;
    // Attempts may run as users of their own.
    fs::set_permissions(&witnesses, Permissions::from_mode(0o1777))?;
    let network = Network::start(portolan, dir, Shape::Processes, disk).await?;
    let measured = all(&network, &witnesses).await;
    measured.map_err(|error| network.blame(&error))
}

async fn all(network: &Network, witnesses: &Path) -> Result<Vec<Samples>> {
    let mut tenant = network.connect_as(TENANTS[0]).await?;
    let mut took_ms = Vec::new();
    for n in 0..JOBS + WARM_UP {
        let file = witnesses.join(n.to_string());
        let took = one(&mut tenant, CLASSES[n % CLASSES.len()], &file).await;
        let took = took.with_context(|| format!("job {n} of {JOBS}"))?;
        if n >= WARM_UP {
            took_ms.push(took.as_secs_f64() * 1_000.0);
        }
        // Not always in step with whatever the server and the agents do now and then.
        tokio::time::sleep(Duration::from_millis(n as u64 * 7 % 20)).await;
    }
    let at = |percent| Samples::with_value(percentile(&took_ms, percent), &took_ms);
    Ok(vec![at(50.0), at(99.0)])
}

async fn one(tenant: &mut Connection, class: &str, file: &Path) -> Result<Duration> {
    let job = witness(class, &file.display().to_string());
    let began = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let submitted = tenant.post("/v1/jobs", &job).await?;
    let runs = until("the job's program to run", async || {
        let text = fs::read_to_string(file).unwrap_or_default();
        // Without its last character it is not written yet.
        Ok(text.strip_suffix('\n').map(str::parse::<u64>))
    });
    let runs = Duration::from_nanos(runs.await?.context("the program did not write the time")?);
    let path = format!("/v1/jobs/{}", first_job(&submitted)?);
    until("the job to complete", async || {
        let job = tenant.get(&path).await?;
        Ok((job["state"] == "completed").then_some(()))
    })
    .await?;
    runs.checked_sub(began).context("the clock went back")
}
