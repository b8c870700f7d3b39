//! What a resource is made of, and how its entries are made.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use jiff::tz::TimeZone;
use tokio::sync::Notify;

use super::ahead::Ahead;
use super::alias::Index;
use super::foresee::Foreseeing;
use super::probe::Probe;
use crate::clock::{Clock, Moment};
use crate::coherence::{L2, Outbox, Trust};
use crate::config::{Config, MissLevel};
use crate::entry::{Entry, Life, Tags};
use crate::fence::{Fence, Group};
use crate::flight::Pad;
use crate::key::{Key, KeyLabel, text_bytes};
use crate::l1::{L1Tally, Lookup};
use crate::limits::{Failing, Limits, LoadTime, Quiet};
use crate::loader::AnyLoader;
use crate::metrics::{Counters, Load, OwnedCounters, ReadOutcome, Refresh, Refusal, Timings};
use crate::policy::{Capacity, EarlyRefresh, Policy, Store, TrustOnRestart};
use crate::task::Tasks;
use crate::tier::{Codec, Stored};

/// What a resource is made of. Its handles, its flights and the engine share it.
pub(crate) struct Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// The place among the resources of the engine.
    pub(super) id: u16,
    pub(super) name: Arc<str>,
    /// `{prefix}:{resource}`, which its full keys begin with.
    pub(super) group: String,
    pub(super) policy: Policy,
    pub(super) zone: Option<TimeZone>,
    pub(super) clock: Clock,
    pub(super) tasks: Arc<Tasks>,
    pub(super) fence: Fence<K, V, Pad<K, V>>,
    pub(super) source: Source<K, V>,
    pub(super) shared: Option<Shared<K>>,
    /// Until when memory may be served.
    pub(super) trust: Arc<Trust>,
    pub(super) codec: Option<Codec<V>>,
    pub(super) tagger: Option<Box<Tagger<K, V>>>,
    pub(super) trimmer: Option<Box<Trimmer<V>>>,
    pub(super) weigher: Weigher<K, V>,
    pub(super) relations: Vec<Relation<K, V>>,
    pub(super) indexes: Vec<Index<V>>,
    pub(super) tally: Tally,
    pub(super) probe: Probe,
    pub(super) ahead: Ahead<K>,
    pub(super) foreseeing: Foreseeing,
    pub(super) speech: Speech,
    /// Wakes the preloader.
    pub(super) wake: Arc<Notify>,
    /// Told when something was voided that this handle did not change itself.
    pub(super) told: Option<Arc<Notify>>,
}

/// Where the values of a resource come from.
pub(super) struct Source<K: Key, V> {
    pub(super) loader: Arc<dyn AnyLoader<K, V>>,
    pub(super) limits: Limits,
    pub(super) failing: Failing<K>,
    pub(super) load_time: LoadTime,
}

/// What a resource has to do with L2.
#[derive(Debug)]
pub(super) struct Shared<K> {
    pub(super) l2: Arc<L2>,
    pub(super) outbox: Outbox<K, Group>,
    /// The longest that a load waits for another engine that is loading the same key.
    pub(super) busy_wait: Duration,
    /// Whether values are stored there; if not, it only tells others of invalidations.
    pub(super) holds_values: bool,
    /// Wakes the task that delivers what waits in the outbox.
    pub(super) undelivered: Arc<Notify>,
}

/// What a resource counts.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) reads: OwnedCounters<ReadOutcome>,
    pub(super) loads: Counters<Load>,
    pub(super) refreshes: Counters<Refresh>,
    pub(super) refusals: Counters<Refusal>,
    pub(super) timings: Timings,
    pub(super) l1: Arc<L1Tally>,
}

/// What a resource says in the log.
#[derive(Debug)]
pub(super) struct Speech {
    pub(super) log_keys: bool,
    pub(super) miss_level: MissLevel,
    pub(super) failures: Quiet,
    pub(super) renewals: Quiet,
    pub(super) key_texts: Quiet,
    pub(super) panics: Quiet,
    pub(super) unreadable: Quiet,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            reads: OwnedCounters::new(),
            loads: Counters::new(),
            refreshes: Counters::new(),
            refusals: Counters::new(),
            timings: Timings::default(),
            l1: Arc::new(L1Tally::new()),
        }
    }
}

impl Speech {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            log_keys: config.log_keys,
            miss_level: config.miss_level,
            failures: Quiet::new(),
            renewals: Quiet::new(),
            key_texts: Quiet::new(),
            panics: Quiet::new(),
            unreadable: Quiet::new(),
        }
    }
}

/// How much of the capacity an entry takes.
pub(super) enum Weigher<K, V> {
    /// One of a number of entries.
    Entry,
    /// What the user says.
    User(Box<Weigh<K, V>>),
    /// The bytes of its encoding where it has one, and of the key and of what surrounds them.
    Bytes,
}

