//! G1 under a storm: readers of every kind and writers at once, on several threads, and every
//! answer checked; with a cache that lacks the fence, to show that the check notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use forewarm::{
    Capacity, Forewarm, LoadContext, LoadError, Loaded, Loader, Policy, PreloadPolicy, ReadOptions,
    Resource, SourcePolicy,
};
use tokio::sync::Notify;
use tokio::task::{JoinSet, yield_now};

use super::source::{config, expire, invalidate, plain, put, secs};

const KEYS: u64 = 4;
const READERS: u64 = 8;
const WRITES: u64 = 2_000;

/// The truth of one key: a number that only grows, and the newest that every reader must know of
/// because its announcement has returned.
#[derive(Default)]
struct Truth {
    written: AtomicU64,
    acknowledged: AtomicU64,
}

/// The truth of all keys, and what was seen of it.
struct World {
    truths: Vec<Truth>,
    writers: AtomicU64,
    answers: AtomicUsize,
    too_old: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        let truths = (0..KEYS).map(|_| Truth::default()).collect();
        let (answers, too_old) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { truths, writers: AtomicU64::new(KEYS), answers, too_old })
    }

    fn truth(&self, key: u64) -> &Truth {
        &self.truths[usize::try_from(key).unwrap()]
    }

    /// What the source says; anything may happen between its answer and the loader's.
    async fn load(&self, key: u64) -> u64 {
        let value = self.truth(key).written.load(SeqCst);
        for _ in 0..fastrand::u8(..4) {
            yield_now().await;
        }
        value
    }

    /// What a read that begins now must give at least.
    fn least(&self, key: u64) -> u64 {
        self.truth(key).acknowledged.load(SeqCst)
    }

    fn check(&self, answer: u64, least: u64) {
        self.answers.fetch_add(1, SeqCst);
        if answer < least {
            self.too_old.fetch_add(1, SeqCst);
        }
    }

    fn is_over(&self) -> bool {
        self.writers.load(SeqCst) == 0
    }
}

/// A cache in front of a world.
trait Subject: Send + Sync + 'static {
    /// Reads a key in one of its ways, and has every answer checked.
    fn read(&self, key: u64) -> impl Future<Output = ()> + Send;

    /// Says that the value of a key is another one now.
    fn announce(&self, key: u64, value: u64) -> impl Future<Output = ()> + Send;
}

