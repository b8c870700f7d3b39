//! After a start, the keys that are wanted first: those that were read most before it, and seeds.

use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use smallvec::SmallVec;

use super::begin::NotBegun;
use super::requested::Need;
use crate::clock::Moment;
use crate::engine::{HotText, Progress};
use crate::entry::{Origin, Reason};
use crate::error::LoadError;
use crate::key::Key;
use crate::limits::{BreakerState, Bucket, Urgency};
use crate::policy::{PreloadMode, PreloadPolicy};
use crate::predictor::Candidate;
use crate::resource::core::Core;
use crate::resource::trip::Trips;
use crate::sync::Mutex;
use crate::task;

use self::plan::{Next, Plan, Wanted};

mod plan;

/// The keys that are wanted after a start.
pub(super) struct Warming<K> {
    seeds: Mutex<Vec<Seed<K>>>,
    plan: Mutex<Plan<K>>,
}

/// Keys that a user wants in memory from the start.
pub(in crate::resource) enum Seed<K> {
    Keys(Vec<K>),
    /// They have to be asked for first.
    Asked(Box<AskSeed<K>>),
}

/// How a user asks for seeds.
type AskSeed<K> = dyn FnOnce() -> Asking<K> + Send;
/// Seeds that were asked for.
pub(in crate::resource) type Asking<K> =
    Pin<Box<dyn Future<Output = Result<Vec<K>, LoadError>> + Send>>;

/// Between two looks at a source that is left alone, and before what failed is tried again.
const PAUSE: Duration = Duration::from_millis(200);
/// A memory this full takes no more without giving something up.
const FULL: f64 = 0.98;

impl<K: Eq + Hash> Warming<K> {
    pub(super) fn new(policy: &PreloadPolicy, seeds: Vec<Seed<K>>) -> Self {
        let rate = policy.warmed_per_second;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let burst = ((rate / 10.0) as usize).max(policy.burst);
        let plan = Plan::new(Bucket::new(rate, burst));
        Self { seeds: Mutex::new(seeds), plan: Mutex::new(plan) }
    }

