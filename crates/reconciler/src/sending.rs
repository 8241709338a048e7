//! Copies that their source moves: sent by this center, or to it.

use crate::{Action, Fetched, Reconciler};
use model::{DatasetVersion, TransferId};
use std::collections::BTreeSet;
use wire::{Order, Report, Send};

impl Reconciler {
    /// A copy should go into another center's store. Said again where that opens now, it is sent there.
    pub(crate) fn send(&mut self, send: Box<Send>, actions: &mut Vec<Action>) {
        let transfer = send.transfer;
        if !self.data.contains(&send.data) && !self.in_place.contains_key(&send.data) {
            let why = format!("{} is not in the store any more", send.data);
            self.outbox.push_back(Report::TransferFailed { transfer, why, damaged: false });
            return;
        }
        match self.sending.insert(transfer, send.clone()) {
            Some(known) if known.url == send.url => {}
            Some(_) => actions.extend([Action::Abandon { transfer }, Action::Send(send)]),
            None => actions.push(Action::Send(send)),
        }
    }

    /// Gives up what both ends have to know of and is not among all orders there are.
    pub(crate) fn keep_only_ordered(&mut self, orders: &[Order], actions: &mut Vec<Action>) {
        let transfer = |order: &Order| match order {
            Order::Stage(stage) => Some(stage.transfer),
            Order::Send(send) => Some(send.transfer),
            _ => None,
        };
        let named: BTreeSet<TransferId> = orders.iter().filter_map(transfer).collect();
        let dropped = |id: &TransferId| !named.contains(id);
        let over = self.sending.extract_if(.., |id, _| dropped(id));
        actions.extend(over.map(|(transfer, _)| Action::Abandon { transfer }));
        let over = self.fetching.extract_if(.., |id, stage| stage.sent && dropped(id));
        let data: Vec<DatasetVersion> = over.map(|(_, stage)| stage.data.clone()).collect();
        data.iter().for_each(|data| self.doubt_for(data));
    }

    /// Whether data is on its way here and its source sends it.
    pub(crate) fn expects(&self, data: &DatasetVersion) -> bool {
        self.fetching.values().any(|stage| stage.sent && stage.data == *data)
    }

    /// What was expected is here.
    pub(crate) fn was_sent(&mut self, data: &DatasetVersion, sent: Fetched) {
        let is_it = |_: &_, stage: &mut Box<wire::Stage>| stage.sent && stage.data == *data;
        let came: Vec<_> = self.fetching.extract_if(.., is_it).collect();
        self.has(data);
        for (transfer, _) in came {
            let Fetched { moved, corrupted } = sent;
            self.outbox.push_back(Report::Arrived { transfer, moved, corrupted });
        }
    }
}
