//! Clean-up by age.

use std::fmt;
use std::future::{Future, pending};
use std::pin::pin;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Pool, SqlSafeStr as _, SqlStr};

use super::database::SqlDatabase;
use super::error::SqlError;
use super::name::{Name, TableName};
use crate::clock::Clock;
use crate::error::ConfigError;
use crate::task;

/// Removes the rows of a table that are older than a span, in batches that let others write in
/// between.
///
/// ```
/// # use std::time::Duration;
/// # use forewarm::{Forewarm, Retention, StoredAs};
/// # async fn declare(forewarm: &Forewarm, pool: sqlx::SqlitePool) -> Result<(), Box<dyn std::error::Error>> {
/// let month = Duration::from_hours(30 * 24);
/// let retention = Retention::new(pool, "api_log", "created_at", month)?
///     .stored_as(StoredAs::UnixMillis);
/// println!("{} rows removed", retention.run().await?.rows);
///
/// // The same every night, on one engine of those that share an L2.
/// let job = forewarm.job("api_log_clean_up").daily_at(3, 30, "Europe/Berlin");
/// job.run_with(move |context| {
///     let retention = retention.clone();
///     async move {
///         retention.run_until(context.cancelled()).await?;
///         Ok(())
///     }
/// })
/// .build()?;
/// # Ok(())
/// # }
/// ```
///
/// Each batch is a transaction of its own, so what was removed stays removed, whatever happens next.
/// Rows without a time are kept. Let the column have an index: without one each batch looks through
/// the table. In PostgreSQL, rows that somebody has locked are left for the next run, and the role
/// needs the right to `update` besides `select` and `delete`, which locking takes. In SQLite the
/// table must have rowids.
pub struct Retention<DB: SqlDatabase> {
    pool: Pool<DB>,
    /// In quotes, both.
    table: String,
    column: String,
    stored_as: StoredAs,
    older_than: Duration,
    batch_rows: u32,
    pause: Duration,
    clock: Clock,
}

/// How the column of a [`Retention`] holds a time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StoredAs {
    /// PostgreSQL: `timestamptz`, or a `timestamp` in UTC. SQLite: text in UTC, such as that of
    /// `current_timestamp`, `2026-01-31 23:59:59`; rows whose day and time are parted by a `T` go up
    /// to a day late.
    #[default]
    Timestamp,
    /// Seconds since 1970.
    UnixSeconds,
    /// Milliseconds since 1970.
    UnixMillis,
    /// Microseconds since 1970.
    UnixMicros,
}

/// What a run has removed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Removed {
    /// The rows, as the database counted them.
    pub rows: u64,
    /// Whether nothing is left that was old enough when the run began and could be had; false if the
    /// run was cancelled.
    pub is_complete: bool,
}

/// Why a run ended before it was done.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the clean-up of {table} ended after {rows} rows")]
pub struct RetentionError {
    table: String,
    rows: u64,
    source: SqlError,
}

/// At this size a batch takes milliseconds, also where every row is in several indexes.
const BATCH_ROWS: u32 = 500;

/// Long enough for a writer who waits for the lock of SQLite to find it free.
const PAUSE: Duration = Duration::from_millis(10);

impl<DB: SqlDatabase> Retention<DB> {
    /// Removes what is older than this by a column of a table, or of `schema.table`. The names are
    /// taken as the database holds them: in PostgreSQL in small letters, if they were not quoted
    /// when they were created.
    ///
    /// # Errors
    ///
    /// A name has anything but ASCII letters, digits and `_`, begins with a digit, or is longer than
    /// 63 bytes; or the span is longer than time itself.
    pub fn new(
        pool: Pool<DB>,
        table: &str,
        column: &str,
        older_than: Duration,
    ) -> Result<Self, ConfigError> {
        let retention = Self {
            pool,
            table: TableName::parse("retention.table", table)?.to_string(),
            column: Name::parse("retention.column", column)?.to_string(),
            stored_as: StoredAs::default(),
            older_than,
            batch_rows: BATCH_ROWS,
            pause: PAUSE,
            clock: Clock::system(),
        };
        match retention.cut_off() {
            Some(_) => Ok(retention),
            None => {
                let problem = "is longer than time itself";
                Err(ConfigError::new("retention.older_than", problem, "use a shorter span"))
            }
        }
    }

