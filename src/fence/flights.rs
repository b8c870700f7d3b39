//! The loads under way.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use hashbrown::HashTable;

use crate::l1::Lookup;

/// A load of one key that is under way.
#[derive(Debug)]
pub(crate) struct Flight<K, T> {
    key: K,
    hash: u64,
    /// Written under the lock of the key's shard.
    is_poisoned: AtomicBool,
    /// The generation of groups in which it began.
    generation: u64,
    /// How many entries the shard had stored when memory had none of this key, if it had none.
    absent_at: Option<u64>,
    load: T,
}

impl<K, T> Flight<K, T> {
    pub(super) fn new(
        (key, hash): (K, u64),
        generation: u64,
        absent_at: Option<u64>,
        load: T,
    ) -> Arc<Self> {
        let is_poisoned = AtomicBool::new(false);
        Arc::new(Self { key, hash, is_poisoned, generation, absent_at, load })
    }

    pub(crate) const fn key(&self) -> &K {
        &self.key
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) const fn lookup(&self) -> Lookup<'_, K> {
        Lookup::new(self.hash, &self.key)
    }

    pub(crate) const fn load(&self) -> &T {
        &self.load
    }

    /// Whether an invalidation came since it began. What it brings may go to those who waited for
    /// it from before, and nowhere else.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.is_poisoned.load(Relaxed)
    }

    /// The generation of groups in which it began.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether memory has nothing of the key, since it had nothing when the flight began, and the
    /// shard has stored nothing since.
    pub(super) fn is_still_absent(&self, stored: u64) -> bool {
        self.absent_at == Some(stored)
    }

    pub(super) fn poison(&self) {
        self.is_poisoned.store(true, Relaxed);
    }
}

/// The flights of one shard that may still store and be joined.
#[derive(Debug)]
pub(super) struct Flights<K, T>(HashTable<Arc<Flight<K, T>>>);

impl<K: Eq, T> Flights<K, T> {
    pub(super) const fn new() -> Self {
        Self(HashTable::new())
    }

    pub(super) fn find<Q>(&self, lookup: Lookup<'_, Q>) -> Option<&Arc<Flight<K, T>>>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.0.find(lookup.hash(), |flight| flight.key.borrow() == lookup.key())
    }

    pub(super) fn insert(&mut self, flight: &Arc<Flight<K, T>>) {
        self.0.insert_unique(flight.hash, Arc::clone(flight), |flight| flight.hash);
    }

    /// Takes the flight of a key out.
    pub(super) fn remove(&mut self, lookup: Lookup<'_, K>) -> Option<Arc<Flight<K, T>>> {
        let is_it = |flight: &Arc<Flight<K, T>>| flight.key == *lookup.key();
        Some(self.0.find_entry(lookup.hash(), is_it).ok()?.remove().0)
    }

    /// Takes a flight out, if it is there.
    pub(super) fn leave(&mut self, flight: &Arc<Flight<K, T>>) {
        if let Ok(found) = self.0.find_entry(flight.hash, |there| Arc::ptr_eq(there, flight)) {
            found.remove();
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Flight<K, T>>> {
        self.0.iter()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = Arc<Flight<K, T>>> {
        self.0.drain()
    }
}
