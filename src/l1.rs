//! The memory tier: a hot segment in front, moka behind it.
//!
//! Everything enters the hot segment. What is least read there leaves for moka, where TinyLFU
//! decides whether it stays; an entry of moka that is read often enough moves back. Preloaded
//! entries have a quota of their own, so that a guess never costs a proven key its place, and a
//! preload is never refused for want of readers.
//!
//! Whatever changes where an entry is happens under the lock of the key's shard: the methods that
//! do it take the [`Room`] which that lock protects. Reads take no lock and move nothing.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use fastrand::Rng;

use crate::clock::Moment;
use crate::entry::{Entry, Why};
use crate::metrics::{Counters, Eviction, Full, Preload, PreloadOutcome};
use crate::predictor::Calibration;
use crate::recorder::Recorder;

use self::hot::Hot;
pub(crate) use self::hot::Lookup;
use self::main::Main;
use self::residence::Residence;
use self::slots::Slots;
use self::wheel::Wheel;

mod hot;
mod main;
mod residence;
mod slots;
mod wheel;

/// The memory tier of one resource.
#[derive(Debug)]
pub(crate) struct L1<K, V> {
    hot: Hot<K, V>,
    main: Main<K, V>,
    shares: Shares,
    tally: Arc<L1Tally>,
    /// The rank of the entry that left the hot segment last, as bits.
    floor_bits: AtomicU64,
    residence: Residence,
}

/// What one shard lock protects of the memory tier.
#[derive(Debug)]
pub(crate) struct Room<K, V> {
    /// Entries of the hot segment that somebody has asked for.
    proven: Slots<K, V>,
    /// Entries of the hot segment that were preloaded, until their first read is noticed.
    staged: Slots<K, V>,
    /// Entries of the hot segment by when they are due.
    wheel: Wheel<K, V>,
}

/// How the capacity is divided, in its own unit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shares {
    pub(crate) proven: u64,
    pub(crate) staged: u64,
    pub(crate) main: u64,
}

/// What the memory tier counts.
#[derive(Debug)]
pub(crate) struct L1Tally {
    pub(crate) evictions: Counters<Eviction>,
    pub(crate) preloads: Counters<Preload>,
    pub(crate) full: Counters<Full>,
    /// What came of predictions.
    pub(crate) calibration: Arc<Calibration>,
}

/// How much a segment holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Held {
    pub(crate) entries: u64,
    pub(crate) weight: u64,
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Segment {
    Hot,
    Main,
}

/// Which part of the hot segment holds too much.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Overflow {
    Staged,
    Proven,
}

/// How many entries an eviction looks at.
pub(crate) const SAMPLE: usize = 16;

impl Shares {
    /// Divides a capacity. What is preloaded has room of its own only if anything is preloaded.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "shares of a capacity"
    )]
    pub(crate) fn of(capacity: u64, hot_share: f64, staging_share: f64) -> Self {
        let share = |share: f64| ((capacity as f64 * share).round() as u64).min(capacity);
        let hot = share(hot_share).max(1);
        let staged = if staging_share > 0.0 { share(staging_share).max(1) } else { 0 };
        let staged = staged.min(hot.saturating_sub(1));
        Self { proven: hot - staged, staged, main: capacity.saturating_sub(hot) }
    }
}

impl L1Tally {
    pub(crate) fn new() -> Self {
        Self {
            evictions: Counters::new(),
            preloads: Counters::new(),
            full: Counters::new(),
            calibration: Arc::new(Calibration::new()),
        }
    }

    /// Counts an entry that left, and a preload that nobody read.
    fn left<K, V>(&self, entry: &Entry<K, V>, why: Eviction) {
        self.evictions.one(why);
        self.settle_unread(entry);
    }

    /// Counts a preload that nobody read in the hot segment.
    pub(crate) fn settle_unread<K, V>(&self, entry: &Entry<K, V>) {
        if entry.settle() {
            self.preloads.one(Preload(entry.why().reason, PreloadOutcome::Wasted));
            self.keep_score(entry.why(), false);
        }
    }

    /// Keeps the score of a preload that was read, or that nobody read.
    pub(crate) fn keep_score(&self, why: Why, came_true: bool) {
        if let Some(cell) = why.cell {
            self.calibration.learn(cell, came_true);
            self.calibration.score(f64::from(why.probability), came_true);
        }
    }
}

impl<K, V> Room<K, V> {
    /// An empty room, whose wheel has buckets of this width.
    pub(crate) fn new(bucket: Duration) -> Self {
        Self { proven: Slots::new(), staged: Slots::new(), wheel: Wheel::new(bucket) }
    }

    /// Takes the entries that are due at `now`.
    pub(crate) fn take_due(&mut self, now: Moment) -> Vec<Arc<Entry<K, V>>> {
        self.wheel.take_due(now)
    }

