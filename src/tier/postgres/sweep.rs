//! Removing what is of no more use, or too much; and how much there is.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_as, query_scalar};

use super::connections::Call;
use super::turn::Turn;
use crate::tier::{Swept, TierSize};

/// Removes rows that are of no more use, and if there is little room, those that end soonest.
#[derive(Debug)]
pub(super) struct Sweep {
    rows_max: u32,
    /// The bytes of values that may be there before some are removed that could still be served.
    bytes_max: i64,
}

/// A row that somebody holds is in use. (The time is a query of its own, here as below: an index is
/// not used for what may change from row to row.)
const REMOVE_ENDED: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $2 as now
    )
    delete from forewarm.entry
    where digest in (
        select entry.digest
        from forewarm.entry as entry
        where entry.ends_at <= (select now from present)
        order by entry.ends_at
        limit $1
        for update of entry skip locked
    )";

const REMOVE_HOT: &str = "
    delete from forewarm.hot
    where until <= (select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1)";

/// A run that has not ended goes as well, if nobody has done it in all this time. A job whose row
/// somebody holds is in use.
const REMOVE_RUNS: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1 as now
    ),
    held as materialized (
        select job.job
        from forewarm.job as job
        where job.job in (
            select run.job from forewarm.run as run
            where run.until <= (select now from present)
            order by run.until
            limit 1000
        )
        for update skip locked
    ),
    removed as (
        delete from forewarm.run as run
        where (run.job, run.instant) in (
            select run.job, run.instant
            from forewarm.run as run
            where run.until <= (select now from present)
              and run.lease_until <= (select now from present)
              and run.job in (select held.job from held)
            order by run.until
            limit 1000
            for update skip locked
        )
        returning run.job, run.scheduled, run.is_due
    ),
    last as materialized (
        select removed.job, max(removed.scheduled) as scheduled
        from removed where removed.is_due
        group by removed.job
    )
    update forewarm.job as job
    set cut = greatest(job.cut, last.scheduled)
    from last
    where job.job = last.job";

/// The rows that end soonest, as many as make up the bytes that are too many.
const EVICT: &str = "
    delete from forewarm.entry
    where digest in (
        select digest
        from (
            select digest, sum(bytes) over (order by ends_at, digest) - bytes as bytes_before
            from (
                select
                    digest, ends_at,
                    octet_length(key) + coalesce(octet_length(value), 0) + 200 as bytes
                from forewarm.entry order by ends_at limit $1
            ) as soonest
        ) as summed
        where bytes_before < $2
    )";

const ANY_ENDED: &str = "
    select exists (
        select 1 from forewarm.entry
        where ends_at <= (select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1)
    )";

impl Sweep {
    pub(super) fn new(rows_max: u32, max_bytes: u64) -> Self {
        let bytes_max = i64::try_from(max_bytes / 10 * 9).unwrap_or(i64::MAX);
        Self { rows_max, bytes_max }
    }
}

impl Call for Sweep {
    type Answer = Swept;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Swept, sqlx::Error> {
        let rows_max = i64::from(self.rows_max);
        let removed = query(turn.sql(REMOVE_ENDED)).bind(rows_max).bind(turn.ahead);
        let expired = removed.execute(&mut *db).await?.rows_affected();
        for sql in [REMOVE_HOT, REMOVE_RUNS] {
            query(turn.sql(sql)).bind(turn.ahead).execute(&mut *db).await?;
        }
        let mut swept = Swept { expired, ..Swept::default() };
        let left = rows_max.saturating_sub(expired.cast_signed());
        let excess = Measured::now(db, turn).await?.value_bytes.saturating_sub(self.bytes_max);
        if excess > 0 && left > 0 {
            let evicted = query(turn.sql(EVICT)).bind(left).bind(excess).execute(&mut *db).await?;
            swept.evicted = evicted.rows_affected();
        }
        // If fewer were evicted than might have been, that was enough.
        swept.has_more = excess > 0 && swept.evicted.cast_signed() >= left
            || query_scalar(turn.sql(ANY_ENDED)).bind(turn.ahead).fetch_one(db).await?;
        Ok(swept)
    }
}

/// How much there is; of a large table, by a sample.
#[derive(Clone, Copy, Debug)]
struct Measured {
    values: i64,
    /// What the values come to, with their keys and what else is in a row.
    value_bytes: i64,
    /// What all tables take on disk.
    disk_bytes: i64,
}

/// Some hundred pages hold thousands of rows; values that are long are elsewhere.
const MEASURE: &str = "
    with sample as materialized (
        select least(
            100,
            100.0 * 256 * current_setting('block_size')::bigint
                / greatest(1, pg_relation_size('forewarm.entry'))
        )::real as percent
    ),
    counted as materialized (
        select
            count(value) as entries,
            coalesce(
                sum(octet_length(key) + coalesce(octet_length(value), 0) + 200), 0
            ) as bytes
        from forewarm.entry tablesample system ((select percent from sample))
    )
    select
        (counted.entries * 100 / sample.percent)::bigint,
        (counted.bytes * 100 / sample.percent)::bigint,
        (
            select sum(pg_total_relation_size(name))::bigint
            from unnest(array[
                'forewarm.entry', 'forewarm.change', 'forewarm.lag', 'forewarm.milestone',
                'forewarm.hot', 'forewarm.job', 'forewarm.run'
            ]::regclass[]) as name
        )
    from sample cross join counted";

impl Measured {
    async fn now(db: &mut PgConnection, turn: Turn<'_>) -> Result<Self, sqlx::Error> {
        let measured = query_as(turn.sql(MEASURE)).fetch_one(db).await?;
        let (values, value_bytes, disk_bytes) = measured;
        Ok(Self { values, value_bytes, disk_bytes })
    }
}

/// Says how much is stored.
#[derive(Debug)]
pub(super) struct Size;

impl Call for Size {
    type Answer = TierSize;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<TierSize, sqlx::Error> {
        let measured = Measured::now(db, turn).await?;
        let count = |count: i64| u64::try_from(count).unwrap_or_default();
        Ok(TierSize { entries: count(measured.values), bytes: count(measured.disk_bytes) })
    }
}
