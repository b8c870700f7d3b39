//! Keys whose loads keep failing.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use dashmap::DashMap;
use foldhash::fast::FixedState;

use crate::clock::Moment;

/// Keys whose last load failed, and when they may be tried again behind the readers' backs.
///
/// The wait doubles with each failure. Readers who have nothing to fall back on are not held up by
/// it. It remembers a bounded number of keys; more are simply not slowed down.
pub(crate) struct Failing<K> {
    keys: DashMap<K, Failure, FixedState>,
    /// How many they are: nearly always there are none, which is all that a load wants to know.
    count: AtomicUsize,
    wait_min: Duration,
    wait_max: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Failure {
    failures: u32,
    retry_at: Moment,
}

/// More keys than this are not remembered.
const KEYS_MAX: usize = 10_000;

impl<K: Eq + Hash> Failing<K> {
    pub(crate) fn new(wait_min: Duration, wait_max: Duration, seed: u64) -> Self {
        let keys = DashMap::with_hasher(FixedState::with_seed(seed));
        Self { keys, count: AtomicUsize::new(0), wait_min, wait_max }
    }

    /// When a key may be tried again, if that is later than `now`.
    pub(crate) fn retry_at(&self, key: &K, now: Moment) -> Option<Moment> {
        if self.is_empty() {
            return None;
        }
        self.keys.get(key).map(|failure| failure.retry_at).filter(|retry_at| *retry_at > now)
    }

    /// Whether the last load of a key failed, as far as that is remembered.
    pub(crate) fn knows(&self, key: &K) -> bool {
        !self.is_empty() && self.keys.contains_key(key)
    }

    /// A load failed; gives whether it could be noted.
    pub(crate) fn failed(&self, key: K, now: Moment) -> bool {
        let wait = |failures: u32| {
            let doubled = self.wait_min.saturating_mul(1 << failures.min(20));
            now.plus(doubled.min(self.wait_max))
        };
        if let Some(mut known) = self.keys.get_mut(&key) {
            known.failures = known.failures.saturating_add(1);
            known.retry_at = wait(known.failures);
            return true;
        }
        if self.count.load(Relaxed) >= KEYS_MAX {
            return false;
        }
        if self.keys.insert(key, Failure { failures: 0, retry_at: wait(0) }).is_none() {
            self.count.fetch_add(1, Relaxed);
        }
        true
    }

    /// A load succeeded.
    pub(crate) fn succeeded(&self, key: &K) {
        if !self.is_empty() && self.keys.remove(key).is_some() {
            self.count.fetch_sub(1, Relaxed);
        }
    }

    /// Forgets keys that could have been tried again long ago.
    pub(crate) fn tidy(&self, now: Moment) {
        let long_ago = now.minus(self.wait_max);
        self.retain(|failure| failure.retry_at > long_ago);
    }

    pub(crate) fn clear(&self) {
        self.retain(|_| false);
    }

    fn retain(&self, is_kept: impl Fn(&Failure) -> bool) {
        self.keys.retain(|_, failure| {
            let is_kept = is_kept(failure);
            self.count.fetch_sub(usize::from(!is_kept), Relaxed);
            is_kept
        });
    }

    fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.count.load(Relaxed)
    }
}

impl<K> fmt::Debug for Failing<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failing").field("keys", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wait_doubles_up_to_the_longest_and_ends_with_a_success() {
        let failing = Failing::new(SECOND, 5 * SECOND, 0);
        let now = Moment::START;
        for wait in [1, 2, 4, 5, 5] {
            assert!(failing.failed("key", now));
            assert_eq!(failing.retry_at(&"key", now), Some(now.plus(wait * SECOND)));
        }
        assert_eq!(failing.retry_at(&"key", now.plus(5 * SECOND)), None);
        failing.succeeded(&"key");
        assert_eq!(failing.retry_at(&"key", now), None);
    }

    #[test]
    fn it_is_bounded_and_tidied() {
        let failing = Failing::new(SECOND, SECOND, 0);
        for key in 0..KEYS_MAX {
            assert!(failing.failed(key, Moment::START));
        }
        assert!(!failing.failed(KEYS_MAX, Moment::START));
        assert_eq!(failing.len(), KEYS_MAX);
        failing.tidy(Moment::START.plus(3 * SECOND));
        assert_eq!(failing.len(), 0);
    }
}
