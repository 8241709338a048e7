//! The process engine's file work: blocking, and without an async word.

use super::starting::Starter;
use super::{Limits, ProcessConfig, SupervisorCommand, UidRange};
use crate::attempt_dir::{AttemptDir, COMPLAINTS, Order, ProcessIdentity, boot_id, wall_clock};
use crate::enclosure::Enclosures;
use crate::ground::{Ground, check_searchable, observe_each};
use crate::hints::{Hints, lock};
use crate::remains;
use crate::supervisor::Wish;
use crate::{BootTime, Cause, Error, Launch, LogChunk, Observation, Outcome, RunAs, State, Stream};
use model::{AttemptId, BootId, JobId, NetworkUid, Span, TenantId};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What the engine remembers of an attempt; its files are the truth.
#[derive(Debug, Default)]
struct Known {
    /// Its final state, once seen.
    verdict: Option<State>,
    /// Whether a supervisor that this engine started has not ended yet.
    supervised: bool,
}

/// Who decides an attempt's fate.
#[derive(Debug, PartialEq, Eq)]
enum Claimant {
    /// Nobody yet.
    Nobody,
    /// Somebody before the machine was restarted.
    EarlierBoot,
    /// This process.
    Process(ProcessIdentity),
}

#[derive(Debug)]
pub(super) struct Desk {
    ground: Ground,
    network: NetworkUid,
    boot: BootId,
    supervisor: SupervisorCommand,
    /// Once the first attempt was launched.
    starter: Mutex<Option<Starter>>,
    uids: Option<UidRange>,
    users: BTreeMap<TenantId, RunAs>,
    limits: Limits,
    enclosures: Enclosures,
    known: Mutex<BTreeMap<AttemptId, Known>>,
    hints: Hints,
    /// What supervisors complain to.
    complaints: File,
}

impl Desk {
    pub(super) fn open(config: ProcessConfig) -> Result<Self, Error> {
        let ProcessConfig { base, network, supervisor, uids, options } = config;
        let (users, limits) = (options.users()?, options.limits);
        let own_users = uids.is_some() || !users.is_empty();
        if uids.is_some() && !rustix::process::geteuid().is_root() {
            let why = "only root can run attempts as users of their own: leave out the range of \
                       user numbers, or start the agent as root";
            return Err(Error::Setup(why.to_owned()));
        }
        let any = AttemptId { job: JobId::new(0), epoch: 0 };
        let user = uids.map(|uids| uids.user_for(any)).or_else(|| users.values().next().copied());
        let enclosures = options.enclosures(user)?;
        let ground = Ground::open(&base, network, own_users)?;
        if own_users {
            check_searchable(&base)?;
        }
        let log = ground.dir().join(COMPLAINTS);
        let mut options = fs::OpenOptions::new();
        let complaints = options.append(true).create(true).mode(0o600).open(&log);
        let complaints = complaints.map_err(Error::io("write", &log))?;
        let known = ground.attempts()?.into_iter().map(|attempt| (attempt, Known::default()));
        Ok(Self {
            known: Mutex::new(known.collect()),
            ground,
            network,
            boot: boot_id()?,
            supervisor,
            starter: Mutex::default(),
            uids,
            users,
            limits,
            enclosures,
            hints: Hints::default(),
            complaints,
        })
    }

    pub(super) const fn hints(&self) -> &Hints {
        &self.hints
    }

    pub(super) const fn runs_images(&self) -> bool {
        self.enclosures.run_images()
    }

    pub(super) const fn own_uid(&self) -> bool {
        self.uids.is_some()
    }

    pub(super) fn workdir(&self, attempt: AttemptId) -> Option<PathBuf> {
        lock(&self.known).contains_key(&attempt).then(|| self.ground.place(attempt).work())
    }

