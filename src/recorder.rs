//! What a read costs its reader: the weights that reads are recorded with, and the memory of keys
//! that are not resident.

use std::time::Duration;

use crate::clock::Moment;
use crate::score::{Decay, Past, Reads, half_life_micros};

pub(crate) use self::table::Table;

mod table;

/// The weights of reads.
///
/// Two clocks run: time, for the score that people see, and the reads served, for the rank that
/// decides evictions. A half-life of the second is a number of reads in proportion to the entries
/// held, so that a busy cache and a quiet one forget at the pace of their own turnover.
#[derive(Debug)]
pub(crate) struct Recorder {
    time: Decay,
    turnover: Decay,
}

/// A half-life of the rank in reads, per entry that fits. Sixteen was the best of 4, 16 and 64 on
/// ten traces, and the others were close.
const READS_PER_ENTRY: u64 = 16;

impl Recorder {
    /// A recorder for a segment of about `entries` entries.
    pub(crate) fn new(half_life: Duration, entries: u64) -> Self {
        let turnover = entries.saturating_mul(READS_PER_ENTRY).max(READS_PER_ENTRY);
        Self { time: Decay::new(half_life_micros(half_life)), turnover: Decay::new(turnover) }
    }

    /// Records a read of a resident key.
    #[inline]
    pub(crate) fn record(&self, reads: &Reads, now: Moment) {
        reads.record(now, self.time.weight(now.as_micros()), self.turnover.current());
    }

    /// A past with one read more.
    pub(crate) fn with_read(&self, past: Past, now: Moment) -> Past {
        past.with_read(now, self.time.weight(now.as_micros()), self.turnover.current())
    }

    /// Moves the turnover on to `reads` reads served.
    pub(crate) fn turn(&self, reads: u64) {
        self.turnover.weight(reads);
    }

    /// A key's score at `now`: its reads, each weighing `2^-(age / half-life)`.
    pub(crate) fn score(&self, past: &Past, now: Moment) -> f64 {
        self.time.count(past.score, now.as_micros())
    }

    /// How many recent reads a rank stands for.
    pub(crate) fn recent_reads(&self, rank: f64) -> f64 {
        rank / self.turnover.current()
    }

    /// The decay of scores, for rescaling.
    pub(crate) fn time(&self) -> &Decay {
        &self.time
    }

    /// The decay of ranks, for rescaling.
    pub(crate) fn turnover(&self) -> &Decay {
        &self.turnover
    }
}
