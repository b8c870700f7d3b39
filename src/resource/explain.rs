//! Why a key was loaded ahead, or was not.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::time::Duration;

use serde::Serialize;

use super::Resource;
use crate::clock::Moment;
use crate::entry::{Freshness, Origin, Reason};
use crate::key::Key;
use crate::l1::Lookup;
use crate::limits::BreakerState;
use crate::policy::PreloadMode;

/// What the engine knows of a key, and what it will do with it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What memory holds of it.
    pub held: Option<HeldEntry>,
    /// Its reads, each weighing `2^-(age / half_life)`.
    pub score: f64,
    /// Its reads per second, as of now; `None` before the second read.
    pub rate: Option<f64>,
    /// The probability that it is read within one more ttl.
    pub probability: f64,
    /// The probability from which it is loaded ahead.
    pub threshold: f64,
    /// Whether it is loading.
    pub is_loading: bool,
    /// Whether it is loaded ahead, or why not.
    pub verdict: Verdict,
}

/// An entry, as [`Resource::explain`] shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct HeldEntry {
    /// Whether it may be served.
    pub freshness: Freshness,
    /// Whether it says that the source has no such thing.
    pub is_absent: bool,
    /// The time since its load began.
    pub age: Duration,
    /// How much longer it is fresh.
    pub fresh_for: Duration,
    /// Why it was loaded.
    pub origin: Origin,
    /// What proposed it, if it was preloaded.
    pub reason: Option<Reason>,
    /// How probable a read was when it was preloaded.
    pub predicted: Option<f32>,
    /// Whether it was preloaded and nobody has read it yet.
    pub is_unread: bool,
    /// How much of the capacity it takes.
    pub weight: u64,
}

/// Whether a key is loaded ahead, or why not.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
#[non_exhaustive]
pub enum Verdict {
    /// It will be renewed before it expires, if it is still read as often.
    Renewed,
    /// It is read too rarely for the threshold.
    TooUnlikely,
    /// Nobody has read it.
    NeverRead,
    /// It is not in memory, so there is nothing to renew.
    NotHeld,
    /// The source has no such thing; such keys are not loaded ahead.
    Absent,
    /// It is loading now.
    Loading,
    /// Its loads fail; it is tried again after this time.
    Failing {
        /// The time until then.
        retry_in: Duration,
    },
    /// The source is left alone because it fails.
    SourceDown,
    /// Its reads are judged by another rule, see [`PreloadMode::Classic`].
    Classic,
    /// The policy loads nothing ahead.
    Off,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renewed => f.write_str("renewed before it expires, if it is still read as often"),
            Self::TooUnlikely => f.write_str("not loaded ahead: a read in time is too unlikely"),
            Self::NeverRead => f.write_str("not loaded ahead: nobody has read it"),
            Self::NotHeld => f.write_str("not loaded ahead: it is not in memory"),
            Self::Absent => f.write_str("not loaded ahead: the source has no such thing"),
            Self::Loading => f.write_str("loading now"),
            Self::Failing { retry_in } => {
                write!(f, "not loaded ahead: its loads fail, next try in {retry_in:?}")
            }
            Self::SourceDown => f.write_str("not loaded ahead: the source is left alone"),
            Self::Classic => f.write_str("loaded ahead by the classic rule"),
            Self::Off => f.write_str("not loaded ahead: the policy loads nothing ahead"),
        }
    }
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Tells what the engine knows of a key, and whether it is loaded ahead. Counts nothing.
    #[must_use]
    pub fn explain<Q>(&self, key: &Q) -> Explanation
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let core = &self.core;
        let (now, hash) = (core.clock.now(), core.fence.hash(key));
        let entry = core.fence.l1().find(Lookup::new(hash, key));
        let past = entry.as_ref().map_or_else(|| core.fence.absent(hash), |e| e.reads().past());
        let rate = past.rate(now);
        let is_known = past.last != Moment::NEVER;
        let probability = if is_known { core.judge_renewal(&past, now).1 } else { 0.0 };
        let is_loading = core.fence.flight(key, hash).is_some();
        let held = entry.map(|entry| {
            let (life, why) = (entry.life(), entry.why());
            let is_preloaded = why.origin == Origin::Preload;
            HeldEntry {
                freshness: life.freshness(now),
                is_absent: entry.value().is_none(),
                age: now.since(life.loaded_at),
                fresh_for: life.fresh_until.since(now),
                origin: why.origin,
                reason: is_preloaded.then_some(why.reason),
                predicted: is_preloaded.then_some(why.probability),
                is_unread: entry.is_unread(),
                weight: entry.weight(),
            }
        });
        let preload = core.ahead.policy();
        let threshold = preload.threshold;
        let retry_in = core.source.failing.retry_at(&key.to_owned(), now).map(|at| at.since(now));
        let verdict = match (&preload.mode, &held, retry_in) {
            (PreloadMode::Off, ..) => Verdict::Off,
            _ if is_loading => Verdict::Loading,
            (_, _, Some(retry_in)) => Verdict::Failing { retry_in },
            _ if core.source.limits.breaker(now) == BreakerState::Open => Verdict::SourceDown,
            (PreloadMode::Classic(_), ..) => Verdict::Classic,
            (PreloadMode::Predicted | PreloadMode::Observe, None, _) => Verdict::NotHeld,
            (PreloadMode::Predicted | PreloadMode::Observe, Some(held), _) if held.is_absent => {
                Verdict::Absent
            }
            _ if !is_known => Verdict::NeverRead,
            _ if probability >= threshold => Verdict::Renewed,
            _ => Verdict::TooUnlikely,
        };
        let score = core.fence.recorder().score(&past, now);
        Explanation { held, score, rate, probability, threshold, is_loading, verdict }
    }
}
