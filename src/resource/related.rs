//! What is usually read after a key.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;

use super::Resource;
use crate::entry::KeyId;
use crate::error::Error;
use crate::key::Key;
use crate::scope::Scope;

/// A key that is usually read after another.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RelatedKey {
    /// The resource of the key.
    pub resource: Box<str>,
    /// The text of the key.
    pub key: Box<str>,
    /// The share of the reads of the other key after which this one was read, 0 to 1.
    pub confidence: f64,
    /// How often that was; older times count less.
    pub weight: f64,
}

/// A rule that was learned: reads of one resource are followed by reads of another with the same id.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LearnedRule {
    /// The resource that follows.
    pub resource: Box<str>,
    /// The share of the reads of the first resource that were followed so, 0 to 1.
    pub confidence: f64,
}

impl<K, V> Resource<K, V>
where
    K: Key,
    V: Send + Sync + 'static,
{
    /// As [`Resource::get`], for a client whose scope is passed by hand; see [`Scope`].
    ///
    /// # Errors
    ///
    /// As [`Resource::get`].
    pub async fn get_in<Q>(&self, scope: &Scope, key: &Q) -> Result<Option<Arc<V>>, Error>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + Sync + ToOwned<Owned = K> + ?Sized,
    {
        scope.run(self.get(key)).await
    }

    /// The keys that are usually read after a key, of whatever resource, most usual first: at most
    /// 8. Counts nothing.
    #[must_use]
    pub fn related<Q>(&self, key: &Q) -> Vec<RelatedKey>
    where
        K: Borrow<Q>,
        Q: Hash + ?Sized,
    {
        let name = KeyId { resource: self.core.id, hash: self.core.fence.hash(key) };
        let followers = self.core.foreseeing.foresight.look(|learner| learner.followers(name));
        let related =
            followers.unwrap_or_default().into_iter().filter_map(|(to, key, follower)| {
                let resource = self.engine.resource_name(to)?.as_ref().into();
                let (confidence, weight) = (follower.confidence, follower.weight);
                Some(RelatedKey { resource, key, confidence, weight })
            });
        related.collect()
    }

    /// The resources that are read after this one with the same id, most usual first.
    #[must_use]
    pub fn learned_rules(&self) -> Vec<LearnedRule> {
        let rules = self.core.foreseeing.foresight.look(|learner| learner.rules(self.core.id));
        let learned = rules.unwrap_or_default().into_iter().filter_map(|rule| {
            let resource = self.engine.resource_name(rule.to)?.as_ref().into();
            Some(LearnedRule { resource, confidence: rule.confidence })
        });
        let mut learned: Vec<_> = learned.collect();
        learned.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        learned
    }
}
