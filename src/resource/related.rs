//! What is usually read after a key.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;

use super::Resource;
use crate::engine::Engine;
use crate::entry::KeyId;
use crate::error::Error;
use crate::key::Key;
use crate::predictor::Learned;
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
    /// How often that was; as of the last read of the other key, older times count less.
    pub weight: f64,
}

/// A pair of keys of which the second is usually read after the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LearnedPair {
    /// The resource of the first key.
    pub resource: Box<str>,
    /// The text of the first key.
    pub key: Box<str>,
    /// The second key.
    pub related: RelatedKey,
}

/// A rule that was learned: reads of one resource are followed by reads of another with the same id.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LearnedRule {
    /// The resource that is read first.
    pub from: Box<str>,
    /// The resource that follows.
    pub to: Box<str>,
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
        let related = followers.unwrap_or_default().into_iter();
        let related = related.filter_map(|learned| self.engine.related_key(learned));
        related.collect()
    }
}

impl Engine {
    /// The pairs of keys that were seen most often to follow each other, most often first.
    pub(crate) fn learned_pairs(&self, count: usize) -> Vec<LearnedPair> {
        let strongest = self.foresight.look(|learner| learner.strongest(count)).unwrap_or_default();
        let pairs = strongest.into_iter().filter_map(|learned| {
            let (from, key) = learned.from.clone();
            let resource = self.resource_name(from)?.as_ref().into();
            Some(LearnedPair { resource, key, related: self.related_key(learned)? })
        });
        pairs.collect()
    }

    fn related_key(&self, learned: Learned) -> Option<RelatedKey> {
        let Learned { to: (to, key), confidence, weight, .. } = learned;
        let resource = self.resource_name(to)?.as_ref().into();
        Some(RelatedKey { resource, key, confidence, weight })
    }

    /// The rules that were learned, surest first.
    pub(crate) fn learned_rules(&self) -> Vec<LearnedRule> {
        let names: Vec<_> = self.resources().iter().map(|known| Arc::clone(known.name())).collect();
        let of = |(place, from): (u16, &Arc<str>)| {
            let rules = self.foresight.look(|learner| learner.rules(place)).unwrap_or_default();
            let named = rules.into_iter().filter_map(|rule| {
                let to = names.get(usize::from(rule.to))?.as_ref().into();
                Some(LearnedRule { from: from.as_ref().into(), to, confidence: rule.confidence })
            });
            named.collect::<Vec<_>>()
        };
        let mut rules: Vec<_> = (0..).zip(&names).flat_map(of).collect();
        rules.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        rules
    }
}
