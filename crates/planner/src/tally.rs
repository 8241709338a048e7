//! How many starts each tenant has reserved.

use model::TenantId;
use std::collections::BTreeMap;

/// How many reservations each tenant has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally(BTreeMap<TenantId, usize>);

impl Tally {
    pub(crate) fn of(&self, tenant: &TenantId) -> usize {
        self.0.get(tenant).copied().unwrap_or(0)
    }

    pub(crate) fn add(&mut self, tenant: &TenantId) {
        *self.0.entry(tenant.clone()).or_default() += 1;
    }

    pub(crate) fn take(&mut self, tenant: &TenantId) {
        if let Some(count) = self.0.get_mut(tenant) {
            *count = count.saturating_sub(1);
        }
    }
}
