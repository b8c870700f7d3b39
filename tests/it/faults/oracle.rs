//! The source, which counts the changes of each key, and knows what had to be known when.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The keys that are read and changed under load.
pub(super) const KEYS: u32 = 48;

/// How many nodes there are.
pub(super) const NODES: usize = 3;

/// A source of counters, and what is known of their invalidations.
pub(super) struct Oracle {
    counters: Vec<Counter>,
    window: Duration,
}

#[derive(Default)]
struct Counter {
    value: AtomicU64,
    /// The highest value whose invalidation has returned, on each node.
    returned: [AtomicU64; NODES],
    /// When invalidations were applied, and the highest value of those until then.
    applied: Mutex<Vec<(Instant, u64)>>,
}

impl Oracle {
    pub(super) fn new(window: Duration) -> Self {
        Self { counters: (0..KEYS).map(|_| Counter::default()).collect(), window }
    }

    /// The value of a key; keys that nobody changes have none but this.
    pub(super) fn value(&self, key: u32) -> u64 {
        self.counter(key).map_or(0, |counter| counter.value.load(SeqCst))
    }

    /// Changes a key; gives its new value.
    pub(super) fn change(&self, key: u32) -> u64 {
        self.counter(key).map_or(0, |counter| counter.value.fetch_add(1, SeqCst) + 1)
    }

    /// The invalidation of that value has returned on a node.
    pub(super) fn returned(&self, node: usize, key: u32, value: u64, is_applied: bool) {
        let Some(counter) = self.counter(key) else { return };
        counter.returned[node].fetch_max(value, SeqCst);
        if is_applied {
            let mut applied = counter.applied.lock();
            let value = applied.last().map_or(value, |(_, highest)| value.max(*highest));
            applied.push((Instant::now(), value));
        }
    }

    /// The lowest value that a read may give that begins on a node now.
    pub(super) fn floor(&self, node: usize, key: u32) -> u64 {
        let Some(counter) = self.counter(key) else { return 0 };
        let here = counter.returned[node].load(SeqCst);
        let now = Instant::now();
        let applied = counter.applied.lock();
        let old = applied.partition_point(|(at, _)| *at + self.window <= now);
        let everywhere = old.checked_sub(1).map_or(0, |last| applied[last].1);
        here.max(everywhere)
    }

    fn counter(&self, key: u32) -> Option<&Counter> {
        self.counters.get(key as usize)
    }
}

#[tokio::test(start_paused = true)]
async fn what_had_to_be_known_is_known_here_at_once_and_elsewhere_after_the_window() {
    let window = Duration::from_secs(1);
    let oracle = Oracle::new(window);
    let queued = oracle.change(7);
    oracle.returned(0, 7, queued, false);
    tokio::time::advance(window * 2).await;
    assert_eq!((oracle.floor(0, 7), oracle.floor(1, 7)), (1, 0), "it was not applied");
    let applied = oracle.change(7);
    oracle.returned(0, 7, applied, true);
    assert_eq!((oracle.floor(0, 7), oracle.floor(1, 7)), (2, 0));
    tokio::time::advance(window).await;
    assert_eq!((oracle.floor(1, 7), oracle.floor(1, 8)), (2, 0));
}
