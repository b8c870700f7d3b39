//! A source that does what a test says, and short words for engines and policies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use forewarm::{
    Config, Forewarm, Key, LoadContext, LoadError, Loaded, Loader, Origin, Policy, PreloadMode,
    PreloadPolicy, Resource, SourcePolicy,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;

/// A source that answers, fails, panics, takes its time, or waits to be let go. It remembers who
/// asked.
pub(crate) struct Source<K>(Arc<State<K>>);

struct State<K> {
    usual: Mutex<Mood>,
    moods: Mutex<HashMap<K, Mood>>,
    takes: Mutex<Duration>,
    is_open: watch::Sender<bool>,
    calls: Mutex<Vec<Call<K>>>,
    counts: Mutex<HashMap<K, usize>>,
    begun: watch::Sender<usize>,
}

/// What the source does when it is asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mood {
    /// It gives `v1`, `v2` and so on, counted for each key.
    #[default]
    Answers,
    /// It gives a value of this many bytes.
    AnswersLong(usize),
    /// It says that there is no such thing.
    HasNone,
    /// It says that nothing has changed.
    Unchanged,
    /// It fails, and may answer later.
    Fails,
    /// It fails for good.
    Refuses,
    Panics,
    Hangs,
}

/// A key that the source was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Call<K> {
    pub(crate) key: K,
    pub(crate) origin: Origin,
    pub(crate) at: Instant,
}

impl<K> Clone for Source<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Key> Source<K> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            usual: Mutex::default(),
            moods: Mutex::default(),
            takes: Mutex::default(),
            is_open: watch::Sender::new(true),
            calls: Mutex::default(),
            counts: Mutex::default(),
            begun: watch::Sender::new(0),
        }))
    }

    /// Sets what it does for keys that have no mood of their own.
    pub(crate) fn usually(&self, mood: Mood) {
        *self.0.usual.lock() = mood;
    }

    /// Sets what it does for one key.
    pub(crate) fn mood(&self, key: K, mood: Mood) {
        self.0.moods.lock().insert(key, mood);
    }

    /// Sets how long it takes.
    pub(crate) fn takes(&self, span: Duration) {
        *self.0.takes.lock() = span;
    }

    /// Lets everybody wait who asks from now on.
    pub(crate) fn hold(&self) {
        self.0.is_open.send_replace(false);
    }

    /// Lets those who wait go on.
    pub(crate) fn release(&self) {
        self.0.is_open.send_replace(true);
    }

    /// Waits until it has been asked this often in all.
    pub(crate) async fn asked(&self, times: usize) {
        self.0.begun.subscribe().wait_for(|begun| *begun >= times).await.unwrap();
    }

    pub(crate) fn calls(&self) -> Vec<Call<K>> {
        self.0.calls.lock().clone()
    }

    /// How often it was asked for a key.
    pub(crate) fn loads_of(&self, key: &K) -> usize {
        self.0.counts.lock().get(key).copied().unwrap_or_default()
    }

    /// How often it was asked for such a reason.
    pub(crate) fn loads_for(&self, origin: Origin) -> usize {
        self.0.calls.lock().iter().filter(|call| call.origin == origin).count()
    }

    fn mood_of(&self, key: &K) -> Mood {
        let own = self.0.moods.lock().get(key).copied();
        own.unwrap_or_else(|| *self.0.usual.lock())
    }

    /// Counts a load of a key; gives how many there were.
    fn count(&self, key: &K) -> usize {
        let mut counts = self.0.counts.lock();
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        *count
    }
}

impl<K: Key> Loader<K, String> for Source<K> {
    async fn load(&self, key: &K, cx: &LoadContext<String>) -> Result<Loaded<String>, LoadError> {
        let call = Call { key: key.clone(), origin: cx.origin(), at: Instant::now() };
        self.0.calls.lock().push(call);
        self.0.begun.send_modify(|begun| *begun += 1);
        let nth = self.count(key);
        let takes = *self.0.takes.lock();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        self.0.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
        let mood = self.mood_of(key);
        match mood {
            Mood::Answers => Ok(format!("v{nth}").into()),
            Mood::AnswersLong(bytes) => Ok("x".repeat(bytes).into()),
            Mood::HasNone => Ok(Loaded::absent()),
            Mood::Unchanged => Ok(Loaded::unchanged()),
            Mood::Fails => Err(LoadError::transient("the source is away")),
            Mood::Refuses => Err(LoadError::permanent("the row cannot be read")),
            Mood::Panics => panic!("the loader has a defect"),
            Mood::Hangs => std::future::pending().await,
        }
    }
}

/// A span of whole seconds.
pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Settings with which runs repeat, and without lines that come by themselves.
pub(crate) fn config() -> Config {
    Config { seed: Some(7), summary_every: None, ..Config::default() }
}

pub(crate) async fn engine() -> Forewarm {
    Forewarm::builder().config(config()).build().await.unwrap()
}

/// A policy with a ttl of a minute, and nothing random and nothing behind the readers' backs.
pub(crate) fn plain() -> Policy {
    Policy {
        ttl: secs(60),
        jitter: 0.0,
        stale_while_revalidate: None,
        stale_if_error: None,
        refresh_spacing: None,
        preload: PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() },
        source: SourcePolicy { attempts: 1, ..SourcePolicy::default() },
        ..Policy::default()
    }
}

/// The same, with renewals ahead of expiry.
pub(crate) fn predicting() -> Policy {
    Policy { preload: PreloadPolicy::default(), ..plain() }
}

/// An engine that has started, with one resource over a source.
pub(crate) async fn started(
    policy: Policy,
    source: &Source<u64>,
) -> (Forewarm, Resource<u64, String>) {
    let forewarm = engine().await;
    let items = item(&forewarm, policy, source);
    forewarm.start().await.unwrap();
    (forewarm, items)
}

/// A resource `item` over a source.
pub(crate) fn item(
    forewarm: &Forewarm,
    policy: Policy,
    source: &Source<u64>,
) -> Resource<u64, String> {
    forewarm.resource("item").policy(policy).loader(source.clone()).build().unwrap()
}

/// The value of a key, as text; empty if there is none.
pub(crate) async fn text(items: &Resource<u64, String>, key: u64) -> String {
    items.get(&key).await.unwrap().as_deref().cloned().unwrap_or_default()
}

/// Lets every task do what it can do without waiting for time to pass.
pub(crate) async fn others_run() {
    for _ in 0..30 {
        yield_now().await;
    }
}
