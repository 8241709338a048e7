//! A candidate's terms: what a person compares centers by.

use crate::Situation;
use crate::candidate::Candidate;
use crate::estimate::{Basis, estimate};
use crate::options::Choice;
use crate::proposal::Transfer;
use crate::scene::{Asked, Scene};
use model::attempt::Stream;
use model::{
    Bytes, CenterId, DatasetVersion, JobSpec, LinkId, Moment, Money, Objective, Rate, Span,
    Staging, StoreId,
};
use serde::Serialize;
use world::Tries;

/// How far back a center's record is looked at.
const RECORD_OF: Span = Span::from_secs(30 * 86_400);
/// Milliseconds of an hour.
const HOUR_MS: i128 = 3_600_000;

/// Data that has to come before the job can start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetch {
    /// What.
    pub data: DatasetVersion,
    /// How much.
    pub bytes: Bytes,
    /// From whose store.
    pub from: CenterId,
    /// From whose stores parts of it come meanwhile.
    pub beside: Vec<CenterId>,
    /// The external store it lies in there, and until when it is recalled.
    pub recalled: Option<(StoreId, Moment)>,
    /// When it is there.
    pub arrives: Moment,
    /// What bringing it costs this job; nothing where it is on its way already.
    pub price: Money,
    /// Whether it is on its way already.
    pub is_under_way: bool,
    /// Links on its way that are planned at less than their capacity, as they were measured to
    /// deliver less.
    pub slow_links: Vec<LinkId>,
}

/// What a candidate is worse by than the best, in what the job's objective looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "amount")]
pub enum Behind {
    /// It misses the deadline, which the best keeps, by so much.
    Deadline(Span),
    /// It would finish so much later.
    Time(Span),
    /// It would cost so much more; for a `balanced` job with what its time is worth counted in.
    Price(Money),
    /// Its energy would come with so much more carbon dioxide, in milligrams.
    Carbon(u64),
    /// Nobody says what its chips use.
    UndisclosedPower,
    /// By nothing the objective looks at: the order of what would be best if all could start at
    /// once decides, then names.
    Nothing,
}

/// What of a center's past bears on whether a start there holds: facts of the last thirty days, none
/// of it estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Risk {
    /// Starts told there that it is known of how they held.
    pub told: u64,
    /// Of these, those that held.
    pub held: u64,
    /// What became of the attempts it was given.
    pub tries: Tries,
    /// How much longer than expected the job may run there before its limit ends it.
    pub overrun: Span,
}

/// A candidate's terms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// From now until it would start.
    pub wait: Span,
    /// What has to be brought there first.
    pub fetches: Vec<Fetch>,
    /// What it would read over the network while it runs.
    pub streams: Vec<Stream>,
    /// How long it is expected to run there.
    pub run: Span,
    /// How long it may run there.
    pub limit: Span,
    /// What the expected time rests on.
    pub basis: Basis,
    /// What its chips are expected to cost: the candidate's price without transfers.
    pub chips_price: Money,
    /// What its transfers and streams cost.
    pub transfers_price: Money,
    /// What stands in the way of the start holding.
    pub risk: Risk,
    /// What it is worse by than the best; none for the best.
    pub behind: Option<Behind>,
}

