//! Standings as they are written down.

use super::account::Account;
use super::decay::Decay;
use super::{Seat, Shape, Standings};
use crate::Error;
use crate::sheet::Sheet;
use crate::tree::Tree;
use model::{Moment, Span, TenantId};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// All there is to know of standings, tenant by tenant.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    half_life: Span,
    latest: Moment,
    seats: Vec<KeptSeat>,
}

#[derive(Serialize, Deserialize)]
struct KeptSeat {
    tenant: TenantId,
    parent: Option<TenantId>,
    weight: u32,
    own: Account,
    all: Account,
}

impl From<Standings> for Kept {
    fn from(standings: Standings) -> Self {
        let Standings { shape, decay, seats, latest } = standings;
        let tree = &shape.tree;
        let keep = |(number, tenant): (usize, &TenantId)| {
            let Seat { own, all } = seats.get(number).as_ref().clone();
            let parent = tree.parent(number).map(|parent| tree.id(parent).clone());
            KeptSeat { tenant: tenant.clone(), parent, weight: shape.weights[number], own, all }
        };
        let seats = tree.ids().iter().enumerate().map(keep).collect();
        Self { half_life: decay.half_life(), latest, seats }
    }
}

impl TryFrom<Kept> for Standings {
    type Error = Error;

    fn try_from(kept: Kept) -> Result<Self, Error> {
        let decay = Decay::new(kept.half_life).ok_or(Error::HalfLife)?;
        let tree = Tree::new(kept.seats.iter().map(|s| (&s.tenant, s.parent.as_ref())))?;
        let (mut seats, mut weights) = (Sheet::new(tree.len()), vec![0; tree.len()]);
        for KeptSeat { tenant, weight, own, all, .. } in kept.seats {
            let number = tree.number(&tenant).expect("all given are in the tree");
            weights[number] = weight;
            *seats.get_mut(number) = Arc::new(Seat { own, all });
        }
        let shape = Arc::new(Shape { tree, weights });
        Ok(Self { shape, decay, seats, latest: kept.latest })
    }
}
