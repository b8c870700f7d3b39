//! Predictions that are not acted on, and only watched.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::FixedState;

use crate::clock::Moment;
use crate::entry::{Cell, KeyId};

/// Predictions that are watched until they come true, or their time has passed.
///
/// They cost no load, and teach as much as those that are acted on. Bounded: when there are too
/// many, a new one is not watched; to give up an old one instead would favour those that come true
/// soon.
#[derive(Debug)]
pub(crate) struct Ghosts {
    watched: HashMap<KeyId, Ghost, FixedState>,
    ends: BTreeMap<(Moment, u64), KeyId>,
    begun: u64,
    max: usize,
}

/// A prediction that is watched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ghost {
    pub(crate) cell: Cell,
    pub(crate) probability: f64,
    /// Whether it was likely enough to act on.
    pub(crate) is_scored: bool,
    end: Moment,
    number: u64,
}

impl Ghosts {
    pub(crate) fn new(max: usize, seed: u64) -> Self {
        let watched = HashMap::with_hasher(FixedState::with_seed(seed));
        Self { watched, ends: BTreeMap::new(), begun: 0, max }
    }

    /// Watches a prediction until `end`, unless its key is watched already.
    pub(crate) fn watch(&mut self, name: KeyId, cell: Cell, score: (f64, bool), end: Moment) {
        if self.watches(name) {
            return;
        }
        self.begun += 1;
        let ((probability, is_scored), number) = (score, self.begun);
        self.watched.insert(name, Ghost { cell, probability, is_scored, end, number });
        self.ends.insert((end, number), name);
    }

    /// Whether a key cannot be watched: it is already, or there are too many.
    pub(crate) fn watches(&self, name: KeyId) -> bool {
        self.watched.len() >= self.max || self.watched.contains_key(&name)
    }

    /// Takes the prediction that comes true with a read of this key, if there is one.
    pub(crate) fn take(&mut self, name: KeyId) -> Option<Ghost> {
        let ghost = self.watched.remove(&name)?;
        self.ends.remove(&(ghost.end, ghost.number));
        Some(ghost)
    }

    /// Takes one of those whose time has passed, and the resource of its key.
    pub(crate) fn take_ended(&mut self, now: Moment) -> Option<(u16, Ghost)> {
        let first = self.ends.first_entry().filter(|first| first.key().0 <= now)?;
        let name = first.remove();
        self.watched.remove(&name).map(|ghost| (name.resource, ghost))
    }

    pub(crate) fn clear(&mut self) {
        self.watched.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(hash: u64) -> KeyId {
        KeyId { resource: 3, hash }
    }

    #[test]
    fn a_prediction_comes_true_or_ends() {
        let mut ghosts = Ghosts::new(10, 0);
        for hash in 1..=3 {
            ghosts.watch(name(hash), Cell(5), (0.25, false), Moment::from_micros(10 * hash));
        }
        assert_eq!(ghosts.take(name(2)).map(|ghost| ghost.cell), Some(Cell(5)));
        assert!(ghosts.take(name(2)).is_none());
        assert!(ghosts.take_ended(Moment::from_micros(9)).is_none());
        assert_eq!(ghosts.take_ended(Moment::from_micros(30)).map(|ended| ended.0), Some(3));
        assert!(ghosts.take_ended(Moment::from_micros(30)).is_some());
        assert!(ghosts.take_ended(Moment::NEVER).is_none());
    }

    #[test]
    fn a_key_is_watched_once_and_no_more_keys_than_fit() {
        let mut ghosts = Ghosts::new(2, 0);
        for hash in [1, 1, 2, 3] {
            ghosts.watch(name(hash), Cell(0), (0.5, true), Moment::from_micros(hash));
        }
        assert!(ghosts.watches(name(9)));
        assert!(ghosts.take(name(3)).is_none());
        assert!(ghosts.take(name(1)).is_some());
        assert!(!ghosts.watches(name(9)));
    }
}
