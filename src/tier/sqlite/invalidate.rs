//! Making values void, or stale.

use std::sync::Arc;

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::begin::{is_storable, json};
use super::epoch::Epochs;
use super::log::{Changes, told};
use super::queue::Write;
use super::turn::Turn;
use crate::tier::{EXPIRED, Invalidation, Node, Row, Selector, TierError};

/// Removes values and voids permits.
#[derive(Debug)]
pub(super) struct Invalidate {
    keys: Arc<str>,
    /// `[key, how long its source lags behind in milliseconds, the least version]` for each.
    lags: Arc<str>,
    epochs: Epochs,
    changes: Changes,
}

impl Invalidate {
    pub(super) fn new(by: Node, invalidations: &[Invalidation<'_>]) -> Result<Self, TierError> {
        let (mut keys, mut lags, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for Invalidation { selector, lag } in invalidations {
            let lag = lag.filter(|lag| !lag.lasts.is_zero());
            let lag = lag.filter(|_| matches!(selector, Selector::Key(_)));
            changes.push((Row::from(*selector), lag));
            if let Selector::Key(key) = selector
                && is_storable(key)
            {
                keys.push(key);
                lags.extend(lag.map(told).map(|(lag_ms, min)| (key, lag_ms, min)));
            }
        }
        Ok(Self {
            keys: json(&keys)?,
            lags: json(&lags)?,
            epochs: Epochs::new(invalidations)?,
            changes: Changes::new(by, &changes)?,
        })
    }
}

impl Write for Invalidate {
    type Answer = ();

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<(), sqlx::Error> {
        let Some(logging) = self.changes.begin(db).await? else { return Ok(()) };
        if &*self.keys != EMPTY {
            remove_entries(db, &self.keys).await?;
            void_permits(db, &self.keys).await?;
        }
        if &*self.lags != EMPTY {
            query(LAG).bind(&*self.lags).bind(turn.now).execute(&mut *db).await?;
        }
        self.epochs.raise(db, logging).await?;
        self.changes.end(db, logging, turn).await
    }
}

/// The list of nothing.
const EMPTY: &str = "[]";

const REMOVE_ENTRIES: &str =
    "delete from forewarm_entry where key in (select value from json_each(?1))";

pub(super) async fn remove_entries(
    db: &mut SqliteConnection,
    keys: &str,
) -> Result<(), sqlx::Error> {
    query(REMOVE_ENTRIES).bind(keys).execute(db).await?;
    Ok(())
}

const VOID_PERMITS: &str =
    "delete from forewarm_permit where key in (select value from json_each(?1))";

pub(super) async fn void_permits(db: &mut SqliteConnection, keys: &str) -> Result<(), sqlx::Error> {
    query(VOID_PERMITS).bind(keys).execute(db).await?;
    Ok(())
}

/// Of two that last at once, each is heeded.
const LAG: &str = "
    insert into forewarm_lag (key, until, min_version)
    select ask.value ->> 0, min(ask.value ->> 1, 0x7fffffffffffffff - ?2) + ?2, ask.value ->> 2
    from json_each(?1) as ask
    where true
    on conflict (key) do update
    set until = max(forewarm_lag.until, excluded.until),
        min_version = case
            when forewarm_lag.until > ?2 then max(forewarm_lag.min_version, excluded.min_version)
            else excluded.min_version
        end";

/// Makes values stale, and voids permits.
#[derive(Debug)]
pub(super) struct Expire {
    keys: Arc<str>,
    changes: Changes,
}

const MAKE_STALE: &str = "
    update forewarm_entry set fresh_until = ?2
    where key in (select value from json_each(?1)) and fresh_until > ?2";

impl Expire {
    pub(super) fn new(by: Node, keys: &[&str]) -> Result<Self, TierError> {
        let changes: Vec<_> = keys
            .iter()
            .map(|key| (Row { kind: EXPIRED, subject: key, detail: "" }, None))
            .collect();
        let storable: Vec<_> = keys.iter().filter(|key| is_storable(key)).collect();
        Ok(Self { keys: json(&storable)?, changes: Changes::new(by, &changes)? })
    }
}

impl Write for Expire {
    type Answer = ();

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<(), sqlx::Error> {
        let Some(logging) = self.changes.begin(db).await? else { return Ok(()) };
        query(MAKE_STALE).bind(&*self.keys).bind(turn.now).execute(&mut *db).await?;
        void_permits(db, &self.keys).await?;
        self.changes.end(db, logging, turn).await
    }
}
