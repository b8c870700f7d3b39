//! Storing values whose permits still stand, and giving permits back.

use std::collections::HashSet;

use sqlx::postgres::PgConnection;
use sqlx::{query, query_scalar};

use super::connections::Call;
use super::turn::{Turn, millis, ordered};
use crate::tier::{Fill, Permit};

/// Values to be stored, column by column.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) keys: Vec<&'a str>,
    pub(super) permits: Vec<i64>,
    pub(super) values: Vec<&'a [u8]>,
    pub(super) ages: Vec<i64>,
    pub(super) fresh_fors: Vec<i64>,
    pub(super) keep_fors: Vec<i64>,
    pub(super) versions: Vec<Option<i64>>,
    /// The tags of all values, one after the other.
    pub(super) tags: Vec<&'a str>,
    /// The first and the last of each value, counted from 1; the last comes before the first if
    /// there are none.
    pub(super) tags_from: Vec<i32>,
    pub(super) tags_to: Vec<i32>,
}

impl<'a> Columns<'a> {
    pub(super) fn new(fills: impl IntoIterator<Item = &'a Fill<'a>>) -> Self {
        let mut columns = Self::default();
        for fill in fills {
            columns.keys.push(fill.key);
            columns.permits.push(fill.permit.0.cast_signed());
            columns.values.push(fill.value);
            columns.ages.push(millis(fill.age));
            columns.fresh_fors.push(millis(fill.fresh_for));
            columns.keep_fors.push(millis(fill.keep_for));
            columns.versions.push(fill.version.map(ordered));
            columns.tags_from.push(place(columns.tags.len() + 1));
            columns.tags.extend(fill.tags);
            columns.tags_to.push(place(columns.tags.len()));
        }
        columns
    }
}

/// A place among so many tags that no place is too large for one batch.
fn place(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

/// Stores the values whose permits still stand, and takes the permits.
#[derive(Debug)]
pub(super) struct FillIn<'a>(Columns<'a>);

/// Times count from when the statement was sent, if it is carried out later. A permit stands for
/// the first fill that brings it.
///
/// While a source lags behind, what was loaded from it is refused, and so is what was loaded before
/// that ended, unless its version is known to be new enough.
const FILL: &str = "
    with present as materialized (
        select (extract(epoch from clock_timestamp()) * 1000)::bigint + $11 as now
    ),
    ask as materialized (
        select distinct on (digest, permit)
            ask.nth,
            sha256(convert_to(ask.key, 'UTF8')) as digest,
            ask.permit,
            ask.value,
            least(present.now, $12) - ask.age as loaded_at,
            least(present.now, $12) + ask.fresh_for as fresh_until,
            least(present.now, $12) + ask.keep_for as keep_until,
            ask.version,
            ($8::text[])[ask.tags_from : ask.tags_to] as tags,
            forewarm.targets(ask.key, ($8::text[])[ask.tags_from : ask.tags_to]) as targets
        from present
        cross join unnest(
            $1::text[], $2::bigint[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[],
            $7::bigint[], $9::integer[], $10::integer[]
        ) with ordinality as ask (
            key, permit, value, age, fresh_for, keep_for, version, tags_from, tags_to, nth
        )
        order by digest, permit, nth
    )
    update forewarm.entry as entry
    set value = ask.value,
        tags = ask.tags,
        targets = ask.targets,
        loaded_at = ask.loaded_at,
        fresh_until = ask.fresh_until,
        keep_until = ask.keep_until,
        seen = entry.permit_seen,
        permit = null,
        permit_since = null,
        permit_until = null,
        permit_seen = null,
        ends_at = ask.keep_until
    from ask, present
    where entry.digest = ask.digest
      and entry.permit = ask.permit
      and entry.permit_until > present.now
      and not exists (
          select 1 from forewarm.change as change
          where change.target = any (ask.targets)
            and change.xid >= pg_snapshot_xmin(entry.permit_seen)
            and not pg_visible_in_snapshot(change.xid, entry.permit_seen)
            and (change.likeness is null or entry.key like change.likeness)
      )
      and not exists (
          select 1 from forewarm.lag as lag
          where lag.target = ask.targets[1]
            and lag.until > entry.permit_since
            and not coalesce(ask.version >= lag.min_version, false)
      )
    returning ask.nth";

impl<'a> FillIn<'a> {
    pub(super) fn new(fills: impl IntoIterator<Item = &'a Fill<'a>>) -> Self {
        Self(Columns::new(fills))
    }
}

impl Call for FillIn<'_> {
    /// The places of the values that were stored.
    type Answer = HashSet<usize>;

    async fn run(
        &self,
        db: &mut PgConnection,
        turn: Turn<'_>,
    ) -> Result<HashSet<usize>, sqlx::Error> {
        let Self(columns) = self;
        let stored: Vec<i64> = query_scalar(turn.sql(FILL))
            .bind(&*columns.keys)
            .bind(&*columns.permits)
            .bind(&*columns.values)
            .bind(&*columns.ages)
            .bind(&*columns.fresh_fors)
            .bind(&*columns.keep_fors)
            .bind(&*columns.versions)
            .bind(&*columns.tags)
            .bind(&*columns.tags_from)
            .bind(&*columns.tags_to)
            .bind(turn.ahead)
            .bind(turn.clocks.server_ms())
            .fetch_all(db)
            .await?;
        let place = |nth: i64| usize::try_from(nth).ok()?.checked_sub(1);
        Ok(stored.into_iter().filter_map(place).collect())
    }
}

/// Takes permits that will not be used.
#[derive(Debug)]
pub(super) struct Release<'a> {
    keys: Vec<&'a str>,
    permits: Vec<i64>,
}

/// Where there is no value, the row ends.
const RELEASE: &str = "
    update forewarm.entry as entry
    set permit = null,
        permit_since = null,
        permit_until = null,
        permit_seen = null,
        ends_at = case when entry.value is null then 0 else entry.keep_until end
    from (
        select sha256(convert_to(ask.key, 'UTF8')) as digest, ask.permit
        from unnest($1::text[], $2::bigint[]) as ask (key, permit)
        order by 1
    ) as ask
    where entry.digest = ask.digest and entry.permit = ask.permit";

impl<'a> Release<'a> {
    pub(super) fn new(permits: impl IntoIterator<Item = (&'a str, Permit)>) -> Self {
        let permits = permits.into_iter().map(|(key, permit)| (key, permit.0.cast_signed()));
        let (keys, permits) = permits.unzip();
        Self { keys, permits }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Call for Release<'_> {
    type Answer = ();

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<(), sqlx::Error> {
        query(turn.sql(RELEASE)).bind(&*self.keys).bind(&*self.permits).execute(db).await?;
        Ok(())
    }
}
