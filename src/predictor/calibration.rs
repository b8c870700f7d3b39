//! How often predictions come true.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::entry::Cell;
use crate::stats::{PredictionStats, Reliability, ratio};

/// What came of the predictions of one resource: a table from what a prediction looked like to how
/// often it came true.
///
/// A prediction is put into a cell by what is known of it, and the probability is the share of that
/// cell's predictions that came true, `(came true + 4 x prior) / (all + 4)`: before anything is
/// known, the prior. Predictions that were not acted on count as those that were (ghosts), so a cell
/// that began badly can recover. A cell is halved at 200 outcomes, so that it can change.
///
/// Counts are atomics: outcomes become known wherever an entry is read or leaves.
#[derive(Debug)]
pub(crate) struct Calibration {
    cells: Box<[AtomicU64]>,
    /// By what was predicted, in tenths.
    deciles: [Decile; 10],
    /// The sum of the squared errors, in millionths.
    squared_error: AtomicU64,
    /// Recent outcomes of what was likely enough to act on: those that came true, and all.
    recent: AtomicU64,
}

#[derive(Debug, Default)]
struct Decile {
    count: AtomicU64,
    came_true: AtomicU64,
    /// The sum of the probabilities, in millionths.
    predicted: AtomicU64,
}

const CONFIDENCES: usize = 10;
const SUPPORTS: usize = 3;
const RATES: usize = 5;
const REVERSES: usize = 4;
const ASSOCIATIONS: usize = CONFIDENCES * SUPPORTS * RATES * REVERSES;
/// Rules: by confidence, and by whether the key was read before.
const RULES: usize = CONFIDENCES * 2;
/// Declared relations, by their order.
pub(crate) const RELATIONS: usize = 32;
/// Renewals: by probability in twentieths, and by how far others cover the key.
const RENEWALS: usize = 20 * 3;
/// Renewals of keys that were read once.
const ONCE_READ: usize = 1;
const CELLS: usize = ASSOCIATIONS + RULES + RELATIONS + RENEWALS + ONCE_READ;

/// What the prior weighs, in outcomes.
const PRIOR_WEIGHT: f32 = 4.0;
const MEMORY: f32 = 200.0;
/// Recent outcomes are halved at this number, so that they can change.
const RECENT_MEMORY: u32 = 2_000;
/// Recent outcomes before predictions can be found to be bad.
const JUDGED_AFTER: u32 = 1_000;
const MILLION: f64 = 1e6;

impl Cell {
    /// The cell of a key that follows another.
    pub(crate) fn of_follower(confidence: f64, weight: f64, reverse: f64, expected: f64) -> Self {
        let confidence = steps(confidence, CONFIDENCES);
        let support = [1.5, 3.5].into_iter().filter(|least| weight >= *least).count();
        let rate = [0.05, 0.2, 0.5, 1.5].into_iter().filter(|least| expected >= *least).count();
        let reverse = [0.15, 0.4, 0.75].into_iter().filter(|least| reverse >= *least).count();
        Self::at(((confidence * SUPPORTS + support) * RATES + rate) * REVERSES + reverse)
    }

    /// The cell of a key that a rule names.
    pub(crate) fn of_rule(confidence: f64, is_known: bool) -> Self {
        Self::at(ASSOCIATIONS + steps(confidence, CONFIDENCES) * 2 + usize::from(is_known))
    }

    /// The cell of a key that a relation names.
    pub(crate) fn of_relation(order: usize) -> Self {
        Self::at(ASSOCIATIONS + RULES + order.min(RELATIONS - 1))
    }

    /// The cell of a key that is due; without a probability if it was read once.
    pub(crate) fn of_renewal(probability: Option<f64>, coverage: f64) -> Self {
        let first = ASSOCIATIONS + RULES + RELATIONS;
        let Some(probability) = probability else { return Self::at(first + RENEWALS) };
        Self::at(first + steps(probability, 20) * 3 + steps(coverage, 3))
    }

    fn at(place: usize) -> Self {
        Self(u16::try_from(place).unwrap_or(u16::MAX))
    }
}

/// In which of `count` equal parts a share is.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share"
)]
fn steps(share: f64, count: usize) -> usize {
    ((share * count as f64) as usize).min(count - 1)
}

impl Calibration {
    pub(crate) fn new() -> Self {
        Self {
            cells: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
            deciles: Default::default(),
            squared_error: AtomicU64::new(0),
            recent: AtomicU64::new(0),
        }
    }

