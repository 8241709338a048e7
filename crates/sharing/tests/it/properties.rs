//! Random trees and sequences, judged by the second implementation.

use crate::naive::{Naive, Node};
use crate::scenario::{Job, asking, flavor, holder, tenant};
use model::quota::{BorrowWithinCohort, ReclaimWithinCohort, WithinQueue};
use model::{ChipTime, Chips, FlavorId, Preemption, Quota, Tenant, TenantId};
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sharing::{Claim, Quotas, Reclaim, Usage, Why, reclaim};
use std::collections::BTreeMap;
use std::sync::Arc;

const FLAVORS: [&str; 2] = ["910b", "h800"];

fn name(number: usize) -> TenantId {
    // Names in another order than the tree's.
    tenant(&format!("t{}-{number}", (number * 7) % 5))
}

fn amount(amount: i64) -> Chips {
    Chips(u64::try_from(amount).unwrap())
}

fn to_i64(chips: Chips) -> i64 {
    i64::try_from(chips.0).unwrap()
}

/// A tree with its quotas, declared and naive, and what runs.
struct Trial {
    rng: ChaCha8Rng,
    declared: Vec<Tenant>,
    naive: BTreeMap<FlavorId, Naive>,
    usage: Usage,
    jobs: BTreeMap<u64, Job>,
    next: u64,
}

fn declare(rng: &mut ChaCha8Rng, number: usize, policies: bool) -> Tenant {
    let parent = (number > 0 && rng.random_range(0..8) > 0).then(|| rng.random_range(0..number));
    let mut declared = Tenant::new(name(number), parent.map(name));
    if policies {
        let reclaim_within_cohort = *pick(
            rng,
            &[
                ReclaimWithinCohort::Never,
                ReclaimWithinCohort::LowerPriority,
                ReclaimWithinCohort::Any,
            ],
        );
        let within_queue = *pick(
            rng,
            &[WithinQueue::Never, WithinQueue::LowerPriority, WithinQueue::LowerOrNewerEqual],
        );
        let may = reclaim_within_cohort != ReclaimWithinCohort::Never && rng.random();
        let max_priority = rng.random::<bool>().then(|| rng.random_range(0..3));
        let borrow_within_cohort = may.then_some(BorrowWithinCohort { max_priority });
        declared.preemption =
            Some(Preemption { within_queue, reclaim_within_cohort, borrow_within_cohort });
    } else {
        declared.preemption = Some(Preemption {
            reclaim_within_cohort: ReclaimWithinCohort::Any,
            within_queue: WithinQueue::Never,
            borrow_within_cohort: None,
        });
    }
    declared
}

fn pick<'a, T>(rng: &mut ChaCha8Rng, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

fn quota(rng: &mut ChaCha8Rng, has_parent: bool) -> Quota {
    let nominal = rng.random_range(0..9);
    let mut limit = |most: u64| {
        (has_parent && rng.random_range(0..3) == 0).then(|| Chips(rng.random_range(0..=most)))
    };
    let (borrowing_limit, lending_limit) = (limit(9), limit(nominal));
    Quota { nominal: Chips(nominal), borrowing_limit, lending_limit }
}

