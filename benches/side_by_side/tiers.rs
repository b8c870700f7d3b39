//! Goals 11 and 12: what L2 takes, through the tiers themselves.
//!
//! A read is `Tier::begin`, as a flight calls it for what memory does not hold: it gives the value,
//! or a permit to load it. Here all keys are there.

use std::cell::Cell;
use std::time::Duration;

use forewarm::lab::{self, RedisServer};
use forewarm::{Ask, Begun, Fill, Filled, Permit, RedisTier, SqliteTier, Tier, Want};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::figure::{Figure, Limits};
use crate::keys::{names, uniform};
use crate::turns::{Case, Effort, Turns, in_turns, median};
use crate::world::runtime;

const KEYS: usize = 100_000;
const VALUE: [u8; 200] = [7; 200];
const HOUR: Duration = Duration::from_hours(1);

const POINT: &str = "point read of L2, median";
const POINT_LIMITS: Limits = Limits::at_most(1.5, 1.0);
const POINT_READS: usize = 2_000;

const BATCH: usize = 64;
const BATCHES: usize = 100;
const SQLITE_BATCH: &str = "64 keys in a batch, for each: SQLite";
const SQLITE_LIMITS: Limits = Limits::at_most(5.0, 2.0);
const REDIS_BATCH: &str = "64 keys in a batch, for each: processor time of a client of Redis";
const REDIS_LIMITS: Limits = Limits::at_most(3.0, 1.0);

/// Goal 11.
pub(crate) fn point_read(effort: Effort) -> Vec<Figure> {
    let runtime = runtime();
    let keys = Keys::new(effort);
    let (sqlite, redis) = (Sqlite::new(&runtime, &keys), Redis::new(&runtime, &keys, effort));
    let redis = match redis {
        Ok(redis) => redis,
        Err(why) => return vec![Figure::missing(11, POINT, POINT_LIMITS, why)],
    };
    let reads = effort.scaled(POINT_READS);
    let by_redis = Case::new("Redis", Limits::NONE, || {
        reading(&runtime, &redis.tier, &keys.batches(reads, 1)).took
    });
    let by_sqlite = Case::new("SQLite", POINT_LIMITS, || {
        reading(&runtime, &sqlite.tier, &keys.batches(reads, 1)).took
    });
    let turns = Turns { goal: 11, what: POINT, unit: "us", rounds: effort.rounds };
    in_turns(turns, by_redis, vec![by_sqlite])
}

/// Goal 12.
pub(crate) fn batch(effort: Effort) -> Vec<Figure> {
    let runtime = runtime();
    let keys = Keys::new(effort);
    let (sqlite, redis) = (Sqlite::new(&runtime, &keys), Redis::new(&runtime, &keys, effort));
    let batches = || keys.batches(effort.scaled(BATCHES), BATCH);
    let (mut of_sqlite, mut of_redis) = (Vec::new(), Vec::new());
    for _ in 0..=effort.rounds {
        of_sqlite.push(reading(&runtime, &sqlite.tier, &batches()));
        of_redis.extend(redis.iter().map(|redis| reading(&runtime, &redis.tier, &batches())));
    }
    let took = |spent: &[Spent]| median(spent[1..].iter().map(|spent| spent.took).collect());
    let cpu = |spent: &[Spent]| median(spent[1..].iter().map(|spent| spent.cpu).collect());
    let note = format!("{:.2} us of processor time", cpu(&of_sqlite));
    let of_sqlite = Figure::new(12, SQLITE_BATCH, took(&of_sqlite), "us").judged(SQLITE_LIMITS);
    let of_redis = match &redis {
        Ok(_) => {
            let note = format!("{:.2} us until they are there", took(&of_redis));
            Figure::new(12, REDIS_BATCH, cpu(&of_redis), "us").judged(REDIS_LIMITS).noting(note)
        }
        Err(why) => Figure::missing(12, REDIS_BATCH, REDIS_LIMITS, why),
    };
    vec![of_sqlite.noting(note), of_redis]
}

