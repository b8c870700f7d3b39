//! Keys whose source may still answer with what was there before they were invalidated.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;

use crate::clock::Moment;

/// What is known of a source that lags behind for a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Lagging {
    pub(crate) until: Moment,
    /// What is of this version or a later one is not behind.
    pub(crate) min_version: Option<u64>,
}

/// The keys of a shard whose source lags behind.
#[derive(Debug)]
pub(super) struct Lags<K>(HashMap<K, Lagging, FixedState>);

/// More are not remembered in a shard: those that end soonest go, and are counted.
const LAGS_MAX: usize = 1_024;

impl<K: Clone + Eq + Hash> Lags<K> {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self(HashMap::with_hasher(hasher))
    }

    /// Notes that the source lags behind for a key. What is known already stays, as far as it says
    /// more. Gives whether another key had to be forgotten.
    pub(super) fn note(&mut self, key: &K, lagging: Lagging, now: Moment) -> bool {
        let known = self.0.get(key).filter(|known| now < known.until);
        let lagging = known.map_or(lagging, |known| Lagging {
            until: known.until.max(lagging.until),
            min_version: known.min_version.max(lagging.min_version),
        });
        let is_full = self.0.len() >= LAGS_MAX && !self.0.contains_key(key);
        let forgets = is_full && self.make_room(now);
        self.0.insert(key.clone(), lagging);
        forgets
    }

    fn make_room(&mut self, now: Moment) -> bool {
        self.0.retain(|_, lagging| now < lagging.until);
        if self.0.len() < LAGS_MAX {
            return false;
        }
        let soonest = self.0.iter().min_by_key(|(_, lagging)| lagging.until);
        if let Some(key) = soonest.map(|(key, _)| key.clone()) {
            self.0.remove(&key);
        }
        true
    }

    pub(super) fn of(&self, key: &K, now: Moment) -> Option<Lagging> {
        self.0.get(key).copied().filter(|lagging| now < lagging.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(micros: u64, min_version: Option<u64>) -> Lagging {
        Lagging { until: Moment::from_micros(micros), min_version }
    }

    #[test]
    fn a_key_lags_until_its_time_is_over() {
        let mut lags = Lags::new(FixedState::default());
        let at = Moment::from_micros;
        assert!(!lags.note(&1, until(10, Some(5)), at(0)));
        assert!(!lags.note(&1, until(7, Some(6)), at(1)));
        assert_eq!(lags.of(&1, at(9)), Some(until(10, Some(6))));
        assert_eq!((lags.of(&1, at(10)), lags.of(&2, at(0))), (None, None));
        lags.note(&1, until(20, None), at(10));
        assert_eq!(lags.of(&1, at(11)), Some(until(20, None)));
    }

    #[test]
    fn a_full_table_forgets_what_ends_soonest() {
        let mut lags = Lags::new(FixedState::default());
        for key in 0..LAGS_MAX as u64 {
            assert!(!lags.note(&key, until(100 + key, None), Moment::START));
        }
        assert!(lags.note(&u64::MAX, until(5_000, None), Moment::START));
        assert_eq!(lags.of(&0, Moment::START), None);
        assert!(lags.of(&1, Moment::START).is_some());
    }
}
