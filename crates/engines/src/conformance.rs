//! What every engine must do, as tests that can be run against a real one before its center
//! joins.

use crate::{
    BootTime, Cause, ChipSlots, Enforcement, Engine, Error, Exit, Launch, Outcome, Place, State,
    Stream,
};
use model::{AttemptId, Bytes, JobId, NetworkUid, Span};
use std::fmt;
use std::time::Duration;

/// How long an engine may take for any one step before the check gives up on it.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to trust hints before looking anyway.
const LOOK_ANYWAY: Duration = Duration::from_millis(250);
/// Longer than any check; a command that takes this long is ended by something else.
const FOR_EVER: &str = "300";

/// How one requirement was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The requirement, as a sentence.
    pub requirement: &'static str,
    /// Whether it was met.
    pub verdict: Verdict,
}

/// Whether a requirement was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Met,
    /// No, and this is what happened instead.
    Broken(String),
    /// It asks for what this engine does not claim to do.
    NotApplicable,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.verdict {
            Verdict::Met => write!(f, "met: {}", self.requirement),
            Verdict::Broken(why) => write!(f, "BROKEN: {}: {why}", self.requirement),
            Verdict::NotApplicable => write!(f, "not applicable: {}", self.requirement),
        }
    }
}

/// Where an engine is checked.
#[derive(Debug, Clone)]
pub struct Site {
    /// The network whose attempts the suite runs: a new one, so that no real attempt is met.
    pub network: NetworkUid,
    /// Which part of the center they run in, for engines that choose nodes themselves.
    pub place: Option<Place>,
}

/// Checks an engine against every requirement, one after the other, and forgets what it ran. Each
/// finding is told as it is made. An engine that starts nothing is asked no further.
///
/// `open` opens the engine for the site's network; it is called again, after the engine was dropped, to
/// see what survives. An error is one of opening; all else is a finding.
pub async fn check<E: Engine, X>(
    site: &Site,
    mut open: impl AsyncFnMut() -> Result<E, X>,
    mut tell: impl FnMut(&Finding),
) -> Result<Vec<Finding>, X> {
    let mut findings = Vec::new();
    let engine = open().await?;
    let mut bench = Bench { engine: &engine, site, job: JobId::new(0) };
    macro_rules! require {
        ($requirement:literal, $real:literal, $case:path) => {
            let verdict = match bench.applies($real) {
                true => bench.try_out(async |bench| $case(bench).await).await,
                false => Verdict::NotApplicable,
            };
            findings.push(Finding { requirement: $requirement, verdict });
            findings.last().into_iter().for_each(&mut tell);
        };
    }
    // Where nothing is started all the rest would only take its time to say so.
    let verdict = bench.try_out(async |bench| a_command_is_started(bench).await).await;
    if verdict != Verdict::Met {
        let finding = Finding { requirement: "a command is started at all", verdict };
        tell(&finding);
        return Ok(vec![finding]);
    }
    // The middle column: whether it takes an engine that really runs commands.
    require!("launching twice runs once", false, launching_twice_runs_once);
    require!("the exit code is reported", false, the_exit_code_is_reported);
    require!("the signal is reported", true, the_signal_is_reported);
    require!("a command that cannot run says why", true, a_command_that_cannot_run_says_why);
    require!("the time limit is kept", false, the_time_limit_is_kept);
    require!("a stopped attempt ends", false, a_stopped_attempt_ends);
    require!("what ignores TERM is killed with all it started", true, what_ignores_term_is_killed);
    require!("what a command leaves behind is killed", true, what_is_left_behind_is_killed);
    require!("an expired lease ends the attempt", false, an_expired_lease_ends_the_attempt);
    require!("an extended lease keeps it going", false, an_extended_lease_keeps_it_going);
    require!("logs are kept up to their cap", true, logs_are_kept_up_to_their_cap);
    require!("logs are read from any offset", true, logs_are_read_from_any_offset);
    require!("the environment is the launch's own", true, the_environment_is_the_launches_own);
    require!("an unknown attempt is not finished", false, an_unknown_attempt_is_not_finished);
    require!("a forgotten attempt is unknown", false, a_forgotten_attempt_is_unknown);
    let job = bench.job.next();
    let survives = bench.applies(true);
    drop(engine);
    let requirement = "a new engine finds the attempts of the old one";
    let verdict = if survives {
        let engine = open().await?;
        let bench = Bench { engine: &engine, site, job };
        let started = bench.start_for_a_successor().await;
        drop(engine);
        let engine = open().await?;
        let mut bench = Bench { engine: &engine, site, job };
        match started {
            Ok(()) => bench.verdict(bench.find_as_successor().await).await,
            Err(why) => Verdict::Broken(why),
        }
    } else {
        Verdict::NotApplicable
    };
    findings.push(Finding { requirement, verdict });
    findings.last().into_iter().for_each(&mut tell);
    Ok(findings)
}

