//! A column of cells whose copy costs nothing until one of the two is written to.

use std::sync::Arc;

/// Cells that are copied together. A write after a clone copies one block and the list of blocks.
const BLOCK: usize = 32;

/// A column of cells, numbered from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sheet<T> {
    blocks: Arc<Vec<Arc<Vec<T>>>>,
}

impl<T: Clone + Default> Sheet<T> {
    /// So many empty cells. They share one block until they are written to.
    pub(crate) fn new(cells: usize) -> Self {
        let empty = Arc::new(vec![T::default(); BLOCK]);
        Self { blocks: Arc::new(vec![empty; cells.div_ceil(BLOCK)]) }
    }

    pub(crate) fn get(&self, cell: usize) -> &T {
        &self.blocks[cell / BLOCK][cell % BLOCK]
    }

    pub(crate) fn get_mut(&mut self, cell: usize) -> &mut T {
        let block = &mut Arc::make_mut(&mut self.blocks)[cell / BLOCK];
        &mut Arc::make_mut(block)[cell % BLOCK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_a_copy_is_not_seen_in_the_original() {
        let mut sheet = Sheet::<u32>::new(100);
        *sheet.get_mut(99) = 1;
        let mut copy = sheet.clone();
        *copy.get_mut(99) += 1;
        *copy.get_mut(31) = 7;
        assert_eq!((*sheet.get(99), *copy.get(99)), (1, 2));
        assert_eq!((*sheet.get(31), *copy.get(31), *copy.get(32)), (0, 7, 0));
    }
}
