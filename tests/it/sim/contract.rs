//! The simulated store is a second tier like any other.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::advance;

use super::{SimStore, SimTier};
use crate::tier_contract::{self, Bed};

impl Bed for SimStore {
    type Tier = SimTier;

    const UNIT: Duration = Duration::from_hours(1);

    const MARKS_RESTORED: bool = false;

    async fn new() -> Self {
        let store = Self::new();
        store.set_wall(Timestamp::now());
        store
    }

    async fn open(&self) -> SimTier {
        self.connect()
    }

    async fn pass(&self, span: Duration) {
        advance(span).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_simulated_store_keeps_the_contract() {
    tier_contract::holds_for::<SimStore>().await;
}
