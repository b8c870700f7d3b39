//! What is particular to the SQLite tier.

use std::path::PathBuf;
use std::time::Duration;

use forewarm::clock::Clock;
use forewarm::{SqliteOptions, SqliteTier};
use jiff::Timestamp;
use tempfile::TempDir;

use crate::tier_contract::{self, Bed};

/// A directory with a database in it, and a clock that tests move.
struct Home {
    directory: TempDir,
    clock: Clock,
}

impl Home {
    fn new() -> Self {
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        Self { directory: tempfile::tempdir().unwrap(), clock }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("cache.db")
    }

    fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.path()).clock(self.clock.clone())
    }
}

impl Bed for Home {
    type Tier = SqliteTier;

    const UNIT: Duration = Duration::from_hours(1);

    async fn new() -> Self {
        Self::new()
    }

    async fn open(&self) -> SqliteTier {
        self.options().open().await.unwrap()
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_a_tier_holds() {
    tier_contract::holds_for::<Home>().await;
}
