//! The connections that look things up.

use std::time::Duration;

use futures_util::future::try_join_all;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};

use super::begin::{Found, look_up};
use super::connect::{Open, connect_options, incarnation};
use super::fault::OpenError;
use super::file::FileId;
use super::options::SqliteOptions;
use super::sweep::size;
use super::turn::Turn;
use crate::tier::TierSize;

/// The connections that look things up, in one use of the file.
#[derive(Debug)]
pub(super) struct Readers {
    pool: SqlitePool,
    session: i64,
    file: Option<FileId>,
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
            if incarnation(connection).await? != open.incarnation {
                return Err(OpenError::Replaced);
            }
        }
        if FileId::of(&options.path) != open.file {
            return Err(OpenError::Replaced);
        }
        Ok(Self { pool, session: open.session, file: open.file })
    }

    /// The values of the keys in a [`key_list`](super::begin::key_list).
    pub(super) async fn look_up(&self, keys: &str, now: i64) -> Result<Vec<Found>, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        look_up(&mut db, keys, Turn { now, session: self.session }).await
    }

    pub(super) async fn size(&self) -> Result<TierSize, sqlx::Error> {
        let mut db = self.pool.acquire().await?;
        size(&mut db).await
    }

    /// Whether `file` is the one that they read.
    pub(super) fn are_of(&self, file: Option<FileId>) -> bool {
        file.is_some() && self.file == file
    }

    /// Closes the connections, and waits for the look-ups that are under way.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}
