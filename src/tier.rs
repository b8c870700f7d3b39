//! The contract of the second tier: what a shared or embedded store must do.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::codec::{Codec, EncodeError, Unreadable};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteOptions, SqliteTier};
mod codec;
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

    /// Invalidates keys and stores their new values, in one step. The values' permits are ignored.
    ///
    /// # Errors
    ///
    /// The store did not answer, or cannot take more.
    fn put(&self, puts: &[Fill<'_>]) -> impl Future<Output = Result<(), TierError>> + Send;

    /// Removes values and voids permits, in one step. When this has returned, no [`Tier::begin`]
    /// gives a value that was stored before, and no fill is accepted whose permit was given before.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn invalidate(
        &self,
        selectors: &[Selector<'_>],
    ) -> impl Future<Output = Result<(), TierError>> + Send;

    /// Makes values stale, and voids permits. What is stale may still be served if it cannot be
    /// renewed.
    ///
    /// # Errors
    ///
    /// The store did not answer.
    fn expire(&self, keys: &[&str]) -> impl Future<Output = Result<(), TierError>> + Send;

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
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The encoded value.
    pub value: Vec<u8>,
    /// The time since its load began.
    pub age: Duration,
    /// How much longer it is fresh; zero if it is stale.
    pub fresh_for: Duration,
    /// How much longer it may be served at all.
    pub keep_for: Duration,
    /// Whether it was stored before this use of the store began, so that invalidations may have
    /// been missed.
    pub is_restored: bool,
}

/// A value to be stored.
#[derive(Clone, Copy, Debug)]
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
}

/// What [`Tier::fill`] did with a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filled {
    /// It is stored.
    Stored,
    /// Its permit no longer stood.
    Refused,
}

/// What is invalidated.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Selector<'a> {
    /// One full key.
    Key(&'a str),
    /// All keys of a resource, given as `{prefix}:{resource}`.
    Resource(&'a str),
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

/// A store that could not be asked, or that could not answer.
#[derive(Clone)]
pub struct TierError(Arc<dyn StdError + Send + Sync>);

impl TierError {
    /// An error with this cause.
    pub fn new(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(source.into().into())
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

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, TierError>> + Send + 'a>>;

/// A [`Tier`] of a type that is no longer known.
pub(crate) trait AnyTier: Send + Sync + 'static {
    fn begin<'a>(&'a self, asks: &'a [Ask<'a>], permit_for: Duration) -> Answer<'a, Vec<Begun>>;
    fn fill<'a>(&'a self, fills: &'a [Fill<'a>]) -> Answer<'a, Vec<Filled>>;
    fn release<'a>(&'a self, permits: &'a [(&'a str, Permit)]) -> Answer<'a, ()>;
    fn put<'a>(&'a self, puts: &'a [Fill<'a>]) -> Answer<'a, ()>;
    fn invalidate<'a>(&'a self, selectors: &'a [Selector<'a>]) -> Answer<'a, ()>;
    fn expire<'a>(&'a self, keys: &'a [&'a str]) -> Answer<'a, ()>;
    fn sweep(&self, rows_max: u32) -> Answer<'_, Swept>;
    fn size(&self) -> Answer<'_, TierSize>;
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<T: Tier> AnyTier for T {
    fn begin<'a>(&'a self, asks: &'a [Ask<'a>], permit_for: Duration) -> Answer<'a, Vec<Begun>> {
        Box::pin(Tier::begin(self, asks, permit_for))
    }

    fn fill<'a>(&'a self, fills: &'a [Fill<'a>]) -> Answer<'a, Vec<Filled>> {
        Box::pin(Tier::fill(self, fills))
    }

    fn release<'a>(&'a self, permits: &'a [(&'a str, Permit)]) -> Answer<'a, ()> {
        Box::pin(Tier::release(self, permits))
    }

    fn put<'a>(&'a self, puts: &'a [Fill<'a>]) -> Answer<'a, ()> {
        Box::pin(Tier::put(self, puts))
    }

    fn invalidate<'a>(&'a self, selectors: &'a [Selector<'a>]) -> Answer<'a, ()> {
        Box::pin(Tier::invalidate(self, selectors))
    }

    fn expire<'a>(&'a self, keys: &'a [&'a str]) -> Answer<'a, ()> {
        Box::pin(Tier::expire(self, keys))
    }

    fn sweep(&self, rows_max: u32) -> Answer<'_, Swept> {
        Box::pin(Tier::sweep(self, rows_max))
    }

    fn size(&self) -> Answer<'_, TierSize> {
        Box::pin(Tier::size(self))
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Tier::close(self))
    }
}
