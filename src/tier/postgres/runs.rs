//! The runs of jobs: who has which, until when, and how they ended.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_as, query_scalar};

use super::connections::Call;
use super::turn::{Turn, millis};
use crate::tier::run::{AHEAD_MAX_MS, instant_of, kept};
use crate::tier::run_row::run_row;
use crate::tier::{EndRun, JobMemory, RenewRun, RunId, RunRow, RunTaken, TakeRun};

/// Tells what is known of jobs, and makes the others known.
#[derive(Debug)]
pub(super) struct MeetJobs<'a> {
    pub(super) jobs: &'a [&'a str],
    pub(super) at: i64,
}

const MEET: &str = "
    insert into forewarm.job (job, since)
    select distinct ask.job, $2::bigint
    from unnest($1::text[]) as ask (job)
    where not exists (select 1 from forewarm.job as known where known.job = ask.job)
    order by 1
    on conflict do nothing";

const KNOWN: &str = "
    select job.since, job.handled
    from unnest($1::text[]) with ordinality as ask (job, nth)
    join forewarm.job as job on job.job = ask.job
    order by ask.nth";

impl Call for MeetJobs<'_> {
    type Answer = Vec<JobMemory>;

    async fn run(
        &self,
        db: &mut PgConnection,
        turn: Turn<'_>,
    ) -> Result<Vec<JobMemory>, sqlx::Error> {
        query(turn.sql(MEET)).bind(self.jobs).bind(self.at).execute(&mut *db).await?;
        let known: Vec<(i64, Option<i64>)> =
            query_as(turn.sql(KNOWN)).bind(self.jobs).fetch_all(db).await?;
        let memory = |(since, handled): (i64, Option<i64>)| JobMemory {
            since: instant_of(since),
            handled: handled.map(instant_of),
        };
        Ok(known.into_iter().map(memory).collect())
    }
}

/// Takes a run.
#[derive(Debug)]
pub(super) struct Take<'a>(pub(super) &'a TakeRun<'a>);

const TAKE: &str = "
    select taken, run_id, attempts_before
    from forewarm.take_run(
        row(
            $1, $2, $3, $4, $5, $6, $7, $8, 0, $9, null, null, 0, null, null, 0
        )::forewarm.run,
        $10, $11, $12, $13, $14, $15, $16
    )";

impl Call for Take<'_> {
    type Answer = RunTaken;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<RunTaken, sqlx::Error> {
        let run = self.0;
        let taken: (String, Option<i64>, Option<i32>) = query_as(turn.sql(TAKE))
            .bind(run.job)
            .bind(run.instant)
            .bind(run.scheduled.as_microsecond())
            .bind(run.is_due)
            .bind(run.run_id.0.cast_signed())
            .bind(run.reason)
            .bind(run.by.0.cast_signed())
            .bind(run.permit.0.cast_signed())
            .bind(run.at.as_microsecond())
            .bind(millis(run.lease_for))
            .bind(millis(run.keep_for))
            .bind(i64::from(run.instances_max))
            .bind(i64::from(run.rows_max))
            .bind(run.rows_since.as_microsecond())
            .bind(AHEAD_MAX_MS)
            .bind(turn.ahead)
            .fetch_one(db)
            .await?;
        Ok(match taken {
            (_, Some(run_id), attempts) => RunTaken::Ours {
                run_id: RunId(run_id.cast_unsigned()),
                attempts_before: count(attempts.unwrap_or_default()),
            },
            (taken, ..) if taken == "theirs" => RunTaken::Theirs,
            (taken, ..) if taken == "early" => RunTaken::Early,
            _ => RunTaken::Busy,
        })
    }
}

