//! What is particular to the PostgreSQL tier.

use std::future::Future;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forewarm::lab::{PostgresOptions as Server, PostgresServer};
use forewarm::{
    Ask, Begun, Clock, Cursor, Fill, Filled, Invalidation, Logged, Node, Permit, Polled,
    PostgresOptions, PostgresTier, Selector, Tier as _, Want,
};
use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, query, query_scalar};
use tokio::sync::OnceCell;

use crate::tier_contract::{self, Bed, NODE, any_run};
use crate::waiting::{IN_TIME, until};

mod faults;
mod lives;
mod rooms;
mod storm;
mod transactions;
mod trimming;

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// The server that all share who neither stop nor disturb it.
async fn shared() -> &'static PostgresServer {
    static SERVER: OnceCell<PostgresServer> = OnceCell::const_new();
    let launch = async || PostgresServer::launch(Server::default()).await.unwrap();
    SERVER.get_or_init(launch).await
}

/// A schema of its own, and a clock that tests move.
struct Home {
    url: String,
    schema: String,
    clock: Clock,
}

impl Home {
    async fn shared() -> Self {
        Self::at(shared().await.url())
    }

    fn at(url: impl Into<String>) -> Self {
        static SCHEMAS: AtomicU32 = AtomicU32::new(0);
        // A name that has to be quoted.
        let schema = format!("Test \"{}\"", SCHEMAS.fetch_add(1, Relaxed));
        let clock = Clock::starting_at(Timestamp::from_second(1_800_000_000).unwrap());
        Self { url: url.into(), schema, clock }
    }

    fn options(&self) -> PostgresOptions {
        let options = PostgresOptions::new(&self.url).unwrap();
        options.schema(self.schema.clone()).clock(self.clock.clone())
    }

    async fn tier(&self) -> PostgresTier {
        self.options().open().await.unwrap()
    }

    /// A connection that is not the tier's.
    async fn other(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }

    /// A statement about the tables of this schema, which it names `forewarm`.
    fn sql(&self, text: &str) -> AssertSqlSafe<String> {
        let schema = self.schema.replace('"', "\"\"");
        AssertSqlSafe(text.replace("forewarm.", &format!("\"{schema}\".")))
    }

    async fn count(&self, of: &str) -> i64 {
        let sql = self.sql(&format!("select count(*) from forewarm.{of}"));
        query_scalar(sql).fetch_one(&mut self.other().await).await.unwrap()
    }
}

impl Bed for Home {
    type Tier = PostgresTier;

    const UNIT: Duration = MINUTE;
    const MARKS_RESTORED: bool = false;

    async fn new() -> Self {
        Self::shared().await
    }

    async fn open(&self) -> PostgresTier {
        self.tier().await
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_does_what_every_tier_must() {
    tier_contract::holds_for::<Home>().await;
}

async fn in_time<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(IN_TIME, work).await.expect("it should have ended by now")
}

/// An ask in the name of a new load.
fn asking(key: &str, want: Want) -> Ask<'_> {
    static PERMITS: AtomicU64 = AtomicU64::new(1);
    Ask { key, permit: Permit(PERMITS.fetch_add(1, Relaxed)), want }
}

fn fill<'a>(key: &'a str, permit: Permit, value: &'a [u8]) -> Fill<'a> {
    let (age, fresh_for, keep_for) = (Duration::ZERO, 10 * MINUTE, 20 * MINUTE);
    Fill { key, permit, value, age, fresh_for, keep_for, tags: &["red"], version: None }
}

async fn begin(tier: &PostgresTier, key: &str) -> (Begun, Permit) {
    let ask = asking(key, Want::Value);
    (in_time(tier.begin(&[ask], 5 * MINUTE)).await.unwrap().remove(0), ask.permit)
}

/// Begins a load of a key that is not there.
async fn loading(tier: &PostgresTier, key: &str) -> Permit {
    let (begun, permit) = begin(tier, key).await;
    assert_eq!(begun, Begun::Permit, "{key:?}");
    permit
}

async fn fill_in(tier: &PostgresTier, key: &str, permit: Permit, value: &[u8]) -> Filled {
    in_time(tier.fill(&[fill(key, permit, value)])).await.unwrap().remove(0)
}

async fn load(tier: &PostgresTier, key: &str, value: &[u8]) {
    let permit = loading(tier, key).await;
    assert_eq!(fill_in(tier, key, permit, value).await, Filled::Stored, "{key:?}");
}

/// The value of a key, if there is one; no load of it is begun.
async fn value(tier: &PostgresTier, key: &str) -> Option<Vec<u8>> {
    let begun = in_time(tier.begin(&[asking(key, Want::Copy)], MINUTE)).await.unwrap().remove(0);
    match begun {
        Begun::Hit(stored) => Some(stored.value),
        _ => None,
    }
}

async fn invalidate(tier: &PostgresTier, selector: Selector<'_>) {
    in_time(tier.invalidate(NODE, &[selector.into()])).await.unwrap();
}

async fn invalidate_in(tier: &PostgresTier, db: &mut PgConnection, selectors: &[Selector<'_>]) {
    let invalidations: Vec<Invalidation<'_>> = selectors.iter().map(|one| (*one).into()).collect();
    in_time(tier.invalidate_in(db, &invalidations)).await.unwrap();
}

async fn poll(tier: &PostgresTier, since: &Cursor) -> Polled {
    in_time(tier.poll(since)).await.unwrap()
}

/// The cursor of one who has heard of everything.
async fn caught_up(tier: &PostgresTier) -> Cursor {
    let polled = poll(tier, &Cursor::default()).await;
    assert!(!polled.has_more);
    polled.cursor
}

/// What has been logged since, and moves on.
async fn news(tier: &PostgresTier, since: &mut Cursor) -> Vec<Logged> {
    let polled = poll(tier, since).await;
    assert!(!polled.is_gap && !polled.has_more, "{polled:?}");
    *since = polled.cursor;
    polled.changes
}
