//! The runs of jobs: who has which, until when, and how they ended.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query, query_as, query_scalar};

use super::queue::Write;
use super::turn::{Turn, millis};
use crate::tier::run::{instant_of, kept};
use crate::tier::{EndRun, JobMemory, Node, RenewRun, RunId, RunRow, RunTaken, TakeRun};

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

const MEET: &str = "
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

/// Takes a run.
#[derive(Debug)]
pub(super) struct Take {
    job: String,
    instant: String,
    scheduled: i64,
    is_due: bool,
    run_id: i64,
    reason: String,
    node: i64,
    permit: i64,
    at: i64,
    lease_for: i64,
    keep_for: i64,
    instances_max: i64,
    rows_max: i64,
}

/// A run as one who would take it finds it.
type Found = (i64, i64, bool, i64, i64);

const FIND: &str = "
    select run_id, permit, outcome is not null, lease_until, attempts
    from forewarm_run where job = ?1 and instant = ?2";

const CUT: &str = "select cut from forewarm_job where job = ?1";

const UNDER_WAY: &str = "
    select count(*) from forewarm_run
    where job = ?1 and outcome is null and lease_until > ?2 and instant <> ?3";

const TAKE: &str = "
    insert into forewarm_run (
        job, instant, scheduled, is_due, run_id, reason, node, permit, lease_until, started,
        attempts, until
    )
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
    on conflict (job, instant) do update
    set node = excluded.node,
        permit = excluded.permit,
        lease_until = excluded.lease_until,
        attempts = excluded.attempts,
        until = excluded.until";

const HANDLE: &str = "
    update forewarm_job set handled = max(coalesce(handled, ?2), ?2) where job = ?1";

impl Take {
    pub(super) fn new(run: &TakeRun<'_>) -> Self {
        Self {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            scheduled: run.scheduled.as_microsecond(),
            is_due: run.is_due,
            run_id: run.run_id.0.cast_signed(),
            reason: run.reason.to_owned(),
            node: run.by.0.cast_signed(),
            permit: run.permit.0.cast_signed(),
            at: run.at.as_microsecond(),
            lease_for: millis(run.lease_for),
            keep_for: millis(run.keep_for),
            instances_max: run.instances_max.into(),
            rows_max: run.rows_max.into(),
        }
    }

    /// Whether it is somebody else's, or would be one too many; `None` if it can be taken.
    async fn refusal(
        &self,
        db: &mut SqliteConnection,
        turn: Turn,
        found: Option<Found>,
    ) -> Result<Option<RunTaken>, sqlx::Error> {
        if let Some((_, permit, has_ended, lease_until, _)) = found {
            let lasts = lease_until > turn.wall;
            if has_ended || permit != self.permit && lasts {
                return Ok(Some(RunTaken::Theirs));
            }
            if lasts {
                return Ok(None);
            }
        } else if self.is_due {
            let cut: i64 = query_scalar(CUT).bind(&*self.job).fetch_one(&mut *db).await?;
            if self.scheduled <= cut {
                return Ok(Some(RunTaken::Theirs));
            }
        }
        let under_way = query_scalar(UNDER_WAY).bind(&*self.job).bind(turn.wall);
        let under_way: i64 = under_way.bind(&*self.instant).fetch_one(db).await?;
        Ok((under_way >= self.instances_max).then_some(RunTaken::Busy))
    }
}

impl Write for Take {
    type Answer = RunTaken;

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<RunTaken, sqlx::Error> {
        query(MEET).bind(&*self.job).bind(self.at).execute(&mut *db).await?;
        let find = query_as(FIND).bind(&*self.job).bind(&*self.instant);
        let found: Option<Found> = find.fetch_optional(&mut *db).await?;
        if let Some(refusal) = self.refusal(db, turn, found).await? {
            return Ok(refusal);
        }
        let before = match found {
            Some((_, permit, _, _, attempts)) if permit == self.permit => attempts - 1,
            Some((.., attempts)) => attempts,
            None => 0,
        };
        query(TAKE)
            .bind(&*self.job)
            .bind(&*self.instant)
            .bind(self.scheduled)
            .bind(self.is_due)
            .bind(self.run_id)
            .bind(&*self.reason)
            .bind(self.node)
            .bind(self.permit)
            .bind(turn.wall.saturating_add(self.lease_for))
            .bind(self.at)
            .bind(before + 1)
            .bind(turn.wall.saturating_add(self.keep_for))
            .execute(&mut *db)
            .await?;
        if self.is_due {
            query(HANDLE).bind(&*self.job).bind(self.scheduled).execute(&mut *db).await?;
        }
        cut(db, &self.job, self.rows_max).await?;
        let run_id = found.map_or(self.run_id, |(run_id, ..)| run_id);
        let attempts_before = u32::try_from(before).unwrap_or_default();
        Ok(RunTaken::Ours { run_id: RunId(run_id.cast_unsigned()), attempts_before })
    }
}

