//! How often predictions come true.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

use super::known::{KnownCalibration, amount};
use crate::entry::Cell;

/// What came of the predictions of one resource: a table from what a prediction looked like to how
/// often it came true.
///
/// A prediction is put into a cell by what is known of it. The cells form a tree, whose inner nodes
/// pool cells that are alike: the probability is the share of a cell's predictions that came true,
/// where sixteen more are added that came true as often as those of the node above, and for the
/// topmost, as often as the prior says. So what is learned in one cell holds for its neighbours
/// until they know better.
///
/// A prediction counts at once, and a second time when it comes true: nothing has to be remembered
/// to find out that it did not, and a burst of wrong ones ends itself. Predictions that were not
/// acted on count as those that were (ghosts), so a cell that began badly can recover. A cell is
/// halved at 200 predictions, so that it can change.
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

/// How good the predictions of a resource are: those that were acted on, or would have been under
/// [`PreloadMode::Observe`](crate::PreloadMode::Observe).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PredictionStats {
    /// Predictions of which it is known whether they came true.
    pub scored: u64,
    /// Those that did.
    pub came_true: u64,
    /// The mean of the squared errors, 0 to 1, where 0.25 is what tossing a coin gives (Brier,
    /// "Verification of forecasts expressed in terms of probability", 1950); 0 before the first.
    pub brier_score: f64,
    /// The mean distance between what was predicted and what came true, over the tenths of
    /// probability, 0 to 1.
    pub calibration_error: f64,
    /// What was predicted and what came true, by tenths of the probability, lowest first.
    pub reliability: Vec<Reliability>,
    /// Whether predictions are only watched, because too few of the last 1,000 came true.
    pub is_muted: bool,
}

/// What was predicted with probabilities of one tenth, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Reliability {
    /// Predictions.
    pub scored: u64,
    /// The mean of their probabilities.
    pub predicted: f64,
    /// The share that came true.
    pub realised: f64,
}

const CONFIDENCES: usize = 10;
const SUPPORTS: usize = 3;
const RATES: usize = 5;
const REVERSES: usize = 4;
const DETAILS: usize = RATES * REVERSES;
const ASSOCIATIONS: usize = CONFIDENCES * SUPPORTS * DETAILS;
/// Rules: by confidence, and by whether the key was read before.
const RULES: usize = CONFIDENCES * 2;
/// Declared relations; where there are more, some share a cell.
const RELATIONS: usize = 64;
/// Renewals: by probability.
const RENEWALS: usize = 20;
/// Renewals of keys that were read once.
const ONCE_READ: usize = 1;
/// Associations of keys that are not read close to each other.
const FAR_ASSOCIATIONS: usize = CONFIDENCES * SUPPORTS;
const LEAVES: usize = ASSOCIATIONS + RULES + RELATIONS + RENEWALS + ONCE_READ + FAR_ASSOCIATIONS;
/// Associations by confidence and support, and by confidence alone.
const BRANCHES: usize = CONFIDENCES * SUPPORTS;
const CELLS: usize = LEAVES + BRANCHES + CONFIDENCES;
/// Tells cells from those of another version.
#[expect(clippy::cast_possible_truncation, reason = "there are some hundreds")]
const LAYOUT: u16 = CELLS as u16;

/// What is known of the node above weighs as much as this many predictions.
const ABOVE_WEIGHT: f64 = 16.0;
const MEMORY: f32 = 200.0;
/// Recent outcomes are halved at this number, so that they can change.
const RECENT_MEMORY: u32 = 2_000;
/// Recent outcomes before predictions can be found to be bad.
const JUDGED_AFTER: u32 = 1_000;
const MILLION: f64 = 1e6;

impl Cell {
    /// The cell of a key that follows another.
    pub(crate) fn of_follower(confidence: f64, weight: f64, reverse: f64, expected: f64) -> Self {
        let (confidence, support) = (steps(confidence, CONFIDENCES), support(weight));
        let rate = [0.05, 0.2, 0.5, 1.5].into_iter().filter(|least| expected >= *least).count();
        let reverse = [0.15, 0.4, 0.75].into_iter().filter(|least| reverse >= *least).count();
        Self::at(((confidence * SUPPORTS + support) * RATES + rate) * REVERSES + reverse)
    }

