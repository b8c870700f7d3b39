//! Says the same thing now and then instead of always.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;

/// Lets one log line of a kind through in a while, however often there is reason for one.
#[derive(Debug)]
pub(crate) struct Quiet {
    next_micros: AtomicU64,
    unsaid: AtomicU64,
}

/// The time between two lines of a kind.
const SPACING: Duration = Duration::from_secs(10);

impl Quiet {
    pub(crate) const fn new() -> Self {
        Self { next_micros: AtomicU64::new(0), unsaid: AtomicU64::new(0) }
    }

    /// Whether a line may be written now; gives how many were not since the last one.
    pub(crate) fn may_speak(&self, now: Moment) -> Option<u64> {
        let next = self.next_micros.load(Relaxed);
        let later = now.plus(SPACING).as_micros();
        let may = now.as_micros() >= next
            && self.next_micros.compare_exchange(next, later, Relaxed, Relaxed).is_ok();
        if may {
            return Some(self.unsaid.swap(0, Relaxed));
        }
        self.unsaid.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_failures_are_a_few_lines_that_count_them() {
        let quiet = Quiet::new();
        let mut said = Vec::new();
        for nth in 0..1_000 {
            let now = Moment::START.plus(Duration::from_millis(25 * nth));
            said.extend(quiet.may_speak(now));
        }
        assert_eq!(said, [0, 399, 399]);
    }
}
