//! What a job is told, and what it can fail with.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::log::RunReason;
use crate::clock::{Clock, Moment};
use crate::task::Tasks;
use crate::tier::RunId;

/// What an attempt of a run is told.
#[derive(Clone, Debug)]
pub struct JobContext {
    pub(super) job: Arc<str>,
    pub(super) run_id: RunId,
    pub(super) reason: RunReason,
    pub(super) scheduled: Timestamp,
    /// The moment of `scheduled`, as it was when the run began: steps of the wall clock between
    /// attempts do not move it.
    pub(super) due_at: Moment,
    pub(super) attempt: usize,
    pub(super) deadline: Moment,
    pub(super) clock: Clock,
    pub(super) tasks: Arc<Tasks>,
}

impl JobContext {
    /// The name of the job.
    #[must_use]
    pub fn job(&self) -> &str {
        &self.job
    }

    /// What names the run, in all its attempts, on whichever engines.
    #[must_use]
    pub const fn run_id(&self) -> RunId {
        self.run_id
    }

    /// Why the job is run.
    #[must_use]
    pub const fn reason(&self) -> RunReason {
        self.reason
    }

    /// The instant at which the run was due, or asked for. Work that is about a day or an hour
    /// should take it from here, since a run may be late.
    #[must_use]
    pub const fn scheduled(&self) -> Timestamp {
        self.scheduled
    }

    /// The moment at which the run was due, or asked for.
    pub(crate) const fn due_at(&self) -> Moment {
        self.due_at
    }

    /// The number of this attempt, from 1. Those of engines that had the run before and have gone, or
    /// have lost it, are counted.
    #[must_use]
    pub const fn attempt(&self) -> usize {
        self.attempt
    }

    /// The time that is left until the run is dropped at its deadline.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.deadline.since(self.clock.now())
    }

    /// Whether the engine is being shut down: then a run should come to an end.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.tasks.is_stopping()
    }

    /// Ends when the engine is being shut down.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + 'static {
        self.tasks.stopped()
    }
}

/// Why an attempt of a job failed. `?` makes one of any error, which is then tried again; see
/// [`JobError::permanent`].
pub struct JobError {
    is_transient: bool,
    source: Box<dyn StdError + Send + Sync>,
}

impl JobError {
    /// A failure that may pass: the run is tried again.
    pub fn transient(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { is_transient: true, source: source.into() }
    }

    /// A failure that will not pass: the run ends with it.
    pub fn permanent(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { is_transient: false, source: source.into() }
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        self.is_transient
    }
}

// Not an error itself, so that it can be made of every error.
impl<E: StdError + Send + Sync + 'static> From<E> for JobError {
    fn from(error: E) -> Self {
        Self::transient(error)
    }
}

impl Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let mut cause = self.source.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobError")
            .field("is_transient", &self.is_transient)
            .field("source", &self.source)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::LoadError;

    #[test]
    fn any_error_makes_one_and_the_causes_are_told() {
        let failing = || -> Result<(), JobError> { Err(LoadError::permanent("no such table"))? };
        let error = failing().unwrap_err();
        assert_eq!(error.to_string(), "permanent failure of the source: no such table");
        assert!(error.is_transient());
        assert!(!JobError::permanent("wrong").is_transient());
    }
}
