//! Places a job could go, with their terms.

use crate::class::ClassId;
use crate::options::{Choice, energy, least_carbon, says_power};
use crate::proposal::Transfer;
use crate::rank::{Rank, Terms};
use crate::refusal::Refusal;
use crate::roster::{PoolNumber, Seat};
use crate::scene::{Asked, Reach, Scene};
use crate::staging::{Soonest, Staged, bookings, reading, stage};
use calendar::Work;
use model::attempt::{Slots, Stream};
use model::job::JobSpec;
use model::{CenterId, DatasetVersion, JobId, Moment, Money, PoolId, Region, Span};
use serde::Serialize;
use std::borrow::Cow;
use world::{NotReady, Version, World};

/// A place that would do, with its terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The center.
    pub center: CenterId,
    /// Its pool.
    pub pool: PoolId,
    /// The variant, by index.
    pub variant: u16,
    /// When the data it needs is there; the present when it is or none is needed.
    pub data_ready: Moment,
    /// When it would start.
    pub start: Moment,
    /// When its nodes are free again at the latest.
    pub until: Moment,
    /// When it is expected to end.
    pub finish: Moment,
    /// What it is expected to cost, transfers included.
    pub price: Money,
    /// Energy its chips are expected to use, in milliwatt-hours, cooling included; zero where the
    /// chip's power is undisclosed.
    pub energy_mwh: u64,
    /// What carbon dioxide that energy comes with when and where it is used, in milligrams; none where the
    /// chip's power is undisclosed.
    pub carbon_mg: Option<u64>,
    /// The nodes it takes; none before it is decided on.
    #[serde(skip)]
    pub slots: Vec<Slots>,
    /// The transfers it would wait for.
    #[serde(skip)]
    pub transfers: Vec<Transfer>,
    /// What it would read over the network while it runs.
    #[serde(skip)]
    pub streams: Vec<Stream>,
    /// The versions of its inputs.
    #[serde(skip)]
    pub inputs: Vec<DatasetVersion>,
    /// The reservation in which it would run.
    #[serde(skip)]
    pub(crate) inside: Option<JobId>,
    #[serde(skip)]
    pub(crate) number: PoolNumber,
}

/// A job's inputs at a center.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    ready: Moment,
    transfers: Vec<Transfer>,
    inputs: Vec<DatasetVersion>,
    price: i64,
}

impl Data {
    /// None is needed.
    pub(crate) const fn none(now: Moment) -> Self {
        Self { ready: now, transfers: Vec::new(), inputs: Vec::new(), price: 0 }
    }
}

impl<'a> Scene<'a> {
    /// What stands against giving the class this choice just now, whatever its nodes are doing.
    pub(crate) fn closed(&self, asked: Asked<'_>, choice: &Choice) -> Result<(), Refusal> {
        self.shut(asked.class, self.view.roster.seat(choice.pool))?;
        if let Some(thousandths) = self.is_poor(asked, choice) {
            return Err(Refusal::FarFromBest { thousandths });
        }
        if asked.spec.reservation.is_none() {
            self.within_share(asked, choice)?;
        }
        self.within_quota(asked, choice).map_err(|denied| Refusal::Quota { denied })
    }

    /// What stands against giving a center anything just now.
    pub(crate) fn shut(&self, class: ClassId, seat: &Seat) -> Result<(), Refusal> {
        let center = &seat.center.center;
        if !self.view.joined[seat.of as usize] {
            return Err(match self.view.unready.get(center) {
                Some(NotReady { shows, asks }) => Refusal::NotReady { shows: *shows, asks: *asks },
                None => Refusal::NoAgent,
            });
        }
        if let Some(since) = self.situation.silent.get(center) {
            return Err(Refusal::Silent { since: *since });
        }
        // Nearly always nobody has declined anything lately.
        let declined = &self.view.declined;
        match (!declined.is_empty()).then(|| declined.get(&(class, center.clone()))).flatten() {
            Some((why, until)) => Err(Refusal::Declined { why: why.clone(), until: *until }),
            None => Ok(()),
        }
    }

