//! The hot segment's map: reads take no lock.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use equivalent::Equivalent;
use papaya::HashMap;

use super::Held;
use crate::entry::Entry;

/// The hot segment's map, and how much it holds.
///
/// The key of an entry stands in the entry, which a hit touches anyway, and its hash was computed
/// once.
pub(super) struct Hot<K, V> {
    map: HashMap<Named<K, V>, Arc<Entry<K, V>>, Prehashed>,
    proven: CachePadded<Counts>,
    staged: CachePadded<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    entries: AtomicU64,
    weight: AtomicU64,
}

/// A key to look up, with its hash.
#[derive(Debug)]
pub(crate) struct Lookup<'a, Q: ?Sized> {
    hash: u64,
    key: &'a Q,
}

impl<Q: ?Sized> Clone for Lookup<'_, Q> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Q: ?Sized> Copy for Lookup<'_, Q> {}

impl<'a, Q: ?Sized> Lookup<'a, Q> {
    pub(crate) const fn new(hash: u64, key: &'a Q) -> Self {
        Self { hash, key }
    }

    pub(crate) const fn key(&self) -> &'a Q {
        self.key
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }
}

impl<'a, K> Lookup<'a, K> {
    /// The look-up of an entry's key.
    pub(crate) fn of<V>(entry: &'a Entry<K, V>) -> Self {
        Self::new(entry.hash(), entry.key())
    }
}

/// An entry as the name of itself.
pub(super) struct Named<K, V>(pub(super) Arc<Entry<K, V>>);

impl<K, V> Hash for Named<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash());
    }
}

impl<K: Eq, V> PartialEq for Named<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl<K: Eq, V> Eq for Named<K, V> {}

impl<Q: ?Sized> Hash for Lookup<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Borrow<Q>, V, Q: Eq + ?Sized> Equivalent<Named<K, V>> for Lookup<'_, Q> {
    fn equivalent(&self, named: &Named<K, V>) -> bool {
        self.hash == named.0.hash() && self.key == named.0.key().borrow()
    }
}

/// The hash of a key that is not at hand: 64 bits tell one key from the others.
struct Hashed(u64);

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl<K, V> Equivalent<Named<K, V>> for Hashed {
    fn equivalent(&self, named: &Named<K, V>) -> bool {
        self.0 == named.0.hash()
    }
}

/// Hashes what is a hash already.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prehashed;

/// The hash that was written.
#[derive(Debug, Default)]
pub(super) struct Written(u64);

impl BuildHasher for Prehashed {
    type Hasher = Written;

    fn build_hasher(&self) -> Written {
        Written::default()
    }
}

impl Hasher for Written {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        // Nothing but hashes is hashed here; this keeps the trait's promise all the same.
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// Up to here the map is kept half empty. To make room takes a millisecond for as many.
const SPACIOUS_MAX: usize = 1 << 15;

impl<K: Eq, V> Hot<K, V> {
    pub(super) fn new() -> Self {
        Self {
            map: HashMap::with_hasher(Prehashed),
            proven: CachePadded::default(),
            staged: CachePadded::default(),
        }
    }

    /// Lets `look` see a key's entry, with `context`; gives that back where there is none.
    #[inline]
    pub(super) fn read<Q, C, R>(
        &self,
        lookup: Lookup<'_, Q>,
        context: C,
        look: impl FnOnce(&Arc<Entry<K, V>>, C) -> R,
    ) -> Result<R, C>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let guard = self.map.guard();
        match self.map.get(&lookup, &guard) {
            Some(entry) => Ok(look(entry, context)),
            None => Err(context),
        }
    }

    pub(super) fn find<Q>(&self, lookup: Lookup<'_, Q>) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.map.pin().get(&lookup).cloned()
    }

    /// The entry whose key has this hash.
    pub(super) fn find_hash(&self, hash: u64) -> Option<Arc<Entry<K, V>>> {
        self.map.pin().get(&Hashed(hash)).cloned()
    }

    /// Puts an entry in the place of what its key had, in one step.
    pub(super) fn insert(&self, entry: &Arc<Entry<K, V>>) {
        let map = self.map.pin();
        map.insert(Named(Arc::clone(entry)), Arc::clone(entry));
        // Left to itself the map fills up to five sixths, and a look-up among neighbours takes twice
        // as long as one that finds its key at once. In large ones it waits for memory anyway.
        let entries = self.entries();
        if entries.is_power_of_two() && entries <= SPACIOUS_MAX {
            map.reserve(entries);
        }
    }

    pub(super) fn remove<Q>(&self, lookup: Lookup<'_, Q>)
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.map.pin().remove(&lookup);
    }
}

impl<K, V> Hot<K, V> {
    const fn counts(&self, is_staged: bool) -> &CachePadded<Counts> {
        if is_staged { &self.staged } else { &self.proven }
    }

    pub(super) fn count(&self, is_staged: bool, entries: u64, weight: u64) {
        self.counts(is_staged).entries.fetch_add(entries, Relaxed);
        self.counts(is_staged).weight.fetch_add(weight, Relaxed);
    }

    pub(super) fn uncount(&self, is_staged: bool, entries: u64, weight: u64) {
        self.counts(is_staged).entries.fetch_sub(entries, Relaxed);
        self.counts(is_staged).weight.fetch_sub(weight, Relaxed);
    }

    #[expect(clippy::cast_possible_truncation, reason = "they are in memory")]
    fn entries(&self) -> usize {
        (self.held(false).entries + self.held(true).entries) as usize
    }

    pub(super) fn held(&self, is_staged: bool) -> Held {
        let counts = self.counts(is_staged);
        Held { entries: counts.entries.load(Relaxed), weight: counts.weight.load(Relaxed) }
    }
}

impl<K, V> fmt::Debug for Hot<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (proven, staged) = (self.held(false), self.held(true));
        f.debug_struct("Hot").field("proven", &proven).field("staged", &staged).finish()
    }
}
