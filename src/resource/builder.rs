//! Declaring a resource.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::Resource;
use super::ahead::{Ahead, Asking, Seed};
use super::alias::Alias;
use super::core::{Core, Relation, Shared, Source, Speech, Tagger, Tally, Trimmer, Weigher};
use super::foresee::Foreseeing;
use super::probe::Probe;
use crate::coherence::{Outbox, Trust};
use crate::engine::Engine;
use crate::error::{ConfigError, Error, LoadError};
use crate::fence::{Fence, FenceTerms};
use crate::flight::Pad;
use crate::key::{Key, Name};
use crate::l1::{L1, L1Tally, Shares};
use crate::limits::{Failing, Limits, LoadTime};
use crate::loader::{AnyLoader, LoadBlockingWith, LoadWith, Loaded, Loader};
use crate::policy::{Capacity, Policy, PreloadMode, Store};
use crate::recorder::Recorder;
use crate::tier::Codec;

/// Declares a resource: its loader, its policy, and how its entries are weighed.
///
/// Made by [`Forewarm::resource`](crate::Forewarm::resource).
#[must_use = "a resource exists once it is built"]
pub struct ResourceBuilder<K, V> {
    engine: Arc<Engine>,
    name: String,
    policy: Policy,
    codec: Option<Codec<V>>,
    loader: Option<Arc<dyn AnyLoader<K, V>>>,
    weigher: Option<Weigher<K, V>>,
    tagger: Option<Box<Tagger<K, V>>>,
    trimmer: Option<Box<Trimmer<V>>>,
    relations: Vec<Relation<K, V>>,
    aliases: Vec<Alias<K, V>>,
    told: Option<Arc<Notify>>,
    busy_wait: Option<Duration>,
    seeds: Vec<Seed<K>>,
}