/// Readers and one writer per key, until the writers are done. Gives how many answers there were,
/// and how many of them were too old.
async fn storm(world: &Arc<World>, subject: Arc<impl Subject>) -> (usize, usize) {
    let mut tasks = JoinSet::new();
    for key in 0..KEYS {
        let (world, subject) = (Arc::clone(world), Arc::clone(&subject));
        tasks.spawn(async move {
            for _ in 0..WRITES {
                let value = world.truth(key).written.fetch_add(1, SeqCst) + 1;
                subject.announce(key, value).await;
                world.truth(key).acknowledged.store(value, SeqCst);
                yield_now().await;
            }
            world.writers.fetch_sub(1, SeqCst);
        });
    }
    for reader in 0..READERS {
        let (world, subject) = (Arc::clone(world), Arc::clone(&subject));
        tasks.spawn(async move {
            while !world.is_over() {
                subject.read(reader % KEYS).await;
                yield_now().await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    for key in 0..KEYS {
        subject.read(key).await;
    }
    (world.answers.load(SeqCst), world.too_old.load(SeqCst))
}

struct Source(Arc<World>);

impl Loader<u64, u64> for Source {
    async fn load(&self, key: &u64, _cx: &LoadContext<u64>) -> Result<Loaded<u64>, LoadError> {
        let value = self.0.load(*key).await;
        // Now and then it fails, so that what is stale is served.
        if fastrand::u8(..16) == 0 {
            return Err(LoadError::permanent("the source is away"));
        }
        Ok(value.into())
    }

    fn keys_per_call(&self) -> usize {
        3
    }
}

struct Engine {
    world: Arc<World>,
    forewarm: Forewarm,
    items: Resource<u64, u64>,
}

impl Engine {
    async fn new(world: &Arc<World>) -> Self {
        let forewarm = Forewarm::builder().config(config()).build().await.unwrap();
        let policy = Policy {
            capacity: Capacity::Entries(100),
            stale_while_revalidate: Some(secs(600)),
            stale_if_error: Some(secs(600)),
            preload: PreloadPolicy {
                loads_per_second: 1e6,
                burst: 1_000_000,
                ..PreloadPolicy::default()
            },
            source: SourcePolicy { breaker_failures: 1_000_000, ..SourcePolicy::default() },
            ..plain()
        };
        let source = Source(Arc::clone(world));
        let items = forewarm.resource("item").policy(policy).loader(source).build().unwrap();
        forewarm.start().await.unwrap();
        Self { world: Arc::clone(world), forewarm, items }
    }
}

impl Subject for Engine {
    async fn read(&self, key: u64) {
        let (items, options) = (&self.items, ReadOptions::new());
        let keys = [key, (key + 1) % KEYS];
        let least = keys.map(|key| self.world.least(key));
        let answers = match fastrand::u8(..8) {
            0 => {
                items.preload(&keys).await;
                return;
            }
            // What is old is renewed by the next reader; it stays as right as it was.
            1 => {
                expire(items, key).await;
                return;
            }
            2 => items.get_many(&keys).await,
            3 => vec![items.read(&key, &options.refresh()).await.map(|read| read.value)],
            4 => vec![items.read(&key, &options.fresh_only()).await.map(|read| read.value)],
            5 => vec![items.with(&key, |value| value.copied().map(Arc::new)).await],
            6 => vec![Ok(items.peek(&key).and_then(|read| read.value))],
            _ => vec![items.get(&key).await],
        };
        for (answer, least) in answers.into_iter().zip(least) {
            if let Ok(Some(answer)) = answer {
                self.world.check(*answer, least);
            }
        }
    }

    async fn announce(&self, key: u64, value: u64) {
        match fastrand::u8(..16) {
            0 => self.items.clear(),
            1 => self.forewarm.clear(),
            2..6 => put(&self.items, key, value).await,
            _ => invalidate(&self.items, key).await,
        }
    }
}

/// A cache with one load per key, and without a fence: what an invalidation removes, a load that
/// began before it brings back.
struct Unfenced {
    world: Arc<World>,
    cache: moka::future::Cache<u64, u64>,
}

impl Unfenced {
    fn new(world: &Arc<World>) -> Self {
        Self { world: Arc::clone(world), cache: moka::future::Cache::new(100) }
    }
}

impl Subject for Unfenced {
    async fn read(&self, key: u64) {
        let least = self.world.least(key);
        let answer = self.cache.get_with(key, self.world.load(key)).await;
        self.world.check(answer, least);
    }

    async fn announce(&self, key: u64, _value: u64) {
        self.cache.invalidate(&key).await;
    }
}

/// G1: no answer is older than the newest change that had been announced when its read began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_answer_in_a_storm_is_older_than_the_last_invalidation() {
    let world = World::new();
    let engine = Arc::new(Engine::new(&world).await);
    let (answers, too_old) = storm(&world, Arc::clone(&engine)).await;
    assert!(answers > 1_000, "{answers} answers are no storm");
    assert_eq!(too_old, 0, "of {answers} answers");
    let stats = engine.items.stats();
    assert!(stats.l1_hits > 0 && stats.l1_stale > 0 && stats.misses > 0, "{stats:?}");
    assert!(stats.refreshes > 0 && stats.preload_count > 0, "{stats:?}");
}

/// G1: the check of the storm finds what a cache without a fence does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_storm_notices_a_cache_without_a_fence() {
    for _ in 0..100 {
        let world = World::new();
        let (_, too_old) = storm(&world, Arc::new(Unfenced::new(&world))).await;
        if too_old > 0 {
            return;
        }
    }
    panic!("a cache without a fence passed a hundred storms");
}

/// G1: the order of events that the fence is there for, with and without it.
#[tokio::test(start_paused = true)]
async fn a_load_held_over_an_invalidation_is_what_the_check_is_about() {
    for is_fenced in [false, true] {
        let (version, release) = (Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let is_held = Arc::new(AtomicBool::new(true));
        let (source, released) = (Arc::clone(&version), Arc::clone(&release));
        let load = move |_key: u64| {
            let (source, released) = (Arc::clone(&source), Arc::clone(&released));
            let waits = is_held.swap(false, SeqCst);
            async move {
                let value = source.load(SeqCst);
                if waits {
                    released.notified().await;
                }
                Ok::<_, LoadError>(value)
            }
        };
        let forewarm = Forewarm::builder().config(config()).build().await.unwrap();
        let cache = moka::future::Cache::<u64, u64>::new(100);
        let loader = load.clone();
        let items = forewarm.resource::<u64, u64>("item").policy(plain()).load_with(load);
        let items = items.build().unwrap();
        let read = async || match is_fenced {
            true => *items.get(&1).await.unwrap().unwrap(),
            false => cache.get_with(1, async { loader(1).await.unwrap() }).await,
        };
        let early = super::source::begun(read());
        version.store(1, SeqCst);
        if is_fenced {
            invalidate(&items, 1).await;
        } else {
            cache.invalidate(&1).await;
        }
        release.notify_one();
        assert_eq!(early.await, 0);
        assert_eq!(read().await, u64::from(is_fenced), "fenced: {is_fenced}");
    }
}
