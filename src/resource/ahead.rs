//! Loading ahead: what a run of the preloader does for one resource.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use futures_util::StreamExt as _;
use smallvec::SmallVec;

use super::Resource;
use super::core::Core;
use super::trip::{Trip, Trips};
use crate::clock::Moment;
use crate::entry::{Cell, Entry, Life, Origin, Reason, Why};
use crate::fence::{Boarding, Caller};
use crate::flight::Pad;
use crate::key::Key;
use crate::l1::Lookup;
use crate::limits::{BreakerState, Bucket, Spending, Urgency};
use crate::metrics::{Preload, PreloadOutcome};
use crate::policy::{PreloadMode, PreloadPolicy};
use crate::predictor::{Candidate, ClassicTable, Queue, judge_renewal};
use crate::score::Past;
use crate::sync::Mutex;
use crate::task;

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
}

#[derive(Debug)]
struct State<K> {
    queue: Queue<K>,
    bucket: Bucket,
    next_round: Moment,
}

/// However fast loads are, renewals begin this long before the expiry, since timers ring up to a
/// millisecond late.
const LEAD_MIN: Duration = Duration::from_millis(2);

/// What came of [`Resource::preload`], in keys.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Preloaded {
    /// Loaded, from L2 or the source.
    pub loaded: usize,
    /// The source has no such thing.
    pub absent: usize,
    /// Held fresh already, or loading.
    pub held: usize,
    /// The load failed.
    pub failed: usize,
    /// A limit did not let it start.
    pub refused: usize,
}

/// Why a preload was not begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum NotBegun {
    /// The key is held, loading, or gone.
    NotNeeded,
    /// A limit; it has been counted.
    Refused,
}

impl Preloaded {
    const fn plus(self, other: Self) -> Self {
        Self {
            loaded: self.loaded + other.loaded,
            absent: self.absent + other.absent,
            held: self.held + other.held,
            failed: self.failed + other.failed,
            refused: self.refused + other.refused,
        }
    }
}

impl<K: Clone + Eq + Hash> Ahead<K> {
    pub(super) fn new(policy: &PreloadPolicy) -> Self {
        let state = State {
            queue: Queue::new(policy.queue_max),
            bucket: Bucket::new(policy.loads_per_second, policy.burst),
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
        }
    }

    /// Whether every read is to be reported, and not only those that find something to decide.
    #[inline]
    pub(super) const fn watches_reads(&self) -> bool {
        self.classic.is_some() || self.spending.is_some()
    }

