//! Entries in no order, to sample from.

use std::sync::Arc;

use super::Sample;
use crate::entry::Entry;

/// Entries in no order: one is added, removed or picked at random in constant time, since each
/// knows its place.
#[derive(Debug)]
pub(super) struct Slots<K, V>(Vec<Arc<Entry<K, V>>>);

impl<K, V> Slots<K, V> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn push(&mut self, entry: &Arc<Entry<K, V>>) {
        entry.set_slot(self.0.len());
        self.0.push(Arc::clone(entry));
    }

    /// Removes an entry; gives whether it was there.
    pub(super) fn remove(&mut self, entry: &Arc<Entry<K, V>>) -> bool {
        if !self.holds(entry) {
            return false;
        }
        let place = entry.slot();
        self.0.swap_remove(place);
        if let Some(moved) = self.0.get(place) {
            moved.set_slot(place);
        }
        true
    }

    /// Whether an entry is there.
    pub(super) fn holds(&self, entry: &Arc<Entry<K, V>>) -> bool {
        self.0.get(entry.slot()).is_some_and(|held| Arc::ptr_eq(held, entry))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry<K, V>>> {
        self.0.iter()
    }

    /// Judges `count` entries picked at random, or all if there are no more, and gives the lowest.
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is a place in memory")]
    pub(super) fn sample(
        &self,
        count: usize,
        mut random: impl FnMut() -> u64,
        judge: impl Fn(&Arc<Entry<K, V>>) -> f64,
    ) -> Sample<K, V> {
        let judged = |entry: &Arc<Entry<K, V>>| (judge(entry), Arc::clone(entry));
        let lower = |a: &(f64, _), b: &(f64, _)| a.0.total_cmp(&b.0);
        let len = self.0.len();
        if len <= count {
            return Sample { seen: len, lowest: self.0.iter().map(judged).min_by(lower) };
        }
        let picked = (0..count).filter_map(|_| self.0.get(random() as usize % len));
        Sample { seen: count, lowest: picked.map(judged).min_by(lower) }
    }
}
