//! Why a job waits, or what would become of one: the planner's own answer.

use crate::aim::ahead;
use crate::ask::Ask;
use crate::candidate::Candidate;
use crate::class::{ClassId, class_of};
use crate::coming::Coming;
use crate::lending::Guest;
use crate::options::{self, Options};
use crate::rank::Rank;
use crate::refusal::{Refusal, Standing};
use crate::scene::{Asked, Reach, scene};
use crate::terms::Terms;
use crate::view::View;
use crate::{Policy, Situation};
use calendar::Work;
use model::job::JobSpec;
use model::{CenterId, FlavorId, JobId, TenantId};
use sharing::Account;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use world::World;

/// Why a job waits, or what would become of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Places that would do, best first.
    pub candidates: Vec<Candidate>,
    /// The terms of each of them, in the same order.
    pub terms: Vec<Terms>,
    /// Where every center stands, in the order of names.
    pub standings: Vec<Standing>,
    /// Jobs of its tenant that come before it.
    pub ahead: usize,
    /// How its tenant and each it is part of stand with each flavor it could have that there are quotas
    /// of: itself first, its root last.
    pub quota: Vec<(FlavorId, Vec<(TenantId, Account)>)>,
}

/// Why a waiting job waits. Everybody else's reservations stand; its own does not stand in its way.
/// `None` when the job is not in line.
#[must_use]
pub fn explain(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    job: JobId,
) -> Option<Explanation> {
    let (id, class) = view.class_of(world.job(job)?)?;
    let mut view = view.clone();
    if let Some(own) = view.reserved.get(&job).cloned() {
        view.lift(&own);
    }
    view.look_for_idle(policy, situation.now);
    let options = class.options(world, &view.roster, policy);
    let submitted = world.job(job)?.submitted;
    if let Some(place) = policy.aim.place(&class.spec, &options, submitted) {
        let ahead = ahead((world, &view, policy), place, job);
        return Some(
            Field::of(world, &view, situation, policy, id, &class.spec, &options).told(ahead),
        );
    }
    let turn = (Reverse(class.spec.priority), job);
    let turns = view.lines.turns_of(&class.spec.tenant);
    let before = turns.take_while(|(priority, head, _)| (*priority, *head) < turn);
    let ahead = before.filter_map(|(priority, _, id)| {
        let jobs = &view.lines.class(*id)?.jobs;
        Some(if *priority < turn.0 { jobs.len() } else { jobs.range(..job).count() })
    });
    let ahead = ahead.sum();
    Some(Field::of(world, &view, situation, policy, id, &class.spec, &options).told(ahead))
}

/// What would become of a job if it were submitted now: it would queue behind all of its tenant's of
/// its priority.
#[must_use]
pub fn trial(
    world: &World,
    view: &View,
    situation: &Situation,
    policy: &Policy,
    spec: &JobSpec,
) -> Explanation {
    let mut view = view.clone();
    view.look_for_idle(policy, situation.now);
    let options = Options::of(world, &view.roster, spec, policy);
    let ahead = match policy.aim.place(spec, &options, situation.now) {
        Some(place) => ahead((world, &view, policy), place, world.next.job),
        None => {
            let turns = view.lines.turns_of(&spec.tenant);
            let turns = turns.take_while(|(priority, ..)| *priority <= Reverse(spec.priority));
            turns.filter_map(|(_, _, id)| Some(view.lines.class(*id)?.jobs.len())).sum()
        }
    };
    Field::of(world, &view, situation, policy, class_of(spec), spec, &options).told(ahead)
}

/// All that can be said of every center, nothing left out.
struct Field {
    candidates: Vec<Candidate>,
    terms: Vec<Terms>,
    refused: BTreeMap<CenterId, Refusal>,
    quota: Vec<(FlavorId, Vec<(TenantId, Account)>)>,
    now: model::Moment,
}

impl Field {
    fn of(
        world: &World,
        view: &View,
        situation: &Situation,
        policy: &Policy,
        class: ClassId,
        spec: &JobSpec,
        options: &Options,
    ) -> Self {
        let coming = Coming::default();
        let scene = scene(world, view, &coming, situation, policy);
        let asked = Asked { class, spec, options };
        let mut ranked: Vec<((Rank, usize), Candidate, Terms)> = Vec::new();
        let mut refused = refusals(world, view, spec);
        let mut known = None;
        for (number, choice) in options.choices.iter().enumerate() {
            let seat = view.roster.seat(choice.pool);
            let work = &mut Work::unbounded();
            let opened = match spec.is_reservation() {
                true => scene.open_booking(asked, choice, (&mut known, work)),
                false => scene.open(asked, choice, (Reach::Ever, None), work),
            };
            match opened {
                Ok(found) => {
                    let rank = scene.rank_found(asked, choice, &found);
                    let terms = scene.terms(asked, choice, &found);
                    ranked.push(((rank, number), found, terms));
                }
                Err(refusal) => speak(&mut refused, &seat.center.center, refusal),
            }
        }
        if let Some(denied) = scene.held_back(asked, |_| false) {
            for (_, found, _) in ranked.drain(..) {
                speak(&mut refused, &found.center, Refusal::Quota { denied: denied.clone() });
            }
        }
        ranked.sort_by_key(|(rank, ..)| *rank);
        let (candidates, mut terms): (Vec<Candidate>, Vec<Terms>) =
            ranked.into_iter().map(|(_, found, terms)| (found, terms)).unzip();
        for candidate in &candidates {
            refused.remove(&candidate.center);
        }
        for (other, terms) in candidates.iter().zip(&mut terms).skip(1) {
            terms.behind = Some(scene.behind(asked, &candidates[0], other));
        }
        let quota = quota_paths(view, spec, options);
        Self { candidates, terms, refused, quota, now: situation.now }
    }

