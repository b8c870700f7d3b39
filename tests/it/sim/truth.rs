//! The simulated source: what is true, and when it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use forewarm::{LoadContext, LoadError, Loaded, Loader};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::thing::{KEYS, KINDS, Kind, LAG, Thing, loaded_tag};

/// What is true, how often it is asked for, and whether it can be. A handle.
#[derive(Clone)]
pub(super) struct Truth(Arc<Mutex<State>>);

struct State {
    began: Instant,
    ticks: u64,
    /// The versions of each thing, with when each became true.
    versions: BTreeMap<(Kind, u32), Vec<Version>>,
    rng: Rng,
    down: Vec<(Duration, Duration)>,
    /// The longest that the source takes for a step.
    takes: Duration,
    slow_until: Duration,
    /// When the copies were last seen not to be behind.
    caught_up_at: Duration,
}

#[derive(Clone, Copy)]
struct Version {
    since: u64,
    since_at: Duration,
    number: u64,
    is_there: bool,
}

/// When a load began: as events are counted, and in time since the start.
type Began = (u64, Duration);

/// The longest that a source takes for a step when it is slow.
const SLOW: Duration = Duration::from_millis(400);

impl Truth {
    pub(super) fn new(seed: u64) -> Self {
        let since_at = Duration::ZERO;
        let first = Version { since: 0, since_at, number: 1, is_there: true };
        let mut rng = Rng::with_seed(seed);
        let takes = Duration::from_millis(rng.u64(1..=60));
        let all = KINDS.into_iter().flat_map(|kind| KEYS.map(|key| ((kind, key), vec![first])));
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            ticks: 0,
            versions: all.collect(),
            rng,
            down: Vec::new(),
            takes,
            slow_until: Duration::ZERO,
            caught_up_at: Duration::ZERO,
        })))
    }

    /// Counts an event.
    pub(super) fn tick(&self) -> u64 {
        let mut state = self.0.lock();
        state.ticks += 1;
        state.ticks
    }

    /// The time since the start.
    pub(super) fn now(&self) -> Duration {
        self.0.lock().began.elapsed()
    }

    /// Changes a thing; now and then it goes, or comes back.
    pub(super) fn write(&self, kind: Kind, key: u32) -> u64 {
        let since = self.tick();
        let mut state = self.0.lock();
        let is_there = state.rng.u8(..5) > 0;
        let since_at = state.began.elapsed();
        let versions = state.versions.get_mut(&(kind, key)).unwrap();
        let number = versions.last().unwrap().number + 1;
        versions.push(Version { since, since_at, number, is_there });
        number
    }

    /// The present thing, as if it were loaded or put now; `None` if there is none.
    pub(super) fn present(&self, kind: Kind, key: u32, is_put: bool) -> Option<Thing> {
        let (tick, at) = (self.tick(), self.now());
        let version = *self.0.lock().versions[&(kind, key)].last().unwrap();
        let thing = Thing { key, version: version.number, tick, at, is_put };
        version.is_there.then_some(thing)
    }

    /// What a loader that began some time ago reads now: what is there, or of a copy that lags
    /// behind what was there, which is then as old as that.
    fn read(&self, kind: Kind, key: u32, (tick, at): Began, lags: bool) -> Option<Thing> {
        let mut state = self.0.lock();
        let behind = if lags { millis(&mut state.rng, LAG) } else { Duration::ZERO };
        let as_of = state.began.elapsed().saturating_sub(behind).max(state.caught_up_at);
        let versions = &state.versions[&(kind, key)];
        let place = versions.iter().rposition(|version| version.since_at <= as_of).unwrap();
        let version = versions[place];
        let tick = versions.get(place + 1).map_or(tick, |next| tick.min(next.since - 1));
        version.is_there.then_some(Thing { key, version: version.number, tick, at, is_put: false })
    }

    /// The last event at which a thing was not there, if there was one.
    pub(super) fn last_absent(&self, kind: Kind, key: u32) -> Option<u64> {
        let state = self.0.lock();
        let versions = &state.versions[&(kind, key)];
        let place = versions.iter().rposition(|version| !version.is_there)?;
        Some(versions.get(place + 1).map_or(state.ticks, |next| next.since - 1))
    }

    /// Whether a thing can have been read as it is: not before it was true, and no longer than one
    /// load takes after that.
    pub(super) fn has_been(&self, kind: Kind, thing: &Thing) -> bool {
        let state = self.0.lock();
        let versions = &state.versions[&(kind, thing.key)];
        let then = versions.iter().rfind(|version| version.since <= thing.tick).unwrap();
        let real = versions.iter().find(|version| version.number == thing.version);
        real.is_some_and(|real| real.is_there) && thing.version >= then.number
    }

    /// The source cannot be asked for some time.
    pub(super) fn go_down(&self, span: Duration) {
        let mut state = self.0.lock();
        let now = state.began.elapsed();
        state.down.push((now, now + span));
    }

    /// The source is slow for some time.
    pub(super) fn be_slow(&self, span: Duration) {
        let mut state = self.0.lock();
        state.slow_until = state.began.elapsed() + span;
    }

    /// The copies are not behind: time has passed for them.
    pub(super) fn catch_up(&self) {
        let mut state = self.0.lock();
        state.caught_up_at = state.began.elapsed();
    }

    /// The source can be asked again.
    pub(super) fn recover(&self) {
        let mut state = self.0.lock();
        let now = state.began.elapsed();
        state.down.iter_mut().for_each(|(_, until)| *until = now.min(*until));
        state.slow_until = now;
    }

    fn is_down(&self) -> bool {
        let now = self.now();
        self.was_down(now, now)
    }

    /// Whether a load can have failed that was waited for in this span.
    pub(super) fn could_fail(&self, from: Duration, until: Duration) -> bool {
        self.was_down(from.saturating_sub(2 * SLOW), until)
    }

    fn was_down(&self, from: Duration, until: Duration) -> bool {
        self.0.lock().down.iter().any(|(began, ended)| *began <= until && from < *ended)
    }

    /// How long the source takes for its next step.
    fn takes(&self) -> Duration {
        let mut state = self.0.lock();
        let is_slow = state.began.elapsed() < state.slow_until;
        let max = if is_slow { SLOW } else { state.takes };
        millis(&mut state.rng, max)
    }
}

