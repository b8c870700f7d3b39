//! The engine as its users see it, and how it is put together.

use std::fmt;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::coherence::{Heed, L2, NodeSeen};
use crate::config::Config;
use crate::engine::{Engine, EngineParts, Readiness};
use crate::error::{ConfigError, Error};
use crate::key::Key;
use crate::memory::{self, Memory};
use crate::metrics::{self, BUILD_INFO, L2_UP, READY, STARTED, WARM_SHARE};
use crate::preloader;
use crate::resource::{Delivery, LearnedPair, LearnedRule, ResourceBuilder};
use crate::schedule::{Job, JobBuilder};
use crate::scope::Scope;
use crate::snapshot::SnapshotBuilder;
use crate::stats::ResourceStats;
use crate::task::Tasks;
use crate::tier::{AnyTier, Tier};
use crate::upkeep;

#[cfg_attr(not(feature = "service"), expect(unused_imports, reason = "used by the service"))]
pub(crate) use self::ending::{Deadlines, Ended, LAST_MIN};

mod ending;

/// An engine: the resources of a service, and the work behind them.
///
/// First the resources are declared, then [`Forewarm::start`] closes the registration and begins
/// the work in the background. A handle is cheap to clone; engines share nothing with each other.
///
/// The work ends when the last handle, of the engine or of one of its resources, is dropped;
/// [`Forewarm::shutdown`] ends it in order.
#[derive(Clone)]
pub struct Forewarm {
    pub(crate) engine: Arc<Engine>,
    memory: Option<Arc<Memory>>,
}

/// Puts an engine together.
#[must_use = "an engine exists once it is built"]
pub struct Builder {
    config: Config,
    clock: Option<Clock>,
    tier: Option<Arc<dyn AnyTier>>,
    is_exact: bool,
}

impl Forewarm {
    /// Begins to put an engine together.
    pub fn builder() -> Builder {
        Builder { config: Config::default(), clock: None, tier: None, is_exact: false }
    }

