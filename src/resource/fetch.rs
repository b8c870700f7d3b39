//! The way of a read that memory did not answer at once.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::smallvec;

use super::core::Core;
use super::trip::{Trip, Trips};
use crate::clock::Moment;
use crate::entry::{Entry, Freshness, Origin, Reason, Why};
use crate::error::Error;
use crate::fence::{Boarding, Caller, Flight, Terms, Wish};
use crate::flight::{Arrival, Chain, Outcome, Pad, ReadFrom};
use crate::key::Key;
use crate::l1::Lookup;
use crate::limits::Urgency;
use crate::metrics::ReadOutcome;
use crate::policy::{EarlyRefresh, Partition};

/// What a caller accepts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Wanted {
    /// Only what began to be loaded after this.
    pub(super) after: Option<Moment>,
    /// Nothing past its ttl.
    pub(super) is_fresh_only: bool,
}

/// What a read came to.
pub(super) struct Fetched<K, V> {
    pub(super) arrival: Arrival<K, V>,
    /// Why the load had been begun, if somebody else had begun it.
    pub(super) joined: Option<Origin>,
    /// Whether it is known that nothing has invalidated it.
    pub(super) is_verified: bool,
}

/// What a key has before its flight ends.
pub(super) enum Boarded<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Memory had it after all.
    Held(Arc<Entry<K, V>>),
    /// Somebody else's load is under way.
    Joined(Arc<Flight<K, Pad<K, V>>>),
    /// The caller's load is to be begun.
    Started(Box<Trip<K, V>>),
    /// Nothing: there are too many. Gives what memory holds, too.
    Full(Error, Option<Arc<Entry<K, V>>>),
}

