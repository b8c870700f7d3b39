//! Reads that wait to be learned from.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use crossbeam_utils::CachePadded;
use thread_local::ThreadLocal;

use crate::predictor::Sighting;
use crate::sync::Mutex;

/// Reads that wait to be learned from. Those of one client keep their order.
///
/// Those of nobody, which all threads bring, wait by thread: readers that take turns at one lock
/// would cost more than what can be learned from such reads. Bounded: when the learner cannot keep
/// up, reads are not learned from, and counted.
#[derive(Debug)]
pub(crate) struct Inbox {
    stripes: [CachePadded<Stripe>; STRIPES],
    of_nobody: ThreadLocal<CachePadded<Stripe>>,
    has_mail: AtomicBool,
}

/// Reads that came one after the other.
#[derive(Debug, Default)]
struct Stripe {
    reads: Mutex<Vec<Sighting>>,
    /// Set while there is no room, so that readers need not take the lock to find that out.
    is_full: AtomicBool,
    dropped: AtomicU64,
}

const STRIPES: usize = 16;
const STRIPE_MAX: usize = 1_024;

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            stripes: Default::default(),
            of_nobody: ThreadLocal::new(),
            has_mail: AtomicBool::new(false),
        }
    }

    /// Puts a read in; gives whether it is the first since the last [`Inbox::take`].
    pub(crate) fn push(&self, sighting: Sighting) -> bool {
        self.stripe(sighting.client).push(sighting)
            && !self.has_mail.load(Relaxed)
            && !self.has_mail.swap(true, SeqCst)
    }

    #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a remainder")]
    fn stripe(&self, client: Option<u64>) -> &Stripe {
        match client {
            Some(client) => &self.stripes[(client % STRIPES as u64) as usize],
            None => self.of_nobody.get_or_default(),
        }
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<Sighting> {
        // Cleared before looking: what comes meanwhile wakes the learner once more.
        self.has_mail.store(false, SeqCst);
        self.all().flat_map(Stripe::take).collect()
    }

    /// Takes the number of reads that were not learned from since the last call.
    pub(crate) fn take_dropped(&self) -> u64 {
        self.all().map(|stripe| stripe.dropped.swap(0, Relaxed)).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Stripe> {
        self.stripes.iter().chain(self.of_nobody.iter()).map(|stripe| &**stripe)
    }
}

impl Stripe {
    /// Adds a read, if there is room.
    fn push(&self, sighting: Sighting) -> bool {
        if self.is_full.load(Relaxed) {
            self.dropped.fetch_add(1, Relaxed);
            return false;
        }
        let mut reads = self.reads.lock();
        reads.push(sighting);
        self.is_full.store(reads.len() >= STRIPE_MAX, Relaxed);
        true
    }

    fn take(&self) -> Vec<Sighting> {
        let mut reads = self.reads.lock();
        if reads.is_empty() {
            return Vec::new();
        }
        self.is_full.store(false, Relaxed);
        // Exchanged and not copied: readers wait for this lock.
        let next = Vec::with_capacity(reads.capacity());
        std::mem::replace(&mut reads, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::entry::KeyId;
    use crate::predictor::Answer;

    fn sighting(client: u64, hash: u64) -> Sighting {
        let name = KeyId { resource: 0, hash };
        let (client, answer) = (Some(client), Answer::Held);
        Sighting { client, name, at: Moment::START, answer, text: None }
    }

    #[test]
    fn the_first_read_wakes_and_those_of_a_client_keep_their_order() {
        let inbox = Inbox::new();
        assert!(inbox.push(sighting(1, 0)));
        assert!((1..10).all(|hash| !inbox.push(sighting(hash % 3, hash))));
        let of_one = |reads: Vec<Sighting>| -> Vec<u64> {
            let of_one = reads.into_iter().filter(|read| read.client == Some(1));
            of_one.map(|read| read.name.hash).collect()
        };
        assert_eq!(of_one(inbox.take()), [0, 1, 4, 7]);
        assert!(inbox.push(sighting(2, 0)));
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let inbox = Inbox::new();
        (0..2_000).for_each(|hash| {
            inbox.push(sighting(7, hash));
        });
        assert_eq!(
            (inbox.take().len(), inbox.take_dropped(), inbox.take_dropped()),
            (1_024, 976, 0)
        );
    }
}
