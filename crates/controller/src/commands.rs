//! What people and programs want.

use crate::dataset::may_act_for;
use crate::{Answer, Command, Controller, Key, Rejected};
use model::fact::{
    CenterLost, DatasetRegistered, Fact, JobSubmitted, LinkTouched, SubmissionKey, TokenRevoked,
};
use model::job::{Duration, Job, JobKind, JobSpec};
use model::{
    CenterId, Digest, JobId, LinkId, Moment, Outcome, Principal, PriorityClassId, Role, Span,
    TenantId, Token, TokenId,
};
use sharing::Count;
use std::sync::Arc;

impl Controller {
    pub(crate) fn command(&mut self, by: &Principal, command: Command) -> Result<Answer, Rejected> {
        match command {
            Command::Apply(declarations) => self.declare(*declarations),
            Command::Submit { jobs, key } => self.submit(by, jobs, key),
            Command::Change(of, change) => self.change(by, of, change),
            Command::CreateToken { secret, role, label, expires } => {
                self.create_token(secret, role, label, expires)
            }
            Command::RevokeToken(token) => self.revoke_token(by, token),
            Command::DeclareLost(center) => self.declare_lost(by, &center),
            Command::CutLink(link) => self.cut_link(by, link),
            Command::MendLink(link) => self.mend_link(by, link),
            Command::TestLink(link) => self.test_link(by, &link),
            Command::PutDataset { data, bytes, files, center, tenant, residency } => {
                let made_by = None;
                let registered =
                    DatasetRegistered { data, tenant, bytes, files, residency, made_by };
                self.put_dataset(by, &center, registered)
            }
            Command::ShowCheck(checked) => self.show_check(by, *checked),
            Command::ShowBench(measured) => self.show_bench(by, *measured),
            Command::Recall { center, pools, in_time, until } => {
                self.recall(by, &center, &pools, (in_time, until))
            }
            Command::RemoveDataset(dataset) => self.remove_dataset(by, &dataset),
            Command::Keep { dataset, keeping } => self.keep_dataset(by, &dataset, keeping),
            Command::Copy { data, to } => self.want_copy(by, &data, &to),
            Command::Evict { data, center } => self.evict(by, &data, &center),
            Command::Archive { data, center, store } => {
                self.want_archive(by, &data, (&center, &store))
            }
            Command::Scrub { dataset, center } => self.scrub(by, dataset.as_ref(), center.as_ref()),
        }
    }

    fn submit(
        &mut self,
        by: &Principal,
        jobs: Vec<Arc<JobSpec>>,
        key: Option<Key>,
    ) -> Result<Answer, Rejected> {
        if let Some(key) = key
            && let Some(known) = self.world.keys.get(&key.key)
        {
            if known.content != key.content {
                let why = "this idempotency key was used for another submission".to_owned();
                return Err(Rejected::Conflict { why });
            }
            return Ok(Answer::Submitted { first: known.first, count: known.jobs, repeated: true });
        }
        let jobs: Vec<_> =
            jobs.into_iter().map(|spec| self.with_priority(spec)).collect::<Result<_, _>>()?;
        for spec in &jobs {
            self.check_spec(by, spec)?;
            if spec.is_reservation() && jobs.len() > 1 {
                let why = "a reservation is submitted by itself, before the jobs that run in it";
                return Err(Rejected::Invalid { why: why.to_owned() });
            }
        }
        self.check_queue(&jobs)?;
        let window = match jobs.as_slice() {
            [spec] if spec.is_reservation() => Some(self.find_window(spec)?),
            _ => None,
        };
        let first = self.world.next.job;
        let count = jobs.iter().map(|spec| spec.tasks()).fold(0, u32::saturating_add);
        for (i, spec) in jobs.into_iter().enumerate() {
            let job = self.world.next.job;
            let key = key.filter(|_| i == 0);
            let key = key.map(|k| SubmissionKey { key: k.key, content: k.content, jobs: count });
            self.emit(Fact::JobSubmitted(Arc::new(JobSubmitted { job, spec, by: by.token, key })));
        }
        if let Some(window) = window {
            self.hold_window(first, window);
        }
        Ok(Answer::Submitted { first, count, repeated: false })
    }

    /// No more jobs wait than their tenants may have waiting.
    fn check_queue(&self, jobs: &[Arc<JobSpec>]) -> Result<(), Rejected> {
        let view = self.board.view();
        let mut usage = view.usage().clone();
        // A reservation is made or refused; it does not wait.
        for spec in jobs.iter().filter(|spec| !spec.hold && !spec.is_reservation()) {
            let tasks = spec.tasks().into();
            let waits = usage.admits_jobs(&spec.tenant, Count::Queued, tasks);
            waits.map_err(|denied| Rejected::Conflict { why: denied.to_string() })?;
            // A tenant nobody declared was refused before.
            let _known = usage.count(&spec.tenant, Count::Queued, tasks);
        }
        Ok(())
    }

