//! How long loads take.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// An estimate of the time within which 95 of 100 loads end.
///
/// Each load moves the estimate by a share of itself: up by 19 parts if the load took longer, down
/// by one if not, so that it stands still where one in twenty takes longer. Source: the idea of
/// frugal streaming, Ma, Muthukrishnan and Sandler, 2013.
#[derive(Debug, Default)]
pub(crate) struct LoadTime(AtomicU64);

impl LoadTime {
    pub(crate) fn record(&self, took: Duration) {
        let took_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let estimate = self.0.load(Relaxed);
        let part = (estimate / 200).max(1);
        let next = if estimate == 0 {
            took_micros
        } else if took_micros > estimate {
            estimate.saturating_add(19 * part)
        } else {
            estimate.saturating_sub(part)
        };
        // Of two loads that end at once one may be lost, which an estimate can bear.
        self.0.store(next, Relaxed);
    }

    pub(crate) fn estimate(&self) -> Duration {
        Duration::from_micros(self.0.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_time_of_nineteen_in_twenty() {
        let load_time = LoadTime::default();
        for nth in 0..20_000_u64 {
            // 10 to 109 ms, all equally likely.
            load_time.record(Duration::from_millis(10 + (nth * 37) % 100));
        }
        let estimate = load_time.estimate().as_millis();
        assert!((95..112).contains(&estimate), "{estimate} ms");
    }

    #[test]
    fn it_follows_a_source_that_becomes_slow_within_a_few_hundred_loads() {
        let load_time = LoadTime::default();
        for took_millis in [1; 100] {
            load_time.record(Duration::from_millis(took_millis));
        }
        for took_millis in [50; 200] {
            load_time.record(Duration::from_millis(took_millis));
        }
        assert!(load_time.estimate() >= Duration::from_millis(45), "{load_time:?}");
    }
}
