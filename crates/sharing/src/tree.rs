//! Tenants numbered densely, parents before their children.

use crate::Error;
use model::TenantId;
use std::collections::BTreeMap;

/// A tenant's number in a tree.
pub(crate) type Number = usize;

/// The tree of tenants; more exactly a forest, for a tenant need not have a parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    ids: Vec<TenantId>,
    numbers: BTreeMap<TenantId, Number>,
    parents: Vec<Option<Number>>,
    children: Vec<Vec<Number>>,
}

impl Tree {
    /// Numbers tenants by their parents; the order they are given in does not matter.
    pub(crate) fn new<'a>(
        tenants: impl IntoIterator<Item = (&'a TenantId, Option<&'a TenantId>)>,
    ) -> Result<Self, Error> {
        let mut parent_of = BTreeMap::new();
        for (tenant, parent) in tenants {
            if parent_of.insert(tenant, parent).is_some() {
                return Err(Error::Twice { tenant: tenant.clone() });
            }
        }
        let mut below: BTreeMap<Option<&TenantId>, Vec<&TenantId>> = BTreeMap::new();
        for (tenant, parent) in &parent_of {
            if let Some(parent) = parent
                && !parent_of.contains_key(parent)
            {
                let (tenant, parent) = ((*tenant).clone(), (*parent).clone());
                return Err(Error::UnknownParent { tenant, parent });
            }
            below.entry(*parent).or_default().push(tenant);
        }
        let mut ids = below.remove(&None).unwrap_or_default();
        let mut parents = vec![None; ids.len()];
        let mut children = Vec::new();
        while children.len() < ids.len() {
            let parent = children.len();
            let born = below.remove(&Some(ids[parent])).unwrap_or_default();
            children.push((ids.len()..ids.len() + born.len()).collect());
            parents.extend(born.iter().map(|_| Some(parent)));
            ids.extend(born);
        }
        let ids: Vec<TenantId> = ids.into_iter().cloned().collect();
        let numbers: BTreeMap<_, _> =
            ids.iter().enumerate().map(|(at, id)| (id.clone(), at)).collect();
        match parent_of.keys().find(|tenant| !numbers.contains_key(**tenant)) {
            Some(lost) => Err(Error::Cycle { tenants: cycle(&parent_of, lost) }),
            None => Ok(Self { ids, numbers, parents, children }),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn number(&self, tenant: &TenantId) -> Option<Number> {
        self.numbers.get(tenant).copied()
    }

    pub(crate) fn id(&self, at: Number) -> &TenantId {
        &self.ids[at]
    }

    pub(crate) fn ids(&self) -> &[TenantId] {
        &self.ids
    }

    pub(crate) fn parent(&self, at: Number) -> Option<Number> {
        self.parents[at]
    }

    /// In the order of their names.
    pub(crate) fn children(&self, at: Number) -> &[Number] {
        &self.children[at]
    }

    /// The tenant, its parent, and so on up to the root.
    pub(crate) fn path(&self, at: Number) -> impl Iterator<Item = Number> {
        std::iter::successors(Some(at), |at| self.parents[*at])
    }
}

/// The tenants of the cycle above one that is below no root.
fn cycle(parent_of: &BTreeMap<&TenantId, Option<&TenantId>>, lost: &TenantId) -> Vec<TenantId> {
    let mut seen: Vec<&TenantId> = Vec::new();
    let mut at = lost;
    loop {
        if let Some(first) = seen.iter().position(|tenant| *tenant == at) {
            return seen[first..].iter().copied().cloned().collect();
        }
        seen.push(at);
        at = parent_of[at].expect("who is below no root has a parent");
    }
}
