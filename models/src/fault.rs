//! What goes wrong: expiries, failovers, logs that are cut off.

use crate::state::{ChangeStep, GetStep, Poll, PollStep};
use crate::turn::Turn;

impl Turn<'_> {
    /// What memory holds passes its life.
    pub(crate) fn expire_in_memory(&mut self, node: u8) {
        self.state.budget.expiries -= 1;
        if let Some(entry) = &mut self.node(node).entry {
            entry.is_fresh = false;
        }
    }

    /// What L2 holds passes its life.
    pub(crate) fn expire_in_l2(&mut self) {
        self.state.budget.expiries -= 1;
        if let Some(value) = &mut self.state.l2.value {
            value.is_fresh = false;
        }
    }

    /// The standby hears of everything that the present server has done.
    pub(crate) fn replicate(&mut self) {
        self.state.budget.replications -= 1;
        self.state.standby = self.state.l2;
    }

    /// The standby takes the place of the present server, with what it has heard. All connections
    /// break, and with them what has not been executed; answers that are under way may still come.
    pub(crate) fn fail_over(&mut self) {
        let state = &mut self.state;
        state.budget.failovers -= 1;
        std::mem::swap(&mut state.l2, &mut state.standby);
        state.server = 1 - state.server;
        state.promotions += 1;
        for node in &mut state.nodes {
            node.is_connected = false;
            node.messages = 0;
            if node.poll.step == PollStep::Sent {
                node.poll = Poll::default();
            }
        }
        for get in &mut state.gets {
            match get.step {
                GetStep::Asking => get.step = GetStep::Loading,
                GetStep::Filling => {
                    *get = crate::state::Get { step: GetStep::Done, ..Default::default() };
                }
                _ => {}
            }
        }
        for at in 0..self.state.changes.len() {
            self.state.changes[at].is_late = false;
            if self.state.changes[at].step == ChangeStep::Sent {
                self.queue(at);
            }
        }
    }
}
