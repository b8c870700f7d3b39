//! Keys whose source may answer with what was there before.

use std::collections::BTreeMap;

use forewarm::Lag;
use tokio::time::Instant;

/// The keys whose source lags behind, and what is known of each.
#[derive(Clone, Default)]
pub(super) struct Lags(BTreeMap<String, Vec<(Instant, Demand)>>);

/// What a value must be to be known to be new; none is, without a version.
#[derive(Clone, Copy)]
pub(super) struct Demand {
    min_version: Option<u64>,
}

impl Demand {
    pub(super) fn is_met_by(self, version: Option<u64>) -> bool {
        version.zip(self.min_version).is_some_and(|(version, min_version)| version >= min_version)
    }

    /// What meets both.
    fn and(self, other: Self) -> Self {
        let both = self.min_version.zip(other.min_version);
        Self { min_version: both.map(|(one, other)| one.max(other)) }
    }
}

impl Lags {
    pub(super) fn note(&mut self, key: &str, lag: Lag, now: Instant) {
        let lags = self.0.entry(key.to_owned()).or_default();
        lags.retain(|(until, _)| now < *until);
        lags.push((now + lag.lasts, Demand { min_version: lag.min_version }));
    }

    /// What is demanded of a key's value now.
    pub(super) fn demand(&self, key: &str, now: Instant) -> Option<Demand> {
        let lags = self.0.get(key)?.iter().filter(|(until, _)| now < *until);
        lags.map(|(_, demand)| *demand).reduce(Demand::and)
    }
}
