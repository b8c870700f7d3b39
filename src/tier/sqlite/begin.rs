//! Looking values up, and giving permits for those that are not there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::query_as;
use sqlx::sqlite::SqliteConnection;

use super::queue::Write;
use super::turn::{Turn, millis, span};
use crate::tier::{Ask, Begun, Stored, TierError, Want};

/// A value that was found, and the place of its key among those asked for.
pub(super) type Found = (usize, Stored);

/// Whether SQLite can tell the key from others: its functions read a text up to a NUL only.
pub(super) fn is_storable(key: &str) -> bool {
    !key.contains('\0')
}

/// Whether a value that was found answers an ask.
pub(super) fn answers(ask: &Ask<'_>, stored: &Stored) -> bool {
    match ask.want {
        Want::Value => true,
        Want::Fresh | Want::Copy => !stored.fresh_for.is_zero(),
        Want::Permit => false,
    }
}

/// The keys whose values are wanted, as one parameter; the others leave a gap.
pub(super) fn key_list(asks: &[Ask<'_>]) -> Result<Arc<str>, TierError> {
    let is_wanted = |ask: &Ask<'_>| ask.want != Want::Permit && is_storable(ask.key);
    let keys = asks.iter().map(|ask| is_wanted(ask).then_some(ask.key));
    json(&keys.collect::<Vec<_>>())
}

/// A list as one parameter: so one statement, which the connection holds, serves every length.
pub(super) fn json(list: &impl Serialize) -> Result<Arc<str>, TierError> {
    serde_json::to_string(list).map(Arc::from).map_err(TierError::new)
}

/// A row that is loaded more than 5 s from now was stored by a clock that has been set back since.
const LOOK_UP: &str = "
    select
        ask.key,
        entry.value,
        entry.session <> (select session from forewarm_meta),
        entry.loaded_at,
        entry.fresh_until,
        entry.keep_until,
        entry.tags
    from json_each(?1) as ask
    cross join forewarm_standing_entry as entry on entry.key = ask.value
    where entry.keep_until > ?2
      and entry.loaded_at <= ?2 + 5000";

/// The values of the keys in a [`key_list`] that may be served.
pub(super) async fn look_up(
    db: &mut SqliteConnection,
    keys: &str,
    now: i64,
) -> Result<Vec<Found>, sqlx::Error> {
    type Row = (i64, Vec<u8>, bool, i64, i64, i64, String);
    let rows: Vec<Row> = query_as(LOOK_UP).bind(keys).bind(now).fetch_all(db).await?;
    let found = |(place, value, is_restored, loaded_at, fresh_until, keep_until, tags): Row| {
        let stored = Stored {
            value,
            age: span(loaded_at, now),
            fresh_for: span(now, fresh_until),
            keep_for: span(now, keep_until),
            is_restored,
            tags: tags_in(&tags),
        };
        Some((usize::try_from(place).ok()?, stored))
    };
    Ok(rows.into_iter().filter_map(found).collect())
}

fn tags_in(list: &str) -> Vec<String> {
    // SQLite has read the list already, to compare the tags with what was invalidated.
    if list == "[]" { Vec::new() } else { serde_json::from_str(list).unwrap_or_default() }
}

/// Gives permits for keys, unless a value has come in meanwhile or somebody else is loading it.
#[derive(Debug)]
pub(super) struct Grant {
    /// `[key, permit, how fresh a value must be to be taken instead]` for each ask.
    asks: Arc<str>,
    keys: Arc<str>,
    count: usize,
    permit_for: i64,
}

/// What came of the asks of a [`Grant`].
#[derive(Debug)]
pub(super) struct Granted {
    /// The permit that each key now has, where it was given here.
    permits: HashMap<String, i64>,
    found: Vec<Found>,
}

/// A permit that ends more than 5 s after any given now stems from a clock that has been set back
/// since, and would not end for as long. One that is given while the source lags behind stays
/// marked by that: what is loaded now may be old, whenever it comes.
const GRANT: &str = "
    insert into forewarm_permit (key, permit, until, sequence, min_version)
    select
        ask.value ->> 0,
        ask.value ->> 1,
        ?3,
        meta.sequence,
        coalesce((
            select lag.min_version from forewarm_lag as lag
            where lag.key = ask.value ->> 0 and lag.until > ?2
        ), '')
    from json_each(?1) as ask
    cross join forewarm_meta as meta
    where not exists (
          select 1 from forewarm_standing_entry as entry
          where entry.key = ask.value ->> 0
            and case ask.value ->> 2
                when 'value' then entry.keep_until > ?2
                when 'fresh' then entry.fresh_until > ?2
                else false
            end
            and entry.loaded_at <= ?2 + 5000
      )
    on conflict (key) do update
    set permit = excluded.permit,
        until = excluded.until,
        sequence = excluded.sequence,
        min_version = excluded.min_version
    where forewarm_permit.until <= ?2
       or forewarm_permit.until - 5000 > excluded.until
       or forewarm_permit.permit = excluded.permit
       or not exists (
          select 1 from forewarm_standing_permit as permit where permit.key = excluded.key
      )
    returning key, permit";

impl Grant {
    pub(super) fn new(asks: &[Ask<'_>], permit_for: Duration) -> Result<Self, TierError> {
        let want = |want| match want {
            Want::Value => "value",
            Want::Fresh | Want::Copy => "fresh",
            Want::Permit => "permit",
        };
        let rows = asks.iter();
        let rows = rows.map(|ask| (ask.key, ask.permit.0.cast_signed(), want(ask.want)));
        Ok(Self {
            asks: json(&rows.collect::<Vec<_>>())?,
            keys: key_list(asks)?,
            count: asks.len(),
            permit_for: millis(permit_for),
        })
    }
}

impl Write for Grant {
    type Answer = Granted;

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<Granted, sqlx::Error> {
        let permits: Vec<(String, i64)> = query_as(GRANT)
            .bind(&*self.asks)
            .bind(turn.now)
            .bind(turn.now.saturating_add(self.permit_for))
            .fetch_all(&mut *db)
            .await?;
        let all_given = permits.len() == self.count;
        let found = if all_given { Vec::new() } else { look_up(db, &self.keys, turn.now).await? };
        Ok(Granted { permits: permits.into_iter().collect(), found })
    }
}

impl Granted {
    /// The answers to the asks, in their order.
    pub(super) fn answers(self, asks: &[Ask<'_>]) -> Vec<Begun> {
        let begun = |ask: &Ask<'_>| match self.permits.get(ask.key) {
            Some(permit) if *permit == ask.permit.0.cast_signed() => Begun::Permit,
            _ => Begun::Busy,
        };
        let mut begun: Vec<_> = asks.iter().map(begun).collect();
        for (place, stored) in self.found {
            // A key that has just been given a permit has no value to serve.
            let ask = asks.get(place).filter(|ask| answers(ask, &stored));
            if let Some((begun, _)) = begun.get_mut(place).zip(ask) {
                *begun = Begun::Hit(stored);
            }
        }
        begun
    }
}