/// The keys that are there, and those to be read next.
struct Keys {
    names: Vec<String>,
    seed: Cell<u64>,
}

impl Keys {
    fn new(effort: Effort) -> Self {
        Self { names: names(effort.scaled(KEYS).max(BATCH)), seed: Cell::new(0) }
    }

    /// Batches of keys from all over the store, others each time.
    fn batches(&self, count: usize, size: usize) -> Vec<Vec<Ask<'_>>> {
        self.seed.set(self.seed.get() + 1);
        let places = uniform(self.names.len(), count * size, self.seed.get());
        let ask = |place: &u32| {
            let key = &self.names[*place as usize];
            Ask { key, permit: Permit(u64::from(*place) + 1), want: Want::Value }
        };
        places.chunks(size).map(|places| places.iter().map(ask).collect()).collect()
    }
}

struct Sqlite {
    tier: SqliteTier,
    _directory: TempDir,
}

impl Sqlite {
    fn new(runtime: &Runtime, keys: &Keys) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tier = runtime.block_on(async {
            let tier = SqliteTier::open(directory.path().join("cache.db")).await.unwrap();
            fill(&tier, keys).await;
            tier
        });
        Self { tier, _directory: directory }
    }
}

struct Redis {
    tier: RedisTier,
    _server: RedisServer,
}

impl Redis {
    /// On loopback; or why there is none.
    fn new(runtime: &Runtime, keys: &Keys, effort: Effort) -> Result<Self, String> {
        if effort.is_trial {
            return Err("a trial starts no server".to_owned());
        }
        runtime.block_on(async {
            let server = RedisServer::launch(lab::RedisOptions::default()).await;
            let server = server.map_err(|error| format!("no Redis: {error}"))?;
            let tier = RedisTier::open(server.url()).await.unwrap();
            fill(&tier, keys).await;
            Ok(Self { tier, _server: server })
        })
    }
}

/// Stores all keys, as loads do: by permits.
async fn fill(tier: &impl Tier, keys: &Keys) {
    for names in keys.names.chunks(1_000) {
        let asks = (1..).zip(names);
        let asks = asks.map(|(nth, key)| Ask { key, permit: Permit(nth), want: Want::Permit });
        let asks: Vec<_> = asks.collect();
        let begun = tier.begin(&asks, HOUR).await.unwrap();
        assert!(begun.iter().all(|begun| matches!(begun, Begun::Permit)));
        let fills = asks.iter().map(|ask| Fill {
            key: ask.key,
            permit: ask.permit,
            value: &VALUE,
            age: Duration::ZERO,
            fresh_for: HOUR,
            keep_for: 2 * HOUR,
            tags: &[],
            version: None,
        });
        let fills: Vec<_> = fills.collect();
        let filled = tier.fill(&fills).await.unwrap();
        assert!(filled.iter().all(|filled| *filled == Filled::Stored));
    }
}

/// What a key took, in microseconds.
struct Spent {
    /// The median over all batches.
    took: f64,
    /// Processor time of this process.
    cpu: f64,
}

/// Reads batches of the same size, one after the other.
fn reading(runtime: &Runtime, tier: &impl Tier, batches: &[Vec<Ask<'_>>]) -> Spent {
    let size = batches[0].len() as f64;
    runtime.block_on(async {
        let mut took = Vec::with_capacity(batches.len());
        let began = process_time();
        for batch in batches {
            let began = Instant::now();
            let begun = tier.begin(batch, HOUR).await.unwrap();
            took.push(began.elapsed().as_secs_f64() * 1e6 / size);
            assert!(begun.iter().all(|begun| matches!(begun, Begun::Hit(_))));
        }
        let cpu = process_time() - began;
        let keys = batches.len() as f64 * size;
        Spent { took: median(took), cpu: cpu.as_secs_f64() * 1e6 / keys }
    })
}

fn process_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}