impl Trial {
    fn new(seed: u64, policies: bool) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let tenants = rng.random_range(1..12);
        let mut declared: Vec<_> =
            (0..tenants).map(|number| declare(&mut rng, number, policies)).collect();
        for flavor in FLAVORS.map(flavor) {
            for one in &mut declared {
                if rng.random_range(0..4) > 0 {
                    let quota = quota(&mut rng, one.parent.is_some());
                    one.quotas.insert(flavor.clone(), quota);
                }
            }
        }
        let naive = FLAVORS.map(|f| (flavor(f), naive(&declared, &flavor(f)))).into();
        let mut shuffled = declared.clone();
        shuffled.shuffle(&mut rng);
        let usage = Usage::new(Arc::new(Quotas::new(&shuffled).unwrap()));
        Self { rng, declared, naive, usage, jobs: BTreeMap::new(), next: 1 }
    }

    fn job(&mut self) -> (usize, Job) {
        let at = self.rng.random_range(0..self.declared.len());
        let mut claim = Claim::default();
        for f in FLAVORS {
            if self.rng.random() {
                claim.chips.insert(flavor(f), Chips(self.rng.random_range(0..8)));
            }
        }
        let priority = self.rng.random_range(0..4);
        let lost = self.rng.random_range(0..3);
        let (fixed, leaving) = (false, false);
        (at, Job { tenant: name(at), claim, priority, lost, fixed, leaving })
    }

    /// Whether nobody has a quota of it.
    fn free(&self, flavor: &FlavorId) -> bool {
        self.declared.iter().all(|d| !d.quotas.contains_key(flavor))
    }

    fn fits(&self, at: usize, claim: &Claim) -> bool {
        claim.chips.iter().all(|(flavor, asked)| {
            asked.0 == 0 || self.free(flavor) || to_i64(*asked) <= self.naive[flavor].available(at)
        })
    }

    fn borrows(&self, at: usize, claim: &Claim) -> bool {
        claim.chips.iter().any(|(flavor, asked)| {
            let node = &self.naive[flavor].0[at];
            asked.0 > 0 && !self.free(flavor) && node.own + to_i64(*asked) > node.nominal
        })
    }

    fn shift(&mut self, at: usize, claim: &Claim, sign: i64) {
        for (flavor, asked) in &claim.chips {
            self.naive.get_mut(flavor).unwrap().0[at].own += sign * to_i64(*asked);
        }
    }

    /// A random job asks and is let in if it fits, or a random one ends.
    fn step(&mut self) {
        if !self.jobs.is_empty() && self.rng.random_range(0..3) == 0 {
            let keys: Vec<_> = self.jobs.keys().copied().collect();
            let job = self.jobs.remove(pick(&mut self.rng, &keys)).unwrap();
            self.usage.give(&job.tenant, &job.claim, ChipTime::ZERO).unwrap();
            return self.shift(self.at(&job.tenant), &job.claim, -1);
        }
        let (at, job) = self.job();
        let answer = self.usage.admits_claim(&job.tenant, &job.claim);
        assert_eq!(answer.is_ok(), self.fits(at, &job.claim), "{answer:?}");
        if answer.is_ok() {
            self.usage.take(&job.tenant, &job.claim).unwrap();
            self.shift(at, &job.claim, 1);
            self.jobs.insert(self.next, job);
            self.next += 1;
        }
    }

    fn at(&self, tenant: &TenantId) -> usize {
        self.declared.iter().position(|d| d.tenant == *tenant).unwrap()
    }

    fn compare(&self) {
        for (flavor, naive) in &self.naive {
            for at in (0..self.declared.len()).filter(|_| !self.free(flavor)) {
                let account = self.usage.account(&name(at), flavor).unwrap();
                let room = self.usage.room(&name(at), flavor);
                let own = naive.0[at].own;
                let available = naive.available(at);
                let path = self.usage.quota_path(&name(at), flavor);
                assert_eq!(path[0], (name(at), account));
                assert!(self.declared[self.at(&path.last().unwrap().0)].parent.is_none());
                let got = [account.own, account.used, account.subtree_quota, account.local_quota];
                let want = [own, naive.used(at), naive.subtree(at), naive.local(at)];
                assert_eq!(got.map(to_i64), want);
                assert_eq!(to_i64(account.potential), naive.potential(at));
                assert_eq!(to_i64(room.available), available.max(0));
                assert_eq!(to_i64(room.nominal), (naive.0[at].nominal - own).max(0));
            }
        }
    }

    /// Who goes, and that it is right: it fits, none can be spared, each may be told to.
    fn judge(&mut self, number: u64, at: usize, job: &Job, found: &Reclaim) {
        let policy = self.declared[at].preemption.unwrap();
        for victim in &found.victims {
            let victim_job = self.jobs[&victim.job.number()].clone();
            let of = self.at(&victim.tenant);
            let lower = victim_job.priority < job.priority;
            if victim.why == Why::WithinQueue {
                let newer = victim_job.priority == job.priority && victim.job.number() > number;
                assert!(of == at && (lower || newer) && policy.within_queue != WithinQueue::Never);
            } else {
                let above = self.naive.iter().any(|(flavor, naive)| {
                    job.claim.chips.contains_key(flavor) && naive.0[of].own > naive.0[of].nominal
                });
                let any = policy.reclaim_within_cohort == ReclaimWithinCohort::Any;
                assert!(of != at && above && (lower || any), "{victim:?} keeps within its nominal");
                assert!(any || policy.reclaim_within_cohort == ReclaimWithinCohort::LowerPriority);
            }
            if victim.why == Why::ReclaimWhileBorrowing {
                assert!(lower && policy.borrow_within_cohort.is_some());
            }
            self.shift(of, &victim_job.claim, -1);
        }
        assert!(self.fits(at, &job.claim));
        assert_eq!(self.borrows(at, &job.claim), found.borrows);
        for victim in &found.victims {
            let spared = self.jobs[&victim.job.number()].clone();
            let of = self.at(&victim.tenant);
            self.shift(of, &spared.claim, 1);
            let fits = self.fits(at, &job.claim);
            let same = found.borrows || !self.borrows(at, &job.claim);
            assert!(!(fits && same), "{victim:?} can be spared of {found:?}");
            self.shift(of, &spared.claim, -1);
        }
        for victim in &found.victims {
            let back = self.jobs[&victim.job.number()].clone();
            self.shift(self.at(&victim.tenant), &back.claim, 1);
        }
    }
}

