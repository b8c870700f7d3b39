//! The memory tier: a hot segment in front, moka behind it.
//!
//! Everything enters the hot segment. What is worth least there leaves for moka, where TinyLFU
//! decides whether it stays; an entry of moka that is read again, and worth more than what leaves,
//! moves back. Preloaded entries have a quota, which is theirs while they need it: a preload is
//! never refused for want of readers, and costs the place of an entry that is worth little.
//!
//! Whatever changes where an entry is happens under the lock of the key's shard: the methods that
//! do it take the [`Room`] which that lock protects. Reads take no lock and move nothing.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::clock::Moment;
use crate::entry::Entry;
use crate::metrics::{Eviction, Full};
use crate::recorder::Recorder;

use self::hot::Hot;
pub(crate) use self::hot::Lookup;
use self::main::Main;
use self::residence::Residence;
use self::room::Counted;
pub(crate) use self::room::Room;
use self::search::is_guess;
pub(crate) use self::search::{Overflow, SAMPLE, SAMPLE_OF_SHARD, Sample, Search};
pub(crate) use self::shares::Shares;
pub(crate) use self::tally::L1Tally;

mod hot;
mod main;
mod residence;
mod room;
mod search;
mod shares;
mod slots;
mod tally;
mod wheel;

/// The memory tier of one resource.
#[derive(Debug)]
pub(crate) struct L1<K, V> {
    hot: Hot<K, V>,
    main: Main<K, V>,
    shares: Shares,
    tally: Arc<L1Tally>,
    /// The worth of the entry that left the hot segment last, as bits.
    floor_bits: AtomicU64,
    residence: Residence,
    stored: AtomicU32,
}

/// How much a segment holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    pub(crate) entries: u64,
    pub(crate) weight: u64,
}

/// What is held of a key, and where.
#[derive(Debug)]
pub(crate) struct Placed<K, V> {
    pub(crate) entry: Arc<Entry<K, V>>,
    segment: Segment,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Segment {
    Hot,
    Main,
}

impl<K, V> L1<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(shares: Shares, tally: Arc<L1Tally>, is_eager: bool) -> Self {
        let main = Main::new(shares.main, is_eager);
        Self {
            hot: Hot::new(),
            main,
            shares,
            tally,
            floor_bits: AtomicU64::new(0),
            residence: Residence::new(),
            stored: AtomicU32::new(0),
        }
    }

