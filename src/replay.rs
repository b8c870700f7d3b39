//! What the cache would have done for requests that were recorded.
//!
//! The engine itself runs, on paused time and on one thread: every request is read in its turn, and
//! time moves on to the next one as soon as nothing is left to do. So what is measured is what
//! ships, and two runs give the same figures.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tokio::time::Instant;

use crate::builder::Forewarm;
use crate::config::Config;
use crate::entry::Origin;
use crate::error::{Error, LoadError};
use crate::flight::ReadFrom;
use crate::policy::{
    Capacity, Classic, EarlyRefresh, Policy, PreloadMode, PreloadPolicy, SourcePolicy, Store,
};
use crate::resource::{Read, ReadOptions, Resource};
use crate::stats::{Reliability, ResourceStats, ratio};

use self::outcome::Outcome;
use self::series::Timeline;
use self::trace::Trace;

pub(crate) mod outcome;
pub(crate) mod series;
pub(crate) mod trace;

/// What is replayed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) rule: Rule,
    /// `None` never expires.
    pub(crate) ttl: Option<Duration>,
    /// In entries; `None` holds everything.
    pub(crate) capacity: Option<u64>,
    pub(crate) latency: Duration,
    pub(crate) threshold: f64,
    /// The share of the requests that come first and are not counted.
    pub(crate) warmup: f64,
    pub(crate) seed: u64,
}

/// What decides when a key is loaded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// Nothing but a request.
    Demand,
    /// Everything that the engine predicts.
    Forewarm,
    /// What is due and probably read again is renewed.
    Refresh,
    /// What is usually read after what was read.
    Association,
    /// As [`Rule::Forewarm`], but nothing is loaded ahead.
    Observe,
    /// The rule of an older system, without the bounds that starve it.
    Classic,
    /// A request may renew what is about to expire, at random. The spread is in ttls.
    XFetch(f64),
}

impl Rule {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Demand => "demand",
            Self::Forewarm => "forewarm",
            Self::Refresh => "refresh",
            Self::Association => "association",
            Self::Observe => "observe",
            Self::Classic => "classic",
            Self::XFetch(_) => "xfetch",
        }
    }
}

/// What came of a replay. Its fields are those of the report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) trace: String,
    pub(crate) policy: &'static str,
    pub(crate) threshold: f64,
    pub(crate) ttl_s: Option<f64>,
    pub(crate) capacity: Option<u64>,
    pub(crate) latency_s: f64,
    pub(crate) requests: u64,
    pub(crate) misses: u64,
    pub(crate) miss_ratio: f64,
    pub(crate) hit_ratio: f64,
    pub(crate) late: u64,
    pub(crate) loads: u64,
    /// Loads more than on demand alone, as a share of those; filled in by who has both.
    pub(crate) loads_vs_demand: Option<f64>,
    pub(crate) preloads: u64,
    pub(crate) useful: u64,
    pub(crate) wasted: u64,
    pub(crate) precision: Option<f64>,
    /// Mean distance between what was predicted and what came true, and mean squared error, over
    /// the whole trace; none if nothing was predicted.
    pub(crate) calibration_error: Option<f64>,
    pub(crate) brier_score: Option<f64>,
    pub(crate) reliability: Vec<Reliability>,
    pub(crate) wait_p50_ms: f64,
    pub(crate) wait_p99_ms: f64,
    pub(crate) cpu_s: f64,
    /// For who reads more than figures.
    #[serde(skip)]
    pub(crate) outcome: Outcome,
}

/// Replays a trace; `progress` is told how many requests are done.
pub(crate) fn replay(
    trace: &Trace,
    terms: &Terms,
    mut progress: impl FnMut(u64),
) -> Result<Row, Error> {
    let began = cpu_time();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Error::Load {
            resource: "replay".into(),
            key: crate::key::KeyLabel::hashed(0),
            source: LoadError::permanent(error),
        })?;
    let counted = runtime.block_on(run(trace, terms, &mut progress))?;
    // Ended before the clock is read: the engine's tasks are part of what a replay costs.
    drop(runtime);
    Ok(counted.row(trace, terms, cpu_time().saturating_sub(began)))
}

