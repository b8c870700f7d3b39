//! The log of runs: one row for each, newest first, bounded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::clock::Moment;
use crate::metrics::{Event, JOB_RUNS};
use crate::tier::RunId;

/// A run of a job, as the log has it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Run {
    /// What names this run, and no other one.
    pub run_id: RunId,
    /// The job.
    #[serde(serialize_with = "as_text")]
    pub job: Arc<str>,
    /// Why it is run.
    pub reason: RunReason,
    /// The instant at which it was due, or asked for.
    pub scheduled: Timestamp,
    /// When its first attempt began; `None` while it waits, and if it never began.
    pub started: Option<Timestamp>,
    /// When it ended; `None` until then.
    pub ended: Option<Timestamp>,
    /// How long it took, by a clock that does not step.
    #[serde(with = "crate::span::optional")]
    pub took: Option<Duration>,
    /// The attempts that have begun.
    pub attempts: usize,
    /// How it ended; `None` until then.
    pub outcome: Option<RunOutcome>,
    /// What the last attempt failed with.
    pub error: Option<String>,
}

fn as_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Why a job is run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunReason {
    /// It was due.
    Due,
    /// It had come due while nobody looked.
    CatchUp,
    /// Somebody asked for it.
    Manual,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunOutcome {
    /// It did what it should.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// It had not ended by its deadline.
    Deadline,
    /// It panicked.
    Panicked,
    /// The engine was shut down before it had ended. Of a run that engines share, another one goes on
    /// with it.
    Aborted,
    /// It could not be started in time.
    Missed,
    /// L2 did not say in time whether another engine runs it.
    Unclaimed,
    /// L2 did not say in time that it was still this engine's, or said that it was not. It was
    /// broken off, since another engine may have begun it.
    LeaseLost,
}

impl RunOutcome {
    pub(super) const ALL: [Self; 8] = [
        Self::Succeeded,
        Self::Failed,
        Self::Deadline,
        Self::Panicked,
        Self::Aborted,
        Self::Missed,
        Self::Unclaimed,
        Self::LeaseLost,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Deadline => "deadline",
            Self::Panicked => "panicked",
            Self::Aborted => "aborted",
            Self::Missed => "missed",
            Self::Unclaimed => "unclaimed",
            Self::LeaseLost => "lease_lost",
        }
    }

    pub(super) fn of(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.label() == label)
    }
}

impl Event for RunOutcome {
    fn all() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter()
    }

    fn index(self) -> usize {
        self as usize
    }

    fn metric(self) -> &'static str {
        JOB_RUNS
    }

    fn labels(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        std::iter::once(("outcome", self.label()))
    }
}

/// The runs of one job, oldest first.
#[derive(Debug)]
pub(super) struct RunLog {
    rows: VecDeque<Row>,
    kept_for: Duration,
    runs_max: usize,
}

#[derive(Debug)]
struct Row {
    run: Run,
    began: Moment,
    ended: Option<Moment>,
}

/// The longest text of an error that is kept.
const ERROR_CHARS_MAX: usize = 1_000;

impl RunLog {
    pub(super) const fn new(kept_for: Duration, runs_max: usize) -> Self {
        Self { rows: VecDeque::new(), kept_for, runs_max }
    }

    /// Notes a run that waits, or that begins with [`RunLog::attempt`].
    pub(super) fn add(&mut self, run: Run, now: Moment) {
        self.forget(now);
        // One that was lost and has come back goes on.
        if let Some(row) = self.row(run.run_id) {
            (row.ended, row.run.ended, row.run.outcome) = (None, None, None);
            return;
        }
        while self.rows.len() >= self.runs_max {
            self.rows.pop_front();
        }
        self.rows.push_back(Row { run, began: now, ended: None });
    }

    /// Notes that an attempt begins, which is this one in all.
    pub(super) fn attempt(&mut self, run_id: RunId, nth: usize, now: Moment, wall: Timestamp) {
        if let Some(row) = self.row(run_id) {
            row.run.attempts = nth;
            if row.run.started.is_none() {
                (row.run.started, row.began) = (Some(wall), now);
            }
        }
    }

    /// Notes that an attempt has failed.
    pub(super) fn failure(&mut self, run_id: RunId, error: &str) {
        if let Some(row) = self.row(run_id) {
            row.run.error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
        }
    }