/// One engine, and the job of the present case: each case has its own.
struct Bench<'a, E> {
    engine: &'a E,
    site: &'a Site,
    job: JobId,
}

type Case = Result<(), String>;

impl<E: Engine> Bench<'_, E> {
    fn applies(&self, needs_real_commands: bool) -> bool {
        let simulated = self.engine.capabilities().enforcement == Enforcement::Simulated;
        !(needs_real_commands && simulated)
    }

    async fn try_out(&mut self, case: impl AsyncFnOnce(&Self) -> Case) -> Verdict {
        self.job = self.job.next();
        let result = case(self).await;
        self.verdict(result).await
    }

    /// The verdict on the present case, after cleaning up behind it.
    async fn verdict(&mut self, result: Case) -> Verdict {
        let cleaned = self.clean_up().await;
        match result.and(cleaned) {
            Ok(()) => Verdict::Met,
            Err(why) => Verdict::Broken(why),
        }
    }

    async fn clean_up(&self) -> Case {
        let attempt = self.attempt();
        if self.find(attempt).await?.is_none() {
            return Ok(());
        }
        self.engine.stop(attempt, Span::ZERO).await.map_err(Error::in_full)?;
        self.until(attempt, "an end", |state| state.is_final().then_some(())).await?;
        self.engine.forget(attempt).await.map_err(Error::in_full)
    }

    const fn attempt(&self) -> AttemptId {
        AttemptId { job: self.job, epoch: 1 }
    }

    fn command(&self, command: Vec<String>) -> Launch {
        let mut launch = Launch::new(self.site.network, self.attempt(), command);
        launch.place.clone_from(&self.site.place);
        launch
    }

    /// A launch that takes `millis` and exits with `code` on an engine of timers, and runs
    /// `script` on any other.
    fn script(&self, script: &str, millis: &str, code: &str) -> Launch {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let mut launch = self.command(command);
        launch.env = vec![
            (crate::timer::RUN_TIME.to_owned(), millis.to_owned()),
            (crate::timer::EXIT_CODE.to_owned(), code.to_owned()),
        ];
        launch
    }

    fn long_script(&self) -> Launch {
        self.script(&format!("exec sleep {FOR_EVER}"), "300000", "0")
    }

    async fn launch(&self, launch: &Launch) -> Case {
        self.engine.launch(launch).await.map_err(Error::in_full)
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<State>, String> {
        self.engine.find(attempt).await.map_err(Error::in_full)
    }

    /// Waits until `wanted` sees what it wants in the attempt's state.
    async fn until<T>(
        &self,
        attempt: AttemptId,
        what: &str,
        wanted: impl Fn(&State) -> Option<T>,
    ) -> Result<T, String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let state = self.find(attempt).await?;
            if let Some(found) = state.as_ref().and_then(&wanted) {
                return Ok(found);
            }
            if tokio::time::Instant::now() > deadline {
                let state = state.map_or("nothing is known of it".to_owned(), |s| s.to_string());
                return Err(format!("no sign of {what} in {PATIENCE:?}: {state}"));
            }
            let _ = tokio::time::timeout(LOOK_ANYWAY, self.engine.changed()).await;
        }
    }

    async fn outcome(&self) -> Result<Outcome, String> {
        let attempt = self.attempt();
        let wanted = |state: &State| state.is_final().then(|| state.clone());
        match self.until(attempt, "an end", wanted).await? {
            State::Ended(outcome) => Ok(outcome),
            State::Lost { why } => Err(format!("it was lost: {why}")),
            State::Starting { .. } | State::Unattended | State::Running { .. } => {
                Err("it has no outcome".to_owned())
            }
        }
    }

    async fn expect(&self, cause: Cause, exit: Option<Exit>) -> Case {
        let outcome = self.outcome().await?;
        let fits = outcome.cause == cause && exit.is_none_or(|exit| outcome.exit == Some(exit));
        if fits && outcome.started <= outcome.ended {
            return Ok(());
        }
        let seen = told(&outcome.cause, outcome.exit);
        Err(format!("it should have ended: {}; it ended: {seen}", told(&cause, exit)))
    }

    async fn stdout(&self, offset: u64, max: usize) -> Result<String, String> {
        let chunk = self.engine.logs(self.attempt(), Stream::Stdout, offset, max).await;
        chunk.map(|chunk| String::from_utf8_lossy(&chunk.data).into_owned()).map_err(Error::in_full)
    }

    /// Waits until the log has a whole line, and returns it.
    async fn first_line(&self) -> Result<String, String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        loop {
            ticks.tick().await;
            let text = self.stdout(0, 4_096).await?;
            if let Some((line, _)) = text.split_once('\n') {
                return Ok(line.to_owned());
            }
            if tokio::time::Instant::now() > deadline {
                return Err(format!("its log has no line but `{text}`"));
            }
        }
    }

    async fn start_for_a_successor(&self) -> Case {
        self.launch(&self.long_script()).await?;
        self.until(self.attempt(), "a running command", running).await
    }

    async fn find_as_successor(&self) -> Case {
        match self.find(self.attempt()).await? {
            Some(State::Running { .. }) => {}
            Some(other) => return Err(format!("it ran before; now {other}")),
            None => return Err("it ran before; now nothing is known of it".to_owned()),
        }
        self.launch(&self.long_script()).await?;
        self.engine.stop(self.attempt(), Span::from_secs(5)).await.map_err(Error::in_full)?;
        self.expect(Cause::Stopped, Some(Exit::Signaled(15))).await
    }
}

