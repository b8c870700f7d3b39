//! An entry: a value or its absence, with when it was loaded and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

use crate::clock::Moment;
use crate::score::{Past, Reads};

pub(crate) use self::tags::Tags;

mod tags;

/// A value or its absence, as memory holds it.
///
/// The words that a hit or a sample touches come first, together with the counts of the `Arc`
/// around it in one cache line. Those of its place are written under the lock of its shard only;
/// they are atomic because the entry is shared.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry<K, V> {
    /// Before this moment a read has nothing to decide.
    calm_until: AtomicU64,
    reads: Reads,
    /// The end of everything: not even a failed load serves it any more.
    keep_until: Moment,
    hash: u64,
    value: Option<Arc<V>>,
    /// As of which generation of the resource's groups it is known to be valid.
    generation: AtomicU64,
    key: K,
    flags: AtomicU32,
    weight: u32,
    slot: AtomicU32,
    /// How many entries had been stored before it.
    number: AtomicU32,
    /// Its bucket in the expiry wheel, and its place there: see [`Entry::due`].
    due: AtomicU64,
    fresh_until: AtomicU64,
    loaded_at: Moment,
    revalidate_micros: u64,
    /// When its value would expire if it were loaded on demand only.
    demand_until: AtomicU64,
    /// Why it is here; `None` on demand, as most are.
    why: Option<Box<Why>>,
    tags: Tags,
}

/// The bits of [`Entry::due`] that are the place: in a bucket of a shard, 16 million entries have one.
const PLACE_BITS: u32 = 24;
/// The last bucket. Of 64 microseconds each, that is in two years.
pub(crate) const BUCKET_MAX: u64 = (1 << (64 - PLACE_BITS)) - 2;
/// It has no place in the wheel.
const NOT_DUE: u64 = u64::MAX;

/// How long an entry lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Life {
    /// When its load began: its age counts from here, since the source may have changed while it
    /// answered.
    pub(crate) loaded_at: Moment,
    /// From here a read may renew it although it is fresh.
    pub(crate) calm_until: Moment,
    /// The end of its ttl.
    pub(crate) fresh_until: Moment,
    /// For how long after that it is served while a load renews it.
    pub(crate) revalidate_for: Duration,
    /// The end of everything: not even a failed load serves it any more.
    pub(crate) keep_until: Moment,
}

/// Why an entry is here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Why {
    pub(crate) origin: Origin,
    /// For a preload: what proposed it, and how probable a read was.
    pub(crate) reason: Reason,
    pub(crate) probability: f32,
    /// What the prediction looked like, if it was one that is calibrated.
    pub(crate) cell: Option<Cell>,
    /// The key whose read led to it, if one did.
    pub(crate) trigger: Option<KeyId>,
}

/// A key of a resource, named by the resource and the hash of the key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct KeyId {
    pub(crate) resource: u16,
    pub(crate) hash: u64,
}

/// A cell of the calibration: predictions that look alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Cell(pub(crate) u16);

impl Why {
    /// Why a key is loaded that somebody waits for, or wrote.
    pub(crate) const DEMAND: Self = Self::certain(Origin::Demand, Reason::Requested);

    /// A load that nothing predicted.
    pub(crate) const fn certain(origin: Origin, reason: Reason) -> Self {
        Self { origin, reason, probability: 1.0, cell: None, trigger: None }
    }
}

/// Why a key is loaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Origin {
    /// Somebody waits for it.
    Demand,
    /// Somebody was served a value that should be renewed.
    Refresh,
    /// Nobody has asked yet.
    Preload,
}

impl Origin {
    pub(crate) const ALL: [Self; 3] = [Self::Demand, Self::Refresh, Self::Preload];

    /// The word for it in metrics and logs.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Demand => "demand",
            Self::Refresh => "refresh",
            Self::Preload => "preload",
        }
    }
}

