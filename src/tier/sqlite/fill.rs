//! Storing values whose permits still stand.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};

use super::begin::{is_storable, json};
use super::log::version;
use super::queue::Write;
use super::turn::{Turn, millis};
use crate::tier::{Fill, Permit, TierError};

/// Values to be stored, as two parameters.
#[derive(Debug)]
pub(super) struct Values {
    /// `[key, permit, loaded_at, fresh_until, keep_until, where the value starts, its length, tags,
    /// version, resource]` for each value. Points in time, so that a write that runs late makes
    /// nothing younger.
    pub(super) rows: Arc<str>,
    /// The values, one after the other.
    pub(super) bytes: Vec<u8>,
}

impl Values {
    pub(super) fn new<'a>(
        fills: impl Iterator<Item = &'a Fill<'a>>,
        now: i64,
    ) -> Result<Self, TierError> {
        let (mut rows, mut bytes) = (Vec::new(), Vec::new());
        for fill in fills {
            // SQLite counts from 1.
            let start = bytes.len() + 1;
            bytes.extend_from_slice(fill.value);
            rows.push((
                fill.key,
                fill.permit.0.cast_signed(),
                now.saturating_sub(millis(fill.age)),
                now.saturating_add(millis(fill.fresh_for)),
                now.saturating_add(millis(fill.keep_for)),
                start,
                fill.value.len(),
                fill.tags,
                version(fill.version),
                resource_of(fill.key),
            ));
        }
        Ok(Self { rows: json(&rows)?, bytes })
    }
}

/// A key up to its second `:`.
fn resource_of(key: &str) -> &str {
    key.match_indices(':').nth(1).and_then(|(end, _)| key.get(..end)).unwrap_or(key)
}

/// Stores the values whose permits still stand, and takes the permits. No key comes twice.
#[derive(Debug)]
pub(super) struct FillIn(Values);

/// The part of an empty blob is null.
const FILL: &str = "
    insert into forewarm_entry
        (key, session, sequence, loaded_at, fresh_until, keep_until, tags, value)
    select
        permit.key,
        meta.session,
        permit.sequence,
        ask.value ->> 2,
        ask.value ->> 3,
        ask.value ->> 4,
        ask.value -> 7,
        coalesce(substr(?2, ask.value ->> 5, ask.value ->> 6), x'')
    from json_each(?1) as ask
    cross join forewarm_standing_permit as permit on permit.key = ask.value ->> 0
    cross join forewarm_meta as meta
    where permit.permit = ask.value ->> 1
      and permit.until > ?3
      and permit.min_version <= ask.value ->> 8
      and (
          permit.sequence >= meta.last_epoch
          or not exists (
              select 1
              from json_each(ask.value, '$[7]') as tag
              cross join forewarm_epoch as epoch
              where epoch.resource = permit.resource
                and epoch.kind = 'tag'
                and epoch.detail = tag.value
                and epoch.sequence > permit.sequence
          )
      )
    on conflict (key) do update
    set session = excluded.session,
        sequence = excluded.sequence,
        loaded_at = excluded.loaded_at,
        fresh_until = excluded.fresh_until,
        keep_until = excluded.keep_until,
        tags = excluded.tags,
        value = excluded.value
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
        Values::new(fills.iter(), now).map(Self)
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
            .bind(&*self.0.bytes)
            .bind(turn.now)
            .fetch_all(&mut *db)
            .await?;
        // Also of what was refused: a load whose value is void must not hold up the next one.
        query(TAKE_PERMITS).bind(&*self.0.rows).execute(db).await?;
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
