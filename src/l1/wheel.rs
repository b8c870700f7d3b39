//! Entries by when they are due.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::entry::{BUCKET_MAX, Entry};

/// Entries by when they are due, in buckets of time. Each knows its place, so that one which leaves
/// early is taken out in constant time, and the wheel never holds more than the segment does.
#[derive(Debug)]
pub(super) struct Wheel<K, V> {
    buckets: BTreeMap<u64, Vec<Arc<Entry<K, V>>>>,
    bucket_micros: u64,
}

impl<K, V> Wheel<K, V> {
    pub(super) fn new(bucket: Duration) -> Self {
        let bucket_micros = u64::try_from(bucket.as_micros()).unwrap_or(u64::MAX).max(1);
        Self { buckets: BTreeMap::new(), bucket_micros }
    }

    /// Adds an entry that is due at `due`, or up to a bucket earlier.
    pub(super) fn insert(&mut self, entry: &Arc<Entry<K, V>>, due: Moment) {
        let bucket = (due.as_micros() / self.bucket_micros).min(BUCKET_MAX);
        let entries = self.buckets.entry(bucket).or_default();
        entry.set_due(Some((bucket, entries.len())));
        entries.push(Arc::clone(entry));
    }

    /// Adds an entry that is due at `due`, or up to a bucket later.
    pub(super) fn insert_after(&mut self, entry: &Arc<Entry<K, V>>, due: Moment) {
        self.insert(entry, due.plus(Duration::from_micros(self.bucket_micros)));
    }

    /// Takes an entry out, if it is there.
    pub(super) fn remove(&mut self, entry: &Arc<Entry<K, V>>) {
        let Some((bucket, place)) = entry.due() else { return };
        let Some(entries) = self.buckets.get_mut(&bucket) else { return };
        if !entries.get(place).is_some_and(|held| Arc::ptr_eq(held, entry)) {
            return;
        }
        entries.swap_remove(place);
        entry.set_due(None);
        if let Some(moved) = entries.get(place) {
            moved.set_due(Some((bucket, place)));
        }
        if entries.is_empty() {
            self.buckets.remove(&bucket);
        }
    }

    /// Takes the entries that are due at `now`, and adds them to `taken`.
    pub(super) fn take_due(&mut self, now: Moment, taken: &mut Vec<Arc<Entry<K, V>>>) {
        let upto = now.as_micros() / self.bucket_micros;
        while let Some(first) = self.buckets.first_entry()
            && *first.key() <= upto
        {
            let mut due = first.remove();
            due.iter().for_each(|entry| entry.set_due(None));
            taken.append(&mut due);
        }
    }

    /// When the next entry is due.
    pub(super) fn next_due(&self) -> Moment {
        self.buckets.first_key_value().map_or(Moment::NEVER, |(bucket, _)| {
            Moment::from_micros(bucket.saturating_mul(self.bucket_micros))
        })
    }
}
