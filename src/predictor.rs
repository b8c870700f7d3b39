//! What will be read: candidates with their probabilities. Pure functions of what was read and of
//! the present moment; it knows neither tiers nor loaders, so it can be replayed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::entry::{Cell, KeyId, Reason};
use crate::score::Past;

pub(crate) use self::calibration::Calibration;
pub use self::calibration::{PredictionStats, Reliability};
pub(crate) use self::classic::ClassicTable;
#[cfg(test)]
pub(crate) use self::known::KnownFollower;
pub(crate) use self::known::{Knowledge, KnownCalibration, KnownKey, KnownLeader, most_read};
pub(crate) use self::learner::{
    Acting, Answer, Learned, Learner, LearnerTerms, Proposal, Proposals, Related, Shelves,
    Sighting, Target,
};
pub(crate) use self::rule::Rule;

mod association;
mod calibration;
mod classic;
mod ghost;
mod known;
mod learner;
mod rule;
mod window;

/// The probability that a key is read within `span`, if its reads come independently of each other
/// at `rate` reads per second: `1 - e^(-rate x span)`.
pub(crate) fn read_within(rate: f64, span: Duration) -> f64 {
    -(-rate * span.as_secs_f64()).exp_m1()
}

/// A judgement of a key that is about to expire: what it looks like, and the prior probability
/// that it is read within one more ttl.
///
/// A key that was read once has no rate; before anything is known, one in ten of those returns.
pub(crate) fn judge_renewal(past: &Past, now: Moment, ttl: Duration) -> (Cell, f64) {
    const ONCE_READ: f64 = 0.1;
    if past.is_once_read() {
        return (Cell::of_renewal(None), ONCE_READ);
    }
    let probability = past.rate(now).map_or(0.0, |rate| read_within(rate, ttl));
    (Cell::of_renewal(Some(probability)), probability)
}

/// A key that may be worth loading ahead.
#[derive(Clone, Debug)]
pub(crate) struct Candidate<K> {
    pub(crate) key: K,
    pub(crate) hash: u64,
    pub(crate) probability: f32,
    pub(crate) reason: Reason,
    /// What the prediction looked like, if it was one that is calibrated.
    pub(crate) cell: Option<Cell>,
    /// The key whose read led to it, if one did.
    pub(crate) trigger: Option<KeyId>,
    /// The end of the ttl of the entry to renew; what is fresh longer need not be loaded.
    pub(crate) renews: Option<Moment>,
}

impl<K> Candidate<K> {
    /// A candidate that no calibrated prediction proposed.
    pub(crate) const fn new(key: K, hash: u64, probability: f32, reason: Reason) -> Self {
        Self { key, hash, probability, reason, cell: None, trigger: None, renews: None }
    }
}

/// Candidates that wait for their turn, best first; when there are too many, the worst goes.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    candidates: BTreeMap<(u32, u64), Candidate<K>>,
    arrivals: u64,
    max: usize,
}

impl<K> Queue<K> {
    pub(crate) fn new(max: usize) -> Self {
        Self { candidates: BTreeMap::new(), arrivals: 0, max }
    }

    /// Adds a candidate; gives the one that had to go for it, if any.
    pub(crate) fn push(&mut self, candidate: Candidate<K>) -> Option<Candidate<K>> {
        self.arrivals += 1;
        // Of two that are equally probable, the earlier goes first and stays longer.
        let order = (order_of(candidate.probability), u64::MAX - self.arrivals);
        self.candidates.insert(order, candidate);
        if self.candidates.len() <= self.max {
            return None;
        }
        self.candidates.pop_first().map(|(_, worst)| worst)
    }

    /// Takes the best candidate.
    pub(crate) fn pop(&mut self) -> Option<Candidate<K>> {
        self.candidates.pop_last().map(|(_, best)| best)
    }

    pub(crate) fn len(&self) -> usize {
        self.candidates.len()
    }

    pub(crate) fn clear(&mut self) {
        self.candidates.clear();
    }
}

/// Probabilities are not negative, so their bits are ordered as they are.
fn order_of(probability: f32) -> u32 {
    probability.max(0.0).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(key: u32, probability: f32) -> Candidate<u32> {
        Candidate::new(key, 0, probability, Reason::Expiry)
    }

    #[test]
    fn a_key_read_as_often_as_it_expires_is_read_in_two_of_three_lives() {
        let probability = read_within(1.0 / 60.0, Duration::from_mins(1));
        assert!((probability - 0.632).abs() < 1e-3, "{probability}");
    }

    #[test]
    fn the_best_goes_first_and_the_worst_is_dropped() {
        let mut queue = Queue::new(3);
        for (key, probability) in [(1, 0.6), (2, 0.9), (3, 0.6)] {
            assert!(queue.push(candidate(key, probability)).is_none());
        }
        assert_eq!(queue.push(candidate(4, 0.7)).map(|worst| worst.key), Some(3));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|next| next.key).collect();
        assert_eq!(order, [2, 4, 1]);
    }
}
