//! What the SQLite tier costs: 100,000 rows with values of 200 bytes.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use forewarm::{
    Ask, Begun, Cursor, Fill, Filled, Node, Permit, Selector, SqliteTier, Tier as _, Want,
};
use futures_util::future::join_all;
use tokio::runtime::Runtime;
use tokio::time::Instant;

const ROWS: u64 = 100_000;
const VALUE: [u8; 200] = [7; 200];
const NODE: Node = Node(7);
const HOUR: Duration = Duration::from_hours(1);

/// A tier with all its rows, and keys to use.
struct World {
    tier: SqliteTier,
    next: AtomicU64,
    _directory: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tier = SqliteTier::open(directory.path().join("cache.db")).await.unwrap();
        let start = end_of_log(&tier).await;
        for thousand in 0..ROWS / 1000 {
            let keys: Vec<_> = (0..1000).map(|nth| key(thousand * 1000 + nth)).collect();
            let puts: Vec<_> = keys.iter().map(|key| fill(key, Permit(0))).collect();
            put(&tier, &puts, &start).await;
        }
        Self { tier, next: AtomicU64::new(0), _directory: directory }
    }

    /// Keys that are there, all over the file.
    fn stored(&self, count: u64) -> Vec<String> {
        let start = self.next.fetch_add(count, Relaxed);
        (start..start + count).map(|nth| key(nth.wrapping_mul(7919) % ROWS)).collect()
    }

    /// Keys that are not there.
    fn missing(&self, count: u64) -> Vec<String> {
        let start = self.next.fetch_add(count, Relaxed);
        (start..start + count).map(|nth| format!("bench:team:{nth:08}")).collect()
    }

    async fn hit(&self, keys: &[String]) {
        let begun = self.tier.begin(&asks(keys), HOUR).await.unwrap();
        assert!(begun.iter().all(|begun| matches!(begun, Begun::Hit(_))));
    }

    async fn load(&self, keys: &[String]) {
        let asks = asks(keys);
        self.tier.begin(&asks, HOUR).await.unwrap();
        let fills: Vec<_> = asks.iter().map(|ask| fill(ask.key, ask.permit)).collect();
        self.tier.fill(&fills).await.unwrap();
    }
}

/// Where the log ends: whoever has heard less may store nothing by a put.
async fn end_of_log(tier: &SqliteTier) -> Cursor {
    let mut since = Cursor::default();
    loop {
        let polled = tier.poll(&since).await.unwrap();
        since = polled.cursor;
        if !polled.has_more {
            return since;
        }
    }
}

async fn put(tier: &SqliteTier, puts: &[Fill<'_>], since: &Cursor) {
    let filled = tier.put(NODE, puts, since).await.unwrap();
    assert!(filled.iter().all(|filled| *filled == Filled::Stored));
}

fn key(nth: u64) -> String {
    format!("bench:user:{nth:08}")
}

fn asks(keys: &[String]) -> Vec<Ask<'_>> {
    let ask = |(nth, key)| Ask { key, permit: Permit(nth), want: Want::Value };
    (1..).zip(keys.iter().map(String::as_str)).map(ask).collect()
}

fn fill(key: &str, permit: Permit) -> Fill<'_> {
    let (fresh_for, keep_for) = (HOUR, 2 * HOUR);
    let age = Duration::ZERO;
    Fill { key, permit, value: &VALUE, age, fresh_for, keep_for, tags: &[], version: None }
}

fn l2_sqlite(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let world = &runtime.block_on(World::new());
    let mut group = criterion.benchmark_group("l2_sqlite");
    for count in [1, 64, 1000] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("begin_hit/{count}"), |bench| {
            bench.to_async(&runtime).iter(|| async { world.hit(&world.stored(count)).await });
        });
    }
    for count in [1, 64] {
        group.throughput(Throughput::Elements(count));
        group.bench_function(format!("begin_fill/{count}"), |bench| {
            bench.to_async(&runtime).iter(|| async { world.load(&world.missing(count)).await });
        });
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("invalidate", |bench| {
        bench.to_async(&runtime).iter(|| async {
            let keys = world.missing(1);
            let invalidations: Vec<_> = keys.iter().map(|key| Selector::Key(key).into()).collect();
            world.tier.invalidate(NODE, &invalidations).await.unwrap();
        });
    });
    group.bench_function("put", |bench| {
        bench.to_async(&runtime).iter_custom(|count| async move {
            let since = end_of_log(&world.tier).await;
            let keys = world.stored(count);
            let began = Instant::now();
            for key in &keys {
                put(&world.tier, &[fill(key, Permit(0))], &since).await;
            }
            began.elapsed()
        });
    });
    // Callers who come at once: hits share the readers, loads share a transaction.
    group.throughput(Throughput::Elements(64));
    group.bench_function("begin_hit/64_callers", |bench| {
        bench.to_async(&runtime).iter(|| async {
            let keys = world.stored(64);
            join_all(keys.chunks(1).map(|keys| world.hit(keys))).await;
        });
    });
    group.bench_function("begin_fill/64_callers", |bench| {
        bench.to_async(&runtime).iter(|| async {
            let keys = world.missing(64);
            join_all(keys.chunks(1).map(|keys| world.load(keys))).await;
        });
    });
    group.finish();
}

criterion_group!(benches, l2_sqlite);
criterion_main!(benches);
