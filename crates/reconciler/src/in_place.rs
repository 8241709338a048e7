//! Data that lies in external stores of the center. The server counts it as a copy; jobs read it once
//! it has been brought into the store.

use crate::{Action, InPlace, Reconciler};
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
        for (data, InPlace { bytes, files, .. }) in &old {
            // A copy counts on where it lies no more; what is not in the store either is missed above.
            if !self.in_place.contains_key(data) && self.data.contains(data) {
                let (data, bytes, files) = (data.clone(), *bytes, *files);
                self.outbox.push_back(Report::Put {
                    data,
                    bytes,
                    files,
                    lies: None,
                    also_own: false,
                });
            }
            self.doubt_for(data);
        }
    }

    /// A copy should be in an external store too.
    pub(crate) fn archive(
        &mut self,
        data: DatasetVersion,
        store: StoreId,
        actions: &mut Vec<Action>,
    ) {
        if self.in_place.get(&data).is_some_and(|known| known.lies.store == store) {
            self.tell_where(&data);
        } else if !self.data.contains(&data) {
            let why = "the center has no copy in its own store any more".to_owned();
            self.outbox.push_back(Report::NotArchived { data, store, why });
        } else if self.archiving.insert((data.clone(), store.clone())) {
            actions.push(Action::Archive { data, store });
        }
    }

    /// A copy was to be put into an external store.
    pub(crate) fn archived(
        &mut self,
        data: DatasetVersion,
        store: StoreId,
        end: Result<InPlace, String>,
    ) {
        self.archiving.remove(&(data.clone(), store.clone()));
        match end {
            Ok(in_place) => {
                self.in_place.insert(data.clone(), in_place);
                self.tell_where(&data);
            }
            Err(why) => self.outbox.push_back(Report::NotArchived { data, store, why }),
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

    /// Tells where all of it is.
    pub(crate) fn tell_in_place(&mut self) {
        let all: Vec<DatasetVersion> = self.in_place.keys().cloned().collect();
        all.iter().for_each(|data| self.tell_where(data));
    }

    /// Tells where data registered in place is now; nothing of other data.
    pub(crate) fn tell_where(&mut self, data: &DatasetVersion) {
        let Some(InPlace { lies, bytes, files }) = self.in_place.get(data).cloned() else { return };
        let (data, also_own) = (data.clone(), self.data.contains(data));
        self.outbox.push_back(Report::Put { data, bytes, files, lies: Some(lies), also_own });
    }

    /// Tells of all data there is, in the store and in others.
    pub(crate) fn tell_inventory(&mut self) {
        let elsewhere = self.in_place.keys().filter(|data| !self.data.contains(*data));
        let data = self.data.iter().chain(elsewhere).cloned().collect();
        let in_place = self.in_place.keys().cloned().collect();
        self.outbox.push_back(Report::Inventory { data, in_place });
    }
}
