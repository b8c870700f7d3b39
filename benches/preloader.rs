//! What it costs to look after entries: a second of the preloader's life on paused time.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use self::ageing::{TTL_SECS, World};

#[path = "side_by_side/ageing.rs"]
mod ageing;
#[path = "side_by_side/cpu.rs"]
mod cpu;

fn preloader(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("preloader");
    group.sample_size(20);
    for keys in [30_000, 300_000] {
        group.throughput(Throughput::Elements(keys / TTL_SECS));
        for (name, reads) in [("a_second_of_keys_read_once", 1), ("a_second_of_keys_read_often", 8)]
        {
            let mut world = World::new(keys, reads);
            group.bench_function(BenchmarkId::new(name, keys), |bench| {
                bench.iter_custom(|seconds| (0..seconds).map(|_| world.pass_a_second()).sum());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, preloader);
criterion_main!(benches);
