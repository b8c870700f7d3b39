//! Reading many keys at once: one query of L2, and as few calls of the loader as it takes.

use std::borrow::{Borrow, Cow};
use std::hash::Hash;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Resource;
use super::fetch::{Boarded, Wanted};
use super::trip::Trips;
use crate::entry::Origin;
use crate::error::Error;
use crate::fence::{Caller, Flight, Wish};
use crate::flight::Pad;
use crate::key::Key;
use crate::l1::Lookup;
use crate::limits::Urgency;

/// What one of many keys comes to.
enum Place<K, V> {
    Done(Result<Option<Arc<V>>, Error>),
    Waits { flight: Arc<Flight<K, Pad<K, V>>>, joined: Option<Origin> },
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The values of many keys, in their order; one that fails does not fail the others.
    ///
    /// What memory does not have is asked of L2 in one query, and what is not there either of the
    /// source through [`Loader::load_many`](crate::Loader::load_many), in calls of up to
    /// [`Loader::keys_per_call`](crate::Loader::keys_per_call) keys. Keys that others are loading
    /// are waited for.
    pub async fn get_many<'a, Q>(
        &self,
        keys: impl IntoIterator<Item = &'a Q>,
    ) -> Vec<Result<Option<Arc<V>>, Error>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized + 'a,
    {
        let urgency = Arc::new(Urgency::new(Origin::Demand.into()));
        let generation = self.core.fence.generation();
        self.core.verify_all().await;
        let mut trips = SmallVec::new();
        let mut places = Vec::new();
        for key in keys {
            let hash = self.core.fence.hash(key);
            let lookup = Lookup::new(hash, key);
            let place = match self.core.look(lookup, |entry| entry.value().cloned()) {
                Ok((value, _)) => Place::Done(Ok(value)),
                Err(_) => self.begin(key.to_owned(), hash, &urgency, &mut trips),
            };
            places.push(place);
        }
        if !trips.is_empty() {
            self.core.launch(trips, urgency);
        }
        let mut values = Vec::with_capacity(places.len());
        for place in places {
            values.push(match place {
                Place::Done(value) => value,
                Place::Waits { flight, joined } => {
                    let outcome = flight.load().outcome().await;
                    if let Ok(arrival) = &outcome
                        && self.core.is_void_for(generation, &flight, &arrival.entry)
                    {
                        values.push(self.get(Borrow::<Q>::borrow(flight.key())).await);
                        continue;
                    }
                    let (lookup, wanted) = (flight.lookup(), Wanted::default());
                    let fetched = self.core.settle(lookup, wanted, outcome, joined);
                    fetched.map(|fetched| fetched.arrival.entry.value().cloned())
                }
            });
        }
        values
    }

    fn begin(
        &self,
        key: K,
        hash: u64,
        urgency: &Arc<Urgency>,
        trips: &mut Trips<K, V>,
    ) -> Place<K, V> {
        let core = &self.core;
        let now = core.clock.now();
        core.note_asked(&key, now);
        core.note_missed(&key, hash, now);
        if let Some(fetched) = core.serve_fallback(Lookup::new(hash, &key), Wanted::default(), now)
        {
            return Place::Done(Ok(fetched.arrival.entry.value().cloned()));
        }
        let key = Cow::Owned(key);
        let caller = Caller { key, hash, read_at: Some(now), wish: Wish::Value };
        match core.board(caller, Wanted::default(), urgency, now) {
            Err(error) => Place::Done(Err(error)),
            Ok(Boarded::Full(error, held)) => {
                let fetched = core.fall_back(held, Wanted::default(), error);
                Place::Done(fetched.map(|fetched| fetched.arrival.entry.value().cloned()))
            }
            Ok(Boarded::Held(entry)) => {
                let fetched = core.serve_held(entry, now);
                Place::Done(Ok(fetched.arrival.entry.value().cloned()))
            }
            Ok(Boarded::Joined(flight)) => {
                let joined = Some(flight.load().why.origin);
                Place::Waits { flight, joined }
            }
            Ok(Boarded::Started(trip)) => {
                let flight = Arc::clone(&trip.flight);
                trips.push(trip);
                Place::Waits { flight, joined: None }
            }
        }
    }
}
