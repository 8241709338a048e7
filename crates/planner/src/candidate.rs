//! Where a job could go: every center, pool and variant, each with its terms or its refusal.

use crate::board::Board;
use crate::class::ClassId;
use crate::plan::Transfer;
use crate::pool::{Ask, PoolBoard};
use crate::refusal::{Refusal, Standing};
use crate::staging::{Coming, Staged, stage};
use crate::{Policy, Situation};
use calendar::Work;
use model::attempt::Slots;
use model::center::{Center, Pool};
use model::job::{JobSpec, On, Variant, Within};
use model::{CenterId, Chips, DatasetVersion, Moment, Money, Objective, PoolId, Region, Span};
use serde::Serialize;
use world::{Version, World};

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
    /// The nodes it would take.
    #[serde(skip)]
    pub slots: Vec<Slots>,
    /// The transfers it would wait for.
    #[serde(skip)]
    pub transfers: Vec<Transfer>,
    /// The versions of its inputs.
    #[serde(skip)]
    pub inputs: Vec<DatasetVersion>,
}

impl Candidate {
    /// What the job's objective makes of it; the least is the best. Ends with names, so that no two
    /// candidates are alike.
    fn rank(&self, spec: &JobSpec, policy: &Policy, now: Moment) -> impl Ord + use<> {
        let late = spec.deadline.is_some_and(|deadline| self.finish > deadline);
        let finish = i128::from(self.finish.0);
        let price = i128::from(self.price.micros);
        let wait = i128::from(self.finish.since(now).0);
        let terms = match spec.objective {
            Objective::Fastest => (finish, price),
            Objective::Cheapest => (price, finish),
            Objective::Balanced => {
                (price + wait * i128::from(policy.hour_is_worth) / 3_600_000, finish)
            }
            Objective::Greenest => (i128::from(self.energy_mwh), finish),
        };
        (late, terms, self.center.clone(), self.pool.clone(), self.variant)
    }
}

/// How far ahead a candidate may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// As soon as its data is there, or not at all.
    Now,
    /// At whatever time it fits.
    Ever,
}

/// What is asked of all candidates.
pub(crate) struct Question<'a> {
    pub(crate) world: &'a World,
    pub(crate) board: &'a Board,
    pub(crate) coming: &'a Coming,
    pub(crate) situation: &'a Situation,
    pub(crate) policy: &'a Policy,
    pub(crate) class: ClassId,
    pub(crate) spec: &'a JobSpec,
    pub(crate) reach: Reach,
}

/// Candidates best first, and the centers that have none.
pub(crate) struct Field {
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) refused: Vec<Standing>,
}

impl Field {
    /// Where each center stands: all but the best center's refusals, then what the best waits for.
    pub(crate) fn standings(&self, now: Moment) -> Vec<Standing> {
        let mut standings = self.refused.clone();
        let best = self.candidates.first();
        for candidate in &self.candidates {
            if standings.iter().any(|s| s.center == candidate.center) {
                continue;
            }
            let (start, price) = (candidate.start, candidate.price);
            let refusal = match best {
                // Nothing stands against what can start at once.
                Some(best) if best.center == candidate.center && start <= now => continue,
                Some(best) if best.center == candidate.center => Refusal::Busy { start, price },
                Some(best) => {
                    let later = candidate.finish.since(best.finish);
                    Refusal::Worse { start: start.max(now), later, price }
                }
                None => continue,
            };
            standings.push(Standing { center: candidate.center.clone(), refusal });
        }
        standings.sort_by(|a, b| a.center.cmp(&b.center));
        standings
    }
}