/// How an attempt ended, in words.
fn told(cause: &Cause, exit: Option<Exit>) -> String {
    let cause = match cause {
        Cause::Finished => "by itself".to_owned(),
        Cause::Stopped => "stopped".to_owned(),
        Cause::TimeLimit => "for its time limit".to_owned(),
        Cause::LeaseExpired => "for its lease".to_owned(),
        Cause::OutOfMemory => "for its memory".to_owned(),
        Cause::Evicted => "evicted".to_owned(),
        Cause::CouldNotStart(why) => format!("not started ({why})"),
    };
    exit.map_or(cause.clone(), |exit| format!("{cause}, with {exit}"))
}

fn running(state: &State) -> Option<()> {
    matches!(state, State::Running { .. }).then_some(())
}

fn equal<T: PartialEq + fmt::Debug>(found: &T, expected: &T) -> Case {
    if found == expected { Ok(()) } else { Err(format!("expected {expected:?}, got {found:?}")) }
}

async fn launching_twice_runs_once(bench: &Bench<'_, impl Engine>) -> Case {
    let launch = bench.script("echo ran", "50", "0");
    bench.launch(&launch).await?;
    bench.launch(&launch).await?;
    bench.expect(Cause::Finished, Some(Exit::Exited(0))).await?;
    bench.launch(&launch).await?;
    bench.expect(Cause::Finished, Some(Exit::Exited(0))).await?;
    let all = bench.engine.observe().await.map_err(Error::in_full)?;
    let count = all.iter().filter(|seen| seen.attempt == launch.attempt).count();
    equal(&count, &1)?;
    if bench.applies(true) {
        equal(&bench.stdout(0, 100).await?.as_str(), &"ran\n")
    } else {
        Ok(())
    }
}

async fn a_command_is_started(bench: &Bench<'_, impl Engine>) -> Case {
    bench.launch(&bench.script("exit 0", "0", "0")).await?;
    match bench.outcome().await?.cause {
        Cause::CouldNotStart(why) => Err(why),
        _ => Ok(()),
    }
}

async fn the_exit_code_is_reported(bench: &Bench<'_, impl Engine>) -> Case {
    bench.launch(&bench.script("exit 7", "0", "7")).await?;
    bench.expect(Cause::Finished, Some(Exit::Exited(7))).await
}

