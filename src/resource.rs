//! A resource: one kind of thing, with one key type, one value type, one loader and one policy.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use smallvec::smallvec;
use tracing::level_filters::LevelFilter;

use crate::clock::Moment;
use crate::engine::Engine;
use crate::entry::{Entry, Freshness, Life, Origin};
use crate::error::Error;
use crate::flight::{Chain, ReadFrom};
use crate::key::Key;
use crate::l1::Lookup;
use crate::limits::{Class, Urgency};
use crate::loader::{Answer, LoadContext};
use crate::metrics::{Preload, PreloadOutcome, ReadOutcome};
use crate::policy::Policy;

use self::core::Core;
use self::fetch::{Fetched, Wanted};
use self::source::{Asked, Failure, Request};

pub use self::ahead::{NotPreloaded, Preloaded};
pub use self::alias::Alias;
pub use self::builder::ResourceBuilder;
pub use self::bundle::{Bundle, Bundled};
pub use self::explain::{Explanation, HeldEntry, Verdict};
pub use self::fences::Fences;
pub use self::related::{LearnedPair, LearnedRule, RelatedKey};
pub use self::stats::HotKey;
pub use self::write::{Delivery, InvalidateOptions};

mod ahead;
mod alias;
mod bare;
mod batch;
mod builder;
mod bundle;
mod consult;
mod core;
mod explain;
#[cfg(all(test, shuttle))]
mod explored;
mod fences;
mod fetch;
mod foresee;
mod managed;
mod probe;
mod related;
mod remember;
mod share;
mod source;
mod stats;
mod trip;
mod write;

/// A resource: one kind of thing, with one key type, one value type, one loader and one policy.
///
/// A handle is cheap to clone. Look-ups take any borrowed form of the key, so `get("a")` works
/// where keys are `String`s. The `Drop` of a value must not call the cache, which may be the one that
/// drops it.
///
/// **Promise.** After [`Resource::invalidate`] or [`Resource::put`] has returned, no read that
/// starts later on this engine gives a value whose load began before: not from memory, not from
/// L2, not from a load that was under way, and not as a stale answer.
pub struct Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    core: Arc<Core<K, V>>,
    /// Held so that the work in the background goes on.
    engine: Arc<Engine>,
}

/// What a read gave, and where it came from.
#[derive(Debug)]
pub struct Read<V> {
    /// The value; `None` if the source says that there is no such thing.
    pub value: Option<Arc<V>>,
    /// Who answered.
    pub from: ReadFrom,
    /// Whether it is within its ttl. [`Freshness::Stale`] if it is served while it is renewed, or
    /// because that failed.
    pub freshness: Freshness,
    /// The time since its load began.
    pub age: Duration,
    /// How much longer it is fresh; zero if it is stale, or kept nowhere.
    pub fresh_for: Duration,
    /// Whether the reader waited for a load that somebody else had begun, and why that was.
    pub joined: Option<Origin>,
    /// Whether it is known that no other engine has invalidated it more than a coherence window ago.
    /// False only as [`Partition::Bounded`](crate::Partition::Bounded) says.
    pub is_verified: bool,
}

/// What a reader accepts; the default accepts what [`Resource::get`] does.
///
/// ```
/// use std::time::Duration;
/// use forewarm::ReadOptions;
///
/// let at_most_a_second_old = ReadOptions::new().max_age(Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    mode: Mode,
    max_age: Option<Duration>,
    is_fresh_only: bool,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mode {
    #[default]
    Normal,
    Refresh,
    Bypass,
}

impl ReadOptions {
    /// Accepts what [`Resource::get`] does.
    #[must_use]
    pub const fn new() -> Self {
        Self { mode: Mode::Normal, max_age: None, is_fresh_only: false }
    }

    /// Asks the source, and neither reads nor writes the cache. Limits apply.
    #[must_use]
    pub const fn bypass(self) -> Self {
        Self { mode: Mode::Bypass, ..self }
    }

