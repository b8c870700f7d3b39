//! Storing values: those whose permits still stand, and those that replace what is there.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};

use super::begin::{is_storable, json};
use super::invalidate::raise_sequence;
use super::queue::Write;
use super::turn::{Turn, millis};
use crate::tier::{Fill, Permit, TierError};

/// Values to be stored, as two parameters.
#[derive(Debug)]
struct Rows {
    /// `[key, permit, loaded_at, fresh_until, keep_until, where the value starts, its length]` for
    /// each value. Points in time, so that a write that runs late makes nothing younger.
    rows: Arc<str>,
    /// The values, one after the other.
    values: Vec<u8>,
}

impl Rows {
    fn new(fills: &[Fill<'_>], now: i64) -> Result<Self, TierError> {
        let mut values = Vec::new();
        let mut rows = Vec::with_capacity(fills.len());
        for fill in fills {
            // SQLite counts from 1.
            let start = values.len() + 1;
            values.extend_from_slice(fill.value);
            rows.push((
                fill.key,
                fill.permit.0.cast_signed(),
                now.saturating_sub(millis(fill.age)),
                now.saturating_add(millis(fill.fresh_for)),
                now.saturating_add(millis(fill.keep_for)),
                start,
                fill.value.len(),
            ));
        }
        Ok(Self { rows: json(&rows)?, values })
    }
}

/// Stores the values whose permits still stand, and takes the permits. No key comes twice.
#[derive(Debug)]
pub(super) struct FillIn(Rows);

/// The part of an empty blob is null.
const FILL: &str = "
    insert into forewarm_entry
        (key, value, session, sequence, loaded_at, fresh_until, keep_until)
    select
        permit.key,
        coalesce(substr(?2, ask.value ->> 5, ask.value ->> 6), x''),
        ?3,
        permit.sequence,
        ask.value ->> 2,
        ask.value ->> 3,
        ask.value ->> 4
    from json_each(?1) as ask
    cross join forewarm_permit as permit on permit.key = ask.value ->> 0
    where permit.permit = ask.value ->> 1
      and permit.until > ?4
      and not exists (
          select 1 from forewarm_epoch as epoch
          where epoch.selector = permit.resource and epoch.sequence > permit.sequence
      )
    on conflict (key) do update
    set value = excluded.value,
        session = excluded.session,
        sequence = excluded.sequence,
        loaded_at = excluded.loaded_at,
        fresh_until = excluded.fresh_until,
        keep_until = excluded.keep_until
    returning key";

const TAKE_PERMITS: &str = "
    delete from forewarm_permit
    where key in (
        select ask.value ->> 0
        from json_each(?1) as ask
        cross join forewarm_permit as permit on permit.key = ask.value ->> 0
        where permit.permit = ask.value ->> 1
    )";

impl FillIn {
    pub(super) fn new(fills: &[Fill<'_>], now: i64) -> Result<Self, TierError> {
        Rows::new(fills, now).map(Self)
    }
}

impl Write for FillIn {
    /// The keys whose values were stored.
    type Answer = HashSet<String>;

    async fn write(
        &self,
        db: &mut SqliteConnection,
        turn: Turn,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let stored: Vec<String> = query_scalar(FILL)
            .bind(&*self.0.rows)
            .bind(&*self.0.values)
            .bind(turn.session)
            .bind(turn.now)
            .fetch_all(&mut *db)
            .await?;
        if !stored.is_empty() {
            query(TAKE_PERMITS).bind(&*self.0.rows).execute(db).await?;
        }
        Ok(stored.into_iter().collect())
    }
}

/// Takes permits that will not be used.
#[derive(Debug)]
pub(super) struct Release {
    /// `[key, permit]` for each.
    permits: Arc<str>,
}

impl Release {
    pub(super) fn new(permits: &[(&str, Permit)]) -> Result<Self, TierError> {
        let permits = permits.iter().filter(|(key, _)| is_storable(key));
        let permits = permits.map(|(key, permit)| (key, permit.0.cast_signed()));
        Ok(Self { permits: json(&permits.collect::<Vec<_>>())? })
    }
}

impl Write for Release {
    type Answer = ();

    async fn write(&self, db: &mut SqliteConnection, _turn: Turn) -> Result<(), sqlx::Error> {
        query(TAKE_PERMITS).bind(&*self.permits).execute(db).await?;
        Ok(())
    }
}

/// Invalidates keys and stores their new values; the last value of a key that comes twice stays.
#[derive(Debug)]
pub(super) struct PutIn(Rows);

const VOID_PERMITS: &str =
    "delete from forewarm_permit where key in (select value ->> 0 from json_each(?1))";

/// The condition is always true: without one, SQLite would take `on conflict` for a join.
const PUT: &str = "
    insert into forewarm_entry
        (key, value, session, sequence, loaded_at, fresh_until, keep_until)
    select
        ask.value ->> 0,
        coalesce(substr(?2, ask.value ->> 5, ask.value ->> 6), x''),
        ?3,
        meta.sequence,
        ask.value ->> 2,
        ask.value ->> 3,
        ask.value ->> 4
    from json_each(?1) as ask
    cross join forewarm_meta as meta
    where true
    on conflict (key) do update
    set value = excluded.value,
        session = excluded.session,
        sequence = excluded.sequence,
        loaded_at = excluded.loaded_at,
        fresh_until = excluded.fresh_until,
        keep_until = excluded.keep_until";

impl PutIn {
    pub(super) fn new(puts: &[Fill<'_>], now: i64) -> Result<Self, TierError> {
        Rows::new(puts, now).map(Self)
    }
}

impl Write for PutIn {
    type Answer = ();

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<(), sqlx::Error> {
        raise_sequence(db).await?;
        query(VOID_PERMITS).bind(&*self.0.rows).execute(&mut *db).await?;
        query(PUT).bind(&*self.0.rows).bind(&*self.0.values).bind(turn.session).execute(db).await?;
        Ok(())
    }
}