    pub(super) fn clear(&self) {
        self.state.lock().queue.clear();
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

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Loads keys that the caller expects to be read soon, and waits until they are there.
    ///
    /// Keys that are held fresh or loading are skipped. The loads take their turn behind demand and
    /// renewals, and are spread by [`PreloadPolicy::loads_per_second`] and
    /// [`PreloadPolicy::burst`], so a long list takes its time. It works whatever the
    /// [`PreloadPolicy::mode`], and fails with no key: what came of them is counted.
    ///
    /// Dropping the future ends no load that has begun; keys whose turn has not come are not
    /// loaded.
    pub async fn preload<'a, Q>(&self, keys: impl IntoIterator<Item = &'a Q>) -> Preloaded
    where
        K: Borrow<Q>,
        Q: ToOwned<Owned = K> + ?Sized + 'a,
    {
        let keys: Vec<K> = keys.into_iter().map(ToOwned::to_owned).collect();
        self.core.preload_now(keys).await
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// When an entry with this life comes due for renewal, if it does.
    pub(super) fn due(&self, life: &Life) -> Option<Moment> {
        if self.policy.preload.mode != PreloadMode::Predicted || !self.policy.preload.renewals {
            return None;
        }
        let ttl = life.fresh_until.since(life.loaded_at);
        // Half as much again as loads usually take, so that the new value is there in time.
        let usual = || (3 * self.source.load_time.estimate() / 2).max(LEAD_MIN);
        let lead = self.policy.lead.unwrap_or_else(usual);
        let latest = life.fresh_until.minus(lead.min(ttl / 2));
        let every = self.policy.refresh_every.map(|every| life.loaded_at.plus(self.shorten(every)));
        Some(every.map_or(latest, |every| every.min(latest)))
    }

    /// Notes a read for rules that must see every one.
    pub(super) fn note_asked(&self, key: &K, now: Moment) {
        if let Some(classic) = &self.ahead.classic {
            classic.lock().record(key, now);
        }
    }

    /// Notes that a key is read that had come due, if that is in time.
    pub(super) fn note_return(&self, entry: &Entry<K, V>, now: Moment) {
        if let Some(cell) = entry.take_due_cell()
            && now < entry.life().fresh_until.plus(self.policy.ttl)
        {
            self.calibration().came_true(cell);
        }
    }

    /// Wakes the preloader if something comes due before it would look.
    pub(super) fn wake_if_earlier(&self) {
        if self.fence.next_due().as_micros() < self.ahead.awaited.load(SeqCst) {
            self.wake.notify_one();
        }
    }

    /// A run of the preloader: finds what is due, and begins what the limits allow. Gives when to
    /// look again; a preload that ends wakes the preloader earlier.
    pub(super) fn run_ahead(self: &Arc<Self>) -> Moment {
        let now = self.clock.now();
        self.queue_due(now);
        self.queue_classic(now);
        let blocked_until = self.begin_queued(now);
        let next_round = self.ahead.state.lock().next_round;
        let next = self.fence.next_due().min(next_round).min(blocked_until);
        self.ahead.awaited.store(next.as_micros(), SeqCst);
        // What came due between the look above and the store must not wait for the next wake.
        next.min(self.fence.next_due())
    }

    /// Queues the entries that are due and probably read again.
    fn queue_due(&self, now: Moment) {
        for entry in self.fence.take_due(now) {
            if self.end_unread(&entry, now) || self.policy.preload.mode != PreloadMode::Predicted {
                continue;
            }
            let (cell, probability) = self.judge_renewal(&entry.reads().past(), now);
            entry.mark_due(cell);
            self.calibration().predicted(cell);
            // What others will bring anyway is worth less.
            let worth = probability * (1.0 - self.coverage(entry.hash()));
            if worth >= self.policy.preload.threshold {
                self.queue_candidate(&entry, cell, probability);
            }
        }
    }

    /// What a key about to expire looks like, and the probability that it is read in time.
    pub(super) fn judge_renewal(&self, past: &Past, now: Moment) -> (Cell, f64) {
        let (cell, prior) = judge_renewal(past, now, self.policy.ttl);
        (cell, self.calibration().probability(cell, prior))
    }

    /// A preload that nobody has read counts as wasted when it cannot be served any more. Gives
    /// whether that is so; if not, the entry comes due again at that moment.
    fn end_unread(&self, entry: &Arc<Entry<K, V>>, now: Moment) -> bool {
        if !entry.is_unread() {
            return false;
        }
        let end = entry.life().served_until();
        if now < end {
            self.fence.await_due(entry, end);
            return false;
        }
        self.tally.l1.settle_unread(entry);
        true
    }

    fn queue_candidate(&self, entry: &Entry<K, V>, cell: Cell, probability: f64) {
        let (key, hash) = (entry.key().clone(), entry.hash());
        #[expect(clippy::cast_possible_truncation, reason = "a probability")]
        let probability = probability as f32;
        let renews = Some(entry.life().fresh_until);
        let cell = Some(cell);
        let candidate = Candidate::new(key, hash, probability, Reason::Expiry);
        self.queue(Candidate { cell, renews, ..candidate });
    }

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

    /// Queues what the classic rule takes, if a round is due.
    fn queue_classic(&self, now: Moment) {
        let (PreloadMode::Classic(terms), Some(classic)) =
            (&self.policy.preload.mode, &self.ahead.classic)
        else {
            return;
        };
        let mut state = self.ahead.state.lock();
        if now < state.next_round {
            return;
        }
        // Counted from when it was due, and not from now, so that rounds do not drift.
        while state.next_round <= now {
            state.next_round = state.next_round.plus(terms.interval);
        }
        let is_fresh = |key: &K| self.holds_fresh(key);
        for key in classic.lock().round(self.policy.preload.threshold, now, is_fresh) {
            let hash = self.fence.hash(&key);
            let candidate = Candidate::new(key, hash, 1.0, Reason::Classic);
            if let Some(dropped) = state.queue.push(candidate) {
                self.refuse(dropped.reason);
            }
        }
    }

    /// Begins queued preloads, best first, while slots and tokens last. Gives when the next token
    /// comes, if that is what is missing.
    pub(super) fn begin_queued(self: &Arc<Self>, now: Moment) -> Moment {
        let per_call = self.source.loader.keys_per_call().max(1);
        let calls_max = self.policy.source.preload_slots();
        while self.ahead.calls.load(Relaxed) < calls_max
            && self.source.limits.has_room_for_preload()
        {
            let urgency = Arc::new(Urgency::new(Origin::Preload.into()));
            let mut trips = SmallVec::new();
            let mut blocked_until = None;
            while trips.len() < per_call {
                let mut state = self.ahead.state.lock();
                if state.queue.len() == 0 {
                    break;
                }
                if !state.bucket.take(now) {
                    blocked_until = Some(state.bucket.next_at(now));
                    break;
                }
                let Some(candidate) = state.queue.pop() else { break };
                drop(state);
                let (reason, cell) = (candidate.reason, candidate.cell);
                if !self.spend(candidate.probability) {
                    self.refuse(reason);
                    self.ahead.state.lock().bucket.give_back();
                    self.abandon(reason, cell);
                    continue;
                }
                match self.board_ahead(candidate, &urgency, now) {
                    Ok(trip) => trips.push(trip),
                    Err(_) => {
                        self.ahead.state.lock().bucket.give_back();
                        self.give_back_spent();
                        self.abandon(reason, cell);
                    }
                }
            }
            if trips.is_empty() {
                return blocked_until.unwrap_or(Moment::NEVER);
            }
            self.launch_ahead(trips, urgency);
        }
        Moment::NEVER
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

    /// Begins the flight of a candidate, unless it is not needed, or not the time for it.
    fn board_ahead(
        self: &Arc<Self>,
        candidate: Candidate<K>,
        urgency: &Arc<Urgency>,
        now: Moment,
    ) -> Result<Box<Trip<K, V>>, NotBegun> {
        let Candidate { key, hash, probability, reason, cell, trigger, renews } = candidate;
        let is_gone = || self.fence.l1().find(Lookup::new(hash, &key)).is_none();
        if reason == Reason::Expiry && is_gone() {
            return Err(NotBegun::NotNeeded);
        }
        let is_down = self.source.limits.breaker(now) == BreakerState::Open;
        if is_down || self.tasks.is_stopping() || self.source.failing.retry_at(&key, now).is_some()
        {
            return Err(self.refuse(reason));
        }
        let why = Why { origin: Origin::Preload, reason, probability, cell, trigger };
        let begin = || Pad::new(now, why, Arc::clone(urgency));
        // What is to be renewed is fresh still; what was renewed meanwhile is so for longer.
        let until = renews.unwrap_or(now);
        let serves = |entry: &Entry<K, V>| entry.life().fresh_until > until;
        let caller = Caller { key: &key, hash, read_at: None, waits: false };
        match self.fence.board(caller, serves, begin) {
            Boarding::Started(start) => {
                self.ahead.begun.fetch_add(1, Relaxed);
                Ok(Trip::new(self, key, hash, start))
            }
            Boarding::Held(_) | Boarding::Joined(_) => Err(NotBegun::NotNeeded),
            Boarding::Full => Err(self.refuse(reason)),
        }
    }

    fn refuse(&self, reason: Reason) -> NotBegun {
        self.tally.l1.preloads.one(Preload(reason, PreloadOutcome::Refused));
        NotBegun::Refused
    }

    /// Begins the flights of one call, which holds its place among the calls until it ends.
    fn launch_ahead(self: &Arc<Self>, trips: Trips<K, V>, urgency: Arc<Urgency>) {
        let place = Place::take(self);
        let flying = Arc::clone(self).fly(trips, urgency, None);
        self.tasks.launch(async move {
            flying.await;
            drop(place);
        });
    }

    async fn preload_now(self: &Arc<Self>, keys: Vec<K>) -> Preloaded {
        let per_call = self.source.loader.keys_per_call().max(1);
        let calls_max = self.policy.source.preload_slots();
        let calls: Vec<_> = keys.chunks(per_call).map(<[K]>::to_vec).collect();
        futures_util::stream::iter(calls)
            .map(|keys| self.preload_call(keys))
            .buffer_unordered(calls_max)
            .fold(Preloaded::default(), async |sum, call| sum.plus(call))
            .await
    }

    /// Loads the keys of one call of the loader, and waits for them.
    async fn preload_call(self: &Arc<Self>, keys: Vec<K>) -> Preloaded {
        // Nothing waits between the begin of a flight and its launch: readers may have joined it.
        for _ in &keys {
            self.await_token().await;
        }
        let urgency = Arc::new(Urgency::new(Origin::Preload.into()));
        let mut call = Preloaded::default();
        let mut trips: Trips<K, V> = SmallVec::new();
        for key in keys {
            let hash = self.fence.hash(&key);
            let candidate = Candidate::new(key, hash, 1.0, Reason::Requested);
            let begun = self.board_ahead(candidate, &urgency, self.clock.now());
            if begun.is_err() {
                self.ahead.state.lock().bucket.give_back();
            }
            match begun {
                Ok(trip) => trips.push(trip),
                Err(NotBegun::NotNeeded) => call.held += 1,
                Err(NotBegun::Refused) => call.refused += 1,
            }
        }
        let flights: Vec<_> = trips.iter().map(|trip| Arc::clone(&trip.flight)).collect();
        if !trips.is_empty() {
            self.launch(trips, urgency);
        }
        for flight in flights {
            match flight.load().outcome().await {
                Ok(arrival) if arrival.entry.value().is_some() => call.loaded += 1,
                Ok(_) => call.absent += 1,
                Err(_) => call.failed += 1,
            }
        }
        call
    }

    async fn await_token(&self) {
        loop {
            let now = self.clock.now();
            let next = {
                let mut state = self.ahead.state.lock();
                if state.bucket.take(now) {
                    return;
                }
                state.bucket.next_at(now)
            };
            task::sleep_until(self.clock.instant(next)).await;
        }
    }
}

/// A place among the calls for preloads that may be under way. Given back when it is dropped.
struct Place<K, V>(Arc<Core<K, V>>)
where
    K: Key,
    V: Send + Sync + 'static;

impl<K, V> Place<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn take(core: &Arc<Core<K, V>>) -> Self {
        core.ahead.calls.fetch_add(1, Relaxed);
        Self(Arc::clone(core))
    }
}

impl<K, V> Drop for Place<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.0.ahead.calls.fetch_sub(1, Relaxed);
        // What waited for the place may begin.
        if self.0.ahead.queued() > 0 {
            self.0.wake.notify_one();
        }
    }
}
