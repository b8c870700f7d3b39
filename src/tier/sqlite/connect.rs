//! Opening the file: its settings and its tables.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqlStr, query, query_scalar};

use super::fault::{OpenError, Trouble};
use super::file::{self, FileId};
use super::options::SqliteOptions;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: SqliteConnection,
    /// Tells the rows of this use of the file from those of others.
    pub(super) session: i64,
    /// Tells this making of the file from others, wherever it has been moved or copied.
    pub(super) incarnation: i64,
    pub(super) file: Option<FileId>,
}

impl Open {
    /// Opens the file, creates it if it is missing, and brings its tables up to date.
    pub(super) async fn new(options: &SqliteOptions) -> Result<Self, OpenError> {
        file::check(&options.path)?;
        file::create(&options.path).map_err(OpenError::Create)?;
        let mut connection =
            connect_options(options).synchronous(SqliteSynchronous::Normal).connect().await?;
        let file = FileId::of(&options.path);
        limit(&mut connection, options.max_bytes).await?;
        match prepare(&mut connection).await {
            // A file that cannot be written can still be read, if it has been prepared before.
            Err(error) if error.trouble() == Trouble::ReadOnly => {}
            prepared => prepared?,
        }
        let incarnation = incarnation(&mut connection).await?;
        let session = query_scalar(RANDOM).fetch_one(&mut connection).await?;
        Ok(Self { connection, session, incarnation, file })
    }

    /// Brings everything to disk, and closes the connection.
    pub(super) async fn close(mut self) {
        // What fails here has been written to the log beside the file, and is found there.
        drop(query(CHECKPOINT).execute(&mut self.connection).await);
        drop(self.connection.close().await);
    }
}

const CHECKPOINT: &str = "pragma wal_checkpoint(truncate)";

/// A number that no other use of the file has.
const RANDOM: &str = "select random()";

const INCARNATION: &str = "select incarnation from forewarm_meta";

pub(super) async fn incarnation(db: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    query_scalar(INCARNATION).fetch_one(db).await
}

/// What every connection has in common.
pub(super) fn connect_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(&options.path)
        .foreign_keys(false)
        .busy_timeout(options.busy_timeout)
        // An answer of a whole batch crosses over from SQLite's thread without a stop.
        .row_buffer_size(1024)
        .disable_statement_logging()
}

const PAGE_SIZE: &str = "select page_size from pragma_page_size";

/// Keeps the file from growing beyond `max_bytes`. SQLite remembers that for a connection only.
async fn limit(db: &mut SqliteConnection, max_bytes: u64) -> Result<(), sqlx::Error> {
    let page_size: i64 = query_scalar(PAGE_SIZE).fetch_one(&mut *db).await?;
    let pages = max_bytes / u64::try_from(page_size).unwrap_or(4096).max(1);
    // A pragma takes no bound parameter; this one is a number.
    let sql = format!("pragma max_page_count = {}", pages.min(u32::MAX.into()));
    query(AssertSqlSafe(sql)).execute(db).await?;
    Ok(())
}

/// With a log beside the file, readers do not wait for the writer. The file remembers it.
const LOG_BESIDE: &str = "pragma journal_mode = wal";

/// Brings the tables up to date, in one transaction, so that two processes that open a new file at
/// once do not meet half-way.
async fn prepare(db: &mut SqliteConnection) -> Result<(), OpenError> {
    query(LOG_BESIDE).execute(&mut *db).await?;
    let mut transaction = db.begin_with("begin immediate").await?;
    migrator().run_direct(None, &mut *transaction, false).await?;
    transaction.commit().await?;
    Ok(())
}

/// The migrations, with a table of their own beside that of an application in the same file.
fn migrator() -> Migrator {
    let tier = Migration::new(
        1,
        Cow::Borrowed("tier"),
        MigrationType::Simple,
        SqlStr::from_static(include_str!("../../../migrations/sqlite/0001_tier.sql")),
        false,
    );
    let mut migrator = Migrator::with_migrations(vec![tier]);
    migrator.dangerous_set_table_name("_forewarm_migrations");
    migrator
}
