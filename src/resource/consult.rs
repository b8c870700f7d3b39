//! What L2 says of the keys of a flight, before the source is asked.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, Shared};
use super::trip::{Fallback, Landing, Trip, Trips};
use crate::clock::Moment;
use crate::entry::{Freshness, Origin, Tags};
use crate::fence::Carried as _;
use crate::flight::ReadFrom;
use crate::key::Key;
use crate::metrics::{L2Op, Refusal};
use crate::policy::TrustOnRestart;
use crate::task;
use crate::tier::{Ask, Begun, Permit, Stored, Unreadable, Want};

/// What a trip does after L2 was asked.
enum Next {
    /// It is over.
    Landed,
    /// It asks the source.
    Load,
    /// It asks L2 again, for a permit.
    AskPermit,
    /// It asks L2 again a little later: another engine is loading the key.
    Wait,
}

/// What L2 said of a key.
struct Said {
    asked_at: Moment,
    want: Want,
    /// The permit that was asked for.
    permit: Permit,
    begun: Begun,
}

/// The first and the longest wait for another engine.
const WAIT_MIN: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_millis(100);

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Asks L2 for the keys of some trips. Those whose values are there land; the rest is left, as
    /// far as possible with the permit to bring L2 what the source says.
    pub(super) async fn consult(self: &Arc<Self>, shared: &Shared<K>, trips: &mut Trips<K, V>) {
        if !shared.holds_values || shared.outbox.is_closed() {
            return;
        }
        let (asking, mut rest): (Trips<K, V>, _) =
            std::mem::take(trips).into_iter().partition(|trip| trip.full_key.is_some());
        let mut asking: Vec<_> = asking.into_iter().map(|trip| (trip.want(), trip)).collect();
        let give_up_at = self.clock.now().plus(shared.busy_wait);
        let mut wait = WAIT_MIN;
        while !asking.is_empty() {
            // What L2 says is as old as the question, and not as the answer.
            let asked_at = self.clock.now();
            let Some(said) = self.begin(shared, &asking).await else {
                rest.extend(asking.into_iter().map(|(_, trip)| trip));
                break;
            };
            let mut waits = false;
            for ((permit, begun), (want, mut trip)) in
                said.into_iter().zip(std::mem::take(&mut asking))
            {
                match self.heed(shared, &mut trip, Said { asked_at, want, permit, begun }) {
                    Next::Landed => {}
                    _ if self.end_copy(&trip) => {}
                    // It was to be copied only, and somebody waits for it now.
                    _ if want == Want::Copy => asking.push((trip.want(), trip)),
                    Next::Load => rest.push(trip),
                    Next::AskPermit => asking.push((Want::Permit, trip)),
                    Next::Wait if self.clock.now() < give_up_at => {
                        waits = true;
                        // What the other one brings may be what is wanted here, even if what was
                        // there before was not.
                        asking.push((trip.want(), trip));
                    }
                    Next::Wait => {
                        self.tally.refusals.one(Refusal::Busy);
                        rest.push(trip);
                    }
                }
            }
            if waits {
                task::sleep_until(self.clock.instant(self.clock.now().plus(wait))).await;
                wait = (2 * wait).min(WAIT_MAX);
            }
        }
        *trips = rest;
    }

    /// Asks L2 once, for all of these keys.
    async fn begin(
        &self,
        shared: &Shared<K>,
        asking: &[(Want, Box<Trip<K, V>>)],
    ) -> Option<Vec<(Permit, Begun)>> {
        let mut asks = Vec::with_capacity(asking.len());
        for (want, trip) in asking {
            let permit = shared.l2.new_permit();
            asks.push(Ask { key: trip.full_key(), permit, want: *want });
        }
        // A second more than the load may take, so that no load outlives its permit by a hair.
        let permit_for = self.policy.source.deadline.saturating_add(Duration::from_secs(1));
        let begun = shared.l2.begin(&asks, permit_for).await?;
        let permits = asks.iter().map(|ask| ask.permit);
        Some(permits.zip(begun).collect())
    }

    /// Does what L2 said of one key.
    fn heed(
        self: &Arc<Self>,
        shared: &Shared<K>,
        trip: &mut Trip<K, V>,
        Said { asked_at, want, permit, begun }: Said,
    ) -> Next {
        match begun {
            Begun::Hit(stored) => self.heed_value(shared, trip, stored, asked_at),
            Begun::Permit => {
                trip.permit = Some(permit);
                Next::Load
            }
            Begun::Busy => Next::Wait,
            Begun::Miss if want == Want::Copy => Next::Load,
            Begun::Miss => {
                shared.l2.failures().one(L2Op::Permit);
                Next::Load
            }
        }
    }

    fn heed_value(
        self: &Arc<Self>,
        shared: &Shared<K>,
        trip: &mut Trip<K, V>,
        stored: Stored,
        asked_at: Moment,
    ) -> Next {
        let full_key = trip.full_key();
        let decoded = self.codec.as_ref().map(|codec| codec.decode(full_key, &stored.value));
        let (value, length) = match decoded {
            Some(Ok((value, length))) => (value.map(Arc::new), length),
            Some(Err(problem)) => {
                // It is renewed like any other, which puts a readable value in its place.
                shared.l2.failures().one(L2Op::Decode);
                self.say_unreadable(problem);
                return Next::AskPermit;
            }
            None => return Next::Load,
        };
        let now = self.clock.now();
        let life = self.life_in_l2(asked_at, &stored);
        let Some(tags) = Tags::new(stored.tags.into_iter().map(Into::into)) else {
            // Without its tags it could not be invalidated.
            shared.l2.failures().one(L2Op::Decode);
            return Next::AskPermit;
        };
        let is_worthless =
            stored.is_restored && self.policy.trust_on_restart == TrustOnRestart::Never;
        // What the caller does not accept is no answer to a failure either.
        if is_worthless || !trip.pad().accepts(&life, now) {
            return Next::AskPermit;
        }
        let ends_flight = match life.freshness(now) {
            Freshness::Fresh => true,
            // It is served while a load renews it, unless this is the load.
            Freshness::Stale => trip.pad().origin() == Origin::Demand,
            Freshness::Expired => false,
        };
        if ends_flight {
            let weight = self.weigh(trip.key(), value.as_deref(), Some(length));
            let is_stored = self.keeps() && !self.refuses_value(weight, Some(length));
            let terms = Landing { from: ReadFrom::L2, is_stored, comes_due: true, tags };
            trip.land(value, life, weight, terms);
            return Next::Landed;
        }
        trip.fallback = Some(Fallback { value, life, tags });
        Next::AskPermit
    }

    fn say_unreadable(&self, problem: Unreadable) {
        if let Some(unsaid) = self.speech.unreadable.may_speak(self.clock.now()) {
            let resource = &*self.name;
            tracing::error!(
                resource,
                unsaid,
                "a stored value cannot be read and counts as a miss: {problem}"
            );
        }
    }
}

impl<K, V> Trip<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn full_key(&self) -> &str {
        self.full_key.as_deref().unwrap_or_default()
    }

    /// What to ask L2 for: who holds an entry wants it renewed.
    fn want(&self) -> Want {
        if !self.pad().is_wanted() {
            return Want::Copy;
        }
        match (self.pad().why.origin, &self.held) {
            (Origin::Demand, Some(_)) => Want::Fresh,
            (Origin::Refresh | Origin::Preload, Some(_)) => Want::Permit,
            (_, None) => Want::Value,
        }
    }
}
