//! How long unread preloads stay.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

/// How long preloads that nobody read have stayed lately: a moving average.
#[derive(Debug)]
pub(super) struct Residence {
    /// In seconds; NaN until one had to leave.
    secs_bits: AtomicU32,
}

/// What the newest stay weighs.
const NEWEST: f32 = 0.05;

impl Residence {
    pub(super) const fn new() -> Self {
        Self { secs_bits: AtomicU32::new(f32::NAN.to_bits()) }
    }

    /// Notes that one had to leave after this time.
    pub(super) fn note(&self, stay: Duration) {
        let (known, newest) = (self.secs(), stay.as_secs_f32());
        let secs = if known.is_nan() { newest } else { known + NEWEST * (newest - known) };
        self.secs_bits.store(secs.to_bits(), Relaxed);
    }

    pub(super) fn estimate(&self) -> Option<Duration> {
        Duration::try_from_secs_f32(self.secs()).ok()
    }

    fn secs(&self) -> f32 {
        f32::from_bits(self.secs_bits.load(Relaxed))
    }
}
