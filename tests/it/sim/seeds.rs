//! Simulations by seed.

use std::env;

use super::Removed;
use super::run::simulate;

/// Does what a seed leads to, and says how to do it again if it was wrong.
fn holds(seed: u64) -> usize {
    let found = simulate(seed, None);
    if !found.violations.is_empty() {
        let (trace, violations) = (found.trace.join("\n"), found.violations.join("\n"));
        panic!(
            "{trace}\n\n{violations}\n\nseed {seed}: \
             FOREWARM_SIM_SEED={seed} cargo test --all-features --test it sim::seeds::one_seed"
        );
    }
    found.reads
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn debug_one() {
    let seed = number("FOREWARM_SIM_SEED").unwrap_or(0);
    let found = simulate(seed, None);
    println!("{}", found.trace.join("\n"));
    println!("{} {} {} {}", found.reads, found.errors, found.unverified, found.queued);
    for v in found.violations {
        println!("VIOLATION {v}");
    }
}

#[test]
fn debug_many() {
    let first = number("FOREWARM_SIM_FIRST").unwrap_or(0);
    let seeds = number("FOREWARM_SIM_SEEDS").unwrap_or(10);
    let (mut r, mut e, mut u, mut q) = (0, 0, 0, 0);
    let mut bad = 0;
    for seed in first..first + seeds {
        let f = simulate(seed, None);
        r += f.reads;
        e += f.errors;
        u += f.unverified;
        q += f.queued;
        if !f.violations.is_empty() {
            bad += 1;
            println!("seed {seed}: {}", f.violations[0]);
        }
    }
    println!("bad {bad} of {seeds}; reads {r} errors {e} unverified {u} queued {q}");
}

#[test]
fn debug_removed() {
    use std::time::Duration;
    let seeds = number("FOREWARM_SIM_SEEDS").unwrap_or(10);
    let ms = Duration::from_millis;
    for removed in [
        Removed::Permits,
        Removed::Epochs,
        Removed::Since,
        Removed::Changes,
        Removed::Lease(ms(2000)),
        Removed::Gate(ms(500)),
        Removed::Gate(ms(30)),
        Removed::Incarnations,
    ] {
        let mut bad = Vec::new();
        let mut first = String::new();
        for seed in 0..seeds {
            let f = simulate(seed, Some(removed));
            if !f.violations.is_empty() {
                if bad.is_empty() {
                    first = f.violations[0].clone();
                }
                bad.push(seed);
            }
        }
        println!("{removed:?}: {} of {seeds}, first {:?}: {first}", bad.len(), bad.first());
    }
}
