//! The promise of [`Resource`], over many orders in which readers, writers and loads can meet.
//!
//! The whole engine runs here as it is, on shuttle's scheduler: fence, flights, memory tier,
//! coherence and limits; only the source and L2 are small models. Run with
//! `RUSTFLAGS="--cfg shuttle" cargo test --no-default-features --lib explored`.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Duration;

use shuttle::future::{block_on, yield_now};
use shuttle::rand::Rng as _;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::AtomicU32;

use super::{ReadOptions, Resource};
use crate::builder::Forewarm;
use crate::entry::Reason;
use crate::policy::{Capacity, Policy, SourcePolicy};
use crate::predictor::Candidate;
use crate::sync::Mutex;
use crate::tier::{
    Ask, Begun, Cursor, Fill, Filled, Invalidation, Node, Permit, Polled, Selector, Stored, Swept,
    Tier, TierError, TierSize, Want,
};

/// Schedules of each exploration.
const SCHEDULES: usize = 60_000;

/// The same schedules in every run.
const SEED: u64 = 20;

const KEY: u32 = 7;
const LONG: Duration = Duration::from_secs(3_600);

/// A source whose one value only grows, and the newest that an invalidation has been acknowledged
/// for.
#[derive(Clone, Default)]
struct World {
    source: Arc<AtomicU32>,
    acknowledged: Arc<AtomicU32>,
}

impl World {
    fn resource(&self, forewarm: &Forewarm) -> Resource<u32, u32> {
        let source = Arc::clone(&self.source);
        let policy = Policy {
            capacity: Capacity::Entries(100),
            tracked_keys: 64,
            source: SourcePolicy { attempts: 1, ..SourcePolicy::default() },
            ..Policy::default()
        };
        let load = move |_key: u32| {
            let source = Arc::clone(&source);
            async move {
                let value = source.load(SeqCst);
                // Some loads end in the caller's place, and some in a task of their own.
                if shuttle::rand::thread_rng().gen_bool(0.5) {
                    yield_now().await;
                }
                Ok(value)
            }
        };
        forewarm.resource("counter").policy(policy).load_with(load).build().unwrap()
    }

    /// Reads, and fails if the value is older than the newest acknowledged before.
    async fn read(&self, resource: &Resource<u32, u32>, how: Reading) {
        let must = self.acknowledged.load(SeqCst);
        let value = match how {
            Reading::Get => resource.get(&KEY).await.unwrap(),
            Reading::Many => resource.get_many(&[KEY]).await.remove(0).unwrap(),
            Reading::Refresh => {
                resource.read(&KEY, &ReadOptions::new().refresh()).await.unwrap().value
            }
            Reading::Preload => {
                resource.preload(&[KEY]).await;
                return;
            }
            Reading::Copy => {
                let hash = resource.core.fence.hash(&KEY);
                let candidate = Candidate::new(KEY, hash, 0.3, Reason::Association);
                return resource.core.copy_ahead(vec![candidate]);
            }
        };
        let value = *value.unwrap();
        assert!(value >= must, "stale: {value}, though {must} was acknowledged");
    }

    /// Changes the source, says so, and acknowledges.
    async fn write(&self, resource: &Resource<u32, u32>, how: Writing) {
        let value = self.source.fetch_add(1, SeqCst) + 1;
        match how {
            Writing::Invalidate => drop(resource.invalidate(&KEY).await),
            Writing::Put => drop(resource.put(&KEY, value).await),
            Writing::Ungated => {
                let core = &resource.core;
                drop(core.fence.invalidate(&KEY, core.fence.hash(&KEY), false));
                let full_key = core.full_key(&KEY).unwrap();
                let l2 = &core.shared.as_ref().unwrap().l2;
                let _heard = l2.invalidate(&[Selector::Key(&full_key).into()]).await;
            }
            Writing::Unfenced => resource.core.fence.forget(&KEY, resource.core.fence.hash(&KEY)),
        }
        self.acknowledged.fetch_max(value, SeqCst);
    }
}

#[derive(Clone, Copy)]
enum Reading {
    Get,
    Many,
    Refresh,
    Preload,
    Copy,
}

#[derive(Clone, Copy)]
enum Writing {
    Invalidate,
    Put,
    /// An invalidation that leaves L2 open for reading, whether or not L2 has heard of it.
    Ungated,
    /// An invalidation without the fence.
    Unfenced,
}

