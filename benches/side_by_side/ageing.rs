//! Entries that come due one after the other, on paused time.

use std::time::Duration;

use forewarm::{Capacity, Forewarm, LoadError, Loaded, Policy, PreloadPolicy, Resource};
use tokio::runtime::{Builder, Runtime};
use tokio::time::advance;

use crate::cpu::cpu_time;

pub(crate) const TTL_SECS: u64 = 300;

/// An engine whose entries were stored evenly over a ttl and read as often.
pub(crate) struct World {
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
    pub(crate) fn new(keys: u64, reads: u32) -> Self {
        let runtime =
            Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (forewarm, users) = runtime.block_on(async {
            let forewarm = Forewarm::builder().build().await.unwrap();
            let preload =
                PreloadPolicy { loads_per_second: 1e6, burst: 1_000_000, ..Default::default() };
            let policy = Policy {
                capacity: Capacity::Entries(4 * keys),
                ttl: Duration::from_secs(TTL_SECS),
                preload,
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
            world.read_new();
            world.let_pass();
        }
        world
    }

    /// Reads new keys, and lets a second pass; gives the processor time of the latter.
    pub(crate) fn pass_a_second(&mut self) -> Duration {
        self.read_new();
        let began = cpu_time();
        self.let_pass();
        cpu_time() - began
    }

    /// Reads as many new keys as come due.
    pub(crate) fn read_new(&mut self) {
        self.runtime.block_on(async {
            for key in self.next..self.next + self.per_second {
                for _ in 0..self.reads {
                    self.users.get(&key).await.unwrap();
                }
            }
            // What the reads themselves set off is not part of the second.
            tokio::task::yield_now().await;
        });
        self.next += self.per_second;
    }

    /// A second, with all that is done in the background.
    pub(crate) fn let_pass(&self) {
        self.runtime.block_on(async {
            advance(Duration::from_secs(1)).await;
            tokio::task::yield_now().await;
        });
    }
}
