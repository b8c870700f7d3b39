//! How it came to something: a line for each step.

use crate::l2::{L2, Selector};
use crate::model::{Action, World};
use crate::scenario::{Form, Scenario};
use crate::state::{Node, Poll, State};

/// A line for each step of a path.
pub(crate) fn narrate(world: &World, actions: &[Action]) -> Vec<String> {
    let mut state = world.first();
    let mut lines = describe(&world.scenario);
    for action in actions {
        let Some((after, seen)) = world.after(&state, *action) else { continue };
        let mut told = difference(&state, &after);
        told.extend(seen.labels().into_iter().map(str::to_owned));
        lines.push(format!("{action} [{}]", told.join(", ")));
        state = after;
    }
    if let Some(breach) = state.breach {
        lines.push(format!("{} is broken", breach.label()));
    }
    lines
}

/// What a path leads to.
pub(crate) fn last_state(world: &World, actions: &[Action]) -> State {
    let step = |state: State, action: &Action| {
        world.after(&state, *action).map_or(state, |(after, _)| after)
    };
    actions.iter().fold(world.first(), step)
}

/// Who is there, so that those who read a trace need not know the scenario by heart.
fn describe(scenario: &Scenario) -> Vec<String> {
    let name = |node: u8| if node == 0 { 'A' } else { 'B' };
    let gets = scenario.gets.iter().enumerate().map(|(at, spec)| {
        let what = if spec.is_preload { "preload" } else { "get" };
        format!("get {at} is a {what} on {}", name(spec.node))
    });
    let changes = scenario.changes.iter().enumerate().map(|(at, spec)| {
        let what = match (spec.form, spec.selector) {
            (Form::Put, _) => "a put",
            (Form::Transaction, _) => "a change within a transaction",
            (Form::Invalidate, Selector::Key) => "an invalidation",
            (Form::Invalidate, Selector::Group) => "an invalidation of the group",
            (Form::Invalidate, Selector::Other) => "an invalidation of another key",
        };
        format!("change {at} is {what} on {}", name(spec.node))
    });
    gets.chain(changes).collect()
}

/// What has changed from one state to the next, for a trace.
fn difference(before: &State, after: &State) -> Vec<String> {
    let mut told = Vec::new();
    let mut tell = |what: String, was: String, is: String| {
        if was != is {
            told.push(format!("{what}: {is}"));
        }
    };
    tell("source".into(), before.source.to_string(), after.source.to_string());
    for (at, (was, is)) in before.gets.iter().zip(&after.gets).enumerate() {
        tell(format!("get {at}"), format!("{:?}", was.step), format!("{:?}", is.step));
    }
    for (at, (was, is)) in before.changes.iter().zip(&after.changes).enumerate() {
        tell(format!("change {at}"), format!("{:?}", was.step), format!("{:?}", is.step));
    }
    for (name, (was, is)) in ['A', 'B'].into_iter().zip(before.nodes.iter().zip(&after.nodes)) {
        let held = |node: &Node| node.entry.map_or("nothing".into(), |e| format!("v{}", e.version));
        tell(format!("memory of {name}"), held(was), held(is));
        let poll = |poll: &Poll| format!("{:?}", poll.step);
        tell(format!("poll of {name}"), poll(&was.poll), poll(&is.poll));
    }
    let stored = |l2: &L2| l2.value.map_or("nothing".into(), |value| format!("v{}", value.version));
    tell("L2".into(), stored(&before.l2), stored(&after.l2));
    told
}
