//! The tokens that a REST server is shown: fetched, renewed before they end and whenever they are doubted.

use super::{RestConfig, wrong};
use crate::Error;
use crate::batch::call;
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::process::Command;
use tokio::sync::Mutex;

/// For how long a token is used that does not say when it ends.
const UNSAID: Duration = Duration::from_secs(60);
/// A token that is younger than this is not the cause of a refusal.
const FRESH: Duration = Duration::from_secs(2);

/// Where tokens come from.
#[derive(Debug)]
enum Source {
    /// What this command writes.
    Command(Vec<String>),
    /// What is in this file at the time.
    File(PathBuf),
}

/// The token in use.
struct Held {
    text: String,
    got: Instant,
    renew: Instant,
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("got", &self.got).finish_non_exhaustive()
    }
}

/// Gives tokens.
#[derive(Debug)]
pub(super) struct Tokens {
    source: Source,
    /// The cluster's `slurm.conf`, for the command.
    conf: Option<PathBuf>,
    held: Mutex<Option<Held>>,
}

impl Tokens {
    /// Without a word about it, Slurm itself makes them for `user`.
    pub(super) fn new(
        config: RestConfig,
        user: &str,
        conf: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let source = match (config.token_file, config.token_command) {
            (Some(_), Some(_)) => {
                return Err(wrong("both `token_file` and `token_command` are given: one will do"));
            }
            (Some(file), None) => Source::File(file),
            (None, Some(command)) if command.is_empty() => {
                return Err(wrong("`token_command` is empty: name a program and its arguments"));
            }
            (None, Some(command)) => Source::Command(command),
            (None, None) => {
                let user = format!("username={user}");
                let command = ["scontrol", "token", &user, "lifespan=3600"];
                Source::Command(command.map(str::to_owned).to_vec())
            }
        };
        Ok(Self { source, conf, held: Mutex::default() })
    }

    /// One that is good now, as far as can be told.
    pub(super) async fn get(&self) -> Result<String, Error> {
        let mut held = self.held.lock().await;
        if let Some(good) = held.as_ref().filter(|held| Instant::now() < held.renew) {
            return Ok(good.text.clone());
        }
        let text = self.fetch().await?;
        let got = Instant::now();
        // Well before it ends: a request may be under way for a while.
        let renew = got + lasts(&text, &self.source).map_or(UNSAID, |lasts| lasts * 3 / 4);
        *held = Some(Held { text: text.clone(), got, renew });
        Ok(text)
    }

    /// Somebody was refused with this one: true if another may do better.
    pub(super) async fn doubt(&self, text: &str) -> bool {
        let mut held = self.held.lock().await;
        let is_fresh =
            held.as_ref().is_some_and(|held| held.text == text && held.got.elapsed() < FRESH);
        if held.as_ref().is_some_and(|held| held.text == text) && !is_fresh {
            *held = None;
        }
        !is_fresh
    }

    async fn fetch(&self) -> Result<String, Error> {
        let said = match &self.source {
            Source::File(path) => {
                let read = tokio::fs::read_to_string(path).await;
                read.map_err(Error::io("read the token in", path))?
            }
            Source::Command(words) => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command.envs(self.conf.iter().map(|conf| ("SLURM_CONF", conf)));
                call("what gives tokens for Slurm's REST server", command, "").await?
            }
        };
        // As it is, or the way `scontrol token` says it.
        let text = said.trim().trim_start_matches("SLURM_JWT=").trim().to_owned();
        if text.is_empty() || text.contains(char::is_whitespace) {
            let said =
                "a token should be one word; see `token_file` and `token_command`".to_owned();
            return Err(Error::Silent { who: "what gives tokens for Slurm's REST server", said });
        }
        Ok(text)
    }
}

/// For how long a token is good from now on: by its own account, if it was made just now; by this
/// machine's clock otherwise.
fn lasts(token: &str, source: &Source) -> Option<Duration> {
    let claims: Value = serde_json::from_slice(&from_base64(token.split('.').nth(1)?)?).ok()?;
    let ends = claims["exp"].as_u64()?;
    let begins = match source {
        Source::Command(_) => claims["iat"].as_u64()?,
        Source::File(_) => SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs(),
    };
    Some(Duration::from_secs(ends.saturating_sub(begins)))
}

/// Base64 in the alphabet of URLs, without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `scontrol token lifespan=3600` of Slurm 22.05.8, its signature taken off.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
                         eyJleHAiOjE3OTU5NTAyMDcsImlhdCI6MTc5NTk0NjYwNywic3VuIjoibm9ib2R5In0.";

    #[test]
    fn a_token_says_how_long_it_lasts() {
        let made_now = Source::Command(Vec::new());
        assert_eq!(lasts(TOKEN, &made_now), Some(Duration::from_secs(3_600)));
        assert_eq!(lasts("something-else", &made_now), None);
    }

    #[tokio::test]
    async fn a_file_is_read_again_when_its_token_was_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "SLURM_JWT=one\n").unwrap();
        let config = RestConfig { token_file: Some(path.clone()), ..RestConfig::default() };
        let tokens = Tokens::new(config, "guests", None).unwrap();
        assert_eq!(tokens.get().await.unwrap(), "one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(tokens.get().await.unwrap(), "one");
        assert!(!tokens.doubt("one").await, "it was read just now");
        tokens.held.lock().await.as_mut().unwrap().got -= FRESH;
        assert!(tokens.doubt("one").await);
        assert_eq!(tokens.get().await.unwrap(), "two");
    }
}
