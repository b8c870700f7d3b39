//! What the memory tier counts.

use std::sync::Arc;

use crate::entry::{Entry, Why};
use crate::metrics::{Counters, Eviction, Full, Preload, PreloadOutcome};
use crate::predictor::Calibration;

/// What the memory tier counts.
#[derive(Debug)]
pub(crate) struct L1Tally {
    pub(crate) evictions: Counters<Eviction>,
    pub(crate) preloads: Counters<Preload>,
    pub(crate) full: Counters<Full>,
    /// What came of predictions.
    pub(crate) calibration: Arc<Calibration>,
}

impl L1Tally {
    pub(crate) fn new() -> Self {
        Self {
            evictions: Counters::new(),
            preloads: Counters::new(),
            full: Counters::new(),
            calibration: Arc::new(Calibration::new()),
        }
    }

    /// Counts an entry that left, and a preload that nobody read.
    pub(super) fn left<K, V>(&self, entry: &Entry<K, V>, why: Eviction) {
        self.evictions.one(why);
        self.settle_unread(entry);
    }

    /// Counts a preload that nobody read in the hot segment.
    pub(crate) fn settle_unread<K, V>(&self, entry: &Entry<K, V>) {
        if entry.settle() {
            self.preloads.one(Preload(entry.why().reason, PreloadOutcome::Wasted));
            self.keep_score(entry.why(), false);
        }
    }

    /// Keeps the score of a preload that was read, or that nobody read.
    pub(crate) fn keep_score(&self, why: Why, came_true: bool) {
        if let Some(cell) = why.cell {
            if came_true {
                self.calibration.came_true(cell);
            }
            self.calibration.score(f64::from(why.probability), came_true);
        }
    }
}
