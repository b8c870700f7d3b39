//! The log of changes, in which others find what they have to forget.

use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_as, query_scalar};

use super::begin::json;
use super::turn::{Turn, millis};
use crate::tier::{Cursor, Lag, Logged, Mark, Node, Polled, Row, TierError};

/// Changes that are noted in the log, in the transaction that makes them.
#[derive(Debug)]
pub(super) struct Changes {
    by: Node,
    /// `[kind, subject, detail, lag_ms, min_version]` for each.
    rows: Arc<str>,
    count: i64,
}

/// The sequences that some changes have been given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Logging {
    /// The last one before them.
    pub(super) before: i64,
    /// The last one of them.
    pub(super) last: i64,
    /// Up to where the log has been cut.
    cut: i64,
}

const RAISE_SEQUENCE: &str =
    "update forewarm_meta set sequence = sequence + ?1 returning sequence, cut";

const APPEND: &str = "
    insert into forewarm_change
        (sequence, node, kind, subject, detail, lag_ms, min_version, changed_at)
    select
        ?2 + 1 + ask.key,
        ?3,
        ask.value ->> 0,
        ask.value ->> 1,
        ask.value ->> 2,
        ask.value ->> 3,
        ask.value ->> 4,
        ?4
    from json_each(?1) as ask";

