//! What is particular to the PostgreSQL tier.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use forewarm::{Clock, PostgresOptions, PostgresTier};
use jiff::Timestamp;

use crate::tier_contract::{self, Bed};

const MINUTE: Duration = Duration::from_mins(1);

/// A schema of its own, and a clock that tests move.
struct Home {
    url: String,
    schema: String,
    clock: Clock,
}

impl Home {
    async fn new() -> Self {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        let schema = format!("test {} {}", std::process::id(), SCHEMAS.fetch_add(1, Relaxed));
        let url = std::env::var("FOREWARM_PG").unwrap();
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        Self { url, schema, clock }
    }

    fn options(&self) -> PostgresOptions {
        let options = PostgresOptions::new(&self.url).unwrap();
        options.schema(self.schema.clone()).clock(self.clock.clone())
    }
}

impl Bed for Home {
    type Tier = PostgresTier;

    const UNIT: Duration = MINUTE;
    const MARKS_RESTORED: bool = false;

    async fn new() -> Self {
        Self::new().await
    }

    async fn open(&self) -> PostgresTier {
        self.options().open().await.unwrap()
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_tier_must() {
    tier_contract::holds_for::<Home>().await;
}
