//! A source that does what a test says, and short words for engines, policies and waiting.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use forewarm::{
    Config, Delivery, Forewarm, LoadContext, LoadError, Loaded, Loader, Origin, Policy,
    PreloadMode, PreloadPolicy, Resource, SourcePolicy,
};
use futures_util::FutureExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::Instant;

/// A source whose value for every key is the number of its changes so far, as of the moment at
/// which it is asked. It answers, fails, panics, takes its time, or holds its answer back; and it
/// remembers who asked, and how many did at a time.
#[derive(Clone)]
pub(crate) struct Source {
    state: Arc<State>,
    keys_per_call: usize,
}

#[derive(Default)]
struct State {
    version: AtomicU64,
    usual: Mutex<Mood>,
    moods: Mutex<HashMap<u64, Mood>>,
    next: Mutex<VecDeque<Mood>>,
    takes: Mutex<Duration>,
    held_back: Mutex<Option<watch::Receiver<bool>>>,
    calls: Mutex<Vec<Call>>,
    under_way: AtomicUsize,
    most_at_once: AtomicUsize,
}

/// What the source does when it is asked for a key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Answers,
    /// It answers, and says how long that is fresh.
    AnswersFor(Duration),
    /// It answers, and says that it is not to be kept.
    AnswersOnce,
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

/// A call of the loader.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) keys: Vec<u64>,
    pub(crate) origin: Origin,
    pub(crate) at: Instant,
    pub(crate) held: Option<u64>,
}

/// Holds back the answers to calls that begin while it is the latest, until it is dropped.
pub(crate) struct Hold {
    _released: watch::Sender<bool>,
}

/// A call that is under way, until it ends or is dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

impl Source {
    pub(crate) fn new() -> Self {
        Self { state: Arc::default(), keys_per_call: 1 }
    }

    /// One that can be asked for this many keys in one call.
    pub(crate) fn in_batches(keys_per_call: usize) -> Self {
        Self { keys_per_call, ..Self::new() }
    }

    /// Changes the value of every key; gives the new one.
    pub(crate) fn change(&self) -> u64 {
        self.state.version.fetch_add(1, SeqCst) + 1
    }

    /// Sets what it does for keys that have no mood of their own.
    pub(crate) fn usually(&self, mood: Mood) {
        *self.state.usual.lock() = mood;
    }

    /// Sets what it does for one key.
    pub(crate) fn mood(&self, key: u64, mood: Mood) {
        self.state.moods.lock().insert(key, mood);
    }

    /// Sets what it does for the next keys that it is asked for, before what it usually does.
    pub(crate) fn next(&self, moods: impl IntoIterator<Item = Mood>) {
        self.state.next.lock().extend(moods);
    }

    /// Sets how long it takes.
    pub(crate) fn takes(&self, span: Duration) {
        *self.state.takes.lock() = span;
    }

    /// Holds back the answers to the calls that begin from now on.
    pub(crate) fn hold(&self) -> Hold {
        let (released, receiver) = watch::channel(false);
        *self.state.held_back.lock() = Some(receiver);
        Hold { _released: released }
    }

    /// Answers the calls that begin from now on; those that are held back stay so.
    pub(crate) fn let_pass(&self) {
        *self.state.held_back.lock() = None;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().clone()
    }

    /// How often it has been called.
    pub(crate) fn loads(&self) -> usize {
        self.state.calls.lock().len()
    }

    /// How often it has been asked for a key.
    pub(crate) fn loads_of(&self, key: u64) -> usize {
        self.state.calls.lock().iter().filter(|call| call.keys.contains(&key)).count()
    }

    /// The keys in the order in which it was asked for them.
    pub(crate) fn keys(&self) -> Vec<u64> {
        self.state.calls.lock().iter().flat_map(|call| call.keys.clone()).collect()
    }

    /// The calls that are under way.
    pub(crate) fn under_way(&self) -> usize {
        self.state.under_way.load(SeqCst)
    }

    /// The most calls that were under way at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.state.most_at_once.load(SeqCst)
    }

    fn mood_of(&self, key: u64) -> Mood {
        if let Some(own) = self.state.moods.lock().get(&key) {
            return *own;
        }
        let next = self.state.next.lock().pop_front();
        next.unwrap_or_else(|| *self.state.usual.lock())
    }

    /// A call: what was asked for is decided when it begins.
    async fn answer(&self, keys: &[u64], cx: &LoadContext<u64>) -> Vec<Answer> {
        let state = &*self.state;
        let under_way = state.under_way.fetch_add(1, SeqCst) + 1;
        let _under_way = UnderWay(&state.under_way);
        state.most_at_once.fetch_max(under_way, SeqCst);
        let version = state.version.load(SeqCst);
        let moods: Vec<_> = keys.iter().map(|key| self.mood_of(*key)).collect();
        let held_back = state.held_back.lock().clone();
        let call = Call {
            keys: keys.to_vec(),
            origin: cx.origin(),
            at: Instant::now(),
            held: cx.held().map(|held| **held),
        };
        state.calls.lock().push(call);
        let takes = *state.takes.lock();
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        if let Some(mut released) = held_back {
            // It never becomes true: it ends when the hold is dropped.
            released.wait_for(|released| *released).await.ok();
        }
        let mut answers = Vec::new();
        for mood in moods {
            answers.push(mood.answer(version).await);
        }
        answers
    }
}

