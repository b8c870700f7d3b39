//! Keys that a caller asks to have loaded ahead.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use smallvec::SmallVec;

use super::begin::NotBegun;
use crate::clock::Moment;
use crate::entry::{Origin, Reason};
use crate::key::Key;
use crate::limits::Urgency;
use crate::predictor::Candidate;
use crate::resource::Resource;
use crate::resource::core::Core;
use crate::resource::trip::Trips;
use crate::task;

/// What came of [`Resource::preload`] or [`Resource::renew`], in keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Preloaded {
    /// Loaded, from L2 or the source.
    pub loaded: usize,
    /// The source has no such thing.
    pub absent: usize,
    /// Held fresh already, or loading.
    pub held: usize,
    /// The load failed.
    pub failed: usize,
    /// A limit did not let it start.
    pub refused: usize,
}

/// Keys that were to be loaded, and were not.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{failed} keys could not be loaded, and {refused} were refused by a limit")]
pub struct NotPreloaded {
    /// The load failed.
    pub failed: usize,
    /// A limit did not let it start.
    pub refused: usize,
}

impl Preloaded {
    /// The same, if no key failed or was refused: for jobs, whose runs should then fail.
    ///
    /// # Errors
    ///
    /// Some did; the others were loaded all the same.
    pub const fn complete(self) -> Result<Self, NotPreloaded> {
        let Self { failed, refused, .. } = self;
        if failed + refused > 0 { Err(NotPreloaded { failed, refused }) } else { Ok(self) }
    }

    pub(in crate::resource) const fn plus(self, other: Self) -> Self {
        Self {
            loaded: self.loaded + other.loaded,
            absent: self.absent + other.absent,
            held: self.held + other.held,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
        }
    }
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Loads keys that the caller expects to be read soon, and waits until they are there.
    ///
    /// Keys that are held fresh or loading are skipped. The loads take their turn behind demand and
    /// renewals, and are spread by
    /// [`PreloadPolicy::loads_per_second`](crate::PreloadPolicy::loads_per_second) and
    /// [`PreloadPolicy::burst`](crate::PreloadPolicy::burst), so a long list takes its time. It
    /// works whatever the [`PreloadPolicy::mode`](crate::PreloadPolicy::mode), and fails with no
    /// key: what came of them is counted.
    ///
    /// Dropping the future ends no load that has begun; keys whose turn has not come are not
    /// loaded.
    pub async fn preload<'a, Q>(&self, keys: impl IntoIterator<Item = &'a Q>) -> Preloaded
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + ?Sized + 'a,
    {
        let keys: Vec<K> = keys.into_iter().map(ToOwned::to_owned).collect();
        self.core.preload_now(keys, Need::Fresh).await
    }

    /// Loads keys from the source although they may be held fresh, and waits until they are there:
    /// for what is to be renewed at set times, and not when it is read. What was held is served
    /// until then, and stays where the load fails. Else as [`Resource::preload`].
    pub async fn renew<'a, Q>(&self, keys: impl IntoIterator<Item = &'a Q>) -> Preloaded
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + ?Sized + 'a,
    {
        let keys: Vec<K> = keys.into_iter().map(ToOwned::to_owned).collect();
        self.renew_since(keys, self.core.clock.now()).await
    }

    /// The same, but for keys whose loads began at this moment or later.
    pub(crate) async fn renew_since(&self, mut keys: Vec<K>, since: Moment) -> Preloaded {
        let mut seen = HashSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        self.core.preload_now(keys, Need::Since(since)).await
    }
}

/// What is needed of keys that are loaded ahead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Whatever is fresh.
    Fresh,
    /// What the source has had at this moment or later.
    Since(Moment),
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    async fn preload_now(self: &Arc<Self>, keys: Vec<K>, need: Need) -> Preloaded {
        let per_call = self.source.loader.keys_per_call().max(1);
        let calls_max = self.policy.source.preload_slots();
        let calls: Vec<_> = keys.chunks(per_call).map(<[K]>::to_vec).collect();
        futures_util::stream::iter(calls)
            .map(|keys| self.preload_call(keys, need))
            .buffer_unordered(calls_max)
            .fold(Preloaded::default(), async |sum, call| sum.plus(call))
            .await
    }

    /// Loads the keys of one call of the loader, and waits for them.
    async fn preload_call(self: &Arc<Self>, keys: Vec<K>, need: Need) -> Preloaded {
        // Nothing waits between the begin of a flight and its launch: readers may have joined it.
        for _ in &keys {
            self.await_token().await;
        }
        let urgency = Arc::new(Urgency::new(Origin::Preload.into()));
        let mut call = Preloaded::default();
        let mut trips: Trips<K, V> = SmallVec::new();
        for key in keys {
            let hash = self.fence.hash(&key);
            let candidate = Candidate::new(key, hash, 1.0, Reason::Requested);
            let begun = self.board_ahead(candidate, need, &urgency, self.clock.now());
            if begun.is_err() {
                self.ahead.state.lock().bucket.give_back();
            }
            match begun {
                Ok(trip) => trips.push(trip),
                Err(NotBegun::NotNeeded) => call.held += 1,
                Err(NotBegun::Refused) => call.refused += 1,
            }
        }
        let flights: Vec<_> = trips.iter().map(|trip| Arc::clone(&trip.flight)).collect();
        if !trips.is_empty() {
            self.launch(trips, urgency);
        }
        for flight in flights {
            match flight.load().outcome().await {
                Ok(arrival) if arrival.entry.value().is_some() => call.loaded += 1,
                Ok(_) => call.absent += 1,
                Err(_) => call.failed += 1,
            }
        }
        call
    }

    async fn await_token(&self) {
        loop {
            let now = self.clock.now();
            let next = {
                let mut state = self.ahead.state.lock();
                if state.bucket.take(now) {
                    return;
                }
                state.bucket.next_at(now)
            };
            task::sleep_until(self.clock.instant(next)).await;
        }
    }
}