    /// Waits for a load that began after this call, and stores what it brings.
    #[must_use]
    pub const fn refresh(self) -> Self {
        Self { mode: Mode::Refresh, ..self }
    }

    /// Accepts nothing whose load began longer than this before the call; a younger value is loaded.
    #[must_use]
    pub const fn max_age(self, max_age: Duration) -> Self {
        Self { max_age: Some(max_age), ..self }
    }

    /// Accepts nothing past its ttl, whatever the policy says of stale values.
    #[must_use]
    pub const fn fresh_only(self) -> Self {
        Self { is_fresh_only: true, ..self }
    }

    /// The same, for somebody who calls now.
    fn wanted(self, now: impl FnOnce() -> Moment) -> Wanted {
        let max_age = if self.mode == Mode::Refresh { Some(Duration::ZERO) } else { self.max_age };
        Wanted { after: max_age.map(|span| now().minus(span)), is_fresh_only: self.is_fresh_only }
    }
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(core: Arc<Core<K, V>>, engine: Arc<Engine>) -> Self {
        Self { core, engine }
    }

    /// The value of a key, loaded if need be; `None` if the source says that there is no such
    /// thing.
    ///
    /// A value past its ttl is served while a load renews it, or because that load failed, as far
    /// as the policy allows; [`Resource::read`] tells. Dropping the future cancels no load.
    ///
    /// # Errors
    ///
    /// The load failed, and no stale value may be served; see [`Error`].
    #[inline]
    pub async fn get<Q>(&self, key: &Q) -> Result<Option<Arc<V>>, Error>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.core.fence.hash(key);
        let lookup = Lookup::new(hash, key);
        if let Ok((value, _)) = self.core.look(lookup, |entry| entry.value().cloned()) {
            return Ok(value);
        }
        let fetch = self.core.fetch(key.to_owned(), hash, Wanted::default());
        // Boxed, so that the future of a hit stays small.
        let fetched = Box::pin(fetch).await?;
        Ok(fetched.arrival.entry.value().cloned())
    }

    /// Lets `f` see the value of a key, loaded if need be, without cloning its `Arc`: the cheapest
    /// way to read.
    ///
    /// `f` must be quick, and must not call the cache: it runs within the map of the hot segment.
    ///
    /// # Errors
    ///
    /// As [`Resource::get`].
    #[inline]
    pub async fn with<Q, R>(&self, key: &Q, f: impl FnOnce(Option<&V>) -> R) -> Result<R, Error>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.core.fence.hash(key);
        let see = |entry: &Entry<K, V>| f(entry.value().map(AsRef::as_ref));
        let see = match self.core.look(Lookup::new(hash, key), see) {
            Ok((seen, _)) => return Ok(seen),
            Err(see) => see,
        };
        let fetched = Box::pin(self.core.fetch(key.to_owned(), hash, Wanted::default())).await?;
        Ok(see(&fetched.arrival.entry))
    }

    /// Reads a key as `options` say, and tells where the value came from and how old it is.
    ///
    /// # Errors
    ///
    /// As [`Resource::get`].
    pub async fn read<Q>(&self, key: &Q, options: &ReadOptions) -> Result<Read<V>, Error>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.core.fence.hash(key);
        if options.mode == Mode::Bypass {
            return Box::pin(self.core.bypass(key.to_owned(), hash)).await;
        }
        let wanted = options.wanted(|| self.core.clock.now());
        if let Some(read) = self.core.read_l1(Lookup::new(hash, key), wanted) {
            return Ok(read);
        }
        let fetched = Box::pin(self.core.fetch(key.to_owned(), hash, wanted)).await?;
        let now = self.core.clock.now();
        let Fetched { arrival, joined, is_verified } = fetched;
        Ok(Read { is_verified, ..Read::of(&arrival.entry, arrival.from, joined, now) })
    }

    /// Reads a key as `options` say, if memory can answer: as [`Resource::read`] does, without a future.
    ///
    /// `None` if somebody would have to wait; then nothing was recorded, and [`Resource::read`] is to be
    /// asked.
    #[must_use]
    pub fn read_held<Q>(&self, key: &Q, options: &ReadOptions) -> Option<Read<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if options.mode == Mode::Bypass {
            return None;
        }
        let wanted = options.wanted(|| self.core.clock.now());
        self.core.read_l1(Lookup::new(self.core.fence.hash(key), key), wanted)
    }

    /// What memory holds of a key and may serve, without loading, recording or counting anything.
    #[must_use]
    pub fn peek<Q>(&self, key: &Q) -> Option<Read<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let now = self.core.clock.now();
        let entry = self.core.fence.l1().find(Lookup::new(self.core.fence.hash(key), key))?;
        let is_good = self.core.is_verified(&entry, now) && self.core.fence.confirm(&entry);
        (is_good && entry.freshness(now) != Freshness::Expired)
            .then(|| Read::of(&entry, ReadFrom::L1, None, now))
    }

    /// The policy as it was declared. What is loaded ahead may have been changed since; see
    /// [`Resource::preload_policy`].
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// The name of the resource.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.name
    }
}