fn naive(declared: &[Tenant], flavor: &FlavorId) -> Naive {
    let at = |tenant: &TenantId| declared.iter().position(|d| d.tenant == *tenant).unwrap();
    let node = |declared: &Tenant| {
        let quota = declared.quotas.get(flavor).copied().unwrap_or_default();
        Node {
            parent: declared.parent.as_ref().map(at),
            nominal: to_i64(quota.nominal),
            borrowing_limit: quota.borrowing_limit.map(to_i64),
            lending_limit: quota.lending_limit.map(to_i64),
            own: 0,
        }
    };
    Naive(declared.iter().map(node).collect())
}

#[test]
fn every_answer_is_that_of_the_definitions_and_nobody_uses_more_than_allowed() {
    for seed in 0..10_000 {
        let mut trial = Trial::new(seed, true);
        for _ in 0..30 {
            trial.step();
            trial.compare();
        }
        for (flavor, naive) in trial.naive.iter().filter(|(flavor, _)| !trial.free(flavor)) {
            assert!(naive.legal(), "seed {seed}");
            for at in 0..naive.0.len() {
                let available = to_i64(trial.usage.room(&name(at), flavor).available);
                assert_eq!(available, naive.most_more(at), "seed {seed}");
                // What a tenant does not lend is there for it whatever others use.
                assert!(available >= naive.local(at) - naive.used(at), "seed {seed}");
            }
        }
    }
}

#[test]
fn giving_back_undoes_and_the_order_does_not_matter() {
    for seed in 0..10_000 {
        let mut trial = Trial::new(seed, true);
        (0..20).for_each(|_| trial.step());
        let accounts = |usage: &Usage| {
            let each = |at| FLAVORS.map(|f| usage.account(&name(at), &flavor(f)).unwrap());
            (0..trial.declared.len()).map(each).collect::<Vec<_>>()
        };
        let before = accounts(&trial.usage);
        let mut shuffled: Vec<_> = trial.jobs.values().collect();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut copy = trial.usage.clone();
        for job in &shuffled {
            copy.give(&job.tenant, &job.claim, ChipTime::ZERO).unwrap();
        }
        let empty = Usage::new(Arc::clone(trial.usage.quotas()));
        assert_eq!(accounts(&copy), accounts(&empty), "seed {seed}");
        assert!(copy.give(&name(0), &Claim::default(), ChipTime::ZERO).is_err());
        for job in shuffled {
            copy.take(&job.tenant, &job.claim).unwrap();
        }
        assert_eq!(accounts(&copy), before, "seed {seed}");
        assert_eq!(accounts(&trial.usage), before, "seed {seed}: the original is as it was");
    }
}

