//! `forewarm replay --sweep`: which value of a setting fits the requests.

use clap::ValueEnum;
use serde::Serialize;

use super::Options;
use super::parsing::Room;
use super::table::with_header;
use crate::policy::Policy;
use crate::replay::trace::Trace;
use crate::replay::{Row, Rule};
use crate::service::console::Failure;
use crate::stats::ratio;

/// A setting of which several values are tried.
#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Setting {
    /// `hot_share`: the share of the capacity that the hot segment has.
    HotShare,
}

/// The shares that are tried.
const SHARES: [f64; 5] = [0.5, 0.75, 0.9, 0.95, 1.0];

/// Differences up to this share of the misses are chance, however many there are.
const CHANCE_MIN: f64 = 0.002;

/// What came of the values that were tried on one trace.
#[derive(Debug, Serialize)]
pub(super) struct Sweep {
    trace: String,
    setting: Setting,
    /// The policy whose misses decide.
    policy: &'static str,
    default: f64,
    recommended: f64,
    /// What the recommended value removes of the misses with the default, 0 to 1.
    removed: f64,
    rows: Vec<Tried>,
}

/// What came of one value under one policy.
#[derive(Debug, Serialize)]
struct Tried {
    hot_share: f64,
    #[serde(flatten)]
    row: Row,
}

/// Finds out before anything is read whether there is anything to choose.
///
/// # Errors
///
/// A policy is not one of the engine, there is room for everything, or several thresholds would
/// each ask for a value of their own.
pub(super) fn check(options: &Options) -> Result<(), Failure> {
    let is_alien = |rule: &&Rule| matches!(rule, Rule::Lru | Rule::Moka | Rule::Oracle);
    if let Some(alien) = options.policy.iter().find(is_alien) {
        let said = format!(
            "`--policy {}` is none of the engine's own, so --sweep has nothing to choose for it",
            alien.name()
        );
        return Err(said.into());
    }
    if matches!(options.capacity, Room::Endless) {
        let said = "--sweep hot-share needs --capacity: if everything fits, there is nothing to \
                    share out";
        return Err(said.into());
    }
    if options.threshold.len() > 1 {
        return Err("--sweep tries one --threshold: what fits one may not fit another".into());
    }
    Ok(())
}

impl Sweep {
    /// Replays a trace with each value, under all policies.
    pub(super) fn of(setting: Setting, options: &Options, trace: &Trace) -> Result<Self, Failure> {
        let decides = decisive(&options.policy);
        let (mut rows, mut misses) = (Vec::new(), Vec::new());
        for hot_share in SHARES {
            // One for each policy, in their order: there is but one threshold.
            let replayed = options.replay_all(trace, hot_share)?.rows;
            misses.extend(replayed.get(decides).map(|row| (hot_share, row.misses)));
            rows.extend(replayed.into_iter().map(|row| Tried { hot_share, row }).enumerate());
        }
        rows.sort_by_key(|(nth, _tried)| *nth);
        let rows: Vec<_> = rows.into_iter().map(|(_nth, tried)| tried).collect();
        let policy = options.policy.get(decides).map_or("", |rule| rule.name());
        let default = Policy::default().hot_share;
        let (recommended, removed) = recommended(&misses, default);
        let trace = trace.name.clone();
        Ok(Self { trace, setting, policy, default, recommended, removed, rows })
    }

    /// The misses of a row beyond those with the default, as a share of these.
    #[expect(clippy::cast_precision_loss, reason = "a ratio")]
    fn more_misses(&self, tried: &Tried) -> Option<f64> {
        let is_default = |other: &&Tried| {
            other.row.policy == tried.row.policy && other.hot_share.total_cmp(&self.default).is_eq()
        };
        let misses = self.rows.iter().find(is_default)?.row.misses;
        (misses > 0).then(|| tried.row.misses as f64 / misses as f64 - 1.0)
    }

    /// The share of the misses by which two values may differ by chance.
    fn chance(&self) -> f64 {
        let is_default = |tried: &&Tried| {
            tried.row.policy == self.policy && tried.hot_share.total_cmp(&self.default).is_eq()
        };
        chance(self.rows.iter().find(is_default).map_or(0, |tried| tried.row.misses))
    }

