//! How long another engine serves what it holds after it was invalidated on this one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use forewarm::lab::{self, PostgresServer, RedisServer};
use forewarm::{
    Config, Delivery, Forewarm, LoadError, Policy, PostgresOptions, PreloadMode, PreloadPolicy,
    RedisOptions, Resource, SqliteTier, Tier,
};
use serde::Serialize;
use tokio::time::Instant;

/// How long it took until the other engine no longer served from memory what it had held.
#[derive(Serialize)]
pub(crate) struct Spread {
    l2: &'static str,
    invalidations: usize,
    /// From the beginning of the invalidation, and from its end.
    from_start: Quantiles,
    from_end: Quantiles,
    /// The most milliseconds that the 99th percentile from the end may be.
    gate: f64,
    pub(crate) ok: bool,
}

/// In milliseconds.
#[derive(Clone, Copy, Serialize)]
struct Quantiles {
    p50: f64,
    p99: f64,
    max: f64,
}

const GATE_MS: f64 = 20.0;

/// What the tests promise of it anyway: who waits longer waits in vain.
const GIVE_UP: Duration = Duration::from_secs(10);

impl Quantiles {
    fn of(mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        let millis = |nth: usize| spans[nth.min(spans.len() - 1)].as_secs_f64() * 1e3;
        let of_hundred = |share: usize| millis(spans.len() * share / 100);
        Self { p50: of_hundred(50), p99: of_hundred(99), max: millis(spans.len()) }
    }
}

impl Spread {
    fn new(l2: &'static str, spans: Vec<(Duration, Duration)>) -> Self {
        let invalidations = spans.len();
        let (from_start, from_end): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
        let (from_start, from_end) = (Quantiles::of(from_start), Quantiles::of(from_end));
        let ok = from_end.p99 < GATE_MS;
        Self { l2, invalidations, from_start, from_end, gate: GATE_MS, ok }
    }

    pub(crate) fn print(&self) {
        for (what, Quantiles { p50, p99, max }) in
            [("start", self.from_start), ("end", self.from_end)]
        {
            println!(
                "{:<10} {:>6} invalidations, from the {what:<6} p50 {p50:>8.3} ms   \
                 p99 {p99:>8.3} ms   max {max:>8.3} ms",
                self.l2, self.invalidations,
            );
        }
    }
}

/// Measures it on each L2.
pub(crate) async fn measure(rounds: usize) -> Vec<Spread> {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("l2.sqlite");
    let sqlite = Pair::new(async || SqliteTier::open(&path).await.unwrap()).await;
    let sqlite = Spread::new("sqlite", sqlite.rounds(rounds).await);

    let server = PostgresServer::launch(lab::PostgresOptions::default()).await.unwrap();
    let options = PostgresOptions::new(&server.url()).unwrap();
    let postgres = Pair::new(async || options.clone().open().await.unwrap()).await;
    let postgres = Spread::new("postgres", postgres.rounds(rounds).await);

    let server = RedisServer::launch(lab::RedisOptions::default()).await.unwrap();
    let options = RedisOptions::new(server.url());
    let redis = Pair::new(async || options.clone().open().await.unwrap()).await;
    let redis = Spread::new("redis", redis.rounds(rounds).await);
    vec![sqlite, postgres, redis]
}

type Engine = (Forewarm, Resource<u32, u64>);

/// Two engines over one L2.
struct Pair {
    source: Arc<AtomicU64>,
    here: Engine,
    there: Engine,
}

const KEY: u32 = 1;

impl Pair {
    async fn new<T: Tier>(open: impl AsyncFn() -> T) -> Self {
        let source = Arc::new(AtomicU64::new(0));
        let here = engine(open().await, &source).await;
        let there = engine(open().await, &source).await;
        Self { source, here, there }
    }

    /// Invalidates so many times; gives how long it took each time, from the start and from the
    /// end.
    async fn rounds(self, rounds: usize) -> Vec<(Duration, Duration)> {
        let mut spans = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            spans.extend(self.round().await);
            // So that it does not go on in step with whatever polls.
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..8_000))).await;
        }
        for (engine, _) in [self.here, self.there] {
            engine.shutdown(GIVE_UP).await;
        }
        spans
    }

    /// `None` if L2 has not heard of it, as where a machine is too busy.
    async fn round(&self) -> Option<(Duration, Duration)> {
        let held = self.source.load(SeqCst);
        for (_, resource) in [&self.here, &self.there] {
            while resource.peek(&KEY).and_then(|read| read.value).as_deref() != Some(&held) {
                resource.get(&KEY).await.unwrap();
            }
        }
        let there = self.there.1.clone();
        let watched = std::thread::spawn(move || {
            let begun = Instant::now();
            while there.peek(&KEY).and_then(|read| read.value).as_deref() == Some(&held) {
                assert!(begun.elapsed() < GIVE_UP, "it was not heeded");
                std::thread::yield_now();
            }
            Instant::now()
        });
        self.source.fetch_add(1, SeqCst);
        let start = Instant::now();
        let delivery = self.here.1.invalidate(&KEY).await;
        let end = Instant::now();
        let heeded = tokio::task::spawn_blocking(|| watched.join().unwrap()).await.unwrap();
        (delivery == Delivery::Applied).then(|| (heeded - start, heeded - end))
    }
}

async fn engine(tier: impl Tier, source: &Arc<AtomicU64>) -> Engine {
    let config = Config { summary_every: None, ..Config::default() };
    let engine = Forewarm::builder().config(config).tier(tier).build().await.unwrap();
    let preload = PreloadPolicy { mode: PreloadMode::Off, ..PreloadPolicy::default() };
    let policy = Policy { preload, ..Policy::default() };
    let source = Arc::clone(source);
    let resource = engine.resource::<u32, u64>("counter").policy(policy);
    let resource = resource.load_with(move |_| {
        let value = source.load(SeqCst);
        async move { Ok::<_, LoadError>(Some(value)) }
    });
    let resource = resource.build().unwrap();
    engine.start().await.unwrap();
    (engine, resource)
}
