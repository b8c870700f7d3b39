//! A job as its users see it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::core::{Figures, JobCore};
use super::jobs::Jobs;
use super::log::Run;
use super::policy::JobPolicy;
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

    /// The policy.
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
            triggers: self.core.policy.triggers.iter().map(ToString::to_string).collect(),
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
