//! When a statement runs, and how time is stored.

use std::time::Duration;

use super::options::SqliteOptions;
use crate::clock::Clock;

/// When a statement runs, and how much it may leave behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    /// The time, in milliseconds since 1970.
    pub(super) now: i64,
    /// The time of the wall clock, on which all processes agree: for what one of them may do until
    /// another one may.
    pub(super) wall: i64,
    /// How many rows of the log are kept, more or less.
    pub(super) log_rows: i64,
}

/// The log is a hundred bytes a row, and a small part of the file.
const BYTES_PER_LOG_ROW: u64 = 1024;
const LOG_ROWS_MAX: u64 = 100_000;

impl Turn {
    pub(super) fn new(options: &SqliteOptions) -> Self {
        let log_rows = (options.max_bytes / BYTES_PER_LOG_ROW).min(LOG_ROWS_MAX);
        let (now, wall) = (now(&options.clock), wall(&options.clock));
        Self { now, wall, log_rows: log_rows.cast_signed() }
    }
}

/// The time in milliseconds since 1970, on a clock that does not step.
pub(super) fn now(clock: &Clock) -> i64 {
    clock.steady_wall().as_millisecond()
}

/// The time of the wall clock in milliseconds since 1970.
pub(super) fn wall(clock: &Clock) -> i64 {
    clock.wall().as_millisecond()
}

/// A span in whole milliseconds; what is too long to count lasts for ever.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The span between two times, or none if `end` is not after `start`.
pub(super) fn span(start: i64, end: i64) -> Duration {
    Duration::from_millis(u64::try_from(end.saturating_sub(start)).unwrap_or_default())
}
