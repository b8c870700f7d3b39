//! What the cache would have done for requests that were recorded, or made up.
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
use crate::predictor::Reliability;
use crate::resource::{LearnedPair, LearnedRule, Read, ReadOptions, Resource};
use crate::stats::{ResourceStats, ratio};

use self::baseline::{Lru, Moka};
use self::oracle::Oracle;
use self::outcome::Outcome;
use self::series::Timeline;
use self::sums::Sums;
use self::trace::Trace;

mod baseline;
mod oracle;
pub(crate) mod outcome;
mod resources;
pub(crate) mod series;
mod sums;
pub(crate) mod synthetic;
pub(crate) mod trace;

/// More pairs than these would be no reading.
const PAIRS: usize = 25;

/// What is replayed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) rule: Rule,
    /// `None` never expires.
    pub(crate) ttl: Option<Duration>,
    /// In entries, over all resources; `None` holds everything.
    pub(crate) capacity: Option<u64>,
    pub(crate) latency: Duration,
    pub(crate) threshold: f64,
    /// The most loads beyond those of demand, as a share of these.
    pub(crate) load_budget: Option<f64>,
    /// The share of the requests that come first and are not counted.
    pub(crate) warmup: f64,
    pub(crate) seed: u64,
}

impl Terms {
    /// How many requests of a trace come first and are not counted.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a number of requests"
    )]
    fn uncounted(&self, trace: &Trace) -> usize {
        (trace.requests.len() as f64 * self.warmup) as usize
    }
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
    /// What will be requested is loaded just before, unless it was never read: the bound.
    Oracle,
    /// A request renews what is older than this share of its ttl.
    RefreshAfter(f64),
    /// Nothing but a request, and what was not used for the longest time goes. Not the engine.
    Lru,
    /// Nothing but a request, in a plain cache of moka. Not the engine.
    Moka,
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
            Self::Oracle => "oracle",
            Self::RefreshAfter(_) => "refresh-after",
            Self::Lru => "lru",
            Self::Moka => "moka",
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
    /// Requests right after the first ever with their id, of another resource; 0 where the trace
    /// does not mark them.
    pub(crate) first_follow_ups: u64,
    pub(crate) first_follow_ups_hit: u64,
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
    let counted = match terms.rule {
        Rule::Lru => baseline::run(trace, terms, Lru::new(terms.capacity), &mut progress),
        Rule::Moka => {
            let moka = Moka::new(terms.capacity, terms.seed);
            baseline::run(trace, terms, moka, &mut progress)
        }
        _ => on_engine(trace, terms, &mut progress)?,
    };
    Ok(counted.row(trace, terms, cpu_time().saturating_sub(began)))
}

/// Replays a trace against the engine. The engine's tasks have ended when this returns: they are
/// part of what a replay costs.
fn on_engine(
    trace: &Trace,
    terms: &Terms,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| Error::Load {
            resource: "replay".into(),
            key: crate::key::KeyLabel::hashed(0),
            source: LoadError::permanent(error),
        })?;
    runtime.block_on(run(trace, terms, progress))
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
    let timeline = Arc::new(Timeline::of(trace));
    let resources = resources::declare(&forewarm, trace, terms, &timeline)?;
    forewarm.start().await?;
    let mut counted = drive(trace, terms, (&forewarm, &resources), timeline, progress).await?;
    counted.pairs = forewarm.learned_pairs(PAIRS);
    counted.rules = forewarm.learned_rules();
    forewarm.shutdown(Duration::ZERO).await;
    Ok(counted)
}

