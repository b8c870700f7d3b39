//! A shared second tier: a PostgreSQL database.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::PgConnection;

use self::apart::Apart;
use self::begin::{Grant, LookUp, answer_with, is_granted, is_storable};
use self::connections::{Call, Connections};
use self::expire::Expire;
use self::fault::Failure;
use self::fill::{FillIn, Release};
use self::hot::MergeHot;
use self::listen::{Hints, Listening};
use self::note::{Note, resource_of};
pub use self::options::PostgresOptions;
use self::poll::Poll;
use self::put::PutIn;
use self::runs::{End, Lapsed, MeetJobs, Newest, Renew, Take};
use self::sweep::{Size, Sweep};
use self::trim::Trim;
use super::{
    Ask, Begun, Cursor, EndRun, Fill, Filled, HotSum, Invalidation, JobMemory, Node, Permit,
    Polled, RenewRun, RunRow, RunTaken, Selector, Swept, TakeRun, Tier, TierError, TierSize, Want,
};
use crate::error::ConfigError;
use crate::task::Tasks;

mod apart;
mod begin;
mod connect;
mod connections;
mod expire;
mod fault;
mod fill;
mod hot;
mod listen;
mod note;
mod options;
mod poll;
mod put;
mod runs;
mod schema;
mod snapshot;
mod sweep;
mod trim;
mod turn;

/// A PostgreSQL database as the second tier, shared by all engines that use it.
///
/// The database may be that of the application: all tables are in a schema of their own. Then
/// [`PostgresTier::invalidate_in`] invalidates within the application's own transactions: what it
/// names is void from the moment of the commit, even if the process dies then, and nothing happens
/// if there is none.
///
/// A server that cannot be reached is no error of `open`: every call then fails soon, a warning says
/// what to do, and connections are tried again. The clock of the server rules all times. Engines
/// need the server itself or a pooler that gives each connection a session of its own. If another
/// server takes its place, whoever sees to that must see to it that only one of them answers.
///
/// The tables are unlogged, which spares the database most of the work, and are empty after the
/// server has crashed or one of its copies has taken its place. Then, and also when the data have
/// gone back to what an engine knows to be older, a new life of the store begins: whatever engines
/// hold of the old one is void. What cannot be noticed is an old copy of the data that was made while
/// the server was stopped, if no engine that is still running has used the server in between.
///
/// Cheap to clone: clones share the connections.
pub struct PostgresTier {
    inner: Arc<Inner>,
    /// The hints that the last poll has answered.
    heard: AtomicU64,
}

#[derive(Debug)]
struct Inner {
    options: PostgresOptions,
    connections: Connections,
    /// For the leases of runs.
    apart: Apart,
    hints: Arc<Hints>,
    /// What runs until the tier is closed or dropped.
    loops: Tasks,
}

impl PostgresTier {
    /// Uses the database at `url`, with the defaults of [`PostgresOptions`].
    ///
    /// # Errors
    ///
    /// It is not the URL of a PostgreSQL database. A server that cannot be reached is no error.
    pub async fn open(url: &str) -> Result<Self, ConfigError> {
        PostgresOptions::new(url)?.open().await
    }

    async fn start(options: PostgresOptions) -> Result<Self, ConfigError> {
        let outside =
            || ConfigError::new("tier", "is opened outside of a tokio runtime", "open it inside");
        let (tasks, loops) = (Tasks::of_this_runtime(), Tasks::of_this_runtime());
        let (tasks, loops) = tasks.zip(loops).ok_or_else(outside)?;
        let hints = Arc::new(Hints::default());
        Listening { options: options.clone(), hints: Arc::clone(&hints) }.start(&loops);
        let connections = Connections::new(options.clone(), tasks);
        // What is wrong with the server has been logged, and every call will say it.
        connections.warm_up().await;
        let inner = Inner { options, connections, apart: Apart::default(), hints, loops };
        Ok(Self { inner: Arc::new(inner), heard: AtomicU64::new(0) })
    }