async fn the_signal_is_reported(bench: &Bench<'_, impl Engine>) -> Case {
    bench.launch(&bench.script("kill -USR1 $$", "0", "0")).await?;
    bench.expect(Cause::Finished, Some(Exit::Signaled(10))).await
}

async fn a_command_that_cannot_run_says_why(bench: &Bench<'_, impl Engine>) -> Case {
    let command = vec!["/no/such/program".to_owned()];
    bench.launch(&bench.command(command)).await?;
    match bench.outcome().await? {
        Outcome { exit: None, cause: Cause::CouldNotStart(why), .. }
            if why.contains("/no/such/program") =>
        {
            Ok(())
        }
        // Where an engine wraps commands in a shell, that is how it tells.
        Outcome { exit: Some(Exit::Exited(127)), .. } => Ok(()),
        other => Err(format!("it ended: {}", told(&other.cause, other.exit))),
    }
}

async fn the_time_limit_is_kept(bench: &Bench<'_, impl Engine>) -> Case {
    let mut launch = bench.long_script();
    launch.limit = Some(Span(300));
    bench.launch(&launch).await?;
    bench.expect(Cause::TimeLimit, Some(Exit::Signaled(15))).await
}

async fn a_stopped_attempt_ends(bench: &Bench<'_, impl Engine>) -> Case {
    bench.launch(&bench.long_script()).await?;
    bench.until(bench.attempt(), "a running command", running).await?;
    for _ in 0..2 {
        bench.engine.stop(bench.attempt(), Span::from_secs(30)).await.map_err(Error::in_full)?;
    }
    bench.expect(Cause::Stopped, Some(Exit::Signaled(15))).await?;
    bench.engine.stop(bench.attempt(), Span::ZERO).await.map_err(Error::in_full)
}

/// What shows in the work directory that it lives, for as long as it does.
const BEATS: &str = "while :; do echo >> beats; sleep 0.1; done";
/// How long what is not there any more may seem to be, where another machine wrote last.
const LINGERS: Duration = Duration::from_secs(10);
/// After so many looks without a beat there is nothing any more.
const QUIET: u32 = 5;

/// Fails if something still beats. Its process number says nothing: it may be another machine's, or
/// another namespace's.
async fn nothing_beats(bench: &Bench<'_, impl Engine>, what: &str) -> Case {
    let Some(work) = bench.engine.workdir(bench.attempt()) else { return Ok(()) };
    // Opened anew, which is when a shared file system asks who wrote last.
    let beats = || std::fs::read(work.join("beats")).map_or(0, |beats| beats.len());
    let (deadline, mut before, mut quiet) = (tokio::time::Instant::now() + LINGERS, beats(), 0);
    if before == 0 {
        return Err(format!("{what} was never there"));
    }
    while tokio::time::Instant::now() < deadline {
        tokio::time::sleep(LOOK_ANYWAY).await;
        let now = beats();
        quiet = if now == before { quiet + 1 } else { 0 };
        if quiet == QUIET {
            return Ok(());
        }
        before = now;
    }
    Err(format!("{what} lives"))
}

async fn what_ignores_term_is_killed(bench: &Bench<'_, impl Engine>) -> Case {
    // Three deep, each ignoring TERM, the innermost in a session of its own and orphaned.
    let script = format!(
        "trap '' TERM; sh -c 'setsid sh -c \"trap \\\"\\\" TERM; echo >> beats; echo up; {BEATS}\" & sleep 0.1'; \
         while sleep {FOR_EVER}; do :; done"
    );
    bench.launch(&bench.script(&script, "0", "0")).await?;
    bench.first_line().await?;
    bench.engine.stop(bench.attempt(), Span(200)).await.map_err(Error::in_full)?;
    bench.expect(Cause::Stopped, Some(Exit::Signaled(9))).await?;
    nothing_beats(bench, "its grandchild").await
}

async fn what_is_left_behind_is_killed(bench: &Bench<'_, impl Engine>) -> Case {
    let script =
        format!("setsid sh -c '{BEATS}' & until [ -e beats ]; do sleep 0.05; done; exit 4");
    bench.launch(&bench.script(&script, "0", "0")).await?;
    bench.expect(Cause::Finished, Some(Exit::Exited(4))).await?;
    nothing_beats(bench, "its child").await
}

