//! The second segment: moka, whose TinyLFU decides what of the hot segment's leavers stays.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_queue::ArrayQueue;
use moka::sync::Cache;

use super::Held;
use super::hot::{Lookup, Named, Prehashed};
use crate::entry::Entry;

/// Moka as storage: it bounds memory, and never judges freshness or loads.
pub(super) struct Main<K, V> {
    /// None where the hot segment has the whole capacity.
    cache: Option<Moka<K, V>>,
    /// The weight from which there is hardly any room.
    full_at: u64,
    /// The entries that were put in, and those that we took out.
    offered: AtomicU64,
    taken: AtomicU64,
    /// Those that moka evicted, as far as they have been counted.
    evicted: AtomicU64,
    rising: ArrayQueue<Arc<Entry<K, V>>>,
    /// No entry here has a higher sum of scores.
    score_max_bits: AtomicU64,
    is_eager: bool,
}

/// Moka with our entries as its values, and as the names of themselves: no key is hashed or cloned
/// for it.
type Moka<K, V> = Cache<Named<K, V>, Arc<Entry<K, V>>, Prehashed>;

/// Entries that may move back at the next occasion; more wait for another read.
const RISING_MAX: usize = 1_024;
/// Reads beyond these say no more to a sketch of four bits.
const REPLAYED_MAX: f64 = 8.0;

impl<K, V> Main<K, V>
where
    K: Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// With `is_eager`, everything is done at once instead of when moka finds time: slower, and
    /// the same from run to run.
    pub(super) fn new(capacity: u64, is_eager: bool) -> Self {
        let builder = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_key, entry: &Arc<Entry<K, V>>| entry.weight32());
        let cache = (capacity > 0).then(|| builder.build_with_hasher(Prehashed));
        Self {
            cache,
            full_at: capacity - capacity / 20,
            offered: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            rising: ArrayQueue::new(RISING_MAX),
            score_max_bits: AtomicU64::new(0),
            is_eager,
        }
    }

    /// The entry of a key. Where there is none, moka counts no read: what is offered to it later
    /// brings its reads along.
    pub(super) fn get<Q>(&self, lookup: Lookup<'_, Q>) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let cache = self.cache.as_ref()?;
        cache.contains_key(&lookup).then(|| cache.get(&lookup)).flatten()
    }

    /// Offers an entry that was read about this often of late; gives whether moka has it now.
    ///
    /// Where moka is full, what was read once only is not offered: in a tie the newcomer loses, so
    /// nearly all of it would be refused, at the price of an insertion.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    pub(super) fn offer(&self, entry: &Arc<Entry<K, V>>, recent_reads: f64) -> bool {
        let Some(cache) = &self.cache else { return false };
        if recent_reads <= 1.0 && cache.weighted_size() >= self.full_at {
            return false;
        }
        // Reads of a key that is not there count in moka's sketch, which admits by frequency.
        for _ in 0..recent_reads.ceil().clamp(0.0, REPLAYED_MAX) as u32 {
            cache.get(&Lookup::of(entry));
        }
        entry.set_in_main(true);
        cache.insert(Named(Arc::clone(entry)), Arc::clone(entry));
        self.note_score(entry);
        self.offered.fetch_add(1, Relaxed);
        self.settle_if_eager();
        true
    }

    pub(super) fn remove(&self, lookup: Lookup<'_, K>) {
        if let Some(cache) = &self.cache {
            cache.invalidate(&lookup);
            self.taken.fetch_add(1, Relaxed);
            self.settle_if_eager();
        }
    }

    /// Takes the number of entries that moka evicted since the last call: those that came and are
    /// neither there nor were taken out. Moka could tell of each, but that makes its writes slower.
    pub(super) fn take_evicted(&self) -> u64 {
        let gone = self.offered.load(Relaxed).saturating_sub(self.taken.load(Relaxed));
        let evicted = gone.saturating_sub(self.held().entries);
        evicted.saturating_sub(self.evicted.fetch_max(evicted, Relaxed))
    }

    /// Notes an entry that may move back; gives whether there was room to note it.
    pub(super) fn report_rising(&self, entry: &Arc<Entry<K, V>>) -> bool {
        self.rising.push(Arc::clone(entry)).is_ok()
    }

    pub(super) fn next_rising(&self) -> Option<Arc<Entry<K, V>>> {
        self.rising.pop()
    }

    /// Notes what a read, or its arrival, has made of an entry's score.
    pub(super) fn note_score(&self, entry: &Entry<K, V>) {
        // Of numbers that are not negative, the higher has the higher bits.
        let bits = entry.reads().score().to_bits();
        if bits > self.score_max_bits.load(Relaxed) {
            self.score_max_bits.fetch_max(bits, Relaxed);
        }
    }

    /// What no entry's sum of scores exceeds.
    pub(super) fn score_max(&self) -> f64 {
        f64::from_bits(self.score_max_bits.load(Relaxed))
    }

    /// Looks at every entry, and learns what the highest sum of scores is.
    pub(super) fn look_through(&self, mut look: impl FnMut(&Arc<Entry<K, V>>)) {
        // Before looking: what is noted meanwhile stays.
        self.score_max_bits.store(0, Relaxed);
        for (_, entry) in self.cache.iter().flat_map(Cache::iter) {
            // Looking may change the score.
            look(&entry);
            self.note_score(&entry);
        }
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry<K, V>>> {
        self.cache.iter().flat_map(Cache::iter).map(|(_, entry)| entry).collect()
    }

    /// Multiplies all scores.
    pub(super) fn rescale_scores(&self, by: f64) {
        self.look_through(|entry| entry.reads().rescale_score(by));
    }

    pub(super) fn settle(&self) {
        if let Some(cache) = &self.cache {
            cache.run_pending_tasks();
        }
    }

    pub(super) fn held(&self) -> Held {
        self.cache.as_ref().map_or_else(Held::default, |cache| Held {
            entries: cache.entry_count(),
            weight: cache.weighted_size(),
        })
    }

    fn settle_if_eager(&self) {
        if self.is_eager {
            self.settle();
        }
    }
}

impl<K, V> fmt::Debug for Main<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Main").field("rising", &self.rising.len()).finish_non_exhaustive()
    }
}
