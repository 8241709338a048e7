//! What is declared: centers, links, flavors and tenants, checked against what rests on them.

use crate::{Answer, Controller, Declarations, Rejected};
use model::fact::Fact;
use model::{Center, CenterId, Exchange, Flavor, FlavorId, PriorityClass};
use sharing::Quotas;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::CenterState;

/// The facts that some things are declared which are not known as they are now.
fn news<'w, T: PartialEq + 'w>(
    declared: Vec<T>,
    known: impl Fn(&T) -> Option<&'w Arc<T>>,
    fact: fn(Arc<T>) -> Fact,
) -> Vec<Fact> {
    let is_new = |one: &T| known(one).is_none_or(|known| **known != *one);
    declared.into_iter().filter(is_new).map(|one| fact(Arc::new(one))).collect()
}

impl Controller {
    pub(crate) fn declare(&mut self, new: Declarations) -> Result<Answer, Rejected> {
        self.check_shrinking(&new)?;
        self.check_quotas(&new)?;
        let facts = self.news(new);
        let changed = facts.len();
        facts.into_iter().for_each(|fact| self.emit(fact));
        for center in self.world.centers.keys() {
            let now = self.now;
            let session = crate::Session { number: 0, heard: now };
            self.sessions.entry(center.clone()).or_insert(session);
        }
        Ok(Answer::Applied { changed })
    }

    /// What of all that was declared is not so already.
    fn news(&self, new: Declarations) -> Vec<Fact> {
        let world = &self.world;
        let mut facts = news(new.chips, |c| world.chips.get(&c.chip), Fact::ChipDeclared);
        let center = |c: &Center| world.centers.get(&c.center).map(CenterState::declared);
        facts.extend(news(new.centers, center, Fact::CenterDeclared));
        let exchange = |e: &Exchange| world.exchanges.get(&e.exchange);
        facts.extend(news(new.exchanges, exchange, Fact::ExchangeDeclared));
        facts.extend(news(new.links, |l| world.links.get(&l.link), Fact::LinkDeclared));
        facts.extend(news(new.flavors, |f| world.flavors.get(&f.flavor), Fact::FlavorDeclared));
        let class = |c: &PriorityClass| world.priority_classes.get(&c.priority_class);
        facts.extend(news(new.priority_classes, class, Fact::PriorityClassDeclared));
        facts.extend(news(new.tenants, |t| world.tenants.get(&t.tenant), Fact::TenantDeclared));
        let admission = new.admission.filter(|asked| world.admission != Some(*asked));
        facts.extend(admission.map(Fact::AdmissionDeclared));
        facts
    }

    /// What attempts and transfers rest on cannot be declared away under them.
    fn check_shrinking(&self, new: &Declarations) -> Result<(), Rejected> {
        for center in &new.centers {
            let passing = self.world.passing_at(&center.center);
            if passing > center.relay.unwrap_or_default() {
                let why = format!(
                    "copies in passing take {passing} in {}, more than it would lend; wait until \
                     they have left",
                    center.center
                );
                return Err(Rejected::Conflict { why });
            }
            let state = self.world.centers.get(&center.center);
            let shown = state.map(|state| state.as_shown(center, state.checked.as_deref()));
            self.still_carries_all(shown.as_ref().unwrap_or(center))?;
        }
        for link in &new.links {
            let known = self.world.links.get(&link.link);
            let smaller = known.is_some_and(|known| {
                link.capacity < known.capacity || link.a != known.a || link.b != known.b
            });
            let crosses = |t: &&Arc<model::Staging>| t.links().any(|crossed| *crossed == link.link);
            if smaller && let Some(transfer) = self.world.transfers.values().find(crosses) {
                let why = format!(
                    "{} crosses link {}, which would be smaller or elsewhere; wait for it",
                    transfer.transfer, link.link
                );
                return Err(Rejected::Conflict { why });
            }
        }
        Ok(())
    }

    /// Whether a center as it would be still has what live attempts hold of it.
    pub(crate) fn still_carries_all(&self, center: &Center) -> Result<(), Rejected> {
        for attempt in self.world.live(&center.center) {
            let live = self.world.live_attempt(attempt);
            let parts = live.into_iter().flat_map(|a| &a.placement.parts);
            let mut parts = parts.filter(|part| part.center == center.center);
            if parts.any(|part| !self.still_carries(center, part)) {
                let why = format!(
                    "{attempt} holds nodes that center {} would lose or change; wait for it \
                     or cancel it",
                    center.center
                );
                return Err(Rejected::Conflict { why });
            }
        }
        Ok(())
    }

    /// Whether a center as it would be still has what a live part holds of it.
    fn still_carries(&self, center: &Center, part: &model::PartPlacement) -> bool {
        let known = self.world.centers.get(&center.center);
        let known = known.and_then(|c| c.center.pool(&part.pool));
        let (Some(old), Some(new)) = (known, center.pool(&part.pool)) else { return false };
        old.chip == new.chip
            && new.chips_per_node >= old.chips_per_node
            && new.cores >= old.cores
            && new.memory >= old.memory
            && part.nodes.iter().all(|slots| slots.node < new.nodes)
    }

    /// Whether tenants, flavors and quotas make sense together with what is declared already.
    ///
    /// # Errors
    ///
    /// What does not, and what would.
    pub fn check_quotas(&self, new: &Declarations) -> Result<(), Rejected> {
        let invalid = |why: String| Rejected::Invalid { why };
        let mut tenants = self.world.tenants.clone();
        let declared = new.tenants.iter().map(|t| (t.tenant.clone(), Arc::new(t.clone())));
        tenants.extend(declared);
        let quotas = Quotas::new(tenants.values().map(Arc::as_ref));
        let quotas = quotas.map_err(|error| invalid(error.to_string()))?;
        let known = |flavor: &&FlavorId| {
            self.world.flavors.contains_key(*flavor)
                || new.flavors.iter().any(|f| f.flavor == **flavor)
        };
        if let Some(unknown) = quotas.flavors().find(|flavor| !known(flavor)) {
            let why = format!("there is no flavor `{unknown}` to have a quota of; declare it too");
            return Err(invalid(why));
        }
        self.check_flavors(new)
    }

    /// No pool is of two flavors.
    fn check_flavors(&self, new: &Declarations) -> Result<(), Rejected> {
        let mut flavors: BTreeMap<&FlavorId, &Flavor> =
            self.world.flavors.iter().map(|(id, flavor)| (id, flavor.as_ref())).collect();
        flavors.extend(new.flavors.iter().map(|flavor| (&flavor.flavor, flavor)));
        let declared = |id: &CenterId| new.centers.iter().any(|c| c.center == *id);
        let kept = self.world.centers.values().map(|state| state.center.as_ref());
        let kept = kept.filter(|center| !declared(&center.center));
        for center in new.centers.iter().chain(kept) {
            let region = center.site().map(|site| &site.region);
            for pool in &center.pools {
                let chip = pool.chip.as_ref().and_then(|id| {
                    let new = new.chips.iter().find(|chip| chip.chip == *id);
                    new.or_else(|| self.world.chips.get(id).map(Arc::as_ref))
                });
                let Some(chip) = chip else { continue };
                let mut of = flavors.values().filter(|f| f.has(chip, &center.center, region));
                if let (Some(one), Some(other)) = (of.next(), of.next()) {
                    let why = format!(
                        "pool {} of center {} would be of two flavors, `{}` and `{}`; leave its chip or \
                         its center out of one of them",
                        pool.pool, center.center, one.flavor, other.flavor
                    );
                    return Err(Rejected::Invalid { why });
                }
            }
        }
        Ok(())
    }
}
