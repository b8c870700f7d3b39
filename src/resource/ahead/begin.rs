//! Beginning loads ahead, as far as the limits allow.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use smallvec::SmallVec;

use super::requested::Need;
use crate::clock::Moment;
use crate::entry::{Entry, Origin, Reason, Why};
use crate::fence::{Boarding, Caller, Terms, Wish};
use crate::flight::Pad;
use crate::key::Key;
use crate::l1::Lookup;
use crate::limits::{BreakerState, Urgency};
use crate::metrics::{Preload, PreloadOutcome};
use crate::predictor::Candidate;
use crate::resource::core::Core;
use crate::resource::trip::{Trip, Trips};

/// Why a preload was not begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NotBegun {
    /// The key is held, loading, or gone.
    NotNeeded,
    /// A limit; it has been counted.
    Refused,
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Begins queued preloads, best first, while slots and tokens last. Gives when the next token
    /// comes, if that is what is missing.
    pub(in crate::resource) fn begin_queued(self: &Arc<Self>, now: Moment) -> Moment {
        if !self.loads_ahead() {
            self.leave_queued();
            return Moment::NEVER;
        }
        let per_call = self.source.loader.keys_per_call().max(1);
        let calls_max = self.policy.source.preload_slots();
        while self.ahead.calls.load(Relaxed) < calls_max
            && self.source.limits.has_room_for_preload()
        {
            let urgency = Arc::new(Urgency::new(Origin::Preload.into()));
            let mut trips = SmallVec::new();
            let mut blocked_until = None;
            while trips.len() < per_call {
                let mut state = self.ahead.state.lock();
                if state.queue.len() == 0 {
                    break;
                }
                if !state.bucket.take(now) {
                    blocked_until = Some(state.bucket.next_at(now));
                    break;
                }
                let Some(candidate) = state.queue.pop() else { break };
                drop(state);
                let (reason, cell) = (candidate.reason, candidate.cell);
                if !self.spend(candidate.probability) {
                    self.refuse(reason);
                    self.ahead.state.lock().bucket.give_back();
                    self.abandon(reason, cell);
                    continue;
                }
                match self.board_ahead(candidate, Need::Fresh, &urgency, now) {
                    Ok(trip) => trips.push(trip),
                    Err(_) => {
                        self.ahead.state.lock().bucket.give_back();
                        self.give_back_spent();
                        self.abandon(reason, cell);
                    }
                }
            }
            if trips.is_empty() {
                return blocked_until.unwrap_or(Moment::NEVER);
            }
            self.launch_ahead(trips, urgency);
        }
        Moment::NEVER
    }

    /// Lets go of what still waits, since nothing is loaded ahead any more.
    fn leave_queued(&self) {
        loop {
            let left = self.ahead.state.lock().queue.pop();
            let Some(candidate) = left else { return };
            self.refuse(candidate.reason);
            self.abandon(candidate.reason, candidate.cell);
        }
    }

    /// Begins the flight of a candidate, unless it is not needed, or not the time for it.
    pub(super) fn board_ahead(
        self: &Arc<Self>,
        candidate: Candidate<K>,
        need: Need,
        urgency: &Arc<Urgency>,
        now: Moment,
    ) -> Result<Box<Trip<K, V>>, NotBegun> {
        let Candidate { key, hash, probability, reason, cell, trigger, renews } = candidate;
        let is_gone = || self.fence.l1().find(Lookup::new(hash, &key)).is_none();
        if reason == Reason::Expiry && is_gone() {
            return Err(NotBegun::NotNeeded);
        }
        let why = Why { origin: Origin::Preload, reason, probability, cell, trigger };
        let since = match need {
            Need::Fresh => None,
            Need::Since(since) => Some(since),
        };
        // Loads of that very moment are good as well.
        let after = since.map(|since| since.minus(Duration::from_micros(1)));
        let begin = || Pad::new(now, why, Arc::clone(urgency)).within(after, false);
        // What is to be renewed is fresh still; what was renewed meanwhile is so for longer.
        let until = renews.unwrap_or(now);
        let serves = |entry: &Entry<K, V>| {
            let life = entry.life();
            after.is_none_or(|after| life.loaded_at > after) && life.fresh_until > until
        };
        let is_down = self.source.limits.breaker(now) == BreakerState::Open;
        if is_down || self.tasks.is_stopping() || self.source.failing.retry_at(&key, now).is_some()
        {
            // A limit keeps nobody from what is there.
            let held = self.fence.l1().find(Lookup::new(hash, &key));
            let is_held = held.is_some_and(|entry| serves(&entry) && self.fence.confirm(&entry));
            return Err(if is_held { NotBegun::NotNeeded } else { self.refuse(reason) });
        }
        let caller = Caller { key: Cow::Owned(key), hash, read_at: None, wish: Wish::Load };
        let may_join = self.joins(now);
        let joins =
            |pad: &Pad<K, V>| since.is_none_or(|since| pad.started >= since) && may_join(pad);
        match self.fence.board(caller, Terms { serves, joins }, begin) {
            Boarding::Started(start) => {
                self.ahead.begun.fetch_add(1, Relaxed);
                Ok(Trip::new(self, start))
            }
            Boarding::Held(_) | Boarding::Joined(_) => Err(NotBegun::NotNeeded),
            Boarding::Full(_) => Err(self.refuse(reason)),
        }
    }

    pub(super) fn refuse(&self, reason: Reason) -> NotBegun {
        self.tally.l1.preloads.one(Preload(reason, PreloadOutcome::Refused));
        NotBegun::Refused
    }

    /// Begins the flights of one call, which holds its place among the calls until it ends.
    fn launch_ahead(self: &Arc<Self>, trips: Trips<K, V>, urgency: Arc<Urgency>) {
        let place = Place::take(self);
        let flying = Arc::clone(self).fly(trips, urgency, None);
        self.tasks.launch(async move {
            flying.await;
            drop(place);
        });
    }
}

/// A place among the calls for preloads that may be under way. Given back when it is dropped.
struct Place<K, V>(Arc<Core<K, V>>)
where
    K: Key,
    V: Send + Sync + 'static;

impl<K, V> Place<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn take(core: &Arc<Core<K, V>>) -> Self {
        core.ahead.calls.fetch_add(1, Relaxed);
        Self(Arc::clone(core))
    }
}

impl<K, V> Drop for Place<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn drop(&mut self) {
        self.0.ahead.calls.fetch_sub(1, Relaxed);
        // What waited for the place may begin.
        if self.0.ahead.queued() > 0 {
            self.0.wake.notify_one();
        }
    }
}
