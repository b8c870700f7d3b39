//! How fast memory turns over.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;

/// The time from one stored entry to the next: a moving average.
#[derive(Debug)]
pub(super) struct Turnover {
    last_micros: AtomicU64,
    /// In seconds; NaN until it was measured.
    per_entry_bits: AtomicU32,
}

/// What the newest measurement weighs.
const NEWEST: f32 = 0.05;

impl Turnover {
    pub(super) const fn new() -> Self {
        Self { last_micros: AtomicU64::new(0), per_entry_bits: AtomicU32::new(f32::NAN.to_bits()) }
    }

    /// Notes that this many entries were stored since the last call.
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    pub(super) fn note(&self, now: Moment, stored: u64) {
        let last = Moment::from_micros(self.last_micros.swap(now.as_micros(), Relaxed));
        let newest = now.since(last).as_secs_f32() / stored.max(1) as f32;
        let known = f32::from_bits(self.per_entry_bits.load(Relaxed));
        let mean = if known.is_nan() { newest } else { known + NEWEST * (newest - known) };
        self.per_entry_bits.store(mean.to_bits(), Relaxed);
    }

    /// The time in which this many entries are stored.
    #[expect(clippy::cast_precision_loss, reason = "a span")]
    pub(super) fn span(&self, entries: u64) -> Duration {
        let per_entry = f32::from_bits(self.per_entry_bits.load(Relaxed));
        Duration::try_from_secs_f32(per_entry * entries as f32).unwrap_or(Duration::MAX)
    }
}
