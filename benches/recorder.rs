//! What it costs to record reads, and to ask what was recorded.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use forewarm::measured::Recording;
use forewarm::{Capacity, Forewarm, LoadError, Loaded, Policy};
use tokio::runtime::Runtime;

/// Reads of one measurement.
const READS: usize = 10_000;

fn record(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recorder");
    group.throughput(Throughput::Elements(READS as u64));
    for keys in [1_000, 100_000, 1_000_000] {
        let mut random = Rng::with_seed(7);
        let places: Vec<_> = (0..READS).map(|_| random.usize(..keys)).collect();
        let mut recording = Recording::new(keys);
        group.bench_function(BenchmarkId::new("resident", keys), |bench| {
            bench.iter(|| places.iter().for_each(|nth| recording.read_resident(*nth)));
        });
        group.bench_function(BenchmarkId::new("score", keys), |bench| {
            bench.iter(|| places.iter().map(|nth| recording.score(*nth)).sum::<f64>());
        });
        group.bench_function(BenchmarkId::new("absent", keys), |bench| {
            bench.iter(|| (0..READS).for_each(|_| recording.read_absent(random.u64(..))));
        });
    }
    group.finish();
}

fn hot_keys(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = criterion.benchmark_group("hot_keys");
    group.sample_size(20);
    for keys in [10_000, 100_000, 1_000_000] {
        let (_forewarm, resource) = runtime.block_on(async {
            let forewarm = Forewarm::builder().build().await.unwrap();
            let policy = Policy { capacity: Capacity::Entries(2 * keys), ..Policy::default() };
            let resource = forewarm
                .memory_resource::<u64, u64>("user")
                .policy(policy)
                .load_with(|key| async move { Ok::<_, LoadError>(Loaded::found(key)) })
                .build()
                .unwrap();
            for key in 0..keys {
                resource.get(&key).await.unwrap();
            }
            (forewarm, resource)
        });
        group.bench_function(BenchmarkId::new("1000_of", keys), |bench| {
            bench.iter(|| black_box(resource.hot_keys(1_000)));
        });
    }
    group.finish();
}

criterion_group!(benches, record, hot_keys);
criterion_main!(benches);
