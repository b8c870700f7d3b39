//! Plain caches, which a replay is compared with: least recently used, and moka as it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use foldhash::fast::FixedState;
use tokio::time::Instant;

use super::counted::{Counted, Request};
use super::series::Timeline;
use super::terms::Terms;
use crate::replay::trace::Trace;

/// Replays a trace against a cache that loads what is asked for, and nothing else.
pub(super) fn run(
    trace: &Trace,
    terms: &Terms,
    mut cache: impl Cache,
    progress: &mut impl FnMut(u64),
) -> Counted {
    let uncounted = terms.uncounted(trace);
    let timeline = Arc::new(Timeline::of(trace));
    let mut counted = Counted { timeline, ..Counted::default() };
    let start = Instant::now();
    for (nth, request) in trace.requests.iter().enumerate() {
        let is_counted = nth >= uncounted;
        let asked = start + request.at;
        if nth == uncounted {
            counted.from = request.at;
        }
        // Keys of different resources are different keys.
        let key = u64::from(request.resource) << 32 | u64::from(request.key);
        let held = cache.get(key).filter(|load| load.is_fresh(request.at, terms));
        let load = held.unwrap_or(Load { began: request.at });
        if held.is_none() {
            cache.insert(key, load);
            counted.timeline.asks_source(asked);
            counted.loads += u64::from(is_counted);
        }
        let waited = (load.began + terms.latency).saturating_sub(request.at);
        let is_miss = held.is_none() || !waited.is_zero();
        let is_first_follow_up = request.is_first_follow_up;
        counted.add(Request {
            asked,
            is_counted,
            is_miss,
            is_late: false,
            is_first_follow_up,
            waited,
        });
        if nth % 1_000 == 0 {
            progress(nth as u64);
        }
    }
    progress(trace.requests.len() as u64);
    counted
}

/// What a baseline remembers of a key: the load that brought it, as time in the trace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Load {
    began: Duration,
}

impl Load {
    fn is_fresh(self, at: Duration, terms: &Terms) -> bool {
        terms.ttl.is_none_or(|ttl| at < self.began + ttl)
    }
}

/// Where a baseline keeps what it loaded.
pub(super) trait Cache {
    /// The last load of a key, if it is still held; counts as a use of it.
    fn get(&mut self, key: u64) -> Option<Load>;
    fn insert(&mut self, key: u64, load: Load);
}

/// Drops what was not used for the longest time.
#[derive(Debug)]
pub(super) struct Lru {
    capacity: usize,
    held: HashMap<u64, (u64, Load)>,
    /// The keys by the number of their last use.
    order: BTreeMap<u64, u64>,
    uses: u64,
}

impl Lru {
    /// `None` holds everything.
    pub(super) fn new(capacity: Option<u64>) -> Self {
        let capacity = capacity.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(usize::MAX);
        Self { capacity, held: HashMap::default(), order: BTreeMap::new(), uses: 0 }
    }
}

impl Cache for Lru {
    fn get(&mut self, key: u64) -> Option<Load> {
        let (used, load) = self.held.get_mut(&key)?;
        self.uses += 1;
        self.order.remove(used);
        self.order.insert(self.uses, key);
        *used = self.uses;
        Some(*load)
    }

    fn insert(&mut self, key: u64, load: Load) {
        self.uses += 1;
        if let Some((used, _load)) = self.held.insert(key, (self.uses, load)) {
            self.order.remove(&used);
        }
        self.order.insert(self.uses, key);
        if self.held.len() > self.capacity
            && let Some((_used, oldest)) = self.order.pop_first()
        {
            self.held.remove(&oldest);
        }
    }
}

/// The crate itself. Its pending work is done at once, so that it never holds more than it may.
pub(super) struct Moka(moka::sync::Cache<u64, Load, FixedState>);

impl Moka {
    /// `None` holds everything.
    pub(super) fn new(capacity: Option<u64>, seed: u64) -> Self {
        let capacity = capacity.unwrap_or(u64::MAX);
        let builder = moka::sync::Cache::builder().max_capacity(capacity);
        Self(builder.build_with_hasher(FixedState::with_seed(seed)))
    }
}

impl Cache for Moka {
    fn get(&mut self, key: u64) -> Option<Load> {
        let load = self.0.get(&key);
        self.0.run_pending_tasks();
        load
    }

