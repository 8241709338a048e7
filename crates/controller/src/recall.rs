//! Owners that take back what they lent.

use crate::{Answer, Controller, Rejected};
use model::fact::{AttemptPreempted, CapacityRecalled, Fact};
use model::{CenterId, Chips, Moment, PoolId, Principal, Role};
use planner::Recall;

impl Controller {
    /// Takes back chips of a center's pools from guests, by a moment and until another: who may be
    /// stopped is told now, and no other comes in their place. Nothing is done where not all can be back
    /// in time.
    pub(crate) fn recall(
        &mut self,
        by: &Principal,
        center: &CenterId,
        wanted: &[(PoolId, Chips)],
        (in_time, until): (Moment, Moment),
    ) -> Result<Answer, Rejected> {
        if by.role != Role::Operator && by.role != Role::Center(center.clone()) {
            let why = format!("only the owner of {center} or an operator takes back what it lent");
            return Err(Rejected::Forbidden { why });
        }
        let (view, situation) = (self.board.view(), self.situation());
        let mut leave = Vec::new();
        for (pool, chips) in wanted {
            let wanted = Recall { center, pool, chips: *chips, by: in_time, until };
            let told = planner::recall(&self.world, view, &situation, &wanted);
            let told = told.map_err(|not| Rejected::Conflict { why: format!("{pool}: {not}") })?;
            leave.extend(told);
        }
        for (pool, chips) in wanted {
            let (center, pool) = (center.clone(), pool.clone());
            let (chips, in_time, by) = (*chips, Some(in_time), by.token);
            let recalled = CapacityRecalled { center, pool, chips, in_time, until, by };
            self.emit(Fact::CapacityRecalled(recalled));
        }
        for (attempt, until) in &leave {
            let (attempt, until) = (*attempt, *until);
            self.emit(Fact::AttemptPreempted(AttemptPreempted { attempt, by: None, until }));
        }
        Ok(Answer::Recalled { leave })
    }

    /// Lends again what was taken back for a time that is over.
    pub(crate) fn end_recalls(&mut self) {
        let pools = self.world.recalls.iter().flat_map(|(center, pools)| {
            pools.iter().map(move |(pool, recalled)| (center, pool, recalled.until))
        });
        let over: Vec<(CenterId, PoolId)> = pools
            .filter(|(.., until)| *until <= self.now)
            .map(|(center, pool, _)| (center.clone(), pool.clone()))
            .collect();
        for (center, pool) in over {
            let (chips, until, by) = (Chips::ZERO, self.now, model::TokenId::new(0));
            let over = CapacityRecalled { center, pool, chips, in_time: None, until, by };
            self.emit(Fact::CapacityRecalled(over));
        }
    }
}
