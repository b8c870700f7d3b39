//! The model that stateright explores: who may do what next.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use stateright::{Model, Property};

use crate::event::Seen;
use crate::l2::{L2, Mark};
use crate::protocol::{Mechanism, Protocol};
use crate::scenario::Scenario;
use crate::state::{
    Age, CHANGES, Change, ChangeStep, FIRST_VERSION, GETS, Get, GetStep, Node, PollStep, State,
};
use crate::turn::Turn;

/// A scenario under a protocol.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) protocol: Protocol,
    /// What was seen in any of the states.
    seen: AtomicU32,
}

/// What happens next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Tick,
    Get(u8),
    AskTimesOut(u8),
    LoadFails(u8),
    Change(u8),
    ChangeTimesOut(u8),
    LateRequest(u8),
    Poll(u8),
    Message { node: u8, position: u8 },
    ExpireInMemory(u8),
    ExpireInL2,
    Replicate,
    FailOver,
    TrimLog,
    ForgetEpoch,
    ExpireTombstone,
}

impl World {
    pub(crate) fn new(scenario: Scenario, protocol: Protocol) -> Self {
        Self { scenario, protocol, seen: AtomicU32::new(0) }
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen(self.seen.load(Relaxed))
    }

    /// What a state is at first: the nodes have read the log, and proven nothing yet.
    pub(crate) fn first(&self) -> State {
        let scenario = &self.scenario;
        let mut state = State { source: FIRST_VERSION, lives: 1, ..State::default() };
        state.budget = scenario.faults;
        state.l2 = L2 { life: 1, named_by: 0, ..L2::default() };
        for (node, polls_left) in state.nodes.iter_mut().zip(scenario.polls) {
            let cursor = Mark { life: 1, position: 0 };
            let synced = scenario.window.map_or(Age::ZERO, Age::beyond);
            *node = Node { cursor, synced, polls_left, is_connected: true, ..Node::default() };
        }
        for at in scenario.gets.len()..GETS {
            state.gets[at] = Get { step: GetStep::Done, ..Get::default() };
        }
        for at in scenario.changes.len()..CHANGES {
            state.changes[at] = Change { step: ChangeStep::Done, ..Change::default() };
        }
        state
    }

    /// Whether everybody who is to be answered has been.
    fn is_over(&self, state: &State) -> bool {
        let has_ended = |get: &Get| matches!(get.step, GetStep::Done | GetStep::Filling);
        let mut gets = state.gets.iter().zip(&self.scenario.gets);
        state.breach.is_some() || gets.all(|(get, spec)| spec.is_preload || has_ended(get))
    }

    fn gets(&self, state: &State, actions: &mut Vec<Action>) {
        for (nth, (get, spec)) in (0..).zip(state.gets.iter().zip(&self.scenario.gets)) {
            let before = state.gets.iter().zip(&self.scenario.gets).take(usize::from(nth));
            // Who has not come yet is as good as anybody else who has not.
            let mut same = before.filter(|(_, other)| *other == spec);
            match get.step {
                GetStep::Idle if same.any(|(other, _)| other.step == GetStep::Idle) => {}
                GetStep::Done | GetStep::Waiting => {}
                _ => actions.push(Action::Get(nth)),
            }
            match get.step {
                GetStep::Asking if self.scenario.asks_time_out => {
                    actions.push(Action::AskTimesOut(nth));
                }
                GetStep::Loading if state.budget.errors > 0 => {
                    actions.push(Action::LoadFails(nth));
                }
                _ => {}
            }
        }
    }

    fn changes(&self, state: &State, actions: &mut Vec<Action>) {
        for (nth, (change, spec)) in (0..).zip(state.changes.iter().zip(&self.scenario.changes)) {
            let before = state.changes.iter().zip(&self.scenario.changes).take(usize::from(nth));
            let mut same = before.filter(|(_, other)| *other == spec);
            match change.step {
                ChangeStep::Idle if same.any(|(other, _)| other.step == ChangeStep::Idle) => {}
                ChangeStep::Done => {}
                _ => actions.push(Action::Change(nth)),
            }
            let is_on_its_way = matches!(change.step, ChangeStep::Sent | ChangeStep::Executed);
            if is_on_its_way && state.budget.timeouts > 0 {
                actions.push(Action::ChangeTimesOut(nth));
            }
            if change.is_late {
                actions.push(Action::LateRequest(nth));
            }
        }
    }

    fn nodes(&self, state: &State, actions: &mut Vec<Action>) {
        for (nth, node) in (0..).zip(&state.nodes) {
            let polls = node.poll.step != PollStep::Resting || node.polls_left > 0;
            if polls && self.protocol.has(Mechanism::Poll) {
                actions.push(Action::Poll(nth));
            }
            let messages = (1..8).filter(|position| node.messages & 1 << position != 0);
            actions.extend(messages.map(|position| Action::Message { node: nth, position }));
            if state.budget.expiries > 0 && node.entry.is_some_and(|entry| entry.is_fresh) {
                actions.push(Action::ExpireInMemory(nth));
            }
        }
    }

