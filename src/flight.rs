//! One load per key: what those who wait for the same load share.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use serde::Serialize;
use tokio::sync::Notify;

use crate::clock::Moment;
use crate::entry::{Entry, Freshness, Life, Origin, Why};
use crate::error::Error;
use crate::fence::{Carried, Wish};
use crate::limits::{Class, Urgency};

pub(crate) use self::chain::Chain;

mod chain;

/// What a flight carries: who wants it, how urgently, and what came of it.
///
/// The load itself runs in a task that belongs to the engine. Those who wait hold nothing that it
/// needs, so a caller that goes away ends nothing, and every caller gets the same outcome.
#[derive(Debug)]
pub(crate) struct Pad<K, V> {
    pub(crate) started: Moment,
    pub(crate) why: Why,
    /// Shared by the flights of one batch.
    pub(crate) urgency: Arc<Urgency>,
    /// Values of L2 that began to be loaded no later than this are not what was asked for.
    after: Option<Moment>,
    /// Nor are those that are not fresh.
    is_fresh_only: bool,
    is_asked: AtomicBool,
    /// It was begun to copy what L2 holds, and not to load.
    is_copy: bool,
    /// The source is to be asked, if need be. Written under the lock of the key's shard.
    is_wanted: AtomicBool,
    outcome: OnceLock<Outcome<K, V>>,
    landed: Notify,
}

/// What came of a flight.
pub(crate) type Outcome<K, V> = Result<Arrival<K, V>, Error>;

/// An entry, and where it came from.
#[derive(Debug)]
pub(crate) struct Arrival<K, V> {
    pub(crate) entry: Arc<Entry<K, V>>,
    pub(crate) from: ReadFrom,
}

/// Who answered a read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// The memory of this process.
    L1,
    /// The second tier.
    L2,
    /// The source, through the loader.
    Source,
}

impl<K, V> Clone for Arrival<K, V> {
    fn clone(&self) -> Self {
        Self { entry: Arc::clone(&self.entry), from: self.from }
    }
}

impl<K, V> Pad<K, V> {
    pub(crate) fn new(started: Moment, why: Why, urgency: Arc<Urgency>) -> Self {
        Self {
            started,
            why,
            urgency,
            after: None,
            is_fresh_only: false,
            is_asked: AtomicBool::new(why.origin == Origin::Demand),
            is_copy: false,
            is_wanted: AtomicBool::new(true),
            outcome: OnceLock::new(),
            landed: Notify::new(),
        }
    }

    /// The same for a caller who accepts only what began to be loaded after this, or what is fresh.
    pub(crate) fn within(self, after: Option<Moment>, is_fresh_only: bool) -> Self {
        Self { after, is_fresh_only, ..self }
    }

    /// The same for a flight that only copies what L2 holds, unless somebody who wants more joins.
    pub(crate) fn only_copying(self) -> Self {
        Self { is_copy: true, is_wanted: AtomicBool::new(false), ..self }
    }

    /// Whether it was begun to copy what L2 holds, and not to load.
    pub(crate) const fn is_copy(&self) -> bool {
        self.is_copy
    }

    /// Whether a value that lives so is what was asked for.
    pub(crate) fn accepts(&self, life: &Life, now: Moment) -> bool {
        let is_young = self.after.is_none_or(|after| life.loaded_at > after);
        is_young && !(self.is_fresh_only && life.freshness(now) != Freshness::Fresh)
    }

    /// Whether somebody waits for it, or came to.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.load(Relaxed)
    }

    /// Why it is loading, as of now.
    pub(crate) fn origin(&self) -> Origin {
        if self.is_asked() { Origin::Demand } else { self.why.origin }
    }

    /// Tells everybody who waits. Only the first outcome counts.
    pub(crate) fn land(&self, outcome: Outcome<K, V>) {
        if self.outcome.set(outcome).is_ok() {
            self.landed.notify_waiters();
        }
    }

    pub(crate) fn has_landed(&self) -> bool {
        self.outcome.get().is_some()
    }

    /// Waits for the outcome.
    pub(crate) async fn outcome(&self) -> Outcome<K, V> {
        if let Some(outcome) = self.outcome.get() {
            return outcome.clone();
        }
        loop {
            let mut landed = std::pin::pin!(self.landed.notified());
            // Registered before looking, so that an outcome which comes in between is not missed.
            landed.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            landed.await;
        }
    }
}

impl<K, V> Carried for Pad<K, V> {
    /// Whatever it was begun for, it is demand once somebody waits.
    fn join(&self, wish: Wish) {
        if wish != Wish::Copy {
            self.is_wanted.store(true, Relaxed);
        }
        if wish == Wish::Value {
            self.is_asked.store(true, Relaxed);
            self.urgency.raise(Class::Demand);
        }
    }

    fn is_wanted(&self) -> bool {
        self.is_wanted.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Reason;

    fn pad(origin: Origin) -> Pad<u32, ()> {
        let why = Why::certain(origin, Reason::Expiry);
        Pad::new(Moment::START, why, Arc::new(Urgency::new(origin.into())))
    }

    #[tokio::test]
    async fn everybody_gets_the_first_outcome() {
        let pad = pad(Origin::Demand);
        let (early, late, ()) = tokio::join!(pad.outcome(), pad.outcome(), async {
            pad.land(Err(Error::ShutDown));
            pad.land(Err(Error::Overloaded { resource: "user".into(), flights: 1 }));
        });
        for outcome in [early, late, pad.outcome().await] {
            assert!(matches!(outcome, Err(Error::ShutDown)));
        }
    }

    #[test]
    fn a_preload_that_is_asked_for_is_demand() {
        let pad = pad(Origin::Preload);
        assert_eq!((pad.origin(), pad.urgency.class()), (Origin::Preload, Class::Preload));
        pad.join(Wish::Load);
        assert_eq!((pad.origin(), pad.urgency.class()), (Origin::Preload, Class::Preload));
        pad.join(Wish::Value);
        assert_eq!((pad.origin(), pad.urgency.class()), (Origin::Demand, Class::Demand));
    }

    #[test]
    fn a_copy_asks_the_source_once_somebody_wants_more_than_a_copy() {
        for (wish, is_wanted) in [(Wish::Copy, false), (Wish::Load, true), (Wish::Value, true)] {
            let pad = pad(Origin::Preload).only_copying();
            pad.join(wish);
            assert_eq!((pad.is_wanted(), pad.is_copy()), (is_wanted, true), "{wish:?}");
        }
    }
}