    /// The probability of what is in a cell, and would be `prior` if nothing were known of it.
    pub(crate) fn probability(&self, cell: Cell, prior: f64) -> f64 {
        let Some(counts) = self.cells.get(usize::from(cell.0)) else { return prior };
        let (came_true, all) = unpack(counts.load(Relaxed));
        (f64::from(came_true) + f64::from(PRIOR_WEIGHT) * prior) / f64::from(all + PRIOR_WEIGHT)
    }

    /// Learns whether a prediction came true.
    pub(crate) fn learn(&self, cell: Cell, came_true: bool) {
        let Some(counts) = self.cells.get(usize::from(cell.0)) else { return };
        let grow = |bits| {
            let (mut yes, mut all) = unpack(bits);
            if all >= MEMORY {
                (yes, all) = (yes / 2.0, all / 2.0);
            }
            Some(pack(yes + f32::from(u8::from(came_true)), all + 1.0))
        };
        // It never gives up, since `grow` always gives something.
        drop(counts.fetch_update(Relaxed, Relaxed, grow));
    }

    /// Keeps the score of a prediction that was acted on, or would have been.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "millionths")]
    pub(crate) fn score(&self, probability: f64, came_true: bool) {
        let outcome = f64::from(u8::from(came_true));
        let error = (outcome - probability).powi(2);
        self.squared_error.fetch_add((error * MILLION) as u64, Relaxed);
        if let Some(decile) = self.deciles.get(steps(probability, 10)) {
            decile.count.fetch_add(1, Relaxed);
            decile.came_true.fetch_add(u64::from(came_true), Relaxed);
            decile.predicted.fetch_add((probability * MILLION) as u64, Relaxed);
        }
        let grow = |bits: u64| {
            let (mut yes, mut all) = ((bits >> 32) as u32, bits as u32);
            if all >= RECENT_MEMORY {
                (yes, all) = (yes / 2, all / 2);
            }
            Some(u64::from(yes + u32::from(came_true)) << 32 | u64::from(all + 1))
        };
        drop(self.recent.fetch_update(Relaxed, Relaxed, grow));
    }

    /// Whether recent predictions came true so rarely that they are not to be acted on: fewer than
    /// half as many as the threshold promises.
    #[expect(clippy::cast_possible_truncation, reason = "two halves of a word")]
    pub(crate) fn is_muted(&self, threshold: f64) -> bool {
        let bits = self.recent.load(Relaxed);
        let (yes, all) = ((bits >> 32) as u32, bits as u32);
        all >= JUDGED_AFTER && f64::from(yes) < f64::from(all) * threshold / 2.0
    }

    /// How good the predictions are.
    #[expect(clippy::cast_precision_loss, reason = "means")]
    pub(crate) fn stats(&self, threshold: f64) -> PredictionStats {
        let deciles = self.deciles.each_ref().map(|decile| {
            let [count, came_true, predicted] =
                [&decile.count, &decile.came_true, &decile.predicted].map(|sum| sum.load(Relaxed));
            (count, came_true, predicted as f64 / MILLION)
        });
        let scored: u64 = deciles.iter().map(|(count, ..)| count).sum();
        let reliability = deciles.map(|(count, came_true, predicted)| Reliability {
            scored: count,
            predicted: predicted / count.max(1) as f64,
            realised: ratio(came_true, count),
        });
        let error = |decile: &Reliability| {
            ratio(decile.scored, scored) * (decile.predicted - decile.realised).abs()
        };
        PredictionStats {
            scored,
            came_true: deciles.iter().map(|(_, came_true, _)| came_true).sum(),
            brier_score: self.squared_error.load(Relaxed) as f64 / MILLION / scored.max(1) as f64,
            calibration_error: reliability.iter().map(error).sum(),
            reliability: reliability.to_vec(),
            is_muted: self.is_muted(threshold),
        }
    }

    /// Forgets what was learned; the score stays.
    pub(crate) fn clear(&self) {
        for cell in &self.cells {
            cell.store(0, Relaxed);
        }
        self.recent.store(0, Relaxed);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "two halves of a word")]
const fn unpack(bits: u64) -> (f32, f32) {
    (f32::from_bits((bits >> 32) as u32), f32::from_bits(bits as u32))
}

const fn pack(came_true: f32, all: f32) -> u64 {
    (came_true.to_bits() as u64) << 32 | all.to_bits() as u64
}
