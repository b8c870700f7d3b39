//! Looking for stale values in production: what the tiers hold of a key that was invalidated, a
//! window later, against what the source says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::core::{Core, Shared};
use crate::entry::{Entry, Freshness};
use crate::key::Key;
use crate::l1::Lookup;
use crate::metrics::{Counters, StaleIn};
use crate::task;
use crate::tier::{Ask, Begun, Want};

/// Which invalidations are checked, and what was found.
#[derive(Debug)]
pub(super) struct Probe {
    one_in: Option<u32>,
    seen: AtomicU64,
    under_way: AtomicUsize,
    pub(super) found: Counters<StaleIn>,
}

/// More checks than this are not under way at a time.
const CHECKS_MAX: usize = 64;

impl Probe {
    pub(super) fn new(one_in: Option<u32>) -> Self {
        let (seen, under_way) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { one_in, seen, under_way, found: Counters::new() }
    }

    /// Whether this invalidation is one of those that are checked; then a place among the checks
    /// is taken.
    fn picks(&self) -> bool {
        let Some(one_in) = self.one_in else { return false };
        if !self.seen.fetch_add(1, Relaxed).is_multiple_of(u64::from(one_in)) {
            return false;
        }
        let has_room = self.under_way.fetch_add(1, Relaxed) < CHECKS_MAX;
        if !has_room {
            self.under_way.fetch_sub(1, Relaxed);
        }
        has_room
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Checks a key a window from now, if it is one of those that are picked.
    pub(super) fn probe_later(self: &Arc<Self>, key: &K) {
        let Some(shared) = &self.shared else { return };
        if self.codec.is_none() || !self.probe.picks() {
            return;
        }
        let (core, key, stopped) = (Arc::clone(self), key.clone(), self.tasks.stopped());
        let due = self.clock.now().plus(shared.l2.config().window);
        self.tasks.spawn_loop(async move {
            tokio::select! {
                () = stopped => {}
                () = task::sleep_until(core.clock.instant(due)) => core.check(&key).await,
            }
            core.probe.under_way.fetch_sub(1, Relaxed);
        });
    }

    /// Compares what the tiers hold of a key with what the source says.
    async fn check(self: &Arc<Self>, key: &K) {
        let Some((shared, full_key)) = self.shared.as_ref().zip(self.full_key(key)) else { return };
        let hash = self.fence.hash(key);
        let held = self.servable(key, hash);
        let stored = self.stored_bytes(shared, &full_key).await;
        if held.is_none() && stored.is_none() {
            return;
        }
        let Some(truth) = self.truth(key, hash, &full_key).await else { return };
        let held =
            held.filter(|held| self.bytes(&full_key, held.value().map(AsRef::as_ref)) != truth);
        let stored = stored.filter(|stored| Some(stored) != truth.as_ref());
        if held.is_none() && stored.is_none() {
            return;
        }
        // If the source has changed in between, or the tiers have, it was no more than a coincidence.
        if self.truth(key, hash, &full_key).await != Some(truth) {
            return;
        }
        let now_held = self.servable(key, hash);
        if held.zip(now_held).is_some_and(|(held, now_held)| Arc::ptr_eq(&held, &now_held)) {
            self.report_stale(key, hash, StaleIn::L1);
        }
        if stored.is_some() && self.stored_bytes(shared, &full_key).await == stored {
            self.report_stale(key, hash, StaleIn::L2);
        }
    }

    /// The entry that memory would serve.
    fn servable(&self, key: &K, hash: u64) -> Option<Arc<Entry<K, V>>> {
        let now = self.clock.now();
        let entry = self.fence.l1().find(Lookup::new(hash, key))?;
        let is_good = self.is_verified(&entry, now) && self.fence.confirm(&entry);
        (is_good && entry.freshness(now) == Freshness::Fresh).then_some(entry)
    }

    /// The fresh value that L2 holds, encoded.
    async fn stored_bytes(&self, shared: &Shared<K>, full_key: &str) -> Option<Vec<u8>> {
        let ask = Ask { key: full_key, permit: shared.l2.new_permit(), want: Want::Copy };
        let begun = shared.l2.begin(&[ask], self.policy.source.deadline).await?;
        match begun.into_iter().next() {
            Some(Begun::Hit(stored)) => Some(stored.value),
            _ => None,
        }
    }

    /// What the source says, encoded; `None` if it says nothing.
    async fn truth(
        self: &Arc<Self>,
        key: &K,
        hash: u64,
        full_key: &str,
    ) -> Option<Option<Vec<u8>>> {
        let read = Box::pin(self.bypass(key.clone(), hash)).await.ok()?;
        Some(self.bytes(full_key, read.value.as_deref()))
    }

    fn bytes(&self, full_key: &str, value: Option<&V>) -> Option<Vec<u8>> {
        self.encode(full_key, value).0
    }

    fn report_stale(&self, key: &K, hash: u64, place: StaleIn) {
        self.probe.found.one(place);
        let (resource, key) = (&*self.name, self.label(key, hash));
        tracing::error!(resource, %key, tier = place.label(), "a stale value was found");
    }
}