impl<K, V> ResourceBuilder<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(engine: Arc<Engine>, name: &str, codec: Option<Codec<V>>) -> Self {
        let (name, policy) = (name.to_owned(), Policy::default());
        let (loader, weigher, tagger, trimmer) = (None, None, None, None);
        let (relations, aliases, seeds) = (Vec::new(), Vec::new(), Vec::new());
        let (told, busy_wait) = (None, None);
        Self {
            engine,
            name,
            policy,
            codec,
            loader,
            weigher,
            tagger,
            trimmer,
            relations,
            aliases,
            seeds,
            told,
            busy_wait,
        }
    }

    /// The codec of values that can be serialised.
    pub(crate) fn serde_codec() -> Codec<V>
    where
        V: Serialize + DeserializeOwned,
    {
        Codec::new()
    }

    /// Sets the whole policy. Default: [`Policy::default`].
    pub fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// Sets how long a value is fresh: [`Policy::ttl`].
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.policy.ttl = ttl;
        self
    }

    /// Sets the most that is kept in memory: [`Policy::capacity`].
    pub fn capacity(mut self, capacity: impl Into<Capacity>) -> Self {
        self.policy.capacity = capacity.into();
        self
    }

    /// Sets how long a stale value is served while a load renews it:
    /// [`Policy::stale_while_revalidate`].
    pub fn stale_while_revalidate(mut self, span: Duration) -> Self {
        self.policy.stale_while_revalidate = Some(span);
        self
    }

    /// Sets how long a stale value is served when the load fails: [`Policy::stale_if_error`].
    pub fn stale_if_error(mut self, span: Duration) -> Self {
        self.policy.stale_if_error = Some(span);
        self
    }

    /// Sets what decides which keys are loaded ahead: [`PreloadPolicy::mode`](crate::PreloadPolicy::mode).
    pub fn preload(mut self, mode: PreloadMode) -> Self {
        self.policy.preload.mode = mode;
        self
    }

    /// Says how much of the capacity an entry takes, in its unit; `None` stands for "the source has
    /// no such thing". Default: for a capacity in bytes, the length of the value's encoding (or its
    /// size, where it has none), of the key's text, and what the cache itself needs; for one in
    /// entries, 1.
    pub fn weigher(self, weigh: impl Fn(&K, Option<&V>) -> u64 + Send + Sync + 'static) -> Self {
        Self { weigher: Some(Weigher::User(Box::new(weigh))), ..self }
    }

    /// Says what tags a value has, by which it can be invalidated together with others: see
    /// [`Resource::invalidate_tag`]. They come on top of those that a load gives ([`Loaded::tags`]).
    /// At most 64, of 1 to 256 bytes and without control characters; a value with others is not
    /// kept. Default: none.
    ///
    /// ```
    /// # use forewarm::{Forewarm, LoadError};
    /// # async fn example(forewarm: &Forewarm) -> Result<(), forewarm::Error> {
    /// let tasks = forewarm
    ///     .resource::<u64, String>("task")
    ///     .tags(|_id, task| task.split_once('/').map(|(project, _)| project.to_owned()))
    ///     .load_with(|id| async move { Ok::<_, LoadError>(format!("apollo/{id}")) })
    ///     .build()?;
    /// let _applied = tasks.invalidate_tag("apollo").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tags<Tags, T>(self, tags: impl Fn(&K, &V) -> Tags + Send + Sync + 'static) -> Self
    where
        Tags: IntoIterator<Item = T>,
        T: Into<Box<str>>,
    {
        let tagger =
            move |key: &K, value: &V| tags(key, value).into_iter().map(Into::into).collect();
        Self { tagger: Some(Box::new(tagger)), ..self }
    }

    /// Says what is kept of a value that was loaded or put, such as the first 100 ranks of a list:
    /// readers get that too. Default: all of it.
    ///
    /// ```
    /// # use forewarm::{Forewarm, LoadError};
    /// # async fn example(forewarm: &Forewarm) -> Result<(), forewarm::Error> {
    /// let ranks = forewarm
    ///     .resource::<u64, Vec<String>>("leaderboard")
    ///     .trim(|mut ranks| {
    ///         ranks.truncate(100);
    ///         ranks
    ///     })
    ///     .load_with(|_id| async move { Ok::<_, LoadError>(vec!["ada".to_owned(); 500]) })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn trim(self, trim: impl Fn(V) -> V + Send + Sync + 'static) -> Self
    where
        V: Clone,
    {
        let trimmer = move |value| Arc::new(trim(Arc::unwrap_or_clone(value)));
        Self { trimmer: Some(Box::new(trimmer)), ..self }
    }

    /// Declares that keys of another resource are related to those of this one: when a key of this
    /// one is read, what `find` gives for it is loaded ahead, if memory has no fresh value of it,
    /// and for as long as enough of it is then read. At most 64 keys at a time.
    ///
    /// `find` must be quick, and must not wait for the cache; one that panics relates nothing.
    ///
    /// The other resource is named, and not given, so that two resources can be related to each
    /// other; [`Forewarm::start`](crate::Forewarm::start) looks it up.
    ///
    /// ```
    /// # use forewarm::{Forewarm, LoadError};
    /// # async fn example(forewarm: &Forewarm) -> Result<(), forewarm::Error> {
    /// let users = forewarm
    ///     .resource::<u64, String>("user")
    ///     .related("permission", |id, _user| [*id])
    ///     .load_with(|id| async move { Ok::<_, LoadError>(format!("user {id}")) })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn related<Keys, Related>(
        mut self,
        resource: &str,
        find: impl Fn(&K, &V) -> Keys + Send + Sync + 'static,
    ) -> Self
    where
        Keys: IntoIterator<Item = Related>,
        Related: fmt::Display,
    {
        let texts = move |key: &K, value: &V| {
            find(key, value).into_iter().map(|key| key.to_string().into()).collect()
        };
        self.relations.push(Relation { to: resource.into(), find: Box::new(texts) });
        self
    }

    /// Declares another name by which values can be read: see [`Alias`] and [`Resource::get_by`].
    pub fn alias(mut self, alias: Alias<K, V>) -> Self {
        self.aliases.push(alias);
        self
    }

    /// Has somebody told of what other engines change, and of what is invalidated or cleared as a
    /// whole.
    pub(crate) fn told(self, told: Arc<Notify>) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Sets the longest that a load waits for another engine that is loading the same key. Default:
    /// that of the engine.
    pub(crate) fn busy_wait(self, busy_wait: Duration) -> Self {
        Self { busy_wait: Some(busy_wait), ..self }
    }

    /// Gives keys that are wanted in memory from the start, most wanted first: for the first start,
    /// when nothing is remembered, and for what must be there whoever reads it. They are loaded
    /// after what is remembered ([`Builder::memory`](crate::Builder::memory)) and as that is: behind
    /// everything that somebody waits for, within
    /// [`PreloadPolicy::warmed_per_second`](crate::PreloadPolicy::warmed_per_second), until memory is
    /// full. May be called several times. Default: none.
    pub fn seed(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.seeds.push(Seed::Keys(keys.into_iter().collect()));
        self
    }

    /// As [`ResourceBuilder::seed`], with an async closure that gives the keys when the engine
    /// starts, such as from a query. If it fails, panics or takes longer than
    /// [`MemoryConfig::ready_deadline`](crate::MemoryConfig::ready_deadline), that is logged, and
    /// there are none.
    ///
    /// ```
    /// # use forewarm::{Forewarm, LoadError};
    /// # async fn best_sellers() -> Result<Vec<u64>, std::io::Error> { Ok(vec![7, 8]) }
    /// # async fn example(forewarm: &Forewarm) -> Result<(), forewarm::Error> {
    /// let products = forewarm
    ///     .resource::<u64, String>("product")
    ///     .seed_with(|| async { best_sellers().await.map_err(LoadError::transient) })
    ///     .load_with(|id| async move { Ok::<_, LoadError>(format!("product {id}")) })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn seed_with<F, Fut, Keys>(mut self, ask: F) -> Self
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Keys, LoadError>> + Send + 'static,
        Keys: IntoIterator<Item = K>,
    {
        let ask = move || -> Asking<K> {
            let asked = ask();
            Box::pin(async move { Ok(asked.await?.into_iter().collect()) })
        };
        self.seeds.push(Seed::Asked(Box::new(ask)));
        self
    }

    /// Sets the loader.
    pub fn loader(self, loader: impl Loader<K, V>) -> Self {
        Self { loader: Some(Arc::new(loader)), ..self }
    }

    /// Sets an async closure as the loader: `.load_with(|id| async move { .. })`. It gives a
    /// value, an `Option`, or a [`Loaded`].
    pub fn load_with<F, Fut, T>(self, load: F) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, LoadError>> + Send + 'static,
        T: Into<Loaded<V>> + 'static,
    {
        self.loader(LoadWith::new(load))
    }

    /// Sets a closure that blocks its thread as the loader. It runs where blocking is allowed
    /// (`tokio::task::spawn_blocking`); such a call goes on past its deadline, unheard.
    pub fn load_blocking_with<F, T>(self, load: F) -> Self
    where
        F: Fn(K) -> Result<T, LoadError> + Send + Sync + 'static,
        T: Into<Loaded<V>> + Send + 'static,
    {
        self.loader(LoadBlockingWith::new(load))
    }

    /// Declares the resource.
    ///
    /// # Errors
    ///
    /// The policy cannot work, the name is taken or is none, there is no loader, or the engine has
    /// started: the error names the setting.
    pub fn build(self) -> Result<Resource<K, V>, Error> {
        let name = Name::parse(&self.name).map_err(|error| {
            let remedy = "use 1 to 64 printable bytes without `:`";
            ConfigError::new(
                format!("resource `{}`", self.name.escape_debug()),
                error.to_string(),
                remedy,
            )
        })?;
        let resource: Arc<str> = name.as_str().into();
        self.policy.check(&resource)?;
        let Some(loader) = self.loader else {
            let remedy = "give it one with `.loader(..)` or `.load_with(..)`";
            return Err(ConfigError::new(format!("{resource}.loader"), "is missing", remedy).into());
        };
        let zone = self.policy.time_zone(&resource)?;
        let (engine, policy) = (self.engine, self.policy);
        let (schema, value_bytes_max) = (policy.schema, policy.value_bytes_max);
        let compress_over_bytes = engine.config.l2.compress_over_bytes;
        let limit = |codec: Codec<V>| codec.with(schema, compress_over_bytes, value_bytes_max);
        let tally = Tally::new();
        let name = Arc::clone(&resource);
        let relations = self.relations;
        let foresight = Arc::clone(&engine.foresight);
        let has_relations = !relations.is_empty();
        let foreseeing = Foreseeing::new(foresight, &policy.preload, has_relations);
        let build = |alias: Alias<K, V>| alias.build(&engine, &resource, &policy);
        let indexes = self.aliases.into_iter().map(build).collect::<Result<_, _>>()?;
        let make = |id| Core {
            relations,
            indexes,
            id,
            group: format!("{}:{resource}", engine.prefix),
            zone,
            clock: engine.clock.clone(),
            tasks: Arc::clone(&engine.tasks),
            fence: fence(&engine, &policy, Arc::clone(&tally.l1)),
            source: source(&engine, &policy, loader),
            trust: trust(&engine),
            shared: shared(&engine, policy.store, self.busy_wait, self.codec.is_some()),
            tagger: self.tagger,
            trimmer: self.trimmer,
            codec: self.codec.map(limit),
            weigher: self.weigher.unwrap_or(match policy.capacity {
                Capacity::Bytes(_) => Weigher::Bytes,
                Capacity::Entries(_) => Weigher::Entry,
            }),
            probe: Probe::new(engine.config.l2.probe_one_in),
            ahead: Ahead::new(&policy.preload, self.seeds),
            foreseeing,
            speech: Speech::new(&engine.config),
            wake: Arc::clone(&engine.wake),
            told: self.told,
            name: resource,
            policy,
            tally,
        };
        let core = engine.register(&name, make)?;
        Ok(Resource::new(core, engine))
    }
}