/// What proposed a preload.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The entry was about to expire, and its key is read often enough.
    Expiry,
    /// The rule of [`Classic`](crate::Classic).
    Classic,
    /// Somebody called [`Resource::preload`](crate::Resource::preload).
    Requested,
    /// A key was read after which this one is usually read.
    Association,
    /// A key of another resource with the same id was read, after which this one is usually read.
    Rule,
    /// A key was read to which this one was declared to be related.
    Relation,
    /// The key is read much on other engines that share L2.
    Elsewhere,
    /// The key was read much before the restart: see [`Builder::memory`](crate::Builder::memory).
    Restored,
    /// The key is one that is wanted at the start:
    /// [`ResourceBuilder::seed`](crate::ResourceBuilder::seed).
    Seeded,
}

impl Reason {
    pub(crate) const ALL: [Self; 9] = [
        Self::Expiry,
        Self::Classic,
        Self::Requested,
        Self::Association,
        Self::Rule,
        Self::Relation,
        Self::Elsewhere,
        Self::Restored,
        Self::Seeded,
    ];

    /// Whether it is a guess that has to prove itself. What was read much before the restart has
    /// done so, and what is wanted from the start competes with its reads like any other.
    pub(crate) const fn is_guess(self) -> bool {
        !matches!(self, Self::Restored | Self::Seeded)
    }

    /// The word for it in metrics and logs.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Expiry => "expiry",
            Self::Classic => "classic",
            Self::Requested => "requested",
            Self::Association => "association",
            Self::Rule => "rule",
            Self::Relation => "relation",
            Self::Elsewhere => "elsewhere",
            Self::Restored => "restored",
            Self::Seeded => "seeded",
        }
    }
}

/// Whether an entry may be served.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Freshness {
    /// Within its ttl.
    Fresh,
    /// Past its ttl, and still served while a load renews it, or because that load failed.
    Stale,
    /// Not served.
    Expired,
}

/// Nobody has read the preloaded value yet.
const UNREAD: u32 = 1;
/// The entry is in the staging slots.
const STAGED: u32 = 1 << 1;
/// The entry of moka has been reported as one that may move back.
const RISING: u32 = 1 << 2;
/// The entry is in moka.
const IN_MAIN: u32 = 1 << 3;
/// One more than the cell in which the entry was put when it came due.
const DUE_CELL: u32 = 0xffff << 16;

impl<K, V> Entry<K, V> {
    pub(crate) fn new(key: K, hash: u64, value: Option<Arc<V>>, weight: u32) -> Self {
        Self {
            calm_until: AtomicU64::new(0),
            reads: Reads::new(Past::NONE).of_hash(hash),
            keep_until: Moment::START,
            hash,
            value,
            generation: AtomicU64::new(0),
            key,
            flags: AtomicU32::new(0),
            weight,
            slot: AtomicU32::new(u32::MAX),
            number: AtomicU32::new(0),
            due: AtomicU64::new(NOT_DUE),
            fresh_until: AtomicU64::new(0),
            loaded_at: Moment::START,
            revalidate_micros: 0,
            demand_until: AtomicU64::new(0),
            why: None,
            tags: Tags::default(),
        }
    }

    /// Says what groups it belongs to, and as of which generation of them it is valid.
    pub(crate) fn in_groups(self, tags: Tags, generation: u64) -> Self {
        Self { tags, generation: AtomicU64::new(generation), ..self }
    }

    pub(crate) fn living(self, life: Life) -> Self {
        Self {
            calm_until: AtomicU64::new(life.calm_until.to_bits()),
            keep_until: life.keep_until,
            fresh_until: AtomicU64::new(life.fresh_until.to_bits()),
            loaded_at: life.loaded_at,
            revalidate_micros: u64::try_from(life.revalidate_for.as_micros()).unwrap_or(u64::MAX),
            ..self
        }
    }

    pub(crate) fn because(self, why: Why) -> Self {
        Self { why: (why != Why::DEMAND).then(|| Box::new(why)), ..self }
    }

    pub(crate) fn with_past(self, past: Past) -> Self {
        Self { reads: Reads::new(past).of_hash(self.hash), ..self }
    }

    /// Marks it as preloaded and not yet read.
    pub(crate) fn unread(self) -> Self {
        self.flags.fetch_or(UNREAD, Relaxed);
        self
    }

