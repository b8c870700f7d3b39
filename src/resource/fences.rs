//! Invalidations that belong to a transaction of the application.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use super::Resource;
use super::write::{matching, tagged};
use crate::error::ConfigError;
use crate::fence::Group;
use crate::key::Key;
use crate::tier::{Invalidation, Lag, Selector};

/// What a transaction of the application makes wrong, to be invalidated if it commits and not if it
/// does not.
///
/// Nothing happens until it is given to a tier that can take part in the transaction, such as
/// `PostgresTier::commit`; dropping it does nothing.
#[derive(Default)]
#[must_use = "fences do nothing until they are given to a tier"]
pub struct Fences {
    parts: Vec<Part>,
}

/// One selector of one resource.
struct Part {
    what: What,
    lag: Option<Lag>,
    void: Box<dyn Fn() + Send + Sync>,
}

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
        let core = Arc::clone(&resource.core);
        let (key, hash) = (key.to_owned(), core.fence.hash(key));
        let what = core.full_key(&key).map_or(What::Unnamed, What::Key);
        let lag = core.policy.replica_lag.map(|lasts| Lag { lasts, min_version: None });
        let void = move || {
            let _no_gate = core.void(&key, hash, lag, false);
        };
        self.parts.push(Part { what, lag, void: Box::new(void) });
        self
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
        let what = What::Group { resource: core.group.clone(), group: group.clone() };
        let void = move || core.void_group(group.clone());
        self.parts.push(Part { what, lag: None, void: Box::new(void) });
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
