//! A tier that counts its calls, and fails or hangs when it is told to.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{Ask, Begun, Fill, Filled, Selector, Swept, Tier, TierError, TierSize};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// What a call does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Mood {
    #[default]
    Works,
    Fails,
    Hangs,
}

/// What the tier is told, and what it was asked.
#[derive(Clone, Debug, Default)]
pub(super) struct Told(Arc<State>);

#[derive(Debug, Default)]
struct State {
    calls: Mutex<Calls>,
    invalidated: Notify,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Calls {
    pub(super) begin: u64,
    pub(super) keys_begun: u64,
    pub(super) all: u64,
    reads: Mood,
    writes: Mood,
}

pub(super) struct ToldTier<T> {
    told: Told,
    tier: T,
}

impl Told {
    pub(super) fn tier<T: Tier>(&self, tier: T) -> ToldTier<T> {
        ToldTier { told: self.clone(), tier }
    }

    pub(super) fn calls(&self) -> Calls {
        *self.0.calls.lock()
    }

    pub(super) fn reads(&self, mood: Mood) {
        self.0.calls.lock().reads = mood;
    }

    pub(super) fn writes(&self, mood: Mood) {
        self.0.calls.lock().writes = mood;
    }

    /// Waits until the tier has heard of an invalidation.
    pub(super) async fn invalidated(&self) {
        self.0.invalidated.notified().await;
    }

    async fn obey(&self, mood: Mood) -> Result<(), TierError> {
        self.0.calls.lock().all += 1;
        match mood {
            Mood::Works => Ok(()),
            Mood::Fails => Err(TierError::new("told to fail")),
            Mood::Hangs => pending().await,
        }
    }
}

impl<T: Tier> Tier for ToldTier<T> {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let mood = {
            let mut calls = self.told.0.calls.lock();
            calls.begin += 1;
            calls.keys_begun += asks.len() as u64;
            calls.reads
        };
        self.told.obey(mood).await?;
        self.tier.begin(asks, permit_for).await
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        self.told.obey(self.told.calls().writes).await?;
        self.tier.fill(fills).await
    }

    async fn put(&self, puts: &[Fill<'_>]) -> Result<(), TierError> {
        self.told.obey(self.told.calls().writes).await?;
        self.tier.put(puts).await
    }

    async fn invalidate(&self, selectors: &[Selector<'_>]) -> Result<(), TierError> {
        self.told.obey(self.told.calls().writes).await?;
        self.tier.invalidate(selectors).await?;
        self.told.0.invalidated.notify_one();
        Ok(())
    }

    async fn expire(&self, keys: &[&str]) -> Result<(), TierError> {
        self.told.obey(self.told.calls().writes).await?;
        self.tier.expire(keys).await
    }

    async fn sweep(&self, rows_max: u32) -> Result<Swept, TierError> {
        self.tier.sweep(rows_max).await
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        self.tier.size().await
    }

    async fn close(&self) {
        self.tier.close().await;
    }
}

/// A tier that has nothing and takes nothing, without a file: for paused time.
pub(super) struct Silent(pub(super) Told);

impl Tier for Silent {
    async fn begin(&self, asks: &[Ask<'_>], _: Duration) -> Result<Vec<Begun>, TierError> {
        let mood = {
            let mut calls = self.0.0.calls.lock();
            calls.begin += 1;
            calls.reads
        };
        self.0.obey(mood).await?;
        Ok(vec![Begun::Miss; asks.len()])
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        self.0.obey(self.0.calls().writes).await?;
        Ok(vec![Filled::Refused; fills.len()])
    }

    async fn put(&self, _: &[Fill<'_>]) -> Result<(), TierError> {
        self.0.obey(self.0.calls().writes).await
    }

    async fn invalidate(&self, _: &[Selector<'_>]) -> Result<(), TierError> {
        self.0.obey(self.0.calls().writes).await
    }

    async fn expire(&self, _: &[&str]) -> Result<(), TierError> {
        self.0.obey(self.0.calls().writes).await
    }

    async fn sweep(&self, _: u32) -> Result<Swept, TierError> {
        Ok(Swept::default())
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        Ok(TierSize::default())
    }

    async fn close(&self) {}
}
