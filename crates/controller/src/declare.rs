//! What is declared: centers, links, flavors and tenants, checked against what rests on them.

use crate::{Answer, Controller, Declarations, Rejected};
use model::fact::Fact;
use model::{CenterId, Flavor, FlavorId};
use sharing::Quotas;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Controller {
    pub(crate) fn declare(&mut self, new: Declarations) -> Result<Answer, Rejected> {
        self.check_shrinking(&new)?;
        self.check_quotas(&new)?;
        let mut facts = Vec::new();
        let world = &self.world;
        for chip in new.chips {
            let known = world.chips.get(&chip.chip);
            if known.is_none_or(|k| **k != chip) {
                facts.push(Fact::ChipDeclared(Arc::new(chip)));
            }
        }
        for center in new.centers {
            let known = world.centers.get(&center.center);
            if known.is_none_or(|k| *k.center != center) {
                facts.push(Fact::CenterDeclared(Arc::new(center)));
            }
        }
        for exchange in new.exchanges {
            let known = world.exchanges.get(&exchange.exchange);
            if known.is_none_or(|k| **k != exchange) {
                facts.push(Fact::ExchangeDeclared(Arc::new(exchange)));
            }
        }
        for link in new.links {
            let known = world.links.get(&link.link);
            if known.is_none_or(|k| **k != link) {
                facts.push(Fact::LinkDeclared(Arc::new(link)));
            }
        }
        for flavor in new.flavors {
            let known = world.flavors.get(&flavor.flavor);
            if known.is_none_or(|k| **k != flavor) {
                facts.push(Fact::FlavorDeclared(Arc::new(flavor)));
            }
        }
        for tenant in new.tenants {
            let known = world.tenants.get(&tenant.tenant);
            if known.is_none_or(|k| **k != tenant) {
                facts.push(Fact::TenantDeclared(Arc::new(tenant)));
            }
        }
        let changed = facts.len();
        facts.into_iter().for_each(|fact| self.emit(fact));
        for center in self.world.centers.keys() {
            let now = self.now;
            let session = crate::Session { number: 0, heard: now };
            self.sessions.entry(center.clone()).or_insert(session);
        }
        Ok(Answer::Applied { changed })
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

    /// Whether a center as newly declared still has what a live part holds of it.
    fn still_carries(&self, center: &model::Center, part: &model::PartPlacement) -> bool {
        let known = self.world.centers.get(&center.center);
        let known = known.and_then(|c| c.center.pool(&part.pool));
        let (Some(old), Some(new)) = (known, center.pool(&part.pool)) else { return false };
        old.chip == new.chip
            && old.chips_per_node == new.chips_per_node
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
