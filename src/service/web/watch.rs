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
    seconds: Mutex<VecDeque<Arc<Second>>>,
    newest: watch::Sender<Option<Arc<Second>>>,
    places: Arc<Semaphore>,
}

/// What a second has brought.
#[derive(Debug)]
pub(crate) struct Second {
    at: Timestamp,
    total: Figures,
    /// Where anything happened, and what it was. A resource is its place among their names, which
    /// stay the same from the start on.
    busy: Box<[(u32, Figures)]>,
}

/// What a second has brought, to a resource or to all.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Sample {
    /// The end of the second.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// What it has brought.
    figures: Figures,
}

/// What is looked at: a resource or all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked(Option<u32>);

/// What a second has brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Figures {
    /// Reads.
    reads: u32,
    /// Reads that did not wait for the source.
    hits: u32,
    /// Those of them that were the first of a preloaded value: without preloading they would have
    /// waited.
    preload_hits: u32,
    /// Reads that waited for the source.
    waited: u32,
    /// Reads that got an error.
    errors: u32,
    /// Keys asked of the source, for whatever reason.
    loads: u32,
    /// Keys whose preload has begun.
    preloads: u32,
    /// Preloads that left unread.
    wasted: u32,
    /// The time within which 95 of 100 loads end, of late, in milliseconds; of all resources that of
    /// the slowest. `null` if nothing was loaded.
    load_p95_ms: Option<f32>,
}

/// Between two samples.
const EVERY: Duration = Duration::from_secs(1);
/// The most dashboards that are open at a time.
const LISTENERS_MAX: usize = 64;
/// Ten minutes.
const SECONDS_MAX: usize = 600;

impl Default for Watch {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(LISTENERS_MAX));
        Self { seconds: Mutex::default(), newest: watch::Sender::new(None), places }
    }
}

impl Watch {
    /// Takes a sample every second; never ends.
    pub(crate) async fn run(&self, forewarm: &Forewarm) -> Infallible {
        // What came before this began is of the first second, and not of none.
        let mut before = Totals::new();
        let mut ticks = tokio::time::interval(EVERY);
        // After a standstill there is one sample, and not one for each second that was missed.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            let now = totals(forewarm);
            self.add(Second::between(&before, &now));
            before = now;
        }
    }

    fn add(&self, second: Second) {
        let second = Arc::new(second);
        {
            let mut seconds = self.seconds.lock();
            if seconds.len() >= SECONDS_MAX {
                seconds.pop_front();
            }
            seconds.push_back(Arc::clone(&second));
        }
        self.newest.send_replace(Some(second));
    }

    /// The seconds so far, oldest first.
    pub(crate) fn samples(&self, looked: Looked) -> Vec<Sample> {
        self.seconds.lock().iter().map(|second| second.sample(looked)).collect()
    }

    /// What is looked at: all, or the resource of a name, if there is one.
    pub(crate) fn look(&self, forewarm: &Forewarm, resource: Option<&str>) -> Option<Looked> {
        let Some(resource) = resource else { return Some(Looked(None)) };
        let names = totals(forewarm);
        let place = names.keys().position(|name| name == resource)?;
        Some(Looked(Some(as_u32(place as u64))))
    }

    /// A place among those who listen, if one is left.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Hears of new samples.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<Arc<Second>>> {
        self.newest.subscribe()
    }
}

type Totals = BTreeMap<String, ResourceStats>;

fn totals(forewarm: &Forewarm) -> Totals {
    forewarm.stats().into_iter().map(|stats| (stats.resource.clone(), stats)).collect()
}

impl Second {
    fn between(before: &Totals, now: &Totals) -> Self {
        Self::of(now.iter().map(|(name, now)| Figures::between(before.get(name), now)))
    }

    fn of(all: impl Iterator<Item = Figures>) -> Self {
        let busy = (0..).zip(all).filter(|(_, figures)| *figures != Figures::default());
        let busy: Box<[_]> = busy.collect();
        let total = busy.iter().fold(Figures::default(), |sum, (_, more)| sum.plus(more));
        Self { at: Timestamp::now(), total, busy }
    }

    /// What it has brought to what is looked at.
    pub(crate) fn sample(&self, looked: Looked) -> Sample {
        let of = |place| {
            let found = self.busy.binary_search_by_key(&place, |(place, _)| *place).ok();
            found.and_then(|at| self.busy.get(at)).map(|(_, figures)| *figures).unwrap_or_default()
        };
        Sample { at: self.at, figures: looked.0.map_or(self.total, of) }
    }
}

impl Figures {
    fn between(before: Option<&ResourceStats>, now: &ResourceStats) -> Self {
        let since =
            |of: fn(&ResourceStats) -> u64| as_u32(of(now).saturating_sub(before.map_or(0, of)));
        let loads = since(|stats| stats.loads);
        #[expect(clippy::cast_possible_truncation, reason = "it is an estimate of milliseconds")]
        let load_p95_ms = now.load_time_p95_ms as f32;
        Self {
            reads: since(|stats| stats.total_accesses),
            hits: since(|stats| stats.l1_hits + stats.l1_stale + stats.l2_hits),
            preload_hits: since(|stats| stats.preload_hits),
            waited: since(|stats| stats.misses),
            errors: since(|stats| stats.errors),
            loads,
            preloads: since(|stats| stats.preload_count),
            wasted: since(|stats| stats.preloads_wasted),
            load_p95_ms: (loads > 0).then_some(load_p95_ms),
        }
    }

    fn plus(self, other: &Self) -> Self {
        let slowest = [self.load_p95_ms, other.load_p95_ms].into_iter().flatten();
        Self {
            reads: self.reads.saturating_add(other.reads),
            hits: self.hits.saturating_add(other.hits),
            preload_hits: self.preload_hits.saturating_add(other.preload_hits),
            waited: self.waited.saturating_add(other.waited),
            errors: self.errors.saturating_add(other.errors),
            loads: self.loads.saturating_add(other.loads),
            preloads: self.preloads.saturating_add(other.preloads),
            wasted: self.wasted.saturating_add(other.wasted),
            // The slowest source is what is felt.
            load_p95_ms: slowest.reduce(f32::max),
        }
    }
}

fn as_u32(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
