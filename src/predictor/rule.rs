//! Resources that are read with the same id.

use super::known::{KnownLeader, amount};

/// Which resources follow which with the same id: after `user:7` comes `permission:7`.
///
/// What is learned holds for every id, so the first read of `user:9` proposes `permission:9`.
/// Bounded by the number of resources.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    resources: Vec<Leader>,
}

/// What follows the reads of one resource.
#[derive(Clone, Debug, Default)]
struct Leader {
    /// Halved with the weights when it is large, so that rules can change.
    reads: f32,
    /// By resource.
    weights: Vec<f32>,
}

/// A rule: reads of one resource are followed by reads of another with the same id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) to: u16,
    /// The share of the reads of the first that were followed so.
    pub(crate) confidence: f64,
}

const MEMORY: f32 = 2_000.0;

impl Rules {
    pub(crate) fn new(resources: usize) -> Self {
        let leader = Leader { reads: 0.0, weights: vec![0.0; resources] };
        Self { resources: vec![leader; resources] }
    }

    /// Notes a read.
    pub(crate) fn read(&mut self, resource: u16) {
        let Some(leader) = self.resources.get_mut(usize::from(resource)) else { return };
        leader.reads += 1.0;
        if leader.reads > MEMORY {
            leader.reads /= 2.0;
            leader.weights.iter_mut().for_each(|weight| *weight /= 2.0);
        }
    }

    /// Notes that a read of `from` was followed by one of `to` with the same id.
    pub(crate) fn link(&mut self, from: u16, to: u16) {
        let leader = self.resources.get_mut(usize::from(from));
        if let Some(weight) = leader.and_then(|leader| leader.weights.get_mut(usize::from(to))) {
            *weight += 1.0;
        }
    }

    /// The rules for reads of `from`.
    pub(crate) fn of(&self, from: u16) -> impl Iterator<Item = Rule> {
        let leader = self.resources.get(usize::from(from));
        let weights = leader.into_iter().flat_map(|leader| {
            let share = move |weight: &f32| f64::from(*weight / leader.reads.max(1.0)).min(1.0);
            (0..).zip(leader.weights.iter().map(share))
        });
        weights
            .filter(|(_, confidence)| *confidence > 0.0)
            .map(|(to, confidence)| Rule { to, confidence })
    }

    /// What is known, by the place of the resource that is read first.
    pub(crate) fn known(&self) -> Vec<KnownLeader> {
        let known = self.resources.iter().map(|leader| {
            let weights = (0..).zip(leader.weights.iter().copied());
            let followers = weights.filter(|(_, weight)| *weight > 0.0).collect();
            KnownLeader { reads: leader.reads, followers }
        });
        known.collect()
    }

    /// Adds what an earlier process knew.
    pub(crate) fn recall(&mut self, known: &[KnownLeader]) {
        for (leader, known) in self.resources.iter_mut().zip(known) {
            leader.reads += amount(known.reads).min(MEMORY);
            for (to, weight) in &known.followers {
                if let Some(known) = leader.weights.get_mut(usize::from(*to)) {
                    *known += amount(*weight).min(MEMORY);
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.resources.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_the_share_of_reads_that_were_followed() {
        let mut rules = Rules::new(3);
        for nth in 0..100 {
            rules.read(0);
            if nth % 4 != 0 {
                rules.link(0, 2);
            }
        }
        let found: Vec<_> = rules.of(0).collect();
        assert_eq!(found, [Rule { to: 2, confidence: 0.75 }]);
        assert_eq!(rules.of(2).count(), 0);
    }

    #[test]
    fn a_rule_that_no_longer_holds_fades() {
        let mut rules = Rules::new(2);
        (0..100_000).for_each(|_| {
            rules.read(0);
            rules.link(0, 1);
        });
        (0..10_000).for_each(|_| rules.read(0));
        let confidence = rules.of(0).map(|rule| rule.confidence).sum::<f64>();
        assert!(confidence < 0.01, "{confidence}");
    }

    #[test]
    fn resources_that_there_are_not_are_nothing() {
        let mut rules = Rules::new(1);
        rules.read(9);
        rules.link(9, 0);
        rules.link(0, 9);
        assert_eq!((rules.of(9).count(), rules.of(0).count()), (0, 0));
    }
}