    /// Invalidates within a transaction of the application, in the same database: from the moment
    /// of its commit on, no engine is given by L2 what was loaded before, and every engine hears of
    /// it at its next poll, also if this process dies then. If the transaction is rolled back,
    /// nothing has happened. All engines are told, this one as well.
    ///
    /// It only adds rows to a log: it waits for nobody, nobody waits for the transaction, and no
    /// isolation level makes it fail. A [`Lag`](crate::Lag) counts from the commit. Any search path
    /// will do; the role needs the right to `insert` into the table `change` of the tier's schema,
    /// and to use that. The tables must be there: the tier must have reached the server once.
    ///
    /// # Errors
    ///
    /// The statement failed, and with it, as always in PostgreSQL, the transaction.
    pub async fn invalidate_in(
        &self,
        transaction: &mut PgConnection,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let note = Note::of(invalidations, Node::NONE).hint(self.channel());
        if note.is_empty() {
            return Ok(());
        }
        note.run_in(transaction, self.inner.connections.turn()).await.map_err(TierError::new)
    }

    async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, TierError> {
        self.inner.connections.call(call).await.map_err(TierError::new)
    }

    fn channel(&self) -> Option<&str> {
        self.inner.options.notifies.then(|| self.inner.options.schema.name())
    }

    /// Keys that cannot be stored may be in the memory of others: their resources are invalidated.
    async fn note_unstorable<'a>(
        &self,
        by: Node,
        keys: impl Iterator<Item = &'a str>,
    ) -> Result<(), TierError> {
        let keys = keys.filter(|key| !is_storable(key));
        let resources = keys.map(|key| Selector::Resource(resource_of(key)).into());
        let resources: Vec<Invalidation<'a>> = resources.collect();
        if resources.is_empty() {
            return Ok(());
        }
        self.call(&Note::of(&resources, by).hint(self.channel())).await
    }

    /// Gives permits for the asks that have no answer yet, or says why not.
    async fn grant(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, Failure> {
        let granted = match self.inner.connections.call(&Grant::new(asks, permit_for)).await {
            // Somebody is about to change one of them.
            Err(failure) if failure.is_of_a_lock() => return Ok(vec![Begun::Busy; asks.len()]),
            granted => granted?,
        };
        let permit = |ask| is_granted(&granted, ask).then_some(Begun::Permit);
        let mut begun: Vec<_> = asks.iter().map(permit).collect();
        if begun.iter().any(Option::is_none) {
            // A value may have come in meanwhile.
            let found = self.inner.connections.call(&LookUp::new(asks)).await?;
            answer_with(&mut begun, asks, found);
        }
        Ok(begun.into_iter().map(|begun| begun.unwrap_or(Begun::Busy)).collect())
    }
}