    pub(super) fn launch(self: &Arc<Self>, mut launch: Launch) -> Result<(), Error> {
        let attempt = launch.attempt;
        if launch.network != self.network {
            let why = format!("it belongs to network {}, not {}", launch.network, self.network);
            return Err(Error::Refused { attempt, why });
        }
        if self.limits == Limits::None {
            (launch.memory, launch.cpu) = (None, None);
        }
        launch.enclosure = self.enclosures.of(&launch)?;
        let mapped = launch.tenant.as_ref().and_then(|tenant| self.users.get(tenant));
        launch.run_as = launch.run_as.or(mapped.copied());
        if let Some(uids) = self.uids {
            launch.run_as.get_or_insert_with(|| uids.user_for(attempt));
        }
        if launch.run_as.is_some() && !rustix::process::geteuid().is_root() {
            let why = "only an agent that is root can run it as another user".to_owned();
            return Err(Error::Refused { attempt, why });
        }
        // Whoever sets `supervised` is the only one who launches it now.
        let fresh = {
            let mut known = lock(&self.known);
            let fresh = !known.contains_key(&attempt);
            let entry = known.entry(attempt).or_default();
            if entry.supervised || entry.verdict.is_some() {
                return Ok(());
            }
            entry.supervised = true;
            fresh
        };
        let started = self.prepare(&launch).and_then(|claimed| {
            if claimed { Ok(false) } else { self.start_supervisor(&launch).map(|()| true) }
        });
        match started {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.not_supervised(attempt);
                Ok(())
            }
            Err(error) => {
                self.not_supervised(attempt);
                if fresh && !self.ground.place(attempt).holds_attempt() {
                    lock(&self.known).remove(&attempt);
                }
                Err(error)
            }
        }
    }

    fn not_supervised(&self, attempt: AttemptId) {
        if let Some(entry) = lock(&self.known).get_mut(&attempt) {
            entry.supervised = false;
        }
    }

    /// Makes the attempt's directory. True if its fate was decided already.
    fn prepare(&self, launch: &Launch) -> Result<bool, Error> {
        let place = self.ground.place(launch.attempt);
        if place.holds_attempt() {
            if self.claimant(&place, false)? != Claimant::Nobody {
                return Ok(true);
            }
            // It may have been moved under an earlier order.
            if let Some(deadline) = launch.lease {
                place.write_lease(deadline)?;
            }
        } else {
            place.furnish(launch)?;
        }
        place.write_order(&Order { boot: self.boot, launch: launch.clone(), batch: None })?;
        Ok(false)
    }

    /// Who decides this attempt's fate. What makes no sense was not yet on disk when the machine
    /// crashed.
    fn claimant(&self, place: &AttemptDir, supervised: bool) -> Result<Claimant, Error> {
        let claimed = match place.read_claim() {
            // It was ordered by this engine.
            Ok(None) if supervised => Ok(Claimant::Nobody),
            Ok(None) => place.read_order().map(|order| match order {
                Some(order) if order.boot != self.boot => Claimant::EarlierBoot,
                _ => Claimant::Nobody,
            }),
            Ok(Some(process)) if process.boot == self.boot => Ok(Claimant::Process(process)),
            Ok(Some(_)) => Ok(Claimant::EarlierBoot),
            Err(error) => Err(error),
        };
        match claimed {
            Err(error) if error.is_torn() => Ok(Claimant::EarlierBoot),
            claimed => claimed,
        }
    }

    fn start_supervisor(self: &Arc<Self>, launch: &Launch) -> Result<(), Error> {
        let secrets = launch.secrets.iter();
        let secrets = secrets.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        let secrets = secrets.collect();
        let wish = Wish { attempt: launch.attempt, secrets };
        let mut starter = lock(&self.starter);
        if !starter.as_mut().is_some_and(|ready| ready.ask(&wish)) {
            *starter = Some(self.new_starter(&wish)?);
        }
        Ok(())
    }

    fn new_starter(self: &Arc<Self>, first: &Wish) -> Result<Starter, Error> {
        let dir = self.ground.dir();
        let complaints = self.complaints.try_clone().map_err(Error::io("share", dir))?;
        let desk = Arc::downgrade(self);
        Starter::start(&self.supervisor, dir, complaints, first, move |attempt, how| {
            if let Some(desk) = desk.upgrade() {
                desk.supervisor_ended(attempt, how);
            }
        })
    }

    /// A supervisor that ended before it claimed its attempt will never do so: the engine does.
    fn supervisor_ended(&self, attempt: AttemptId, how: &str) {
        let is_open = |known: &Known| known.verdict.is_none();
        if !lock(&self.known).get(&attempt).is_some_and(is_open) {
            return self.not_supervised(attempt);
        }
        let place = self.ground.place(attempt);
        let settled = place.read_claim().and_then(|claim| {
            if claim.is_none() && place.holds_attempt() {
                let log = self.ground.dir().join(COMPLAINTS);
                let why = format!("its supervisor ended at once ({how}); see {}", log.display());
                self.give_up(&place, Cause::CouldNotStart(why))?;
            }
            Ok(())
        });
        if let Err(error) = settled {
            tracing::warn!(%attempt, %error, "cannot settle an attempt that never started");
        }
        self.not_supervised(attempt);
        self.hints.add(attempt);
    }

    /// Ends an attempt that nobody has claimed yet.
    fn give_up(&self, place: &AttemptDir, cause: Cause) -> Result<(), Error> {
        if place.claim()? {
            place.write_result(&Outcome::never_ran(cause, wall_clock()))?;
        }
        Ok(())
    }

    pub(super) fn find(&self, attempt: AttemptId) -> Result<Option<State>, Error> {
        let supervised = match lock(&self.known).get(&attempt) {
            None => return Ok(None),
            Some(Known { verdict: Some(verdict), .. }) => return Ok(Some(verdict.clone())),
            Some(Known { supervised, .. }) => *supervised,
        };
        let state = self.judge(attempt, supervised)?;
        if state.is_final()
            && let Some(entry) = lock(&self.known).get_mut(&attempt)
        {
            entry.verdict = Some(state.clone());
        }
        Ok(Some(state))
    }

    /// What the files and the process table say.
    fn judge(&self, attempt: AttemptId, supervised: bool) -> Result<State, Error> {
        let place = self.ground.place(attempt);
        // Whether it lives is found out before the result is looked for: one that ends in between
        // has written it.
        let alive = match self.claimant(&place, supervised)? {
            Claimant::Nobody if supervised => return Ok(State::STARTING),
            Claimant::Nobody => return Ok(State::Unattended),
            Claimant::EarlierBoot => return judge_after_restart(&place),
            Claimant::Process(process) => supervised || process.is_alive(),
        };
        if let Some(outcome) = place.read_result()? {
            return Ok(State::Ended(outcome));
        }
        if let Some(why) = place.read_lost()? {
            return Ok(State::Lost { why });
        }
        if alive || !remains::kill(self.network, attempt) {
            if !alive {
                // Dying, but not dead; nothing will say when, so it is to be looked at again.
                self.hints.add(attempt);
            }
            let running = place.read_running()?;
            return Ok(running.map_or(State::STARTING, |r| State::Running { started: r.started }));
        }
        place.lose("its supervisor was killed; what it left behind has been killed too")
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
        let place = self.ground.place(attempt);
        place.write_stop(grace)?;
        if place.read_claim()?.is_none() {
            // If its supervisor claims it first, it finds the request before it starts anything.
            self.give_up(&place, Cause::Stopped)?;
            self.hints.add(attempt);
        }
        place.poke();
        Ok(())
    }

    pub(super) fn extend_lease(&self, attempt: AttemptId, deadline: BootTime) -> Result<(), Error> {
        if self.expect_known(attempt)?.is_final() {
            return Ok(());
        }
        let place = self.ground.place(attempt);
        let ordered = place.read_order()?.and_then(|order| order.launch.lease);
        if ordered.is_none() { Ok(()) } else { place.write_lease(deadline) }
    }

    pub(super) fn logs(
        &self,
        attempt: AttemptId,
        stream: Stream,
        offset: u64,
        max: usize,
    ) -> Result<LogChunk, Error> {
        let over = self.expect_known(attempt)?.is_final();
        self.ground.place(attempt).read_log(stream, (offset, max), over)
    }

    pub(super) fn forget(&self, attempt: AttemptId) -> Result<(), Error> {
        match self.find(attempt)? {
            None => return Ok(()),
            Some(state) if !state.is_final() => return Err(Error::Alive(attempt)),
            Some(_) => {}
        }
        self.ground.remove(attempt)?;
        lock(&self.known).remove(&attempt);
        Ok(())
    }
}

/// After a restart of the machine nothing lives, and only a result that reached the disk is left.
fn judge_after_restart(place: &AttemptDir) -> Result<State, Error> {
    if let Ok(Some(outcome)) = place.read_result() {
        return Ok(State::Ended(outcome));
    }
    if let Ok(Some(why)) = place.read_lost() {
        return Ok(State::Lost { why });
    }
    place.lose("the machine has been restarted")
}
