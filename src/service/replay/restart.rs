//! `forewarm replay --restart`: what a restart costs, with and without a memory.

use super::Options;
use super::table::with_header;
use crate::policy::Policy;
use crate::replay::restart::{After, Restart, restart};
use crate::replay::trace::Trace;
use crate::replay::{Rule, Terms};
use crate::service::console::Failure;

/// Finds out before anything is read whether there is an engine to restart.
///
/// # Errors
///
/// A policy is not one of the engine.
pub(super) fn check(options: &Options) -> Result<(), Failure> {
    let is_alien = |rule: &&Rule| matches!(rule, Rule::Lru | Rule::Moka | Rule::Oracle);
    match options.policy.iter().find(is_alien) {
        Some(alien) => {
            let name = alien.name();
            Err(format!("`--policy {name}` is none of the engine's own, so it has no memory")
                .into())
        }
        None => Ok(()),
    }
}

/// Restarts the engine on a trace, under each policy that loads anything ahead: the others have
/// nothing to remember.
pub(super) fn of(options: &Options, trace: &Trace, share: f64) -> Result<Vec<Restart>, Failure> {
    let rules = options.policy.iter().filter(|rule| {
        matches!(rule, Rule::Forewarm | Rule::Refresh | Rule::Association | Rule::Classic)
    });
    let restarts = rules.map(|rule| {
        let terms = Terms {
            rule: *rule,
            load_budget: options.load_budget.0,
            ttl: options.ttl.0,
            capacity: options.capacity.in_keys(trace.keys),
            latency: options.latency,
            threshold: options.threshold.first().copied().unwrap_or(0.5),
            hot_share: Policy::default().hot_share,
            warmup: 0.0,
            seed: options.seed,
        };
        Ok(restart(trace, &terms, share)?)
    });
    restarts.collect()
}

/// The figures as people read them: of each restart, one line for each way to go on.
pub(super) fn table(restarts: &[Restart]) -> String {
    let mut table = with_header([
        "trace",
        "engine",
        "requests",
        "hit %",
        "of first",
        "first hit %",
        "back after",
        "to former",
    ]);
    for restart in restarts {
        for (engine, after) in [
            ("kept on", &restart.kept_on),
            ("restarted, cold", &restart.cold),
            ("restarted, memory", &restart.warm),
        ] {
            table.add_row(row(restart, engine, after));
        }
    }
    let said: Vec<_> = restarts.iter().map(said).collect();
    format!("{table}\n{}", said.join("\n"))
}

fn row(restart: &Restart, engine: &str, after: &After) -> [String; 8] {
    let or_never = |count: Option<u64>| count.map_or_else(|| "never".to_owned(), |n| n.to_string());
    [
        restart.trace.clone(),
        engine.to_owned(),
        after.requests.to_string(),
        format!("{:.2}", after.hit_ratio * 100.0),
        restart.window.to_string(),
        format!("{:.2}", after.first_hit_ratio * 100.0),
        or_never(after.back_after),
        or_never(after.back_to_former_after),
    ]
}

fn said(restart: &Restart) -> String {
    let Restart { trace, policy, before, former_hit_ratio, keys, bytes, .. } = restart;
    format!(
        "{trace}, {policy}: restarted after {before} requests, of whose last tenth {:.2} % were hits; \
         {keys} keys were remembered, in a file of {bytes} bytes",
        former_hit_ratio * 100.0
    )
}
