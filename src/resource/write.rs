//! Changes: what is wrong goes, what is known to be new comes, what is old is renewed.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::sync::oneshot;

use super::Resource;
use super::core::{Core, Shared};
use crate::clock::Moment;
use crate::coherence::Waiting;
use crate::entry::{Entry, Life, Tags, Why};
use crate::error::ConfigError;
use crate::fence::{Group, Lagging, NewEntry, Ticket};
use crate::key::{Key, ParsePatternError};
use crate::l1::Lookup;
use crate::metrics::{Full, Refusal};
use crate::tier::{Change, Cursor, Fill, Filled, Invalidation, Lag, Selector};

/// How far a change has come when the call returns. On this engine it holds at once, either way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use = "a queued change has not reached L2 yet"]
pub enum Delivery {
    /// L2 has it, or there is no L2.
    Applied,
    /// L2 could not be reached. The change waits for it, and until then this engine does not read
    /// the key from there.
    Queued,
}

/// What is known of the source when a key is invalidated; the default knows nothing.
///
/// ```
/// use forewarm::InvalidateOptions;
///
/// // The row that was written has version 7: an answer that is older is not it.
/// let options = InvalidateOptions::new().min_version(7);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct InvalidateOptions {
    min_version: Option<u64>,
    replica_lag: Option<Duration>,
}

/// How long a version is demanded, if nothing else is said.
const DEMANDED_FOR: Duration = Duration::from_mins(1);

impl InvalidateOptions {
    /// Knows nothing of the source.
    #[must_use]
    pub const fn new() -> Self {
        Self { min_version: None, replica_lag: None }
    }

    /// Refuses what is of an older version, for as long as the source may lag behind: such an
    /// answer is asked for again, like a failure that may pass. The loader must say what version it
    /// gives ([`Loaded::version`](crate::Loaded::version)); an answer without one is refused too.
    #[must_use]
    pub const fn min_version(self, version: u64) -> Self {
        Self { min_version: Some(version), ..self }
    }

    /// Says for how long the source may answer from a copy that has not got the change. Default:
    /// [`Policy::replica_lag`](crate::Policy::replica_lag), or a minute where a version is demanded.
    #[must_use]
    pub const fn replica_lag(self, lag: Duration) -> Self {
        Self { replica_lag: Some(lag), ..self }
    }

    fn lag(self, policy: Option<Duration>) -> Option<Lag> {
        let Self { min_version, replica_lag } = self;
        let demanded = min_version.map(|_| DEMANDED_FOR);
        let lasts = replica_lag.or(policy).or(demanded)?;
        Some(Lag { lasts, min_version })
    }
}

