//! The second segment: moka, whose TinyLFU decides what of the hot segment's leavers stays.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use foldhash::fast::FixedState;
use moka::notification::RemovalCause;
use moka::sync::Cache;

use super::{Held, L1Tally};
use crate::entry::Entry;
use crate::metrics::Eviction;

/// Moka as storage: it bounds memory, and never judges freshness or loads.
pub(super) struct Main<K, V> {
    /// None where the hot segment has the whole capacity.
    cache: Option<Moka<K, V>>,
    tally: Arc<L1Tally>,
    rising: ArrayQueue<Arc<Entry<K, V>>>,
    is_eager: bool,
}

/// Moka with our entries as its values.
type Moka<K, V> = Cache<K, Arc<Entry<K, V>>, FixedState>;

/// Entries that may move back at the next occasion; more wait for another read.
const RISING_MAX: usize = 1_024;
/// Reads beyond these say no more to a sketch of four bits.
const REPLAYED_MAX: f64 = 8.0;

impl<K, V> Main<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// With `is_eager`, everything is done at once instead of when moka finds time: slower, and
    /// the same from run to run.
    pub(super) fn new(capacity: u64, tally: Arc<L1Tally>, seed: u64, is_eager: bool) -> Self {
        let counted = Arc::clone(&tally);
        let builder = Cache::builder()
            .max_capacity(capacity)
            .weigher(|_key, entry: &Arc<Entry<K, V>>| entry.weight32())
            // It runs inside moka's calls, which we make under our locks: so it takes none.
            .eviction_listener(move |_key, entry: Arc<Entry<K, V>>, cause| {
                if cause == RemovalCause::Size {
                    counted.left(&entry, Eviction::Capacity);
                }
            });
        let cache = (capacity > 0).then(|| builder.build_with_hasher(FixedState::with_seed(seed)));
        Self { cache, tally, rising: ArrayQueue::new(RISING_MAX), is_eager }
    }

    /// The entry of a key that is read. Moka counts the read, whether or not there is an entry.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.cache.as_ref()?.get(key)
    }

    /// The same for a look that is no read: where there is nothing, moka counts nothing.
    pub(super) fn find<Q>(&self, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let cache = self.cache.as_ref()?;
        cache.contains_key(key).then(|| cache.get(key)).flatten()
    }

    /// Offers an entry that was read about this often of late.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive number"
    )]
    pub(super) fn offer(&self, entry: &Arc<Entry<K, V>>, recent_reads: f64) {
        let Some(cache) = &self.cache else {
            self.tally.left(entry, Eviction::Capacity);
            return;
        };
        // Reads of a key that is not there count in moka's sketch, which admits by frequency.
        for _ in 0..recent_reads.clamp(0.0, REPLAYED_MAX) as u32 {
            cache.get(entry.key());
        }
        cache.insert(entry.key().clone(), Arc::clone(entry));
        self.settle_if_eager();
    }

    pub(super) fn remove(&self, key: &K) {
        if let Some(cache) = &self.cache {
            cache.invalidate(key);
            self.settle_if_eager();
        }
    }

    /// Notes an entry that may move back; gives whether there was room to note it.
    pub(super) fn report_rising(&self, entry: &Arc<Entry<K, V>>) -> bool {
        self.rising.push(Arc::clone(entry)).is_ok()
    }

    pub(super) fn next_rising(&self) -> Option<Arc<Entry<K, V>>> {
        self.rising.pop()
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry<K, V>>> {
        self.cache.iter().flat_map(Cache::iter).map(|(_, entry)| entry).collect()
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
