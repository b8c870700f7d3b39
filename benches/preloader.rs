//! What it costs to look after entries: a second of the preloader's life on paused time.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has nothing to say")]

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use forewarm::{Capacity, Forewarm, LoadError, Loaded, Policy, PreloadPolicy, Resource};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};
use tokio::time::advance;

const TTL_SECS: u64 = 300;

/// An engine whose entries were stored evenly over a ttl, and reads of the keys after them.
struct World {
    runtime: Runtime,
    _forewarm: Forewarm,
    users: Resource<u64, u64>,
    /// The keys that come due in a second.
    per_second: u64,
    next: u64,
    /// How often each key is read.
    reads: u32,
}

impl World {
    fn new(keys: u64, reads: u32) -> Self {
        let runtime =
            Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (forewarm, users) = runtime.block_on(async {
            let forewarm = Forewarm::builder().build().await.unwrap();
            let policy = Policy {
                capacity: Capacity::Entries(4 * keys),
                ttl: Duration::from_secs(TTL_SECS),
                preload: PreloadPolicy {
                    loads_per_second: 1e6,
                    burst: 1_000_000,
                    ..PreloadPolicy::default()
                },
                ..Policy::default()
            };
            let users = forewarm
                .memory_resource::<u64, u64>("user")
                .policy(policy)
                .load_with(|key| async move { Ok::<_, LoadError>(Loaded::found(key)) })
                .build()
                .unwrap();
            forewarm.start().await.unwrap();
            (forewarm, users)
        });
        let per_second = keys / TTL_SECS;
        let mut world = Self { runtime, _forewarm: forewarm, users, per_second, next: 0, reads };
        for _ in 0..TTL_SECS {
            world.pass_a_second();
        }
        world
    }

    /// Reads new keys, and lets a second pass; gives the processor time of the latter.
    fn pass_a_second(&mut self) -> Duration {
        self.runtime.block_on(async {
            for key in self.next..self.next + self.per_second {
                for _ in 0..self.reads {
                    self.users.get(&key).await.unwrap();
                }
            }
        });
        self.next += self.per_second;
        let began = cpu_time();
        self.runtime.block_on(async {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        });
        cpu_time() - began
    }
}

fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

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
