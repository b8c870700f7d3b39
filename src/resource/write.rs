//! Changes: what is wrong goes, what is known to be new comes, what is old is renewed.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Resource;
use super::core::{Core, Shared};
use crate::coherence::Waiting;
use crate::entry::{Entry, Life, Why};
use crate::fence::{NewEntry, Ticket};
use crate::key::Key;
use crate::l1::Lookup;
use crate::metrics::Refusal;
use crate::tier::{Fill, Selector};

/// How far a change has come when the call returns. On this engine it holds at once, either way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a queued change has not reached L2 yet"]
pub enum Delivery {
    /// L2 has it, or there is no L2.
    Applied,
    /// L2 could not be reached. The change waits for it, and until then this engine does not read
    /// the key from there.
    Queued,
}

/// How many queued invalidations are delivered in one call.
const DELIVERED_AT_ONCE: usize = 256;

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Says that what is held of a key is wrong. Call it after the source has changed.
    ///
    /// Once it has returned, no read that starts later on this engine gives a value whose load
    /// began before the call, whether it was applied or queued. Dropping the future does not stop
    /// it half-way; if it was never polled, nothing has happened.
    ///
    /// It waits for L2, for [`L2Config::write_timeout`](crate::L2Config::write_timeout) at most.
    pub async fn invalidate<Q>(&self, key: &Q) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let core = &self.core;
        let (key, hash) = (key.to_owned(), core.fence.hash(key));
        let full_key = core.full_key(&key);
        let fenced = core.fence.invalidate(&key, hash, full_key.is_some());
        // The value is dropped here, outside the lock.
        drop(fenced.removed);
        match (full_key, fenced.ticket) {
            (Some(full_key), Some(_)) => {
                core.deliver_one(key, hash, full_key, Change::Invalidate).await
            }
            _ => Delivery::Applied,
        }
    }

    /// Stores a value that the caller knows to be the new one: an invalidation that brings it. Call
    /// it after the source has changed.
    ///
    /// The promise of [`Resource::invalidate`] holds here too. The value lives as a loaded one
    /// does, from now; one that may not be kept, since it is too large, only invalidates. If two
    /// callers put a key at the same time, one of the two values stays here, and L2 does not keep
    /// the other.
    pub async fn put<Q>(&self, key: &Q, value: impl Into<Arc<V>>) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let core = &self.core;
        let (key, hash) = (key.to_owned(), core.fence.hash(key));
        let value = value.into();
        let full_key = core.full_key(&key);
        let encode = |full_key: &str| core.encode(full_key, Some(&value));
        let (bytes, length) = full_key.as_deref().map(encode).unwrap_or_default();
        let weight = core.weigh(&key, Some(&value), length);
        let refusal = core.refuses_key(&key);
        let refusal =
            refusal.or_else(|| core.refuses_value(weight, length).then_some(Refusal::ValueSize));
        if let Some(refusal) = refusal {
            core.tally.refusals.one(refusal);
        }
        let is_refused = refusal.is_some();
        let life = core.life(core.clock.now(), None, true).filter(|_| core.keeps() && !is_refused);
        let why = Why::DEMAND;
        let (ticket, landing) = core.fence.replace(&key, hash, full_key.is_some(), |past| {
            let entry = Entry::new(key.clone(), hash, Some(value), weight);
            let entry = entry.because(why).with_past(past);
            match life {
                Some(life) => {
                    NewEntry { entry: entry.living(life), is_stored: true, due: core.due(&life) }
                }
                None => NewEntry { entry, is_stored: false, due: None },
            }
        });
        core.stored(&landing.entry);
        drop(landing);
        let (Some(full_key), Some(ticket)) = (full_key, ticket) else { return Delivery::Applied };
        let change = match (bytes, life) {
            (Some(bytes), Some(life)) => Change::Put { bytes, life, ticket },
            _ => Change::Invalidate,
        };
        core.deliver_one(key, hash, full_key, change).await
    }

    /// Says that what is held of a key is old: it is stale from now on, and renewed at its next
    /// read, but still served meanwhile, or if that fails, as far as the policy allows stale
    /// values. For what is wrong, use [`Resource::invalidate`].
    pub async fn expire<Q>(&self, key: &Q) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let core = &self.core;
        let (key, hash) = (key.to_owned(), core.fence.hash(key));
        let full_key = core.full_key(&key);
        let ticket = core.fence.expire(&key, hash, core.clock.now(), full_key.is_some());
        match (full_key, ticket) {
            (Some(full_key), Some(_)) => {
                core.deliver_one(key, hash, full_key, Change::Expire).await
            }
            _ => Delivery::Applied,
        }
    }

    /// Forgets everything that memory holds of this resource: entries, and what was learned of its
    /// keys. Loads under way answer those who wait, and store nothing. L2 keeps its own; counters
    /// only grow.
    pub fn clear(&self) {
        self.core.clear();
    }
}

