//! Reads that wait to be learned from.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

use crossbeam_utils::CachePadded;
use thread_local::ThreadLocal;

use crate::predictor::{Answer, Sighting};
use crate::sync::Mutex;

/// Reads that wait to be learned from. Those of one client keep their order.
///
/// Those of nobody, which all threads bring, wait by thread: readers that take turns at one lock
/// would cost more than what can be learned from such reads. Of those that memory answered, each look
/// of the learner finds the first [`SAMPLE`] of a thread, one after the other as they came; where more
/// come, these are a sample. Bounded: when the learner cannot keep up, other reads are not learned
/// from, and counted; those that memory answered first.
#[derive(Debug)]
pub(crate) struct Inbox {
    stripes: [CachePadded<Stripe>; STRIPES],
    of_nobody: ThreadLocal<CachePadded<Stripe>>,
    /// Set while some thread has its sample.
    is_sated: CachePadded<AtomicBool>,
    /// Whether the learner was woken, and has not gone to sleep since.
    is_awake: AtomicBool,
}

/// Reads that came one after the other.
#[derive(Debug, Default)]
struct Stripe {
    reads: Mutex<Vec<Sighting>>,
    /// What takes its place while it is emptied.
    spare: Mutex<Vec<Sighting>>,
    /// Set while there is no room, so that readers need not take the lock to find that out.
    is_full: AtomicBool,
    dropped: AtomicU64,
}

const STRIPES: usize = 16;
/// As many reads of nobody, of one thread, are learned from between two looks of the learner. It takes
/// a third of a microsecond for each, and looks once in a millisecond: 2 % of a core.
const SAMPLE: usize = 64;
/// From here on there is no room for reads that memory answered.
const HITS_MAX: usize = 1_024;
const STRIPE_MAX: usize = 2_048;

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            stripes: Default::default(),
            of_nobody: ThreadLocal::new(),
            is_sated: CachePadded::default(),
            is_awake: AtomicBool::new(false),
        }
    }

    /// Whether hits of nobody need not be put in before the next [`Inbox::take`].
    #[inline]
    pub(crate) fn is_sated(&self) -> bool {
        self.is_sated.load(Relaxed)
    }

    /// Puts a read in; gives whether it is the first since the last [`Inbox::listen`].
    pub(crate) fn push(&self, sighting: Sighting) -> bool {
        let is_of_nobody = sighting.client.is_none();
        let reads = self.stripe(sighting.client).push(sighting);
        if is_of_nobody && reads == SAMPLE {
            self.is_sated.store(true, Relaxed);
        }
        reads > 0 && !self.is_awake.load(Relaxed) && !self.is_awake.swap(true, SeqCst)
    }

    #[expect(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "a remainder")]
    fn stripe(&self, client: Option<u64>) -> &Stripe {
        match client {
            Some(client) => &self.stripes[(client % STRIPES as u64) as usize],
            None => self.of_nobody.get_or_default(),
        }
    }

    /// Lets the next read wake the learner. What has come before it is to be taken afterwards.
    pub(crate) fn listen(&self) {
        self.is_awake.store(false, SeqCst);
    }

    /// Takes everything out.
    pub(crate) fn take(&self) -> Vec<Sighting> {
        let mut taken = Vec::new();
        self.is_sated.store(false, Relaxed);
        self.all().for_each(|stripe| stripe.take(&mut taken));
        taken
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
    /// Adds a read, if there is room; gives how many there are then, or 0 if there was none.
    fn push(&self, sighting: Sighting) -> usize {
        let is_hit = sighting.answer == Answer::Held;
        if is_hit && self.is_full.load(Relaxed) {
            return self.drop_one();
        }
        let mut reads = self.reads.lock();
        if reads.len() >= STRIPE_MAX {
            return self.drop_one();
        }
        reads.push(sighting);
        if reads.len() >= HITS_MAX {
            self.is_full.store(true, Relaxed);
        }
        reads.len()
    }

    fn drop_one(&self) -> usize {
        self.dropped.fetch_add(1, Relaxed);
        0
    }

    fn take(&self, taken: &mut Vec<Sighting>) {
        let mut spare = self.spare.lock();
        {
            let mut reads = self.reads.lock();
            if reads.is_empty() {
                return;
            }
            self.is_full.store(false, Relaxed);
            // Exchanged and not copied: readers wait for this lock.
            std::mem::swap(&mut *reads, &mut spare);
        }
        taken.append(&mut spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Moment;
    use crate::entry::KeyId;

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
        assert!(!inbox.push(sighting(2, 0)));
        inbox.listen();
        assert!(inbox.push(sighting(2, 0)));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_hits_leave_room_for_misses() {
        let inbox = Inbox::new();
        for (answer, kept) in [(Answer::Held, 1_024), (Answer::Missed, 2_048)] {
            for _ in 0..3 {
                (0..2_000).for_each(|hash| {
                    inbox.push(sighting(7, hash));
                });
                (0..2_000).for_each(|hash| {
                    inbox.push(Sighting { answer, ..sighting(7, hash) });
                });
                let dropped = 4_000 - kept as u64;
                let found = (inbox.take().len(), inbox.take_dropped(), inbox.take_dropped());
                assert_eq!(found, (kept, dropped, 0), "{answer:?}");
            }
        }
    }
}
