//! The entries that are read most.

use std::sync::Arc;

use super::{Carried, Fence, Shard};
use crate::clock::Moment;
use crate::entry::Entry;
use crate::recorder::Recorder;
use crate::score::Past;
use crate::sync::Mutex;

/// Entries that are looked at before a lock is given back: some ten microseconds.
const LOOKED_AT: usize = 1_024;

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
        self.shards.iter().for_each(|shard| hottest.look_through(shard));
        self.l1.main_entries().iter().for_each(|entry| hottest.look(entry));
        hottest.into_sorted()
    }
}

/// The highest scores of those looked at.
struct Hottest<'a, K, V> {
    count: usize,
    recorder: &'a Recorder,
    now: Moment,
    /// The score of a sum of 1, which is all that most entries are compared by.
    unit: f64,
    /// Those that may be among the highest: up to twice as many as are wanted.
    best: Vec<(f64, Arc<Entry<K, V>>)>,
    /// What the score of another one has to exceed.
    least: f64,
}

impl<'a, K, V> Hottest<'a, K, V> {
    fn new(count: usize, recorder: &'a Recorder, now: Moment) -> Self {
        let unit = recorder.score(&Past { score: 1.0, ..Past::NONE }, now);
        let least = if count == 0 { f64::INFINITY } else { f64::NEG_INFINITY };
        Self { count, recorder, now, unit, best: Vec::new(), least }
    }

    /// Looks at the entries of a shard, the last one first: what takes the place of one that leaves
    /// meanwhile comes from the end, and is then seen twice rather than never.
    fn look_through<T>(&mut self, shard: &Mutex<Shard<K, V, T>>) {
        let mut end = usize::MAX;
        while end > 0 {
            let shard = shard.lock();
            end = end.min(shard.room.len());
            let begin = end.saturating_sub(LOOKED_AT);
            shard.room.entries().skip(begin).take(end - begin).for_each(|entry| self.look(entry));
            end = begin;
        }
    }

    #[inline]
    fn look(&mut self, entry: &Arc<Entry<K, V>>) {
        let past = entry.reads().past();
        if past.score * self.unit <= self.least {
            return;
        }
        let score = self.recorder.score(&past, self.now);
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
        if let Some((least, _)) = self.best.get(self.count - 1) {
            self.least = *least;
        }
    }

    /// Sorts them, each once. What was read between two looks has its higher score.
    fn sort(&mut self) {
        self.best.sort_unstable_by(|(a, of_a), (b, of_b)| {
            of_a.hash().cmp(&of_b.hash()).then_with(|| b.total_cmp(a))
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
