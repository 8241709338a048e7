//! Data that lies in external stores of the center. The server counts it as a copy; jobs read it once
//! it has been brought into the store.

use crate::{InPlace, Reconciler};
use model::{DatasetVersion, StoreId};
use std::collections::BTreeMap;
use wire::Report;

impl Reconciler {
    /// Takes in all there is.
    pub(crate) fn lies(&mut self, all: BTreeMap<DatasetVersion, InPlace>) {
        let old = std::mem::replace(&mut self.in_place, all);
        let is_new = |(data, now): &(&DatasetVersion, &InPlace)| old.get(data) != Some(now);
        let new: Vec<DatasetVersion> =
            self.in_place.iter().filter(is_new).map(|(data, _)| data.clone()).collect();
        for data in &new {
            self.tell_where(data);
            self.doubt_for(data);
        }
        let is_gone = |data: &&DatasetVersion| {
            !self.in_place.contains_key(data)
                && !self.data.contains(data)
                && !self.removing.contains(data)
        };
        // What was not told yet is told at the next join.
        if self.told_data && old.keys().any(|data| is_gone(&data)) {
            self.tell_inventory();
        }
        for data in old.keys() {
            self.doubt_for(data);
        }
    }

    /// Data that was to be brought is in the store, or could not be had.
    pub(crate) fn brought(&mut self, data: &DatasetVersion, end: Result<(), String>) {
        self.bringing.remove(data);
        match end {
            Ok(()) => {
                self.has(data);
                self.tell_where(data);
            }
            Err(why) => self.refuse_without(data, &why),
        }
    }

    /// In which external store data lies that is not in the store itself.
    pub(crate) fn lies_in(&self, data: &DatasetVersion) -> Option<StoreId> {
        let in_place = self.in_place.get(data).filter(|_| !self.data.contains(data));
        in_place.map(|in_place| in_place.store.clone())
    }

    /// Tells where all of it is.
    pub(crate) fn tell_in_place(&mut self) {
        let all: Vec<DatasetVersion> = self.in_place.keys().cloned().collect();
        all.iter().for_each(|data| self.tell_where(data));
    }

    /// Tells where data registered in place is now; nothing of other data.
    pub(crate) fn tell_where(&mut self, data: &DatasetVersion) {
        let Some(InPlace { bytes, files, .. }) = self.in_place.get(data).cloned() else { return };
        let in_store = self.lies_in(data);
        self.outbox.push_back(Report::Put { data: data.clone(), bytes, files, in_store });
    }

    /// Tells of all data there is, in the store and in others.
    pub(crate) fn tell_inventory(&mut self) {
        let elsewhere = self.in_place.keys().filter(|data| !self.data.contains(*data));
        let data = self.data.iter().chain(elsewhere).cloned().collect();
        self.outbox.push_back(Report::Inventory { data });
    }
}
