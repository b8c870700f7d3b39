//! A run as a row of a database.

use std::time::Duration;

use sqlx::{ColumnIndex, Decode, Row, Type};

use super::run::instant_of;
use super::{Node, RunId, RunRow};

/// The run of a row, whose columns have the same names and types in every database.
pub(super) fn run_row<'r, R: Row>(row: &'r R) -> Result<RunRow, sqlx::Error>
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    let took_us: Option<i64> = row.try_get("took_us")?;
    let attempts: i64 = row.try_get("attempts")?;
    Ok(RunRow {
        job: row.try_get("job")?,
        instant: row.try_get("instant")?,
        scheduled: instant_of(row.try_get("scheduled")?),
        run_id: RunId(row.try_get::<i64, _>("run_id")?.cast_unsigned()),
        reason: row.try_get("reason")?,
        by: Node(row.try_get::<i64, _>("node")?.cast_unsigned()),
        started: instant_of(row.try_get("started")?),
        ended: row.try_get::<Option<i64>, _>("ended")?.map(instant_of),
        took: took_us.map(|micros| Duration::from_micros(micros.unsigned_abs())),
        attempts: u32::try_from(attempts).unwrap_or_default(),
        outcome: row.try_get("outcome")?,
        error: row.try_get("error")?,
    })
}
