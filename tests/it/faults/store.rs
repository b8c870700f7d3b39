//! The L2s, and how each fault is brought about.

use std::time::Duration;

use forewarm::Builder;
use forewarm::lab::{Proxy, Way};
use tokio::time::{Instant, sleep};

use self::far::FarRedis;
use self::file::FileStore;
use self::postgres::PostgresStore;
use self::redis::RedisStore;
use super::fault::Fault;
use super::oracle::NODES;

pub(super) mod far;
mod file;
mod postgres;
mod redis;

/// What an L2 is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
    Redis,
    /// A Redis server in a network namespace of its own.
    FarRedis,
}

/// An L2, and the network before each node if there is one.
pub(super) struct Store {
    place: Place,
    proxies: Vec<Proxy>,
}

enum Place {
    File(FileStore),
    Postgres(PostgresStore),
    Redis(RedisStore),
    Far(FarRedis),
}

/// What is held while a fault lasts.
pub(super) enum Disturbance {
    Nothing,
    Lock(sqlx::SqliteConnection),
}

/// How much longer everything takes in each direction while it is slow.
const DELAY: Duration = Duration::from_millis(250);

/// How often what happens again and again happens.
const AGAIN_EVERY: Duration = Duration::from_millis(100);

impl Store {
    pub(super) async fn launch(kind: Kind, fault: Fault) -> Self {
        let (place, upstream) = match kind {
            Kind::Sqlite => (Place::File(FileStore::new()), None),
            Kind::Postgres => {
                let store = PostgresStore::launch().await;
                let upstream = store.server.addr();
                (Place::Postgres(store), Some(upstream))
            }
            Kind::Redis => {
                let store = RedisStore::launch(fault).await;
                let upstream = store.server.addr();
                (Place::Redis(store), Some(upstream))
            }
            Kind::FarRedis => (Place::Far(FarRedis::launch().await), None),
        };
        let mut proxies = Vec::new();
        if let Some(upstream) = upstream {
            for _ in 0..NODES {
                proxies.push(Proxy::start(upstream).await.unwrap());
            }
        }
        Self { place, proxies }
    }

    /// Gives an engine a tier of its own.
    pub(super) async fn open(&self, node: usize, builder: Builder) -> Builder {
        match &self.place {
            Place::File(store) => builder.tier(store.open().await),
            Place::Postgres(store) => builder.tier(store.open(self.proxies[node].addr()).await),
            Place::Redis(store) => builder.tier(store.open(self.proxies[node].addr()).await),
            Place::Far(store) => builder.tier(store.open(node).await),
        }
    }

    /// Keeps a copy of what is there now, to which it may be set back.
    pub(super) async fn remember(&self, fault: Fault) {
        match (&self.place, fault) {
            (Place::File(store), Fault::SetBack | Fault::ReadOnly) => store.copy().await,
            (Place::Postgres(store), Fault::SetBack) => store.copy().await,
            (Place::Redis(store), Fault::SetBack) => store.copy().await,
            _ => {}
        }
    }

    pub(super) async fn begin(&self, fault: Fault) -> Disturbance {
        for (node, proxy) in self.proxies.iter().enumerate() {
            match fault {
                Fault::BlackHole => proxy.block_both(),
                Fault::Split if node == 0 => proxy.block_both(),
                Fault::NoRequests => proxy.block(Way::ToServer),
                Fault::NoReplies => proxy.block(Way::ToClient),
                Fault::Slow => {
                    proxy.delay(Way::ToServer, DELAY);
                    proxy.delay(Way::ToClient, DELAY);
                }
                _ => {}
            }
        }
        match &self.place {
            Place::File(store) => return store.begin(fault).await,
            Place::Postgres(store) => store.begin(fault).await,
            Place::Redis(store) => store.begin(fault).await,
            Place::Far(store) => store.begin(fault),
        }
        Disturbance::Nothing
    }

    /// Lets a fault last as long as it does.
    pub(super) async fn go_on(&self, fault: Fault) {
        let ends = Instant::now() + fault.lasts();
        while Instant::now() < ends {
            for proxy in &self.proxies {
                match fault {
                    Fault::Reset => proxy.reset().await,
                    Fault::RepliesLost => proxy.lose_replies(1),
                    _ => {}
                }
            }
            match (&self.place, fault) {
                (Place::Postgres(store), Fault::Deaf) => store.deafen().await,
                (Place::Redis(store), Fault::Deaf) => store.deafen().await,
                _ => {}
            }
            sleep(AGAIN_EVERY).await;
        }
    }

    /// Makes everything well again.
    pub(super) async fn end(&self, fault: Fault, disturbance: Disturbance) {
        match &self.place {
            Place::File(store) => store.end(fault, disturbance).await,
            Place::Postgres(store) => store.end(fault).await,
            Place::Redis(store) => store.end(fault).await,
            Place::Far(store) => store.end(fault),
        }
        for proxy in &self.proxies {
            proxy.heal().await;
        }
    }
}