    /// Lets `look` see the entry of a key, with `context`; gives that back if there is none.
    #[inline]
    pub(crate) fn read<Q, C, R>(
        &self,
        lookup: Lookup<'_, Q>,
        context: C,
        look: impl FnOnce(&Arc<Entry<K, V>>, C) -> R,
    ) -> Result<R, C>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.hot
            .read(lookup, (context, look), |entry, (context, look)| look(entry, context))
            .or_else(|(context, look)| match self.read_main(lookup) {
                Some(entry) => Ok(self.look_and_rise(&entry, context, look)),
                None => Err(context),
            })
    }

    #[cold]
    fn read_main<Q>(&self, lookup: Lookup<'_, Q>) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.main.get(lookup)
    }

    /// Lets `look` see an entry of moka, and reports it as one that may move back.
    fn look_and_rise<C, R>(
        &self,
        entry: &Arc<Entry<K, V>>,
        context: C,
        look: impl FnOnce(&Arc<Entry<K, V>>, C) -> R,
    ) -> R {
        let seen = look(entry, context);
        self.main.note_score(entry);
        if entry.rise() && !self.main.report_rising(entry) {
            self.tally.full.one(Full::Rising);
            entry.clear_rising();
        }
        seen
    }

    /// The entry of a key.
    pub(crate) fn find<Q>(&self, lookup: Lookup<'_, Q>) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.hot.find(lookup).or_else(|| self.main.get(lookup))
    }

    /// Until when the entry of a key is within its ttl, if there is one. Does not write to what
    /// readers of the entry write to.
    pub(crate) fn fresh_until<Q>(&self, lookup: Lookup<'_, Q>) -> Option<Moment>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let see = |entry: &Arc<Entry<K, V>>, ()| entry.life().fresh_until;
        let in_main = |()| Some(self.main.get(lookup)?.life().fresh_until);
        self.hot.read(lookup, (), see).map_or_else(in_main, Some)
    }

    /// The entry of the hot segment whose key has this hash.
    pub(crate) fn find_hash(&self, hash: u64) -> Option<Arc<Entry<K, V>>> {
        self.hot.find_hash(hash)
    }

    /// How long preloads that nobody read have stayed lately; `None` while none had to leave.
    pub(crate) fn residence(&self) -> Option<Duration> {
        self.residence.estimate()
    }

    /// Whether an entry could fit at all.
    pub(crate) const fn fits(&self, weight: u64) -> bool {
        weight <= self.shares.hot
    }

    /// The entries stored so far; wraps around.
    pub(crate) fn stored(&self) -> u32 {
        self.stored.load(Relaxed)
    }

    /// The entries of the hot segment.
    pub(crate) fn entries(&self) -> u64 {
        self.hot.held(false).entries + self.hot.held(true).entries
    }

    /// Whether this share of the capacity is taken.
    #[expect(clippy::cast_precision_loss, reason = "a share")]
    pub(crate) fn is_filled(&self, share: f64) -> bool {
        let weight: u64 = self.held().iter().map(|held| held.weight).sum();
        weight as f64 >= (self.shares.hot + self.shares.main) as f64 * share
    }

    /// How many entries of the mean weight of those held would fill the capacity.
    pub(crate) fn room(&self) -> u64 {
        let held = self.held();
        let sum = |part: fn(&Held) -> u64| held.iter().map(part).sum::<u64>();
        let (entries, weight) = (sum(|held| held.entries), sum(|held| held.weight));
        let capacity = self.shares.hot + self.shares.main;
        let room = u128::from(entries) * u128::from(capacity) / u128::from(weight.max(1));
        u64::try_from(room).unwrap_or(u64::MAX)
    }

    /// The entry of a key, and where it is. That stays so while the key's shard is locked, except
    /// that moka may evict it.
    pub(crate) fn locate(&self, lookup: Lookup<'_, K>) -> Option<Placed<K, V>> {
        if let Some(entry) = self.hot.find(lookup) {
            return Some(Placed { entry, segment: Segment::Hot });
        }
        let entry = self.main.get(lookup)?;
        Some(Placed { entry, segment: Segment::Main })
    }

    /// Puts an entry into the hot segment, in the place of what its key had; gives that. An
    /// unread preload of a key that had nothing is staged. With `due`, the entry comes due then.
    pub(crate) fn insert(
        &self,
        room: &mut Room<K, V>,
        entry: &Arc<Entry<K, V>>,
        old: Option<Placed<K, V>>,
        due: Option<Moment>,
    ) -> Option<Arc<Entry<K, V>>> {
        if let Some(old) = &old {
            self.take_out(room, old);
        }
        let is_staged = entry.is_unread()
            && entry.why().reason.is_guess()
            && self.shares.staged > 0
            && old.as_ref().is_none_or(|old| is_guess(&old.entry));
        entry.set_staged(is_staged);
        entry.set_number(self.stored.fetch_add(1, Relaxed));
        self.slots(room, is_staged).push(entry);
        self.hot.insert(entry);
        if let Some(due) = due {
            room.wheel.insert(entry, due);
        }
        let Placed { entry: old, segment } = old?;
        if segment == Segment::Main {
            // To moka, a renewal is one more read of the key, should it come back.
            drop(self.main.get(Lookup::of(&old)));
            // Only now, so that a reader who looks in both segments always finds one.
            self.main.remove(Lookup::of(&old));
        }
        self.tally.left(&old, Eviction::Replaced);
        Some(old)
    }

    /// Takes an entry out, and counts why.
    pub(crate) fn remove(
        &self,
        room: &mut Room<K, V>,
        old: Placed<K, V>,
        why: Eviction,
    ) -> Arc<Entry<K, V>> {
        self.take_out(room, &old);
        let Placed { entry: old, segment } = old;
        match segment {
            Segment::Hot => self.hot.remove(Lookup::of(&old)),
            Segment::Main => self.main.remove(Lookup::of(&old)),
        }
        self.tally.left(&old, why);
        old
    }

    /// Takes an entry out of slots and wheel; the segment's map still has it.
    fn take_out(&self, room: &mut Room<K, V>, old: &Placed<K, V>) {
        if old.segment == Segment::Hot {
            self.slots(room, old.entry.is_staged()).remove(&old.entry);
            room.wheel.remove(&old.entry);
        }
    }

    /// What of the hot segment is too much, if anything is.
    pub(crate) fn overflow(&self) -> Option<Overflow> {
        let staged = self.hot.held(true).weight;
        if staged + self.hot.held(false).weight <= self.shares.hot {
            None
        } else if staged > self.shares.staged {
            Some(Overflow::Staged)
        } else {
            Some(Overflow::Proven)
        }
    }

    /// Evicts an entry that a sample of `room` found, if it is still there. Where guesses are
    /// looked for, one that was read since moves to the proven ones instead. A proven entry is
    /// offered to moka, with its recent reads replayed. Gives whether it left, so that its reads
    /// are to be remembered.
    pub(crate) fn evict(
        &self,
        room: &mut Room<K, V>,
        entry: &Arc<Entry<K, V>>,
        search: Search<'_, K, V>,
    ) -> bool {
        let is_staged = entry.is_staged();
        if !self.slots(room, is_staged).remove(entry) {
            return false;
        }
        let was_guess = is_staged && entry.is_unread();
        if is_staged && !was_guess && search.overflow == Overflow::Staged {
            entry.set_staged(false);
            self.slots(room, false).push(entry);
            return false;
        }
        if was_guess {
            self.residence.note(search.now.since(entry.life().loaded_at));
        }
        room.wheel.remove(entry);
        let may_stay = !was_guess && entry.is_kept(search.now);
        if may_stay {
            let worth = search.recorder.worth(entry.reads());
            self.floor_bits.store(worth.to_bits(), Relaxed);
        }
        // It is in both segments for a moment, so that a reader who looks in both always finds it.
        if may_stay && self.main.offer(entry, search.recorder.recent_reads(entry.reads())) {
            self.tally.settle_unread(entry);
        } else {
            self.tally.left(entry, if was_guess { Eviction::Staging } else { Eviction::Capacity });
        }
        self.hot.remove(Lookup::of(entry));
        entry.set_staged(false);
        true
    }

    /// An entry of moka that may move back to the hot segment.
    pub(crate) fn next_rising(&self) -> Option<Arc<Entry<K, V>>> {
        self.main.next_rising()
    }

    /// Moves an entry of moka back to the hot segment, if moka still has it, and it is worth more
    /// than what left last.
    pub(crate) fn promote(
        &self,
        room: &mut Room<K, V>,
        entry: &Arc<Entry<K, V>>,
        recorder: &Recorder,
        due: Option<Moment>,
    ) -> bool {
        entry.clear_rising();
        if recorder.worth(entry.reads()) <= f64::from_bits(self.floor_bits.load(Relaxed)) {
            return false;
        }
        let is_there =
            self.main.get(Lookup::of(entry)).is_some_and(|held| Arc::ptr_eq(&held, entry));
        if is_there {
            entry.set_in_main(false);
            self.slots(room, false).push(entry);
            self.hot.insert(entry);
            self.main.remove(Lookup::of(entry));
            if let Some(due) = due {
                room.wheel.insert(entry, due);
            }
        }
        is_there
    }

    /// Slots that keep count of what they hold.
    fn slots<'a>(&'a self, room: &'a mut Room<K, V>, is_staged: bool) -> Counted<'a, K, V> {
        let slots = if is_staged { &mut room.staged } else { &mut room.proven };
        Counted { slots, hot: &self.hot, is_staged }
    }

    /// What the proven part, the staged part, and moka hold.
    pub(crate) fn held(&self) -> [Held; 3] {
        [self.hot.held(false), self.hot.held(true), self.main.held()]
    }

    /// Looks at the entries of moka, unless the sum of scores of none exceeds `least`.
    pub(crate) fn look_through_main(&self, least: f64, look: impl FnMut(&Arc<Entry<K, V>>)) {
        if self.main.score_max() > least {
            self.main.look_through(look);
        }
    }

    /// Notes that an entry was read that a look at it did not serve.
    pub(crate) fn note_score(&self, entry: &Entry<K, V>) {
        if entry.is_in_main() {
            self.main.note_score(entry);
        }
    }

    /// Multiplies the scores of moka's entries.
    pub(crate) fn rescale_main(&self, by: f64) {
        self.main.rescale_scores(by);
    }

    /// The entries of moka.
    pub(crate) fn main_entries(&self) -> Vec<Arc<Entry<K, V>>> {
        self.main.entries()
    }

    /// Lets moka do what it has put off, and counts what it evicted.
    pub(crate) fn settle(&self) {
        self.main.settle();
        self.tally.evictions.add(Eviction::Capacity, self.main.take_evicted());
    }

    /// Takes every entry of a room out.
    pub(crate) fn clear_room(&self, room: &mut Room<K, V>) -> Vec<Arc<Entry<K, V>>> {
        let all: Vec<_> = room.entries().cloned().collect();
        let cleared = all.into_iter().map(|entry| {
            self.remove(room, Placed { entry, segment: Segment::Hot }, Eviction::Cleared)
        });
        cleared.collect()
    }

    /// Takes every entry of moka out.
    pub(crate) fn clear_main(&self) {
        for entry in self.main.entries() {
            self.main.remove(Lookup::of(&entry));
            self.tally.left(&entry, Eviction::Cleared);
        }
    }
}
