//! What a learner tells of what it has learned.

use std::ops::Range;
use std::time::Duration;

use super::Learner;
use crate::clock::Moment;
use crate::entry::KeyId;
use crate::predictor::association::{Follower, NodeId};
use crate::predictor::{Knowledge, KnownKey, KnownLeader, Rule};

/// How much a learner remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LearnerFigures {
    pub(crate) keys: usize,
    /// Pairs of keys that follow each other.
    pub(crate) pairs: usize,
    pub(crate) clients: usize,
}

/// A key that was seen to follow another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Learned {
    /// The resource and the text of the key that is read first.
    pub(crate) from: (u16, Box<str>),
    /// Those of the key that follows.
    pub(crate) to: (u16, Box<str>),
    /// The share of the reads of the first after which it came.
    pub(crate) confidence: f64,
    /// How often that was, decayed.
    pub(crate) weight: f64,
}

impl Learner {
    /// How much is remembered.
    pub(crate) fn figures(&self) -> LearnerFigures {
        LearnerFigures {
            keys: self.associations.len(),
            pairs: self.associations.pairs(),
            clients: self.windows.len(),
        }
    }

    /// Takes the numbers of keys and of clients that were forgotten for others since the last call.
    pub(crate) fn take_dropped(&mut self) -> [u64; 2] {
        [self.associations.take_evicted(), self.windows.take_evicted()]
    }

    /// What follows a key, surest first.
    pub(crate) fn followers(&self, name: KeyId) -> Vec<Learned> {
        let Some(from) = self.associations.find(name) else { return Vec::new() };
        let followers = self.associations.followers(from, 0.0);
        let mut learned: Vec<_> =
            followers.filter_map(|follower| self.learned(from, follower)).collect();
        learned.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        learned
    }

    /// The pairs of keys that were seen most often to follow each other, most often first.
    pub(crate) fn strongest(&self, count: usize) -> Vec<Learned> {
        let mut pairs: Vec<_> = self.associations.all().collect();
        pairs.sort_by(|a, b| b.1.weight.total_cmp(&a.1.weight));
        let strongest = pairs.into_iter().take(count);
        strongest.filter_map(|(from, follower)| self.learned(from, follower)).collect()
    }

    fn learned(&self, from: NodeId, follower: Follower) -> Option<Learned> {
        let [from, to] = [from, follower.to].map(|node| {
            let node = self.associations.get(node)?;
            Some((node.name().resource, Box::from(node.text())))
        });
        let Follower { confidence, weight, .. } = follower;
        Some(Learned { from: from?, to: to?, confidence, weight })
    }

    /// The rules for reads of a resource.
    pub(crate) fn rules(&self, resource: u16) -> Vec<Rule> {
        self.rules.of(resource).collect()
    }

    /// What is known of the keys in some places, which end with [`LearnerFigures::keys`]; each with
    /// the name by which the others know it.
    pub(crate) fn known_keys(&self, places: Range<usize>, now: Moment) -> Vec<(u32, KnownKey)> {
        self.associations.known(places, now)
    }

    /// What is known of resources that are read with the same id.
    pub(crate) fn known_leaders(&self) -> Vec<KnownLeader> {
        self.rules.known()
    }

    /// Adds what an earlier process knew that ended `away` ago, of keys that have these names now.
    /// Gives how many keys there was room for.
    pub(crate) fn recall(
        &mut self,
        known: &Knowledge,
        names: &[Option<KeyId>],
        away: Duration,
        now: Moment,
    ) -> usize {
        self.rules.recall(&known.leaders);
        let left = self.associations.left_after(away);
        self.associations.recall(&known.keys, names, left, now)
    }

    /// How far other keys' preloads cover the reads of a key, 0 to 1.
    pub(crate) fn coverage(&self, name: KeyId) -> f32 {
        let node = self.associations.find(name).and_then(|id| self.associations.get(id));
        node.map_or(0.0, super::super::association::Node::coverage)
    }
}
