//! The log of runs in L2, in words that other versions understand.

use std::sync::Arc;

use jiff::Timestamp;

use super::core::JobCore;
use super::due::Due;
use super::jobs::Jobs;
use super::log::{Run, RunOutcome, RunReason};
use crate::coherence::L2;
use crate::tier::RunRow;

impl RunReason {
    const ALL: [Self; 3] = [Self::Due, Self::CatchUp, Self::Manual];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::CatchUp => "catch_up",
            Self::Manual => "manual",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

impl Due {
    /// What the run is of, on whichever engine.
    pub(super) fn instant(&self) -> String {
        match self.reason {
            RunReason::Manual => self.run_id.to_string(),
            _ => self.scheduled.to_string(),
        }
    }

    /// A run that another engine has left; `None` if it is in words of a later version.
    pub(super) fn left(row: &RunRow) -> Option<Self> {
        let reason = RunReason::of(&row.reason)?;
        let is_manual = reason == RunReason::Manual;
        // The row has it to the microsecond only.
        let scheduled =
            if is_manual { row.scheduled } else { row.instant.parse::<Timestamp>().ok()? };
        let due = Self::adopted(row.run_id, scheduled, reason);
        (due.instant() == row.instant).then_some(due)
    }
}

impl JobCore {
    /// The newest runs: those of all engines as L2 knows them, and what only this one knows.
    pub(super) async fn newest(&self, jobs: &Jobs, count: usize) -> Vec<Run> {
        let mut runs = self.newest_here(jobs, usize::MAX);
        if let Some(l2) = jobs.l2.as_ref().filter(|_| self.is_shared) {
            let stored = self.newest_stored(l2, count).await;
            runs.retain(|run| stored.iter().all(|stored| stored.run_id != run.run_id));
            runs.extend(stored);
            runs.sort_by_key(|run| std::cmp::Reverse(run.scheduled));
        }
        runs.truncate(count);
        runs
    }

    /// The newest runs that L2 knows; none if it does not answer.
    pub(super) async fn newest_stored(&self, l2: &L2, count: usize) -> Vec<Run> {
        let asked = count.min(self.policy.log_runs_max);
        let rows = l2.runs(&self.full_name, u32::try_from(asked).unwrap_or(u32::MAX)).await;
        rows.unwrap_or_default().into_iter().filter_map(|row| self.stored(row)).collect()
    }

    fn stored(&self, row: RunRow) -> Option<Run> {
        let outcome = row.outcome.as_deref();
        Some(Run {
            run_id: row.run_id,
            job: Arc::clone(&self.name),
            reason: RunReason::of(&row.reason)?,
            scheduled: row.scheduled,
            started: Some(row.started),
            ended: row.ended,
            took: row.took,
            attempts: usize::try_from(row.attempts).unwrap_or_default(),
            outcome: match outcome {
                None => None,
                Some(word) => Some(RunOutcome::of(word)?),
            },
            error: row.error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tier::RunId;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for reason in RunReason::ALL {
            assert_eq!(RunReason::of(reason.word()), Some(reason));
        }
        for outcome in RunOutcome::ALL {
            assert_eq!(RunOutcome::of(outcome.label()), Some(outcome));
        }
        assert_eq!(RunOutcome::of("of a later version"), None);
    }

    #[test]
    fn a_run_is_recognised_by_what_it_is_of() {
        let scheduled: Timestamp = "2026-03-10T12:00:00.123456789Z".parse().unwrap();
        for reason in RunReason::ALL {
            let due = Due::adopted(RunId(7), scheduled, reason);
            let row = RunRow {
                job: "p:job".to_owned(),
                instant: due.instant(),
                scheduled: Timestamp::from_microsecond(scheduled.as_microsecond()).unwrap(),
                run_id: RunId(7),
                reason: reason.word().to_owned(),
                by: crate::tier::Node(1),
                started: scheduled,
                ended: None,
                took: None,
                attempts: 1,
                outcome: None,
                error: None,
            };
            assert_eq!(Due::left(&row).unwrap().instant(), row.instant);
            assert_eq!(Due::left(&RunRow { reason: "whim".to_owned(), ..row }), None);
        }
    }
}
