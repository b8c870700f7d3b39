//! What is counted during a replay, and what comes of it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::outcome::Outcome;
use super::series::Timeline;
use super::sums::Sums;
use super::terms::Terms;
use super::trace::Trace;
use crate::predictor::Reliability;
use crate::resource::{LearnedPair, LearnedRule};
use crate::stats::{ResourceStats, ratio};

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

/// One request: how long it waited, and for what.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is counted by itself")]
pub(super) struct Request {
    pub(super) asked: Instant,
    pub(super) is_counted: bool,
    pub(super) is_miss: bool,
    pub(super) is_late: bool,
    pub(super) is_first_follow_up: bool,
    pub(super) waited: Duration,
}

/// What was counted during a replay.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) timeline: Arc<Timeline>,
    /// When the first request that is counted is made.
    pub(super) from: Duration,
    pub(super) requests: u64,
    pub(super) misses: u64,
    pub(super) late: u64,
    pub(super) first_follow_ups: u64,
    pub(super) first_follow_ups_hit: u64,
    pub(super) waits: Vec<Duration>,
    /// Loads of a baseline; those of an engine are in its figures.
    pub(super) loads: u64,
    pub(super) before: Sums,
    pub(super) after: Sums,
    pub(super) pairs: Vec<LearnedPair>,
    pub(super) rules: Vec<LearnedRule>,
}

impl Counted {
    pub(super) fn add(&mut self, request: Request) {
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

    pub(super) fn row(mut self, trace: &Trace, terms: &Terms, cpu: Duration) -> Row {
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
