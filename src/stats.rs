//! Figures of a resource.

use serde::Serialize;

use crate::limits::BreakerState;
use crate::predictor::PredictionStats;

/// Figures of a resource, since it was built; those that are states, as of now.
///
/// The first seven are those of an older system, under the names that it gave them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResourceStats {
    /// Reads.
    pub total_accesses: u64,
    /// Keys whose reads are known, in memory or not.
    pub tracked_patterns: u64,
    /// Pairs of keys that are read one after the other, over all resources of the engine.
    pub associations: u64,
    /// Keys whose preload has begun, whatever came of it.
    pub preload_count: u64,
    /// Keys loaded ahead that were read before they left.
    pub preload_hits: u64,
    /// `preload_hits / preload_count`; 0 before the first.
    pub preload_hit_rate: f64,
    /// Keys that are loading, or waiting to be loaded.
    pub active_tasks: u64,

    /// The resource.
    pub resource: String,
    /// Reads that memory answered with a fresh value, or with "no such thing".
    pub l1_hits: u64,
    /// Reads that memory answered with a stale value, which was renewed behind the reader.
    pub l1_stale: u64,
    /// Reads that L2 answered.
    pub l2_hits: u64,
    /// Reads that waited for the source.
    pub misses: u64,
    /// Reads that got an old value because the source failed.
    pub stale_on_error: u64,
    /// Reads that got an error.
    pub errors: u64,
    /// Keys asked of the source, again for each attempt.
    pub loads: u64,
    /// Those that the source did not answer.
    pub load_failures: u64,
    /// Loads that renewed a key that was held.
    pub refreshes: u64,
    /// Preloads that left unread.
    pub preloads_wasted: u64,
    /// Preloads that somebody asked for while they were loading.
    pub preloads_late: u64,
    /// Preloads whose load failed.
    pub preloads_failed: u64,
    /// Preloads that a limit did not let start.
    pub preloads_refused: u64,
    /// Keys that were not likely enough to be loaded ahead, and that L2 did not hold to be copied.
    pub preloads_not_held: u64,
    /// Entries in memory.
    pub entries: u64,
    /// Their weight, in the unit of the capacity.
    pub weight: u64,
    /// The most that memory keeps, in bytes or entries.
    pub capacity: u64,
    /// Invalidations that wait for L2.
    pub queued_invalidations: u64,
    /// Whether the source is asked.
    pub breaker: BreakerState,
    /// The time within which 95 of 100 loads end, in milliseconds.
    pub load_time_p95_ms: f64,
    /// How good the predictions are.
    pub predictions: PredictionStats,
}

impl ResourceStats {
    /// The share of reads that did not wait for the source, 0 to 1; 0 before the first.
    #[must_use]
    pub fn hit_ratio(&self) -> f64 {
        ratio(self.l1_hits + self.l1_stale + self.l2_hits, self.total_accesses)
    }
}

/// A share, or 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a ratio")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
