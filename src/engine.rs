//! What the resources of an engine share, and what the engine does with them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::{Clock, Moment};
use crate::coherence::{Heed, L2};
use crate::config::Config;
use crate::error::{ConfigError, Error};
use crate::foresight::{Foreseen, Foresight};
use crate::key::Name;
use crate::limits::Slots;
use crate::predictor::LearnerTerms;
use crate::schedule::Jobs;
use crate::stats::ResourceStats;
use crate::sync::Mutex;
use crate::task::Tasks;
use crate::tier::Change;

pub(crate) use self::readiness::Progress;
pub use self::readiness::{Readiness, ReadyBy};
pub(crate) use self::remembered::{HotText, Remembered};

mod readiness;
mod remembered;

/// What the resources of an engine share. Every handle holds it, and nothing that works behind them
/// does: when the last handle goes, the work ends.
pub(crate) struct Engine {
    pub(crate) config: Config,
    pub(crate) prefix: Name,
    pub(crate) clock: Clock,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) l2: Option<Arc<L2>>,
    /// The calls of loaders that may be under way over all resources.
    pub(crate) slots: Arc<Slots>,
    pub(crate) seed: u64,
    /// Everything is done at once and in order, so that runs repeat exactly.
    pub(crate) is_exact: bool,
    /// Wakes the preloader.
    pub(crate) wake: Arc<Notify>,
    /// Wakes the task that delivers queued invalidations.
    pub(crate) undelivered: Arc<Notify>,
    pub(crate) foresight: Arc<Foresight>,
    pub(crate) jobs: Arc<Jobs>,
    /// How far it has come with what is wanted after a start.
    pub(crate) progress: Arc<Progress>,
    registry: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    resources: Vec<Arc<dyn Managed>>,
    is_closed: bool,
}

/// What the engine does with a resource whose types it does not know.
pub(crate) trait Managed: Foreseen {
    fn name(&self) -> &Arc<str>;

    /// `{prefix}:{resource}`, which its full keys begin with.
    fn group(&self) -> &str;

    /// Voids what somebody else has changed.
    fn heed_change(self: Arc<Self>, change: &Change);

    /// Sets apart what began before now.
    fn mark(&self);

    /// Voids what was set apart, and nothing that began later.
    fn void_marked(&self);

    /// Tells the other engines what is hot here, and copies from L2 what is hot elsewhere.
    fn share_hot(self: Arc<Self>, keep_for: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// What is to be remembered across restarts, of at most so many keys; `None` if nothing is.
    fn remember(&self, keys_max: usize) -> Option<Remembered>;

    /// Takes over what was remembered by a process that ended `away` ago; gives how many of the
    /// keys are keys still.
    fn recall(&self, remembered: &Remembered, away: Duration) -> usize;

    /// Loads what is wanted after a start. What fails is tried again until `until`.
    fn warm(
        self: Arc<Self>,
        progress: Arc<Progress>,
        until: Moment,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Invalidates everything that is held; gives whether L2 has heard of it.
    fn invalidate_all(self: Arc<Self>) -> Pin<Box<dyn Future<Output = bool> + Send>>;

    /// A run of the preloader; gives when to look again.
    fn run_ahead(self: Arc<Self>) -> Moment;

    /// Delivers the invalidations that wait for L2; gives whether none waits any more.
    fn deliver_queued(&self) -> Pin<Box<dyn Future<Output = bool> + Send + '_>>;

    /// Does what can wait: evictions that moka has put off, keys that no longer fail.
    fn tidy(&self);

    fn stats(&self) -> ResourceStats;

    /// Finds the histograms of the recorder that is installed now.
    fn find_timings(&self);

    /// Brings the figures to the `metrics` facade.
    fn publish(&self);

    /// Forgets everything that memory holds.
    fn clear(&self);
}

/// What an engine is made of, apart from what it makes itself.
pub(crate) struct EngineParts {
    pub(crate) config: Config,
    pub(crate) prefix: Name,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) l2: Option<L2>,
    pub(crate) seed: u64,
    pub(crate) is_exact: bool,
}

impl Engine {
    pub(crate) fn new(parts: EngineParts) -> Self {
        let EngineParts { config, prefix, clock, tasks, l2, seed, is_exact } = parts;
        // Preloads are held back source by source.
        let slots = Slots::new(config.loads_max, config.loads_max);
        let (tasks, l2) = (Arc::new(tasks), l2.map(Arc::new));
        let jobs = Jobs::new(clock.clone(), Arc::clone(&tasks), l2.clone(), prefix.clone(), seed);
        Self {
            config,
            prefix,
            clock,
            tasks,
            l2,
            slots,
            seed,
            is_exact,
            wake: Arc::new(Notify::new()),
            undelivered: Arc::new(Notify::new()),
            foresight: Arc::new(Foresight::new(is_exact)),
            jobs: Arc::new(jobs),
            progress: Arc::new(Progress::new()),
            registry: Mutex::new(Registry::default()),
        }
    }

