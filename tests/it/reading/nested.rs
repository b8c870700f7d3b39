//! C12, C13: loaders that read other keys, and loaders that read their own.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use forewarm::{
    BreakerState, Config, Error, Forewarm, LoadError, Policy, ReadOptions, Resource, SourcePolicy,
};
use futures_util::future::join_all;
use tokio::sync::Barrier;
use tokio::time::timeout;

use super::source::{
    Source, asking, begun, config, copied, engine, pass, plain, resource, secs, value,
};

type Items = Resource<u64, u64>;

/// A handle for loaders, which exist before what they read.
#[derive(Clone, Default)]
struct Later(Arc<OnceLock<Items>>);

impl Later {
    fn set(&self, items: &Items) {
        assert!(self.0.set(items.clone()).is_ok());
    }

    fn items(&self) -> &Items {
        self.0.get().unwrap()
    }
}

/// How a loader reads a key.
#[derive(Clone, Copy, Debug)]
enum Reading {
    Get,
    With,
    Many,
    Refresh,
    Bypass,
}

impl Reading {
    async fn read(self, items: &Items, key: u64) -> Result<u64, Error> {
        let value = match self {
            Self::Get => items.get(&key).await?,
            Self::With => items.with(&key, copied).await?.map(Arc::new),
            Self::Many => items.get_many(&[key]).await.remove(0)?,
            Self::Refresh => items.read(&key, &ReadOptions::new().refresh()).await?.value,
            Self::Bypass => items.read(&key, &ReadOptions::new().bypass()).await?.value,
        };
        Ok(*value.unwrap())
    }
}

/// A resource whose loader reads the same key of another one.
fn reader_of(
    forewarm: &Forewarm,
    name: &str,
    policy: Policy,
    other: &Later,
    reading: Reading,
) -> Items {
    let other = other.clone();
    let load = move |key: u64| {
        let other = other.clone();
        async move { reading.read(other.items(), key).await.map_err(LoadError::permanent) }
    };
    forewarm.resource(name).policy(policy).load_with(load).build().unwrap()
}

/// The message of the last error in a chain.
fn root_cause(error: &Error) -> String {
    let first = error as &dyn std::error::Error;
    let chain = std::iter::successors(Some(first), |error| error.source());
    chain.last().unwrap().to_string()
}

/// C12: a loader that reads its own key gets an error at once, however it reads, and whether it
/// does so itself or through another loader.
#[tokio::test(start_paused = true)]
async fn a_loader_that_reads_its_own_key_gets_an_error() {
    use Reading::{Bypass, Get, Many, Refresh, With};
    for reading in [Get, With, Many, Refresh, Bypass] {
        for through_another in [false, true] {
            let forewarm = engine().await;
            let target = Later::default();
            let items = reader_of(&forewarm, "item", plain(), &target, reading);
            if through_another {
                let back = Later::default();
                let between = reader_of(&forewarm, "between", plain(), &back, reading);
                back.set(&items);
                target.set(&between);
            } else {
                target.set(&items);
            }
            let outcome = timeout(secs(1), items.get(&7)).await.unwrap();
            let cause = root_cause(&outcome.unwrap_err());
            let case = format!("{reading:?}, through another: {through_another}: {cause}");
            assert!(cause.contains("of resource `item` waits for itself"), "{case}");
        }
    }
}

/// C12: what a loader is told when it reads its own key is an error of its own kind.
#[tokio::test(start_paused = true)]
async fn a_recursive_read_is_named_as_such() {
    let forewarm = engine().await;
    let own = Later::default();
    let loader = own.clone();
    let load = move |key: u64| {
        let own = loader.clone();
        async move {
            let error = own.items().get(&key).await.unwrap_err();
            let is_told = matches!(error, Error::Recursive { .. }) && !error.is_transient();
            Ok(u64::from(is_told))
        }
    };
    let items = forewarm.resource("item").policy(plain()).load_with(load).build().unwrap();
    own.set(&items);
    assert_eq!(value(&items, 1).await, 1);
}