type Answer = Result<Loaded<u64>, LoadError>;

impl Mood {
    async fn answer(self, version: u64) -> Answer {
        match self {
            Self::Answers => Ok(version.into()),
            Self::AnswersFor(ttl) => Ok(Loaded::found(version).ttl(ttl)),
            Self::AnswersOnce => Ok(Loaded::found(version).not_stored()),
            Self::HasNone => Ok(Loaded::absent()),
            Self::Unchanged => Ok(Loaded::unchanged()),
            Self::Fails => Err(LoadError::transient("the source is away")),
            Self::Refuses => Err(LoadError::permanent("the row cannot be read")),
            Self::Panics => panic!("the loader has a defect"),
            Self::Hangs => std::future::pending().await,
        }
    }
}

impl Loader<u64, u64> for Source {
    async fn load(&self, key: &u64, cx: &LoadContext<u64>) -> Answer {
        self.answer(&[*key], cx).await.remove(0)
    }

    fn keys_per_call(&self) -> usize {
        self.keys_per_call
    }

    async fn load_many(&self, keys: &[(u64, LoadContext<u64>)]) -> Vec<Answer> {
        let texts: Vec<_> = keys.iter().map(|(key, _)| *key).collect();
        self.answer(&texts, &keys[0].1).await
    }
}

/// A span of whole seconds.
pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Lets time pass, and everybody do what comes due meanwhile.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
    others_run().await;
}

/// Lets every task do what it can do without waiting for time to pass.
pub(crate) async fn others_run() {
    for _ in 0..50 {
        yield_now().await;
    }
}

/// Begins a call, which has to wait for something.
pub(crate) fn begun<F: Future>(call: F) -> Pin<Box<F>> {
    let mut call = Box::pin(call);
    assert!((&mut call).now_or_never().is_none(), "the call should have to wait");
    call
}

/// Settings with which runs repeat.
pub(crate) fn config() -> Config {
    Config { seed: Some(7), summary_every: None, ..Config::default() }
}

pub(crate) async fn engine() -> Forewarm {
    Forewarm::builder().config(config()).build().await.unwrap()
}

/// A policy with a ttl of a minute, one attempt, nothing random, nothing stale, and nothing behind
/// the readers' backs.
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

/// The same with other terms for the source.
pub(crate) fn asking(source: SourcePolicy) -> Policy {
    Policy { source, ..plain() }
}

/// An engine with a resource `item` over a source.
pub(crate) async fn items(policy: Policy, source: &Source) -> (Forewarm, Resource<u64, u64>) {
    let forewarm = engine().await;
    let items = resource(&forewarm, "item", policy, source);
    (forewarm, items)
}

pub(crate) fn resource(
    forewarm: &Forewarm,
    name: &str,
    policy: Policy,
    source: &Source,
) -> Resource<u64, u64> {
    forewarm.resource(name).policy(policy).loader(source.clone()).build().unwrap()
}

/// Reads a key that is there.
pub(crate) async fn value(items: &Resource<u64, u64>, key: u64) -> u64 {
    *items.get(&key).await.unwrap().unwrap()
}

/// The value that memory may serve.
pub(crate) fn peeked(items: &Resource<u64, u64>, key: u64) -> Option<u64> {
    items.peek(&key)?.value.as_deref().copied()
}

/// Says that the value of a key is wrong; without L2 that is applied at once.
pub(crate) async fn invalidate(items: &Resource<u64, u64>, key: u64) {
    assert_eq!(items.invalidate(&key).await, Delivery::Applied);
}

pub(crate) async fn put(items: &Resource<u64, u64>, key: u64, value: u64) {
    assert_eq!(items.put(&key, value).await, Delivery::Applied);
}

pub(crate) async fn expire(items: &Resource<u64, u64>, key: u64) {
    assert_eq!(items.expire(&key).await, Delivery::Applied);
}

/// For `Resource::with`.
pub(crate) fn copied(value: Option<&u64>) -> Option<u64> {
    value.copied()
}
