//! The runs of jobs: until when they are whose, how they ended, and what is kept of them.

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as};

use super::queue::Write;
use super::turn::{Turn, millis};
use crate::tier::run::{instant_of, kept};
use crate::tier::run_row::run_row;
use crate::tier::{EndRun, JobMemory, RenewRun, RunRow};

/// Tells what is known of jobs, and makes the others known.
#[derive(Debug)]
pub(super) struct MeetJobs {
    jobs: Vec<String>,
    at: i64,
}

impl MeetJobs {
    pub(super) fn new(jobs: &[&str], at: Timestamp) -> Self {
        let jobs = jobs.iter().map(|job| (*job).to_owned()).collect();
        Self { jobs, at: at.as_microsecond() }
    }
}

pub(super) const MEET: &str = "
    insert into forewarm_job (job, since, handled, cut)
    values (?1, ?2, null, -9223372036854775808)
    on conflict (job) do nothing";

const KNOWN: &str = "select since, handled from forewarm_job where job = ?1";

impl Write for MeetJobs {
    type Answer = Vec<JobMemory>;

    async fn write(
        &self,
        db: &mut SqliteConnection,
        _turn: Turn,
    ) -> Result<Vec<JobMemory>, sqlx::Error> {
        let mut memories = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            query(MEET).bind(&**job).bind(self.at).execute(&mut *db).await?;
            let (since, handled): (i64, Option<i64>) =
                query_as(KNOWN).bind(&**job).fetch_one(&mut *db).await?;
            let (since, handled) = (instant_of(since), handled.map(instant_of));
            memories.push(JobMemory { since, handled });
        }
        Ok(memories)
    }
}

const NOTE_CUTS: &str = "
    update forewarm_job
    set cut = max(cut, gone.scheduled)
    from (
        select job, max(scheduled) as scheduled
        from (
            select job, scheduled, is_due
            from forewarm_run
            where until <= ?1 and lease_until <= ?1
            order by until, job, instant
            limit 1000
        )
        where is_due
        group by job
    ) as gone
    where forewarm_job.job = gone.job";

/// The same ones: both are done in one transaction.
const REMOVE: &str = "
    delete from forewarm_run
    where (job, instant) in (
        select job, instant
        from forewarm_run
        where until <= ?1 and lease_until <= ?1
        order by until, job, instant
        limit 1000
    )";

/// The most that are removed at a time, as the statements have it.
const SWEPT_MAX: u64 = 1_000;

/// Removes the rows that need not be kept any longer. One that has not ended goes as well, if nobody
/// has done it in all this time. Gives whether there may be more.
pub(super) async fn sweep(db: &mut SqliteConnection, turn: Turn) -> Result<bool, sqlx::Error> {
    query(NOTE_CUTS).bind(turn.wall).execute(&mut *db).await?;
    let removed = query(REMOVE).bind(turn.wall).execute(db).await?;
    Ok(removed.rows_affected() >= SWEPT_MAX)
}

/// Renews leases.
#[derive(Debug)]
pub(super) struct Renew(Vec<Renewal>);

#[derive(Debug)]
struct Renewal {
    job: String,
    instant: String,
    permit: i64,
    attempts: i64,
    lease_for: i64,
    keep_for: i64,
}

const RENEW: &str = "
    update forewarm_run
    set lease_until = ?5, attempts = max(attempts, ?6), until = max(until, ?7)
    where job = ?1 and instant = ?2 and permit = ?3 and outcome is null and lease_until > ?4";

impl Renew {
    pub(super) fn new(runs: &[RenewRun<'_>]) -> Self {
        let renewal = |run: &RenewRun<'_>| Renewal {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            permit: run.permit.0.cast_signed(),
            attempts: run.attempts.into(),
            lease_for: millis(run.lease_for),
            keep_for: millis(run.keep_for),
        };
        Self(runs.iter().map(renewal).collect())
    }
}

impl Write for Renew {
    type Answer = Vec<bool>;

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<Vec<bool>, sqlx::Error> {
        let mut renewed = Vec::with_capacity(self.0.len());
        for run in &self.0 {
            let renew = query(RENEW).bind(&*run.job).bind(&*run.instant).bind(run.permit);
            let renew = renew.bind(turn.wall).bind(turn.wall.saturating_add(run.lease_for));
            let renew = renew.bind(run.attempts).bind(turn.wall.saturating_add(run.keep_for));
            let changed = renew.execute(&mut *db).await?.rows_affected();
            renewed.push(changed > 0);
        }
        Ok(renewed)
    }
}

/// Notes how a run has ended, or gives it back.
#[derive(Debug)]
pub(super) struct End {
    job: String,
    instant: String,
    permit: i64,
    outcome: Option<String>,
    attempts: i64,
    error: Option<String>,
    at: i64,
    took_us: i64,
    keep_for: i64,
}

/// Repeated, it says the same.
const END: &str = "
    update forewarm_run
    set lease_until = ?4,
        outcome = ?5,
        attempts = ?6,
        error = ?7,
        ended = iif(?5 is null, null, ?8),
        took_us = iif(?5 is null, null, ?9),
        until = ?10
    where job = ?1 and instant = ?2 and permit = ?3 and (outcome is null or outcome = ?5)";

impl End {
    pub(super) fn new(run: &EndRun<'_>) -> Self {
        Self {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            permit: run.permit.0.cast_signed(),
            outcome: run.outcome.map(str::to_owned),
            attempts: run.attempts.into(),
            error: run.error.map(kept),
            at: run.at.as_microsecond(),
            took_us: i64::try_from(run.took.as_micros()).unwrap_or(i64::MAX),
            keep_for: millis(run.keep_for),
        }
    }
}

impl Write for End {
    type Answer = bool;

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<bool, sqlx::Error> {
        let end = query(END)
            .bind(&*self.job)
            .bind(&*self.instant)
            .bind(self.permit)
            .bind(turn.wall)
            .bind(self.outcome.as_deref())
            .bind(self.attempts)
            .bind(self.error.as_deref())
            .bind(self.at)
            .bind(self.took_us)
            .bind(turn.wall.saturating_add(self.keep_for));
        Ok(end.execute(db).await?.rows_affected() > 0)
    }
}

const NEWEST: &str = "
    select
        job, instant, scheduled, run_id, reason, node, started, ended, took_us, attempts, outcome,
        error
    from forewarm_run
    where job = ?1
    order by scheduled desc
    limit ?2";

/// The newest runs of a job.
pub(super) async fn newest(
    db: &mut SqliteConnection,
    job: &str,
    count: u32,
) -> Result<Vec<RunRow>, sqlx::Error> {
    query(NEWEST).bind(job).bind(count).fetch_all(db).await?.iter().map(run_row).collect()
}

/// The most that are told of at a time.
const LAPSED_MAX: usize = 500;

const LAPSED: &str = "
    select
        job, instant, scheduled, run_id, reason, node, started, ended, took_us, attempts, outcome,
        error
    from forewarm_run
    where job = ?1 and outcome is null and lease_until <= ?2
    limit 100";

/// Runs of these jobs whose leases have run out.
pub(super) async fn lapsed(
    db: &mut SqliteConnection,
    jobs: &[&str],
    wall: i64,
) -> Result<Vec<RunRow>, sqlx::Error> {
    let mut lapsed = Vec::new();
    for job in jobs {
        let rows = query(LAPSED).bind(*job).bind(wall).fetch_all(&mut *db).await?;
        for found in &rows {
            lapsed.push(run_row(found)?);
        }
        if lapsed.len() >= LAPSED_MAX {
            break;
        }
    }
    Ok(lapsed)
}