    pub(crate) fn key(&self) -> &K {
        &self.key
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn value(&self) -> Option<&Arc<V>> {
        self.value.as_ref()
    }

    pub(crate) fn weight(&self) -> u64 {
        u64::from(self.weight)
    }

    pub(crate) fn weight32(&self) -> u32 {
        self.weight
    }

    pub(crate) fn tags(&self) -> &Tags {
        &self.tags
    }

    /// As of which generation of the resource's groups it is known to be valid.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// It has been found to be valid in this generation.
    pub(crate) fn confirm(&self, generation: u64) {
        self.generation.fetch_max(generation, Relaxed);
    }

    pub(crate) fn loaded_at(&self) -> Moment {
        self.loaded_at
    }

    pub(crate) fn reads(&self) -> &Reads {
        &self.reads
    }

    pub(crate) fn why(&self) -> Why {
        self.why.as_deref().copied().unwrap_or(Why::DEMAND)
    }

    pub(crate) fn life(&self) -> Life {
        Life {
            loaded_at: self.loaded_at,
            calm_until: Moment::from_bits(self.calm_until.load(Relaxed)),
            fresh_until: Moment::from_bits(self.fresh_until.load(Relaxed)),
            revalidate_for: Duration::from_micros(self.revalidate_micros),
            keep_until: self.keep_until,
        }
    }

    /// Whether it may be served at `now` if the load that should renew it fails.
    #[inline]
    pub(crate) fn is_kept(&self, now: Moment) -> bool {
        now < self.keep_until
    }

    /// Whether a read at `now` has nothing to decide: the entry is fresh, and nothing is to renew.
    #[inline]
    pub(crate) fn is_calm(&self, now: Moment) -> bool {
        now.to_bits() < self.calm_until.load(Relaxed)
    }

    /// Whether it may be served at `now`.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        self.life().freshness(now)
    }

    /// Makes it stale at `now`. It stays what is served when the load that renews it fails.
    pub(crate) fn expire(&self, now: Moment) {
        self.fresh_until.fetch_min(now.to_bits(), Relaxed);
        self.calm_until.store(0, Relaxed);
    }

    #[inline]
    pub(crate) fn is_unread(&self) -> bool {
        self.flags.load(Relaxed) & UNREAD != 0
    }

    /// Takes the mark of an unread preload off; gives whether it was there. Whoever takes it off
    /// counts the outcome, so each preload has one.
    pub(crate) fn settle(&self) -> bool {
        self.flags.fetch_and(!UNREAD, Relaxed) & UNREAD != 0
    }

    pub(crate) fn is_staged(&self) -> bool {
        self.flags.load(Relaxed) & STAGED != 0
    }

    pub(crate) fn set_staged(&self, staged: bool) {
        self.set(STAGED, staged);
    }

    pub(crate) fn is_in_main(&self) -> bool {
        self.flags.load(Relaxed) & IN_MAIN != 0
    }

    pub(crate) fn set_in_main(&self, is_there: bool) {
        self.set(IN_MAIN, is_there);
    }

    /// Marks it as one that may move back to the hot segment; gives whether it was not marked yet.
    pub(crate) fn rise(&self) -> bool {
        self.flags.fetch_or(RISING, Relaxed) & RISING == 0
    }

    pub(crate) fn clear_rising(&self) {
        self.set(RISING, false);
    }

    /// Notes how it was judged when it came due.
    pub(crate) fn mark_due(&self, cell: Cell) {
        let rest = |flags: u32| flags & !DUE_CELL | u32::from(cell.0.saturating_add(1)) << 16;
        self.flags.update(Relaxed, Relaxed, rest);
    }

    /// Takes how it was judged when it came due, if it did.
    pub(crate) fn take_due_cell(&self) -> Option<Cell> {
        if self.flags.load(Relaxed) & DUE_CELL == 0 {
            return None;
        }
        let cell = u16::try_from(self.flags.fetch_and(!DUE_CELL, Relaxed) >> 16).ok()?;
        cell.checked_sub(1).map(Cell)
    }