const FIRST_BEYOND: &str = "
    select scheduled from forewarm_run
    where job = ?1
    order by scheduled desc
    limit 1 offset ?2";

const NOTE_CUT: &str = "
    update forewarm_job
    set cut = max(cut, coalesce((
        select max(scheduled) from forewarm_run
        where job = ?1 and scheduled <= ?2 and outcome is not null and is_due
    ), cut))
    where job = ?1";

const REMOVE_BEYOND: &str = "
    delete from forewarm_run
    where job = ?1 and scheduled <= ?2 and outcome is not null";

/// Removes the oldest rows of a job beyond so many, and notes up to where.
async fn cut(db: &mut SqliteConnection, job: &str, rows_max: i64) -> Result<(), sqlx::Error> {
    let first = query_scalar(FIRST_BEYOND).bind(job).bind(rows_max);
    let Some(first) = first.fetch_optional(&mut *db).await? else { return Ok(()) };
    let first: i64 = first;
    for sql in [NOTE_CUT, REMOVE_BEYOND] {
        query(sql).bind(job).bind(first).execute(&mut *db).await?;
    }
    Ok(())
}

const NOTE_CUTS: &str = "
    update forewarm_job
    set cut = max(cut, gone.scheduled)
    from (
        select job, max(scheduled) as scheduled
        from forewarm_run
        where until <= ?1 and lease_until <= ?1 and is_due
        group by job
    ) as gone
    where forewarm_job.job = gone.job";

const REMOVE: &str = "delete from forewarm_run where until <= ?1 and lease_until <= ?1";

/// Removes the rows that need not be kept any longer. One that has not ended goes as well, if nobody
/// has done it in all this time.
pub(super) async fn sweep(db: &mut SqliteConnection, turn: Turn) -> Result<(), sqlx::Error> {
    for sql in [NOTE_CUTS, REMOVE] {
        query(sql).bind(turn.wall).execute(&mut *db).await?;
    }
    Ok(())
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
}

const RENEW: &str = "
    update forewarm_run
    set lease_until = ?5, attempts = max(attempts, ?6)
    where job = ?1 and instant = ?2 and permit = ?3 and outcome is null and lease_until > ?4";

impl Renew {
    pub(super) fn new(runs: &[RenewRun<'_>]) -> Self {
        let renewal = |run: &RenewRun<'_>| Renewal {
            job: run.job.to_owned(),
            instant: run.instant.to_owned(),
            permit: run.permit.0.cast_signed(),
            attempts: run.attempts.into(),
            lease_for: millis(run.lease_for),
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
            let changed = renew.bind(run.attempts).execute(&mut *db).await?.rows_affected();
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
    query(NEWEST).bind(job).bind(count).fetch_all(db).await?.iter().map(row).collect()
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
            lapsed.push(row(found)?);
        }
        if lapsed.len() >= LAPSED_MAX {
            break;
        }
    }
    Ok(lapsed)
}

fn row(row: &SqliteRow) -> Result<RunRow, sqlx::Error> {
    let took_us: Option<i64> = row.try_get("took_us")?;
    let attempts: i64 = row.try_get("attempts")?;
    Ok(RunRow {
        job: row.try_get("job")?,
        instant: row.try_get("instant")?,
        scheduled: instant_of(row.try_get("scheduled")?),
        run_id: RunId(row.try_get::<i64, _>("run_id")?.cast_unsigned()),
        reason: row.try_get("reason")?,
        by: Node(row.try_get::<i64, _>("node")?.cast_unsigned()),
        started: instant_of(row.try_get("started")?),
        ended: row.try_get::<Option<i64>, _>("ended")?.map(instant_of),
        took: took_us.map(|micros| Duration::from_micros(micros.unsigned_abs())),
        attempts: u32::try_from(attempts).unwrap_or_default(),
        outcome: row.try_get("outcome")?,
        error: row.try_get("error")?,
    })
}