/// What is declared to be related to the keys of a resource.
pub(super) struct Relation<K, V> {
    /// The name of the resource whose keys these are.
    pub(super) to: Arc<str>,
    pub(super) find: Box<Relate<K, V>>,
}

/// How a user finds the texts of related keys.
type Relate<K, V> = dyn Fn(&K, &V) -> Vec<Box<str>> + Send + Sync;

/// How a user tags a value.
pub(super) type Tagger<K, V> = dyn Fn(&K, &V) -> Vec<Box<str>> + Send + Sync;

/// Makes of a value what is kept of it.
pub(super) type Trimmer<V> = dyn Fn(Arc<V>) -> Arc<V> + Send + Sync;

/// How a user weighs an entry.
type Weigh<K, V> = dyn Fn(&K, Option<&V>) -> u64 + Send + Sync;

/// What an entry takes beyond the text of its key and the encoding of its value, in bytes: what a
/// value on the heap needs around it included, as measured by `benches/memory.rs`.
const ENTRY_BYTES: usize = 384;

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// How a key is named in logs and errors.
    pub(super) fn label(&self, key: &K, hash: u64) -> KeyLabel {
        if self.speech.log_keys { KeyLabel::plain(key) } else { KeyLabel::hashed(hash) }
    }

    /// Whether values of this resource are kept in memory.
    pub(super) fn keeps(&self) -> bool {
        self.policy.store != Store::Nowhere
    }

    /// The full key, if values of this key may be in L2.
    pub(super) fn stored_key(&self, key: &K) -> Option<String> {
        self.shared.as_ref().filter(|shared| shared.holds_values)?;
        self.full_key(key)
    }

    /// The full key, if there is an L2, and it can be named there.
    pub(super) fn full_key(&self, key: &K) -> Option<String> {
        self.shared.as_ref()?;
        let text = key.to_string();
        if text.len() > self.policy.key_bytes_max {
            return None;
        }
        // L2 and whoever reads it know the key by its text alone.
        if text.parse().ok().as_ref() != Some(key) {
            if self.speech.key_texts.may_speak(self.clock.now()).is_some() {
                let resource = &*self.name;
                tracing::warn!(
                    resource,
                    "a key's text does not parse back to the same key: it is kept in memory only, \
                     and other engines do not hear of its invalidations"
                );
            }
            return None;
        }
        Some(format!("{}:{text}", self.group))
    }

    /// Why a key cannot be kept at all, if so.
    pub(super) fn refuses_key(&self, key: &K) -> Option<Refusal> {
        (text_bytes(key) > self.policy.key_bytes_max).then_some(Refusal::KeyLength)
    }

    /// How much of the capacity a value takes, with the length of its encoding if that is known.
    pub(super) fn weigh(&self, key: &K, value: Option<&V>, encoded: Option<usize>) -> u32 {
        let weight = match &self.weigher {
            Weigher::Entry => 1,
            Weigher::User(weigh) => weigh(key, value),
            Weigher::Bytes => {
                let encoded = encoded.or_else(|| self.codec.as_ref()?.length(value?));
                let value = encoded.unwrap_or_else(|| value.map_or(0, size_of_val));
                (ENTRY_BYTES + text_bytes(key) + value) as u64
            }
        };
        u32::try_from(weight).unwrap_or(u32::MAX)
    }

    /// The tags of a value, with those that came with it; `None` if they cannot be kept.
    pub(super) fn tags(&self, key: &K, value: Option<&V>, mut all: Vec<Box<str>>) -> Option<Tags> {
        if let Some((tag, value)) = self.tagger.as_ref().zip(value) {
            all.extend(tag(key, value));
        }
        let tags = Tags::new(all);
        if tags.is_none() {
            self.tally.refusals.one(Refusal::Tags);
        }
        tags
    }

    /// Whether it is known that nobody has invalidated an entry that this engine has not heard of.
    pub(super) fn is_verified(&self, entry: &Entry<K, V>, now: Moment) -> bool {
        self.trust.holds_for(entry.loaded_at(), now)
    }

    /// Whether a flight began late enough to be waited for at `now`.
    pub(super) fn joins(&self, now: Moment) -> impl FnOnce(&Pad<K, V>) -> bool + use<'_, K, V> {
        move |pad| self.trust.holds_for(pad.started, now)
    }

    /// Whether a value is too large to be kept.
    pub(super) fn refuses_value(&self, weight: u32, encoded: Option<usize>) -> bool {
        let max = self.policy.value_bytes_max;
        let too_long = encoded.is_some_and(|length| length > max);
        let in_bytes = matches!(self.policy.capacity, Capacity::Bytes(_));
        let too_heavy = in_bytes && weight as usize > max.saturating_add(ENTRY_BYTES);
        too_long || too_heavy || !self.fence.l1().fits(u64::from(weight))
    }

    /// The life of a value whose load began at `loaded_at`; `None` if it is not to be kept.
    pub(super) fn life(
        &self,
        loaded_at: Moment,
        ttl: Option<Duration>,
        is_found: bool,
    ) -> Option<Life> {
        let ttl = match ttl {
            Some(ttl) => ttl,
            None if is_found => self.policy.ttl,
            None => self.policy.absent_ttl?,
        };
        let ttl = self.shorten(ttl);
        let end = self.end_of_day(loaded_at);
        let fresh_until = loaded_at.plus(ttl).min(end);
        let calm_until = match self.policy.early_refresh {
            Some(EarlyRefresh::After(share)) => loaded_at.plus(self.shorten(ttl.mul_f64(share))),
            // Earlier than this, a renewal is less likely than one in e^20.
            Some(EarlyRefresh::XFetch { scale }) => fresh_until.minus(scale.saturating_mul(20)),
            None => fresh_until,
        };
        // "There is no such thing" is not served past its time: things that appear should be seen.
        let kept_for = if is_found { self.policy.kept_after_ttl() } else { Duration::ZERO };
        let revalidate_for = self.policy.stale_while_revalidate.unwrap_or_default();
        Some(Life {
            loaded_at,
            calm_until: calm_until.min(fresh_until),
            fresh_until,
            revalidate_for: if is_found { revalidate_for } else { Duration::ZERO },
            keep_until: fresh_until.plus(kept_for).min(end),
        })
    }

    /// The rest of the life of a value from L2.
    pub(super) fn life_in_l2(&self, now: Moment, stored: &Stored) -> Life {
        let mut revalidate_for = self.policy.stale_while_revalidate.unwrap_or_default();
        // L2 keeps a value for a span that began when it became stale.
        let stale_for = self.policy.kept_after_ttl().saturating_sub(stored.keep_for);
        let is_doubtful =
            stored.is_restored && self.policy.trust_on_restart == TrustOnRestart::StaleOnly;
        let fresh_until = if stored.fresh_for.is_zero() {
            now.minus(stale_for)
        } else if is_doubtful {
            revalidate_for = revalidate_for.max(Duration::from_secs(1));
            now
        } else {
            now.plus(stored.fresh_for)
        };
        Life {
            loaded_at: now.minus(stored.age),
            calm_until: fresh_until,
            fresh_until,
            revalidate_for,
            keep_until: now.plus(stored.keep_for),
        }
    }

    /// A span less its random part.
    pub(super) fn shorten(&self, span: Duration) -> Duration {
        if self.policy.jitter <= 0.0 {
            return span;
        }
        #[expect(clippy::cast_precision_loss, reason = "53 random bits")]
        let random = (self.fence.random() >> 11) as f64 / (1_u64 << 53) as f64;
        span.mul_f64(1.0 - self.policy.jitter * random)
    }

    /// The moment of the next midnight after `loaded_at` in the policy's zone, if it has one.
    fn end_of_day(&self, loaded_at: Moment) -> Moment {
        let Some(zone) = &self.zone else { return Moment::NEVER };
        let now = self.clock.now();
        let wall = self.clock.wall();
        let then = wall.saturating_sub(now.since(loaded_at)).unwrap_or(wall).to_zoned(zone.clone());
        let midnight = then.tomorrow().and_then(|day| day.start_of_day());
        let left = |midnight: Zoned| Duration::try_from(midnight.timestamp().duration_since(wall));
        match midnight.map(left) {
            Ok(Ok(left)) => now.plus(left),
            // Midnight is past, or the calendar ends: nothing outlives that.
            Ok(Err(_)) | Err(_) => now,
        }
    }

    /// Says that a read was not answered by memory.
    pub(super) fn say_miss(&self, lookup: Lookup<'_, K>, outcome: ReadOutcome) {
        let (resource, key) = (&*self.name, || self.label(lookup.key(), lookup.hash()));
        match self.speech.miss_level {
            MissLevel::Info => self.say_miss_aloud(lookup, outcome),
            MissLevel::Debug => tracing::debug!(resource, key = %key(), ?outcome, "miss"),
        }
    }

    fn say_miss_aloud(&self, lookup: Lookup<'_, K>, outcome: ReadOutcome) {
        let (resource, key) = (&*self.name, || self.label(lookup.key(), lookup.hash()));
        tracing::info!(resource, key = %key(), ?outcome, "miss");
    }

    /// Makes room in memory, though not at the cost of the entry that needed it, and moves what is
    /// read often to where reads cost least.
    pub(super) fn tend(&self, spared: Option<&Arc<Entry<K, V>>>) {
        let due = |entry: &Entry<K, V>| self.due(&entry.life());
        self.fence.tend(self.clock.recent(), || self.tally.reads.total(), spared, due);
    }
}

impl<K, V> fmt::Debug for Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("name", &self.name).finish_non_exhaustive()
    }
}
