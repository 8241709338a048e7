//! What owners of made-up networks lend, and take back while everything goes wrong.

use super::{STORM, TENANTS};
use crate::setup::Setup;
use controller::{Command, Declarations};
use model::{Center, CenterId, Chips, Guests, Region, Span, TenantId};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Gives every other network tenants that are at home somewhere, and owners that lend less than all,
/// change their minds, and take back. In the end all is lent, so that nothing waits for ever. It draws
/// for itself: what a seed is beside what is lent does not hang on it.
pub(super) fn draw(seed: u64, setup: &mut Setup) {
    let mut maker = Owners { rng: ChaCha8Rng::seed_from_u64(seed ^ 0x4c_45_4e_44) };
    if maker.rng.random_range(0..2) == 0 {
        return;
    }
    let centers = setup.declarations.centers.clone();
    maker.at_home(setup, &centers);
    for center in &mut setup.declarations.centers {
        maker.lends(center);
    }
    for _ in 0..maker.rng.random_range(0..=3) {
        let mut center = maker.one_of(&centers).clone();
        maker.lends(&mut center);
        setup.wishes.push((maker.moment(), declare(vec![center])));
    }
    for _ in 0..maker.rng.random_range(0..=4) {
        let recall = maker.recall(setup, &centers);
        setup.wishes.push(recall);
    }
    let lent = || declare(centers.clone());
    // What was asked in vain while the server was down may come in another order.
    setup.wishes.push((STORM + STORM, lent()));
    setup.wishes.push((STORM + STORM + STORM, lent()));
}

fn declare(centers: Vec<Center>) -> Command {
    Command::Apply(Box::new(Declarations { centers, ..Declarations::default() }))
}

struct Owners {
    rng: ChaCha8Rng,
}

impl Owners {
    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.rng.random_range(0..all.len())]
    }

    fn moment(&mut self) -> Span {
        Span(self.rng.random_range(0..STORM.0))
    }

    /// Some of those who submit are at home in a center, however often they are declared again.
    fn at_home(&mut self, setup: &mut Setup, centers: &[Center]) {
        let mut homes: Vec<(TenantId, Option<CenterId>)> = Vec::new();
        for name in TENANTS {
            let home = (self.rng.random_range(0..4) > 0).then(|| self.one_of(centers));
            let home = home.map(|home| home.center.clone());
            homes.push((TenantId::new(name).expect("a word"), home));
        }
        let again = setup.wishes.iter_mut().filter_map(|(_, wish)| match wish {
            Command::Apply(declared) => Some(&mut declared.tenants),
            _ => None,
        });
        for tenants in [&mut setup.declarations.tenants].into_iter().chain(again) {
            for (name, home) in &homes {
                let named = tenants.iter_mut().filter(|tenant| tenant.tenant == *name);
                named.for_each(|tenant| tenant.home.clone_from(home));
            }
        }
    }

    /// How much of a center is lent, with what notice, and seldom to others than all.
    fn lends(&mut self, center: &mut Center) {
        center.lend_percent = *self.one_of(&[0, 25, 50, 75, 100, 100]);
        center.recall_notice = Span(self.rng.random_range(0..=60_000));
        let elsewhere: Region = "cn/elsewhere".parse().expect("a region");
        if self.rng.random_range(0..8) == 0 {
            center.lend_to = Guests { regions: vec![elsewhere], ..Guests::default() };
        }
    }

    /// An owner wants chips of a center back for a while, sooner or later.
    fn recall(&mut self, setup: &Setup, centers: &[Center]) -> (Span, Command) {
        let center = self.one_of(centers).clone();
        let pool = &center.pools[0];
        let chips = Chips(self.rng.random_range(1..=pool.chips().0));
        let after = self.moment();
        let by = after + Span(self.rng.random_range(0..=60_000));
        let until = by + Span(self.rng.random_range(1..=90_000));
        let pools = vec![(pool.pool.clone(), chips)];
        let (in_time, until) = (setup.start + by, setup.start + until);
        (after, Command::Recall { center: center.center, pools, in_time, until })
    }
}
