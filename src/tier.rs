//! The contract of the second tier: what a shared or embedded store must do.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

pub(crate) use self::any::AnyTier;
pub use self::change::{Change, Cursor, Invalidation, Lag, Logged, Mark, Node, Polled, Selector};
pub(crate) use self::codec::{Codec, EncodeError, Unreadable};
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresOptions, PostgresTier};
#[cfg(feature = "redis")]
pub use self::redis::{RedisOptions, RedisTier};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(crate) use self::row::EXPIRED;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis", all(test, shuttle)))]
pub(crate) use self::row::Row;
pub use self::run::{EndRun, JobMemory, RenewRun, RunId, RunRow, RunTaken, TakeRun};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteTier};
mod any;
mod change;
mod codec;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis", all(test, shuttle)))]
mod row;
mod run;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod run_row;
#[cfg(feature = "sqlite")]
mod sqlite;

/// A store of encoded values behind the memory of a process: L2.
///
/// A value gets in by a *permit* only. [`Tier::begin`] gives one for a key that is not there;
/// [`Tier::invalidate`] voids it; [`Tier::fill`] stores a value only if its permit still stands.
/// So a load that began before an invalidation cannot store what it read, however late it ends:
/// a lost, expired or replaced permit fails closed. (Memcache calls it a lease: Nishtala et al.,
/// "Scaling Memcache at Facebook", NSDI 2013.)
///
/// Several engines can share a store. Each change is noted in its *log*, which the others follow by
/// [`Tier::poll`]; an engine serves from memory only as long as it has lately heard everything.
/// Together with what an engine does by itself this makes the promise: after an invalidation has
/// been applied, nothing that was loaded before it is served by that engine at once, nor by any
/// other once the coherence window ([`L2Config::window`](crate::L2Config::window)) has passed,
/// whatever was lost, late, restarted or cut off in between. It is assumed that an invalidation is
/// called for after the source has committed, that loads read what was committed, and that the
/// store is linearizable: for each key there is one place where it is decided. What is not
/// promised: anything for a process that dies between its commit and the call (but see
/// [`PostgresTier::commit`](crate::PostgresTier)), for changes that no engine was told of, and for
/// reads that were under way. `ARCHITECTURE.md` has all of it on a page.
///
/// What an implementation owes to that, beyond the single methods:
/// - A store that may have lost what it acknowledged must begin a new *life* before it answers
///   anything: no value and no permit of the old one counts any more, and every cursor of the old
///   one has a gap.
/// - A connection that is made anew must find that out first.
/// - Each call must be safe to execute at any time later, when its caller has given up long ago.
///
/// Keys are full keys, `{prefix}:{resource}:{text}`. A call that fails or takes long does no harm:
/// the engine goes on without L2, and repeats invalidations until one has been heard. So every
/// method must be safe to execute late, and more than once. A dropped future may or may not have
/// had its effect.
///
/// Spans of time are used instead of points, so that the store may use a clock of its own.
pub trait Tier: Send + Sync + 'static {
    /// Looks up several keys of a resource in one go. The answers are in the order of the keys.
    ///
    /// A permit lasts `permit_for` at most; then another one may be given for the key, which voids
    /// the first.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn begin(
        &self,
        asks: &[Ask<'_>],
        permit_for: Duration,
    ) -> impl Future<Output = Result<Vec<Begun>, TierError>> + Send;

    /// Stores values whose permits still stand, and takes the permits. The answers are in the order
    /// of the fills.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot take more.
    fn fill(
        &self,
        fills: &[Fill<'_>],
    ) -> impl Future<Output = Result<Vec<Filled>, TierError>> + Send;

    /// Gives permits back that will not be used, so that the next load of their keys gets one at
    /// once. Default: does nothing; they end by themselves.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn release(
        &self,
        _permits: &[(&str, Permit)],
    ) -> impl Future<Output = Result<(), TierError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Invalidates keys, and stores their new values as far as that is safe, in one step. The
    /// values' permits are ignored. The answers are in the order of the puts.
    ///
    /// A value is stored only if nobody, not even the one who puts it, has changed its key or a
    /// group it belongs to since `since`, the cursor of a poll from before the value was known: this
    /// call may be executed late, and what it brings be older by then than a change that came
    /// meanwhile. In doubt the key is only invalidated.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot take more.
    fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> impl Future<Output = Result<Vec<Filled>, TierError>> + Send;

    /// Voids values and permits, in one step, and notes it in the log. When this has returned, no
    /// [`Tier::begin`] gives a value that was stored before, no fill is accepted whose permit was
    /// given before, and every poll that begins later tells of it.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> impl Future<Output = Result<(), TierError>> + Send;

    /// Makes values stale, voids permits, and notes it in the log. What is stale may still be
    /// served if it cannot be renewed.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn expire(&self, by: Node, keys: &[&str])
    -> impl Future<Output = Result<(), TierError>> + Send;

    /// What has been invalidated, put or expired since a cursor, in any order; at most some
    /// thousand changes at a time. The empty cursor stands before everything.
    ///
    /// Every change that was acknowledged before this call began is among the answers, or
    /// [`Polled::has_more`] says that another call is needed, or [`Polled::is_gap`] says that the
    /// store cannot tell: its log no longer reaches back to the cursor, or it has lost what it
    /// once acknowledged, as a server does that restarts empty or is replaced by a copy that lags.
    /// A change may be given more than once, with the same id, by consecutive polls.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn poll(&self, since: &Cursor) -> impl Future<Output = Result<Polled, TierError>> + Send;

    /// Waits until the log may have grown. Only a hint, so that others hear of an invalidation in
    /// milliseconds: it may be late, and it may be missed. Default: waits for ever.
    fn changed(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Notes which keys of a resource are read most on one engine, instead of what it noted
    /// before, and gives the keys that the *other* engines have noted and their summed scores,
    /// highest first, at most 1,000. What an engine noted is forgotten after `keep_for`. Default:
    /// nothing is kept.
    ///
    /// Engines note themselves so as well, to know of each other ([`Forewarm::nodes`]): `resource` is
    /// the prefix alone then, and the key is no full key.
    ///
    /// [`Forewarm::nodes`]: crate::Forewarm::nodes
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn merge_hot(
        &self,
        _by: Node,
        _resource: &str,
        _hot: &[(&str, f64)],
        _keep_for: Duration,
    ) -> impl Future<Output = Result<Vec<HotSum>, TierError>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// Tells when each of these jobs, `{prefix}:{name}`, was first met, and up to where it has been
    /// handled. A job that is not known yet is met now, at the time that is given. What is known of
    /// a job is kept for ever, so that it is not done again. The answers are in the order of the
    /// jobs.
    ///
    /// This and the next methods keep the runs of jobs. Texts are of 1 to 200 bytes, without control
    /// characters. Leases follow the clock of the store.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot keep runs: that is the default of all of them, and then
    /// jobs that one of several engines has to run are run by none.
    fn meet_jobs(
        &self,
        _jobs: &[&str],
        _at: Timestamp,
    ) -> impl Future<Output = Result<Vec<JobMemory>, TierError>> + Send {
        std::future::ready(Err(TierError::not_kept()))
    }

    /// Takes a run, for as long as its lease lasts, in one step:
    /// - What is there already and has ended, or is under somebody else's lease, is theirs.
    /// - It is busy if the job has `instances_max` other runs under leases that last; or if the
    ///   store cannot tell at the moment.
    /// - If its lease has run out it is taken over, and its attempts are one more.
    /// - If it is not there, it is theirs if it was due not later than a run whose row has been
    ///   removed already; else a row is made, with one attempt.
    ///
    /// Repeated with the same permit it gives the same answer, and the lease begins anew.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot keep runs.
    fn take_run(
        &self,
        _run: &TakeRun<'_>,
    ) -> impl Future<Output = Result<RunTaken, TierError>> + Send {
        std::future::ready(Err(TierError::not_kept()))
    }

    /// Renews leases; false for each that has run out, or whose run is no longer the caller's. The
    /// answers are in the order of the runs.
    ///
    /// An engine calls this on a runtime of its own, in a thread of its own, so that an application
    /// that blocks all its threads does not lose what it has taken. So this must not wait for
    /// anything that goes on in the runtime of the other calls: an implementation with connections
    /// keeps one for this alone, and makes it here. The runtime may be another one each time.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot keep runs.
    fn renew_runs(
        &self,
        _runs: &[RenewRun<'_>],
    ) -> impl Future<Output = Result<Vec<bool>, TierError>> + Send {
        std::future::ready(Err(TierError::not_kept()))
    }

    /// Notes how a run has ended, or gives it back; false if it is no longer the caller's. If the
    /// error is too long, its beginning is kept.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot keep runs.
    fn end_run(&self, _run: &EndRun<'_>) -> impl Future<Output = Result<bool, TierError>> + Send {
        std::future::ready(Err(TierError::not_kept()))
    }

    /// The newest runs of a job, by when they were due, newest first.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot keep runs.
    fn runs(
        &self,
        _job: &str,
        _count: u32,
    ) -> impl Future<Output = Result<Vec<RunRow>, TierError>> + Send {
        std::future::ready(Err(TierError::not_kept()))
    }

    /// Runs of these jobs that have not ended and whose leases have run out, at most some hundred of
    /// them.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot keep runs.
    fn lapsed_runs(
        &self,
        _jobs: &[&str],
    ) -> impl Future<Output = Result<Vec<RunRow>, TierError>> + Send {
        std::future::ready(Err(TierError::not_kept()))
    }

    /// Removes at most `rows_max` rows that nobody can be served any more, or that are too many.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn sweep(&self, rows_max: u32) -> impl Future<Output = Result<Swept, TierError>> + Send;

    /// How much is stored.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn size(&self) -> impl Future<Output = Result<TierSize, TierError>> + Send;

    /// Ends the use of the store: what was acknowledged is kept.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// A key that [`Tier::begin`] is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The full key.
    pub key: &'a str,
    /// The permit to give if the key is to be loaded; unique for each load.
    pub permit: Permit,
    /// What the caller wants.
    pub want: Want,
}

/// What the caller of [`Tier::begin`] wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Want {
    /// The value, or a permit if it is not there.
    Value,
    /// The value if it is fresh, or else a permit; a stale value stays until it is renewed.
    Fresh,
    /// A permit, whether or not a value is there: it will be renewed, and stays until then.
    Permit,
    /// The value if it is fresh, or else nothing: no permit is given, and the answer is
    /// [`Begun::Miss`].
    Copy,
}

