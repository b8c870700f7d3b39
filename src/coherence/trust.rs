//! Until when memory may be served without asking anybody.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;

/// The lease under which memory is served: until then, every invalidation that was acknowledged
/// anywhere more than a *window* ago is known to have been heeded here.
///
/// It runs from the moment at which a poll was sent that has been answered, never from that of the
/// answer: what was acknowledged in between is not in it. (Gray and Cheriton, "Leases", SOSP 1989.)
/// What was loaded within the window needs no lease.
#[derive(Debug)]
pub(crate) struct Trust {
    until: AtomicU64,
    /// `None` if there is nobody to hear from.
    window: Option<Duration>,
}

/// By how much [`Clock::recent`](crate::Clock), which hits use, may be behind.
const COARSE_ERROR: Duration = Duration::from_millis(20);

impl Trust {
    /// That of an engine without an L2: nobody else can invalidate anything.
    pub(crate) const fn unlimited() -> Self {
        Self { until: AtomicU64::new(Moment::NEVER.to_bits()), window: None }
    }

    /// One that is yet to be given.
    pub(crate) const fn within(window: Duration) -> Self {
        Self { until: AtomicU64::new(0), window: Some(window) }
    }

    /// Extends the lease: a poll that was sent at this moment has been answered and heeded.
    pub(crate) fn extend(&self, sent_at: Moment) {
        if let Some(window) = self.window {
            let until = sent_at.plus(window.saturating_sub(COARSE_ERROR));
            self.until.fetch_max(until.to_bits(), Relaxed);
        }
    }

    /// Whether whatever is in memory may be served.
    #[inline]
    pub(crate) fn holds(&self, now: Moment) -> bool {
        now.to_bits() < self.until.load(Relaxed)
    }

    /// Whether what began to be loaded at `since` may be served, or waited for.
    pub(crate) fn holds_for(&self, since: Moment, now: Moment) -> bool {
        self.holds(now) || self.window.is_some_and(|window| now < since.plus(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_micros(millis * 1_000)
    }

    #[test]
    fn it_lasts_a_window_from_when_a_poll_was_sent() {
        let trust = Trust::within(Duration::from_secs(2));
        assert!(!trust.holds(at(0)));
        trust.extend(at(100));
        assert!(trust.holds(at(2_079)) && !trust.holds(at(2_080)));
        // An answer that was overtaken takes nothing back.
        trust.extend(at(50));
        assert!(trust.holds(at(2_079)));
    }

    #[test]
    fn what_is_young_needs_no_lease() {
        let trust = Trust::within(Duration::from_secs(2));
        assert!(trust.holds_for(at(10), at(2_009)) && !trust.holds_for(at(10), at(2_010)));
        assert!(Trust::unlimited().holds_for(at(0), at(1 << 40)));
    }
}
