//! The embedded second tier: an SQLite file.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::apart::Apart;
use self::begin::{Grant, answers, is_storable};
use self::fault::{Refusal, Trouble};
use self::file::FileId;
use self::fill::{FillIn, Release};
use self::hot::MergeHot;
use self::invalidate::{Expire, Invalidate};
use self::look_up::Keys;
pub use self::options::SqliteOptions;
use self::put::PutIn;
use self::queue::Queue;
use self::readers::Readers;
use self::runs::{End, MeetJobs, Renew};
use self::sweep::Sweep;
use self::take::Take;
use self::turn::{now, wall};
use self::watch::Watch;
use self::writer::{State, Writer};
use super::{
    Ask, Begun, Cursor, EndRun, Fill, Filled, HotSum, Invalidation, JobMemory, Node, Permit,
    Polled, RenewRun, RunRow, RunTaken, Swept, TakeRun, Tier, TierError, TierSize, Want,
};
use crate::error::ConfigError;
use crate::task::Tasks;

mod apart;
mod begin;
mod connect;
mod connections;
mod epoch;
mod fault;
mod file;
mod fill;
mod glob;
mod group;
mod hold;
mod hot;
mod invalidate;
mod log;
mod look_up;
mod options;
mod put;
mod queue;
mod readers;
mod runs;
mod sweep;
mod take;
mod turn;
mod watch;
mod writer;

/// An SQLite file as the second tier.
///
/// The file may be that of the application: all tables are named `forewarm_*`. Keys that contain a
/// NUL character are not stored.
///
/// Several tiers, in several processes of one machine too, may use one file. As long as one of them
/// does, each trusts what the others stored, and hears of what they invalidate. What was stored
/// before a time in which nobody used the file counts as restored. Who uses it is told by the lock
/// of a file beside it, with `-forewarm` at the end of its name; where files cannot be locked, the
/// coming of each process counts as such a time.
///
/// A file that cannot be used (locked, damaged, read-only, full, gone) is no error of `open`: every
/// call then fails at once, a warning says what to do, and the first call after 400 ms tries
/// again. Nothing is ever removed to make place for a new file. If another file takes the name, or
/// the file is removed, every call notices: nothing that was in the first one is served any more,
/// and the new one is used as soon as no tier holds the first. The values in that one are removed,
/// since it may be an older copy.
///
/// What was acknowledged outlives the process; a loss of power may take the last moments before
/// it, unless the tier was closed.
pub struct SqliteTier {
    options: SqliteOptions,
    state: Arc<State>,
    queue: Queue,
    /// For the leases of runs.
    apart: Apart,
}

impl SqliteTier {
    /// Opens the file at `path`, and creates it if it is missing, with the defaults of
    /// [`SqliteOptions`].
    ///
    /// # Errors
    ///
    /// A path that cannot be that of a database: its directory is missing, or it is a directory or
    /// a symbolic link. A file that cannot be used is no error.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, ConfigError> {
        SqliteOptions::new(path).open().await
    }

    async fn start(options: SqliteOptions) -> Result<Self, ConfigError> {
        let tasks = Tasks::of_this_runtime().ok_or_else(|| {
            ConfigError::new("tier", "is opened outside of a tokio runtime", "open it inside")
        })?;
        let state = Arc::new(State::default());
        let (queue, commands) = Queue::new();
        tasks.spawn_loop(Writer::new(options.clone(), Arc::clone(&state)).run(commands));
        // What is wrong with the file has been logged, and every call will say it.
        drop(queue.connect().await);
        Ok(Self { options, state, queue, apart: Apart::default() })
    }

    /// The connections to look up by. If there are none, or another file has taken the name, the
    /// writer may open that one.
    async fn readers(&self) -> Result<Arc<Readers>, TierError> {
        if let Some(readers) = self.state.readers()
            && readers.are_of(FileId::of(&self.options.path))
        {
            return Ok(readers);
        }
        self.queue.connect().await?;
        self.state.readers().ok_or_else(|| TierError::new(Refusal::Closed))
    }

    /// The answers that need no permit; nothing is written.
    async fn look_up(&self, asks: &[Ask<'_>]) -> Result<Vec<Option<Begun>>, TierError> {
        let readers = self.readers().await?;
        let gets_no_permit = |ask: &Ask<'_>| ask.want == Want::Copy || !is_storable(ask.key);
        let unless_found = |ask: &Ask<'_>| gets_no_permit(ask).then_some(Begun::Miss);
        let mut begun: Vec<_> = asks.iter().map(unless_found).collect();
        if asks.iter().any(|ask| ask.want != Want::Permit) {
            let found = readers.look_up(&Keys::wanted_by(asks)?, now(&self.options.clock)).await;
            for (place, stored) in found.map_err(|error| self.doubt(error))? {
                let ask = asks.get(place).filter(|ask| answers(ask, &stored));
                if let Some((begun, _)) = begun.get_mut(place).zip(ask) {
                    *begun = Some(Begun::Hit(stored));
                }
            }
        }
        Ok(begun)
    }

    async fn grant(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        if self.state.gives_no_permits(self.options.clock.now()) {
            return Err(TierError::new(Refusal::Paused));
        }
        Ok(self.queue.write(Grant::new(asks, permit_for)?).await?.answers(asks))
    }

    /// Has the writer look at what a look-up has met.
    fn doubt(&self, error: sqlx::Error) -> TierError {
        let error = Arc::new(error);
        if Trouble::of(&error).is_of_the_connection() {
            self.queue.doubt(Arc::clone(&error));
        }
        TierError::new(error)
    }
}

