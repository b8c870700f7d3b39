//! Random walks, for worlds that are too large to be explored: everything at once.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::chance::Chance;
use crate::check::{self, THREADS};
use crate::event::Seen;
use crate::l2::Selector;
use crate::model::{Action, World};
use crate::protocol::Protocol;
use crate::report::{Outcome, Report, Verdict};
use crate::scenario::{ChangeSpec, Form, GetSpec, Removal, Scenario};
use crate::state::{Breach, CHANGES, Faults, GETS};
use crate::trace;

/// What walks came to.
#[derive(Default)]
struct Tally {
    walks: usize,
    steps: usize,
    seen: Seen,
    broken: Option<Walk>,
}

/// A walk that broke a promise.
struct Walk {
    at: usize,
    seed: u64,
    breach: Breach,
    world: World,
    path: Vec<Action>,
}

/// Walks as often as is said, or until a promise is broken. The first walk has the seed, the next
/// one that follows on it, and so on: so any of them can be made again alone.
///
/// Each walk has a world of its own, which its seed decides as it does every step.
pub(crate) fn walk(walks: usize, seed: u64, removal: Option<&Removal>) -> Report {
    let began = check::now();
    let protocol = removal.map_or(Protocol::FULL, Removal::protocol);
    let first_broken = AtomicUsize::new(usize::MAX);
    let tallies: Vec<Tally> = thread::scope(|scope| {
        let share = |nth| {
            let first_broken = &first_broken;
            scope.spawn(move || walk_share(walks, seed, nth, protocol, first_broken))
        };
        let threads: Vec<_> = (0..THREADS).map(share).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let is_whole = tallies.len() == THREADS;
    let mut all = Tally::default();
    for tally in tallies {
        all.walks += tally.walks;
        all.steps += tally.steps;
        all.seen = all.seen.and(tally.seen);
        let first = all.broken.into_iter().chain(tally.broken);
        all.broken = first.min_by_key(|walk| walk.at);
    }
    let verdict = match (removal, &all.broken) {
        (Some(_), _) => Verdict::Informative,
        (None, None) if is_whole => Verdict::Expected,
        (None, _) => Verdict::Wrong,
    };
    Report {
        scenario: "walks",
        title: "everything at once, at random",
        without: removal.map(|removal| removal.label),
        states: all.walks,
        steps: all.steps,
        seconds: began.elapsed().as_secs_f64(),
        outcome: all.broken.as_ref().map_or(Outcome::Unbroken, |walk| Outcome::Broken {
            promise: walk.breach.label(),
            steps: walk.path.len(),
            seed: Some(walk.seed),
        }),
        verdict,
        seen: all.seen.labels(),
        trace: all.broken.map_or_else(Vec::new, |walk| trace::narrate(&walk.world, &walk.path)),
    }
}

/// Every so many-th of the walks, from the `nth` one on.
fn walk_share(
    walks: usize,
    seed: u64,
    nth: usize,
    protocol: Protocol,
    first_broken: &AtomicUsize,
) -> Tally {
    let mut tally = Tally::default();
    for (at, offset) in (0..walks).zip(0..).skip(nth).step_by(THREADS) {
        // Who is behind goes on to there, so that the first one is found, whoever is faster.
        if at > first_broken.load(Relaxed) {
            break;
        }
        let seed = seed.wrapping_add(offset);
        let mut chance = Chance::of(seed);
        let world = World::new(scenario(&mut chance), protocol);
        let (path, breach) = wander(&world, &mut chance, &mut tally.seen);
        tally.walks += 1;
        tally.steps += path.len();
        if let Some(breach) = breach {
            first_broken.fetch_min(at, Relaxed);
            tally.broken = Some(Walk { at, seed, breach, world, path });
            break;
        }
    }
    tally
}

/// Takes steps by chance, until none is left or a promise is broken.
fn wander(world: &World, chance: &mut Chance, seen: &mut Seen) -> (Vec<Action>, Option<Breach>) {
    let (mut state, mut path, mut actions) = (world.first(), Vec::new(), Vec::new());
    loop {
        actions.clear();
        world.possible(&state, &mut actions);
        let next = loop {
            let Some(action) = chance.take(&mut actions) else { break None };
            if let Some((after, new)) = world.after(&state, action) {
                break Some((action, after, new));
            }
        };
        let Some((action, after, new)) = next else { return (path, state.breach) };
        *seen = seen.and(new);
        path.push(action);
        state = after;
    }
}

/// A world with everything in it, or nearly so: what never happens would hide what only happens
/// without it.
pub(crate) fn scenario(chance: &mut Chance) -> Scenario {
    let mut scenario = Scenario::new("walks", "everything at once, at random");
    for _ in 0..GETS {
        let (node, is_preload) = (chance.below(2), chance.below(5) == 0);
        scenario.gets.push(GetSpec { node, is_preload });
    }
    for _ in 0..CHANGES {
        scenario.changes.push(change(chance));
    }
    scenario.polls = [chance.below(4), chance.below(4)];
    scenario.window = (chance.below(4) > 0).then_some(1);
    scenario.asks_time_out = chance.below(2) == 0;
    scenario.faults = Faults {
        timeouts: chance.below(3),
        errors: chance.below(2),
        expiries: chance.below(2),
        failovers: chance.below(3),
        replications: chance.below(2),
        trims: chance.below(4) / 3,
        forgotten: chance.below(2),
        tombstones: chance.below(2),
    };
    scenario
}

fn change(chance: &mut Chance) -> ChangeSpec {
    let node = chance.below(2);
    let (form, selector) = match chance.below(10) {
        0..3 => (Form::Invalidate, Selector::Key),
        3..5 => (Form::Invalidate, Selector::Group),
        5 => (Form::Invalidate, Selector::Other),
        6..8 => (Form::Put, Selector::Key),
        _ => (Form::Transaction, Selector::Key),
    };
    ChangeSpec { node, selector, form }
}

#[cfg(test)]
mod tests {
    use super::walk;
    use crate::all_removals;
    use crate::report::{Outcome, Verdict};

    #[test]
    fn the_whole_protocol_survives_walks() {
        let report = walk(2_000, 7, None);
        assert_eq!((report.outcome, report.verdict), (Outcome::Unbroken, Verdict::Expected));
        assert_eq!(report.states, 2_000);
    }

    #[test]
    fn a_walk_that_breaks_a_promise_is_made_again_by_its_seed() {
        let all = all_removals();
        let removal = all.iter().find(|removal| removal.label == "L2 takes every fill").unwrap();
        let found = walk(20_000, 1, Some(removal));
        assert_eq!(found.verdict, Verdict::Informative);
        let Outcome::Broken { seed: Some(seed), .. } = found.outcome else {
            panic!("nothing was found: {found:?}");
        };
        let again = walk(1, seed, Some(removal));
        assert_eq!((again.outcome, again.trace), (found.outcome, found.trace));
    }
}
