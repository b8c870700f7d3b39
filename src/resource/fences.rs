//! Invalidations that belong to a transaction of the application.

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::join_all;

use super::Resource;
use super::core::Core;
use super::write::{Delivery, matching, tagged};
use crate::error::{ConfigError, Error};
use crate::fence::Group;
use crate::key::Key;
use crate::task::Tasks;
use crate::tier::{Invalidation, Lag, Selector};

/// What a transaction of the application makes wrong, to be invalidated if it commits and not if it
/// does not.
///
/// Nothing happens until the transaction is committed with it: by `Fences::commit`, which takes any
/// transaction of sqlx, or by `PostgresTier::commit`, where the invalidations are part of the
/// transaction. Dropping it does nothing.
#[derive(Default)]
#[must_use = "fences do nothing until a transaction is committed with them"]
pub struct Fences {
    parts: Vec<Part>,
    /// Where a commit is carried through; none if there is nothing to invalidate.
    tasks: Option<Arc<Tasks>>,
}

/// One selector of one resource.
struct Part {
    what: What,
    lag: Option<Lag>,
    /// The local step alone.
    void: Box<dyn Fn() + Send + Sync>,
    /// All of it; the local step at the first poll.
    invalidate: Box<dyn Fn() -> Invalidating + Send + Sync>,
}

type Invalidating = Pin<Box<dyn Future<Output = Delivery> + Send>>;

/// A selector that owns its texts.
enum What {
    Key(String),
    Group {
        resource: String,
        group: Group,
    },
    /// A key that only this process can name.
    Unnamed,
}

impl Fences {
    /// Invalidates nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, and a key.
    pub fn key<K, V, Q>(mut self, resource: &Resource<K, V>, key: &Q) -> Self
    where
        K: Key + Borrow<Q>,
        V: Send + Sync + 'static,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        let core = &resource.core;
        self.push_key(core, key.to_owned(), core.fence.hash(key));
        self
    }

    /// The same, and a name by an [`Alias`](crate::Alias) that a value is given by the transaction:
    /// that nothing had it may be remembered. A name that a value loses needs nothing.
    ///
    /// # Errors
    ///
    /// There is no such alias.
    pub fn name<K, V>(
        mut self,
        resource: &Resource<K, V>,
        alias: &str,
        text: &str,
    ) -> Result<Self, Error>
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        let (index, text) = resource.name_in_index(alias, text)?;
        let hash = index.fence.hash(text.as_str());
        self.push_key(index, text, hash);
        Ok(self)
    }

    fn push_key<K, V>(&mut self, core: &Arc<Core<K, V>>, key: K, hash: u64)
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        let what = core.full_key(&key).map_or(What::Unnamed, What::Key);
        let lag = core.policy.replica_lag.map(|lasts| Lag { lasts, min_version: None });
        self.tasks.get_or_insert_with(|| Arc::clone(&core.tasks));
        let (voided, voided_key) = (Arc::clone(core), key.clone());
        let void = move || {
            let _no_gate = voided.void(&voided_key, hash, lag, false);
        };
        let core = Arc::clone(core);
        let invalidate = move || -> Invalidating {
            let (core, key) = (Arc::clone(&core), key.clone());
            Box::pin(async move { core.invalidate(key, hash, lag).await })
        };
        let (void, invalidate) = (Box::new(void), Box::new(invalidate));
        self.parts.push(Part { what, lag, void, invalidate });
    }

    /// The same, and the keys of a resource that match a pattern, such as `42:*`.
    ///
    /// # Errors
    ///
    /// The text is no pattern.
    pub fn matching<K, V>(
        self,
        resource: &Resource<K, V>,
        pattern: &str,
    ) -> Result<Self, ConfigError>
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        Ok(self.group(resource, matching(pattern)?))
    }

    /// The same, and the values of a resource that have a tag.
    ///
    /// # Errors
    ///
    /// The text is no tag.
    pub fn tag<K, V>(self, resource: &Resource<K, V>, tag: &str) -> Result<Self, ConfigError>
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        Ok(self.group(resource, tagged(tag)?))
    }

    /// The same, and a resource as a whole.
    pub fn all<K, V>(self, resource: &Resource<K, V>) -> Self
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        self.group(resource, Group::All)
    }

    fn group<K, V>(mut self, resource: &Resource<K, V>, group: Group) -> Self
    where
        K: Key,
        V: Send + Sync + 'static,
    {
        let core = Arc::clone(&resource.core);
        self.tasks.get_or_insert_with(|| Arc::clone(&core.tasks));
        let what = What::Group { resource: core.group.clone(), group: group.clone() };
        let (voided, voided_group) = (Arc::clone(&core), group.clone());
        let void = move || voided.void_group(voided_group.clone());
        let invalidate = move || -> Invalidating {
            let (core, group) = (Arc::clone(&core), group.clone());
            Box::pin(async move { core.invalidate_group(group).await })
        };
        let (void, invalidate) = (Box::new(void), Box::new(invalidate));
        self.parts.push(Part { what, lag: None, void, invalidate });
        self
    }

    /// What a tier is to be told.
    #[must_use]
    pub fn invalidations(&self) -> Vec<Invalidation<'_>> {
        fn of(part: &Part) -> Option<Invalidation<'_>> {
            let selector = match &part.what {
                What::Key(key) => Selector::Key(key),
                What::Group { resource, group } => group.selector(resource),
                What::Unnamed => return None,
            };
            Some(Invalidation { selector, lag: part.lag })
        }
        self.parts.iter().filter_map(of).collect()
    }

    /// Invalidates all of it, here and in L2, as [`Resource::invalidate`] does: for changes that were
    /// committed in another way. `Queued` if any part of it is.
    pub async fn invalidate(self) -> Delivery {
        // Each does its local step at its first poll, so all are done before any is waited for.
        let told = join_all(self.parts.iter().map(|part| (part.invalidate)())).await;
        match told.contains(&Delivery::Queued) {
            true => Delivery::Queued,
            false => Delivery::Applied,
        }
    }

    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        expect(dead_code, reason = "used by commits")
    )]
    pub(crate) fn tasks(&self) -> Option<Arc<Tasks>> {
        self.tasks.clone()
    }

    /// Voids what this process holds: the step after a commit. When it has returned, no read that
    /// starts later on this engine gives what was loaded before.
    pub fn apply(self) {
        self.parts.iter().for_each(|part| (part.void)());
    }
}

impl fmt::Debug for Fences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fences").field("parts", &self.parts.len()).finish()
    }
}
