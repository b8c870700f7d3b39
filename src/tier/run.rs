//! The runs of jobs, as a store keeps them for all engines: who has which, until when, and how they
//! ended.

use std::fmt::{self, Display};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{Node, Permit};

/// What names a run, whichever engines try it: a random number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RunId(pub u64);

impl Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A run that an engine would do: see [`Tier::take_run`](crate::Tier::take_run).
#[derive(Clone, Copy, Debug)]
pub struct TakeRun<'a> {
    /// The job, as `{prefix}:{name}`.
    pub job: &'a str,
    /// What the run is of, and no other run of the job: the instant, or the id of a run that was
    /// asked for.
    pub instant: &'a str,
    /// When it was due, or asked for; kept to the microsecond.
    pub scheduled: Timestamp,
    /// Whether it was due, so that the job has been handled up to `scheduled`. Otherwise somebody
    /// asked for it.
    pub is_due: bool,
    /// What the run is called, if nobody has tried it before.
    pub run_id: RunId,
    /// Why it is run: a word, which the store keeps as it is.
    pub reason: &'a str,
    /// Who does it.
    pub by: Node,
    /// The right to it, unique for each try to take it, however often that is repeated.
    pub permit: Permit,
    /// When it is taken, on the clock of whoever does.
    pub at: Timestamp,
    /// How long nobody else can take it.
    pub lease_for: Duration,
    /// The most runs of the job whose leases may last at a time.
    pub instances_max: u32,
    /// How long the row is kept, once the run has ended and longer than its lease.
    pub keep_for: Duration,
    /// The most rows of the job that are kept; those of runs that have not ended stay.
    pub rows_max: u32,
    /// Beyond that, rows of what was due later than this stay as well: what was due earlier may still
    /// wait, and would be taken to have been done.
    pub rows_since: Timestamp,
}

/// What became of a try to take a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RunTaken {
    /// It is the caller's.
    Ours {
        /// What it is called.
        run_id: RunId,
        /// The attempts that other engines are known to have begun before.
        attempts_before: u32,
    },
    /// Somebody else does it, or it has been done.
    Theirs,
    /// As many runs of the job are under way as may be.
    Busy,
    /// It was due, by the clock of whoever asks, at an instant that is still to come by that of the
    /// store, a minute and more.
    Early,
}

/// A lease to be renewed: see [`Tier::renew_runs`](crate::Tier::renew_runs).
#[derive(Clone, Copy, Debug)]
pub struct RenewRun<'a> {
    /// The job.
    pub job: &'a str,
    /// What the run is of.
    pub instant: &'a str,
    /// The right by which it was taken.
    pub permit: Permit,
    /// The attempts that have begun, those of other engines included.
    pub attempts: u32,
    /// How long the lease lasts from now on.
    pub lease_for: Duration,
    /// How long the row is kept from now on, and longer than its lease.
    pub keep_for: Duration,
}

/// A run that has come to an end: see [`Tier::end_run`](crate::Tier::end_run).
#[derive(Clone, Copy, Debug)]
pub struct EndRun<'a> {
    /// The job.
    pub job: &'a str,
    /// What the run is of.
    pub instant: &'a str,
    /// The right by which it was taken.
    pub permit: Permit,
    /// How it ended: a word, which the store keeps as it is. Without one it has not ended, and is
    /// given back: others can take it at once.
    pub outcome: Option<&'a str>,
    /// The attempts that have begun, those of other engines included.
    pub attempts: u32,
    /// What the last attempt failed with.
    pub error: Option<&'a str>,
    /// When it ended, on the clock of whoever did it.
    pub at: Timestamp,
    /// How long it took, by a clock that does not step.
    pub took: Duration,
    /// How long the row is kept.
    pub keep_for: Duration,
}

/// What a store knows of a job: see [`Tier::meet_jobs`](crate::Tier::meet_jobs).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct JobMemory {
    /// When it was first met, by whatever engine.
    pub since: Timestamp,
    /// The last instant of which a run has been taken, of those that were due.
    pub handled: Option<Timestamp>,
}

/// A run as a store keeps it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunRow {
    /// The job.
    pub job: String,
    /// What the run is of.
    pub instant: String,
    /// When it was due, or asked for.
    pub scheduled: Timestamp,
    /// What it is called.
    pub run_id: RunId,
    /// Why it is run.
    pub reason: String,
    /// Who had it last.
    pub by: Node,
    /// When it was first taken.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How long it took, on the engine that ended it.
    pub took: Option<Duration>,
    /// The attempts that are known to have begun.
    pub attempts: u32,
    /// How it ended.
    pub outcome: Option<String>,
    /// What the last attempt failed with.
    pub error: Option<String>,
}

/// How much later than a store's own time an instant may be that is taken, in milliseconds. A clock
/// that is further ahead must not handle, for all engines, what is still to come.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(super) const AHEAD_MAX_MS: i64 = 60_000;

/// The most bytes of an error that a store keeps.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
const ERROR_BYTES_MAX: usize = 4_000;

/// An error as it is kept: not longer than that, and without a character that databases refuse.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(super) fn kept(error: &str) -> String {
    let end = error.floor_char_boundary(ERROR_BYTES_MAX);
    error.get(..end).unwrap_or(error).replace('\0', "\u{fffd}")
}

/// A number of microseconds since 1970 as a store has it.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub(super) fn instant_of(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
    #[test]
    fn an_error_is_cut_between_characters() {
        assert_eq!(kept("a\0b"), "a\u{fffd}b");
        let long = kept(&"\u{20ac}".repeat(3_000));
        assert_eq!(long.len(), 3_999);
    }

    #[test]
    fn a_run_id_has_sixteen_digits() {
        assert_eq!(RunId(0xab).to_string(), "00000000000000ab");
    }
}
