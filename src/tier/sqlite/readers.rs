//! The connections that look things up.

use futures_util::future::try_join_all;
use sqlx::ConnectOptions as _;

use super::connect::{Open, connect_options, session};
use super::connections::Connections;
use super::fault::OpenError;
use super::file::FileId;
use super::log;
use super::look_up::{Found, Keys, look_up};
use super::options::SqliteOptions;
use super::runs;
use super::sweep::size;
use crate::tier::{Cursor, Mark, Polled, RunRow, TierSize};

/// The connections that look things up, in one use of the file.
#[derive(Debug)]
pub(super) struct Readers {
    connections: Connections,
    is_of_no_session: bool,
    /// Whether not even that is worth anything.
    gives_nothing: bool,
    file: FileId,
}

/// How much of the file each reader holds, in KiB; less than nothing, since SQLite would take it for
/// pages. By default it is 2 MiB, and nearly each key asks the system for two pages.
///
/// To map the file would need no copies, but a file that is cut short would end the process.
const PAGES_HELD: &str = "-16384";

impl Readers {
    /// Readers of the file that has been opened.
    ///
    /// All of them connect now: one that came later might find another file under the name, and
    /// serve from it what has been invalidated in this one.
    pub(super) async fn open(open: &Open, options: &SqliteOptions) -> Result<Self, OpenError> {
        let of_reader =
            connect_options(options).pragma("query_only", "on").pragma("cache_size", PAGES_HELD);
        let connect = (0..options.readers).map(|_| of_reader.connect());
        let mut connections = try_join_all(connect).await?;
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
        let connections = Connections::new(connections);
        Ok(Self { connections, is_of_no_session, gives_nothing: false, file })
    }

    /// Finds no values any more: none of them can be trusted, not even for want of a better one.
    pub(super) const fn give_nothing(&mut self) {
        self.gives_nothing = true;
    }

    /// The values of the keys that may be served.
    pub(super) async fn look_up(&self, keys: &Keys, now: i64) -> Result<Vec<Found>, sqlx::Error> {
        if self.gives_nothing {
            return Ok(Vec::new());
        }
        let mut lease = self.connections.lend().await?;
        let mut found = look_up(lease.db()?, keys, now).await?;
        lease.end();
        for (_, stored) in &mut found {
            stored.is_restored |= self.is_of_no_session;
        }
        Ok(found)
    }

    /// What has been changed since a cursor.
    pub(super) async fn poll(&self, since: &Cursor) -> Result<Polled, sqlx::Error> {
        let mut lease = self.connections.lend().await?;
        let answer = log::poll(lease.db()?, since).await?;
        lease.end();
        Ok(answer)
    }

    /// Where the log ends.
    pub(super) async fn position(&self) -> Result<Mark, sqlx::Error> {
        let mut lease = self.connections.lend().await?;
        let answer = log::position(lease.db()?).await?;
        lease.end();
        Ok(answer)
    }

    /// The newest runs of a job.
    pub(super) async fn runs(&self, job: &str, count: u32) -> Result<Vec<RunRow>, sqlx::Error> {
        let mut lease = self.connections.lend().await?;
        let answer = runs::newest(lease.db()?, job, count).await?;
        lease.end();
        Ok(answer)
    }

    /// Runs of these jobs whose leases have run out.
    pub(super) async fn lapsed_runs(
        &self,
        jobs: &[&str],
        wall: i64,
    ) -> Result<Vec<RunRow>, sqlx::Error> {
        let mut lease = self.connections.lend().await?;
        let answer = runs::lapsed(lease.db()?, jobs, wall).await?;
        lease.end();
        Ok(answer)
    }

    pub(super) async fn size(&self) -> Result<TierSize, sqlx::Error> {
        let mut lease = self.connections.lend().await?;
        let answer = size(lease.db()?).await?;
        lease.end();
        Ok(answer)
    }

    /// Whether `file` is the one that they read.
    pub(super) fn are_of(&self, file: Option<FileId>) -> bool {
        file == Some(self.file)
    }

    /// Closes the connections, and waits for the look-ups that are under way.
    pub(super) async fn close(&self) {
        self.connections.close().await;
    }
}