impl Tier for PostgresTier {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let gets_no_permit = |ask: &Ask<'_>| ask.want == Want::Copy || !is_storable(ask.key);
        let unless_found = |ask: &Ask<'_>| gets_no_permit(ask).then_some(Begun::Miss);
        let look_up = LookUp::new(asks);
        let found = if look_up.is_empty() { Vec::new() } else { self.call(&look_up).await? };
        let mut begun = vec![None; asks.len()];
        answer_with(&mut begun, asks, found);
        for (begun, ask) in begun.iter_mut().zip(asks).filter(|(begun, _)| begun.is_none()) {
            *begun = unless_found(ask);
        }
        let missing = asks.iter().zip(&begun).filter(|(_, begun)| begun.is_none());
        let missing: Vec<_> = missing.map(|(ask, _)| *ask).collect();
        if !missing.is_empty() {
            // A store that can only be read still serves what it has.
            let granted = self.grant(&missing, permit_for).await.unwrap_or_default();
            let open = begun.iter_mut().filter(|begun| begun.is_none());
            for (begun, granted) in open.zip(granted) {
                *begun = Some(granted);
            }
        }
        Ok(begun.into_iter().map(|begun| begun.unwrap_or(Begun::Miss)).collect())
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        let mut filled = vec![Filled::Refused; fills.len()];
        let can_be_stored =
            |fill: &Fill<'_>| is_storable(fill.key) && fill.tags.iter().all(|tag| is_storable(tag));
        let mut places: Vec<_> = (0..fills.len()).collect();
        places.retain(|place| fills.get(*place).is_some_and(can_be_stored));
        let storable = places.iter().filter_map(|place| fills.get(*place));
        if !places.is_empty() {
            let stored = match self.inner.connections.call(&FillIn::new(storable)).await {
                // Somebody is about to change one of them.
                Err(failure) if failure.is_of_a_lock() => return Ok(filled),
                stored => stored.map_err(TierError::new)?,
            };
            for place in stored {
                let filled = places.get(place).and_then(|place| filled.get_mut(*place));
                filled.into_iter().for_each(|filled| *filled = Filled::Stored);
            }
        }
        let refused = fills.iter().zip(&filled).filter(|(_, filled)| **filled == Filled::Refused);
        let refused: Vec<_> = refused.map(|(fill, _)| (fill.key, fill.permit)).collect();
        // What was refused will not be filled by this permit; the next load need not wait for it.
        drop(self.release(&refused).await);
        Ok(filled)
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        let permits = permits.iter().copied().filter(|(key, _)| is_storable(key));
        let release = Release::new(permits);
        if release.is_empty() { Ok(()) } else { self.call(&release).await }
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        self.note_unstorable(by, puts.iter().map(|put| put.key)).await?;
        let storable: Vec<_> = puts.iter().filter(|put| is_storable(put.key)).collect();
        if storable.is_empty() {
            return Ok(vec![Filled::Refused; puts.len()]);
        }
        let put = PutIn::new(storable, by).since(since).hint(self.channel());
        let stored = self.call(&put).await?;
        let filled = |put: &Fill<'_>| {
            if stored.contains(put.key) { Filled::Stored } else { Filled::Refused }
        };
        Ok(puts.iter().map(filled).collect())
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let note = Note::of(invalidations, by);
        if note.is_empty() { Ok(()) } else { self.call(&note.hint(self.channel())).await }
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        self.note_unstorable(by, keys.iter().copied()).await?;
        let expire = Expire::new(keys, by).hint(self.channel());
        if expire.is_empty() { Ok(()) } else { self.call(&expire).await }
    }

    async fn poll(&self, since: &Cursor) -> Result<Polled, TierError> {
        let hints = self.inner.hints.count();
        let polled = self.call(&Poll::new(since)).await?;
        self.heard.store(hints, Relaxed);
        Ok(polled)
    }

    async fn changed(&self) {
        let hints = self.inner.hints.more_than(self.heard.load(Relaxed)).await;
        self.heard.store(hints, Relaxed);
    }

    async fn merge_hot(
        &self,
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Vec<HotSum>, TierError> {
        self.call(&MergeHot::new(by, resource, hot, keep_for)).await
    }

    async fn meet_jobs(&self, jobs: &[&str], at: Timestamp) -> Result<Vec<JobMemory>, TierError> {
        self.call(&MeetJobs { jobs, at: at.as_microsecond() }).await
    }

    async fn take_run(&self, run: &TakeRun<'_>) -> Result<RunTaken, TierError> {
        match self.inner.connections.call(&Take(run)).await {
            // Somebody else is taking one of the same job, or has just ended it.
            Err(failure) if failure.is_of_a_lock() => Ok(RunTaken::Busy),
            taken => taken.map_err(TierError::new),
        }
    }

    async fn renew_runs(&self, runs: &[RenewRun<'_>]) -> Result<Vec<bool>, TierError> {
        let Inner { apart, connections, .. } = &*self.inner;
        apart.call(connections, &Renew(runs)).await.map_err(TierError::new)
    }

    async fn end_run(&self, run: &EndRun<'_>) -> Result<bool, TierError> {
        self.call(&End(run)).await
    }

    async fn runs(&self, job: &str, count: u32) -> Result<Vec<RunRow>, TierError> {
        self.call(&Newest { job, count }).await
    }

    async fn lapsed_runs(&self, jobs: &[&str]) -> Result<Vec<RunRow>, TierError> {
        self.call(&Lapsed(jobs)).await
    }

    async fn sweep(&self, rows_max: u32) -> Result<Swept, TierError> {
        let mut swept = self.call(&Sweep::new(rows_max, self.inner.options.max_bytes)).await?;
        let trimmed = self.call(&Trim).await?;
        swept.expired += trimmed.removed;
        swept.has_more |= trimmed.has_more;
        Ok(swept)
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        self.call(&Size).await
    }

    async fn close(&self) {
        self.inner.loops.stop();
        self.inner.connections.close().await;
        self.inner.apart.close();
    }
}

impl Clone for PostgresTier {
    fn clone(&self) -> Self {
        let heard = AtomicU64::new(self.heard.load(Relaxed));
        Self { inner: Arc::clone(&self.inner), heard }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.loops.stop();
    }
}

impl fmt::Debug for PostgresTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTier").field("options", &self.inner.options).finish_non_exhaustive()
    }
}
