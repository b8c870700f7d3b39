//! The runs of jobs in a simulated store.

use std::collections::BTreeMap;
use std::time::Duration;

use forewarm::{EndRun, JobMemory, Node, Permit, RenewRun, RunId, RunRow, RunTaken, TakeRun};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The runs of all jobs.
#[derive(Clone, Default)]
pub(in crate::sim) struct Runs {
    jobs: BTreeMap<String, Job>,
    /// The time of day in the store, and when it was that.
    wall: Option<(Timestamp, Instant)>,
}

#[derive(Clone)]
struct Job {
    memory: JobMemory,
    cut: Timestamp,
    rows: BTreeMap<String, Row>,
}

#[derive(Clone)]
struct Row {
    row: RunRow,
    is_due: bool,
    permit: Permit,
    lease_until: Instant,
    until: Instant,
}

/// A [`TakeRun`] on its way.
pub(in crate::sim) struct Taking {
    pub(in crate::sim) job: String,
    instant: String,
    scheduled: Timestamp,
    is_due: bool,
    run_id: RunId,
    reason: String,
    by: Node,
    permit: Permit,
    at: Timestamp,
    lease_for: Duration,
    instances_max: usize,
    keep_for: Duration,
    rows_max: usize,
    rows_since: Timestamp,
}

impl From<&TakeRun<'_>> for Taking {
    fn from(run: &TakeRun<'_>) -> Self {
        Self {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            scheduled: micros(run.scheduled),
            is_due: run.is_due,
            run_id: run.run_id,
            reason: run.reason.to_owned(),
            by: run.by,
            permit: run.permit,
            at: micros(run.at),
            lease_for: run.lease_for,
            instances_max: run.instances_max as usize,
            keep_for: run.keep_for,
            rows_max: run.rows_max as usize,
            rows_since: run.rows_since,
        }
    }
}

/// A [`RenewRun`] on its way.
pub(in crate::sim) struct Renewing {
    job: String,
    instant: String,
    permit: Permit,
    attempts: u32,
    lease_for: Duration,
    keep_for: Duration,
}

impl From<&RenewRun<'_>> for Renewing {
    fn from(run: &RenewRun<'_>) -> Self {
        Self {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            permit: run.permit,
            attempts: run.attempts,
            lease_for: run.lease_for,
            keep_for: run.keep_for,
        }
    }
}

/// An [`EndRun`] on its way.
pub(in crate::sim) struct Finishing {
    job: String,
    instant: String,
    permit: Permit,
    outcome: Option<String>,
    attempts: u32,
    error: Option<String>,
    at: Timestamp,
    took: Duration,
    keep_for: Duration,
}

impl From<&EndRun<'_>> for Finishing {
    fn from(run: &EndRun<'_>) -> Self {
        Self {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            permit: run.permit,
            outcome: run.outcome.map(str::to_owned),
            attempts: run.attempts,
            error: run.error.map(|error| error.chars().take(1_000).collect()),
            at: micros(run.at),
            took: Duration::from_micros(u64::try_from(run.took.as_micros()).unwrap()),
            keep_for: run.keep_for,
        }
    }
}

fn micros(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap()
}

/// How much later than the store's own time what is due may be.
const AHEAD_MAX: SignedDuration = SignedDuration::from_mins(1);

impl Runs {
    pub(in crate::sim) fn set_wall(&mut self, wall: Timestamp) {
        self.wall = Some((wall, Instant::now()));
    }

    /// The time of day; without one nothing is still to come.
    fn wall(&self) -> Timestamp {
        self.wall.map_or(Timestamp::MAX, |(wall, since)| wall + since.elapsed())
    }

    pub(in crate::sim) fn meet(&mut self, job: &str, at: Timestamp) -> JobMemory {
        self.job(job, at).memory
    }

    fn job(&mut self, job: &str, at: Timestamp) -> &mut Job {
        let memory = JobMemory { since: micros(at), handled: None };
        let new = || Job { memory, cut: Timestamp::MIN, rows: BTreeMap::new() };
        self.jobs.entry(job.to_owned()).or_insert_with(new)
    }