    /// How soon each input that a job has brought first can be anywhere. `None` when one of any kind
    /// does not exist.
    pub(crate) fn soonest(&self, spec: &JobSpec) -> Option<Vec<Soonest<'a>>> {
        let world: &'a World = self.world;
        let mut soonest = Vec::new();
        for input in &spec.inputs {
            let version = world.version(&input.dataset)?;
            if input.streamed().is_none() {
                soonest.push(Soonest::of(self, version));
            }
        }
        Some(soonest)
    }

    /// Whether a choice's center has all inputs already that are to be brought first, where jobs can
    /// read them at once.
    pub(crate) fn has_inputs(&self, spec: &JobSpec, choice: &Choice) -> bool {
        let center = &self.view.roster.seat(choice.pool).center.center;
        spec.inputs.iter().filter(|input| input.streamed().is_none()).all(|input| {
            let version = self.world.version(&input.dataset);
            let has = |version: &Version| {
                version.replicas.contains_key(center) && reading(version, center) == Span::ZERO
            };
            version.is_some_and(has)
        })
    }

    /// When a choice's data is there at the soonest and what bringing it costs at least. `None` when
    /// it never is.
    pub(crate) fn data_bound(
        &self,
        choice: &Choice,
        inputs: &[Soonest<'_>],
    ) -> Option<(Moment, i64)> {
        let seat = self.view.roster.seat(choice.pool);
        let mut bound = (self.situation.now, 0_i64);
        for input in inputs {
            let (at, price) = input.at(self, seat)?;
            bound = (bound.0.max(at), bound.1.saturating_add(price));
        }
        Some(bound)
    }

    /// The rank of a choice whose data is there at `ready` for `price`, and that starts at `start`; or one
    /// that it does not beat if it starts later.
    pub(crate) fn rank(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        when: (Moment, Moment),
        price: i64,
    ) -> Rank {
        let seat = self.view.roster.seat(choice.pool);
        let carbon_mg = || least_carbon(seat, asked.options.ask(choice), choice.run);
        self.rank_by(asked, choice, when, (price, &carbon_mg))
    }

    fn rank_by(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        (ready, start): (Moment, Moment),
        (price, carbon_mg): (i64, &dyn Fn() -> u64),
    ) -> Rank {
        let finish = self.start_in_rank(ready, start) + choice.run;
        let price = choice.price.saturating_add(price);
        let family = self.view.roster.seat(choice.pool).bands.start;
        let run = ((family, choice.is_lent), asked.options.ask(choice).gang_chips(), choice.run);
        let toll = self.toll(asked, run, ready);
        let terms = Terms { finish, toll, price, carbon_mg };
        let rank = Rank::of(asked.spec, self.policy, self.situation.now, &terms);
        if self.policy.joint_data { rank } else { rank.by_data_first(ready) }
    }

    /// The rank of a choice that was opened.
    pub(crate) fn rank_found(&self, asked: Asked<'_>, choice: &Choice, found: &Candidate) -> Rank {
        let price = found.price.micros - choice.price;
        let carbon_mg = || found.carbon_mg.unwrap_or(u64::MAX);
        self.rank_by(asked, choice, (found.data_ready, found.start), (price, &carbon_mg))
    }

    /// When a start counts as: data that comes counts as there at the next full second. Nobody pays
    /// more for having it a moment sooner, and centers as far away as each other are told apart by
    /// what they cost, not by their latencies.
    pub(crate) fn start_in_rank(&self, ready: Moment, start: Moment) -> Moment {
        match ready <= self.situation.now {
            true => start,
            false => start.max(ready.0.checked_next_multiple_of(1_000).map_or(Moment::MAX, Moment)),
        }
    }

    /// The choice's terms but for its nodes, or why it will not do. What is `known` of how soon its
    /// inputs can be anywhere is not worked out again.
    pub(crate) fn open(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        (reach, known): (Reach, Option<&[Soonest<'a>]>),
        work: &mut Work,
    ) -> Result<Candidate, Refusal> {
        let seat = self.view.roster.seat(choice.pool);
        work.count(1);
        self.closed(asked, choice)?;
        let data = self.data(asked.spec, seat, (reach, known), work)?;
        let board = self.view.board(asked.spec.reservation, choice.pool);
        let board = board.ok_or(Refusal::NoWindow)?;
        let (ask, limit) = (asked.options.ask(choice), asked.options.limit(choice));
        let nodes_free = |from: Moment, work: &mut Work| {
            let start = match reach {
                Reach::Now | Reach::Brought(_) if from <= self.situation.now => {
                    Some(from).filter(|start| board.fits(*start, limit, ask, work))
                }
                Reach::Now | Reach::Brought(_) | Reach::Ever => board
                    .earliest(from, limit, ask, work)
                    .filter(|start| reach == Reach::Ever || self.is_due(data.ready, *start)),
            };
            start.ok_or(Refusal::NoWindow)
        };
        let mut start = nodes_free(data.ready, work)?;
        // Nodes, bandwidth and their owner's hours put each other off to where all are free.
        let streams = loop {
            let (from, streams) = self.streams(asked.spec, seat, (start, limit), work)?;
            let from = self.lent_from(asked, seat, (from, limit))?;
            if from == start {
                break streams;
            }
            start = nodes_free(from, work)?;
        };
        self.beside_booked(asked, choice, (start, start + limit))?;
        self.candidate(asked, choice, data, (start, streams), Vec::new())
    }

    /// The choice's terms on nodes that will be free from `start` on, or why it will not do.
    pub(crate) fn open_at(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        start: Moment,
        slots: Vec<Slots>,
        work: &mut Work,
    ) -> Result<Candidate, Refusal> {
        let seat = self.view.roster.seat(choice.pool);
        self.shut(asked.class, seat)?;
        let data = self.data(asked.spec, seat, (Reach::Now, None), work)?;
        let limit = asked.options.limit(choice);
        let (from, streams) = self.streams(asked.spec, seat, (start, limit), work)?;
        let from = self.lent_from(asked, seat, (from, limit))?;
        if data.ready > start || from > start {
            return Err(Refusal::NoWindow);
        }
        self.beside_booked(asked, choice, (start, start + limit))?;
        self.candidate(asked, choice, data, (start, streams), slots)
    }

    pub(crate) fn candidate(
        &self,
        asked: Asked<'_>,
        choice: &Choice,
        data: Data,
        (start, streams): (Moment, Vec<Stream>),
        slots: Vec<Slots>,
    ) -> Result<Candidate, Refusal> {
        let seat = self.view.roster.seat(choice.pool);
        let (pool, center) = (seat.pool(), &seat.center);
        let currency = pool.price_per_hour.currency;
        let reading = streams.iter().map(|stream| stream.price.micros).sum::<i64>();
        let micros = choice.price.saturating_add(data.price).saturating_add(reading);
        let price = Money { micros, currency };
        let energy_mwh = energy(seat, asked.options.ask(choice), choice.run);
        if let Some(budget) = asked.spec.budget
            && (budget.currency != price.currency || price.micros > budget.micros)
        {
            return Err(Refusal::OverBudget { price, budget });
        }
        Ok(Candidate {
            center: center.center.clone(),
            pool: pool.pool.clone(),
            variant: choice.variant,
            data_ready: data.ready,
            start,
            until: start + asked.options.limit(choice),
            finish: start + choice.run,
            price,
            energy_mwh,
            carbon_mg: says_power(seat).then(|| center.carbon(energy_mwh, start, choice.run)),
            slots,
            transfers: data.transfers,
            streams,
            inputs: data.inputs,
            inside: asked.spec.reservation,
            number: choice.pool,
        })
    }

    /// Whether there is something to do at once for a job that starts at `start` and whose data can
    /// be there at `ready`: start it, or bring its data to where its nodes will soon be free.
    pub(crate) fn is_due(&self, ready: Moment, start: Moment) -> bool {
        let now = self.situation.now;
        if ready <= now { start <= now } else { start <= ready + self.policy.stage_ahead }
    }

    /// Until when the data of a job has to be there. Where it is given nothing but a start at once, what
    /// takes longer waits until the job is one of those at the head of its tenant's queue.
    fn data_by(&self, reach: Reach) -> Moment {
        match reach {
            Reach::Now => self.situation.now + self.policy.stage_ahead,
            Reach::Brought(by) => by,
            Reach::Ever => Moment::MAX,
        }
    }

    /// Whether a job whose data is there at `ready` and that starts at `start`, or later for both,
    /// may be within `reach`.
    pub(crate) fn is_within(&self, reach: Reach, ready: Moment, start: Moment) -> bool {
        let by = self.data_by(reach);
        reach == Reach::Ever || ready <= by && start <= by + self.policy.stage_ahead
    }

    /// What it takes to have a job's inputs at a center.
    fn data(
        &self,
        spec: &JobSpec,
        seat: &Seat,
        (reach, known): (Reach, Option<&[Soonest<'a>]>),
        work: &mut Work,
    ) -> Result<Data, Refusal> {
        let now = self.situation.now;
        let by = self.data_by(reach);
        let mut data = Data::none(now);
        let mut links = Cow::Borrowed(&self.view.links);
        let mut brought = 0_usize;
        for (number, input) in (1_usize..).zip(&spec.inputs) {
            let dataset = &input.dataset.dataset;
            let missing = || Refusal::NoDataset { dataset: dataset.clone() };
            let is_streamed = input.streamed().is_some();
            let soonest = known.filter(|_| !is_streamed).and_then(|known| known.get(brought));
            let version = soonest.map(Soonest::version);
            let version =
                version.or_else(|| self.world.version(&input.dataset)).ok_or_else(missing)?;
            may_live(&seat.center, version)?;
            data.inputs.push(version.registered.data.clone());
            if is_streamed {
                continue;
            }
            brought += 1;
            match stage(self, &links, version, (seat, by), soonest, work)? {
                Staged::Here { from } if from > by => return Err(Refusal::NoWindow),
                Staged::Here { from } => data.ready = data.ready.max(from),
                Staged::Coming { arrives, .. } if arrives > by => return Err(Refusal::NoWindow),
                Staged::Coming { transfer, arrives, price } => {
                    // What one input takes of the links is not there for the next.
                    if let Transfer::New(staging) = &transfer
                        && number < spec.inputs.len()
                        && self.coming.to(&staging.data, &staging.to).is_none()
                    {
                        for booking in bookings(staging) {
                            let booked = links.to_mut().book(&booking);
                            booked.expect("what was planned on these links fits them");
                        }
                    }
                    data.ready = data.ready.max(arrives);
                    data.price += price;
                    data.transfers.push(transfer);
                }
            }
        }
        Ok(data)
    }
}

fn may_live(center: &model::Center, version: &Version) -> Result<(), Refusal> {
    let allowed = &version.registered.residency;
    let region = center.site().map(|s| &s.region);
    if allowed.is_empty() || region.is_some_and(|r| allowed.iter().any(|a| a.contains(r))) {
        return Ok(());
    }
    let dataset = version.registered.data.dataset.clone();
    Err(Refusal::Residency { dataset, allowed: allowed.clone() })
}

/// The regions inside both lists; an empty list allows everything.
#[must_use]
pub fn meet(a: &[Region], b: &[Region]) -> Vec<Region> {
    if a.is_empty() || b.is_empty() {
        return if a.is_empty() { b } else { a }.to_vec();
    }
    let inside = |list: &[Region], of: &[Region]| -> Vec<Region> {
        list.iter().filter(|r| of.iter().any(|o| o.contains(r))).cloned().collect()
    };
    let mut both = inside(a, b);
    both.extend(inside(b, a));
    both.sort_unstable();
    both.dedup();
    both
}
