//! Loading ahead: what a resource knows of what it will load before it is asked for.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use arc_swap::{ArcSwap, Guard};

use super::core::Core;
use crate::clock::Moment;
use crate::entry::{Cell, Reason};
use crate::key::Key;
use crate::limits::{Bucket, Spending};
use crate::policy::{PreloadMode, PreloadPolicy};
use crate::predictor::{Candidate, ClassicTable, Queue};
use crate::sync::Mutex;

pub use self::requested::{NotPreloaded, Preloaded};
use self::warming::Warming;
pub(super) use self::warming::{Asking, Seed};

mod begin;
mod copy;
mod due;
mod requested;
mod tuning;
mod warming;

/// What a resource knows of what it will load ahead.
#[derive(Debug)]
pub(super) struct Ahead<K> {
    /// What holds now: it may be changed while the engine runs.
    policy: ArcSwap<PreloadPolicy>,
    /// Whether that renews entries before they expire, for loads: each of them asks.
    renews: AtomicBool,
    state: Mutex<State<K>>,
    classic: Option<Mutex<ClassicTable<K>>>,
    /// Calls of the loader for preloads that are under way.
    calls: AtomicUsize,
    /// The preloads begun so far, in keys.
    begun: AtomicU64,
    /// When the preloader looks at this resource next, as it last said, in microseconds.
    awaited: AtomicU64,
    /// Bounds the loads beyond those of demand, if the policy does.
    spending: Spending,
    warming: Warming<K>,
}

#[derive(Debug)]
struct State<K> {
    queue: Queue<K>,
    /// What the source may be asked.
    bucket: Bucket,
    /// What L2 may be asked for copies.
    copies: Bucket,
    next_round: Moment,
}

/// Whether entries are renewed before they expire.
fn renews(policy: &PreloadPolicy) -> bool {
    policy.mode == PreloadMode::Predicted && policy.renewals
}

impl<K: Clone + Eq + Hash> Ahead<K> {
    pub(super) fn new(policy: &PreloadPolicy, seeds: Vec<Seed<K>>) -> Self {
        let state = State {
            queue: Queue::new(policy.queue_max),
            bucket: Bucket::new(policy.loads_per_second, policy.burst),
            copies: Bucket::new(policy.loads_per_second, policy.burst),
            next_round: policy
                .mode
                .classic()
                .map_or(Moment::NEVER, |classic| Moment::START.plus(classic.interval)),
        };
        let classic = policy.mode.classic();
        let classic = classic.map(|terms| Mutex::new(ClassicTable::new(*terms)));
        let (begun, awaited) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Self {
            policy: ArcSwap::from_pointee(policy.clone()),
            renews: AtomicBool::new(renews(policy)),
            state: Mutex::new(state),
            classic,
            calls: AtomicUsize::new(0),
            begun,
            awaited,
            spending: Spending::new(policy.extra_loads),
            warming: Warming::new(policy, seeds),
        }
    }

    /// Whether every read is to be reported, and not only those that find something to decide.
    #[inline]
    pub(super) fn watches_reads(&self) -> bool {
        self.classic.is_some() || self.spending.is_bounded()
    }

    /// What holds now.
    pub(super) fn policy(&self) -> Guard<Arc<PreloadPolicy>> {
        self.policy.load()
    }

    /// From now on, this holds.
    fn adopt(&self, policy: PreloadPolicy) {
        self.renews.store(renews(&policy), Relaxed);
        self.policy.store(Arc::new(policy));
    }

    pub(super) fn clear(&self) {
        self.state.lock().queue.clear();
        self.warming.clear();
        if let Some(classic) = &self.classic {
            classic.lock().clear();
        }
        self.spending.clear();
    }

    /// The keys that the classic rule knows.
    pub(super) fn patterns(&self) -> usize {
        self.classic.as_ref().map_or(0, |classic| classic.lock().len())
    }

    /// The preloads begun so far, in keys.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    pub(super) fn queued(&self) -> usize {
        self.state.lock().queue.len()
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Lets a candidate wait for its turn.
    pub(super) fn queue(&self, candidate: Candidate<K>) {
        let dropped = self.ahead.state.lock().queue.push(candidate);
        if let Some(dropped) = dropped {
            self.refuse(dropped.reason);
            self.abandon(dropped.reason, dropped.cell);
        }
    }

    /// Takes back a prediction that will not be acted on. Whether a renewal would have been right
    /// is seen all the same.
    pub(super) fn abandon(&self, reason: Reason, cell: Option<Cell>) {
        if let Some(cell) = cell.filter(|_| reason != Reason::Expiry) {
            self.calibration().withdraw(cell);
        }
    }

    /// Whether a load ahead is within what may be loaded beyond demand.
    fn spend(&self, probability: f32) -> bool {
        self.ahead.spending.spend(f64::from(probability), self.ahead.policy().threshold)
    }

    /// Gives back a load ahead that did not ask the source.
    pub(super) fn give_back_spent(&self) {
        self.ahead.spending.give_back();
    }

    /// Counts loads that nobody foresaw.
    pub(super) fn note_made(&self, keys: usize) {
        self.ahead.spending.made(keys);
    }

    /// Follows what demand alone would do with a key that is read at `now`: counts the load that it
    /// would make, and gives when its value would expire.
    pub(super) fn follow_demand(&self, until: Moment, now: Moment) -> Moment {
        if !self.ahead.spending.is_bounded() || now < until {
            return until;
        }
        self.ahead.spending.needed();
        now.plus(self.policy.ttl)
    }
}
