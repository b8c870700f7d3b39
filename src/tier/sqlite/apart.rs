//! A connection of its own, for what must not wait for the writer nor for its runtime.

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnection, SqliteSynchronous};
use tokio::sync::Mutex;

use super::connect::connect_options;
use super::fault::Refusal;
use super::file::FileId;
use super::group;
use super::options::SqliteOptions;
use super::queue::{Waiting, Write};
use super::turn::Turn;
use crate::tier::TierError;

/// One connection to the file that it was made for.
#[derive(Debug, Default)]
pub(super) struct Apart(Mutex<Option<(FileId, SqliteConnection)>>);

impl Apart {
    /// Has something written, by nobody but the caller.
    pub(super) async fn write<W: Write>(
        &self,
        options: &SqliteOptions,
        write: W,
    ) -> Result<W::Answer, TierError> {
        let mut place = self.0.lock().await;
        let file = FileId::of(&options.path).ok_or_else(|| TierError::new(Refusal::Closed))?;
        // If its call is given up, or fails, the next one makes another connection.
        let held = place.take().filter(|(of, _)| *of == file);
        let mut db = match held {
            Some((_, db)) => db,
            None => {
                let options = connect_options(options).synchronous(SqliteSynchronous::Normal);
                options.connect().await.map_err(TierError::new)?
            }
        };
        let (waiting, answer) = Waiting::new(write);
        let written = group::write(&mut db, Turn::new(options), &mut vec![Box::new(waiting)]).await;
        if written.is_ok() {
            *place = Some((file, db));
        }
        answer.await.map_err(|_gone| TierError::new(Refusal::Closed))?
    }

    /// Ends the connection, if nobody is using it.
    pub(super) fn close(&self) {
        if let Ok(mut place) = self.0.try_lock() {
            *place = None;
        }
    }
}
