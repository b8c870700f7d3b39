//! A tier without what keeps old values out: the control, in which stale reads must be found.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::tier::{
    Ask, Begun, Cursor, Fill, Filled, HotSum, Invalidation, Mark, Node, Permit, Polled, Swept,
    Tier, TierError, TierSize, Want,
};

/// A tier that stores values whose permits no longer stand, and tells nobody what others change.
#[derive(Debug)]
pub(super) struct Unfenced<T> {
    tier: T,
    permits: AtomicU64,
}

/// For the moment in which a value is stored.
const PERMIT_FOR: Duration = Duration::from_secs(1);

impl<T> Unfenced<T> {
    /// `permits` is the first of those that it makes up.
    pub(super) const fn new(tier: T, permits: u64) -> Self {
        Self { tier, permits: AtomicU64::new(permits) }
    }
}

impl<T: Tier> Unfenced<T> {
    /// Stores a value with a permit that is as new as can be.
    async fn force(&self, fill: &Fill<'_>) -> Result<Filled, TierError> {
        let permit = Permit(self.permits.fetch_add(1, Relaxed));
        let ask = Ask { key: fill.key, permit, want: Want::Permit };
        let begun = self.tier.begin(&[ask], PERMIT_FOR).await?;
        if begun != [Begun::Permit] {
            return Ok(Filled::Refused);
        }
        let filled = self.tier.fill(&[Fill { permit, ..*fill }]).await?;
        Ok(filled.first().copied().unwrap_or(Filled::Refused))
    }
}

impl<T: Tier> Tier for Unfenced<T> {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        self.tier.begin(asks, permit_for).await
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        let mut filled = self.tier.fill(fills).await?;
        for (filled, fill) in filled.iter_mut().zip(fills) {
            if *filled == Filled::Refused {
                *filled = self.force(fill).await?;
            }
        }
        Ok(filled)
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        self.tier.release(permits).await
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        self.tier.put(by, puts, since).await
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        self.tier.invalidate(by, invalidations).await
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        self.tier.expire(by, keys).await
    }

    async fn poll(&self, _since: &Cursor) -> Result<Polled, TierError> {
        let cursor = Cursor(vec![Mark { incarnation: 1, position: 1 }]);
        Ok(Polled { cursor, ..Polled::default() })
    }

    async fn merge_hot(
        &self,
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Vec<HotSum>, TierError> {
        self.tier.merge_hot(by, resource, hot, keep_for).await
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