impl<V> Read<V> {
    /// The same without a value: what was read says that there is no such thing.
    fn of_nothing<W>(self) -> Read<W> {
        let Self { value: _, from, freshness, age, fresh_for, joined, is_verified } = self;
        Read { value: None, from, freshness, age, fresh_for, joined, is_verified }
    }

    fn of<K>(entry: &Entry<K, V>, from: ReadFrom, joined: Option<Origin>, now: Moment) -> Self {
        Self { joined, ..Self::told(entry.value().cloned(), entry.life(), from, now) }
    }

    /// What there is to tell of a value that lives so.
    fn told(value: Option<Arc<V>>, life: Life, from: ReadFrom, now: Moment) -> Self {
        Self {
            value,
            from,
            // What is past everything was served because nothing better could be had.
            freshness: match life.freshness(now) {
                Freshness::Fresh => Freshness::Fresh,
                Freshness::Stale | Freshness::Expired => Freshness::Stale,
            },
            age: now.since(life.loaded_at),
            fresh_for: life.fresh_until.since(now),
            joined: None,
            is_verified: true,
        }
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Lets `take` see the entry of a key, if it can be served as it stands, and gives the moment by
    /// which it was judged beside what came of it; gives `take` back if not. The way of a hit: nothing here waits, allocates, or takes a lock of ours.
    #[inline]
    fn look<Q, R, F>(self: &Arc<Self>, lookup: Lookup<'_, Q>, take: F) -> Result<(R, Moment), F>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        F: FnOnce(&Entry<K, V>) -> R,
    {
        let now = self.clock.recent();
        // Asked before the entry is looked for: what is confirmed as of then may be served to one
        // who came then.
        let generation = self.fence.generation();
        let is_trusted = self.trust.holds(now);
        let seen = self.fence.l1().read(lookup, take, |entry, take| {
            if !(is_trusted && entry.is_calm(now) && entry.generation() == generation) {
                return Err((take, Arc::clone(entry)));
            }
            self.note_hit(entry, now);
            Ok((take(entry), now))
        })?;
        // The map's guard is gone by now: what follows may begin a load. What has been said to be
        // old this very moment is old, so here the exact time counts.
        seen.or_else(|(take, entry)| {
            let now = self.clock.now();
            match self.serve_uneasy(&entry, Wanted::default(), now) {
                Some(_) => Ok((take(&entry), now)),
                None => Err(take),
            }
        })
    }

    /// Reads memory as somebody wants it, and tells what there is to tell.
    fn read_l1<Q>(self: &Arc<Self>, lookup: Lookup<'_, Q>, wanted: Wanted) -> Option<Read<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if wanted == Wanted::default() {
            let told = self.look(lookup, |entry| (entry.value().cloned(), entry.life())).ok();
            return told.map(|((value, life), now)| Read::told(value, life, ReadFrom::L1, now));
        }
        let now = self.clock.now();
        let entry = self.fence.l1().read(lookup, (), |entry, ()| Arc::clone(entry)).ok()?;
        self.serve_uneasy(&entry, wanted, now)?;
        Some(Read::of(&entry, ReadFrom::L1, None, now))
    }

    /// Records and counts a read of a calm entry.
    #[inline]
    fn note_hit(&self, entry: &Entry<K, V>, now: Moment) {
        let is_found = entry.value().is_some();
        let outcome = if is_found { ReadOutcome::L1Hit } else { ReadOutcome::L1Absent };
        let nth = self.tally.reads.one(outcome);
        self.fence.recorder().record_hit(entry.reads(), now, nth);
        if entry.is_unread()
            || self.ahead.watches_reads()
            || LevelFilter::current() >= LevelFilter::DEBUG
        {
            self.note_asked(entry.key(), now);
            self.note_read(entry, now);
        } else {
            self.note_held(entry, now, false);
        }
    }

    /// Notes a read that memory answered: what came of a preload, and a line in the log.
    #[cold]
    fn note_read(&self, entry: &Entry<K, V>, now: Moment) {
        let was_preload = entry.settle();
        if was_preload {
            self.tally.l1.preloads.one(Preload(entry.why().reason, PreloadOutcome::Useful));
            self.keep_score(entry.why(), true);
            self.note_return(entry, now);
        }
        entry.set_demand_until(self.follow_demand(entry.demand_until(), now));
        self.note_held(entry, now, was_preload);
        let (resource, key) = (&*self.name, || self.label(entry.key(), entry.hash()));
        tracing::debug!(resource, key = %key(), "hit");
    }

    /// Answers a reader who wants nothing of the cache.
    async fn bypass(self: &Arc<Self>, key: K, hash: u64) -> Result<Read<V>, Error> {
        if self.tasks.is_stopping() {
            self.tally.reads.one(ReadOutcome::SourceError);
            return Err(Error::ShutDown);
        }
        let parent = Chain::current();
        self.check_recursion(parent.as_deref(), &key, hash)?;
        let now = self.clock.now();
        let deadline = now.plus(self.policy.source.deadline);
        let cx = LoadContext::new(Origin::Demand, self.clock.instant(deadline), None, None);
        let cx = cx.preferring_primary(self.fence.lagging(&key, hash, now).is_some());
        let urgency = Arc::new(Urgency::new(Class::Demand));
        if let Some(parent) = &parent {
            parent.lend(&urgency, self.id);
        }
        let chain = Chain::extended(parent, self.id, smallvec![hash]);
        let keys = smallvec![Asked { place: 0, key: &key, cx }];
        let mut answer = None;
        let request = Request { keys, urgency, chain, deadline, salt: hash };
        self.ask(request, |_, answered| answer = Some(answered)).await;
        let (asked_at, result) = answer
            .map_or((now, Err(Failure::Deadline)), |answered| (answered.asked_at, answered.result));
        self.tally.reads.one(if result.is_ok() {
            ReadOutcome::Bypass
        } else {
            ReadOutcome::SourceError
        });
        let loaded = result.map_err(|failure| self.error(&key, hash, failure))?;
        let value = match loaded.answer {
            Answer::Found(value) => Some(value),
            Answer::Absent | Answer::Unchanged => None,
        };
        let age = self.clock.now().since(asked_at);
        let (from, freshness) = (ReadFrom::Source, Freshness::Fresh);
        // It is kept nowhere, so it is good for nobody else.
        let fresh_for = Duration::ZERO;
        Ok(Read { value, from, freshness, age, fresh_for, joined: None, is_verified: true })
    }
}

impl<K, V> Clone for Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), engine: Arc::clone(&self.engine) }
    }
}

impl<K, V> fmt::Debug for Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.core, f)
    }
}
