//! Ways into the crate for the benchmarks in `benches/`, which no user sees.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::key::Key;
use crate::recorder::{Recorder, Table};
use crate::resource::Resource;
use crate::score::{Past, Reads};

/// A hit without what is done for it: the maps of memory give the value of a key.
#[inline]
pub fn bare_hit<K, V, Q>(resource: &Resource<K, V>, key: &Q) -> Option<Arc<V>>
where
    K: Key + Borrow<Q>,
    V: Send + Sync + 'static,
    Q: Eq + Hash + ?Sized,
{
    resource.bare_hit(key)
}

/// Records a read of a key that is not resident, by its hash, as a miss does it: under the lock of
/// its shard.
pub fn record_absent<K, V>(resource: &Resource<K, V>, hash: u64)
where
    K: Key,
    V: Send + Sync + 'static,
{
    resource.record_absent(hash);
}

/// Whether the hot segment holds a key.
#[must_use]
pub fn is_hot<K, V, Q>(resource: &Resource<K, V>, key: &Q) -> bool
where
    K: Key + Borrow<Q>,
    V: Send + Sync + 'static,
    Q: Hash + ?Sized,
{
    resource.is_hot(key)
}

/// The recording of reads, without the cache around it.
#[derive(Debug)]
pub struct Recording {
    recorder: Recorder,
    clock: Clock,
    resident: Vec<Reads>,
    absent: Table,
}

impl Recording {
    /// Keys that are resident, and a table for as many that are not.
    #[must_use]
    pub fn new(keys: usize) -> Self {
        Self {
            recorder: Recorder::new(Duration::from_hours(6)),
            clock: Clock::system(),
            resident: (0..keys).map(|_| Reads::new(Past::NONE)).collect(),
            absent: Table::new(keys),
        }
    }

    /// Records a read of a resident key: what a hit pays.
    #[inline]
    pub fn read_resident(&self, nth: usize) {
        if let Some(reads) = self.resident.get(nth) {
            self.recorder.record(reads, self.clock.recent());
        }
    }

    /// Records a read of a key that is not resident, by its hash.
    #[inline]
    pub fn read_absent(&mut self, hash: u64) {
        let now = self.clock.recent();
        self.absent.update(hash, |past| self.recorder.with_read(past, now));
    }

    /// The score of a resident key.
    #[must_use]
    pub fn score(&self, nth: usize) -> f64 {
        let score = |reads: &Reads| self.recorder.score(&reads.past(), self.clock.recent());
        self.resident.get(nth).map_or(0.0, score)
    }
}
