//! Budgets, rules, a source that takes time, and what is measured elsewhere.

use crate::line::Bound::{AtLeast, AtMost};
use crate::line::{Goal, Line};
use crate::plan::Plan;
use crate::replays::Results;
use crate::setting::{Setting, Source};
use crate::traces::{NASA, SDSC, Scope};

const BUDGET: Goal =
    Goal::new("load budgets of 5, 10, 25 %: exceeded by points", AtMost(2.0), AtMost(0.0));
const RULES: Goal =
    Goal::new("rules: follow-up reads of first-ever users that hit", AtLeast(0.9), AtLeast(0.97));
const LATENCY: Goal = Goal {
    name: "share of the zero-latency gain that is kept",
    gate: None,
    aim: Some(AtLeast(0.8)),
};
const LEARNING: Goal =
    Goal::new("association learning on a hit inside a scope, ns", AtMost(60.0), AtMost(20.0));
const MEMORY: Goal = Goal::new("memory per associated key, bytes", AtMost(256.0), AtMost(160.0));

pub(crate) fn plan(plan: &mut Plan, scope: Scope) {
    for setting in budgets(scope) {
        plan.want(setting, &["forewarm"]);
    }
    plan.want(bundles(), &["forewarm"]);
    for (slow, prompt) in slow() {
        plan.want(slow, &["forewarm"]);
        plan.want(prompt, &["forewarm"]);
    }
}

pub(crate) fn lines(results: &Results, scope: Scope) -> Vec<Line> {
    let settings = budgets(scope).into_iter();
    let detail = |setting: Setting| BUDGET.detail(setting.label(), exceeded(results, setting));
    let details: Vec<_> = settings.map(detail).collect();
    let mut lines = vec![BUDGET.worst(&details)];
    lines.extend(details);
    lines.push(RULES.line(bundles().label(), follow_ups(results)));
    let kept = slow().into_iter();
    lines.extend(
        kept.map(|(slow, prompt)| LATENCY.line(slow.label(), kept_of(results, slow, prompt))),
    );
    let elsewhere = || Err("measured by benchmarks of their own".to_owned());
    lines.extend([LEARNING.line("", elsewhere()), MEMORY.line("", elsewhere())]);
    lines
}

fn budgets(scope: Scope) -> Vec<Setting> {
    let under = |setting: Setting| {
        [5, 10, 25].map(|percent| Setting { load_budget: Some(percent), ..setting })
    };
    scope.with_ttls().into_iter().flat_map(under).collect()
}

/// By how many points of the loads on demand alone a budget was exceeded; never less than 0.
fn exceeded(results: &Results, setting: Setting) -> Result<f64, String> {
    let rows = results.rows(&setting)?;
    let more = rows.one("forewarm")?.loads / rows.one("demand")?.loads - 1.0;
    let budget = setting.load_budget.map_or(f64::INFINITY, f64::from);
    Ok((more * 100.0 - budget).max(0.0))
}

/// A page asks for a user, and then for what belongs to it.
fn bundles() -> Setting {
    Setting::endless(Source::Synthetic("bundles"))
}

fn follow_ups(results: &Results) -> Result<f64, String> {
    let row = results.rows(&bundles())?.one("forewarm")?;
    let figures = row.first_follow_ups.zip(row.first_follow_ups_hit);
    let (all, hit) = figures
        .filter(|(all, _hit)| *all > 0.0)
        .ok_or_else(|| "not available: first_follow_ups".to_owned())?;
    Ok(hit / all)
}

/// With a source that takes time, and the same without. Both traces have stamps in whole seconds,
/// so that a page and its images are read at the same moment; spread over their second, they come
/// one after the other.
fn slow() -> Vec<(Setting, Setting)> {
    let pair = |trace, spread_s| {
        let prompt = Setting { spread_s, ..Setting::with_ttl(trace, 300) };
        (Setting { latency_ms: 20, ..prompt }, prompt)
    };
    [NASA, SDSC].into_iter().flat_map(|trace| [pair(trace, 0), pair(trace, 1)]).collect()
}

/// The misses that are saved with a slow source, those that came late counted as misses, beside
/// those that are saved with a prompt one.
fn kept_of(results: &Results, slow: Setting, prompt: Setting) -> Result<f64, String> {
    let saved = |setting: Setting| {
        let rows = results.rows(&setting)?;
        Ok::<_, String>(rows.one("demand")?.misses - rows.one("forewarm")?.misses)
    };
    Ok(saved(slow)? / saved(prompt)?)
}
