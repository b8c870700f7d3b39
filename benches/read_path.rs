//! What reads cost with everything on: recording, freshness, fence and counters.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::cell::Cell;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use forewarm::{
    Capacity, Forewarm, LoadError, Loaded, Policy, PreloadPolicy, ReadOptions, Resource,
};
use futures_util::FutureExt as _;
use tokio::runtime::Runtime;

type Users = Resource<String, [u8; 200]>;

/// Reads of one measurement.
const READS: usize = 1_000;

fn name(nth: u64) -> String {
    format!("user:profile:{nth:08}")
}

/// An engine whose loader is ready at once, and names to read in random order.
async fn world(keys: u64) -> (Forewarm, Users, Vec<String>) {
    world_of(keys, Policy::default()).await
}

async fn world_of(keys: u64, policy: Policy) -> (Forewarm, Users, Vec<String>) {
    let forewarm = Forewarm::builder().build().await.unwrap();
    let policy = Policy { capacity: Capacity::Entries(4 * keys), ..policy };
    let users = forewarm
        .memory_resource::<String, [u8; 200]>("user")
        .policy(policy)
        .load_with(|_key| async { Ok::<_, LoadError>(Loaded::found([7; 200])) })
        .build()
        .unwrap();
    forewarm.start().await.unwrap();
    for nth in 0..keys {
        users.get(name(nth).as_str()).await.unwrap();
    }
    let mut random = Rng::with_seed(7);
    let names = (0..READS).map(|_| name(random.u64(..keys))).collect();
    (forewarm, users, names)
}

/// What it costs a hit that reads are learned from: beside the same hit where nothing is learned, in
/// the scope of a client, and in none. Back to back, most hits come too fast to be learned from; a
/// reader who has other work to do between them, as services have, is learned from in full.
fn learning(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let mut group = criterion.benchmark_group("hit_learned_from");
    group.throughput(Throughput::Elements(READS as u64));
    let preload = PreloadPolicy { associations: false, rules: false, ..PreloadPolicy::default() };
    let deaf = Policy { preload, ..Policy::default() };
    let (_forewarm, unlearned, names) = runtime.block_on(world_of(1_000, deaf));
    let (forewarm, users, _) = runtime.block_on(world(1_000));
    let read = |users: &Users| {
        for name in &names {
            black_box(users.get(name.as_str()).now_or_never().unwrap().unwrap());
        }
    };
    group.bench_function("off", |bench| bench.iter(|| read(&unlearned)));
    group.bench_function("no_scope", |bench| bench.iter(|| read(&users)));
    group.bench_function("in_scope", |bench| {
        bench.iter(|| forewarm.scope(&7, async { read(&users) }).now_or_never().unwrap());
    });
    let read_and_work = |users: &Users| {
        for name in &names {
            work();
            black_box(users.get(name.as_str()).now_or_never().unwrap().unwrap());
        }
    };
    group.bench_function("off_and_work", |bench| bench.iter(|| read_and_work(&unlearned)));
    group.bench_function("in_scope_and_work", |bench| {
        let scoped = || forewarm.scope(&7, async { read_and_work(&users) }).now_or_never().unwrap();
        bench.iter(scoped);
    });
    group.finish();
}

/// Takes about two microseconds, and touches no memory.
fn work() {
    let steps = 0..1_000_u64;
    black_box(
        steps.fold(black_box(1_u64), |x, step| (x ^ step).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    );
}

fn hits(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let mut group = criterion.benchmark_group("hit");
    group.throughput(Throughput::Elements(READS as u64));
    for keys in [1_000, 100_000] {
        let (_forewarm, users, names) = runtime.block_on(world(keys));
        group.bench_function(BenchmarkId::new("get", keys), |bench| {
            bench.iter(|| {
                for name in &names {
                    black_box(users.get(name.as_str()).now_or_never().unwrap().unwrap());
                }
            });
        });
        group.bench_function(BenchmarkId::new("with", keys), |bench| {
            let first = |value: Option<&[u8; 200]>| value.map(|bytes| bytes[0]);
            bench.iter(|| {
                for name in &names {
                    black_box(users.with(name.as_str(), first).now_or_never().unwrap().unwrap());
                }
            });
        });
        group.bench_function(BenchmarkId::new("read", keys), |bench| {
            let options = ReadOptions::new();
            bench.iter(|| {
                for name in &names {
                    black_box(users.read(name.as_str(), &options).now_or_never().unwrap().unwrap());
                }
            });
        });
        group.bench_function(BenchmarkId::new("peek", keys), |bench| {
            bench.iter(|| names.iter().for_each(|name| drop(black_box(users.peek(name.as_str())))));
        });
        group.bench_function(BenchmarkId::new("get_many_of_1000", keys), |bench| {
            bench.iter(|| black_box(users.get_many(&names).now_or_never().unwrap()));
        });
    }
    group.finish();
}

fn misses(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let _guard = runtime.enter();
    let (_forewarm, users, _) = runtime.block_on(world(10_000));
    let count = Cell::new(10_000_000);
    let fresh = || {
        let first = count.replace(count.get() + READS as u64);
        (first..first + READS as u64).map(name).collect::<Vec<_>>()
    };
    let mut group = criterion.benchmark_group("miss");
    group.throughput(Throughput::Elements(READS as u64));
    group.bench_function("get", |bench| {
        bench.iter_batched(
            fresh,
            |names| {
                for name in &names {
                    black_box(users.get(name.as_str()).now_or_never().unwrap().unwrap());
                }
                names
            },
            criterion::BatchSize::LargeInput,
        );
    });
    group.bench_function("get_many_of_1000", |bench| {
        let users = &users;
        bench.to_async(&runtime).iter_batched(
            fresh,
            |names| async move { black_box(users.get_many(&names).await) },
            criterion::BatchSize::LargeInput,
        );
    });
    group.bench_function("invalidate", |bench| {
        bench.iter_batched(
            fresh,
            |names| {
                for name in &names {
                    let _delivery = users.invalidate(name.as_str()).now_or_never().unwrap();
                }
                names
            },
            criterion::BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, learning, hits, misses);
criterion_main!(benches);