fn source<K: Key, V>(
    engine: &Engine,
    policy: &Policy,
    loader: Arc<dyn AnyLoader<K, V>>,
) -> Source<K, V> {
    let terms = &policy.source;
    let slots = Arc::clone(&engine.slots);
    Source {
        loader,
        limits: Limits::new(terms.clone(), engine.clock.clone(), slots, engine.seed),
        failing: Failing::new(terms.backoff_min, terms.backoff_max, engine.seed),
        load_time: LoadTime::default(),
    }
}

fn shared<K>(
    engine: &Engine,
    store: Store,
    busy_wait: Option<Duration>,
    has_codec: bool,
) -> Option<Shared<K>> {
    let l2 = engine.l2.as_ref().filter(|_| store != Store::Nowhere)?;
    let l2 = Arc::clone(l2);
    let holds_values = has_codec && store == Store::Both;
    let outbox = Outbox::new(l2.config().outbox_max);
    let busy_wait = busy_wait.unwrap_or_else(|| l2.config().busy_wait);
    let undelivered = Arc::clone(&engine.undelivered);
    Some(Shared { l2, outbox, busy_wait, holds_values, undelivered })
}

fn trust(engine: &Engine) -> Arc<Trust> {
    let of_l2 = engine.l2.as_ref().map(|l2| Arc::clone(l2.trust()));
    of_l2.unwrap_or_else(|| Arc::new(Trust::unlimited()))
}

fn fence<K: Key, V: Send + Sync + 'static>(
    engine: &Engine,
    policy: &Policy,
    tally: Arc<L1Tally>,
) -> Fence<K, V, Pad<K, V>> {
    let shares = Shares::of(policy.capacity.amount(), policy.hot_share, policy.staging_share);
    let l1 = L1::new(shares, tally, engine.is_exact);
    let terms = FenceTerms {
        flights_max: policy.source.flights_max,
        tracked_keys: policy.tracked_keys,
        bucket: (policy.ttl / BUCKETS_PER_TTL).max(BUCKET_MIN),
        seed: engine.seed,
    };
    Fence::new(l1, Recorder::new(policy.half_life), terms)
}

/// Renewals are due to within this part of a ttl, unless that is so short that there would be more
/// buckets than can be told apart.
const BUCKETS_PER_TTL: u32 = 1_024;
const BUCKET_MIN: Duration = Duration::from_micros(64);

impl<K, V> fmt::Debug for ResourceBuilder<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceBuilder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