/// Makes the requests, each in its time.
async fn drive(
    trace: &Trace,
    terms: &Terms,
    (forewarm, resources): (&Forewarm, &[Resource<u32, ()>]),
    timeline: Arc<Timeline>,
    progress: &mut impl FnMut(u64),
) -> Result<Counted, Error> {
    let uncounted = terms.uncounted(trace);
    let start = Instant::now();
    let mut waiting = FuturesUnordered::new();
    let mut counted = Counted { timeline, ..Counted::default() };
    let mut oracle = Oracle::new(terms.rule, trace, start, terms.latency);
    for (nth, request) in trace.requests.iter().enumerate() {
        let at = start + request.at;
        while Instant::now() < at {
            let next = oracle.next_at().map_or(at, |next| next.min(at));
            tokio::select! {
                biased;
                Some(done) = waiting.next() => counted.add(done),
                () = tokio::time::sleep_until(next) => {}
            }
            // What comes due at the same moment goes first.
            tokio::task::yield_now().await;
            oracle.begin_due(resources);
        }
        if nth == uncounted {
            counted.before = stats(resources);
            counted.from = request.at;
        }
        let Some(resource) = resources.get(usize::from(request.resource)) else { continue };
        oracle.begin_for(nth, resources);
        let scope = request.client.map(|client| forewarm.scope_of(&client));
        let reading = make(resource, request, nth >= uncounted);
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
        oracle.note(request);
        if nth % 1_000 == 0 {
            progress(nth as u64);
        }
    }
    while let Some(done) = waiting.next().await {
        counted.add(done);
    }
    // What was loaded ahead and nobody came for is wasted.
    forewarm.clear();
    counted.after = stats(resources);
    progress(trace.requests.len() as u64);
    Ok(counted)
}

fn stats(resources: &[Resource<u32, ()>]) -> Sums {
    Sums::new(resources.iter().map(Resource::stats).collect())
}

/// One request: how long it waited, and for what.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is counted by itself")]
struct Request {
    asked: Instant,
    is_counted: bool,
    is_miss: bool,
    is_late: bool,
    is_first_follow_up: bool,
    waited: Duration,
}

