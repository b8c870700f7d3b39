//! What may be stored and joined: the one place where loads and invalidations of a key meet.
//!
//! A synchronous structure without tokio, so that `shuttle` can explore the orders in which its
//! callers may come.
//!
//! The promise: after [`Fence::invalidate`] has returned, nothing that a flight read which began
//! before is found here by anybody who comes later. An invalidation takes the key's entry out,
//! marks the flight under way as *poisoned*, so that it cannot store what it brings, and takes it
//! out of the table, so that nobody joins it any more. All that is one step under the lock of the
//! key's shard, and so is the storing. An invalidation of a group of keys is noted in one step, and
//! compared with whatever is found, joined or stored after it.

use std::borrow::{Borrow, Cow};
use std::fmt::{self, Display};
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use foldhash::fast::FixedState;

use crate::clock::Moment;
use crate::entry::Entry;
use crate::l1::{L1, Lookup, Placed, Room};
use crate::metrics::Eviction;
use crate::recorder::{Recorder, Table};
use crate::score::Past;
use crate::sync::Mutex;

pub(crate) use self::flights::Flight;
use self::flights::Flights;
use self::gate::Gates;
pub(crate) use self::gate::Ticket;
pub(crate) use self::groups::Group;
use self::groups::Groups;
pub(crate) use self::lags::Lagging;
use self::lags::Lags;
use self::turnover::Turnover;

mod flights;
mod gate;
mod groups;
mod hottest;
mod lags;
mod tend;
mod turnover;

/// The flights, the memory tier and the gates of one resource.
///
/// `T` is what a flight carries for those who wait for it.
pub(crate) struct Fence<K, V, T> {
    shards: Box<[Mutex<Shard<K, V, T>>]>,
    l1: L1<K, V>,
    groups: Groups,
    /// Until when the source may lag behind for all keys, and for one of them at least.
    all_lag_until: AtomicU64,
    one_lags_until: AtomicU64,
    recorder: Recorder,
    hasher: FixedState,
    flights: AtomicUsize,
    flights_max: usize,
    /// When the next entry is due, in microseconds.
    next_due: AtomicU64,
    random: AtomicU64,
    /// The entries stored so far.
    stored: AtomicU64,
    turnover: Turnover,
}

/// What one lock protects: everything there is of the keys whose hashes lead here.
struct Shard<K, V, T> {
    flights: Flights<K, T>,
    /// The keys that are not to be read from L2.
    gates: Gates<K>,
    /// The keys whose source lags behind.
    lags: Lags<K>,
    room: Room<K, V>,
    /// The entries stored so far.
    stored: u64,
    /// The reads of keys that have no entry.
    absent: Table,
}

/// What a flight carries.
pub(crate) trait Carried {
    /// Somebody has joined. Called under the lock, as everything that decides what becomes of the
    /// flight.
    fn join(&self, wish: Wish);

    /// Whether it is to go on until it has a value, wherever that comes from.
    fn is_wanted(&self) -> bool;
}

/// Asks what the caller knows and the fence does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<S, J> {
    /// Whether the entry in memory is what is wanted.
    pub(crate) serves: S,
    /// Whether a flight began late enough to be waited for.
    pub(crate) joins: J,
}

/// What somebody who comes for a key wants of a flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// To wait for its value, whoever began it.
    Value,
    /// That it brings a value, without waiting for it.
    Load,
    /// That it brings what is at hand, and nothing more.
    Copy,
}

/// Somebody who comes for a key.
#[derive(Debug)]
pub(crate) struct Caller<'a, K: Clone> {
    /// A flight that begins takes it along.
    pub(crate) key: Cow<'a, K>,
    pub(crate) hash: u64,
    /// A read is to be recorded.
    pub(crate) read_at: Option<Moment>,
    pub(crate) wish: Wish,
}

/// What somebody finds who comes for a key.
pub(crate) enum Boarding<K, V, T> {
    /// Memory has what is wanted after all.
    Held(Arc<Entry<K, V>>),
    /// A load is under way.
    Joined(Arc<Flight<K, T>>),
    /// A load begins, and the caller makes it.
    Started(Start<K, V, T>),
    /// There are too many. The entry held is given, if there is one.
    Full(Option<Arc<Entry<K, V>>>),
}