impl Question<'_> {
    /// Looks at every center.
    pub(crate) fn field(&self, work: &mut Work) -> Field {
        let mut field = Field { candidates: Vec::new(), refused: Vec::new() };
        for state in self.world.centers.values() {
            let center = &state.center;
            match self.center(center, state.agent.is_some(), work) {
                Ok(candidates) => field.candidates.extend(candidates),
                Err(refusal) => {
                    field.refused.push(Standing { center: center.center.clone(), refusal });
                }
            }
        }
        let now = self.situation.now;
        field.candidates.sort_by_cached_key(|c| c.rank(self.spec, self.policy, now));
        field
    }

    fn center(
        &self,
        center: &Center,
        has_agent: bool,
        work: &mut Work,
    ) -> Result<Vec<Candidate>, Refusal> {
        self.admits(center, has_agent)?;
        let part = self.spec.parts.first().expect("a job has at least one part");
        let mut nearest: Option<Refusal> = None;
        let mut candidates = Vec::new();
        // Data does not depend on the pool, and is asked for only once one would do.
        let mut data: Option<Result<Data, Refusal>> = None;
        for pool in &center.pools {
            for (index, variant) in (0_u16..).zip(&part.variants) {
                work.count(1);
                let place = Place { center, pool, index, variant };
                let found = self.fits(&place).and_then(|ask| {
                    let data = data.get_or_insert_with(|| self.data(center, work));
                    let data = data.as_ref().map_err(Clone::clone)?;
                    self.window(&place, &ask, data, work)
                });
                match found {
                    Ok(candidate) => candidates.push(candidate),
                    Err(refusal) => {
                        if nearest.as_ref().is_none_or(|n| n.nearness() <= refusal.nearness()) {
                            nearest = Some(refusal);
                        }
                    }
                }
            }
        }
        match (candidates.is_empty(), nearest) {
            (true, Some(refusal)) => Err(refusal),
            (true, None) => Err(Refusal::TooFewNodes { has: 0, wants: 1 }),
            (false, _) => Ok(candidates),
        }
    }

    /// What can be said of a center without looking at its pools.
    fn admits(&self, center: &Center, has_agent: bool) -> Result<(), Refusal> {
        let spec = self.spec;
        let id = &center.center;
        if let Some(site) = center.site() {
            let region = &site.region;
            let asked = spec.centers.is_empty() || spec.centers.contains(id);
            let inside = spec.regions.is_empty() || spec.regions.iter().any(|r| r.contains(region));
            if !asked || !inside {
                return Err(Refusal::NotAsked { region: region.clone() });
            }
            for output in spec.outputs.iter().filter(|o| !o.residency.is_empty()) {
                if !output.residency.iter().any(|r| r.contains(region)) {
                    let (dataset, allowed) = (output.dataset.clone(), output.residency.clone());
                    return Err(Refusal::Residency { dataset, allowed });
                }
            }
        }
        if !center.only_tenants.is_empty() && !center.only_tenants.contains(&spec.tenant) {
            return Err(Refusal::NotAdmitted);
        }
        if !has_agent {
            return Err(Refusal::NoAgent);
        }
        if let Some(since) = self.situation.silent.get(id) {
            return Err(Refusal::Silent { since: *since });
        }
        if let Some((why, until)) = self.board.declined.get(&(self.class, id.clone())) {
            return Err(Refusal::Declined { why: why.clone(), until: *until });
        }
        Ok(())
    }

    /// Whether a gang of the variant could ever run in the pool, and what it would ask of it.
    fn fits(&self, place: &Place<'_>) -> Result<Ask, Refusal> {
        let Place { pool, variant, .. } = place;
        self.chip_fits(pool, variant)?;
        let ask = Ask {
            nodes: variant.nodes,
            chips: variant.chips_per_node,
            cores: variant.cores,
            memory: variant.memory,
            one_block: self.spec.together.within == Within::Block,
        };
        if ask.chips > pool.node_chips() {
            return Err(Refusal::NodeTooSmall { has: pool.node_chips(), wants: ask.chips });
        }
        if ask.cores > pool.cores {
            return Err(Refusal::TooFewCores { has: pool.cores, wants: ask.cores });
        }
        if ask.memory > pool.memory {
            return Err(Refusal::TooLittleMemory { has: pool.memory, wants: ask.memory });
        }
        let has = match pool.nodes_per_block {
            block @ 1.. if ask.one_block => block.min(pool.nodes),
            _ => pool.nodes,
        };
        if ask.nodes > has {
            return Err(Refusal::TooFewNodes { has, wants: ask.nodes });
        }
        Ok(ask)
    }

    fn chip_fits(&self, pool: &Pool, variant: &Variant) -> Result<(), Refusal> {
        let chip = pool.chip.as_ref().and_then(|id| self.world.chips.get(id));
        let right = match (&variant.on, chip) {
            (On::Cpu, _) => true,
            (On::Chip(wanted), Some(chip)) => chip.chip == *wanted,
            (On::Class(wanted), Some(chip)) => chip.class == *wanted,
            (On::Chip(_) | On::Class(_), None) => false,
        };
        if !right {
            let has = chip.map_or_else(|| "no chips".to_owned(), |c| c.chip.to_string());
            let variants = self.spec.parts.iter().flat_map(|p| &p.variants);
            let wants: Vec<String> = variants.map(|v| v.on.to_string()).collect();
            return Err(Refusal::WrongChip { has, wants: wants.join(" or ") });
        }
        let unit = chip.map_or(1, |c| c.allocation_unit.max(1));
        if !variant.chips_per_node.0.is_multiple_of(Chips::whole(u64::from(unit)).0) && unit > 1 {
            return Err(Refusal::AllocationUnit { unit });
        }
        Ok(())
    }

    /// What it takes to have the job's inputs at the center.
    fn data(&self, center: &Center, work: &mut Work) -> Result<Data, Refusal> {
        let now = self.situation.now;
        let mut data = Data { ready: now, transfers: Vec::new(), inputs: Vec::new(), price: 0 };
        for input in &self.spec.inputs {
            let dataset = &input.dataset.dataset;
            let missing = || Refusal::NoDataset { dataset: dataset.clone() };
            let version = self.world.version(&input.dataset).ok_or_else(missing)?;
            self.may_live(center, version)?;
            data.inputs.push(version.registered.data.clone());
            match stage(self, version, &center.center, work)? {
                Staged::Here => {}
                Staged::Coming { transfer, arrives, price } => {
                    data.ready = data.ready.max(arrives);
                    data.price += price;
                    data.transfers.push(transfer);
                }
            }
        }
        Ok(data)
    }

    fn may_live(&self, center: &Center, version: &Version) -> Result<(), Refusal> {
        let allowed = &version.registered.residency;
        let region = center.site().map(|s| &s.region);
        if allowed.is_empty() || region.is_some_and(|r| allowed.iter().any(|a| a.contains(r))) {
            return Ok(());
        }
        let dataset = version.registered.data.dataset.clone();
        Err(Refusal::Residency { dataset, allowed: allowed.clone() })
    }

    /// The window the job would get, and what that costs.
    fn window(
        &self,
        place: &Place<'_>,
        ask: &Ask,
        data: &Data,
        work: &mut Work,
    ) -> Result<Candidate, Refusal> {
        let Place { center, pool, index, variant } = place;
        let board = self.board.pool(&center.center, &pool.pool).ok_or(Refusal::NoWindow)?;
        let limit = self.spec.duration.limit().unwrap_or(Span::MAX);
        let run = expected_run(self.spec, variant).min(limit);
        let (start, slots) =
            find(board, data.ready, limit, ask, self.reach, work).ok_or(Refusal::NoWindow)?;
        let compute = pool.price(ask.nodes, ask.chips, run);
        let micros = compute.micros.saturating_add(data.price);
        let price = Money { micros, ..compute };
        if let Some(budget) = self.spec.budget
            && (budget.currency != price.currency || price.micros > budget.micros)
        {
            return Err(Refusal::OverBudget { price, budget });
        }
        Ok(Candidate {
            center: center.center.clone(),
            pool: pool.pool.clone(),
            variant: *index,
            data_ready: data.ready,
            start,
            until: start + limit,
            finish: start + run,
            price,
            energy_mwh: self.energy(center, pool, ask, run),
            slots,
            transfers: data.transfers.clone(),
            inputs: data.inputs.clone(),
        })
    }

    fn energy(&self, center: &Center, pool: &Pool, ask: &Ask, run: Span) -> u64 {
        let chip = pool.chip.as_ref().and_then(|id| self.world.chips.get(id));
        let watts = u128::from(chip.and_then(|c| c.power_watts).unwrap_or(0));
        let milli_chips = u128::from(ask.chips.times(ask.nodes.into()).0);
        // W × chips/1000 × ms × PUE/1000, brought from watt-milliseconds to milliwatt-hours.
        let scaled = watts * milli_chips * u128::from(run.0) * u128::from(center.pue_thousandths);
        u64::try_from(scaled / 1_000 / 3_600_000).unwrap_or(u64::MAX)
    }
}