    /// The recommendation in a sentence.
    fn said(&self) -> String {
        let Self { trace, policy, default, recommended, removed, .. } = self;
        if recommended.total_cmp(default).is_eq() {
            format!(
                "{trace}: keep hot_share = {default}. Under {policy}, no other share has fewer \
                 misses by more than {:.1} %, which may be chance.",
                self.chance() * 100.0
            )
        } else {
            format!(
                "{trace}: try hot_share = {recommended}. Under {policy}, it has {:.1} % fewer \
                 misses than {default}.",
                removed * 100.0
            )
        }
    }
}

/// The share of so many misses that may be chance: two standard deviations, as if each came by
/// itself.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn chance(misses: u64) -> f64 {
    CHANCE_MIN.max(2.0 / (misses.max(1) as f64).sqrt())
}

/// The place of the policy whose misses decide: the first that does more than to wait for requests.
fn decisive(policies: &[Rule]) -> usize {
    policies.iter().position(|rule| *rule != Rule::Demand).unwrap_or(0)
}

/// The value with the fewest misses, of equals the nearest to the default, unless the default has
/// hardly more; and what it removes of the misses with the default.
fn recommended(misses: &[(f64, u64)], default: f64) -> (f64, f64) {
    let distance = |value: f64| (value - default).abs();
    let with_default = misses.iter().find(|(value, _)| value.total_cmp(&default).is_eq());
    let best = misses
        .iter()
        .min_by(|(a, few), (b, many)| few.cmp(many).then(distance(*a).total_cmp(&distance(*b))));
    let (Some((_, before)), Some((value, after))) = (with_default, best) else {
        return (default, 0.0);
    };
    let removed = ratio(before.saturating_sub(*after), *before);
    if removed > chance(*before) { (*value, removed) } else { (default, 0.0) }
}

/// All rows in a table, and the recommendations under it.
pub(super) fn table(sweeps: &[Sweep]) -> String {
    let mut table = with_header([
        "trace",
        "policy",
        "hot share",
        "hit %",
        "misses",
        "vs default",
        "loads",
        "vs demand",
    ]);
    let change =
        |more: Option<f64>| more.map_or_else(String::new, |more| format!("{:+.1} %", more * 100.0));
    for sweep in sweeps {
        for tried in &sweep.rows {
            let Tried { hot_share, row } = tried;
            table.add_row([
                row.trace.clone(),
                row.policy.to_owned(),
                hot_share.to_string(),
                format!("{:.2}", row.hit_ratio * 100.0),
                row.misses.to_string(),
                change(sweep.more_misses(tried)),
                row.loads.to_string(),
                change(row.loads_vs_demand),
            ]);
        }
    }
    let said: Vec<_> = sweeps.iter().map(Sweep::said).collect();
    format!("{table}\n{}", said.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_left_for_nothing_but_fewer_misses() {
        let even = [1_000_000; 5];
        let cases = [
            (even, 0.9, 0.0),
            ([1_000_000, 1_000_000, 1_000_000, 1_000_000, 998_000], 0.9, 0.0),
            ([1_000_000, 1_000_000, 1_000_000, 1_000_000, 997_000], 1.0, 0.003),
            // So few may differ by a sixteenth by chance.
            ([1_000, 1_000, 1_000, 1_000, 940], 0.9, 0.0),
            ([900, 950, 1_000, 1_100, 1_200], 0.5, 0.1),
            ([1_200, 900, 1_000, 900, 900], 0.95, 0.1),
            ([1_200, 1_100, 1_000, 1_001, 1_002], 0.9, 0.0),
            ([7, 7, 0, 7, 7], 0.9, 0.0),
            ([0, 0, 0, 0, 0], 0.9, 0.0),
        ];
        for (misses, value, removed) in cases {
            let tried: Vec<_> = SHARES.into_iter().zip(misses).collect();
            let found = recommended(&tried, 0.9);
            assert!(
                (found.0 - value).abs() + (found.1 - removed).abs() < 1e-9,
                "{misses:?}: {found:?}"
            );
        }
    }

    #[test]
    fn the_default_is_among_the_shares() {
        assert!(SHARES.contains(&Policy::default().hot_share));
    }

    #[test]
    fn what_loads_ahead_decides() {
        let cases = [
            (vec![Rule::Demand, Rule::Forewarm], 1),
            (vec![Rule::Demand], 0),
            (vec![Rule::Classic, Rule::Forewarm, Rule::Demand], 0),
        ];
        for (policies, expected) in cases {
            assert_eq!(decisive(&policies), expected, "{policies:?}");
        }
    }
}
