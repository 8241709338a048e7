//! The batch engine's file work, and its judgment of what files and the batch system say.

use super::clerk::AT_ONCE;
use super::gone::{Gone, SILENT, end_for_memory, is_dead, was_taken_away};
use super::known::{Known, Left, Said};
use super::shelf::Shelf;
use super::wanted::{ToEnter, Wanted};
use super::{Entry, Open, Phase, Queue};
use crate::attempt_dir::{AttemptDir, Batch, CHANGES, Entered, Order, boot_id, stamp, wall_clock};
use crate::engine::in_full;
use crate::ground::{names_in, observe_each};
use crate::hints::{Hints, lock};
use crate::{BootTime, Cause, Error, Launch, LogChunk, Observation, Outcome, State, Stream};
use model::{AttemptId, BootId, JobId, Span};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, mpsc};

/// How much longer than its grace an attempt that is to stop is waited for before the batch system is
/// told to end it.
const STOP_MARGIN: Span = Span::from_secs(10);

#[derive(Debug)]
pub(super) struct Desk<Q> {
    pub(super) shelf: Shelf,
    boot: BootId,
    pub(super) queue: Q,
    known: Mutex<BTreeMap<AttemptId, Known>>,
    /// Entries that are to be ended, by name: their attempts are over, and they may go on.
    superfluous: Mutex<BTreeMap<String, Entry>>,
    /// Why the batch system could not be asked, if it could not the last time.
    silence: Mutex<Option<String>>,
    pub(super) hints: Hints,
    /// Attempts to be entered.
    wanted: mpsc::UnboundedSender<ToEnter>,
    /// Who may enter one now.
    pub(super) turns: Semaphore,
    /// Rung when the batch system should be asked sooner than usual.
    pub(super) ring: Arc<Notify>,
}

impl<Q: Queue> Desk<Q> {
    /// With what is to be entered.
    pub(super) fn new(
        shelf: Shelf,
        queue: Q,
    ) -> Result<(Self, mpsc::UnboundedReceiver<ToEnter>), Error> {
        let changes = shelf.ground.dir().join(CHANGES);
        // Whoever runs an attempt may leave a note there, and take none away.
        let mode = if queue.has_users() { 0o1733 } else { 0o700 };
        fs::create_dir_all(&changes)
            .and_then(|()| fs::set_permissions(&changes, Permissions::from_mode(mode)))
            .map_err(Error::io("make", &changes))?;
        let (wanted, inbox) = mpsc::unbounded_channel();
        let mut known = BTreeMap::new();
        for attempt in shelf.ground.attempts()? {
            // What cannot be read is told of when it is needed.
            let entered = shelf.place(attempt).read_entry().ok().flatten();
            let name = shelf.name(attempt);
            let called = entered.map(|entered| queue.called(&name, &entered.number).to_owned());
            known.insert(attempt, Known { called, ..Known::default() });
            // Whoever opened the engine before may have entered it and died before writing that down.
            // Fails only if there is nobody to enter anything.
            let _ = wanted.send(ToEnter::new(attempt, None));
        }
        let (known, hints, ring) = (Mutex::new(known), Hints::default(), Arc::default());
        let turns = Semaphore::new(AT_ONCE);
        let (superfluous, silence) = (Mutex::default(), Mutex::default());
        let boot = boot_id()?;
        let desk =
            Self { shelf, boot, queue, known, superfluous, silence, hints, wanted, turns, ring };
        Ok((desk, inbox))
    }

    fn place(&self, attempt: AttemptId) -> AttemptDir {
        self.shelf.place(attempt)
    }

    pub(super) fn workdir(&self, attempt: AttemptId) -> Option<PathBuf> {
        lock(&self.known).contains_key(&attempt).then(|| self.place(attempt).work())
    }

