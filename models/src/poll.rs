//! Polls: the only truth about what others have changed. And messages, where they count.

use crate::event::Event;
use crate::l2::{Row, Selector};
use crate::protocol::Mechanism;
use crate::state::{Age, Poll, PollStep};
use crate::turn::Turn;

impl Turn<'_> {
    /// A node's poll does its next step.
    pub(crate) fn poll_goes_on(&mut self, node: u8) {
        match self.node(node).poll.step {
            PollStep::Resting => {
                let node = self.node(node);
                node.polls_left -= 1;
                node.poll.step = PollStep::Sent;
            }
            PollStep::Sent => {
                self.connect(node);
                let since = self.node(node).cursor;
                let (found, mark) =
                    (self.state.l2.poll(self.protocol, node, since), self.state.l2.mark());
                let poll = &mut self.node(node).poll;
                (poll.step, poll.found, poll.mark) = (PollStep::Answered, found, mark);
            }
            PollStep::Answered => {
                if self.has(Mechanism::LeaseAfterRows) {
                    self.apply_rows(node);
                    self.renew_lease(node);
                    self.node(node).poll = Poll::default();
                } else {
                    self.renew_lease(node);
                    self.node(node).poll.step = PollStep::Renewed;
                }
            }
            PollStep::Renewed => {
                self.apply_rows(node);
                self.node(node).poll = Poll::default();
            }
        }
    }

    /// Applies what was found, and only then moves the cursor.
    fn apply_rows(&mut self, node: u8) {
        let Poll { found, mark, .. } = self.node(node).poll;
        let voids_all = found.gap && self.has(Mechanism::GapVoids);
        if found.gap {
            self.see(Event::Gap);
        }
        if found.key || voids_all {
            self.see(Event::RowsApplied);
            self.void(node, Selector::Key);
        }
        if found.group || voids_all {
            self.see(Event::RowsApplied);
            self.void(node, Selector::Group);
        }
        self.node(node).cursor = mark;
    }

    /// Memory may be served for a window from when the poll was sent.
    fn renew_lease(&mut self, node: u8) {
        let from_send = self.has(Mechanism::LeaseFromSend);
        let node = self.node(node);
        let age = if from_send { node.poll.age } else { Age::ZERO };
        node.synced = node.synced.min(age);
    }

    /// A message comes. It does nothing by itself but in protocols that take it for more.
    pub(crate) fn hear_message(&mut self, node: u8, position: u8) {
        self.node(node).messages &= !(1 << position);
        if !self.has(Mechanism::LeaseByPollAlone) {
            self.node(node).synced = Age::ZERO;
        }
        if !self.has(Mechanism::CursorByPollAlone) {
            match self.state.l2.row(position) {
                Row::Key(_) => self.void(node, Selector::Key),
                Row::Group(_) => self.void(node, Selector::Group),
                Row::Other => {}
            }
            let cursor = &mut self.node(node).cursor;
            cursor.position = cursor.position.max(position);
        }
    }
}
