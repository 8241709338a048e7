//! The directory that a batch engine shares with its nodes.

use super::BatchConfig;
use crate::Error;
use crate::attempt_dir::AttemptDir;
use crate::ground::Ground;
use model::{AttemptId, NetworkUid};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory that a batch engine works in.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) ground: Ground,
    pub(super) network: NetworkUid,
    /// The supervisor's program and first arguments, as nodes are to call it.
    pub(super) supervisor: Vec<String>,
}

impl Shelf {
    pub(super) fn open(config: BatchConfig) -> Result<Self, Error> {
        let BatchConfig { base, network, supervisor, .. } = config;
        let ground = Ground::open(&base, network, true)?;
        let bin = base.join("bin");
        fs::create_dir_all(&bin).map_err(Error::io("make", &bin))?;
        let program = put_program(&supervisor.program, &bin)?;
        let text = |path: &Path| {
            let wrong = || Error::Setup(format!("{} is not plain text", path.display()));
            path.to_str().map(str::to_owned).ok_or_else(wrong)
        };
        let mut command = vec![text(&program)?];
        for argument in &supervisor.arguments {
            command.push(text(Path::new(argument))?);
        }
        Ok(Self { ground, network, supervisor: command })
    }

    pub(super) fn place(&self, attempt: AttemptId) -> AttemptDir {
        AttemptDir::shared(self.ground.dir().join(attempt.to_string()))
    }

    /// What names of this engine's entries begin with: a network's, as far as names may be long.
    pub(super) fn prefix(&self) -> String {
        let network = self.network.to_string();
        format!("portolan-{}-", network.get(..16).unwrap_or(&network))
    }

    /// What an attempt is called in the batch system.
    pub(super) fn name(&self, attempt: AttemptId) -> String {
        format!("{}{}-{}", self.prefix(), attempt.job.number(), attempt.epoch)
    }
}

/// Copies a program to where all nodes find it, under a name that another build does not have.
fn put_program(program: &Path, bin: &Path) -> Result<PathBuf, Error> {
    let about = fs::metadata(program).map_err(Error::io("look at", program))?;
    let made = about.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let made = made.unwrap_or_default().as_millis();
    let target = bin.join(format!("supervisor-{}-{made}", about.len()));
    if !target.exists() {
        let draft = bin.join(format!(".draft-{}", std::process::id()));
        fs::copy(program, &draft)
            .and_then(|_| fs::set_permissions(&draft, Permissions::from_mode(0o755)))
            .and_then(|()| fs::rename(&draft, &target))
            .map_err(Error::io("copy the supervisor to", &target))?;
    }
    Ok(target)
}