    pub(super) fn launch(&self, mut launch: Launch) -> Result<(), Error> {
        let attempt = launch.attempt;
        let refuse = |why: String| Err(Error::Refused { attempt, why });
        if launch.network != self.shelf.network {
            let is = self.shelf.network;
            return refuse(format!("it belongs to network {}, not {is}", launch.network));
        }
        if lock(&self.known).contains_key(&attempt) {
            return Ok(());
        }
        launch.run_as = self.queue.user(launch.tenant.as_ref());
        if self.queue.numbers_chips_anew()
            && let (Some(chips), Some(place)) = (&mut launch.chips, &launch.place)
            && place.chips_per_node > 0
        {
            let count = u16::try_from(place.chips_per_node).unwrap_or(u16::MAX);
            chips.slots = (0..count).collect();
        }
        let place = self.place(attempt);
        let is_new = !place.holds_attempt();
        if is_new {
            place.furnish(&launch)?;
            if let Some(deadline) = launch.lease {
                place.write_lease(deadline)?;
            }
            let secrets = launch.secrets.iter();
            let secrets: BTreeMap<&str, &str> =
                secrets.map(|(name, value)| (name.as_str(), value.expose())).collect();
            if !secrets.is_empty() {
                place.write_secrets(&secrets)?;
            }
            let texts = |all: &[&str]| all.iter().map(|&text| text.to_owned()).collect();
            let starts = launch.place.as_ref().filter(|_| self.queue.starts_everywhere());
            let batch = Batch {
                keeps: texts(self.queue.keeps()),
                chips_in: texts(self.queue.chips_in()),
                nodes: starts.map_or(0, |place| place.nodes),
                own_group: self.queue.own_group().map(str::to_owned),
            };
            let order = Order { boot: self.boot, launch, batch: Some(batch) };
            place.write_order(&order)?;
            launch = order.launch;
        }
        lock(&self.known).entry(attempt).or_default();
        let _ = self.wanted.send(ToEnter::new(attempt, is_new.then_some(launch)));
        Ok(())
    }

    /// An attempt is to be entered, as far as it was not yet.
    pub(super) fn enter_later(&self, one: ToEnter) {
        // Fails only while the engine is being dropped.
        let _ = self.wanted.send(one);
    }

    /// What is still to be entered of an attempt; none if that is done, or it is over.
    pub(super) fn to_enter(
        &self,
        attempt: AttemptId,
        fresh: Option<Launch>,
    ) -> Result<Option<Wanted>, Error> {
        let place = self.place(attempt);
        let wanted = match fresh {
            Some(launch) => Some(self.wanted(attempt, launch)?),
            None => {
                let over = self.find(attempt)?.is_none_or(|state| state.is_final());
                if over || place.read_entry()?.is_some() {
                    return Ok(None);
                }
                self.ordered(attempt)?
            }
        };
        let user = wanted.as_ref().and_then(|wanted| wanted.launch.run_as);
        if let Some(user) = user {
            place.give_to(user)?;
        }
        Ok(wanted)
    }

    /// What was ordered of an attempt, if that is there.
    pub(super) fn ordered(&self, attempt: AttemptId) -> Result<Option<Wanted>, Error> {
        let order = self.place(attempt).read_order()?;
        order.map(|Order { launch, .. }| self.wanted(attempt, launch)).transpose()
    }

    fn wanted(&self, attempt: AttemptId, launch: Launch) -> Result<Wanted, Error> {
        let place = self.place(attempt);
        let is_claimed = place.read_claim()?.is_some();
        let mut command = self.shelf.supervisor.clone();
        command.push(place.path().to_string_lossy().into_owned());
        let dir = place.path().to_owned();
        Ok(Wanted { is_claimed, name: self.shelf.name(attempt), command, dir, launch })
    }

    pub(super) fn knows(&self, attempt: AttemptId) -> bool {
        lock(&self.known).contains_key(&attempt)
    }

    /// What the batch system calls an attempt.
    pub(super) fn called(&self, attempt: AttemptId) -> Option<String> {
        lock(&self.known).get(&attempt)?.called.clone()
    }

    /// An attempt has this entry from now on.
    pub(super) fn entered(&self, attempt: AttemptId, entry: Entry) -> Result<(), Error> {
        self.place(attempt).write_entry(&Entered { number: entry.number.clone() })?;
        self.said(attempt, Said::Active(entry));
        Ok(())
    }