    pub(in crate::sim) fn take(&mut self, run: &Taking) -> RunTaken {
        let (now, wall) = (Instant::now(), self.wall());
        let job = self.job(&run.job, run.at);
        let found = job.rows.get(&run.instant);
        let lasts = found.is_some_and(|row| row.lease_until > now);
        let is_ours = found.is_some_and(|row| row.permit == run.permit);
        let has_ended = found.is_some_and(|row| row.row.outcome.is_some());
        let is_cut = found.is_none() && run.is_due && run.scheduled <= job.cut;
        if has_ended || lasts && !is_ours || is_cut {
            return RunTaken::Theirs;
        }
        if found.is_none() && run.is_due && run.scheduled.duration_since(wall) > AHEAD_MAX {
            return RunTaken::Early;
        }
        let is_under_way = |row: &&Row| row.row.outcome.is_none() && row.lease_until > now;
        let under_way = job.rows.values().filter(is_under_way).count();
        if !lasts && under_way >= run.instances_max {
            return RunTaken::Busy;
        }
        let before = found.map_or(0, |row| row.row.attempts - u32::from(is_ours));
        let row = job.rows.entry(run.instant.clone()).or_insert_with(|| run.row(now));
        (row.row.by, row.row.attempts) = (run.by, before + 1);
        (row.permit, row.lease_until) = (run.permit, now + run.lease_for);
        row.until = now + run.keep_for;
        let run_id = row.row.run_id;
        if run.is_due {
            job.memory.handled = job.memory.handled.max(Some(run.scheduled));
        }
        job.cut_beyond(run.rows_max, run.rows_since);
        RunTaken::Ours { run_id, attempts_before: before }
    }

    pub(in crate::sim) fn renew(&mut self, run: &Renewing) -> bool {
        let now = Instant::now();
        let row = self.jobs.get_mut(&run.job).and_then(|job| job.rows.get_mut(&run.instant));
        let is_ours = |row: &&mut Row| {
            row.permit == run.permit && row.row.outcome.is_none() && row.lease_until > now
        };
        let Some(row) = row.filter(is_ours) else { return false };
        row.lease_until = now + run.lease_for;
        row.until = row.until.max(now + run.keep_for);
        row.row.attempts = row.row.attempts.max(run.attempts);
        true
    }

    pub(in crate::sim) fn end(&mut self, run: Finishing) -> bool {
        let now = Instant::now();
        let row = self.jobs.get_mut(&run.job).and_then(|job| job.rows.get_mut(&run.instant));
        let is_ours = |row: &&mut Row| {
            let is_open = row.row.outcome.is_none() || row.row.outcome == run.outcome;
            row.permit == run.permit && is_open
        };
        let Some(row) = row.filter(is_ours) else { return false };
        (row.lease_until, row.until) = (now, now + run.keep_for);
        (row.row.attempts, row.row.error) = (run.attempts, run.error);
        if run.outcome.is_some() {
            (row.row.outcome, row.row.ended, row.row.took) =
                (run.outcome, Some(run.at), Some(run.took));
        }
        true
    }

    pub(in crate::sim) fn newest(&self, job: &str, count: u32) -> Vec<RunRow> {
        let rows = self.jobs.get(job).into_iter().flat_map(|job| job.rows.values());
        let mut rows: Vec<_> = rows.map(|row| row.row.clone()).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.scheduled));
        rows.truncate(count as usize);
        rows
    }

    pub(in crate::sim) fn lapsed(&self, jobs: &[String]) -> Vec<RunRow> {
        let now = Instant::now();
        let rows =
            jobs.iter().filter_map(|job| self.jobs.get(job)).flat_map(|job| job.rows.values());
        let has_lapsed = |row: &&Row| row.row.outcome.is_none() && row.lease_until <= now;
        rows.filter(has_lapsed).map(|row| row.row.clone()).collect()
    }

    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        for job in self.jobs.values_mut() {
            job.remove(|row| row.until <= now && row.lease_until <= now);
        }
    }
}

impl Job {
    fn cut_beyond(&mut self, rows_max: usize, since: Timestamp) {
        let mut scheduled: Vec<_> = self.rows.values().map(|row| row.row.scheduled).collect();
        scheduled.sort_unstable_by(|one, two| two.cmp(one));
        if let Some(first) = scheduled.get(rows_max).copied() {
            let first = first.min(since);
            self.remove(|row| row.row.scheduled <= first && row.row.outcome.is_some());
        }
    }

    fn remove(&mut self, is_useless: impl Fn(&Row) -> bool) {
        let cut = &mut self.cut;
        self.rows.retain(|_, row| {
            let goes = is_useless(row);
            if goes && row.is_due {
                *cut = (*cut).max(row.row.scheduled);
            }
            !goes
        });
    }
}

impl Taking {
    fn row(&self, now: Instant) -> Row {
        let row = RunRow {
            job: self.job.clone(),
            instant: self.instant.clone(),
            scheduled: self.scheduled,
            run_id: self.run_id,
            reason: self.reason.clone(),
            by: self.by,
            started: self.at,
            ended: None,
            took: None,
            attempts: 0,
            outcome: None,
            error: None,
        };
        Row { row, is_due: self.is_due, permit: self.permit, lease_until: now, until: now }
    }
}