fn millis(rng: &mut Rng, max: Duration) -> Duration {
    Duration::from_millis(rng.u64(..=u64::try_from(max.as_millis()).unwrap()))
}

/// Loads things of one kind.
pub(super) struct Reader {
    pub(super) truth: Truth,
    pub(super) kind: Kind,
    pub(super) keys_per_call: usize,
}

impl Loader<u32, Thing> for Reader {
    async fn load(&self, key: &u32, cx: &LoadContext<Thing>) -> Result<Loaded<Thing>, LoadError> {
        let began = (self.truth.tick(), self.truth.now());
        sleep(self.truth.takes()).await;
        let answer = self.answer(*key, began, cx);
        sleep(self.truth.takes()).await;
        answer
    }

    fn keys_per_call(&self) -> usize {
        self.keys_per_call
    }

    async fn load_many(
        &self,
        keys: &[(u32, LoadContext<Thing>)],
    ) -> Vec<Result<Loaded<Thing>, LoadError>> {
        let began = (self.truth.tick(), self.truth.now());
        sleep(self.truth.takes()).await;
        let answers = keys.iter().map(|(key, cx)| self.answer(*key, began, cx)).collect();
        sleep(self.truth.takes()).await;
        answers
    }
}

impl Reader {
    fn answer(
        &self,
        key: u32,
        began: Began,
        cx: &LoadContext<Thing>,
    ) -> Result<Loaded<Thing>, LoadError> {
        if self.truth.is_down() {
            return Err(LoadError::transient("the source is down"));
        }
        let lags = self.kind == Kind::Lagging && !cx.prefers_primary();
        let thing = self.truth.read(self.kind, key, began, lags);
        let tags = thing.as_ref().map(|thing| loaded_tag(thing.colour()));
        Ok(Loaded::from(thing).tags(tags))
    }
}
