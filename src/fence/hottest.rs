//! The entries that are read most.

use std::sync::Arc;

use super::{Carried, Fence, Shard};
use crate::clock::Moment;
use crate::entry::Entry;
use crate::recorder::Recorder;
use crate::score::Past;
use crate::sync::Mutex;

/// About as many entries are looked at before a lock is given back: a microsecond.
const LOOKED_AT: usize = 64;
/// As many more than are wanted are kept, since those that move meanwhile may be seen twice.
const SPARE: usize = 64;

impl<K, V, T> Fence<K, V, T>
where
    K: Clone + std::fmt::Display + Eq + std::hash::Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    T: Carried,
{
    /// The entries with the most heat at `now`, the hottest first. Readers are not held up, and those
    /// who store wait for a part of a shard at most.
    pub(crate) fn hottest(&self, count: usize, now: Moment) -> Vec<HotEntry<K, V>> {
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

/// An entry that is read much.
#[derive(Debug)]
pub(crate) struct HotEntry<K, V> {
    pub(crate) heat: f64,
    /// Its reads, of which the heat was told.
    pub(crate) past: Past,
    pub(crate) entry: Arc<Entry<K, V>>,
}

/// The hottest of those looked at.
struct Hottest<'a, K, V> {
    count: usize,
    /// How many are kept of those looked at.
    kept: usize,
    recorder: &'a Recorder,
    now: Moment,
    /// The score of a sum of 1, which is enough to tell most that are not among the hottest.
    unit: f64,
    /// Those that may be among the hottest: up to twice as many as are kept.
    best: Vec<HotEntry<K, V>>,
    /// What the heat of another one has to exceed.
    least: f64,
    /// What the sum of its score has to exceed for that.
    least_sum: f64,
}

impl<'a, K, V> Hottest<'a, K, V> {
    fn new(count: usize, recorder: &'a Recorder, now: Moment) -> Self {
        let least = if count == 0 { f64::INFINITY } else { f64::NEG_INFINITY };
        let kept = count.saturating_add(SPARE);
        let unit = recorder.score(&Past { score: 1.0, ..Past::NONE }, now);
        Self { count, kept, recorder, now, unit, best: Vec::new(), least, least_sum: least }
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
        let past = entry.reads().past();
        if past.score * self.unit * self.recorder.steadiness(&past, self.now) <= self.least {
            return;
        }
        let heat = self.recorder.heat(&past, self.now);
        if heat > self.least {
            self.best.push(HotEntry { heat, past, entry: Arc::clone(entry) });
            if self.best.len() >= self.kept.saturating_mul(2) {
                self.narrow();
            }
        }
    }

    /// Leaves as many as are kept.
    fn narrow(&mut self) {
        if self.best.len() < self.kept {
            return;
        }
        let (_, last, _) =
            self.best.select_nth_unstable_by(self.kept - 1, |a, b| b.heat.total_cmp(&a.heat));
        self.least = last.heat;
        // No key has more heat than score.
        self.least_sum = last.heat / self.unit;
        self.best.truncate(self.kept);
    }

    /// Those that are wanted, each once. What was read between two looks has the heat of the second.
    fn into_sorted(mut self) -> Vec<HotEntry<K, V>> {
        self.best.sort_unstable_by(|a, b| {
            let place = |hot: &HotEntry<K, V>| Arc::as_ptr(&hot.entry);
            place(a).cmp(&place(b)).then_with(|| b.heat.total_cmp(&a.heat))
        });
        self.best.dedup_by(|a, b| Arc::ptr_eq(&a.entry, &b.entry));
        self.best.sort_unstable_by(|a, b| {
            b.heat.total_cmp(&a.heat).then_with(|| a.entry.hash().cmp(&b.entry.hash()))
        });
        self.best.truncate(self.count);
        self.best
    }
}