/// How many queued invalidations are delivered in one call.
const DELIVERED_AT_ONCE: usize = 256;

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Says that what is held of a key is wrong. Call it after the source has changed.
    ///
    /// Once it has returned, no read that starts later on this engine gives a value whose load
    /// began before the call, whether it was applied or queued. If it was applied, the same holds
    /// for every engine on the same L2 after at most
    /// [`L2Config::window`](crate::L2Config::window) more. Dropping the future does not stop it
    /// half-way; if it was never polled, nothing has happened.
    ///
    /// It waits for L2, for [`L2Config::write_timeout`](crate::L2Config::write_timeout) at most.
    pub async fn invalidate<Q>(&self, key: &Q) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        self.invalidate_with(key, &InvalidateOptions::new()).await
    }

    /// The same, with what is known of the source.
    pub async fn invalidate_with<Q>(&self, key: &Q, options: &InvalidateOptions) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let lag = options.lag(self.core.policy.replica_lag);
        self.core.invalidate(key.to_owned(), self.core.fence.hash(key), lag).await
    }

    /// Invalidates the keys whose texts match a pattern, such as `42:*`, in one step however many
    /// they are. The promise is that of [`Resource::invalidate`].
    ///
    /// # Errors
    ///
    /// The text is no pattern.
    pub async fn invalidate_matching(&self, pattern: &str) -> Result<Delivery, ConfigError> {
        Ok(self.core.invalidate_group(matching(pattern)?).await)
    }

    /// Invalidates the values that have a tag, in one step however many they are. The promise is
    /// that of [`Resource::invalidate`]. What tags a value has, its load says
    /// ([`Loaded::tags`](crate::Loaded::tags)), or the resource
    /// ([`ResourceBuilder::tags`](crate::ResourceBuilder::tags)).
    ///
    /// # Errors
    ///
    /// The text is no tag.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<Delivery, ConfigError> {
        Ok(self.core.invalidate_group(tagged(tag)?).await)
    }

    /// Invalidates everything that is held of this resource, in one step. The promise is that of
    /// [`Resource::invalidate`].
    pub async fn invalidate_all(&self) -> Delivery {
        self.core.invalidate_group(Group::All).await
    }

    /// Stores a value that the caller knows to be the new one: an invalidation that brings it. Call
    /// it after the source has changed.
    ///
    /// The promise of [`Resource::invalidate`] holds here too. The value lives as a loaded one
    /// does, from now; one that may not be kept, since it is too large, only invalidates. If two
    /// callers put a key at the same time, one of the two values stays here, and L2 does not keep
    /// the other. Nor does L2 keep a value if the key has been changed by anybody since this engine
    /// last heard from L2, or if that is longer ago than the coherence window, or if the source
    /// lags behind ([`Policy::replica_lag`](crate::Policy::replica_lag)).
    ///
    /// It is for who knows that nothing came between its change of the source and this call. If
    /// another engine may change the source in between, what is put here is the older value: then
    /// invalidate instead.
    pub async fn put<Q>(&self, key: &Q, value: impl Into<Arc<V>>) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let core = &self.core;
        let (key, hash) = (key.to_owned(), core.fence.hash(key));
        let value = core.trimmed(value.into());
        let full_key = core.full_key(&key);
        let encode = |full_key: &str| core.encode(full_key, Some(&value));
        let (bytes, length) = full_key.as_deref().map(encode).unwrap_or_default();
        let weight = core.weigh(&key, Some(&value), length);
        let refusal = core.refuses_key(&key);
        let refusal =
            refusal.or_else(|| core.refuses_value(weight, length).then_some(Refusal::ValueSize));
        if let Some(refusal) = refusal {
            core.tally.refusals.one(refusal);
        }
        let tags = core.tags(&key, Some(&value), Vec::new());
        let is_refused = refusal.is_some() || tags.is_none();
        let lag = InvalidateOptions::new().lag(core.policy.replica_lag);
        if let Some(lag) = lag {
            core.note_lag(&key, hash, lag);
        }
        let tags = tags.unwrap_or_default();
        // From before the value is stored here: what others change later is newer.
        let since = core.shared.as_ref().map(|shared| shared.l2.heard()).unwrap_or_default();
        let life = core.life(core.clock.now(), None, true).filter(|_| core.keeps() && !is_refused);
        let entry_tags = tags.clone();
        let generation = core.fence.generation();
        let (ticket, landing) = core.fence.replace(&key, hash, full_key.is_some(), |past| {
            let entry = Entry::new(key.clone(), hash, Some(value), weight);
            let entry = entry.in_groups(entry_tags, generation);
            let entry = entry.because(Why::DEMAND).with_past(past);
            match life {
                Some(life) => {
                    let entry = Arc::new(entry.living(life));
                    NewEntry { entry, is_stored: true, due: core.due(&life) }
                }
                None => NewEntry { entry: Arc::new(entry), is_stored: false, due: None },
            }
        });
        core.stored(&landing.entry);
        let put = landing.entry.value().cloned();
        drop(landing);
        // Begun together, so that a caller who goes away keeps neither from being told.
        let names = self.forget_names(put.as_deref());
        let (Some(full_key), Some(ticket)) = (full_key, ticket) else {
            names.await;
            return Delivery::Applied;
        };
        let holds_values = core.shared.as_ref().is_some_and(|shared| shared.holds_values);
        let change = match (bytes.filter(|_| holds_values), life, lag) {
            (Some(bytes), Some(life), None) => {
                KeyChange::Put(Put { bytes, life, ticket, tags, since })
            }
            // What others load from a copy that lags behind could take the place of a put value.
            _ => KeyChange::Invalidate { lag },
        };
        let (delivery, ()) = join(core.deliver_one(key, hash, full_key, change), names).await;
        delivery
    }

    /// Says that what is held of a key is old: it is stale from now on, and renewed at its next
    /// read, but still served meanwhile, or if that fails, as far as the policy allows stale
    /// values. For what is wrong, use [`Resource::invalidate`].
    pub async fn expire<Q>(&self, key: &Q) -> Delivery
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let core = &self.core;
        let (key, hash) = (key.to_owned(), core.fence.hash(key));
        let full_key = core.full_key(&key);
        let ticket = core.fence.expire(&key, hash, core.clock.now(), full_key.is_some());
        match (full_key, ticket) {
            (Some(full_key), Some(_)) => {
                core.deliver_one(key, hash, full_key, KeyChange::Expire).await
            }
            _ => Delivery::Applied,
        }
    }

    /// Forgets everything that memory holds of this resource: entries, and what was learned of its
    /// keys. Loads under way answer those who wait, and store nothing. L2 keeps its own; counters
    /// only grow.
    pub fn clear(&self) {
        self.core.clear();
    }
}

