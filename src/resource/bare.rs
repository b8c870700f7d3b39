//! A hit without all that is done for it, for [`measured`](crate::measured).

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use super::Resource;
use crate::key::Key;
use crate::l1::Lookup;

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The value of a key as the maps of memory hold it: nothing is recorded, judged or counted.
    #[inline]
    pub(crate) fn bare_hit<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let lookup = Lookup::new(self.core.fence.hash(key), key);
        self.core.fence.l1().read(lookup, (), |entry, ()| entry.value().cloned()).ok().flatten()
    }

    /// Records a read of a key that is not resident, as a miss does it.
    pub(crate) fn record_absent(&self, hash: u64) {
        self.core.fence.record_absent(hash, self.core.clock.recent());
    }

    /// Whether the hot segment holds a key.
    pub(crate) fn is_hot<Q>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        self.core.fence.l1().find_hash(self.core.fence.hash(key)).is_some()
    }
}
