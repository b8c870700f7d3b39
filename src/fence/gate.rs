//! Keys that are not to be read from L2.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::FixedState;

/// Keys whose invalidation has not reached L2 yet: what L2 says of them may be wrong.
#[derive(Debug)]
pub(super) struct Gates<K> {
    closed: HashMap<K, Gate, FixedState>,
    tickets: u64,
}

#[derive(Debug, Default)]
struct Gate {
    /// The invalidations under way.
    pending: u32,
    latest: u64,
}

/// The order in which invalidations of a key came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ticket(u64);

impl<K: Clone + Eq + Hash> Gates<K> {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self { closed: HashMap::with_hasher(hasher), tickets: 0 }
    }

    pub(super) fn close(&mut self, key: &K) -> Ticket {
        self.tickets += 1;
        let gate = self.closed.entry(key.clone()).or_default();
        gate.pending += 1;
        gate.latest = self.tickets;
        Ticket(self.tickets)
    }

    /// Ends one of the invalidations; the gate opens with the last.
    pub(super) fn open(&mut self, key: &K) {
        if let Some(gate) = self.closed.get_mut(key) {
            gate.pending -= 1;
            if gate.pending == 0 {
                self.closed.remove(key);
            }
        }
    }

    pub(super) fn is_open(&self, key: &K) -> bool {
        !self.closed.contains_key(key)
    }

    pub(super) fn is_overtaken(&self, key: &K, ticket: Ticket) -> bool {
        self.closed.get(key).is_some_and(|gate| gate.latest != ticket.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_opens_with_the_last_of_its_invalidations() {
        let mut gates = Gates::new(FixedState::default());
        assert!(gates.is_open(&1));
        let first = gates.close(&1);
        assert!(!gates.is_overtaken(&1, first));
        let second = gates.close(&1);
        assert!(gates.is_overtaken(&1, first) && !gates.is_overtaken(&1, second));
        gates.open(&1);
        assert!(!gates.is_open(&1) && gates.is_open(&2));
        gates.open(&1);
        assert!(gates.is_open(&1));
    }
}
