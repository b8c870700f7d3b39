//! A fixed number of connections, each lent to one caller at a time.
//!
//! A pool of sqlx asks a connection whether it is well whenever one comes back, in a task of its
//! own. Each connection is a thread, so that costs as much again as what it was lent for.

use std::collections::VecDeque;

use parking_lot::Mutex;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{Notify, Semaphore};

/// A fixed number of connections, each lent to one caller at a time.
#[derive(Debug)]
pub(super) struct Connections {
    /// Those that nobody has, the next one to be lent at the end: the one that was used last, since
    /// what it needs is still at hand.
    idle: Mutex<VecDeque<SqliteConnection>>,
    /// As many permits as there are idle connections.
    places: Semaphore,
    count: usize,
    returned: Notify,
}

impl Connections {
    pub(super) fn new(connections: Vec<SqliteConnection>) -> Self {
        let count = connections.len();
        Self {
            idle: Mutex::new(connections.into()),
            places: Semaphore::new(count),
            count,
            returned: Notify::new(),
        }
    }

    /// A connection, as soon as one is free.
    ///
    /// # Errors
    ///
    /// They have been closed.
    pub(super) async fn lend(&self) -> Result<Lease<'_>, sqlx::Error> {
        let place = self.places.acquire().await.map_err(|_closed| sqlx::Error::PoolClosed)?;
        place.forget();
        let db = self.idle.lock().pop_back().ok_or(sqlx::Error::PoolClosed)?;
        Ok(Lease { db: Some(db), of: self })
    }

    /// Lends none any more, and closes them as they come back.
    pub(super) async fn close(&self) {
        self.places.close();
        let mut closed = 0;
        while closed < self.count {
            let idle = std::mem::take(&mut *self.idle.lock());
            for db in idle {
                // There is nothing to be lost by a reader.
                drop(db.close().await);
                closed += 1;
            }
            if closed < self.count {
                self.returned.notified().await;
            }
        }
    }

    fn take_back(&self, place: impl FnOnce(&mut VecDeque<SqliteConnection>)) {
        place(&mut self.idle.lock());
        self.places.add_permits(1);
        self.returned.notify_one();
    }
}

/// A connection that is lent.
#[derive(Debug)]
pub(super) struct Lease<'a> {
    /// Until it goes back.
    db: Option<SqliteConnection>,
    of: &'a Connections,
}

impl Lease<'_> {
    pub(super) fn db(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        self.db.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Gives it back when its statements have ended.
    pub(super) fn end(mut self) {
        if let Some(db) = self.db.take() {
            self.of.take_back(|idle| idle.push_back(db));
        }
    }
}

/// What was given up may go on for a while: it is lent again after all others.
impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(db) = self.db.take() {
            self.of.take_back(|idle| idle.push_front(db));
        }
    }
}
