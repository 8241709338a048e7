//! A map from numbers handed out in order to values, cheap to copy while it goes on changing.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many numbers share a shelf.
const SHELF: u64 = 256;

/// Values by number, in order. A copy shares every shelf with the original; whichever of the two
/// changes a shelf first copies that shelf alone. So a background reader can hold a whole world
/// that the loop goes on changing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Serialize", deserialize = "T: Deserialize<'de>"))]
pub struct Shelves<T> {
    shelves: BTreeMap<u64, Arc<BTreeMap<u64, Arc<T>>>>,
    len: usize,
}

impl<T> Default for Shelves<T> {
    fn default() -> Self {
        Self { shelves: BTreeMap::new(), len: 0 }
    }
}

impl<T> Shelves<T> {
    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of this number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Arc<T>> {
        self.shelves.get(&(number / SHELF))?.get(&number)
    }

    /// Puts a value in its place; returns whether the place was free.
    pub fn put(&mut self, number: u64, value: T) -> bool {
        let shelf = self.shelves.entry(number / SHELF).or_default();
        let new = Arc::make_mut(shelf).insert(number, Arc::new(value)).is_none();
        self.len += usize::from(new);
        new
    }

    /// Takes a value out.
    pub fn take(&mut self, number: u64) -> Option<Arc<T>> {
        let shelf = self.shelves.get_mut(&(number / SHELF))?;
        let value = Arc::make_mut(shelf).remove(&number)?;
        if shelf.is_empty() {
            self.shelves.remove(&(number / SHELF));
        }
        self.len -= 1;
        Some(value)
    }

    /// All values in the order of their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<T>> {
        self.shelves.values().flat_map(|shelf| shelf.values())
    }

    /// The values whose number is below `number`, highest first.
    pub fn before(&self, number: u64) -> impl Iterator<Item = &Arc<T>> {
        self.shelves
            .range(..=number / SHELF)
            .rev()
            .flat_map(move |(_, shelf)| shelf.range(..number).rev().map(|(_, value)| value))
    }
}

impl<T: Clone> Shelves<T> {
    /// The value of this number, to be changed.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let shelf = self.shelves.get_mut(&(number / SHELF))?;
        if !shelf.contains_key(&number) {
            return None;
        }
        Arc::make_mut(shelf).get_mut(&number).map(Arc::make_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_does_not_see_what_the_original_does_later() {
        let mut shelves = Shelves::default();
        for number in 1..=600 {
            assert!(shelves.put(number, number * 10));
        }
        let copy = shelves.clone();
        *shelves.get_mut(300).unwrap() = 0;
        assert_eq!(shelves.take(600).as_deref(), Some(&6_000));
        assert_eq!((copy.get(300).map(|v| **v), copy.len()), (Some(3_000), 600));
        assert_eq!((shelves.get(300).map(|v| **v), shelves.len()), (Some(0), 599));
        let last: Vec<_> = copy.before(300).take(2).map(|v| **v).collect();
        assert_eq!(last, [2_990, 2_980]);
        assert_eq!(copy.before(u64::MAX).count(), 600);
    }
}