    /// Notes how a run ended.
    pub(super) fn end(&mut self, run_id: RunId, outcome: RunOutcome, now: Moment, wall: Timestamp) {
        if let Some(row) = self.row(run_id) {
            row.ended = Some(now);
            row.run.ended = Some(wall);
            row.run.took = row.run.started.map(|_| now.since(row.began));
            row.run.outcome = Some(outcome);
            if outcome == RunOutcome::Succeeded {
                row.run.error = None;
            }
        }
    }

    /// The newest runs, newest first.
    pub(super) fn newest(&mut self, count: usize, now: Moment) -> Vec<Run> {
        self.forget(now);
        self.rows.iter().rev().take(count).map(|row| row.run.clone()).collect()
    }

    /// A run, if it is still there.
    pub(super) fn find(&self, run_id: RunId) -> Option<&Run> {
        self.rows.iter().rev().map(|row| &row.run).find(|run| run.run_id == run_id)
    }

    fn forget(&mut self, now: Moment) {
        let kept_for = self.kept_for;
        self.rows.retain(|row| row.ended.is_none_or(|ended| now.since(ended) < kept_for));
    }

    /// The row of a run, if it is still there. Those that change are among the newest.
    fn row(&mut self, run_id: RunId) -> Option<&mut Row> {
        self.rows.iter_mut().rev().find(|row| row.run.run_id == run_id)
    }
}

impl Run {
    /// A run that has not begun.
    pub(super) fn waiting(
        run_id: RunId,
        job: &Arc<str>,
        reason: RunReason,
        scheduled: Timestamp,
    ) -> Self {
        Self {
            run_id,
            job: Arc::clone(job),
            reason,
            scheduled,
            started: None,
            ended: None,
            took: None,
            attempts: 0,
            outcome: None,
            error: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(nth: u64) -> Run {
        Run::waiting(RunId(nth), &"nightly".into(), RunReason::Due, Timestamp::UNIX_EPOCH)
    }

    fn at(secs: u64) -> Moment {
        Moment::from_micros(secs * 1_000_000)
    }

    fn ids(log: &mut RunLog, now: Moment) -> Vec<u64> {
        log.newest(10, now).iter().map(|run| run.run_id.0).collect()
    }

    #[test]
    fn the_log_is_bounded_by_number_and_by_age() {
        let mut log = RunLog::new(Duration::from_secs(10), 3);
        for nth in 1..=4 {
            log.add(run(nth), at(nth));
        }
        assert_eq!(ids(&mut log, at(4)), [4, 3, 2]);
        assert_eq!(log.newest(1, at(4)).len(), 1);
        log.end(RunId(3), RunOutcome::Succeeded, at(5), Timestamp::UNIX_EPOCH);
        assert_eq!(ids(&mut log, at(14)), [4, 3, 2]);
        assert_eq!(ids(&mut log, at(15)), [4, 2], "what has not ended stays");
    }

    #[test]
    fn a_run_is_one_row_from_beginning_to_end() {
        let mut log = RunLog::new(Duration::from_secs(10), 3);
        let wall = Timestamp::UNIX_EPOCH;
        log.add(run(1), at(0));
        log.attempt(RunId(1), 1, at(1), wall);
        log.failure(RunId(1), &"é".repeat(5_000));
        log.attempt(RunId(1), 2, at(3), wall);
        // The wall clock was set back meanwhile.
        log.end(RunId(1), RunOutcome::Failed, at(4), Timestamp::from_second(-60).unwrap());
        let [row] = &log.newest(10, at(4))[..] else { panic!("there is one row") };
        assert_eq!((row.attempts, row.took), (2, Some(Duration::from_secs(3))));
        assert_eq!(row.error.as_ref().unwrap().chars().count(), ERROR_CHARS_MAX);
        let json = serde_json::to_value(row).unwrap();
        assert_eq!(json["run_id"], "0000000000000001");
        assert_eq!((&json["outcome"], &json["took"]), (&"failed".into(), &"3s".into()));
    }

    #[test]
    fn every_outcome_has_its_own_place() {
        for (place, outcome) in RunOutcome::all().enumerate() {
            assert_eq!(outcome.index(), place);
        }
    }
}
