//! When, and in which use of the file, a statement runs; and how time is stored.

use std::time::Duration;

use crate::clock::Clock;

/// When, and in which use of the file, a statement runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The time, in milliseconds since 1970.
    pub(super) now: i64,
    pub(super) session: i64,
}

impl Turn {
    pub(super) fn new(clock: &Clock, session: i64) -> Self {
        Self { now: now(clock), session }
    }
}

/// The time in milliseconds since 1970, on a clock that does not step.
pub(super) fn now(clock: &Clock) -> i64 {
    clock.steady_wall().as_millisecond()
}

/// A span in whole milliseconds; what is too long to count lasts for ever.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The span between two times, or none if `end` is not after `start`.
pub(super) fn span(start: i64, end: i64) -> Duration {
    Duration::from_millis(u64::try_from(end.saturating_sub(start)).unwrap_or_default())
}
