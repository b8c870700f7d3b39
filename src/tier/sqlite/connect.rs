//! Opening the file: its settings and its tables.

use std::borrow::Cow;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqlStr, query, query_scalar};

use super::fault::{OpenError, Trouble};
use super::file::{self, FileId};
use super::hold::{Hold, Opening, Taken};
use super::options::SqliteOptions;

/// The connection that writes.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) connection: SqliteConnection,
    /// Tells this use of the file from others, and from those of its copies.
    pub(super) session: i64,
    /// Whether nobody is known to have used the file up to now without a gap, nor can it be noted:
    /// then nothing in it is known to be right.
    pub(super) is_of_no_session: bool,
    pub(super) file: FileId,
}

impl Open {
    /// Opens the file, creates it if it is missing, and brings its tables up to date. `hold` is
    /// what was held of it before, if anything, and what is held of it then; `used` is the file
    /// that was used before, if any was.
    pub(super) async fn new(
        options: &SqliteOptions,
        hold: &mut Option<Hold>,
        used: Option<FileId>,
    ) -> Result<Self, OpenError> {
        file::check(&options.path)?;
        file::create(&options.path).map_err(OpenError::Create)?;
        let file = FileId::of(&options.path).ok_or(OpenError::Replaced)?;
        let start = Start::new(options, file, hold).await?;
        let mut connection =
            connect_options(options).synchronous(SqliteSynchronous::Normal).connect().await?;
        limit(&mut connection, options.max_bytes).await?;
        let is_another = used.is_some_and(|used| used != file);
        let prepared = prepare(&mut connection, start.begins_session(), is_another).await;
        let is_of_no_session = match prepared {
            // A file that cannot be written can still be read, if it has been prepared before.
            Err(error) if error.trouble() == Trouble::ReadOnly => true,
            prepared => {
                prepared?;
                false
            }
        };
        let session = session(&mut connection).await?;
        // Only now has everything been opened that is opened by name.
        if FileId::of(&options.path) != Some(file) {
            return Err(OpenError::Replaced);
        }
        if is_of_no_session {
            // Whoever cannot note what becomes wrong does not keep the session going either.
            *hold = None;
        } else if let Start::First(opening) = start {
            *hold = Some(opening.end()?);
        }
        Ok(Self { connection, session, is_of_no_session, file })
    }

    /// Brings everything to disk, and closes the connection.
    pub(super) async fn close(mut self) {
        // What fails here has been written to the log beside the file, and is found there.
        drop(query(CHECKPOINT).execute(&mut self.connection).await);
        drop(self.connection.close().await);
    }
}

/// How a file is opened.
enum Start {
    /// Its session goes on.
    Held,
    First(Opening),
    Unknown,
}

impl Start {
    async fn new(
        options: &SqliteOptions,
        file: FileId,
        hold: &mut Option<Hold>,
    ) -> Result<Self, OpenError> {
        if hold.as_ref().is_some_and(|hold| hold.is_of(file)) {
            return Ok(Self::Held);
        }
        *hold = None;
        Ok(match Hold::take(&options.path, file, options.busy_timeout).await? {
            Taken::Joined(joined) => {
                *hold = Some(joined);
                Self::Held
            }
            Taken::First(opening) => Self::First(opening),
            Taken::Unknown => Self::Unknown,
        })
    }

    fn begins_session(&self) -> bool {
        !matches!(self, Self::Held)
    }
}

const CHECKPOINT: &str = "pragma wal_checkpoint(truncate)";

const SESSION: &str = "select session from forewarm_meta";

pub(super) async fn session(db: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    query_scalar(SESSION).fetch_one(db).await
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

/// A number that no other use of the file has.
const BEGIN_SESSION: &str = "update forewarm_meta set session = random()";

/// What was being loaded when somebody last used the file may have become wrong since.
const VOID_PERMITS: &str = "delete from forewarm_permit";

/// A file that has taken the name of another may be a copy of it: then it holds what has been
/// invalidated since, and nothing tells of that.
const FORGET: &str =
    "delete from forewarm_entry where session <> (select session from forewarm_meta)";

/// Brings the tables up to date, in one transaction, so that two processes that open a new file at
/// once do not meet half-way.
async fn prepare(
    db: &mut SqliteConnection,
    begins_session: bool,
    is_another: bool,
) -> Result<(), OpenError> {
    query(LOG_BESIDE).execute(&mut *db).await?;
    let mut transaction = db.begin_with("begin immediate").await?;
    migrator().run_direct(None, &mut *transaction, false).await?;
    if begins_session {
        query(BEGIN_SESSION).execute(&mut *transaction).await?;
        query(VOID_PERMITS).execute(&mut *transaction).await?;
    }
    if is_another {
        query(FORGET).execute(&mut *transaction).await?;
    }
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
    let runs = Migration::new(
        2,
        Cow::Borrowed("runs"),
        MigrationType::Simple,
        SqlStr::from_static(include_str!("../../../migrations/sqlite/0002_runs.sql")),
        false,
    );
    let mut migrator = Migrator::with_migrations(vec![tier, runs]);
    migrator.dangerous_set_table_name("_forewarm_migrations");
    migrator
}
