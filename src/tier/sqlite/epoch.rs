//! Invalidating groups: a resource, the values with a tag, the keys that match a pattern.
//!
//! A group is not looked for. Its epoch is written down, and what was loaded before that is void,
//! however many rows that are.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};

use super::begin::{is_storable, json};
use super::glob::glob;
use super::log::Logging;
use crate::key::Pattern;
use crate::tier::{Invalidation, Row, Selector, TierError};

/// The epochs that an invalidation begins.
#[derive(Debug)]
pub(super) struct Epochs {
    /// `[resource, kind, detail, glob]` for each.
    rows: Arc<str>,
    /// Whether there is a whole resource among them, and anything else.
    has_whole: bool,
    has_part: bool,
}

impl Epochs {
    /// Those of the selectors that name a group.
    pub(super) fn new(invalidations: &[Invalidation<'_>]) -> Result<Self, TierError> {
        let (mut rows, mut has_whole, mut has_part) = (Vec::new(), false, false);
        for invalidation in invalidations {
            let Some((row, glob)) = epoch(invalidation.selector) else { continue };
            if row.kind == WHOLE {
                has_whole = true;
            } else {
                has_part = true;
            }
            rows.push((row.subject, row.kind, row.detail, glob));
        }
        Ok(Self { rows: json(&rows)?, has_whole, has_part })
    }

    /// Begins them.
    pub(super) async fn raise(
        &self,
        db: &mut SqliteConnection,
        logging: Logging,
    ) -> Result<(), sqlx::Error> {
        if !self.has_whole && !self.has_part {
            return Ok(());
        }
        query(RAISE).bind(&*self.rows).bind(logging.last).execute(&mut *db).await?;
        query(NOTE_LAST).bind(logging.last).execute(&mut *db).await?;
        let mut has_whole = self.has_whole;
        if self.has_part {
            let collapse = query(COLLAPSE).bind(&*self.rows).bind(logging.last);
            let tags_max = if is_counted(logging) { TAGS_MAX } else { i64::MAX };
            let collapse = collapse.bind(tags_max).bind(PATTERNS_MAX).execute(&mut *db).await?;
            has_whole |= collapse.rows_affected() > 0;
        }
        if has_whole {
            query(REMOVE_COVERED).bind(&*self.rows).execute(db).await?;
        }
        Ok(())
    }
}

/// The kind of an epoch of a whole resource.
const WHOLE: &str = "resource";

/// The epoch that a selector begins, and what it matches in SQLite's own terms, if it names a group
/// that can have anything stored.
fn epoch(selector: Selector<'_>) -> Option<(Row<'_>, String)> {
    let whole = |resource| Row::from(Selector::Resource(resource));
    let (row, glob) = match selector {
        Selector::Key(_) => return None,
        Selector::Resource(_) | Selector::Tag { .. } => (Row::from(selector), String::new()),
        Selector::Pattern { resource, pattern } => match pattern.parse::<Pattern>() {
            Ok(pattern) => (Row::from(selector), glob(resource, &pattern)),
            // Whatever it was to match is in the resource.
            Err(_) => (whole(resource), String::new()),
        },
    };
    is_storable(row.subject).then_some((row, glob))
}

const RAISE: &str = "
    insert into forewarm_epoch (resource, kind, detail, glob, sequence)
    select ask.value ->> 0, ask.value ->> 1, ask.value ->> 2, ask.value ->> 3, ?2
    from json_each(?1) as ask
    where true
    on conflict (resource, kind, detail) do update set sequence = excluded.sequence";

const NOTE_LAST: &str = "update forewarm_meta set last_epoch = ?1";

/// Where too many tags or patterns of a resource would have to be remembered, all of it is
/// invalidated instead: too much, and never too little.
const COLLAPSE: &str = "
    insert into forewarm_epoch (resource, kind, detail, glob, sequence)
    select epoch.resource, 'resource', '', '', ?2
    from forewarm_epoch as epoch
    where epoch.resource in (select ask.value ->> 0 from json_each(?1) as ask)
      and epoch.kind = 'pattern'
    group by epoch.resource
    having count(*) > ?4
    union
    select epoch.resource, 'resource', '', '', ?2
    from forewarm_epoch as epoch
    where ?3 < 0x7fffffffffffffff
      and epoch.resource in (select ask.value ->> 0 from json_each(?1) as ask)
      and epoch.kind = 'tag'
    group by epoch.resource
    having count(*) > ?3
    on conflict (resource, kind, detail) do update set sequence = excluded.sequence";

/// The most patterns of a resource: a value that is older than all of them is compared with each.
const PATTERNS_MAX: i64 = 128;

/// To count the tags takes as long as there are many, so that it is not done each time. Until the
/// next time there cannot be more than 10,000.
const TAGS_MAX: i64 = 10_000 - COUNT_EVERY;
const COUNT_EVERY: i64 = 256;

fn is_counted(logging: Logging) -> bool {
    logging.before / COUNT_EVERY != logging.last / COUNT_EVERY
}

/// What the epoch of the whole resource covers need not be remembered.
const REMOVE_COVERED: &str = "
    delete from forewarm_epoch
    where resource in (select ask.value ->> 0 from json_each(?1) as ask)
      and kind <> 'resource'
      and sequence <= (
          select whole.sequence from forewarm_epoch as whole
          where whole.resource = forewarm_epoch.resource and whole.kind = 'resource'
      )";

/// An epoch goes when no value and no permit of its resource is left that is older.
const PRUNE: &str = "
    with oldest as materialized (
        select
            held.resource,
            min(
                coalesce((
                    select min(entry.sequence) from forewarm_entry as entry
                    where entry.resource = held.resource
                ), 0x7fffffffffffffff),
                coalesce((
                    select min(permit.sequence) from forewarm_permit as permit
                    where permit.resource = held.resource
                ), 0x7fffffffffffffff)
            ) as sequence
        from (select distinct epoch.resource from forewarm_epoch as epoch) as held
    )
    delete from forewarm_epoch
    where sequence <= (
        select oldest.sequence from oldest where oldest.resource = forewarm_epoch.resource
    )";

const LAST: &str = "
    update forewarm_meta
    set last_epoch = coalesce((select max(epoch.sequence) from forewarm_epoch as epoch), 0)";

const ANY: &str = "select exists (select 1 from forewarm_epoch)";

/// Removes the epochs that void nothing any more.
pub(super) async fn prune(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let any: bool = query_scalar(ANY).fetch_one(&mut *db).await?;
    if any && query(PRUNE).execute(&mut *db).await?.rows_affected() > 0 {
        query(LAST).execute(db).await?;
    }
    Ok(())
}
