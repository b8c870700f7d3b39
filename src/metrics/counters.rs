//! Counters that are ours until somebody asks: events add to atomics, and publishing brings what
//! was added since the last time to the `metrics` facade.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;
use metrics::Label;
use thread_local::ThreadLocal;

use super::Event;

/// Counters of events that cost a load or more anyway.
pub(crate) struct Counters<E> {
    counts: Box<[Count]>,
    events: PhantomData<fn(E)>,
}

#[derive(Default)]
struct Count {
    now: AtomicU64,
    published: AtomicU64,
}

impl<E: Event> Counters<E> {
    pub(crate) fn new() -> Self {
        let counts = E::all().map(|_| Count::default()).collect();
        Self { counts, events: PhantomData }
    }

    pub(crate) fn add(&self, event: E, n: u64) {
        if let Some(count) = self.counts.get(event.index()) {
            count.now.fetch_add(n, Relaxed);
        }
    }

    pub(crate) fn one(&self, event: E) {
        self.add(event, 1);
    }

    pub(crate) fn get(&self, event: E) -> u64 {
        self.counts.get(event.index()).map_or(0, |count| count.now.load(Relaxed))
    }

    /// The sum over the events that `wanted` picks.
    pub(crate) fn sum(&self, wanted: impl Fn(E) -> bool) -> u64 {
        E::all().filter(|event| wanted(*event)).map(|event| self.get(event)).sum()
    }

    /// Brings what was added since the last call to the facade.
    pub(crate) fn publish(&self, common: &[Label]) {
        for (event, count) in E::all().zip(&self.counts) {
            count.publish(event, count.now.load(Relaxed), common);
        }
    }
}

impl Count {
    fn publish(&self, event: impl Event, now: u64, common: &[Label]) {
        let added = now.saturating_sub(self.published.swap(now, Relaxed));
        let own = event.labels().map(|(name, value)| Label::from_static_parts(name, value));
        let labels: Vec<Label> = common.iter().cloned().chain(own).collect();
        metrics::counter!(event.metric(), labels).increment(added);
    }
}

impl<E: Event> fmt::Debug for Counters<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(E::all().map(|event| self.get(event))).finish()
    }
}

/// Counters of events as frequent as hits: each thread has its own, which only it writes, and they
/// are summed when somebody asks.
pub(crate) struct OwnedCounters<E> {
    blocks: ThreadLocal<CachePadded<Box<[AtomicU64]>>>,
    published: Box<[Count]>,
    events: PhantomData<fn(E)>,
}

impl<E: Event> OwnedCounters<E> {
    pub(crate) fn new() -> Self {
        let published = E::all().map(|_| Count::default()).collect();
        Self { blocks: ThreadLocal::new(), published, events: PhantomData }
    }

    /// Counts one event; gives how many of them this thread has counted.
    #[inline]
    pub(crate) fn one(&self, event: E) -> u64 {
        let Some(block) = self.blocks.get() else { return self.first(event) };
        let Some(count) = block.get(event.index()) else { return 0 };
        // Nobody else writes this word, so the increment needs no locked instruction.
        let counted = count.load(Relaxed) + 1;
        count.store(counted, Relaxed);
        counted
    }

    /// Counts the first event of a thread.
    #[cold]
    #[inline(never)]
    fn first(&self, event: E) -> u64 {
        let block = || CachePadded::new(E::all().map(|_| AtomicU64::new(0)).collect());
        self.blocks.get_or(block);
        self.one(event)
    }

    pub(crate) fn get(&self, event: E) -> u64 {
        let of = |block: &CachePadded<Box<[AtomicU64]>>| {
            block.get(event.index()).map_or(0, |count| count.load(Relaxed))
        };
        self.blocks.iter().map(of).sum()
    }

    /// The sum over all events.
    pub(crate) fn total(&self) -> u64 {
        self.blocks.iter().flat_map(|block| block.iter()).map(|count| count.load(Relaxed)).sum()
    }

    /// Brings what was added since the last call to the facade.
    pub(crate) fn publish(&self, common: &[Label]) {
        for (event, count) in E::all().zip(&self.published) {
            count.publish(event, self.get(event), common);
        }
    }
}

impl<E: Event> fmt::Debug for OwnedCounters<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(E::all().map(|event| self.get(event))).finish()
    }
}