    /// Declares a resource whose values can be stored in L2.
    pub fn resource<K, V>(&self, name: &str) -> ResourceBuilder<K, V>
    where
        K: Key,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let codec = Some(ResourceBuilder::<K, V>::serde_codec());
        ResourceBuilder::new(Arc::clone(&self.engine), name, codec)
    }

    /// Declares a resource whose values stay in this process: they need not be serialisable. Give
    /// it a weigher, since the size of what a value points to is not known otherwise.
    pub fn memory_resource<K, V>(&self, name: &str) -> ResourceBuilder<K, V>
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        ResourceBuilder::new(Arc::clone(&self.engine), name, None)
    }

    /// Declares a snapshot: a whole dataset, loaded at the start and renewed at set times, that can be
    /// stored in L2.
    pub fn snapshot<T>(&self, name: &str) -> SnapshotBuilder<T>
    where
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let codec = Some(ResourceBuilder::<String, T>::serde_codec());
        SnapshotBuilder::new(Arc::clone(&self.engine), name, codec)
    }

    /// Declares a snapshot that stays in this process: it need not be serialisable, and each engine
    /// asks the source.
    pub fn memory_snapshot<T>(&self, name: &str) -> SnapshotBuilder<T>
    where
        T: Send + Sync + 'static,
    {
        SnapshotBuilder::new(Arc::clone(&self.engine), name, None)
    }

    /// Declares a job: work that is done at set times.
    ///
    /// Of engines that share an L2, one runs it each time; see
    /// [`JobPolicy::on_every_engine`](crate::JobPolicy::on_every_engine).
    ///
    /// ```
    /// # use forewarm::Forewarm;
    /// # async fn example(forewarm: &Forewarm) -> Result<(), forewarm::Error> {
    /// let report = forewarm
    ///     .job("report")
    ///     .daily_at(2, 0, "Europe/Berlin")
    ///     .run_with(|context| async move {
    ///         println!("the report of {}", context.scheduled());
    ///         Ok(())
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn job(&self, name: &str) -> JobBuilder {
        JobBuilder::new(Arc::clone(&self.engine.jobs), name)
    }

    /// The jobs, in the order in which they were declared.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.engine.jobs.handles()
    }

    /// Closes the registration, and begins to work in the background: preloads, deliveries to L2,
    /// clean-up. Returns when what is remembered of the last run has been read; that it is loaded,
    /// [`Forewarm::ready`] waits for.
    ///
    /// # Errors
    ///
    /// The engine was started before, or has been shut down; or a relation names a resource that
    /// was not declared.
    pub async fn start(&self) -> Result<(), Error> {
        if self.engine.tasks.is_stopping() {
            return Err(Error::ShutDown);
        }
        if !self.engine.close_registration() {
            let remedy = "start an engine once, after declaring its resources";
            return Err(ConfigError::new("start", "is called twice", remedy).into());
        }
        self.engine.start_learning()?;
        metrics::describe();
        self.engine.resources().iter().for_each(|resource| resource.find_timings());
        preloader::start(&self.engine);
        self.follow();
        if let Some(l2) = self.engine.l2.clone() {
            // The question is put before this returns, and nobody waits for its answer: whatever
            // begins later has missed nothing.
            self.engine.tasks.launch(async move {
                l2.sync().await;
            });
        }
        if !self.engine.is_exact {
            upkeep::start(&self.engine);
        }
        self.engine.progress.note_start(self.engine.clock.wall());
        self.engine.jobs.start();
        memory::start(&self.engine, self.memory.as_ref()).await;
        let prefix = self.engine.prefix.as_str();
        let resources = self.engine.resources().len();
        tracing::info!(prefix, resources, has_l2 = self.engine.l2.is_some(), "started");
        Ok(())
    }

    /// Heeds what others change in L2, whenever it hears of it.
    pub(crate) fn follow(&self) {
        if let Some(l2) = &self.engine.l2 {
            let heed: Arc<dyn Heed> = Arc::clone(&self.engine) as Arc<dyn Heed>;
            l2.follow_for(Arc::downgrade(&heed));
        }
    }

    /// Hears of what others have changed; gives whether that was possible.
    #[cfg(all(test, shuttle))]
    pub(crate) async fn sync(&self) -> bool {
        match &self.engine.l2 {
            Some(l2) => l2.sync().await,
            None => false,
        }
    }

    /// The scope of a client: its reads belong together, and what is read after what is learned
    /// within them.
    ///
    /// Whatever names a client will do: a session, a user, the address of a connection.
    #[must_use]
    pub fn scope_of(&self, client: &(impl Hash + ?Sized)) -> Scope {
        Scope::new(self.engine.foresight.id(), self.engine.seed, client)
    }

    /// Runs a future as one of a client: what it reads belongs together. See [`Scope`].
    pub fn scope<F: Future>(
        &self,
        client: &(impl Hash + ?Sized),
        future: F,
    ) -> impl Future<Output = F::Output> {
        self.scope_of(client).run(future)
    }

    /// The figures of all resources, in the order in which they were declared.
    #[must_use]
    pub fn stats(&self) -> Vec<ResourceStats> {
        self.engine.resources().iter().map(|resource| resource.stats()).collect()
    }

    /// The `count` pairs of keys that were seen most often to follow each other, most often first.
    /// It looks at everything that was learned, which is held up meanwhile; no reader is.
    #[must_use]
    pub fn learned_pairs(&self, count: usize) -> Vec<LearnedPair> {
        self.engine.learned_pairs(count)
    }

    /// The rules that were learned, surest first: reads of one resource that are followed by reads
    /// of another with the same id.
    #[must_use]
    pub fn learned_rules(&self) -> Vec<LearnedRule> {
        self.engine.learned_rules()
    }

    /// The engines with this prefix that share L2, this one first: those that have named themselves
    /// lately, as each does every [`L2Config::share_hot_every`](crate::L2Config::share_hot_every). This
    /// one alone while L2 does not answer, and nobody without an L2.
    pub async fn nodes(&self) -> Vec<NodeSeen> {
        let Some(l2) = &self.engine.l2 else { return Vec::new() };
        let every = l2.config().share_hot_every.unwrap_or(NAMED_FOR);
        l2.meet_nodes(self.engine.prefix.as_str(), every.saturating_mul(3)).await
    }

    /// Brings the figures to the recorder of the `metrics` facade, if one is installed. Call it
    /// before each scrape: counters are ours until then, so that a hit pays nothing for them.
    pub fn publish_metrics(&self) {
        for resource in self.engine.resources() {
            resource.publish();
        }
        self.engine.foresight.publish();
        self.engine.jobs.publish();
        if let Some(l2) = &self.engine.l2 {
            l2.publish();
            ::metrics::gauge!(L2_UP).set(if l2.is_up() { 1.0 } else { 0.0 });
        }
        if let Some(memory) = &self.memory {
            memory.events.publish(&[]);
        }
        ::metrics::gauge!(READY).set(if self.is_ready() { 1.0 } else { 0.0 });
        ::metrics::gauge!(WARM_SHARE).set(self.engine.progress.warm_share());
        if let Some(at) = self.engine.progress.began() {
            ::metrics::gauge!(STARTED).set(at.as_duration().as_secs_f64());
        }
        ::metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    }

    /// Invalidates everything that is held of every resource of this engine, here and in L2. The
    /// promise is that of [`Resource::invalidate`](crate::Resource::invalidate).
    pub async fn invalidate_all(&self) -> Delivery {
        let mut delivery = Delivery::Applied;
        for resource in self.engine.resources() {
            if !resource.invalidate_all().await {
                delivery = Delivery::Queued;
            }
        }
        delivery
    }

    /// Forgets everything that memory holds: entries, and what was learned of keys. Loads under way
    /// answer those who wait, and store nothing. L2 keeps its own; counters only grow.
    pub fn clear(&self) {
        for resource in self.engine.resources() {
            resource.clear();
        }
        self.engine.foresight.clear();
    }

    /// Waits until the keys that are wanted first are in memory: those that were read most before the
    /// restart ([`Builder::memory`]), seeds ([`ResourceBuilder::seed`]), and snapshots. It is enough if
    /// [`MemoryConfig::ready_share`](crate::MemoryConfig::ready_share) of them are, or if
    /// [`MemoryConfig::ready_deadline`](crate::MemoryConfig::ready_deadline) has passed since the
    /// start. Without any of these an engine is ready when it has started.
    ///
    /// Reads need not wait for it: it is for those who send requests, such as a load balancer.
    pub async fn ready(&self) -> Readiness {
        self.engine.progress.ready().await
    }

    /// Whether [`Forewarm::ready`] would return at once.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.engine.progress.is_ready()
    }

    /// Waits until no load, no write to L2 and no invalidation is under way: for tests, and before
    /// a measurement.
    pub async fn settled(&self) {
        self.engine.tasks.settled().await;
    }
}

