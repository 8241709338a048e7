//! Lists that are copied often and changed here and there.

use arrayvec::ArrayVec;
use std::ops::Index;
use std::sync::Arc;

/// A list in runs of `N`. A copy shares them with the original, until one of the two changes
/// something: then it copies that run.
#[derive(Debug, Clone)]
pub(crate) struct Runs<T, const N: usize> {
    runs: Vec<Arc<ArrayVec<T, N>>>,
}

impl<T: Clone, const N: usize> Runs<T, N> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.runs.last().map_or(0, |last| (self.runs.len() - 1) * N + last.len())
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        self.runs.get(at / N)?.get(at % N)
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        Arc::make_mut(self.runs.get_mut(at / N)?).get_mut(at % N)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.runs.iter().flat_map(|run| run.iter())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.runs.iter_mut().flat_map(|run| Arc::make_mut(run).iter_mut())
    }
}

impl<T, const N: usize> Index<usize> for Runs<T, N> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.runs[at / N][at % N]
    }
}

impl<T, const N: usize> FromIterator<T> for Runs<T, N> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut all = all.into_iter().peekable();
        let mut runs = Vec::new();
        while all.peek().is_some() {
            runs.push(Arc::new(all.by_ref().take(N).collect()));
        }
        Self { runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_the_original_changes() {
        for count in [0, 1, 3, 4, 5, 8, 11] {
            let mut runs: Runs<usize, 4> = (0..count).collect();
            assert_eq!(runs.len(), count);
            assert!(runs.get(count).is_none() && runs.get_mut(count).is_none());
            let copy = runs.clone();
            if let Some(last) = count.checked_sub(1) {
                *runs.get_mut(last).unwrap() = 100;
                assert_eq!((copy[last], runs[last]), (last, 100));
            }
            runs.iter_mut().for_each(|each| *each += 1);
            assert!(copy.iter().copied().eq(0..count));
        }
    }
}
