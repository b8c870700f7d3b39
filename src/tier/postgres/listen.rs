//! Hearing that the log has grown.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;

use super::options::PostgresOptions;
use crate::task::{Tasks, sleep_until, timeout_at};

/// How often something has been heard.
#[derive(Debug, Default)]
pub(super) struct Hints(watch::Sender<u64>);

impl Hints {
    pub(super) fn count(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits until more has been heard than `count`, and gives how much.
    pub(super) async fn more_than(&self, count: u64) -> u64 {
        let mut heard = self.0.subscribe();
        // The sender is ours, so that this ends only when there is more.
        heard.wait_for(|heard| *heard > count).await.map_or(count, |heard| *heard)
    }

    fn note(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// Listens for as long as the tier is open, on a connection of its own. When that was lost, anything
/// may have been missed: that is a hint as well.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) options: PostgresOptions,
    pub(super) hints: Arc<Hints>,
}

/// How long after the connection was lost another one is tried.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// A connection on which nothing was heard for so long is tried.
const SILENCE_MAX: Duration = Duration::from_secs(30);

impl Listening {
    pub(super) fn start(self, tasks: &Tasks) {
        let stopped = tasks.stopped();
        tasks.spawn_loop(async move {
            tokio::select! {
                () = stopped => {}
                () = self.run() => {}
            }
        });
    }

    async fn run(self) {
        let clock = &self.options.clock;
        loop {
            // What went wrong is said by the calls that meet it too.
            drop(self.listen().await);
            self.hints.note();
            sleep_until(clock.instant(clock.now().plus(RETRY_AFTER))).await;
        }
    }

    /// Listens until the connection is lost.
    async fn listen(&self) -> Result<(), sqlx::Error> {
        let options = &self.options;
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.connect_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.connect.clone());
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(options.schema.name()).await?;
        // Whatever came before this is not heard.
        self.hints.note();
        let clock = &options.clock;
        loop {
            let deadline = clock.instant(clock.now().plus(SILENCE_MAX));
            let heard = timeout_at(deadline, Box::pin(listener.try_recv()).as_mut()).await;
            match heard {
                Some(Ok(Some(_heard))) => {
                    while listener.next_buffered().is_some() {}
                    self.hints.note();
                }
                Some(Ok(None)) => return Ok(()),
                Some(Err(error)) => return Err(error),
                None => self.try_out(&mut listener).await?,
            }
        }
    }

    async fn try_out(&self, listener: &mut PgListener) -> Result<(), sqlx::Error> {
        let clock = &self.options.clock;
        let deadline = clock.instant(clock.now().plus(self.options.connect_timeout));
        let answer = timeout_at(deadline, pin!(listener.execute("select 1"))).await;
        answer.ok_or(sqlx::Error::PoolTimedOut)?.map(drop)
    }
}