impl Changes {
    pub(super) fn new(by: Node, changes: &[(Row<'_>, Option<Lag>)]) -> Result<Self, TierError> {
        let mut rows = Vec::with_capacity(changes.len());
        for (Row { kind, subject, detail }, lag) in changes {
            let (lag_ms, min_version) = lag.map_or((0, String::new()), told);
            rows.push((kind, subject, detail, lag_ms, min_version));
        }
        let count = i64::try_from(rows.len()).map_err(TierError::new)?;
        Ok(Self { by, rows: json(&rows)?, count })
    }

    /// Gives the changes their sequences; `None` if there are none.
    pub(super) async fn begin(
        &self,
        db: &mut SqliteConnection,
    ) -> Result<Option<Logging>, sqlx::Error> {
        if self.count == 0 {
            return Ok(None);
        }
        let (last, cut) = query_as(RAISE_SEQUENCE).bind(self.count).fetch_one(db).await?;
        Ok(Some(Logging { before: last - self.count, last, cut }))
    }

    /// Notes them in the log.
    pub(super) async fn end(
        &self,
        db: &mut SqliteConnection,
        logging: Logging,
        turn: Turn,
    ) -> Result<(), sqlx::Error> {
        let append = query(APPEND).bind(&*self.rows).bind(logging.before);
        append.bind(self.by.0.cast_signed()).bind(turn.now).execute(&mut *db).await?;
        // Not with every change: to remove many at once is cheaper.
        if logging.last - logging.cut > turn.log_rows + turn.log_rows / 8 {
            cut(db, logging.last - turn.log_rows).await?;
        }
        Ok(())
    }
}

/// A lag as it is stored.
pub(super) fn told(lag: Lag) -> (i64, String) {
    // One that is shorter than the clock can tell is still one.
    let lag_ms = if lag.lasts.is_zero() { 0 } else { millis(lag.lasts).max(1) };
    (lag_ms, lag.min_version.map_or_else(|| NO_VERSION.to_owned(), |min| version(Some(min))))
}

/// It comes after every version, so that none is new enough.
const NO_VERSION: &str = "none";

/// A version as it is stored: so that texts are in the order of the numbers, and JSON takes them
/// for what they are. No version comes before all of them.
pub(super) fn version(version: Option<u64>) -> String {
    version.map(|version| format!("{version:016x}")).unwrap_or_default()
}

const REMOVE: &str = "delete from forewarm_change where sequence <= ?1";

const NOTE_CUT: &str = "update forewarm_meta set cut = max(cut, ?1)";

/// Cuts the log up to a sequence, and remembers it: whoever stood before has missed something.
async fn cut(db: &mut SqliteConnection, sequence: i64) -> Result<(), sqlx::Error> {
    query(REMOVE).bind(sequence).execute(&mut *db).await?;
    query(NOTE_CUT).bind(sequence).execute(db).await?;
    Ok(())
}

/// Of the oldest rows, so many as are too old, or too many.
const OLD: &str = "
    select coalesce(max(sequence), 0)
    from (select sequence, changed_at from forewarm_change order by sequence limit ?1)
    where changed_at <= ?2 or sequence <= (select sequence from forewarm_meta) - ?3";

/// For so long somebody who has been cut off can still be told what was changed meanwhile.
const KEEP_MS: i64 = 10 * 60 * 1000;

/// Removes what is too old or too much, at most so many rows at a time. Gives whether there is
/// more.
pub(super) async fn sweep(
    db: &mut SqliteConnection,
    rows_max: u32,
    turn: Turn,
) -> Result<bool, sqlx::Error> {
    let old = |limit: u32| {
        query_scalar(OLD).bind(limit).bind(turn.now.saturating_sub(KEEP_MS)).bind(turn.log_rows)
    };
    let sequence: i64 = old(rows_max).fetch_one(&mut *db).await?;
    if sequence > 0 {
        cut(db, sequence).await?;
    }
    let next: i64 = old(1).fetch_one(db).await?;
    Ok(next > 0)
}

const MIDDLE: &str = "select (min(sequence) + max(sequence)) / 2 from forewarm_change";

/// Removes the older half of the log, as where nothing else is left to make room.
pub(super) async fn halve(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let middle: Option<i64> = query_scalar(MIDDLE).fetch_one(&mut *db).await?;
    if let Some(middle) = middle {
        cut(db, middle).await?;
    }
    Ok(())
}

/// One statement, so that what it says of the log and what it reads of it are of one moment.
const POLL: &str = "
    select
        meta.session,
        meta.sequence,
        meta.cut,
        change.sequence,
        change.node,
        change.kind,
        change.subject,
        change.detail,
        change.lag_ms,
        change.min_version
    from forewarm_meta as meta
    left join forewarm_change as change on change.sequence > ?1
    where meta.id = 1
    order by change.sequence
    limit ?2";

/// How many changes are told at a time.
const PAGE: u32 = 1000;

type PollRow = (i64, i64, i64, Option<i64>, Option<i64>, Text, Text, Text, Option<i64>, Text);
type Text = Option<String>;

/// What has been changed since a cursor.
pub(super) async fn poll(db: &mut SqliteConnection, since: &Cursor) -> Result<Polled, sqlx::Error> {
    let mark = if let [mark] = since.0[..] { Some(mark) } else { None };
    let start = mark.map_or(0, |mark| mark.position.cast_signed());
    let rows: Vec<PollRow> = query_as(POLL).bind(start).bind(PAGE).fetch_all(db).await?;
    let (session, sequence, cut, ..) = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let incarnation = session.cast_unsigned();
    let is_known = match mark {
        Some(mark) => mark.incarnation == incarnation,
        None => since.0.is_empty(),
    };
    let is_gap = !is_known || start < *cut || start > *sequence;
    let end = Mark { incarnation, position: sequence.cast_unsigned() };
    if is_gap {
        return Ok(Polled { cursor: Cursor(vec![end]), is_gap, ..Polled::default() });
    }
    let has_more = rows.len() >= PAGE as usize;
    let last = rows.last().and_then(|row| row.3).filter(|_| has_more);
    let position = last.map_or(end.position, i64::cast_unsigned);
    let cursor = Cursor(vec![Mark { incarnation, position }]);
    let changes = rows.iter().filter_map(|row| logged(incarnation, row)).collect();
    Ok(Polled { cursor, changes, is_gap, has_more })
}

/// The change of a row, if it has one.
fn logged(incarnation: u64, row: &PollRow) -> Option<Logged> {
    let (.., sequence, node, kind, subject, detail, lag_ms, min_version) = row;
    let lag = lag_ms.and_then(|lag_ms| u64::try_from(lag_ms).ok()).filter(|lag_ms| *lag_ms > 0);
    let lag = lag.map(|lag_ms| Lag {
        lasts: std::time::Duration::from_millis(lag_ms),
        min_version: min_version.as_ref().and_then(|text| u64::from_str_radix(text, 16).ok()),
    });
    let [kind, subject, detail] = [kind, subject, detail].map(|text| text.as_deref());
    let row = Row { kind: kind?, subject: subject?, detail: detail? };
    Some(Logged {
        // Numbers of another life of the store begin elsewhere.
        id: incarnation.wrapping_add(sequence.as_ref()?.cast_unsigned()),
        by: Node(node.as_ref()?.cast_unsigned()),
        change: row.change(lag),
    })
}

const POSITION: &str = "select session, sequence from forewarm_meta";

/// Where the log ends.
pub(super) async fn position(db: &mut SqliteConnection) -> Result<Mark, sqlx::Error> {
    let (session, sequence): (i64, i64) = query_as(POSITION).fetch_one(db).await?;
    Ok(Mark { incarnation: session.cast_unsigned(), position: sequence.cast_unsigned() })
}
