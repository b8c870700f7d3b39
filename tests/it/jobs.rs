//! Jobs over real stores: several engines, also in processes of their own that are killed.

use forewarm::lab::{self, PostgresServer, RedisServer};
use forewarm::{Builder, Forewarm, PostgresTier, RedisTier, SqliteTier};

mod blocked;
mod node;
mod outages;
mod restarts;
mod trial;
mod verdict;
mod witness;

/// What an L2 is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
enum Kind {
    Sqlite,
    Postgres,
    Redis,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Redis];
}

/// An L2 that engines share.
struct Store {
    place: Place,
    /// What a process needs to know to use it.
    url: String,
}

enum Place {
    File(#[expect(dead_code, reason = "it is removed with it")] tempfile::TempDir),
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Store {
    async fn launch(kind: Kind) -> Self {
        match kind {
            Kind::Sqlite => {
                let home = tempfile::tempdir().unwrap();
                let url = home.path().join("jobs.db").to_str().unwrap().to_owned();
                Self { place: Place::File(home), url }
            }
            Kind::Postgres => {
                let server = PostgresServer::launch(lab::PostgresOptions::default()).await.unwrap();
                Self { url: server.url(), place: Place::Postgres(server) }
            }
            Kind::Redis => {
                let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
                Self { url: server.url(), place: Place::Redis(server) }
            }
        }
    }

    const fn kind(&self) -> Kind {
        match self.place {
            Place::File(_) => Kind::Sqlite,
            Place::Postgres(_) => Kind::Postgres,
            Place::Redis(_) => Kind::Redis,
        }
    }

    /// An engine over it that declares its jobs yet.
    async fn engine(&self) -> Forewarm {
        with_tier(Forewarm::builder(), self.kind(), &self.url).await.build().await.unwrap()
    }
}

async fn with_tier(builder: Builder, kind: Kind, url: &str) -> Builder {
    match kind {
        Kind::Sqlite => builder.tier(SqliteTier::open(url).await.unwrap()),
        Kind::Postgres => builder.tier(PostgresTier::open(url).await.unwrap()),
        Kind::Redis => builder.tier(RedisTier::open(url).await.unwrap()),
    }
}
