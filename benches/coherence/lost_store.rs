//! What becomes of reads when Redis is killed, and is there again a second later with nothing in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use forewarm::lab::{self, Data, RedisServer};
use forewarm::{
    Capacity, Config, Forewarm, LoadContext, LoadError, Loaded, Loader, Policy, RedisOptions,
    Resource, SourcePolicy,
};
use serde::Serialize;
use tokio::time::{Instant, sleep};

const ENGINES: usize = 2;
const KEYS: usize = 20_000;
/// What memory has room for: so that L2 matters.
const HELD: u64 = 5_000;
const READS_PER_SECOND: u64 = 20_000;
/// How many calls the source of an engine takes at a time, and how long each takes.
const CONCURRENCY: usize = 32;
const LOAD_TAKES: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_millis(250);
const AWAY: Duration = Duration::from_secs(1);
/// Within so many seconds after the server is there again, the hit ratio is to be what it was but
/// for a twentieth.
const GATE_SECONDS: f64 = 5.0;

/// What became of reads.
#[derive(Serialize)]
pub(crate) struct Loss {
    reads: u64,
    failed: u64,
    slowest_ms: f64,
    /// The most loads at a time, over both engines, and the most that there may be.
    loads_at_once: usize,
    loads_at_once_max: usize,
    /// The share of reads that did not wait for the source, before the kill.
    hit_ratio_before: f64,
    /// After how many seconds it was 95 % of that again, from when the server was.
    recovered_after: Option<f64>,
    /// The same for a cache that begins with nothing then, is one for both engines, and forgets
    /// nothing: whatever does better has kept something.
    perfect_after: f64,
    gate: f64,
    pub(crate) ok: bool,
    ticks: Vec<Tick>,
}

/// A quarter of a second; `at` is the end of it, in seconds from the kill.
#[derive(Clone, Copy, Serialize)]
struct Tick {
    at: f64,
    reads: u64,
    loads_per_second: f64,
    hit_ratio: f64,
}

impl Loss {
    pub(crate) fn print(&self) {
        println!(
            "lost store: {} reads, {} failed, the slowest took {:.0} ms; {} loads at once of {}",
            self.reads, self.failed, self.slowest_ms, self.loads_at_once, self.loads_at_once_max,
        );
        let again = self.recovered_after;
        let again = again.map_or_else(|| "not".to_owned(), |after| format!("{after:.2} s"));
        println!(
            "hit ratio before: {:.4}; 95 % of it after: {again} (a perfect cache: {:.2} s)",
            self.hit_ratio_before, self.perfect_after,
        );
        for Tick { at, reads, loads_per_second, hit_ratio } in &self.ticks {
            println!("{at:>7.2} s {reads:>6} reads {loads_per_second:>8.0} loads/s {hit_ratio:.4}");
        }
    }
}

/// How long it runs before what is told, before the kill, and after it.
struct Times {
    warm_up: Duration,
    before: Duration,
    after: Duration,
}

pub(crate) async fn measure(is_trial: bool) -> Loss {
    let seconds = Duration::from_secs;
    let times = if is_trial {
        Times { warm_up: seconds(1), before: seconds(1), after: seconds(2) }
    } else {
        Times { warm_up: seconds(15), before: seconds(4), after: seconds(15) }
    };
    let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
    let world = World::new(&server).await;
    let reading = tokio::spawn(Arc::clone(&world).read());
    sleep(times.warm_up).await;
    let killed_at = Instant::now() + times.before;
    let watching = tokio::spawn(Arc::clone(&world).watch(killed_at, times.after));
    tokio::time::sleep_until(killed_at).await;
    server.kill().unwrap();
    tokio::time::sleep_until(killed_at + AWAY).await;
    server.start(Data::Lost).await.unwrap();
    let back_after = killed_at.elapsed();
    let ticks = watching.await.unwrap();
    reading.abort();
    for (engine, _) in &world.engines {
        engine.shutdown(seconds(30)).await;
    }
    world.loss(ticks, back_after)
}

struct World {
    engines: Vec<(Forewarm, Resource<u32, u64>)>,
    /// By rank, the share of reads that are of this key or of one before it.
    shares: Vec<f64>,
    source: Source,
    failed: AtomicU64,
    slowest_micros: AtomicU64,
}

