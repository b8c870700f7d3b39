//! The settings under which the engine is replayed: the rule decides, and no limit does.

use std::time::Duration;

use super::terms::{Rule, Terms};
use crate::config::Config;
use crate::policy::{
    Capacity, Classic, EarlyRefresh, Policy, PreloadMode, PreloadPolicy, SourcePolicy, Store,
};

/// The configuration of a replay: its random numbers are those of the seed.
pub(super) fn config(seed: u64) -> Config {
    Config { seed: Some(seed), loads_max: 1 << 20, summary_every: None, ..Config::default() }
}

/// The policy of a replay: the rule decides, and no limit does.
pub(super) fn policy(terms: &Terms, capacity: Option<u64>) -> Policy {
    let century = Duration::from_hours(24 * 365 * 100);
    let ttl = terms.ttl.unwrap_or(century);
    let mode = match terms.rule {
        Rule::Forewarm | Rule::Refresh | Rule::Association => PreloadMode::Predicted,
        Rule::Observe => PreloadMode::Observe,
        Rule::Demand
        | Rule::XFetch(_)
        | Rule::RefreshAfter(_)
        | Rule::Oracle
        | Rule::Lru
        | Rule::Moka => PreloadMode::Off,
        Rule::Classic => PreloadMode::Classic(Classic {
            patterns_max: 1 << 30,
            skips_fresh: true,
            ..Classic::default()
        }),
    };
    let scale = |ttls: f64| EarlyRefresh::XFetch { scale: ttl.mul_f64(ttls) };
    Policy {
        capacity: Capacity::Entries(capacity.unwrap_or(1 << 40)),
        ttl,
        absent_ttl: None,
        jitter: 0.0,
        stale_while_revalidate: None,
        stale_if_error: None,
        refresh_spacing: None,
        early_refresh: match terms.rule {
            Rule::XFetch(ttls) => Some(scale(ttls)),
            Rule::RefreshAfter(share) => Some(EarlyRefresh::After(share)),
            _ => None,
        },
        store: Store::Memory,
        hot_share: terms.hot_share,
        preload: PreloadPolicy {
            mode,
            renewals: terms.rule != Rule::Association,
            associations: terms.rule != Rule::Refresh,
            rules: terms.rule != Rule::Refresh,
            threshold: if terms.rule == Rule::Classic { 0.5 } else { terms.threshold },
            extra_loads: terms.load_budget,
            loads_per_second: 1e12,
            burst: 1 << 30,
            warmed_per_second: 1e12,
            queue_max: 1 << 20,
        },
        source: SourcePolicy {
            concurrency: 1 << 20,
            preload_share: 1.0,
            flights_max: 1 << 24,
            deadline: century,
            ..SourcePolicy::default()
        },
        ..Policy::default()
    }
}
