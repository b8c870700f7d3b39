//! Runs: a scenario explored to the end, and what it came to.

use std::time::Instant;

use serde::Serialize;
use stateright::{Checker, Model};

use crate::event::{Event, Seen};
use crate::model::{Action, NOTHING_STALE, World, describe, difference};
use crate::protocol::Protocol;
use crate::scenario::{Expected, Scenario};
use crate::state::State;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) removed: &'static str,
    /// The different states, or the walks.
    pub(crate) states: usize,
    /// The states as often as they were come to, or the steps.
    pub(crate) transitions: usize,
    pub(crate) depth: usize,
    pub(crate) seconds: f64,
    pub(crate) result: String,
    pub(crate) is_as_expected: bool,
    pub(crate) seen: Vec<&'static str>,
    pub(crate) trace: Vec<String>,
}

/// More states than this are not explored, and a run that is cut off here has failed.
const STATES_MAX: usize = 600_000_000;

/// Explores a scenario, with or without some mechanisms.
pub(crate) fn explore(
    scenario: &Scenario,
    protocol: Protocol,
    removed: &'static str,
    expected: Expected,
    threads: usize,
) -> Report {
    let began = now();
    let world = World::new(scenario.clone(), protocol);
    let checker = world.checker().threads(threads).target_state_count(STATES_MAX).spawn_bfs();
    let checker = checker.join();
    let path = checker.discovery(NOTHING_STALE).map(stateright::Path::into_actions);
    let seen = checker.model().seen();
    let is_complete = checker.is_done() && checker.state_count() < STATES_MAX;
    let trace = path.as_deref().map(|actions| narrate(checker.model(), actions));
    let (result, is_as_expected) = match (&path, expected) {
        (Some(actions), _) => {
            let breach = last_state(checker.model(), actions).breach;
            let promise = breach.map_or("?", crate::state::Breach::label);
            (format!("{promise} broken in {} steps", actions.len()), expected == Expected::Stale)
        }
        (None, _) if !is_complete => ("cut off".to_owned(), false),
        (None, Expected::Stale) => ("nothing found".to_owned(), false),
        (None, Expected::Safe) => match unseen(scenario, protocol, seen) {
            None => ("ok".to_owned(), true),
            Some(event) => (format!("never seen: {}", event.label()), false),
        },
    };
    Report {
        scenario: scenario.name,
        removed,
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        seconds: began.elapsed().as_secs_f64(),
        result,
        is_as_expected,
        seen: seen.labels(),
        trace: trace.unwrap_or_default(),
    }
}

/// What the whole protocol should have seen, and has not.
fn unseen(scenario: &Scenario, protocol: Protocol, seen: Seen) -> Option<Event> {
    let is_full = protocol == Protocol::FULL;
    scenario.sees.iter().copied().find(|event| is_full && !seen.has(*event))
}

fn last_state(world: &World, actions: &[Action]) -> State {
    let step = |state: State, action: &Action| {
        world.after(&state, *action).map_or(state, |(after, _)| after)
    };
    actions.iter().fold(world.first(), step)
}

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

/// The time, for how long a run took.
#[expect(clippy::disallowed_methods, reason = "a run is measured by the time that it takes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
