//! The last minutes, second by second: for the dashboard.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;
use utoipa::ToSchema;

use crate::builder::Forewarm;
use crate::stats::ResourceStats;

/// The last minutes, second by second.
#[derive(Debug)]
pub(crate) struct Watch {
    samples: Mutex<VecDeque<Sample>>,
    newest: watch::Sender<Option<Sample>>,
    places: Arc<Semaphore>,
}

/// What a second has brought, over all resources and for each.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// The end of the second.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Over all resources.
    total: Figures,
    /// By resource.
    resources: BTreeMap<String, Figures>,
}

/// What a second has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Figures {
    /// Reads.
    reads: u64,
    /// Reads that did not wait for the source.
    hits: u64,
    /// Those of them that were the first of a preloaded value: without preloading they would have
    /// waited.
    preload_hits: u64,
    /// Reads that waited for the source.
    waited: u64,
    /// Reads that got an error.
    errors: u64,
    /// Keys asked of the source, for whatever reason.
    loads: u64,
    /// Keys whose preload has begun.
    preloads: u64,
    /// Preloads that left unread.
    wasted: u64,
    /// The time within which 95 of 100 loads end, in milliseconds: how long a read waits.
    wait_p95_ms: f64,
}

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);
/// The most dashboards that are open at a time.
const LISTENERS_MAX: usize = 64;
/// Ten minutes.
const SAMPLES_MAX: usize = 600;

impl Default for Watch {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(LISTENERS_MAX));
        Self { samples: Mutex::default(), newest: watch::Sender::new(None), places }
    }
}

impl Watch {
    /// Takes a sample every second; never ends.
    pub(crate) async fn run(&self, forewarm: &Forewarm) -> Infallible {
        let mut before = totals(forewarm);
        let mut ticks = tokio::time::interval(EVERY);
        // After a standstill there is one sample, and not one for each second that was missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let now = totals(forewarm);
            self.add(Sample::between(&before, &now));
            before = now;
        }
    }

    fn add(&self, sample: Sample) {
        {
            let mut samples = self.samples.lock();
            if samples.len() >= SAMPLES_MAX {
                samples.pop_front();
            }
            samples.push_back(sample.clone());
        }
        self.newest.send_replace(Some(sample));
    }

    /// The samples so far, oldest first.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.samples.lock().iter().cloned().collect()
    }

    /// A place among those who listen, if one is left.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Hears of new samples.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Sample>> {
        self.newest.subscribe()
    }
}

type Totals = BTreeMap<String, ResourceStats>;

fn totals(forewarm: &Forewarm) -> Totals {
    forewarm.stats().into_iter().map(|stats| (stats.resource.clone(), stats)).collect()
}

impl Sample {
    fn between(before: &Totals, now: &Totals) -> Self {
        let resources: BTreeMap<_, _> = now
            .iter()
            .map(|(name, now)| (name.clone(), Figures::between(before.get(name), now)))
            .collect();
        let total = resources.values().fold(Figures::default(), Figures::plus);
        Self { at: Timestamp::now(), total, resources }
    }
}

impl Figures {
    fn between(before: Option<&ResourceStats>, now: &ResourceStats) -> Self {
        let since = |of: fn(&ResourceStats) -> u64| of(now).saturating_sub(before.map_or(0, of));
        Self {
            reads: since(|stats| stats.total_accesses),
            hits: since(|stats| stats.l1_hits + stats.l1_stale + stats.l2_hits),
            preload_hits: since(|stats| stats.preload_hits),
            waited: since(|stats| stats.misses),
            errors: since(|stats| stats.errors),
            loads: since(|stats| stats.loads),
            preloads: since(|stats| stats.preload_count),
            wasted: since(|stats| stats.preloads_wasted),
            wait_p95_ms: now.load_time_p95_ms,
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            reads: self.reads + other.reads,
            hits: self.hits + other.hits,
            preload_hits: self.preload_hits + other.preload_hits,
            waited: self.waited + other.waited,
            errors: self.errors + other.errors,
            loads: self.loads + other.loads,
            preloads: self.preloads + other.preloads,
            wasted: self.wasted + other.wasted,
            // The slowest source is what is felt.
            wait_p95_ms: self.wait_p95_ms.max(other.wait_p95_ms),
        }
    }
}
