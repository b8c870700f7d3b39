//! What L2 is asked of the runs of jobs.

use std::pin::pin;
use std::time::Duration;

use jiff::Timestamp;

use super::{L2, MISCOUNT};
use crate::metrics::L2Op;
use crate::task;
use crate::tier::{EndRun, JobMemory, Node, RenewRun, RunRow, RunTaken, TakeRun, TierError};

/// What L2 says of jobs that are met.
pub(crate) enum Met {
    Known(Vec<JobMemory>),
    /// It can keep no runs.
    NotKept,
    /// It did not answer.
    Unheard,
}

impl L2 {
    /// What this engine is called.
    pub(crate) const fn node(&self) -> Node {
        self.node
    }

    pub(crate) async fn meet_jobs(&self, jobs: &[&str], at: Timestamp) -> Met {
        let mut is_kept = true;
        let work = async {
            let met = self.tier.meet_jobs(jobs, at).await;
            if met.as_ref().is_err_and(TierError::is_not_kept) {
                is_kept = false;
                return Ok(Vec::new());
            }
            let met = met?;
            if met.len() == jobs.len() { Ok(met) } else { Err(TierError::new(MISCOUNT)) }
        };
        match self.call(L2Op::MeetJobs, self.config.write_timeout, work).await {
            Some(_) if !is_kept => Met::NotKept,
            Some(met) => Met::Known(met),
            None => Met::Unheard,
        }
    }

    pub(crate) async fn take_run(&self, run: &TakeRun<'_>) -> Option<RunTaken> {
        self.call(L2Op::TakeRun, self.config.write_timeout, self.tier.take_run(run)).await
    }

    pub(crate) async fn end_run(&self, run: &EndRun<'_>) -> Option<bool> {
        self.call(L2Op::EndRun, self.config.write_timeout, self.tier.end_run(run)).await
    }

    pub(crate) async fn runs(&self, job: &str, count: u32) -> Option<Vec<RunRow>> {
        self.call(L2Op::Runs, self.config.read_timeout, self.tier.runs(job, count)).await
    }

    pub(crate) async fn lapsed_runs(&self, jobs: &[&str]) -> Option<Vec<RunRow>> {
        self.call(L2Op::LapsedRuns, self.config.write_timeout, self.tier.lapsed_runs(jobs)).await
    }

    /// Renews leases, from whatever runtime. It is not held back by the breaker: how other calls get
    /// on says nothing of the connection that this one has for itself.
    pub(crate) async fn renew_runs(
        &self,
        runs: &[RenewRun<'_>],
        timeout: Duration,
    ) -> Option<Vec<bool>> {
        let work = async {
            let renewed = self.tier.renew_runs(runs).await?;
            if renewed.len() == runs.len() { Ok(renewed) } else { Err(TierError::new(MISCOUNT)) }
        };
        let until = self.clock.instant(self.clock.now().plus(timeout));
        let answer = task::timeout_at(until, pin!(work))
            .await
            .unwrap_or_else(|| Err(TierError::new(format!("no answer within {timeout:?}"))));
        answer.inspect_err(|error| self.note_failure(L2Op::RenewRuns, error)).ok()
    }
}
