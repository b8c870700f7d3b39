//! The simulated source: what is true, and when it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use forewarm::{LoadContext, LoadError, Loaded, Loader};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::thing::{KEYS, KINDS, Kind, Thing, loaded_tag};

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
    slow_until: Duration,
}

#[derive(Clone, Copy)]
struct Version {
    since: u64,
    number: u64,
    is_there: bool,
}

/// The longest that the source takes, when it is slow.
const SLOW: Duration = Duration::from_millis(400);
const QUICK: Duration = Duration::from_millis(20);

impl Truth {
    pub(super) fn new(seed: u64) -> Self {
        let first = Version { since: 0, number: 1, is_there: true };
        let all = KINDS.into_iter().flat_map(|kind| KEYS.map(|key| ((kind, key), vec![first])));
        Self(Arc::new(Mutex::new(State {
            began: Instant::now(),
            ticks: 0,
            versions: all.collect(),
            rng: Rng::with_seed(seed),
            down: Vec::new(),
            slow_until: Duration::ZERO,
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
        let versions = state.versions.get_mut(&(kind, key)).unwrap();
        let number = versions.last().unwrap().number + 1;
        versions.push(Version { since, number, is_there });
        number
    }

    /// The present thing, as if it were loaded or put now; `None` if there is none.
    pub(super) fn present(&self, kind: Kind, key: u32, is_put: bool) -> Option<Thing> {
        let (tick, at) = (self.tick(), self.now());
        let version = *self.0.lock().versions[&(kind, key)].last().unwrap();
        let thing = Thing { key, version: version.number, tick, at, is_put };
        version.is_there.then_some(thing)
    }

    /// What a loader that began some time ago reads now.
    fn read(&self, kind: Kind, key: u32, tick: u64, at: Duration) -> Option<Thing> {
        let thing = self.present(kind, key, false)?;
        Some(Thing { tick, at, ..thing })
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
        let max = if is_slow { SLOW } else { QUICK };
        Duration::from_millis(state.rng.u64(..=max.as_millis() as u64))
    }
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
        (tick, at): (u64, Duration),
        _cx: &LoadContext<Thing>,
    ) -> Result<Loaded<Thing>, LoadError> {
        if self.truth.is_down() {
            return Err(LoadError::transient("the source is down"));
        }
        let thing = self.truth.read(self.kind, key, tick, at);
        let tags = thing.as_ref().map(|thing| loaded_tag(thing.colour()));
        Ok(Loaded::from(thing).tags(tags))
    }
}