    /// Forgets what has not been loaded yet.
    pub(super) fn clear(&self) {
        self.seeds.lock().clear();
        self.plan.lock().clear();
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Notes what was read much by a process that ended `away` ago, so that its scores go on, and it
    /// is loaded when [`Core::warm`] is called. Gives how many of the texts are keys.
    pub(in crate::resource) fn recall_hot(&self, hot: &[HotText], away: Duration) -> usize {
        if self.ahead.policy().mode == PreloadMode::Off || !self.keeps() {
            return 0;
        }
        let now = self.clock.now();
        let mut recalled = 0;
        for HotText { text, habit } in hot {
            if text.len() > self.policy.key_bytes_max {
                continue;
            }
            let Some(Ok(key)) = self.ask_user(|| text.parse::<K>()) else { continue };
            let hash = self.fence.hash(&key);
            self.fence.recall(hash, &self.fence.recorder().past_of(habit, away, now));
            if self.loads_ahead() {
                self.ahead.warming.plan.lock().add(key, hash, Reason::Restored);
            }
            recalled += 1;
        }
        recalled
    }

    /// Whether what is probably read is loaded.
    pub(in crate::resource) fn loads_ahead(&self) -> bool {
        self.ahead.policy().mode.loads()
    }

    /// What was read much before the start, and has not been loaded since. It must not be forgotten
    /// for that.
    pub(in crate::resource) fn unwarmed(&self) -> Vec<(K, u64)> {
        let plan = self.ahead.warming.plan.lock();
        let is_unwarmed =
            |wanted: &&Wanted<K>| !wanted.is_warm && wanted.reason == Reason::Restored;
        let unwarmed = plan.wanted.iter().filter(is_unwarmed);
        unwarmed.map(|wanted| (wanted.key.clone(), wanted.hash)).collect()
    }

    /// Loads what is wanted after a start, best first, behind everything that somebody waits for.
    /// What fails is tried again until `until`.
    pub(in crate::resource) async fn warm(self: Arc<Self>, progress: Arc<Progress>, until: Moment) {
        self.ask_seeds(until).await;
        let wanted = {
            let mut plan = self.ahead.warming.plan.lock();
            plan.until = until;
            plan.wanted.len()
        };
        progress.want(wanted);
        loop {
            self.warm_once(&progress).await;
            let has_failed = !self.ahead.warming.plan.lock().failed.is_empty();
            if has_failed {
                self.pause().await;
            }
            if !self.ahead.warming.plan.lock().try_again(self.clock.now()) {
                break;
            }
        }
        self.ahead.warming.plan.lock().end();
    }

    /// Adds the seeds to what is wanted.
    async fn ask_seeds(&self, until: Moment) {
        let seeds = std::mem::take(&mut *self.ahead.warming.seeds.lock());
        for seed in seeds {
            let keys = match seed {
                Seed::Keys(keys) => keys,
                Seed::Asked(ask) => self.ask_seed(ask, until).await,
            };
            let mut plan = self.ahead.warming.plan.lock();
            for key in keys {
                let hash = self.fence.hash(&key);
                plan.add(key, hash, Reason::Seeded);
            }
        }
    }

    async fn ask_seed(&self, ask: Box<AskSeed<K>>, until: Moment) -> Vec<K> {
        let asked = async { AssertUnwindSafe(ask()).catch_unwind().await };
        let asked = AssertUnwindSafe(asked).catch_unwind();
        let asked = task::timeout_at(self.clock.instant(until), pin!(asked)).await;
        let problem = match asked {
            Some(Ok(Ok(Ok(keys)))) => return keys,
            Some(Ok(Ok(Err(error)))) => error.to_string(),
            Some(Ok(Err(_panic)) | Err(_panic)) => "it panicked".to_owned(),
            None => "it took too long".to_owned(),
        };
        tracing::warn!(resource = &*self.name, problem, "there are no seeds");
        Vec::new()
    }

    /// Loads all that has not been begun. One call fewer at a time than preloads may make, so that
    /// what is predicted meanwhile need not wait for all of it.
    async fn warm_once(self: &Arc<Self>, progress: &Arc<Progress>) {
        let calls_max = self.policy.source.preload_slots().saturating_sub(1).max(1);
        let with = (Arc::clone(self), Arc::clone(progress));
        let calls = futures_util::stream::unfold(with, |(core, progress)| async move {
            let call = core.next_call(&progress).await?;
            Some((call, (core, progress)))
        });
        let warm = |call| Arc::clone(self).warm_call(call, Arc::clone(progress));
        calls.map(warm).buffer_unordered(calls_max).for_each(std::future::ready).await;
    }

    /// Waits until the next call may be made, and gives the places of its keys.
    async fn next_call(&self, progress: &Progress) -> Option<Vec<usize>> {
        let call_max = self.source.loader.keys_per_call().max(1);
        loop {
            let now = self.clock.now();
            if self.tasks.is_stopping() {
                return None;
            }
            if self.fence.l1().is_filled(FULL) {
                progress.waive(self.ahead.warming.plan.lock().give_up());
                return None;
            }
            let until = self.ahead.warming.plan.lock().until;
            if self.source.limits.breaker(now) == BreakerState::Open && now < until {
                self.pause().await;
                continue;
            }
            let next = self.ahead.warming.plan.lock().next(call_max, now);
            match next {
                Next::Call(call) => return Some(call),
                Next::Wait(later) => task::sleep_until(self.clock.instant(later)).await,
                Next::Over => return None,
            }
        }
    }

    async fn pause(&self) {
        task::sleep_until(self.clock.instant(self.clock.now().plus(PAUSE))).await;
    }

    /// Loads some keys in one call, and waits for them.
    async fn warm_call(self: Arc<Self>, call: Vec<usize>, progress: Arc<Progress>) {
        let urgency = Arc::new(Urgency::new(Origin::Preload.into()));
        let mut trips: Trips<K, V> = SmallVec::new();
        let mut places = Vec::new();
        for place in call {
            let wanted = self.ahead.warming.plan.lock().wanted.get(place).cloned();
            let Some(Wanted { key, hash, reason, .. }) = wanted else { continue };
            let candidate = Candidate::new(key, hash, 1.0, reason);
            match self.board_ahead(candidate, Need::Fresh, &urgency, self.clock.now()) {
                Ok(trip) => {
                    trips.push(trip);
                    places.push(place);
                }
                Err(NotBegun::NotNeeded) => self.note_warmed(place, true, &progress),
                Err(NotBegun::Refused) => self.note_warmed(place, false, &progress),
            }
        }
        let flights: Vec<_> = trips.iter().map(|trip| Arc::clone(&trip.flight)).collect();
        if !trips.is_empty() {
            self.launch(trips, urgency);
        }
        for (place, flight) in places.into_iter().zip(flights) {
            let is_warm = flight.load().outcome().await.is_ok();
            self.note_warmed(place, is_warm, &progress);
        }
        // What was predicted meanwhile may have found no room.
        if self.ahead.queued() > 0 {
            self.wake.notify_one();
        }
    }

    fn note_warmed(&self, place: usize, is_warm: bool, progress: &Progress) {
        {
            let mut plan = self.ahead.warming.plan.lock();
            match plan.wanted.get_mut(place) {
                Some(wanted) if is_warm => wanted.is_warm = true,
                Some(_) => plan.failed.push(place),
                // Everything was cleared meanwhile.
                None => {}
            }
        }
        if is_warm {
            progress.warmed();
        }
    }
}

impl<K> std::fmt::Debug for Warming<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Warming").finish_non_exhaustive()
    }
}
