//! Taking a run of a job.

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as, query_scalar};

use super::queue::Write;
use super::runs::MEET;
use super::turn::{Turn, millis};
use crate::tier::run::AHEAD_MAX_MS;
use crate::tier::{RunId, RunTaken, TakeRun};

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
    rows_since: i64,
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
            rows_since: run.rows_since.as_microsecond(),
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
            if self.scheduled / 1_000 > turn.wall.saturating_add(AHEAD_MAX_MS) {
                return Ok(Some(RunTaken::Early));
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
        cut(db, &self.job, self.rows_max, self.rows_since).await?;
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

/// Removes the oldest rows of a job beyond so many, but for what was due after `since`, and notes up
/// to where.
async fn cut(
    db: &mut SqliteConnection,
    job: &str,
    rows_max: i64,
    since: i64,
) -> Result<(), sqlx::Error> {
    let first = query_scalar(FIRST_BEYOND).bind(job).bind(rows_max);
    let Some(first) = first.fetch_optional(&mut *db).await? else { return Ok(()) };
    let first: i64 = first;
    for sql in [NOTE_CUT, REMOVE_BEYOND] {
        query(sql).bind(job).bind(first.min(since)).execute(&mut *db).await?;
    }
    Ok(())
}
