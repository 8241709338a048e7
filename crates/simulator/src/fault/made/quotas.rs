//! Quotas of made-up networks, and how they change while everything goes wrong.

use super::{CLASSES, STORM, TENANTS, tenant};
use crate::setup::Setup;
use controller::{Command, Declarations};
use model::quota::{BorrowWithinCohort, Preemption, Quota, ReclaimWithinCohort, WithinQueue};
use model::{CenterId, ChipClass, ChipTime, Chips, Flavor, FlavorId, Span, Tenant, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The tenant that all others are part of.
const ROOT: &str = "city";
/// One that submits nothing, and has much to lend.
const LENDER: &str = "idle";

/// Gives two of three networks quotas that change a few times and are lifted in the end, so that nothing
/// waits for ever. It draws for itself: what a seed is beside its quotas does not hang on them.
pub(super) fn draw(seed: u64, setup: &mut Setup) {
    let mut maker = Quotas { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x51_4f_54_41) };
    if maker.rng.random_range(0..3) == 0 {
        return;
    }
    let centers: Vec<CenterId> =
        setup.declarations.centers.iter().map(|center| center.center.clone()).collect();
    setup.declarations.flavors = maker.flavors(&centers);
    let flavors: Vec<FlavorId> =
        setup.declarations.flavors.iter().map(|flavor| flavor.flavor.clone()).collect();
    setup.declarations.tenants = maker.tenants(&flavors);
    for _ in 0..maker.rng.random_range(0..=3) {
        let after = Span(maker.rng.random_range(0..STORM.0));
        let tenants = maker.tenants(&flavors);
        setup.wishes.push((after, declare(tenants)));
    }
    let lifted = || declare(maker.lifted(&flavors));
    // What was asked in vain while the server was down may come in another order.
    setup.wishes.push((STORM + STORM, lifted()));
    setup.wishes.push((STORM + STORM + STORM, lifted()));
}

fn declare(tenants: Vec<Tenant>) -> Command {
    Command::Apply(Box::new(Declarations { tenants, ..Declarations::default() }))
}

fn id(name: &str) -> TenantId {
    TenantId::new(name).expect("a word")
}

struct Quotas {
    rng: ChaCha8Rng,
}

impl Quotas {
    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())]
    }

    /// By class of chips, or one center apart from all others.
    fn flavors(&mut self, centers: &[CenterId]) -> Vec<Flavor> {
        let flavor = |name: &str, classes: &[&str], centers: &[CenterId]| Flavor {
            flavor: FlavorId::new(name).expect("a word"),
            chips: Vec::new(),
            classes: classes.iter().map(|c| ChipClass::new(c).expect("a word")).collect(),
            centers: centers.to_vec(),
            regions: Vec::new(),
        };
        match self.rng.random_range(0..3) {
            0 => vec![flavor("all", &[], &[])],
            1 => vec![flavor("first", &[], &centers[..1]), flavor("rest", &[], &centers[1..])],
            _ => CLASSES.iter().map(|class| flavor(class, &[class], &[])).collect(),
        }
    }

    fn chips(&mut self, most: u64) -> Chips {
        Chips::whole(self.rng.random_range(0..=most))
    }

    fn quota(&mut self, is_root: bool) -> Quota {
        let nominal = self.chips(8);
        let mut limit = |most: u64| {
            let limited = !is_root && self.rng.random_range(0..3) == 0;
            limited.then(|| Chips::whole(self.rng.random_range(0..=most)))
        };
        let borrowing_limit = limit(6);
        Quota { nominal, borrowing_limit, lending_limit: limit(nominal.0 / 1_000) }
    }

    fn preemption(&mut self) -> Preemption {
        let reclaim_within_cohort = self.one_of(&[
            ReclaimWithinCohort::Never,
            ReclaimWithinCohort::LowerPriority,
            ReclaimWithinCohort::Any,
            ReclaimWithinCohort::Any,
        ]);
        let within =
            [WithinQueue::Never, WithinQueue::LowerPriority, WithinQueue::LowerOrNewerEqual];
        let borrows =
            reclaim_within_cohort != ReclaimWithinCohort::Never && self.one_of(&[true, false]);
        let max_priority = self.one_of(&[None, Some(0)]);
        Preemption {
            within_queue: self.one_of(&within),
            reclaim_within_cohort,
            borrow_within_cohort: borrows.then_some(BorrowWithinCohort { max_priority }),
        }
    }

    fn tenants(&mut self, flavors: &[FlavorId]) -> Vec<Tenant> {
        let mut all = vec![Tenant::new(id(ROOT), None)];
        for name in TENANTS.into_iter().chain([LENDER]) {
            // Sometimes one is part of another.
            let parents =
                if name == TENANTS[0] { vec![ROOT] } else { vec![ROOT, ROOT, TENANTS[0]] };
            let parent = self.one_of(&parents);
            let weight = self.rng.random_range(1..=3);
            all.push(Tenant { weight, ..Tenant::new(id(name), Some(id(parent))) });
        }
        for (number, tenant) in all.iter_mut().enumerate() {
            for flavor in flavors {
                if self.rng.random_range(0..4) > 0 {
                    let quota = self.quota(number == 0);
                    tenant.quotas.insert(flavor.clone(), quota);
                }
            }
            tenant.preemption = self.one_of(&[true, true, false]).then(|| self.preemption());
            tenant.max_running = self.one_of(&[None, None, None, Some(3)]);
            tenant.budget = self.one_of(&[None, None, None, Some(ChipTime(60_000))]);
        }
        all
    }

    /// The same tenants, and nothing limits them.
    fn lifted(&self, flavors: &[FlavorId]) -> Vec<Tenant> {
        let much = Quota { nominal: Chips::whole(1_000_000), ..Quota::default() };
        let quotas: BTreeMap<_, _> = flavors.iter().map(|f| (f.clone(), much)).collect();
        let lift = |name: &str, parent: Option<&str>| Tenant {
            quotas: quotas.clone(),
            parent: parent.map(id),
            ..tenant(name)
        };
        let below = TENANTS.into_iter().chain([LENDER]).map(|name| lift(name, Some(ROOT)));
        [lift(ROOT, None)].into_iter().chain(below).collect()
    }
}