    /// The cell of a key that follows another from afar only. Such predictions have to prove
    /// themselves, whatever those of near followers are worth.
    pub(crate) fn of_far_follower(confidence: f64, weight: f64) -> Self {
        let first = ASSOCIATIONS + RULES + RELATIONS + RENEWALS + ONCE_READ;
        Self::at(first + steps(confidence, CONFIDENCES) * SUPPORTS + support(weight))
    }

    /// The cell of a key that a rule names.
    pub(crate) fn of_rule(confidence: f64, is_known: bool) -> Self {
        Self::at(ASSOCIATIONS + steps(confidence, CONFIDENCES) * 2 + usize::from(is_known))
    }

    /// The cell of a key that a relation names: the relations of a resource, by their order.
    pub(crate) fn of_relation(resource: u16, order: usize) -> Self {
        Self::at(ASSOCIATIONS + RULES + (usize::from(resource) * 7 + order) % RELATIONS)
    }

    /// The cell of a key that is due; without a probability if it was read once.
    pub(crate) fn of_renewal(probability: Option<f64>) -> Self {
        let first = ASSOCIATIONS + RULES + RELATIONS;
        let Some(probability) = probability else { return Self::at(first + RENEWALS) };
        Self::at(first + steps(probability, RENEWALS))
    }

    /// The cell and the nodes above it, topmost last.
    fn path(self) -> impl DoubleEndedIterator<Item = usize> {
        let leaf = usize::from(self.0);
        let above = (leaf < ASSOCIATIONS).then(|| {
            let branch = leaf / DETAILS;
            [LEAVES + branch, LEAVES + BRANCHES + branch / SUPPORTS]
        });
        std::iter::once(leaf).chain(above.into_iter().flatten())
    }

    fn at(place: usize) -> Self {
        Self(u16::try_from(place).unwrap_or(u16::MAX))
    }
}

