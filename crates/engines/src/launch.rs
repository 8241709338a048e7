//! What an engine is told to run.

use crate::enclosure::Enclosure;
use crate::{BootTime, Error};
use model::{AttemptId, NetworkUid, TenantId};
use model::{Bytes, Cores, Span};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Component, Path, PathBuf};

/// One attempt, ready to run. Everything in it but the secrets may be written to disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Launch {
    /// The network this attempt belongs to; the engine must have been opened for it.
    pub network: NetworkUid,
    /// Which attempt. Launching the same one again changes nothing.
    pub attempt: AttemptId,
    /// Program and arguments; the program is looked up in `PATH`.
    pub command: Vec<String>,
    /// Whose it is, where that makes a difference to whom it runs as.
    #[serde(default)]
    pub tenant: Option<TenantId>,
    /// The container image it runs in, if it names one.
    #[serde(default)]
    pub image: Option<String>,
    /// What it is enclosed in; the engine's to say.
    #[serde(default)]
    pub(crate) enclosure: Enclosure,
    /// Environment, on top of the engine's own small one (`PATH`, `HOME`, `TMPDIR`, `PORTOLAN_*`).
    pub env: Vec<(String, String)>,
    /// Environment whose values never touch a disk.
    #[serde(skip)]
    pub secrets: Vec<(String, Secret)>,
    /// Secrets it finds as files in `$PORTOLAN_SECRETS_DIR`, which nobody but its user may read, and
    /// which go when it ends.
    #[serde(default)]
    pub secret_files: Vec<SecretFile>,
    /// Directories that appear as links in the work directory.
    pub inputs: Vec<InputLink>,
    /// Empty directories made in the work directory, relative to it.
    pub outputs: Vec<PathBuf>,
    /// Where its progress is kept; none when it keeps none.
    #[serde(default)]
    pub checkpoint: Option<CheckpointDir>,
    /// The longest it may run; none for a service.
    pub limit: Option<Span>,
    /// Between TERM and KILL when it is ended by its limit or its lease.
    pub grace: Span,
    /// When it must stop itself unless extended; none to keep running when cut off (`hold`).
    pub lease: Option<BootTime>,
    /// Which part of the center it runs in, for engines that choose the nodes themselves.
    #[serde(default)]
    pub place: Option<Place>,
    /// The chip slots it may use.
    pub chips: Option<ChipSlots>,
    /// The most processor time it may use, enforced where the engine can.
    pub cpu: Option<Cores>,
    /// The most memory it may use, enforced where the engine can.
    pub memory: Option<Bytes>,
    /// The user to run as; none leaves it to the engine.
    pub run_as: Option<RunAs>,
    /// How much of each of stdout and stderr is kept; the rest is dropped and the outcome says so.
    pub log_cap: Bytes,
}

impl Launch {
    /// A launch of `command` that asks for nothing else: no limit, no lease, 5 s of grace, 16 MiB
    /// of each log.
    #[must_use]
    pub fn new(network: NetworkUid, attempt: AttemptId, command: Vec<String>) -> Self {
        Self {
            network,
            attempt,
            command,
            tenant: None,
            image: None,
            enclosure: Enclosure::default(),
            env: Vec::new(),
            secrets: Vec::new(),
            secret_files: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            checkpoint: None,
            limit: None,
            grace: Span::from_secs(5),
            lease: None,
            place: None,
            chips: None,
            cpu: None,
            memory: None,
            run_as: None,
            log_cap: Bytes(16 << 20),
        }
    }