    fn insert(&mut self, key: u64, load: Load) {
        self.0.insert(key, load);
        self.0.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Rule;
    use crate::replay::trace;

    fn trace(requests: &[(u64, u64)]) -> Trace {
        let request = |(second, key): &(u64, u64)| trace::Request {
            at: Duration::from_secs(*second),
            resource: 0,
            key: u32::try_from(*key).unwrap(),
            client: None,
            is_first_follow_up: false,
        };
        Trace {
            name: "made up".into(),
            requests: requests.iter().map(request).collect(),
            resources: vec!["trace".into()],
            keys: 100,
            key_names: trace::Texts::default(),
            clients: 0,
            notes: trace::Notes::default(),
        }
    }

    fn terms(capacity: Option<u64>) -> Terms {
        Terms {
            rule: Rule::Lru,
            ttl: None,
            capacity,
            latency: Duration::ZERO,
            threshold: 0.5,
            load_budget: None,
            hot_share: 0.9,
            warmup: 0.0,
            seed: 1,
        }
    }

    /// The nths of the requests that missed.
    fn misses(keys: &[u64], mut cache: impl Cache) -> Vec<usize> {
        let load = Load { began: Duration::ZERO };
        let is_miss = |(_nth, key): &(usize, &u64)| {
            let is_miss = cache.get(**key).is_none();
            if is_miss {
                cache.insert(**key, load);
            }
            is_miss
        };
        keys.iter().enumerate().filter(is_miss).map(|(nth, _key)| nth).collect()
    }

    #[test]
    fn the_least_recently_used_goes() {
        let keys = [1, 2, 1, 3, 1, 2, 3];
        assert_eq!(misses(&keys, Lru::new(Some(2))), [0, 1, 3, 5, 6]);
        assert_eq!(misses(&keys, Lru::new(Some(3))), [0, 1, 3]);
        assert_eq!(misses(&keys, Lru::new(None)), [0, 1, 3]);
    }

    /// By the definition: a request hits if fewer than `capacity` other keys came since the last
    /// one of its key.
    #[test]
    fn an_lru_hits_within_its_stack_distance() {
        let mut random = fastrand::Rng::with_seed(3);
        let keys: Vec<_> = (0..3_000).map(|_| random.u64(0..60).min(random.u64(0..60))).collect();
        for capacity in [1_usize, 7, 30] {
            let is_miss = |nth: &usize| {
                let since = keys[..*nth].iter().rev().take_while(|key| **key != keys[*nth]);
                let others: std::collections::BTreeSet<_> = since.collect();
                !keys[..*nth].contains(&keys[*nth]) || others.len() >= capacity
            };
            let expected: Vec<_> = (0..keys.len()).filter(is_miss).collect();
            assert_eq!(misses(&keys, Lru::new(Some(capacity as u64))), expected, "{capacity}");
        }
    }

    #[test]
    fn moka_holds_what_is_read_often_and_no_more_than_it_may() {
        let mut moka = Moka::new(Some(2), 1);
        let often = [1, 2].repeat(5);
        let once: Vec<_> = (10..20).collect();
        let keys = [often, once, vec![1, 2]].concat();
        let missed = misses(&keys, &mut moka);
        assert_eq!(missed.len(), 2 + 10, "{missed:?}");
        assert_eq!(moka.0.entry_count(), 2);
    }

    impl<C: Cache> Cache for &mut C {
        fn get(&mut self, key: u64) -> Option<Load> {
            (**self).get(key)
        }

        fn insert(&mut self, key: u64, load: Load) {
            (**self).insert(key, load);
        }
    }

    #[test]
    fn a_value_is_fresh_for_its_ttl_and_comes_after_the_latency() {
        let ttl = Some(Duration::from_secs(10));
        let cases = [
            (ttl, 0, [0, 5, 9, 10], (2, 2)),
            (None, 0, [0, 5, 9, 10], (1, 1)),
            (None, 3, [0, 2, 3, 10], (2, 1)),
            (ttl, 3, [0, 2, 10, 12], (4, 2)),
        ];
        for (ttl, latency, seconds, expected) in cases {
            let requests: Vec<_> = seconds.iter().map(|second| (*second, 1)).collect();
            let terms = Terms { ttl, latency: Duration::from_secs(latency), ..terms(None) };
            let counted = run(&trace(&requests), &terms, Lru::new(None), &mut |_done| ());
            assert_eq!((counted.misses, counted.loads), expected, "{terms:?}");
        }
    }

    #[test]
    fn what_comes_first_is_not_counted() {
        let terms = Terms { warmup: 0.5, ..terms(None) };
        let requests = [(0, 1), (1, 2), (2, 1), (3, 3)];
        let counted = run(&trace(&requests), &terms, Lru::new(None), &mut |_done| ());
        assert_eq!((counted.requests, counted.misses, counted.loads), (2, 1, 1));
    }
}
