//! Simulations by seed: what is promised holds, and would not if any part were missing.

use std::env;
use std::num::NonZero;
use std::thread::{self, available_parallelism};
use std::time::Duration;

use super::Removed;
use super::history::Counts;
use super::run::simulate;

/// So many take half a minute, unoptimised and on two cores.
const SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Does what a seed leads to, and says how to do it again if it was wrong.
fn hold(seed: u64) -> Counts {
    let found = simulate(seed, None);
    if let [first, ..] = &found.violations[..] {
        let trace = found.trace.join("\n");
        panic!(
            "{trace}\n\n{first}\n\nOnce more: \
             FOREWARM_SIM_SEED={seed} cargo test --all-features --test it sim::seeds::every_seed"
        );
    }
    found.counts
}

/// One seed if it is given, or else some, on all cores.
#[test]
#[expect(clippy::print_stdout, reason = "how much was tried is of interest")]
fn every_seed_keeps_the_promise() {
    let (first, seeds) = match number("FOREWARM_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => {
            let first = number("FOREWARM_SIM_FIRST").unwrap_or_default();
            (first, number("FOREWARM_SIM_SEEDS").unwrap_or(SEEDS))
        }
    };
    let threads = available_parallelism().map_or(1, NonZero::get);
    let counts: Vec<_> = thread::scope(|scope| {
        let of_thread = |nth: usize| {
            let seeds = (first..first + seeds).skip(nth).step_by(threads);
            scope.spawn(move || seeds.map(hold).fold(Counts::default(), Counts::plus))
        };
        let running: Vec<_> = (0..threads).map(of_thread).collect();
        running.into_iter().map(|thread| thread.join().expect("every seed holds")).collect()
    });
    let Counts { reads, errors, unverified, queued } =
        counts.into_iter().fold(Counts::default(), Counts::plus);
    println!(
        "{seeds} seeds from {first}: {reads} answers, of them {unverified} not verified, and \
         {errors} errors; {queued} changes were queued"
    );
    assert!(reads as u64 > 100 * seeds, "{reads} reads show little");
}

#[test]
fn a_seed_leads_to_the_same_every_time() {
    for seed in 0..10 {
        let (one, other) = (simulate(seed, None), simulate(seed, None));
        let differs = one.trace.iter().zip(&other.trace).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one, other, "seed {seed}");
    }
}

/// The first seed that shows that something is missing.
fn shows(removed: Removed) -> u64 {
    let is_wrong = |seed: &u64| !simulate(*seed, Some(removed)).violations.is_empty();
    (0..SEEDS).find(is_wrong).unwrap_or_else(|| panic!("no seed misses {removed:?}"))
}

#[test]
fn without_permits_something_stale_is_read() {
    shows(Removed::Permits);
}

#[test]
fn without_the_groups_of_fills_something_stale_is_read() {
    shows(Removed::Epochs);
}

#[test]
fn without_the_cursor_of_puts_something_stale_is_read() {
    shows(Removed::Since);
}

#[test]
fn without_the_answers_of_polls_something_stale_is_read() {
    shows(Removed::Changes);
}

#[test]
fn without_gaps_something_stale_is_read() {
    shows(Removed::Gaps);
}

#[test]
fn with_a_lease_from_the_answer_of_a_poll_something_stale_is_read() {
    shows(Removed::Lease(Duration::from_secs(2)));
}

#[test]
fn with_a_gate_that_opens_early_something_stale_is_read() {
    shows(Removed::Gate(Duration::from_millis(30)));
}

#[test]
fn without_incarnations_something_stale_is_read() {
    shows(Removed::Incarnations);
}

#[test]
fn without_the_lag_of_the_source_something_stale_is_read() {
    shows(Removed::Lag);
}
