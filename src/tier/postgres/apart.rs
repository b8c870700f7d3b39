//! A connection of its own, for calls that must not wait for the others nor for their runtime.

use sqlx::postgres::PgConnection;
use tokio::runtime::{self, Handle};
use tokio::sync::Mutex;

use super::connections::{Call, Connections};
use super::fault::Failure;

/// One connection, which belongs to the runtime of whoever makes a call.
#[derive(Debug, Default)]
pub(super) struct Apart(Mutex<Option<(runtime::Id, PgConnection)>>);

impl Apart {
    /// Makes a call; once more on a new connection if the one before was lost.
    pub(super) async fn call<C: Call>(
        &self,
        connections: &Connections,
        call: &C,
    ) -> Result<C::Answer, Failure> {
        let mut place = self.0.lock().await;
        let here = Handle::current().id();
        // Whose call is given up leaves no connection behind: an answer may still come on it.
        if let Some((runtime, mut db)) = place.take()
            && runtime == here
            && let Ok(answer) = call.run(&mut db, connections.turn()).await
        {
            *place = Some((here, db));
            return Ok(answer);
        }
        let mut db = connections.apart().await?;
        let answer = call.run(&mut db, connections.turn()).await?;
        *place = Some((here, db));
        Ok(answer)
    }

    /// Ends the connection, if nobody is using it.
    pub(super) fn close(&self) {
        if let Ok(mut place) = self.0.try_lock() {
            *place = None;
        }
    }
}
