//! Slurm by its REST server, `slurmrestd`.
//!
//! What such servers really do (those of Slurm 22.05), and what is done about it here:
//!
//! * Status codes mislead: a token that is not good is answered by 500 and "Unspecified error" or "Zero
//!   Bytes were transmitted", a job that is not there by 500. The complaint's number decides; one that may
//!   come from a token gets a new token.
//! * Fields are ignored: `"requeue": false` means true, a list of node counts is one node. The first job of
//!   each shape is read back and compared, and ended if it is not what was asked for.
//! * `jobs?update_time=` is no filter: it says "nothing has changed", or it lists everything. It is used
//!   for that only, by the controller's clock.
//! * A server whose controller does not answer says so after nineteen seconds. Reading is given up
//!   sooner; a submission waits longer, for nobody knows what becomes of one that was given up.

mod codec;
mod token;

use super::state::is_no_answer;
use super::{NodeSeen, SlurmPool};
use crate::Error;
use crate::batch::{Entry, Open, Phase, Seen, Ticket};
use crate::engine::in_full;
use crate::hints::lock;
use codec::{Codec, Wish};
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use token::Tokens;

/// How long reading may take.
const READING: Duration = Duration::from_secs(10);
/// How long a submission may take: longer than a server needs to find out that its controller is away.
const SUBMITTING: Duration = Duration::from_secs(30);
/// How long a server that did not answer is left alone where others can be asked.
const AWAY: Duration = Duration::from_secs(30);
/// How many entries are asked about in a look.
const ASKED_AT_ONCE: usize = 64;
/// Slurm's numbers for "Invalid job id specified" and "Job/step already completing or completed".
const NO_SUCH_JOB: i64 = 2017;
const IS_OVER: i64 = 2021;
/// Numbers that come with a token that is no longer good, among other causes: "Unspecified error",
/// "Zero Bytes were transmitted or received", "Protocol authentication error".
const MAY_BE_THE_TOKEN: [i64; 3] = [-1, 5005, 1007];

/// How a center's REST server is reached.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RestConfig {
    /// Where: `http://host:port`, or `unix:/path/of/its/socket`.
    pub url: String,
    /// The file that holds a token for the user whom entries run as, kept fresh by somebody else.
    pub token_file: Option<PathBuf>,
    /// A program and its arguments that write such a token; `scontrol token` where neither is said.
    pub token_command: Option<Vec<String>>,
}

/// For what is wrong in a [`RestConfig`].
fn wrong(why: &str) -> Error {
    Error::Setup(format!("[slurm.rest] {why}"))
}

/// A REST server.
#[derive(Debug)]
pub(super) struct Rest {
    client: Client,
    base: String,
    user: String,
    tokens: Tokens,
    /// Once it is known which version it speaks.
    codec: Mutex<Option<Codec>>,
    /// Until when others are asked instead.
    away: Mutex<Option<Instant>>,
    /// What was entered as it was wished, once.
    kept: Mutex<BTreeSet<Wish>>,
    /// The last name that was asked about.
    asked: Mutex<String>,
    /// What the last list said.
    listed: tokio::sync::Mutex<Listed>,
}

/// The entries of one user, over or not.
#[derive(Debug, Default)]
struct Listed {
    /// When, by the controller's clock in seconds.
    at: u64,
    entries: Vec<Entry>,
}

/// What a server answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    body: Value,
}

impl Answer {
    /// What it complains of, if that is why it is no answer.
    fn refusal(&self) -> Option<codec::Complaint> {
        let said = || codec::Complaint { number: 0, said: format!("it says {}", self.status) };
        (!self.status.is_success()).then(|| codec::complaint(&self.body).unwrap_or_else(said))
    }

    fn may_be_the_token(&self) -> bool {
        let complaint = codec::complaint(&self.body);
        self.status == StatusCode::UNAUTHORIZED
            || complaint.is_some_and(|one| MAY_BE_THE_TOKEN.contains(&one.number))
    }

    /// It, or why it is none: then nobody knows anything.
    fn good(self) -> Result<Value, Error> {
        match self.refusal() {
            Some(complaint) => Err(silent(complaint.said)),
            // Some complaints come with a status that says that all is well.
            None if self.may_be_the_token() => Err(silent("it says that something is wrong")),
            None => Ok(self.body),
        }
    }
}

fn silent(said: impl Into<String>) -> Error {
    Error::Silent { who: "Slurm's REST server", said: said.into() }
}

impl Rest {
    /// For entries of `user`. Says nothing about whether it is there.
    pub(super) fn open(
        config: RestConfig,
        user: &str,
        conf: Option<PathBuf>,
    ) -> Result<Self, Error> {
        let client =
            Client::builder().connect_timeout(Duration::from_secs(5)).http1_only().no_proxy();
        let (client, base) = match config.url.strip_prefix("unix:") {
            Some(path) => (client.unix_socket(PathBuf::from(path)), "http://localhost".to_owned()),
            None if config.url.starts_with("http://") || config.url.starts_with("https://") => {
                (client, config.url.trim_end_matches('/').to_owned())
            }
            None => {
                return Err(wrong(
                    "`url` should be like `http://host:6820` or `unix:/path/socket`",
                ));
            }
        };
        let client = client.build();
        let client =
            client.map_err(|error| wrong(&format!("no connection can be made: {error}")))?;
        let tokens = Tokens::new(config, user, conf)?;
        Ok(Self {
            client,
            base,
            user: user.to_owned(),
            tokens,
            codec: Mutex::default(),
            away: Mutex::default(),
            kept: Mutex::default(),
            asked: Mutex::default(),
            listed: tokio::sync::Mutex::default(),
        })
    }

