//! A flight from its start to its end: L2, the source, memory, and L2 again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use smallvec::SmallVec;

use super::core::{Core, Shared};
use super::source::{Answered, Asked, Failure, Request};
use crate::clock::Moment;
use crate::entry::{Entry, Life, Origin, Reason, Tags};
use crate::error::{Error, LoadError};
use crate::fence::{Flight, NewEntry, Start};
use crate::flight::{Arrival, Chain, Pad, ReadFrom};
use crate::key::Key;
use crate::limits::Urgency;
use crate::loader::{Answer, LoadContext, Loaded};
use crate::metrics::{Full, Preload, PreloadOutcome, Refresh, Refusal};
use crate::tier::{EncodeError, Fill, Filled, Permit};

/// A load that this process makes, of one key.
///
/// Whatever happens to it, even that its task is dropped, those who wait are told.
pub(super) struct Trip<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    core: Arc<Core<K, V>>,
    pub(super) flight: Arc<Flight<K, Pad<K, V>>>,
    /// The entry held so far.
    pub(super) held: Option<Arc<Entry<K, V>>>,
    /// The full key, if it may be read from L2.
    pub(super) full_key: Option<String>,
    pub(super) permit: Option<Permit>,
    /// A value of L2 that is served only if the source fails.
    pub(super) fallback: Option<Fallback<V>>,
}

/// A value of L2 that is served only if the source fails.
pub(super) struct Fallback<V> {
    pub(super) value: Option<Arc<V>>,
    pub(super) life: Life,
    pub(super) tags: Tags,
}

/// Trips that begin together; nearly always one. Boxed, since they are handed on from stage to
/// stage.
pub(super) type Trips<K, V> = SmallVec<[Box<Trip<K, V>>; 1]>;

/// A value to be brought to L2.
pub(super) struct Delivery<K, V> {
    pub(super) flight: Arc<Flight<K, Pad<K, V>>>,
    pub(super) full_key: String,
    pub(super) permit: Permit,
    pub(super) bytes: Vec<u8>,
    pub(super) life: Life,
    pub(super) tags: Tags,
    pub(super) version: Option<u64>,
}

impl<K, V> Trip<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    pub(super) fn new(core: &Arc<Core<K, V>>, start: Start<K, V, Pad<K, V>>) -> Box<Self> {
        let (flight, held) = (start.flight, start.held);
        let full_key = core.stored_key(flight.key()).filter(|_| start.is_gate_open);
        let core = Arc::clone(core);
        let (permit, fallback) = (None, None);
        Box::new(Self { core, flight, held, full_key, permit, fallback })
    }

    pub(super) fn key(&self) -> &K {
        self.flight.key()
    }

    pub(super) fn hash(&self) -> u64 {
        self.flight.hash()
    }

    pub(super) fn pad(&self) -> &Pad<K, V> {
        self.flight.load()
    }

    /// Lands a value, or its absence; gives the entry, and whether it was stored.
    pub(super) fn land(
        &self,
        value: Option<Arc<V>>,
        life: Life,
        weight: u32,
        terms: Landing,
    ) -> (Arc<Entry<K, V>>, bool) {
        let (core, pad) = (&self.core, self.pad());
        // A renewal has its own prediction, which is this one.
        let was_due = self.held.as_ref().and_then(|held| held.take_due_cell());
        let was_due = was_due.filter(|_| pad.why.reason != Reason::Expiry);
        let due = core.due(&life).filter(|_| value.is_some() && terms.comes_due);
        let held_until = self.held.as_ref().map_or(Moment::START, |held| held.demand_until());
        let demand_until = match pad.is_asked() {
            true => core.follow_demand(held_until, life.loaded_at),
            false => held_until,
        };
        let (tags, generation) = (terms.tags, self.flight.generation());
        let make = |past| {
            let entry = Entry::new(self.key().clone(), self.hash(), value, weight);
            let entry = entry.in_groups(tags, generation);
            let entry = entry.living(life).because(pad.why).with_past(past);
            let is_unread = pad.why.origin == Origin::Preload && !pad.is_asked();
            let entry = if is_unread { entry.unread() } else { entry };
            // What nobody reads comes due when it ends, if not before.
            let due = due.or_else(|| is_unread.then(|| life.served_until()));
            entry.set_demand_until(demand_until);
            if let Some(cell) = was_due {
                entry.mark_due(cell);
            }
            NewEntry { entry: Arc::new(entry), is_stored: terms.is_stored, due }
        };
        let landing = core.fence.land(&self.flight, make);
        if terms.is_stored && !landing.is_stored {
            core.tally.refusals.one(Refusal::Invalidated);
        }
        core.settle_preload(pad, landing.is_stored);
        pad.land(Ok(Arrival { entry: Arc::clone(&landing.entry), from: terms.from }));
        core.stored(&landing.entry);
        if landing.is_stored && pad.is_asked() {
            core.note_loaded(self.hash());
        }
        (landing.entry, landing.is_stored)
    }

    /// Ends without a value.
    pub(super) fn fail(&self, error: Error) {
        if let Some(Fallback { value, life, tags }) = &self.fallback {
            let weight = self.core.weigh(self.key(), value.as_deref(), None);
            let (is_stored, tags) = (self.core.keeps(), tags.clone());
            let terms = Landing { from: ReadFrom::L2, is_stored, comes_due: false, tags };
            self.land(value.clone(), *life, weight, terms);
        } else {
            self.give_up(error);
        }
    }

    /// Ends without anything to serve.
    fn give_up(&self, error: Error) {
        let (core, pad) = (&self.core, self.pad());
        core.fence.give_up(&self.flight);
        if pad.why.origin == Origin::Preload {
            core.tally.l1.preloads.one(Preload(pad.why.reason, PreloadOutcome::Failed));
            core.abandon(pad.why.reason, pad.why.cell);
            core.note_copied(pad);
        }
        pad.land(Err(error));
    }
}