/// A load that begins.
pub(crate) struct Start<K, V, T> {
    pub(crate) flight: Arc<Flight<K, T>>,
    /// The entry held so far.
    pub(crate) held: Option<Arc<Entry<K, V>>>,
    /// Whether the key may be read from L2.
    pub(crate) is_gate_open: bool,
}

/// What storing did. The entries are given so that they are dropped outside the lock.
#[derive(Debug)]
pub(crate) struct Landing<K, V> {
    /// The entry that was stored, or why none was.
    pub(crate) entry: Arc<Entry<K, V>>,
    pub(crate) is_stored: bool,
    #[expect(dead_code, reason = "what was replaced is dropped with this, outside the lock")]
    pub(crate) replaced: Option<Arc<Entry<K, V>>>,
}

const SHARDS: usize = 64;

/// What a fence is built with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FenceTerms {
    pub(crate) flights_max: usize,
    pub(crate) tracked_keys: usize,
    /// The width of a bucket of the expiry wheels.
    pub(crate) bucket: Duration,
    pub(crate) seed: u64,
}

impl<K, V, T> Fence<K, V, T>
where
    K: Clone + Display + Eq + Hash + Send + Sync + 'static,
    V: Send + Sync + 'static,
    T: Carried,
{
    pub(crate) fn new(l1: L1<K, V>, recorder: Recorder, terms: FenceTerms) -> Self {
        let hasher = FixedState::with_seed(terms.seed);
        let shard = |_| {
            Mutex::new(Shard {
                flights: Flights::new(),
                gates: Gates::new(hasher.clone()),
                lags: Lags::new(hasher.clone()),
                room: Room::new(terms.bucket),
                stored: 0,
                absent: Table::new(terms.tracked_keys.div_ceil(SHARDS)),
            })
        };
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            l1,
            groups: Groups::new(),
            all_lag_until: AtomicU64::new(0),
            one_lags_until: AtomicU64::new(0),
            recorder,
            hasher,
            flights: AtomicUsize::new(0),
            flights_max: terms.flights_max,
            next_due: AtomicU64::new(u64::MAX),
            random: AtomicU64::new(terms.seed),
            stored: AtomicU64::new(0),
            turnover: Turnover::new(),
        }
    }

    #[inline]
    pub(crate) fn hash<Q: Hash + ?Sized>(&self, key: &Q) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The memory tier, for reading.
    #[inline]
    pub(crate) const fn l1(&self) -> &L1<K, V> {
        &self.l1
    }

    #[inline]
    pub(crate) const fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    fn with_shard<R>(&self, hash: u64, act: impl FnOnce(&mut Shard<K, V, T>) -> R) -> R {
        let place = (hash >> 58) as usize;
        #[expect(clippy::indexing_slicing, reason = "there are 64 shards")]
        let mut shard = self.shards[place].lock();
        act(&mut shard)
    }

    /// Comes for a key.
    ///
    /// Whether the entry in memory is what is wanted is asked again here, since it may have come in
    /// the meantime. `begin` makes what a new flight carries. All of that runs under the lock.
    pub(crate) fn board(
        &self,
        caller: Caller<'_, K>,
        terms: Terms<impl FnOnce(&Entry<K, V>) -> bool, impl FnOnce(&T) -> bool>,
        begin: impl FnOnce() -> T,
    ) -> Boarding<K, V, T> {
        let Caller { key, hash, read_at, wish } = caller;
        // What is found to be void is dropped outside the lock.
        let mut void = None;
        self.with_shard(hash, |shard| {
            let lookup = Lookup::new(hash, &*key);
            let held = match self.l1.find(lookup) {
                Some(held) if self.confirm(&held) => Some(held),
                found => {
                    void = found.and_then(|_| self.take_out(shard, lookup));
                    None
                }
            };
            if let Some(now) = read_at {
                self.record(&mut shard.absent, hash, held.as_deref(), now);
            }
            if let Some(held) = &held
                && (terms.serves)(held)
            {
                return Boarding::Held(Arc::clone(held));
            }
            if let Some(flight) = shard.flights.find(lookup) {
                let is_void = self.groups.voids_key(flight.generation(), || key.to_string());
                if !is_void && (terms.joins)(flight.load()) {
                    flight.load().join(wish);
                    return Boarding::Joined(Arc::clone(flight));
                }
                Self::poison(shard, lookup);
            }
            if self.flights.fetch_add(1, Relaxed) >= self.flights_max {
                self.flights.fetch_sub(1, Relaxed);
                return Boarding::Full(held);
            }
            let (name, generation) = ((key.into_owned(), hash), self.groups.generation());
            let absent_at = held.is_none().then_some(shard.stored);
            let flight = Flight::new(name, generation, absent_at, begin());
            shard.flights.insert(&flight);
            let is_gate_open = shard.gates.is_open(flight.key());
            Boarding::Started(Start { flight, held, is_gate_open })
        })
    }

    /// Records a read of a key that was not served from memory at once.
    fn record(&self, absent: &mut Table, hash: u64, held: Option<&Entry<K, V>>, now: Moment) {
        if let Some(held) = held {
            self.record_held(held, now);
        } else {
            absent.update(hash, |past| self.recorder.with_read(past, now));
        }
    }

    /// Records a read of an entry that was found in memory, and could not be served at once.
    pub(crate) fn record_held(&self, held: &Entry<K, V>, now: Moment) {
        self.recorder.record(held.reads(), now, 1);
        self.l1.note_score(held);
    }

    /// Records a read of a key without an entry.
    pub(crate) fn record_absent(&self, hash: u64, now: Moment) {
        self.with_shard(hash, |shard| self.record(&mut shard.absent, hash, None, now));
    }

    /// Ends a flight. What it brought is stored unless it was poisoned, or is not to be stored.
    ///
    /// `make` makes the entry of what is known of the key's reads. It runs under the lock.
    pub(crate) fn land(
        &self,
        flight: &Arc<Flight<K, T>>,
        make: impl FnOnce(Past) -> NewEntry<K, V>,
    ) -> Landing<K, V> {
        self.with_shard(flight.hash(), |shard| {
            self.leave(shard, flight);
            let is_absent = flight.is_still_absent(shard.stored);
            let held = if is_absent { None } else { self.l1.locate(flight.lookup()) };
            let new = make(Self::past(shard, flight.hash(), held.as_ref()));
            if flight.is_poisoned() || !self.confirm(&new.entry) {
                return Landing { entry: new.entry, is_stored: false, replaced: None };
            }
            if !new.is_stored {
                return self.discard(shard, new.entry, held, Eviction::Replaced);
            }
            self.store(shard, new, held)
        })
    }

    /// Ends a flight that brought nothing.
    pub(crate) fn give_up(&self, flight: &Arc<Flight<K, T>>) {
        self.with_shard(flight.hash(), |shard| self.leave(shard, flight));
    }

    /// Ends a flight that brought nothing, unless somebody wants its value by now; gives whether it
    /// ended. Nobody can join in between.
    pub(crate) fn give_up_unwanted(&self, flight: &Arc<Flight<K, T>>) -> bool {
        self.with_shard(flight.hash(), |shard| {
            let ends = !flight.load().is_wanted();
            if ends {
                self.leave(shard, flight);
            }
            ends
        })
    }

    /// Takes a flight off the table, if it is there: a poisoned one left it before.
    fn leave(&self, shard: &mut Shard<K, V, T>, flight: &Arc<Flight<K, T>>) {
        shard.flights.leave(flight);
        self.flights.fetch_sub(1, Relaxed);
    }

    /// What is known of the reads of a key, of which memory holds this.
    fn past(shard: &Shard<K, V, T>, hash: u64, held: Option<&Placed<K, V>>) -> Past {
        held.map_or_else(|| shard.absent.look(hash), |held| held.entry.reads().past())
    }

    /// Keeps nothing of a key: neither what was brought, nor what is held, which is older.
    fn discard(
        &self,
        shard: &mut Shard<K, V, T>,
        entry: Arc<Entry<K, V>>,
        held: Option<Placed<K, V>>,
        why: Eviction,
    ) -> Landing<K, V> {
        let removed = held.map(|held| self.l1.remove(&mut shard.room, held, why));
        if removed.is_some() {
            // The key is as hot as before.
            shard.absent.keep(entry.hash(), &entry.reads().past());
        }
        Landing { entry, is_stored: false, replaced: removed }
    }

    /// Stores an entry in the place of what memory held of its key.
    fn store(
        &self,
        shard: &mut Shard<K, V, T>,
        new: NewEntry<K, V>,
        held: Option<Placed<K, V>>,
    ) -> Landing<K, V> {
        let entry = new.entry;
        let replaced = self.l1.insert(&mut shard.room, &entry, held, new.due);
        shard.stored += 1;
        shard.absent.forget(entry.hash());
        self.expect_due(shard.room.next_due());
        Landing { entry, is_stored: true, replaced }
    }

    /// Invalidates a key: its entry goes, and the flight under way can neither store nor be joined
    /// any more. With `closes_gate`, nobody reads the key from L2 until [`Fence::open_gate`].
    pub(crate) fn invalidate(&self, key: &K, hash: u64, closes_gate: bool) -> Invalidated<K, V> {
        self.with_shard(hash, |shard| {
            let ticket = closes_gate.then(|| shard.gates.close(key));
            Self::poison(shard, Lookup::new(hash, key));
            let removed = self.take_out(shard, Lookup::new(hash, key));
            Invalidated { ticket, removed }
        })
    }

    /// Takes out what has been invalidated.
    fn take_out(
        &self,
        shard: &mut Shard<K, V, T>,
        lookup: Lookup<'_, K>,
    ) -> Option<Arc<Entry<K, V>>> {
        let held = self.l1.locate(lookup)?;
        let removed = self.l1.remove(&mut shard.room, held, Eviction::Invalidated);
        // The key is as hot as before.
        shard.absent.keep(removed.hash(), &removed.reads().past());
        Some(removed)
    }

    /// Invalidates a group of keys: whatever is held of them, and what flights under way will
    /// bring. Gives whether there were too many groups, so that everything was.
    pub(crate) fn invalidate_group(&self, group: Group) -> bool {
        self.groups.invalidate(group)
    }

    /// Sets apart what began before now, in case [`Fence::void_marked`] is called.
    pub(crate) fn mark(&self) {
        self.groups.mark();
    }

    /// Invalidates what was set apart, and nothing that began later.
    pub(crate) fn void_marked(&self) {
        self.groups.void_marked();
    }

    /// The groups that were invalidated and are still compared with.
    pub(crate) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// The present generation of groups.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.groups.generation()
    }

    /// Whether no group that an entry belongs to has been invalidated since it began to be loaded.
    pub(crate) fn confirm(&self, entry: &Entry<K, V>) -> bool {
        if entry.generation() == self.groups.generation() {
            return true;
        }
        let text = || entry.key().to_string();
        let generation = self.groups.confirm(entry.generation(), entry.tags(), text);
        generation.inspect(|generation| entry.confirm(*generation)).is_some()
    }

    /// Notes that the source lags behind for a key; gives whether another key had to be forgotten.
    pub(crate) fn note_lag(&self, key: &K, hash: u64, lagging: Lagging, now: Moment) -> bool {
        self.one_lags_until.fetch_max(lagging.until.to_bits(), Relaxed);
        self.with_shard(hash, |shard| shard.lags.note(key, lagging, now))
    }

    /// Notes that the source lags behind, and it is not known for which keys.
    pub(crate) fn note_lag_of_all(&self, until: Moment) {
        self.all_lag_until.fetch_max(until.to_bits(), Relaxed);
    }

    /// How the source lags behind for a key, if it does.
    pub(crate) fn lagging(&self, key: &K, hash: u64, now: Moment) -> Option<Lagging> {
        // Nearly always nothing lags, and no lock is needed to know that.
        let may_lag = now < Moment::from_bits(self.one_lags_until.load(Relaxed));
        let of_key = || self.with_shard(hash, |shard| shard.lags.of(key, now));
        let of_key = may_lag.then(of_key).flatten();
        let until = Moment::from_bits(self.all_lag_until.load(Relaxed));
        of_key.or_else(|| (now < until).then_some(Lagging { until, min_version: None }))
    }

    /// Invalidates a key, and stores what the caller knows to be its new value.
    pub(crate) fn replace(
        &self,
        key: &K,
        hash: u64,
        closes_gate: bool,
        make: impl FnOnce(Past) -> NewEntry<K, V>,
    ) -> (Option<Ticket>, Landing<K, V>) {
        self.with_shard(hash, |shard| {
            let ticket = closes_gate.then(|| shard.gates.close(key));
            let lookup = Lookup::new(hash, key);
            Self::poison(shard, lookup);
            let held = self.l1.locate(lookup);
            let new = make(Self::past(shard, hash, held.as_ref()));
            let landing = if new.is_stored {
                self.store(shard, new, held)
            } else {
                self.discard(shard, new.entry, held, Eviction::Invalidated)
            };
            (ticket, landing)
        })
    }

    /// Makes a key's entry stale; a flight under way, which may bring what is no fresher, is
    /// treated as in [`Fence::invalidate`].
    pub(crate) fn expire(
        &self,
        key: &K,
        hash: u64,
        now: Moment,
        closes_gate: bool,
    ) -> Option<Ticket> {
        self.with_shard(hash, |shard| {
            let ticket = closes_gate.then(|| shard.gates.close(key));
            let lookup = Lookup::new(hash, key);
            Self::poison(shard, lookup);
            if let Some(held) = self.l1.find(lookup) {
                held.expire(now);
            }
            ticket
        })
    }

    fn poison(shard: &mut Shard<K, V, T>, lookup: Lookup<'_, K>) {
        if let Some(flight) = shard.flights.remove(lookup) {
            flight.poison();
        }
    }

    /// Whether a key may be read from L2.
    pub(crate) fn is_gate_open(&self, key: &K, hash: u64) -> bool {
        self.with_shard(hash, |shard| shard.gates.is_open(key))
    }

    /// Whether another invalidation of the key came after the one with this ticket.
    pub(crate) fn is_overtaken(&self, key: &K, hash: u64, ticket: Ticket) -> bool {
        self.with_shard(hash, |shard| shard.gates.is_overtaken(key, ticket))
    }

    /// Lets a key be read from L2 again, as far as this invalidation is concerned.
    pub(crate) fn open_gate(&self, key: &K, hash: u64) {
        self.with_shard(hash, |shard| shard.gates.open(key));
    }

    /// What an invalidation would be without the fence: the entry goes, and that is all. Only to
    /// show that the exploration notices.
    #[cfg(all(test, shuttle))]
    pub(crate) fn forget(&self, key: &K, hash: u64) {
        let lookup = Lookup::new(hash, key);
        self.with_shard(hash, |shard| {
            let held = self.l1.locate(lookup);
            held.map(|held| self.l1.remove(&mut shard.room, held, Eviction::Cleared))
        });
    }

    /// How long a preload can be expected to stay if nobody reads it: as long as others did, or
    /// else until as many entries have been stored as memory holds.
    pub(crate) fn residence(&self) -> Duration {
        let held = || self.l1.held().iter().map(|held| held.entries).sum();
        self.l1.residence().unwrap_or_else(|| self.turnover.span(held()))
    }

    /// The keys that are loading, or waiting to be loaded.
    pub(crate) fn flights(&self) -> usize {
        self.flights.load(Relaxed)
    }

    /// Whether a key is loading.
    pub(crate) fn flight<Q>(&self, key: &Q, hash: u64) -> Option<Arc<Flight<K, T>>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.with_shard(hash, |shard| shard.flights.find(Lookup::new(hash, key)).cloned())
    }

    /// Adds what an earlier process knew of the reads of a key, unless it was read since.
    pub(crate) fn recall(&self, hash: u64, past: &Past) {
        self.with_shard(hash, |shard| {
            if self.l1.find_hash(hash).is_none() && shard.absent.look(hash).last == Moment::NEVER {
                shard.absent.keep(hash, past);
            }
        });
    }

    /// What is known of the reads of a key without an entry.
    pub(crate) fn absent(&self, hash: u64) -> Past {
        self.with_shard(hash, |shard| shard.absent.look(hash))
    }
}

/// An entry to be stored.
#[derive(Debug)]
pub(crate) struct NewEntry<K, V> {
    pub(crate) entry: Arc<Entry<K, V>>,
    pub(crate) is_stored: bool,
    /// When it comes due, if it does.
    pub(crate) due: Option<Moment>,
}

/// What an invalidation did. The entry is given so that it is dropped outside the lock.
#[derive(Debug)]
pub(crate) struct Invalidated<K, V> {
    pub(crate) ticket: Option<Ticket>,
    pub(crate) removed: Option<Arc<Entry<K, V>>>,
}

impl<K, V, T> fmt::Debug for Fence<K, V, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fence").field("flights", &self.flights).finish_non_exhaustive()
    }
}
