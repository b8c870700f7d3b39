//! A scenario: who is at work, what may go wrong, and what comes of it without a mechanism.

use crate::event::Event;
use crate::l2::Selector;
use crate::protocol::{Mechanism, Protocol};
use crate::state::Faults;

/// A small world to be explored.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// As it is asked for.
    pub(crate) name: &'static str,
    /// What it is about, in a line.
    pub(crate) title: &'static str,
    pub(crate) gets: Vec<GetSpec>,
    pub(crate) changes: Vec<ChangeSpec>,
    /// How many polls each node makes.
    pub(crate) polls: [u8; 2],
    /// The coherence window in ticks; without one there is no clock, and every lease is good.
    pub(crate) window: Option<u8>,
    pub(crate) faults: Faults,
    /// L2 may not answer whoever asks it for a key.
    pub(crate) asks_time_out: bool,
    /// What the whole protocol must have seen, or else the run says nothing.
    pub(crate) sees: Vec<Event>,
    pub(crate) removals: Vec<Removal>,
}

/// Somebody who wants the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct GetSpec {
    pub(crate) node: u8,
    /// It loads ahead: nobody is answered, and L2 is asked for a permit, whatever it holds.
    pub(crate) is_preload: bool,
}

/// Somebody who changes the source.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ChangeSpec {
    pub(crate) node: u8,
    pub(crate) selector: Selector,
    pub(crate) form: Form,
}

/// How a change is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// The source is changed, and then invalidated.
    Invalidate,
    /// The source is changed, and its new value put.
    Put,
    /// One transaction changes the source and L2; the node hears of it later, if at all.
    Transaction,
}

/// The protocol without some mechanisms, and what is expected of it.
#[derive(Clone, Debug)]
pub(crate) struct Removal {
    pub(crate) label: &'static str,
    pub(crate) mechanisms: Vec<Mechanism>,
    pub(crate) expected: Expected,
}

impl Removal {
    pub(crate) fn protocol(&self) -> Protocol {
        Protocol::without(&self.mechanisms)
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Expected {
    /// Nothing stale is read.
    Safe,
    /// Something stale is read, which shows that the run can tell.
    Stale,
}

impl Scenario {
    /// A scenario in which nothing happens yet.
    pub(crate) fn new(name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            gets: Vec::new(),
            changes: Vec::new(),
            polls: [0, 0],
            window: None,
            faults: Faults::default(),
            asks_time_out: false,
            sees: Vec::new(),
            removals: Vec::new(),
        }
    }

    pub(crate) fn gets(mut self, nodes: &[u8]) -> Self {
        self.gets.extend(nodes.iter().map(|&node| GetSpec { node, is_preload: false }));
        self
    }

    pub(crate) fn preloads(mut self, nodes: &[u8]) -> Self {
        self.gets.extend(nodes.iter().map(|&node| GetSpec { node, is_preload: true }));
        self
    }

    pub(crate) fn change(mut self, node: u8, selector: Selector, form: Form) -> Self {
        self.changes.push(ChangeSpec { node, selector, form });
        self
    }

    pub(crate) fn invalidations(self, nodes: &[u8], selector: Selector) -> Self {
        let add = |scenario: Self, &node: &u8| scenario.change(node, selector, Form::Invalidate);
        nodes.iter().fold(self, add)
    }

    pub(crate) fn polls(mut self, polls: [u8; 2]) -> Self {
        self.polls = polls;
        self
    }

    pub(crate) fn window(mut self, ticks: u8) -> Self {
        self.window = Some(ticks);
        self
    }

    pub(crate) fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    pub(crate) fn asks_time_out(mut self) -> Self {
        self.asks_time_out = true;
        self
    }

    pub(crate) fn sees(mut self, events: &[Event]) -> Self {
        self.sees.extend(events);
        self
    }

    /// Something that must fail.
    pub(crate) fn stale_without(mut self, label: &'static str, mechanisms: &[Mechanism]) -> Self {
        let (mechanisms, expected) = (mechanisms.to_vec(), Expected::Stale);
        self.removals.push(Removal { label, mechanisms, expected });
        self
    }

    /// Something that costs, and is safe.
    pub(crate) fn safe_without(mut self, label: &'static str, mechanisms: &[Mechanism]) -> Self {
        let (mechanisms, expected) = (mechanisms.to_vec(), Expected::Safe);
        self.removals.push(Removal { label, mechanisms, expected });
        self
    }

    /// Whether anybody reads the log.
    pub(crate) fn needs_log(&self) -> bool {
        let puts = self.changes.iter().any(|change| change.form == Form::Put);
        puts || self.polls.iter().any(|&polls| polls > 0)
    }
}