/// The processor time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

async fn run(
    trace: &Trace,
    terms: &Terms,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    let forewarm = Forewarm::builder().config(config(terms.seed)).exact().build().await?;
    let latency = terms.latency;
    let timeline = Arc::new(Timeline::of(trace));
    let noted = Arc::clone(&timeline);
    let resource = forewarm
        .memory_resource::<u32, ()>("trace")
        .policy(policy(terms))
        .load_with(move |_key| {
            noted.asks_source();
            async move {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                Ok::<(), LoadError>(())
            }
        })
        .build()?;
    forewarm.start().await?;
    let counted = drive(trace, terms, (&forewarm, &resource), timeline, progress).await?;
    forewarm.shutdown(Duration::ZERO).await;
    Ok(counted)
}

/// Makes the requests, each in its time.
async fn drive(
    trace: &Trace,
    terms: &Terms,
    (forewarm, resource): (&Forewarm, &Resource<u32, ()>),
    timeline: Arc<Timeline>,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number of requests"
    )]
    let uncounted = (trace.requests.len() as f64 * terms.warmup) as usize;
    let start = Instant::now();
    let options = ReadOptions::new();
    let mut waiting = FuturesUnordered::new();
    let mut counted = Counted { timeline, ..Counted::default() };
    for (nth, request) in trace.requests.iter().enumerate() {
        let at = start + request.at;
        while Instant::now() < at {
            tokio::select! {
                biased;
                Some(done) = waiting.next() => counted.add(done),
                () = tokio::time::sleep_until(at) => {}
            }
            // What comes due at the same moment goes first.
            tokio::task::yield_now().await;
        }
        if nth == uncounted {
            counted.before = Some(resource.stats());
            counted.from = request.at;
        }
        let is_counted = nth >= uncounted;
        let scope = request.client.map(|client| forewarm.scope_of(&client));
        let reading = make(resource, request.key, options, is_counted);
        let reading = async move {
            match scope {
                Some(scope) => scope.run(reading).await,
                None => reading.await,
            }
        };
        let mut read = Box::pin(reading);
        match read.as_mut().now_or_never() {
            Some(done) => counted.add(done),
            None => waiting.push(read),
        }
        if nth % 1_000 == 0 {
            progress(nth as u64);
        }
    }
    while let Some(done) = waiting.next().await {
        counted.add(done);
    }
    // What was loaded ahead and nobody came for is wasted.
    resource.clear();
    counted.after = Some(resource.stats());
    progress(trace.requests.len() as u64);
    Ok(counted)
}

/// One request: how long it waited, and for what.
#[derive(Clone, Copy, Debug)]
struct Request {
    asked: Instant,
    is_counted: bool,
    is_miss: bool,
    is_late: bool,
    waited: Duration,
}

async fn make(
    resource: &Resource<u32, ()>,
    key: u32,
    options: ReadOptions,
    is_counted: bool,
) -> Request {
    let began = Instant::now();
    let read = resource.read(&key, &options).await;
    let is_from = |read: &Read<()>, from| read.from == from;
    Request {
        asked: began,
        is_counted,
        is_miss: read.as_ref().map_or(true, |read| !is_from(read, ReadFrom::L1)),
        is_late: read.is_ok_and(|read| read.joined == Some(Origin::Preload)),
        waited: began.elapsed(),
    }
}

/// What was counted during a replay.
#[derive(Default)]
struct Counted {
    timeline: Arc<Timeline>,
    /// When the first request that is counted is made.
    from: Duration,
    requests: u64,
    misses: u64,
    late: u64,
    waits: Vec<Duration>,
    before: Option<ResourceStats>,
    after: Option<ResourceStats>,
}

impl Counted {
    fn add(&mut self, request: Request) {
        self.timeline.answered(request.asked, request.is_miss);
        if request.is_counted {
            self.requests += 1;
            self.misses += u64::from(request.is_miss);
            self.late += u64::from(request.is_late);
            self.waits.push(request.waited);
        }
    }

