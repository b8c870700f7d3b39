//! An engine, and what was seen of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use forewarm::{
    Capacity, Config, Delivery, Error, Forewarm, L2Config, LoadContext, LoadError, Loaded, Loader,
    Partition, Policy, PreloadMode, PreloadPolicy, ReadFrom, ReadOptions, Resource, SourcePolicy,
};
use parking_lot::Mutex;

use super::WINDOW;
use super::load::Load;
use super::machine::Stopwatch;
use super::oracle::{KEYS, Oracle};
use super::store::Store;

/// The longest that a load may take: what a read never waits longer than.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// The most calls of the source at a time.
pub(super) const CONCURRENCY: usize = 8;

/// More than this many notes of what was wrong help nobody.
const NOTES_MAX: usize = 5;

/// An engine with one resource.
pub(super) struct Node {
    which: usize,
    pub(super) engine: Forewarm,
    counters: Resource<u32, u64>,
    oracle: Arc<Oracle>,
    seen: Arc<Seen>,
    l2_hits: AtomicU64,
}

/// What was seen of the reads and loads of all nodes of a cell.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) gets: AtomicU64,
    pub(super) applied: AtomicU64,
    pub(super) queued: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) errors: AtomicU64,
    /// Loads that took too long while the machine was busy.
    pub(super) overdue: AtomicU64,
    pub(super) slowest_micros: AtomicU64,
    pub(super) loads_at_once: AtomicUsize,
    pub(super) notes: Mutex<Vec<String>>,
}

impl Seen {
    fn note(&self, note: impl FnOnce() -> String) {
        let mut notes = self.notes.lock();
        if notes.len() < NOTES_MAX {
            notes.push(note());
        }
    }
}

/// Reads the source, slowly enough for much to come in between.
struct Loads {
    oracle: Arc<Oracle>,
    seen: Arc<Seen>,
    under_way: AtomicUsize,
}

impl Loader<u32, u64> for Loads {
    async fn load(&self, key: &u32, _cx: &LoadContext<u64>) -> Result<Loaded<u64>, LoadError> {
        let at_once = self.under_way.fetch_add(1, Relaxed) + 1;
        self.seen.loads_at_once.fetch_max(at_once, Relaxed);
        let _guard = Leaves(&self.under_way);
        let value = self.oracle.value(*key);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(1..6))).await;
        Ok(Loaded::from(value).tags([tag_of(*key)]))
    }
}

struct Leaves<'a>(&'a AtomicUsize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

fn tag_of(key: u32) -> String {
    format!("tag-{}", key % 8)
}

impl Node {
    pub(super) async fn start(
        which: usize,
        store: &Store,
        load: Load,
        oracle: &Arc<Oracle>,
        seen: &Arc<Seen>,
    ) -> Arc<Self> {
        let l2 = L2Config { window: WINDOW, share_hot_every: None, ..L2Config::default() };
        let config = Config { prefix: "shop".into(), summary_every: None, l2, ..Config::default() };
        let builder = Forewarm::builder().config(config);
        let engine = store.open(which, builder).await.build().await.unwrap();
        let (oracle, seen) = (Arc::clone(oracle), Arc::clone(seen));
        let under_way = AtomicUsize::new(0);
        let loads = Loads { oracle: Arc::clone(&oracle), seen: Arc::clone(&seen), under_way };
        let counters = engine.resource::<u32, u64>("counter").policy(policy(load)).loader(loads);
        let counters = counters.build().unwrap();
        engine.start().await.unwrap();
        Arc::new(Self { which, engine, counters, oracle, seen, l2_hits: AtomicU64::new(0) })
    }

    /// Reads a key, and sees whether the answer is right and in time.
    pub(super) async fn get(&self, key: u32) {
        let floor = self.oracle.floor(self.which, key);
        let watch = Stopwatch::start();
        let read = self.counters.read(&key, &ReadOptions::new()).await;
        let micros = u64::try_from(watch.took().as_micros()).unwrap();
        self.seen.gets.fetch_add(1, Relaxed);
        self.seen.slowest_micros.fetch_max(micros, Relaxed);
        let which = self.which;
        match read {
            // A machine that has kept everybody waiting for as long has let the load wait too.
            Err(Error::Deadline { .. }) if watch.late() >= DEADLINE / 2 => {
                self.seen.overdue.fetch_add(1, Relaxed);
            }
            Err(error) => {
                self.seen.errors.fetch_add(1, Relaxed);
                self.seen.note(|| format!("node {which}, key {key}: {error:?}"));
            }
            Ok(read) => {
                let value = read.value.as_deref().copied();
                if value.is_none_or(|value| value < floor) {
                    self.seen.stale.fetch_add(1, Relaxed);
                    self.seen.note(|| {
                        format!("node {which}, key {key}: {value:?} of {floor} in {read:?}")
                    });
                }
                if read.from == ReadFrom::L2 {
                    self.l2_hits.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Changes a key and invalidates it, by itself or with others, as `way` says.
    pub(super) async fn invalidate(&self, key: u32, way: u32) {
        let value = self.oracle.change(key);
        let delivery = match way {
            0 => self.counters.invalidate_all().await,
            1 | 2 => self.counters.invalidate_tag(&tag_of(key)).await.unwrap(),
            3 | 4 => self.counters.invalidate_matching(&format!("{key}*")).await.unwrap(),
            _ => self.counters.invalidate(&key).await,
        };
        let is_applied = delivery == Delivery::Applied;
        self.oracle.returned(self.which, key, value, is_applied);
        let counted = if is_applied { &self.seen.applied } else { &self.seen.queued };
        counted.fetch_add(1, Relaxed);
    }

    /// Loads some keys ahead.
    pub(super) async fn preload(&self, key: u32) {
        let keys: Vec<u32> = (key..key + 8).map(|key| key % KEYS).collect();
        self.counters.preload(&keys).await;
    }

    /// How often a read was answered by L2.
    pub(super) fn l2_hits(&self) -> u64 {
        self.l2_hits.load(Relaxed)
    }

    /// Whether an invalidation is applied.
    pub(super) async fn applies(&self, key: u32) -> bool {
        self.counters.invalidate(&key).await == Delivery::Applied
    }
}

fn policy(load: Load) -> Policy {
    let mode = if load == Load::Preload { PreloadMode::Predicted } else { PreloadMode::Off };
    Policy {
        ttl: load.ttl(),
        capacity: Capacity::Entries(10_000),
        stale_while_revalidate: Some(Duration::from_secs(2)),
        refresh_spacing: Some(Duration::from_millis(50)),
        // So that whatever is given has been verified.
        partition: Partition::Strict,
        preload: PreloadPolicy { mode, loads_per_second: 1_000.0, ..PreloadPolicy::default() },
        source: SourcePolicy {
            deadline: DEADLINE,
            concurrency: CONCURRENCY,
            ..SourcePolicy::default()
        },
        ..Policy::default()
    }
}