    /// The version that is spoken with it, if it takes the token and reaches its controller.
    pub(super) async fn version(&self) -> Result<String, Error> {
        self.get("diag").await?.good()?;
        Ok(self.codec().await?.name())
    }

    /// Whether it did not answer a while ago.
    pub(super) fn is_away(&self) -> bool {
        lock(&self.away).is_some_and(|until| Instant::now() < until)
    }

    async fn codec(&self) -> Result<Codec, Error> {
        let known = *lock(&self.codec);
        if let Some(codec) = known {
            return Ok(codec);
        }
        let paths = self.read("openapi/v3").await?.good()?;
        let codec = Codec::among(paths["paths"].as_object().into_iter().flat_map(|all| all.keys()));
        let codec = codec.ok_or_else(|| {
            self.note(false);
            silent("it speaks no version that is known here")
        })?;
        *lock(&self.codec) = Some(codec);
        Ok(codec)
    }

    /// Reads what is there below its version's path.
    async fn get(&self, path: &str) -> Result<Answer, Error> {
        let path = format!("slurm/{}/{path}", self.codec().await?.name());
        self.read(&path).await
    }

    /// Reads, once more with a new token where the first may be to blame.
    async fn read(&self, path: &str) -> Result<Answer, Error> {
        let (answer, token) = self.call(Method::GET, path, None, READING).await?;
        if !answer.may_be_the_token() || !self.tokens.doubt(&token).await {
            return Ok(answer);
        }
        let (answer, _) = self.call(Method::GET, path, None, READING).await?;
        if answer.may_be_the_token() {
            self.note(false);
        }
        Ok(answer)
    }

    /// Asks once; the answer, and the token it was asked with. Fails if there is no answer.
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> Result<(Answer, String), Error> {
        let token = self.tokens.get().await?;
        let mut shown = HeaderValue::from_str(&token)
            .map_err(|_| silent("the token has letters that no token has"))?;
        shown.set_sensitive(true);
        let mut request = self
            .client
            .request(method, format!("{}/{path}", self.base))
            .header("X-SLURM-USER-NAME", &self.user)
            .header("X-SLURM-USER-TOKEN", shown)
            .timeout(patience);
        if let Some(body) = body {
            request = request.json(body);
        }
        let talk = async {
            let response = request.send().await?;
            Ok((response.status(), response.bytes().await?))
        };
        let answered: Result<_, reqwest::Error> = talk.await;
        self.note(answered.is_ok());
        match answered {
            Ok((status, bytes)) => {
                let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
                Ok((Answer { status, body }, token))
            }
            Err(error) => Err(silent(in_full(&error))),
        }
    }

    /// Whether it answered just now.
    fn note(&self, answers: bool) {
        let mut away = lock(&self.away);
        match (answers, away.is_some()) {
            (false, false) => tracing::warn!(
                url = self.base,
                "Slurm's REST server does not answer, or not as it should: commands are used, if any"
            ),
            (true, true) => tracing::info!(url = self.base, "Slurm's REST server answers again"),
            _ => {}
        }
        *away = (!answers).then(|| Instant::now() + AWAY);
    }

    pub(super) async fn submit(
        &self,
        ticket: &Ticket<'_>,
        pool: &SlurmPool,
        script: &str,
    ) -> Result<Entry, Error> {
        let codec = self.codec().await?;
        let wish = Wish::new(ticket, pool);
        let body = codec.submission(ticket, &wish, script);
        let path = format!("slurm/{}/job/submit", codec.name());
        let (answer, token) = self.call(Method::POST, &path, Some(&body), SUBMITTING).await?;
        if let Some(number) = codec::submitted(&answer.body) {
            let phase = Phase::Waiting("has just been entered".to_owned());
            let entry = Entry { number, name: ticket.name.to_owned(), phase };
            self.compare(&entry, wish).await?;
            return Ok(entry);
        }
        if answer.may_be_the_token() {
            // The next try, which looks for it first, has another.
            self.tokens.doubt(&token).await;
            return Err(silent(answer.refusal().unwrap_or_default().said));
        }
        match answer.refusal() {
            Some(complaint) if complaint.number != 0 && !is_no_answer(&complaint.said) => {
                Err(Error::Rejected { who: "Slurm", said: complaint.said })
            }
            Some(complaint) => Err(silent(complaint.said)),
            None => Err(silent("it gave no number")),
        }
    }