/// The right to fill one key once. A random number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Permit(pub u64);

/// What [`Tier::begin`] says of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Begun {
    /// The value is there.
    Hit(Stored),
    /// It is not, or it is to be renewed: the caller may load and fill it.
    Permit,
    /// It is not, and somebody else is loading it.
    Busy,
    /// It is not, and no permit could be given, as by a store that can only be read: the caller
    /// may load the key and cannot fill it. Or none was wanted.
    Miss,
}

/// A value as it was stored.
#[derive(Clone, Eq, PartialEq)]
pub struct Stored {
    /// The encoded value.
    pub value: Vec<u8>,
    /// The time since its load began.
    pub age: Duration,
    /// How much longer it is fresh; zero if it is stale.
    pub fresh_for: Duration,
    /// How much longer it may be served at all.
    pub keep_for: Duration,
    /// Whether nobody has used the store for a time since it was stored, so that invalidations may
    /// have been missed.
    pub is_restored: bool,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A value to be stored.
#[derive(Clone, Copy)]
pub struct Fill<'a> {
    /// The full key.
    pub key: &'a str,
    /// The permit that [`Tier::begin`] gave.
    pub permit: Permit,
    /// The encoded value.
    pub value: &'a [u8],
    /// The time since its load began.
    pub age: Duration,
    /// How much longer it is fresh.
    pub fresh_for: Duration,
    /// How much longer it may be served at all; not less than `fresh_for`.
    pub keep_for: Duration,
    /// The tags of the value, by which it can be invalidated; at most 64, of 1 to 256 bytes each.
    pub tags: &'a [&'a str],
    /// The version that the source gave, if it gives versions: see [`Lag::min_version`].
    pub version: Option<u64>,
}

