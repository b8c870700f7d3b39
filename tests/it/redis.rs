//! What is particular to the Redis tier: what becomes of its server, and of the way to it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forewarm::lab::{self, RedisServer};
use forewarm::{Clock, RedisOptions, RedisTier};
use tokio::sync::OnceCell;

use crate::tier_contract::{self, Bed};

const HOUR: Duration = Duration::from_hours(1);

/// A namespace of its own on a server that all share, and a clock that tests move.
struct Place {
    url: String,
    namespace: String,
    clock: Clock,
}

impl Place {
    fn at(url: String) -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let namespace = format!("place-{}", PLACES.fetch_add(1, Relaxed));
        Self { url, namespace, clock: Clock::system() }
    }

    fn options(&self) -> RedisOptions {
        let options = RedisOptions::new(&self.url).namespace(&self.namespace);
        options.clock(self.clock.clone())
    }
}

impl Bed for Place {
    type Tier = RedisTier;

    const UNIT: Duration = HOUR;
    const MARKS_RESTORED: bool = false;

    async fn new() -> Self {
        static SERVER: OnceCell<RedisServer> = OnceCell::const_new();
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let options = lab::RedisOptions::default().setting("databases", "1024");
        let launch = async || RedisServer::launch(options).await.unwrap();
        let server = SERVER.get_or_init(launch).await;
        Self::at(format!("{}/{}", server.url(), DATABASES.fetch_add(1, Relaxed)))
    }

    async fn open(&self) -> RedisTier {
        self.options().open().await.unwrap()
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_a_tier_holds() {
    tier_contract::holds_for::<Place>().await;
}