    /// Lets an entry of the hot segment come due at `due`, or up to a bucket later.
    pub(crate) fn await_due(&mut self, entry: &Arc<Entry<K, V>>, due: Moment) {
        if self.holds(entry) {
            self.wheel.remove(entry);
            self.wheel.insert_after(entry, due);
        }
    }

    /// When the next entry is due.
    pub(crate) fn next_due(&self) -> Moment {
        self.wheel.next_due()
    }

    /// The entries of the hot segment.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry<K, V>>> {
        self.proven.iter().chain(self.staged.iter())
    }

    /// Whether this is the room that has an entry of the hot segment.
    pub(crate) fn holds(&self, entry: &Arc<Entry<K, V>>) -> bool {
        self.proven.holds(entry) || self.staged.holds(entry)
    }

    /// Looks at up to `count` entries at random, and gives the one to evict.
    pub(crate) fn sample(
        &self,
        search: Search<'_, K, V>,
        count: usize,
        random: &mut Rng,
    ) -> Sample<K, V> {
        let slots = match search.overflow {
            Overflow::Proven => &self.proven,
            Overflow::Staged => &self.staged,
        };
        slots.sample(count, random, |entry| search.worth(entry))
    }
}

/// What an eviction looks for.
#[derive(Debug)]
pub(crate) struct Search<'a, K, V> {
    pub(crate) overflow: Overflow,
    /// This entry is not evicted while there are others.
    pub(crate) spared: Option<&'a Arc<Entry<K, V>>>,
    pub(crate) now: Moment,
}

impl<K, V> Clone for Search<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Search<'_, K, V> {}

impl<K, V> Search<'_, K, V> {
    /// What an entry is worth; the least goes.
    fn worth(&self, entry: &Arc<Entry<K, V>>) -> f64 {
        if self.spared.is_some_and(|spared| Arc::ptr_eq(spared, entry)) {
            return f64::INFINITY;
        }
        match self.overflow {
            Overflow::Proven if entry.is_kept(self.now) => entry.reads().rank(),
            Overflow::Staged if entry.is_unread() => f64::from(entry.why().probability),
            // What nobody may be served any more; and what was read, and so is no longer staged.
            Overflow::Proven | Overflow::Staged => -1.0,
        }
    }
}

/// What looking at some entries found.
#[derive(Debug)]
pub(crate) struct Sample<K, V> {
    pub(crate) seen: usize,
    /// The lowest, with what it was judged by.
    pub(crate) lowest: Option<(f64, Arc<Entry<K, V>>)>,
}

impl<K, V> L1<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(crate) fn new(shares: Shares, tally: Arc<L1Tally>, seed: u64, is_eager: bool) -> Self {
        let main = Main::new(shares.main, seed, is_eager);
        Self {
            hot: Hot::new(),
            main,
            shares,
            tally,
            floor_bits: AtomicU64::new(0),
            residence: Residence::new(),
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
        self.main.get(lookup.key())
    }

    /// Lets `look` see an entry of moka. If its key is read more than what leaves the hot segment,
    /// the entry is reported as one that may move back.
    fn look_and_rise<C, R>(
        &self,
        entry: &Arc<Entry<K, V>>,
        context: C,
        look: impl FnOnce(&Arc<Entry<K, V>>, C) -> R,
    ) -> R {
        let seen = look(entry, context);
        let floor = f64::from_bits(self.floor_bits.load(Relaxed));
        if entry.reads().rank() > floor && entry.rise() && !self.main.report_rising(entry) {
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
        self.hot.find(lookup).or_else(|| self.main.get(lookup.key()))
    }

    /// The key of the hot segment that has this hash.
    pub(crate) fn key(&self, hash: u64) -> Option<K> {
        self.hot.key(hash)
    }

    /// How long preloads that nobody read have stayed lately; `None` while none had to leave.
    pub(crate) fn residence(&self) -> Option<Duration> {
        self.residence.estimate()
    }

    /// Whether an entry could fit at all.
    pub(crate) const fn fits(&self, weight: u64) -> bool {
        weight <= self.shares.proven
    }

    /// Puts an entry into the hot segment, in the place of what its key had; gives that. An
    /// unread preload of a key that had nothing is staged. With `due`, the entry comes due then.
    pub(crate) fn insert(
        &self,
        room: &mut Room<K, V>,
        entry: &Arc<Entry<K, V>>,
        due: Option<Moment>,
    ) -> Option<Arc<Entry<K, V>>> {
        let old = self.take_out(room, Lookup::of(entry));
        let is_guess = |old: &Entry<K, V>| old.is_staged() && old.is_unread();
        let is_staged = entry.is_unread()
            && self.shares.staged > 0
            && old.as_ref().is_none_or(|(old, _)| is_guess(old));
        entry.set_staged(is_staged);
        self.slots(room, is_staged).push(entry);
        self.hot.insert(entry);
        if let Some(due) = due {
            room.wheel.insert(entry, due);
        }
        let (old, segment) = old?;
        if segment == Segment::Main {
            // Only now, so that a reader who looks in both segments always finds one.
            self.main.remove(old.key());
        }
        self.tally.left(&old, Eviction::Replaced);
        Some(old)
    }

    /// Takes a key's entry out, and counts why.
    pub(crate) fn remove<Q>(
        &self,
        room: &mut Room<K, V>,
        lookup: Lookup<'_, Q>,
        why: Eviction,
    ) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (old, segment) = self.take_out(room, lookup)?;
        match segment {
            Segment::Hot => self.hot.remove(lookup),
            Segment::Main => self.main.remove(old.key()),
        }
        self.tally.left(&old, why);
        Some(old)
    }