    /// Takes a resource in, which `make` makes of its place among the resources.
    pub(crate) fn register<R: Managed>(
        &self,
        name: &str,
        make: impl FnOnce(u16) -> R,
    ) -> Result<Arc<R>, Error> {
        let mut registry = self.registry.lock();
        let field = || format!("resource `{name}`");
        if registry.is_closed {
            let remedy = "declare every resource before `start`";
            return Err(ConfigError::new(field(), "is declared after `start`", remedy).into());
        }
        if registry.resources.iter().any(|known| &**known.name() == name) {
            let remedy = "give each resource a name of its own";
            return Err(ConfigError::new(field(), "is declared twice", remedy).into());
        }
        let Ok(id) = u16::try_from(registry.resources.len()) else {
            let remedy = "declare at most 65,536 resources";
            return Err(ConfigError::new(field(), "is one too many", remedy).into());
        };
        let resource = Arc::new(make(id));
        registry.resources.push(Arc::clone(&resource) as Arc<dyn Managed>);
        Ok(resource)
    }

    /// Begins to learn which keys follow each other.
    ///
    /// # Errors
    ///
    /// A relation names a resource that was not declared.
    pub(crate) fn start_learning(&self) -> Result<(), Error> {
        let relations = self.resolve_relations()?;
        let config = &self.config.learning;
        let terms = LearnerTerms {
            keys_max: config.keys_max,
            clients_max: config.clients_max,
            half_life: config.half_life,
            idle: config.idle,
            seed: self.seed,
        };
        let resources = self.resources().into_iter().map(|resource| {
            let resource: Arc<dyn Foreseen> = resource;
            Arc::downgrade(&resource)
        });
        self.foresight.start(terms, resources.collect(), relations);
        Ok(())
    }

    /// For each resource, the places of those to which its keys are related.
    fn resolve_relations(&self) -> Result<Vec<Vec<u16>>, Error> {
        let resources = self.resources();
        let place = |of: &Arc<dyn Managed>, name: &Arc<str>| {
            let place = resources.iter().position(|known| known.name() == name);
            place.and_then(|place| u16::try_from(place).ok()).ok_or_else(|| {
                let field = format!("{}.related", of.name());
                let problem = format!("names `{name}`, and there is no such resource");
                ConfigError::new(field, problem, "declare it before `start`, or correct the name")
            })
        };
        let of = |resource: &Arc<dyn Managed>| {
            let names = resource.relations();
            names.iter().map(|name| place(resource, name)).collect::<Result<Vec<_>, _>>()
        };
        Ok(resources.iter().map(of).collect::<Result<Vec<_>, _>>()?)
    }

    /// Closes the registration; gives whether it was open.
    pub(crate) fn close_registration(&self) -> bool {
        !std::mem::replace(&mut self.registry.lock().is_closed, true)
    }

    /// Whether the registration is closed: the engine was started.
    pub(crate) fn is_closed(&self) -> bool {
        self.registry.lock().is_closed
    }

    /// The name of the resource in this place.
    pub(crate) fn resource_name(&self, place: u16) -> Option<Arc<str>> {
        let registry = self.registry.lock();
        registry.resources.get(usize::from(place)).map(|resource| Arc::clone(resource.name()))
    }

    /// The resources, in the order in which they were declared.
    pub(crate) fn resources(&self) -> Vec<Arc<dyn Managed>> {
        self.registry.lock().resources.clone()
    }
}

impl Heed for Engine {
    fn heed(&self, change: &Change) {
        let resources = self.resources();
        let name = match change {
            Change::Key { key, .. } | Change::Expired { key } => key,
            Change::Resource { resource }
            | Change::Tag { resource, .. }
            | Change::Pattern { resource, .. } => resource,
            Change::Unknown => return self.void_all(),
        };
        // What belongs to none of them belongs to others on the same L2.
        let is_of = |of: &&Arc<dyn Managed>| {
            let rest = name.strip_prefix(of.group());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        if let Some(resource) = resources.iter().find(is_of) {
            Arc::clone(resource).heed_change(change);
        }
    }

    fn void_all(&self) {
        self.resources().into_iter().for_each(|resource| resource.heed_change(&Change::Unknown));
    }

    fn mark(&self) {
        self.resources().iter().for_each(|resource| resource.mark());
    }

    fn void_marked(&self) {
        self.resources().iter().for_each(|resource| resource.void_marked());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("prefix", &self.prefix.as_str()).finish_non_exhaustive()
    }
}