    /// An attempt could not be entered yet, as far as is known.
    pub(super) fn put_off(&self, attempt: AttemptId, why: &Error) {
        let why = format!("could not be entered yet: {}", in_full(why));
        self.said(attempt, Said::NotNow { why });
    }

    /// Whether the batch system answered when it was last asked; if not, what went wrong.
    pub(super) fn answered(&self, silence: Option<&Error>) {
        *lock(&self.silence) = silence.map(|error| in_full(error));
    }

    /// An attempt will never be entered.
    pub(super) fn refused(&self, attempt: AttemptId, why: String) -> Result<(), Error> {
        self.give_up(&self.place(attempt), Cause::CouldNotStart(why))?;
        self.hints.add(attempt);
        Ok(())
    }

    fn said(&self, attempt: AttemptId, said: Said) {
        if let Some(known) = lock(&self.known).get_mut(&attempt) {
            if let Said::Active(entry) = &said {
                known.called = Some(self.queue.called(&entry.name, &entry.number).to_owned());
            }
            known.said = said;
        }
    }

    /// What the batch system says of an attempt of which it knows these entries; the entries that are
    /// to be ended.
    pub(super) fn heard(
        &self,
        attempt: AttemptId,
        entries: Vec<Entry>,
    ) -> Result<Vec<Entry>, Error> {
        let is_active = |entry: &Entry| entry.phase.is_active();
        let (active, over): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(is_active);
        if let Some(Entry { phase: Phase::Hopeless(why), .. }) = active.first() {
            self.refused(attempt, why.clone())?;
            return Ok(active);
        }
        let mut active = active.into_iter();
        let last = over.into_iter().next_back().map(|entry| entry.phase);
        let said = match (active.next(), last) {
            (Some(entry), _) => Said::Active(entry),
            (None, Some(Phase::OutOfReach(why))) => Said::Gone { why, how: Gone::OutOfReach },
            (None, Some(Phase::Over(why))) => Said::Gone { why, how: Gone::Over },
            (None, Some(Phase::OutOfMemory(why))) => Said::Gone { why, how: Gone::OutOfMemory },
            (None, _) => {
                let why = format!("{} no longer knows it", self.queue.kind());
                Said::Gone { why, how: Gone::OutOfReach }
            }
        };
        if matches!(said, Said::Gone { .. }) {
            self.hints.add(attempt);
        }
        self.said(attempt, said);
        // Those entered twice because the answer to the first time was lost: one will do.
        Ok(active.collect())
    }

    /// Those of these entries that wait although their attempts are over: they were given up by an
    /// engine that could not end them any more.
    pub(super) fn left_over(&self, entries: impl Iterator<Item = Entry>) -> Vec<Entry> {
        let waiting: BTreeMap<String, Entry> = entries
            .filter(|entry| !matches!(entry.phase, Phase::Running))
            .map(|entry| (entry.name.clone(), entry))
            .collect();
        let all: Vec<AttemptId> = lock(&self.known).keys().copied().collect();
        let theirs =
            all.into_iter().filter_map(|id| Some((id, waiting.get(&self.shelf.name(id))?)));
        let over = theirs.filter(|(attempt, _)| {
            self.find(*attempt).is_ok_and(|state| state.is_some_and(|state| state.is_final()))
        });
        over.map(|(_, entry)| entry.clone()).collect()
    }

    /// What the batch system is to be asked about: attempts that were entered, and are not over.
    pub(super) fn open(&self) -> Vec<(AttemptId, Open)> {
        let all: Vec<(AttemptId, bool)> = {
            let known = lock(&self.known);
            let open = known.iter().filter(|(_, known)| known.verdict.is_none());
            let is_active = |known: &Known| matches!(known.said, Said::Active(_));
            open.map(|(attempt, known)| (*attempt, is_active(known))).collect()
        };
        let silent = Duration::from_millis(SILENT.0);
        let now = stamp(&self.shelf.ground.dir().join(".clock")).ok();
        let since = now.and_then(|now| now.checked_sub(silent));
        let open = all.into_iter().filter_map(|(attempt, is_active)| {
            if self.find(attempt).is_ok_and(|state| state.is_none_or(|s| s.is_final())) {
                self.hints.add(attempt);
                return None;
            }
            let place = self.place(attempt);
            let number = place.read_entry().ok()??.number;
            let is_heard = is_active && since.is_some_and(|since| place.is_heard_since(since));
            Some((attempt, Open { name: self.shelf.name(attempt), number, is_heard }))
        });
        open.collect()
    }

