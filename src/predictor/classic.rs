//! The rule of an older system, kept for comparison.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::clock::Moment;
use crate::policy::Classic;

/// The reads of keys as the older system kept them; see [`Classic`].
#[derive(Debug)]
pub(crate) struct ClassicTable<K> {
    patterns: HashMap<K, Pattern, foldhash::fast::FixedState>,
    /// Keys by stored score and age, to find the lowest.
    by_score: BTreeSet<(u64, u64, Slot<K>)>,
    arrivals: u64,
    terms: Classic,
}

#[derive(Clone, Copy, Debug)]
struct Pattern {
    count: f64,
    last: Moment,
    /// The score as it was when it was last computed.
    score: f64,
    arrival: u64,
}

/// A key that takes no part in the order of a set.
#[derive(Clone, Debug)]
struct Slot<K>(K);

impl<K> PartialEq for Slot<K> {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl<K> Eq for Slot<K> {}

impl<K> PartialOrd for Slot<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Slot<K> {
    fn cmp(&self, _other: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl<K: Clone + Eq + Hash> ClassicTable<K> {
    pub(crate) fn new(terms: Classic) -> Self {
        Self { patterns: HashMap::default(), by_score: BTreeSet::new(), arrivals: 0, terms }
    }

    /// Notes a read. If that makes one key too many, the one with the lowest stored score goes,
    /// and of equals the oldest.
    pub(crate) fn record(&mut self, key: &K, now: Moment) {
        let known = self.patterns.get(key).copied();
        let arrival = known.map_or(self.arrivals, |pattern| pattern.arrival);
        self.arrivals += 1;
        let count = known.map_or(0.0, |pattern| pattern.count) + 1.0;
        // No time has passed since the last read, so the decay is 1 and the score is the count.
        self.store(key, Pattern { count, last: now, score: count, arrival });
        if self.patterns.len() > self.terms.patterns_max
            && let Some((_, _, Slot(lowest))) = self.by_score.pop_first()
        {
            self.patterns.remove(&lowest);
        }
    }

    #[cfg(test)]
    fn score(&self, key: &K, now: Moment) -> Option<f64> {
        self.patterns.get(key).map(|pattern| self.score_of(pattern, now))
    }

    /// The keys of one round, best first: of the first `keys_per_round`, those whose score reaches
    /// `threshold`. Keys for which `is_fresh` holds use up places without being given, unless the
    /// terms say otherwise.
    pub(crate) fn round(
        &mut self,
        threshold: f64,
        now: Moment,
        is_fresh: impl Fn(&K) -> bool,
    ) -> Vec<K> {
        self.rescore(now);
        let mut places: Vec<_> = self.patterns.iter().collect();
        // Of equals the oldest goes first, as a stable sort leaves it.
        places.sort_unstable_by(|(_, a), (_, b)| {
            b.score.total_cmp(&a.score).then(a.arrival.cmp(&b.arrival))
        });
        let terms = self.terms;
        places
            .into_iter()
            .filter(|(key, _)| !terms.skips_fresh || !is_fresh(key))
            .take(terms.keys_per_round)
            .take_while(|(_, pattern)| pattern.score >= threshold)
            .filter(|(key, _)| terms.skips_fresh || !is_fresh(key))
            .map(|(key, _)| key.clone())
            .collect()
    }

    /// The keys known.
    pub(crate) fn len(&self) -> usize {
        self.patterns.len()
    }

    pub(crate) fn clear(&mut self) {
        self.patterns.clear();
        self.by_score.clear();
    }

    fn rescore(&mut self, now: Moment) {
        let mut patterns = std::mem::take(&mut self.patterns);
        self.by_score.clear();
        for (key, pattern) in &mut patterns {
            pattern.score = self.score_of(pattern, now);
            self.by_score.insert((order(pattern.score), pattern.arrival, Slot(key.clone())));
        }
        self.patterns = patterns;
    }

    fn score_of(&self, pattern: &Pattern, now: Moment) -> f64 {
        let hours = now.since(pattern.last).as_secs_f64() / 3_600.0;
        pattern.count * self.terms.decay_per_hour.powf(hours)
    }

    fn store(&mut self, key: &K, pattern: Pattern) {
        if let Some(old) = self.patterns.insert(key.clone(), pattern) {
            self.by_score.remove(&(order(old.score), old.arrival, Slot(key.clone())));
        }
        self.by_score.insert((order(pattern.score), pattern.arrival, Slot(key.clone())));
    }
}

/// Scores are not negative, so their bits are ordered as they are.
const fn order(score: f64) -> u64 {
    score.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn table(terms: Classic) -> ClassicTable<u32> {
        ClassicTable::new(terms)
    }

    fn after_hours(hours: f64) -> Moment {
        Moment::START.plus(Duration::from_secs_f64(hours * 3_600.0))
    }

    #[test]
    fn one_read_today_restores_the_full_weight_of_last_week() {
        let mut table = table(Classic::default());
        for _ in 0..10_000 {
            table.record(&1, Moment::START);
        }
        let week = after_hours(168.0);
        table.record(&1, week);
        for _ in 0..500 {
            table.record(&2, week);
        }
        assert_eq!(table.score(&1, week), Some(10_001.0));
        assert_eq!(table.score(&2, week), Some(500.0));
    }

    #[test]
    fn one_read_is_hot_for_six_and_a_half_hours_and_a_thousand_for_three_days() {
        let mut table = table(Classic::default());
        table.record(&1, Moment::START);
        for _ in 0..1_000 {
            table.record(&2, Moment::START);
        }
        let never_fresh = |_: &u32| false;
        assert_eq!(table.round(0.5, after_hours(6.57), never_fresh), [2, 1]);
        assert_eq!(table.round(0.5, after_hours(6.59), never_fresh), [2]);
        assert_eq!(table.round(0.5, after_hours(72.0), never_fresh), [2]);
        assert_eq!(table.round(0.5, after_hours(72.2), never_fresh), [0; 0]);
    }

    #[test]
    fn a_newcomer_starves_until_the_others_have_decayed() {
        let mut table = table(Classic::default());
        for key in 0..1_000 {
            table.record(&key, Moment::START);
            table.record(&key, Moment::START);
        }
        let flash = 5_000;
        for _ in 0..5_000 {
            table.record(&flash, Moment::START);
        }
        assert_eq!(table.score(&flash, Moment::START), None);
        let never_fresh = |_: &u32| false;
        table.round(0.5, after_hours(6.57), never_fresh);
        table.record(&flash, after_hours(6.57));
        assert_eq!(table.score(&flash, after_hours(6.57)), None);
        table.round(0.5, after_hours(6.59), never_fresh);
        table.record(&flash, after_hours(6.59));
        assert_eq!(table.score(&flash, after_hours(6.59)), Some(1.0));
        assert_eq!(table.len(), 1_000);
    }

    #[test]
    fn fresh_keys_use_up_the_round_unless_they_are_skipped() {
        for (skips_fresh, expected) in [(false, vec![]), (true, vec![3])] {
            let mut table = table(Classic { keys_per_round: 2, skips_fresh, ..Classic::default() });
            for key in [1, 1, 1, 2, 2, 3] {
                table.record(&key, Moment::START);
            }
            let is_fresh = |key: &u32| *key != 3;
            assert_eq!(table.round(0.5, Moment::START, is_fresh), expected);
        }
    }
}