impl Tier for SqliteTier {
    async fn begin(&self, asks: &[Ask<'_>], permit_for: Duration) -> Result<Vec<Begun>, TierError> {
        let mut begun = self.look_up(asks).await?;
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
        let mut rest: Vec<_> = filled.iter_mut().zip(fills).collect();
        rest.retain(|(_, fill)| is_storable(fill.key));
        while !rest.is_empty() {
            // A key that comes again waits until the first has taken its permit.
            let mut keys = HashSet::new();
            let (round, later): (Vec<_>, Vec<_>) =
                rest.into_iter().partition(|(_, fill)| keys.insert(fill.key));
            let fills: Vec<_> = round.iter().map(|(_, fill)| **fill).collect();
            let write = FillIn::new(&fills, now(&self.options.clock))?;
            let stored = self.queue.write(write).await?;
            for (filled, fill) in round {
                if stored.contains(fill.key) {
                    *filled = Filled::Stored;
                }
            }
            rest = later;
        }
        Ok(filled)
    }

    async fn release(&self, permits: &[(&str, Permit)]) -> Result<(), TierError> {
        self.queue.write(Release::new(permits)?).await
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        let write = PutIn::new(by, puts, since, now(&self.options.clock))?;
        let stored = self.queue.write(write).await?;
        let is_stored = |put: &Fill<'_>| stored.contains(put.key);
        let filled = |put| if is_stored(put) { Filled::Stored } else { Filled::Refused };
        Ok(puts.iter().map(filled).collect())
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        self.queue.write(Invalidate::new(by, invalidations)?).await
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        self.queue.write(Expire::new(by, keys)?).await
    }

    async fn poll(&self, since: &Cursor) -> Result<Polled, TierError> {
        let readers = self.readers().await?;
        let polled = readers.poll(since).await.map_err(|error| self.doubt(error))?;
        self.state.hear(&polled.cursor);
        Ok(polled)
    }

    async fn changed(&self) {
        Watch::new(&self.options, &self.state).changed().await;
    }

    async fn merge_hot(
        &self,
        by: Node,
        resource: &str,
        hot: &[(&str, f64)],
        keep_for: Duration,
    ) -> Result<Vec<HotSum>, TierError> {
        self.queue.write(MergeHot::new(by, resource, hot, keep_for)?).await
    }

    async fn meet_jobs(&self, jobs: &[&str], at: Timestamp) -> Result<Vec<JobMemory>, TierError> {
        self.queue.write(MeetJobs::new(jobs, at)).await
    }

    async fn take_run(&self, run: &TakeRun<'_>) -> Result<RunTaken, TierError> {
        self.queue.write(Take::new(run)).await
    }

    async fn renew_runs(&self, runs: &[RenewRun<'_>]) -> Result<Vec<bool>, TierError> {
        if self.queue.is_closed() {
            return Err(TierError::new(Refusal::Closed));
        }
        self.apart.write(&self.options, Renew::new(runs)).await
    }

    async fn end_run(&self, run: &EndRun<'_>) -> Result<bool, TierError> {
        self.queue.write(End::new(run)).await
    }

    async fn runs(&self, job: &str, count: u32) -> Result<Vec<RunRow>, TierError> {
        let readers = self.readers().await?;
        readers.runs(job, count).await.map_err(|error| self.doubt(error))
    }

    async fn lapsed_runs(&self, jobs: &[&str]) -> Result<Vec<RunRow>, TierError> {
        let readers = self.readers().await?;
        let lapsed = readers.lapsed_runs(jobs, wall(&self.options.clock)).await;
        lapsed.map_err(|error| self.doubt(error))
    }

    async fn sweep(&self, rows_max: u32) -> Result<Swept, TierError> {
        self.queue.write(Sweep::new(rows_max, self.options.max_bytes)).await
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        let readers = self.readers().await?;
        readers.size().await.map_err(|error| self.doubt(error))
    }

    async fn close(&self) {
        self.queue.close().await;
        self.apart.close();
    }
}

impl fmt::Debug for SqliteTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTier").field("options", &self.options).finish_non_exhaustive()
    }
}
