//! Invalidations and puts, on their way through memory and L2.

use crate::event::Event;
use crate::l2::{By, Put, Selector};
use crate::protocol::Mechanism;
use crate::scenario::{ChangeSpec, Form};
use crate::state::{Age, ChangeStep, Entry};
use crate::turn::Turn;

impl Turn<'_> {
    /// A change does its next step.
    pub(crate) fn change_goes_on(&mut self, at: usize) {
        match self.state.changes[at].step {
            ChangeStep::Idle => self.commit(at),
            ChangeStep::Committed => self.call(at),
            ChangeStep::Sent => {
                self.execute(at);
                self.state.changes[at].step = ChangeStep::Executed;
            }
            ChangeStep::Executed | ChangeStep::Delivered => self.end_change(at),
            ChangeStep::Queued => {
                // What was to be put is old by now.
                self.invalidate(self.scenario.changes[at]);
                self.state.changes[at].step = ChangeStep::Delivered;
            }
            ChangeStep::Done => {}
        }
    }

    /// The application changes the source.
    fn commit(&mut self, at: usize) {
        let spec = self.scenario.changes[at];
        if spec.selector != Selector::Other {
            self.state.source += 1;
        }
        self.state.changes[at].version = self.state.source;
        self.state.changes[at].step = ChangeStep::Committed;
        match spec.form {
            Form::Invalidate => {}
            // Whoever puts a value knows that it is the one: nothing comes between.
            Form::Put if self.has(Mechanism::PutIsCurrent) => self.call(at),
            Form::Put => {}
            Form::Transaction => {
                self.connect(spec.node);
                let is_nobodys = self.has(Mechanism::TransactionIsNobodys);
                let by = if is_nobodys { By::Nobody } else { By::Node(spec.node) };
                self.state.l2.invalidate(by, spec.selector);
                self.tell(by);
                self.apply(at);
            }
        }
    }

    /// The call's local step: memory hears of the change, and the gate is closed.
    fn call(&mut self, at: usize) {
        let spec = self.scenario.changes[at];
        self.void(spec.node, spec.selector);
        if spec.form == Form::Transaction {
            self.state.changes[at].has_returned = true;
            self.state.changes[at].step = ChangeStep::Done;
            return;
        }
        let closes = self.has(Mechanism::Gate) && spec.selector != Selector::Other;
        let version = self.state.changes[at].version;
        let node = self.node(spec.node);
        node.closed += u8::from(closes);
        let cursor = node.cursor;
        if spec.form == Form::Put {
            let (age, epoch, is_fresh) = (Age::ZERO, node.epoch, true);
            node.entry = Some(Entry { version, age, epoch, is_fresh });
            self.state.changes[at].since = cursor;
        }
        self.state.changes[at].step = ChangeStep::Sent;
    }

    /// L2 executes the first request of a change.
    fn execute(&mut self, at: usize) {
        let (change, spec) = (self.state.changes[at], self.scenario.changes[at]);
        if spec.form != Form::Put {
            return self.invalidate(spec);
        }
        self.connect(spec.node);
        let is_early = self.has(Mechanism::PutCursorBeforeStore);
        let since = if is_early { change.since } else { self.node(spec.node).cursor };
        let put = Put { by: spec.node, version: change.version, since };
        let is_stored = self.state.l2.put(self.protocol, put);
        self.see(if is_stored { Event::PutStored } else { Event::PutRefused });
        self.tell(By::Node(spec.node));
    }

    fn invalidate(&mut self, spec: ChangeSpec) {
        self.connect(spec.node);
        let by = By::Node(spec.node);
        self.state.l2.invalidate(by, spec.selector);
        self.tell(by);
    }

    /// L2 has heard of it: the gate opens, and the change counts as applied.
    fn end_change(&mut self, at: usize) {
        let spec = self.scenario.changes[at];
        let closed = self.has(Mechanism::Gate) && spec.selector != Selector::Other;
        self.node(spec.node).closed -= u8::from(closed);
        let change = &mut self.state.changes[at];
        change.step = ChangeStep::Done;
        change.has_returned = true;
        self.apply(at);
    }

    fn apply(&mut self, at: usize) {
        let change = &mut self.state.changes[at];
        change.is_applied = true;
        change.age = Age::ZERO;
    }

    /// No answer comes in time: the call returns, and the outbox keeps the invalidation. The
    /// request may be executed yet, if it has not been.
    pub(crate) fn time_out(&mut self, at: usize) {
        let is_late = self.state.changes[at].step == ChangeStep::Sent;
        self.queue(at);
        self.state.changes[at].is_late = is_late;
    }

    pub(crate) fn queue(&mut self, at: usize) {
        self.see(Event::TimedOut);
        let change = &mut self.state.changes[at];
        change.step = ChangeStep::Queued;
        change.has_returned = true;
    }

    /// L2 executes a request that nobody waits for any more.
    pub(crate) fn execute_late(&mut self, at: usize) {
        self.see(Event::ExecutedLate);
        self.state.changes[at].is_late = false;
        self.execute(at);
    }
}
