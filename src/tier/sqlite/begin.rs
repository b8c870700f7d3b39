//! Giving permits for values that are not there.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use sqlx::query_as;
use sqlx::sqlite::SqliteConnection;

use super::look_up::{Found, Keys, look_up};
use super::queue::Write;
use super::turn::{Turn, millis};
use crate::tier::{Ask, Begun, Stored, TierError, Want};

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

/// A list as one parameter: so one statement, which the connection holds, serves every length.
pub(super) fn json(list: &impl Serialize) -> Result<Arc<str>, TierError> {
    serde_json::to_string(list).map(Arc::from).map_err(TierError::new)
}

/// Gives permits for keys, unless a value has come in meanwhile or somebody else is loading it.
#[derive(Debug)]
pub(super) struct Grant {
    /// `[key, permit, how fresh a value must be to be taken instead]` for each ask.
    asks: Arc<str>,
    keys: Keys,
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
            keys: Keys::wanted_by(asks)?,
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
