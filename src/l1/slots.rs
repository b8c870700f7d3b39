//! Entries in no order, to sample from.

use std::iter::repeat;
use std::ops::Range;
use std::sync::Arc;

use fastrand::Rng;

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

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Entry<K, V>>> {
        self.0.iter()
    }

    /// Those at these places, as far as there are any.
    pub(super) fn iter_in(&self, places: Range<usize>) -> impl Iterator<Item = &Arc<Entry<K, V>>> {
        let end = places.end.min(self.0.len());
        self.0.get(places.start.min(end)..end).unwrap_or_default().iter()
    }

    /// Judges `count` entries picked at random from these and `more`, or all if there are no more,
    /// and gives the lowest of those that the judge does not let off. It is told which are of
    /// `more`.
    pub(super) fn sample(
        &self,
        more: &Self,
        count: usize,
        random: &mut Rng,
        judge: impl Fn(&Arc<Entry<K, V>>, bool) -> Option<f64>,
    ) -> Sample<K, V> {
        let len = self.0.len() + more.0.len();
        if len <= count {
            let (these, more) = (self.iter().zip(repeat(false)), more.iter().zip(repeat(true)));
            return Sample { seen: len, lowest: lowest(these.chain(more), judge) };
        }
        let nth = |nth: usize| match nth.checked_sub(self.0.len()) {
            None => self.0.get(nth).zip(Some(false)),
            Some(nth) => more.0.get(nth).zip(Some(true)),
        };
        let picked = (0..count).filter_map(|_| nth(random.usize(..len)));
        Sample { seen: count, lowest: lowest(picked, judge) }
    }
}

/// The entry that is judged lowest. Only that one is cloned: to clone an entry is to write to it.
fn lowest<'a, K: 'a, V: 'a>(
    entries: impl Iterator<Item = (&'a Arc<Entry<K, V>>, bool)>,
    judge: impl Fn(&Arc<Entry<K, V>>, bool) -> Option<f64>,
) -> Option<(f64, Arc<Entry<K, V>>)> {
    let judged = entries.filter_map(|(entry, is_more)| Some((judge(entry, is_more)?, entry)));
    let lowest = judged.reduce(|lowest, it| if it.0 < lowest.0 { it } else { lowest });
    lowest.map(|(worth, entry)| (worth, Arc::clone(entry)))
}