    /// What no engine could run: an empty command, NUL bytes, environment names with `=`, paths
    /// that leave the work directory, inputs that are not absolute.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Refused { attempt: self.attempt, why });
        if self.command.first().is_none_or(String::is_empty) {
            return refuse("its command is empty".to_owned());
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return refuse("its command has a NUL byte".to_owned());
        }
        let plain = self.env.iter().map(|(name, value)| (name, value.as_str()));
        let secret = self.secrets.iter().map(|(name, value)| (name, value.expose()));
        for (name, value) in plain.chain(secret) {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return refuse(format!("its environment entry `{name}` cannot be set"));
            }
        }
        let kept = self.checkpoint.iter().map(|checkpoint| &checkpoint.name);
        let outputs = || self.outputs.iter().chain(kept.clone());
        let places = self.inputs.iter().map(|input| &input.name).chain(outputs());
        if let Some(place) = places.into_iter().find(|place| !stays_inside(place)) {
            return refuse(format!(
                "`{}` is not a path inside its work directory",
                place.display()
            ));
        }
        let clash = self.inputs.iter().find(|input| {
            let others = self.inputs.iter().filter(|other| !std::ptr::eq(*other, *input));
            let mut places = others.map(|other| &other.name).chain(outputs());
            // A link cannot be a directory too, and nothing can be made through it.
            places.any(|place| place.starts_with(&input.name))
        });
        if let Some(input) = clash {
            let name = input.name.display();
            return refuse(format!("its input `{name}` is in the way of another input or output"));
        }
        if let Some(checkpoint) = &self.checkpoint {
            let name = &checkpoint.name;
            let mut others = self.inputs.iter().map(|input| &input.name).chain(&self.outputs);
            if others.any(|other| other.starts_with(name) || name.starts_with(other)) {
                let name = name.display();
                return refuse(format!(
                    "its checkpoint `{name}` is in the way of an input or output"
                ));
            }
            if !checkpoint.target.is_absolute() {
                return refuse("its checkpoint's directory has no absolute path".to_owned());
            }
        }
        if let Some(secret) = self.secret_files.iter().find(|secret| !secret.is_a_file()) {
            let name = secret.name.display();
            return refuse(format!(
                "its secret `{name}` cannot be a file, or has no absolute path"
            ));
        }
        match self.inputs.iter().find(|input| !input.target.is_absolute()) {
            Some(input) => {
                refuse(format!("its input `{}` has no absolute path", input.name.display()))
            }
            None => Ok(()),
        }
    }
}

impl SecretFile {
    fn is_a_file(&self) -> bool {
        let plain = stays_inside(&self.name) && self.name.components().count() == 1;
        plain && self.source.is_absolute()
    }
}

fn stays_inside(place: &Path) -> bool {
    place.components().next().is_some()
        && place.components().all(|part| matches!(part, Component::Normal(_)))
        && !place.as_os_str().as_encoded_bytes().contains(&0)
}

/// A link in the work directory to a staged input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputLink {
    /// Where it appears, relative to the work directory.
    pub name: PathBuf,
    /// The absolute path it leads to.
    pub target: PathBuf,
}

/// A secret that is given as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// The file's name.
    pub name: PathBuf,
    /// The absolute path of what is copied there.
    pub source: PathBuf,
}

/// Where an attempt keeps its progress. The directory outlives it, for the job's next attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointDir {
    /// Where it appears as a link, relative to the work directory.
    pub name: PathBuf,
    /// The absolute path it leads to. Made if it is not there, and given to the user the attempt
    /// runs as; never removed by the engine.
    pub target: PathBuf,
    /// The signal that asks the command for a checkpoint, such as `USR1`: sent to the command
    /// itself before it is told to end, which it is after half of its grace.
    pub signal: Option<String>,
}

/// What an attempt takes of a center whose engine chooses the nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The pool.
    pub pool: String,
    /// How many of its nodes, all at once.
    pub nodes: u32,
    /// Whole chips on each of them.
    pub chips_per_node: u32,
}

/// Which chips of a node an attempt may see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChipSlots {
    /// The chip family's variable, such as `ASCEND_RT_VISIBLE_DEVICES`.
    pub variable: String,
    /// The slots, as the family numbers them; set as a list with commas.
    pub slots: Vec<u16>,
}

/// A user and group of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunAs {
    /// User number.
    pub uid: u32,
    /// Group number; no other groups are kept.
    pub gid: u32,
}

impl RunAs {
    /// The user of this machine whom a tenant's attempts are to run as. That needs an agent that is root,
    /// and another user than that.
    pub(crate) fn of_tenant(tenant: &TenantId, name: &str) -> Result<Self, Error> {
        let refuse =
            |why: &str| Error::Setup(format!("tenant {tenant} cannot run as `{name}`: {why}"));
        if !crate::is_root() {
            return Err(refuse("only an agent that is root runs attempts as other users"));
        }
        match nix::unistd::User::from_name(name) {
            Ok(Some(user)) if user.uid.is_root() => Err(refuse("that is root")),
            Ok(Some(user)) => Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }),
            Ok(None) => Err(refuse("this machine has no such user")),
            Err(error) => Err(refuse(error.desc())),
        }
    }
}

/// A value that is shown to nobody but the attempt.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `value` out of every log and file.
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
