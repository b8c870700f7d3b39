//! How the source is asked: the trait that users implement.

use std::any::type_name;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::entry::Origin;

use crate::error::LoadError;

/// Asks the source for values.
///
/// One loader serves all keys of a resource. It is called by readers who wait, and behind their
/// backs to renew and to load ahead; [`LoadContext::origin`] tells which. Calls are bounded in
/// number and in time, as [`SourcePolicy`](crate::SourcePolicy) says; a call that exceeds its
/// deadline is dropped at its next `.await`. A loader must not block its thread: wrap blocking code
/// in `tokio::task::spawn_blocking`, or register it with
/// [`ResourceBuilder::load_blocking_with`](crate::ResourceBuilder::load_blocking_with).
///
/// ```
/// use forewarm::{LoadContext, LoadError, Loaded, Loader};
///
/// struct Squares;
///
/// impl Loader<u64, u64> for Squares {
///     async fn load(&self, key: &u64, _cx: &LoadContext<u64>) -> Result<Loaded<u64>, LoadError> {
///         Ok(key.checked_mul(*key).into())
///     }
/// }
/// ```
pub trait Loader<K, V>: Send + Sync + 'static
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// Fetches the value of one key.
    ///
    /// # Errors
    ///
    /// Whatever kept the source from answering. A source that answered "there is no such thing"
    /// has not failed: that is [`Loaded::absent`].
    fn load(
        &self,
        key: &K,
        cx: &LoadContext<V>,
    ) -> impl Future<Output = Result<Loaded<V>, LoadError>> + Send;

    /// The most keys that one call of [`Loader::load_many`] takes. Default: 1, so that it is never
    /// called; a loader that implements it says more.
    fn keys_per_call(&self) -> usize {
        1
    }

    /// Fetches the values of several keys in one go: the results in the order of the keys.
    ///
    /// The default asks for one after the other. A result that is missing at the end fails its key.
    fn load_many(
        &self,
        keys: &[(K, LoadContext<V>)],
    ) -> impl Future<Output = Vec<Result<Loaded<V>, LoadError>>> + Send {
        async move {
            let mut results = Vec::with_capacity(keys.len());
            for (key, cx) in keys {
                results.push(self.load(key, cx).await);
            }
            results
        }
    }
}

/// What the source answered.
#[derive(Clone, Debug)]
pub struct Loaded<V> {
    pub(crate) answer: Answer<V>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) is_stored: bool,
    pub(crate) tags: Vec<Box<str>>,
    pub(crate) version: Option<u64>,
}

/// Whether the source has it.
#[derive(Clone, Debug)]
pub(crate) enum Answer<V> {
    Found(Arc<V>),
    Absent,
    /// It is as it was.
    Unchanged,
}

impl<V> Loaded<V> {
    /// The source has this value.
    pub fn found(value: impl Into<Arc<V>>) -> Self {
        Self::new(Answer::Found(value.into()))
    }

    /// The source says that there is no such thing. This is remembered too, for
    /// [`Policy::absent_ttl`](crate::Policy::absent_ttl).
    #[must_use]
    pub const fn absent() -> Self {
        Self::new(Answer::Absent)
    }

    /// The value in [`LoadContext::held`] is still right. Where nothing was held, the load fails.
    #[must_use]
    pub const fn unchanged() -> Self {
        Self::new(Answer::Unchanged)
    }

    const fn new(answer: Answer<V>) -> Self {
        Self { answer, ttl: None, is_stored: true, tags: Vec::new(), version: None }
    }

    /// Sets how long this answer is fresh, instead of what the policy says; also for an absence
    /// that the policy would not keep. Jitter and midnight shorten it as any other.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// Sets tags, by which this answer can be invalidated together with others: see
    /// [`Resource::invalidate_tag`](crate::Resource::invalidate_tag). At most 64, of 1 to 256 bytes
    /// and without control characters; an answer with others is given and not kept.
    #[must_use]
    pub fn tags<T: Into<Box<str>>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        Self { tags: tags.into_iter().map(Into::into).collect(), ..self }
    }

    /// Says which version of the thing this is: a number that grows with every change, such as a
    /// row's version or the position in a log. One that is older than an invalidation demands
    /// ([`InvalidateOptions::min_version`](crate::InvalidateOptions::min_version)) is asked for
    /// again, and not kept.
    #[must_use]
    pub fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Gives this answer to those who wait for it, and keeps it nowhere.
    #[must_use]
    pub fn not_stored(self) -> Self {
        Self { is_stored: false, ..self }
    }
}

impl<V> From<V> for Loaded<V> {
    fn from(value: V) -> Self {
        Self::found(value)
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(Self::absent, Self::found)
    }
}

