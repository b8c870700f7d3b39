//! A job as its users see it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::core::{Figures, JobCore};
use super::jobs::Jobs;
use super::log::Run;
use super::policy::JobPolicy;
use super::trigger::Trigger;
use crate::error::Error;
use crate::tier::RunId;

/// A handle of a job. It is cheap to clone, and does not keep the engine running.
#[derive(Clone)]
pub struct Job {
    pub(super) jobs: Arc<Jobs>,
    pub(super) core: Arc<JobCore>,
}

/// How a job is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JobStatus {
    /// Its name.
    pub name: String,
    /// When it is due, in words.
    pub triggers: Vec<String>,
    /// When it is due next; `None` if it is not, while it is paused or the engine is not started, and
    /// until L2 has said where it goes on.
    pub next_run: Option<Timestamp>,
    /// Whether it is paused.
    pub is_paused: bool,
    /// The runs under way on this engine.
    pub running: usize,
    /// The runs that wait to be started.
    pub waiting: usize,
    /// When a run last succeeded on this engine.
    pub last_success: Option<Timestamp>,
    /// The runs that have failed since then.
    pub consecutive_failures: u64,
}

impl Job {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// The policy as it was declared. When it is due may have been changed since; see
    /// [`Job::triggers`].
    #[must_use]
    pub fn policy(&self) -> &JobPolicy {
        &self.core.policy
    }

    /// Asks for a run now, paused or not. It waits for its turn where as many runs are under way as
    /// may be, over all engines that share an L2; the log has it under the id that this gives.
    ///
    /// # Errors
    ///
    /// 100 runs wait already, the engine was not started yet, or it has been shut down.
    pub fn trigger(&self) -> Result<RunId, Error> {
        self.core.ask(&self.jobs)
    }

    /// When it is due: as it was declared, or as it was last rescheduled.
    #[must_use]
    pub fn triggers(&self) -> Vec<Trigger> {
        self.core.triggers()
    }

    /// Replaces the triggers, on this engine and for as long as it runs; none of them, and it runs
    /// only when it is told to.
    ///
    /// What has come due by now stays due, and waits for its turn as before. What comes next follows
    /// from the new triggers, and is later than now: what they name in the past is not caught up,
    /// and an instant that old and new ones name is run once. A trigger that stays goes on as if
    /// nothing had happened.
    ///
    /// Of engines that share an L2, each has to be told. Until all have been, what the old triggers
    /// name is run as well as what the new ones do, each instant once.
    ///
    /// # Errors
    ///
    /// There are more than 100, the engine was not started yet, or it has been shut down. Then the
    /// old ones stay.
    pub fn reschedule(&self, triggers: Vec<Trigger>) -> Result<(), Error> {
        self.core.reschedule(&self.jobs, triggers)
    }

    /// Stops running it here when it is due. What comes due meanwhile is left out. Runs under way go
    /// on. Other engines go on as well, and the pause ends with this engine.
    pub fn pause(&self) {
        self.core.pause(&self.jobs, true);
    }

    /// Ends a pause.
    pub fn resume(&self) {
        self.core.pause(&self.jobs, false);
    }

    /// The newest runs, newest first. Of a job that engines share, those of all engines, from L2;
    /// while L2 does not answer, and of other jobs, those of this one.
    pub async fn runs(&self, count: usize) -> Vec<Run> {
        self.core.newest(&self.jobs, count).await
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        let Figures { next_run, is_paused, running, waiting, last_success, failures } =
            self.core.figures(&self.jobs);
        JobStatus {
            name: self.core.name.to_string(),
            triggers: self.triggers().iter().map(ToString::to_string).collect(),
            next_run,
            is_paused,
            running,
            waiting,
            last_success,
            consecutive_failures: failures,
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("name", &self.core.name).finish_non_exhaustive()
    }
}
