//! One step of somebody, and what all steps have in common.

use crate::event::{Event, Seen};
use crate::l2::{By, Selector};
use crate::protocol::{Mechanism, Protocol};
use crate::scenario::Scenario;
use crate::state::{Age, Breach, GetStep, Must, Node, Poll, State};

/// A state that somebody is changing.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) state: State,
    pub(crate) scenario: &'a Scenario,
    pub(crate) protocol: Protocol,
    pub(crate) seen: Seen,
}

impl Turn<'_> {
    pub(crate) const fn has(&self, mechanism: Mechanism) -> bool {
        self.protocol.has(mechanism)
    }

    pub(crate) const fn see(&mut self, event: Event) {
        self.seen.add(event);
    }

    pub(crate) fn node(&mut self, node: u8) -> &mut Node {
        &mut self.state.nodes[usize::from(node)]
    }

    /// Time passes for all alike.
    pub(crate) fn tick(&mut self) {
        let Some(window) = self.scenario.window else { return };
        for node in &mut self.state.nodes {
            node.synced.tick(window);
            if let Some(entry) = &mut node.entry {
                entry.age.tick(window);
            }
            if node.poll != Poll::default() {
                node.poll.age.tick(window);
            }
        }
        for get in &mut self.state.gets {
            if matches!(get.step, GetStep::Asking | GetStep::Loading | GetStep::Landing) {
                get.age.tick(window);
            }
        }
        for change in &mut self.state.changes {
            if change.is_applied {
                change.age.tick(window);
            }
        }
    }

    /// Whether a node may serve what it began to load so long ago.
    pub(crate) fn is_leased(&self, node: u8, age: Age) -> bool {
        let Some(window) = self.scenario.window else { return true };
        let synced = self.state.nodes[usize::from(node)].synced;
        let is_young = self.has(Mechanism::MicroTtl) && age.is_within(window);
        is_young || synced.is_within(window) || !self.has(Mechanism::Lease)
    }

    /// What a get that comes now must see.
    pub(crate) fn must(&self, node: u8) -> Must {
        let mut must = Must::default();
        for (change, spec) in self.state.changes.iter().zip(&self.scenario.changes) {
            if spec.selector == Selector::Other {
                continue;
            }
            if change.has_returned && spec.node == node {
                must.here = must.here.max(change.version);
            }
            let is_old = self.scenario.window.is_some_and(|window| !change.age.is_within(window));
            if change.is_applied && is_old {
                must.anywhere = must.anywhere.max(change.version);
            }
        }
        must
    }

    /// A caller is given a version.
    pub(crate) fn give(&mut self, must: Must, version: u8) {
        let breach = if version < must.here {
            Breach::SameNode
        } else if version < must.anywhere {
            Breach::AnyNode
        } else {
            return;
        };
        self.state.breach = Some(breach);
        self.see(Event::Breach);
    }

    /// Makes a node's connection to L2, if there is none.
    pub(crate) fn connect(&mut self, node: u8) {
        if self.node(node).is_connected {
            return;
        }
        self.node(node).is_connected = true;
        if !self.has(Mechanism::Handshake) {
            return;
        }
        let by_promotion = self.has(Mechanism::NameOfPromotion);
        let name = if by_promotion { self.state.promotions } else { self.state.server };
        if self.state.l2.greet(name, &mut self.state.lives) {
            self.see(Event::NewLife);
        }
    }

    /// What is selected is wrong, as a node has heard.
    pub(crate) fn void(&mut self, node: u8, selector: Selector) {
        match selector {
            Selector::Key => {
                self.poison(node);
                let purges = self.has(Mechanism::PurgeStale);
                let entry = &mut self.node(node).entry;
                *entry = entry.filter(|entry| !purges && !entry.is_fresh);
            }
            Selector::Group => self.node(node).epoch += 1,
            Selector::Other => {}
        }
    }

    /// The flight in a node's table can neither store nor be joined any more.
    pub(crate) fn poison(&mut self, node: u8) {
        let Some(flight) = self.node(node).flight else { return };
        if self.has(Mechanism::PoisonFlights) {
            self.state.gets[usize::from(flight)].is_poisoned = true;
        }
        if self.has(Mechanism::DetachFlights) {
            self.node(node).flight = None;
        }
    }

    /// L2 has changed something: whoever listens may hear of it.
    pub(crate) fn tell(&mut self, by: By) {
        if !self.protocol.heeds_messages() {
            return;
        }
        let bit = 1 << self.state.l2.length;
        for (node, other) in (0..).zip(&mut self.state.nodes) {
            if by != By::Node(node) {
                other.messages |= bit;
            }
        }
    }
}