impl Wanted {
    /// Whether an entry is what the caller wants.
    fn is_served_by<K, V>(&self, entry: &Entry<K, V>, now: Moment) -> bool {
        let life = entry.life();
        let is_young = self.after.is_none_or(|after| life.loaded_at > after);
        let is_good = match life.freshness(now) {
            Freshness::Fresh => true,
            Freshness::Stale => !self.is_fresh_only,
            Freshness::Expired => false,
        };
        is_young && is_good
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Answers a read whose entry is fresh or not, but not calm: it may have to be renewed. `None`
    /// if the entry cannot be served.
    pub(super) fn serve_uneasy(
        self: &Arc<Self>,
        entry: &Arc<Entry<K, V>>,
        wanted: Wanted,
        now: Moment,
    ) -> Option<ReadOutcome> {
        let may_serve = wanted.is_served_by(entry, now) && self.is_verified(entry, now);
        if !may_serve || !self.fence.confirm(entry) {
            return None;
        }
        self.fence.record_held(entry, now);
        self.note_asked(entry.key(), now);
        self.note_read(entry, now);
        let is_fresh = entry.freshness(now) == Freshness::Fresh;
        if !is_fresh || (!entry.is_calm(now) && self.draws_early_refresh(entry, now)) {
            self.renew(entry, now);
        }
        let outcome = match (is_fresh, entry.value()) {
            (true, Some(_)) => ReadOutcome::L1Hit,
            (true, None) => ReadOutcome::L1Absent,
            (false, _) => ReadOutcome::L1Stale,
        };
        self.tally.reads.one(outcome);
        Some(outcome)
    }

    /// Whether this read renews an entry that is still fresh.
    fn draws_early_refresh(&self, entry: &Entry<K, V>, now: Moment) -> bool {
        match self.policy.early_refresh {
            None => false,
            Some(EarlyRefresh::After(_)) => true,
            Some(EarlyRefresh::XFetch { scale }) => {
                #[expect(clippy::cast_precision_loss, reason = "53 random bits")]
                let random = ((self.fence.random() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
                let left = entry.life().fresh_until.since(now);
                scale.as_secs_f64() * -random.ln() >= left.as_secs_f64()
            }
        }
    }

    /// Begins a load that renews an entry, unless one is under way, or it is too early for another.
    pub(super) fn renew(self: &Arc<Self>, entry: &Entry<K, V>, now: Moment) {
        let (key, hash, life) = (entry.key(), entry.hash(), entry.life());
        let spacing = self.policy.refresh_spacing.unwrap_or_default();
        if now.since(life.loaded_at) < spacing || self.source.failing.retry_at(key, now).is_some() {
            return;
        }
        self.load_behind(key, hash, |held| held.life() != life);
    }

    /// Begins a load behind the readers, unless one is under way, or what is held by then will do.
    pub(super) fn load_behind(
        self: &Arc<Self>,
        key: &K,
        hash: u64,
        serves: impl Fn(&Entry<K, V>) -> bool,
    ) {
        if self.tasks.is_stopping() {
            return;
        }
        let now = self.clock.now();
        let why = Why::certain(Origin::Refresh, Reason::Expiry);
        let urgency = Arc::new(Urgency::new(Origin::Refresh.into()));
        let begin = || Pad::new(now, why, Arc::clone(&urgency));
        let caller = Caller { key: Cow::Borrowed(key), hash, read_at: None, wish: Wish::Load };
        let terms = Terms { serves, joins: self.joins(now) };
        let boarding = self.fence.board(caller, terms, begin);
        if let Boarding::Started(start) = boarding {
            let trip = Trip::new(self, start);
            self.launch(smallvec![trip], urgency);
        }
    }

    /// Begins the flights of some trips.
    pub(super) fn launch(self: &Arc<Self>, trips: Trips<K, V>, urgency: Arc<Urgency>) {
        let chain = Chain::current();
        self.tasks.launch(Arc::clone(self).fly(trips, urgency, chain));
    }

    /// Reads a key that memory did not answer.
    pub(super) async fn fetch(
        self: &Arc<Self>,
        mut key: K,
        hash: u64,
        wanted: Wanted,
    ) -> Result<Fetched<K, V>, Error> {
        let generation = self.fence.generation();
        if let Some(fetched) = self.verify(Lookup::new(hash, &key), wanted).await {
            return Ok(fetched);
        }
        let called_at = self.clock.now();
        let mut now = called_at;
        self.note_asked(&key, called_at);
        self.note_missed(&key, hash, called_at);
        let mut read_at = Some(called_at);
        loop {
            if let Some(fetched) = self.serve_fallback(Lookup::new(hash, &key), wanted, now) {
                return Ok(fetched);
            }
            let urgency = Arc::new(Urgency::new(Origin::Demand.into()));
            let read_at = read_at.take();
            let caller = Caller { key: Cow::Owned(key), hash, read_at, wish: Wish::Value };
            let (flight, joined) = match self.board(caller, wanted, &urgency, now)? {
                Boarded::Held(entry) => return Ok(self.serve_held(entry, now)),
                Boarded::Full(error, held) => return self.fall_back(held, wanted, error),
                Boarded::Joined(flight) => {
                    let origin = flight.load().why.origin;
                    (flight, Some(origin))
                }
                Boarded::Started(trip) => {
                    let flight = Arc::clone(&trip.flight);
                    self.launch(smallvec![trip], urgency);
                    (flight, None)
                }
            };
            let outcome = flight.load().outcome().await;
            // A load that was under way before the call may have brought what is too old for it;
            // and L2 was asked for what satisfies whoever began the flight.
            let is_early = flight.load().started < called_at;
            if let Ok(arrival) = &outcome
                && ((is_early || joined.is_some() && arrival.from == ReadFrom::L2)
                    && !wanted.is_served_by(&arrival.entry, self.clock.recent())
                    || self.is_void_for(generation, &flight, &arrival.entry))
            {
                (key, now) = (flight.key().clone(), self.clock.now());
                continue;
            }
            return self.settle(flight.lookup(), wanted, outcome, joined);
        }
    }

    /// Whether what a flight brought had been invalidated before a caller came who joined it: tags
    /// are known only when a load ends.
    pub(super) fn is_void_for(
        &self,
        generation: u64,
        flight: &Flight<K, Pad<K, V>>,
        entry: &Entry<K, V>,
    ) -> bool {
        // A flight that began later has nothing to hide. What was poisoned may have been forgotten
        // by the groups, so it is not asked for.
        flight.generation() < generation && (flight.is_poisoned() || !self.fence.confirm(entry))
    }

    /// Hears what others have changed, if that is what keeps an entry from being served, at once or
    /// should its load fail; serves it, if it can be: one question to L2 for all of memory, instead of one for each key.
    async fn verify(
        self: &Arc<Self>,
        lookup: Lookup<'_, K>,
        wanted: Wanted,
    ) -> Option<Fetched<K, V>> {
        let shared = self.shared.as_ref()?;
        let now = self.clock.now();
        if self.trust.holds(now) {
            return None;
        }
        self.fence.l1().find(lookup).filter(|entry| entry.is_kept(now))?;
        shared.l2.sync_for_read().await;
        // What was heard may have been about this one.
        let entry = self.fence.l1().find(lookup)?;
        self.serve_uneasy(&entry, wanted, self.clock.now())?;
        let arrival = Arrival { entry, from: ReadFrom::L1 };
        Some(Fetched { arrival, joined: None, is_verified: true })
    }

    /// The same for many keys.
    pub(super) async fn verify_all(&self) {
        if let Some(shared) = &self.shared
            && !self.trust.holds(self.clock.recent())
        {
            shared.l2.sync_for_read().await;
        }
    }

    /// Comes for a key: what memory has, a flight to wait for, or one to begin.
    pub(super) fn board(
        self: &Arc<Self>,
        caller: Caller<'_, K>,
        wanted: Wanted,
        urgency: &Arc<Urgency>,
        now: Moment,
    ) -> Result<Boarded<K, V>, Error> {
        let chain = Chain::current();
        self.check_recursion(chain.as_deref(), &caller.key, caller.hash)?;
        if self.tasks.is_stopping() {
            self.tally.reads.one(ReadOutcome::SourceError);
            return Err(Error::ShutDown);
        }
        let why = Why::DEMAND;
        let Wanted { after, is_fresh_only } = wanted;
        let begin = || Pad::new(now, why, Arc::clone(urgency)).within(after, is_fresh_only);
        let serves =
            |entry: &Entry<K, V>| wanted.is_served_by(entry, now) && self.is_verified(entry, now);
        let terms = Terms { serves, joins: self.joins(now) };
        let boarding = self.fence.board(caller, terms, begin);
        Ok(match boarding {
            Boarding::Held(entry) => Boarded::Held(entry),
            Boarding::Joined(flight) => {
                self.lend(chain.as_deref(), &flight.load().urgency);
                Boarded::Joined(flight)
            }
            Boarding::Started(start) => {
                self.lend(chain.as_deref(), urgency);
                if let Some(held) = &start.held {
                    self.note_return(held, now);
                }
                Boarded::Started(Trip::new(self, start))
            }
            Boarding::Full(held) => {
                let flights = self.policy.source.flights_max;
                let resource = Arc::clone(&self.name);
                Boarded::Full(Error::Overloaded { resource, flights }, held)
            }
        })
    }

    /// A loader that waits for its own key would wait for ever, or call itself for ever.
    pub(super) fn check_recursion(
        &self,
        chain: Option<&Chain>,
        key: &K,
        hash: u64,
    ) -> Result<(), Error> {
        if !chain.is_some_and(|chain| chain.contains(self.id, hash)) {
            return Ok(());
        }
        self.tally.reads.one(ReadOutcome::SourceError);
        Err(Error::Recursive { resource: Arc::clone(&self.name), key: self.label(key, hash) })
    }

    fn lend(&self, chain: Option<&Chain>, urgency: &Urgency) {
        if let Some(chain) = chain {
            chain.lend(urgency, self.id);
        }
    }

    /// Counts a read that found its key in memory when it came to load it.
    pub(super) fn serve_held(
        self: &Arc<Self>,
        entry: Arc<Entry<K, V>>,
        now: Moment,
    ) -> Fetched<K, V> {
        self.note_read(&entry, now);
        let outcome = match (entry.freshness(now), entry.value()) {
            (Freshness::Fresh, Some(_)) => ReadOutcome::L1Hit,
            (Freshness::Fresh, None) => ReadOutcome::L1Absent,
            (Freshness::Stale | Freshness::Expired, _) => ReadOutcome::L1Stale,
        };
        self.tally.reads.one(outcome);
        let arrival = Arrival { entry, from: ReadFrom::L1 };
        Fetched { arrival, joined: None, is_verified: true }
    }

    /// What a flight's outcome is for one who waited for it.
    pub(super) fn settle(
        self: &Arc<Self>,
        lookup: Lookup<'_, K>,
        wanted: Wanted,
        outcome: Outcome<K, V>,
        joined: Option<Origin>,
    ) -> Result<Fetched<K, V>, Error> {
        let arrival = match outcome {
            Ok(arrival) => arrival,
            Err(error) => return self.fall_back(self.fence.l1().find(lookup), wanted, error),
        };
        let outcome = match (arrival.from, arrival.entry.value()) {
            (ReadFrom::L2 | ReadFrom::L1, _) => self.settle_promoted(&arrival.entry),
            (ReadFrom::Source, Some(_)) => ReadOutcome::SourceHit,
            (ReadFrom::Source, None) => ReadOutcome::SourceAbsent,
        };
        self.tally.reads.one(outcome);
        self.say_miss(lookup, outcome);
        Ok(Fetched { arrival, joined, is_verified: true })
    }

    /// What an entry from L2 is for one who waited for it. It is renewed if it is stale.
    fn settle_promoted(self: &Arc<Self>, entry: &Entry<K, V>) -> ReadOutcome {
        let now = self.clock.now();
        let freshness = entry.freshness(now);
        if freshness == Freshness::Stale {
            self.renew(entry, now);
        }
        match (freshness, entry.value()) {
            // It would have been loaded, had the source answered.
            (Freshness::Expired, _) => ReadOutcome::SourceStale,
            (_, None) => ReadOutcome::L2Absent,
            (Freshness::Stale, Some(_)) => ReadOutcome::L2Stale,
            (Freshness::Fresh, Some(_)) => ReadOutcome::L2Hit,
        }
    }

    /// Serves what is past its time at once, if a load would only wait or fail: the key keeps
    /// failing, and this is not the time to try it again.
    pub(super) fn serve_fallback(
        &self,
        lookup: Lookup<'_, K>,
        wanted: Wanted,
        now: Moment,
    ) -> Option<Fetched<K, V>> {
        self.source.failing.retry_at(lookup.key(), now)?;
        let fallback = self.fallback(self.fence.l1().find(lookup), wanted, now, false)?;
        self.fence.record_held(&fallback.arrival.entry, now);
        Some(fallback)
    }

    /// Serves what is past its time instead of an error, if the policy allows it.
    pub(super) fn fall_back(
        &self,
        held: Option<Arc<Entry<K, V>>>,
        wanted: Wanted,
        error: Error,
    ) -> Result<Fetched<K, V>, Error> {
        let is_overloaded = matches!(error, Error::Overloaded { .. });
        let may_be_unverified = is_overloaded && self.policy.partition == Partition::Bounded;
        let fallback = self.fallback(held, wanted, self.clock.now(), may_be_unverified);
        if fallback.is_none() {
            self.tally.reads.one(ReadOutcome::SourceError);
        }
        fallback.ok_or(error)
    }

    /// The entry held in memory, if it may be served although it is past its time. One that was
    /// invalidated is not in memory any more, so it cannot come back this way.
    fn fallback(
        &self,
        held: Option<Arc<Entry<K, V>>>,
        wanted: Wanted,
        now: Moment,
        may_be_unverified: bool,
    ) -> Option<Fetched<K, V>> {
        self.policy.stale_if_error.filter(|_| !wanted.is_fresh_only)?;
        let entry = held.filter(|entry| self.fence.confirm(entry))?;
        let is_verified = self.is_verified(&entry, now);
        if !is_verified && !may_be_unverified {
            return None;
        }
        let life = entry.life();
        let is_young = wanted.after.is_none_or(|after| life.loaded_at > after);
        if !is_young || !entry.is_kept(now) {
            return None;
        }
        self.tally.reads.one(ReadOutcome::SourceStale);
        let arrival = Arrival { entry, from: ReadFrom::L1 };
        Some(Fetched { arrival, joined: None, is_verified })
    }
}
