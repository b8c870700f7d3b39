//! Making values void, or stale.

use std::sync::Arc;

use sqlx::query;
use sqlx::sqlite::SqliteConnection;

use super::begin::{is_storable, json};
use super::queue::Write;
use super::turn::Turn;
use crate::tier::{Invalidation, Selector, TierError};

/// Removes values and voids permits.
#[derive(Debug)]
pub(super) struct Invalidate {
    keys: Arc<str>,
    resources: Arc<str>,
}

const REMOVE_ENTRIES: &str =
    "delete from forewarm_entry where key in (select value from json_each(?1))";

/// Whatever was loaded before is void from now on, however many rows that are.
const RAISE_EPOCHS: &str = "
    insert into forewarm_epoch (selector, sequence)
    select ask.value, meta.sequence
    from json_each(?1) as ask
    cross join forewarm_meta as meta
    where true
    on conflict (selector) do update set sequence = excluded.sequence";

impl Invalidate {
    pub(super) fn new(invalidations: &[Invalidation<'_>]) -> Result<Self, TierError> {
        let (mut keys, mut resources) = (Vec::new(), Vec::new());
        for invalidation in invalidations {
            match invalidation.selector {
                Selector::Key(key) => keys.push(key),
                Selector::Resource(resource)
                | Selector::Tag { resource, .. }
                | Selector::Pattern { resource, .. } => resources.push(resource),
            }
        }
        for list in [&mut keys, &mut resources] {
            list.retain(|text| is_storable(text));
        }
        Ok(Self { keys: json(&keys)?, resources: json(&resources)? })
    }
}

impl Write for Invalidate {
    type Answer = ();

    async fn write(&self, db: &mut SqliteConnection, _turn: Turn) -> Result<(), sqlx::Error> {
        raise_sequence(db).await?;
        if &*self.keys != EMPTY {
            query(REMOVE_ENTRIES).bind(&*self.keys).execute(&mut *db).await?;
            void_permits(db, &self.keys).await?;
        }
        if &*self.resources != EMPTY {
            query(RAISE_EPOCHS).bind(&*self.resources).execute(db).await?;
        }
        Ok(())
    }
}

/// The list of nothing.
const EMPTY: &str = "[]";

const RAISE_SEQUENCE: &str = "update forewarm_meta set sequence = sequence + 1";

/// Counts an invalidation.
pub(super) async fn raise_sequence(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    query(RAISE_SEQUENCE).execute(db).await?;
    Ok(())
}

const VOID_PERMITS: &str =
    "delete from forewarm_permit where key in (select value from json_each(?1))";

async fn void_permits(db: &mut SqliteConnection, keys: &str) -> Result<(), sqlx::Error> {
    query(VOID_PERMITS).bind(keys).execute(db).await?;
    Ok(())
}

/// Makes values stale, and voids permits.
#[derive(Debug)]
pub(super) struct Expire {
    keys: Arc<str>,
}

const MAKE_STALE: &str = "
    update forewarm_entry set fresh_until = ?2
    where key in (select value from json_each(?1)) and fresh_until > ?2";

impl Expire {
    pub(super) fn new(keys: &[&str]) -> Result<Self, TierError> {
        let keys: Vec<_> = keys.iter().filter(|key| is_storable(key)).collect();
        Ok(Self { keys: json(&keys)? })
    }
}

impl Write for Expire {
    type Answer = ();

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<(), sqlx::Error> {
        query(MAKE_STALE).bind(&*self.keys).bind(turn.now).execute(&mut *db).await?;
        void_permits(db, &self.keys).await
    }
}