/// What L2 is told of a key.
enum Change {
    Invalidate,
    Put { bytes: Vec<u8>, life: Life, ticket: Ticket },
    Expire,
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Tells L2 of a change, in a task of its own; the gate of the key is closed already.
    async fn deliver_one(
        self: &Arc<Self>,
        key: K,
        hash: u64,
        full_key: String,
        change: Change,
    ) -> Delivery {
        let (done, delivered) = oneshot::channel();
        let core = Arc::clone(self);
        self.tasks.launch(async move {
            let delivery = core.tell_l2(key, hash, full_key, change).await;
            // The caller may have gone away.
            done.send(delivery).ok();
        });
        delivered.await.unwrap_or(Delivery::Queued)
    }

    async fn tell_l2(&self, key: K, hash: u64, full_key: String, change: Change) -> Delivery {
        let Some(shared) = &self.shared else { return Delivery::Applied };
        let told = match change {
            Change::Invalidate => shared.l2.invalidate(&[Selector::Key(&full_key).into()]).await,
            Change::Expire => shared.l2.expire(&[&full_key]).await,
            Change::Put { bytes, life, ticket } => {
                let now = self.clock.now();
                let put = shared.l2.put(Fill {
                    key: &full_key,
                    permit: shared.l2.new_permit(),
                    value: &bytes,
                    age: now.since(life.loaded_at),
                    fresh_for: life.fresh_until.since(now),
                    keep_for: life.keep_until.since(now),
                    tags: &[],
                    version: None,
                });
                match put.await {
                    // Another change of the key came meanwhile, and L2 may have heard of it first:
                    // then it would keep the older value.
                    Some(_) if self.fence.is_overtaken(&key, hash, ticket) => {
                        shared.l2.invalidate(&[Selector::Key(&full_key).into()]).await
                    }
                    put => put.map(drop),
                }
            }
        };
        if told.is_some() {
            self.fence.open_gate(&key, hash);
            return Delivery::Applied;
        }
        self.queue_undelivered(shared, Waiting { key, hash, full_key });
        Delivery::Queued
    }

    fn queue_undelivered(&self, shared: &Shared<K>, waiting: Waiting<K>) {
        // What need not wait any more is covered by the gate of the whole resource.
        for freed in shared.outbox.push(waiting) {
            self.fence.open_gate(&freed.key, freed.hash);
        }
        shared.undelivered.notify_one();
    }

    /// Delivers what waits for L2; gives whether nothing waits any more.
    pub(super) async fn deliver_queued(&self) -> bool {
        let Some(shared) = &self.shared else { return true };
        if let Some(overflows) = shared.outbox.overflow() {
            if shared.l2.invalidate(&[Selector::Resource(&self.group).into()]).await.is_none() {
                return false;
            }
            shared.outbox.delivered_all(overflows);
        }
        loop {
            let waiting = shared.outbox.take(DELIVERED_AT_ONCE);
            if waiting.is_empty() {
                return shared.outbox.len() == 0;
            }
            let selectors: Vec<_> =
                waiting.iter().map(|waiting| Selector::Key(&waiting.full_key).into()).collect();
            if shared.l2.invalidate(&selectors).await.is_none() {
                shared.outbox.put_back(waiting);
                return false;
            }
            for waiting in &waiting {
                self.fence.open_gate(&waiting.key, waiting.hash);
            }
            shared.outbox.delivered(waiting.len());
        }
    }

    pub(super) fn clear(&self) {
        self.fence.clear();
        self.source.failing.clear();
        self.ahead.clear();
    }

    /// Whether memory holds a key's entry fresh at this moment.
    pub(super) fn holds_fresh(&self, key: &K) -> bool {
        let now = self.clock.now();
        let entry = self.fence.l1().find(Lookup::new(self.fence.hash(key), key));
        entry.is_some_and(|entry| now < entry.life().fresh_until)
    }
}
