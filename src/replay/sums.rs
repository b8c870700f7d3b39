//! The figures of several resources as one.

use crate::predictor::{PredictionStats, Reliability};
use crate::stats::{ResourceStats, ratio};

/// The figures of several resources.
#[derive(Debug, Default)]
pub(super) struct Sums(Vec<ResourceStats>);

impl Sums {
    pub(super) const fn new(stats: Vec<ResourceStats>) -> Self {
        Self(stats)
    }

    /// The sum of a figure over the resources.
    pub(super) fn of(&self, figure: fn(&ResourceStats) -> u64) -> u64 {
        self.0.iter().map(figure).sum()
    }

    /// How good the predictions are over all resources; `None` before any is scored.
    pub(super) fn predictions(&self) -> Option<PredictionStats> {
        let parts: Vec<_> = self.0.iter().map(|stats| &stats.predictions).collect();
        if let [only] = parts[..] {
            return (only.scored > 0).then(|| only.clone());
        }
        merged(&parts)
    }
}

#[expect(clippy::cast_precision_loss, reason = "means")]
fn merged(parts: &[&PredictionStats]) -> Option<PredictionStats> {
    let scored: u64 = parts.iter().map(|part| part.scored).sum();
    if scored == 0 {
        return None;
    }
    let deciles = parts.iter().map(|part| part.reliability.len()).max().unwrap_or_default();
    let decile = |nth: usize| -> Vec<_> {
        parts.iter().filter_map(|part| part.reliability.get(nth)).collect()
    };
    let reliability: Vec<_> = (0..deciles).map(|nth| mean(&decile(nth))).collect();
    let error = |decile: &Reliability| {
        ratio(decile.scored, scored) * (decile.predicted - decile.realised).abs()
    };
    let squared_errors = parts.iter().map(|part| part.brier_score * part.scored as f64);
    Some(PredictionStats {
        scored,
        came_true: parts.iter().map(|part| part.came_true).sum(),
        brier_score: squared_errors.sum::<f64>() / scored as f64,
        calibration_error: reliability.iter().map(error).sum(),
        reliability,
        is_muted: parts.iter().any(|part| part.is_muted),
    })
}

/// What several resources predicted with about the same probability.
#[expect(clippy::cast_precision_loss, reason = "means")]
fn mean(parts: &[&Reliability]) -> Reliability {
    let scored: u64 = parts.iter().map(|part| part.scored).sum();
    let weighed = |figure: fn(&Reliability) -> f64| {
        let sum: f64 = parts.iter().map(|part| figure(part) * part.scored as f64).sum();
        sum / scored.max(1) as f64
    };
    Reliability {
        scored,
        predicted: weighed(|part| part.predicted),
        realised: weighed(|part| part.realised),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(scored: u64, predicted: f64, realised: f64, brier_score: f64) -> PredictionStats {
        let reliability = vec![Reliability::default(), Reliability { scored, predicted, realised }];
        PredictionStats { scored, brier_score, reliability, ..PredictionStats::default() }
    }

    #[test]
    fn predictions_of_several_resources_weigh_by_their_number() {
        let (few, many) = (part(10, 0.1, 0.0, 0.5), part(30, 0.18, 0.4, 0.1));
        let merged = merged(&[&few, &many]).unwrap();
        assert_eq!((merged.scored, merged.reliability[0]), (40, Reliability::default()));
        let Reliability { scored, predicted, realised } = merged.reliability[1];
        let is_near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert_eq!(scored, 40);
        assert!(is_near(predicted, 0.16) && is_near(realised, 0.3), "{predicted}, {realised}");
        // What one predicts too high and another too low cancels out within a decile.
        assert!(is_near(merged.calibration_error, 0.14), "{}", merged.calibration_error);
        assert!(is_near(merged.brier_score, 0.2), "{}", merged.brier_score);
    }

    #[test]
    fn nothing_predicted_is_nothing_merged() {
        let none = PredictionStats::default();
        assert_eq!(merged(&[&none, &none]), None);
        let alone = part(10, 0.1, 0.0, 0.5);
        assert_eq!(merged(&[&none, &alone]).unwrap().reliability, alone.reliability);
    }
}