#[test]
fn use_brought_under_other_quotas_is_as_if_it_had_been_there_from_the_first() {
    for seed in 0..10_000 {
        let mut trial = Trial::new(seed, true);
        (0..20).for_each(|_| trial.step());
        let mut other = Trial::new(seed, true);
        for one in &mut other.declared {
            for quota in one.quotas.values_mut() {
                let limit = quota.lending_limit.is_some();
                let fewer = quota.nominal.0 / 2;
                *quota = Quota { nominal: Chips(fewer), ..*quota };
                quota.lending_limit = limit.then_some(Chips(fewer / 2));
            }
        }
        let quotas = Arc::new(Quotas::new(&other.declared).unwrap());
        trial.usage = trial.usage.under(quotas).unwrap();
        for f in FLAVORS.map(flavor) {
            let owns: Vec<_> = trial.naive[&f].0.iter().map(|node| node.own).collect();
            let mut fresh = naive(&other.declared, &f);
            fresh.0.iter_mut().zip(owns).for_each(|(node, own)| node.own = own);
            trial.naive.insert(f, fresh);
        }
        trial.declared = other.declared;
        trial.compare();
    }
}

#[test]
fn nominal_quota_is_always_recoverable() {
    let mut reclaimed = 0;
    for seed in 0..10_000 {
        let mut trial = Trial::new(seed, false);
        (0..40).for_each(|_| trial.step());
        for at in 0..trial.declared.len() {
            let (tenant, mut claim) = (name(at), Claim::default());
            for (flavor, naive) in &trial.naive {
                let left = naive.0[at].nominal - naive.0[at].own;
                claim.chips.insert(flavor.clone(), amount(left.max(0)));
            }
            let job = Job { tenant, claim, priority: 0, lost: 0, fixed: false, leaving: false };
            let found = reclaim(&trial.usage, &asking(0, &job), trial.jobs.iter().map(holder))
                .unwrap_or_else(|not| panic!("seed {seed}: {not}"));
            reclaimed += usize::from(!found.victims.is_empty());
            trial.judge(0, at, &job, &found);
        }
    }
    assert!(reclaimed > 5_000, "only {reclaimed} of the questions needed anybody to go");
}

#[test]
fn who_is_told_to_go_may_be_told_and_cannot_be_spared() {
    let mut reclaimed = 0;
    for seed in 0..10_000 {
        let mut trial = Trial::new(seed, true);
        (0..40).for_each(|_| trial.step());
        for _ in 0..10 {
            let (at, job) = trial.job();
            let number = trial.rng.next_u64() % trial.next;
            let holders = || trial.jobs.iter().map(holder);
            let found = reclaim(&trial.usage, &asking(number, &job), holders());
            let mut turned: Vec<_> = holders().collect();
            turned.reverse();
            let again = reclaim(&trial.usage, &asking(number, &job), turned);
            assert_eq!(found, again, "seed {seed}: the order of the holders does not matter");
            match found {
                Ok(found) => {
                    reclaimed += usize::from(!found.victims.is_empty());
                    trial.judge(number, at, &job, &found);
                }
                Err(_) => no_own_job_would_do(&mut trial, at, &job),
            }
        }
    }
    assert!(reclaimed > 5_000, "only {reclaimed} of the questions needed anybody to go");
}

/// A job for which nobody can go would not fit either if all its tenant's lower jobs were gone.
fn no_own_job_would_do(trial: &mut Trial, at: usize, job: &Job) {
    if trial.declared[at].preemption.unwrap().within_queue == WithinQueue::Never {
        return;
    }
    let lower = |other: &&Job| other.tenant == job.tenant && other.priority < job.priority;
    let own: Vec<_> = trial.jobs.values().filter(lower).cloned().collect();
    own.iter().for_each(|job| trial.shift(at, &job.claim, -1));
    assert!(!trial.fits(at, &job.claim));
    own.iter().for_each(|job| trial.shift(at, &job.claim, 1));
}
