//! The jobs of an engine, and what is known of each.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::core::{JobCore, JobParts};
use super::leases::Leases;
use super::plan::Present;
use super::{runner, share};
use crate::clock::Clock;
use crate::coherence::L2;
use crate::error::{ConfigError, Error};
use crate::key::Name;
use crate::sync::Mutex;
use crate::task::{Tasks, timeout_at};
use crate::tier::RunId;

/// The jobs of an engine.
pub(crate) struct Jobs {
    pub(super) clock: Clock,
    pub(super) tasks: Arc<Tasks>,
    pub(super) l2: Option<Arc<L2>>,
    pub(super) leases: Option<Arc<Leases>>,
    /// Turns to take runs and to tell how they ended: what is due at the same time for many jobs is
    /// asked for bit by bit, and each call has its time from when it is made.
    pub(super) turns: Semaphore,
    /// Whether L2 has said where the jobs go on.
    pub(super) is_met: AtomicBool,
    /// Whether L2 has said that the clock here is ahead, and has taken no run since.
    pub(super) is_ahead: AtomicBool,
    /// The time of day at which they were started.
    pub(super) started: OnceLock<Timestamp>,
    pub(super) prefix: Name,
    pub(super) seed: u64,
    /// Wakes the loop that looks what is due.
    pub(super) wake: Arc<Notify>,
    run_ids: AtomicU64,
    /// How far the wall clock has been set forward, at most, since the clock was made.
    ahead: Mutex<SignedDuration>,
    registry: Mutex<Registry>,
}

/// Fewer than the connections that a tier has by default: reads need some as well.
const CALLS_MAX: usize = 4;

#[derive(Default)]
struct Registry {
    jobs: Vec<Arc<JobCore>>,
    is_closed: bool,
}

impl Jobs {
    pub(crate) fn new(
        clock: Clock,
        tasks: Arc<Tasks>,
        l2: Option<Arc<L2>>,
        prefix: Name,
        seed: u64,
    ) -> Self {
        let leases = |l2: &Arc<L2>| Leases::new(clock.clone(), Arc::clone(&tasks), Arc::clone(l2));
        let leases = l2.as_ref().map(leases).map(Arc::new);
        Self {
            clock,
            tasks,
            l2,
            leases,
            turns: Semaphore::new(CALLS_MAX),
            is_met: AtomicBool::new(false),
            is_ahead: AtomicBool::new(false),
            started: OnceLock::new(),
            prefix,
            seed,
            wake: Arc::new(Notify::new()),
            // Not of the seed: engines that share one must not share these.
            run_ids: AtomicU64::new(random()),
            ahead: Mutex::new(SignedDuration::ZERO),
            registry: Mutex::new(Registry::default()),
        }
    }

    pub(super) fn register(&self, parts: JobParts) -> Result<Arc<JobCore>, Error> {
        let mut registry = self.registry.lock();
        let name = parts.name.as_str();
        let field = || format!("job `{name}`");
        if registry.is_closed {
            let remedy = "declare every job before `start`";
            return Err(ConfigError::new(field(), "is declared after `start`", remedy).into());
        }
        if registry.jobs.iter().any(|job| &*job.name == name) {
            let remedy = "give each job a name of its own";
            return Err(ConfigError::new(field(), "is declared twice", remedy).into());
        }
        let core = Arc::new(JobCore::new(self, parts));
        registry.jobs.push(Arc::clone(&core));
        Ok(core)
    }

    /// Closes the registration, and begins to run what is due.
    pub(crate) fn start(self: &Arc<Self>) {
        let jobs = {
            let mut registry = self.registry.lock();
            registry.is_closed = true;
            registry.jobs.clone()
        };
        if jobs.is_empty() {
            return;
        }
        let present = self.present();
        self.started.get_or_init(|| present.wall);
        for job in jobs {
            job.start(present);
        }
        runner::start(self);
        share::start(self);
    }

    /// Lets go of what the jobs hold, and gives back what was broken off: they are not run any more.
    /// Gives whether the giving back ended by `deadline`.
    pub(crate) async fn end(&self, deadline: Instant) -> bool {
        let told = timeout_at(deadline, pin!(share::give_back(self))).await.is_some();
        if let Some(leases) = &self.leases {
            leases.end();
        }
        for job in self.all() {
            job.let_go();
        }
        told
    }

    pub(super) fn all(&self) -> Vec<Arc<JobCore>> {
        self.registry.lock().jobs.clone()
    }

    pub(super) fn present(&self) -> Present {
        let (now, wall, steady) = (self.clock.now(), self.clock.wall(), self.clock.steady_wall());
        let mut ahead = self.ahead.lock();
        *ahead = (*ahead).max(wall.duration_since(steady));
        Present { now, wall, onward: steady.checked_add(*ahead).unwrap_or(steady) }
    }

    /// A name that no other run has, on any engine: numbered from a random start, and spread by an
    /// odd factor.
    pub(super) fn new_id(&self) -> RunId {
        let nth = self.run_ids.fetch_add(1, Relaxed);
        RunId(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Brings the figures to the `metrics` facade.
    pub(crate) fn publish(&self) {
        for job in self.all() {
            job.publish();
        }
    }
}

/// A number that nobody can foresee: the standard library's hasher draws one for each process, and
/// another one for each hasher.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one("forewarm")
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}
