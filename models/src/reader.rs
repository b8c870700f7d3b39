//! Gets, and the loads that they begin.

use crate::event::Event;
use crate::l2::Begun;
use crate::protocol::Mechanism;
use crate::state::{Age, Entry, Get, GetStep};
use crate::turn::Turn;

impl Turn<'_> {
    /// A get does its next step.
    pub(crate) fn get_goes_on(&mut self, at: usize) {
        match self.state.gets[at].step {
            GetStep::Idle => {
                let node = self.scenario.gets[at].node;
                self.state.gets[at].must = self.must(node);
                self.state.gets[at].epoch = self.node(node).epoch;
                self.board(at);
            }
            GetStep::Boarding => self.board(at),
            GetStep::Asking => self.ask(at),
            GetStep::Loading => {
                self.state.gets[at].version = self.state.source;
                self.state.gets[at].step = GetStep::Landing;
            }
            GetStep::Landing => self.land(at, true),
            GetStep::Filling => self.fill(at),
            GetStep::Waiting | GetStep::Done => {}
        }
    }

    /// Takes what memory has, joins a flight, or begins one: one step, under the lock of the key.
    fn board(&mut self, at: usize) {
        let spec = self.scenario.gets[at];
        let held = self.servable(spec.node).filter(|held| held.is_fresh && !spec.is_preload);
        if let Some(held) = held {
            self.see(Event::L1Hit);
            return self.answer(at, held.version);
        }
        if let Some(flight) = self.node(spec.node).flight {
            let age = self.state.gets[usize::from(flight)].age;
            if self.is_leased(spec.node, age) || !self.has(Mechanism::LeaseToJoin) {
                return self.join(at, flight);
            }
            self.see(Event::Replaced);
            if self.has(Mechanism::PoisonReplaced) {
                self.poison(spec.node);
            }
        }
        let node = self.node(spec.node);
        node.flight = u8::try_from(at).ok();
        let (epoch, is_open) = (node.epoch, node.closed == 0);
        let get = &mut self.state.gets[at];
        (get.age, get.epoch) = (Age::ZERO, epoch);
        get.step = if is_open { GetStep::Asking } else { GetStep::Loading };
        if !is_open {
            self.see(Event::GateClosed);
        }
    }

    /// What memory holds, if it may be served: fresh, or else instead of an error.
    fn servable(&mut self, node: u8) -> Option<Entry> {
        let epoch = self.node(node).epoch;
        let held = self.node(node).entry?;
        (held.epoch == epoch && self.is_leased(node, held.age)).then_some(held)
    }

    fn join(&mut self, at: usize, flight: u8) {
        if self.scenario.gets[at].is_preload {
            return self.end(at);
        }
        self.see(Event::Joined);
        let get = &mut self.state.gets[at];
        (get.step, get.leader) = (GetStep::Waiting, flight);
    }

    /// L2 executes the question, and the answer comes.
    fn ask(&mut self, at: usize) {
        let spec = self.scenario.gets[at];
        self.connect(spec.node);
        let holder = u8::try_from(at).unwrap_or_default();
        let begun = self.state.l2.begin(self.protocol, holder, spec.is_preload);
        let generation = self.state.l2.generation;
        let get = &mut self.state.gets[at];
        match begun {
            Begun::Hit(version) => {
                (get.step, get.version) = (GetStep::Landing, version);
                self.see(Event::L2Hit);
            }
            Begun::Permit { fallback } => {
                (get.step, get.has_permit) = (GetStep::Loading, true);
                get.fallback = if spec.is_preload { 0 } else { fallback };
                if !self.protocol.has(Mechanism::PermitNotCounter) {
                    get.generation = generation;
                }
            }
        }
    }

    /// Nobody waits for L2 longer: the source is asked, and L2 is not told what it says.
    pub(crate) fn give_up_asking(&mut self, at: usize) {
        self.state.gets[at].step = GetStep::Loading;
    }

    /// The value goes to memory and to all who wait for it: one step, under the lock of the key.
    fn land(&mut self, at: usize, is_fresh: bool) {
        let (flight, node) = (self.state.gets[at], self.scenario.gets[at].node);
        self.leave(at, node);
        let now = self.node(node).epoch;
        if flight.is_poisoned {
            self.see(Event::Unstored);
        } else {
            let version = flight.version;
            let age = if self.has(Mechanism::StampAtStart) { flight.age } else { Age::ZERO };
            let epoch = if self.has(Mechanism::EpochAtStart) { flight.epoch } else { now };
            self.node(node).entry = Some(Entry { version, age, epoch, is_fresh });
        }
        self.answer_all(at, flight.version);
        let fills = flight.has_permit && is_fresh && !flight.is_poisoned;
        if fills && self.state.breach.is_none() && self.node(node).closed == 0 {
            let (step, version, generation) = (GetStep::Filling, flight.version, flight.generation);
            self.state.gets[at] =
                Get { step, version, generation, has_permit: true, ..Get::default() };
        }
    }

    /// Answers those who joined a flight, and who began it.
    fn answer_all(&mut self, at: usize, version: u8) {
        let epoch = self.state.gets[at].epoch;
        for waiter in 0..self.state.gets.len() {
            if !self.waits_for(waiter, at) {
                continue;
            }
            let is_late = epoch < self.state.gets[waiter].epoch;
            if is_late && self.has(Mechanism::JoinersRecheck) {
                self.see(Event::Rejoined);
                self.state.gets[waiter].step = GetStep::Boarding;
            } else {
                self.answer(waiter, version);
            }
        }
        self.answer(at, version);
    }

    fn waits_for(&self, waiter: usize, at: usize) -> bool {
        let get = &self.state.gets[waiter];
        get.step == GetStep::Waiting && usize::from(get.leader) == at
    }

    /// A load fails: an older value is good enough, from L2 or from memory, if it may be served.
    pub(crate) fn fail(&mut self, at: usize) {
        let node = self.scenario.gets[at].node;
        let fallback = self.state.gets[at].fallback;
        if fallback > 0 {
            self.see(Event::ServedStale);
            self.state.gets[at].version = fallback;
            return self.land(at, false);
        }
        self.leave(at, node);
        let held = self.servable(node);
        for other in 0..self.state.gets.len() {
            if other != at && !self.waits_for(other, at) {
                continue;
            }
            match held {
                Some(held) => {
                    self.see(Event::ServedStale);
                    self.answer(other, held.version);
                }
                None => self.end(other),
            }
        }
    }

    /// The flight is off the table, if it is the one there.
    fn leave(&mut self, at: usize, node: u8) {
        let flight = &mut self.node(node).flight;
        *flight = flight.filter(|flight| usize::from(*flight) != at);
    }

    fn answer(&mut self, at: usize, version: u8) {
        if !self.scenario.gets[at].is_preload {
            self.give(self.state.gets[at].must, version);
        }
        self.end(at);
    }

    fn end(&mut self, at: usize) {
        self.state.gets[at] = Get { step: GetStep::Done, ..Get::default() };
    }

    /// L2 executes the fill, however late.
    fn fill(&mut self, at: usize) {
        let (get, spec) = (self.state.gets[at], self.scenario.gets[at]);
        self.connect(spec.node);
        let holder = u8::try_from(at).unwrap_or_default();
        let (protocol, l2) = (self.protocol, &mut self.state.l2);
        let is_stored = l2.fill(protocol, holder, get.version, get.generation);
        self.see(if is_stored { Event::FillStored } else { Event::FillRefused });
        self.end(at);
    }
}
