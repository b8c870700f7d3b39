//! What is loaded after a start, in which order, and how far that has come.

use std::collections::HashSet;

use crate::clock::Moment;
use crate::entry::Reason;
use crate::limits::Bucket;

/// What is loaded in which order, and how far that has come.
pub(super) struct Plan<K> {
    pub(super) wanted: Vec<Wanted<K>>,
    /// The first of those that have not been begun.
    next: usize,
    /// Those that failed, in the order in which they are tried again.
    pub(super) failed: Vec<usize>,
    known: HashSet<u64>,
    bucket: Bucket,
    /// From here on what fails is not tried again.
    pub(super) until: Moment,
}

#[derive(Clone)]
pub(super) struct Wanted<K> {
    pub(super) key: K,
    pub(super) hash: u64,
    pub(super) reason: Reason,
    pub(super) is_warm: bool,
}

/// What to do next.
pub(super) enum Next {
    /// These are to be loaded, in one call.
    Call(Vec<usize>),
    Wait(Moment),
    Over,
}

impl<K> Plan<K> {
    pub(super) fn new(bucket: Bucket) -> Self {
        let (wanted, failed) = (Vec::new(), Vec::new());
        Self { wanted, next: 0, failed, known: HashSet::new(), bucket, until: Moment::START }
    }

    pub(super) fn add(&mut self, key: K, hash: u64, reason: Reason) -> bool {
        let is_new = self.known.insert(hash);
        if is_new {
            self.wanted.push(Wanted { key, hash, reason, is_warm: false });
        }
        is_new
    }

    pub(super) fn clear(&mut self) {
        self.wanted = Vec::new();
        self.next = 0;
        self.failed = Vec::new();
        self.known = HashSet::new();
    }

    /// The keys of the next call, of at most so many.
    pub(super) fn next(&mut self, call_max: usize, now: Moment) -> Next {
        if self.next >= self.wanted.len() {
            return Next::Over;
        }
        let keys = call_max.min(self.wanted.len() - self.next);
        if let Err(later) = self.bucket.take_many(keys, now) {
            return Next::Wait(later);
        }
        let first = self.next;
        self.next += keys;
        Next::Call((first..self.next).collect())
    }

    /// Puts what failed at the end, in its old order, for as long as that is of use; gives whether
    /// there is any.
    pub(super) fn try_again(&mut self, now: Moment) -> bool
    where
        K: Clone,
    {
        if now >= self.until || self.failed.is_empty() {
            return false;
        }
        self.failed.sort_unstable();
        let again = std::mem::take(&mut self.failed);
        let again: Vec<_> =
            again.into_iter().filter_map(|place| self.wanted.get(place).cloned()).collect();
        self.wanted = again;
        self.next = 0;
        true
    }

    /// Gives up all that has not been begun; gives how many that are.
    pub(super) fn give_up(&mut self) -> usize {
        let left = self.wanted.len() - self.next;
        self.wanted.truncate(self.next);
        left
    }

    /// Forgets what is warm.
    pub(super) fn end(&mut self) {
        self.wanted.retain(|wanted| !wanted.is_warm);
        self.wanted.shrink_to_fit();
        self.next = self.wanted.len();
        self.known = HashSet::new();
    }
}
