//! The figures of a node, as it writes them while it runs.

use std::fs;
use std::io;
use std::ops::AddAssign;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::stats::ResourceStats;

/// How the reads of a node were answered so far.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Totals {
    pub(super) reads: u64,
    pub(super) l1: u64,
    pub(super) l2: u64,
    pub(super) source: u64,
    pub(super) stale_on_error: u64,
    pub(super) errors: u64,
    pub(super) loads: u64,
    /// The changes that were made, of one key or of many.
    pub(super) changes: u64,
}

impl Totals {
    pub(super) fn of(stats: &ResourceStats, changes: u64) -> Self {
        Self {
            reads: stats.total_accesses,
            l1: stats.l1_hits + stats.l1_stale,
            l2: stats.l2_hits,
            source: stats.misses,
            stale_on_error: stats.stale_on_error,
            errors: stats.errors,
            loads: stats.loads,
            changes,
        }
    }

    /// Writes them where they are read, at once or not at all.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, serde_json::to_vec(self)?)?;
        fs::rename(&unfinished, path)
    }

    /// What a node has written; nothing, if it has not got so far.
    pub(super) fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.reads += other.reads;
        self.l1 += other.l1;
        self.l2 += other.l2;
        self.source += other.source;
        self.stale_on_error += other.stale_on_error;
        self.errors += other.errors;
        self.loads += other.loads;
        self.changes += other.changes;
    }
}
