//! Round boundaries.

use super::Walk;
use crate::entitlement::Entitlements;
use crate::preempt::right::Rights;
use std::sync::Arc;

impl Walk<'_> {
    /// Works out what tenants are entitled to, if a round is over.
    pub(super) fn begin_round(&mut self) {
        let (world, policy, now) = (self.world, self.policy, self.situation.now);
        if let Some(entitlements) = Entitlements::renewed(world, &self.view, policy, now) {
            self.rights = Some(Rights::of(&entitlements));
            self.view.entitlements = Arc::clone(&entitlements);
            self.plan.entitlements = Some(entitlements);
        }
    }
}
