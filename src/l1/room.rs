//! What one shard of the memory tier has of the hot segment.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use super::hot::Hot;
use super::search::{Overflow, Sample, Search};
use super::slots::Slots;
use super::wheel::Wheel;
use crate::clock::Moment;
use crate::entry::Entry;

/// What one shard lock protects of the memory tier.
#[derive(Debug)]
pub(crate) struct Room<K, V> {
    /// Entries of the hot segment that somebody has asked for.
    pub(super) proven: Slots<K, V>,
    /// Entries of the hot segment that were preloaded, until their first read is noticed.
    pub(super) staged: Slots<K, V>,
    /// Entries of the hot segment by when they are due.
    pub(super) wheel: Wheel<K, V>,
}

impl<K, V> Room<K, V> {
    /// An empty room, whose wheel has buckets of this width.
    pub(crate) fn new(bucket: Duration) -> Self {
        Self { proven: Slots::new(), staged: Slots::new(), wheel: Wheel::new(bucket) }
    }

    /// Takes the entries that are due at `now`, and adds them to `taken`.
    pub(crate) fn take_due(&mut self, now: Moment, taken: &mut Vec<Arc<Entry<K, V>>>) {
        self.wheel.take_due(now, taken);
    }

    /// Lets an entry of the hot segment come due at `due`, or up to a bucket later.
    pub(crate) fn await_due(&mut self, entry: &Arc<Entry<K, V>>, due: Moment) {
        if self.holds(entry) {
            self.wheel.remove(entry);
            self.wheel.insert_after(entry, due);
        }
    }

    /// Lets the entries of the hot segment that do not come due do so when `due` says, or up to a
    /// bucket earlier.
    pub(crate) fn await_due_anew(&mut self, due: impl Fn(&Entry<K, V>) -> Option<Moment>) {
        for entry in self.proven.iter().chain(self.staged.iter()) {
            if entry.due().is_none()
                && let Some(due) = due(entry)
            {
                self.wheel.insert(entry, due);
            }
        }
    }

    /// When the next entry is due.
    pub(crate) fn next_due(&self) -> Moment {
        self.wheel.next_due()
    }

    /// The entries of the hot segment.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry<K, V>>> {
        self.proven.iter().chain(self.staged.iter())
    }

    /// Some of these entries, by their places.
    pub(crate) fn entries_in(
        &self,
        places: Range<usize>,
    ) -> impl Iterator<Item = &Arc<Entry<K, V>>> {
        let proven = self.proven.len();
        let staged = places.start.saturating_sub(proven)..places.end.saturating_sub(proven);
        self.proven.iter_in(places).chain(self.staged.iter_in(staged))
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.proven.len() + self.staged.len()
    }

    /// Whether this is the room that has an entry of the hot segment.
    pub(crate) fn holds(&self, entry: &Arc<Entry<K, V>>) -> bool {
        self.proven.holds(entry) || self.staged.holds(entry)
    }

    /// Looks at up to `count` entries at random, and gives the one to evict, if it is worth no more
    /// than `at_most`.
    pub(crate) fn sample(
        &self,
        search: Search<'_, K, V>,
        (count, at_most): (usize, f64),
        random: &mut Rng,
    ) -> Sample<K, V> {
        let judge = |entry: &Arc<Entry<K, V>>, is_staged| {
            search.worth(entry, is_staged).filter(|worth| *worth <= at_most)
        };
        match search.overflow {
            Overflow::Staged => Slots::new().sample(&self.staged, count, random, judge),
            // Among the staged, some have been read, and are as good as proven.
            Overflow::Proven => self.proven.sample(&self.staged, count, random, judge),
        }
    }
}

/// The slots of a room, with the segment whose weight they add up to.
pub(super) struct Counted<'a, K, V> {
    pub(super) slots: &'a mut Slots<K, V>,
    pub(super) hot: &'a Hot<K, V>,
    pub(super) is_staged: bool,
}

impl<K, V> Counted<'_, K, V> {
    pub(super) fn push(&mut self, entry: &Arc<Entry<K, V>>) {
        self.slots.push(entry);
        self.hot.count(self.is_staged, 1, entry.weight());
    }

    pub(super) fn remove(&mut self, entry: &Arc<Entry<K, V>>) -> bool {
        let was_there = self.slots.remove(entry);
        if was_there {
            self.hot.uncount(self.is_staged, 1, entry.weight());
        }
        was_there
    }
}