    fn check_spec(&self, by: &Principal, spec: &JobSpec) -> Result<(), Rejected> {
        may_act_for(by, &spec.tenant)?;
        if !self.world.tenants.contains_key(&spec.tenant) {
            return Err(Rejected::NotFound { what: format!("tenant {}", spec.tenant) });
        }
        if let Some(center) = spec.centers.iter().find(|c| !self.world.centers.contains_key(*c)) {
            return Err(Rejected::NotFound { what: format!("center {center}") });
        }
        self.check_inside(by, spec)?;
        self.check_after(by, spec)?;
        match not_supported(spec) {
            Some(what) => Err(Rejected::NotSupported { what: what.to_owned() }),
            None => Ok(()),
        }
    }

    /// A spec as it would be taken in: with the priority of the class it names, and only if it may run in the
    /// reservation it names.
    ///
    /// # Errors
    ///
    /// Why it would not be.
    pub fn as_submitted(
        &self,
        by: &Principal,
        spec: Arc<JobSpec>,
    ) -> Result<Arc<JobSpec>, Rejected> {
        let spec = self.with_priority(spec)?;
        self.check_inside(by, &spec)?;
        Ok(spec)
    }

    /// A spec with the priority of the class it names.
    fn with_priority(&self, mut spec: Arc<JobSpec>) -> Result<Arc<JobSpec>, Rejected> {
        let Some(class) = &spec.priority_class else { return Ok(spec) };
        let known = &self.world.priority_classes;
        let Some(found) = known.get(class) else {
            let names: Vec<_> = known.keys().map(PriorityClassId::as_str).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let what = format!("priority class {class}; there is {there}");
            return Err(Rejected::NotFound { what });
        };
        let may = |of: &TenantId| self.world.is_part_of(&spec.tenant, of);
        if !found.tenants.is_empty() && !found.tenants.iter().any(may) {
            let names: Vec<_> = found.tenants.iter().map(TenantId::as_str).collect();
            let why = format!(
                "priority class {class} is for {}, of which {} is no part",
                names.join(", "),
                spec.tenant
            );
            return Err(Rejected::Forbidden { why });
        }
        Arc::make_mut(&mut spec).priority = found.value;
        Ok(spec)
    }

    /// The job, if it exists and is the asker's to touch. A stranger's job is as good as none.
    pub(crate) fn own_job(&self, by: &Principal, id: JobId) -> Result<Arc<Job>, Rejected> {
        let job = self.world.job(id).filter(|job| may_act_for(by, &job.spec.tenant).is_ok());
        job.cloned()
            .ok_or_else(|| Rejected::NotFound { what: format!("{id} that has not been archived") })
    }

    fn create_token(
        &mut self,
        secret: Digest,
        role: Role,
        label: String,
        expires: Option<Moment>,
    ) -> Result<Answer, Rejected> {
        match &role {
            Role::Center(center) if !self.world.centers.contains_key(center) => {
                return Err(Rejected::NotFound { what: format!("center {center}") });
            }
            Role::Tenant(tenant) if !self.world.tenants.contains_key(tenant) => {
                return Err(Rejected::NotFound { what: format!("tenant {tenant}") });
            }
            Role::Operator | Role::Center(_) | Role::Tenant(_) => {}
        }
        let token = Token { token: self.world.next.token, secret, role, label, expires };
        self.emit(Fact::TokenCreated(token.clone()));
        Ok(Answer::Token(Arc::new(token)))
    }

    fn revoke_token(&mut self, by: &Principal, token: TokenId) -> Result<Answer, Rejected> {
        if self.world.token(token).is_none() {
            return Err(Rejected::NotFound { what: token.to_string() });
        }
        self.emit(Fact::TokenRevoked(TokenRevoked { token, by: by.token }));
        Ok(Answer::Done)
    }

