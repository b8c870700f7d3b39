//! What the cache would have done for requests that were recorded, or made up.
//!
//! The engine itself runs, on paused time and on one thread: every request is read in its turn, and
//! time moves on to the next one as soon as nothing is left to do. So what is measured is what
//! ships, and two runs give the same figures.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::error::Error;

use self::baseline::{Lru, Moka};
pub(crate) use self::counted::{Row, percentile};
pub(crate) use self::terms::{Rule, Terms};
use self::trace::Trace;

mod baseline;
mod counted;
mod engine;
mod oracle;
pub(crate) mod outcome;
mod resources;
pub(crate) mod restart;
pub(crate) mod series;
mod settings;
mod sums;
pub(crate) mod synthetic;
mod terms;
pub(crate) mod trace;

/// Replays a trace; `progress` is told how many requests are done.
pub(crate) fn replay(
    trace: &Trace,
    terms: &Terms,
    mut progress: impl FnMut(u64),
) -> Result<Row, Error> {
    let began = cpu_time();
    let counted = match terms.rule {
        Rule::Lru => baseline::run(trace, terms, Lru::new(terms.capacity), &mut progress),
        Rule::Moka => {
            let moka = Moka::new(terms.capacity, terms.seed);
            baseline::run(trace, terms, moka, &mut progress)
        }
        _ => engine::run(trace, terms, &mut progress)?,
    };
    Ok(counted.row(trace, terms, cpu_time().saturating_sub(began)))
}

/// The processor time of this thread.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::synthetic::Workload;
    use super::*;

    pub(super) const TERMS: Terms = Terms {
        rule: Rule::Demand,
        ttl: Some(Duration::from_mins(1)),
        capacity: None,
        latency: Duration::ZERO,
        threshold: 0.5,
        load_budget: None,
        hot_share: 0.9,
        warmup: 0.0,
        seed: 0,
    };

    fn made(name: &str, requests: usize) -> Trace {
        Workload::named(name).unwrap().trace(requests, 7)
    }

    fn replayed(trace: &Trace, terms: &Terms) -> Row {
        replay(trace, terms, |_done| {}).unwrap()
    }

    #[test]
    fn figures_are_those_of_all_resources() {
        let bundles = made("bundles", 4_000);
        let row = replayed(&bundles, &Terms { ttl: None, ..TERMS });
        assert_eq!((row.requests, row.misses), (4_000, u64::from(bundles.keys)));
        assert_eq!(row.loads, row.misses);
        let marked = bundles.requests.iter().filter(|request| request.is_first_follow_up).count();
        assert_eq!((row.first_follow_ups, row.first_follow_ups_hit), (marked as u64, 0));
        let row = replayed(&bundles, &Terms { rule: Rule::Forewarm, ..TERMS });
        assert!(row.first_follow_ups_hit > marked as u64 / 2, "{row:?}");
        let scored: u64 = row.reliability.iter().map(|decile| decile.scored).sum();
        assert!(scored > 1_000 && row.brier_score.is_some(), "{row:?}");
    }

    #[test]
    fn an_oracle_misses_nothing_but_what_was_never_read() {
        for name in ["zipf", "loop", "bundles", "sessions"] {
            let trace = made(name, 4_000);
            let first_touches = u64::from(trace.keys);
            for capacity in [None, Some(100)] {
                let terms = Terms { ttl: Some(Duration::from_secs(10)), capacity, ..TERMS };
                let demand = replayed(&trace, &terms);
                let oracle = replayed(&trace, &Terms { rule: Rule::Oracle, ..terms });
                assert!(demand.misses > first_touches, "{name}, {capacity:?}");
                assert_eq!(oracle.misses, first_touches, "{name}, {capacity:?}");
                assert_eq!(oracle.loads, first_touches + oracle.preloads, "{name}, {capacity:?}");
                // One that renews an entry of little worth may be read from moka, unnoticed.
                assert_eq!(oracle.useful + oracle.wasted, oracle.preloads, "{name}");
                assert!(oracle.wasted * 100 <= oracle.preloads, "{name}: {oracle:?}");
            }
        }
    }

    #[test]
    fn an_oracle_begins_its_loads_as_early_as_they_take() {
        let trace = made("zipf", 4_000);
        let (latency, terms) = (Duration::from_millis(50), TERMS);
        let terms = Terms { rule: Rule::Oracle, latency, ..terms };
        let row = replayed(&trace, &terms);
        let avoidable = row.misses - u64::from(trace.keys);
        // What expires while its load would have to be under way cannot be had in time.
        assert!(avoidable <= 10, "{avoidable}");
        assert!(row.preloads > 500 && row.late <= avoidable, "{row:?}");
    }
}
