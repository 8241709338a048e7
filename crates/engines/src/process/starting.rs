//! Asking for supervisors: the engine's side of the process that starts them.

use super::SupervisorCommand;
use crate::Error;
use crate::enclosure::HANDED_ON;
use crate::hints::lock;
use crate::supervisor::{Ended, ON_REQUEST, Wish};
use model::AttemptId;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A running process that starts supervisors. It ends when this is dropped; they go on.
#[derive(Debug)]
pub(super) struct Starter {
    wishes: ChildStdin,
    asked: Arc<Mutex<Asked>>,
}

/// The attempts of which nothing has been heard since their supervisor was asked for.
#[derive(Debug, Default)]
struct Asked {
    open: BTreeSet<AttemptId>,
    /// Whether nothing will be heard any more.
    over: bool,
}

impl Starter {
    /// Starts it for the attempts in a directory, and asks it for a first supervisor. `ended` is called, by a
    /// thread of its own, once for every attempt that it was asked for: as soon as its supervisor has
    /// ended, or can no longer be told of, with how.
    pub(super) fn start(
        command: &SupervisorCommand,
        network_dir: &Path,
        complaints: File,
        first: &Wish,
        ended: impl Fn(AttemptId, &str) + Send + 'static,
    ) -> Result<Self, Error> {
        let mut starter = Command::new(&command.program)
            .args(&command.arguments)
            .arg(ON_REQUEST)
            .arg(network_dir)
            .current_dir("/")
            .env_clear()
            .envs(HANDED_ON.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(complaints)
            .spawn()
            .map_err(Error::io("start the supervisor", &command.program))?;
        let mut wishes = starter.stdin.take().expect("it is piped");
        let said = starter.stdout.take().expect("it is piped");
        let asked = Arc::new(Mutex::new(Asked { open: [first.attempt].into(), over: false }));
        let heard = Arc::clone(&asked);
        std::thread::Builder::new()
            .name("supervisors".to_owned())
            .spawn(move || listen(starter, said, &heard, ended))
            .map_err(Error::io("listen to the supervisor", &command.program))?;
        // One that ended before it could be asked is told of as one that ended after.
        let _ = wishes.write_all(&line_of(first));
        Ok(Self { wishes, asked })
    }

    /// Asks for a supervisor. False if this process has ended, and another is needed.
    pub(super) fn ask(&mut self, wish: &Wish) -> bool {
        {
            let mut asked = lock(&self.asked);
            if asked.over {
                return false;
            }
            asked.open.insert(wish.attempt);
        }
        // What is no longer open `listen` has told of, with how this process ended.
        self.wishes.write_all(&line_of(wish)).is_ok()
            || !lock(&self.asked).open.remove(&wish.attempt)
    }
}

fn line_of(wish: &Wish) -> Vec<u8> {
    let mut line = serde_json::to_vec(wish).expect("text maps to text");
    line.push(b'\n');
    line
}

fn listen(
    mut starter: Child,
    said: ChildStdout,
    asked: &Mutex<Asked>,
    ended: impl Fn(AttemptId, &str),
) {
    for line in BufReader::new(said).lines().map_while(Result::ok) {
        // Whoever says anything else is not what it should be, and ends soon.
        let Ok(Ended { attempt, how }) = serde_json::from_str(&line) else { continue };
        lock(asked).open.remove(&attempt);
        ended(attempt, &how);
    }
    let how = starter.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
    let open = {
        let mut asked = lock(asked);
        asked.over = true;
        std::mem::take(&mut asked.open)
    };
    open.into_iter().for_each(|attempt| ended(attempt, &how));
}