/// Renews leases.
#[derive(Debug)]
pub(super) struct Renew<'a>(pub(super) &'a [RenewRun<'a>]);

/// The time is asked for row by row, and again where somebody else had the row: a lease that has run
/// out meanwhile may not count any more for others.
const RENEW: &str = "
    with ask as materialized (
        select *
        from unnest(
            $1::text[], $2::text[], $3::bigint[], $4::integer[], $5::bigint[], $7::bigint[]
        ) with ordinality as ask (job, instant, permit, attempts, lease_for, keep_for, nth)
    ),
    renewed as (
        update forewarm.run as run
        set lease_until =
                (extract(epoch from clock_timestamp()) * 1000)::bigint + $6 + ask.lease_for,
            attempts = greatest(run.attempts, ask.attempts),
            until = greatest(
                run.until, (extract(epoch from clock_timestamp()) * 1000)::bigint + $6 + ask.keep_for
            )
        from ask
        where run.job = ask.job
          and run.instant = ask.instant
          and run.permit = ask.permit
          and run.outcome is null
          and run.lease_until > (extract(epoch from clock_timestamp()) * 1000)::bigint + $6
        returning ask.nth
    )
    select exists (select 1 from renewed where renewed.nth = ask.nth) from ask order by ask.nth";

impl Call for Renew<'_> {
    type Answer = Vec<bool>;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Vec<bool>, sqlx::Error> {
        let runs = self.0;
        let column = |of: fn(&RenewRun<'_>) -> i64| runs.iter().map(of).collect::<Vec<_>>();
        let attempts: Vec<_> = runs.iter().map(|run| run.attempts.cast_signed()).collect();
        query_scalar(turn.sql(RENEW))
            .bind(runs.iter().map(|run| run.job).collect::<Vec<_>>())
            .bind(runs.iter().map(|run| run.instant).collect::<Vec<_>>())
            .bind(column(|run| run.permit.0.cast_signed()))
            .bind(attempts)
            .bind(column(|run| millis(run.lease_for)))
            .bind(turn.ahead)
            .bind(column(|run| millis(run.keep_for)))
            .fetch_all(db)
            .await
    }
}

/// Notes how a run has ended, or gives it back.
#[derive(Debug)]
pub(super) struct End<'a>(pub(super) &'a EndRun<'a>);

/// Repeated, it says the same.
const END: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $10 as now
    )
    update forewarm.run as run
    set lease_until = present.now,
        outcome = $4,
        attempts = $5,
        error = $6,
        ended = case when $4 is not null then $7::bigint end,
        took_us = case when $4 is not null then $8::bigint end,
        until = present.now + $9
    from present
    where run.job = $1 and run.instant = $2 and run.permit = $3
      and (run.outcome is null or run.outcome = $4)
    returning true";

impl Call for End<'_> {
    type Answer = bool;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<bool, sqlx::Error> {
        let run = self.0;
        let is_ended: Option<bool> = query_scalar(turn.sql(END))
            .bind(run.job)
            .bind(run.instant)
            .bind(run.permit.0.cast_signed())
            .bind(run.outcome)
            .bind(run.attempts.cast_signed())
            .bind(run.error.map(kept))
            .bind(run.at.as_microsecond())
            .bind(i64::try_from(run.took.as_micros()).unwrap_or(i64::MAX))
            .bind(millis(run.keep_for))
            .bind(turn.ahead)
            .fetch_optional(db)
            .await?;
        Ok(is_ended.unwrap_or_default())
    }
}

/// The newest runs of a job.
#[derive(Debug)]
pub(super) struct Newest<'a> {
    pub(super) job: &'a str,
    pub(super) count: u32,
}

const NEWEST: &str = "
    select
        job, instant, scheduled, run_id, reason, node, started, ended, took_us,
        attempts::bigint as attempts, outcome, error
    from forewarm.run
    where job = $1
    order by scheduled desc
    limit $2";

impl Call for Newest<'_> {
    type Answer = Vec<RunRow>;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Vec<RunRow>, sqlx::Error> {
        let newest = query(turn.sql(NEWEST)).bind(self.job).bind(i64::from(self.count));
        newest.fetch_all(db).await?.iter().map(run_row).collect()
    }
}

/// Runs of these jobs whose leases have run out.
#[derive(Debug)]
pub(super) struct Lapsed<'a>(pub(super) &'a [&'a str]);

const LAPSED: &str = "
    select
        run.job, run.instant, run.scheduled, run.run_id, run.reason, run.node, run.started,
        run.ended, run.took_us, run.attempts::bigint as attempts, run.outcome, run.error
    from (select (extract(epoch from clock_timestamp()) * 1000)::bigint + $2 as now) as present
    cross join unnest($1::text[]) as ask (job)
    cross join lateral (
        select * from forewarm.run as run
        where run.job = ask.job and run.outcome is null and run.lease_until <= present.now
        limit 100
    ) as run
    limit 500";

impl Call for Lapsed<'_> {
    type Answer = Vec<RunRow>;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Vec<RunRow>, sqlx::Error> {
        let lapsed = query(turn.sql(LAPSED)).bind(self.0).bind(turn.ahead);
        lapsed.fetch_all(db).await?.iter().map(run_row).collect()
    }
}

fn count(count: i32) -> u32 {
    u32::try_from(count).unwrap_or_default()
}
