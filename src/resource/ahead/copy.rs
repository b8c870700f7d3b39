//! Copying from L2 what is not likely enough to be loaded: that costs the source nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;

use crate::entry::{Entry, Origin, Why};
use crate::error::Error;
use crate::fence::{Boarding, Caller, Carried as _, Terms, Wish};
use crate::flight::Pad;
use crate::key::Key;
use crate::limits::Urgency;
use crate::metrics::{Preload, PreloadOutcome};
use crate::predictor::Candidate;
use crate::resource::core::Core;
use crate::resource::trip::{Trip, Trips};

/// A guess that is copied may be this much less likely than one that is loaded: it takes a look-up
/// and a place among the guesses, and no load.
const THRESHOLD_SHARE: f64 = 0.5;

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The probability from which a key is copied; `None` if L2 holds nothing of this resource.
    pub(in crate::resource) fn copy_threshold(&self) -> Option<f64> {
        let is_in_l2 = self.shared.as_ref().is_some_and(|shared| shared.holds_values);
        is_in_l2.then_some(THRESHOLD_SHARE * self.ahead.policy().threshold)
    }

    /// Copies these keys from L2, in one look-up, as far as it holds them.
    ///
    /// They do not wait for their turn: a guess that cannot be looked up now is not worth it. Apart
    /// from that they are bounded as loads ahead are, by a bucket of their own.
    pub(in crate::resource) fn copy_ahead(self: &Arc<Self>, candidates: Vec<Candidate<K>>) {
        // A tier that does not answer is left to those who need it.
        if self.tasks.is_stopping() || !self.shared.as_ref().is_some_and(|shared| shared.l2.is_up())
        {
            return;
        }
        let urgency = Arc::new(Urgency::new(Origin::Preload.into()));
        let mut trips: Trips<K, V> = SmallVec::new();
        for candidate in candidates {
            trips.extend(self.board_copy(candidate, &urgency));
        }
        if !trips.is_empty() {
            self.tasks.launch(Arc::clone(self).fly(trips, urgency, None));
        }
    }

    /// Begins the flight of a candidate, if it is needed, and within the limits.
    fn board_copy(
        self: &Arc<Self>,
        candidate: Candidate<K>,
        urgency: &Arc<Urgency>,
    ) -> Option<Box<Trip<K, V>>> {
        let Candidate { key, hash, probability, reason, cell, trigger, .. } = candidate;
        let now = self.clock.now();
        if !self.ahead.state.lock().copies.take(now) {
            self.refuse(reason);
            return None;
        }
        let why = Why { origin: Origin::Preload, reason, probability, cell, trigger };
        let begin = || Pad::new(now, why, Arc::clone(urgency)).only_copying();
        let is_fresh = |entry: &Entry<K, V>| now < entry.life().fresh_until;
        let caller = Caller { key: Cow::Owned(key), hash, read_at: None, wish: Wish::Copy };
        let terms = Terms { serves: is_fresh, joins: self.joins(now) };
        let boarding = self.fence.board(caller, terms, begin);
        if let Boarding::Started(start) = boarding {
            return Some(Trip::new(self, start));
        }
        self.ahead.state.lock().copies.give_back();
        if let Boarding::Full(_) = boarding {
            self.refuse(reason);
        }
        None
    }

    /// Ends a trip that was to copy what L2 does not hold, unless somebody wants the key loaded by
    /// now. Gives whether it ended.
    pub(in crate::resource) fn end_copy(&self, trip: &Trip<K, V>) -> bool {
        let pad = trip.pad();
        if pad.is_wanted() || !self.fence.give_up_unwanted(&trip.flight) {
            return false;
        }
        self.tally.l1.preloads.one(Preload(pad.why.reason, PreloadOutcome::NotHeld));
        // Nobody waits for it, nor can come to.
        pad.land(Err(Error::ShutDown));
        true
    }

    /// Counts a copy as a preload that was begun, now that it is known to be one.
    pub(in crate::resource) fn note_copied(&self, pad: &Pad<K, V>) {
        if pad.is_copy() {
            self.ahead.begun.fetch_add(1, Relaxed);
        }
    }
}
