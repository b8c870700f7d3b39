//! Looking at a resource.

use serde::Serialize;

use super::Resource;
use super::core::Core;
use super::write::{matching, tagged};
use crate::error::ConfigError;
use crate::fence::Group;
use crate::key::Key;
use crate::metrics::{Load, Preload, PreloadOutcome, ReadOutcome, Refresh};
use crate::stats::{ResourceStats, ratio};

/// A key that is read often.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HotKey<K> {
    /// The key.
    pub key: K,
    /// Its reads, each weighing `2^-(age / half_life)`. While it is read hundreds of times a second
    /// one hit in 16 is counted, and stands for all.
    pub score: f64,
    /// Its reads per second: `1 / max(average gap, time since the last)`; `None` before the second.
    pub rate: Option<f64>,
    /// What it is ordered by: the score, and less in proportion where the rate is below 8 reads in
    /// a half-life.
    pub heat: f64,
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The figures of this resource. Taking them holds no reader up.
    #[must_use]
    pub fn stats(&self) -> ResourceStats {
        self.core.stats()
    }

    /// The `count` keys in memory with the most heat, the hottest first; fewer if memory holds fewer.
    /// It looks at every entry, but holds no reader up.
    #[must_use]
    pub fn hot_keys(&self, count: usize) -> Vec<HotKey<K>> {
        let now = self.core.clock.now();
        let hottest = self.core.fence.hottest(count, now);
        let hot = hottest.into_iter().map(|hot| HotKey {
            key: hot.entry.key().clone(),
            score: self.core.fence.recorder().score(&hot.past, now),
            rate: hot.past.rate(now),
            heat: hot.heat,
        });
        hot.collect()
    }

    /// How many entries [`Resource::invalidate_matching`] would void in the memory of this engine, to
    /// know it beforehand. L2 and other engines may hold more.
    ///
    /// It looks at every entry, absences too, but holds no reader up; what is loaded, evicted or
    /// moved meanwhile may be missed or counted twice. Of everything,
    /// [`ResourceStats::entries`] says the same.
    ///
    /// # Errors
    ///
    /// The text is no pattern.
    pub fn count_matching(&self, pattern: &str) -> Result<usize, ConfigError> {
        Ok(self.core.count_group(&matching(pattern)?))
    }

    /// How many entries [`Resource::invalidate_tag`] would void in the memory of this engine. Else as
    /// [`Resource::count_matching`].
    ///
    /// # Errors
    ///
    /// The text is no tag.
    pub fn count_tagged(&self, tag: &str) -> Result<usize, ConfigError> {
        Ok(self.core.count_group(&tagged(tag)?))
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The entries in memory that belong to a group, and have not been invalidated.
    fn count_group(&self, group: &Group) -> usize {
        self.fence.count(|entry| match group {
            Group::All => true,
            Group::Tag(tag) => entry.tags().iter().any(|of_entry| of_entry == &**tag),
            Group::Pattern(pattern) => {
                let is_match = || pattern.matches(&entry.key().to_string());
                self.ask_user(is_match).unwrap_or_default()
            }
        })
    }

    pub(super) fn stats(&self) -> ResourceStats {
        let read = |outcome| self.tally.reads.get(outcome);
        let preloads =
            |outcome| self.tally.l1.preloads.sum(|preload: Preload| preload.1 == outcome);
        let held = self.fence.l1().held();
        let entries = held.iter().map(|held| held.entries).sum();
        let patterns = match self.ahead.patterns() {
            0 => entries + self.fence.tracked_absent() as u64,
            classic => classic as u64,
        };
        let (begun, useful) = (self.ahead.begun(), preloads(PreloadOutcome::Useful));
        let queued = self.shared.as_ref().map_or(0, |shared| shared.outbox.len());
        ResourceStats {
            total_accesses: self.tally.reads.total(),
            tracked_patterns: patterns,
            associations: self.foreseeing.foresight.associations() as u64,
            preload_count: begun,
            preload_hits: useful,
            preload_hit_rate: ratio(useful, begun),
            active_tasks: self.fence.flights() as u64,
            resource: self.name.to_string(),
            l1_hits: read(ReadOutcome::L1Hit) + read(ReadOutcome::L1Absent),
            l1_stale: read(ReadOutcome::L1Stale),
            l2_hits: [ReadOutcome::L2Hit, ReadOutcome::L2Stale, ReadOutcome::L2Absent]
                .map(read)
                .iter()
                .sum(),
            misses: [ReadOutcome::SourceHit, ReadOutcome::SourceAbsent].map(read).iter().sum(),
            stale_on_error: read(ReadOutcome::SourceStale),
            errors: read(ReadOutcome::SourceError),
            loads: self.tally.loads.sum(|_| true),
            load_failures: self.tally.loads.sum(|load: Load| !load.1.is_answer()),
            refreshes: self.tally.refreshes.get(Refresh::Done),
            preloads_wasted: preloads(PreloadOutcome::Wasted),
            preloads_late: preloads(PreloadOutcome::Late),
            preloads_failed: preloads(PreloadOutcome::Failed),
            preloads_refused: preloads(PreloadOutcome::Refused),
            preloads_not_held: preloads(PreloadOutcome::NotHeld),
            entries,
            weight: held.iter().map(|held| held.weight).sum(),
            capacity: self.policy.capacity.amount(),
            queued_invalidations: queued as u64,
            breaker: self.source.limits.breaker(self.clock.now()),
            load_time_p95_ms: self.source.load_time.estimate().as_secs_f64() * 1e3,
            predictions: self.calibration().stats(self.ahead.policy().threshold),
        }
    }
}