    fn set(&self, flag: u32, on: bool) {
        if on {
            self.flags.fetch_or(flag, Relaxed);
        } else {
            self.flags.fetch_and(!flag, Relaxed);
        }
    }

    /// When its value would expire if it were loaded on demand only.
    pub(crate) fn demand_until(&self) -> Moment {
        Moment::from_bits(self.demand_until.load(Relaxed))
    }

    pub(crate) fn set_demand_until(&self, until: Moment) {
        self.demand_until.store(until.to_bits(), Relaxed);
    }

    /// How many entries had been stored before it; wraps around.
    pub(crate) fn number(&self) -> u32 {
        self.number.load(Relaxed)
    }

    pub(crate) fn set_number(&self, number: u32) {
        self.number.store(number, Relaxed);
    }

    /// Its place among the slots that evictions are sampled from.
    pub(crate) fn slot(&self) -> usize {
        self.slot.load(Relaxed) as usize
    }

    pub(crate) fn set_slot(&self, slot: usize) {
        self.slot.store(u32::try_from(slot).unwrap_or(u32::MAX), Relaxed);
    }

    /// Its bucket in the expiry wheel and its place there, if it has one.
    pub(crate) fn due(&self) -> Option<(u64, usize)> {
        let due = self.due.load(Relaxed);
        let place = || usize::try_from(due & ((1 << PLACE_BITS) - 1)).unwrap_or(usize::MAX);
        (due != NOT_DUE).then(|| (due >> PLACE_BITS, place()))
    }

    pub(crate) fn set_due(&self, due: Option<(u64, usize)>) {
        let word = |(bucket, place): (u64, usize)| bucket << PLACE_BITS | place as u64;
        self.due.store(due.map_or(NOT_DUE, word), Relaxed);
    }
}

impl Life {
    /// The end of what a read is given while the source is well.
    pub(crate) fn served_until(&self) -> Moment {
        self.fresh_until.plus(self.revalidate_for).min(self.keep_until)
    }

    /// Whether what lives so may be served at `now`.
    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        if now < self.fresh_until {
            Freshness::Fresh
        } else if now < self.served_until() {
            Freshness::Stale
        } else {
            Freshness::Expired
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<u32, ()> {
        let life = Life {
            loaded_at: Moment::from_micros(0),
            calm_until: Moment::from_micros(80),
            fresh_until: Moment::from_micros(100),
            revalidate_for: Duration::from_micros(50),
            keep_until: Moment::from_micros(300),
        };
        Entry::new(1, 1, Some(Arc::new(())), 1).living(life)
    }

    #[test]
    fn each_boundary_belongs_to_the_later_state() {
        for (at, freshness, calm, kept) in [
            (79, Freshness::Fresh, true, true),
            (80, Freshness::Fresh, false, true),
            (99, Freshness::Fresh, false, true),
            (100, Freshness::Stale, false, true),
            (149, Freshness::Stale, false, true),
            (150, Freshness::Expired, false, true),
            (299, Freshness::Expired, false, true),
            (300, Freshness::Expired, false, false),
        ] {
            let now = Moment::from_micros(at);
            let entry = entry();
            let seen = (entry.freshness(now), entry.is_calm(now), entry.is_kept(now));
            assert_eq!(seen, (freshness, calm, kept), "at {at}");
        }
    }

    #[test]
    fn an_expired_entry_is_stale_at_once_and_kept_as_long_as_before() {
        let entry = entry();
        entry.expire(Moment::from_micros(10));
        assert!(!entry.is_calm(Moment::from_micros(10)));
        assert_eq!(entry.freshness(Moment::from_micros(10)), Freshness::Stale);
        assert_eq!(entry.freshness(Moment::from_micros(60)), Freshness::Expired);
        assert!(entry.is_kept(Moment::from_micros(299)));
    }

    #[test]
    fn a_preload_is_settled_once() {
        let entry = entry().unread();
        assert!(entry.is_unread());
        assert!(entry.settle());
        assert!(!entry.settle());
    }
}
