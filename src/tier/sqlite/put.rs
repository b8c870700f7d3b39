//! Invalidating keys and storing their new values in one step.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::query_scalar;
use sqlx::sqlite::SqliteConnection;

use super::begin::{is_storable, json};
use super::fill::Values;
use super::invalidate::{remove_entries, void_permits};
use super::log::{Changes, Logging};
use super::queue::Write;
use super::turn::Turn;
use crate::tier::{Cursor, Fill, Mark, Node, Row, Selector, TierError};

/// Invalidates keys and stores their new values, where nobody has changed them meanwhile; the
/// last value of a key that comes twice stays.
#[derive(Debug)]
pub(super) struct PutIn {
    /// What the caller has heard of, if it can have been in this file.
    since: Option<Mark>,
    keys: Arc<str>,
    values: Values,
    changes: Changes,
}

/// What the putting node has changed itself counts too: this may be executed late. Of a pattern it is
/// enough that it is for the resource: which keys it matched is not worth finding out.
const PUT: &str = "
    insert into forewarm_entry
        (key, session, sequence, loaded_at, fresh_until, keep_until, tags, value)
    select
        ask.value ->> 0,
        meta.session,
        meta.sequence,
        ask.value ->> 2,
        ask.value ->> 3,
        ask.value ->> 4,
        ask.value -> 7,
        coalesce(substr(?2, ask.value ->> 5, ask.value ->> 6), x'')
    from json_each(?1) as ask
    cross join forewarm_meta as meta
    where meta.session = ?3
      and ?4 between meta.cut and ?5
      and not exists (
          select 1 from forewarm_change as change
          where change.subject = ask.value ->> 0
            and change.sequence > ?4
      )
      and not exists (
          select 1 from forewarm_change as change
          where change.subject = ask.value ->> 9
            and change.sequence > ?4
            and (
                change.kind <> 'tag'
                or change.detail in (select tag.value from json_each(ask.value, '$[7]') as tag)
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

impl PutIn {
    pub(super) fn new(
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
        now: i64,
    ) -> Result<Self, TierError> {
        let storable = || puts.iter().filter(|put| is_storable(put.key));
        let changes = puts.iter().map(|put| (Row::from(Selector::Key(put.key)), None));
        let changes: Vec<_> = changes.collect();
        Ok(Self {
            since: if let [mark] = since.0[..] { Some(mark) } else { None },
            keys: json(&storable().map(|put| put.key).collect::<Vec<_>>())?,
            values: Values::new(storable(), now)?,
            changes: Changes::new(by, &changes)?,
        })
    }

    /// The keys whose values may be stored, and are now.
    async fn store(
        &self,
        db: &mut SqliteConnection,
        logging: Logging,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let Some(since) = self.since else { return Ok(HashSet::new()) };
        let stored: Vec<String> = query_scalar(PUT)
            .bind(&*self.values.rows)
            .bind(&*self.values.bytes)
            .bind(since.incarnation.cast_signed())
            .bind(since.position.cast_signed())
            .bind(logging.before)
            .fetch_all(db)
            .await?;
        Ok(stored.into_iter().collect())
    }
}

impl Write for PutIn {
    /// The keys whose values were stored.
    type Answer = HashSet<String>;

    async fn write(
        &self,
        db: &mut SqliteConnection,
        turn: Turn,
    ) -> Result<HashSet<String>, sqlx::Error> {
        let Some(logging) = self.changes.begin(db).await? else { return Ok(HashSet::new()) };
        void_permits(db, &self.keys).await?;
        // What others may not overwrite must not stay either.
        remove_entries(db, &self.keys).await?;
        let stored = self.store(db, logging).await?;
        self.changes.end(db, logging, turn).await?;
        Ok(stored)
    }
}