/// C13: loads within loads borrow the slots of those that wait for them: no deadlock, though every
/// slot of the source and of the engine is taken by outer loads.
#[tokio::test(start_paused = true)]
async fn loaders_that_read_another_resource_do_not_deadlock_under_full_load() {
    const SLOTS: usize = 4;
    let loads_max = Config { loads_max: SLOTS, ..config() };
    for reads_own_resource in [false, true] {
        let forewarm = Forewarm::builder().config(loads_max.clone()).build().await.unwrap();
        let source = Source::new();
        let narrow = asking(SourcePolicy { concurrency: SLOTS, ..plain().source });
        let (inner, all_in) = (Later::default(), Arc::new(Barrier::new(SLOTS)));
        let (target, barrier) = (inner.clone(), Arc::clone(&all_in));
        // Keys below 100 are pages, which read a key above.
        let load = move |key: u64| {
            let (target, barrier) = (target.clone(), Arc::clone(&barrier));
            async move {
                if key >= 100 {
                    return Ok(key);
                }
                barrier.wait().await;
                let value = target.items().get(&(100 + key)).await;
                value.map(|value| *value.unwrap()).map_err(LoadError::permanent)
            }
        };
        let pages = forewarm.resource("page").policy(narrow.clone()).load_with(load);
        let pages = pages.build().unwrap();
        if reads_own_resource {
            inner.set(&pages);
        } else {
            inner.set(&resource(&forewarm, "item", narrow, &source));
        }
        let keys = 0..2 * SLOTS as u64;
        let reads = join_all(keys.map(|key| {
            let pages = pages.clone();
            async move { pages.get(&key).await }
        }));
        let outcomes = timeout(secs(1), reads).await.expect("a deadlock");
        assert!(outcomes.iter().all(Result::is_ok), "own: {reads_own_resource}: {outcomes:?}");
    }
}

/// C13: a load that waited for a slot gets one when a loader that holds one comes to wait for it.
#[tokio::test(start_paused = true)]
async fn a_loader_lends_its_slot_to_a_load_that_was_queued_before() {
    let config = Config { loads_max: 1, ..config() };
    let forewarm = Forewarm::builder().config(config).build().await.unwrap();
    let source = Source::new();
    let inner = Later::default();
    inner.set(&resource(&forewarm, "item", plain(), &source));
    let is_queued = Arc::new(Barrier::new(2));
    let (target, barrier) = (inner.clone(), Arc::clone(&is_queued));
    let load = move |key: u64| {
        let (target, barrier) = (target.clone(), Arc::clone(&barrier));
        async move {
            barrier.wait().await;
            Reading::Get.read(target.items(), key).await.map_err(LoadError::permanent)
        }
    };
    let pages = forewarm.resource("page").policy(plain()).load_with(load).build().unwrap();
    let page = begun(pages.get(&1));
    let queued = begun(inner.items().get(&1));
    assert_eq!(source.loads(), 0, "the page has the only slot");
    is_queued.wait().await;
    assert!(timeout(secs(1), page).await.expect("a deadlock").is_ok());
    assert!(queued.await.is_ok());
    assert_eq!(source.loads(), 1);
}

/// C13: two loads that wait for each other cannot be told from slow ones; they end at a deadline.
#[tokio::test(start_paused = true)]
async fn loads_that_wait_for_each_other_end_at_their_deadline() {
    let forewarm = engine().await;
    let (left, right) = (Later::default(), Later::default());
    let both_in = Arc::new(Barrier::new(2));
    let build = |name, other: &Later| {
        let (other, both_in) = (other.clone(), Arc::clone(&both_in));
        let load = move |key: u64| {
            let (other, both_in) = (other.clone(), Arc::clone(&both_in));
            async move {
                both_in.wait().await;
                Reading::Get.read(other.items(), key).await.map_err(LoadError::permanent)
            }
        };
        let policy = asking(SourcePolicy { deadline: secs(5), ..plain().source });
        forewarm.resource(name).policy(policy).load_with(load).build().unwrap()
    };
    left.set(&build("left", &right));
    right.set(&build("right", &left));
    let both = async { tokio::join!(left.items().get(&1), right.items().get(&1)) };
    let (first, second) = timeout(secs(6), both).await.expect("no end");
    assert!(first.is_err() && second.is_err(), "{first:?} {second:?}");
}

/// C13, C14: loads within the call that tries a source which was left alone are part of that call.
#[tokio::test(start_paused = true)]
async fn a_loader_that_reads_its_own_resource_can_try_a_source_again() {
    let forewarm = engine().await;
    let (own, is_down) = (Later::default(), Arc::new(AtomicBool::new(true)));
    let (target, down) = (own.clone(), Arc::clone(&is_down));
    let load = move |key: u64| {
        let (target, is_down) = (target.clone(), down.load(SeqCst));
        async move {
            if is_down {
                return Err(LoadError::transient("the source is away"));
            }
            if key < 100 {
                Reading::Get.read(target.items(), 100 + key).await.map_err(LoadError::transient)?;
            }
            Ok(key)
        }
    };
    let terms = SourcePolicy { breaker_failures: 1, ..plain().source };
    let pages = forewarm.resource("page").policy(asking(terms)).load_with(load).build().unwrap();
    own.set(&pages);
    assert!(pages.get(&1).await.is_err());
    is_down.store(false, SeqCst);
    assert!(matches!(pages.get(&1).await, Err(Error::BreakerOpen { .. })));
    pass(secs(6)).await;
    assert_eq!(value(&pages, 1).await, 1);
    assert_eq!(pages.stats().breaker, BreakerState::Closed);
}
