//! Loading ahead: what a resource knows of what it will load before it is asked for.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

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
mod warming;

/// What a resource knows of what it will load ahead.
#[derive(Debug)]
pub(super) struct Ahead<K> {
    state: Mutex<State<K>>,
    classic: Option<Mutex<ClassicTable<K>>>,
    /// Calls of the loader for preloads that are under way.
    calls: AtomicUsize,
    /// The preloads begun so far, in keys.
    begun: AtomicU64,
    /// When the preloader looks at this resource next, as it last said, in microseconds.
    awaited: AtomicU64,
    /// Bounds the loads beyond those of demand, if the policy does.
    spending: Option<Spending>,
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

impl<K: Clone + Eq + Hash> Ahead<K> {
    pub(super) fn new(policy: &PreloadPolicy, seeds: Vec<Seed<K>>) -> Self {
        let state = State {
            queue: Queue::new(policy.queue_max),
            bucket: Bucket::new(policy.loads_per_second, policy.burst),
            copies: Bucket::new(policy.loads_per_second, policy.burst),
            next_round: match policy.mode {
                PreloadMode::Classic(classic) => Moment::START.plus(classic.interval),
                PreloadMode::Off | PreloadMode::Observe | PreloadMode::Predicted => Moment::NEVER,
            },
        };
        let classic = match policy.mode {
            PreloadMode::Classic(terms) => Some(Mutex::new(ClassicTable::new(terms))),
            PreloadMode::Off | PreloadMode::Observe | PreloadMode::Predicted => None,
        };
        let (begun, awaited) = (AtomicU64::new(0), AtomicU64::new(u64::MAX));
        Self {
            state: Mutex::new(state),
            classic,
            calls: AtomicUsize::new(0),
            begun,
            awaited,
            spending: policy.extra_loads.map(Spending::new),
            warming: Warming::new(policy, seeds),
        }
    }

    /// Whether every read is to be reported, and not only those that find something to decide.
    #[inline]
    pub(super) const fn watches_reads(&self) -> bool {
        self.classic.is_some() || self.spending.is_some()
    }

    pub(super) fn clear(&self) {
        self.state.lock().queue.clear();
        self.warming.clear();
        if let Some(classic) = &self.classic {
            classic.lock().clear();
        }
        if let Some(spending) = &self.spending {
            spending.clear();
        }
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
        let threshold = self.policy.preload.threshold;
        let spending = self.ahead.spending.as_ref();
        spending.is_none_or(|spending| spending.spend(f64::from(probability), threshold))
    }

    /// Gives back a load ahead that did not ask the source.
    pub(super) fn give_back_spent(&self) {
        if let Some(spending) = &self.ahead.spending {
            spending.give_back();
        }
    }

    /// Counts loads that nobody foresaw.
    pub(super) fn note_made(&self, keys: usize) {
        if let Some(spending) = &self.ahead.spending {
            spending.made(keys);
        }
    }

    /// Follows what demand alone would do with a key that is read at `now`: counts the load that it
    /// would make, and gives when its value would expire.
    pub(super) fn follow_demand(&self, until: Moment, now: Moment) -> Moment {
        match &self.ahead.spending {
            Some(spending) if now >= until => {
                spending.needed();
                now.plus(self.policy.ttl)
            }
            _ => until,
        }
    }
}
