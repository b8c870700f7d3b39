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

use super::{Delivery, ReadOptions, Resource};
use crate::builder::Forewarm;
use crate::entry::Reason;
use crate::policy::{Capacity, Policy, SourcePolicy};
use crate::predictor::Candidate;
use crate::sync::Mutex;
use crate::tier::{
    Ask, Begun, Change, Cursor, Fill, Filled, Invalidation, Logged, Mark, Node, Permit, Polled,
    Selector, Stored, Swept, Tier, TierError, TierSize, Want,
};

/// Schedules of each exploration.
const SCHEDULES: usize = 60_000;

/// The same schedules in every run.
const SEED: u64 = 20;

const KEY: u32 = 7;
/// What the value is tagged with.
const TAG: &str = "odd";
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
        let counter = forewarm.resource("counter").policy(policy).load_with(load);
        counter.tags(|_key, _value| [TAG]).build().unwrap()
    }

    /// Reads, and fails if the value is older than the newest acknowledged before.
    async fn read(&self, resource: &Resource<u32, u32>, how: Reading) {
        let must = self.acknowledged.load(SeqCst);
        self.read_at_least(resource, how, must).await;
    }

    /// Reads, and fails if the value is older than `must`.
    async fn read_at_least(&self, resource: &Resource<u32, u32>, how: Reading, must: u32) {
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
        let (value, _is_applied) = self.change(resource, how).await;
        self.acknowledged.fetch_max(value, SeqCst);
    }

    /// The same for readers elsewhere, who are promised something once L2 has heard.
    async fn write_applied(&self, resource: &Resource<u32, u32>, how: Writing) {
        let (value, is_applied) = self.change(resource, how).await;
        if is_applied {
            self.acknowledged.fetch_max(value, SeqCst);
        }
    }

    /// Changes the source, and says so; gives the value, and whether L2 has heard.
    async fn change(&self, resource: &Resource<u32, u32>, how: Writing) -> (u32, bool) {
        let value = self.source.fetch_add(1, SeqCst) + 1;
        let delivery = match how {
            Writing::Invalidate => resource.invalidate(&KEY).await,
            Writing::Put => resource.put(&KEY, value).await,
            Writing::All => resource.invalidate_all().await,
            Writing::Tag => resource.invalidate_tag(TAG).await.unwrap(),
            Writing::Matching => resource.invalidate_matching("7*").await.unwrap(),
            Writing::Ungated => {
                let core = &resource.core;
                drop(core.fence.invalidate(&KEY, core.fence.hash(&KEY), false));
                let full_key = core.full_key(&KEY).unwrap();
                let l2 = &core.shared.as_ref().unwrap().l2;
                let _heard = l2.invalidate(&[Selector::Key(&full_key).into()]).await;
                Delivery::Applied
            }
            Writing::Unfenced => {
                resource.core.fence.forget(&KEY, resource.core.fence.hash(&KEY));
                Delivery::Applied
            }
        };
        (value, delivery == Delivery::Applied)
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
    All,
    Tag,
    Matching,
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

/// Lets one engine change things and another one, over the same L2, read; which holds once it has
/// heard of the change.
fn meet_elsewhere(
    tier: &SimTier,
    heeds: bool,
    readings: &'static [Reading],
    writers: &'static [Writing],
) {
    let (here, there) = (tier.clone(), tier.clone());
    block_on(async move {
        let world = World::default();
        let (near, near_resource) = engine(&world, here).await;
        let (far, far_resource) = engine(&world, there).await;
        for forewarm in [&near, &far].into_iter().filter(|_| heeds) {
            forewarm.follow();
        }
        let mut tasks = Vec::new();
        for reading in readings {
            let (world, far, resource) = (world.clone(), far.clone(), far_resource.clone());
            tasks.push(shuttle::future::spawn(async move {
                for _ in 0..2 {
                    let must = world.acknowledged.load(SeqCst);
                    let has_heard = far.sync().await;
                    world
                        .read_at_least(&resource, *reading, if has_heard { must } else { 0 })
                        .await;
                }
            }));
        }
        for writing in writers {
            let (world, resource) = (world.clone(), near_resource.clone());
            tasks.push(shuttle::future::spawn(async move {
                world.write_applied(&resource, *writing).await;
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let must = world.acknowledged.load(SeqCst);
        if far.sync().await {
            world.read_at_least(&far_resource, Reading::Get, must).await;
        }
    });
}

async fn engine(world: &World, tier: SimTier) -> (Forewarm, Resource<u32, u32>) {
    let forewarm = Forewarm::builder().tier(tier).build().await.unwrap();
    let resource = world.resource(&forewarm);
    (forewarm, resource)
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

#[test]
fn nothing_stale_after_groups_of_keys_were_invalidated() {
    const WRITERS: &[&[Writing]] = &[&[Writing::Tag, Writing::Matching], &[Writing::All]];
    holds("groups in memory", || meet(None, READERS, WRITERS));
    holds("groups", || meet(Some(SimTier::reliable()), READERS, WRITERS));
    holds("groups, failing L2", || meet(Some(SimTier::failing()), READERS, WRITERS));
}

const ELSEWHERE: &[Reading] = &[Reading::Get, Reading::Many, Reading::Refresh];
const EVERYTHING: &[Writing] =
    &[Writing::Invalidate, Writing::Tag, Writing::Put, Writing::Matching];

#[test]
fn nothing_stale_on_an_engine_that_has_heard_of_what_another_changed() {
    holds("another engine", || meet_elsewhere(&SimTier::reliable(), true, ELSEWHERE, EVERYTHING));
    holds("another engine, failing L2", || {
        meet_elsewhere(&SimTier::failing(), true, ELSEWHERE, EVERYTHING);
    });
}

/// The same exploration finds the fault if what was heard is not heeded.
#[test]
fn without_heeding_the_log_a_stale_read_is_found() {
    let (schedules, is_ok) =
        explore(|| meet_elsewhere(&SimTier::reliable(), false, ELSEWHERE, EVERYTHING));
    println!("without heeding: a stale read in schedule {schedules}");
    assert!(!is_ok, "{schedules} schedules found nothing");
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

/// A second tier in memory, as slow as the scheduler likes. Its clones are connections to the same
/// store.
#[derive(Clone)]
struct SimTier {
    store: Arc<Mutex<Store>>,
    steps: Arc<AtomicU32>,
    fails: bool,
    asks_permits: bool,
}

#[derive(Default)]
struct Store {
    rows: HashMap<String, Row>,
    sequence: u64,
    /// When each group was invalidated last. There is one key, with one tag, and every pattern
    /// matches it; so every group is about it.
    epoch: u64,
    log: Vec<Logged>,
}

#[derive(Default)]
struct Row {
    value: Option<(Vec<u8>, u64)>,
    permit: Option<(Permit, u64)>,
}

impl Store {
    fn begin(&mut self, ask: &Ask<'_>) -> Begun {
        let (sequence, epoch) = (self.sequence, self.epoch);
        let row = self.rows.entry(ask.key.to_owned()).or_default();
        match &row.value {
            Some((value, filled)) if ask.want != Want::Permit && *filled >= epoch => {
                Begun::Hit(Stored {
                    value: value.clone(),
                    age: Duration::ZERO,
                    fresh_for: LONG,
                    keep_for: LONG,
                    is_restored: false,
                    tags: vec![TAG.to_owned()],
                })
            }
            _ if ask.want == Want::Copy => Begun::Miss,
            _ => {
                // A permit may be taken over at any time, as if it had expired.
                row.permit = Some((ask.permit, sequence));
                Begun::Permit
            }
        }
    }

    fn fill(&mut self, fill: &Fill<'_>, asks_permits: bool) -> Filled {
        let (sequence, epoch) = (self.sequence, self.epoch);
        let row = self.rows.entry(fill.key.to_owned()).or_default();
        let given = row.permit.filter(|(permit, given)| *permit == fill.permit && *given >= epoch);
        let as_of = if asks_permits { given.map(|(_, given)| given) } else { Some(sequence) };
        let Some(as_of) = as_of else { return Filled::Refused };
        *row = Row { value: Some((fill.value.to_vec(), as_of)), permit: None };
        Filled::Stored
    }

    fn put(&mut self, by: Node, put: &Fill<'_>, since: &Cursor) -> Filled {
        let heard = since.0.first().map(|mark| mark.position);
        let is_safe = heard.is_some_and(|heard| self.log.iter().all(|logged| logged.id <= heard));
        self.change(by, Selector::Key(put.key));
        if !is_safe {
            return Filled::Refused;
        }
        let value = Some((put.value.to_vec(), self.sequence));
        self.rows.insert(put.key.to_owned(), Row { value, permit: None });
        Filled::Stored
    }

    fn change(&mut self, by: Node, selector: Selector<'_>) {
        self.sequence += 1;
        let change = crate::tier::Row::from(selector).change(None);
        if let Change::Key { key, .. } = &change {
            self.rows.remove(key);
        } else {
            self.epoch = self.sequence;
        }
        self.log.push(Logged { id: self.sequence, by, change });
    }
}

impl SimTier {
    fn reliable() -> Self {
        let (store, steps) = (Arc::default(), Arc::new(AtomicU32::new(0)));
        Self { store, steps, fails: false, asks_permits: true }
    }

    /// Fails now and then, before or after having done what it was asked.
    fn failing() -> Self {
        Self { fails: true, ..Self::reliable() }
    }

    fn without_permits() -> Self {
        Self { asks_permits: false, ..Self::reliable() }
    }

    #[expect(clippy::unused_async, reason = "what calls a store waits for it")]
    async fn call<T>(&self, act: impl FnOnce(&mut Store) -> T) -> Result<T, TierError> {
        let fate = if self.fails { shuttle::rand::thread_rng().gen_range(0..6) } else { 6 };
        // Points at which the scheduler may turn to somebody else.
        self.steps.fetch_add(1, SeqCst);
        if fate == 0 {
            return Err(TierError::new("not done"));
        }
        let done = act(&mut self.store.lock());
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
        self.call(|store| asks.iter().map(|ask| store.begin(ask)).collect()).await
    }

    async fn fill(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>, TierError> {
        let asks_permits = self.asks_permits;
        self.call(|store| fills.iter().map(|fill| store.fill(fill, asks_permits)).collect()).await
    }

    async fn put(
        &self,
        by: Node,
        puts: &[Fill<'_>],
        since: &Cursor,
    ) -> Result<Vec<Filled>, TierError> {
        self.call(|store| puts.iter().map(|put| store.put(by, put, since)).collect()).await
    }

    async fn invalidate(
        &self,
        by: Node,
        invalidations: &[Invalidation<'_>],
    ) -> Result<(), TierError> {
        let change = |store: &mut Store| {
            for invalidation in invalidations {
                store.change(by, invalidation.selector);
            }
        };
        self.call(change).await
    }

    async fn expire(&self, by: Node, keys: &[&str]) -> Result<(), TierError> {
        let keys: Vec<_> = keys.iter().map(|key| Selector::Key(key).into()).collect();
        self.invalidate(by, &keys).await
    }

    async fn poll(&self, since: &Cursor) -> Result<Polled, TierError> {
        let heard = since.0.first().map_or(0, |mark| mark.position);
        let poll = |store: &mut Store| Polled {
            cursor: Cursor(vec![Mark { incarnation: 1, position: store.sequence }]),
            changes: store.log.iter().filter(|logged| logged.id > heard).cloned().collect(),
            is_gap: since.0.is_empty(),
            has_more: false,
        };
        self.call(poll).await
    }

    async fn sweep(&self, _rows_max: u32) -> Result<Swept, TierError> {
        Ok(Swept::default())
    }

    async fn size(&self) -> Result<TierSize, TierError> {
        Ok(TierSize::default())
    }

    async fn close(&self) {}
}