/// How a value is landed.
#[derive(Clone, Debug)]
pub(super) struct Landing {
    pub(super) from: ReadFrom,
    pub(super) is_stored: bool,
    /// Whether it may be renewed ahead of its expiry.
    pub(super) comes_due: bool,
    pub(super) tags: Tags,
}

impl<K, V> Drop for Trip<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        if !self.pad().has_landed() {
            self.give_up(Error::ShutDown);
        }
    }
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Makes the trips that were begun together. The keys are asked of L2 in one go, and what is
    /// left of the source in as few calls as it takes.
    pub(super) async fn fly(
        self: Arc<Self>,
        mut trips: Trips<K, V>,
        urgency: Arc<Urgency>,
        parent: Option<Arc<Chain>>,
    ) {
        if let Some(shared) = &self.shared {
            // Boxed, so that the flight of a resource without L2 stays small.
            Box::pin(self.consult(shared, &mut trips)).await;
        }
        trips.retain(|trip| !self.end_copy(trip));
        if trips.is_empty() {
            return;
        }
        let per_call = self.source.loader.keys_per_call().max(1);
        if trips.len() <= per_call {
            return self.load(trips, urgency, parent).await;
        }
        let mut calls = Vec::new();
        let mut trips = trips.into_iter();
        while trips.len() > 0 {
            let call = trips.by_ref().take(per_call).collect();
            calls.push(self.load(call, Arc::clone(&urgency), parent.clone()));
        }
        // Boxed, so that a flight of one call stays small.
        Box::pin(join_all(calls)).await;
    }

    /// Asks the source for keys in one call, lands each as it comes, and brings them to L2.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function holds twice what it is given, and this one is in every flight"
    )]
    fn load<'a>(
        self: &'a Arc<Self>,
        trips: Trips<K, V>,
        urgency: Arc<Urgency>,
        parent: Option<Arc<Chain>>,
    ) -> impl Future<Output = ()> + Send + 'a {
        async move {
            let request = self.request(&trips, urgency, parent);
            let (mut deliveries, mut unused) = (Vec::new(), Vec::new());
            self.ask(request, |place, answered| {
                if let Some(trip) = trips.get(place) {
                    match self.arrive(trip, answered) {
                        Some(delivery) => deliveries.push(delivery),
                        None => unused.extend(trip.full_key.clone().zip(trip.permit)),
                    }
                }
            })
            .await;
            drop(trips);
            if let Some(shared) = &self.shared {
                Box::pin(self.bring(shared, deliveries, unused)).await;
            }
        }
    }

    /// What the source is to be asked for these trips.
    fn request<'a>(
        &self,
        trips: &'a Trips<K, V>,
        urgency: Arc<Urgency>,
        parent: Option<Arc<Chain>>,
    ) -> Request<'a, K, V> {
        let began = trips.iter().map(|trip| trip.pad().started).min().unwrap_or_default();
        let deadline = began.plus(self.policy.source.deadline);
        let end = self.clock.instant(deadline);
        let is_unforeseen = |pad: &Pad<K, V>| pad.why.origin != Origin::Preload || pad.is_copy();
        self.note_made(trips.iter().filter(|trip| is_unforeseen(trip.pad())).count());
        let hashes: SmallVec<[u64; 1]> = trips.iter().map(|trip| trip.hash()).collect();
        let salt = hashes.first().copied().unwrap_or_default();
        let now = self.clock.recent();
        let keys = trips.iter().enumerate().map(|(place, trip)| {
            let lagging = self.fence.lagging(trip.key(), trip.hash(), now);
            let held = trip.held.as_ref();
            let since = held.map(|held| held.life().loaded_at);
            let value = held.and_then(|held| held.value().cloned());
            let cx = LoadContext::new(trip.pad().origin(), end, value, since);
            Asked { place, key: trip.key(), cx: cx.preferring_primary(lagging.is_some()) }
        });
        let keys = keys.collect();
        let chain = Chain::extended(parent, self.id, hashes);
        Request { keys, urgency, chain, deadline, salt }
    }

    /// Brings values to L2, and gives the permits back that were not used: until they end, every
    /// load of their keys would wait for somebody to use them.
    async fn bring(
        &self,
        shared: &Shared<K>,
        deliveries: Vec<Delivery<K, V>>,
        mut unused: Vec<(String, Permit)>,
    ) {
        if !deliveries.is_empty() && self.fill(shared, &deliveries).await.is_none() {
            let not_filled = deliveries.into_iter();
            unused.extend(not_filled.map(|delivery| (delivery.full_key, delivery.permit)));
        }
        if !unused.is_empty() {
            let unused: Vec<_> = unused.iter().map(|(key, permit)| (&**key, *permit)).collect();
            shared.l2.release(&unused).await;
        }
    }

    /// Lands what the source said of a key; gives what is to be brought to L2.
    fn arrive(
        self: &Arc<Self>,
        trip: &Trip<K, V>,
        answered: Answered<Loaded<V>>,
    ) -> Option<Delivery<K, V>> {
        let renews = trip.held.is_some();
        match answered.result.and_then(|loaded| self.resolve(trip, loaded)) {
            Ok((value, loaded)) => {
                self.source.failing.succeeded(trip.key());
                if renews {
                    self.tally.refreshes.one(Refresh::Done);
                    self.say_renewed(trip);
                }
                self.land_loaded(trip, value, loaded, answered.asked_at)
            }
            Err(failure) => {
                if !self.source.failing.failed(trip.key().clone(), self.clock.now()) {
                    self.tally.l1.full.one(Full::Failing);
                }
                if renews {
                    self.tally.refreshes.one(Refresh::Failed);
                }
                let error = self.error(trip.key(), trip.hash(), failure);
                self.say_failed(trip, &error);
                trip.fail(error);
                None
            }
        }
    }

    /// The value that an answer stands for.
    fn resolve(
        &self,
        trip: &Trip<K, V>,
        loaded: Loaded<V>,
    ) -> Result<(Option<Arc<V>>, Loaded<V>), Failure> {
        let value = match &loaded.answer {
            Answer::Found(value) => Some(Arc::clone(value)),
            Answer::Absent => None,
            Answer::Unchanged => match &trip.held {
                Some(held) => held.value().cloned(),
                None => {
                    let problem = "the loader said `unchanged`, but nothing was held";
                    return Err(Failure::Load(LoadError::permanent(problem)));
                }
            },
        };
        Ok((value, loaded))
    }

    fn land_loaded(
        &self,
        trip: &Trip<K, V>,
        value: Option<Arc<V>>,
        loaded: Loaded<V>,
        asked_at: Moment,
    ) -> Option<Delivery<K, V>> {
        let version = loaded.version;
        let tags = self.tags(trip.key(), value.as_deref(), loaded.tags);
        let life = self.life(asked_at, loaded.ttl, value.is_some());
        let full_key = trip.full_key.as_deref().filter(|_| trip.permit.is_some());
        let (bytes, encoded) =
            full_key.map(|full_key| self.encode(full_key, value.as_deref())).unwrap_or_default();
        let weight = self.weigh(trip.key(), value.as_deref(), encoded);
        let refusal = self
            .refuses_key(trip.key())
            .or_else(|| self.refuses_value(weight, encoded).then_some(Refusal::ValueSize));
        if let Some(refusal) = refusal {
            self.tally.refusals.one(refusal);
        }
        let is_kept = loaded.is_stored
            && life.is_some()
            && self.keeps()
            && refusal.is_none()
            && tags.is_some();
        let tags = tags.unwrap_or_default();
        let no_life = || Life {
            loaded_at: asked_at,
            calm_until: asked_at,
            fresh_until: asked_at,
            revalidate_for: Duration::ZERO,
            keep_until: asked_at,
        };
        let life = life.unwrap_or_else(no_life);
        let (from, kept_tags) = (ReadFrom::Source, tags.clone());
        let terms = Landing { from, is_stored: is_kept, comes_due: true, tags };
        let (entry, is_stored) = trip.land(value, life, weight, terms);
        if let Some(value) = entry.value().filter(|_| is_stored) {
            self.learn_names(trip.key(), value);
        }
        let (bytes, full_key, permit) = (bytes?, trip.full_key.clone()?, trip.permit?);
        let (flight, tags) = (Arc::clone(&trip.flight), kept_tags);
        let delivery = Delivery { flight, full_key, permit, bytes, life, tags, version };
        is_stored.then_some(delivery)
    }

    /// The bytes for L2, and the length of the encoding, as far as there are any.
    pub(super) fn encode(
        &self,
        full_key: &str,
        value: Option<&V>,
    ) -> (Option<Vec<u8>>, Option<usize>) {
        let Some(codec) = &self.codec else { return (None, None) };
        match codec.encode(full_key, value) {
            Ok((bytes, length)) => (Some(bytes), Some(length)),
            // It is refused for its length, in both tiers alike.
            Err(EncodeError::TooLarge(length)) => (None, Some(length)),
            Err(EncodeError::Serialize(_)) => {
                self.tally.refusals.one(Refusal::Encoding);
                (None, None)
            }
        }
    }

    /// Brings values to L2; `None` if none were brought. Nobody waits for it; a permit voided
    /// meanwhile refuses it there.
    async fn fill(&self, shared: &Shared<K>, deliveries: &[Delivery<K, V>]) -> Option<()> {
        let now = self.clock.now();
        let may_fill = |delivery: &&Delivery<K, V>| {
            !delivery.flight.is_poisoned()
                && self.fence.is_gate_open(delivery.flight.key(), delivery.flight.hash())
                && !shared.outbox.is_closed()
        };
        let deliveries: Vec<_> = deliveries.iter().filter(may_fill).collect();
        let tags: Vec<Vec<_>> =
            deliveries.iter().map(|delivery| delivery.tags.iter().collect()).collect();
        let fills: Vec<_> = deliveries
            .iter()
            .zip(&tags)
            .map(|(delivery, tags)| Fill {
                key: &delivery.full_key,
                permit: delivery.permit,
                value: &delivery.bytes,
                age: now.since(delivery.life.loaded_at),
                fresh_for: delivery.life.fresh_until.since(now),
                keep_for: delivery.life.keep_until.since(now),
                tags,
                version: delivery.version,
            })
            .collect();
        if fills.is_empty() {
            return None;
        }
        let filled = shared.l2.fill(&fills).await?;
        let refused = filled.iter().filter(|filled| **filled == Filled::Refused).count();
        self.tally.refusals.add(Refusal::Permit, refused as u64);
        Some(())
    }

    /// Counts what came of a preload, if it is known now.
    fn settle_preload(&self, pad: &Pad<K, V>, is_stored: bool) {
        if pad.why.origin != Origin::Preload {
            return;
        }
        self.note_copied(pad);
        let outcome = if pad.is_asked() {
            self.keep_score(pad.why, true);
            PreloadOutcome::Late
        } else if is_stored {
            // It is read, or leaves unread; then it counts.
            return;
        } else {
            PreloadOutcome::Wasted
        };
        self.tally.l1.preloads.one(Preload(pad.why.reason, outcome));
    }

    /// An entry was stored: makes room, and wakes the preloader if something comes due earlier.
    pub(super) fn stored(&self, entry: &Arc<Entry<K, V>>) {
        self.tend(Some(entry));
        self.wake_if_earlier();
    }

    fn say_renewed(&self, trip: &Trip<K, V>) {
        if let Some(unsaid) = self.speech.renewals.may_speak(self.clock.now()) {
            let (resource, key) = (&*self.name, self.label(trip.key(), trip.hash()));
            let origin = trip.pad().origin().label();
            tracing::info!(resource, %key, origin, unsaid, "renewed");
        }
    }

    fn say_failed(&self, trip: &Trip<K, V>, error: &Error) {
        if let Some(unsaid) = self.speech.failures.may_speak(self.clock.now()) {
            let origin = trip.pad().origin().label();
            let cause = std::error::Error::source(error).and_then(std::error::Error::source);
            let cause = cause.map(ToString::to_string).unwrap_or_default();
            tracing::error!(resource = &*self.name, origin, cause, unsaid, "{error}");
        }
    }
}