async fn an_expired_lease_ends_the_attempt(bench: &Bench<'_, impl Engine>) -> Case {
    let mut launch = bench.long_script();
    launch.lease = Some(BootTime::now().after(Span(400)));
    bench.launch(&launch).await?;
    let outcome = bench.outcome().await?;
    // On a slow machine it passes before the command has started.
    equal(&outcome.cause, &Cause::LeaseExpired)
}

async fn an_extended_lease_keeps_it_going(bench: &Bench<'_, impl Engine>) -> Case {
    let deadline = BootTime::now().after(Span::from_secs(2));
    let mut launch = bench.script("sleep 3; exit 0", "3000", "0");
    launch.lease = Some(deadline);
    bench.launch(&launch).await?;
    let later = deadline.after(Span::from_secs(120));
    bench.engine.extend_lease(bench.attempt(), later).await.map_err(Error::in_full)?;
    bench.expect(Cause::Finished, Some(Exit::Exited(0))).await
}

async fn logs_are_kept_up_to_their_cap(bench: &Bench<'_, impl Engine>) -> Case {
    let mut launch = bench.script("head -c 300000 /dev/zero | tr '\\0' x; echo end >&2", "0", "0");
    launch.log_cap = Bytes(1_000);
    bench.launch(&launch).await?;
    let outcome = bench.outcome().await?;
    equal(&outcome.exit, &Some(Exit::Exited(0)))?;
    equal(&outcome.truncated, &true)?;
    equal(&bench.stdout(0, 1_000_000).await?.len(), &1_000)?;
    let stderr = bench.engine.logs(bench.attempt(), Stream::Stderr, 0, 100).await;
    equal(&stderr.map_err(Error::in_full)?.data, &b"end\n".to_vec())
}

async fn logs_are_read_from_any_offset(bench: &Bench<'_, impl Engine>) -> Case {
    bench.launch(&bench.script("printf 0123456789", "0", "0")).await?;
    bench.expect(Cause::Finished, Some(Exit::Exited(0))).await?;
    let read = async |offset, max| {
        let chunk = bench.engine.logs(bench.attempt(), Stream::Stdout, offset, max).await;
        chunk.map(|chunk| (chunk.data, chunk.complete)).map_err(Error::in_full)
    };
    equal(&read(3, 4).await?, &(b"3456".to_vec(), false))?;
    equal(&read(7, 100).await?, &(b"789".to_vec(), true))?;
    equal(&read(1_000, 100).await?, &(Vec::new(), true))
}

async fn the_environment_is_the_launches_own(bench: &Bench<'_, impl Engine>) -> Case {
    let mut launch = bench.script("echo \"$GREETING $SLOTS $CARGO $PORTOLAN_ATTEMPT\"", "0", "0");
    launch.env.push(("GREETING".to_owned(), "hi".to_owned()));
    launch.chips = Some(ChipSlots { variable: "SLOTS".to_owned(), slots: vec![3, 5] });
    bench.launch(&launch).await?;
    bench.expect(Cause::Finished, Some(Exit::Exited(0))).await?;
    equal(&bench.stdout(0, 1_000).await?, &format!("hi 3,5  {}\n", bench.attempt()))
}

async fn an_unknown_attempt_is_not_finished(bench: &Bench<'_, impl Engine>) -> Case {
    equal(&bench.find(bench.attempt()).await?, &None)?;
    match bench.engine.stop(bench.attempt(), Span::ZERO).await {
        Err(Error::Unknown(_)) => Ok(()),
        other => Err(format!("stopping it gave {other:?}")),
    }
}

async fn a_forgotten_attempt_is_unknown(bench: &Bench<'_, impl Engine>) -> Case {
    bench.launch(&bench.long_script()).await?;
    match bench.engine.forget(bench.attempt()).await {
        Err(Error::Alive(_)) => {}
        other => return Err(format!("forgetting it alive gave {other:?}")),
    }
    bench.engine.stop(bench.attempt(), Span::ZERO).await.map_err(Error::in_full)?;
    bench.outcome().await?;
    for _ in 0..2 {
        bench.engine.forget(bench.attempt()).await.map_err(Error::in_full)?;
    }
    equal(&bench.find(bench.attempt()).await?, &None)
}