impl Scene<'_> {
    /// The terms of a choice that was opened.
    pub(crate) fn terms(&self, asked: Asked<'_>, choice: &Choice, found: &Candidate) -> Terms {
        let seat = self.view.roster.seat(choice.pool);
        let chip = seat.pool().chip.as_ref();
        let JobSpec { tenant, workload, .. } = asked.spec;
        let lessons = self.world.lessons_of(tenant, workload.as_deref());
        let (_, basis) = estimate(lessons, asked.spec, choice.variant, (chip, seat.pace));
        let limit = asked.options.limit(choice);
        let since = Moment(self.situation.now.0.saturating_sub(RECORD_OF.0));
        let promises = &self.world.promises;
        let told = promises.of_center(&found.center, since).all();
        let currency = found.price.currency;
        let moved = found.price.micros.saturating_sub(choice.price);
        Terms {
            wait: found.start.since(self.situation.now),
            fetches: self.fetches(found),
            streams: found.streams.clone(),
            run: choice.run,
            limit,
            basis,
            chips_price: Money { micros: choice.price, currency },
            transfers_price: Money { micros: moved, currency },
            risk: Risk {
                told: told.told,
                held: told.held,
                tries: promises.tries(&found.center, since),
                overrun: limit.saturating_sub(choice.run),
            },
            behind: None,
        }
    }

    /// What comes over links, and what the center brings in from external stores of its own.
    fn fetches(&self, found: &Candidate) -> Vec<Fetch> {
        let center = &found.center;
        let lies = |data: &DatasetVersion| {
            let version = self.world.exact(data)?;
            let lies = version.lies_only_in_place(center)?;
            let bytes = version.registered.bytes;
            Some(Fetch {
                data: data.clone(),
                bytes,
                from: center.clone(),
                beside: Vec::new(),
                recalled: Some((lies.store.clone(), self.situation.now + lies.recall)),
                arrives: self.situation.now + lies.time_to_read(bytes),
                price: Money::zero(found.price.currency),
                is_under_way: false,
                slow_links: Vec::new(),
            })
        };
        let own = found.inputs.iter().filter_map(lies);
        found.transfers.iter().filter_map(|t| self.fetch(t)).chain(own).collect()
    }

    /// Where the copy a transfer reads is recalled from, and until when.
    fn recalled(&self, staging: &Staging) -> Option<(StoreId, Moment)> {
        let lies = self.world.exact(&staging.data)?.lies_only_in_place(&staging.from)?;
        let first = staging.steps.iter().find(|step| step.rate > Rate::ZERO)?;
        Some((lies.store.clone(), first.from))
    }

    fn fetch(&self, transfer: &Transfer) -> Option<Fetch> {
        let (staging, is_under_way) = match transfer {
            Transfer::New(staging) => (staging.as_ref(), false),
            Transfer::Under(id) => (self.world.transfers.get(id)?.as_ref(), true),
        };
        let price = if is_under_way { Money::zero(staging.price.currency) } else { staging.price };
        let links = staging.links().filter_map(|link| self.world.links.get(link));
        let slow = links.filter(|link| self.world.planned_rate(link) < link.capacity);
        Some(Fetch {
            data: staging.data.clone(),
            bytes: staging.bytes,
            from: staging.from.clone(),
            beside: staging.beside.iter().map(|leg| leg.from.clone()).collect(),
            recalled: self.recalled(staging),
            arrives: staging.arrives.max(self.situation.now),
            price,
            is_under_way,
            slow_links: slow.map(|link| link.link.clone()).collect(),
        })
    }

    /// What `found` is worse by than `best`.
    pub(crate) fn behind(&self, asked: Asked<'_>, best: &Candidate, found: &Candidate) -> Behind {
        let spec = asked.spec;
        let misses = |of: &Candidate| {
            spec.deadline.map(|by| of.finish.since(by)).filter(|late| *late > Span::ZERO)
        };
        if let (Some(late), None) = (misses(found), misses(best)) {
            return Behind::Deadline(late);
        }
        let dearer = |micros: i128| {
            let micros = i64::try_from(micros).unwrap_or(i64::MAX);
            (micros > 0).then_some(Behind::Price(Money { micros, ..found.price }))
        };
        let price = |of: &Candidate| i128::from(of.price.micros);
        let later = found.finish.since(best.finish);
        let by_time = || (later > Span::ZERO).then_some(Behind::Time(later));
        let by_price = || dearer(price(found) - price(best));
        let by_carbon = || match (best.carbon_mg, found.carbon_mg) {
            (Some(least), Some(mg)) if mg > least => Some(Behind::Carbon(mg - least)),
            (Some(_), None) => Some(Behind::UndisclosedPower),
            _ => None,
        };
        let by_both = || {
            let Situation { now, .. } = self.situation;
            let worth = |of: &Candidate| {
                let wait = i128::from(of.finish.since(*now).0);
                price(of) + wait * i128::from(self.policy.hour_is_worth) / HOUR_MS
            };
            dearer(worth(found) - worth(best))
        };
        let (first, second) = match spec.objective {
            Objective::Fastest => (by_time(), by_price()),
            Objective::Cheapest => (by_price(), by_time()),
            Objective::Balanced => (by_both(), by_time()),
            Objective::Greenest => (by_carbon(), by_time()),
        };
        first.or(second).unwrap_or(Behind::Nothing)
    }
}