/// A pool of a center as one variant would use it.
struct Place<'a> {
    center: &'a Center,
    pool: &'a Pool,
    index: u16,
    variant: &'a Variant,
}

/// A job's inputs at a center.
struct Data {
    ready: Moment,
    transfers: Vec<Transfer>,
    inputs: Vec<DatasetVersion>,
    price: i64,
}

fn find(
    board: &PoolBoard,
    from: Moment,
    span: Span,
    ask: &Ask,
    reach: Reach,
    work: &mut Work,
) -> Option<(Moment, Vec<Slots>)> {
    match reach {
        Reach::Now => {
            work.count(1);
            board.bind(from, from + span, ask).map(|slots| (from, slots))
        }
        Reach::Ever => board.earliest(from, span, ask, work),
    }
}

/// How long the job is expected to run as this variant: its tenant's figure, scaled by the
/// variant's speed where one is given; rounded up.
fn expected_run(spec: &JobSpec, variant: &Variant) -> Span {
    let expected = spec.duration.expected().unwrap_or(Span::MAX);
    match variant.speed_thousandths {
        Some(speed) if speed > 0 => {
            let scaled = u128::from(expected.0) * 1_000;
            Span(u64::try_from(scaled.div_ceil(u128::from(speed))).unwrap_or(u64::MAX))
        }
        _ => expected,
    }
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
