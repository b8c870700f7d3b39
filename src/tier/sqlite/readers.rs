//! The connections that look things up.

use std::time::Duration;

use futures_util::future::try_join_all;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use super::begin::{Found, look_up};
use super::connect::{Open, connect_options, session};
use super::fault::OpenError;
use super::file::FileId;
use super::log;
use super::options::SqliteOptions;
use super::runs;
use super::sweep::size;
use crate::tier::{Cursor, Mark, Polled, RunRow, TierSize};

/// The connections that look things up, in one use of the file.
#[derive(Debug)]
pub(super) struct Readers {
    pool: SqlitePool,
    is_of_no_session: bool,
    /// Whether not even that is worth anything.
    gives_nothing: bool,
    file: FileId,
}

/// The longest wait for a connection. The engine waits less.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

impl Readers {
    /// Readers of the file that has been opened.
    ///
    /// All of them connect now: one that came later might find another file under the name, and
    /// serve from it what has been invalidated in this one.
    pub(super) async fn open(open: &Open, options: &SqliteOptions) -> Result<Self, OpenError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(options.readers)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(connect_options(options).pragma("query_only", "on"));
        let mut connections = try_join_all((0..options.readers).map(|_| pool.acquire())).await?;
        for connection in &mut connections {
            // Only with the first statement do they open the log beside the file.
            if session(connection).await? != open.session {
                return Err(OpenError::Replaced);
            }
        }
        if FileId::of(&options.path) != Some(open.file) {
            return Err(OpenError::Replaced);
        }
        let (is_of_no_session, file) = (open.is_of_no_session, open.file);
        Ok(Self { pool, is_of_no_session, gives_nothing: false, file })
    }

    /// Finds no values any more: none of them can be trusted, not even for want of a better one.
    pub(super) const fn give_nothing(&mut self) {
        self.gives_nothing = true;
    }

    /// The values of the keys in a [`key_list`](super::begin::key_list).
    pub(super) async fn look_up(&self, keys: &str, now: i64) -> Result<Vec<Found>, sqlx::Error> {
        if self.gives_nothing {
            return Ok(Vec::new());
        }
        let mut db = self.pool.acquire().await?;
        let mut found = look_up(&mut db, keys, now).await?;
        for (_, stored) in &mut found {
            stored.is_restored |= self.is_of_no_session;
        }
        Ok(found)
    }

    /// What has been changed since a cursor.
    pub(super) async fn poll(&self, since: &Cursor) -> Result<Polled, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        log::poll(&mut db, since).await
    }

    /// Where the log ends.
    pub(super) async fn position(&self) -> Result<Mark, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        log::position(&mut db).await
    }

    /// The newest runs of a job.
    pub(super) async fn runs(&self, job: &str, count: u32) -> Result<Vec<RunRow>, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        runs::newest(&mut db, job, count).await
    }

    /// Runs of these jobs whose leases have run out.
    pub(super) async fn lapsed_runs(
        &self,
        jobs: &[&str],
        wall: i64,
    ) -> Result<Vec<RunRow>, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        runs::lapsed(&mut db, jobs, wall).await
    }

    pub(super) async fn size(&self) -> Result<TierSize, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        size(&mut db).await
    }

    /// Whether `file` is the one that they read.
    pub(super) fn are_of(&self, file: Option<FileId>) -> bool {
        file == Some(self.file)
    }

    /// Closes the connections, and waits for the look-ups that are under way.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
