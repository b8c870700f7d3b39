//! Resources that are read with the same id.

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

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.resources.len());
    }
}