/// How much is known of a pair of keys, in steps.
fn support(weight: f64) -> usize {
    [1.5, 3.5].into_iter().filter(|least| weight >= *least).count()
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
        cell.path().rev().filter_map(|place| self.cells.get(place)).fold(prior, |above, counts| {
            let (came_true, all) = unpack(counts.load(Relaxed));
            (f64::from(came_true) + ABOVE_WEIGHT * above) / (f64::from(all) + ABOVE_WEIGHT)
        })
    }

    /// Notes a prediction.
    pub(crate) fn predicted(&self, cell: Cell) {
        self.count(cell, |came_true, all| {
            if all >= MEMORY { (came_true / 2.0, all / 2.0 + 1.0) } else { (came_true, all + 1.0) }
        });
    }

    /// Notes that a prediction came true.
    pub(crate) fn came_true(&self, cell: Cell) {
        self.count(cell, |came_true, all| ((came_true + 1.0).min(all), all));
    }

    /// Takes a prediction back: whether it comes true will not be known.
    pub(crate) fn withdraw(&self, cell: Cell) {
        self.count(cell, |came_true, all| (came_true, (all - 1.0).max(came_true)));
    }

    fn count(&self, cell: Cell, change: impl Fn(f32, f32) -> (f32, f32)) {
        for counts in cell.path().filter_map(|place| self.cells.get(place)) {
            let changed = |bits| {
                let (came_true, all) = unpack(bits);
                let (came_true, all) = change(came_true, all);
                pack(came_true, all)
            };
            counts.update(Relaxed, Relaxed, changed);
        }
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
            u64::from(yes + u32::from(came_true)) << 32 | u64::from(all + 1)
        };
        self.recent.update(Relaxed, Relaxed, grow);
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

    /// What is known.
    #[expect(clippy::cast_possible_truncation, reason = "two halves of a word")]
    pub(crate) fn known(&self) -> KnownCalibration {
        let cells = (0..).zip(&self.cells).filter_map(|(place, counts)| {
            let (came_true, all) = unpack(counts.load(Relaxed));
            (all > 0.0).then_some((place, came_true, all))
        });
        let recent = self.recent.load(Relaxed);
        let recent = ((recent >> 32) as u32, recent as u32);
        KnownCalibration { layout: LAYOUT, cells: cells.collect(), recent }
    }

    /// Takes over what an earlier process knew of the same cells.
    pub(crate) fn recall(&self, known: &KnownCalibration) {
        if known.layout != LAYOUT {
            return;
        }
        for (place, came_true, all) in &known.cells {
            if let Some(counts) = self.cells.get(usize::from(*place)) {
                let all = amount(*all).min(MEMORY);
                counts.store(pack(amount(*came_true).min(all), all), Relaxed);
            }
        }
        let (yes, all) = known.recent;
        let all = all.min(RECENT_MEMORY);
        self.recent.store(u64::from(yes.min(all)) << 32 | u64::from(all), Relaxed);
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

/// A share, or 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.05
    }

    #[test]
    fn before_anything_is_known_the_prior_holds() {
        let calibration = Calibration::new();
        for prior in [0.0, 0.3, 1.0] {
            for cell in [
                Cell::of_follower(prior, 1.0, 0.5, 0.1),
                Cell::of_far_follower(prior, 1.0),
                Cell::of_rule(prior, true),
                Cell::of_relation(3, 1),
                Cell::of_renewal(Some(prior)),
                Cell::of_renewal(None),
            ] {
                assert!((calibration.probability(cell, prior) - prior).abs() < 1e-9, "{cell:?}");
            }
        }
    }

    #[test]
    fn the_share_that_comes_true_is_learned_and_can_change() {
        let calibration = Calibration::new();
        let cell = Cell::of_renewal(Some(0.9));
        let predict = |share: f64| {
            for nth in 0..2_000_u32 {
                calibration.predicted(cell);
                if f64::from(nth % 100) < 100.0 * share {
                    calibration.came_true(cell);
                }
            }
        };
        predict(0.2);
        let learned = calibration.probability(cell, 0.9);
        assert!((learned - 0.2).abs() < 0.25, "{learned}");
        predict(0.8);
        let learned = calibration.probability(cell, 0.9);
        assert!((learned - 0.8).abs() < 0.25, "{learned}");
    }

    #[test]
    fn a_cell_without_outcomes_takes_after_those_that_are_alike() {
        let calibration = Calibration::new();
        let seen = Cell::of_follower(0.55, 2.0, 0.1, 0.0);
        (0..200).for_each(|_| calibration.predicted(seen));
        let [alike, other] = [(0.55, 2.0, 0.9, 3.0), (0.95, 2.0, 0.1, 0.0)].map(
            |(confidence, weight, reverse, expected)| {
                let cell = Cell::of_follower(confidence, weight, reverse, expected);
                calibration.probability(cell, confidence)
            },
        );
        assert!(alike < 0.1 && close(other, 0.95), "{alike} {other}");
    }

    #[test]
    fn what_is_taken_back_was_never_predicted() {
        let calibration = Calibration::new();
        let cell = Cell::of_rule(0.5, true);
        (0..100).for_each(|_| {
            calibration.predicted(cell);
            calibration.withdraw(cell);
        });
        assert!((calibration.probability(cell, 0.5) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_score_is_that_of_its_definition() {
        let calibration = Calibration::new();
        // Of ten that were said to be 0.8 likely, six come true; of five at 0.3, none.
        (0..10).for_each(|nth| calibration.score(0.8, nth < 6));
        (0..5).for_each(|_| calibration.score(0.3, false));
        let stats = calibration.stats(0.5);
        assert_eq!((stats.scored, stats.came_true), (15, 6));
        let brier = (6.0 * 0.04 + 4.0 * 0.64 + 5.0 * 0.09) / 15.0;
        assert!((stats.brier_score - brier).abs() < 1e-4, "{}", stats.brier_score);
        let error = 10.0 / 15.0 * 0.2 + 5.0 / 15.0 * 0.3;
        assert!((stats.calibration_error - error).abs() < 1e-4, "{}", stats.calibration_error);
        let [third, eighth] = [3, 8].map(|decile| stats.reliability[decile]);
        assert_eq!((third.scored, eighth.scored), (5, 10));
        assert!((eighth.realised - 0.6).abs() < 1e-9);
    }

    #[test]
    fn bad_predictions_mute_and_good_ones_unmute() {
        let calibration = Calibration::new();
        (0..999).for_each(|_| calibration.score(0.6, false));
        assert!(!calibration.is_muted(0.5));
        calibration.score(0.6, false);
        assert!(calibration.is_muted(0.5));
        (0..900).for_each(|_| calibration.score(0.6, true));
        assert!(!calibration.is_muted(0.5));
    }
}