    /// An entry was ended: nothing of it is left to wait.
    pub(super) fn canceled(&self, entry: &Entry) {
        let ids = entry.name.strip_prefix(&self.shelf.prefix()).and_then(|ids| ids.split_once('-'));
        let Some((Ok(job), Ok(epoch))) = ids.map(|(job, epoch)| (job.parse(), epoch.parse()))
        else {
            return;
        };
        let attempt = AttemptId { job: JobId::new(job), epoch };
        if let Some(known) = lock(&self.known).get_mut(&attempt)
            && matches!(known.left_waiting(), Left::Entry(_))
        {
            known.said = Said::Nothing;
        }
    }

    /// An entry is to be ended when that can be asked for.
    pub(super) fn cancel_later(&self, entry: Entry) {
        lock(&self.superfluous).insert(entry.name.clone(), entry);
    }

    /// Entries whose attempts have had their time to stop, or ended as their entries may not have.
    pub(super) fn to_cancel(&self) -> Vec<Entry> {
        let superfluous = std::mem::take(&mut *lock(&self.superfluous));
        let now = BootTime::now();
        let mut known = lock(&self.known);
        let due = known.values_mut().filter(|known| known.cancel_at.is_some_and(|at| at <= now));
        let entries = due.filter_map(|known| match &known.said {
            Said::Active(entry) => {
                // Asked for once, that is all there is to do for one that is over.
                known.cancel_at = known.verdict.is_none().then(|| now.after(STOP_MARGIN));
                Some(entry.clone())
            }
            Said::Nothing | Said::NotNow { .. } | Said::Gone { .. } => None,
        });
        entries.chain(superfluous.into_values()).collect()
    }

    /// Takes the notes that supervisors left.
    pub(super) fn read_changes(&self) {
        let changes = self.shelf.ground.dir().join(CHANGES);
        for name in names_in(&changes).unwrap_or_default() {
            let _ = fs::remove_file(changes.join(&name));
            if let Ok(attempt) = name.parse::<AttemptId>() {
                self.hints.add(attempt);
            }
        }
    }

    /// Ends an attempt that nobody has claimed yet: whatever the batch system does, it will not run.
    fn give_up(&self, place: &AttemptDir, cause: Cause) -> Result<bool, Error> {
        let given_up = place.claim()?;
        if given_up {
            place.write_result(&Outcome::never_ran(cause, wall_clock()))?;
        }
        Ok(given_up)
    }

    pub(super) fn find(&self, attempt: AttemptId) -> Result<Option<State>, Error> {
        let (gone, waits) = match lock(&self.known).get(&attempt) {
            None => return Ok(None),
            Some(Known { verdict: Some(verdict), .. }) => return Ok(Some(verdict.clone())),
            Some(Known { said: Said::Gone { why, how }, .. }) => (Some((why.clone(), *how)), None),
            // What it said before it fell silent may be so no more.
            Some(known) => (None, lock(&self.silence).clone().or_else(|| known.waits().cloned())),
        };
        let state = match self.judge(&self.place(attempt), gone)? {
            State::Starting { .. } => State::Starting { why: waits },
            state => state,
        };
        if state.is_final()
            && let Some(known) = lock(&self.known).get_mut(&attempt)
        {
            // A batch system that took it away may be about to start it again.
            if was_taken_away(&state)
                && let Said::Active(entry) = &known.said
            {
                self.cancel_later(entry.clone());
            }
            known.verdict = Some(state.clone());
        }
        Ok(Some(state))
    }

