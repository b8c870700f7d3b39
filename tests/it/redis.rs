//! What is particular to the Redis tier: what becomes of its server, and of the way to it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use forewarm::lab::{self, RedisServer};
use forewarm::{
    Ask, Begun, Clock, Cursor, Fill, Filled, Permit, Polled, RedisOptions, RedisTier, Selector,
    Tier as _, TierError, Want,
};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, cmd};
use tokio::sync::OnceCell;
use tokio::task::yield_now;

use crate::tier_contract::{self, Bed, NODE, any_run};

mod access;
mod bounds;
mod cluster;
mod faults;
mod late;
mod losses;
mod sentinel;

const HOUR: Duration = Duration::from_hours(1);

/// Long enough for anything that comes at all, however busy the machine is.
const IN_TIME: Duration = Duration::from_mins(1);

const KEY: &str = "p:user:1";

/// A namespace of its own on a server, and a clock that tests move.
struct Place {
    options: RedisOptions,
    namespace: String,
    clock: Clock,
}

impl Place {
    fn at(options: RedisOptions) -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let namespace = format!("place-{}", PLACES.fetch_add(1, Relaxed));
        let clock = Clock::system();
        let options = options.namespace(&namespace).clock(clock.clone());
        Self { options, namespace, clock }
    }

    /// For a user of its own, on the servers at these URLs, with no more rights than the tier asks
    /// for.
    async fn with_user(mut self, urls: &[String]) -> Self {
        let mut user = command("ACL SETUSER");
        user.arg(&self.namespace).arg("on").arg(">secret");
        for rule in self.options.acl_rule().split(' ') {
            user.arg(rule);
        }
        for url in urls {
            user.exec_async(&mut connect(url).await).await.unwrap();
        }
        self.options = self.options.credentials(&self.namespace, "secret");
        self
    }
}

impl Bed for Place {
    type Tier = RedisTier;

    const UNIT: Duration = HOUR;
    const MARKS_RESTORED: bool = false;

    /// A database of its own, on a server that all share.
    async fn new() -> Self {
        static SERVER: OnceCell<RedisServer> = OnceCell::const_new();
        static DATABASES: AtomicU64 = AtomicU64::new(0);
        let options = lab::RedisOptions::default().setting("databases", "1024");
        let launch = async || RedisServer::launch(options).await.unwrap();
        let server = SERVER.get_or_init(launch).await;
        let database = DATABASES.fetch_add(1, Relaxed);
        let place = Self::at(RedisOptions::new(format!("{}/{database}", server.url())));
        place.with_user(&[server.url()]).await
    }

    async fn open(&self) -> RedisTier {
        self.options.clone().open().await.unwrap()
    }

    async fn pass(&self, span: Duration) {
        self.clock.advance(span);
    }
}

/// A server of its own, and a tier on it.
struct World {
    server: RedisServer,
    place: Place,
    tier: RedisTier,
}

impl World {
    async fn new() -> Self {
        Self::with(lab::RedisOptions::default()).await
    }

    async fn with(options: lab::RedisOptions) -> Self {
        let server = RedisServer::launch(options).await.unwrap();
        let place = Place::at(RedisOptions::new(server.url()));
        let tier = place.open().await;
        Self { server, place, tier }
    }

    /// Sends a command that is not the tier's.
    async fn command<T: FromRedisValue>(&self, command: &Cmd) -> T {
        command.query_async(&mut connect(&self.server.url()).await).await.unwrap()
    }

    /// The name of a key of the tier.
    fn name(&self, rest: &str) -> String {
        format!("{{{}.0}}:{rest}", self.place.namespace)
    }

    /// Waits until the tier can be used again.
    async fn is_back(&self) {
        until(async || self.tier.poll(&Cursor::default()).await.is_ok()).await;
    }
}

async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let config = AsyncConnectionConfig::new().set_response_timeout(Some(IN_TIME));
    in_time(client.get_multiplexed_async_connection_with_config(&config)).await.unwrap()
}

fn command(words: &str) -> Cmd {
    let mut words = words.split(' ');
    let mut command = cmd(words.next().unwrap());
    for word in words {
        command.arg(word);
    }
    command
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    tokio::time::timeout(IN_TIME, call).await.unwrap()
}

/// Waits until it is so.
async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            yield_now().await;
        }
    };
    in_time(waited).await;
}

fn wanting(key: &str, permit: u64) -> Ask<'_> {
    Ask { key, permit: Permit(permit), want: Want::Value }
}

fn fill<'a>(key: &'a str, permit: u64, value: &'a [u8]) -> Fill<'a> {
    let (age, fresh_for, keep_for) = (Duration::ZERO, HOUR, 2 * HOUR);
    let (permit, tags, version) = (Permit(permit), &[][..], None);
    Fill { key, permit, value, age, fresh_for, keep_for, tags, version }
}

async fn begin(tier: &RedisTier, key: &str, permit: u64) -> Begun {
    in_time(tier.begin(&[wanting(key, permit)], HOUR)).await.unwrap().remove(0)
}

async fn value(tier: &RedisTier, key: &str) -> Option<Vec<u8>> {
    match begin(tier, key, 0).await {
        Begun::Hit(stored) => Some(stored.value),
        _ => None,
    }
}

/// Loads a key that is not there.
async fn load(tier: &RedisTier, key: &str, value: &[u8]) {
    assert_eq!(begin(tier, key, 1).await, Begun::Permit);
    let filled = in_time(tier.fill(&[fill(key, 1, value)])).await.unwrap();
    assert_eq!(filled, [Filled::Stored]);
}

async fn invalidate(tier: &RedisTier, key: &str) -> Result<(), TierError> {
    in_time(tier.invalidate(NODE, &[Selector::Key(key).into()])).await
}

async fn poll(tier: &RedisTier, since: &Cursor) -> Polled {
    in_time(tier.poll(since)).await.unwrap()
}

/// The cursor of one who has heard of everything.
async fn caught_up(tier: &RedisTier) -> Cursor {
    poll(tier, &Cursor::default()).await.cursor
}

/// What the calls of a tier came to.
async fn calls(tier: &RedisTier) -> [(&'static str, Result<(), TierError>); 10] {
    let (fills, asks) = ([fill("p:call:1", 1, b"Ada")], [wanting("p:call:1", 1)]);
    let since = Cursor::default();
    [
        ("begin", in_time(tier.begin(&asks, HOUR)).await.map(drop)),
        ("fill", in_time(tier.fill(&fills)).await.map(drop)),
        ("release", in_time(tier.release(&[("p:call:1", Permit(1))])).await),
        ("put", in_time(tier.put(NODE, &fills, &since)).await.map(drop)),
        ("invalidate", invalidate(tier, "p:call:1").await),
        ("expire", in_time(tier.expire(NODE, &["p:call:1"])).await),
        ("poll", in_time(tier.poll(&since)).await.map(drop)),
        ("take_run", in_time(tier.take_run(&any_run(HOUR))).await.map(drop)),
        ("sweep", in_time(tier.sweep(1)).await.map(drop)),
        ("size", in_time(tier.size()).await.map(drop)),
    ]
}

async fn all_fail(tier: &RedisTier) {
    for (name, outcome) in calls(tier).await {
        assert!(outcome.is_err(), "{name} should fail");
    }
}

async fn all_work(tier: &RedisTier) {
    for (name, outcome) in calls(tier).await {
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_of_a_tier_holds() {
    tier_contract::holds_for::<Place>().await;
}
