//! Runs: a scenario explored to the end, and what it came to.

use std::time::Instant;

use stateright::{Checker, Model};

use crate::event::{Event, Seen};
use crate::model::{Action, NOTHING_STALE, World};
use crate::protocol::Protocol;
use crate::report::{Outcome, Report, Verdict};
use crate::scenario::{Expected, Removal, Scenario};
use crate::state::Breach;
use crate::trace;

/// As many as the machines have that check every change.
pub(crate) const THREADS: usize = 2;

/// What an exploration found.
struct Found {
    seen: Seen,
    /// The way to something stale.
    path: Option<Vec<Action>>,
    states: usize,
    steps: usize,
    is_complete: bool,
}

/// Explores a scenario with the whole protocol, or without some mechanisms. Of more than
/// `steps_max` steps only the first ones are taken, so that memory is bounded.
pub(crate) fn explore(scenario: &Scenario, removal: Option<&Removal>, steps_max: usize) -> Report {
    let began = now();
    let protocol = removal.map_or(Protocol::FULL, Removal::protocol);
    let expected = removal.map_or(Expected::Safe, |removal| removal.expected);
    let world = World::new(scenario.clone(), protocol);
    let builder = world.checker().threads(THREADS).target_state_count(steps_max);
    // A short way to a breach is worth the memory that it takes to keep all states which are
    // still to be looked at; where there should be none, depth comes first, which keeps few.
    let found = match expected {
        Expected::Stale => found(&builder.spawn_bfs().join(), steps_max),
        Expected::Safe => found(&builder.spawn_dfs().join(), steps_max),
    };
    let world = World::new(scenario.clone(), protocol);
    let outcome = outcome(&world, &found);
    Report {
        scenario: scenario.name,
        title: scenario.title,
        without: removal.map(|removal| removal.label),
        states: found.states,
        steps: found.steps,
        seconds: began.elapsed().as_secs_f64(),
        outcome,
        verdict: judge(outcome, expected),
        seen: found.seen.labels(),
        trace: found.path.map_or_else(Vec::new, |path| trace::narrate(&world, &path)),
    }
}

fn found(checker: &impl Checker<World>, steps_max: usize) -> Found {
    Found {
        seen: checker.model().seen(),
        path: checker.discovery(NOTHING_STALE).map(stateright::Path::into_actions),
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        is_complete: checker.is_done() && checker.state_count() < steps_max,
    }
}

fn outcome(world: &World, found: &Found) -> Outcome {
    if let Some(path) = &found.path {
        let promise = trace::last_state(world, path).breach.map_or("?", Breach::label);
        return Outcome::Broken { promise, steps: path.len(), seed: None };
    }
    if !found.is_complete {
        return Outcome::Cut { states: found.states };
    }
    // What is missing may well be what an event needs.
    let is_whole = world.protocol == Protocol::FULL;
    let mut events = world.scenario.sees.iter().copied();
    match events.find(|event| is_whole && !found.seen.has(*event)).map(Event::label) {
        Some(event) => Outcome::NeverSeen { event },
        None => Outcome::Holds,
    }
}

/// What is not refuted within the limit is not wrong. What must be refuted is.
const fn judge(outcome: Outcome, expected: Expected) -> Verdict {
    match (outcome, expected) {
        (Outcome::Holds | Outcome::Unbroken | Outcome::Cut { .. }, Expected::Safe)
        | (Outcome::Broken { .. }, Expected::Stale) => Verdict::Expected,
        _ => Verdict::Wrong,
    }
}

/// The time, for how long a run took.
#[expect(clippy::disallowed_methods, reason = "a run is measured by the time that it takes")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::explore;
    use crate::report::{Outcome, Verdict};
    use crate::scenarios;

    /// Small enough for a build that is not optimised.
    const SMALL: [&str; 9] = ["S1", "S2", "S4g", "S5", "S7", "S8", "S8c", "own-g1", "S9g"];

    #[test]
    fn the_whole_protocol_holds_and_what_it_needs_is_found_missing() {
        let all = scenarios::small();
        for scenario in all.iter().filter(|scenario| SMALL.contains(&scenario.name)) {
            let whole = explore(scenario, None, usize::MAX);
            assert_eq!(whole.outcome, Outcome::Holds, "{}", scenario.name);
            assert_eq!(whole.verdict, Verdict::Expected, "{}", scenario.name);
            for removal in &scenario.removals {
                let found = explore(scenario, Some(removal), usize::MAX);
                let (name, label) = (scenario.name, removal.label);
                assert_eq!(found.verdict, Verdict::Expected, "{name}: {label}");
                let is_broken = matches!(found.outcome, Outcome::Broken { .. });
                assert_eq!(is_broken, !found.trace.is_empty(), "{name}: {label}");
            }
        }
    }

    #[test]
    fn what_is_cut_off_is_not_refuted_and_what_must_be_refuted_is_wrong_then() {
        let all = scenarios::small();
        let scenario = all.iter().find(|scenario| scenario.name == "S3r").unwrap();
        let whole = explore(scenario, None, 2_000);
        assert!(matches!(whole.outcome, Outcome::Cut { states: 100..40_000 }), "{whole:?}");
        assert_eq!(whole.verdict, Verdict::Expected);
        let removal = explore(scenario, scenario.removals.first(), 2_000);
        assert!(matches!(removal.outcome, Outcome::Cut { .. }), "{removal:?}");
        assert_eq!(removal.verdict, Verdict::Wrong);
    }
}