    fn judge(&self, place: &AttemptDir, gone: Option<(String, Gone)>) -> Result<State, Error> {
        if let Some(outcome) = place.read_result()? {
            return Ok(State::Ended(outcome));
        }
        if let Some(why) = place.read_lost()? {
            return Ok(State::Lost { why });
        }
        if let Some((why, how)) = gone {
            // Who claims it now keeps any start that is still to come from running it.
            if place.claim()? || is_dead(place, how)? {
                return match place.read_result()? {
                    Some(outcome) => Ok(State::Ended(outcome)),
                    None if how == Gone::OutOfMemory => end_for_memory(place),
                    None => place.lose(&why),
                };
            }
        }
        let running = place.read_running()?;
        Ok(running.map_or(State::STARTING, |r| State::Running { started: r.started }))
    }

    pub(super) fn observe(&self) -> Vec<Observation> {
        let attempts: Vec<AttemptId> = lock(&self.known).keys().copied().collect();
        observe_each(attempts, |attempt| self.find(attempt))
    }

    /// The present state of an attempt that must be known.
    fn expect_known(&self, attempt: AttemptId) -> Result<State, Error> {
        self.find(attempt)?.ok_or(Error::Unknown(attempt))
    }

    pub(super) fn stop(&self, attempt: AttemptId, grace: Span) -> Result<(), Error> {
        if self.expect_known(attempt)?.is_final() {
            return Ok(());
        }
        let place = self.place(attempt);
        place.write_stop(grace)?;
        // If its supervisor claims it first, it finds the request before it starts anything.
        let now = BootTime::now();
        let at = match self.give_up(&place, Cause::Stopped)? {
            true => now,
            false => now.after(grace).after(STOP_MARGIN),
        };
        if let Some(known) = lock(&self.known).get_mut(&attempt) {
            known.cancel_at = Some(known.cancel_at.map_or(at, |before| before.min(at)));
        }
        self.hints.add(attempt);
        place.poke();
        self.ring.notify_one();
        Ok(())
    }

    pub(super) fn extend_lease(&self, attempt: AttemptId, deadline: BootTime) -> Result<(), Error> {
        if self.expect_known(attempt)?.is_final() {
            return Ok(());
        }
        let gone = lock(&self.known).get(&attempt).is_some_and(|known| {
            // It is to pass: nothing else tells when what is out of reach is over.
            matches!(known.said, Said::Gone { how: Gone::OutOfReach, .. })
        });
        let place = self.place(attempt);
        let silent = gone && place.silent_for()?.is_none_or(|silent| silent >= SILENT);
        if silent || place.read_lease(None)?.is_none() {
            return Ok(());
        }
        place.write_lease(deadline)
    }

    pub(super) fn logs(
        &self,
        attempt: AttemptId,
        stream: Stream,
        range: (u64, usize),
    ) -> Result<LogChunk, Error> {
        let over = self.expect_known(attempt)?.is_final();
        self.place(attempt).read_log(stream, range, over)
    }

    /// What may wait still of an attempt that is over without having run.
    pub(super) fn left_waiting(&self, attempt: AttemptId) -> Result<Left, Error> {
        self.find(attempt)?;
        Ok(lock(&self.known).get(&attempt).map_or(Left::Nothing, Known::left_waiting))
    }

    /// Nothing waits of an attempt of which it was not known whether it had been entered.
    pub(super) fn none_waits(&self, attempt: AttemptId) {
        if let Some(known) = lock(&self.known).get_mut(&attempt)
            && matches!(known.said, Said::NotNow { .. })
        {
            known.said = Said::Nothing;
        }
    }

    /// Forgets an attempt. Returns what may wait still of it: it may just have been entered.
    pub(super) fn forget(&self, attempt: AttemptId) -> Result<Left, Error> {
        match self.find(attempt)? {
            None => return Ok(Left::Nothing),
            Some(state) if !state.is_final() => return Err(Error::Alive(attempt)),
            Some(_) => {}
        }
        self.shelf.ground.remove(attempt)?;
        let known = lock(&self.known).remove(&attempt);
        Ok(known.map_or(Left::Nothing, |known| known.left_waiting()))
    }
}