    fn declare_lost(&mut self, by: &Principal, center: &CenterId) -> Result<Answer, Rejected> {
        if !self.world.centers.contains_key(center) {
            return Err(Rejected::NotFound { what: format!("center {center}") });
        }
        self.emit(Fact::CenterLost(CenterLost { center: center.clone(), by: by.token }));
        if let Some(session) = self.sessions.get_mut(center) {
            // The agent, should it live, must join again and hear that all its attempts are over.
            session.number = 0;
        }
        let attempts: Vec<_> = self.world.live(center).collect();
        for attempt in attempts {
            let why = format!("center {center} was declared lost");
            self.attempt_over(attempt, Outcome::Lost { why }, Span::ZERO);
        }
        let bound = |t: &&Arc<model::Staging>| t.to == *center || t.is_from(center);
        let transfers: Vec<_> =
            self.world.transfers.values().filter(bound).map(|t| t.transfer).collect();
        for transfer in transfers {
            self.transfer_failed(transfer, format!("center {center} was declared lost"));
        }
        self.reroute();
        Ok(Answer::Done)
    }

    fn put_dataset(
        &mut self,
        by: &Principal,
        center: &CenterId,
        registered: DatasetRegistered,
    ) -> Result<Answer, Rejected> {
        may_act_for(by, &registered.tenant)?;
        let state = self.world.centers.get(center);
        let state = state.ok_or_else(|| Rejected::NotFound { what: format!("center {center}") })?;
        if state.center.store.is_none() {
            return Err(Rejected::Conflict { why: format!("center {center} keeps no store") });
        }
        let region = state.center.site().map(|s| &s.region);
        let allowed = &registered.residency;
        if !allowed.is_empty() && !region.is_some_and(|r| allowed.iter().any(|a| a.contains(r))) {
            let why = format!("center {center} is outside the regions the dataset may live in");
            return Err(Rejected::Invalid { why });
        }
        let name = &registered.data.dataset;
        if let Some(known) = self.world.datasets.get(name) {
            let owner = &known.newest().registered.tenant;
            if *owner != registered.tenant {
                let why = format!("dataset {name} belongs to another tenant");
                return Err(Rejected::Forbidden { why });
            }
        }
        let known = self.world.exact(&registered.data);
        let outside = known.into_iter().flat_map(world::Version::holders).find(|holder| {
            let state = self.world.centers.get(*holder);
            let region = state.and_then(|s| s.center.site()).map(|s| &s.region);
            !allowed.is_empty() && !region.is_some_and(|r| allowed.iter().any(|a| a.contains(r)))
        });
        if let Some(holder) = outside {
            let why = format!("center {holder}, outside those regions, has a copy of it already");
            return Err(Rejected::Conflict { why });
        }
        if known.is_some_and(|version| version.is_leaving(center)) {
            let data = &registered.data;
            let why = format!("the copy of {data} in {center} is just going; put it again then");
            return Err(Rejected::Conflict { why });
        }
        if known.is_none_or(|v| v.registered.residency != registered.residency) {
            self.emit(Fact::DatasetRegistered(Arc::new(registered)));
        }
        Ok(Answer::Done)
    }

    fn cut_link(&mut self, by: &Principal, link: LinkId) -> Result<Answer, Rejected> {
        if !self.world.links.contains_key(&link) {
            return Err(Rejected::NotFound { what: format!("link {link}") });
        }
        if self.world.cut.contains(&link) {
            return Ok(Answer::Done);
        }
        let crosses = |t: &&Arc<model::Staging>| t.links().any(|crossed| *crossed == link);
        let over = self.world.transfers.values().filter(crosses);
        let over: Vec<_> =
            over.map(|staging| (staging.transfer, staging.mover().clone())).collect();
        for (transfer, mover) in over {
            self.transfer_failed(transfer, format!("link {link} was cut"));
            // Who moves it has not noticed, and may well go on.
            self.books.drop_transfer(&mover, transfer);
        }
        self.emit(Fact::LinkCut(LinkTouched { link, by: by.token }));
        self.reroute();
        self.tend_soon();
        Ok(Answer::Done)
    }

    fn mend_link(&mut self, by: &Principal, link: LinkId) -> Result<Answer, Rejected> {
        if !self.world.links.contains_key(&link) {
            return Err(Rejected::NotFound { what: format!("link {link}") });
        }
        if self.world.cut.contains(&link) {
            self.emit(Fact::LinkMended(LinkTouched { link, by: by.token }));
            self.reroute();
            self.tend_soon();
        }
        Ok(Answer::Done)
    }
}

/// What in a spec has a type but no planning yet.
fn not_supported(spec: &JobSpec) -> Option<&'static str> {
    let checks = [
        (spec.parts.len() > 1, "jobs of several parts"),
        (matches!(spec.kind, JobKind::Service { .. }), "services"),
        (matches!(spec.duration, Duration::Open), "open-ended jobs"),
    ];
    checks.into_iter().find(|(there, _)| *there).map(|(_, what)| what)
}