/// Runs readers and writers against each other, each a task, and looks once more when all is over.
fn meet(
    tier: Option<SimTier>,
    readers: &'static [&'static [Reading]],
    writers: &'static [&'static [Writing]],
) {
    block_on(async move {
        let builder = Forewarm::builder();
        let builder = match tier {
            Some(tier) => builder.tier(tier),
            None => builder,
        };
        let forewarm = builder.build().await.unwrap();
        let world = World::default();
        let resource = world.resource(&forewarm);
        let mut tasks = Vec::new();
        for reader in readers {
            let (world, resource) = (world.clone(), resource.clone());
            tasks.push(shuttle::future::spawn(async move {
                for how in *reader {
                    world.read(&resource, *how).await;
                }
            }));
        }
        for writer in writers {
            let (world, resource) = (world.clone(), resource.clone());
            tasks.push(shuttle::future::spawn(async move {
                for how in *writer {
                    world.write(&resource, *how).await;
                    // What is only in L2 must be as good as what is in memory.
                    resource.clear();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        world.read(&resource, Reading::Get).await;
        resource.core.deliver_queued().await;
        resource.clear();
        world.read(&resource, Reading::Get).await;
    });
}

/// Tries many schedules; gives how many, and whether all went well.
fn explore(scenario: impl Fn() + Clone + Send + Sync + 'static) -> (u64, bool) {
    let tried = Arc::new(AtomicU64::new(0));
    let counted = {
        let tried = Arc::clone(&tried);
        move || {
            tried.fetch_add(1, Relaxed);
            scenario();
        }
    };
    let mut config = shuttle::Config::new();
    config.failure_persistence = shuttle::FailurePersistence::Print;
    config.stack_size = 256 * 1024;
    let random = counted.clone();
    let is_ok = catch_unwind(AssertUnwindSafe(|| {
        let scheduler = PctScheduler::new_from_seed(SEED, 3, SCHEDULES / 2);
        shuttle::Runner::new(scheduler, config.clone()).run(counted);
        let scheduler = RandomScheduler::new_from_seed(SEED, SCHEDULES / 2);
        shuttle::Runner::new(scheduler, config.clone()).run(random);
    }))
    .is_ok();
    (tried.load(Relaxed), is_ok)
}

fn holds(name: &str, scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let (schedules, is_ok) = explore(scenario);
    println!("{name}: {schedules} schedules, {}", if is_ok { "all well" } else { "FAILED" });
    assert!(is_ok && schedules >= 50_000, "{name}: {schedules} schedules");
}

const READERS: &[&[Reading]] = &[&[Reading::Get, Reading::Get], &[Reading::Get, Reading::Get]];
const INVALIDATORS: &[&[Writing]] = &[&[Writing::Invalidate], &[Writing::Invalidate]];

#[test]
fn nothing_stale_in_memory() {
    holds("memory", || meet(None, READERS, INVALIDATORS));
}

#[test]
fn nothing_stale_from_refreshes_batches_and_preloads() {
    const READERS: &[&[Reading]] =
        &[&[Reading::Preload, Reading::Get], &[Reading::Refresh, Reading::Many]];
    holds("refreshes, batches, preloads", || meet(None, READERS, INVALIDATORS));
}

#[test]
fn nothing_stale_around_a_put() {
    const WRITERS: &[&[Writing]] = &[&[Writing::Put, Writing::Invalidate, Writing::Put]];
    holds("put", || meet(None, READERS, WRITERS));
}

#[test]
fn nothing_stale_from_l2() {
    holds("L2", || meet(Some(SimTier::reliable()), READERS, INVALIDATORS));
}

#[test]
fn nothing_stale_from_l2_around_a_put() {
    const WRITERS: &[&[Writing]] = &[&[Writing::Put, Writing::Invalidate]];
    holds("L2 and put", || meet(Some(SimTier::reliable()), READERS, WRITERS));
}

/// Nor is anybody left without a value who joins a copy that L2 does not hold.
#[test]
fn nothing_stale_from_copies() {
    const READERS: &[&[Reading]] = &[
        &[Reading::Copy, Reading::Get, Reading::Copy],
        &[Reading::Copy, Reading::Preload, Reading::Get],
    ];
    holds("copies", || meet(Some(SimTier::reliable()), READERS, INVALIDATORS));
    holds("copies, failing L2", || meet(Some(SimTier::failing()), READERS, INVALIDATORS));
}

#[test]
fn nothing_stale_from_an_l2_that_fails_and_loses_answers() {
    holds("failing L2", || meet(Some(SimTier::failing()), READERS, INVALIDATORS));
}

/// The same exploration finds the fault if the fence is taken out.
#[test]
fn without_the_fence_a_stale_read_is_found() {
    const WRITERS: &[&[Writing]] = &[&[Writing::Unfenced], &[Writing::Unfenced]];
    let (schedules, is_ok) = explore(|| meet(None, READERS, WRITERS));
    println!("without the fence: a stale read in schedule {schedules}");
    assert!(!is_ok, "{schedules} schedules found nothing");
}

/// The same exploration finds the fault if L2 takes values without a permit.
#[test]
fn without_permits_a_stale_read_is_found() {
    let (schedules, is_ok) =
        explore(|| meet(Some(SimTier::without_permits()), READERS, INVALIDATORS));
    println!("without permits: a stale read in schedule {schedules}");
    assert!(!is_ok, "{schedules} schedules found nothing");
}

/// The same exploration finds the fault if L2 is read before it has heard of an invalidation.
#[test]
fn without_the_gate_a_stale_read_is_found() {
    const WRITERS: &[&[Writing]] = &[&[Writing::Ungated], &[Writing::Ungated]];
    let (schedules, is_ok) = explore(|| meet(Some(SimTier::failing()), READERS, WRITERS));
    println!("without the gate: a stale read in schedule {schedules}");
    assert!(!is_ok, "{schedules} schedules found nothing");
}

/// A second tier in memory, as slow as the scheduler likes.
struct SimTier {
    rows: Mutex<HashMap<String, Row>>,
    steps: AtomicU32,
    fails: bool,
    asks_permits: bool,
}

#[derive(Default)]
struct Row {
    value: Option<Vec<u8>>,
    permit: Option<Permit>,
}

impl SimTier {
    fn reliable() -> Self {
        let (rows, steps) = (Mutex::default(), AtomicU32::new(0));
        Self { rows, steps, fails: false, asks_permits: true }
    }

    /// Fails now and then, before or after having done what it was asked.
    fn failing() -> Self {
        Self { fails: true, ..Self::reliable() }
    }

    fn without_permits() -> Self {
        Self { asks_permits: false, ..Self::reliable() }
    }

    #[expect(clippy::unused_async, reason = "what calls a store waits for it")]
    async fn call<T>(
        &self,
        act: impl FnOnce(&mut HashMap<String, Row>) -> T,
    ) -> Result<T, TierError> {
        let fate = if self.fails { shuttle::rand::thread_rng().gen_range(0..6) } else { 6 };
        // Points at which the scheduler may turn to somebody else.
        self.steps.fetch_add(1, SeqCst);
        if fate == 0 {
            return Err(TierError::new("not done"));
        }
        let done = act(&mut self.rows.lock());
        self.steps.fetch_add(1, SeqCst);
        if fate == 1 { Err(TierError::new("done, and the answer lost")) } else { Ok(done) }
    }
}

impl Tier for SimTier {
    async fn begin(
        &self,
        asks: &[Ask<'_>],
        _permit_for: Duration,
    ) -> Result<Vec<Begun>, TierError> {
        self.call(|rows| {
            let begin = |ask: &Ask<'_>| {
                let row = rows.entry(ask.key.to_owned()).or_default();
                match &row.value {
                    Some(value) if ask.want != Want::Permit => Begun::Hit(Stored {
                        value: value.clone(),
                        age: Duration::ZERO,
                        fresh_for: LONG,
                        keep_for: LONG,
                        is_restored: false,
                        tags: Vec::new(),
                    }),
                    _ if ask.want == Want::Copy => Begun::Miss,
                    _ => {
                        // A permit may be taken over at any time, as if it had expired.
                        row.permit = Some(ask.permit);
                        Begun::Permit
                    }
                }
            };
            asks.iter().map(begin).collect()
        })
        .await
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        self.call(|rows| {
            let fill = |fill: &Fill<'_>| {
                let row = rows.entry(fill.key.to_owned()).or_default();
                if self.asks_permits && row.permit != Some(fill.permit) {
                    return Filled::Refused;
                }
                *row = Row { value: Some(fill.value.to_vec()), permit: None };
                Filled::Stored
            };
            fills.iter().map(fill).collect()
        })
        .await
    }

    async fn put(
        &self,
        _by: Node,
        puts: &[Fill<'_>],
        _since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        self.call(|rows| {
            for put in puts {
                let row = Row { value: Some(put.value.to_vec()), permit: None };
                rows.insert(put.key.to_owned(), row);
            }
            vec![Filled::Stored; puts.len()]
        })
        .await
    }

    async fn invalidate(
        &self,
        _by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        self.call(|rows| {
            for invalidation in invalidations {
                match invalidation.selector {
                    Selector::Key(key) => drop(rows.remove(key)),
                    _ => rows.clear(),
                }
            }
        })
        .await
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        let keys: Vec<_> = keys.iter().map(|key| Selector::Key(key).into()).collect();
        self.invalidate(by, &keys).await
    }

    async fn poll(&self, _since: &Cursor) -> Result<Polled, TierError> {
        Ok(Polled::default())
    }

    async fn sweep(&self, _rows_max: u32) -> Result<Swept, TierError> {
        Ok(Swept::default())
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        Ok(TierSize::default())
    }

    async fn close(&self) {}
}