/// Without the value.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("bytes", &self.value.len())
            .field("age", &self.age)
            .field("fresh_for", &self.fresh_for)
            .field("keep_for", &self.keep_for)
            .field("is_restored", &self.is_restored)
            .finish_non_exhaustive()
    }
}

/// Without the key and the value.
impl fmt::Debug for Fill<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill")
            .field("bytes", &self.value.len())
            .field("age", &self.age)
            .field("fresh_for", &self.fresh_for)
            .field("keep_for", &self.keep_for)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What [`Tier::fill`] did with a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filled {
    /// It is stored.
    Stored,
    /// Its permit no longer stood.
    Refused,
}

/// A key that is read much, and how much.
#[derive(Clone, Debug, PartialEq)]
pub struct HotSum {
    /// The full key.
    pub key: String,
    /// The sum of the scores that other engines have given it.
    pub score: f64,
}

/// What [`Tier::sweep`] did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Swept {
    /// The rows that were of no more use.
    pub expired: u64,
    /// The rows that went because there were too many.
    pub evicted: u64,
    /// Whether more could be removed now.
    pub has_more: bool,
}

/// How much a store holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TierSize {
    /// The values.
    pub entries: u64,
    /// The bytes that the store takes.
    pub bytes: u64,
}

/// What a store says that has nothing to keep runs in.
#[derive(Debug, thiserror::Error)]
#[error("this store keeps no runs of jobs")]
struct NotKept;

/// A store that could not be asked, or that could not answer.
#[derive(Clone)]
pub struct TierError(Arc<dyn StdError + Send + Sync>);

impl TierError {
    /// An error with this cause.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(source.into().into())
    }

    fn not_kept() -> Self {
        Self::new(NotKept)
    }

    /// Whether it says that the store can never do what it was asked.
    pub(crate) fn is_not_kept(&self) -> bool {
        self.0.is::<NotKept>()
    }
}

impl fmt::Display for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the second tier did not do what it was asked")
    }
}

impl fmt::Debug for TierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl StdError for TierError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.0.as_ref())
    }
}
