//! What may be asked of a source.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Checks;
use crate::error::ConfigError;

/// What may be asked of a source, and what happens when it fails.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct SourcePolicy {
    /// The longest that a load may take, with waiting for its turn and trying again. There is
    /// always one, since a load without an end would keep its slot for ever. Default: 30 s.
    #[serde(with = "crate::span")]
    pub deadline: Duration,
    /// The most calls of the loader at a time. Default: 32.
    pub concurrency: usize,
    /// The share of `concurrency` that preloads may use, more than 0 and at most 1; always one
    /// call at least. Default: 0.25.
    pub preload_share: f64,
    /// The keys that may be loading or waiting to be loaded; more are refused. Default: 10,000.
    pub flights_max: usize,
    /// How often a load is tried in all, if its failures are transient. Default: 3.
    pub attempts: usize,
    /// The wait before the second attempt; it doubles with each further one, and a random part of
    /// up to its own length is added. Default: 100 ms.
    #[serde(with = "crate::span")]
    pub backoff_min: Duration,
    /// The longest wait between attempts, and between renewals of a key that keeps failing.
    /// Default: 10 s.
    #[serde(with = "crate::span")]
    pub backoff_max: Duration,
    /// After this many failures in a row the source is left alone. Default: 5.
    pub breaker_failures: u32,
    /// How long the source is left alone before one load tries it again. Default: 5 s.
    #[serde(with = "crate::span")]
    pub breaker_open_for: Duration,
}

impl Default for SourcePolicy {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(30),
            concurrency: 32,
            preload_share: 0.25,
            flights_max: 10_000,
            attempts: 3,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(10),
            breaker_failures: 5,
            breaker_open_for: Duration::from_secs(5),
        }
    }
}

impl SourcePolicy {
    pub(super) fn check(&self, checks: &Checks<'_>) -> Result<(), ConfigError> {
        checks.positive("source.deadline", self.deadline)?;
        checks.positive("source.backoff_min", self.backoff_min)?;
        checks.positive("source.breaker_open_for", self.breaker_open_for)?;
        if self.backoff_max < self.backoff_min {
            let problem = format!("is shorter than `backoff_min` ({:?})", self.backoff_min);
            return Err(checks.error("source.backoff_max", problem, "use a longer span".into()));
        }
        checks.share("source.preload_share", self.preload_share, f64::MIN_POSITIVE, 1.0)?;
        checks.range("source.concurrency", self.concurrency, 1, 1 << 20)?;
        checks.range("source.flights_max", self.flights_max, 1, 1 << 24)?;
        checks.range("source.attempts", self.attempts, 1, 100)?;
        let failures = usize::try_from(self.breaker_failures).unwrap_or(usize::MAX);
        checks.range("source.breaker_failures", failures, 1, 1 << 20)
    }

    /// The calls that preloads may use.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a small number"
    )]
    pub(crate) fn preload_slots(&self) -> usize {
        ((self.concurrency as f64 * self.preload_share) as usize).max(1)
    }
}