    fn l2(&self, state: &State, actions: &mut Vec<Action>) {
        let (l2, budget) = (&state.l2, &state.budget);
        if budget.expiries > 0 && l2.value.is_some_and(|value| value.is_fresh) {
            actions.push(Action::ExpireInL2);
        }
        if budget.failovers > 0 {
            actions.push(Action::FailOver);
            if budget.replications > 0 {
                actions.push(Action::Replicate);
            }
        }
        if budget.trims > 0 && l2.length > l2.trimmed {
            actions.push(Action::TrimLog);
        }
        if budget.forgotten > 0 && l2.may_forget_epoch(self.protocol) {
            actions.push(Action::ForgetEpoch);
        }
        if budget.tombstones > 0 && l2.generation > 0 {
            actions.push(Action::ExpireTombstone);
        }
    }

    /// All that may happen next.
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        if self.is_over(state) {
            return;
        }
        if self.scenario.window.is_some() {
            actions.push(Action::Tick);
        }
        self.gets(state, actions);
        self.changes(state, actions);
        self.nodes(state, actions);
        self.l2(state, actions);
    }

    /// What comes of an action, and what was seen of it. `None` if nothing comes of it.
    pub(crate) fn after(&self, before: &State, action: Action) -> Option<(State, Seen)> {
        let mut turn = self.turn(before);
        turn.take(action);
        turn.settle();
        (turn.state != *before).then_some((turn.state, turn.seen))
    }

    pub(crate) fn turn(&self, before: &State) -> Turn<'_> {
        let (scenario, protocol) = (&self.scenario, self.protocol);
        Turn { state: *before, scenario, protocol, seen: Seen::default() }
    }
}

impl Turn<'_> {
    pub(crate) fn take(&mut self, action: Action) {
        match action {
            Action::Tick => self.tick(),
            Action::Get(at) => self.get_goes_on(usize::from(at)),
            Action::AskTimesOut(at) => self.give_up_asking(usize::from(at)),
            Action::LoadFails(at) => {
                self.state.budget.errors -= 1;
                self.fail(usize::from(at));
            }
            Action::Change(at) => self.change_goes_on(usize::from(at)),
            Action::ChangeTimesOut(at) => {
                self.state.budget.timeouts -= 1;
                self.time_out(usize::from(at));
            }
            Action::LateRequest(at) => self.execute_late(usize::from(at)),
            Action::Poll(node) => self.poll_goes_on(node),
            Action::Message { node, position } => self.hear_message(node, position),
            Action::ExpireInMemory(node) => self.expire_in_memory(node),
            Action::ExpireInL2 => self.expire_in_l2(),
            Action::Replicate => self.replicate(),
            Action::FailOver => self.fail_over(),
            Action::TrimLog => {
                self.state.budget.trims -= 1;
                self.state.l2.trim();
            }
            Action::ForgetEpoch => {
                self.state.budget.forgotten -= 1;
                self.state.l2.epoch = 0;
            }
            Action::ExpireTombstone => {
                self.state.budget.tombstones -= 1;
                self.state.l2.generation = 0;
            }
        }
    }
}

/// The one thing that is checked.
pub(crate) const NOTHING_STALE: &str = "nothing stale is read";

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.first()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let (after, seen) = self.after(before, action)?;
        if self.seen.load(Relaxed) & seen.0 != seen.0 {
            self.seen.fetch_or(seen.0, Relaxed);
        }
        Some(after)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always(NOTHING_STALE, |_, state: &State| state.breach.is_none())]
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tick => f.write_str("a tick passes"),
            Self::Get(at) => write!(f, "get {at} goes on"),
            Self::AskTimesOut(at) => write!(f, "get {at} gives L2 up"),
            Self::LoadFails(at) => write!(f, "get {at}: the load fails"),
            Self::Change(at) => write!(f, "change {at} goes on"),
            Self::ChangeTimesOut(at) => write!(f, "change {at} gets no answer in time"),
            Self::LateRequest(at) => write!(f, "L2 executes the first request of change {at} late"),
            Self::Poll(node) => write!(f, "the poll of node {node} goes on"),
            Self::Message { node, position } => {
                write!(f, "node {node} hears of row {position} by a message")
            }
            Self::ExpireInMemory(node) => write!(f, "what node {node} holds passes its life"),
            Self::ExpireInL2 => f.write_str("what L2 holds passes its life"),
            Self::Replicate => f.write_str("the standby hears of everything"),
            Self::FailOver => f.write_str("the standby takes over"),
            Self::TrimLog => f.write_str("the log is cut off"),
            Self::ForgetEpoch => f.write_str("L2 forgets the epoch"),
            Self::ExpireTombstone => f.write_str("the counter expires"),
        }
    }
}
