//! The entries that are read most.

use std::sync::Arc;

use super::{Carried, Fence, Shard};
use crate::clock::Moment;
use crate::entry::Entry;
use crate::recorder::Recorder;
use crate::score::Past;
use crate::sync::Mutex;

/// About as many entries are looked at before a lock is given back: a microsecond.
const LOOKED_AT: usize = 32;

impl<K, V, T> Fence<K, V, T>
where
    K: Clone + std::fmt::Display + Eq + std::hash::Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    T: Carried,
{
    /// The entries with the highest scores at `now`, highest first. Readers are not held up, and
    /// those who store wait for a part of a shard at most.
    pub(crate) fn hottest(&self, count: usize, now: Moment) -> Vec<(f64, Arc<Entry<K, V>>)> {
        let mut hottest = Hottest::new(count, &self.recorder, now);
        // All shards at the same pace: what was stored at about the same time is close together in
        // memory, on fewer pages than the processor knows the places of.
        let mut ends = vec![usize::MAX; self.shards.len()];
        let parts = self.l1.entries() / (self.shards.len() * LOOKED_AT) as u64 + 1;
        for parts in (1..=usize::try_from(parts).unwrap_or(usize::MAX)).rev() {
            for (shard, end) in self.shards.iter().zip(&mut ends) {
                *end = hottest.look_at_last(*end, parts, shard);
            }
        }
        hottest.narrow();
        self.l1.look_through_main(hottest.least_sum, |entry| hottest.look(entry));
        hottest.into_sorted()
    }
}

/// The highest scores of those looked at.
struct Hottest<'a, K, V> {
    count: usize,
    recorder: &'a Recorder,
    now: Moment,
    /// The score of a sum of 1.
    unit: f64,
    /// Those that may be among the highest: up to twice as many as are wanted.
    best: Vec<(f64, Arc<Entry<K, V>>)>,
    /// What the score of another one has to exceed, and its sum.
    least: f64,
    least_sum: f64,
}

impl<'a, K, V> Hottest<'a, K, V> {
    fn new(count: usize, recorder: &'a Recorder, now: Moment) -> Self {
        let unit = recorder.score(&Past { score: 1.0, ..Past::NONE }, now);
        let least = if count == 0 { f64::INFINITY } else { f64::NEG_INFINITY };
        Self { count, recorder, now, unit, best: Vec::new(), least, least_sum: least }
    }

    /// Looks at the last of so many parts of a shard's first `end` entries, and gives where it begins.
    /// The last one comes first: what takes the place of one that leaves meanwhile comes from the
    /// end, and is then seen twice rather than never.
    fn look_at_last<T>(
        &mut self,
        end: usize,
        parts: usize,
        shard: &Mutex<Shard<K, V, T>>,
    ) -> usize {
        let shard = shard.lock();
        let end = end.min(shard.room.len());
        let begin = end - end.div_ceil(parts);
        shard.room.entries_in(begin..end).for_each(|entry| self.look(entry));
        begin
    }

    /// Looks at an entry. Few instructions, so that the processor asks memory for the next ones while
    /// it waits for this.
    #[inline]
    fn look(&mut self, entry: &Arc<Entry<K, V>>) {
        if entry.reads().score() > self.least_sum {
            self.consider(entry);
        }
    }

    #[cold]
    fn consider(&mut self, entry: &Arc<Entry<K, V>>) {
        let score = self.recorder.score(&entry.reads().past(), self.now);
        if score > self.least {
            self.best.push((score, Arc::clone(entry)));
            if self.best.len() >= self.count.saturating_mul(2) {
                self.narrow();
            }
        }
    }

    /// Leaves as many as are wanted.
    fn narrow(&mut self) {
        self.sort();
        self.best.truncate(self.count);
        if let Some((least, _)) = self.best.get(self.count.wrapping_sub(1)) {
            self.least = *least;
            self.least_sum = *least / self.unit;
        }
    }

    /// Sorts them, each once. What was read between two looks has its higher score.
    fn sort(&mut self) {
        self.best.sort_unstable_by(|(a, of_a), (b, of_b)| {
            Arc::as_ptr(of_a).cmp(&Arc::as_ptr(of_b)).then_with(|| b.total_cmp(a))
        });
        self.best.dedup_by(|(_, a), (_, b)| Arc::ptr_eq(a, b));
        self.best.sort_unstable_by(|(a, of_a), (b, of_b)| {
            b.total_cmp(a).then_with(|| of_a.hash().cmp(&of_b.hash()))
        });
    }

    fn into_sorted(mut self) -> Vec<(f64, Arc<Entry<K, V>>)> {
        self.sort();
        self.best.truncate(self.count);
        self.best
    }
}
