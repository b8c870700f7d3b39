//! The figures of an engine, over all of its resources.

use crate::builder::Forewarm;
use crate::stats::ratio;

/// What an engine has counted so far, or within a span.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) reads: u64,
    /// Reads that did not wait for the source.
    pub(super) hits: u64,
    /// Keys asked of the source, for whatever reason.
    pub(super) loads: u64,
    pub(super) preloads: u64,
    /// Preloads that were read before they expired.
    pub(super) useful: u64,
    /// Preloads that left unread.
    pub(super) wasted: u64,
}

impl Totals {
    pub(super) fn of(forewarm: &Forewarm) -> Self {
        forewarm.stats().iter().fold(Self::default(), |sum, stats| Self {
            reads: sum.reads + stats.total_accesses,
            hits: sum.hits + stats.l1_hits + stats.l1_stale + stats.l2_hits,
            loads: sum.loads + stats.loads,
            preloads: sum.preloads + stats.preload_count,
            useful: sum.useful + stats.preload_hits,
            wasted: sum.wasted + stats.preloads_wasted,
        })
    }

    /// What was counted since `earlier`.
    #[must_use]
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            reads: self.reads.saturating_sub(earlier.reads),
            hits: self.hits.saturating_sub(earlier.hits),
            loads: self.loads.saturating_sub(earlier.loads),
            preloads: self.preloads.saturating_sub(earlier.preloads),
            useful: self.useful.saturating_sub(earlier.useful),
            wasted: self.wasted.saturating_sub(earlier.wasted),
        }
    }

    /// The share of the reads that did not wait for the source; 0 before the first.
    pub(super) fn hit_ratio(self) -> f64 {
        ratio(self.hits, self.reads)
    }

    /// The share of the preloads that were read; `None` before the first.
    pub(super) fn precision(self) -> Option<f64> {
        (self.preloads > 0).then(|| ratio(self.useful, self.preloads))
    }
}
