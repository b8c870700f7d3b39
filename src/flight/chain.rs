//! Loads within loads.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::limits::{Lent, Urgency};

/// The loads that the present one is part of: its own keys, those of the loader that reads it, and
/// so on.
#[derive(Debug)]
pub(crate) struct Chain {
    resource: u16,
    hashes: SmallVec<[u64; 1]>,
    parent: Option<Arc<Self>>,
}

impl Chain {
    /// The loads that the caller is part of, if it is a loader.
    pub(crate) fn current() -> Option<Arc<Self>> {
        local::current()
    }

    /// Whether the caller is a loader.
    pub(crate) fn is_current() -> bool {
        local::is_current()
    }

    /// A chain with one load more.
    pub(crate) fn extended(
        parent: Option<Arc<Self>>,
        resource: u16,
        hashes: SmallVec<[u64; 1]>,
    ) -> Arc<Self> {
        Arc::new(Self { resource, hashes, parent })
    }

    /// Runs `load` as the last of these loads.
    pub(crate) fn scope<F: Future>(self: Arc<Self>, load: F) -> impl Future<Output = F::Output> {
        local::scope(self, load)
    }

    /// Whether this key is one of those being loaded.
    pub(crate) fn contains(&self, resource: u16, hash: u64) -> bool {
        self.links().any(|link| link.resource == resource && link.hashes.contains(&hash))
    }

    /// Lends a load that a loader waits for what its own loads hold: a slot of the engine, and one
    /// of the source if they are of the same.
    pub(crate) fn lend(&self, urgency: &Urgency, resource: u16) {
        urgency.lend(Lent::Engine);
        if self.links().any(|link| link.resource == resource) {
            urgency.lend(Lent::Source);
        }
    }

    fn links(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |link| link.parent.as_deref())
    }
}

/// The chain of the task that is running.
#[cfg(not(shuttle))]
mod local {
    use std::cell::Cell;
    use std::sync::Arc;

    use super::Chain;
    use crate::current;

    tokio::task_local! {
        static CHAIN: Arc<Chain>;
    }

    thread_local! {
        /// Whether there is a chain, for hits.
        static IS_LOAD: Cell<bool> = const { Cell::new(false) };
    }

    pub(super) fn current() -> Option<Arc<Chain>> {
        is_current().then(|| CHAIN.try_with(Arc::clone).ok()).flatten()
    }

    #[inline]
    pub(super) fn is_current() -> bool {
        IS_LOAD.get()
    }

    pub(super) fn scope<F: Future>(chain: Arc<Chain>, load: F) -> impl Future<Output = F::Output> {
        current::within(&IS_LOAD, true, CHAIN.scope(chain, load))
    }
}

/// All tasks of shuttle share one thread and its locals, so there chains are not explored.
#[cfg(shuttle)]
mod local {
    use std::sync::Arc;

    use super::Chain;

    pub(super) fn current() -> Option<Arc<Chain>> {
        None
    }

    pub(super) const fn is_current() -> bool {
        false
    }

    pub(super) fn scope<F: Future>(_chain: Arc<Chain>, load: F) -> impl Future<Output = F::Output> {
        load
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Class;
    use smallvec::smallvec;

    #[tokio::test]
    async fn a_chain_knows_its_loads_and_lends_what_they_hold() {
        let outer = Chain::extended(None, 0, smallvec![1]);
        let inner = Chain::extended(Some(Arc::clone(&outer)), 1, smallvec![2, 3]);
        assert!(inner.contains(0, 1) && inner.contains(1, 3));
        assert!(!inner.contains(0, 2) && !outer.contains(1, 2));
        for (resource, source_too) in [(0, true), (1, true), (2, false)] {
            let urgency = Urgency::new(Class::Demand);
            inner.lend(&urgency, resource);
            let lent = (urgency.is_lent(Lent::Engine), urgency.is_lent(Lent::Source));
            assert_eq!(lent, (true, source_too), "resource {resource}");
        }
        assert!(Chain::current().is_none());
        let seen = inner.scope(async { Chain::current().is_some_and(|c| c.contains(0, 1)) }).await;
        assert!(seen);
    }
}