    /// Where each center stands: all but the best center's refusals, then what the best waits for.
    fn told(self, ahead: usize) -> Explanation {
        let standing = |(center, refusal)| Standing { center, refusal };
        let mut standings: BTreeMap<CenterId, Refusal> = self.refused;
        let best = self.candidates.first();
        for candidate in &self.candidates {
            if standings.contains_key(&candidate.center) {
                continue;
            }
            let (start, price) = (candidate.start, candidate.price);
            let refusal = match best {
                // Nothing stands against what can start at once.
                Some(best) if best.center == candidate.center && start <= self.now => continue,
                Some(best) if best.center == candidate.center => Refusal::Busy { start, price },
                Some(best) => {
                    let later = candidate.finish.since(best.finish);
                    Refusal::Worse { start: start.max(self.now), later, price }
                }
                None => continue,
            };
            standings.insert(candidate.center.clone(), refusal);
        }
        let standings = standings.into_iter().map(standing).collect();
        let Self { candidates, terms, quota, .. } = self;
        Explanation { candidates, terms, standings, ahead, quota }
    }
}

/// How a job's tenant stands with each flavor that the job could have.
fn quota_paths(
    view: &View,
    spec: &JobSpec,
    options: &Options,
) -> Vec<(FlavorId, Vec<(TenantId, Account)>)> {
    let flavors = (0..options.rows.len()).filter_map(|row| {
        let choice = options.first_in(row)?;
        view.roster.seat(choice.pool).flavor.as_ref()
    });
    let counted = flavors.filter(|flavor| view.usage.quotas().has(flavor));
    let all: BTreeSet<&FlavorId> = counted.collect();
    let path = |flavor: &FlavorId| view.usage.quota_path(&spec.tenant, flavor);
    all.into_iter().map(|flavor| (flavor.clone(), path(flavor))).collect()
}

/// What is declared stands against each center: of its pools and the job's variants the nearest
/// speaks for it.
fn refusals(world: &World, view: &View, spec: &JobSpec) -> BTreeMap<CenterId, Refusal> {
    let mut refused = BTreeMap::new();
    for center in view.roster.centers() {
        let id = &center.center;
        if let Err(refusal) = options::center(spec, center) {
            refused.insert(id.clone(), refusal);
        } else if world.centers.get(id).is_none_or(|state| state.agent.is_none()) {
            refused.insert(id.clone(), Refusal::NoAgent);
        } else if center.pools.is_empty() {
            refused.insert(id.clone(), Refusal::TooFewNodes { has: 0, wants: 1 });
        }
    }
    if let Some(reservation) = spec.reservation {
        let place = options::place_of(world, spec);
        for center in view.roster.centers().map(|center| &center.center) {
            if place.is_none_or(|place| place.center != *center) {
                let at = place.map(|place| place.center.clone());
                refused.insert(center.clone(), Refusal::Reserved { reservation, at });
            }
        }
    }
    let guest = Guest::of(world, &spec.tenant);
    for (_, seat) in view.roster.seats() {
        let id = &seat.center.center;
        if options::center(spec, &seat.center).is_err() {
            continue;
        }
        let is_booked = spec.reservation.is_some();
        if is_booked && !seat.is_at(options::place_of(world, spec)) {
            continue;
        }
        if !is_booked && let Err(refusal) = guest.may_have(&seat.center, &seat.lending) {
            speak(&mut refused, id, refusal);
            continue;
        }
        for variant in spec.parts.iter().take(1).flat_map(|part| &part.variants) {
            let ask = Ask::of(spec, variant);
            if let Err(refusal) = options::pool(spec, seat, variant, &ask) {
                speak(&mut refused, id, refusal);
            }
        }
    }
    refused
}

fn speak(refused: &mut BTreeMap<CenterId, Refusal>, center: &CenterId, refusal: Refusal) {
    let nearer = refused.get(center).is_none_or(|known| known.nearness() <= refusal.nearness());
    if nearer {
        refused.insert(center.clone(), refusal);
    }
}
