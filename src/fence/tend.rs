//! What is done behind the readers: evictions, moves, due entries, and looking around.

use std::fmt::Display;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use fastrand::Rng;

use super::{Carried, Fence, SHARDS, Shard};
use crate::clock::Moment;
use crate::entry::Entry;
use crate::l1::{Lookup, SAMPLE, SAMPLE_OF_SHARD, Search};
use crate::score::Decay;
use crate::sync::Mutex;

/// Entries stored between two looks at the reads served; fewer where few entries fit.
const STORED_PER_LOOK: u64 = 16;
const ENTRIES_PER_LOOK: u64 = 64;
/// Fewer groups than this are not worth a look at every entry.
const GROUPS_TIDIED: usize = 64;
/// More entries than this are not evicted in one go; the rest goes with the next entry.
const ROUNDS_MAX: usize = 4_096;

impl<K, V, T> Fence<K, V, T>
where
    K: Clone + Display + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    T: Carried,
{
    /// Makes room where too much is held, and moves entries of moka back that were read often.
    ///
    /// Called after an entry was stored, outside its lock: only one shard is locked at a time. That
    /// newcomer is one of those to choose from, unless it is a guess. `reads` gives the number of
    /// reads served so far, by which entries age.
    pub(crate) fn tend(
        &self,
        now: Moment,
        reads: impl Fn() -> u64,
        newcomer: Option<&Arc<Entry<K, V>>>,
        due: impl Fn(&Entry<K, V>) -> Option<Moment>,
    ) {
        // Entries hardly age from one to the next where there are many, and reads are summed over
        // all threads.
        let room = self.l1.room();
        let every = (room / ENTRIES_PER_LOOK).clamp(1, STORED_PER_LOOK);
        if self.stored.fetch_add(1, Relaxed).is_multiple_of(every) {
            self.turnover.note(now, every);
            self.recorder.turn(reads(), room);
            self.rescale(now);
        }
        while let Some(entry) = self.l1.next_rising() {
            self.with_shard(entry.hash(), |shard| {
                if self.l1.promote(&mut shard.room, &entry, &self.recorder, due(&entry)) {
                    shard.absent.forget(entry.hash());
                    self.expect_due(shard.room.next_due());
                }
            });
        }
        // Each round makes room, or moves an entry from the staged to the proven.
        let mut newcomer = newcomer;
        for _ in 0..ROUNDS_MAX {
            let Some(overflow) = self.l1.overflow() else { break };
            let (stored, entries) = (self.l1.stored(), self.l1.entries());
            let recorder = &self.recorder;
            let search = Search { overflow, newcomer, recorder, stored, entries, now };
            let chosen = self.evict_one(search);
            // Once it has left, it is no longer there to choose.
            newcomer = newcomer.filter(|entry| !chosen.is_some_and(|it| Arc::ptr_eq(entry, &it)));
        }
    }

    /// Evicts the lowest of some entries picked at random, and of the newcomer. They are looked for
    /// in several shards: all from one would make that a small cache of its own, which costs hits.
    /// Gives the entry that was chosen.
    fn evict_one(&self, search: Search<'_, K, V>) -> Option<Arc<Entry<K, V>>> {
        let mut random = Rng::with_seed(self.random());
        let start = random.usize(..SHARDS);
        let entries = usize::try_from(search.entries).unwrap_or(usize::MAX);
        let is_small = entries <= SHARDS;
        let of_shard = (entries / SHARDS / SAMPLE).clamp(1, SAMPLE_OF_SHARD);
        let each = if is_small { SAMPLE } else { of_shard };
        let newcomer = search.newcomer();
        let mut at_most = newcomer.map_or(f64::INFINITY, |(worth, _)| worth);
        let (mut seen, mut lowest) = (0, None);
        for shard in self.shards.iter().cycle().skip(start).take(SHARDS) {
            let sample = shard.lock().room.sample(search, (each, at_most), &mut random);
            seen += sample.seen;
            if let Some((worth, entry)) = sample.lowest {
                (at_most, lowest) = (worth, Some(entry));
            }
            if seen >= SAMPLE {
                break;
            }
        }
        let entry = lowest.or_else(|| newcomer.map(|(_, entry)| Arc::clone(entry)))?;
        self.with_shard(entry.hash(), |shard| self.evict_from(shard, &entry, search));
        Some(entry)
    }

    fn evict_from(
        &self,
        shard: &mut Shard<K, V, T>,
        entry: &Arc<Entry<K, V>>,
        search: Search<'_, K, V>,
    ) {
        if self.l1.evict(&mut shard.room, entry, search) {
            shard.absent.keep(entry.hash(), &entry.reads().past());
        }
    }

    /// Multiplies all scores where it is time, then moves their landmark: in this order, see
    /// [`Decay::must_rescale`](crate::score::Decay::must_rescale).
    fn rescale(&self, now: Moment) {
        let time = self.recorder.time();
        if !time.must_rescale(now.as_micros()) {
            return;
        }
        let by = Decay::rescaling();
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.room.entries().for_each(|entry| entry.reads().rescale_score(by));
            shard.absent.rescale_scores(by);
        }
        self.l1.rescale_main(by);
        time.move_landmark(now.as_micros());
    }

    /// The next random number. The sequence is that of `SplitMix64` (Steele, Lea and Flood, "Fast
    /// splittable pseudorandom number generators", OOPSLA 2014).
    pub(crate) fn random(&self) -> u64 {
        let state = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Takes the entries that are due at `now`.
    pub(crate) fn take_due(&self, now: Moment) -> Vec<Arc<Entry<K, V>>> {
        if now.as_micros() < self.next_due.load(SeqCst) {
            return Vec::new();
        }
        // Set before looking: an entry that is stored meanwhile sets it to what it needs.
        self.next_due.store(u64::MAX, SeqCst);
        let mut due = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.room.take_due(now, &mut due);
            self.expect_due(shard.room.next_due());
        }
        due
    }

    /// Lets an entry come due at `due`, or up to a bucket later, if it is in the hot segment.
    pub(crate) fn await_due(&self, entry: &Arc<Entry<K, V>>, due: Moment) {
        self.with_shard(entry.hash(), |shard| {
            shard.room.await_due(entry, due);
            self.expect_due(shard.room.next_due());
        });
    }

    /// Lets the entries of the hot segment that do not come due do so when `due` says.
    pub(crate) fn await_due_anew(&self, due: impl Fn(&Entry<K, V>) -> Option<Moment>) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.room.await_due_anew(&due);
            self.expect_due(shard.room.next_due());
        }
    }

    /// When the next entry is due, or a little earlier.
    pub(crate) fn next_due(&self) -> Moment {
        Moment::from_micros(self.next_due.load(SeqCst))
    }

    pub(super) fn expect_due(&self, due: Moment) {
        self.next_due.fetch_min(due.as_micros(), SeqCst);
    }

    /// Looks at every entry; at one that moves meanwhile, perhaps twice or not at all. Readers are
    /// not held up.
    pub(crate) fn each(&self, mut look: impl FnMut(&Arc<Entry<K, V>>)) {
        for shard in &self.shards {
            shard.lock().room.entries().for_each(&mut look);
        }
        self.l1.main_entries().iter().for_each(&mut look);
    }

    /// How many entries are held that `is_one` is true of. It is asked outside the locks; of an entry
    /// that moves meanwhile perhaps twice, or not at all.
    pub(crate) fn count(&self, is_one: impl Fn(&Entry<K, V>) -> bool) -> usize {
        let count = |entries: &[Arc<Entry<K, V>>]| {
            entries.iter().filter(|entry| is_one(entry) && self.confirm(entry)).count()
        };
        let of_shard = |shard: &Mutex<Shard<K, V, T>>| {
            let entries: Vec<_> = shard.lock().room.entries().cloned().collect();
            count(&entries)
        };
        self.shards.iter().map(of_shard).sum::<usize>() + count(&self.l1.main_entries())
    }

    /// The keys whose reads are remembered although they have no entry.
    pub(crate) fn tracked_absent(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().absent.len()).sum()
    }

    /// Takes the number of keys that full tables forgot since the last call.
    pub(crate) fn take_tracked_dropped(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().absent.take_dropped()).sum()
    }

    /// Confirms every entry, and forgets the groups that nothing is older than any more; only when
    /// there are many.
    pub(crate) fn tidy_groups(&self) {
        if self.groups.len() < GROUPS_TIDIED {
            return;
        }
        let mut oldest = self.groups.generation();
        // Before the shards and after them: an entry may move either way meanwhile.
        self.confirm_main();
        for shard in &self.shards {
            let mut shard = shard.lock();
            let began = shard.flights.iter().map(|flight| flight.generation());
            oldest = began.fold(oldest, u64::min);
            let void: Vec<_> =
                shard.room.entries().filter(|entry| !self.confirm(entry)).cloned().collect();
            let removed: Vec<_> =
                void.iter().map(|entry| self.take_out(&mut shard, Lookup::of(entry))).collect();
            drop(shard);
            // Values are dropped outside the lock.
            drop((void, removed));
        }
        self.confirm_main();
        self.groups.forget(oldest);
    }

    /// Takes out of moka what is void.
    fn confirm_main(&self) {
        for entry in self.l1.main_entries().iter().filter(|entry| !self.confirm(entry)) {
            let removed = self.with_shard(entry.hash(), |shard| {
                let held = self.l1.find(Lookup::of(entry));
                let is_there = held.is_some_and(|held| Arc::ptr_eq(&held, entry));
                is_there.then(|| self.take_out(shard, Lookup::of(entry)))
            });
            drop(removed);
        }
    }

    /// Forgets everything: entries, reads, and what the flights under way will bring.
    pub(crate) fn clear(&self) {
        // Before the shards and after them: an entry may move either way meanwhile, but never into a
        // shard that was cleared before it left.
        self.l1.clear_main();
        for shard in &self.shards {
            let mut shard = shard.lock();
            for flight in shard.flights.drain() {
                flight.poison();
            }
            let cleared = self.l1.clear_room(&mut shard.room);
            shard.absent.clear();
            drop(shard);
            // Values are dropped outside the lock.
            drop(cleared);
        }
        self.l1.clear_main();
    }
}