/// What a loader is told about the load.
#[derive(Debug)]
pub struct LoadContext<V> {
    origin: Origin,
    deadline: tokio::time::Instant,
    held: Option<Arc<V>>,
    held_since: Option<Moment>,
    prefers_primary: bool,
}

impl<V> LoadContext<V> {
    pub(crate) const fn new(
        origin: Origin,
        deadline: tokio::time::Instant,
        held: Option<Arc<V>>,
        held_since: Option<Moment>,
    ) -> Self {
        Self { origin, deadline, held, held_since, prefers_primary: false }
    }

    /// The same for another call.
    pub(crate) fn again(&self) -> Self {
        Self { held: self.held.clone(), ..*self }
    }

    pub(crate) fn preferring_primary(self, prefers_primary: bool) -> Self {
        Self { prefers_primary, ..self }
    }

    /// Whether the key was invalidated so lately that a copy of the source may not have the change
    /// yet: then ask where changes are made. See [`Policy::replica_lag`](crate::Policy::replica_lag).
    #[must_use]
    pub const fn prefers_primary(&self) -> bool {
        self.prefers_primary
    }

    /// Why the key is loaded.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// When the answer comes too late: a call that still runs then is dropped.
    #[must_use]
    pub const fn deadline(&self) -> tokio::time::Instant {
        self.deadline
    }

    /// The value held so far, if any: to ask the source "has it changed?".
    #[must_use]
    pub const fn held(&self) -> Option<&Arc<V>> {
        self.held.as_ref()
    }

    /// When the load of the value held so far began, on the engine's clock.
    #[must_use]
    pub const fn held_since(&self) -> Option<Moment> {
        self.held_since
    }
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type LoadResult<V> = Result<Loaded<V>, LoadError>;

/// A [`Loader`] of a type that is no longer known.
pub(crate) trait AnyLoader<K, V>: Send + Sync + 'static {
    fn load<'a>(&'a self, key: &'a K, cx: &'a LoadContext<V>) -> BoxFuture<'a, LoadResult<V>>;

    fn keys_per_call(&self) -> usize;

    fn load_many<'a>(
        &'a self,
        keys: &'a [(K, LoadContext<V>)],
    ) -> BoxFuture<'a, Vec<LoadResult<V>>>;
}

impl<K, V, L> AnyLoader<K, V> for L
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    L: Loader<K, V>,
{
    fn load<'a>(&'a self, key: &'a K, cx: &'a LoadContext<V>) -> BoxFuture<'a, LoadResult<V>> {
        Box::pin(Loader::load(self, key, cx))
    }

    fn keys_per_call(&self) -> usize {
        Loader::keys_per_call(self)
    }

    fn load_many<'a>(
        &'a self,
        keys: &'a [(K, LoadContext<V>)],
    ) -> BoxFuture<'a, Vec<LoadResult<V>>> {
        Box::pin(Loader::load_many(self, keys))
    }
}

/// A loader made of an async closure.
pub(crate) struct LoadWith<F, T>(F, PhantomData<fn() -> T>);

impl<F, T> LoadWith<F, T> {
    pub(crate) const fn new(load: F) -> Self {
        Self(load, PhantomData)
    }
}

impl<K, V, F, Fut, T> Loader<K, V> for LoadWith<F, T>
where
    K: Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, LoadError>> + Send + 'static,
    T: Into<Loaded<V>> + 'static,
{
    async fn load(&self, key: &K, _cx: &LoadContext<V>) -> Result<Loaded<V>, LoadError> {
        (self.0)(key.clone()).await.map(Into::into)
    }
}

/// A loader made of a closure that blocks its thread.
pub(crate) struct LoadBlockingWith<F, T>(Arc<F>, PhantomData<fn() -> T>);

impl<F, T> LoadBlockingWith<F, T> {
    pub(crate) fn new(load: F) -> Self {
        Self(Arc::new(load), PhantomData)
    }
}

impl<K, V, F, T> Loader<K, V> for LoadBlockingWith<F, T>
where
    K: Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Fn(K) -> Result<T, LoadError> + Send + Sync + 'static,
    T: Into<Loaded<V>> + Send + 'static,
{
    async fn load(&self, key: &K, _cx: &LoadContext<V>) -> Result<Loaded<V>, LoadError> {
        let (load, key) = (Arc::clone(&self.0), key.clone());
        match tokio::task::spawn_blocking(move || load(key)).await {
            Ok(result) => result.map(Into::into),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(error) => Err(LoadError::transient(error)),
            },
        }
    }
}

impl<F, T> fmt::Debug for LoadWith<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<F>())
    }
}

impl<F, T> fmt::Debug for LoadBlockingWith<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(type_name::<F>())
    }
}
