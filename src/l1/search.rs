//! Which entry of the hot segment an eviction takes.

use std::sync::Arc;

use crate::clock::Moment;
use crate::entry::Entry;
use crate::recorder::Recorder;

/// What an eviction looks for.
#[derive(Debug)]
pub(crate) struct Search<'a, K, V> {
    pub(crate) overflow: Overflow,
    /// The entry that was stored just now.
    pub(crate) newcomer: Option<&'a Arc<Entry<K, V>>>,
    pub(crate) recorder: &'a Recorder,
    /// The entries stored so far, and those held.
    pub(crate) stored: u32,
    pub(crate) entries: u64,
    pub(crate) now: Moment,
}

impl<K, V> Clone for Search<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Search<'_, K, V> {}

impl<K, V> Search<'_, K, V> {
    /// What an entry is worth, which stands among the staged or among the proven; the least goes.
    /// `None` is not to go. Of what is proven, this reads nothing but the first words.
    pub(super) fn worth(&self, entry: &Arc<Entry<K, V>>, is_staged: bool) -> Option<f64> {
        let is_guess = is_staged && entry.is_unread();
        match self.overflow {
            // What nobody may be served any more; and what was read, and so is no longer staged.
            _ if !entry.is_kept(self.now) => Some(-1.0),
            Overflow::Staged if !is_guess => Some(-1.0),
            // It would take the place of all others, if it were the least probable.
            Overflow::Staged if self.is_newcomer(entry) => Some(f64::INFINITY),
            // First in, first out: the longer a guess has not been read, the less likely it will.
            Overflow::Staged => Some(1.0 / (1.0 + f64::from(self.stored_since(entry)))),
            // One after which memory was filled anew has had its time.
            Overflow::Proven if is_guess => {
                (u64::from(self.stored_since(entry)) > self.entries).then_some(-1.0)
            }
            Overflow::Proven => Some(self.recorder.worth(entry.reads())),
        }
    }

    /// How many entries were stored after this one.
    fn stored_since(&self, entry: &Entry<K, V>) -> u32 {
        self.stored.wrapping_sub(entry.number())
    }

    fn is_newcomer(&self, entry: &Arc<Entry<K, V>>) -> bool {
        self.newcomer.is_some_and(|newcomer| Arc::ptr_eq(newcomer, entry))
    }

    /// The newcomer, if it is one of those to choose from whatever is sampled.
    pub(crate) fn newcomer(&self) -> Option<(f64, &Arc<Entry<K, V>>)> {
        let entry = self.newcomer.filter(|_| self.overflow == Overflow::Proven)?;
        Some((self.worth(entry, entry.is_staged())?, entry))
    }
}

/// What of the hot segment is too much, where it holds too much.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Overflow {
    /// The guesses, which exceed their quota.
    Staged,
    /// Everything else.
    Proven,
}

/// What looking at some entries found.
#[derive(Debug)]
pub(crate) struct Sample<K, V> {
    pub(crate) seen: usize,
    /// The lowest, with what it was judged by.
    pub(crate) lowest: Option<(f64, Arc<Entry<K, V>>)>,
}

/// How many entries an eviction looks at.
pub(crate) const SAMPLE: usize = 16;
/// How many of them at most are of the same shard, unless there are few entries: its lock is taken
/// once for all of them, and the memory of one is not waited for before that of the next.
pub(crate) const SAMPLE_OF_SHARD: usize = 4;

/// Whether an entry is staged and was not read yet.
pub(super) fn is_guess<K, V>(entry: &Entry<K, V>) -> bool {
    entry.is_staged() && entry.is_unread()
}