impl World {
    async fn new(server: &RedisServer) -> Arc<Self> {
        let source = Source::default();
        let mut engines = Vec::new();
        for _ in 0..ENGINES {
            let tier = RedisOptions::new(server.url()).open().await.unwrap();
            let config = Config { summary_every: None, ..Config::default() };
            let engine = Forewarm::builder().config(config).tier(tier).build().await.unwrap();
            let limits = SourcePolicy { concurrency: CONCURRENCY, ..SourcePolicy::default() };
            let capacity = Capacity::Entries(HELD);
            let policy = Policy { capacity, source: limits, ..Policy::default() };
            let resource = engine.resource::<u32, u64>("thing").policy(policy);
            let resource = resource.loader(source.clone()).build().unwrap();
            engine.start().await.unwrap();
            engines.push((engine, resource));
        }
        let (failed, slowest_micros) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { engines, shares: zipf(), source, failed, slowest_micros })
    }

    /// Begins so many reads a second, whatever becomes of those before.
    async fn read(self: Arc<Self>) {
        let (began, mut begun) = (Instant::now(), 0);
        loop {
            sleep(Duration::from_millis(1)).await;
            let due = began.elapsed().as_micros() * u128::from(READS_PER_SECOND) / 1_000_000;
            // After a hiccup no more come at once than three times as many as otherwise.
            let count = u64::try_from(due).unwrap().saturating_sub(begun).min(60);
            begun += count;
            for _ in 0..count {
                tokio::spawn(Arc::clone(&self).read_one());
            }
        }
    }

    async fn read_one(self: Arc<Self>) {
        let drawn = fastrand::f64();
        let key = self.shares.partition_point(|share| *share < drawn).min(KEYS - 1);
        let (_, resource) = &self.engines[fastrand::usize(..ENGINES)];
        let start = Instant::now();
        let key = u32::try_from(key).unwrap();
        let value = resource.get(&key).await;
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap();
        self.slowest_micros.fetch_max(micros, Relaxed);
        if !value.is_ok_and(|value| value.as_deref() == Some(&u64::from(key))) {
            self.failed.fetch_add(1, Relaxed);
        }
    }

    /// Says what there was in each tick, until `after` the kill.
    async fn watch(self: Arc<Self>, killed_at: Instant, after: Duration) -> Vec<Tick> {
        let (mut ticks, mut known, mut now) = (Vec::new(), self.sums(), Instant::now());
        while now < killed_at + after {
            tokio::time::sleep_until(now + TICK).await;
            let (then, sums) = (std::mem::replace(&mut now, Instant::now()), self.sums());
            let [reads, missed, loads] = std::array::from_fn(|nth| sums[nth] - known[nth]);
            known = sums;
            let at = now.saturating_duration_since(killed_at).as_secs_f64()
                - killed_at.saturating_duration_since(now).as_secs_f64();
            let loads_per_second = loads as f64 / (now - then).as_secs_f64();
            let hit_ratio = 1.0 - missed as f64 / (reads as f64).max(1.0);
            ticks.push(Tick { at, reads, loads_per_second, hit_ratio });
        }
        ticks
    }

    /// The reads that were answered, those of them that waited for the source, and the loads.
    fn sums(&self) -> [u64; 3] {
        let mut sums = [0; 3];
        for (_, resource) in &self.engines {
            let stats = resource.stats();
            let hits = stats.l1_hits + stats.l1_stale + stats.l2_hits;
            let missed = stats.misses + stats.stale_on_error + stats.errors;
            sums = [sums[0] + hits + missed, sums[1] + missed, sums[2] + stats.loads];
        }
        sums
    }

    fn loss(&self, ticks: Vec<Tick>, back_after: Duration) -> Loss {
        let before: Vec<_> =
            ticks.iter().filter(|tick| tick.at <= 0.0).map(|tick| tick.hit_ratio).collect();
        let hit_ratio_before = before.iter().sum::<f64>() / before.len() as f64;
        let is_low = |tick: &&Tick| tick.at > 0.0 && tick.hit_ratio < hit_ratio_before * 0.95;
        // At the end of the last quarter of a second in which it was not.
        let last_low = ticks.iter().rfind(is_low).map_or(0.0, |tick| tick.at);
        let is_over = ticks.last().is_some_and(|tick| tick.at > last_low);
        let after = (last_low - back_after.as_secs_f64()).max(0.0);
        let recovered_after = is_over.then_some(after);
        let (failed, most) = (self.failed.load(Relaxed), self.source.0.at_once_max.load(Relaxed));
        let limit = ENGINES * CONCURRENCY;
        let is_soon = recovered_after.is_some_and(|after| after <= GATE_SECONDS);
        Loss {
            reads: self.sums()[0],
            failed,
            slowest_ms: self.slowest_micros.load(Relaxed) as f64 / 1e3,
            loads_at_once: most,
            loads_at_once_max: limit,
            hit_ratio_before,
            recovered_after,
            perfect_after: self.perfect_after(hit_ratio_before * 0.95),
            gate: GATE_SECONDS,
            ok: failed == 0 && most <= limit && is_soon,
            ticks,
        }
    }

    /// After how many seconds a cache that loads each key once reaches a hit ratio.
    fn perfect_after(&self, hit_ratio: f64) -> f64 {
        const STEP: f64 = 0.01;
        let before = std::iter::once(&0.0).chain(&self.shares);
        let shares: Vec<_> = self.shares.iter().zip(before).map(|(to, from)| to - from).collect();
        let mut seconds = 0.0;
        let miss_ratio = |seconds: f64| -> f64 {
            let reads = seconds * READS_PER_SECOND as f64;
            shares.iter().map(|share| share * (-share * reads).exp()).sum()
        };
        while 1.0 - miss_ratio(seconds) < hit_ratio {
            seconds += STEP;
        }
        seconds
    }
}

/// A source that is asked by both engines, and takes its time.
#[derive(Clone, Default)]
struct Source(Arc<Calls>);

#[derive(Default)]
struct Calls {
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
}

impl Loader<u32, u64> for Source {
    async fn load(&self, key: &u32, _cx: &LoadContext<u64>) -> Result<Loaded<u64>, LoadError> {
        let at_once = self.0.at_once.fetch_add(1, Relaxed) + 1;
        self.0.at_once_max.fetch_max(at_once, Relaxed);
        sleep(LOAD_TAKES).await;
        self.0.at_once.fetch_sub(1, Relaxed);
        Ok(Loaded::from(Some(u64::from(*key))))
    }
}

/// The shares of keys that are read by Zipf's law, summed up.
fn zipf() -> Vec<f64> {
    const EXPONENT: f64 = 0.99;
    let weights = (1..=KEYS).map(|rank| (rank as f64).powf(-EXPONENT));
    let sums: Vec<_> = weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect();
    let whole = sums[KEYS - 1];
    sums.into_iter().map(|sum| sum / whole).collect()
}