    /// Sets how the column holds a time. Default: [`StoredAs::Timestamp`]. If it holds seconds and
    /// milliseconds are said, everything is old: look twice.
    #[must_use]
    pub fn stored_as(self, stored_as: StoredAs) -> Self {
        Self { stored_as, ..self }
    }

    /// Sets the most rows that are removed at a time, which is how long others may have to wait.
    /// Default: 500.
    #[must_use]
    pub fn batch_rows(self, rows: u32) -> Self {
        Self { batch_rows: rows.max(1), ..self }
    }

    /// Sets the least pause between two batches; it is as long as the batch before took, if that is
    /// longer. Default: 10 ms.
    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Sets the clock: for tests.
    #[must_use]
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Removes all rows that are old enough now, batch by batch.
    ///
    /// Dropping the future ends it with the batch that is under way, which is removed as a whole or
    /// not at all.
    ///
    /// # Errors
    ///
    /// A batch failed; those before it are removed, and [`RetentionError::rows`] counts them.
    pub async fn run(&self) -> Result<Removed, RetentionError> {
        self.run_until(pending()).await
    }

    /// The same, until `cancelled` ends: that is looked at between batches, and ends a pause. In a
    /// job it is [`JobContext::cancelled`](crate::JobContext::cancelled).
    ///
    /// # Errors
    ///
    /// As [`Retention::run`].
    pub async fn run_until(
        &self,
        cancelled: impl Future<Output = ()>,
    ) -> Result<Removed, RetentionError> {
        let mut cancelled = pin!(cancelled.fuse());
        let mut rows = 0;
        self.check().await.map_err(|source| self.failed(rows, source))?;
        let sql = AssertSqlSafe(DB::remove_sql(&self.table, &self.column, self.stored_as));
        let sql = sql.into_sql_str();
        let before = self.cut_off().unwrap_or(i64::MIN);
        loop {
            if (&mut cancelled).now_or_never().is_some() {
                return Ok(Removed { rows, is_complete: false });
            }
            let began_at = self.clock.now();
            let removed = self.remove(sql.clone(), before).await;
            let removed = removed.map_err(|error| self.failed(rows, error.into()))?;
            rows += removed;
            if removed < u64::from(self.batch_rows) {
                return Ok(Removed { rows, is_complete: true });
            }
            let now = self.clock.now();
            let resumed_at = now.plus(self.pause.max(now.since(began_at)));
            let rest = task::sleep_until(self.clock.instant(resumed_at));
            tokio::select! {
                biased;
                () = &mut cancelled => return Ok(Removed { rows, is_complete: false }),
                () = rest => {}
            }
        }
    }

    /// Removes a batch.
    async fn remove(&self, sql: SqlStr, before: i64) -> sqlx::Result<u64> {
        let query = DB::bind_number(sqlx::query(sql), before);
        let query = DB::bind_number(query, i64::from(self.batch_rows));
        DB::execute(&self.pool, query).await
    }

    async fn check(&self) -> Result<(), SqlError> {
        match DB::check_times(&self.pool, &self.table, &self.column, self.stored_as).await? {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    fn failed(&self, rows: u64, source: SqlError) -> RetentionError {
        RetentionError { table: self.table.clone(), rows, source }
    }

    /// What is before this is old enough, in microseconds since 1970.
    fn cut_off(&self) -> Option<i64> {
        let older_than = i64::try_from(self.older_than.as_micros()).ok()?;
        self.clock.wall().as_microsecond().checked_sub(older_than)
    }
}

impl RetentionError {
    /// The rows that had been removed before.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.source.is_transient()
    }
}

impl<DB: SqlDatabase> Clone for Retention<DB> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            table: self.table.clone(),
            column: self.column.clone(),
            clock: self.clock.clone(),
            ..*self
        }
    }
}

/// Without where the pool leads.
impl<DB: SqlDatabase> fmt::Debug for Retention<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention")
            .field("database", &DB::NAME)
            .field("table", &self.table)
            .field("column", &self.column)
            .field("stored_as", &self.stored_as)
            .field("older_than", &self.older_than)
            .field("batch_rows", &self.batch_rows)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}