    /// Ends an entry that is not what was asked for. Once for each wish: which fields a server takes
    /// notice of depends on the server.
    async fn compare(&self, entry: &Entry, wish: Wish) -> Result<(), Error> {
        if lock(&self.kept).contains(&wish) {
            return Ok(());
        }
        // What cannot be read now is compared another time.
        let Ok(Some(job)) = self.job(&entry.number).await else { return Ok(()) };
        if codec::entry(&job).is_none_or(|is| is.name != entry.name) {
            return Ok(());
        }
        let unmet = wish.unmet(&job);
        if unmet.is_empty() {
            lock(&self.kept).insert(wish);
            return Ok(());
        }
        self.cancel(entry).await?;
        let said = format!("it was entered otherwise than asked for: {}", unmet.join(", "));
        Err(Error::Rejected { who: "Slurm's REST server", said })
    }

    /// The job of this number, as the server shows it.
    async fn job(&self, number: &str) -> Result<Option<Value>, Error> {
        let answer = self.get(&format!("job/{number}")).await?;
        let complaint = codec::complaint(&answer.body);
        if complaint.is_some_and(|complaint| complaint.number == NO_SUCH_JOB) {
            return Ok(None);
        }
        // Arrays are listed by their tasks; what is entered here is none.
        Ok(codec::jobs(&answer.good()?).first().cloned())
    }

    /// The entry of this number, if it has this name.
    async fn entry(&self, number: &str, name: &str) -> Result<Option<Entry>, Error> {
        let job = self.job(number).await?;
        Ok(job.as_ref().and_then(codec::entry).filter(|entry| entry.name == name))
    }

    /// All entries of the user that the controller knows, listed again only if anything has changed.
    async fn listed(&self) -> Result<Vec<Entry>, Error> {
        let mut listed = self.listed.lock().await;
        let now = codec::clock(&self.get("diag").await?.good()?);
        let answer = self.get(&format!("jobs?update_time={}", listed.at)).await?;
        if answer.status == StatusCode::NOT_MODIFIED {
            return Ok(listed.entries.clone());
        }
        let body = answer.good()?;
        let ours = codec::jobs(&body)
            .iter()
            .filter(|job| job["user_name"].as_str().is_none_or(|user| user == self.user));
        // What happens in the second of the list may not be in it.
        *listed = Listed {
            at: now.map_or(0, |now| now.saturating_sub(1)),
            entries: ours.filter_map(codec::entry).collect(),
        };
        Ok(listed.entries.clone())
    }

    pub(super) async fn named(&self, name: &str) -> Result<Vec<Entry>, Error> {
        let mut entries = self.listed().await?;
        entries.retain(|entry| entry.name == name);
        Ok(entries)
    }

    pub(super) async fn active(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let is_active =
            |entry: &Entry| !matches!(entry.phase, Phase::Over(_) | Phase::OutOfReach(_));
        let mut entries = self.listed().await?;
        entries.retain(|entry| entry.name.starts_with(prefix) && is_active(entry));
        Ok(entries)
    }

    /// Asks about those that are not heard of by themselves, so many at a time and each in its turn.
    pub(super) async fn look(&self, open: &[Open]) -> Result<Seen, Error> {
        let mut open: Vec<&Open> = open.iter().collect();
        open.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let first = open.partition_point(|one| one.name <= *lock(&self.asked));
        open.rotate_left(first);
        let (heard, mut silent): (Vec<&Open>, Vec<&Open>) =
            open.into_iter().partition(|one| one.is_heard);
        let later = silent.split_off(silent.len().min(ASKED_AT_ONCE));
        let (mut seen, mut lost) = (Seen::default(), BTreeSet::new());
        for one in &silent {
            match self.entry(&one.number, &one.name).await? {
                Some(entry) => seen.entries.push(entry),
                // Its number is another's by now; it may have another itself.
                None => _ = lost.insert(one.name.as_str()),
            }
        }
        if !lost.is_empty() {
            let listed = self.listed().await?.into_iter();
            seen.entries.extend(listed.filter(|entry| lost.contains(entry.name.as_str())));
        }
        if let Some(last) = silent.last() {
            lock(&self.asked).clone_from(&last.name);
        }
        seen.unasked = heard.iter().chain(&later).map(|one| one.name.clone()).collect();
        Ok(seen)
    }

    pub(super) async fn cancel(&self, entry: &Entry) -> Result<(), Error> {
        if self.entry(&entry.number, &entry.name).await?.is_none() {
            return Ok(());
        }
        let path = format!("slurm/{}/job/{}", self.codec().await?.name(), entry.number);
        let (answer, token) = self.call(Method::DELETE, &path, None, READING).await?;
        match codec::complaint(&answer.body) {
            Some(complaint) if [NO_SUCH_JOB, IS_OVER].contains(&complaint.number) => Ok(()),
            Some(complaint) => {
                if answer.may_be_the_token() {
                    self.tokens.doubt(&token).await;
                }
                Err(silent(complaint.said))
            }
            None => answer.good().map(|_| ()),
        }
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeSeen>, Error> {
        Ok(codec::nodes(&self.get("nodes").await?.good()?))
    }
}
