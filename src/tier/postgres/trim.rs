//! Cutting the log, and removing what it voids before that.
//!
//! A change in the log voids what was loaded before it, for as long as it is there. So the log is
//! cut in two steps: first everything is removed that is void by what will be cut, or may become so
//! by a permit that is older; then the log is cut.

use sqlx::postgres::PgConnection;
use sqlx::{query, query_as, query_scalar};

use super::connect;
use super::connections::Call;
use super::turn::Turn;

/// Does some of what keeps the log from growing.
#[derive(Debug)]
pub(super) struct Trim;

/// What had been committed now and then, in milliseconds.
const MILESTONE_EVERY: i64 = 10_000;
/// How long a change can be read, if there are not too many: longer than a permit lasts.
const KEEP_FOR: i64 = 10 * 60_000;
/// How long it can be read in any case: longer than a statement may take.
const KEEP_FOR_MIN: i64 = 60_000;
/// The changes that are kept for that long.
const CHANGES_MAX: i64 = 100_000;
/// More than this end the life of the tables.
const CHANGES_LIMIT: i64 = 400_000;
/// The values that are looked at in one go, and the changes that are removed.
const ROWS: i64 = 5_000;

const SET_MILESTONE: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1 as now
    )
    insert into forewarm.milestone (at, seen)
    select present.now, pg_current_snapshot()
    from present
    where not exists (select 1 from forewarm.milestone as milestone where at > present.now - $2)
    on conflict do nothing";

/// Times that have not come yet are those of a clock that has been set back since.
const DROP_MILESTONES: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1 as now
    )
    delete from forewarm.milestone as milestone
    using present
    where milestone.at < present.now - 2 * $2 or milestone.at > present.now + 5000";

/// Begins to look for what is void, if there is something to cut.
const BEGIN_WALK: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1 as now
    ),
    milestone as materialized (
        select milestone.seen
        from present
        join forewarm.milestone as milestone on milestone.at <= present.now - $2
        order by milestone.at desc
        limit 1
    )
    update forewarm.meta as meta
    set walk = milestone.seen, walked_to = ''
    from milestone
    where meta.walk is null
      and exists (
          select 1 from forewarm.change as change
          where change.xid < pg_snapshot_xmax(milestone.seen)
            and pg_visible_in_snapshot(change.xid, milestone.seen)
            and not pg_visible_in_snapshot(change.xid, meta.cut)
      )";

/// Looks at some values, in an order in which they never change their places; who came first goes
/// on, the others have nothing to do. A permit that is older than what will be cut ends.
const WALK: &str = "
    with walk as materialized (
        select meta.walk, meta.walked_to from forewarm.meta as meta
        where meta.walk is not null
        for update skip locked
    ),
    slice as materialized (
        select entry.digest
        from walk
        cross join lateral (
            select entry.digest from forewarm.entry as entry
            where entry.digest > walk.walked_to
            order by entry.digest
            limit $1
        ) as entry
    ),
    judged as materialized (
        select
            entry.digest,
            entry.value is not null as has_value,
            entry.value is not null and exists (
                select 1 from forewarm.change as change
                where change.target = any (entry.targets)
                  and change.xid >= pg_snapshot_xmin(entry.seen)
                  and not pg_visible_in_snapshot(change.xid, entry.seen)
                  and (change.likeness is null or entry.key like change.likeness)
            ) as is_void,
            entry.permit is not null
                and not forewarm.covers(entry.permit_seen, walk.walk) as is_old
        from walk cross join slice
        join forewarm.entry as entry on entry.digest = slice.digest
    ),
    removed as (
        delete from forewarm.entry as entry
        using judged
        where entry.digest = judged.digest
          and (judged.is_void or judged.is_old and not judged.has_value)
        returning 1
    ),
    voided as (
        update forewarm.entry as entry
        set permit = null, permit_since = null, permit_until = null, permit_seen = null
        from judged
        where entry.digest = judged.digest
          and judged.is_old and judged.has_value and not judged.is_void
    ),
    moved as (
        update forewarm.meta as meta
        set walked_to = (select digest from slice order by digest desc limit 1)
        from walk
        where $1 <= (select count(*) from slice)
        returning 1
    ),
    ended as (
        update forewarm.meta as meta
        set cut = meta.walk, walk = null, walked_to = null
        from walk
        where $1 > (select count(*) from slice)
        returning 1
    )
    select (select count(*) from removed), (select count(*) from moved) > 0";

const CUT: &str = "
    delete from forewarm.change
    where ctid in (
        select change.ctid
        from forewarm.change as change
        where change.xid < (select pg_snapshot_xmax(cut) from forewarm.meta)
          and pg_visible_in_snapshot(change.xid, (select cut from forewarm.meta))
        order by change.xid
        limit $1
        for update of change skip locked
    )";

/// A permit that was given before it ended can still be used.
const DROP_LAGS: &str = "
    delete from forewarm.lag
    where until <= (select (extract(epoch from clock_timestamp()) * 1000)::bigint + $1) - $2";

const COUNT: &str = "select count(*) from (select 1 from forewarm.change limit $1) as change";

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trimmed {
    /// The values that were void.
    pub(super) removed: u64,
    pub(super) has_more: bool,
}

impl Call for Trim {
    type Answer = Trimmed;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Trimmed, sqlx::Error> {
        query(turn.sql(SET_MILESTONE))
            .bind(turn.ahead)
            .bind(MILESTONE_EVERY)
            .execute(&mut *db)
            .await?;
        let count: i64 =
            query_scalar(turn.sql(COUNT)).bind(CHANGES_LIMIT).fetch_one(&mut *db).await?;
        if count >= CHANGES_LIMIT {
            connect::begin_anew(db, turn.schema).await?;
            return Ok(Trimmed::default());
        }
        let keep_for = if count > CHANGES_MAX { KEEP_FOR_MIN } else { KEEP_FOR };
        let begin = query(turn.sql(BEGIN_WALK)).bind(turn.ahead).bind(keep_for);
        begin.execute(&mut *db).await?;
        let (removed, is_walking): (i64, bool) =
            query_as(turn.sql(WALK)).bind(ROWS).fetch_one(&mut *db).await?;
        let cut = query(turn.sql(CUT)).bind(ROWS).execute(&mut *db).await?.rows_affected();
        for sql in [DROP_MILESTONES, DROP_LAGS] {
            let drop = query(turn.sql(sql)).bind(turn.ahead).bind(KEEP_FOR);
            drop.execute(&mut *db).await?;
        }
        let removed = u64::try_from(removed).unwrap_or_default();
        Ok(Trimmed { removed, has_more: is_walking || cut >= ROWS.unsigned_abs() })
    }
}