impl Builder {
    /// Sets all settings at once. Default: [`Config::default`].
    pub fn config(self, config: Config) -> Self {
        Self { config, ..self }
    }

    /// Sets what keys begin with in L2: [`Config::prefix`].
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.config.prefix = prefix.to_owned();
        self
    }

    /// Sets the second tier. Default: none, memory only.
    pub fn tier(self, tier: impl Tier) -> Self {
        Self { tier: Some(Arc::new(tier)), ..self }
    }

    /// Remembers across restarts which keys are read most and what was learned of them, in this
    /// file: [`MemoryConfig::file`](crate::MemoryConfig::file). Default: nothing is remembered.
    ///
    /// The file is written every [`MemoryConfig::flush_every`](crate::MemoryConfig::flush_every) and
    /// at shutdown, and read by [`Forewarm::start`]; a file that cannot be read or written costs
    /// nothing but the memory, and what is no memory of this engine is never replaced. It holds the texts of keys and numbers, never values, and only its
    /// owner may read it. Of two engines with the same file, which happens while one process takes
    /// over from another, one writes, and the other as soon as that has ended.
    pub fn memory(mut self, file: impl Into<PathBuf>) -> Self {
        self.config.memory.file = Some(file.into());
        self
    }

    /// Sets the clock: for tests.
    pub fn clock(self, clock: Clock) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Does everything at once and in order, so that runs on one thread repeat exactly; slower.
    #[cfg_attr(not(feature = "service"), expect(dead_code, reason = "used by the replay"))]
    pub(crate) fn exact(self) -> Self {
        Self { is_exact: true, ..self }
    }

    /// Puts the engine together, on the runtime of the caller.
    ///
    /// # Errors
    ///
    /// A setting cannot work, which the error names; or the caller is not within a tokio runtime.
    #[expect(clippy::unused_async, reason = "so that it can only be called where it can work")]
    pub async fn build(self) -> Result<Forewarm, Error> {
        let prefix = self.config.check()?;
        let tasks = Tasks::of_this_runtime().ok_or_else(|| {
            ConfigError::new("runtime", "is missing", "build the engine within a tokio runtime")
        })?;
        let clock = self.clock.unwrap_or_default();
        let seed = self.config.seed.unwrap_or_else(random_seed);
        let l2 = self.tier.map(|tier| L2::new(tier, self.config.l2.clone(), clock.clone()));
        let memory = Memory::new(&self.config.memory).map(Arc::new);
        let (config, is_exact) = (self.config, self.is_exact);
        let parts = EngineParts { config, prefix, clock, tasks, l2, seed, is_exact };
        Ok(Forewarm { engine: Arc::new(Engine::new(parts)), memory })
    }
}

/// How long an engine that does so only when it is asked is named in L2, by three.
const NAMED_FOR: Duration = Duration::from_secs(10);

/// A seed that nobody can foresee: the standard library's hasher draws one for each process.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one("forewarm")
}

impl fmt::Debug for Forewarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_started = self.engine.is_closed();
        f.debug_struct("Forewarm")
            .field("prefix", &self.engine.prefix.as_str())
            .field("is_started", &is_started)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}
