//! What is loaded before anybody asks.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Checks;
use crate::error::ConfigError;

/// What is loaded before anybody asks, and the most that it may cost.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct PreloadPolicy {
    /// What decides. Default: [`PreloadMode::Predicted`].
    pub mode: PreloadMode,
    /// Renews what is about to expire and probably read again. Default: true.
    pub renewals: bool,
    /// Loads keys that are usually read after one that was just read. Default: true.
    pub associations: bool,
    /// Loads keys of this resource after keys of another with the same id, where reads of the two
    /// usually follow each other: after `user:7`, `permission:7`. Default: true.
    pub rules: bool,
    /// A key is loaded ahead if it is expected to be read in time with at least this probability,
    /// more than 0 and at most 1. Default: 0.5.
    ///
    /// One preload at probability p wastes 1 - p loads and saves p misses, so of all rules that
    /// cost as many loads, a threshold on p saves the most misses. A copy from L2 wastes none: a key
    /// that reaches half the threshold is copied if L2 holds it, and not loaded if it does not.
    pub threshold: f64,
    /// The most loads beyond those that demand alone would make, as a share of these; more than 0.
    /// A load ahead counts until it spares one; when little is left of the allowance, only what is
    /// more probable is loaded. Default: `None`, which leaves it to the threshold.
    pub extra_loads: Option<f64>,
    /// The most keys loaded ahead per second, on average; as many more are looked for in L2, to be
    /// copied. Default: 100.
    pub loads_per_second: f64,
    /// The most keys loaded ahead at once after a quiet time. Default: 200.
    pub burst: usize,
    /// The most keys loaded per second after a start, of those that were read most before it and of
    /// seeds; [`SourcePolicy::preload_share`](crate::SourcePolicy::preload_share) holds as well.
    /// Default: 3,000, so that 10,000 keys take some seconds.
    pub warmed_per_second: f64,
    /// The keys that may wait for their turn; the least probable is dropped when there are more.
    /// Default: 10,000.
    pub queue_max: usize,
}

/// What decides which keys are loaded ahead.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PreloadMode {
    /// Nothing is loaded ahead.
    Off,
    /// As [`PreloadMode::Predicted`], but nothing is loaded: predictions are only watched, and the
    /// score is kept of what would have come of them.
    Observe,
    /// What is probably read in time, by what has been learned: the rate at which a key is read, and
    /// which keys are read after which.
    #[default]
    Predicted,
    /// The rule of an older system, kept for comparison: see [`Classic`].
    Classic(Classic),
}

/// The rule of an older system, kept for comparison.
///
/// A key's score is `count x decay_per_hour ^ (hours since its last read)`, and the count never
/// decays. In each interval the best `keys_per_round` keys are taken, and those whose score
/// reaches [`PreloadPolicy::threshold`] and that are not held fresh are loaded. When more than
/// `patterns_max` keys are known, the one with the lowest stored score is forgotten, which is
/// usually the newest.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub struct Classic {
    /// What is left of a score after an hour without a read, more than 0 and at most 1. Default:
    /// 0.9.
    pub decay_per_hour: f64,
    /// The keys that are known at most. Default: 1,000.
    pub patterns_max: usize,
    /// The keys looked at in a round. Default: 100.
    pub keys_per_round: usize,
    /// The time between rounds. Default: 60 s; at least 5 s.
    #[serde(with = "crate::span")]
    pub interval: Duration,
    /// Looks past keys that are held fresh, instead of letting them use up the round. Default:
    /// false, as the older system did.
    pub skips_fresh: bool,
}

impl Default for PreloadPolicy {
    fn default() -> Self {
        Self {
            mode: PreloadMode::default(),
            renewals: true,
            associations: true,
            rules: true,
            threshold: 0.5,
            extra_loads: None,
            loads_per_second: 100.0,
            burst: 200,
            warmed_per_second: 3_000.0,
            queue_max: 10_000,
        }
    }
}

impl Default for Classic {
    fn default() -> Self {
        Self {
            decay_per_hour: 0.9,
            patterns_max: 1_000,
            keys_per_round: 100,
            interval: Duration::from_mins(1),
            skips_fresh: false,
        }
    }
}

impl PreloadPolicy {
    pub(super) fn check(&self, checks: &Checks<'_>) -> Result<(), ConfigError> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            let problem = format!("is {}", self.threshold);
            let remedy = "use a probability more than 0 and at most 1".into();
            return Err(checks.error("preload.threshold", problem, remedy));
        }
        for (field, rate) in [
            ("preload.loads_per_second", self.loads_per_second),
            ("preload.warmed_per_second", self.warmed_per_second),
        ] {
            if !(rate > 0.0 && rate.is_finite()) {
                let problem = format!("is {rate}");
                let remedy = "use a positive number, or `mode = \"off\"`".into();
                return Err(checks.error(field, problem, remedy));
            }
        }
        if let Some(share) = self.extra_loads
            && !(share > 0.0 && share.is_finite())
        {
            let problem = format!("is {share}");
            let remedy = "use a share such as 0.1, or leave it out".into();
            return Err(checks.error("preload.extra_loads", problem, remedy));
        }
        checks.range("preload.burst", self.burst, 1, 1 << 30)?;
        checks.range("preload.queue_max", self.queue_max, 1, 1 << 24)?;
        self.mode.classic().map_or(Ok(()), |classic| classic.check(checks))
    }

    /// Says what cannot work in this policy of `resource`, or cannot take the place of what holds
    /// `now` while the engine runs.
    pub(crate) fn check_live(&self, now: &Self, resource: &str) -> Result<(), ConfigError> {
        let checks = Checks { resource };
        self.check(&checks)?;
        let is_warmed_alike = self.warmed_per_second.total_cmp(&now.warmed_per_second).is_eq();
        for (field, is_same) in [
            ("preload.mode", self.mode.classic() == now.mode.classic()),
            ("preload.warmed_per_second", is_warmed_alike),
            ("preload.queue_max", self.queue_max == now.queue_max),
        ] {
            if !is_same {
                let problem = match field {
                    "preload.mode" => "cannot change to, from or within `classic` while it runs",
                    _ => "cannot be changed while the engine runs",
                };
                let remedy = "leave it as it is, or start the engine anew".into();
                return Err(checks.error(field, problem.into(), remedy));
            }
        }
        Ok(())
    }
}

impl PreloadMode {
    /// The terms of the classic rule, if it decides.
    pub(crate) const fn classic(&self) -> Option<&Classic> {
        match self {
            Self::Classic(classic) => Some(classic),
            Self::Off | Self::Observe | Self::Predicted => None,
        }
    }

    /// Whether what is probably read is loaded.
    pub(crate) const fn loads(&self) -> bool {
        matches!(self, Self::Predicted | Self::Classic(_))
    }
}

impl Classic {
    fn check(&self, checks: &Checks<'_>) -> Result<(), ConfigError> {
        if !(self.decay_per_hour > 0.0 && self.decay_per_hour <= 1.0) {
            let problem = format!("is {}", self.decay_per_hour);
            let remedy = "use a factor more than 0 and at most 1".into();
            return Err(checks.error("preload.mode.decay_per_hour", problem, remedy));
        }
        if self.interval < Duration::from_secs(5) {
            let problem = format!("is {:?}", self.interval);
            return Err(checks.error("preload.mode.interval", problem, "use `5s` or more".into()));
        }
        checks.range("preload.mode.patterns_max", self.patterns_max, 1, 1 << 30)?;
        checks.range("preload.mode.keys_per_round", self.keys_per_round, 1, 1 << 30)
    }
}
