//! Reading the log.

use sqlx::postgres::PgConnection;
use sqlx::query_as;

use super::connections::Call;
use super::snapshot::Snapshot;
use super::turn::{Turn, span, unordered};
use crate::tier::{Cursor, Lag, Logged, Node, Polled, Row};

/// Reads what has been logged since a cursor.
#[derive(Debug)]
pub(super) struct Poll {
    /// `None` stands before everything.
    incarnation: Option<i64>,
    since: Snapshot,
    /// The cursor cannot stem from this store.
    is_strange: bool,
}

/// The most changes that are told at a time.
const PAGE: usize = 4000;

/// The log and where it ends are read in one snapshot: what is not among the changes is not
/// committed in the snapshot that the cursor then stands at. What had been committed at the cursor
/// is not told again, however long a transaction stays open that is older than all of it.
const POLL: &str = "
    with present as materialized (
        select
            (extract(epoch from clock_timestamp()) * 1000)::bigint + $4 as now,
            meta.incarnation,
            pg_current_snapshot() as seen,
            coalesce($1 = meta.incarnation, $1 is null)
                and forewarm.covers($2::text::pg_snapshot, meta.cut) as is_reached
        from forewarm.meta as meta
    )
    select
        present.now, present.incarnation, present.seen::text, present.is_reached,
        news.xid::text, news.id, news.by, news.kind, news.subject, news.detail, news.lag_ms,
        news.min_version
    from present
    left join lateral (
        select *
        from forewarm.change as change
        where present.is_reached
          and change.xid >= pg_snapshot_xmin($2::text::pg_snapshot)
          and not pg_visible_in_snapshot(change.xid, $2::text::pg_snapshot)
        order by change.xid
        limit $3
    ) as news on true
    order by news.xid";

type Read = (
    i64,
    i64,
    String,
    bool,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

impl Poll {
    pub(super) fn new(cursor: &Cursor) -> Self {
        let (incarnation, since) = Snapshot::of(cursor).unzip();
        let is_strange = incarnation.is_none() && !cursor.0.is_empty();
        Self { incarnation, since: since.unwrap_or(Snapshot::NOTHING), is_strange }
    }

    /// What was read: a page of it, if that is not all.
    fn polled(&self, rows: Vec<Read>) -> Result<Polled, sqlx::Error> {
        let (_, incarnation, seen, is_reached, ..) =
            rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let seen: Snapshot = seen.parse::<Snapshot>()?;
        if !is_reached || self.is_strange {
            let cursor = seen.cursor(*incarnation);
            return Ok(Polled { cursor, is_gap: true, ..Polled::default() });
        }
        let incarnation = *incarnation;
        let mut news: Vec<_> = rows.into_iter().filter_map(news).collect();
        let has_more = news.len() > PAGE;
        if !has_more {
            let changes = news.into_iter().map(|(_, logged)| logged).collect();
            let cursor = seen.cursor(incarnation);
            return Ok(Polled { cursor, changes, ..Polled::default() });
        }
        // A page ends where a transaction does, so that a reader can stand there.
        let end = news.last().map_or(0, |(xid, _)| *xid);
        news.retain(|(xid, _)| *xid < end);
        if news.is_empty() {
            // One transaction has changed more than that: whoever holds anything gives it up.
            let cursor = seen.cursor(incarnation);
            return Ok(Polled { cursor, is_gap: true, ..Polled::default() });
        }
        let changes = news.into_iter().map(|(_, logged)| logged).collect();
        Ok(Polled {
            cursor: seen.before(end).cursor(incarnation),
            changes,
            has_more,
            is_gap: false,
        })
    }
}

impl Call for Poll {
    type Answer = Polled;

    async fn run(&self, db: &mut PgConnection, turn: Turn<'_>) -> Result<Polled, sqlx::Error> {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX).saturating_add(1);
        let rows: Vec<Read> = query_as(turn.sql(POLL))
            .bind(self.incarnation)
            .bind(self.since.to_string())
            .bind(limit)
            .bind(turn.ahead)
            .fetch_all(db)
            .await?;
        if let Some((now, ..)) = rows.first() {
            turn.clocks.shown(*now);
        }
        self.polled(rows)
    }
}

/// A change and its transaction, if there is one in the row.
fn news(row: Read) -> Option<(u64, Logged)> {
    let (_, _, _, _, xid, id, by, kind, subject, detail, lag_ms, min_version) = row;
    let (kind, subject, detail) = (kind?, subject?, detail?);
    let row = Row { kind: &kind, subject: &subject, detail: &detail };
    let lag =
        lag_ms.map(|lasts| Lag { lasts: span(lasts), min_version: min_version.map(unordered) });
    let (id, by) = (id?.cast_unsigned(), Node(by?.cast_unsigned()));
    Some((xid?.parse().ok()?, Logged { id, by, change: row.change(lag) }))
}
