//! Removing what is of no more use, or too much; and how much there is.

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};

use super::epoch;
use super::log;
use super::queue::Write;
use super::runs;
use super::turn::Turn;
use crate::tier::{Swept, TierSize};

/// Removes rows that are of no more use, and if there is little room, those that end soonest.
#[derive(Debug)]
pub(super) struct Sweep {
    rows_max: u32,
    /// The bytes that may be in use before rows are removed that could still be served.
    bytes_max: u64,
}

const REMOVE_EXPIRED: &str = "
    delete from forewarm_entry
    where rowid in (
        select rowid from forewarm_entry where keep_until <= ?1 order by keep_until limit ?2
    )";

const REMOVE_PERMITS: &str = "
    delete from forewarm_permit
    where key in (select key from forewarm_permit where until <= ?1 order by until limit ?2)";

/// What was invalidated with its whole resource. The rest of what is void goes when it ends.
const REMOVE_VOID: &str = "
    delete from forewarm_entry
    where rowid in (
        select entry.rowid
        from forewarm_epoch as epoch
        cross join forewarm_entry as entry
        where epoch.kind = 'resource'
          and entry.resource = epoch.resource
          and entry.sequence < epoch.sequence
        limit ?2
    )";

/// The rows that end soonest, as many as make up the bytes that are too many.
const EVICT: &str = "
    delete from forewarm_entry
    where rowid in (
        select rowid
        from (
            select rowid, sum(bytes) over (order by keep_until, rowid) - bytes as bytes_before
            from (
                select rowid, keep_until, length(key) + length(value) as bytes
                from forewarm_entry order by keep_until limit ?1
            )
        )
        where bytes_before < ?2
    )";

/// There are few of these, and nobody counts them.
const FORGET_LAGS: &str = "delete from forewarm_lag where until <= ?1";
const FORGET_HOT: &str = "delete from forewarm_hot where until <= ?1";

const ANY_EXPIRED: &str = "
    select exists (select 1 from forewarm_entry where keep_until <= ?1)
        or exists (select 1 from forewarm_permit where until <= ?1)
        or exists (
            select 1
            from forewarm_epoch as epoch
            cross join forewarm_entry as entry
            where epoch.kind = 'resource'
              and entry.resource = epoch.resource
              and entry.sequence < epoch.sequence
        )";

impl Sweep {
    pub(super) fn new(rows_max: u32, max_bytes: u64) -> Self {
        Self { rows_max, bytes_max: max_bytes / 10 * 9 }
    }

    /// The bytes in use that are too many.
    async fn excess(&self, db: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
        Ok(bytes(db).await?.saturating_sub(self.bytes_max))
    }
}

impl Write for Sweep {
    type Answer = Swept;

    async fn write(&self, db: &mut SqliteConnection, turn: Turn) -> Result<Swept, sqlx::Error> {
        let mut left = u64::from(self.rows_max);
        let mut swept = Swept::default();
        for sql in [REMOVE_EXPIRED, REMOVE_PERMITS, REMOVE_VOID] {
            let limit = left.cast_signed();
            let removed = query(sql).bind(turn.now).bind(limit).execute(&mut *db).await?;
            swept.expired += removed.rows_affected();
            left = left.saturating_sub(removed.rows_affected());
        }
        for sql in [FORGET_LAGS, FORGET_HOT] {
            query(sql).bind(turn.now).execute(&mut *db).await?;
        }
        let has_more_runs = runs::sweep(db, turn).await?;
        epoch::prune(db).await?;
        let has_more_log = log::sweep(db, self.rows_max, turn).await?;
        let excess = self.excess(db).await?;
        if excess > 0 && left > 0 {
            let (limit, excess) = (left.cast_signed(), excess.cast_signed());
            let removed = query(EVICT).bind(limit).bind(excess).execute(&mut *db).await?;
            swept.evicted = removed.rows_affected();
            if swept.evicted == 0 {
                log::halve(db).await?;
            }
        }
        // If nothing could be evicted, the room is taken by others: trying again would not help.
        let may_evict = swept.evicted > 0 || left == 0;
        swept.has_more = query_scalar(ANY_EXPIRED).bind(turn.now).fetch_one(&mut *db).await?
            || has_more_log
            || has_more_runs
            || may_evict && self.excess(db).await? > 0;
        Ok(swept)
    }
}

/// The pages in use, those of the tables of others included.
const BYTES: &str = "
    select (all_pages.page_count - free_pages.freelist_count) * page.page_size
    from pragma_page_count as all_pages
    cross join pragma_freelist_count as free_pages
    cross join pragma_page_size as page";

async fn bytes(db: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let bytes: i64 = query_scalar(BYTES).fetch_one(db).await?;
    Ok(u64::try_from(bytes).unwrap_or_default())
}

const ENTRIES: &str = "select count(*) from forewarm_entry";

/// How much is stored.
pub(super) async fn size(db: &mut SqliteConnection) -> Result<TierSize, sqlx::Error> {
    let entries: i64 = query_scalar(ENTRIES).fetch_one(&mut *db).await?;
    let entries = u64::try_from(entries).unwrap_or_default();
    Ok(TierSize { entries, bytes: bytes(db).await? })
}