    /// Takes a key's entry out of slots and wheel; the segment's map still has it.
    fn take_out<Q>(
        &self,
        room: &mut Room<K, V>,
        lookup: Lookup<'_, Q>,
    ) -> Option<(Arc<Entry<K, V>>, Segment)>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let Some(old) = self.hot.find(lookup) else {
            return self.main.get(lookup.key()).map(|old| (old, Segment::Main));
        };
        self.slots(room, old.is_staged()).remove(&old);
        room.wheel.remove(&old);
        Some((old, Segment::Hot))
    }

    /// Which part of the hot segment holds too much, if any.
    pub(crate) fn overflow(&self) -> Option<Overflow> {
        if self.hot.held(true).weight > self.shares.staged {
            Some(Overflow::Staged)
        } else if self.hot.held(false).weight > self.shares.proven {
            Some(Overflow::Proven)
        } else {
            None
        }
    }

    /// Evicts an entry that a sample of `room` found, if it is still there. A staged entry that
    /// was read since moves to the proven ones instead. A proven entry is offered to moka, with
    /// its recent reads replayed. Gives whether it left, so that its reads are to be remembered.
    pub(crate) fn evict(
        &self,
        room: &mut Room<K, V>,
        entry: &Arc<Entry<K, V>>,
        recorder: &Recorder,
        now: Moment,
    ) -> bool {
        let is_staged = entry.is_staged();
        if !self.slots(room, is_staged).remove(entry) {
            return false;
        }
        if is_staged && !entry.is_unread() {
            entry.set_staged(false);
            self.slots(room, false).push(entry);
            return false;
        }
        if is_staged {
            self.residence.note(now.since(entry.life().loaded_at));
        }
        room.wheel.remove(entry);
        let rank = entry.reads().rank();
        let may_stay = !is_staged && entry.is_kept(now);
        if may_stay {
            self.floor_bits.store(rank.to_bits(), Relaxed);
        }
        // It is in both segments for a moment, so that a reader who looks in both always finds it.
        if may_stay && self.main.offer(entry, recorder.recent_reads(rank)) {
            self.tally.settle_unread(entry);
        } else {
            self.tally.left(entry, if is_staged { Eviction::Staging } else { Eviction::Capacity });
        }
        self.hot.remove(Lookup::of(entry));
        true
    }

    /// An entry of moka that may move back to the hot segment.
    pub(crate) fn next_rising(&self) -> Option<Arc<Entry<K, V>>> {
        self.main.next_rising()
    }

    /// Moves an entry of moka back to the hot segment, if moka still has it.
    pub(crate) fn promote(
        &self,
        room: &mut Room<K, V>,
        entry: &Arc<Entry<K, V>>,
        due: Option<Moment>,
    ) -> bool {
        entry.clear_rising();
        let is_there = self.main.get(entry.key()).is_some_and(|held| Arc::ptr_eq(&held, entry));
        if is_there {
            self.slots(room, false).push(entry);
            self.hot.insert(entry);
            self.main.remove(entry.key());
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
        for entry in &all {
            self.remove(room, Lookup::of(entry), Eviction::Cleared);
        }
        all
    }

    /// Takes every entry of moka out.
    pub(crate) fn clear_main(&self) {
        for entry in self.main.entries() {
            self.main.remove(entry.key());
            self.tally.left(&entry, Eviction::Cleared);
        }
    }
}

/// The slots of a room, with the segment whose weight they add up to.
struct Counted<'a, K, V> {
    slots: &'a mut Slots<K, V>,
    hot: &'a Hot<K, V>,
    is_staged: bool,
}

impl<K, V> Counted<'_, K, V> {
    fn push(&mut self, entry: &Arc<Entry<K, V>>) {
        self.slots.push(entry);
        self.hot.count(self.is_staged, 1, entry.weight());
    }

    fn remove(&mut self, entry: &Arc<Entry<K, V>>) -> bool {
        let was_there = self.slots.remove(entry);
        if was_there {
            self.hot.uncount(self.is_staged, 1, entry.weight());
        }
        was_there
    }
}
