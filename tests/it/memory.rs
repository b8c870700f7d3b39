//! What survives a restart, and what is loaded after one.

mod damage;
mod kill;
mod learned;
mod ready;
mod restart;
mod seeds;
mod sharing;

use std::path::PathBuf;
use std::time::Duration;

use forewarm::{
    Builder, Clock, Config, Forewarm, MemoryConfig, Policy, PreloadPolicy, Resource, SourcePolicy,
};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::foresight::scrapes::Scrapes;
use crate::foresight::source::{Source, config, item, plain};

const LONG: Duration = Duration::from_hours(1);

/// A folder with the file in which something is remembered.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("memory")
    }

    fn terms(&self) -> MemoryConfig {
        MemoryConfig { file: Some(self.file()), ..MemoryConfig::default() }
    }

    fn builder(&self) -> Builder {
        Forewarm::builder().config(config()).memory(self.file())
    }

    /// An engine that has not been started.
    async fn engine(&self) -> Forewarm {
        self.builder().build().await.unwrap()
    }

    /// An engine whose wall clock begins at this second.
    async fn engine_at(&self, second: i64) -> Forewarm {
        let clock = Clock::starting_at(Timestamp::from_second(second).unwrap());
        self.builder().clock(clock).build().await.unwrap()
    }

    /// An engine with these terms.
    async fn engine_with(&self, terms: MemoryConfig) -> Forewarm {
        let config = Config { memory: terms, ..config() };
        Forewarm::builder().config(config).build().await.unwrap()
    }
}

/// A policy that loads one key at a time, and renews nothing.
fn one_by_one() -> Policy {
    Policy {
        ttl: LONG,
        preload: PreloadPolicy { renewals: false, ..PreloadPolicy::default() },
        source: SourcePolicy { concurrency: 2, preload_share: 0.5, attempts: 1, ..plain().source },
        ..plain()
    }
}

/// Starts an engine with a resource `item`.
async fn start(forewarm: &Forewarm, policy: Policy, source: &Source<u64>) -> Resource<u64, String> {
    let items = item(forewarm, policy, source);
    forewarm.start().await.unwrap();
    items
}

/// Has an engine remember these keys, each read so often.
async fn remember(home: &Home, keys: &[(u64, usize)]) {
    let forewarm = home.engine().await;
    let items = start(&forewarm, one_by_one(), &Source::new()).await;
    read_all(&items, keys).await;
    assert!(end(&forewarm).await);
}

async fn read_all(items: &Resource<u64, String>, keys: &[(u64, usize)]) {
    for (key, times) in keys {
        for _ in 0..*times {
            items.get(key).await.unwrap();
        }
    }
}

async fn end(forewarm: &Forewarm) -> bool {
    forewarm.shutdown(Duration::from_secs(5)).await
}

/// The keys that a source was asked for, in order.
fn asked(source: &Source<u64>) -> Vec<u64> {
    source.calls().iter().map(|call| call.key).collect()
}

/// What an engine counts of its memory.
struct Counts<'a> {
    forewarm: &'a Forewarm,
    scrapes: Scrapes,
}

impl<'a> Counts<'a> {
    fn of(forewarm: &'a Forewarm) -> Self {
        Self { forewarm, scrapes: Scrapes::new() }
    }

    /// A counter as it is now.
    fn get(&mut self, name: &str, outcome: &str) -> u64 {
        self.scrapes.take(self.forewarm);
        self.scrapes.counter(&format!("forewarm_memory_{name}_total"), &[("outcome", outcome)])
    }
}