    fn row(mut self, trace: &Trace, terms: &Terms, cpu: Duration) -> Row {
        self.waits.sort_unstable();
        let since = |figure: fn(&ResourceStats) -> u64| {
            let of = |stats: &Option<ResourceStats>| stats.as_ref().map_or(0, figure);
            of(&self.after).saturating_sub(of(&self.before))
        };
        let preloads = since(|stats| stats.preload_count);
        let useful = since(|stats| stats.preload_hits);
        let wait = |share| millis(percentile(&self.waits, share));
        let miss_ratio = ratio(self.misses, self.requests);
        let predictions = self.after.as_ref().map(|stats| stats.predictions.clone());
        let predictions = predictions.filter(|predictions| predictions.scored > 0);
        Row {
            trace: trace.name.clone(),
            policy: terms.rule.name(),
            threshold: terms.threshold,
            ttl_s: terms.ttl.map(|ttl| ttl.as_secs_f64()),
            capacity: terms.capacity,
            latency_s: terms.latency.as_secs_f64(),
            requests: self.requests,
            misses: self.misses,
            miss_ratio,
            hit_ratio: 1.0 - miss_ratio,
            late: self.late,
            loads: since(|stats| stats.loads),
            loads_vs_demand: None,
            preloads,
            useful,
            wasted: since(|stats| stats.preloads_wasted),
            precision: (preloads > 0).then(|| ratio(useful, preloads)),
            calibration_error: predictions.as_ref().map(|stats| stats.calibration_error),
            brier_score: predictions.as_ref().map(|stats| stats.brier_score),
            reliability: predictions.map_or_else(Vec::new, |stats| stats.reliability),
            wait_p50_ms: wait(0.5),
            wait_p99_ms: wait(0.99),
            cpu_s: cpu.as_secs_f64(),
            outcome: Outcome {
                series: self.timeline.series(),
                counted_from: self.from,
                ..Outcome::default()
            },
        }
    }
}

/// The value that this share of sorted values does not exceed: the nearest rank.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a rank"
)]
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}

fn config(seed: u64) -> Config {
    Config { seed: Some(seed), loads_max: 1 << 20, summary_every: None, ..Config::default() }
}

/// The policy of a replay: the rule decides, and no limit does.
fn policy(terms: &Terms) -> Policy {
    let century = Duration::from_hours(24 * 365 * 100);
    let ttl = terms.ttl.unwrap_or(century);
    let mode = match terms.rule {
        Rule::Forewarm | Rule::Refresh | Rule::Association => PreloadMode::Predicted,
        Rule::Observe => PreloadMode::Observe,
        Rule::Demand | Rule::XFetch(_) => PreloadMode::Off,
        Rule::Classic => PreloadMode::Classic(Classic {
            patterns_max: 1 << 30,
            skips_fresh: true,
            ..Classic::default()
        }),
    };
    let scale = |ttls: f64| EarlyRefresh::XFetch { scale: ttl.mul_f64(ttls) };
    Policy {
        capacity: Capacity::Entries(terms.capacity.unwrap_or(1 << 40)),
        ttl,
        absent_ttl: None,
        jitter: 0.0,
        stale_while_revalidate: None,
        stale_if_error: None,
        refresh_spacing: None,
        early_refresh: match terms.rule {
            Rule::XFetch(ttls) => Some(scale(ttls)),
            _ => None,
        },
        store: Store::Memory,
        preload: PreloadPolicy {
            mode,
            renewals: terms.rule != Rule::Association,
            associations: terms.rule != Rule::Refresh,
            rules: terms.rule != Rule::Refresh,
            threshold: if terms.rule == Rule::Classic { 0.5 } else { terms.threshold },
            loads_per_second: 1e12,
            burst: 1 << 30,
            queue_max: 1 << 20,
        },
        source: SourcePolicy {
            concurrency: 1 << 20,
            preload_share: 1.0,
            flights_max: 1 << 24,
            deadline: century,
            ..SourcePolicy::default()
        },
        ..Policy::default()
    }
}