/// The group of the keys that match a pattern.
pub(super) fn matching(pattern: &str) -> Result<Group, ConfigError> {
    pattern.parse().map(Group::Pattern).map_err(|error: ParsePatternError| {
        ConfigError::new("pattern", format!("is none: {error}"), "use `*`, `?` and `\\`")
    })
}

/// The group of the values that have a tag.
pub(super) fn tagged(tag: &str) -> Result<Group, ConfigError> {
    if Tags::is_tag(tag) {
        return Ok(Group::Tag(tag.into()));
    }
    let remedy = "use 1 to 256 bytes without control characters";
    Err(ConfigError::new("tag", "is none", remedy))
}

/// What L2 is told of a key.
enum KeyChange {
    Invalidate { lag: Option<Lag> },
    Put(Put),
    Expire,
}

/// A value that is put.
struct Put {
    bytes: Vec<u8>,
    life: Life,
    ticket: Ticket,
    tags: Tags,
    since: Cursor,
}

impl<K, V> Core<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// Voids a key here at the first poll, and tells L2.
    pub(super) async fn invalidate(
        self: &Arc<Self>,
        key: K,
        hash: u64,
        lag: Option<Lag>,
    ) -> Delivery {
        let full_key = self.full_key(&key);
        let ticket = self.void(&key, hash, lag, full_key.is_some());
        match (full_key, ticket) {
            (Some(full_key), Some(_)) => {
                self.probe_later(&key);
                self.deliver_one(key, hash, full_key, KeyChange::Invalidate { lag }).await
            }
            _ => Delivery::Applied,
        }
    }

    /// Tells L2 of a change, in a task of its own; the gate of the key is closed already.
    async fn deliver_one(
        self: &Arc<Self>,
        key: K,
        hash: u64,
        full_key: String,
        change: KeyChange,
    ) -> Delivery {
        let (done, delivered) = oneshot::channel();
        let core = Arc::clone(self);
        self.tasks.launch(async move {
            let delivery = core.tell_l2(key, hash, full_key, change).await;
            // The caller may have gone away.
            done.send(delivery).ok();
        });
        delivered.await.unwrap_or(Delivery::Queued)
    }

    async fn tell_l2(&self, key: K, hash: u64, full_key: String, change: KeyChange) -> Delivery {
        let Some(shared) = &self.shared else { return Delivery::Applied };
        let (mut queued_lag, mut is_overtaken) = (None, false);
        let told = match change {
            KeyChange::Invalidate { lag } => {
                queued_lag = lag;
                let selector = Selector::Key(&full_key);
                shared.l2.invalidate(&[Invalidation { selector, lag }]).await
            }
            KeyChange::Expire => shared.l2.expire(&[&full_key]).await,
            KeyChange::Put(put) => {
                let told = self.put_in_l2(shared, &full_key, &put).await;
                is_overtaken = self.fence.is_overtaken(&key, hash, put.ticket);
                told
            }
        };
        // Another change of the key came meanwhile, and L2 may have heard of it first: then it would
        // keep the older value.
        let told = match told {
            Some(()) if is_overtaken => {
                shared.l2.invalidate(&[Selector::Key(&full_key).into()]).await
            }
            told => told,
        };
        if told.is_some() {
            self.fence.open_gate(&key, hash);
            return Delivery::Applied;
        }
        self.queue_undelivered(shared, Waiting { key, hash, full_key, lag: queued_lag });
        Delivery::Queued
    }

    async fn put_in_l2(&self, shared: &Shared<K>, full_key: &str, put: &Put) -> Option<()> {
        let (now, life) = (self.clock.now(), &put.life);
        let tags: Vec<_> = put.tags.iter().collect();
        let fill = Fill {
            key: full_key,
            permit: shared.l2.new_permit(),
            value: &put.bytes,
            age: now.since(life.loaded_at),
            fresh_for: life.fresh_until.since(now),
            keep_for: life.keep_until.since(now),
            tags: &tags,
            version: None,
        };
        let filled = shared.l2.put(fill, &put.since).await?;
        if filled.contains(&Filled::Refused) {
            self.tally.refusals.one(Refusal::Invalidated);
        }
        Some(())
    }

    /// Voids a key here: the first step of an invalidation.
    pub(super) fn void(
        &self,
        key: &K,
        hash: u64,
        lag: Option<Lag>,
        closes_gate: bool,
    ) -> Option<Ticket> {
        if let Some(lag) = lag {
            self.note_lag(key, hash, lag);
        }
        let fenced = self.fence.invalidate(key, hash, closes_gate);
        // The value is dropped here, outside the lock.
        drop(fenced.removed);
        fenced.ticket
    }

    fn note_lag(&self, key: &K, hash: u64, lag: Lag) {
        let now: Moment = self.clock.now();
        let lagging = Lagging { until: now.plus(lag.lasts), min_version: lag.min_version };
        if self.fence.note_lag(key, hash, lagging, now) {
            self.tally.l1.full.one(Full::Lagging);
        }
    }

    /// Notes that something was changed, and it is not known what.
    pub(super) fn note_lag_of_all(&self) {
        if let Some(lasts) = self.policy.replica_lag {
            self.fence.note_lag_of_all(self.clock.now().plus(lasts));
        }
    }

    /// Voids a group of keys here, and tells L2.
    pub(super) async fn invalidate_group(self: &Arc<Self>, group: Group) -> Delivery {
        let Some(shared) = &self.shared else {
            self.void_group(group);
            return Delivery::Applied;
        };
        // In this order: a flight that begins in the new generation finds the resource closed.
        shared.outbox.close();
        self.void_group(group.clone());
        let (done, delivered) = oneshot::channel();
        let core = Arc::clone(self);
        self.tasks.launch(async move {
            // The caller may have gone away.
            done.send(core.tell_l2_of_group(group).await).ok();
        });
        delivered.await.unwrap_or(Delivery::Queued)
    }

    async fn tell_l2_of_group(&self, group: Group) -> Delivery {
        let Some(shared) = &self.shared else { return Delivery::Applied };
        let selector = group.selector(&self.group);
        if shared.l2.invalidate(&[selector.into()]).await.is_some() {
            shared.outbox.told(None, Group::All);
            return Delivery::Applied;
        }
        shared.outbox.told(Some(group), Group::All);
        shared.undelivered.notify_one();
        Delivery::Queued
    }

    pub(super) fn void_group(&self, group: Group) {
        // First, so that whoever loads anew knows of it.
        self.note_lag_of_all();
        if self.fence.invalidate_group(group) {
            self.tally.l1.full.one(Full::Groups);
        }
    }

    /// Voids what somebody else has changed.
    pub(super) fn heed_change(self: &Arc<Self>, change: &Change) {
        match change {
            Change::Key { key, lag } => match self.parse(key) {
                Some(key) => {
                    let _no_gate = self.void(&key, self.fence.hash(&key), *lag, false);
                    self.probe_later(&key);
                }
                None => self.void_group(Group::All),
            },
            Change::Expired { key } => match self.parse(key) {
                Some(key) => {
                    let (hash, now) = (self.fence.hash(&key), self.clock.now());
                    let _no_gate = self.fence.expire(&key, hash, now, false);
                }
                None => self.void_group(Group::All),
            },
            Change::Tag { tag, .. } => self.void_group(Group::Tag(tag.as_str().into())),
            Change::Pattern { pattern, .. } => {
                self.void_group(pattern.parse().map_or(Group::All, Group::Pattern));
            }
            // In doubt it is too much rather than too little.
            Change::Resource { .. } | Change::Unknown => self.void_group(Group::All),
        }
    }

    /// The key of a full key.
    pub(super) fn parse(&self, full_key: &str) -> Option<K> {
        let text = full_key.strip_prefix(&self.group)?.strip_prefix(':')?;
        text.parse().ok()
    }

    fn queue_undelivered(&self, shared: &Shared<K>, waiting: Waiting<K>) {
        // What need not wait any more is covered by the gate of the whole resource.
        for freed in shared.outbox.push(waiting, Group::All) {
            self.fence.open_gate(&freed.key, freed.hash);
        }
        shared.undelivered.notify_one();
    }

    /// Delivers what waits for L2; gives whether nothing waits any more.
    pub(super) async fn deliver_queued(&self) -> bool {
        let Some(shared) = &self.shared else { return true };
        let groups = shared.outbox.groups();
        if !groups.is_empty() {
            let selectors: Vec<_> =
                groups.iter().map(|queued| queued.group.selector(&self.group).into()).collect();
            if shared.l2.invalidate(&selectors).await.is_none() {
                return false;
            }
            shared.outbox.delivered_groups(&groups);
        }
        loop {
            let waiting = shared.outbox.take(DELIVERED_AT_ONCE);
            if waiting.is_empty() {
                return shared.outbox.len() == 0;
            }
            let selectors: Vec<_> = waiting.iter().map(Waiting::invalidation).collect();
            if shared.l2.invalidate(&selectors).await.is_none() {
                shared.outbox.put_back(waiting);
                return false;
            }
            for waiting in &waiting {
                self.fence.open_gate(&waiting.key, waiting.hash);
            }
            shared.outbox.delivered(waiting.len());
        }
    }

    pub(super) fn clear(&self) {
        self.fence.clear();
        self.source.failing.clear();
        self.ahead.clear();
    }

    /// Whether memory holds a key's entry fresh at this moment.
    pub(super) fn holds_fresh(&self, key: &K) -> bool {
        let now = self.clock.now();
        let entry = self.fence.l1().find(Lookup::new(self.fence.hash(key), key));
        entry.is_some_and(|entry| now < entry.life().fresh_until && self.fence.confirm(&entry))
    }
}

impl Group {
    /// How L2 is told of a group of a resource.
    pub(super) fn selector<'a>(&'a self, resource: &'a str) -> Selector<'a> {
        match self {
            Self::All => Selector::Resource(resource),
            Self::Tag(tag) => Selector::Tag { resource, tag },
            Self::Pattern(pattern) => Selector::Pattern { resource, pattern: pattern.as_str() },
        }
    }
}
