//! A center as its owner declared it and as it has shown itself to be.

use crate::World;
use model::fact::{AgentJoined, CenterChecked, Fact, PoolMeasured, PoolShown};
use model::{Admission, Center, CenterId, Pool, PoolId, Readiness};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A center, what it showed, and who speaks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CenterState {
    /// As it is planned with: as its owner declared it, but no more than it has shown, and with the
    /// speeds that were verified.
    pub center: Arc<Center>,
    /// As its owner declared it, where that is otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    declared: Option<Arc<Center>>,
    /// As its agent introduced itself, if one ever did.
    pub agent: Option<Arc<AgentJoined>>,
    /// How many nodes of its pools take work, where its agent counts them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub up: BTreeMap<PoolId, u32>,
    /// What the last check of its engine showed, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Arc<CenterChecked>>,
    /// What was last measured of its pools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<PoolId, Arc<PoolMeasured>>,
}

/// Why a center is given no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReady {
    /// Requirements it has met, of how many; none where it has shown no check.
    pub shows: Option<(u32, u32)>,
    /// What is asked of it.
    pub asks: Readiness,
}

impl CenterState {
    /// A center that has shown nothing.
    fn new(declared: &Arc<Center>) -> Self {
        Self {
            center: Arc::clone(declared),
            declared: None,
            agent: None,
            up: BTreeMap::new(),
            checked: None,
            measured: BTreeMap::new(),
        }
    }

    /// As its owner declared it.
    #[must_use]
    pub fn declared(&self) -> &Arc<Center> {
        self.declared.as_ref().unwrap_or(&self.center)
    }

    /// Its owner declares it anew; what was shown before holds.
    fn declare(&mut self, declared: &Arc<Center>) {
        self.declared = Some(Arc::clone(declared));
        self.settle();
    }

    /// It shows what its engine does and how much there is; what it showed before counts no more.
    fn check(&mut self, checked: &Arc<CenterChecked>) {
        self.checked = Some(Arc::clone(checked));
        self.settle();
    }

    /// A pool shows how fast it is; what it showed before counts no more.
    fn measure(&mut self, measured: &Arc<PoolMeasured>) {
        self.measured.insert(measured.pool.clone(), Arc::clone(measured));
        self.settle();
    }

    /// Works out anew what it is planned with.
    fn settle(&mut self) {
        let declared = Arc::clone(self.declared());
        let shown = self.as_shown(&declared, self.checked.as_deref());
        (self.center, self.declared) = match shown == *declared {
            true => (declared, None),
            false => (Arc::new(shown), Some(declared)),
        };
    }

    /// As it would be planned with if it were declared like this and its last check were that one.
    #[must_use]
    pub fn as_shown(&self, declared: &Center, checked: Option<&CenterChecked>) -> Center {
        let mut center = declared.clone();
        for pool in &mut center.pools {
            let mut shown = checked.into_iter().flat_map(|checked| &checked.pools);
            if let Some(shown) = shown.find(|shown| shown.pool == pool.pool) {
                bound(pool, shown);
            }
            let measured = self.measured.get(&pool.pool);
            let measured = measured.filter(|measured| measured.chip == pool.chip);
            if let Some(measured) = measured {
                pool.capability.verified = measured.verified;
            }
        }
        center
    }

    /// Nobody speaks for it any more, and nobody counts its nodes.
    fn lose_agent(&mut self) {
        self.agent = None;
        self.up.clear();
    }

    /// How many nodes of a pool take no work, by what its agent last counted.
    #[must_use]
    pub fn closed(&self, pool: &Pool) -> u32 {
        self.up.get(&pool.pool).map_or(0, |up| pool.nodes.saturating_sub(*up))
    }

    /// Whether others can reach its store: its agent said where, or its owner declared it.
    #[must_use]
    pub fn has_door(&self) -> bool {
        self.agent
            .as_ref()
            .is_some_and(|agent| agent.data_url.is_some() || self.center.data_url.is_some())
    }

    /// What keeps a network that asks this from giving it work.
    #[must_use]
    pub fn unready(&self, admission: Option<&Admission>) -> Option<NotReady> {
        let asks = admission?.readiness;
        let shows = self.checked.as_ref().map(|checked| (checked.met, checked.asked));
        (!asks.is_met(shows)).then_some(NotReady { shows, asks })
    }
}

impl World {
    /// Takes in a fact about a center alone.
    pub(crate) fn about_center(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::CenterDeclared(f) => {
                let known = self.centers.entry(f.center.clone());
                known.or_insert_with(|| CenterState::new(f)).declare(f);
            }
            Fact::AgentJoined(f) => self.center_mut(&f.center)?.agent = Some(Arc::clone(f)),
            Fact::CenterLost(f) => self.center_mut(&f.center)?.lose_agent(),
            Fact::NodesCounted(f) => {
                _ = self.center_mut(&f.center)?.up.insert(f.pool.clone(), f.up);
            }
            Fact::CenterChecked(f) => self.center_mut(&f.center)?.check(f),
            Fact::PoolMeasured(f) => self.center_mut(&f.center)?.measure(f),
            _ => {}
        }
        Ok(())
    }

    fn center_mut(&mut self, center: &CenterId) -> Result<&mut CenterState, String> {
        self.centers.get_mut(center).ok_or_else(|| "no such center".to_owned())
    }

    /// What keeps a center from being given work, if it has not shown what the network asks of it.
    #[must_use]
    pub fn unready(&self, center: &CenterId) -> Option<NotReady> {
        self.centers.get(center)?.unready(self.admission.as_ref())
    }
}

/// No more than was shown.
fn bound(pool: &mut Pool, shown: &PoolShown) {
    pool.nodes = shown.nodes.map_or(pool.nodes, |nodes| nodes.min(pool.nodes));
    match shown.chips_per_node.filter(|_| pool.chip.is_some()) {
        // Nodes without its chips are none of this pool.
        Some(0) => pool.nodes = 0,
        Some(chips) => pool.chips_per_node = chips.min(pool.chips_per_node),
        None => {}
    }
    pool.cores = shown.cores.map_or(pool.cores, |cores| cores.min(pool.cores));
    pool.memory = shown.memory.map_or(pool.memory, |memory| memory.min(pool.memory));
}