async fn make(resource: &Resource<u32, ()>, request: &trace::Request, is_counted: bool) -> Request {
    let began = Instant::now();
    let read = resource.read(&request.key, &ReadOptions::new()).await;
    let is_from = |read: &Read<()>, from| read.from == from;
    Request {
        asked: began,
        is_counted,
        is_miss: read.as_ref().map_or(true, |read| !is_from(read, ReadFrom::L1)),
        is_late: read.is_ok_and(|read| read.joined == Some(Origin::Preload)),
        is_first_follow_up: request.is_first_follow_up,
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
    first_follow_ups: u64,
    first_follow_ups_hit: u64,
    waits: Vec<Duration>,
    /// Loads of a baseline; those of an engine are in its figures.
    loads: u64,
    before: Sums,
    after: Sums,
    pairs: Vec<LearnedPair>,
    rules: Vec<LearnedRule>,
}

impl Counted {
    fn add(&mut self, request: Request) {
        self.timeline.answered(request.asked, request.is_miss);
        if request.is_counted {
            self.requests += 1;
            self.misses += u64::from(request.is_miss);
            self.late += u64::from(request.is_late);
            self.first_follow_ups += u64::from(request.is_first_follow_up);
            let is_hit = request.is_first_follow_up && !request.is_miss;
            self.first_follow_ups_hit += u64::from(is_hit);
            self.waits.push(request.waited);
        }
    }

    fn row(mut self, trace: &Trace, terms: &Terms, cpu: Duration) -> Row {
        self.waits.sort_unstable();
        let since = |figure: fn(&ResourceStats) -> u64| {
            self.after.of(figure).saturating_sub(self.before.of(figure))
        };
        let preloads = since(|stats| stats.preload_count);
        let useful = since(|stats| stats.preload_hits);
        let wait = |share| millis(percentile(&self.waits, share));
        let miss_ratio = ratio(self.misses, self.requests);
        let predictions = self.after.predictions();
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
            first_follow_ups: self.first_follow_ups,
            first_follow_ups_hit: self.first_follow_ups_hit,
            loads: self.loads + since(|stats| stats.loads),
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
                pairs: self.pairs,
                rules: self.rules,
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
fn policy(terms: &Terms, capacity: Option<u64>) -> Policy {
    let century = Duration::from_hours(24 * 365 * 100);
    let ttl = terms.ttl.unwrap_or(century);
    let mode = match terms.rule {
        Rule::Forewarm | Rule::Refresh | Rule::Association => PreloadMode::Predicted,
        Rule::Observe => PreloadMode::Observe,
        Rule::Demand
        | Rule::XFetch(_)
        | Rule::RefreshAfter(_)
        | Rule::Oracle
        | Rule::Lru
        | Rule::Moka => PreloadMode::Off,
        Rule::Classic => PreloadMode::Classic(Classic {
            patterns_max: 1 << 30,
            skips_fresh: true,
            ..Classic::default()
        }),
    };
    let scale = |ttls: f64| EarlyRefresh::XFetch { scale: ttl.mul_f64(ttls) };
    Policy {
        capacity: Capacity::Entries(capacity.unwrap_or(1 << 40)),
        ttl,
        absent_ttl: None,
        jitter: 0.0,
        stale_while_revalidate: None,
        stale_if_error: None,
        refresh_spacing: None,
        early_refresh: match terms.rule {
            Rule::XFetch(ttls) => Some(scale(ttls)),
            Rule::RefreshAfter(share) => Some(EarlyRefresh::After(share)),
            _ => None,
        },
        store: Store::Memory,
        preload: PreloadPolicy {
            mode,
            renewals: terms.rule != Rule::Association,
            associations: terms.rule != Rule::Refresh,
            rules: terms.rule != Rule::Refresh,
            threshold: if terms.rule == Rule::Classic { 0.5 } else { terms.threshold },
            extra_loads: terms.load_budget,
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

#[cfg(test)]
mod tests {
    use super::synthetic::Workload;
    use super::*;

    const TERMS: Terms = Terms {
        rule: Rule::Demand,
        ttl: Some(Duration::from_mins(1)),
        capacity: None,
        latency: Duration::ZERO,
        threshold: 0.5,
        load_budget: None,
        warmup: 0.0,
        seed: 0,
    };

    fn made(name: &str, requests: usize) -> Trace {
        Workload::named(name).unwrap().trace(requests, 7)
    }

    fn replayed(trace: &Trace, terms: &Terms) -> Row {
        replay(trace, terms, |_done| {}).unwrap()
    }

    #[test]
    fn figures_are_those_of_all_resources() {
        let bundles = made("bundles", 4_000);
        let row = replayed(&bundles, &Terms { ttl: None, ..TERMS });
        assert_eq!((row.requests, row.misses), (4_000, u64::from(bundles.keys)));
        assert_eq!(row.loads, row.misses);
        let marked = bundles.requests.iter().filter(|request| request.is_first_follow_up).count();
        assert_eq!((row.first_follow_ups, row.first_follow_ups_hit), (marked as u64, 0));
        let row = replayed(&bundles, &Terms { rule: Rule::Forewarm, ..TERMS });
        assert!(row.first_follow_ups_hit > marked as u64 / 2, "{row:?}");
        let scored: u64 = row.reliability.iter().map(|decile| decile.scored).sum();
        assert!(scored > 1_000 && row.brier_score.is_some(), "{row:?}");
    }

    #[test]
    fn an_oracle_misses_nothing_but_what_was_never_read() {
        for name in ["zipf", "loop", "bundles", "sessions"] {
            let trace = made(name, 4_000);
            let first_touches = u64::from(trace.keys);
            for capacity in [None, Some(100)] {
                let terms = Terms { ttl: Some(Duration::from_secs(10)), capacity, ..TERMS };
                let demand = replayed(&trace, &terms);
                let oracle = replayed(&trace, &Terms { rule: Rule::Oracle, ..terms });
                assert!(demand.misses > first_touches, "{name}, {capacity:?}");
                assert_eq!(oracle.misses, first_touches, "{name}, {capacity:?}");
                assert_eq!(oracle.loads, first_touches + oracle.preloads, "{name}, {capacity:?}");
                // One that renews an entry of little worth may be read from moka, unnoticed.
                assert_eq!(oracle.useful + oracle.wasted, oracle.preloads, "{name}");
                assert!(oracle.wasted * 100 <= oracle.preloads, "{name}: {oracle:?}");
            }
        }
    }

    #[test]
    fn an_oracle_begins_its_loads_as_early_as_they_take() {
        let trace = made("zipf", 4_000);
        let (latency, terms) = (Duration::from_millis(50), TERMS);
        let terms = Terms { rule: Rule::Oracle, latency, ..terms };
        let row = replayed(&trace, &terms);
        let avoidable = row.misses - u64::from(trace.keys);
        // What expires while its load would have to be under way cannot be had in time.
        assert!(avoidable <= 10, "{avoidable}");
        assert!(row.preloads > 500 && row.late <= avoidable, "{row:?}");
    }
}
